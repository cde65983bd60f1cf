"""Incidents with alarms as rows, for tests of what people do with them."""

from __future__ import annotations

import itertools
import time
from datetime import UTC, datetime, timedelta

from alerts.models import Alarm, Incident, IncidentMember, IncidentStep, Monitor
from alerts.monitors.definition import to_json
from alerts.monitors.types import Definition
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


def make_trouble(otlp, *, hours_ago=2, failing=26, fine=40, failing_before=4, fine_before=60):
    """Requests of the last hours of which many fail, and of two days before of which few do; their start."""
    now = time.time_ns()
    spans, n = [], itertools.count(1)

    def send(count, is_failing, at_ns):
        for each in range(count):
            trace = f"{next(n):032x}"
            otlp.start_ns = at_ns + each * 60 * 10**9
            more = {"status": {"code": 2, "message": "no stock"}} if is_failing else {}
            spans.append(
                otlp.generation(
                    trace,
                    f"{int(trace, 16):016x}",
                    said=f"Where is parcel {each}?",
                    answered="I cannot help" if is_failing else f"Parcel {each} is on its way",
                    **more,
                )
            )

    start = now - hours_ago * 3600 * 10**9
    send(failing, True, start)
    send(fine, False, start + 10**9)
    before = now - 48 * 3600 * 10**9
    send(failing_before, True, before)
    send(fine_before, False, before + 10**9)
    for at in range(0, len(spans), 50):
        otlp.send(*spans[at : at + 50])
    return datetime.fromtimestamp(start / 1e9, UTC) - timedelta(minutes=1)


def open_incident(project, began_at, *, metric="errors", **fields):
    """An incident of one alarm of errors that began so."""
    definition = Definition("Errors", metric, params=fields.pop("params", {}), window=timedelta(hours=1))
    return make_incident(project, make_alarm(make_monitor(project, definition), began_at), **fields)
