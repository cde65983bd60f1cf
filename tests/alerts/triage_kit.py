"""Incidents with alarms as rows, for tests of what people do with them."""

from __future__ import annotations

from datetime import timedelta

from alerts.models import Alarm, Incident, IncidentMember, IncidentStep, Monitor
from alerts.monitors.definition import to_json
from telltale.lib import clock


def make_monitor(project, definition, *, name="", **fields):
    now = clock.now()
    usual = {
        "name": name or definition.name, "definition": to_json(definition), "metric": definition.metric,
        "method": str(definition.method), "severity": definition.severity, "updates_a_week": 168.0, "arl0": 1000.0,
        "next_start": now, "due_at": now,
    }  # fmt: skip
    return Monitor.objects.create(project=project, **{**usual, **fields})


def make_alarm(monitor, start, *, direction="up", evidence=None, **fields):
    usual = {
        "chart_no": 1, "window_start": start, "window_end": start + timedelta(hours=1), "direction": direction,
        "rule": "EWMA", "value": 0.2, "severity": monitor.severity, "is_page": True, "found_at": start,
        "evidence": evidence or {},
    }  # fmt: skip
    return Alarm.objects.create(project=monitor.project, monitor=monitor, **{**usual, **fields})


def make_incident(project, *alarms, began_at=None, number=1, **fields):
    """An incident of these alarms, its steps begun as they would be."""
    began = began_at or min((alarm.window_start for alarm in alarms), default=clock.now() - timedelta(hours=2))
    now = clock.now()
    usual = {
        "number": number, "title": "It moved", "severity": 1, "opened_at": now, "began_at": began,
        "last_moved_at": now,
    }  # fmt: skip
    incident = Incident.objects.create(project=project, **{**usual, **fields})
    for alarm in alarms:
        IncidentMember.objects.create(
            project=project, incident=incident, kind="alarm", ref=alarm.pk, monitor=alarm.monitor,
            severity=alarm.severity, is_page=alarm.is_page, joined_at=now, began_at=alarm.window_start,
        )  # fmt: skip
    IncidentStep.objects.create(incident=incident, round=1, step="triage", started_at=now)
    return incident
