"""Rows of monitors as people make and change them. Each change moves `version`: a round under way commits nothing."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from django.db.models import F

from alerts.models import Alarm, Budget, Monitor
from alerts.monitors.definition import to_json
from alerts.monitors.types import Definition

WEEK = timedelta(days=7)


def updates_a_week(definition: Definition) -> float:
    """Points a week of a chart: the windows of a week."""
    return WEEK / definition.window


def insert(
    project_id: int, definition: Definition, *, arl0: float, next_start: datetime, now: datetime, by_id: int | None
) -> int:
    """The id of a new monitor, due at once. IntegrityError where the name is taken."""
    made = Monitor.objects.create(
        project_id=project_id, name=definition.name, definition=to_json(definition), **_copies(definition),
        arl0=arl0, next_start=next_start, due_at=now, changed_at=now, created_by_id=by_id,
    )  # fmt: skip
    return made.pk


def lock(project_id: int, monitor_id: int) -> Monitor | None:
    """The monitor, held until the transaction ends; None where there is none."""
    return Monitor.objects.select_for_update(no_key=True).filter(project_id=project_id, pk=monitor_id).first()


def put_definition(
    held: Monitor, definition: Definition, *, is_same_chart: bool, next_start: datetime, now: datetime
) -> None:
    """Keep another definition of a locked monitor. Another chart begins from nothing at `next_start`, due at once."""
    fields: dict[str, Any] = {"name": definition.name, "definition": to_json(definition), **_copies(definition)}
    if not is_same_chart:
        fields |= _new_chart(held, next_start, now)
        end_alarms([held.pk], now)
    _update(held, revision=held.revision + 1, **fields)


def begin_again(held: Monitor, *, next_start: datetime, now: datetime) -> None:
    """Begin the chart of a locked monitor anew; its alarms end, its points stay under their number."""
    end_alarms([held.pk], now)
    _update(held, **_new_chart(held, next_start, now))


def put(held: Monitor, **fields: Any) -> None:
    """Set columns of a locked monitor that its chart does not stand on."""
    _update(held, **fields)


def end_alarms(monitor_ids: Sequence[int], now: datetime) -> int:
    """End the alarms that are still open: what they are about is charted no longer; how many."""
    return Alarm.objects.filter(monitor_id__in=monitor_ids, state__in=("open", "acknowledged")).update(
        state="ended", ended_at=now
    )


def put_budget(project_id: int, by_id: int | None, now: datetime, **fields: Any) -> None:
    """Set what is given of the project's alert budget."""
    Budget.objects.update_or_create(
        project_id=project_id, defaults={**fields, "changed_by_id": by_id, "changed_at": now}
    )


def _copies(definition: Definition) -> dict[str, Any]:
    return {
        "metric": definition.metric,
        "method": definition.method.value,
        "severity": definition.severity,
        "is_paging": definition.is_paging,
        "weight": definition.weight,
        "updates_a_week": updates_a_week(definition),
    }


def _new_chart(held: Monitor, next_start: datetime, now: datetime) -> dict[str, Any]:
    return {
        "chart_no": held.chart_no + 1,
        "chart": {},
        "standing": "learning",
        "standing_words": "",
        "standing_since": now,
        "next_start": next_start,
        "decided_to": None,
        "due_at": now,
        "failures": 0,
        "error": "",
        "changed_at": now,
    }


def _update(held: Monitor, **fields: Any) -> None:
    Monitor.objects.filter(pk=held.pk).update(version=F("version") + 1, **fields)
    for name, value in fields.items():
        setattr(held, name, value)
