"""Reading the audit log: of a project, of an organisation, or of the installation."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

from django.db.models import QuerySet

from telltale.audit.models import AuditEntry

PAGE_SIZE = 50
PIECE = 500


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which entries: of one project or one organisation (neither: of all), narrowed by what else is given.

    `action` is one act (`key.create`) or one kind (`key`); `start` is inclusive, `end` exclusive, both aware.
    """

    project_id: int | None = None
    organisation_id: int | None = None
    action: str = ""
    actor: str = ""
    target: str = ""
    outcome: str = ""
    start: datetime | None = None
    end: datetime | None = None


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
    project_id: int | None = None


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Some entries, newest first; `older` is the `before` of the next page, None at the end."""

    rows: tuple[AuditRow, ...]
    older: int | None


def find_entries(wanted: AuditFilter, *, before: int | None = None, size: int = PAGE_SIZE) -> AuditPage:
    """The entries `wanted`, newest first, older than entry `before`."""
    entries = _entries(wanted)
    if before is not None:
        entries = entries.filter(pk__lt=before)
    rows = [_row(entry) for entry in entries.order_by("-pk")[: size + 1]]
    return AuditPage(tuple(rows[:size]), rows[size - 1].id if len(rows) > size else None)


def each_entry(wanted: AuditFilter) -> Iterator[AuditRow]:
    """All entries `wanted`, newest first, read in pieces: as many as there are take no more memory than a few."""
    before: int | None = None
    while True:
        page = find_entries(wanted, before=before, size=PIECE)
        yield from page.rows
        if page.older is None:
            return
        before = page.older


def list_entries(
    project_id: int, *, action: str = "", actor: str = "", before: int | None = None, size: int = PAGE_SIZE
) -> AuditPage:
    """Entries of a project, of one action and actor where given, older than entry `before`."""
    return find_entries(AuditFilter(project_id, action=action, actor=actor), before=before, size=size)


def list_actions(wanted: AuditFilter) -> list[str]:
    """The acts there are entries of, whatever else `wanted` narrows."""
    everything = replace(wanted, action="", actor="", target="", outcome="", start=None, end=None)
    return sorted(_entries(everything).order_by().values_list("action", flat=True).distinct())


def _entries(wanted: AuditFilter) -> QuerySet[AuditEntry]:
    told: dict[str, Any] = {
        "project_id": wanted.project_id,
        "organisation_id": wanted.organisation_id,
        "at__gte": wanted.start,
        "at__lt": wanted.end,
        "outcome": wanted.outcome or None,
        "actor": wanted.actor or None,
        "target__icontains": wanted.target or None,
    }
    if wanted.action:
        told["action" if "." in wanted.action or wanted.action in ALONE else "action__startswith"] = (
            wanted.action if "." in wanted.action or wanted.action in ALONE else f"{wanted.action}."
        )
    return AuditEntry.objects.filter(**{name: value for name, value in told.items() if value is not None})


# Acts whose name is no kind of several.
ALONE = frozenset({"login", "logout", "access"})


def _row(entry: AuditEntry) -> AuditRow:
    before: dict[str, Any] = entry.before or {}
    after: dict[str, Any] = entry.after or {}
    names = dict.fromkeys([*before, *after])
    changes = tuple((name, _text(before.get(name)), _text(after.get(name))) for name in names)
    return AuditRow(
        id=entry.pk,
        at=entry.at,
        actor=entry.actor,
        action=entry.action,
        target=entry.target,
        outcome=entry.outcome,
        address=entry.address or "",
        changes=changes,
        project_id=entry.project_id,
    )


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, dict) or (isinstance(value, list) and any(isinstance(part, dict | list) for part in value)):
        return json.dumps(value, ensure_ascii=False)
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
