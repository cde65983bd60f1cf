"""The scheduler: what was never run is due at once, what was run waits for its turn, one worker holds the lease."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from telltale.celery import app
from telltale.jobs import beat
from telltale.jobs.models import Schedule
from telltale.lib import clock

HOURLY = "traces.make_partitions"


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    names: list[str] = []

    def send(self: Any, entry: Any, producer: Any = None, advance: bool = True, **_: Any) -> None:
        if advance:
            self.reserve(entry)
        names.append(entry.name)

    monkeypatch.setattr(beat.LeasedScheduler, "apply_async", send)
    return names


def tick_until_idle(scheduler: beat.LeasedScheduler) -> None:
    for _ in range(20):
        if scheduler.tick() >= 0.5:
            return


@pytest.mark.django_db(transaction=True)
def test_a_new_installation_runs_its_rare_tasks_at_once(sent: list[str]) -> None:
    tick_until_idle(beat.LeasedScheduler(app=app))

    assert sent.count(HOURLY) == 1
    assert clock.now() - Schedule.objects.get(name=HOURLY).last_run_at < timedelta(minutes=1)


@pytest.mark.django_db(transaction=True)
def test_a_restart_does_not_run_them_again_before_their_time(sent: list[str]) -> None:
    Schedule.objects.create(name=HOURLY, last_run_at=clock.now() - timedelta(minutes=20))

    tick_until_idle(beat.LeasedScheduler(app=app))

    assert HOURLY not in sent


@pytest.mark.django_db(transaction=True)
def test_who_does_not_hold_the_lease_sends_nothing(sent: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(beat.leases, "hold", lambda *_, **__: False)

    tick_until_idle(beat.LeasedScheduler(app=app))

    assert sent == []
