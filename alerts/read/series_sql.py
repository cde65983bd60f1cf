"""What the queries of series have in common: their text, their windows, their limits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

from psycopg import sql

from alerts.monitors.types import Window
from alerts.series.asked import SeriesFault
from telltale.lib.sql import load
from traces.read.asking import asking, fetch

# Nobody waits for it, and a round has many of them.
TIMEOUT_MS = 20_000
TOO_SLOW = SeriesFault("reading it took too long; it is tried again", is_passing=True)
# Few rows of many: looked up by key, whatever the planner believes of tables that grew since it looked.
_PLANNER = "SELECT set_config('jit', 'off', true), set_config('max_parallel_workers_per_gather', '0', true)"
NOTHING = sql.SQL("")
_HOUR = timedelta(hours=1)


def template(name: str, **parts: sql.Composable) -> sql.Composed:
    """The query `alerts/sql/<name>.sql` with its {parts} filled in; values stay parameters."""
    text: LiteralString = "\n".join(line for line in load("alerts", name).splitlines() if not line.startswith("--"))
    return sql.SQL(text).format(**parts)


def rows_of(query: sql.Composable, params: Mapping[str, Any], timeout_ms: int = TIMEOUT_MS) -> list[tuple[Any, ...]]:
    """All rows of one query, within a transaction with a limit. traces.read.asking.TooSlow."""
    with asking(timeout_ms) as cursor:
        cursor.execute(_PLANNER)
        return fetch(cursor, query.as_string(None), dict(params))


def spans_of(windows: Sequence[Window]) -> dict[str, list[datetime]]:
    """The windows as parameters `starts`, `ends`."""
    return {"starts": [each.start for each in windows], "ends": [each.end for each in windows]}


def hours_of(windows: Sequence[Window]) -> dict[str, list[datetime]]:
    """The same for sums by the UTC hour: an hour belongs to the window in which it begins."""
    return {"starts": [ceil_hour(each.start) for each in windows], "ends": [ceil_hour(each.end) for each in windows]}


def ceil_hour(at: datetime) -> datetime:
    """The first whole UTC hour from `at` on."""
    floor = at.astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    return floor if floor == at else floor + _HOUR


def named(prefix: str, names: Sequence[str]) -> sql.Composed:
    """`a.x, a.y, ` of the columns `names`, as a SELECT begins with them; "" of none."""
    return sql.SQL("").join(sql.SQL("{}, ").format(sql.Identifier(prefix, name)) for name in names)


def also(prefix: str, names: Sequence[str]) -> sql.Composed:
    """`, a.x, a.y` of the columns `names`, as a GROUP BY goes on with them; "" of none."""
    return sql.SQL("").join(sql.SQL(", {}").format(sql.Identifier(prefix, name)) for name in names)
