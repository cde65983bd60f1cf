"""The change log: taken in one by one, corrected and removed. What traces show is derived in `traces.sighting`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from django.db import transaction
from django.http import HttpRequest

from telltale.audit.log import record_in
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.lib.faults import Fault, ItemRefused
from telltale.projects.models import Project
from traces.changing.items import NAME_CHARS_MAX, NewChange, read_change
from traces.changing.kinds import Source
from traces.masks import mask_id, mask_text, mask_value
from traces.models import Change as Row
from traces.read.changelog import Change, get_change
from traces.write import changelog as write

ITEMS_MAX = 500
# Twenty deploys a day for seven years: a loop gone wrong stops here, and says so.
MASKED = ("name", "version", "previous", "service", "feature", "environment", "author", "note", "url")
CHANGES_MAX = 50_000
# What people may correct on a change that traces show: what they know of it, not what was seen.
BESIDE_DERIVED = ("author", "note", "url")


@dataclass(frozen=True, slots=True)
class By:
    """Who tells or changes something: a person by id, or a key; `name` stands as author where none is told."""

    id: int | None = None
    name: str = ""
    actor: str = ""
    request: HttpRequest | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one item: accepted (new), updated, unchanged, superseded (a later one has its id), rejected."""

    status: str
    id: int | None
    client_id: str
    faults: tuple[Fault, ...] = ()


class Gone(Exception):
    """The change is not there (any more)."""


def put_changes(project: Project, items: Sequence[Any], by: By, source: Source = Source.API) -> list[Result]:
    """Keep what can be kept of `items`, each an object of a request; a result for each, in their order. Committed.

    Of several with one `client_id` the last counts; one that is there already is replaced, so a request without an
    answer can be sent again.
    """
    now = clock.now()
    results: list[Result | None] = [None] * len(items)
    read: dict[int, NewChange] = {}
    for at, item in enumerate(items):
        try:
            change = read_change(item, now, source)
            change = _masked(project.pk, change)
            read[at] = change if change.author else replace(change, author=by.name[:NAME_CHARS_MAX])
        except ItemRefused as refused:
            results[at] = Result("rejected", None, _client_id(item), refused.faults)
    last = {change.client_id or at: at for at, change in read.items()}
    kept = sorted(last.values())
    done: dict[int, write.Put] = {}
    if kept:
        with transaction.atomic(), raw_cursor() as cursor:
            write.lock(cursor, project.pk)
            room = CHANGES_MAX - write.count_told(cursor, project.pk, CHANGES_MAX)
            if room >= len(kept):
                done = dict(zip(kept, write.put(cursor, project.pk, [read[at] for at in kept], by.id), strict=True))
    ids = {read[at].client_id: put.id for at, put in done.items()}
    for at, change in read.items():
        if not done:
            fault = Fault("item", "does not fit any more", f"{CHANGES_MAX} changes in a project")
            results[at] = Result("rejected", None, change.client_id, (fault,))
        elif at in done:
            results[at] = Result(done[at].status, done[at].id, change.client_id)
        else:
            results[at] = Result("superseded", ids[change.client_id], change.client_id)
    return [result for result in results if result is not None]


def _masked(project_id: int, change: NewChange) -> NewChange:
    """The change as the project may keep it. Its version, service, feature and environment meet those of traces."""
    texts: dict[str, Any] = {name: mask_text(project_id, getattr(change, name)) for name in MASKED}
    texts["client_id"] = mask_id(project_id, change.client_id)
    return replace(change, **texts, details=mask_value(project_id, change.details))


def edit_change(project: Project, change_id: int, told: Mapping[str, Any], by: By) -> Change:
    """Change what is given of a change, recorded in the audit log. Gone; ItemRefused naming what is wrong."""
    with transaction.atomic(), raw_cursor() as cursor:
        write.lock(cursor, project.pk)
        old = get_change(project.pk, change_id)
        if old is None:
            raise Gone
        if "source" in told:
            raise ItemRefused(Fault("source", "cannot be changed", old.source.value))
        if old.is_derived:
            own = sorted(name for name in told if name not in BESIDE_DERIVED)
            if own:
                said = "is what traces show"
                raise ItemRefused(*(Fault(name, said, ", ".join(BESIDE_DERIVED)) for name in own))
        whole = as_told(old)
        new = _masked(project.pk, read_change(whole | _given(told), clock.now(), old.source))
        if new.client_id != old.client_id:
            raise ItemRefused(Fault("client_id", "cannot be changed", "its own", new.client_id))
        values = {name: getattr(new, name) for name in whole if name not in {"client_id"}}
        before = {name: value for name, value in as_told(old).items() if name in values}
        row = Row.objects.get(pk=change_id, project_id=project.pk)
        for name, value in values.items():
            setattr(row, name, value)
        row.save(update_fields=[*values, "updated_at"])
        found = get_change(project.pk, change_id)
        assert found is not None  # noqa: S101 - saved a line above
        after = as_told(found)
        changed = [name for name in before if before[name] != after[name]]
        if changed:
            record_in(
                project, "change.edit", old.title, request=by.request, actor=by.actor,
                before={name: before[name] for name in changed}, after={name: after[name] for name in changed},
            )  # fmt: skip
    return found


def remove_change(project: Project, change_id: int, by: By) -> None:
    """Remove a change, recorded in the audit log. One that traces show stays hidden, or they would show it again.

    Gone where there is none.
    """
    with transaction.atomic(), raw_cursor() as cursor:
        write.lock(cursor, project.pk)
        old = get_change(project.pk, change_id)
        if old is None:
            raise Gone
        rows = Row.objects.filter(pk=change_id, project_id=project.pk, hidden_at=None)
        if old.is_derived:
            rows.update(hidden_at=clock.now())
        else:
            rows.delete()
        record_in(
            project, "change.remove", old.title, request=by.request, actor=by.actor, before=as_told(old), after=None
        )


def as_told(change: Change) -> dict[str, Any]:
    """A change as somebody would tell it; what is not known is left out."""
    whole = {
        "kind": change.kind.value,
        "at": change.at.isoformat(),
        "ended_at": change.ended_at.isoformat() if change.ended_at is not None else None,
        "details": dict(change.details),
    }
    names = (
        "name", "version", "previous", "service", "feature", "environment", "author", "note", "url", "client_id",
    )  # fmt: skip
    return whole | {name: getattr(change, name) for name in names}


def _given(told: Mapping[str, Any]) -> dict[str, Any]:
    """What is told of a change that is there: a release is its version, and without a time it keeps its own."""
    given = dict(told)
    if "release" in given and "version" not in given:
        given["version"] = given.pop("release")
    if given.get("at", "") is None:
        del given["at"]
    return given


def _client_id(item: Any) -> str:
    found = item.get("client_id") if isinstance(item, dict) else None
    return found[:NAME_CHARS_MAX] if isinstance(found, str) and found.isprintable() else ""
