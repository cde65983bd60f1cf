"""Filters of lists of traces, as a series is narrowed by them: read from an address, and as SQL."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any
from urllib.parse import parse_qs

from psycopg import sql

from alerts.series.asked import SeriesFault
from telltale.lib.faults import Fault
from traces.own_calls import without_calls
from traces.read.filters import TraceFilter, conditions, parse_terms


@dataclass(frozen=True, slots=True)
class Filtered:
    """What a filter is over `traces_trace AS t`: conditions and their parameters."""

    conditions: sql.Composed
    params: dict[str, Any]


def check_filter(text: str) -> list[Fault]:
    """What is wrong with the query string of a list of traces, for a series; nothing where it can be one."""
    pairs = parse_qs(text, keep_blank_values=False, max_num_fields=200)
    terms, wrong = parse_terms(pairs.items())
    faults = [Fault(f"scope.filter.{each.key}", each.message, each.limit, each.value) for each in wrong]
    if pairs.get("q"):
        faults.append(Fault("scope.filter.q", "is a search for words, which is no series", "filters by fields"))
    if not terms and not faults and text:
        faults.append(Fault("scope.filter", "names no field of traces", "such as cost.min=0.01", text[:80]))
    return faults


def filtered(
    project_id: int, text: str, accepted: Mapping[str, Collection[str | None]] = MappingProxyType({})
) -> Filtered:
    """The traces of a filter ("": all) whose dimensions have accepted values, without the product's own calls.

    SeriesFault where the filter can no longer be read.
    """
    faults = check_filter(text)
    if faults:
        raise SeriesFault(f"the filter cannot be read: {faults[0].field} {faults[0].message}")
    terms, _ = parse_terms(parse_qs(text, keep_blank_values=False, max_num_fields=200).items())
    wanted = without_calls(project_id, TraceFilter(terms=terms), is_shown="service" in accepted)
    found, params = conditions(wanted, project_id)
    parts: list[sql.Composable] = [found]
    for name, values in accepted.items():
        column, mark = sql.Identifier("t", name), f"d_{name}"
        params[mark] = [value for value in values if value is not None]
        looks = sql.SQL("{} = ANY ({}::text[])").format(column, sql.Placeholder(mark))
        if None in values:
            looks = sql.SQL("({} OR {} IS NULL)").format(looks, column)
        parts.append(looks)
    return Filtered(sql.SQL(" AND ").join(parts), params)
