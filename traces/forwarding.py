"""The targets that a project's accepted spans are sent on to, as people set them up (traces.sending does the work)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import orjson
from django.db import IntegrityError, transaction
from django.http import HttpRequest

from telltale.audit.log import record
from telltale.lib import clock, egress, vault
from telltale.projects.models import Project
from traces.models import ForwardTarget
from traces.write import forwarding as write

PURPOSE = "forwarding"
TARGETS_MAX = 10
NAME_CHARS_MAX = 80
HEADERS_MAX = 20


class TargetRefused(Exception):
    """A target that cannot be: which field, what is wrong, what is accepted."""

    def __init__(self, field: str, message: str, limit: str = "") -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message
        self.limit = limit


@dataclass(frozen=True, slots=True)
class TargetView:
    """A target as pages and REST show it; header values are never among it."""

    id: int
    name: str
    url: str
    headers: Mapping[str, str]
    with_content: bool
    is_paused: bool
    state: str  # new, idle, sending, waiting, failing, paused
    queued_spans: int
    oldest_at: datetime | None
    sent_spans: int
    refused_spans: int
    dropped: Mapping[str, int]
    failures: int
    failing_since: datetime | None
    next_at: datetime | None
    last_error: str
    last_error_at: datetime | None
    last_sent_at: datetime | None
    created_at: datetime

    @property
    def dropped_spans(self) -> int:
        return sum(self.dropped.values())

    @property
    def lag_seconds(self) -> float | None:
        """How long the oldest waiting span has waited; None where none waits."""
        return None if self.oldest_at is None else max((clock.now() - self.oldest_at).total_seconds(), 0.0)


@dataclass(frozen=True, slots=True)
class Wanted:
    """A target as somebody wants it. `headers` None keeps those there are."""

    name: str
    url: str
    headers: Mapping[str, str] | None
    with_content: bool


def has_targets(project_id: int) -> bool:
    """Whether what the project accepts is sent on to somebody."""
    return ForwardTarget.objects.filter(project_id=project_id).exists()


def list_targets(project_id: int) -> list[TargetView]:
    """The targets of a project by name."""
    rows = list(ForwardTarget.objects.filter(project_id=project_id).order_by("name"))
    oldest = write.queue_state([row.pk for row in rows]) if rows else {}
    return [_view(row, oldest.get(row.pk)) for row in rows]


def get_target(project_id: int, target_id: int) -> TargetView | None:
    """One target of the project; None where it has none of this id."""
    return next((target for target in list_targets(project_id) if target.id == target_id), None)


def _view(row: ForwardTarget, oldest_at: datetime | None) -> TargetView:
    if row.paused_at is not None:
        state = "paused"
    elif row.failures:
        state = "failing" if row.failures > 2 else "waiting"
    elif oldest_at is not None:
        state = "sending"
    else:
        state = "idle" if row.last_sent_at else "new"
    return TargetView(
        id=row.pk,
        name=row.name,
        url=row.url,
        headers=dict(row.header_hints),
        with_content=row.with_content,
        is_paused=row.paused_at is not None,
        state=state,
        queued_spans=max(row.queued_spans, 0),
        oldest_at=oldest_at,
        sent_spans=row.sent_spans,
        refused_spans=row.refused_spans,
        dropped={str(reason): int(n) for reason, n in row.dropped.items()},
        failures=row.failures,
        failing_since=row.failing_since,
        next_at=row.next_at if row.failures else None,
        last_error=row.last_error,
        last_error_at=row.last_error_at,
        last_sent_at=row.last_sent_at,
        created_at=row.created_at,
    )


def add_target(
    project: Project, wanted: Wanted, *, by_id: int | None, request: HttpRequest | None = None
) -> TargetView:
    """Set up a target; spans accepted from about now on are sent to it. TargetRefused says what is wrong."""
    clean = _checked(wanted)
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        if ForwardTarget.objects.filter(project=project).count() >= TARGETS_MAX:
            raise TargetRefused("name", "is one too many", f"{TARGETS_MAX} targets in a project")
        headers = clean.headers or {}
        row = ForwardTarget(
            project=project,
            name=clean.name,
            url=clean.url,
            with_content=clean.with_content,
            created_by_id=by_id,
            **_sealed(headers),
        )
        _save(row)
        audit("forwarding.add", project, row, request, after=_told(row))
    return _view(row, None)


def change_target(
    project: Project, target_id: int, wanted: Wanted, *, request: HttpRequest | None = None
) -> TargetView | None:
    """Change a target; None where it is not there. Headers go only to the host they were entered for: another host
    without new headers has none."""
    clean = _checked(wanted)
    with transaction.atomic():
        row = _locked(project, target_id)
        if row is None:
            return None
        before = _told(row)
        is_elsewhere = egress.parse_url(row.url).origin != egress.parse_url(clean.url).origin
        row.name, row.url, row.with_content = clean.name, clean.url, clean.with_content
        headers = {} if is_elsewhere and clean.headers is None else clean.headers
        fields = ["name", "url", "with_content"]
        if headers is not None:
            row.sealed_headers, row.header_hints = _sealed(headers).values()
            fields += ["sealed_headers", "header_hints"]
        # What was wrong may be right now: try at once.
        row.failures, row.failing_since, row.next_at = 0, None, None
        _save(row, [*fields, "failures", "failing_since", "next_at"])
        if before != _told(row) or headers is not None:
            after = _told(row) | ({"headers_entered": True} if headers else {})
            audit("forwarding.change", project, row, request, before=before, after=after)
    return get_target(project.pk, target_id)


def pause_target(
    project: Project, target_id: int, *, is_paused: bool, request: HttpRequest | None = None
) -> TargetView | None:
    """Stop sending to a target, or go on; what is accepted meanwhile waits, within the bounds. None: not there."""
    with transaction.atomic():
        row = _locked(project, target_id)
        if row is None:
            return None
        if (row.paused_at is not None) != is_paused:
            row.paused_at = clock.now() if is_paused else None
            row.failures, row.failing_since, row.next_at = 0, None, None
            row.save(update_fields=["paused_at", "failures", "failing_since", "next_at"])
            audit("forwarding.pause" if is_paused else "forwarding.resume", project, row, request)
    return get_target(project.pk, target_id)


def remove_target(project: Project, target_id: int, *, request: HttpRequest | None = None) -> bool:
    """Remove a target with what waits for it; False where it is not there."""
    with transaction.atomic():
        row = _locked(project, target_id)
        if row is None:
            return False
        audit("forwarding.remove", project, row, request, before=_told(row) | {"waiting_spans": row.queued_spans})
        write.remove(row)
    return True


def _locked(project: Project, target_id: int) -> ForwardTarget | None:
    return ForwardTarget.objects.select_for_update(no_key=True).filter(project=project, pk=target_id).first()


def _save(row: ForwardTarget, fields: Sequence[str] | None = None) -> None:
    try:
        with transaction.atomic():
            row.save(update_fields=fields)
    except IntegrityError:
        raise TargetRefused("name", "is another target's name already") from None


def _checked(wanted: Wanted) -> Wanted:
    name = " ".join(wanted.name.split())
    if not name or not name.isprintable():
        raise TargetRefused("name", "is empty" if not name else "holds characters that cannot be seen")
    if len(name) > NAME_CHARS_MAX:
        raise TargetRefused("name", "is too long", f"{NAME_CHARS_MAX} characters")
    url = _endpoint(wanted.url.strip())
    if wanted.headers is not None:
        if len(wanted.headers) > HEADERS_MAX:
            raise TargetRefused("headers", "are too many", f"{HEADERS_MAX} headers")
        names = [header.lower() for header in wanted.headers]
        twice = next((header for header in wanted.headers if names.count(header.lower()) > 1), None)
        if twice is not None:
            raise TargetRefused("headers", f"{twice[:60]!r} is there twice: capitals make no other name")
        for header, value in wanted.headers.items():
            wrong = egress.check_header(header, value)
            if wrong:
                raise TargetRefused("headers", f"{header[:60]!r} {wrong}")
    return replace(wanted, name=name, url=url)


def _endpoint(url: str) -> str:
    """The address that requests go to: a bare host gets OTLP's own path."""
    try:
        place = egress.parse_url(url)
        if "?" in url or "#" in url:
            raise TargetRefused("url", "must have no query; put keys into a header")
        if place.path == "/":
            url = url.rstrip("/") + "/v1/traces"
        egress.check(url)
    except egress.Refused as refused:
        raise TargetRefused("url", str(refused)) from None
    return url


def _sealed(headers: Mapping[str, str]) -> dict[str, Any]:
    return {
        "sealed_headers": vault.seal(PURPOSE, orjson.dumps(dict(headers)).decode()) if headers else "",
        "header_hints": {name: vault.hint(value) for name, value in headers.items()},
    }


def _told(row: ForwardTarget) -> dict[str, Any]:
    """A target as the audit log keeps it: names of headers, never values."""
    return {"name": row.name, "url": row.url, "headers": sorted(row.header_hints), "with_content": row.with_content}


def audit(action: str, project: Project, row: ForwardTarget, request: HttpRequest | None, **more: Any) -> None:
    """Write down what somebody did with a target."""
    record(
        action,
        request=request,
        organisation_id=project.organisation_id,
        project_id=project.pk,
        target=row.name,
        **more,
    )
