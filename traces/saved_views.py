"""Saved views: a list under a name, for oneself or for the project, and the one a person's list opens with.

Everybody who may read may keep private views. Engineers and above share; a shared view is changed by who made it or by
an admin. What is shared is in the audit log, with before and after.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import IntegrityError, connection, transaction
from django.db.models import Q
from django.http import Http404, HttpRequest

from telltale.accounts.models import User
from telltale.audit.log import record_in
from telltale.lib.sql import load
from telltale.projects.access import may, require
from telltale.projects.keys import KeyHolder
from telltale.projects.models import Project
from traces.canonical.text import clean_text
from traces.models import DefaultView, SavedView

PAGES = ("traces",)
NAME_MAX = 80
QUERY_MAX = 8000
# Of one person, and shared ones of a project: a menu is read by people.
VIEWS_MAX = 100
ID_MAX = 2**63 - 1


class ViewRefused(Exception):
    """A view that cannot be: which field, what is wrong, what is accepted."""

    def __init__(self, field: str, message: str, limit: str = "", value: str = "") -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message
        self.limit = limit
        self.value = value


@dataclass(frozen=True, slots=True)
class View:
    """A saved view as somebody sees it. `may_change`: theirs, or shared and theirs to manage."""

    id: int
    page: str
    name: str
    query: str
    is_shared: bool
    is_default: bool
    may_change: bool
    made_by: str
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks: a person, or a key of the project, which has no private views."""

    user_id: int | None
    name: str
    may_share: bool
    is_admin: bool


def asker_of(project: Project, person: User | None, holder: KeyHolder | None = None) -> Asker:
    """The asker that a person signed in, or the holder of a key, is."""
    if person is not None:
        return Asker(person.pk, person.name or person.email, may(project, "share"), may(project, "settings"))
    assert holder is not None  # noqa: S101 - one of the two asks
    return Asker(None, f"key {holder.key_id}", "write" in holder.scopes, "write" in holder.scopes)


def list_views(project: Project, asker: Asker, page: str = "traces") -> list[View]:
    """One's own views and the shared ones, by name; one query."""
    with connection.cursor() as cursor:
        cursor.execute(load("traces", "read_views"), {"project": project.pk, "page": page, "user": asker.user_id})
        return [_view(asker, *row) for row in cursor.fetchall()]


def get_view(project: Project, asker: Asker, view_id: int) -> View:
    """One view; Http404 where there is none that they may see."""
    held = _held(project, asker, view_id)
    is_default = DefaultView.objects.filter(view=held, user_id=asker.user_id or 0).exists()
    made_by = (held.owner.name or held.owner.email) if held.owner else ""
    return _view(
        asker, held.pk, held.page, held.name, held.query, held.is_shared, is_default, held.owner_id, made_by,
        held.updated_at,
    )  # fmt: skip


def save_view(
    project: Project, asker: Asker, name: str, query: str, *, is_shared: bool, page: str = "traces",
    request: HttpRequest | None = None,
) -> View:  # fmt: skip
    """Keep a new view. ViewRefused; RoleLacking where they may not share."""
    name, query = _checked(name, query, page)
    if is_shared:
        _require_share(project, asker)
    elif asker.user_id is None:
        raise ViewRefused("is_shared", "must be true: a key has no views of its own", "true")
    held = SavedView(project=project, owner_id=asker.user_id, page=page, name=name, query=query, is_shared=is_shared)
    with transaction.atomic():
        # Views are few, and made one by one: waiting here keeps the count right.
        Project.objects.select_for_update().only("pk").get(pk=project.pk)
        mine = Q(is_shared=True) if is_shared else Q(is_shared=False, owner_id=asker.user_id)
        if SavedView.objects.filter(mine, project=project, page=page).count() >= VIEWS_MAX:
            raise ViewRefused("name", "is one view too many", f"{VIEWS_MAX} views")
        _store(held)
        if is_shared:
            _audit("view.share", project, asker, held, None, _told(held), request)
    return get_view(project, asker, held.pk)


def change_view(
    project: Project, asker: Asker, view_id: int, *, name: str | None = None, query: str | None = None,
    is_shared: bool | None = None, request: HttpRequest | None = None,
) -> View:  # fmt: skip
    """Change what is given. ViewRefused, Http404; PermissionError where it is not theirs to change."""
    with transaction.atomic():
        held = _held(project, asker, view_id, lock=True)
        _require_own(asker, held)
        before = _told(held) if held.is_shared else None
        held.name, held.query = _checked(
            held.name if name is None else name, held.query if query is None else query, held.page
        )
        if is_shared is not None and is_shared != held.is_shared:
            _require_share(project, asker)
            if not is_shared and held.owner_id is None:
                raise ViewRefused("is_shared", "must be true: a view without an owner would be nobody's", "true")
            held.is_shared = is_shared
        _store(held)
        if not held.is_shared:
            # Others' lists open as before they chose what is no longer theirs to see.
            DefaultView.objects.filter(view=held).exclude(user_id=held.owner_id or 0).delete()
        after = _told(held) if held.is_shared else None
        if before != after:
            action = "view.share" if before is None else "view.unshare" if after is None else "view.change"
            _audit(action, project, asker, held, before, after, request)
    return get_view(project, asker, held.pk)


def delete_view(project: Project, asker: Asker, view_id: int, *, request: HttpRequest | None = None) -> None:
    """Remove a view, and it as anybody's default. Http404; PermissionError where it is not theirs to remove."""
    with transaction.atomic():
        held = _held(project, asker, view_id, lock=True)
        _require_own(asker, held)
        if held.is_shared:
            _audit("view.delete", project, asker, held, _told(held), None, request)
        held.delete()


def set_default(project: Project, user: User, view_id: int | None, page: str = "traces") -> None:
    """Let a person's list open with a view, or with everything (None). Http404 where they cannot see it."""
    if view_id is None:
        DefaultView.objects.filter(project=project, user=user, page=page).delete()
        return
    held = _held(project, asker_of(project, user), view_id)
    DefaultView.objects.update_or_create(project=project, user=user, page=held.page, defaults={"view": held})


def default_of(views: Sequence[View]) -> View | None:
    """The view that a person's list opens with, of all they have."""
    return next((view for view in views if view.is_default), None)


def _held(project: Project, asker: Asker, view_id: int, *, lock: bool = False) -> SavedView:
    if not 0 < view_id <= ID_MAX:
        raise Http404
    found = SavedView.objects.filter(project=project, pk=view_id)
    visible = Q(is_shared=True) | (Q(owner_id=asker.user_id) if asker.user_id is not None else Q(pk__in=[]))
    found = found.filter(visible)
    held = (found.select_for_update() if lock else found.select_related("owner")).first()
    if held is None:
        raise Http404
    return held


def _require_share(project: Project, asker: Asker) -> None:
    if asker.user_id is not None:
        require(project, "share")


def _require_own(asker: Asker, held: SavedView) -> None:
    if not _may_change(asker, held.owner_id, held.is_shared):
        raise PermissionError("A shared view is changed by who made it, or by an admin.")


def _may_change(asker: Asker, owner_id: int | None, is_shared: bool) -> bool:
    if owner_id is not None and owner_id == asker.user_id:
        return asker.may_share or not is_shared
    return is_shared and asker.is_admin


def _checked(name: str, query: str, page: str) -> tuple[str, str]:
    name, query = clean_text(" ".join(name.split())), query.strip().removeprefix("?")
    if page not in PAGES:
        raise ViewRefused("page", "has no views", ", ".join(PAGES), page[:40])
    if not name:
        raise ViewRefused("name", "needs a value", f"1 to {NAME_MAX} characters")
    if len(name) > NAME_MAX:
        raise ViewRefused("name", "is too long", f"{NAME_MAX} characters", f"{len(name)} characters")
    if len(query) > QUERY_MAX:
        raise ViewRefused("query", "is too long", f"{QUERY_MAX} characters", f"{len(query)} characters")
    return name, query


def _store(held: SavedView) -> None:
    try:
        with transaction.atomic():
            held.save()
    except IntegrityError:
        whose = "shared with the project" if held.is_shared else "of yours"
        raise ViewRefused("name", f"is taken by another view {whose}", "a name of its own", held.name) from None


def _view(
    asker: Asker, view_id: int, page: str, name: str, query: str, is_shared: bool, is_default: bool,
    owner_id: int | None, made_by: str, updated_at: datetime,
) -> View:  # fmt: skip
    may_change = _may_change(asker, owner_id, is_shared)
    return View(view_id, page, name, query, is_shared, is_default, may_change, made_by, updated_at)


def _told(held: SavedView) -> dict[str, Any]:
    return {"name": held.name, "query": held.query}


def _audit(
    action: str,
    project: Project,
    asker: Asker,
    held: SavedView,
    before: dict[str, Any] | None,
    after: dict[str, Any] | None,
    request: HttpRequest | None,
) -> None:
    actor = "" if asker.user_id is not None else asker.name
    record_in(project, action, f"view {held.name}", request=request, actor=actor, before=before, after=after)
