"""The sessions behind a number of an outcome: those with X, those without, those whose figure is not known."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any, LiteralString
from uuid import UUID

from psycopg import sql

from telltale.lib.db import raw_cursor
from traces.behaviour.types import Fact, Stratum
from traces.outcomes.spec import Measure, Per
from traces.read.asking import asking
from traces.read.outcomes import Defined, Period

WHICH = ("all", "with", "without", "unknown")
PAGE = 50
PAGE_MAX = 500
EXPORT_PAGE = 1_000
EXPORT_TIMEOUT_MS = 30_000
_COLUMNS = (
    "unit_key", "session_id", "feature", "first_at", "turns", "facts", "stratum", "cost_pico", "is_cost_known",
    "user_id",
)  # fmt: skip
_ROWS = """
    SELECT {columns}, (told ->> 1)::numeric, (told ->> 2)::numeric
    FROM traces_behaviour AS b, LATERAL (SELECT b.outcomes -> %(outcome)s AS told) AS booked
    WHERE project_id = %(project_id)s AND is_closed AND first_at >= %(start)s AND first_at < %(end)s
        AND (told ->> 0)::integer = %(revision)s {conditions}
    ORDER BY first_at {way}, unit_key {way}
    LIMIT %(limit)s
"""
_UNKNOWN: LiteralString = "AND told ->> 1 IS NULL"


@dataclass(frozen=True, slots=True)
class BookedSession:
    """A session as an outcome counts it; `x` and `y` are None where it is unknown, `cost_pico` where some of it is."""

    unit_key: UUID
    session_id: str | None
    feature: str
    first_at: datetime
    turns: int
    facts: Fact
    stratum: Stratum
    cost_pico: int | None
    user_id: str | None
    x: Decimal | None
    y: Decimal | None


@dataclass(frozen=True, slots=True)
class Spot:
    """Where a page of the list begins: beside this session, towards older ones or newer ones."""

    first_at: datetime
    unit_key: UUID
    is_newer: bool = False


@dataclass(frozen=True, slots=True)
class SessionPage:
    """One page, newest first, and the places of its neighbours (None: there is none)."""

    rows: list[BookedSession]
    older: Spot | None
    newer: Spot | None


def choices(outcome: Defined) -> tuple[str, ...]:
    """Which lists an outcome has: a mean over sessions with X knows none without."""
    return WHICH if _column(outcome) is not None else ("all", "unknown")


def list_sessions(
    project_id: int,
    outcome: Defined,
    period: Period,
    which: str = "all",
    feature: str | None = None,
    spot: Spot | None = None,
    limit: int = PAGE,
) -> SessionPage:
    """One page of the sessions that an outcome speaks about, by their first turn. TooSlow."""
    is_newer = spot is not None and spot.is_newer
    with asking(), raw_cursor() as cursor:
        found = _fetch(cursor, project_id, outcome, period, which, feature, spot, limit + 1)
    has_more, rows = len(found) > limit, found[:limit]
    if is_newer:
        rows.reverse()
    if not rows:
        return SessionPage([], None, None)
    has_older = spot is not None if is_newer else has_more
    has_newer = has_more if is_newer else spot is not None
    first, last = rows[0], rows[-1]
    return SessionPage(
        rows,
        Spot(last.first_at, last.unit_key) if has_older else None,
        Spot(first.first_at, first.unit_key, True) if has_newer else None,
    )


def each_session(
    project_id: int, outcome: Defined, period: Period, which: str = "all", feature: str | None = None
) -> Iterator[BookedSession]:
    """All of them, newest first, read in pieces."""
    spot: Spot | None = None
    while True:
        with asking(EXPORT_TIMEOUT_MS), raw_cursor() as cursor:
            rows = _fetch(cursor, project_id, outcome, period, which, feature, spot, EXPORT_PAGE)
        yield from rows
        if len(rows) < EXPORT_PAGE:
            return
        spot = Spot(rows[-1].first_at, rows[-1].unit_key)


def _fetch(
    cursor: Any,
    project_id: int,
    outcome: Defined,
    period: Period,
    which: str,
    feature: str | None,
    spot: Spot | None,
    limit: int,
) -> list[BookedSession]:
    conditions = [_which(outcome, which)]
    if feature is not None:
        conditions.append(sql.SQL("AND feature = %(feature)s"))
    is_newer = spot is not None and spot.is_newer
    if spot is not None:
        less = sql.SQL(">" if is_newer else "<")
        beside = "AND (first_at, unit_key) {less} (%(at)s, %(key)s)"
        conditions.append(sql.SQL(beside).format(less=less))
    query = sql.SQL(_ROWS).format(
        columns=sql.SQL(", ").join(sql.Identifier("b", name) for name in _COLUMNS),
        conditions=sql.SQL(" ").join(conditions),
        way=sql.SQL("ASC" if is_newer else "DESC"),
    )
    params = {
        "project_id": project_id,
        "outcome": str(outcome.id),
        "revision": outcome.revision,
        "start": period.start,
        "end": period.end,
        "feature": feature,
        "at": spot.first_at if spot else None,
        "key": spot.unit_key if spot else None,
        "limit": limit,
    }
    cursor.execute(query, params)
    return [_row(values) for values in cursor.fetchall()]


def _which(outcome: Defined, which: str) -> sql.Composable:
    if which == "unknown":
        return sql.SQL(_UNKNOWN)
    column = _column(outcome)
    if which == "all" or column is None:
        return sql.SQL("")
    compare: LiteralString = "AND told ->> {column} <> '0'" if which == "with" else "AND told ->> {column} = '0'"
    return sql.SQL(compare).format(column=sql.Literal(column))


def _column(outcome: Defined) -> int | None:
    """Which of x (1) and y (2) tells whether a session has X; None where all have."""
    match outcome.spec.measure:
        case Measure.SHARE:
            return 2
        case Measure.COST:
            return 1
        case Measure.VALUE if outcome.spec.per is Per.SESSION:
            return 2
    return None


def _row(values: tuple[Any, ...]) -> BookedSession:
    told = dict(zip(_COLUMNS, values[:-2], strict=True))
    cost_pico, is_known = told.pop("cost_pico"), told.pop("is_cost_known")
    told["facts"], told["stratum"] = Fact(told["facts"]), Stratum(told["stratum"])
    return BookedSession(**told, cost_pico=int(cost_pico) if is_known else None, x=values[-2], y=values[-1])
