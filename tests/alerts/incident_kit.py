"""Monitors and alarms of parts of a project, and incidents that grouping made of them."""

from __future__ import annotations

from datetime import timedelta

from alerts import grouping
from alerts.models import Alarm, Incident, Monitor
from alerts.monitors.definition import to_json
from alerts.monitors.types import Definition, Scope
from telltale.lib import clock

HOUR = timedelta(hours=1)


def monitor_of(project, name="Errors", metric="errors", *, severity=2, made=None, **scope):
    """A monitor of the given features, models and so on, a month old."""
    values = tuple(sorted((key, (value,)) for key, value in scope.items()))
    definition = Definition(name, metric, scope=Scope(values), severity=severity)
    now = clock.now()
    row = Monitor.objects.create(
        project=project, name=name, definition=to_json(definition), metric=metric, method="chart", severity=severity,
        updates_a_week=168.0, arl0=1000.0, next_start=now, due_at=now + 100 * HOUR,
    )  # fmt: skip
    Monitor.objects.filter(pk=row.pk).update(created_at=made or now - timedelta(days=30))
    return row


def alarm_of(monitor, *, ago=1.0, direction="up", is_page=True, severity=None, found=None, **fields):
    """An alarm of an hour's window that began `ago` hours ago and was just found."""
    start = clock.now() - ago * HOUR
    usual = {
        "chart_no": 1, "window_start": start, "window_end": start + HOUR, "direction": direction, "rule": "EWMA",
        "value": 0.069, "severity": monitor.severity if severity is None else severity, "is_page": is_page,
        "found_at": found or clock.now(),
    }  # fmt: skip
    return Alarm.objects.create(project=monitor.project, monitor=monitor, **{**usual, **fields})


def incident_of(project, **more):
    """An incident that one alarm opened."""
    alarm_of(monitor_of(project, **more))
    grouping.take_alarms([project.pk])
    return Incident.objects.filter(project=project).latest("pk")
