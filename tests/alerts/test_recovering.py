"""What people did, and whether it is back: told once, by the baseline from before, relapse noted."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection

from alerts import looking, recovering
from alerts.incidents.types import NotThere, WrongState
from alerts.models import Incident, IncidentEvent, ResponseMade, ScopeReport, Transition
from alerts.monitors.types import Definition
from alerts.read.reports import reports_of, responses_of
from telltale.audit.models import AuditEntry
from telltale.lib import clock
from telltale.lib.faults import ItemRefused
from tests.alerts.triage_kit import make_alarm, make_incident, make_monitor
from traces.changelog import By, put_changes
from traces.read.changelog import get_change

pytestmark = pytest.mark.django_db
HOUR = timedelta(hours=1)


@pytest.fixture
def going(project):
    """An incident of one monitor whose windows of an hour are 3 sd off for ten hours, now."""
    now = clock.now().replace(minute=0, second=0, microsecond=0)
    monitor = make_monitor(project, Definition("Errors", "errors", window=HOUR, severity=1))
    alarm = make_alarm(monitor, now - 10 * HOUR, baseline_id=None)
    incident = make_incident(project, alarm)
    add_points(monitor, now - 10 * HOUR, [3.0, 2.8, 3.2, 3.1, 2.9, 3.0], out=True)
    return project, monitor, incident, now


def add_points(monitor, start, zs, *, out=False, baseline=None):
    with connection.cursor() as cursor:
        cursor.executemany(
            "INSERT INTO alerts_point (monitor_id, chart_no, start_at, end_at, project_id, n, value, phase, "
            "baseline_id, z, state, decided_at) VALUES (%s, 1, %s, %s, %s, 100, %s, 3, %s, %s, %s, now())",
            [
                (monitor.pk, start + at * HOUR, start + (at + 1) * HOUR, monitor.project_id, 0.02 + 0.02 * z, baseline,
                 z, "out" if out else "in_limits")
                for at, z in enumerate(zs)
            ],
        )  # fmt: skip


def state_of(incident):
    return looking.make(incident, "recovery").body


def test_it_is_back_once_windows_say_so_and_that_is_told_once(going, alice):
    project, monitor, incident, now = going
    recovering.record(project, 1, "rollback", at=now - 4 * HOUR, note="back to v17", user=alice)

    waiting = state_of(incident)
    add_points(monitor, now - 4 * HOUR, [0.2, -0.1, 0.1, 0.0])
    early = state_of(incident)
    ResponseMade.objects.update(at=now - 7 * HOUR)
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM alerts_point WHERE start_at >= %s", [now - 7 * HOUR])
    add_points(monitor, now - 7 * HOUR, [0.2, -0.1, 0.1, 0.0, 0.2, -0.3, 0.1])
    back = state_of(incident)
    again = state_of(incident)

    assert (waiting["state"], early["state"], back["state"], again["state"]) == (
        "waiting", "not_yet", "back", "back"
    )  # fmt: skip
    assert "not yet: within limits for 4 of 6 h (4 windows)" in early["words"]
    assert "of the shift is left" in back["words"]
    assert back["series"][0]["left_high"] < 0.5
    assert Transition.objects.filter(kind="recovered").count() == 1
    assert IncidentEvent.objects.filter(kind="recovered").count() == 1
    assert responses_of(incident.pk)[0].recovered_at is not None
    # It never closes by itself.
    assert Incident.objects.get().state == "acknowledged"


def test_out_again_after_it_was_back_is_a_relapse(going, alice):
    project, monitor, incident, now = going
    recovering.record(project, 1, "hotfix", at=now - 4 * HOUR, user=alice)
    ResponseMade.objects.update(recovered_at=now - HOUR)
    add_points(monitor, now - 4 * HOUR, [0.1, 0.2, 0.1])
    add_points(monitor, now - HOUR, [3.0], out=True)

    body = state_of(incident)
    state_of(incident)

    assert body["state"] == "relapsed"
    assert "Out of limits again" in body["words"]
    assert IncidentEvent.objects.filter(kind="relapsed").count() == 1


def test_a_baseline_made_since_then_does_not_call_the_trouble_normal(going, alice):
    project, monitor, incident, now = going
    from alerts.models import Alarm

    Alarm.objects.update(baseline_id=None)
    recovering.record(project, 1, "other", at=now - 9 * HOUR, user=alice)
    member = incident.members.get()
    alarm = Alarm.objects.get(pk=member.ref)
    learned = alarm.monitor.baselines.create(
        project=project, chart_no=1, kind="share", start_at=now, end_at=now, n=1, windows=1, arl0=100.0
    )
    Alarm.objects.update(baseline_id=learned.pk)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE alerts_point SET baseline_id = %s", [learned.pk])
    add_points(monitor, now - 4 * HOUR, [0.0] * 4, baseline=learned.pk + 1)

    one = state_of(incident)["series"][0]

    assert one["other_baseline"] == 4
    assert one["state"] == "out"


def test_a_response_finishes_the_step_and_can_be_a_change_of_the_log(going, alice):
    project, _, incident, now = going
    told = {"kind": "prompt", "name": "returns", "version": "v18", "previous": "v17", "feature": "returns",
            "at": (now - 10 * HOUR).isoformat()}  # fmt: skip
    cause = put_changes(project, [told], By())[0].id
    Incident.objects.update(cause_change=cause)

    response = recovering.record(
        project, 1, "rollback", at=now - HOUR, note="v17 again", url="https://ci.example/77", as_change=True, user=alice
    )

    row = responses_of(incident.pk)[0]
    change = get_change(project.pk, row.change)
    assert (change.name, change.version, change.previous, change.feature) == ("returns", "v17", "v18", "returns")
    assert change.at == now - HOUR
    assert row.id == response
    step = incident.steps.get(step="respond")
    assert step.finished_at is not None
    assert "v17 again" in step.outcome["words"]
    assert AuditEntry.objects.filter(action="incident.response").count() == 1
    recovering.withdraw(project, 1, response, user=alice)
    assert responses_of(incident.pk) == []
    with pytest.raises(NotThere):
        recovering.withdraw(project, 1, response, user=alice)


@pytest.mark.parametrize(
    ("told", "field"),
    [
        ({"kind": "prayer"}, "kind"),
        ({"kind": "hotfix", "url": "javascript:alert(1)"}, "url"),
        ({"kind": "hotfix", "url": "https://a b"}, "url"),
        ({"kind": "hotfix", "note": "x" * 2_001}, "note"),
        ({"kind": "hotfix", "note": "\x00"}, "note"),
        ({"kind": "hotfix", "at": timedelta(hours=1)}, "at"),
        ({"kind": "hotfix", "at": timedelta(days=-90)}, "at"),
    ],
)
def test_what_cannot_be_is_refused_by_field(going, alice, told, field):
    project, _, _, now = going
    if "at" in told:
        told = {**told, "at": now + HOUR + told["at"]}

    with pytest.raises(ItemRefused) as refused:
        recovering.record(project, 1, **told, user=alice)

    assert [fault.field for fault in refused.value.faults] == [field]
    assert not ResponseMade.objects.exists()


def test_a_closed_incident_takes_no_response(going, alice):
    project = going[0]
    Incident.objects.update(state="resolved")

    with pytest.raises(WrongState):
        recovering.record(project, 1, "hotfix", user=alice)


def test_the_worker_makes_the_reports_that_are_wanted_and_a_broken_one_stops_no_other(going, alice, monkeypatch):
    project, _, incident, _ = going
    monkeypatch.setattr(looking.scoping, "look", lambda *told, **more: 1 / 0)

    made = looking.tend()
    again = looking.tend()

    reports = reports_of(incident.pk, 1)
    assert (made, again) == (2, 0)
    assert reports["scope"].state == "failed"
    assert "ZeroDivisionError" in reports["scope"].error
    assert reports["isolate"].state == "done"
    monkeypatch.undo()
    assert looking.ask(project, 1, "scope").state == "waiting"
    assert looking.tend() == 1
    assert reports_of(incident.pk, 1)["scope"].state == "done"
    recovering.record(project, 1, "none", user=alice)
    assert looking.tend() == 1
    ScopeReport.objects.update(made_at=clock.now() - timedelta(minutes=20))
    # Scope and isolate of an incident that goes on, and its recovery: all are old.
    assert looking.tend() == 3
