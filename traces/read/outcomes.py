"""What sessions came to: outcomes as they are defined, their sums by day and feature, the sessions behind a number.

Pages and monitors read hourly sums (`traces_outcome_hour`) and never sessions. An hour belongs to the day in which it
begins in the project's zone; a session belongs to the hour of its first turn, and to none before it is closed.

`daily` is what monitors watch: a `Point` a day with its ratio, interval and n, days without a session included.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property
from typing import Any
from zoneinfo import ZoneInfo

from psycopg import sql

from telltale.jobs.models import Job, JobState
from telltale.lib.clock import zone_of
from telltale.lib.db import raw_cursor
from traces.models import Outcome
from traces.outcomes.ratio import Ratio, Sums, TooLittle, ratio
from traces.outcomes.spec import OutcomeSpec, parse_outcome
from traces.read.asking import asking

RECOUNT = "outcomes.recount"
HOUR = timedelta(hours=1)
# Of a project with more than these the breakdown shows the largest; REST gives as many.
FEATURES_MAX = 200
NAMES_SEEN, NAMES_MAX = 2_000, 50
_NOTHING = sql.SQL("")
_SUMS = """
    SELECT outcome_id, {keys}, sum(n), sum(unknown), sum(x), sum(y), sum(xx), sum(xy), sum(yy)
    FROM traces_outcome_hour
    WHERE project_id = %(project_id)s AND outcome_id = ANY(%(ids)s) AND hour >= %(start)s AND hour < %(end)s {feature}
    GROUP BY {groups}
    {rest}
"""
_NAMES = """
    SELECT name, count(*) FROM (
        SELECT name FROM traces_signal WHERE project_id = %(project_id)s
        ORDER BY happened_at DESC, signal_id DESC LIMIT %(limit)s
    ) AS newest
    GROUP BY name ORDER BY 2 DESC, 1 LIMIT %(most)s
"""


@dataclass(frozen=True)
class Defined:
    """An outcome as it is defined."""

    id: int
    slug: str
    name: str
    told: dict[str, Any]
    revision: int
    created_by: str
    created_at: datetime
    changed_at: datetime
    archived_at: datetime | None

    @cached_property
    def spec(self) -> OutcomeSpec:
        """What it measures."""
        return parse_outcome(self.told)


@dataclass(frozen=True, slots=True)
class Progress:
    """How far counting an outcome again is. `state` is that of a job; `error` where it failed."""

    state: str
    done: int
    total: int | None
    error: str

    @property
    def is_open(self) -> bool:
        """Whether figures are still of a part of the sessions."""
        return self.state in {JobState.PENDING, JobState.RUNNING}

    @property
    def has_failed(self) -> bool:
        """Whether it stopped before its end."""
        return self.state in {JobState.FAILED, JobState.CANCELLED}


@dataclass(frozen=True, slots=True)
class Point:
    """One day of an outcome. `ratio` is None where there is too little data, `lacking` then says of what.

    `n` sessions are in the figure, `unknown` are left out since theirs cannot be told.
    """

    day: date
    start: datetime
    end: datetime
    ratio: float | None
    low: float | None
    high: float | None
    n: int
    unknown: int
    method: str
    lacking: TooLittle | None
    sums: Sums


@dataclass(frozen=True, slots=True)
class Period:
    """Whole hours [start, end) that a window covers, and as long a period before."""

    start: datetime
    end: datetime

    @property
    def before(self) -> Period:
        """The period of the same length that ends where this one begins."""
        return Period(self.start - (self.end - self.start), self.start)


def period_of(start: datetime, end: datetime) -> Period:
    """The whole hours that a window touches."""
    first = start.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    last = end.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return Period(first, last if last == end else last + HOUR)


def list_outcomes(project_id: int, *, with_archived: bool = False) -> list[Defined]:
    """The outcomes of a project by name."""
    found = Outcome.objects.filter(project_id=project_id).select_related("created_by").order_by("name", "pk")
    if not with_archived:
        found = found.filter(archived_at=None)
    return [_defined(each) for each in found]


def get_outcome(project_id: int, slug: str) -> Defined | None:
    """One outcome of a project, archived or not; None where there is none."""
    found = Outcome.objects.filter(project_id=project_id, slug=slug).select_related("created_by").first()
    return None if found is None else _defined(found)


def progress_of(project_id: int, outcomes: Collection[Defined]) -> dict[int, Progress]:
    """How far counting again is, of each outcome whose present revision is being counted or was not counted to its end.

    One query.
    """
    wanted = {each.id: each.revision for each in outcomes}
    jobs = Job.objects.filter(project_id=project_id, kind=RECOUNT).exclude(state=JobState.DONE).order_by("pk")
    done = Job.objects.filter(project_id=project_id, kind=RECOUNT, state=JobState.DONE).order_by("-pk").values("pk")[:1]
    found: dict[int, Progress] = {}
    del done
    for job in jobs:
        outcome_id = job.params.get("outcome")
        if wanted.get(outcome_id) == job.params.get("revision"):
            found[outcome_id] = Progress(job.state, job.progress, job.total, job.error)
    return found


def read_sums(
    project_id: int, outcomes: Collection[Defined], period: Period, feature: str | None = None
) -> dict[int, Sums]:
    """The sums of each outcome over a period; one query. TooSlow."""
    rows = _rows(project_id, outcomes, period, feature, sql.SQL("NULL"), sql.SQL("1"))
    found = {each.id: Sums() for each in outcomes}
    return found | {row[0]: _sums(row[2:]) for row in rows}


def read_days(
    project_id: int, zone: str, outcomes: Collection[Defined], period: Period, feature: str | None = None
) -> dict[int, list[Point]]:
    """A point for each day that a period touches, of each outcome; one query. TooSlow."""
    day = sql.SQL("(hour AT TIME ZONE {})::date").format(sql.Literal(zone_of(zone).key))
    rows = _rows(project_id, outcomes, period, feature, day, sql.SQL("1, 2"))
    sums = {(row[0], row[1]): _sums(row[2:]) for row in rows}
    days = _days(period, zone_of(zone))
    return {each.id: [_point(each, *day, sums.get((each.id, day[0]), Sums())) for day in days] for each in outcomes}


def daily(
    project_id: int, zone: str, outcome: Defined, start: datetime, end: datetime, feature: str | None = None
) -> list[Point]:
    """One outcome day by day, for monitors: a point for each day that [start, end) touches, the oldest first.

    Days are cut in `zone`, the first and the last at the hours that the window touches. `feature`: of its sessions
    alone, "" for those that name none. While `progress_of` says that the outcome is being counted again, days that it
    has not reached are short. TooSlow.
    """
    return read_days(project_id, zone, [outcome], period_of(start, end), feature)[outcome.id]


def read_features(project_id: int, outcome: Defined, period: Period) -> tuple[list[tuple[str, Sums]], bool]:
    """The sums of one outcome by feature, most sessions first, and whether there are more. TooSlow."""
    limit = sql.SQL("ORDER BY sum(n) + sum(unknown) DESC, 2 LIMIT {}").format(sql.Literal(FEATURES_MAX + 1))
    rows = _rows(project_id, [outcome], period, None, sql.SQL("feature"), sql.SQL("1, 2"), limit)
    found = [(row[1], _sums(row[2:])) for row in rows]
    found = [(feature, sums) for feature, sums in found if sums.n or sums.unknown]
    return found[:FEATURES_MAX], len(rows) > FEATURES_MAX


def sum_of(points: Sequence[Point]) -> Sums:
    """The sums of several days."""
    return sum((point.sums for point in points), Sums())


def figure(outcome: Defined, sums: Sums) -> Ratio | TooLittle:
    """The outcome of these sums with its interval, or what there is too little of."""
    return ratio(sums, outcome.spec.shape)


def names_seen(project_id: int) -> list[str]:
    """Names of the newest signals, most frequent first: to choose from."""
    with asking() as cursor:
        cursor.execute(_NAMES, {"project_id": project_id, "limit": NAMES_SEEN, "most": NAMES_MAX})
        return [row[0] for row in cursor.fetchall()]


def _rows(
    project_id: int,
    outcomes: Collection[Defined],
    period: Period,
    feature: str | None,
    keys: sql.Composable,
    groups: sql.Composable,
    rest: sql.Composable = _NOTHING,
) -> list[tuple[Any, ...]]:
    if not outcomes:
        return []
    query = sql.SQL(_SUMS).format(
        keys=keys,
        groups=groups,
        rest=rest,
        feature=sql.SQL("" if feature is None else "AND feature = %(feature)s"),
    )
    params = {
        "project_id": project_id,
        "ids": [each.id for each in outcomes],
        "start": period.start,
        "end": period.end,
        "feature": feature,
    }
    with asking(), raw_cursor() as cursor:
        cursor.execute(query, params)
        return cursor.fetchall()


def _sums(row: Sequence[Any]) -> Sums:
    n, unknown, *sums = row
    return Sums(int(n), int(unknown), *(Decimal(each) for each in sums))


def _days(period: Period, zone: ZoneInfo) -> list[tuple[date, datetime, datetime]]:
    """The days of a period: (day, first hour, end), each hour with the day in which it begins."""
    found: list[tuple[date, datetime, datetime]] = []
    day = period.start.astimezone(zone).date()
    while True:
        start, end = (_first_hour(day + timedelta(days=add), zone) for add in (0, 1))
        if start >= period.end:
            return found
        if end > period.start:
            found.append((day, max(start, period.start), min(end, period.end)))
        day += timedelta(days=1)


def _first_hour(day: date, zone: ZoneInfo) -> datetime:
    at = datetime.combine(day, time(), zone).astimezone(UTC)
    whole = at.replace(minute=0, second=0, microsecond=0)
    return whole if whole == at else whole + HOUR


def _point(outcome: Defined, day: date, start: datetime, end: datetime, sums: Sums) -> Point:
    found = figure(outcome, sums)
    if isinstance(found, TooLittle):
        return Point(day, start, end, None, None, None, sums.n, sums.unknown, "", found, sums)
    return Point(day, start, end, found.value, found.low, found.high, sums.n, sums.unknown, found.method, None, sums)


def _defined(row: Outcome) -> Defined:
    by = row.created_by
    return Defined(
        id=row.pk,
        slug=row.slug,
        name=row.name,
        told=row.spec,
        revision=row.revision,
        created_by="" if by is None else by.name or by.email,
        created_at=row.created_at,
        changed_at=row.changed_at,
        archived_at=row.archived_at,
    )
