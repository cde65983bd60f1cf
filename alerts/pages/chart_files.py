"""The windows of a chart as a file: everything that was decided and by which limits, and what late data made of it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from django.http import HttpResponseBase

from alerts.read.monitors import MonitorRow
from alerts.read.points import list_points
from traces.pages.export import download
from traces.pages_accounting import Window
from traces.read.asking import asking

PIECE = 2_000
NAMES = (
    "window_start", "window_end", "n", "n_eff", "value", "low", "high", "coverage", "phase", "state", "baseline_id",
    "z", "rule", "statistic", "limit_low", "limit_high", "shown_level", "shown_low", "shown_high", "crossed",
    "alarm_id", "revision", "revised_n", "revised_value", "decided_at",
)  # fmt: skip


def download_points(
    name: str, kind: str, monitor: MonitorRow, window: Window, *, is_head: bool
) -> HttpResponseBase:  # fmt: skip
    """Every window of the chart that begins in `window`, not thinned; Busy, TooSlow."""
    return download(name, kind, NAMES, iter(()) if is_head else _records(monitor, window), is_head=is_head)


def _records(monitor: MonitorRow, window: Window) -> Iterator[dict[str, Any]]:
    start = window.start_at
    while True:
        with asking():
            points = list_points(monitor.id, monitor.chart_no, start, window.end_at, limit=PIECE)
        for point in points:
            yield {
                "window_start": point.start_at, "window_end": point.end_at, "n": point.n, "n_eff": point.n_eff,
                "value": point.value, "low": point.low, "high": point.high, "coverage": point.coverage,
                "phase": point.phase, "state": point.state, "baseline_id": point.baseline_id, "z": point.z,
                "rule": point.rule or None, "statistic": point.statistic, "limit_low": point.limit_low,
                "limit_high": point.limit_high, "shown_level": point.shown_level, "shown_low": point.shown_low,
                "shown_high": point.shown_high, "crossed": point.crossed or None, "alarm_id": point.alarm_id,
                "revision": point.revision, "revised_n": point.revised_n, "revised_value": point.revised_value,
                "decided_at": point.decided_at,
            }  # fmt: skip
        if len(points) < PIECE:
            return
        start = points[-1].end_at
