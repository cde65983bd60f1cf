"""What the traces of a list have in common: counts by value, and how many came when, over a bounded sample."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta

from django.db.backends.utils import CursorWrapper
from psycopg import sql

from telltale.lib import clock
from traces.read import finding
from traces.read.asking import asking, compose, fetch
from traces.read.calls import resolve_calls
from traces.read.filters import FIELDS, TraceFilter, looks_at_spans, split_conditions
from traces.read.listing import Ask, Count, TracePage, count_traces, page_of_traces

# Enough for shares to about three points; 1,000 rows are read and grouped in about 2.5 ms, 3,000 took 7 (measured).
SAMPLE = 1000
# Where few traces match and no index leads to them, no more than this many are looked at (about 3 ms).
SCAN_MAX = 3000
# The same where looking at a trace means looking at its spans, at about 15 µs a trace.
SPANS_SAMPLE, SPANS_SCAN_MAX = 300, 1000
FACETS = (
    "status", "feature", "model", "prompt_version", "environment", "service", "error_type", "cost_status", "signal",
)  # fmt: skip
VALUES_MAX = 8
BARS = 72
_STEPS = (
    1, 5, 10, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10_800, 21_600, 43_200, 86_400, 172_800, 604_800,
    2_592_000, 31_536_000,
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FacetValue:
    """One value with the number of traces of the sample that have it."""

    value: str
    n: int


@dataclass(frozen=True, slots=True)
class Facet:
    """The most frequent values of one field. `more` says that there are others; n is a least where not `is_whole`."""

    field: str
    values: tuple[FacetValue, ...]
    more: bool
    is_whole: bool


@dataclass(frozen=True, slots=True)
class Histogram:
    """How many traces began in each step of [start, end)."""

    start: datetime
    end: datetime
    step_seconds: int
    bars: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Facets:
    """Facets and histogram over `n` traces: all that match, or the newest of them where not `is_whole`."""

    n: int
    is_whole: bool
    facets: tuple[Facet, ...]
    histogram: Histogram | None
    looked_at: int  # how many traces were tried to find these n; the same where an index leads to them


def read_facets(project_id: int, wanted: TraceFilter, sample: int = SAMPLE) -> Facets:
    """Counts over the newest `sample` traces that match; the values of a filtered field without its own filter."""
    with asking() as cursor:
        wanted = resolve_calls(cursor, project_id, finding.look(project_id, wanted))
        return facets_of_traces(cursor, project_id, wanted, sample)


def list_with_facets(project_id: int, wanted: TraceFilter, sort: str, ask: Ask) -> tuple[TracePage, Facets | None]:
    """A page of the list and what its traces have in common, in one transaction; no facets of nothing.

    Where the facets saw every trace that matches, they are the count too.
    """
    with asking() as cursor:
        wanted = resolve_calls(cursor, project_id, finding.look(project_id, wanted), exactly=ask.exactly)
        page = page_of_traces(cursor, project_id, wanted, sort, replace(ask, count=False))
        if not page.rows:
            return replace(page, count=Count(0, True, 0 if wanted.call_terms else None)), None
        facets = facets_of_traces(cursor, project_id, wanted)
        if not ask.count:
            return page, facets
        if facets.is_whole and not wanted.call_terms:
            return replace(page, count=Count(facets.n, True)), facets
        tried = (facets.n, facets.looked_at)
        more = {"exactly": ask.exactly, "is_window": ask.is_window}
        count = count_traces(cursor, project_id, wanted, tried=tried, **more)
        if not count.is_exact:
            seen = page.first + len(page.rows) - 1
            count = replace(count, n=max(count.n, seen + page.has_older, facets.n))
        return replace(page, count=count), facets


def facets_of_traces(cursor: CursorWrapper, project_id: int, wanted: TraceFilter, sample: int = SAMPLE) -> Facets:
    """As `read_facets`, within a transaction that is open already. One query, and one a filtered field."""
    filtered = [name for name in FACETS if any(t.field == name and t.op in {"is", "missing"} for t in wanted.terms)]
    found = _ask(cursor, project_id, wanted, FACETS, sample)
    facets = {name: _facet(name, found.groups[name], wanted.values(name), found.is_whole) for name in FACETS}
    for name in filtered:
        wider = _ask(cursor, project_id, wanted.without_field(name), (name,), sample)
        # What is chosen is counted like the list itself: two numbers for one thing would contradict each other.
        counted = wider.groups[name] | {value: found.groups[name].get(value, 0) for value in wanted.values(name)}
        facets[name] = _facet(name, counted, wanted.values(name), wider.is_whole)
    return Facets(
        n=len(found.times),
        is_whole=found.is_whole,
        facets=tuple(facets[name] for name in FACETS),
        histogram=_histogram(found.times, wanted, found.is_whole),
        looked_at=found.looked_at,
    )


@dataclass(frozen=True, slots=True)
class _Found:
    """The counts of each facet's values, and when each trace of the sample began, in seconds since 1970."""

    groups: dict[str, dict[str, int]]
    times: list[int]
    is_whole: bool
    looked_at: int


def _ask(cursor: CursorWrapper, project_id: int, wanted: TraceFilter, names: tuple[str, ...], sample: int) -> _Found:
    wanted, is_all = finding.sample(project_id, wanted, sample)
    near, far, params = split_conditions(wanted, project_id, walks=True)
    readers: list[tuple[str, str]] = []  # what each column means: a facet, and the value it stands for if one alone
    columns: list[sql.Composable] = []
    for name in names:
        known = FIELDS[name]
        if known.shape == "choice":
            for value, _, condition in known.choices:
                readers.append((name, value))
                columns.append(sql.SQL("({})").format(sql.SQL(condition)))
        else:
            readers.append((name, ""))
            columns.append(sql.SQL(known.facet) if known.facet else sql.Identifier("t", known.sql))
    query = compose(
        "read_trace_facets",
        columns=sql.SQL(", ").join(
            sql.SQL("{} AS {}").format(column, sql.Identifier(f"c{at}")) for at, column in enumerate(columns)
        ),
        near=near,
        far=sql.SQL("true") if far is None else far,
        cells=sql.SQL(", ").join(sql.Identifier(f"c{at}") for at in range(len(columns))),
    )
    scan = max(SCAN_MAX, sample)
    if far is None:
        scan = sample
    elif looks_at_spans(wanted):
        sample, scan = min(sample, SPANS_SAMPLE), SPANS_SCAN_MAX
    groups: dict[str, Counter[str]] = {name: Counter() for name in names}
    times: list[int] = []
    is_cut, looked_at = False, 0
    for *cell, is_hit, seconds, n, place in fetch(cursor, query, params | {"sample": sample, "scan": scan}):
        looked_at = max(looked_at, place)
        if not is_hit:
            is_cut = True
            continue
        times += map(int, seconds.split(","))
        for (name, value), held in zip(readers, cell, strict=True):
            if value:
                groups[name][value] += n if held else 0
            elif FIELDS[name].facet:
                for bit, (choice, _, _) in enumerate(FIELDS[name].choices):
                    groups[name][choice] += n if held >> bit & 1 else 0
            elif isinstance(held, list):
                for one in held:
                    groups[name][one] += n
            elif held is not None:
                groups[name][held] += n
    is_whole = is_all and len(times) < sample and not is_cut
    return _Found({name: dict(counted) for name, counted in groups.items()}, times, is_whole, looked_at)


def _facet(name: str, counted: dict[str, int], chosen: tuple[str, ...], is_whole: bool) -> Facet:
    known = FIELDS[name]
    if known.choices:
        order = [value for value, _, _ in known.choices if counted.get(value) or value in chosen]
    else:
        order = sorted(counted, key=lambda value: (-counted[value], value))
    shown = order[:VALUES_MAX] + [value for value in chosen if value not in order[:VALUES_MAX]]
    values = tuple(FacetValue(value, counted.get(value, 0)) for value in shown)
    return Facet(name, values, len(order) > VALUES_MAX, is_whole)


def _histogram(times: list[int], wanted: TraceFilter, is_whole: bool) -> Histogram | None:
    """Bars over the window; where it is open, or only its newest traces are known, over these."""
    if not times:
        return None
    first, last = min(times), max(times)
    if is_whole and wanted.start is not None and wanted.trace_ids is None:
        first = min(first, int(wanted.start.timestamp()))
    if wanted.end is not None and wanted.trace_ids is None:
        # An end ahead of us is there for clocks that run fast: empty bars up to it would tell nothing.
        last = max(last, int(min(wanted.end, clock.now()).timestamp()) - 1)
    step = next((step for step in _STEPS if (last - first) / step <= BARS), max((last - first) // BARS, 1))
    start = first - first % step
    bars = [0] * ((last - start) // step + 1)
    for second in times:
        bars[(second - start) // step] += 1
    low, high = -62_135_596_800, 253_402_300_799
    return Histogram(_at(max(start, low)), _at(min(start + step * len(bars), high)), step, tuple(bars))


def _at(second: int) -> datetime:
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=second)
