"""Scores go out in the background, in batches, each judged by itself, and never in the way."""

from __future__ import annotations

import json
import threading
from datetime import UTC, datetime

import pytest

import telltale_sdk as telltale
from telltale_sdk import _signals


def sent(receiver):
    """The scores that arrived."""
    return [score for batch in receiver.scores for score in batch]


def test_a_score_is_about_the_trace_we_are_in(sdk, receiver):
    send = sdk()

    with telltale.observe_span("turn"):
        trace_id, span_id = telltale.current_trace_id(), telltale.current_span_id()
        assert telltale.score("groundedness", 0.92) is True
        assert telltale.score("polite", True, span_id=span_id) is True
    send()

    whole, part = sent(receiver)
    assert (whole["name"], whole["value"], whole["trace_id"]) == ("groundedness", 0.92, trace_id)
    assert (part["value"], part["trace_id"], part["span_id"]) == (True, trace_id, span_id)
    assert len(whole["id"]) == 32
    assert datetime.fromisoformat(whole["made_at"]).tzinfo is not None
    [path] = {path for path, _ in receiver.requests if path != "/v1/traces"}
    assert path == "/api/v1/scores"


def test_all_that_a_score_can_tell(sdk, receiver):
    send = sdk()

    telltale.score(
        "tone", "rude", trace_id="ab" * 16, span_id="cd" * 8, data_type="label", comment="shouts", evidence=["NO!"],
        author="nightly", id="run-7", metadata={"model": "m"}, at=datetime(2026, 11, 19, 10, 41, tzinfo=UTC),
    )  # fmt: skip
    telltale.score("notes", "long " * 100, session="s1")
    send()

    first, second = sent(receiver)
    assert first == {
        "id": "run-7", "name": "tone", "value": "rude", "data_type": "label", "trace_id": "ab" * 16,
        "span_id": "cd" * 8, "comment": "shouts", "evidence": ["NO!"], "author": "nightly",
        "metadata": {"model": "m"}, "made_at": "2026-11-19T10:41:00+00:00",
    }  # fmt: skip
    assert (second["data_type"], second["session_id"]) == ("text", "s1")


def test_texts_are_masked_and_left_out_where_nothing_is_captured(sdk, receiver):
    send = sdk(mask=lambda text: text.replace("ann@example.com", "[e-mail]"))
    mail = "ann@example.com"
    telltale.score("tone", f"rude to {mail}", session="s", comment=mail, evidence=mail)
    send()
    [masked] = sent(receiver)
    assert (masked["value"], masked["comment"], masked["evidence"]) == ("rude to [e-mail]", "[e-mail]", ["[e-mail]"])

    receiver.scores.clear()
    send = sdk(capture_content=False)
    telltale.score("tone", "rude", session="s", comment="why", evidence=["quote"])
    assert telltale.score("notes", "words", session="s", data_type="text") is False
    send()
    [bare] = sent(receiver)
    assert "comment" not in bare
    assert "evidence" not in bare


def test_what_is_no_score_is_told_and_never_raised(sdk, receiver, caplog):
    send = sdk()

    assert telltale.score("rating", 4) is False
    for value in (float("nan"), float("inf"), 1e300, None, object(), [1]):
        assert telltale.score("rating", value, session="s1") is False
    assert telltale.score("rating", 1, session="s1", metadata=7) is False
    assert telltale.score("rating", 1, session="s1", evidence=3) is False
    send()

    assert sent(receiver) == []
    assert "about no trace or session" in caplog.text
    assert caplog.text.count("no value that can be sent") == 1
    telltale.shutdown(1)
    assert telltale.score("rating", 1, session="s1") is False


def test_refused_scores_are_counted_apart_and_told_once(sdk, receiver, caplog):
    fault = {"field": "name", "message": "has characters that no name has", "limit": "letters"}
    items = [{"status": "rejected", "errors": [fault]}, {"status": "created"}]
    receiver.body = json.dumps({"accepted": 1, "rejected": 1, "items": items}).encode()
    send = sdk()
    receiver.hold = threading.Event()

    telltale.score("first", 1, session="s")
    telltale.score("a/b", 1, session="s")
    telltale.score("fine", 1, session="s")
    receiver.hold.set()
    send()

    stats = telltale.stats()
    assert stats.scores_given == 3
    assert stats.scores_given == stats.scores_sent + stats.scores_rejected
    assert stats.scores_rejected >= 1
    assert caplog.text.count("name has characters that no name has") == 1


@pytest.mark.parametrize(("status", "sent_of", "rejected", "dropped"), [(400, 0, 1, 0), (403, 0, 0, 1), (404, 0, 0, 1)])
def test_a_refusal_is_told_and_counted(sdk, receiver, status, sent_of, rejected, dropped):
    send = sdk()
    receiver.always = (status, {})

    telltale.score("rating", 1, session="s")
    send()

    stats = telltale.stats()
    assert (stats.scores_sent, stats.scores_rejected, stats.scores_dropped) == (sent_of, rejected, dropped)


def test_a_busy_server_is_asked_again_with_the_same_ids(sdk, receiver):
    send = sdk()
    receiver.answers = [(503, {"Retry-After": "0"})]

    telltale.score("rating", 1, session="s1")
    send()

    [score] = sent(receiver)
    assert score["value"] == 1
    assert telltale.stats().scores_sent == 1


def test_too_many_scores_are_dropped_and_nobody_waits(sdk, receiver, monkeypatch):
    monkeypatch.setattr(_signals, "QUEUE_SCORES", 50)
    send = sdk()
    receiver.hold = threading.Event()

    taken = sum(telltale.score("rating", n, session="s") for n in range(500))

    assert 50 <= taken <= 200
    receiver.hold.set()
    send()
    stats = telltale.stats()
    assert (stats.scores_given, stats.scores_sent, stats.scores_dropped) == (500, taken, 500 - taken)
    batches = [len(batch) for batch in receiver.scores]
    assert max(batches) <= 100
    assert len(batches) <= 3


def test_shutdown_sends_what_waits(sdk, receiver):
    sdk()

    telltale.score("rating", 5, session="s1")
    telltale.shutdown(5)

    assert len(sent(receiver)) == 1
