"""What masking finds, what it leaves alone, and what it makes of both."""

from __future__ import annotations

import json
from collections import Counter

import orjson
import pytest

from traces.masking import DEFAULT, Mode, PolicyRefused, mask_default, masker_of, parse_policy
from traces.masking.detectors import DETECTORS
from traces.masking.numbers import is_card, is_iban

KEY = b"k" * 32
EVERYTHING = {"kinds": {"email": True, "phone": True}}
PEM = "-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKCAQEA7\nbn+/=\n-----END RSA PRIVATE KEY-----"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U"
SECRETS = [
    ("key", "sk-proj-Zx8Kq2mN5vB7cW1eR4tY6u"),
    ("key", "sk-ant-api03-AbCdEfGhIjKlMnOpQrSt"),
    ("key", "tt_sk_5f2c9a7be1d04836"),
    ("key", "AKIAIOSFODNN7EXAMPLE"),
    ("key", "ghp_16C7e42F292c6912E7710c838347Ae178B4a"),
    ("key", "github_pat_11ABCDEFG0aBcDeFgHiJkL"),
    ("key", "AIzaSyD-9tSrke72PouQMnMX-a7eZSW0jkFMBWY"),
    ("key", "xoxb-123456789012-abcdefGHIJ"),
    ("key", "sk_live_4eC39HqLyjWDarjtT1zdp7dc"),
    ("key", "hf_AbCdEfGhIjKlMnOpQrStUvWxYz"),
    ("private_key", PEM),
    ("jwt", JWT),
    ("card", "4111 1111 1111 1111"),
    ("card", "5500-0055-5555-5559"),
    ("card", "378282246310005"),
    ("card", "3782 822463 10005"),
    ("iban", "DE89370400440532013000"),
    ("iban", "GB29 NWBK 6016 1331 9268 19"),
    ("email", "bob.jones+x@mail.example.co.uk"),
    ("email", "jörg@müller.example"),
    ("phone", "+49 170 1234567"),
    ("phone", "(415) 555-2671"),
]
IN_PLACE = [
    ("bearer", "Authorization is Bearer {}", "a1b2c3d4e5f6a7b8"),
    ("bearer", "sent Basic {} along", "dXNlcjpodW50ZXIy"),
    ("password", "postgres://{}@db.internal/shop", "app:hunter2"),
    ("password", "https:\\/\\/{}@db.internal\\/shop", "app:hunter2"),
    ("password", "call?api_key={}&x=1", "9f8e7d6c"),
    ("password", '{{"password": "{}", "b": 1}}', "no digits here"),
    ("password", 'aws_secret_access_key="{}"', "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
    ("header", "Cookie: {}", "sid=31d4d96e407aad42"),
    ("header", '"x-api-key":"{}"', "abc"),
]
HARMLESS = (
    "the bearer authentication scheme and basic training", "password: required", "cookies: they are tasty",
    "1795219200000000000", "4111111111111112", "0.4111111111111111", "a4111111111111111f", "1.4111111111111111",
    "2026-11-22 04:11:13", "DE89370400440532013001", "XX89370400440532013000", "task-force-of-risk-analysis",
    "7ce24ce9-6498-5044-8853-409498510000", "192.168.100.200", "https://example.com:8080/a@b", "{}", "",
    "total_tokens: 41111111", "git@github.com:a/b.git", "0000000000000000", "max_tokens=4096, secretary: Bob",
)  # fmt: skip


def masked(text, rules=None):
    counts = Counter()
    masker = masker_of(DEFAULT if rules is None else parse_policy(rules), KEY)
    return masker.text(text, counts), counts


@pytest.mark.parametrize(("kind", "secret"), SECRETS)
@pytest.mark.parametrize("around", ["{}", "see {} please", "a,{};b", '"{}"', "x\n{}\ny", "„{}“"])
def test_a_secret_is_replaced_by_its_kind_wherever_it_stands(kind, secret, around):
    text, counts = masked(around.format(secret), EVERYTHING)

    label = masker_of(DEFAULT, KEY).mark(kind, b"")
    assert text == around.format(label)
    assert counts == {kind: 1}


@pytest.mark.parametrize(("kind", "around", "secret"), IN_PLACE)
def test_what_is_secret_by_its_place_is_replaced_there_alone(kind, around, secret):
    text, counts = masked(around.format(secret))

    assert text == around.format(masker_of(DEFAULT, KEY).mark(kind, b""))
    assert counts == {kind: 1}


@pytest.mark.parametrize("text", HARMLESS)
def test_what_only_looks_alike_stays(text):
    assert masked(text) == (text, Counter())


@pytest.mark.parametrize("text", [s for _, s in SECRETS] + [around.format(s) for _, around, s in IN_PLACE])
def test_masking_again_changes_nothing(text):
    once, _ = masked(text, EVERYTHING)

    assert masked(once, EVERYTHING) == (once, Counter())


@pytest.mark.parametrize(("kind", "secret"), SECRETS)
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_a_secret_in_json_in_json_is_found_and_the_json_stays_json(kind, secret, depth):
    value = {"note": secret, "n": 1}
    text = json.dumps(value)
    for _ in range(depth - 1):
        text = json.dumps({"inner": text})
    escaped = "".join(f"\\u{ord(c):04x}" if c.isalnum() and c.isascii() else c for c in secret)
    hidden = json.dumps({"inner": json.dumps(value).replace(json.dumps(secret)[1:-1], escaped)})

    for told in (text, hidden):
        found = masked(told, EVERYTHING)[0]
        while isinstance(found, str):
            found = json.loads(found)
            found = found.get("inner", found)
        assert "[masked: " in found["note"]
        assert secret not in found["note"]


def test_a_card_sent_as_a_number_becomes_a_text_and_the_json_stays_json():
    inner = json.dumps({"card": 4111111111111111, "cards": [5500005555555559, 7]})
    text = masked(json.dumps({"arguments": inner, "at": 1795219200000}))[0]

    told = json.loads(text)
    assert json.loads(told["arguments"]) == {"card": "[masked: card]", "cards": ["[masked: card]", 7]}
    assert told["at"] == 1795219200000


def test_names_keys_and_values_are_masked_and_fields_named_after_a_secret_whole():
    counts = Counter()
    value = {
        "http.request.header.authorization": ["Token abc"],
        "user": {"apiKey": "short", "sk-proj-Zx8Kq2mN5vB7cW1eR4tY6u": [4111111111111111, 1.5, None, True]},
        "gen_ai.usage.input_tokens": 12,
        "data": "data:text/plain;name=AKIAIOSFODNN7EXAMPLE;base64,AAAA",
    }
    found = masker_of(DEFAULT, KEY).value(value, counts)

    assert found == {
        "http.request.header.authorization": ["[masked: header]"],
        "user": {"apiKey": "[masked: password]", "[masked: key]": ["[masked: card]", 1.5, None, True]},
        "gen_ai.usage.input_tokens": 12,
        "data": "data:text/plain;name=[masked: key];base64,AAAA",
    }
    assert counts == {"header": 1, "password": 1, "key": 2, "card": 1}


def test_a_value_without_a_secret_is_itself():
    value = {"a": [{"b": "c"}], "n": 3}

    assert masker_of(DEFAULT, KEY).value(value, Counter()) is value


def test_a_mark_with_a_hash_is_the_same_for_the_same_secret_and_differs_by_key():
    rules = {"kinds": {"email": True}, "tokens": ["email"]}
    text = masked("bob@example.com BOB@EXAMPLE.COM eve@example.com", rules)[0]
    one, again, other = text.replace("[masked: ", "").replace("]", "").replace("email ", "").split()

    assert one == again != other
    assert len(one) == 13
    assert masker_of(parse_policy(rules), b"other").text("bob@example.com", Counter()) != f"[masked: email {one}]"


def test_own_patterns_mask_in_linear_time_and_in_any_script():
    rules = {
        "patterns": [{"name": "customer number", "pattern": r"Kundennr\. \d+"}, {"name": "evil", "pattern": "(a+)+$"}]
    }
    text, counts = masked("ß Kundennr. 4711 und " + "a" * 20_000 + "!", rules)

    assert text.startswith("ß [masked: customer number] und aaa")
    assert counts == {"customer number": 1}


@pytest.mark.parametrize(
    ("rules", "field"),
    [
        ({"mode": "loud"}, "mode"),
        ({"kinds": {"nose": True}}, "kinds"),
        ({"kinds": {"card": 1}}, "kinds.card"),
        ({"patterns": [{"name": "x1", "pattern": "a"}]}, "patterns.0.name"),
        ({"patterns": [{"name": "card", "pattern": "a"}]}, "patterns.0.name"),
        ({"patterns": [{"name": "one", "pattern": "(?=a)"}]}, "patterns.0.pattern"),
        ({"patterns": [{"name": "one", "pattern": "a*"}]}, "patterns.0.pattern"),
        ({"patterns": [{"name": "one", "pattern": "a" * 513}]}, "patterns.0.pattern"),
        ({"patterns": [{"name": "one", "pattern": ["a"]}]}, "patterns.0.pattern"),
        ({"patterns": [{"name": "one", "pattern": "a"}] * 33}, "patterns"),
        ({"tokens": ["nose"]}, "tokens"),
        ({"features": [{"feature": "", "mode": "off"}]}, "features.0.feature"),
        ({"features": [{"feature": "a", "mode": "x"}]}, "features.0.mode"),
        ({"colour": 1}, "colour"),
        ([], "body"),
    ],
)  # fmt: skip
def test_rules_that_cannot_be_say_which_field(rules, field):
    with pytest.raises(PolicyRefused) as refused:
        parse_policy(rules)

    assert refused.value.faults[0].field == field


def test_rules_are_told_as_they_were_parsed():
    told = {
        "mode": "no content", "kinds": {"email": True, "card": False}, "tokens": ["email"],
        "patterns": [{"name": "one", "pattern": "a+", "ignore_case": True}],
        "features": [{"feature": "checkout", "mode": "off"}],
    }  # fmt: skip
    policy = parse_policy(told)

    assert parse_policy(policy.as_dict()) == policy
    assert policy.mode_of("checkout") is Mode.OFF
    assert policy.mode_of(None) is policy.mode_of("other") is policy.strictest is Mode.NO_CONTENT


def test_a_body_is_suspected_whenever_one_of_its_texts_would_be_masked():
    for rules in (None, EVERYTHING):
        masker = masker_of(DEFAULT if rules is None else parse_policy(rules), KEY)
        texts = [s for k, s in SECRETS if k in masker.policy.kinds] + [around.format(s) for _, around, s in IN_PLACE]
        for text in texts:
            # A length byte that is a letter or a digit stands before a text, and after it the next field's tag.
            for body in (
                text.encode(),
                b"A" + text.encode() + b"\x12",
                b"4" + text.encode() + b"9",
                orjson.dumps(text),
            ):
                assert masker.suspects(b"\x0a\x05hello" + body, is_json=False), text


def test_plain_bodies_are_not_suspected():
    body = b'{"startTimeUnixNano":"1795219200000000000","n":0.123456789012345,"id":"7ce24ce964985044"}'

    assert not masker_of(DEFAULT, KEY).suspects(body, is_json=True)


def test_every_kind_has_a_detector_and_check_digits_are_checked():
    assert set(DETECTORS) == set(DEFAULT.kinds) | {"email", "phone"}
    assert is_card("4000056655665556")
    assert not is_card("4000056655665557")
    assert is_iban("FR1420041010050500013M02606")
    assert not is_iban("FR1420041010050500013M02607")
    assert mask_default("AKIAIOSFODNN7EXAMPLE") == "[masked: key]"
