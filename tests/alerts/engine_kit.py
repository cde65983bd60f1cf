"""Monitors with a made-up series: what each window holds follows from its start alone."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np

from alerts.models import Alarm, Baseline, Monitor
from alerts.monitors.definition import to_json
from alerts.monitors.types import BaselinePolicy, Definition, Reading, Share, Window
from telltale.lib.db import raw_cursor

MONDAY = datetime(2026, 3, 2, tzinfo=UTC)
HOUR = timedelta(hours=1)
DEFINITION = Definition("Errors", "errors", direction="up", baseline=BaselinePolicy(days=3))
Rate = Callable[[datetime], float | None]


def share_of(window: Window, rate: float | None, n: int = 300) -> Reading:
    """The reading of a window: drawn by its start, the same whenever and by whomever it is read."""
    if rate is None:
        return Reading(window, 0, None, None, lacking="nothing came")
    seed = int.from_bytes(hashlib.sha256(window.start.isoformat().encode()).digest()[:8], "big")
    k = int(np.random.default_rng(seed).binomial(n, rate))
    return Reading(window, n, k / n, Share(k, n))


def series(rate: Rate) -> Callable[..., list[Any]]:
    """In place of `read_many`: every monitor sees the same rates."""

    def read(project_id: int, zone: str, asked: Any, windows: Any) -> list[Any]:
        return [[share_of(window, rate(window.start)) for window in windows] for _ in asked]

    return read


def steps(*levels: tuple[int, float | None]) -> Rate:
    """Rates by the hour since MONDAY: (from this hour on, rate)."""

    def rate(at: datetime) -> float | None:
        hours = (at - MONDAY) / HOUR
        return [level for start, level in levels if start <= hours][-1]

    return rate


def make_monitor(project: Any, definition: Definition = DEFINITION, **fields: Any) -> Monitor:
    """A monitor whose history begins on MONDAY, made a year ago."""
    defaults = {
        "name": definition.name,
        "definition": to_json(definition),
        "metric": definition.metric,
        "method": str(definition.method),
        "severity": definition.severity,
        "is_paging": definition.is_paging,
        "updates_a_week": timedelta(days=7) / definition.window,
        "arl0": 2_000.0,
        "next_start": MONDAY,
        "due_at": MONDAY,
    }
    row = Monitor.objects.create(project=project, **(defaults | fields))
    Monitor.objects.filter(pk=row.pk).update(created_at=MONDAY - 365 * 24 * HOUR, changed_at=MONDAY - 365 * 24 * HOUR)
    row.refresh_from_db()
    return row


def everything(monitor_id: int) -> dict[str, Any]:
    """All that the engine wrote of a monitor, but for ids and the moments of writing."""
    with raw_cursor() as cursor:
        cursor.execute("SELECT * FROM alerts_point WHERE monitor_id = %s ORDER BY chart_no, start_at", [monitor_id])
        names = [column.name for column in cursor.description or ()]
        points = [dict(zip(names, row, strict=True)) for row in cursor]
    baselines = list(Baseline.objects.filter(monitor_id=monitor_id).order_by("pk"))
    alarms = list(Alarm.objects.filter(monitor_id=monitor_id).order_by("pk"))
    order = {one.pk: at for at, one in enumerate(baselines)} | {None: None}
    opened = {one.pk: at for at, one in enumerate(alarms)} | {None: None}
    for point in points:
        del point["decided_at"], point["monitor_id"]
        point["baseline_id"], point["alarm_id"] = order[point["baseline_id"]], opened[point["alarm_id"]]
    monitor = Monitor.objects.get(pk=monitor_id)
    chart = {**monitor.chart, "baseline_id": order[monitor.chart.get("baseline_id")]}
    return {
        "points": points,
        "baselines": [_plain(one, order) for one in baselines],
        "alarms": [_plain(one, order) for one in alarms],
        "monitor": (monitor.standing, monitor.standing_words, monitor.next_start, monitor.decided_to, chart),
    }


def _plain(row: Any, order: dict[int | None, int | None]) -> dict[str, Any]:
    # Whether it pages follows from when it was found.
    left_out = {"id", "_state", "monitor_id", "project_id", "created_at", "found_at", "is_page"}
    found = {name: value for name, value in vars(row).items() if name not in left_out}
    return found | ({"baseline_id": order[row.baseline_id]} if hasattr(row, "baseline_id") else {})
