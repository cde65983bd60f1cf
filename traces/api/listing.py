"""What REST lists of sessions and users share: their filters as parameters, cursors of two sides, problems."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import QueryDict
from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

from telltale.rest import paging, params
from telltale.rest.problems import FieldError, Problem, bad_field
from traces.pages.export import FORMATS
from traces.read import Ask, TraceFilter, parse_terms
from traces.read.filters import Field, ops_of

_SUFFIX = {"is": "", "not": ".not", "min": ".min", "max": ".max", "missing": ".missing"}
_WORDS = {"is": "is any of", "not": "is none of", "min": "at least", "max": "at most", "missing": "has none"}
_SIDES = {"older": "before", "newer": "after"}


FORMAT = OpenApiParameter(
    "format",
    OpenApiTypes.STR,
    enum=["json", *FORMATS],
    description="csv and ndjson send the whole list as a file, whatever `limit` says.",
)


def read_format(query: QueryDict) -> str:
    """The parameter `format`: json, or a key of FORMATS."""
    return params.choice(query, "format", ("json", *FORMATS), "json")


def filter_names(fields: Mapping[str, Field]) -> tuple[str, ...]:
    """The parameters that `fields` make."""
    return tuple(name + _SUFFIX[op] for name, known in fields.items() for op in ops_of(known))


def filter_parameters(fields: Mapping[str, Field]) -> tuple[OpenApiParameter, ...]:
    """The same for the OpenAPI document."""
    return tuple(
        OpenApiParameter(
            name + _SUFFIX[op],
            OpenApiTypes.NUMBER if known.shape == "number" else OpenApiTypes.STR,
            enum=[value for value, _, _ in known.choices] or None if op != "missing" else None,
            many=op in {"is", "not"} and known.shape != "number",
            description=f"{known.label} {_WORDS[op]}{f' ({known.unit})' if known.unit else ''}.",
        )
        for name, known in fields.items()
        for op in ops_of(known)
    )


def sort_parameter(sorts: Mapping[str, Any]) -> OpenApiParameter:
    """The parameter `sort`."""
    enum = [sign + key for key in sorts for sign in ("-", "")]
    return OpenApiParameter("sort", OpenApiTypes.STR, enum=enum, description="- for descending.")


def read_filter(query: QueryDict, fields: Mapping[str, Field]) -> TraceFilter:
    """The filter of a query; a Problem that names each field that is wrong."""
    terms, wrong = parse_terms(query.lists(), fields)
    if wrong:
        errors = [FieldError(e.key, e.message, e.limit or None, e.value or None) for e in wrong]
        raise Problem(400, "; ".join(f"{e.field} {e.message}" for e in errors[:5]), *errors)
    start, end = params.moment(query, "from"), params.moment(query, "to")
    if start is not None and end is not None and start >= end:
        raise bad_field("from", "must be before `to`", limit=end.isoformat(), value=start.isoformat())
    return TraceFilter(start=start, end=end, q=params.text(query, "q"), terms=terms)


def read_side(query: QueryDict) -> tuple[str, str]:
    """Which way the cursor of a query goes ("before", "after" or none), and its place in the list."""
    side, _, place = params.text(query, "cursor").partition(".")
    if side not in {"", *_SIDES}:
        raise paging.bad_cursor(side)
    return (_SIDES[side], place) if side else ("", "")


def read_ask(query: QueryDict) -> Ask:
    """Which page a query asks for."""
    side, place = read_side(query)
    before, after = place if side == "before" else "", place if side == "after" else ""
    return Ask(limit=params.page_size(query), before=before, after=after, count=False)


def cursors(older: str | None, newer: str | None) -> tuple[str | None, str | None]:
    """The cursors of the next page and the one before, as `read_side` reads them."""
    return f"older.{older}" if older else None, f"newer.{newer}" if newer else None
