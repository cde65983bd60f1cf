"""What may open or join incidents: alarms of monitors and of probes, flagged reviews, as the rule of grouping has it.

What is known of it now is kept with the member, so an incident reads the same when the monitor is renamed or the probe
is gone.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet

from alerts.incidents import scopes, wording
from alerts.incidents.grouping import Arrival
from alerts.incidents.types import GOING, Kind, State
from alerts.models import Alarm, Incident, IncidentMember
from evals.read import probe_alarms, review
from evals.read.probe_alarms import ProbeAlarmRow
from telltale.lib.db import raw_cursor
from telltale.lib.sql import load

# Alarms found longer ago were there before incidents were: they open none.
RECENT = timedelta(days=1)
# A notice is evidence of an incident there is; where there is none at once it waits for one to open.
FRESH = timedelta(seconds=30)
# How bad a provider's change of behaviour is taken to be: a probe says nothing of users.
PROBE_SEVERITY = 2
TAKEN_MOST = 1_000


def projects_with_arrivals(now: datetime) -> list[int]:
    """Projects with something that would open or join an incident. At most four queries, each over the newest."""
    found = set(_waiting(now).filter(is_page=True).values_list("project_id", flat=True).distinct()[:500])
    found |= {row.project_id for row in _waiting_probes(now)}
    going = Incident.objects.filter(project_id=OuterRef("project_id"), state__in=GOING)
    fresh = _waiting(now).filter(is_page=False, found_at__gt=now - FRESH).filter(Exists(going))
    return sorted(found | set(fresh.values_list("project_id", flat=True).distinct()[:500]))


def has_arrivals(now: datetime) -> bool:
    """Whether anything waits to be grouped. Two queries (three where probes alarmed today): asked every second."""
    with raw_cursor() as cursor:
        cursor.execute(load("alerts", "incident_waits"), {"since": now - RECENT, "fresh": now - FRESH})
        row = cursor.fetchone()
    return bool(row and row[0]) or bool(_waiting_probes(now))


def arrivals_of(project_id: int, now: datetime) -> list[Arrival]:
    """What no incident of a project has taken yet, at most TAKEN_MOST alarms, those that page first."""
    alarms = _alarms({"project": project_id, "ids": None, "since": now - RECENT, "limit": TAKEN_MOST})
    return [*alarms, *(_of_probe(row) for row in _waiting_probes(now) if row.project_id == project_id)]


def find_arrival(project_id: int, kind: Kind, ref: int) -> Arrival | None:
    """One alarm, alarm of a probe, or item of a review queue of a project, whenever it was; None: there is none."""
    if not 0 < ref < 2**63:
        return None
    if kind == Kind.ALARM:
        found = _alarms({"project": project_id, "ids": [ref], "since": None, "limit": 1})
        return found[0] if found else None
    if kind == Kind.PROBE:
        rows = probe_alarms.alarms_by_id([ref], project_id)
        return _of_probe(rows[0]) if rows else None
    if kind == Kind.REVIEW:
        return _of_review(project_id, ref)
    return None


def over_members(now: datetime) -> dict[int, list[tuple[int, datetime]]]:
    """Members that are over and do not say so yet: (id of the member, since when), by project. Two or three queries.

    Alarms that ended or were closed, and cost budgets whose period ended.
    """
    with raw_cursor() as cursor:
        cursor.execute(load("alerts", "incident_over"), {"now": now})
        over: list[tuple[int, int, datetime]] = cursor.fetchall()
    probes = list(
        IncidentMember.objects.filter(
            over_at=None, kind=Kind.PROBE, incident__state__in=(*GOING, State.RESOLVED)
        ).values_list("pk", "project_id", "ref")
    )
    closed = probe_alarms.closed_of([ref for _, _, ref in probes]) if probes else {}
    over += [(pk, project_id, closed[ref]) for pk, project_id, ref in probes if ref in closed]
    found: dict[int, list[tuple[int, datetime]]] = {}
    for pk, project_id, at in over:
        found.setdefault(project_id, []).append((pk, min(at, now)))
    return found


def _waiting(now: datetime) -> QuerySet[Alarm]:
    members = IncidentMember.objects.filter(project_id=OuterRef("project_id"), kind=Kind.ALARM, ref=OuterRef("pk"))
    return Alarm.objects.filter(found_at__gt=now - RECENT).exclude(Exists(members))


def _waiting_probes(now: datetime) -> list[ProbeAlarmRow]:
    ids = probe_alarms.recent_ids(now - RECENT)
    if not ids:
        return []
    taken = set(IncidentMember.objects.filter(kind=Kind.PROBE, ref__in=ids).values_list("ref", flat=True))
    left = [each for each in ids if each not in taken]
    return probe_alarms.alarms_by_id(left) if left else []


def _alarms(params: dict[str, Any]) -> list[Arrival]:
    with raw_cursor() as cursor:
        cursor.execute(load("alerts", "incident_arrivals"), params)
        rows = cursor.fetchall()
    return [_of_alarm(row) for row in rows]


def _of_alarm(row: Sequence[Any]) -> Arrival:
    (alarm_id, _project, monitor_id, start, end, direction, rule, value, severity, is_page, over_at, evidence, name,
     metric, scope, centre, n) = row  # fmt: skip
    changes = json.loads(evidence).get("changes") or []
    held = scopes.read(json.loads(scope or "{}"))
    facts = {
        "name": name,
        "metric": metric,
        "direction": direction,
        "rule": rule,
        "value": value,
        "before": centre,
        "n": n,
        "scope": scopes.as_json(held),
        "path": f"monitors/{monitor_id}/?alarm={alarm_id}#alarm",
        "window_start": start.isoformat(),
        "window_end": end.isoformat(),
        "says": wording.happened(rule, direction),
    }
    if changes:
        facts["change"] = changes[-1]
    return Arrival(
        Kind.ALARM, alarm_id, severity, is_page, start, end, metric=metric, direction=direction, monitor_id=monitor_id,
        scope=held, over_at=over_at, facts=facts,
    )  # fmt: skip


def _of_probe(row: ProbeAlarmRow) -> Arrival:
    facts = {
        "name": f"Probes {row.suite}",
        "says": f"found {row.model} to answer otherwise",
        "title": f"{row.model} answers otherwise: probes {row.suite}",
        "scope": {"model": [row.model]},
        "path": row.path,
        "window_start": row.run_at.isoformat(),
        "window_end": row.opened_at.isoformat(),
    }
    start = min(row.run_at, row.opened_at)
    return Arrival(
        Kind.PROBE, row.id, PROBE_SEVERITY, True, start, row.opened_at, scope={"model": (row.model,)},
        over_at=row.closed_at, facts=facts,
    )  # fmt: skip


def _of_review(project_id: int, item_id: int) -> Arrival | None:
    item = review.get_item(project_id, item_id)
    if item is None:
        return None
    scope = {"feature": (item.feature,)} if item.feature else {}
    facts = {
        "name": "A reviewed answer",
        "says": f"was flagged: {item.reason}" if item.reason else "was flagged",
        "title": f"Flagged answers{f' of {item.feature}' if item.feature else ''}",
        "scope": scopes.as_json(scope),
        "path": f"traces/{item.hex_id}/",
        "trace_id": item.hex_id,
        "span_id": item.span_id,
    }
    return Arrival(
        Kind.REVIEW, item.id, PROBE_SEVERITY, False, item.started_at, item.started_at, scope=scope, facts=facts
    )
