"""The only door to the rows of traces: every answer is a frozen value, every question has a time limit."""

from traces.read.asking import TooSlow
from traces.read.facets import Facet, Facets, FacetValue, Histogram, facets_of_traces, list_with_facets, read_facets
from traces.read.filters import FIELDS, FilterError, Term, TraceFilter, parse_terms
from traces.read.listing import (
    COUNT_MAX,
    DEFAULT_SORT,
    PAGE_SIZE_MAX,
    SORTS,
    Ask,
    Count,
    TracePage,
    each_trace,
    list_traces,
    neighbours,
    resolve_id,
)
from traces.read.money import CostState, CostSum
from traces.read.rows import TraceRow
from traces.read.spans import SpanDetail, SpanRow, get_rows, get_span, get_spans
from traces.read.trace import Label, Steps, find_trace, get_trace, list_spans, read_labels

__all__ = [
    "COUNT_MAX",
    "DEFAULT_SORT",
    "FIELDS",
    "PAGE_SIZE_MAX",
    "SORTS",
    "Ask",
    "CostState",
    "CostSum",
    "Count",
    "Facet",
    "FacetValue",
    "Facets",
    "FilterError",
    "Histogram",
    "Label",
    "SpanDetail",
    "SpanRow",
    "Steps",
    "Term",
    "TooSlow",
    "TraceFilter",
    "TracePage",
    "TraceRow",
    "each_trace",
    "facets_of_traces",
    "find_trace",
    "get_rows",
    "get_span",
    "get_spans",
    "get_trace",
    "list_spans",
    "list_traces",
    "list_with_facets",
    "neighbours",
    "parse_terms",
    "read_facets",
    "read_labels",
    "resolve_id",
]
