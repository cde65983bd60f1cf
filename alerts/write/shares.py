"""Run lengths of monitors, as the alert budget gives them."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime

from django.db.models import Q, QuerySet

from alerts.models import Monitor
from alerts.monitors.states import Method
from telltale.lib.db import raw_cursor


def watched(project_id: int) -> QuerySet[Monitor]:
    """Monitors that were not put away, by id, with what the budget asks of them."""
    rows = Monitor.objects.filter(project_id=project_id, archived_at__isnull=True).order_by("pk")
    return rows.only("pk", "arl0", "updates_a_week", "weight", "is_paging", "method")


def sharing(project_id: int, now: datetime, methods: Collection[Method]) -> list[Monitor]:
    """Of those, the ones that take a share now: on, not muted, of these methods."""
    is_heard = Q(muted_until__isnull=True) | Q(muted_until__lte=now)
    return list(watched(project_id).filter(is_heard, is_on=True, method__in=[str(one) for one in methods]))


def put_arl0(changed: Sequence[tuple[int, float]]) -> None:
    """Set run lengths by monitor id. No chart moves: `version` stays, a round under way commits by what it read."""
    if not changed:
        return
    with raw_cursor() as cursor:
        cursor.execute(
            """
            UPDATE alerts_monitor AS m SET arl0 = c.arl0
            FROM unnest(%(keys)s::bigint[], %(lengths)s::double precision[]) AS c (id, arl0)
            WHERE m.id = c.id
            """,
            {"keys": [key for key, _ in changed], "lengths": [arl0 for _, arl0 in changed]},
        )


def unmuted_projects(now: datetime) -> list[int]:
    """Projects with a monitor whose mute has run out and is still written down."""
    rows = Monitor.objects.filter(muted_until__lte=now, archived_at__isnull=True)
    return list(rows.order_by("project_id").values_list("project_id", flat=True).distinct())


def forget_mutes(project_id: int, now: datetime) -> None:
    """Take mutes off that have run out."""
    Monitor.objects.filter(project_id=project_id, muted_until__lte=now).update(muted_until=None)


def with_other_limits(off_by: float, limit: int = 1_000) -> list[Monitor]:
    """Monitors whose limits in force are for another run length than they have now, the farthest off first."""
    with raw_cursor() as cursor:
        cursor.execute(
            """
            SELECT m.id
            FROM alerts_monitor AS m
            JOIN alerts_baseline AS b ON b.monitor_id = m.id AND b.state = 'in_force' AND b.chart_no = m.chart_no
            WHERE m.archived_at IS NULL AND m.is_on
              AND abs(ln(m.arl0 / b.arl0)) > ln(1 + %(off)s)
              AND (m.chart ->> 'no_limits_for' IS NULL
                   OR abs(ln(m.arl0 / (m.chart ->> 'no_limits_for')::double precision)) > ln(1 + %(off)s))
              AND (m.leased_until IS NULL OR m.leased_until < now())
            ORDER BY abs(ln(m.arl0 / b.arl0)) DESC, m.id LIMIT %(limit)s
            """,
            {"off": off_by, "limit": limit},
        )
        keys = [key for (key,) in cursor]
    found = {row.pk: row for row in Monitor.objects.filter(pk__in=keys)}
    return [found[key] for key in keys if key in found]
