"""Messages in words, and in the form of every receiver: what they say, what they never let through."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from alerts.notices import mail, opsgenie, pagerduty, slack, teams, webhook
from alerts.notices.messages import from_json, to_json
from alerts.notices.told import Changed, Moved, Told, Trouble
from alerts.notices.transitions import Kind, make_id
from alerts.notices.wording import write

NOON = datetime(2026, 11, 19, 12, 0, tzinfo=UTC)
MOVED = Moved(
    "Returns: judge score", "score", "fell below its lower limit", "down", 3.76, 4.31, 3.61, 3.91, 212,
    NOON - timedelta(hours=2), NOON - timedelta(hours=1), 0.5, "monitors/7/",
)  # fmt: skip
TROUBLE = Trouble(
    42, 42, "Returns answers make unsupported claims", 1, "open", "triage", 1, "feature returns", ("returns",),
    NOON - timedelta(hours=2), NOON - timedelta(minutes=50), None, "", "",
    (MOVED, replace(MOVED, name="Thumbs down")), 2,
    Changed(NOON - timedelta(hours=2, minutes=8), "Prompt returns: 16 → 17"),
)  # fmt: skip
TOLD = Told(
    make_id(1, "inc:42:r1:opened"), Kind.OPENED, "inc:42:r1:opened", NOON, "shop", "Shop", "UTC", "https://t.example",
    1, {}, TROUBLE,
)  # fmt: skip
HOSTILE = "<!channel> [x](http://evil) <b>&\r\nBcc: mallory@example.com\x1b[31m\u202e*bold*"


def of(kind, **facts):
    return write(replace(TOLD, kind=kind, facts=facts))


def test_a_message_says_what_moved_by_how_much_since_when_what_changed_before_and_where_to_go():
    message = of(Kind.OPENED)

    assert message.headline == "P1 INC-42 opened: Returns answers make unsupported claims"
    assert message.summary == (
        "Returns: judge score fell below its lower limit: 4.31 → 3.76 (95% CI 3.61–3.91), n = 212."
    )
    told = {line.label: line.value for line in message.lines}
    assert told["Where"] == "feature returns"
    assert told["Began"] == "19 Nov 2026, 10:00:00 UTC"
    assert told["Last change"] == "Prompt returns: 16 → 17, 19 Nov 2026, 09:52:00 UTC, 8 min before it began"
    assert told["This monitor alarms"] == "about once in 14 days by chance alone"
    assert told["And"] == "2 more alarms of the same trouble"
    assert told["Next step"] == "Triage, nobody owns it yet"
    assert message.url == "https://t.example/p/shop/incidents/42/"
    assert "caused" not in message.text


def test_what_is_unknown_is_left_out_and_never_zero():
    bare = Moved("Errors", "errors", "sent no data", "down")
    message = write(replace(TOLD, trouble=replace(TROUBLE, moved=(bare,), change=None, others=0)))

    assert message.summary == "Errors sent no data."
    told = {line.label: line.value for line in message.lines}
    assert told["Last change"] == "none in the log in the day before it began"
    assert "This monitor alarms" not in told
    assert "And" not in told


@pytest.mark.parametrize(
    ("kind", "facts", "said"),
    [
        (Kind.ACKNOWLEDGED, {"by": "Mara"}, "Mara is on it."),
        (Kind.OVERDUE, {"step": "scope", "due_at": "2026-11-19T11:30:00+00:00"}, "Scope should have been done by"),
        (Kind.RESOLVED, {"by": "Mara", "verdict": "false"}, "Mara closed it: a false alarm."),
        (Kind.REPEAT, {}, "Nobody has acknowledged it for 50 min."),
        (Kind.RECOVERED, {"words": "Back since 10:05: 8 windows."}, "Back since 10:05: 8 windows."),
        (Kind.OVERDUE, {"step": 7, "due_at": "nonsense"}, "A step is not done in its time."),
    ],
)
def test_each_transition_has_its_words(kind, facts, said):
    assert said in of(kind, **facts).summary


def test_what_belongs_to_no_incident_has_words_and_a_thread_of_its_own():
    stands = write(replace(TOLD, kind=Kind.ENGINE_STANDS, key="engine:stands:1", trouble=None, severity=1))
    runs = write(replace(TOLD, kind=Kind.ENGINE_RUNS, key="engine:runs:1", trouble=None, severity=1))

    assert stands.headline == "P1 Shop: Monitors are not evaluated"
    assert stands.thread == runs.thread
    assert runs.stage == "over"


def test_a_frozen_message_comes_back_as_it_was():
    message = of(Kind.WORSE)

    assert from_json(json.loads(json.dumps(to_json(message)))) == message


def test_the_webhook_is_signed_as_standard_webhooks_has_it_by_both_keys_of_a_rotation():
    message, old, new = of(Kind.OPENED), webhook.make_key(), webhook.make_key()
    keys = [{"key": new, "until": None}, {"key": old, "until": (NOON + timedelta(hours=1)).isoformat()}]
    secret = {"url": "https://hooks.example/a", "keys": keys}

    sent = webhook.request(message, {}, secret, NOON)

    told = f"{message.id}.{int(NOON.timestamp())}.".encode() + sent.body
    for key, signature in zip((new, old), sent.headers["webhook-signature"].split(" "), strict=True):
        raw = base64.b64decode(key.removeprefix("whsec_"))
        expected = base64.b64encode(hmac.new(raw, told, hashlib.sha256).digest()).decode()
        assert signature == f"v1,{expected}"
    assert sent.headers["webhook-id"] == str(message.id)
    later = webhook.request(message, {}, secret, NOON + timedelta(hours=2))
    assert later.body == sent.body
    assert len(later.headers["webhook-signature"].split(" ")) == 1


def test_the_webhook_holds_what_a_program_needs():
    body = json.loads(webhook.request(of(Kind.OPENED), {}, {"url": "https://h.example/", "keys": []}, NOON).body)

    assert body["type"] == "incident.opened"
    assert body["id"] == str(TOLD.id)
    assert body["data"]["incident"]["ref"] == "INC-42"
    assert body["data"]["moved"][0]["low"] == 3.61
    assert body["data"]["last_change"]["title"] == "Prompt returns: 16 → 17"
    assert body["data"]["alarms"] == 4


def test_the_signature_equals_the_vector_of_the_standard():
    """The example that the reference libraries of Standard Webhooks are tested by."""
    told = webhook.sign(
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw", "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}'
    )

    assert told == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


@pytest.mark.parametrize(
    ("kind", "action"),
    [
        (Kind.OPENED, "trigger"), (Kind.WORSE, "trigger"), (Kind.REOPENED, "trigger"),
        (Kind.ACKNOWLEDGED, "acknowledge"), (Kind.RESOLVED, "resolve"), (Kind.RECOVERED, None), (Kind.OVERDUE, None),
    ],
)  # fmt: skip
def test_pagerduty_has_one_alert_for_an_incident_and_is_told_of_its_end(kind, action):
    config, secret = {"url": "https://events.pagerduty.com/v2/enqueue"}, {"key": "k" * 32}
    sent = pagerduty.request(of(kind), config, secret, NOON)

    if action is None:
        assert sent is None
        return
    body = json.loads(sent.body)
    assert (body["event_action"], body["dedup_key"], body["routing_key"]) == (action, of(Kind.OPENED).thread, "k" * 32)
    if action == "trigger":
        assert set(body["payload"]) >= {"summary", "source", "severity"}
        assert body["payload"]["severity"] == "error"
        assert body["payload"]["source"] == "t.example"
        assert body["links"] == [{"href": "https://t.example/p/shop/incidents/42/", "text": "Open INC-42"}]


def test_opsgenie_creates_and_closes_by_alias():
    config, secret = {"url": "https://api.eu.opsgenie.com"}, {"key": "abc"}
    opened = opsgenie.request(of(Kind.OPENED), config, secret, NOON)
    closed = opsgenie.request(of(Kind.RESOLVED), config, secret, NOON)

    alert = json.loads(opened.body)
    assert opened.url == "https://api.eu.opsgenie.com/v2/alerts"
    assert opened.headers["Authorization"] == "GenieKey abc"
    assert len(alert["message"]) <= 130
    assert alert["priority"] == "P2"
    assert closed.url == f"https://api.eu.opsgenie.com/v2/alerts/{alert['alias']}/close?identifierType=alias"


def test_hostile_text_is_no_mention_link_markup_or_header_anywhere():
    hostile = replace(TROUBLE, title=HOSTILE, scope=HOSTILE, moved=(replace(MOVED, name=HOSTILE),), assignee=HOSTILE)
    message = write(replace(TOLD, trouble=hostile, project_name=HOSTILE))

    for text in (message.headline, message.summary, *(line.value for line in message.lines)):
        assert not any(c < " " or c in "\x7f\u202e" for c in text)
    told = slack.payload(message)
    assert "<!channel>" not in told["text"]
    marked = [b["text"]["text"] for b in told["blocks"] if b.get("text", {}).get("type") == "mrkdwn"]
    assert marked == ["<https://t.example/p/shop/incidents/42/|Open INC-42>"]
    card = json.dumps(teams.payload(message)["attachments"][0]["content"]["body"])
    assert "[x](" not in card
    sent = mail.write(message, 9, "t.example")
    assert "<b>" not in sent.html
    assert all("\n" not in value and "\r" not in value for value in (sent.subject, *sent.headers.values()))
    assert sent.headers["Message-ID"] == f"<{message.id}.9@t.example>"


def test_the_longest_texts_stay_within_what_receivers_take():
    long = "wörd " * 2_000
    moved = tuple(replace(MOVED, name=long) for _ in range(30))
    message = write(replace(TOLD, trouble=replace(TROUBLE, title=long, scope=long, moved=moved)))

    told = slack.payload(message)
    assert len(told["blocks"][0]["text"]["text"]) <= 150
    assert all(len(block["text"]["text"]) <= 3_000 for block in told["blocks"] if "text" in block)
    assert len(json.dumps(teams.payload(message)).encode()) <= 28_000
    event = pagerduty.request(message, {"url": "https://x.example/"}, {"key": "k"}, NOON)
    assert len(json.loads(event.body)["payload"]["summary"]) <= 1_024
    alert = json.loads(opsgenie.request(message, {"url": "https://x.example"}, {"key": "k"}, NOON).body)
    assert len(alert["message"]) <= 130
    assert sum(len(name) + len(value) for name, value in alert["details"].items()) <= 8_000


def test_ids_follow_from_project_and_key():
    assert make_id(1, "a") == make_id(1, "a") != make_id(2, "a")
    assert isinstance(make_id(1, "a"), UUID)
