"""Values as text: within bounds, masked before they leave, without running what may wait."""

from __future__ import annotations

import dataclasses
import decimal
import enum
import json
import uuid
from collections import namedtuple
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

import telltale_sdk as telltale
from telltale_sdk._capture import MASK_FAILED, VALUE_BYTES, apply_mask, attribute_value, cut, masked_text, to_text


@dataclasses.dataclass
class Order:
    id: str
    lines: list
    token: str = dataclasses.field(default="hidden", repr=False)


class Colour(enum.Enum):
    RED = "red"


class Model:
    model_fields = {"name": None, "size": None}

    def __init__(self):
        self.name, self.size = "boots", 44


class Query:
    """A database query: its repr would send it."""

    def __repr__(self):
        raise AssertionError("the query was sent")

    def __iter__(self):
        raise AssertionError("the query was sent")

    def __len__(self):
        raise AssertionError("the query was sent")


Point = namedtuple("Point", "x y")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ({"a": (1, 2), "b": {3}}, {"a": [1, 2], "b": [3]}),
        (Order("o1", [1]), {"id": "o1", "lines": [1]}),
        (Model(), {"name": "boots", "size": 44}),
        ([Colour.RED, Point(1, 2)], ["red", {"x": 1, "y": 2}]),
        (b"abc", "<3 bytes>"),
        ([bytearray(4), memoryview(b"12345678")], ["<4 bytes>", "<8 bytes>"]),
        (decimal.Decimal("1.10"), "1.10"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (datetime(2026, 11, 19, tzinfo=UTC), "2026-11-19 00:00:00+00:00"),
        ({1: float("nan"), None: float("inf")}, {"1": "nan", "None": "inf"}),
        (ValueError("no"), "ValueError: no"),
        ([int, len], ["<builtins.int>", "<builtins.len>"]),
        (2**70, "1.180592e+21"),
        ("text stays", "text stays"),
    ],
)
def test_values_are_told_as_json(value, told):
    text = to_text(value, None)

    assert (text if isinstance(value, str) else json.loads(text)) == told


def test_unknown_objects_are_named_and_not_run():
    assert json.loads(to_text([Query(), iter([1])], None)) == [
        f"<{__name__}.Query object>", "<builtins.list_iterator object>",
    ]  # fmt: skip


def test_a_generator_as_an_argument_is_not_consumed():
    numbers = (n for n in range(3))

    to_text({"numbers": numbers}, None)

    assert list(numbers) == [0, 1, 2]


def test_values_that_contain_themselves_end():
    loop = [1]
    loop.append(loop)
    knot = {"a": loop}
    knot["self"] = knot

    assert json.loads(to_text(knot, None)) == {"a": [1, "… [contains itself]"], "self": "… [contains itself]"}


def test_deep_values_end():
    deep = value = []
    for _ in range(5000):
        value.append([])
        value = value[0]

    assert "[nested deeper]" in to_text(deep, None)


@pytest.mark.parametrize(
    "value",
    [
        "x" * 10**6,
        "ü" * 10**6,
        "\x00" * 10**6,
        "\ud800" * 10**5,
        ["x" * 1000] * 10_000,
        list(range(10**6)),
        {str(n): "\x01" * 50 for n in range(10_000)},
        [[["y" * 100] * 50] * 50] * 50,
        {"a": b"x" * 10**7},
    ],
)
def test_no_value_is_larger_than_its_limit(value):
    text = to_text(value, None)

    assert len(text.encode()) <= VALUE_BYTES
    if not isinstance(value, str):
        json.loads(text)


def test_what_was_cut_is_told():
    assert cut("x" * 100_000, 1000).endswith(f"… [{100_000 - 960:,} more characters]")


def test_objects_that_fail_cost_themselves_alone():
    class Bad(dict):
        def items(self):
            raise RuntimeError

    class Worse:
        model_fields = {"x": None}

        @property
        def x(self):
            raise RuntimeError

    assert json.loads(to_text([1, Bad(a=1), Worse(), 2], None)) == [
        1, f"<{Bad.__module__}.{Bad.__qualname__}: unreadable, RuntimeError>",
        f"<{Worse.__module__}.{Worse.__qualname__}: unreadable, RuntimeError>", 2,
    ]  # fmt: skip


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text() | st.integers(), inner) | st.tuples(inner, inner),
    max_leaves=30,
)


@given(json_values)
def test_whatever_is_given_becomes_valid_text(value):
    text = to_text(value, None)

    text.encode("utf-8")
    assert len(text.encode()) <= VALUE_BYTES
    if not isinstance(value, str):
        json.loads(text)


secret_values = st.recursive(
    st.none() | st.integers() | st.text().map(lambda text: f"{text}hush{text}"),
    lambda inner: st.lists(inner) | st.dictionaries(st.text().map(lambda text: f"hush{text}"), inner),
    max_leaves=30,
)


@given(secret_values)
def test_a_mask_sees_every_text(value):
    assert "hush" not in to_text(value, lambda text: text.replace("hush", "…"))


@pytest.mark.parametrize("value", [True, 3, 2**70, 1.5, "x", ["a", "b"], ["a", 1], {"a": 1}, None, object(), "\ud800"])
def test_attributes_are_what_opentelemetry_can_carry(value):
    made = attribute_value(value, None)

    assert isinstance(made, str | bool | int | float | list)
    assert not isinstance(made, int) or abs(made) < 2**63
    str(made).encode()


def mask(text):
    return text.replace("alice@example.com", "[e-mail]").replace("4711471147114711", "[card]")


SECRETS = ("alice@example.com", "4711471147114711")


def test_masked_is_what_leaves_everywhere(sdk):
    send = sdk(mask=mask)
    mail, card = SECRETS

    @telltale.observe(kind="generation")
    def answer(question, numbers):
        for at in range(0, len(mail), 3):
            yield mail[at : at + 3]

    @telltale.observe(kind="tool")
    def lookup():
        span = telltale.current_span()
        span.set_tool("lookup", arguments={"mail": mail}, result=[mail])
        span.set_retrieval(mail, [{"content": mail}])
        span.set_attribute("mail", mail)
        raise ValueError(f"unknown: {mail}")

    @telltale.observe
    def turn(told):
        list(answer(f"I am {mail}", {"card": int(card), "text": card}))
        with pytest.raises(ValueError, match="alice"):
            lookup()
        telltale.signal("correction", mail, comment=f"not {mail}", metadata={"mail": mail}, user=mail)

    people = telltale.user(mail), telltale.session(f"chat of {mail}"), telltale.prompt("p", "1", {"name": mail})
    with people[0], people[1], people[2], telltale.tags(mail), telltale.metadata(mail=mail):
        turn({mail: [mail]})

    told = "".join(str(vars(span)) for span in send().spans) + str(send().signals)
    for secret in SECRETS:
        assert secret not in told
    assert "I am [e-mail]" in told
    assert send().named("answer").attributes["telltale.output"] == "[e-mail]"


@pytest.mark.parametrize("broken", [lambda text: 1 / 0, lambda text: None, lambda: "", str.encode])
def test_a_mask_that_fails_lets_nothing_out(sdk, broken, caplog):
    send = sdk(mask=broken)

    with telltale.user("alice@example.com"), telltale.observe_span("turn", input={"mail": "alice@example.com"}) as span:
        span.set_output("alice@example.com")
        span.set_error(ValueError("alice@example.com"))

    [span] = send().spans
    assert "alice" not in str(vars(span))
    assert span.attributes["telltale.output"] == MASK_FAILED
    assert "user.id" not in span.attributes
    assert caplog.text.count("the mask") == 1
    assert "alice" not in caplog.text


def test_a_mask_sees_a_secret_that_the_limit_would_cut():
    secret = "alice@example.com"
    for at in (VALUE_BYTES - 8, VALUE_BYTES + 4096 - 8, VALUE_BYTES + 4096 - 16):
        masked = masked_text("x" * at + secret + "y" * 10**5, mask)

        assert "alice" not in masked
        assert len(masked.encode()) <= VALUE_BYTES


def test_without_a_mask_text_is_itself():
    assert apply_mask(None, "x") == "x"


def test_spans_of_other_instrumentations_are_masked_too(sdk, receiver):
    from opentelemetry.sdk.trace import TracerProvider

    provider = TracerProvider(shutdown_on_exit=False)
    send = sdk(mask=mask, provider=provider)
    with telltale.observe_span("turn"), provider.get_tracer("other").start_as_current_span("POST") as span:
        span.set_attributes({"http.url": "/?m=alice@example.com", "all": ["alice@example.com"], "n": 1})
        span.add_event("sent", {"to": "alice@example.com"})

    told = send().named("POST")
    assert told.attributes == {"http.url": "/?m=[e-mail]", "all": ["[e-mail]"], "n": 1}
    assert told.events == [{"name": "sent", "to": "[e-mail]"}]
    assert told.parent_id == send().named("turn").span_id
    provider.shutdown()
