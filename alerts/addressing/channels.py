"""Channels as people set them up. What lets one post there is sealed, never shown again, and never in the audit log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import orjson
from django.db import transaction
from django.http import HttpRequest

from alerts.addressing import NotThere, checks
from alerts.addressing.routes import DEFAULT
from alerts.delivering import PURPOSE
from alerts.models import Channel, Route
from alerts.notices import webhook
from alerts.notices.outgoing import ABOUT, ChannelKind
from alerts.notices.settings import CHANNELS_MAX, NAME_MAX
from alerts.write import notices as write
from telltale.audit.log import record_in
from telltale.lib import clock, egress, vault
from telltale.lib.faults import Fault, ItemRefused
from telltale.projects.models import Project

Told = Mapping[str, Any]
# Both keys of a webhook sign for so long after a new one was made.
ROTATION = timedelta(hours=24)
FIELDS = ("name", "kind", "to", "url", "key", "is_on", "with_route")
CHANGEABLE = ("name", "to", "url", "key", "is_on")


@dataclass(frozen=True, slots=True)
class Made:
    """A channel that was made. `signing_key`: of a webhook, shown this once."""

    id: int
    signing_key: str = ""


@dataclass(frozen=True, slots=True)
class _Place:
    """Where a channel posts to: what may be shown, what is sealed, and what is shown of that."""

    config: dict[str, Any]
    secret: dict[str, Any]
    hint: str


def add(
    project: Project, told: Told, *, by_id: int | None = None, request: HttpRequest | None = None, actor: str = ""
) -> Made:
    """Set up a channel, with a route that leads everything there at once unless `with_route` is false. ItemRefused."""
    faults: list[Fault] = []
    checks.unknown(told, FIELDS, faults)
    name = checks.name(told.get("name"), NAME_MAX, faults)
    kind = checks.one_of("kind", told.get("kind"), [each.value for each in ABOUT], faults)
    is_on = checks.flag("is_on", told.get("is_on", True), faults)
    with_route = checks.flag("with_route", told.get("with_route", True), faults)
    place = _place(ChannelKind(kind), told, None, faults) if kind else None
    if faults or place is None:
        raise ItemRefused(*faults)
    signing_key = ""
    if kind == ChannelKind.WEBHOOK:
        signing_key = webhook.make_key()
        place.secret["keys"] = [{"key": signing_key, "until": None}]
    with transaction.atomic():
        _queue(project)
        if Channel.objects.filter(project=project, archived_at=None).count() >= CHANNELS_MAX:
            raise ItemRefused(Fault("name", "is one channel too many: put another one away", f"{CHANNELS_MAX}"))
        _check_name(project, name, None)
        row = Channel.objects.create(
            project=project, name=name, kind=kind, config=place.config, secret=_seal(place.secret), hint=place.hint,
            is_on=is_on, created_by_id=by_id,
        )  # fmt: skip
        if with_route:
            Route.objects.create(project=project, channel=row, **DEFAULT)
        _record(project, "channel.add", row, request, actor, after=_said(row))
    return Made(row.pk, signing_key)


def change(
    project: Project, channel_id: int, told: Told, *, request: HttpRequest | None = None, actor: str = ""
) -> bool:
    """Change what is given of a channel; whether anything changed. What waits for it is tried at once.

    A key goes only to the host it was entered for: another host needs it again. ItemRefused, NotThere.
    """
    with transaction.atomic():
        _queue(project)
        row = _locked(project, channel_id)
        faults: list[Fault] = []
        checks.unknown(told, CHANGEABLE, faults)
        name = checks.name(told["name"], NAME_MAX, faults) if "name" in told else row.name
        is_on = checks.flag("is_on", told["is_on"], faults) if "is_on" in told else row.is_on
        place = None
        if any(field in told for field in ("to", "url", "key")):
            place = _place(ChannelKind(row.kind), told, row, faults)
        if faults:
            raise ItemRefused(*faults)
        _check_name(project, name, row.pk)
        before = _said(row)
        row.name, row.is_on = name, is_on
        if place is not None:
            row.config, row.secret, row.hint = place.config, _seal(place.secret), place.hint
            row.failing_since, row.error, row.paused_until = None, "", None
        after = _said(row) | ({"secret": "entered"} if "url" in told or "key" in told else {})
        if before == after:
            return False
        row.save()
        if not is_on:
            write.drop_waiting(row.pk, "The channel was switched off.", clock.now())
        else:
            write.hurry(row.pk, clock.now())
        _record(project, "channel.change", row, request, actor, before=before, after=after)
    return True


def rotate(project: Project, channel_id: int, *, request: HttpRequest | None = None, actor: str = "") -> str:
    """A new signing key of a webhook, shown this once; the old one signs beside it for a day. NotThere, ItemRefused."""
    with transaction.atomic():
        row = _locked(project, channel_id)
        if row.kind != ChannelKind.WEBHOOK:
            raise ItemRefused(Fault("kind", "has no signing key", "a webhook", row.kind))
        now, secret = clock.now(), _opened(row)
        signing_key = webhook.make_key()
        old = webhook.keys_in_force(secret, now)[:1]
        until = (now + ROTATION).isoformat()
        secret["keys"] = [{"key": signing_key, "until": None}, *({"key": each, "until": until} for each in old)]
        row.secret = _seal(secret)
        row.save(update_fields=["secret"])
        _record(project, "channel.rotate", row, request, actor)
    return signing_key


def archive(project: Project, channel_id: int, *, request: HttpRequest | None = None, actor: str = "") -> None:
    """Put a channel away: nothing goes there any more, its secret is forgotten, its log is kept. NotThere."""
    with transaction.atomic():
        _queue(project)
        row = _locked(project, channel_id)
        row.archived_at, row.secret, row.hint = clock.now(), "", ""
        row.save(update_fields=["archived_at", "secret", "hint"])
        row.routes.all().delete()
        write.drop_waiting(row.pk, "The channel was put away.", clock.now())
        _record(project, "channel.archive", row, request, actor, before=_said(row))


def _place(kind: ChannelKind, told: Told, row: Channel | None, faults: list[Fault]) -> _Place:
    """Where a channel of this kind posts to, by what was told and what is there; with faults it means nothing."""
    about = ABOUT[kind]
    wrong = [field for field in ("to", "url", "key") if field in told and field not in _wanted(kind)]
    faults += [Fault(field, "is of another kind of channel", f"fields of {about.label}") for field in wrong]
    if kind is ChannelKind.EMAIL:
        return _Place({"to": checks.addresses(told.get("to", row.config["to"] if row else None), faults)}, {}, "")
    if about.has_url:
        url = checks.address("url", told.get("url"), faults, is_secret=True)
        keys = {"keys": _opened_or_none(row).get("keys", [])} if row and kind is ChannelKind.WEBHOOK else {}
        return _Place({"host": _host(url)}, {"url": url, **keys}, vault.hint(url))
    default = row.config["url"] if row else about.hosts[0][1]
    url = checks.address("url", told.get("url") or default, faults)
    is_elsewhere = row is not None and _origin(url) != _origin(row.config["url"])
    if row is not None and "key" not in told:
        if is_elsewhere:
            faults.append(Fault("key", "was entered for another host; enter it again", "the key of the integration"))
            return _Place({}, {}, "")
        return _Place({"url": url}, _opened_or_none(row), row.hint)
    key = checks.key(told.get("key"), faults)
    return _Place({"url": url}, {"key": key}, vault.hint(key))


def _wanted(kind: ChannelKind) -> tuple[str, ...]:
    return ("to",) if kind is ChannelKind.EMAIL else ("url", "key") if ABOUT[kind].has_key else ("url",)


def _origin(url: str) -> tuple[str, str, int] | None:
    try:
        return egress.parse_url(url).origin
    except egress.Refused:
        return None


def _host(url: str) -> str:
    found = _origin(url)
    return found[1] if found else ""


def _seal(secret: Mapping[str, Any]) -> str:
    return vault.seal(PURPOSE, orjson.dumps(dict(secret)).decode()) if secret else ""


def _opened(row: Channel) -> dict[str, Any]:
    """The channel's secret; ItemRefused where it cannot be opened any more."""
    try:
        found: dict[str, Any] = orjson.loads(vault.unseal(PURPOSE, row.secret)) if row.secret else {}
    except vault.Sealed:
        told = "cannot be opened: the installation’s key changed; enter the address again"
        raise ItemRefused(Fault("url", told, "https://…")) from None
    return found


def _opened_or_none(row: Channel) -> dict[str, Any]:
    try:
        return _opened(row)
    except ItemRefused:
        return {}


def _said(row: Channel) -> dict[str, Any]:
    """A channel as the audit log keeps it: no secret, not even its hint."""
    return {"name": row.name, "kind": row.kind, "config": dict(row.config), "is_on": row.is_on}


def _locked(project: Project, channel_id: int) -> Channel:
    rows = Channel.objects.select_for_update(no_key=True).filter(project=project, pk=channel_id, archived_at=None)
    row = rows.first()
    if row is None:
        raise NotThere
    return row


def _queue(project: Project) -> None:
    """Wait for whoever changes channels of the project: names and their number stay right."""
    Project.objects.select_for_update(no_key=True).only("pk").get(pk=project.pk)


def _check_name(project: Project, name: str, own: int | None) -> None:
    held = Channel.objects.filter(project=project, name=name, archived_at=None)
    if held.exclude(pk=own or 0).exists():
        raise ItemRefused(Fault("name", "is another channel’s already", "a name of its own", name))


def _record(
    project: Project, action: str, row: Channel, request: HttpRequest | None, actor: str, **more: Any
) -> None:  # fmt: skip
    record_in(project, action, f"channel {row.name}", request=request, actor=actor, **more)
