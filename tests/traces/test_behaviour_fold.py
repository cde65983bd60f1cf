"""Behaviour follows what is stored: real requests, signals early and late, sessions that end, changes, crashes."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection, transaction

from tests.traces.behaviour_rows import OF_RULES, ask, by_rules, kept, recounted, rows, settle
from traces import behaving, signalling
from traces.behaviour.definition import SHIPPED, to_json
from traces.behaviour.types import Fact, Stratum
from traces.folding import fold_roll_ups
from traces.read import behaviour as read
from traces.write import behaviour as write
from traces.write import rollup_memory

pytestmark = pytest.mark.django_db

NOW = datetime(2026, 11, 19, 12, 0, tzinfo=UTC)


@pytest.fixture
def clock(shop, otlp, monkeypatch):
    """Time stands at 12:00 of 19 November until a test moves it; nobody is woken."""
    monkeypatch.setattr(behaving, "wake", lambda task: None)
    monkeypatch.setattr(behaving, "pause", lambda seconds: None)
    rollup_memory.forget()
    write.forget()
    signalling.forget()
    with time_machine.travel(NOW, tick=False) as traveller:
        otlp.start_ns = int(NOW.timestamp() * 10**9)
        yield traveller
    write.forget()
    signalling.forget()


def hex_of(number):
    return f"{number:032x}"


def send_turn(otlp, number, session, at, said, answered="Here you are.", *, seconds=5, failed=False, feature="chat"):
    """Turn `number` of a session, `at` seconds after 12:00."""
    attributes = {"telltale.feature": feature} | ({"session.id": session} if session else {})
    more = {"status": {"code": 2}} if failed else {}
    span = otlp.generation(
        hex_of(number), f"{number:016x}", said=said, answered=answered, at_ms=at * 1000, ms=seconds * 1000,
        attributes=attributes, **more,
    )  # fmt: skip
    if failed:
        span["attributes"] = [each for each in span["attributes"] if each["key"] != "gen_ai.output.messages"]
    otlp.send(span)


def signal(shop, *items):
    found = signalling.put_signals(shop.project.pk, list(items), signalling.Sender())
    assert all(each.status != "rejected" for each in found), found


def rates_of(shop, feature=None):
    found = read.rates(shop.project.pk, NOW - timedelta(hours=1), NOW + timedelta(days=2), feature)
    return found, {rate.key: (rate.found.k, rate.found.n) for rate in found.rates}


def test_hand_made_sessions_give_hand_worked_rates(shop, otlp, clock):
    reset = "How do I reset my password?"
    send_turn(otlp, 1, "left", 0, reset)  # one answer, gone: abandoned
    send_turn(otlp, 2, "done", 0, reset)  # one answer, then the task is told to be done
    send_turn(otlp, 3, "again", 0, reset)  # asked again after 20 s
    send_turn(otlp, 4, "again", 25, reset)
    send_turn(otlp, 5, "again", 300, "Where do I find my invoices?")
    send_turn(otlp, 6, "wrong", 0, reset)  # a correction, then thanks
    send_turn(otlp, 7, "wrong", 60, "No, that's wrong, I meant the e-mail")
    send_turn(otlp, 8, "wrong", 120, "Thanks, that worked!")
    send_turn(otlp, 9, "human", 0, reset)
    send_turn(otlp, 10, "human", 200, "Let me talk to a human")
    send_turn(otlp, 11, "on", 0, reset)  # another question: carried on
    send_turn(otlp, 12, "on", 90, "Where do I find my invoices?")
    send_turn(otlp, 13, "broken", 0, reset, failed=True)  # an error, gone: abandoned
    send_turn(otlp, 14, "tool", 0, "Translate: tree", feature="translate")
    send_turn(otlp, 15, None, 0, reset)  # names no session
    signal(shop, {"name": "task_completed", "session_id": "done", "happened_at": "2026-11-19T12:01:00Z"})
    settle(clock, 600)
    before = {row[0]: row[1] for row in rows(shop.project.pk, "session_id", "stratum")}
    behaving.save_definition(
        shop.project, to_json(SHIPPED) | {"features": {"translate": {"single_shot": True}}}, by_id=None
    )
    settle(clock, 3 * 3600)
    from telltale.jobs import work

    work.run_next()
    send_turn(otlp, 16, "open", 3 * 3600, reset)
    settle(clock, 300)

    assert set(before.values()) == {Stratum.OPEN}
    strata = {row[0]: Stratum(row[1]).name for row in rows(shop.project.pk, "session_id", "stratum")}
    assert strata == {
        "left": "ABANDONED", "done": "COMPLETED", "again": "RETRIED", "wrong": "CORRECTED", "human": "ESCALATED",
        "on": "CARRIED_ON", "broken": "ABANDONED", "tool": "CARRIED_ON", None: "UNKNOWN", "open": "OPEN",
    }  # fmt: skip
    found, rates = rates_of(shop)
    assert (found.sessions, found.open, found.lone, found.version) == (8, 1, 1, 1)
    assert rates == {
        "abandonment": (2, 7), "retry": (1, 8), "correction": (1, 8), "escalation": (1, 8), "follow_up": (2, 8),
        "completion": (2, 8),
    }  # fmt: skip
    # 1 + 1 + 3 + 3 + 2 + 2 + 0 + 1 answers in 8 sessions.
    assert (found.answers.n, found.answers.value) == (8, 13 / 8)
    # 5, 5, 305, 125, 205, 95, 5 and 5 seconds.
    assert (found.seconds.n, found.seconds.value) == (8, 750 / 8)
    assert rates_of(shop, "translate")[1]["abandonment"] == (0, 0)
    assert kept(shop.project.pk) == recounted(shop.project.pk)


def test_late_votes_and_late_turns_revise_a_session_that_is_over(shop, otlp, clock):
    send_turn(otlp, 1, "s", 0, "How do I reset my password?")
    settle(clock, 3600)
    first = rows(shop.project.pk, "stratum", "vote", "is_closed")
    signal(shop, {"name": "thumbs_up", "trace_id": hex_of(1), "client_id": "a"})
    settle(clock)
    voted = rows(shop.project.pk, "stratum", "vote", "is_closed")
    signal(shop, {"name": "thumbs_down", "trace_id": hex_of(1), "client_id": "a"})
    send_turn(otlp, 2, "s", 60, "Where do I find my invoices?")
    settle(clock)

    assert first == [(Stratum.ABANDONED, 0, True)]
    assert voted == [(Stratum.ABANDONED, 1, True)]
    assert rows(shop.project.pk, "stratum", "vote", "is_closed", "turns") == [(Stratum.CARRIED_ON, -1, True, 2)]
    assert [row[2:8] for row in kept(shop.project.pk)] == [(Stratum.CARRIED_ON, int(Fact.FOLLOWED_UP), -1, True, 1, 2)]
    assert ask("SELECT count(*) FROM traces_behaviour_due") == [(0,)]


def test_a_session_waits_quietly_for_its_end(shop, otlp, clock):
    send_turn(otlp, 1, "s", 0, "How do I reset my password?")
    settle(clock)
    due = ask("SELECT due_at FROM traces_behaviour_due")

    assert due == [(NOW + timedelta(seconds=5, minutes=30),)]
    assert behaving.fold_due().units == 0
    clock.shift(timedelta(minutes=31))
    assert behaving.fold_due().units == 1
    assert rows(shop.project.pk, "is_closed") == [(True,)]


def test_a_trace_that_gets_a_session_later_leaves_its_own_count(shop, otlp, clock):
    trace, root, child = hex_of(1), "a" * 16, "b" * 16
    otlp.send(otlp.generation(trace, child, root, attributes={"telltale.feature": "chat"}))
    settle(clock)
    alone = rows(shop.project.pk, "session_id")
    signal(shop, {"name": "thumbs_up", "trace_id": trace})
    settle(clock)
    otlp.send(otlp.span(trace, root, attributes={"session.id": "s", "telltale.feature": "chat"}))
    settle(clock)

    assert alone == [(None,)]
    assert rows(shop.project.pk, "session_id", "vote") == [("s", 1)]
    assert kept(shop.project.pk) == recounted(shop.project.pk)


def test_a_session_that_a_trace_leaves_is_counted_without_it(shop, otlp, clock):
    trace, root, child = hex_of(1), "a" * 16, "b" * 16
    otlp.send(otlp.generation(trace, child, root, attributes={"session.id": "old"}))
    fold_roll_ups()
    settle(clock)
    otlp.send(otlp.span(trace, root, attributes={"session.id": "new"}))
    fold_roll_ups()
    settle(clock)

    assert rows(shop.project.pk, "session_id") == [("new",)]
    assert kept(shop.project.pk) == recounted(shop.project.pk)


def test_a_unit_that_cannot_be_folded_keeps_nobody_waiting(shop, otlp, clock, monkeypatch, caplog):
    send_turn(otlp, 1, "good", 0, "How do I reset my password?")
    send_turn(otlp, 2, "bad", 0, "How do I reset my password?")
    real = write.behaviour

    def fragile(turns, *args, **more):
        if turns[0].trace_id.int == 2:
            raise ValueError("of this trace nothing can be said")
        return real(turns, *args, **more)

    monkeypatch.setattr(write, "behaviour", fragile)
    settle(clock)

    assert rows(shop.project.pk, "session_id") == [("good",)]
    assert ask(
        "SELECT session_id FROM traces_behaviour_due WHERE due_at = %s", NOW + timedelta(hours=1, seconds=3)
    ) == [("bad",)]
    assert "cannot be folded" in caplog.text


def test_only_what_is_due_keeps_the_worker_awake(shop, otlp, clock):
    from traces.read.flow import has_open_work

    send_turn(otlp, 1, "s", 0, "How do I reset my password?")
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM traces_feed WHERE consumer <> 5")
        cursor.execute("UPDATE traces_ingest_batch SET accounted = true")
    told = has_open_work()
    settle(clock)
    ask("UPDATE traces_behaviour_due SET due_at = now() + interval '1 hour' RETURNING 1")
    waits = has_open_work()
    ask("UPDATE traces_behaviour_due SET due_at = now() - interval '1 s' RETURNING 1")

    assert (told, waits, has_open_work()) == (True, False, True)


def test_changes_that_cannot_be_taken_wait_and_keep_nobody_waiting(shop, otlp, clock, monkeypatch, caplog):
    send_turn(otlp, 1, "s", 0, "How do I reset my password?")
    settle(clock)
    send_turn(otlp, 2, "t", 0, "How do I reset my password?")
    real = write.mark_traces
    monkeypatch.setattr(write, "mark_traces", lambda *args: (_ for _ in ()).throw(ValueError("odd")))
    clock.shift(timedelta(hours=1))

    behaving.take_changes()
    behaving.fold_due()
    closed = rows(shop.project.pk, "session_id", "is_closed")
    monkeypatch.setattr(write, "mark_traces", real)
    settle(clock)

    assert closed == [("s", True)]
    assert "cannot be taken" in caplog.text
    assert len(rows(shop.project.pk, "session_id")) == 2


class Crash(Exception):
    """What ends a worker between two statements."""


@pytest.mark.parametrize("seed", range(3))
def test_whatever_comes_in_whatever_order_counts_are_those_of_the_rows(shop, otlp, clock, monkeypatch, seed):
    rng, project = random.Random(seed), shop.project
    said = ["How do I reset my password?", "how can I reset the password", "No, that's wrong", "thanks!", "Invoices?"]
    sessions = ["a", "b", "c", None]
    real_settle = write.settle
    crashes = 0

    def fragile(*args):
        if rng.random() < 0.3:
            raise Crash
        return real_settle(*args)

    monkeypatch.setattr(write, "settle", fragile)

    def fold():
        nonlocal crashes
        try:
            with transaction.atomic():
                behaving.take_changes()
                behaving.fold_due(rng.randint(1, 5))
        except Crash:
            crashes += 1

    for number in range(1, 40):
        match rng.randrange(6):
            case 0 | 1 | 2:
                session = rng.choice(sessions)
                at = int((datetime.now(UTC) - NOW).total_seconds()) + rng.randint(-900, 0)
                send_turn(otlp, number, session, at, rng.choice(said), failed=rng.random() < 0.2)
            case 3:
                name = rng.choice(["thumbs_up", "thumbs_down", "copied", "task_completed", "retry", "abandoned"])
                target = rng.choice([{"session_id": rng.choice("abc")}, {"trace_id": hex_of(rng.randint(1, 40))}])
                signal(shop, {"name": name, "client_id": str(rng.randint(0, 8)), "user_id": rng.choice("xy")} | target)
            case 4:
                clock.shift(timedelta(seconds=rng.choice([1, 20, 600, 2400])))
            case 5 if rng.random() < 0.5:
                told = to_json(SHIPPED) | {"idle_minutes": rng.randint(5, 60), "abandon_answers": rng.randint(0, 3)}
                behaving.save_definition(project, told, by_id=None)
        fold()
        assert kept(project.pk) == recounted(project.pk)
    monkeypatch.setattr(write, "settle", real_settle)
    from telltale.jobs import work

    while work.run_next():
        pass
    fold_roll_ups()
    settle(clock)

    assert kept(project.pk) == recounted(project.pk)
    assert rows(project.pk, *OF_RULES) == by_rules(project.pk)
    assert crashes
    assert len(rows(project.pk, "unit_key")) > 2


def test_a_long_session_is_looked_at_by_its_newest_turns(shop, otlp, clock, monkeypatch):
    from traces.read import behaviour_units

    monkeypatch.setattr(behaviour_units, "TURNS_MAX", 3)
    for number in range(1, 8):
        send_turn(otlp, number, "s", number * 10, f"Question {number}", failed=number == 1, feature=f"f{number}")
    fold_roll_ups()
    settle(clock, 7200)

    assert rows(shop.project.pk, "turns", "answers", "feature", "first_at", "is_closed") == [
        (7, 6, "f1", NOW + timedelta(seconds=10), True)
    ]
    assert rows(shop.project.pk, "facts")[0][0] & Fact.ERROR
    with connection.cursor() as cursor:
        cursor.execute("SELECT cost_pico FROM traces_session")
        assert rows(shop.project.pk, "cost_pico", "is_cost_known") == [(cursor.fetchone()[0], True)]
