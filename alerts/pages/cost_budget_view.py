"""Cost budgets in words and pictures: the lines of the list, the burn-down, who spent most. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta

from alerts.allowances import wording
from alerts.allowances.forecast import Outlook, runs_out
from alerts.allowances.periods import Bounds
from alerts.allowances.types import Allowance, Of, Period, Step, step_at
from alerts.read.outlooks import Burn
from alerts.read.spending import NEAR, BudgetRow, StandRow
from telltale.lib import charts
from telltale.lib import format as fmt
from telltale.lib.charts import Figure, Line, Row
from traces.rollup.buckets import Calendar, time_of

PICO = 10**12
STATES = {"over": "Over", "near": "Near the limit", "within": "Within", "off": "Off", "archived": "Put away"}
RIBBONS = {"over": ("bad", "Over"), "near": ("watch", "Near"), "within": ("ok", "Within"), "off": ("none", "Off"),
           "unknown": ("none", "Not added up yet"), "archived": ("none", "Put away")}  # fmt: skip


@dataclass(frozen=True, slots=True)
class BudgetLine:
    """One budget of the list: where whoever spent most of it stands."""

    id: int
    name: str
    whose: str
    state: str
    ribbon: str
    word: str
    limit: str
    period: str
    spent: str
    share: str
    width: float
    dearest: str
    over: str
    forecast: str
    advice: str
    read_at: datetime | None


@dataclass(frozen=True, slots=True)
class SubjectLine:
    """A feature or user of a budget for each."""

    name: str
    ribbon: str
    word: str
    spent: str
    share: str
    width: float
    forecast: str
    advice: str
    n: str


@dataclass(frozen=True, slots=True)
class PolicyLine:
    """A step of a policy; `is_now`: it is what applies."""

    at: str
    amount: str
    does: str
    is_now: bool


@dataclass(frozen=True, slots=True)
class PastLine:
    """An earlier period."""

    when: str
    spent: str
    share: str
    ribbon: str
    word: str


def state_of(budget: BudgetRow, stands: Sequence[StandRow]) -> str:
    """One of `RIBBONS`, by whoever is worst."""
    if budget.archived_at is not None:
        return "archived"
    if not budget.allowance.is_on:
        return "off"
    if budget.read_at is None:
        return "unknown"
    states = {stand_state(each, budget.allowance.limit_pico) for each in stands}
    return next((state for state in ("over", "near") if state in states), "within")


def stand_state(stand: StandRow, limit_pico: int) -> str:
    """Where one subject stands: over, near or within."""
    if stand.spent_pico >= limit_pico:
        return "over"
    is_ahead = stand.forecast_pico is not None and stand.forecast_pico >= limit_pico
    return "near" if stand.spent_pico >= NEAR * limit_pico or is_ahead else "within"


def line(budget: BudgetRow, stands: Sequence[StandRow]) -> BudgetLine:
    """One budget of the list."""
    told, state = budget.allowance, state_of(budget, stands)
    first = stands[0] if stands else None
    ribbon, word = RIBBONS[state]
    over = sum(each.spent_pico >= told.limit_pico for each in stands)
    return BudgetLine(
        id=budget.id,
        name=budget.name,
        whose=wording.whose(told),
        state=state,
        ribbon=ribbon,
        word=word,
        limit=wording.exactly(told.limit_pico),
        period=wording.PERIODS[told.period],
        spent=_spent(first) if first else ("$0" if budget.read_at and not told.is_each else _nobody(budget)),
        share=wording.share(first.spent_pico, told.limit_pico) if first else "",
        width=_width(first.spent_pico, told.limit_pico) if first else 0.0,
        dearest=first.subject if first and told.is_each else "",
        over=f"{over:,} over" if told.is_each and over else "",
        forecast=_forecast(first),
        advice=_advice(told, first.spent_pico if first else 0),
        read_at=budget.read_at,
    )


def _nobody(budget: BudgetRow) -> str:
    if budget.read_at is None:
        return "not added up yet"
    return "nobody near a mark" if budget.allowance.of == Of.USER else "nothing"


def _spent(stand: StandRow) -> str:
    return wording.money(stand.spent_pico, stand.unpriced, stand.upper_bound)


def _width(spent_pico: int, limit_pico: int) -> float:
    return round(min(spent_pico / limit_pico, 1.0) * 100, 1)


def _forecast(stand: StandRow | None) -> str:
    if stand is None or stand.forecast_pico is None:
        return ""
    assert stand.forecast_low_pico is not None and stand.forecast_high_pico is not None  # noqa: S101, PT018
    low, high = wording.exactly(stand.forecast_low_pico), wording.exactly(stand.forecast_high_pico)
    return f"{wording.about(stand.forecast_pico)} ({low}{fmt.EN_DASH}{high})"


def _advice(told: Allowance, spent_pico: int) -> str:
    step = step_at(told.policy, spent_pico, told.limit_pico)
    return wording.step(step) if step else ""


def headline(lines: Sequence[BudgetLine]) -> str:
    """What the list says first."""
    n = len(lines)
    for state, word in (("over", "over"), ("near", "near the limit")):
        found = sum(each.state == state for each in lines)
        if found:
            return f"{found} of {n} cost budget{'' if n == 1 else 's'} {'is' if found == 1 else 'are'} {word}"
    return "The cost budget is kept" if n == 1 else f"All {n} cost budgets are kept"


def subject_line(told: Allowance, stand: StandRow) -> SubjectLine:
    """One feature or user of a budget for each."""
    ribbon, word = RIBBONS[stand_state(stand, told.limit_pico)]
    return SubjectLine(
        name=stand.subject,
        ribbon=ribbon,
        word=word,
        spent=_spent(stand),
        share=wording.share(stand.spent_pico, told.limit_pico),
        width=_width(stand.spent_pico, told.limit_pico),
        forecast=_forecast(stand),
        advice=_advice(told, stand.spent_pico),
        n=f"{stand.n:,}",
    )


def policy_lines(told: Allowance, spent_pico: int | None) -> list[PolicyLine]:
    """The steps of a policy; `spent_pico` None: of nobody in particular."""
    now: Step | None = None if spent_pico is None else step_at(told.policy, spent_pico, told.limit_pico)
    return [
        PolicyLine(
            at=fmt.share(float(step.at)),
            amount=wording.exactly(int(step.at * told.limit_pico)),
            does=wording.step(step),
            is_now=step is now,
        )
        for step in told.policy
    ]


def past_line(told: Allowance, stand: StandRow, calendar: Calendar) -> PastLine:
    """An earlier period by today's limit."""
    day = stand.start.astimezone(calendar.zone).date()
    is_over = stand.spent_pico >= told.limit_pico
    return PastLine(
        when=f"{day:%B %Y}" if told.period == Period.MONTH else f"{day:%A} {day.day} {day:%b}",
        spent=_spent(stand),
        share=wording.share(stand.spent_pico, told.limit_pico),
        ribbon="bad" if is_over else "ok",
        word="Over" if is_over else "Kept",
    )


def stats(told: Allowance, stand: StandRow | None, outlook: Outlook) -> list[tuple[str, str, str]]:
    """Label, value and note of the figures on top."""
    if stand is None:
        return []
    left, share = told.limit_pico - stand.spent_pico, wording.share(stand.spent_pico, told.limit_pico)
    ends = runs_out(outlook, told.limit_pico)
    if left <= 0:
        out = "Already"
        note = f"{wording.exactly(-left)} over" if left else "exactly"
    elif ends.expected is None:
        out = "not " + wording.NOW[told.period] if outlook.is_known else "not known"
        note = f"{_day(ends.earliest)} at the earliest" if ends.earliest else ""
    else:
        out = _day(ends.expected)
        note = f"80% interval {_day(ends.earliest)}{fmt.EN_DASH}{_day(ends.latest) if ends.latest else 'later'}"
    if outlook.pico is None:
        ahead, ahead_note = "not known", f"it needs {outlook.needed} whole days and has {outlook.n}"
        if told.of == Of.USER and told.period == Period.DAY:
            ahead_note = "of users whole days alone are kept"
    else:
        assert outlook.low_pico is not None and outlook.high_pico is not None  # noqa: S101, PT018
        low, high = wording.exactly(outlook.low_pico), wording.exactly(outlook.high_pico)
        ahead = wording.about(outlook.pico).removeprefix("about ")
        ahead_note = f"80% interval {low}{fmt.EN_DASH}{high}, from {outlook.n} days"
    return [
        ("Spent", _spent(stand), f"{share} of {wording.exactly(told.limit_pico)}"),
        (
            "Left",
            wording.exactly(max(left, 0)),
            f"at most: {stand.unpriced:,} calls have no price" if stand.unpriced else "",
        ),
        ("Forecast at the end", ahead, ahead_note),
        ("Runs out", out, note),
    ]


def burn_down(told: Allowance, burn: Burn, bounds: Bounds, calendar: Calendar, now: datetime) -> Figure | None:
    """What is left of the allowance over the period: so far, ahead with its interval, and even spending beside it."""
    limit = told.limit_pico / PICO
    unit = _hours if told.period == Period.DAY else _days
    length = unit(bounds.end, bounds)
    xs, ys, total, rows = [0.0], [limit], 0, []
    for piece in burn.pieces:
        total += piece.pico
        xs.append(min(unit(min(piece.end, now), bounds), length))
        ys.append(limit - total / PICO)
        rows.append(
            Row((_label(piece.start, told.period, calendar), wording.exactly(piece.pico), wording.exactly(total),
                 _left(told.limit_pico - total)))
        )  # fmt: skip
    if len(xs) < 2:
        return None
    lines = [Line([0.0, length], [limit, 0.0], css="c-prev")]
    ahead = burn.outlook.ahead
    if ahead:
        points = [(_end(day, bounds, told.period, calendar), *sums) for day, *sums in ahead]
        lines.append(
            Line(
                [xs[-1], *(point[0] for point in points)],
                [ys[-1], *(limit - point[1] / PICO for point in points)],
                low=[ys[-1], *(limit - point[3] / PICO for point in points)],
                high=[ys[-1], *(limit - point[2] / PICO for point in points)],
                is_dashed=True,
                end=_left(told.limit_pico - ahead[-1][1]),
                end_note="forecast",
                end_css="t-1",
            )
        )
        if told.period == Period.MONTH:
            for day, expected, low, high in ahead[1:]:
                rows.append(
                    Row((f"{day.day} {day:%b}", "", f"about {wording.exactly(expected)}",
                         f"{_left(told.limit_pico - high)} to {_left(told.limit_pico - low)}"))
                )  # fmt: skip
    lines.append(Line(xs, ys, has_dot=True, end="" if ahead else _left(told.limit_pico - total), end_css="t-1"))
    least = min(value for each in lines for value in (each.low or each.ys) if value is not None)
    of = "of " if total < told.limit_pico else ""
    finding = f"{_left(told.limit_pico - total)} {of}{wording.exactly(told.limit_pico)} {wording.NOW[told.period]}"
    words = wording.forecast(burn.outlook) if burn.outlook.needed and not _is_user_day(told) else ""
    picture = charts.line_picture(
        lines, _ticks(bounds, calendar), charts.Unit(_tick, charts.USD.text), x_range=(0.0, length), right=96.0,
        from_zero=least >= 0, limits=() if least >= 0 else (charts.Limit(0.0, "Spent"),),
    )  # fmt: skip
    note = f"{words}. Dotted: spending the same {'every hour' if told.period == Period.DAY else 'every day'}."
    return Figure(
        finding,
        note.removeprefix(". "),
        f"What is left of the allowance since {_label(bounds.start, Period.MONTH, calendar)}. {finding}. {words}",
        picture,
        ("Hour" if told.period == Period.DAY else "Day", "Spent", "Since the start", "Left"),
        tuple(rows),
    )


def _is_user_day(told: Allowance) -> bool:
    return told.of == Of.USER and told.period == Period.DAY


def _left(pico: int) -> str:
    return f"{wording.exactly(pico)} left" if pico > 0 else f"{wording.exactly(-pico)} over"


def _tick(value: float, step: float) -> str:
    """As dollars, with a minus before what is over."""
    return charts.USD.tick(value, step) if value >= 0 else fmt.MINUS + charts.USD.tick(-value, step)


def _days(at: datetime, bounds: Bounds) -> float:
    return (at - bounds.start) / timedelta(days=1)


def _hours(at: datetime, bounds: Bounds) -> float:
    return (at - bounds.start) / timedelta(hours=1)


def _end(day: date, bounds: Bounds, period: Period, calendar: Calendar) -> float:
    """Where a day ends on the x axis."""
    end = min(time_of(calendar.day_start(day + timedelta(days=1))), bounds.end)
    return _hours(end, bounds) if period == Period.DAY else _days(end, bounds)


def _ticks(bounds: Bounds, calendar: Calendar) -> list[tuple[float, str]]:
    if bounds.period == Period.DAY:
        length = _hours(bounds.end, bounds)
        return [(at, f"{at:02.0f}:00") for at in (0.0, 6.0, 12.0, 18.0) if at < length] + [(length, "24:00")]
    days = bounds.days
    return [(float(at), f"{days[at].day} {days[at]:%b}") for at in (0, 9, 19)] + [
        (_days(bounds.end, bounds), f"{days[-1].day} {days[-1]:%b}")
    ]


def _label(at: datetime, period: Period, calendar: Calendar) -> str:
    local = at.astimezone(calendar.zone)
    return f"{local:%H:%M}" if period == Period.DAY else f"{local.day} {local:%b}"


def _day(day: date | None) -> str:
    return "" if day is None else f"{day.day} {day:%b}"
