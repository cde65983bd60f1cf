"""What monitors cost in false pages: expected beforehand, and found by people afterwards. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from alerts.budgeting import SHARING
from alerts.pages import words
from alerts.read.shown import Shown
from alerts.stats import budget


def takes_share(monitor: Shown) -> bool:
    """Whether its limits follow from the budget."""
    return monitor.method in SHARING


def a_week(monitor: Shown) -> float | None:
    """False alarms a week while nothing is wrong; None where they do not follow from the budget, or it is off."""
    if not takes_share(monitor) or not monitor.is_on or monitor.arl0 <= 0:
        return None
    return monitor.updates_a_week / monitor.arl0


def pages_a_week(monitors: Iterable[Shown], now: datetime) -> float:
    """False pages to expect a week of these together; notices and muted ones send none."""
    return sum(a_week(each) or 0.0 for each in monitors if each.is_paging and not each.is_muted(now))


def false_words(false: int, unjudged: int, expected_a_week: float, weeks: float, when: str) -> str:
    """ "False pages: 1 in the last 30 days, 4.3 expected; 2 pages nobody judged"."""
    found = budget.observed(false, weeks, expected_a_week)
    said = f"False pages: {false} {when}, {words.about_number(expected_a_week * weeks)} expected"
    if found.verdict == "more":
        said += ", which is more than chance explains"
    if unjudged:
        said += f"; {unjudged} page{'' if unjudged == 1 else 's'} nobody judged"
    return said
