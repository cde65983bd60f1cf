"""Sampled inputs and outputs as series: vectors and categories of windows, in a constant number of queries.

What is sampled is a salted draw of traces (docs/drift.md): shares of it are shares of traffic, counts of it are not.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from psycopg import sql

from alerts.drift.fields import BY_KEY, OWN, SIDE_NO, Side, band_of, combined
from alerts.drift.packing import CHART_DIMS, HALF, narrowed, unpack
from alerts.monitors.types import DIMENSIONS, Categories, Scope, Vectors, Window
from alerts.read.drift_references import topics_in_force
from alerts.stats.topics import OUTSIDE, assign
from telltale.lib.db import raw_cursor

# Of one window: those first in the salted order, so that a busy window is a fair sample of itself.
WINDOW_MOST = 500
# Of one question, as bytes: a limit against a chart of 4,000 windows of long vectors, not one that people meet.
ROWS_MOST = 200_000

_ENCODERS = """
    WITH RECURSIVE known AS (
        (SELECT encoder FROM alerts_vector WHERE project_id = %(project_id)s ORDER BY encoder LIMIT 1)
        UNION ALL
        SELECT (SELECT v.encoder FROM alerts_vector AS v
                WHERE v.project_id = %(project_id)s AND v.encoder > known.encoder ORDER BY v.encoder LIMIT 1)
        FROM known WHERE known.encoder IS NOT NULL
    )
    SELECT known.encoder, (
        SELECT v.started_at FROM alerts_vector AS v
        WHERE v.project_id = %(project_id)s AND v.encoder = known.encoder AND v.side = 1
        ORDER BY v.started_at DESC LIMIT 1
    ), (
        SELECT v.started_at FROM alerts_vector AS v
        WHERE v.project_id = %(project_id)s AND v.encoder = known.encoder AND v.side = 2
        ORDER BY v.started_at DESC LIMIT 1
    )
    FROM known WHERE known.encoder IS NOT NULL
"""
_VECTORS = sql.SQL("""
    SELECT v.started_at, v.trace_id, v.draw, v.data
    FROM alerts_vector AS v {join}
    WHERE v.project_id = %(project_id)s AND v.encoder = %(encoder)s AND v.side = %(side)s
      AND v.started_at >= %(start)s AND v.started_at < %(end)s {conditions}
    ORDER BY v.started_at, v.trace_id
    LIMIT %(limit)s
""")
_JOIN = sql.SQL("JOIN alerts_sample AS s ON s.project_id = v.project_id AND s.trace_id = v.trace_id")
_VALUES = sql.SQL("""
    SELECT s.started_at, {value}
    FROM alerts_sample AS s
    WHERE s.project_id = %(project_id)s AND s.started_at >= %(start)s AND s.started_at < %(end)s {conditions}
    LIMIT %(limit)s
""")


class NoSuchField(ValueError):
    """A field that drift does not compare, or a scope that a sample cannot answer."""


@dataclass(frozen=True, slots=True)
class EncoderSeen:
    """An encoder that has vectors in a project, by its key, and when the newest of them started."""

    key: str
    newest_at: datetime


def encoders_of(project_id: int) -> list[EncoderSeen]:
    """The encoders that have vectors in the project, the one used last first."""
    with raw_cursor() as cursor:
        cursor.execute(_ENCODERS, {"project_id": project_id})
        found = [
            EncoderSeen(key, max(at for at in (one, two) if at is not None))
            for key, one, two in cursor.fetchall()
            if one is not None or two is not None
        ]
    return sorted(found, key=lambda seen: (seen.newest_at, seen.key), reverse=True)


def dims_of(encoder: str) -> int:
    """How many numbers the vectors of an encoder have, by its key; ValueError for what is none."""
    return int(encoder.rpartition("/")[2])


def vectors_in(
    project_id: int,
    scope: Scope,
    side: Side,
    encoder: str,
    windows: Sequence[Window],
    *,
    dims: int = CHART_DIMS,
    most: int = WINDOW_MOST,
) -> list[Vectors]:
    """The vectors of each window, in their order, by `dims` directions; of a busy window a fair sample of `most`.

    One query. `windows` ascending, not overlapping. NoSuchField for a scope with a saved filter.
    """
    found = _by_window(_vector_rows(project_id, scope, side, encoder, windows), windows)
    width = dims_of(encoder)
    result = []
    for rows in found:
        kept = [row for row in rows if len(row[3]) == width * HALF.itemsize]
        if len(kept) > most:
            limit = sorted(row[2] for row in kept)[most - 1]
            kept = [row for row in kept if row[2] <= limit][:most]
        if not kept:
            result.append(Vectors(()))
            continue
        table = narrowed(unpack([row[3] for row in kept], width), dims)
        result.append(Vectors(tuple(map(tuple, table.tolist())), tuple(row[1].hex for row in kept)))
    return result


def categories_in(
    project_id: int, scope: Scope, field: str, windows: Sequence[Window], *, encoder: str = ""
) -> list[Categories]:
    """The values of `field` (alerts.drift.fields) in each window with their counts; None: not known.

    Lengths count in bands. Topics are those of the reference in force of the scope's one feature, else of all
    features, of `encoder`, the one used last where that is "": none without such a reference. At most three queries.
    NoSuchField for other fields, or a scope with a saved filter.
    """
    if field in ("input_topic", "output_topic"):
        counted = _topics(project_id, scope, "input" if field == "input_topic" else "output", windows, encoder)
    else:
        rows = _value_rows(project_id, scope, field, windows)
        counted = [Counter(name for _, held in each for name in _names(field, held)) for each in rows]
    return [Categories(tuple(sorted(each.items(), key=lambda pair: (-pair[1], pair[0] or "")))) for each in counted]


def _topics(
    project_id: int, scope: Scope, side: Side, windows: Sequence[Window], encoder: str
) -> list[Counter[str | None]]:
    found: list[Counter[str | None]] = [Counter() for _ in windows]
    features = dict(scope.values).get("feature", ())
    topics = topics_in_force(project_id, (features[0] or "") if len(features) == 1 else None, side, encoder)
    if topics is None:
        return found
    dims = topics.centres.shape[1]
    for at, each in enumerate(vectors_in(project_id, scope, side, topics.encoder, windows, dims=dims)):
        if each.rows:
            owner, far = assign(topics.centres, np.asarray(each.rows, dtype=np.float64))
            found[at].update(
                topics.names[int(topic)] if away <= topics.radius else OUTSIDE
                for topic, away in zip(owner, far, strict=True)
            )
    return found


def _vector_rows(
    project_id: int, scope: Scope, side: Side, encoder: str, windows: Sequence[Window]
) -> list[tuple[Any, ...]]:
    if not windows or side not in SIDE_NO:
        return []
    terms, params = scope_terms(scope)
    query = _VECTORS.format(join=_JOIN if terms else sql.SQL(""), conditions=sql.SQL("").join(terms))
    params |= {
        "project_id": project_id, "encoder": encoder, "side": SIDE_NO[side], "start": windows[0].start,
        "end": windows[-1].end, "limit": ROWS_MOST,
    }  # fmt: skip
    with raw_cursor() as cursor:
        cursor.execute(query, params)
        return cursor.fetchall()


def _value_rows(project_id: int, scope: Scope, field: str, windows: Sequence[Window]) -> list[list[tuple[Any, ...]]]:
    terms, params = scope_terms(scope)
    if field.startswith(OWN):
        value: sql.Composable = sql.SQL("s.fields ->> %(key)s")
        params["key"] = field[len(OWN) :]
    elif field in BY_KEY and BY_KEY[field].column:
        value = sql.Identifier("s", BY_KEY[field].column)
    else:
        raise NoSuchField(f"{field[:60]!r} is nothing that drift compares")
    if not windows:
        return []
    params |= {
        "project_id": project_id, "start": windows[0].start, "end": windows[-1].end, "limit": ROWS_MOST,
    }  # fmt: skip
    with raw_cursor() as cursor:
        cursor.execute(_VALUES.format(value=value, conditions=sql.SQL("").join(terms)), params)
        return _by_window(cursor.fetchall(), windows)


def _names(field: str, held: Any) -> Iterable[str | None]:
    """The category of one sample: of tools all it called together, so that each trace counts once."""
    if field == "tools":
        return (combined(held),)
    if held is None:
        return (None,)
    known = BY_KEY.get(field)
    return (band_of(held),) if known is not None and known.is_number else (str(held),)


def scope_terms(scope: Scope) -> tuple[list[sql.Composable], dict[str, Any]]:
    """The conditions of a scope on a sample `s`, each beginning with AND, and their parameters. NoSuchField."""
    if scope.filter or scope.view is not None:
        raise NoSuchField("a saved filter is about all traces; drift looks at a sample by dimensions")
    terms: list[sql.Composable] = []
    params: dict[str, Any] = {}
    for name, values in scope.values:
        if name not in DIMENSIONS:
            raise NoSuchField(f"{name[:60]!r} is no dimension of a sample")
        column = sql.Identifier("s", name)
        told = [value for value in values if value is not None]
        either = [sql.SQL("{} = ANY({})").format(column, sql.Placeholder(f"of_{name}"))] if told else []
        if None in values:
            either.append(sql.SQL("{} IS NULL").format(column))
        if either:
            terms.append(sql.SQL(" AND ({})").format(sql.SQL(" OR ").join(either)))
            params[f"of_{name}"] = told
    return terms, params


def _by_window(rows: Sequence[tuple[Any, ...]], windows: Sequence[Window]) -> list[list[tuple[Any, ...]]]:
    """Rows by the window that holds their first value, a time; those between windows are left out."""
    starts = [window.start for window in windows]
    found: list[list[tuple[Any, ...]]] = [[] for _ in windows]
    for row in rows:
        at = bisect_right(starts, row[0]) - 1
        if at >= 0 and row[0] < windows[at].end:
            found[at].append(row)
    return found
