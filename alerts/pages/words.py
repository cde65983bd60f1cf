"""The words of monitors on pages: states, methods, windows, scopes, rules. Pure."""

from __future__ import annotations

from datetime import timedelta

from alerts.monitors.states import UNJUDGED, Method, PointState, Standing
from alerts.monitors.types import Definition, Scope
from telltale.lib import format as fmt

# Ribbon and word of each standing.
STANDINGS: dict[Standing, tuple[str, str]] = {
    Standing.ALARMED: ("bad", "Out"),
    Standing.ACKNOWLEDGED: ("watch", "Out, seen"),
    Standing.BROKEN: ("watch", "Broken"),
    Standing.NO_DATA: ("none", "No data"),
    Standing.STALE: ("watch", "Stale"),
    Standing.UNSTABLE: ("watch", "Not stable"),
    Standing.TOO_LITTLE: ("none", "Too little"),
    Standing.LEARNING: ("none", "Learning"),
    Standing.IN_CONTROL: ("ok", "In range"),
}
# What a standing means, where the engine has said nothing more exact yet.
MEANINGS: dict[Standing, str] = {
    Standing.ALARMED: "Beyond its limits, and nobody has looked yet.",
    Standing.ACKNOWLEDGED: "Beyond its limits; somebody is on it.",
    Standing.BROKEN: "It cannot be evaluated.",
    Standing.NO_DATA: "Its windows are empty.",
    Standing.STALE: "What makes the numbers has changed; it needs a new baseline.",
    Standing.UNSTABLE: "The stretch to learn from has a change inside.",
    Standing.TOO_LITTLE: "Its windows hold too little to judge.",
    Standing.LEARNING: "It has no baseline yet.",
    Standing.IN_CONTROL: "Within its limits.",
}
METHODS: dict[Method, str] = {
    Method.CHART: "Control chart",
    Method.CUSUM: "CUSUM",
    Method.SHEWHART: "One point",
    Method.FIXED: "Fixed limit",
    Method.OBJECTIVE: "Objective",
    Method.COMPOSITE: "Several at once",
}
POINTS: dict[PointState, tuple[str, str]] = {
    PointState.LEARNING: ("none", "Learning"),
    PointState.IN_LIMITS: ("ok", "In range"),
    PointState.OUT: ("bad", "Out"),
    PointState.NO_DATA: ("none", "No data"),
    PointState.TOO_LITTLE: ("none", "Too little"),
    PointState.WAITING: ("none", "Merged on"),
}
ALARM_STATES = {
    "open": ("bad", "Open"),
    "acknowledged": ("watch", "Acknowledged"),
    "ended": ("none", "Ended by itself"),
    "closed": ("ok", "Closed"),
}
VERDICTS = {"real": "real", "false": "false alarm", "accepted": "change accepted", "": "nobody said"}
PHASES = {1: "learning", 2: "watched", 3: "watched while an alarm is open"}
_NAMES = {"prompt_name": "prompt", "prompt_version": "prompt version"}


def span(length: timedelta) -> str:
    """A length in words: "15 min", "1 h", "1 day", "2 h 30 min"."""
    seconds = round(length.total_seconds())
    for size, word in ((86_400, "day"), (3600, "h"), (60, "min"), (1, "s")):
        if seconds >= size and seconds % size == 0:
            number = seconds // size
            return f"{number} {word}{'s' if word == 'day' and number != 1 else ''}"
    return "0 s"


def each_window(length: timedelta) -> str:
    """How often there is a window: "hourly", "daily", "every 15 min"."""
    known = {3600: "hourly", 86_400: "daily", 604_800: "weekly"}
    return known.get(round(length.total_seconds()), f"every {span(length)}")


def scope_words(scope: Scope) -> str:
    """What part of a project a series is of: "feature returns; model gpt-4o or gpt-4.1", "everything"."""
    parts = [
        f"{_NAMES.get(name, name)} {' or '.join('unknown' if value is None else value for value in values)}"
        for name, values in scope.values
    ]
    if scope.filter or scope.view is not None:
        parts.append("a saved filter")
    return "; ".join(parts) or "everything"


def says(standing: Standing, told: str, error: str) -> str:
    """Where a monitor stands, in a sentence that begins with a capital."""
    words = error or told or MEANINGS[standing]
    return words[:1].upper() + words[1:]


def standing(standing: Standing, told: str, *, is_on: bool) -> tuple[str, str]:
    """Ribbon and word of where a monitor stands: nothing judged is not yet in range."""
    if not is_on:
        return "none", "Off"
    if standing is Standing.IN_CONTROL and told == UNJUDGED:
        return "none", "Not judged yet"
    return STANDINGS[standing]


def about(title: str, definition: Definition) -> str:
    """What a monitor watches, in one line below its name."""
    if definition.composite is not None:
        return f"{len(definition.composite.members)} monitors together, {each_window(definition.window)}"
    return f"{title}, {scope_words(definition.scope)}, {each_window(definition.window)}"


def one_in(windows: float, updates_a_week: float) -> str:
    """How often a chart in control alarms: "about once in 15 days"; `windows` is its run length."""
    hours = windows / updates_a_week * 168
    if hours < 48:
        return f"about once in {max(round(hours), 1)} h"
    days = hours / 24
    if days < 60:
        return f"about once in {round(days)} days"
    weeks = days / 7
    return f"about once in {round(weeks)} weeks" if weeks < 104 else f"about once in {round(days / 365)} years"


def about_number(value: float) -> str:
    """A small expectation: two digits, never a false 0."""
    if value <= 0:
        return "0"
    if value < 0.01:
        return "under 0.01"
    return f"{value:.2f}" if value < 1 else f"{value:.1f}" if value < 10 else f"{value:,.0f}"


def share_of(part: int, whole: int) -> str:
    """ "3 of 4 (75%)"; in words where there is nothing to divide."""
    return f"{part} of {whole} ({fmt.share(part / whole)})" if whole else "nobody said"


_HAPPENED = {
    "floor": "fell below its floor",
    "ceiling": "rose above its ceiling",
    "no data": "sent no data",
    "silence": "fell silent",
    "members": "had enough of its members alarmed",
}


def happened(rule: str, direction: str) -> str:
    """What an alarm says of its series, in words: "fell below its lower limit"."""
    if rule in _HAPPENED:
        return _HAPPENED[rule]
    if rule.startswith("burn rate"):
        return "uses up what it is allowed too fast"
    if rule == "threshold":
        return "went over its fixed limit" if direction == "up" else "fell under its fixed limit"
    return "rose above its upper limit" if direction == "up" else "fell below its lower limit"
