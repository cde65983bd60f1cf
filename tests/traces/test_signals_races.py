"""Signals and traces that are stored at the same moment always end bound; posts of the same ids lose nothing."""

from __future__ import annotations

import random
import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

import pytest
from django.db import connection, transaction
from django.test import Client

from telltale.lib.db import raw_cursor
from tests.traces.conftest import Otlp
from tests.traces.signal_door import due, forget_due, rows
from traces import behaving, signalling
from traces.read.session_rows import session_key
from traces.signalling import Sender, put_signals
from traces.write import signals as write
from traces.write import spans

TRACES = [f"{at:032x}" for at in range(1, 25)]


def at_once(*works):
    """What each of these gives, all begun at the same moment in threads of their own; what one raised is raised."""
    gate = threading.Barrier(len(works))

    def run(work):
        try:
            gate.wait(10)
            return work()
        finally:
            connection.close()

    with ThreadPoolExecutor(len(works)) as threads:
        return [done.result(60) for done in [threads.submit(run, work) for work in works]]


def elsewhere(work):
    """Run this to its end in a thread, so on a connection, of its own."""
    return at_once(work)[0]


def consume():
    while behaving.take_changes():
        pass


@pytest.fixture
def sent(committed_db, shop, otlp):
    """`sent(trace, session)` stores a trace through the public door."""
    signalling.forget()
    headers = shop.key("ingest")

    def send(trace, session=None, request=None):
        told = {"session.id": session, "telltale.metadata.request_id": request}
        span = otlp.span(trace, "a1" * 8, attributes={key: value for key, value in told.items() if value})
        body = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
        answer = Client().post("/v1/traces", body, "application/json", headers=headers)
        assert answer.status_code == 200, answer.content

    assert isinstance(otlp, Otlp)
    # The day's partition is made by the first span of it, which waits for everybody who reads them.
    send("ff" * 16)
    consume()
    forget_due()
    return send


def about(trace, session, request):
    return [
        {"name": "thumbs_up", "trace_id": trace},
        {"name": "conversion", "value": 5, "session_id": session},
        {"name": "copied", "request_id": request},
    ]


def bound(project):
    return rows(project.pk, "unit_key", "bound_at IS NOT NULL")


def test_a_trace_that_commits_while_a_signal_is_being_stored_is_found_after_it(shop, sent, monkeypatch):
    real = write.put

    def put(*arguments):
        done = real(*arguments)
        # The signal looked for its target and is not committed: trace and consumer come and go meanwhile.
        elsewhere(lambda: sent(TRACES[0], "s1", "r1"))
        elsewhere(consume)
        return done

    monkeypatch.setattr(write, "put", put)
    results = put_signals(shop.project.pk, about(TRACES[0], "s1", "r1"), Sender())

    assert [result.is_bound for result in results] == [True, True, True]
    assert bound(shop.project) == [(session_key("s1"), True)] * 3
    assert due(shop.project.pk) == {"s1"}


def test_a_signal_that_commits_while_its_trace_is_being_stored_is_bound_by_the_consumer(shop, sent, monkeypatch):
    real, results = spans.write_batch_row, []

    def write_batch_row(*arguments):
        told = about(TRACES[0], "s1", "r1")
        results.extend(elsewhere(lambda: put_signals(shop.project.pk, told, Sender())))
        return real(*arguments)

    monkeypatch.setattr(spans, "write_batch_row", write_batch_row)
    sent(TRACES[0], "s1", "r1")
    assert [result.is_bound for result in results] == [False, False, False]
    consume()

    assert bound(shop.project) == [(session_key("s1"), True)] * 3


def test_who_dies_between_storing_a_signal_and_looking_again_leaves_it_to_the_next_sweep(shop, sent, monkeypatch):
    real = write.put

    def put(*arguments):
        done = real(*arguments)
        elsewhere(lambda: sent(TRACES[0], "s1", "r1"))
        elsewhere(consume)
        return done

    def look(*arguments):
        raise SystemExit

    monkeypatch.setattr(write, "put", put)
    monkeypatch.setattr(write, "look", look)
    with pytest.raises(SystemExit):
        put_signals(shop.project.pk, about(TRACES[0], "s1", "r1"), Sender())
    assert [is_bound for _, is_bound in bound(shop.project)] == [False] * 3
    consume()
    signalling.bind_waiting()

    assert bound(shop.project) == [(session_key("s1"), True)] * 3
    assert due(shop.project.pk) == {"s1"}


def test_signals_and_traces_sent_at_the_same_moment_all_end_bound(shop, sent):
    order = random.Random(7)

    def send_traces():
        for trace in TRACES:
            sent(trace, f"s{trace}", f"r{trace}")

    def send_signals():
        for trace in TRACES:
            put_signals(shop.project.pk, about(trace, f"s{trace}", f"r{trace}"), Sender())

    def send_backwards():
        for trace in reversed(TRACES):
            told = about(trace, f"s{trace}", f"r{trace}")
            order.shuffle(told)
            put_signals(shop.project.pk, [item | {"user_id": "u2"} for item in told], Sender())

    def take():
        for _ in range(20):
            behaving.take_changes()

    at_once(send_traces, send_signals, send_backwards, take)
    consume()

    found = bound(shop.project)
    assert len(found) == 6 * len(TRACES)
    assert {unit for unit, is_bound in found if is_bound} == {session_key(f"s{trace}") for trace in TRACES}
    assert all(is_bound for _, is_bound in found)


def test_the_same_ids_posted_at_once_in_any_order_are_each_one_row_of_somebodys_words(shop, sent):
    sent(TRACES[0], "s1")
    ids = [f"c{at}" for at in range(150)]

    def post(seed):
        told = [{"name": "rating", "value": seed, "trace_id": TRACES[0], "client_id": one} for one in ids]
        random.Random(seed).shuffle(told)
        return lambda: put_signals(shop.project.pk, told, Sender())

    given = at_once(*(post(seed) for seed in (1, 2, 3, 4)))

    statuses = [result.status for results in given for result in results]
    assert (statuses.count("accepted"), statuses.count("updated")) == (150, 450)
    stored = rows(shop.project.pk, "client_id", "value_number", "revision")
    assert {client_id for client_id, _, _ in stored} == set(ids)
    assert len(stored) == 150
    assert {number for _, number, _ in stored} <= {1.0, 2.0, 3.0, 4.0}
    assert {revision for _, _, revision in stored} == {4}
    assert rows(shop.project.pk, "unit_key") == [UUID(bytes=session_key("s1").bytes)] * 150


def test_who_sends_a_signal_does_not_wait_for_the_fold_of_its_session_which_sees_it_all_the_same(shop, sent):
    sent(TRACES[0], "s1")
    sent(TRACES[1])
    consume()
    thumbs = [{"name": "thumbs_up", "trace_id": trace} for trace in TRACES[:2]]

    with transaction.atomic(), raw_cursor() as cursor:
        # As a fold holds the units that it has claimed, and then puts them far ahead.
        cursor.execute("SELECT 1 FROM traces_behaviour_due ORDER BY unit_key FOR UPDATE")
        results = elsewhere(lambda: put_signals(shop.project.pk, thumbs, Sender()))
        cursor.execute("UPDATE traces_behaviour_due SET due_at = now() + interval '1 hour'")
    consume()

    assert [result.status for result in results] == ["accepted", "accepted"]
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM traces_behaviour_due WHERE due_at < now() + interval '1 minute'")
        assert cursor.fetchone()[0] == 2
