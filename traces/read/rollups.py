"""Sums, series and breakdowns from roll-ups: what charts and totals stand on, at any number of spans.

    with reading(project.pk, project.time_zone) as rollups:
        days = rollups.ask(calls(kind=Kind.GENERATION), start, end, by=("model",), step=Step.DAY, want=("cost",))

One query an `ask`. Every window is answered exactly, by the coarsest buckets that fit and finer ones at its edges;
where those are no longer kept it is widened, and `Answer.start`, `end` say to what: pages show and link these.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any, LiteralString, TypeVar

from psycopg import Cursor, sql

from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.stats.sketch import Sketch
from traces.read.asking import asking, compose, template
from traces.read.rollup_users import read_users
from traces.read.rollup_values import (
    AUTO,
    Answer,
    Auto,
    FoldBacklog,
    FoldState,
    ReasonRow,
    Reasons,
    Row,
    UserRow,
    Users,
    Value,
    Where,
    calls,
    check_dimension,
    requests,
)
from traces.rollup.buckets import Calendar, Grain, calendar_of, minute_of, time_of
from traces.rollup.covering import Horizon, Segment, Step, coarsest_grain, cover, edges, pick_step, snap
from traces.rollup.sums import GROUPS, SKETCHES, Family, Sums, What

# Enough for a year of days or a week of hours; more points than pixels tell nothing.
POINTS_MAX = 2000
_HALF_DAY = timedelta(hours=12)
_NONE = timedelta(0)
_DEFAULT = ("counts", "statuses", "tokens", "cost")
_FAMILY: dict[Family, LiteralString] = {Family.TRACE: "r.scope_id < 0", Family.SPAN: "r.scope_id >= 0"}


@contextmanager
def reading(project_id: int, time_zone: str, timeout_ms: int | None = None) -> Iterator[Rollups]:
    """A reader within one transaction with a time limit on every query (`TooSlow`)."""
    with asking(timeout_ms) as settings:
        # Parallel workers take longer to start than these sums take.
        settings.execute("SELECT set_config('max_parallel_workers_per_gather', '0', true)")
        yield Rollups(raw_cursor(), project_id, calendar_of(time_zone), clock.now())


def read_fold_backlog() -> FoldBacklog:
    """What waits to be booked in the whole installation."""
    with raw_cursor() as cursor:
        cursor.execute(compose("rollup_backlog").encode(), {"consumer": _ROLL_UP})
        row = cursor.fetchone()
    return FoldBacklog(*row) if row else FoldBacklog(0, None, 0)


def unbooked_since(project_id: int) -> datetime | None:
    """When the oldest change of a project came that is not in its roll-ups; None where nothing waits. On the key."""
    with raw_cursor() as cursor:
        cursor.execute(
            """
            SELECT changed_at FROM traces_feed
            WHERE consumer = %(consumer)s AND project_id = %(project)s ORDER BY feed_id LIMIT 1
            """,
            {"consumer": _ROLL_UP, "project": project_id},
        )
        row = cursor.fetchone()
    return row[0] if row else None


class Rollups:
    """Reads the roll-ups of one project as of `now`. Made by `reading`."""

    def __init__(self, cursor: Cursor[Any], project_id: int, calendar: Calendar, now: datetime) -> None:
        self._cursor = cursor
        self.project_id = project_id
        self.calendar = calendar
        self.now = now
        self._horizon = Horizon.at(minute_of(now))

    def ask(
        self,
        where: Where,
        start: datetime,
        end: datetime,
        *,
        by: Sequence[str] = (),
        step: Step | Auto | None = None,
        want: Sequence[str] = _DEFAULT,
        sketches: Sequence[str] = (),
    ) -> Answer:
        """Sums (and sketches) by the dimensions `by`, over the whole window or in points of `step` (`AUTO` picks one).

        `want` are keys of `GROUPS`; `sketches` of `SKETCHES`. ValueError for names that are none.
        """
        frame = self._frame(start, end, step)
        rows = self._rows(where, frame, by, want, sketches)
        return Answer(frame.start, frame.end, frame.step, frame.edges, tuple(by), tuple(rows), frame.is_widened)

    def can_answer(self, start: datetime, end: datetime) -> bool:
        """Whether rows fine enough are kept for exactly [start, end)."""
        asked = minute_of(start), _ceil_minute(end)
        return time_of(asked[0]) == start and time_of(asked[1]) == end and self._snapped(*asked) == asked

    def ask_windows(
        self,
        where: Where,
        windows: Sequence[tuple[datetime, datetime]],
        *,
        by: Sequence[str] = (),
        want: Sequence[str] = _DEFAULT,
        sketches: Sequence[str] = (),
    ) -> list[Row]:
        """As `ask`, of any windows that do not overlap; `Row.at` is the place of its window in `windows`.

        ValueError for windows that overlap, or of which rows fine enough are not kept (`can_answer`).
        """
        frame, places = self._cut(windows)
        return _placed(self._rows(where, frame, by, want, sketches), places)

    def reasons_in_windows(
        self, what: What, where: Where, windows: Sequence[tuple[datetime, datetime]], *, by: Sequence[str] = ()
    ) -> list[ReasonRow]:
        """As `reasons`, of any windows; `ReasonRow.at` is the place of its window in `windows`. As `ask_windows`."""
        frame, places = self._cut(windows)
        found = self._fetch(where, frame, by, ("reason", "n"), sql.SQL("r.reason, sum(r.n)::bigint"), what)
        return _placed([ReasonRow(at - 1, tuple(cells[:-2]), cells[-2], cells[-1]) for at, *cells in found], places)

    def _rows(
        self, where: Where, frame: _Frame, by: Sequence[str], want: Sequence[str], sketches: Sequence[str]
    ) -> list[Row]:
        columns = _columns(want)
        for name in sketches:
            if name not in SKETCHES:
                raise ValueError(f"{name!r} is no sketch; there are {', '.join(SKETCHES)}")
        parts = [
            *(sql.SQL("sum(r.{})").format(sql.Identifier(name)) for name in columns),
            *(sql.SQL("string_agg(r.{}, ''::bytea)").format(sql.Identifier(name)) for name in sketches),
        ]
        grouped = len(by)
        rows = []
        for at, *cells in self._fetch(where, frame, by, (*columns, *sketches), sql.SQL(", ").join(parts)):
            values = cells[grouped : grouped + len(columns)]
            sums = Sums(**{name: int(value) for name, value in zip(columns, values, strict=True) if value is not None})
            read = {
                name: Sketch(data) for name, data in zip(sketches, cells[grouped + len(columns) :], strict=True) if data
            }
            rows.append(Row(at - 1, tuple(cells[:grouped]), sums, read))
        return rows

    def reasons(
        self,
        what: What,
        where: Where,
        start: datetime,
        end: datetime,
        *,
        by: Sequence[str] = (),
        step: Step | Auto | None = None,
    ) -> Reasons:
        """How often each error type or finish reason was told, most frequent first within a point and group."""
        frame = self._frame(start, end, step)
        found = self._fetch(where, frame, by, ("reason", "n"), sql.SQL("r.reason, sum(r.n)::bigint"), what)
        rows = [ReasonRow(at - 1, tuple(cells[:-2]), cells[-2], cells[-1]) for at, *cells in found]
        rows.sort(key=lambda row: (row.at, -row.n, row.reason))
        return Reasons(frame.start, frame.end, frame.step, frame.edges, tuple(by), tuple(rows), frame.is_widened)

    def other_share(self, where: Where, start: datetime, end: datetime) -> float | None:
        """The share of rows' n whose dimensions were folded into "(other)" for want of room; None of nothing."""
        frame = self._frame(start, end, None)
        wanted = sql.SQL("sum(r.n)::bigint, (sum(r.n) FILTER (WHERE s.folded > 0))::bigint")
        found = self._fetch(where, frame, (), ("n",), wanted, needs_scopes=True)
        n, folded = (found[0][1], found[0][2]) if found else (0, 0)
        return (folded or 0) / n if n else None

    def values(self, where: Where, start: datetime, end: datetime, dimension: str, limit: int = 100) -> list[Value]:
        """The values of a dimension in the window, most frequent first: what a filter offers."""
        groups = self.ask(where, start, end, by=(dimension,), want=("counts",)).groups()
        return [key[0] for key in sorted(groups, key=lambda key: (-groups[key].n, str(key[0])))][:limit]

    def users(
        self, start: datetime, end: datetime, *, limit: int = 50, order: str = "cost", user_id: str | None = None
    ) -> Users:
        """The dearest ("cost"), busiest ("n") or hungriest ("tokens") users over the days that the window touches.

        Where there are too many to sum (`Users.is_exact` is False) the list is of those who were among the dearest of
        a day or month; their sums are exact all the same.
        """
        return read_users(
            self._cursor, self.project_id, self.calendar, start, end, limit=limit, order=order, user_id=user_id
        )

    def state(self) -> FoldState:
        """How far roll-ups are behind, and what could not be booked."""
        params = {"project_id": self.project_id, "consumer": _ROLL_UP}
        self._cursor.execute(compose("rollup_read_state").encode(), params)
        row = self._cursor.fetchone()
        assert row is not None  # noqa: S101 - one row, always
        oldest, waiting, aside, huge, zone, job, done, total, now = row
        lag = 0.0 if oldest is None else max((now - oldest).total_seconds(), 0.0)
        return FoldState(oldest, lag, waiting, huge, aside, zone, job, done or 0, total)

    def _frame(self, start: datetime, end: datetime, step: Step | Auto | None) -> _Frame:
        asked = minute_of(start), _ceil_minute(end)
        low, high = self._snapped(*asked)
        chosen = pick_step(low, high) if isinstance(step, str) else step
        if chosen is not None:
            # Shorter points than the buckets that are kept there would be empty.
            if chosen < Step.HOUR and low < self._horizon.minutes:
                chosen = Step.HOUR
            if chosen < Step.DAY and low < self._horizon.hours:
                chosen = Step.DAY
        points = edges(low, high, chosen, self.calendar)
        if len(points) > POINTS_MAX + 1:
            raise ValueError(f"{len(points) - 1} points are more than {POINTS_MAX}: take a longer step")
        segments = cover(low, high, coarsest_grain(chosen), self.calendar)
        return _Frame(time_of(low), time_of(high), chosen, tuple(map(time_of, points)), segments, (low, high) != asked)

    def _snapped(self, low: int, high: int) -> tuple[int, int]:
        return snap(low, high, self.calendar, self._horizon)

    def _cut(self, windows: Sequence[tuple[datetime, datetime]]) -> tuple[_Frame, dict[int, int]]:
        """The frame whose cells hold the windows, and the place of the window by the cell."""
        order = sorted(range(len(windows)), key=lambda at: windows[at])
        segments: list[Segment] = []
        bounds: list[datetime] = []
        places: dict[int, int] = {}
        for place in order:
            start, end = windows[place]
            if not self.can_answer(start, end) or end <= start or (bounds and start < bounds[-1]):
                raise ValueError(f"no rows are kept for {start:%Y-%m-%d %H:%M} to {end:%Y-%m-%d %H:%M} alone")
            if not bounds or bounds[-1] != start:
                bounds.append(start)
            places[len(bounds) - 1] = place
            bounds.append(end)
            for segment in cover(minute_of(start), minute_of(end), Grain.DAY, self.calendar):
                last = segments[-1] if segments else None
                if last is not None and last.grain == segment.grain and last.high == segment.low:
                    segments[-1] = Segment(segment.grain, last.low, segment.high)
                elif segment.low < segment.high:
                    segments.append(segment)
        first, last_end = (bounds[0], bounds[-1]) if bounds else (self.now, self.now)
        return _Frame(first, last_end, None, tuple(bounds), segments, False), places

    def _fetch(
        self,
        where: Where,
        frame: _Frame,
        by: Sequence[str],
        columns: Sequence[str],
        wanted: sql.Composable,
        what: What | None = None,
        *,
        needs_scopes: bool = False,
    ) -> list[tuple[Any, ...]]:
        """(point from 1, groups, `wanted`) by point and group. `what`: of reasons, not of sums."""
        for dimension in by:
            check_dimension(where.family, dimension)
        if not frame.segments:
            return []
        params: dict[str, Any] = {}
        at: sql.Composable = sql.SQL("1")
        if len(frame.edges) > 2:
            params["edges"] = list(frame.edges)
            at = sql.SQL("width_bucket(r.middle, %(edges)s::timestamptz[])")
        groups = [sql.Identifier("s", dimension) for dimension in by]
        keys: list[sql.Composable] = [sql.SQL("1"), *groups]
        asked = _conditions(where, params)
        if what is not None:
            keys.append(sql.SQL("r.reason"))
        scopes: sql.Composable = sql.SQL("")
        if by or needs_scopes:
            scopes = sql.SQL("JOIN traces_scope AS s ON s.project_id = {} AND s.scope_id = r.scope_id").format(
                sql.Literal(self.project_id)
            )
        family = sql.SQL(_FAMILY[where.family]).format()
        if where.accepted or where.refused:
            # Found first and compared in the index: rows of other scopes are not even fetched.
            family = sql.SQL(
                "{} AND r.scope_id = ANY (ARRAY(SELECT s.scope_id FROM traces_scope AS s WHERE s.project_id = {}{}))"
            ).format(family, sql.Literal(self.project_id), asked)
        if what is not None:
            family = sql.SQL("{} AND r.what = {}").format(family, sql.Literal(int(what)))
        query = compose(
            "rollup_read",
            at=at,
            groups=sql.SQL("").join(sql.SQL("{}, ").format(group) for group in groups),
            columns=wanted,
            segments=sql.SQL(" UNION ALL ").join(
                self._segment(segment, family, columns, what) for segment in frame.segments
            ),
            scopes=scopes,
            keys=sql.SQL(", ").join(keys),
        )
        self._cursor.execute(query.encode(), params, prepare=False, binary=True)
        return self._cursor.fetchall()

    def _segment(
        self, segment: Segment, family: sql.Composable, columns: Sequence[str], what: What | None
    ) -> sql.Composable:
        shift = _HALF_DAY if segment.grain == Grain.DAY else _NONE
        return template(
            "rollup_segment",
            table=sql.Identifier("traces_rollup" if what is None else "traces_rollup_reason"),
            columns=sql.SQL(", ").join(sql.Identifier("r", name) for name in columns),
            shift=sql.Literal(shift),
            project_id=sql.Literal(self.project_id),
            grain=sql.Literal(int(segment.grain)),
            low=sql.Literal(_before(segment.low, shift)),
            high=sql.Literal(_before(segment.high, shift)),
            family=family,
        )


@dataclass(frozen=True, slots=True)
class _Frame:
    """A window as it is answered, with its points and the rows that answer."""

    start: datetime
    end: datetime
    step: Step | None
    edges: tuple[datetime, ...]
    segments: list[Segment]
    is_widened: bool


_R = TypeVar("_R", Row, ReasonRow)


def _placed(rows: Sequence[_R], places: Mapping[int, int]) -> list[_R]:
    return [replace(row, at=places[row.at]) for row in rows if row.at in places]


def _columns(want: Sequence[str]) -> list[str]:
    for name in want:
        if name not in GROUPS:
            raise ValueError(f"{name!r} is no group of sums; there are {', '.join(GROUPS)}")
    return [column for name, columns in GROUPS.items() if name in want for column in columns]


def _conditions(where: Where, params: dict[str, Any]) -> sql.Composable:
    parts: list[sql.Composable] = []
    for is_wanted, terms in ((True, where.accepted), (False, where.refused)):
        for name, values in terms:
            column = sql.Identifier("s", name)
            named = [int(value) if isinstance(value, int) else value for value in values if value is not None]
            looks = []
            if named:
                mark = f"v{len(params)}"
                params[mark] = named
                cast = "smallint[]" if name == "kind" else "text[]"
                looks.append(sql.SQL("{} = ANY({}::{})").format(column, sql.Placeholder(mark), sql.SQL(cast)))
            if None in values:
                looks.append(sql.SQL("{} IS NULL").format(column))
            found = sql.SQL(" OR ").join(looks) if looks else sql.SQL("false")
            joined = sql.SQL(" AND ({})") if is_wanted else sql.SQL(" AND ({}) IS NOT TRUE")
            parts.append(joined.format(found))
    return sql.SQL("").join(parts)


def _before(minute: int, shift: timedelta) -> datetime:
    return time_of(minute - int(shift.total_seconds()) // 60)


def _ceil_minute(at: datetime) -> int:
    minute = minute_of(at)
    return minute if time_of(minute) == at else minute + 1


_ROLL_UP = 1  # traces.write.feed.Consumer.ROLL_UP; reading knows no writing

__all__ = [
    "AUTO",
    "Answer",
    "Auto",
    "Family",
    "FoldBacklog",
    "FoldState",
    "ReasonRow",
    "Reasons",
    "Rollups",
    "Row",
    "Step",
    "Sums",
    "UserRow",
    "Users",
    "Value",
    "What",
    "Where",
    "calls",
    "read_fold_backlog",
    "reading",
    "requests",
]
