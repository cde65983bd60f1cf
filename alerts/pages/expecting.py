"""What monitors cost in false pages: expected beforehand, and found by people afterwards. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.budgeting import SHARING
from alerts.monitors.types import Definition
from alerts.pages import words
from alerts.read.shown import FixedSeen, Shown, is_share
from alerts.stats import budget
from alerts.stats.objectives import breach_chance

# Windows from which the share of a series is taken to be known.
WINDOWS_LEAST = 20


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


@dataclass(frozen=True, slots=True)
class ByChance:
    """False alarms a week of a limit that people set. None: unknown, and `words` say why; `short` for little room."""

    a_week: float | None
    words: str
    short: str = "see its back-test"


def by_chance(definition: Definition, seen: FixedSeen | None, updates_a_week: float) -> ByChance:
    """What a fixed limit alarms by chance at windows of its usual size, were its share always what it is on average.

    Binomial, windows independent of each other: windows more uneven than that alarm more often, as a back-test says.
    """
    threshold = definition.threshold
    if definition.composite is not None:
        return ByChance(None, "as often as its members alarm together; a back-test tells")
    if threshold is None:
        return ByChance(None, "burn rates take their share of the budget", "from the budget")
    if not is_share(definition.metric):
        return ByChance(None, "no chance is known of such values; a back-test tells how often it happened")
    if threshold.after > 1:
        return ByChance(None, f"it takes {threshold.after} windows in a row; a back-test tells")
    if seen is None or seen.windows < WINDOWS_LEAST:
        return ByChance(None, f"not known before {WINDOWS_LEAST} windows held something", "not known yet")
    p = min(seen.k / seen.n, 1.0)
    share = f"{100 * p:.2g} %"
    if (p > threshold.limit) if threshold.side == "over" else (p < threshold.limit):
        return ByChance(None, f"its average, {share}, is beyond the limit: that is no chance", "its average is beyond")
    held = [n for n in seen.volumes if n >= definition.least_n]
    chance = 0.0
    if 0 < p < 1 and held:
        chance = sum(breach_chance(n, threshold.limit, p, side=threshold.side) for n in held) / len(held)
    # An alarm begins where a window beyond the limit follows one within. Windows that are too small are none.
    a_week = chance * (1 - chance) * updates_a_week * len(held) / len(seen.volumes)
    words_ = f"by chance alone at {share}, the share of its last {seen.windows:,} windows"
    return ByChance(a_week, words_, f"{words.about_number(a_week)} a week by chance")
