"""A worker that gets no task though tasks are sent ends; one that has a reason to be idle does not."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.db import OperationalError

from telltale.jobs import starving, worker

STEP = 10.0


@pytest.fixture
def hungry(monkeypatch):
    """Asks a new `Hunger` every ten seconds of a made-up clock: `hungry(times, **facts)` gives the answers."""
    hunger, at = starving.Hunger(), SimpleNamespace(now=1_000.0)
    monkeypatch.setattr(starving.time, "monotonic", lambda: at.now)
    monkeypatch.setattr(starving, "_sharers", lambda: 1)

    def ask(times, *, begun=5, is_busy=False, is_connected=True, step=STEP):
        told = []
        for _ in range(times):
            at.now += step
            told.append(hunger.is_starved(begun, is_busy, is_connected))
        return told

    return ask


def test_without_a_task_for_thirty_seconds_it_is_starved(hungry):
    assert hungry(5) == [False, False, False, True, True]


def test_a_task_in_between_begins_the_time_anew(hungry):
    assert hungry(3) == [False] * 3
    assert hungry(4, begun=6) == [False] * 3 + [True]


@pytest.mark.parametrize("facts", [{"is_busy": True}, {"is_connected": False}])
def test_a_long_task_or_a_broker_that_is_away_is_no_hunger(hungry, facts):
    assert hungry(20, **facts) == [False] * 20
    # And the time begins when that ends.
    assert hungry(3) == [False, False, True]


def test_a_process_that_stood_still_begins_the_time_anew(hungry):
    assert hungry(3) == [False] * 3
    assert hungry(1, step=300.0) == [False]
    assert hungry(3) == [False, False, True]


def test_the_more_workers_share_the_longer_it_may_take(hungry, monkeypatch):
    monkeypatch.setattr(starving, "_sharers", lambda: 3)

    assert hungry(10) == [False] * 9 + [True]


def test_where_nobody_schedules_nothing_can_come(hungry, monkeypatch):
    monkeypatch.setattr(starving, "_sharers", lambda: 0)

    assert hungry(30) == [False] * 30


def test_sharers_are_the_workers_alive_while_somebody_schedules(monkeypatch):
    monkeypatch.setattr(starving, "connection", SimpleNamespace(close=lambda: None))
    beats = [SimpleNamespace(age_seconds=age) for age in (1.0, 29.0, 300.0)]
    monkeypatch.setattr(starving, "read_heartbeats", lambda now: beats)
    monkeypatch.setattr(starving, "read_scheduler_at", lambda now: 2.0)
    assert starving._sharers() == 2

    monkeypatch.setattr(starving, "read_scheduler_at", lambda now: None)
    assert starving._sharers() == 0

    def away(now):
        raise OperationalError("away")

    monkeypatch.setattr(starving, "read_scheduler_at", away)
    assert starving._sharers() == 0


@pytest.mark.parametrize(
    ("consumer", "connected"),
    [
        (None, False),
        (SimpleNamespace(connection=None), False),
        (SimpleNamespace(connection=SimpleNamespace(connected=False)), False),
        (SimpleNamespace(connection=SimpleNamespace(connected=True)), True),
    ],
)
def test_connected_is_what_the_consumer_says(consumer, connected):
    assert starving.is_connected(SimpleNamespace(consumer=consumer)) is connected


def test_a_starved_worker_ends_and_says_why(monkeypatch, caplog):
    codes = []

    def leave(code):
        codes.append(code)
        raise SystemExit(code)

    monkeypatch.setattr(worker.os, "_exit", leave)
    monkeypatch.setattr(worker.Hunger, "is_starved", lambda self, *facts: True)
    care = worker.CareThread(SimpleNamespace(pool=SimpleNamespace(apply_async=lambda *args: None)))
    monkeypatch.setattr(care._ending, "wait", lambda seconds: False)

    with pytest.raises(SystemExit):
        care.run()

    assert codes == [70]
    assert "no task has come" in caplog.text
