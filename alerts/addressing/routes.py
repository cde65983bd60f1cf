"""Routes as people set them up: which transitions go to a channel, when, and to whom when nobody acknowledges."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import transaction
from django.http import HttpRequest

from alerts.addressing import NotThere, checks
from alerts.models import Channel, Route
from alerts.notices.settings import AFTER_LEAST, AFTER_MOST, ROUTES_MAX
from telltale.audit.log import record_in
from telltale.lib.faults import Fault, ItemRefused
from telltale.projects.models import Project

Told = Mapping[str, Any]
# Everything, always, at once.
DEFAULT: Told = {
    "severities": [], "features": [], "kinds": [], "hours": {}, "after_minutes": None, "is_on": True,
}  # fmt: skip
FIELDS = ("channel", *DEFAULT)


def add(project: Project, told: Told, *, request: HttpRequest | None = None, actor: str = "") -> int:
    """The id of a new route to the channel whose id is `channel`. ItemRefused."""
    fields, faults = _read(told)
    channel_id = checks.number("channel", told.get("channel"), 1, 2**63 - 1, faults)
    if faults:
        raise ItemRefused(*faults)
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).only("pk").get(pk=project.pk)
        channel = Channel.objects.filter(project=project, pk=channel_id, archived_at=None).first()
        if channel is None:
            raise ItemRefused(Fault("channel", "is no channel of this project", "the id of a channel", channel_id))
        if Route.objects.filter(project=project).count() >= ROUTES_MAX:
            raise ItemRefused(Fault("channel", "has one route too many in this project", f"{ROUTES_MAX} routes"))
        row = Route.objects.create(project=project, channel=channel, **{**DEFAULT, **fields})
        record_in(
            project, "route.add", f"route to {channel.name}", request=request, actor=actor, after=said(row)
        )  # fmt: skip
    return row.pk


def change(
    project: Project, route_id: int, told: Told, *, request: HttpRequest | None = None, actor: str = ""
) -> bool:  # fmt: skip
    """Change what is given of a route; whether anything changed. ItemRefused, NotThere."""
    fields, faults = _read(told)
    if "channel" in told:
        faults.append(Fault("channel", "cannot be changed", "another route to the other channel"))
    if faults:
        raise ItemRefused(*faults)
    with transaction.atomic():
        row = _locked(project, route_id)
        before = said(row)
        for name, value in fields.items():
            setattr(row, name, value)
        if said(row) == before:
            return False
        row.save()
        record_in(
            project, "route.change", f"route to {row.channel.name}", request=request, actor=actor, before=before,
            after=said(row),
        )  # fmt: skip
    return True


def remove(project: Project, route_id: int, *, request: HttpRequest | None = None, actor: str = "") -> None:
    """Remove a route; NotThere."""
    with transaction.atomic():
        row = _locked(project, route_id)
        record_in(
            project, "route.remove", f"route to {row.channel.name}", request=request, actor=actor, before=said(row)
        )  # fmt: skip
        row.delete()


def said(row: Route) -> dict[str, Any]:
    """A route as the audit log keeps it."""
    return {name: getattr(row, name) for name in DEFAULT}


def _read(told: Told) -> tuple[dict[str, Any], list[Fault]]:
    faults: list[Fault] = []
    checks.unknown(told, FIELDS, faults)
    found: dict[str, Any] = {}
    if "severities" in told:
        found["severities"] = checks.severities(told["severities"], faults)
    if "features" in told:
        found["features"] = checks.features(told["features"], faults)
    if "kinds" in told:
        found["kinds"] = checks.kinds(told["kinds"], faults)
    if "hours" in told:
        found["hours"] = checks.hours(told["hours"], faults)
    if "after_minutes" in told:
        after = told["after_minutes"]
        found["after_minutes"] = (
            None if after is None else checks.number("after_minutes", after, AFTER_LEAST, AFTER_MOST, faults)
        )
    if "is_on" in told:
        found["is_on"] = checks.flag("is_on", told["is_on"], faults)
    return found, faults


def _locked(project: Project, route_id: int) -> Route:
    rows = Route.objects.select_for_update(no_key=True, of=("self",)).select_related("channel")
    row = rows.filter(project=project, pk=route_id, channel__archived_at=None).first()
    if row is None:
        raise NotThere
    return row
