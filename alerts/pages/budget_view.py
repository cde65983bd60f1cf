"""The alert budget in figures: what each monitor may cost, what it did cost, and what changing it would do. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from alerts.pages import expecting, words
from alerts.read.alarms import AlarmTally
from alerts.read.shown import Shown
from alerts.stats import budget
from evals.stats.quantiles import beta_quantile
from telltale.lib import format as fmt

WEEKS = 8
# Of less nothing is said a week: the interval would go into the thousands.
LEAST_WEEKS = 1 / 7
# Below this many judged pages nothing is suggested; above, where people most likely find less than half of them real.
JUDGED_LEAST, REAL_LEAST, LEVEL = 5, 0.5, 0.8
TRIED = (0.25, 0.5, 1.0, 2.0, 4.0)
NOTHING = AlarmTally(0, 0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Line:
    """One monitor of the table: what the budget gives it and what came of it."""

    id: int
    name: str
    tier: str
    weight: str
    updates: str
    once_in: str
    expected: str
    delay: str
    pages: str
    said: str
    real: str
    suggestion: str
    ribbon: str
    word: str


@dataclass(frozen=True, slots=True)
class Choice:
    """What another budget would mean: false pages a week, and hours until a change of one sd is seen."""

    pages_a_week: str
    value: str
    once_in: str
    delay: str
    is_current: bool


@dataclass(frozen=True, slots=True)
class Found:
    """False pages as people judged them, a week, beside what was expected."""

    value: str
    interval: str
    verdict: str
    expected: str
    unjudged: str
    real: str


@dataclass(frozen=True, slots=True)
class Marginal:
    """What one more or one fewer hourly page-monitor does to the others, in words; "" where there is none."""

    adding: str
    muting: str


def active(monitors: Iterable[Shown], now: datetime) -> list[Shown]:
    """The monitors that the budget is shared among."""
    return [
        each
        for each in monitors
        if each.archived_at is None and each.is_on and not each.is_muted(now) and expecting.takes_share(each)
    ]


def charts_of(monitors: Iterable[Shown]) -> list[budget.Chart]:
    """Their places in the budget."""
    return [
        budget.Chart(str(each.id), each.updates_a_week, each.weight, "page" if each.is_paging else "notice")
        for each in monitors
    ]


def line(monitor: Shown, tally: AlarmTally, now: datetime, chance: expecting.ByChance | None = None) -> Line:
    """One monitor of the table; `tally`: its alarms of the last WEEKS; `chance`: where the budget gives it none."""
    expected = None if monitor.is_muted(now) else expecting.a_week(monitor)
    delay = budget.delay_points(monitor.arl0) * 168 / monitor.updates_a_week if monitor.is_charted else None
    ribbon, word = words.STANDINGS[monitor.standing] if monitor.is_on else ("none", "Off")
    if monitor.is_muted(now):
        ribbon, word = "none", "Muted"
    return Line(
        id=monitor.id,
        name=monitor.name,
        tier="pages" if monitor.is_paging else "notices only",
        weight=f"{monitor.weight:g}",
        updates=f"{monitor.updates_a_week:,.0f}",
        once_in=words.one_in(monitor.arl0, monitor.updates_a_week)
        if expecting.takes_share(monitor)
        else (chance.short if chance is not None else "not from the budget"),
        expected=_expected(expected, chance),
        delay="" if delay is None else hours(delay),
        pages=f"{tally.pages:,}",
        said=_said(tally),
        real=words.share_of(tally.real, tally.pages - tally.unjudged) if tally.pages else "",
        suggestion=suggestion(tally),
        ribbon=ribbon,
        word=word,
    )


def _expected(expected: float | None, chance: expecting.ByChance | None) -> str:
    if expected is not None:
        return words.about_number(expected)
    if chance is None:
        return "none from here"
    return "not known" if chance.a_week is None else words.about_number(chance.a_week)


def _said(tally: AlarmTally) -> str:
    parts = [
        f"{number} {word}"
        for number, word in (
            (tally.real, "real"),
            (tally.false, "false"),
            (tally.accepted, "accepted"),
            (tally.unjudged, "nobody judged"),
        )
        if number
    ]
    return ", ".join(parts)


def suggestion(tally: AlarmTally) -> str:
    """What to do about a monitor whose pages people mostly do not find real; "" where nothing is to be said."""
    judged = tally.pages - tally.unjudged
    if judged < JUDGED_LEAST:
        return ""
    low, high = real_limits(tally.real, judged)
    if high >= REAL_LEAST:
        return ""
    return (
        f"{tally.real} of {judged} pages were real (80% interval {fmt.share(low)}–{fmt.share(high)}). Mute it, make "
        "it a notice, give it a new baseline, or put it away."
    )


def real_limits(real: int, judged: int) -> tuple[float, float]:
    """The 80 % interval of the share of pages that are real: Beta(½ + real, ½ + not)."""
    a, b = real + 0.5, judged - real + 0.5
    return beta_quantile((1 - LEVEL) / 2, a, b), beta_quantile((1 + LEVEL) / 2, a, b)


def found(tallies: Mapping[int, AlarmTally], expected_a_week: float, past: float, weeks: float) -> Found:
    """What people found in `weeks`, of all monitors together. `past`: false pages that were to be expected in them."""
    false = sum(each.false for each in tallies.values())
    judged = sum(each.pages - each.unjudged for each in tallies.values())
    real, unjudged = sum(each.real for each in tallies.values()), sum(each.unjudged for each in tallies.values())
    seen = budget.observed(false, weeks, past / weeks if weeks else 0.0)
    pages = f"{unjudged} page{'' if unjudged == 1 else 's'}"
    left = f"{pages} nobody judged: the true rate may be higher" if unjudged else ""
    share = words.share_of(real, judged)
    if seen.a_week is None or seen.low is None or seen.high is None or weeks < LEAST_WEEKS:
        return Found("not known", "less than a day has passed", "", words.about_number(expected_a_week), left, share)
    told = {
        "as expected": "agrees with what is expected",
        "more": "more than expected: limits rest on something that does not hold",
        "fewer": "fewer than expected",
    }
    return Found(
        value=words.about_number(seen.a_week),
        interval=f"95% CI {words.about_number(seen.low)}–{words.about_number(seen.high)}, {false} in {weeks:.1f} weeks",
        verdict=told[seen.verdict or "as expected"],
        expected=words.about_number(expected_a_week),
        unjudged=left,
        real=share,
    )


def choices(monitors: Sequence[Shown], pages_a_week: float) -> list[Choice]:
    """Other budgets and what they would mean for the chart in the middle; none where nothing takes a share."""
    charts = [chart for chart in charts_of(monitors) if chart.tier == "page"]
    if not charts:
        return []
    middle = sorted(charts, key=lambda chart: chart.updates / chart.weight)[len(charts) // 2]
    rows = []
    for value in sorted({*TRIED, pages_a_week}):
        share = next(each for each in budget.allot(charts, value) if each.chart is middle)
        delay = budget.delay_points(share.arl0) * 168 / middle.updates
        rows.append(
            Choice(
                words.about_number(value),
                f"{value:g}",
                words.one_in(share.arl0, middle.updates),
                hours(delay),
                value == pages_a_week,
            )
        )
    return rows


def marginal(monitors: Sequence[Shown], pages_a_week: float) -> Marginal:
    """What adding or muting one monitor does to the delay of the others."""
    charts = [chart for chart in charts_of(monitors) if chart.tier == "page"]
    if not charts:
        return Marginal("", "")
    middle = sorted(charts, key=lambda chart: chart.updates / chart.weight)[len(charts) // 2]
    whole = sum(chart.weight for chart in charts)

    def delay(weights: float) -> float:
        arl0 = max(middle.updates * weights / (pages_a_week * middle.weight), budget.ARL0_LEAST)
        return budget.delay_points(arl0)

    now, more = delay(whole), delay(whole + 1)
    adding = f"One more monitor: a change of one sd is seen after {more:.1f} windows instead of {now:.1f}."
    if len(charts) < 2:
        return Marginal(adding, "")
    fewer = delay(max(whole - 1, middle.weight))
    return Marginal(adding, f"One fewer, muted or put away: after {fewer:.1f} instead of {now:.1f}.")


def hours(value: float) -> str:
    """A delay in words: "about 40 min", "about 16 h", "about 5 days"."""
    if value < 1:
        return f"about {max(round(value * 60), 1)} min"
    return f"about {value:.0f} h" if value < 48 else f"about {value / 24:.0f} days"


def weeks_of(monitors: Sequence[Shown], now: datetime) -> float:
    """For how many of the last WEEKS there has been a monitor."""
    first = min((each.created_at for each in monitors), default=now)
    return max((now - max(first, now - timedelta(weeks=WEEKS))) / timedelta(weeks=1), 0.0)


def by_cost(monitors: Iterable[Shown], now: datetime) -> list[Shown]:
    """The dearest first: those that may page most often while nothing is wrong."""
    here = [each for each in monitors if each.archived_at is None]
    return sorted(
        here,
        key=lambda each: (
            not each.is_paging,
            -(0.0 if each.is_muted(now) else expecting.a_week(each) or 0.0),
            each.name.casefold(),
            each.id,
        ),
    )
