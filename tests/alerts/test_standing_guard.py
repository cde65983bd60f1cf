"""The watchdog: it knows a stopped engine by its signs of life, tells once, and tells when it runs again."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine

from alerts import delivering, pinging, routing, standing_guard
from alerts.addressing import channels, settings, silences
from alerts.models import EngineState, NoticeSettings, Transition
from alerts.standing_guard import Guard, look, mark_round
from telltale.jobs.models import Heartbeat, Lease
from telltale.lib import clock
from tests.alerts.receiver_kit import Receiver

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def alone(settings, monkeypatch):
    settings.TELLTALE_EGRESS_ALLOW = ["127.0.0.0/8"]
    monkeypatch.setattr(standing_guard._Seen, "look", None)
    monkeypatch.setattr(standing_guard._Seen, "round_at", None)
    # In the worker and the web process messages go out beside the caller; here they are waited for.
    monkeypatch.setattr(delivering, "spread", delivering.deliver_due)


@pytest.fixture
def time():
    with time_machine.travel(clock.now(), tick=False) as traveller:
        yield lambda **by: traveller.shift(timedelta(**by))


@pytest.fixture
def receiver():
    made = Receiver()
    yield made
    made.close()


def work():
    """A sign of life of everything."""
    now = clock.now()
    Heartbeat.objects.update_or_create(name="vm:1", defaults={"pid": 1, "started_at": now, "at": now})
    Lease.objects.update_or_create(name="scheduler", defaults={"holder": "vm", "until": now + timedelta(seconds=9)})
    mark_round()


def run(guard, time, seconds, *, working):
    for _ in range(seconds // 5):
        time(seconds=5)
        if working:
            work()
        guard.turn()


def test_an_engine_that_stops_is_told_within_a_minute_and_once_and_when_it_runs_again(project, receiver, time):
    channels.add(project, {"name": "On call", "kind": "webhook", "url": receiver.url})
    guard = Guard()
    run(guard, time, 120, working=True)
    assert receiver.got == []

    run(guard, time, 55, working=False)
    assert [body["type"] for body in receiver.bodies] == ["engine.stands"]
    assert standing_guard.seen().stands

    run(guard, time, 300, working=False)
    assert len(receiver.got) == 1

    run(guard, time, 30, working=True)
    routing.route_due()
    delivering.deliver_due()
    assert [body["type"] for body in receiver.bodies] == ["engine.stands", "engine.runs"]
    assert len(set(receiver.ids)) == 2
    assert not standing_guard.seen().stands
    assert EngineState.objects.get().stands_since is None


def test_several_watchdogs_and_a_restarted_one_tell_once(project, receiver, time):
    channels.add(project, {"name": "On call", "kind": "webhook", "url": receiver.url})
    one, other = Guard(), Guard()
    run(one, time, 60, working=True)
    for _ in range(14):
        time(seconds=5)
        one.turn()
        other.turn()
    again = Guard()
    run(again, time, 130, working=False)

    assert len(receiver.got) == 1
    assert Transition.objects.filter(kind="engine_stands").count() == 1


def test_what_is_due_is_delivered_by_the_watchdog_while_the_engine_stands(project, receiver, time):
    channels.add(project, {"name": "On call", "kind": "webhook", "url": receiver.url})
    from tests.alerts.incident_kit import incident_of

    guard = Guard()
    run(guard, time, 70, working=True)
    incident_of(project)
    run(guard, time, 60, working=False)

    assert sorted(body["type"] for body in receiver.bodies) == ["engine.stands", "incident.opened"]


def test_no_silence_holds_the_watchdog_back(project, receiver, time):
    channels.add(project, {"name": "On call", "kind": "webhook", "url": receiver.url})
    silences.add(project, {"end_at": clock.now() + timedelta(days=1), "reason": "Deploy"})
    guard = Guard()
    run(guard, time, 70, working=True)
    run(guard, time, 60, working=False)

    assert len(receiver.got) == 1


def test_each_sign_of_life_counts(time):
    started = clock.now() - timedelta(hours=1)
    work()
    assert not look(clock.now(), started).stands

    Lease.objects.all().delete()
    assert look(clock.now(), started).words == "no worker schedules"
    work()
    EngineState.objects.update(round_at=clock.now() - timedelta(seconds=201))
    assert look(clock.now(), started).words == "no round of evaluation has ended"
    work()
    Heartbeat.objects.update(at=clock.now() - timedelta(seconds=41))
    assert look(clock.now(), started).words == "no worker has shown life"


def test_after_a_start_the_engine_has_a_minute_to_begin(time):
    guard = Guard()
    run(guard, time, 55, working=False)
    assert standing_guard.seen() is None or not standing_guard.seen().stands

    run(guard, time, 15, working=False)
    assert standing_guard.seen().stands


def test_one_old_sign_of_life_is_no_alarm_where_the_machine_slept(project, time):
    guard = Guard()
    run(guard, time, 70, working=True)
    time(hours=8)
    guard.turn()
    work()
    guard.turn()

    assert not standing_guard.seen().stands
    assert not Transition.objects.exists()


def test_pages_say_it_without_a_query(project, alice, sign_in, time, django_assert_num_queries, monkeypatch):
    client = sign_in(alice)
    address = f"/p/{project.slug}/settings/"
    assert b"Monitors are not evaluated" not in client.get(address).content
    seen = standing_guard.Look(clock.now(), clock.now() - timedelta(seconds=50), "no worker has shown life")
    monkeypatch.setattr(standing_guard._Seen, "look", seen)

    assert b"Monitors are not evaluated" in client.get(address).content
    with django_assert_num_queries(0):
        assert standing_guard.seen().stands


def test_the_switch_is_pinged_while_rounds_end_and_not_after(project, receiver, time):
    settings.put(project, {"alive_url": receiver.url, "alive_seconds": 60})
    assert pinging.ping_due(beside=False) == 0  # no round has ended

    work()
    assert pinging.ping_due(beside=False) == 1
    assert pinging.ping_due(beside=False) == 0
    row = NoticeSettings.objects.get()
    assert (row.alive_at, row.alive_error) == (clock.now(), "")

    time(seconds=61)
    receiver.plan = [(302, {"Location": "/"}, 0)]
    work()
    assert pinging.ping_due(beside=False) == 1
    assert "redirect" in NoticeSettings.objects.get().alive_error

    time(seconds=120)
    assert pinging.ping_due(beside=False) == 0
    assert len(receiver.got) == 2


def test_while_addresses_are_still_asked_no_other_ping_is_passed_over(project, receiver, time):
    settings.put(project, {"alive_url": receiver.url, "alive_seconds": 60})
    work()
    due = NoticeSettings.objects.get().alive_due_at

    with pinging._pinging:
        assert pinging.ping_due() == 0

    assert NoticeSettings.objects.get().alive_due_at == due
    assert pinging.ping_due(beside=False) == 1
