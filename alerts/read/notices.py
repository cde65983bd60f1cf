"""Channels, routes, silences and the log of deliveries, as pages and REST show them. Secrets are never among it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db.models import Count, Min, Q, QuerySet

from alerts.models import Attempt, Channel, Delivery, EngineState, NoticeSettings, Route, Silence, Transition
from alerts.notices.outgoing import ChannelKind
from alerts.notices.settings import GROUP_SECONDS, REPEAT_MINUTES
from alerts.read.monitors import _person
from telltale.lib import clock

WAITING, DELIVERED, FAILED, SILENCED, MUTED, DROPPED = (
    "waiting", "delivered", "failed", "silenced", "muted", "dropped",
)  # fmt: skip
STATES = (WAITING, DELIVERED, FAILED, SILENCED, MUTED, DROPPED)
PEOPLE = "people"


@dataclass(frozen=True, slots=True)
class RouteRow:
    """Which transitions go to a channel. Empty: all. `hours` {}: always. `after_minutes` None: at once."""

    id: int
    channel_id: int
    channel: str
    severities: tuple[int, ...]
    features: tuple[str, ...]
    kinds: tuple[str, ...]
    hours: Mapping[str, Any]
    after_minutes: int | None
    is_on: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ChannelRow:
    """A channel. `config`: what may be shown; `hint`: the end of its secret; `waiting`: messages not there yet."""

    id: int
    name: str
    kind: ChannelKind
    config: Mapping[str, Any]
    hint: str
    is_on: bool
    tested_at: datetime | None
    delivered_at: datetime | None
    failing_since: datetime | None
    error: str
    paused_until: datetime | None
    waiting: int
    created_by: str
    created_at: datetime
    archived_at: datetime | None
    routes: tuple[RouteRow, ...] = ()

    @property
    def state(self) -> str:
        """archived, off, failing, working, new (nothing was sent yet)."""
        if self.archived_at is not None:
            return "archived"
        if not self.is_on:
            return "off"
        if self.failing_since is not None:
            return "failing"
        return "working" if self.delivered_at is not None else "new"


@dataclass(frozen=True, slots=True)
class SilenceRow:
    """Nobody is told of what matches in [start_at, end_at), or until it was ended early."""

    id: int
    start_at: datetime
    end_at: datetime
    matches: Mapping[str, Any]
    reason: str
    created_by: str
    created_at: datetime
    ended_at: datetime | None

    def state(self, now: datetime) -> str:
        """ahead, on, over."""
        end = self.end_at if self.ended_at is None else min(self.ended_at, self.end_at)
        if now >= end:
            return "over"
        return "on" if now >= self.start_at else "ahead"


@dataclass(frozen=True, slots=True)
class SettingsRow:
    """How a project tells. `alive_hint` "": no address is pinged."""

    group_seconds: int = GROUP_SECONDS
    repeat_minutes: int | None = REPEAT_MINUTES
    alive_hint: str = ""
    alive_seconds: int = 60
    alive_at: datetime | None = None
    alive_error: str = ""


@dataclass(frozen=True, slots=True)
class AttemptRow:
    """One attempt of a delivery."""

    number: int
    at: datetime
    seconds: float
    status: int | None
    error: str


@dataclass(frozen=True, slots=True)
class DeliveryRow:
    """One message to one channel or person. `message` {}: not written yet. `to` "": nobody was to be told."""

    id: int
    transition_id: UUID
    kind: str
    key: str
    at: datetime
    severity: int | None
    incident_number: int | None
    incident_title: str
    channel_id: int | None
    channel_kind: str
    to: str
    state: str
    attempts: int
    next_at: datetime | None
    status: int | None
    error: str
    ref: str
    created_at: datetime
    ended_at: datetime | None
    message: Mapping[str, Any] = field(default_factory=dict)

    @property
    def headline(self) -> str:
        """What it says, once it was written."""
        return str(self.message.get("headline", ""))


def get_notice_settings(project_id: int) -> SettingsRow:
    """How a project tells; the defaults where nobody set anything. One query."""
    row = NoticeSettings.objects.filter(project_id=project_id).first()
    if row is None:
        return SettingsRow()
    return SettingsRow(
        row.group_seconds, row.repeat_minutes, "set" if row.alive_url else "", row.alive_seconds, row.alive_at,
        row.alive_error,
    )  # fmt: skip


def has_channel(project_id: int) -> bool:
    """Whether anybody can be told: a channel that is on. One query."""
    return Channel.objects.filter(project_id=project_id, is_on=True, archived_at=None).exists()


def list_channels(project_id: int, *, with_archived: bool = False) -> list[ChannelRow]:
    """The channels of a project by name, those put away last, each with its routes. Two queries."""
    rows = Channel.objects.filter(project_id=project_id)
    if not with_archived:
        rows = rows.filter(archived_at=None)
    rows = rows.select_related("created_by").annotate(
        waiting=Count("deliveries", filter=Q(deliveries__state=WAITING))
    )  # fmt: skip
    routes: dict[int, list[RouteRow]] = {}
    for route in list_routes(project_id):
        routes.setdefault(route.channel_id, []).append(route)
    found = [_channel(row, tuple(routes.get(row.pk, ()))) for row in rows]
    return sorted(found, key=lambda each: (each.archived_at is not None, each.name.casefold(), each.id))


def get_channel(project_id: int, channel_id: int) -> ChannelRow | None:
    """One channel of a project, archived ones too; None where there is none of this id."""
    return next((each for each in list_channels(project_id, with_archived=True) if each.id == channel_id), None)


def _channel(row: Channel, routes: tuple[RouteRow, ...]) -> ChannelRow:
    return ChannelRow(
        row.pk, row.name, ChannelKind(row.kind), row.config, row.hint, row.is_on, row.tested_at, row.delivered_at,
        row.failing_since, row.error, row.paused_until, getattr(row, "waiting", 0), _person(row.created_by),
        row.created_at, row.archived_at, routes,
    )  # fmt: skip


def list_routes(project_id: int) -> list[RouteRow]:
    """The routes to channels that are not put away, those that tell at once first. One query."""
    rows = Route.objects.filter(project_id=project_id, channel__archived_at=None).select_related("channel")
    found = [
        RouteRow(
            row.pk, row.channel_id, row.channel.name, tuple(row.severities), tuple(row.features), tuple(row.kinds),
            row.hours, row.after_minutes, row.is_on, row.created_at,
        )
        for row in rows
    ]  # fmt: skip
    return sorted(found, key=lambda each: (each.after_minutes or 0, each.id))


def get_route(project_id: int, route_id: int) -> RouteRow | None:
    """One route of a project; None where there is none of this id."""
    return next((each for each in list_routes(project_id) if each.id == route_id), None)


def list_silences(project_id: int, *, going: bool | None = None, limit: int = 200) -> list[SilenceRow]:
    """Silences, the last to end first; `going`: those alone that are on or ahead (or, False, over). One query."""
    rows = Silence.objects.filter(project_id=project_id).select_related("created_by")
    if going is not None:
        on = Q(end_at__gt=clock.now(), ended_at=None)
        rows = rows.filter(on) if going else rows.exclude(on)
    return [_silence(row) for row in rows.order_by("-end_at", "-pk")[:limit]]


def get_silence(project_id: int, silence_id: int) -> SilenceRow | None:
    """One silence of a project; None where there is none of this id."""
    row = Silence.objects.filter(project_id=project_id, pk=silence_id).select_related("created_by").first()
    return None if row is None else _silence(row)


def _silence(row: Silence) -> SilenceRow:
    return SilenceRow(
        row.pk, row.start_at, row.end_at, row.matches, row.reason, _person(row.created_by), row.created_at, row.ended_at
    )  # fmt: skip


def list_deliveries(
    project_id: int,
    *,
    states: Sequence[str] = (),
    kinds: Sequence[str] = (),
    channel_id: int | None = None,
    incident_number: int | None = None,
    start: datetime | None = None,
    end: datetime | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[DeliveryRow]:
    """The log of deliveries, newest first; `before`: the id of the last row of the page before. One query."""
    rows = Delivery.objects.filter(project_id=project_id)
    if states:
        rows = rows.filter(state__in=list(states))
    if kinds:
        rows = rows.filter(transition__kind__in=list(kinds))
    if channel_id is not None:
        rows = rows.filter(channel_id=channel_id)
    if incident_number is not None:
        rows = rows.filter(transition__incident__number=incident_number)
    if start is not None:
        rows = rows.filter(created_at__gte=start)
    if end is not None:
        rows = rows.filter(created_at__lt=end)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    return _deliveries(rows.order_by("-pk")[:limit])


def get_delivery(project_id: int, delivery_id: int) -> DeliveryRow | None:
    """One delivery of a project; None where there is none of this id."""
    found = _deliveries(Delivery.objects.filter(project_id=project_id, pk=delivery_id))
    return found[0] if found else None


def list_attempts(delivery_id: int) -> list[AttemptRow]:
    """The attempts of a delivery, the first first. One query."""
    rows = Attempt.objects.filter(delivery_id=delivery_id).order_by("number")
    return [AttemptRow(row.number, row.at, row.seconds, row.status, row.error) for row in rows]


def _deliveries(rows: QuerySet[Delivery]) -> list[DeliveryRow]:
    found = []
    for row in rows.select_related("transition__incident", "channel", "user"):
        told, incident = row.transition, row.transition.incident
        person = _person(row.user)
        found.append(
            DeliveryRow(
                row.pk, told.pk, told.kind, told.key, told.at, told.severity, incident.number if incident else None,
                incident.title if incident else "", row.channel_id,
                row.channel.kind if row.channel else PEOPLE if row.user_id else "",
                row.channel.name if row.channel else person, row.state, row.attempts,
                row.next_at if row.ended_at is None else None, row.status, row.error, row.ref, row.created_at,
                row.ended_at, row.message,
            )
        )  # fmt: skip
    return found


@dataclass(frozen=True, slots=True)
class Telling:
    """How telling goes in the whole installation: what waits, since when the oldest, what was given up in a day."""

    waiting: int
    oldest_seconds: float | None
    failed: int


@dataclass(frozen=True, slots=True)
class EngineRow:
    """Whether monitors are evaluated, as the watchdog last found: `stands_since` None, they are."""

    round_at: datetime | None = None
    stands_since: datetime | None = None
    words: str = ""


def read_telling(now: datetime) -> Telling:
    """How telling goes. One query."""
    day = now - timedelta(days=1)
    every = Delivery.objects.unscoped("how much work waits here, of every project")
    found = every.filter(Q(state=WAITING) | Q(state=FAILED, ended_at__gt=day)).aggregate(
        waiting=Count("pk", filter=Q(state=WAITING)),
        oldest=Min("created_at", filter=Q(state=WAITING)),
        failed=Count("pk", filter=Q(state=FAILED)),
    )
    oldest = found["oldest"]
    age = None if oldest is None else max((now - oldest).total_seconds(), 0.0)
    return Telling(found["waiting"], age, found["failed"])


def read_engine() -> EngineRow:
    """What the watchdog last found. One query."""
    row = EngineState.objects.filter(name="engine").first()
    return EngineRow() if row is None else EngineRow(row.round_at, row.stands_since, row.words)


def has_due_notices() -> bool:
    """Whether somebody is to be told something: cheap enough to be asked every second."""
    soon = clock.now() + timedelta(seconds=2)
    if Transition.objects.filter(routed_at=None, due_at__lte=soon).exists():
        return True
    return Delivery.objects.filter(state=WAITING, next_at__lte=soon).exists()
