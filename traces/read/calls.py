"""Lists of traces by what one of their calls was like: which traces, and how many calls in how many of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from django.db.backends.utils import CursorWrapper
from psycopg import sql

from traces.read.asking import compose, fetch, plan
from traces.read.filters import FIELDS, TraceFilter, call_conditions, call_window, conditions, is_call, named_field
from traces.read.span_terms import OF_TRACE

# So few ids of traces make every further question about them cheap; more are found by looking as the list goes.
IDS_MAX = 2000
# In the planner's units: about 15 ms. A window given for the calls themselves is looked through whatever it costs.
COST_MAX = 12_000
_JOIN = sql.SQL("\nCROSS JOIN traces_trace AS t")


@dataclass(frozen=True, slots=True)
class CallCount:
    """How many calls match, in how many traces that match."""

    calls: int
    traces: int


def resolve_calls(cursor: CursorWrapper, project_id: int, wanted: TraceFilter, *, exactly: bool = False) -> TraceFilter:
    """`wanted` with the ids of the traces that have such calls, where they are few and cheap to find."""
    if not wanted.call_terms or wanted.call_ids is not None:
        return wanted
    # Other terms stay with the list: facets leave some of them out.
    alone = replace(wanted, q="", terms=wanted.call_terms)
    query, params = _question("read_calls", alone, project_id)
    params["limit"] = IDS_MAX + 1
    if not exactly and not _has_window(wanted) and plan(cursor, query, params)["Total Cost"] > COST_MAX:
        return wanted
    found = fetch(cursor, query, params)
    if len(found) > IDS_MAX:
        return wanted
    return replace(wanted, call_ids=tuple(row[0] for row in found), call_count=sum(row[1] for row in found))


def count_calls(
    cursor: CursorWrapper, project_id: int, wanted: TraceFilter, *, exactly: bool = False
) -> CallCount | None:
    """How many calls in how many traces match, exact; None where no call is asked for or counting would take long."""
    if not wanted.call_terms:
        return None
    if wanted.call_ids is not None and not wanted.q and len(wanted.call_terms) == len(wanted.terms):
        return CallCount(wanted.call_count, len(wanted.call_ids))
    query, params = _question("read_call_count", wanted, project_id)
    is_asked = exactly or _has_window(wanted) or wanted.call_ids is not None
    if not is_asked and plan(cursor, query, params)["Total Cost"] > COST_MAX:
        return None
    return CallCount(*map(int, fetch(cursor, query, params)[0]))


def _has_window(wanted: TraceFilter) -> bool:
    return None not in call_window(wanted)


def _question(name: str, wanted: TraceFilter, project_id: int) -> tuple[str, dict[str, Any]]:
    params: dict[str, Any] = {"project_id": project_id}
    parts: list[sql.Composable] = [call_conditions(wanted, params)]
    join = sql.SQL("")
    if _needs_trace(wanted):
        where, more = conditions(wanted, project_id, calls=False)
        parts += [where, sql.SQL(OF_TRACE)]
        params |= more
        if "start" in params:
            parts.append(sql.SQL("s.started_at >= %(start)s"))
        join = _JOIN
    elif wanted.call_ids is not None:
        params["call_ids"] = list(wanted.call_ids)
        parts.append(sql.SQL("s.trace_id = ANY(%(call_ids)s::uuid[])"))
    return compose(name, join=join, conditions=sql.SQL("\n  AND ").join(parts)), params


def _needs_trace(wanted: TraceFilter) -> bool:
    """Whether spans alone cannot tell: something is asked of the trace, or inherited from it."""
    if wanted.q or wanted.trace_ids is not None or wanted.start is not None:
        return True
    ends_with_calls = call_window(wanted)[1]
    # No span starts before its trace does.
    if wanted.end is not None and (ends_with_calls is None or ends_with_calls > wanted.end):
        return True
    return any(not is_call(term) or "t." in named_field(FIELDS, term.field).sql for term in wanted.terms)
