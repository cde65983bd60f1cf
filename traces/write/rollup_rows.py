"""Writing changes into the rows of roll-ups: minutes, hours and days in one statement, in the order of their keys.

Values go as array literals made here: the driver's own lists cost five times as much for numbers (measured).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from psycopg import Cursor

from telltale.stats import sketch
from traces.rollup.booking import PLAIN, USAGE, Cell
from traces.rollup.buckets import Calendar
from traces.rollup.covering import Horizon
from traces.rollup.deltas import Delta
from traces.rollup.sums import SKETCHES

# A sketch of more bytes is compacted: 256 records, of which an active hour or day appends some with every fold.
LONG_SKETCH_BYTES = 1536
# Rows a statement; arrays of all their values stand in memory on both sides.
CHUNK = 4000
_KEY = "project_id, grain, bucket, scope_id"


def apply(cursor: Cursor[Any], project_id: int, delta: Delta, calendar: Calendar, horizon: Horizon) -> int:
    """Add a settled delta to the rows that `horizon` keeps; how many rows changed."""
    changed = 0
    for is_wide in (False, True):
        cells = [(key, cell) for key, cell in delta.cells.items() if _is_wide(cell) is is_wide]
        for at in range(0, len(cells), CHUNK):
            changed += _apply_cells(cursor, project_id, cells[at : at + CHUNK], is_wide, calendar, horizon)
    if delta.reasons:
        changed += _apply_reasons(cursor, project_id, delta.reasons, calendar, horizon)
    if delta.users:
        changed += _apply_users(cursor, project_id, delta.users, calendar, horizon)
    return changed


def _is_wide(cell: Cell) -> bool:
    return cell[1] is not None or any(cell[2][1:])


def _apply_cells(
    cursor: Cursor[Any],
    project_id: int,
    cells: Sequence[tuple[tuple[int, int], Cell]],
    is_wide: bool,
    calendar: Calendar,
    horizon: Horizon,
) -> int:
    params: dict[str, Any] = _places([key[0] for key, _ in cells], calendar)
    params |= {
        "project_id": project_id,
        "scope_ids": _numbers([key[1] for key, _ in cells], "0"),
        "minutes_from": horizon.minutes,
        "hours_from": horizon.hours,
        "long": LONG_SKETCH_BYTES,
    }
    none = [0] * len(USAGE)
    columns = [*zip(*(cell[0] for _, cell in cells), strict=True)]
    if is_wide:
        columns += zip(*(cell[1] or none for _, cell in cells), strict=True)
    for name, values in zip(_numbered(is_wide), columns, strict=True):
        params[name] = _numbers(values, "0" if name == "n" else "NULL")
    for which, name in enumerate(SKETCHES if is_wide else SKETCHES[:1]):
        params[name] = _sketches([cell[2][which] for _, cell in cells])
    cursor.execute(_cells_statement(is_wide), params, prepare=True)
    rows = cursor.fetchall()
    emptied = [row[:3] for row in rows if row[3] == 0]
    if emptied:
        cursor.execute(_DELETE_EMPTY, {"project_id": project_id, **_row_params(emptied)})
    long = [row[:3] for row in rows if row[3] != 0 and row[4]]
    if long:
        compact(cursor, project_id, long)
    return len(cells)


def compact(cursor: Cursor[Any], project_id: int, keys: Sequence[tuple[Any, ...]]) -> int:
    """Write the sketches of these rows with one record an index; how many rows became shorter."""
    params = {"project_id": project_id, **_row_params(keys)}
    cursor.execute(_READ_SKETCHES, params)
    shorter = []
    for row in cursor.fetchall():
        compacted = tuple(sketch.compact(data) for data in row[3:])
        if compacted != row[3:]:
            shorter.append((*row[:3], *compacted))
    if shorter:
        params = {"project_id": project_id, **_row_params(shorter)}
        for which, name in enumerate(SKETCHES, 3):
            params[name] = bytes_literal([row[which] for row in shorter])
        cursor.execute(_WRITE_SKETCHES, params)
    return len(shorter)


def _apply_reasons(
    cursor: Cursor[Any],
    project_id: int,
    reasons: Mapping[tuple[int, int, int, str], int],
    calendar: Calendar,
    horizon: Horizon,
) -> int:
    keys = list(reasons)
    params: dict[str, Any] = _places([key[0] for key in keys], calendar)
    params |= {
        "project_id": project_id,
        "scope_ids": _numbers([key[1] for key in keys], "0"),
        "whats": _numbers([key[2] for key in keys]),
        "reasons": _texts([key[3] for key in keys]),
        "n": _numbers(list(reasons.values())),
        "minutes_from": horizon.minutes,
        "hours_from": horizon.hours,
    }
    cursor.execute(_REASONS, params, prepare=True)
    emptied = cursor.fetchall()
    if emptied:
        params = {
            "project_id": project_id,
            **_row_params([row[:3] for row in emptied]),
            "whats": [row[3] for row in emptied],
            "reasons": [row[4] for row in emptied],
        }
        cursor.execute(_DELETE_EMPTY_REASONS, params)
    return len(keys)


def _apply_users(
    cursor: Cursor[Any],
    project_id: int,
    users: Mapping[tuple[int, str], Sequence[int]],
    calendar: Calendar,
    horizon: Horizon,
) -> int:
    params: dict[str, Any] = {
        "project_id": project_id,
        "days": _numbers([calendar.day_of(minute) for minute, _ in users], "0"),
        "months": _numbers([calendar.month_of(minute) for minute, _ in users], "0"),
        "users_from": horizon.users,
        "user_ids": _texts([user_id for _, user_id in users]),
    }
    for name, values in zip(_USER_SUMS, zip(*users.values(), strict=True), strict=True):
        params[name] = _numbers(values, "0")
    cursor.execute(_USERS, params, prepare=True)
    emptied = cursor.fetchall()
    if emptied:
        params = {
            "project_id": project_id,
            "grains": [row[0] for row in emptied],
            "buckets": [row[1] for row in emptied],
            "user_ids": [row[2] for row in emptied],
        }
        cursor.execute(_DELETE_EMPTY_USERS, params)
    return len(users)


def _places(minutes: Iterable[int], calendar: Calendar) -> dict[str, Any]:
    listed = list(minutes)
    places = [calendar.place(minute) for minute in listed]
    return {
        "minutes": _numbers(listed, "0"),
        "hours": _numbers([hour for hour, _ in places], "0"),
        "days": _numbers([day for _, day in places], "0"),
    }


def _row_params(keys: Sequence[tuple[Any, ...]]) -> dict[str, Any]:
    return {
        "grains": [key[0] for key in keys],
        "buckets": [key[1] for key in keys],
        "scope_ids": [key[2] for key in keys],
    }


def _numbers(values: Iterable[int], zero: str = "NULL") -> str:
    return "{" + ",".join([str(value) if value else zero for value in values]) + "}"


def _texts(values: Iterable[str]) -> str:
    escaped = (value.replace("\\", "\\\\").replace('"', '\\"') for value in values)
    return "{" + ",".join([f'"{value}"' for value in escaped]) + "}"


def _sketches(counts: Iterable[dict[int, int] | None]) -> str:
    return bytes_literal([sketch.encode(held) if held else b"" for held in counts])


def bytes_literal(values: Iterable[bytes]) -> str:
    """Byte strings as an array literal."""
    return "{" + ",".join(['"\\\\x' + value.hex() + '"' for value in values]) + "}"


def _numbered(is_wide: bool) -> tuple[str, ...]:
    return PLAIN + USAGE if is_wide else PLAIN


_BIGINTS = {"n", "errors", "failed", "streamed", "retries", "refusals", "duration_n", *USAGE[:5]}


@cache
def _cells_statement(is_wide: bool) -> str:
    """Adds cells to minutes, hours and days; returns rows that came to nothing, and those with a long sketch."""
    numbers = _numbered(is_wide)
    sketches = SKETCHES if is_wide else SKETCHES[:1]
    casts = {name: "bigint" if name in _BIGINTS else "numeric" for name in numbers}
    names = ", ".join((*numbers, *sketches))
    arrays = ", ".join(
        (
            "%(minutes)s::bigint[], %(hours)s::bigint[], %(days)s::bigint[], %(scope_ids)s::bigint[]",
            *(f"%({name})s::{casts[name]}[]" for name in numbers),
            *(f"%({name})s::bytea[]" for name in sketches),
        )
    )
    # sum() of NULLs alone is NULL, and makes wider types than its own; n is never NULL.
    sums = ", ".join(
        (
            "sum(n)::bigint",
            *(f"sum({name})::{casts[name]}" for name in numbers[1:]),
            *(f"string_agg({name}, ''::bytea)" for name in sketches),
        )
    )
    updates = ", ".join(
        (
            "n = r.n + excluded.n",
            *(f"{name} = coalesce(r.{name} + excluded.{name}, r.{name}, excluded.{name})" for name in numbers[1:]),
            *(f"{name} = r.{name} || excluded.{name}" for name in sketches),
        )
    )
    is_long = " OR ".join(f"octet_length(r.{name}) > %(long)s" for name in sketches)
    end = f"""
        ON CONFLICT ({_KEY}) DO UPDATE SET {updates}
        RETURNING r.grain, r.bucket, r.scope_id, r.n, {is_long} AS is_long
    """
    head = f"INSERT INTO traces_rollup AS r ({_KEY}, {names})"
    return f"""
        WITH cell AS MATERIALIZED (
            SELECT * FROM unnest({arrays}) AS cell (minute, hour, day, scope_id, {names})
        ), minutes AS (
            {head}
            SELECT %(project_id)s::integer, 1, to_timestamp(minute * 60.0), scope_id, {names}
            FROM cell WHERE minute >= %(minutes_from)s::bigint ORDER BY minute, scope_id
            {end}
        ), hours AS (
            {head}
            SELECT %(project_id)s::integer, 60, to_timestamp(hour * 60.0), scope_id, {sums}
            FROM cell WHERE hour >= %(hours_from)s::bigint GROUP BY hour, scope_id ORDER BY hour, scope_id
            {end}
        ), days AS (
            {head}
            SELECT %(project_id)s::integer, 1440, to_timestamp(day * 60.0), scope_id, {sums}
            FROM cell GROUP BY day, scope_id ORDER BY day, scope_id
            {end}
        )
        SELECT * FROM minutes WHERE n = 0 OR is_long
        UNION ALL SELECT * FROM hours WHERE n = 0 OR is_long
        UNION ALL SELECT * FROM days WHERE n = 0 OR is_long
    """  # noqa: S608 - names of this package


_ROWS = """
    SELECT %(project_id)s::integer, k.grain, k.bucket, k.scope_id
    FROM unnest(%(grains)s::smallint[], %(buckets)s::timestamptz[], %(scope_ids)s::bigint[])
        AS k (grain, bucket, scope_id)
"""
_DELETE_EMPTY = f"DELETE FROM traces_rollup WHERE ({_KEY}) IN ({_ROWS}) AND n = 0"  # noqa: S608
_READ_SKETCHES = f"""
    SELECT grain, bucket, scope_id, {", ".join(SKETCHES)} FROM traces_rollup
    WHERE ({_KEY}) IN ({_ROWS}) ORDER BY {_KEY} FOR UPDATE
"""  # noqa: S608
_WRITE_SKETCHES = f"""
    UPDATE traces_rollup AS r SET {", ".join(f"{name} = k.{name}" for name in SKETCHES)}
    FROM unnest(
        %(grains)s::smallint[], %(buckets)s::timestamptz[], %(scope_ids)s::bigint[],
        {", ".join(f"%({name})s::bytea[]" for name in SKETCHES)}
    ) AS k (grain, bucket, scope_id, {", ".join(SKETCHES)})
    WHERE r.project_id = %(project_id)s AND r.grain = k.grain AND r.bucket = k.bucket AND r.scope_id = k.scope_id
"""  # noqa: S608

_REASON_KEY = f"{_KEY}, what, reason"
_REASON_END = f"""
    ON CONFLICT ({_REASON_KEY}) DO UPDATE SET n = r.n + excluded.n
    RETURNING r.grain, r.bucket, r.scope_id, r.what, r.reason, r.n
"""
_REASON_HEAD = f"INSERT INTO traces_rollup_reason AS r ({_REASON_KEY}, n)"
_REASONS = f"""
    WITH cell AS MATERIALIZED (
        SELECT * FROM unnest(
            %(minutes)s::bigint[], %(hours)s::bigint[], %(days)s::bigint[], %(scope_ids)s::bigint[],
            %(whats)s::smallint[], %(reasons)s::text[], %(n)s::bigint[]
        ) AS cell (minute, hour, day, scope_id, what, reason, n)
    ), minutes AS (
        {_REASON_HEAD}
        SELECT %(project_id)s::integer, 1, to_timestamp(minute * 60.0), scope_id, what, reason, n
        FROM cell WHERE minute >= %(minutes_from)s::bigint ORDER BY minute, scope_id, what, reason
        {_REASON_END}
    ), hours AS (
        {_REASON_HEAD}
        SELECT %(project_id)s::integer, 60, to_timestamp(hour * 60.0), scope_id, what, reason, sum(n)::bigint
        FROM cell WHERE hour >= %(hours_from)s::bigint
        GROUP BY hour, scope_id, what, reason ORDER BY hour, scope_id, what, reason
        {_REASON_END}
    ), days AS (
        {_REASON_HEAD}
        SELECT %(project_id)s::integer, 1440, to_timestamp(day * 60.0), scope_id, what, reason, sum(n)::bigint
        FROM cell GROUP BY day, scope_id, what, reason ORDER BY day, scope_id, what, reason
        {_REASON_END}
    )
    SELECT * FROM minutes WHERE n = 0
    UNION ALL SELECT * FROM hours WHERE n = 0
    UNION ALL SELECT * FROM days WHERE n = 0
"""  # noqa: S608
_DELETE_EMPTY_REASONS = f"""
    DELETE FROM traces_rollup_reason
    WHERE ({_REASON_KEY}) IN (
        SELECT %(project_id)s::integer, k.* FROM unnest(
            %(grains)s::smallint[], %(buckets)s::timestamptz[], %(scope_ids)s::bigint[], %(whats)s::smallint[],
            %(reasons)s::text[]
        ) AS k
    ) AND n = 0
"""  # noqa: S608

_USER_SUMS = ("n", "errors", "input_tokens", "cached_tokens", "output_tokens", "cost_pico", "unpriced_count")
_USER_TYPES = {"n": "bigint", "errors": "bigint", "unpriced_count": "bigint"}
_USER_END = f"""
    ON CONFLICT (project_id, grain, bucket, user_id) DO UPDATE
    SET {", ".join(f"{name} = u.{name} + excluded.{name}" for name in _USER_SUMS)}
    RETURNING u.grain, u.bucket, u.user_id, u.n
"""  # noqa: S608
_USER_HEAD = f"INSERT INTO traces_user_period AS u (project_id, grain, bucket, user_id, {', '.join(_USER_SUMS)})"
_USER_SUMMED = ", ".join(f"sum({name})::{_USER_TYPES.get(name, 'numeric')}" for name in _USER_SUMS)
_USERS = f"""
    WITH cell AS MATERIALIZED (
        SELECT * FROM unnest(
            %(days)s::bigint[], %(months)s::bigint[], %(user_ids)s::text[],
            {", ".join(f"%({name})s::{_USER_TYPES.get(name, 'numeric')}[]" for name in _USER_SUMS)}
        ) AS cell (day, month, user_id, {", ".join(_USER_SUMS)})
    ), days AS (
        {_USER_HEAD}
        SELECT %(project_id)s::integer, 1440, to_timestamp(day * 60.0), user_id, {_USER_SUMMED}
        FROM cell WHERE month >= %(users_from)s::bigint GROUP BY day, user_id ORDER BY day, user_id
        {_USER_END}
    ), months AS (
        {_USER_HEAD}
        SELECT %(project_id)s::integer, 43200, to_timestamp(month * 60.0), user_id, {_USER_SUMMED}
        FROM cell WHERE month >= %(users_from)s::bigint GROUP BY month, user_id ORDER BY month, user_id
        {_USER_END}
    )
    SELECT grain, bucket, user_id FROM days WHERE n = 0
    UNION ALL SELECT grain, bucket, user_id FROM months WHERE n = 0
"""  # noqa: S608
_DELETE_EMPTY_USERS = """
    DELETE FROM traces_user_period
    WHERE (project_id, grain, bucket, user_id) IN (
        SELECT %(project_id)s::integer, k.*
        FROM unnest(%(grains)s::integer[], %(buckets)s::timestamptz[], %(user_ids)s::text[]) AS k
    ) AND n = 0
"""
