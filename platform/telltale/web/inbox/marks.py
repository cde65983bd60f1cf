"""Reading and writing what people said of items that have no owner and no end of their own."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from django.db import transaction
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


def assign(
    project: Project, items: Iterable[Item], user: User, now: datetime, request: HttpRequest | None
) -> list[Item]:
    """Let somebody take items; those that were not theirs before."""
    taken = [item for item in items if item.owner_id != user.pk]
    return _put(project, "inbox.assign", taken, {"assignee": user, "assigned_at": now}, request, "", assignee=user.pk)


def dismiss(
    project: Project, items: Iterable[Item], user: User | None, now: datetime, request: HttpRequest | None, actor: str
) -> list[Item]:
    """Put items aside for everybody; those that were not yet."""
    gone = [item for item in items if not item.is_dismissed]
    fields = {"dismissed_by": user, "dismissed_at": now}
    return _put(project, "inbox.dismiss", gone, fields, request, actor, dismissed=True)


def undo(project: Project, items: Iterable[Item], request: HttpRequest | None, actor: str) -> list[Item]:
    """Take items back that were put aside; those that were."""
    back = [item for item in items if item.is_dismissed]
    fields = {"dismissed_by": None, "dismissed_at": None}
    return _put(project, "inbox.undo", back, fields, request, actor, dismissed=False)


def _put(
    project: Project,
    action: str,
    items: list[Item],
    fields: dict[str, Any],
    request: HttpRequest | None,
    actor: str,
    **after: object,
) -> list[Item]:
    """Keep the mark of each item, and say so in the audit log, in one transaction."""
    rows = [InboxMark(project=project, kind=item.kind.value, ref=item.ref, **fields) for item in items]
    with transaction.atomic():
        InboxMark.objects.bulk_create(
            rows, update_conflicts=True, unique_fields=["project", "kind", "ref"], update_fields=list(fields)
        )
        for item in items:
            record_in(project, action, f"inbox {item.key}", request=request, actor=actor, after=dict(after))
    return items
