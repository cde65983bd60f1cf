"""What the engine writes: a chart with its points, alarms and baselines, all of a round or nothing of it.

A round reads a monitor with its `version` and commits by `UPDATE ... WHERE version = seen`: delivered twice, killed
anywhere, or overtaken by a person, it leaves either everything or nothing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.db.models import F

from alerts.charting.packing import pack
from alerts.charting.stored import to_json
from alerts.charting.types import Advanced, Chart, Decided, NewAlarm, NewBaseline
from alerts.models import Alarm, Baseline, Monitor
from telltale.lib.db import raw_cursor

# An alarm that is found later than this after its window pages nobody.
LATE_MOST = timedelta(days=1)
_CLAIM = """
    UPDATE alerts_monitor SET leased_until = now() + %(seconds)s * interval '1 second'
    WHERE id IN (
        SELECT id FROM alerts_monitor
        WHERE archived_at IS NULL AND is_on AND due_at <= %(now)s AND (leased_until IS NULL OR leased_until < now())
          AND (next_start < %(now)s - (definition ->> 'window_minutes')::integer * interval '50 minutes')
            = %(is_replaying)s
        ORDER BY due_at, id LIMIT %(limit)s FOR NO KEY UPDATE SKIP LOCKED
    )
    RETURNING id
"""
_MOVE = """
    UPDATE alerts_monitor SET chart = %(chart)s, standing = %(standing)s, standing_words = %(words)s,
        standing_since = %(since)s, next_start = %(next_start)s, decided_to = %(decided_to)s, due_at = %(due_at)s,
        leased_until = NULL, failures = 0, error = '', version = version + 1
    WHERE id = %(id)s AND version = %(version)s AND archived_at IS NULL AND is_on
"""
_POINT = """
    INSERT INTO alerts_point (
        monitor_id, chart_no, start_at, end_at, project_id, n, n_eff, value, low, high, coverage, phase, baseline_id, z,
        statistic, limit_low, limit_high, shown_low, shown_high, shown_level, rule, crossed, alarm_id, state, told,
        data, decided_at
    ) VALUES (
        %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s
    )
"""


@dataclass(frozen=True, slots=True)
class Round:
    """What one evaluation of a monitor came to. `next_start`: the first window not decided; `due_at`: when to look."""

    steps: Sequence[Advanced]
    chart: Chart
    next_start: datetime
    due_at: datetime
    now: datetime


def claim(now: datetime, *, seconds: float, limit: int, is_replaying: bool) -> list[Monitor]:
    """Up to `limit` monitors that are due and nobody holds, the longest due first, held for `seconds`.

    `is_replaying`: those that are over 50 windows behind, or those that watch.
    """
    with transaction.atomic(), raw_cursor() as cursor:
        cursor.execute(_CLAIM, {"seconds": seconds, "now": now, "limit": limit, "is_replaying": is_replaying})
        keys = [key for (key,) in cursor]
    return list(Monitor.objects.filter(pk__in=keys).order_by("due_at", "pk")) if keys else []


def commit(row: Monitor, done: Round) -> bool:
    """Everything a round came to; False, and nothing written, where the monitor moved meanwhile."""
    last = done.steps[-1].chart if done.steps else done.chart
    stored = {**row.chart, **to_json(done.chart)}
    if not done.chart.baseline_no:
        stored["baseline_id"] = None
    with transaction.atomic(), raw_cursor() as cursor:
        cursor.execute(
            _MOVE,
            {
                "id": row.pk,
                "version": row.version,
                "chart": json.dumps(stored),
                "standing": str(last.standing),
                "words": last.words[:400],
                "since": last.since or row.standing_since,
                "next_start": done.next_start,
                "decided_to": last.decided_to,
                "due_at": done.due_at,
            },
        )
        if not cursor.rowcount:
            return False
        numbers = _baselines(row, done)
        if any(step.baseline is not None for step in done.steps):
            stored["baseline_id"] = numbers.get(done.chart.baseline_no)
            Monitor.objects.filter(pk=row.pk).update(chart=stored)
        _points(row, done, numbers, _alarms(row, done, numbers))
    return True


def put_off(row: Monitor, due_at: datetime, *, error: str = "", is_broken: bool = False, now: datetime) -> bool:
    """Look at a monitor again at `due_at`; `error` why it could not be evaluated. False where it moved meanwhile."""
    fields: dict[str, Any] = {"due_at": due_at, "leased_until": None}
    if error:
        fields |= {"error": error[:400], "failures": F("failures") + 1}
    if is_broken:
        fields |= {"standing": "broken", "standing_words": error[:400]}
        if row.standing != "broken":
            fields["standing_since"] = now
    return bool(Monitor.objects.filter(pk=row.pk, version=row.version).update(**fields))


def stop_all(project_id: int) -> None:
    """Switch all monitors of a project off; rounds under way commit nothing."""
    Monitor.objects.filter(project_id=project_id).update(is_on=False, version=F("version") + 1)


def release_leases(monitor_ids: Sequence[int]) -> None:
    """Let go of claimed monitors: they are due as before."""
    Monitor.objects.filter(pk__in=monitor_ids).update(leased_until=None)


def put_chart(row: Monitor, chart: Chart, **fields: Any) -> bool:
    """Keep a chart that a person's act changed; False where the monitor moved meanwhile."""
    stored = {**row.chart, **to_json(chart), **fields.pop("beside", {})}
    return bool(
        Monitor.objects.filter(pk=row.pk, version=row.version).update(
            chart=stored,
            standing=str(chart.standing),
            standing_words=chart.words[:400],
            standing_since=chart.since or row.standing_since,
            version=F("version") + 1,
            **fields,
        )
    )


def put_beside(row: Monitor, **told: Any) -> bool:
    """Keep something beside a monitor's chart; False where the monitor moved meanwhile."""
    return bool(
        Monitor.objects.filter(pk=row.pk, version=row.version).update(
            chart={**row.chart, **told}, version=F("version") + 1
        )
    )


def insert_baseline(row: Monitor, made: NewBaseline, *, state: str, **fields: Any) -> int:
    """The id of a new baseline of a monitor's chart."""
    return Baseline.objects.create(
        project_id=row.project_id,
        monitor_id=row.pk,
        chart_no=row.chart_no,
        state=state,
        kind=made.learned.kind,
        start_at=made.start,
        end_at=made.end,
        n=made.n,
        windows=made.windows,
        arl0=made.learned.arl0,
        learned={"detector": made.learned.as_json(), "centre": made.centre},
        excluded=[at.isoformat() for at in made.excluded],
        reason=made.reason[:400],
        **fields,
    ).pk


def replace_in_force(monitor_id: int, until: datetime) -> None:
    """End the rule of the baseline in force: it judged no window from `until` on."""
    Baseline.objects.filter(monitor_id=monitor_id, state="in_force").update(state="replaced", in_force_to=until)


def _baselines(row: Monitor, done: Round) -> dict[int, int | None]:
    """Ids of baselines by their number in the chart, those made in this round inserted."""
    numbers: dict[int, int | None] = {0: None}
    before = row.chart.get("baseline_no", 0)
    if before:
        numbers[before] = row.chart.get("baseline_id")
    for step in done.steps:
        if step.baseline is None:
            continue
        at = step.point.window.end
        replace_in_force(row.pk, at)
        numbers[step.baseline.no] = insert_baseline(row, step.baseline, state="in_force", in_force_from=at)
    return numbers


def _alarms(row: Monitor, done: Round, numbers: Mapping[int, int | None]) -> dict[datetime, int]:
    """Ids of the alarms opened in this round by the start of their window; those that ended are ended."""
    opened: dict[datetime, int] = {}
    for step in done.steps:
        if step.ended:
            _end(row.pk, step.point.window.end)
        if step.alarm is not None:
            opened[step.alarm.window.start] = _open(row, step.alarm, step.point, numbers, done.now)
    return opened


def _end(monitor_id: int, at: datetime) -> None:
    Alarm.objects.filter(monitor_id=monitor_id, state__in=("open", "acknowledged")).update(state="ended", ended_at=at)


def _open(row: Monitor, alarm: NewAlarm, point: Decided, numbers: Mapping[int, int | None], now: datetime) -> int:
    is_muted = row.muted_until is not None and row.muted_until > now
    # Nobody is called for what could be told before the chart began, or is found a day late (switched on again, an
    # outage). A window that had ended, and waited for what comes late, is judged here first: nobody else tells of it.
    closed = alarm.window.end + timedelta(minutes=row.definition["lateness_minutes"])
    is_history = closed <= max(row.created_at, row.changed_at, now - LATE_MOST)
    return Alarm.objects.create(
        project_id=row.project_id,
        monitor_id=row.pk,
        baseline_id=numbers.get(point.baseline_no),
        chart_no=row.chart_no,
        window_start=alarm.window.start,
        window_end=alarm.window.end,
        direction=alarm.direction,
        rule=alarm.rule[:60],
        statistic=alarm.statistic,
        limit=alarm.limit,
        value=alarm.value,
        severity=alarm.severity,
        is_page=row.is_paging and not is_muted and not is_history,
        found_at=now,
        evidence=alarm.evidence,
    ).pk


def _points(row: Monitor, done: Round, numbers: Mapping[int, int | None], alarms: Mapping[datetime, int]) -> None:
    rows = [
        _columns(row, step.point, numbers.get(step.point.baseline_no), alarms.get(step.point.window.start), done.now)
        for step in done.steps
    ]
    if rows:
        with raw_cursor() as cursor:
            cursor.executemany(_POINT, rows)


def _columns(row: Monitor, point: Decided, baseline: int | None, alarm: int | None, now: datetime) -> tuple[Any, ...]:
    return (
        row.pk, row.chart_no, point.window.start, point.window.end, row.project_id, point.n, point.n_eff, point.value,
        point.low, point.high, point.coverage, int(point.phase), baseline, point.z, point.statistic, point.limit_low,
        point.limit_high, point.shown_low, point.shown_high, point.shown_level, point.rule, point.crossed, alarm,
        str(point.state), json.dumps(point.told) if point.told else None,
        None if point.data is None else pack(point.data), now,
    )  # fmt: skip
