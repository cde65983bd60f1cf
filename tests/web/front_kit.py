"""Monitors with points and alarms as rows, as the overview reads them."""

from __future__ import annotations

from datetime import timedelta

from alerts.models import Alarm, Baseline, Monitor
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from tests.alerts.incident_kit import monitor_of

HOUR = timedelta(hours=1)


def watched(project, name="Errors", metric="errors", *, value=0.01, level=0.01, out=0, hours=30, **more):
    """A chart in control of `hours` hourly windows with value and limits; the last `out` of them are beyond."""
    standing = more.pop("standing", "alarmed" if out else "in_control")
    row = monitor_of(project, name, metric, **more)
    Monitor.objects.filter(pk=row.pk).update(
        standing=standing, standing_words="within its limits" if standing == "in_control" else "beyond its upper limit"
    )
    row.refresh_from_db()
    end = clock.now().replace(minute=0, second=0, microsecond=0)
    with raw_cursor() as cursor:
        for at in range(hours):
            is_out = at >= hours - out
            start = end - (hours - at) * HOUR
            cursor.execute(
                """
                INSERT INTO alerts_point (monitor_id, chart_no, start_at, end_at, project_id, n, value, phase,
                    shown_low, shown_high, shown_level, state, decided_at)
                VALUES (%s, 1, %s, %s, %s, 200, %s, 2, %s, %s, %s, %s, %s)
                """,
                [
                    row.pk, start, start + HOUR, project.pk, value if is_out else level, level * 0.5, level * 1.5,
                    value if is_out else level, "out" if is_out else "in_limits", start + HOUR,
                ],
            )  # fmt: skip
    return row


def alarm_at(monitor, *, out, hours=30, direction="up", **fields):
    """The open alarm of a chart whose last `out` windows are beyond."""
    end = clock.now().replace(minute=0, second=0, microsecond=0)
    start = end - out * HOUR
    baseline = Baseline.objects.create(
        project=monitor.project, monitor=monitor, chart_no=1, state="in_force", kind="share", n=1000, windows=20,
        start_at=end - hours * HOUR, end_at=start, arl0=1000.0, learned={},
    )  # fmt: skip
    return Alarm.objects.create(
        project=monitor.project, monitor=monitor, baseline_id=baseline.pk, chart_no=1, window_start=start,
        window_end=start + HOUR, direction=direction, rule="EWMA", severity=monitor.severity, is_page=True,
        found_at=clock.now(), **fields,
    )  # fmt: skip
