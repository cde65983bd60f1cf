"""What users did: counts of sessions by the hour, single sessions, and by which version of the definitions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Literal
from uuid import UUID

from django.db import connection
from psycopg import sql

from telltale.jobs.models import Job, JobState
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.projects.models import Project
from traces.behaviour.definition import SHIPPED, Definition, DefinitionError, parse_definition
from traces.behaviour.rates import Cell, Rates, rates_of
from traces.behaviour.rules import behaviour
from traces.behaviour.types import Behaviour, Fact, Stratum, Why
from traces.models import SignalDefinition
from traces.read.asking import compose, fetch
from traces.read.behaviour_units import UnitRef, read_units

REFOLD = "behaviour.refold"
By = Literal["feature", "day", "hour"]
SAMPLE_POOL = 20_000
_COLUMNS = (
    "unit_key", "session_id", "definition", "feature", "first_at", "last_at", "closes_at", "is_closed",
    "last_trace_id", "turns", "answers", "facts", "stratum", "vote", "votes", "rating", "length_seconds", "cost_pico",
    "is_cost_known", "user_id", "computed_at",
)  # fmt: skip
_SELECTED = sql.SQL(", ").join(sql.SQL("b.{}").format(sql.Identifier(name)) for name in _COLUMNS)
_KEYS = {
    None: sql.SQL("NULL::text"),
    "feature": sql.SQL("feature"),
    "hour": sql.SQL("hour"),
    "day": sql.SQL("date_trunc('day', hour, %(time_zone)s)"),
}
_HOUR = timedelta(hours=1)


@dataclass(frozen=True, slots=True)
class BehaviourRow:
    """What the user of one unit did, as it is kept. `cost_pico` is None where some of it is unknown."""

    unit_key: UUID
    session_id: str | None
    definition: int
    feature: str
    first_at: datetime
    last_at: datetime
    closes_at: datetime
    is_closed: bool
    last_trace_id: UUID | None
    turns: int
    answers: int
    facts: Fact
    stratum: Stratum
    vote: int
    votes: int
    rating: float | None
    length_seconds: float | None
    cost_pico: int | None
    user_id: str | None
    computed_at: datetime


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a project's sessions are counted by the definitions in force.

    `done` of `total` units have been looked at since the last change; `total` is None until they are counted, and
    `is_running` False where nothing is under way. `waiting`: units that changed and have their turn within seconds.
    """

    version: int
    is_running: bool
    done: int
    total: int | None
    job_id: int | None
    error: str
    waiting: int

    @property
    def share(self) -> float | None:
        """The part that is done, 0 to 1; None where it is not known."""
        if not self.is_running:
            return 1.0 if not self.error else None
        return None if not self.total else min(self.done / self.total, 1.0)


def definition_of(project_id: int) -> tuple[int, Definition]:
    """(version, definition) in force; version 0 is the shipped one."""
    row = SignalDefinition.objects.filter(project_id=project_id).order_by("-version").first()
    return (0, SHIPPED) if row is None else (row.version, read_definition(row.spec))


def read_definition(spec: Any) -> Definition:
    """A stored definition; the shipped one where it cannot be read (of a release to come, or changed by hand)."""
    try:
        return parse_definition(spec)
    except DefinitionError:
        return SHIPPED


def cells(
    project_id: int,
    start: datetime,
    end: datetime,
    feature: str | None = None,
    by: By | None = None,
    time_zone: str | None = None,
) -> list[Cell]:
    """Units whose first turn lies in the hours of [start, end), counted; `feature`: of it alone ("" is no name).

    Days are cut in the project's zone, at the whole UTC hour where midnight lies within one. One query, two where a
    day has to be cut and `time_zone` is not given.
    """
    if by == "day" and time_zone is None:
        time_zone = Project.objects.values_list("time_zone", flat=True).get(pk=project_id)
    conditions: sql.Composable = sql.SQL("true") if feature is None else sql.SQL("feature = %(feature)s")
    params = {
        "project_id": project_id,
        "start": start.replace(minute=0, second=0, microsecond=0),
        "end": end,
        "feature": feature,
        "time_zone": None if time_zone is None else clock.zone_of(time_zone).key,
    }
    query = compose("read_behaviour_cells", key=_KEYS[by], conditions=conditions)
    with connection.cursor() as cursor:
        found = fetch(cursor, query, params)
    return [
        Cell(
            key=row[0],
            feature=row[1],
            stratum=Stratum(row[2]),
            facts=Fact(row[3]),
            vote=row[4],
            is_closed=row[5],
            n=int(row[6]),
            answers=int(row[7]),
            answers_squared=int(row[8]),
            seconds=Decimal(row[9]),
            seconds_squared=Decimal(row[10]),
            seconds_n=int(row[11]),
        )
        for row in found
    ]


def unit_of_session(project_id: int, session_id: str) -> BehaviourRow | None:
    """What the user of a session did, as last folded; None where nothing is known of it (yet)."""
    return _one(project_id, sql.SQL("b.unit_key = md5(%(id)s)::uuid"), {"id": session_id})


def unit_of_trace(project_id: int, trace_id: UUID) -> BehaviourRow | None:
    """The same for a trace without a session."""
    return _one(project_id, sql.SQL("b.unit_key = %(id)s"), {"id": trace_id})


def sample_units(
    project_id: int,
    start: datetime,
    end: datetime,
    feature: str | None,
    stratum: Stratum | None,
    vote: int | None,
    n: int,
    seed: int,
) -> list[BehaviourRow]:
    """Up to `n` closed units drawn at random, the same ones for the same `seed` while the rows are the same.

    Drawn among the newest `SAMPLE_POOL` of the window.
    """
    parts = [sql.SQL("b.is_closed AND b.first_at >= %(start)s AND b.first_at < %(end)s")]
    if feature is not None:
        parts.append(sql.SQL("b.feature = %(feature)s"))
    if stratum is not None:
        parts.append(sql.SQL("b.stratum = %(stratum)s"))
    if vote is not None:
        parts.append(sql.SQL("b.vote = %(vote)s"))
    pool = sql.SQL(
        "b.unit_key IN (SELECT unit_key FROM (SELECT b.unit_key FROM traces_behaviour AS b"
        " WHERE b.project_id = %(project_id)s AND {} ORDER BY b.first_at DESC, b.unit_key DESC LIMIT %(pool)s) AS pool"
        " ORDER BY md5(unit_key::text || %(seed)s) LIMIT %(limit)s)"
    ).format(sql.SQL(" AND ").join(parts))
    params = {
        "start": start.replace(minute=0, second=0, microsecond=0), "end": end, "feature": feature,
        "stratum": None if stratum is None else int(stratum), "vote": vote, "pool": SAMPLE_POOL, "seed": str(seed),
        "limit": n,
    }  # fmt: skip
    return _rows(project_id, pool, sql.SQL("md5(b.unit_key::text || %(seed)s)"), params)


def progress(project_id: int) -> Progress:
    """How far the sessions are counted by the definitions in force. Four queries."""
    version = (
        SignalDefinition.objects.filter(project_id=project_id).order_by("-version").values_list("version", flat=True)
    ).first() or 0
    job = Job.objects.filter(kind=REFOLD, project_id=project_id).order_by("-pk").first()
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM (SELECT FROM traces_behaviour_due WHERE project_id = %s AND due_at <= now()"
            " LIMIT 100000) AS waiting",
            [project_id],
        )
        waiting = int(cursor.fetchone()[0])
    if job is None:
        return Progress(version, False, 0, None, None, "", waiting)
    is_running = job.state in (JobState.PENDING, JobState.RUNNING)
    error = job.error or "It did not end." if job.state == JobState.FAILED else ""
    return Progress(version, is_running, job.progress, job.total, job.pk, error, waiting)


def why_of_session(project_id: int, session_id: str) -> tuple[Why, ...]:
    """Which rule saw what, where, by the definitions in force; made on the fly, so it may be ahead of the kept row."""
    found = behaviour_of_session(project_id, session_id)
    return () if found is None else found.whys


def behaviour_of_session(project_id: int, session_id: str) -> Behaviour | None:
    """What the user of a session did, from its rows as they are now; None where it has no traces. Four queries."""
    definition = definition_of(project_id)[1]
    with raw_cursor() as cursor:
        units = read_units(cursor, project_id, [UnitRef.of_session(session_id)])
    if not units or not units[0].turns:
        return None
    unit = units[0]
    return behaviour(unit.turns, unit.seen, definition, clock.now(), earlier=unit.earlier)


def rates(project_id: int, start: datetime, end: datetime, feature: str | None = None) -> Rates:
    """What people did in a window, each rate with its definition, denominator and interval."""
    version, definition = definition_of(project_id)
    return rates_of(cells(project_id, start, end, feature), definition.for_feature(feature or ""), version)


def _one(project_id: int, conditions: sql.Composable, params: dict[str, Any]) -> BehaviourRow | None:
    found = _rows(project_id, conditions, sql.SQL("b.unit_key"), params | {"limit": 1})
    return found[0] if found else None


def _rows(
    project_id: int, conditions: sql.Composable, order: sql.Composable, params: dict[str, Any]
) -> list[BehaviourRow]:
    query = compose("read_behaviour_rows", columns=_SELECTED, conditions=conditions, order=order)
    with connection.cursor() as cursor:
        return [_row(values) for values in fetch(cursor, query, params | {"project_id": project_id})]


def _row(values: tuple[Any, ...]) -> BehaviourRow:
    told = dict(zip(_COLUMNS, values, strict=True))
    cost_pico, is_known = told.pop("cost_pico"), told.pop("is_cost_known")
    told["facts"], told["stratum"] = Fact(told["facts"]), Stratum(told["stratum"])
    return BehaviourRow(**told, cost_pico=int(cost_pico) if is_known else None)
