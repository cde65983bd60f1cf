"""What a message says of a transition, read when it is written: the incident as it is, what moved, what changed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from django.conf import settings
from django.db import connection

from alerts.models import Alarm, Incident, Monitor, Transition
from alerts.monitors.states import Method
from alerts.notices.matching import About
from alerts.notices.told import Changed, Moved, Told, Trouble
from alerts.notices.transitions import Kind
from alerts.notices.wording import MOVED_MOST
from alerts.read.incidents import IncidentRow, MemberRow, get_by_id, list_members
from telltale.lib import clock
from telltale.projects.models import Project
from traces.read.asking import TooSlow
from traces.read.changelog import changes_between

# How far back a change is named beside what began.
CHANGES_BEFORE = timedelta(days=1)
# Whose false alarms follow from the alert budget.
_CHARTED = (Method.CHART, Method.CUSUM, Method.SHEWHART, Method.OBJECTIVE)
_POINTS = """
    SELECT a.id, p.value, p.low, p.high, p.n
    FROM alerts_alarm AS a
    JOIN alerts_point AS p ON p.monitor_id = a.monitor_id AND p.chart_no = a.chart_no AND p.start_at = a.window_start
    WHERE a.id = ANY(%(ids)s)
"""


def read_told(row: Transition) -> Told:
    """A transition with all that its message says. Some six queries."""
    project = Project.objects.only("slug", "name", "time_zone").get(pk=row.project_id)
    trouble = _trouble(row) if row.incident_id is not None else None
    return Told(
        row.id, Kind(row.kind), row.key, row.at, project.slug, project.name, _zone(project.time_zone),
        settings.TELLTALE_PUBLIC_URL, row.severity, row.facts, trouble,
    )  # fmt: skip


def read_about(row: Transition) -> About:
    """What routes and silences look at. Two queries for an incident's."""
    if row.incident_id is None:
        return About(Kind(row.kind), row.severity)
    return about_incident(Incident.objects.get(pk=row.incident_id), Kind(row.kind), row.severity)


def about_incident(incident: Incident, kind: Kind, severity: int | None = None) -> About:
    """The same of an incident's row. One query."""
    paging = incident.members.filter(is_page=True, monitor__isnull=False)
    monitors = tuple(paging.values_list("monitor_id", flat=True).distinct()[:1_000])
    return About(
        kind, incident.severity if severity is None else severity, features_of(incident.scope), _numbers(monitors)
    )  # fmt: skip


def features_of(scope: Mapping[str, Any]) -> tuple[str, ...]:
    """The features that a stored scope names; () the whole project."""
    told = scope.get("feature") or ()
    values = [told] if isinstance(told, str) else told
    return tuple(str(value) for value in values if value is not None)


def _numbers(found: Sequence[int | None]) -> tuple[int, ...]:
    return tuple(number for number in found if number is not None)


def _trouble(row: Transition) -> Trouble | None:
    found = get_by_id(row.project_id, row.incident_id or 0)
    if found is None:
        return None
    members = list_members(found.id)
    paging = sorted((each for each in members if each.is_page), key=lambda each: (each.severity, each.began_at))
    told = paging or members
    change, is_known = _last_change(found, told[0] if told else None)
    return Trouble(
        id=found.id,
        number=found.number,
        title=found.title,
        severity=found.severity,
        state=found.state.value,
        step=found.step.value,
        round=found.round,
        scope=found.scope_words,
        features=features_of(found.scope),
        began_at=found.began_at,
        opened_at=found.opened_at,
        quiet_since=found.quiet_since,
        assignee=found.assignee,
        verdict=found.verdict,
        moved=tuple(_moved(told[:MOVED_MOST])),
        others=max(len(members) - MOVED_MOST, 0),
        change=change,
        is_change_known=is_known,
    )


def _moved(members: Sequence[MemberRow]) -> list[Moved]:
    alarms = [each.ref for each in members if each.kind == "alarm"]
    with connection.cursor() as cursor:
        cursor.execute(_POINTS, {"ids": alarms})
        points = {row[0]: row[1:] for row in cursor.fetchall()}
    windows = {row.pk: row for row in Alarm.objects.filter(pk__in=alarms)}
    monitors = Monitor.objects.filter(pk__in=[each.monitor_id for each in members if each.monitor_id is not None])
    rates = {row.pk: _false_a_week(row) for row in monitors}
    found = []
    for each in members:
        alarm = windows.get(each.ref) if each.kind == "alarm" else None
        value, low, high, n = points.get(each.ref, (None, None, None, None)) if alarm else (None, None, None, None)
        is_same = value is not None and (each.value is None or value == each.value)
        found.append(
            Moved(
                name=each.name,
                metric=each.metric,
                says=each.says,
                direction=each.direction,
                value=each.value if each.value is not None else value,
                before=each.before,
                low=low if is_same else None,
                high=high if is_same else None,
                n=each.n if each.n is not None else n,
                window_start=alarm.window_start if alarm else None,
                window_end=alarm.window_end if alarm else None,
                false_a_week=rates.get(each.monitor_id or 0),
                path=each.path,
            )
        )
    return found


def _false_a_week(monitor: Monitor) -> float | None:
    if monitor.method not in _CHARTED or monitor.arl0 <= 0:
        return None
    return monitor.updates_a_week / monitor.arl0


def _last_change(found: IncidentRow, lead: MemberRow | None) -> tuple[Changed | None, bool]:
    """The last change of the log that touches the scope, up to the end of the first window; and whether it was read."""
    end = found.began_at
    stored = lead.facts.get("window_end") if lead is not None else None
    if isinstance(stored, str) and lead is not None and lead.began_at <= found.began_at:
        alarm_end = _moment(stored)
        end = max(end, min(alarm_end, end + timedelta(days=1))) if alarm_end is not None else end
    scope = found.scope
    try:
        changes = changes_between(
            found.project_id, found.began_at - CHANGES_BEFORE, end + timedelta(microseconds=1),
            services=scope.get("service", ()), features=scope.get("feature", ()),
            environments=scope.get("environment", ()), limit=1,
        )  # fmt: skip
    except TooSlow:
        return None, False
    return (Changed(changes[-1].at, changes[-1].title) if changes else None), True


def _moment(raw: str) -> datetime | None:
    try:
        found = datetime.fromisoformat(raw)
    except ValueError:
        return None
    return found if found.tzinfo is not None else None


def _zone(name: str) -> str:
    return clock.zone_of(name).key
