"""What a session's page says was said: whole texts, from wherever the sender put them, and of each turn its own."""

from __future__ import annotations

import orjson
import pytest

from traces.pages.content import Block, Text, Turn
from traces.pages.session_turns import message_html
from traces.read import turns as turns_module
from traces.read.asking import asking
from traces.read.turns import list_turns, read_words

pytestmark = pytest.mark.django_db
LONG = "word " * 500


def hex_id(n):
    return f"{n:032x}"


def words(shop, session="s"):
    """(question, answers, is cut) of each turn of the session, in order."""
    with asking() as cursor:
        page = list_turns(cursor, shop.project.pk, session)
        found = read_words(cursor, shop.project.pk, page.turns)
    return [
        (
            held.asked.text() if held.asked else None,
            [message.text() for message in held.answered],
            held.is_cut,
        )
        for held in (found[turn.trace.trace_id] for turn in page.turns)
    ]


def test_of_a_history_sent_along_only_the_last_question_is_the_turns_own(shop, otlp):
    history = [
        {"role": "system", "parts": [{"type": "text", "content": "Be kind."}]},
        {"role": "user", "parts": [{"type": "text", "content": "first"}]},
        {"role": "assistant", "parts": [{"type": "text", "content": "one"}]},
        {"role": "user", "parts": [{"type": "text", "content": LONG}]},
    ]
    attributes = {"session.id": "s", "gen_ai.input.messages": orjson.dumps(history).decode()}
    otlp.send(otlp.generation(hex_id(1), "a" * 16, answered=LONG + "!", attributes=attributes))

    assert words(shop) == [(LONG, [LONG + "!"], False)]


def test_a_roots_own_words_come_before_those_of_the_calls_below(shop, otlp):
    root = otlp.span(
        hex_id(1), "a" * 16, name="turn", ms=500,
        attributes={"session.id": "s", "telltale.input": "asked by a person", "telltale.output": "told to a person"},
    )  # fmt: skip
    otlp.send(root, otlp.generation(hex_id(1), "b" * 16, "a" * 16, said="rewritten", answered="draft"))

    assert words(shop) == [("asked by a person", ["told to a person"], False)]


def test_without_words_of_the_root_the_first_call_was_asked_and_the_last_answered(shop, otlp):
    otlp.send(
        otlp.span(hex_id(1), "a" * 16, name="turn", ms=900, attributes={"session.id": "s"}),
        otlp.generation(hex_id(1), "b" * 16, "a" * 16, at_ms=10, said="the question", answered="a thought"),
        otlp.generation(hex_id(1), "c" * 16, "a" * 16, at_ms=400, said="the question", answered="the answer"),
    )

    assert words(shop) == [("the question", ["the answer"], False)]


def test_parts_of_a_turn_that_came_in_two_requests_read_as_one(shop, otlp, monkeypatch):
    opened = []
    real = turns_module.unpack
    monkeypatch.setattr(turns_module, "unpack", lambda data, most: opened.append(most) or real(data, most))
    otlp.send(otlp.generation(hex_id(1), "b" * 16, "a" * 16, at_ms=10, said=LONG, answered="a thought"))
    otlp.send(
        otlp.generation(
            hex_id(1), "c" * 16, at_ms=400, said="again", answered=LONG, attributes={"session.id": "s"}
        )
    )  # fmt: skip

    ((question, answers, _),) = words(shop)

    assert answers == [LONG]
    assert question in {"again", LONG}
    assert len(opened) == 1


def test_what_only_log_events_tell_is_read_too(shop, otlp):
    trace, span = hex_id(1), "a" * 16
    attributes = {
        "gen_ai.operation.name": "chat", "gen_ai.system": "openai", "gen_ai.request.model": "gpt-4o-mini",
        "session.id": "s",
    }  # fmt: skip
    otlp.send(
        otlp.span(trace, span, name="chat", attributes=attributes),
        scope="opentelemetry.instrumentation.openai_v2",
    )

    def event(name, body, at):
        return {
            "timeUnixNano": str(otlp.start_ns + at), "traceId": trace, "spanId": span, "eventName": name, "body": body,
            "attributes": [{"key": "gen_ai.system", "value": {"stringValue": "openai"}}],
        }  # fmt: skip

    def told(**values):
        return {"kvlistValue": {"values": [{"key": key, "value": value} for key, value in values.items()]}}

    message = told(role={"stringValue": "assistant"}, content={"stringValue": LONG})
    records = [
        event("gen_ai.user.message", told(content={"stringValue": "by log"}), 1),
        event(
            "gen_ai.choice", told(index={"intValue": "0"}, message=message, finish_reason={"stringValue": "stop"}), 2
        ),
    ]
    logs = {"resourceLogs": [{"scopeLogs": [{"scope": {"name": "x"}, "logRecords": records}]}]}
    answer = shop.nobody.post("/v1/logs", logs, "application/json", headers=shop.key("ingest"))
    assert answer.status_code == 200, answer.content

    assert words(shop) == [("by log", [LONG], False)]


def test_a_turn_without_words_has_none(shop, otlp):
    otlp.send(otlp.span(hex_id(1), "a" * 16, name="ping", attributes={"session.id": "s"}))

    assert words(shop) == [(None, [], False)]
    html = shop.bob.get("/p/shop/sessions/s/").content.decode()
    assert "ping: no text captured" in html
    assert "Session s" in html


def test_a_tool_call_instead_of_an_answer_is_shown(shop, otlp):
    output = [{"role": "assistant", "parts": [{"type": "tool_call", "name": "lookup", "arguments": {"order": 7}}]}]
    attributes = {"session.id": "s", "gen_ai.output.messages": orjson.dumps(output).decode()}
    otlp.send(otlp.generation(hex_id(1), "a" * 16, attributes=attributes))

    html = shop.bob.get("/p/shop/sessions/s/").content.decode()

    assert "Calls <b>lookup</b>" in html


def test_bodies_that_are_gone_leave_the_previews(shop, otlp):
    from django.db import connection

    otlp.send(otlp.generation(hex_id(1), "a" * 16, said="short", answered=LONG, attributes={"session.id": "s"}))
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM traces_payload")

    ((question, (answer,), is_cut),) = words(shop)

    assert (question, is_cut) == ("short", True)
    assert answer.endswith("…")
    assert len(answer) == 200


def test_texts_of_strangers_stay_text(shop, otlp):
    attack = "<script>alert(1)</script>\u202e{{7*7}}"
    otlp.send(
        otlp.generation(
            hex_id(1), "a" * 16, said=attack, answered=attack, attributes={"session.id": attack, "user.id": attack}
        )
    )
    from traces.pages.addresses import write_id

    html = shop.bob.get(f"/p/shop/sessions/{write_id(attack)}/").content.decode()

    assert "<script>alert" not in html
    assert "&lt;script&gt;alert(1)" in html
    assert "\u202e" not in html


@pytest.mark.parametrize(
    "body", [Text("plain"), Text("a <b> & \u202e c"), Text("x" * 4000), Text("start", 90_000), Text("two\nlines")]
)
def test_plain_messages_are_written_as_the_template_writes_them(body):
    from django.template.loader import render_to_string

    turn = Turn("User", "user", "", (Block("text", body=body), Block("text", body=Text("more"))))

    assert message_html(turn).strip() == render_to_string("traces/_turn.html", {"turn": turn}).strip()
