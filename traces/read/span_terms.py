"""Conditions on the spans of a trace: what one call was like (`call.*`), and what senders attached (`meta.*`).

All `call.*` terms are about one and the same span, so that a list shows the traces behind a point of a chart whose rows
are spans. Each `meta.*` term is about any span of the trace.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any, LiteralString

import orjson
from psycopg import sql

from traces.canonical.types import Kind
from traces.read.fields import META, Field, decimal, moment, number

# The spans of one trace: the key's beginning, and the partitions they can be in.
OF_TRACE: LiteralString = (
    "s.project_id = t.project_id AND s.trace_id = t.trace_id"
    " AND s.started_at >= t.started_at AND s.started_at <= t.last_started_at"
)
# Numbers as JSON and people write them; what a cast could not take is none.
_IS_NUMBER: LiteralString = r"'^[+-]?\d{{1,40}}(\.\d{{1,40}})?([eE][+-]?\d{{1,2}})?$'"


def call_condition(known: Field, op: str, values: Sequence[str], name: str, params: dict[str, Any]) -> sql.Composable:
    """One `call.*` term over `traces_span AS s` (and `traces_trace AS t`, for what a span has from its trace)."""
    mark = sql.Placeholder(name)
    column = sql.SQL(known.sql)
    if known.shape == "moment":
        params[name] = moment(known.key, values[0])
        return sql.SQL("{} {}").format(column, mark)
    if known.shape == "number":
        params[name] = number(known, known.key, values[0])
        return sql.SQL("{} {} {}").format(column, sql.SQL(">=" if op == "min" else "<="), mark)
    found: sql.Composable
    if known.shape == "kind":
        params[name] = [int(Kind[value.upper()]) for value in values]
        found = sql.SQL("{} = ANY({}::smallint[])").format(column, mark)
    elif known.shape == "choice":
        by_value = {value: condition for value, _, condition in known.choices}
        found = sql.SQL("({})").format(sql.SQL(" OR ").join(sql.SQL(by_value[value]) for value in values))
    else:
        if op == "missing":
            return sql.SQL("{} IS NULL").format(column)
        params[name] = list(values)
        if op == "not":
            return sql.SQL("({} IS NULL OR {} <> ALL({}::text[]))").format(column, column, mark)
        return sql.SQL("{} = ANY({}::text[])").format(column, mark)
    return sql.SQL("NOT ({})").format(found) if op == "not" else found


def meta_condition(known: Field, op: str, values: Sequence[str], name: str, params: dict[str, Any]) -> sql.Composable:
    """One `meta.<key>` term over `traces_trace AS t`: some span says so; with `not` and `missing`, none does."""
    key, mark, label = sql.Placeholder(f"{name}k"), sql.Placeholder(name), known.key.removeprefix(f"{META}.")
    if op in {"min", "max", "missing"}:
        params[f"{name}k"] = label
    said: sql.Composable
    if op == "missing":
        said = sql.SQL("s.metadata ? {}::text").format(key)
    elif op in {"min", "max"}:
        params[name] = decimal(known, known.key, values[0])
        said = sql.SQL(
            "CASE WHEN s.metadata ->> {} ~ " + _IS_NUMBER + " THEN (s.metadata ->> {})::numeric {} {}::numeric END"
        ).format(key, key, sql.SQL(">=" if op == "min" else "<="), mark)
    else:
        # An address has text alone: "42" is looked for as text and as a number. Containment stands on an index.
        params[name] = [orjson.dumps({label: form}).decode() for value in values for form in _forms(value)]
        said = sql.SQL("s.metadata @> ANY({}::jsonb[])").format(mark)
    found = of_trace(said, params)
    return sql.SQL("NOT {}").format(found) if op in {"not", "missing"} else found


def _forms(value: str) -> list[Any]:
    """What an address' text may be as JSON: itself, and the number or truth that it spells."""
    forms: list[Any] = [value]
    with suppress(orjson.JSONDecodeError):
        parsed = orjson.loads(value)
        if isinstance(parsed, bool | int | float):
            forms.append(parsed)
    return forms


def of_trace(said: sql.Composable, params: dict[str, Any]) -> sql.Composed:
    """`EXISTS` a span of the trace `t` of which `said` holds. The list's start bounds the partitions to look into."""
    bound = sql.SQL(" AND s.started_at >= %(start)s" if "start" in params else "")
    return sql.SQL("EXISTS (SELECT 1 FROM traces_span AS s WHERE {}{} AND {})").format(sql.SQL(OF_TRACE), bound, said)
