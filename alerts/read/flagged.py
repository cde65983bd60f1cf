"""The responses an incident is about: which of a stretch are flagged, by the rule of the monitor that alarmed.

    by = flagging_of(project_id, incident_id)
    now = flagged_rows(by, by.start, by.end, limit=20, wanted=(True,), seed=7)
    before = flagged_rows(by, by.before_start, by.before_end, limit=20)

Triage deals of them, scope compares them with the rest. A handful of queries to find the rule, one for rows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from psycopg import sql

from alerts.models import Incident, IncidentMember
from alerts.monitors.definition import COMPOSITE
from alerts.monitors.types import Scope
from alerts.read.alarms import AlarmRow, list_alarms_by_id
from alerts.read.baselines import get_baseline
from alerts.read.flagged_rules import ANY_TROUBLE, LISTED, RULES, WHOLE
from alerts.read.flagged_sql import Flagging as Flagging
from alerts.read.flagged_sql import constant, rows_by
from alerts.read.flagged_told import TIMEOUT_MS, told_by
from alerts.read.monitors import MonitorRow, get_monitor
from alerts.read.series import metric_for
from alerts.read.series_sql import rows_of, template
from alerts.read.vectors import NoSuchField
from alerts.series.asked import SeriesFault as SeriesFault
from evals.read.review import get_item
from telltale.lib import clock
from traces.read.asking import TooSlow as TooSlow

# An incident that goes on for weeks is looked at by its last days, a baseline of weeks by those next to it.
STRETCH_MOST = timedelta(days=14)
BEFORE = timedelta(days=7)
_ALIKE, _BY_WEIGHT = sql.SQL("d.draw"), sql.SQL("-ln(d.draw) * d.pi")
_LISTED = sql.SQL("t.trace_id = ANY (%(ids)s::uuid[])")


@dataclass(frozen=True, slots=True)
class FlaggedRow:
    """One response: a trace, or a call of it. `pi`: the chance it had to be looked at by its judge or sample (0..1]."""

    trace_id: UUID
    span_id: int | None
    started_at: datetime
    is_flagged: bool
    pi: float


@dataclass(frozen=True, slots=True)
class Flagged:
    """Responses of a stretch: `n` in all, `flagged` of them, `share` of them weighted by 1 / pi (None: none came).

    `n_eff`: what the weights leave of n. `weight`, `weight_all`: the sums of 1 / pi of flagged ones, of all. `rows`:
    those picked, in a random order that the seed repeats.
    """

    start: datetime
    end: datetime
    n: int
    flagged: int
    share: float | None
    n_eff: float
    weight: float
    weight_all: float
    rows: tuple[FlaggedRow, ...]


def flagging_of(project_id: int, incident_id: int, *, now: datetime | None = None) -> Flagging:
    """The rule of the incident's leading alarm: the worst that may page and flags single responses, the oldest first.

    Incidents of reviews alone flag what was reviewed; those of a person or a budget whatever had an error.
    """
    incident = Incident.objects.get(project_id=project_id, pk=incident_id)
    members = list(IncidentMember.objects.filter(incident_id=incident_id).order_by("began_at", "pk"))
    moment = now or clock.now()
    start, end = _stretch(incident, members, moment)
    alarms = {each.id: each for each in list_alarms_by_id(project_id, [m.ref for m in members if m.kind == "alarm"])}
    told = sorted(
        (m for m in members if m.kind == "alarm" and m.ref in alarms),
        key=lambda m: (not m.is_page, m.severity, m.began_at, m.pk),
    )
    best: Flagging | None = None
    for member in told[:20]:
        found = _of_alarm(project_id, alarms[member.ref], start, end)
        if found is not None and not found.is_whole:
            return found
        best = best or found
    if best is not None:
        return best
    days = (start - BEFORE, start)
    reviewed = [m.ref for m in members if m.kind == "review"]
    if reviewed:
        items = [item for ref in reviewed[:100] if (item := get_item(project_id, ref)) is not None]
        ids = [item.trace_id for item in items]
        return Flagging(
            project_id, LISTED, "were reported", None, "", "", min([start, *(i.started_at for i in items)]), end, *days,
            params={"ids": ids}, flag=_LISTED, scope=_scope_of(incident),
        )  # fmt: skip
    return Flagging(
        project_id, ANY_TROUBLE, ANY_TROUBLE.words, None, "", "", start, end, *days,
        flag=constant(ANY_TROUBLE.flag), scope=_scope_of(incident),
    )  # fmt: skip


def flagged_rows(
    by: Flagging,
    start: datetime,
    end: datetime,
    limit: int,
    *,
    wanted: Sequence[bool] = (True, False),
    without: Iterable[UUID] = (),
    seed: int = 0,
    by_weight: bool = False,
    timeout_ms: int = TIMEOUT_MS,
) -> Flagged:
    """Responses that began in [start, end), at most `limit` of those `wanted`, drawn by `seed`; counts are of all.

    `by_weight`: each is drawn with a chance by its weight, so that the draw speaks for all traffic as it is; otherwise
    all alike, and rows have to be weighed by 1 / pi.
    TooSlow where the stretch holds more than can be looked at in time: take a shorter one. SeriesFault where the
    monitor's filter or judge is gone.
    """
    params = {
        "project_id": by.project_id, "start": start, "end": end, "limit": limit, "wanted": list(wanted),
        "without": list(without), "seed": seed,
    }  # fmt: skip
    rows, more = rows_by(by, start, end)
    query = template("flagged_pick", rows=rows, order=_BY_WEIGHT if by_weight else _ALIKE)
    found = rows_of(query, {**more, **params}, timeout_ms)
    n, flagged, w, w_flagged, w2 = found[0][:5]
    picked = tuple(FlaggedRow(*row[5:10]) for row in found if row[5] is not None)
    return Flagged(
        start, end, n, flagged, w_flagged / w if w else None, w * w / w2 if w2 else 0.0, w_flagged, w, picked
    )


def _stretch(incident: Incident, members: Sequence[IncidentMember], now: datetime) -> tuple[datetime, datetime]:
    start = min([incident.began_at, *(member.began_at for member in members)])
    end = incident.quiet_since or (incident.closed_at or now)
    end = max(min(end, now), start + timedelta(minutes=1))
    return max(start, end - STRETCH_MOST), end


def _scope_of(incident: Incident) -> Scope:
    told = {name: each if isinstance(each, list) else [each] for name, each in (incident.scope or {}).items()}
    text = str((told.pop("filter", None) or [""])[0] or "")
    return Scope(tuple((name, tuple(told[name])) for name in sorted(told)), text)


def _of_alarm(project_id: int, alarm: AlarmRow, start: datetime, end: datetime) -> Flagging | None:
    monitor = get_monitor(project_id, alarm.monitor_id)
    if monitor is not None and monitor.metric == COMPOSITE:
        monitor = _member_of(project_id, monitor, alarm)
    if monitor is None:
        return None
    before = _before(project_id, alarm if alarm.monitor_id == monitor.id else None, monitor, start)
    metric = metric_for(project_id, monitor.definition)
    plain = Flagging(
        project_id, WHOLE, WHOLE.words, monitor.id, monitor.name, monitor.metric, start, end, *before,
        definition=monitor.definition, flag=constant(WHOLE.flag), scope=monitor.definition.scope,
    )  # fmt: skip
    if metric is None:
        return plain
    try:
        return told_by(plain, metric, alarm.direction) or plain
    except (SeriesFault, NoSuchField, TooSlow):
        # What the monitor stood on is gone: all of the stretch are still there to look at.
        return plain


def _member_of(project_id: int, monitor: MonitorRow, alarm: AlarmRow) -> MonitorRow | None:
    """Of a composite, the member that moved first."""
    moved = sorted(alarm.evidence.get("members") or [], key=lambda each: each.get("at") or 0)
    composite = monitor.definition.composite
    ids = [each["monitor"] for each in moved] or [each.monitor_id for each in (composite.members if composite else ())]
    found = [get_monitor(project_id, each) for each in ids[:10]]
    known = [each for each in found if each is not None and each.metric != COMPOSITE]
    return next((each for each in known if each.metric in RULES), known[0] if known else None)


def _before(project_id: int, alarm: AlarmRow | None, monitor: MonitorRow, start: datetime) -> tuple[datetime, datetime]:
    key = (alarm.baseline_id if alarm is not None else None) or monitor.baseline_id
    baseline = get_baseline(project_id, key) if key is not None else None
    if baseline is None or baseline.start_at >= start:
        return start - BEFORE, start
    end = min(baseline.end_at, start)
    return max(baseline.start_at, end - BEFORE), end
