"""Lists of what a text search finds: its traces are named to the list's own queries, newest first, some at a time."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TypeVar
from uuid import UUID

from traces.read.asking import TooSlow
from traces.read.filters import FilterError, TraceFilter
from traces.read.search import COUNT_MAX, SECONDS, VERIFY_MAX, Hits, Place, QueryError, parse_query
from traces.read.texts import us_of

# Named to a question that groups or counts; of more, these are a sample.
SAMPLE = 1_000
# Grouped where nothing else is asked for. Of a word in each 200th of a million traces, 400 are read in about 30 ms.
GROUPED = 400
# Sorted by something else than time: of more, the newest.
SORTED_MAX = 5_000
SORTED_FILE_MAX = 50_000
_Row = TypeVar("_Row")


def is_text(wanted: TraceFilter) -> bool:
    """Whether the list is of what a text search finds, and this search is still to be asked."""
    return bool(wanted.q) and wanted.trace_ids is None and wanted.text_ids is None


def fault(wanted: TraceFilter) -> FilterError | None:
    """What is wrong with the text to find; None where nothing is."""
    try:
        if is_text(wanted):
            parse_query(wanted.q)
    except QueryError as error:
        return FilterError("q", error.message, error.limit, wanted.q[:40])
    return None


def look(project_id: int, wanted: TraceFilter, seconds: float = SECONDS, *, is_file: bool = False) -> TraceFilter:
    """`wanted` with what its text finds, within the transaction that is open; as it is where it has no text to find.

    FilterError where the text asks for nothing. With `is_file` nothing that was found may be left out.
    """
    if not is_text(wanted) or wanted.hits is not None:
        return wanted
    hits = _hits(project_id, wanted, seconds)
    hits.is_file = is_file
    return replace(wanted, hits=hits)


def _hits(project_id: int, wanted: TraceFilter, seconds: float = SECONDS) -> Hits:
    if wanted.hits is not None:
        return wanted.hits
    wrong = fault(wanted)
    if wrong is not None:
        raise wrong
    return Hits(project_id, parse_query(wanted.q), wanted.start, wanted.end, seconds)


def place_of(started_at: str, trace_id: UUID) -> Place:
    """A cursor's place in the order of time."""
    return us_of(datetime.fromisoformat(started_at)), trace_id


def rows_in_order(
    project_id: int,
    wanted: TraceFilter,
    limit: int,
    after: Place | None,
    goes_down: bool,
    read: Callable[[TraceFilter, int], list[_Row]],
) -> list[_Row]:
    """The first `limit` rows behind a place: `read(filter, n)` gives those of the traces that a filter names."""
    hits = _hits(project_id, wanted)
    found: list[_Row] = []
    # Where nothing else is asked for, what is found is the page.
    size = limit if not wanted.terms else max(2 * limit, 200)
    while True:
        places = hits.take(size, after, goes_down)
        if places:
            found += read(among(wanted, places), limit - len(found))
        if len(found) >= limit or len(places) < size:
            return found
        after, size = places[-1], min(size * 3, 3 * SAMPLE)


def among(wanted: TraceFilter, places: Sequence[Place]) -> TraceFilter:
    """The filter over these traces alone."""
    return replace(wanted, text_ids=tuple(trace_id for _, trace_id in places))


def newest(project_id: int, wanted: TraceFilter, n: int = SORTED_MAX) -> TraceFilter:
    """The filter over the newest `n` traces found; as it is where it has no text to find.

    TooSlow where a file would lack the others.
    """
    if not is_text(wanted):
        return wanted
    hits = _hits(project_id, wanted)
    places = hits.take(SORTED_FILE_MAX + 1 if hits.is_file else n)
    if len(places) > SORTED_FILE_MAX:
        raise TooSlow
    return among(wanted, places)


def sample(project_id: int, wanted: TraceFilter, n: int) -> tuple[TraceFilter, bool]:
    """The filter over at most `n` of the newest traces found, and whether these are all."""
    if not is_text(wanted):
        return wanted, True
    hits = _hits(project_id, wanted)
    # Other conditions leave few of them; a phrase is looked for in every text.
    most = SAMPLE if wanted.terms else min(n, GROUPED)
    if hits.query.phrases:
        most = VERIFY_MAX
    places = hits.take(most + 1)
    return among(wanted, places[:most]), len(places) <= most


def count(
    project_id: int, wanted: TraceFilter, of_named: Callable[[TraceFilter], int], *, exactly: bool = False
) -> tuple[int, bool]:
    """How many match, and whether that is exact; `of_named(filter)` counts those of the traces that a filter names.

    Text alone is counted in the index up to `COUNT_MAX`; with other conditions beside it up to `SAMPLE` texts found.
    """
    hits = _hits(project_id, wanted)
    if not wanted.terms:
        return hits.count(COUNT_MAX, exactly=exactly)
    most = hits.count(exactly=True)[0] if exactly else SAMPLE
    places = hits.take(most + 1)
    n = of_named(among(wanted, places[:most])) if places else 0
    if len(places) <= most:
        return n, True
    return max(round(hits.count()[0] * n / most), n), False
