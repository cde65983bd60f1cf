"""Reading the audit log."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from telltale.audit.models import AuditEntry

PAGE_SIZE = 50


@dataclass(frozen=True, slots=True)
class AuditRow:
    """One act as it is shown. `changes` are (name, before, after) of what differed."""

    id: int
    at: datetime
    actor: str
    action: str
    target: str
    outcome: str
    address: str
    changes: tuple[tuple[str, str, str], ...]


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Some entries, newest first; `older` is the `before` of the next page, None at the end."""

    rows: tuple[AuditRow, ...]
    older: int | None


def list_entries(
    project_id: int, *, action: str = "", actor: str = "", before: int | None = None, size: int = PAGE_SIZE
) -> AuditPage:
    """Entries of a project, of one action and actor where given, older than entry `before`."""
    entries = AuditEntry.objects.filter(project_id=project_id)
    if action:
        entries = entries.filter(action=action)
    if actor:
        entries = entries.filter(actor=actor)
    if before is not None:
        entries = entries.filter(pk__lt=before)
    rows = [_row(entry) for entry in entries.order_by("-pk")[: size + 1]]
    return AuditPage(tuple(rows[:size]), rows[size - 1].id if len(rows) > size else None)


def list_actions(project_id: int) -> list[str]:
    """The actions there are entries of."""
    found = AuditEntry.objects.filter(project_id=project_id).values_list("action", flat=True).distinct()
    return sorted(found)


def _row(entry: AuditEntry) -> AuditRow:
    before: dict[str, Any] = entry.before or {}
    after: dict[str, Any] = entry.after or {}
    names = dict.fromkeys([*before, *after])
    changes = tuple((name, _text(before.get(name)), _text(after.get(name))) for name in names)
    return AuditRow(
        entry.pk, entry.at, entry.actor, entry.action, entry.target, entry.outcome, entry.address or "", changes
    )


def _text(value: object) -> str:
    if value is None:
        return ""
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
