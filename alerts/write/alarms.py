"""Rows of alarms as people change them."""

from __future__ import annotations

from typing import Any

from alerts.models import Alarm


def lock(alarm_id: int) -> Alarm:
    """The alarm, held until the transaction ends."""
    return Alarm.objects.select_for_update(no_key=True).get(pk=alarm_id)


def put(held: Alarm, **fields: Any) -> None:
    """Set columns of a locked alarm."""
    for name, value in fields.items():
        setattr(held, name, value)
    held.save(update_fields=list(fields))
