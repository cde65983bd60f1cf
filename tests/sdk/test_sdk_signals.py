"""What end users did goes out in the background, and never in the way."""

from __future__ import annotations

import json
import threading
import time
from datetime import UTC, datetime

import pytest

import telltale_sdk as telltale
from telltale_sdk import _signals


def test_a_signal_is_about_the_trace_we_are_in(sdk):
    send = sdk()

    with telltale.observe_span("turn"):
        trace_id = telltale.current_trace_id()
        assert telltale.signal("thumbs_up") is True

    [signal] = send().signals
    assert (signal["name"], signal["value"], signal["trace_id"]) == ("thumbs_up", True, trace_id)
    assert signal["source"] == "end_user"
    assert len(signal["client_id"]) == 32
    assert datetime.fromisoformat(signal["happened_at"]).tzinfo is not None


def test_all_that_a_signal_can_tell(sdk):
    send = sdk()

    telltale.signal(
        "rating", 4, trace_id="ab" * 16, span_id="cd" * 8, session="s1", request_id="r1", comment="fine", user="u1",
        source="reviewer", at=datetime(2026, 11, 19, 10, 41, tzinfo=UTC), client_id="c1", metadata={"page": "chat"},
    )  # fmt: skip

    [signal] = send().signals
    assert signal == {
        "name": "rating", "value": 4, "trace_id": "ab" * 16, "span_id": "cd" * 8, "session_id": "s1",
        "request_id": "r1", "comment": "fine", "user_id": "u1", "source": "reviewer",
        "happened_at": "2026-11-19T10:41:00+00:00", "client_id": "c1", "metadata": {"page": "chat"},
    }  # fmt: skip
    [(path, headers)] = send().requests
    assert (path, headers["Authorization"]) == ("/api/v1/signals", "Bearer tt_sk_test")


@pytest.mark.parametrize("value", [True, 0, 4.5, "too long"])
def test_values_keep_their_type(sdk, value):
    send = sdk()

    telltale.signal("rating", value, session="s1")

    [signal] = send().signals
    assert signal["value"] == value
    assert type(signal["value"]) is type(value)


def test_a_signal_about_nothing_is_told(sdk, caplog):
    send = sdk()

    assert telltale.signal("thumbs_up") is False
    assert telltale.signal("rating", float("nan"), session="s1") is False
    assert telltale.signal("rating", None, session="s1") is False

    assert send().signals == []
    assert "about no trace" in caplog.text
    assert caplog.text.count("no number of at most 1e15, truth or text") == 1


def test_a_server_without_signals_is_told_once_and_counted(sdk, receiver, caplog):
    send = sdk()
    receiver.always = (404, {})

    for _ in range(3):
        assert telltale.signal("thumbs_up", session="s1") is True
        send()

    stats = telltale.stats()
    assert (stats.signals_given, stats.signals_dropped, stats.signals_queued) == (3, 3, 0)
    assert caplog.text.count("takes no signals yet") == 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_busy_server_is_asked_again(sdk, receiver, status):
    send = sdk()
    receiver.answers = [(status, {"Retry-After": "0"})]

    telltale.signal("thumbs_up", session="s1")

    assert len(send().signals) == 1
    assert telltale.stats().signals_sent == 1


def test_a_redirect_is_not_followed_with_the_key(sdk, receiver, serve_at):
    elsewhere = serve_at(0)
    send = sdk()
    receiver.always = (307, {"Location": elsewhere.url + "/api/v1/signals"})

    telltale.signal("thumbs_up", session="s1")
    send()

    assert elsewhere.requests == []
    assert telltale.stats().signals_dropped == 1


def test_too_many_signals_are_dropped_and_nobody_waits(sdk, receiver, monkeypatch):
    monkeypatch.setattr(_signals, "QUEUE_SIGNALS", 50)
    send = sdk()
    receiver.hold = threading.Event()
    began = time.monotonic()

    taken = sum(telltale.signal("thumbs_up", session=f"s{n}") is True for n in range(500))

    assert time.monotonic() - began < 2
    stats = telltale.stats()
    assert stats.signals_dropped >= 400
    assert stats.signals_given == stats.signals_queued + stats.signals_sent + stats.signals_dropped == taken
    receiver.hold.set()
    send()
    assert len(receiver.signals) == telltale.stats().signals_sent == 500 - stats.signals_dropped


def test_signals_from_many_threads_arrive_once(sdk):
    send = sdk()
    threads = [
        threading.Thread(target=lambda: [telltale.signal("copy", session="s") for _ in range(50)]) for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    ids = [signal["client_id"] for signal in send().signals]
    assert len(ids) == len(set(ids)) == 400


def test_shutdown_sends_what_waits(sdk, receiver):
    sdk()

    telltale.signal("thumbs_up", session="s1")
    telltale.shutdown(5)

    assert len(receiver.signals) == 1
    assert telltale.signal("thumbs_up", session="s1") is False


def test_a_signal_that_is_refused_among_others_is_told_and_counted(sdk, receiver, caplog):
    send = sdk()
    fault = {"field": "name", "message": "is too long", "limit": "100 characters"}
    items = [{"status": "rejected", "errors": [fault]}]
    receiver.body = json.dumps({"accepted": 0, "rejected": 1, "items": items}).encode()

    telltale.signal("a" * 101, session="s1")
    send()

    stats = telltale.stats()
    assert (stats.signals_given, stats.signals_sent, stats.signals_rejected, stats.signals_dropped) == (1, 0, 1, 0)
    assert "Telltale refused a signal: name is too long (100 characters)" in caplog.text
