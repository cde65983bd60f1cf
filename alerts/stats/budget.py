"""One knob: false pages a week for a whole project, shared out as wanted run lengths; and whether they came true.

With C charts in a tier, u updates a week, weight w (mean 1 after scaling) and B false alarms a week for the tier,
ARL0 = u·C / (B·w): the expected number a week, the sum of u / ARL0, is B. A chart of several statistics splits its
share: a part with share f has ARL0 / f.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal

from alerts.stats import ewma
from alerts.stats.gamma import poisson_limits

Tier = Literal["page", "notice"]

FALSE_PAGES_A_WEEK = 1.0
# Notices (in the pages, in the digest) may be ten times as frequent as pages.
NOTICES_A_PAGE = 10.0
# A chart that would be allowed a false alarm in fewer points than these watches nothing; it gets this many.
ARL0_LEAST = 20.0
# How a chart splits its share among its statistics.
PARTS_SCORES = {"ewma": 0.8, "one_point": 0.2}
PARTS_EMBEDDING = {"stream": 0.8, "nightly": 0.2}
# What the delay of a chart is told for: λ = .1 and a shift of one sd.
_LAMBDA, _SHIFT = 0.1, 1.0
_WEEK_HOURS = 168.0


@dataclass(frozen=True, slots=True)
class Chart:
    """One monitor's place in the budget: `updates` points a week, `weight` over 0 (2: twice the usual share)."""

    key: str
    updates: float
    weight: float = 1.0
    tier: Tier = "page"

    def __post_init__(self) -> None:
        if not (0 < self.updates < math.inf and 0 < self.weight < math.inf):
            raise ValueError(f"chart {self.key} needs updates and a weight over 0, not {self.updates}, {self.weight}")


@dataclass(frozen=True, slots=True)
class Share:
    """What the budget gives one chart: `arl0` in points, `expected` false alarms a week at it.

    `floored`: the budget would have allowed an even shorter run length than is of any use.
    """

    chart: Chart
    arl0: float
    expected: float
    floored: bool

    def of_part(self, share: float) -> float:
        """The run length of one statistic of the chart that takes `share`, in (0, 1], of what the chart may."""
        if not 0 < share <= 1:
            raise ValueError(f"the share of a part lies in (0, 1], not {share}")
        return self.arl0 / share

    @property
    def notice_arl0(self) -> float:
        """The run length of the same chart's notices; its own where it gives nothing but notices."""
        return self.arl0 if self.chart.tier == "notice" else max(ARL0_LEAST, self.arl0 / NOTICES_A_PAGE)


def allot(charts: Sequence[Chart], pages_a_week: float = FALSE_PAGES_A_WEEK) -> tuple[Share, ...]:
    """The run length of each chart, in their order. ValueError for a budget that is not over 0.

    Charts of the tier "notice" share ten times `pages_a_week` among themselves and take nothing from the others.
    """
    if not pages_a_week > 0:
        raise ValueError(f"a budget is over 0 false pages a week, not {pages_a_week}")
    weights: dict[Tier, float] = {}
    for chart in charts:
        weights[chart.tier] = weights.get(chart.tier, 0.0) + chart.weight
    shares = []
    for chart in charts:
        allowed = pages_a_week * (NOTICES_A_PAGE if chart.tier == "notice" else 1.0)
        wanted = chart.updates * weights[chart.tier] / (allowed * chart.weight)
        arl0 = max(wanted, ARL0_LEAST)
        shares.append(Share(chart, arl0, chart.updates / arl0, arl0 > wanted))
    return tuple(shares)


def expected_a_week(shares: Sequence[Share], tier: Tier = "page") -> float:
    """False alarms to expect a week of all charts of a tier together."""
    return sum(share.expected for share in shares if share.chart.tier == tier)


@lru_cache(maxsize=4096)
def delay_points(arl0: float) -> float:
    """Points until a lasting shift of one sd is seen on average by a chart of this run length (EWMA, λ = .1)."""
    return ewma.delay(_LAMBDA, round(arl0, 6), _SHIFT)


@dataclass(frozen=True, slots=True)
class Cost:
    """What a change of the charts does to one that stays: points and hours until one sd is seen, before and after."""

    key: str
    arl0_before: float
    arl0_after: float
    points_before: float
    points_after: float
    hours_before: float
    hours_after: float


def cost_of(
    before: Sequence[Chart], after: Sequence[Chart], pages_a_week: float = FALSE_PAGES_A_WEEK
) -> tuple[Cost, ...]:
    """The change of delay for every chart that is in both lists, in the order of `after`, matched by key.

    Adding a chart costs the others sensitivity; retiring or muting one gives some back.
    """
    old = {share.chart.key: share for share in allot(before, pages_a_week)}
    costs = []
    for share in allot(after, pages_a_week):
        earlier = old.get(share.chart.key)
        if earlier is None:
            continue
        was, now = delay_points(earlier.arl0), delay_points(share.arl0)
        hours_was = was * _WEEK_HOURS / earlier.chart.updates
        hours_now = now * _WEEK_HOURS / share.chart.updates
        costs.append(Cost(share.chart.key, earlier.arl0, share.arl0, was, now, hours_was, hours_now))
    return tuple(costs)


def cost_of_adding(
    charts: Sequence[Chart], new: Chart, pages_a_week: float = FALSE_PAGES_A_WEEK
) -> tuple[Share, tuple[Cost, ...]]:
    """The share the new chart would have, and what it costs each of the others."""
    after = (*charts, new)
    return allot(after, pages_a_week)[-1], cost_of(charts, after, pages_a_week)


def cost_of_removing(charts: Sequence[Chart], key: str, pages_a_week: float = FALSE_PAGES_A_WEEK) -> tuple[Cost, ...]:
    """What every other chart gains without the one of this key."""
    return cost_of(charts, [chart for chart in charts if chart.key != key], pages_a_week)


def reweighted(charts: Sequence[Chart], key: str, weight: float) -> tuple[Chart, ...]:
    """The same charts, one of them with another weight."""
    return tuple(replace(chart, weight=weight) if chart.key == key else chart for chart in charts)


@dataclass(frozen=True, slots=True)
class Observed:
    """False pages people found in `weeks`, a week, with the exact Poisson interval (Garwood 1936) at `level`.

    `verdict`: "as expected" while `expected` lies in the interval, else "more" or "fewer" than the budget says; None
    without any time. A page nobody has judged is in none of the figures.
    """

    count: int
    weeks: float
    a_week: float | None
    low: float | None
    high: float | None
    expected: float
    verdict: Literal["as expected", "more", "fewer"] | None
    level: float


def observed(count: int, weeks: float, expected: float, level: float = 0.95) -> Observed:
    """The observed rate of `count` false pages in `weeks` >= 0 beside the expected one a week. ValueError below 0."""
    if count < 0 or weeks < 0 or expected < 0:
        raise ValueError(f"counts, weeks and expectations are at least 0, not {count}, {weeks}, {expected}")
    if weeks == 0:
        return Observed(count, 0.0, None, None, None, expected, None, level)
    low, high = (limit / weeks for limit in poisson_limits(count, level))
    verdict: Literal["as expected", "more", "fewer"] = (
        "more" if expected < low else "fewer" if expected > high else "as expected"
    )
    return Observed(count, weeks, count / weeks, low, high, expected, verdict, level)
