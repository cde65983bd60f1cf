"""Incidents in words: what a member said of its series, numbers in their unit, titles. Pure."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal

from alerts.incidents.types import TITLE_MAX, Scope
from alerts.series.catalogue import find_metric
from telltale.lib import format as fmt

_HAPPENED = {
    "floor": "fell below its floor",
    "ceiling": "rose above its ceiling",
    "no data": "sent no data",
    "silence": "fell silent",
    "members": "had enough of its members alarmed",
    "threshold": "went beyond its fixed limit",
}


def happened(rule: str, direction: str) -> str:
    """What an alarm says of its series: "fell below its lower limit"."""
    if rule in _HAPPENED:
        return _HAPPENED[rule]
    if rule.startswith("burn rate"):
        return "uses up what it is allowed too fast"
    return "rose above its upper limit" if direction == "up" else "fell below its lower limit"


def moved(rule: str, direction: str) -> str:
    """The same in a word or two, for titles: "fell", "rose", "sends no data"."""
    if rule in {"no data", "silence"}:
        return "sends no data"
    if rule == "members":
        return "moved together"
    if rule.startswith("burn rate"):
        return "uses up its allowance"
    return "rose" if direction == "up" else "fell"


def number(metric: str, value: float | None) -> str:
    """A value of a metric in its unit: "6.9%", "3.76", "$0.0057"; "unknown" for None."""
    if value is None:
        return fmt.UNKNOWN
    found = find_metric(metric)
    return _WRITTEN.get(found.unit if found else "", _plain)(value)


def title(name: str, metric: str, rule: str, direction: str, features: int = 1) -> str:
    """The title of an incident that its alarms opened: "Returns: judge score fell", "Errors rose in 20 features"."""
    if features > 1:
        found = find_metric(metric)
        told = f"{found.title if found else name} {moved(rule, direction)} in {features} features"
    else:
        told = f"{name} {moved(rule, direction)}"
    return cut(told, TITLE_MAX)


def cut(text: str, most: int) -> str:
    """The text within so many characters; what is cut off shows."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"


def features_of(scope: Scope) -> int:
    """How many features a scope names; 1 where it names none."""
    return max(len(scope.get("feature", ())), 1)


def _plain(value: float) -> str:
    return fmt.count(round(value)) if abs(value) >= 1000 else f"{value:.3g}".replace("-", fmt.MINUS)


def _usd(value: float) -> str:
    if 0 < abs(value) < 0.001:
        return f"{fmt.MINUS if value < 0 else ''}${Decimal(f'{abs(value):.1e}'):f}"
    return fmt.cost(Decimal(repr(value)))


_WRITTEN: dict[str, Callable[[float], str]] = {
    "share": fmt.share,
    "score": fmt.score,
    "ms": fmt.latency,
    "seconds": lambda value: fmt.latency(value * 1000),
    "usd": _usd,
}
