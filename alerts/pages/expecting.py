"""What monitors cost in false pages: expected beforehand, and found by people afterwards. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta

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


def weeks_of(monitor: Shown, since: datetime, now: datetime) -> float:
    """For how long of [since, now) there was this monitor, in weeks: what is younger has had less time to be wrong."""
    end = min(now, monitor.archived_at or now)
    return max((end - max(since, monitor.created_at)) / timedelta(weeks=1), 0.0)


def count_of(monitor: Shown, since: datetime, now: datetime) -> float | None:
    """False alarms to expect of a monitor in [since, now) by what the budget gives it now; None: not known."""
    rate = a_week(monitor)
    return None if rate is None else rate * weeks_of(monitor, since, now)


def pages_of(monitors: Iterable[Shown], since: datetime, now: datetime) -> float:
    """False pages to expect of these together in [since, now); notices and muted ones send none."""
    return sum(count_of(each, since, now) or 0.0 for each in monitors if each.is_paging and not each.is_muted(now))


def false_words(false: int, unjudged: int, expected: float, when: str) -> str:
    """ "False pages: 1 in the last 30 days, 4.3 expected; 2 pages nobody judged"."""
    found = budget.observed(false, 1.0, expected)
    said = f"False pages: {false} {when}, {words.about_number(expected)} expected"
    if found.verdict == "more":
        said += ", which is more than chance explains"
    if unjudged:
        said += f"; {unjudged} page{'' if unjudged == 1 else 's'} nobody judged"
    return said
