"""Reading and writing what people said of items that have no owner and no end of their own."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from django.http import HttpRequest

from telltale.accounts.models import User
from telltale.audit.log import record_in
from telltale.projects.models import Project
from telltale.web.inbox.items import Item, Mark
from telltale.web.models import InboxMark

# Marks of things long gone are left behind by the thousand newest.
READ_MOST = 5_000


def read_marks(project_id: int) -> dict[tuple[str, str], Mark]:
    """What people said, by kind and ref. One query."""
    rows = (
        InboxMark.objects.filter(project_id=project_id)
        .order_by("-pk")
        .values_list(
            "kind", "ref", "assignee_id", "assignee__name", "assignee__email", "dismissed_at", "dismissed_by__name",
            "dismissed_by__email",
        )[:READ_MOST]
    )  # fmt: skip
    return {
        (kind, ref): Mark(owner, name or email or "", at, by_name or by_email or "")
        for kind, ref, owner, name, email, at, by_name, by_email in rows
    }


def assign(project: Project, items: Iterable[Item], user: User, now: datetime, request: HttpRequest | None) -> int:
    """Let somebody take items; how many were not theirs before."""
    taken = [item for item in items if item.owner_id != user.pk]
    _put(project, taken, {"assignee": user, "assigned_at": now})
    return _told(project, "inbox.assign", taken, {"assignee": user.pk}, request)


def dismiss(
    project: Project, items: Iterable[Item], user: User | None, now: datetime, request: HttpRequest | None
) -> int:
    """Put items aside for everybody; how many were not yet."""
    gone = [item for item in items if not item.is_dismissed]
    _put(project, gone, {"dismissed_by": user, "dismissed_at": now})
    return _told(project, "inbox.dismiss", gone, {"dismissed": True}, request)


def undo(project: Project, items: Iterable[Item], request: HttpRequest | None) -> int:
    """Take items back that were put aside; how many were."""
    back = [item for item in items if item.is_dismissed]
    _put(project, back, {"dismissed_by": None, "dismissed_at": None})
    return _told(project, "inbox.undo", back, {"dismissed": False}, request)


def _put(project: Project, items: list[Item], fields: dict[str, object]) -> None:
    rows = [InboxMark(project=project, kind=item.kind.value, ref=item.ref, **fields) for item in items]
    InboxMark.objects.bulk_create(
        rows, update_conflicts=True, unique_fields=["project", "kind", "ref"], update_fields=list(fields)
    )


def _told(
    project: Project, action: str, items: list[Item], after: dict[str, object], request: HttpRequest | None
) -> int:
    for item in items:
        record_in(project, action, f"inbox {item.key}"[:200], request=request, after=after)
    return len(items)
