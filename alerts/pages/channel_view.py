"""Channels, routes, silences and deliveries in words. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alerts.notices.outgoing import ABOUT, ChannelKind
from alerts.notices.transitions import Kind
from alerts.read.notices import ChannelRow, DeliveryRow, RouteRow, SilenceRow
from telltale.lib.faults import Fault

# State -> (ribbon, word)
CHANNEL_STATES = {
    "new": ("none", "Nothing sent yet"),
    "working": ("ok", "Working"),
    "failing": ("bad", "Failing"),
    "off": ("none", "Off"),
    "archived": ("none", "Put away"),
}
DELIVERY_STATES = {
    "waiting": ("watch", "Waiting"),
    "delivered": ("ok", "Delivered"),
    "failed": ("bad", "Given up"),
    "silenced": ("none", "Silenced"),
    "muted": ("none", "Muted"),
    "dropped": ("none", "Not sent"),
}
SILENCE_STATES = {"on": ("watch", "On"), "ahead": ("none", "Ahead"), "over": ("none", "Over")}
KINDS = {
    Kind.OPENED: "Opened",
    Kind.WORSE: "Got worse",
    Kind.ACKNOWLEDGED: "Acknowledged",
    Kind.OVERDUE: "Step overdue",
    Kind.UNACKNOWLEDGED: "Nobody acknowledged",
    Kind.REOPENED: "Opened again",
    Kind.RECOVERED: "Back within limits",
    Kind.RESOLVED: "Resolved",
    Kind.REPEAT: "Reminder",
    Kind.ENGINE_STANDS: "Engine stands",
    Kind.ENGINE_RUNS: "Engine runs again",
    Kind.BUDGET: "Cost budget",
    Kind.TEST: "Test",
}
DAYS = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")


@dataclass(frozen=True, slots=True)
class RouteLine:
    """A route as the card of its channel has it."""

    id: int
    what: str
    when: str
    is_on: bool


@dataclass(frozen=True, slots=True)
class Card:
    """A channel as the list has it."""

    channel: ChannelRow
    kind: str
    ribbon: str
    word: str
    where: str
    routes: tuple[RouteLine, ...]
    signs: bool


@dataclass(frozen=True, slots=True)
class DeliveryLine:
    """A delivery as the log has it."""

    delivery: DeliveryRow
    what: str
    ribbon: str
    word: str
    severity: str
    may_retry: bool

    @property
    def says(self) -> str:
        """What it says, or what it is about while it is not written."""
        row = self.delivery
        return row.headline or (f"INC-{row.incident_number} {row.incident_title}" if row.incident_number else self.what)


@dataclass(frozen=True, slots=True)
class SilenceLine:
    """A silence as the list has it."""

    silence: SilenceRow
    what: str
    ribbon: str
    word: str
    is_over: bool


def card(row: ChannelRow, *, mail_leaves: bool = True) -> Card:
    """A channel with the words for its state. `mail_leaves`: the installation has a mail server."""
    ribbon, word = CHANNEL_STATES[row.state]
    if row.kind is ChannelKind.EMAIL and not mail_leaves and row.state in {"new", "working"}:
        ribbon, word = "watch", "No mail server"
    routes = tuple(RouteLine(each.id, what_words(each), when_words(each), each.is_on) for each in row.routes)
    is_webhook = row.kind is ChannelKind.WEBHOOK
    return Card(row, ABOUT[row.kind].label, ribbon, word, where(row), routes, is_webhook)


def where(row: ChannelRow) -> str:
    """Where messages go, as far as it may be shown: "hooks.slack.com, ends in …aB3d"."""
    if row.kind is ChannelKind.EMAIL:
        return ", ".join(row.config.get("to", ()))
    place = row.config.get("host") or row.config.get("url") or "unknown"
    return f"{place}, ends in {row.hint}" if len(row.hint) > 1 else str(place)


def what_words(row: RouteRow) -> str:
    """What a route takes: "P0 and P1 of returns", "everything"."""
    parts = []
    if row.severities:
        parts.append(" and ".join(f"P{each}" for each in row.severities))
    if row.features:
        shown = ", ".join(row.features[:3])
        more = len(row.features) - 3
        parts.append(f"of {shown}{f' and {more} more' if more > 0 else ''}")
    if row.kinds:
        parts.append(f"({', '.join(KINDS[Kind(each)].lower() for each in row.kinds)})")
    return " ".join(parts) or "Everything"


def when_words(row: RouteRow) -> str:
    """When a route tells: "at once", "Mon–Fri 09:00–18:00, after 15 min without acknowledgement"."""
    parts = [hours_words(row.hours)] if row.hours else []
    parts.append("at once" if row.after_minutes is None else f"when nobody acknowledged for {row.after_minutes} min")
    return ", ".join(parts)


def hours_words(hours: Mapping[str, Any]) -> str:
    """Hours of a week: "Mon–Fri 09:00–18:00"."""
    return f"{days_words(hours.get('days') or range(1, 8))} {hours['start']}–{hours['end']}"


def days_words(days: Sequence[int] | range) -> str:
    """Days of the week: "Mon–Fri", "Sat, Sun", "every day"."""
    told = sorted(set(days))
    if len(told) == 7:
        return "every day"
    if len(told) > 2 and told == list(range(told[0], told[-1] + 1)):
        return f"{DAYS[told[0] - 1]}–{DAYS[told[-1] - 1]}"
    return ", ".join(DAYS[day - 1] for day in told)


def delivery(row: DeliveryRow) -> DeliveryLine:
    """A delivery with the words for its state."""
    ribbon, word = DELIVERY_STATES[row.state]
    if row.state == "waiting" and row.attempts:
        word = "Trying again"
    if row.state == "delivered" and row.ref.startswith("file "):
        ribbon, word = "watch", "Written to a file"
    may_retry = row.state in {"waiting", "failed"} and bool(row.to)
    severity = "" if row.severity is None else f"p{row.severity}"
    return DeliveryLine(row, KINDS[Kind(row.kind)], ribbon, word, severity, may_retry)


def silence(row: SilenceRow, state: str, names: Mapping[int, str]) -> SilenceLine:
    """A silence with the words for what it matches. `names`: of monitors."""
    ribbon, word = SILENCE_STATES[state]
    parts = []
    if severities := row.matches.get("severities"):
        parts.append(" and ".join(f"P{each}" for each in severities))
    if features := row.matches.get("features"):
        parts.append(f"of {', '.join(features[:3])}{f' and {len(features) - 3} more' if len(features) > 3 else ''}")
    if monitors := row.matches.get("monitors"):
        told = ", ".join(names.get(each, f"monitor {each}") for each in monitors[:3])
        parts.append(f"from {told}{f' and {len(monitors) - 3} more' if len(monitors) > 3 else ''}")
    return SilenceLine(row, " ".join(parts) or "Everything", ribbon, word, state == "over")


def fault_words(faults: Sequence[Fault]) -> list[tuple[str, str]]:
    """Faults as the summary above a form has them: (field, words)."""
    found = []
    for fault in faults:
        field = fault.field.split("[")[0].split(".")[0]
        name = LABELS.get(field, field.replace("_", " ").capitalize())
        found.append((field, f"{name}: {fault.message}{f' ({fault.limit})' if fault.limit else ''}"))
    return found


LABELS = {
    "to": "Addresses", "url": "Address", "alive_url": "Address to ping", "after_minutes": "Minutes", "end_at": "Until",
    "group_seconds": "Seconds to wait", "repeat_minutes": "Minutes between reminders", "alive_seconds": "Seconds",
    "start_at": "From",
}  # fmt: skip
