"""How a period of a budget went so far and what it will come to: days and hours of roll-ups, and their forecast."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from itertools import pairwise

from django.db import connection

from alerts.allowances.forecast import DayParts, Outlook, outlook_of_day, outlook_of_month
from alerts.allowances.periods import Bounds
from alerts.allowances.types import Of, Period
from traces.cost.forecast import DAYS_MAX, Day
from traces.cost.periods import hours_of, month_of, share_of_today, today_in
from traces.read.rollups import Rollups, Step, requests
from traces.rollup.buckets import Calendar, Grain, time_of

PICO = 10**12
HOURS_BACK = 28
Key = str | None
_USER_DAYS = """
    SELECT bucket, n, cost_pico FROM traces_user_period
    WHERE project_id = %s AND grain = %s AND bucket >= %s AND bucket < %s AND user_id = %s
    ORDER BY bucket
"""


@dataclass(frozen=True, slots=True)
class Piece:
    """What was spent in a day or an hour; `n` requests."""

    start: datetime
    end: datetime
    pico: int
    n: int


@dataclass(frozen=True, slots=True)
class Burn:
    """A period so far: its days (months) or hours (days) up to now, and what it will come to."""

    pieces: tuple[Piece, ...]
    outlook: Outlook


class Histories:
    """What subjects spent before and in the current period, read once for all features: a query a kind of period."""

    def __init__(self, rollups: Rollups, now: datetime) -> None:
        self.rollups = rollups
        self.calendar: Calendar = rollups.calendar
        self.now = now
        self._read: dict[Period, tuple[list[datetime], dict[Key, dict[int, Piece]]]] = {}

    def burn(self, of: Of, subject: str, bounds: Bounds) -> Burn:
        """The current period of a subject; of users by days alone, which is all that is kept of them."""
        if of == Of.USER:
            pieces = self._of_user(subject)
            if bounds.period == Period.DAY:
                today = tuple(each for each in pieces if each.start >= bounds.start)
                return Burn(today, Outlook(None, None, None, 0))
            return self._month(pieces, bounds)
        edges, found = self._of_period(bounds.period)
        kept = list(found.values()) if of == Of.PROJECT else [found[subject]] if subject in found else []
        pieces = [
            Piece(
                start,
                end,
                sum(each[at].pico for each in kept if at in each),
                sum(each[at].n for each in kept if at in each),
            )
            for at, (start, end) in enumerate(pairwise(edges))
        ]
        return self._month(pieces, bounds) if bounds.period == Period.MONTH else self._day(pieces, bounds)

    def _of_period(self, period: Period) -> tuple[list[datetime], dict[Key, dict[int, Piece]]]:
        if period not in self._read:
            today = today_in(self.calendar, self.now)
            first = self._first_day(today) if period == Period.MONTH else today - timedelta(days=HOURS_BACK)
            start = time_of(self.calendar.day_start(first))
            end = time_of(self.calendar.day_start(today + timedelta(days=1)))
            step = Step.DAY if period == Period.MONTH else Step.HOUR
            answer = self.rollups.ask(requests(), start, end, by=("feature",), step=step, want=("counts", "cost"))
            found: dict[Key, dict[int, Piece]] = {}
            for row in answer.rows:
                piece = Piece(answer.edges[row.at], answer.edges[row.at + 1], row.sums.cost_pico, row.sums.n)
                found.setdefault(None if row.key[0] is None else str(row.key[0]), {})[row.at] = piece
            self._read[period] = (list(answer.edges), found)
        return self._read[period]

    def _first_day(self, today: date) -> date:
        return min(month_of(today.replace(day=1) - timedelta(days=1))[0], today - timedelta(days=DAYS_MAX))

    def _of_user(self, user_id: str) -> list[Piece]:
        today = today_in(self.calendar, self.now)
        first = self._first_day(today)
        starts = [
            time_of(self.calendar.day_start(first + timedelta(days=at))) for at in range((today - first).days + 2)
        ]
        with connection.cursor() as cursor:
            asked = (self.rollups.project_id, int(Grain.DAY), starts[0], starts[-1], user_id)
            cursor.execute(_USER_DAYS, asked)
            held = {bucket: (n, int(cost)) for bucket, n, cost in cursor.fetchall()}
        return [
            Piece(start, end, held.get(start, (0, 0))[1], held.get(start, (0, 0))[0]) for start, end in pairwise(starts)
        ]

    def _month(self, days: Sequence[Piece], bounds: Bounds) -> Burn:
        """As `traces.read.cost.forecast_from_days`, of one subject."""
        today = today_in(self.calendar, self.now)
        so_far = tuple(day for day in days if day.start >= bounds.start)
        made = [
            Day(
                day.start.astimezone(self.calendar.zone).date(),
                day.pico / PICO,
                (day.end - day.start).total_seconds() / 3600,
            )
            for day in days
        ]
        # Days before the first request are not quiet ones: nobody was there.
        began = next((at for at, day in enumerate(days) if day.n), len(days) - 1)
        rest = [Day(day, None, hours_of(day, self.calendar)) for day in bounds.days if day > today]
        spent = sum(day.pico for day in so_far) / PICO
        share = share_of_today(self.calendar, self.now)
        return Burn(so_far, outlook_of_month(made[began:-1], spent, made[-1], share, rest))

    def _day(self, hours: Sequence[Piece], bounds: Bounds) -> Burn:
        today = today_in(self.calendar, self.now)
        passed = (self.now - bounds.start).total_seconds() / 60
        began = next((at for at, hour in enumerate(hours) if hour.n), None)
        days: dict[date, list[Piece]] = {}
        for hour in hours if began is None else hours[began:]:
            days.setdefault(hour.start.astimezone(self.calendar.zone).date(), []).append(hour)
        so_far = tuple(hour for hour in hours if hour.start >= bounds.start and hour.start <= self.now)
        past = [self._parts(day, pieces, passed) for day, pieces in days.items() if day < today]
        # The first day may have begun in its middle.
        return Burn(so_far, outlook_of_day(past[1:], sum(hour.pico for hour in so_far) / PICO, today))

    def _parts(self, day: date, hours: Sequence[Piece], passed: float) -> DayParts:
        start = time_of(self.calendar.day_start(day))
        before = 0.0
        for hour in hours:
            low, high = ((at - start).total_seconds() / 60 for at in (hour.start, hour.end))
            before += hour.pico / PICO * min(max((passed - low) / max(high - low, 1.0), 0.0), 1.0)
        return DayParts(day, before, max(sum(hour.pico for hour in hours) / PICO - before, 0.0))


def spent_by(pieces: Sequence[Piece]) -> Mapping[datetime, int]:
    """The sum since the first piece, by the end of each."""
    found, total = {}, 0
    for piece in pieces:
        total += piece.pico
        found[piece.end] = total
    return found
