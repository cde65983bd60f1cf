"""The page of timers and gates, and the ways from an alarm to its incident."""

from __future__ import annotations

from datetime import timedelta

import pytest

from alerts import grouping
from alerts.models import IncidentStep
from alerts.read.incident_settings import get_settings
from telltale.audit.models import AuditEntry
from tests.alerts.incident_kit import alarm_of, incident_of, monitor_of

ADDRESS = "/p/shop/settings/incidents/"


def form(**changes):
    told = {f"timers.p{level}.{step}": "" for level in range(4) for step in ("respond", "learn")}
    for level in range(4):
        told |= {f"timers.p{level}.triage": "30", f"timers.p{level}.scope": "60", f"timers.p{level}.isolate": "120"}
    return told | {"cases_least": "5", "recovery_hours": "6", "reopen_days": "7"} | changes


def test_the_defaults_are_shown_and_saving_them_changes_nothing(project, alice, sign_in):
    client = sign_in(alice)
    page = client.get(ADDRESS).content.decode()
    assert 'name="timers.p0.triage" value="30"' in page
    assert "nobody changed them" in page

    answer = client.post(ADDRESS, form(), follow=True)

    assert "Nothing changed" in answer.content.decode()
    assert not AuditEntry.objects.filter(action="incident.settings").exists()


def test_a_timer_that_is_changed_moves_the_steps_under_way(project, alice, sign_in):
    incident_of(project, severity=1)

    sign_in(alice).post(ADDRESS, form(**{"timers.p1.triage": "15", "timers.p1.learn": "1440", "cases_least": "0"}))

    step = IncidentStep.objects.get()
    assert step.due_at - step.started_at == timedelta(minutes=15)
    assert (get_settings(project.pk).cases_least, get_settings(project.pk).timers[1]["learn"]) == (0, 1440)
    assert AuditEntry.objects.filter(action="incident.settings").count() == 1
    sign_in(alice).post(ADDRESS, form(**{"timers.p1.triage": ""}))
    assert IncidentStep.objects.get().due_at is None


@pytest.mark.parametrize(
    ("field", "value"),
    [("timers.p0.triage", "0"), ("timers.p0.triage", "soon"), ("timers.p3.learn", "99999999"), ("cases_least", ""),
     ("cases_least", "1001"), ("recovery_hours", "nan"), ("recovery_hours", "a day"), ("reopen_days", "91")],
)  # fmt: skip
def test_what_cannot_be_is_named_and_nothing_is_saved(project, alice, sign_in, field, value):
    answer = sign_in(alice).post(ADDRESS, form(**{field: value, "timers.p2.scope": "7"}))

    assert answer.status_code == 400
    assert f'<a href="#{field}">' in answer.content.decode()
    assert get_settings(project.pk).timers[2]["scope"] == 60


def test_a_viewer_sees_and_does_not_change(project, bob, sign_in):
    assert "Engineers, admins and owners change these" in sign_in(bob).get(ADDRESS).content.decode()
    assert sign_in(bob).post(ADDRESS, form()).status_code == 403


def test_an_alarm_leads_to_its_incident_or_to_opening_one(project, alice, bob, sign_in):
    page = alarm_of(monitor_of(project, "A"))
    notice = alarm_of(monitor_of(project, "B", "length", feature="b"), is_page=False, ago=30)
    grouping.take_alarms([project.pk])

    told = sign_in(alice).get("/p/shop/monitors/alarms/").content.decode()

    assert '<a href="/p/shop/incidents/1/">INC-1</a>' in told
    assert f"/p/shop/incidents/new/?alarm={notice.pk}" in told
    assert "incidents/new/" not in sign_in(bob).get("/p/shop/monitors/alarms/").content.decode()
    chart = sign_in(alice).get(f"/p/shop/monitors/{page.monitor_id}/?alarm={page.pk}").content.decode()
    assert "It belongs to <a" in chart
