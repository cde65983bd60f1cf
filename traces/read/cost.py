"""What a project's traffic cost and why: from roll-ups alone, the same work at any number of spans.

Money of requests is booked at the request's start and equals what the list of traces sums; money of models is booked
at each call's own start. Over a window both are the same but for calls of requests that cross its ends.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise

from django.db import connection

from telltale.lib.sql import load
from traces.canonical.types import MODEL_KINDS, Kind
from traces.cost.decompose import Change, ModelBill, decompose
from traces.cost.forecast import DAYS_MAX as FORECAST_DAYS
from traces.cost.forecast import Day, forecast_month
from traces.cost.judging import JUDGE_SERVICE
from traces.cost.periods import Days, Period, days_between, hours_of, month_of, share_of_today, today_in
from traces.read.asking import TooSlow, asking, fetch
from traces.read.cost_values import (
    Bill,
    Breakdown,
    CostPage,
    DayBill,
    Heaviest,
    Line,
    MonthForecast,
    counted,
    money_of,
)
from traces.read.filters import TraceFilter
from traces.read.listing import Ask
from traces.read.rollups import Answer, Rollups, Step, UserRow, Users, Value, calls, reading, requests
from traces.read.session_rows import SessionRow
from traces.read.sessions import list_sessions
from traces.rollup.buckets import Calendar
from traces.rollup.sums import Sums, add

PICO = 10**12
ALL = ("counts", "statuses", "tokens", "cost", "parts")
# What a bill is broken down by: the name in addresses and the dimensions of roll-ups. Requests carry the first ones,
# single calls the last two.
OF_REQUESTS = {
    "feature": ("feature",),
    "service": ("service",),
    "environment": ("environment",),
    "release": ("release",),
    "prompt": ("prompt_name", "prompt_version"),
}
OF_CALLS = ("model", "provider")
_OF_MODELS = ("kind", "provider", "model", "service")
BY = ("model", "feature", "provider", "user", "session", "prompt", "environment", "service", "release", "day")
# A bar for every day of a longer window could not be told apart.
BAR_DAYS_MAX = 62
# Days so near to each other are read as one range.
NEAR_DAYS = 130
HEAVIEST = 5
LISTED_MAX = 50


def read_days(rollups: Rollups, days: Days, want: Sequence[str] = ALL) -> tuple[DayBill, ...]:
    """Every day of a window, quiet ones included. One query."""
    answer = rollups.ask(requests(), days.start, days.end, step=Step.DAY, want=want)
    sums = {row.at: row.sums for row in answer.rows}
    zone = rollups.calendar.zone
    return tuple(
        DayBill(start.astimezone(zone).date(), start, end, (end - start).total_seconds() / 3600, sums.get(at, Sums()))
        for at, (start, end) in enumerate(pairwise(answer.edges))
    )


def read_judging(rollups: Rollups, days: Days) -> Sums | None:
    """What judging cost; None where no call of this project was ever a judge's. One query, two where there was."""
    if not _has_judging(rollups.project_id):
        return None
    return rollups.ask(requests(service=JUDGE_SERVICE), days.start, days.end, want=ALL).total


def read_change(rollups: Rollups, period: Period) -> Change | None:
    """Why the calls of a period cost another sum than those of the days before; None without any. Two queries."""
    if period.whole is None or period.before is None:
        return None
    return decompose(_models(read_calls(rollups, period.before)), _models(read_calls(rollups, period.whole)))


def read_calls(rollups: Rollups, days: Days, step: Step | None = None) -> Answer:
    """All steps of some days by kind, provider, model and service: what models cost. One query."""
    return rollups.ask(calls(), days.start, days.end, by=_OF_MODELS, step=step, want=ALL)


def read_breakdown(rollups: Rollups, period: Period, by: str, *, is_judged: bool = True) -> Breakdown:
    """A period by `by`, dearest first; KeyError where `by` is no dimension of roll-ups. Two queries."""
    step = bar_step(period.days)
    if by in OF_CALLS:
        before = read_calls(rollups, period.before) if period.before else None
        return breakdown_of_calls(read_calls(rollups, period.days, step), before, by)
    where = requests()
    if is_judged:
        where = where.but(service=JUDGE_SERVICE)
    names = OF_REQUESTS[by]
    answer = rollups.ask(where, period.days.start, period.days.end, by=names, step=step, want=ALL)
    earlier = None
    if period.before:
        earlier = rollups.ask(where, period.before.start, period.before.end, by=names, want=("counts", "cost"))
    rows = [(row.at, _Row(row.key, row.sums)) for row in answer.rows]
    old = [_Row(key, sums) for key, sums in earlier.groups().items()] if earlier else []
    return Breakdown(by, _lines(rows, old, len(answer.edges) - 1), answer.edges, is_of_calls=False)


def breakdown_of_calls(answer: Answer, before: Answer | None, by: str) -> Breakdown:
    """What `read_calls` answered, by model or provider. Judging is left out."""
    rows = [(row.at, made) for row in answer.rows if (made := _call_row(row.key, row.sums, by))]
    old = [made for key, sums in (before.groups().items() if before else ()) if (made := _call_row(key, sums, by))]
    return Breakdown(by, _lines(rows, old, len(answer.edges) - 1), answer.edges, is_of_calls=True)


def read_forecast(rollups: Rollups, now: datetime) -> MonthForecast:
    """What the current month will have cost, from the newest weeks. One query."""
    first = _forecast_from(rollups.calendar, now)
    after = today_in(rollups.calendar, now) + timedelta(days=1)
    days = read_days(rollups, days_between(first, after, rollups.calendar), want=("counts", "statuses", "cost"))
    return forecast_from_days(days, rollups.calendar, now)


def forecast_from_days(days: Sequence[DayBill], calendar: Calendar, now: datetime) -> MonthForecast:
    """The forecast of the current month from days up to today, the last."""
    today = today_in(calendar, now)
    month, after = month_of(today)
    previous = month_of(month - timedelta(days=1))[0]
    made = [Day(day.day, day.sums.cost_pico / PICO, day.hours) for day in days]
    # Days before the first request are not quiet ones: nobody was there.
    began = next((at for at, day in enumerate(days) if day.sums.n), len(days) - 1)
    so_far = [day for day in made if day.day >= month]
    rest = [
        Day(day, None, hours_of(day, calendar))
        for day in (month + timedelta(days=at) for at in range((after - month).days))
        if day > today
    ]
    share = share_of_today(calendar, now)
    spent = sum(day.usd or 0.0 for day in so_far)
    return MonthForecast(
        month,
        tuple(so_far),
        tuple(day for day in made if previous <= day.day < month),
        forecast_month(made[began:-1], spent, made[-1], share, rest),
        share,
        money_of(add(day.sums for day in days if day.day >= month)),
    )


def read_cost_page(project_id: int, time_zone: str, period: Period, by: str) -> CostPage:
    """Everything of one period, broken down by `by`. The same number of queries at any size. TooSlow."""
    with reading(project_id, time_zone) as rollups:
        calendar = rollups.calendar
        days, before, month = _read_all_days(rollups, period)
        judging = read_judging(rollups, period.days)
        breakdown = change = None
        if by in OF_CALLS and period.whole and period.before and bar_step(period.days) is Step.DAY:
            # The calls of each day say what they cost, and without today also why.
            now, old = read_calls(rollups, period.days, Step.DAY), read_calls(rollups, period.before)
            breakdown = breakdown_of_calls(now, old, by)
            change = decompose(_models(old), _models(now, until=period.whole.n))
        else:
            change = read_change(rollups, period)
            if by in OF_CALLS or by in OF_REQUESTS:
                breakdown = read_breakdown(rollups, period, by, is_judged=judging is not None)
        state = rollups.state()
    bill = Bill(period, add(day.sums for day in days), judging, days, before, change, state)
    users: Users | None = None
    sessions: tuple[SessionRow, ...] | None = None
    # By themselves: where there are millions of them, what is too slow must not take the page with it.
    with suppress(TooSlow):
        if by == "user":
            users = read_users(project_id, time_zone, period, LISTED_MAX)
    with suppress(TooSlow):
        if by == "session":
            sessions = read_sessions(project_id, period.days, LISTED_MAX)
    return CostPage(bill, breakdown, month, read_heaviest(project_id, period, calendar), users, sessions)


def read_users(project_id: int, time_zone: str, period: Period, limit: int) -> Users:
    """The dearest users of a period and how many there are in all. TooSlow."""
    end = period.days.end
    with reading(project_id, time_zone) as rollups:
        if period.name == "month":
            # The row of the whole month holds what has come of it: one range instead of one a day.
            end = days_between(period.days.first, month_of(period.days.first)[1], rollups.calendar).end
        return rollups.users(period.days.start, end, limit=limit)


def read_sessions(project_id: int, days: Days, limit: int) -> tuple[SessionRow, ...]:
    """The dearest sessions that began in some days. TooSlow."""
    wanted = TraceFilter(days.start, days.end)
    return list_sessions(project_id, wanted, "-cost", Ask(limit=limit, count=False)).rows


def read_heaviest(project_id: int, period: Period, calendar: Calendar) -> Heaviest:
    """The few dearest users of the period's last month, and sessions of the period. What took too long is None."""
    days = days_between(*month_of(period.days.last), calendar)
    params = {"project_id": project_id, "bucket": days.start, "limit": HEAVIEST}
    users = sessions = None
    with suppress(TooSlow), asking() as cursor:
        users = tuple(
            UserRow(user, *map(int, sums)) for user, *sums in fetch(cursor, load("traces", "cost_users"), params)
        )
    with suppress(TooSlow):
        sessions = read_sessions(project_id, period.days, HEAVIEST)
    return Heaviest(users, days, sessions)


def bar_step(days: Days) -> Step:
    """How long the bars of a chart over these days are."""
    if days.n <= BAR_DAYS_MAX:
        return Step.DAY
    return Step.WEEK if days.n <= BAR_DAYS_MAX * 7 else Step.MONTH


def _read_all_days(rollups: Rollups, period: Period) -> tuple[tuple[DayBill, ...], Sums | None, MonthForecast]:
    """The days of a period, the sum of those before, and the forecast: one query where they lie near each other."""
    calendar, now = rollups.calendar, period.now
    first, after = _forecast_from(calendar, now), period.today + timedelta(days=1)
    low = min(first, period.days.first, period.before.first if period.before else first)
    if (after - low).days <= NEAR_DAYS:
        every = read_days(rollups, days_between(low, after, calendar))
        forecast = forecast_from_days([day for day in every if day.day >= first], calendar, now)
        return _within(every, period.days), _sum_within(every, period.before), forecast
    before = None
    if period.before:
        before = rollups.ask(requests(), period.before.start, period.before.end, want=ALL).total
    return read_days(rollups, period.days), before, read_forecast(rollups, now)


def _within(days: Sequence[DayBill], wanted: Days) -> tuple[DayBill, ...]:
    return tuple(day for day in days if wanted.first <= day.day < wanted.after)


def _sum_within(days: Sequence[DayBill], wanted: Days | None) -> Sums | None:
    return add(day.sums for day in _within(days, wanted)) if wanted else None


def _forecast_from(calendar: Calendar, now: datetime) -> date:
    """The first day that a forecast looks at: of the month before, or eight weeks back."""
    today = today_in(calendar, now)
    return min(month_of(today.replace(day=1) - timedelta(days=1))[0], today - timedelta(days=FORECAST_DAYS))


def _has_judging(project_id: int) -> bool:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT EXISTS (SELECT FROM traces_scope WHERE project_id = %s AND service = %s)",
            [project_id, JUDGE_SERVICE],
        )
        return bool(cursor.fetchone()[0])


def _models(answer: Answer, until: int | None = None) -> list[ModelBill]:
    """What each model was called for, at which price: one bill per provider and model. `until` leaves later points."""
    bills = []
    for row in answer.rows:
        if until is not None and row.at >= until:
            continue
        _, provider, model, service = row.key
        sums = row.sums
        used = counted(sums) - sums.unknown_usage_count
        if not used and not sums.cost_pico:
            continue
        name = str(model) if model is not None else "unknown model"
        bills.append(
            ModelBill(
                f"{name} ({provider})" if provider else name,
                used,
                sums.tokens,
                sums.cost_parts,
                sums.cost_pico,
                sums.unpriced_count + sums.partial_count,
                service == JUDGE_SERVICE,
            )
        )
    return bills


@dataclass(frozen=True, slots=True)
class _Row:
    """Sums of one group, under the values that a breakdown shows."""

    key: tuple[Value, ...]
    sums: Sums
    kind: Kind | None = None
    provider: str | None = None


def _call_row(key: tuple[Value, ...], sums: Sums, by: str) -> _Row | None:
    """A group of calls as a row: all model calls of a model are one. None for steps on no bill, and for judging."""
    kind, provider, model, service = key
    if service == JUDGE_SERVICE:
        return None
    other = None if kind in MODEL_KINDS else Kind(int(kind or 0))
    if other is not None and not counted(sums) and not sums.cost_pico:
        return None
    return _Row((model if by == "model" else provider,), sums, other, None if provider is None else str(provider))


def _lines(rows: Sequence[tuple[int, _Row]], before: Sequence[_Row], points: int) -> tuple[Line, ...]:
    """The rows of a breakdown, dearest first."""
    old: dict[tuple[tuple[Value, ...], Kind | None], int] = {}
    for row in before:
        old[row.key, row.kind] = old.get((row.key, row.kind), 0) + row.sums.cost_pico
    held: dict[tuple[tuple[Value, ...], Kind | None], list[tuple[int, _Row]]] = {}
    for at, row in rows:
        held.setdefault((row.key, row.kind), []).append((at, row))
    lines = []
    for (key, kind), many in held.items():
        spread = [0] * points
        for at, row in many:
            spread[at] += row.sums.cost_pico
        providers = tuple(sorted({row.provider for _, row in many if row.provider is not None}))
        lines.append(Line(key, add(row.sums for _, row in many), old.get((key, kind)), tuple(spread), kind, providers))
    lines.sort(key=lambda line: (-line.sums.cost_pico, -line.sums.n, tuple(str(value) for value in line.key)))
    return tuple(lines)
