"""Which traces a query finds: the segments of the index are read newest first, no further than an answer needs."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np
import zstandard
from numpy.typing import NDArray

from telltale.lib.db import raw_cursor
from telltale.lib.sql import load
from traces.read.asking import TooSlow
from traces.read.texts import gather, us_of
from traces.search.blocks import DOC_BLOCK, DocBlock, TermBlock, after_prefix, unpack_docs, unpack_numbers, unpack_terms
from traces.search.query import Clause, Query, QueryError, Term, has_phrase, holds, parse
from traces.search.words import fold, plain_text, terms_of

# Counting goes no further than this; what is beyond is estimated from the share of documents read.
COUNT_MAX = 10_000
# Segments read at once: few first, since the newest ones usually answer the page.
GROUP, GROUP_MAX = 8, 64
# Blocks of terms with one beginning, a segment. Three letters take up to about ten.
PREFIX_BLOCKS = 64
# Blocks read at once, so that a long query takes more rounds and not more memory (each unpacks to about 60 KB).
BLOCKS_AT_ONCE = 512
# Traces whose texts are read to see a phrase in place, at once and for a count.
VERIFY_AT_ONCE, VERIFY_MAX = 50, 100
SECONDS = 2.5
# Not yet indexed traces that are looked at by their row.
UNINDEXED = 300
_CONSUMER = 2  # traces.write.feed.Consumer.SEARCH
_MAX_US = 2**62

Place = tuple[int, UUID]  # start in microseconds since 1970, and id: the order of lists
Ordinals = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class SearchState:
    """How far the index is behind: traces that wait (`is_more`: at least), since when, and if the past is taken in.

    `incomplete` traces are longer than the index reads, or could not be read; counted up to 1,000.
    """

    pending: int
    since: datetime | None
    is_more: bool
    is_backfilled: bool
    incomplete: int = 0


@dataclass(frozen=True, slots=True)
class Backlog:
    """What waits in the whole installation: entries of the feed, the age of the oldest, documents set aside."""

    entries: int
    oldest_seconds: float | None
    set_aside: int


@dataclass(frozen=True, slots=True)
class Segment:
    """A segment's row."""

    segment_id: int
    day: datetime
    docs: int
    first_us: int
    last_us: int
    block_starts: NDArray[np.int64]
    gone: NDArray[np.bool_] | None


def parse_query(text: str) -> Query:
    """As `traces.search.query.parse`."""
    return parse(text)


def read_state(project_id: int) -> SearchState:
    """How far the project's index is behind."""
    with raw_cursor() as cursor:
        cursor.execute(load("traces", "search_pending"), {"project_id": project_id, "consumer": _CONSUMER})
        row = cursor.fetchone()
    return SearchState(*row) if row else SearchState(0, None, False, True)


def read_backlog() -> Backlog:
    """What waits for the index in the whole installation."""
    with raw_cursor() as cursor:
        cursor.execute(load("traces", "search_backlog"), {"consumer": _CONSUMER})
        row = cursor.fetchone()
    return Backlog(*row) if row else Backlog(0, None, 0)


def traces_of_span(project_id: int, span_id: int, hex_id: str) -> list[UUID]:
    """The traces that hold a span of this id, whenever they were, indexed already or the newest that are not."""
    hits = Hits(project_id, Query((Clause(((Term(hex_id),),)),)), None, None)
    asked = {
        "project_id": project_id,
        "consumer": _CONSUMER,
        "limit": 1000,
        "trace_ids": [trace_id for _, trace_id in hits.take(50)],
        "span_id": span_id,
    }
    with raw_cursor() as cursor:
        cursor.execute(load("traces", "search_span"), asked)
        return [row[0] for row in cursor.fetchall()]


class Hits:
    """The traces of a window that a query finds, in order of their start; read as far as somebody asks.

    Lives within the transaction of one answer. TooSlow where finding takes longer than `seconds` all together.
    """

    def __init__(
        self, project_id: int, query: Query, start: datetime | None, end: datetime | None, seconds: float = SECONDS
    ) -> None:
        self.project_id = project_id
        self.query = query
        self.deadline = time.monotonic() + seconds
        self.start_us = -_MAX_US if start is None else us_of(start)
        self.end_us = _MAX_US if end is None else us_of(end)
        self.is_partial = False
        self.is_file = False
        self._segments = self._read_segments(start, end)
        self._extras = self._read_extras()
        self._survey(query)
        if not self.total and (of_parts := query.with_parts()) is not None:
            self._survey(of_parts)

    # What is asked

    @property
    def total(self) -> int:
        """How many were found so far."""
        return sum(len(ordinals) for ordinals in self._found.values()) + len(self._extras)

    def count(self, most: int = COUNT_MAX, *, exactly: bool = False) -> tuple[int, bool]:
        """How many traces match, and whether that is exact: it is up to `most`, and with `exactly` always.

        TooSlow where counting exactly takes too long: a phrase is looked for in every text.
        """
        if exactly:
            while len(self._found) < len(self._segments):
                self._read_more(self._segments, GROUP_MAX)
        if self.query.phrases:
            return self._count_verified(exactly)
        total = self.total
        if len(self._found) == len(self._segments) and not self.is_partial:
            return total, total <= most or exactly
        read = sum(segment.docs for segment in self._segments if segment.segment_id in self._found)
        every = sum(segment.docs for segment in self._segments)
        return max(round(total * every / max(read, 1)), total), False

    def take(self, n: int, after: Place | None = None, goes_down: bool = True) -> list[Place]:
        """The next `n` behind a place in the order, newest first where `goes_down`."""
        if not self.query.phrases:
            return self._take(n, after, goes_down)
        found: list[Place] = []
        while True:
            more = self._take(VERIFY_AT_ONCE, after, goes_down)
            found += [place for place in more if self._verified(more)[place[1]]]
            if len(found) >= n or len(more) < VERIFY_AT_ONCE:
                return found[:n]
            after = more[-1]

    # Phrases are seen in the text

    def _count_verified(self, exactly: bool) -> tuple[int, bool]:
        most = self.total + 1 if exactly else VERIFY_MAX
        looked = self._take(most, None, True)
        told = self._verified(looked)
        n = sum(told[place[1]] for place in looked)
        if len(looked) < most:
            return n, True
        return round(self.total * n / len(looked)), False

    def _verified(self, places: Sequence[Place]) -> dict[UUID, bool]:
        """Whether the texts of these traces hold the phrases, looked up once."""
        unknown = [trace_id for _, trace_id in places if trace_id not in self._told]
        for at in range(0, len(unknown), VERIFY_AT_ONCE):
            self._check_time()
            some = unknown[at : at + VERIFY_AT_ONCE]
            self._told |= dict.fromkeys(some, False)
            with raw_cursor() as cursor:
                for gathered in gather(cursor, self.project_id, some, keeps_texts=True):
                    self._told[gathered.trace_id] = self._says(gathered.document.texts)
        return self._told

    def _says(self, texts: Sequence[str]) -> bool:
        return all(
            any(_says_phrase(text, clause.phrase) for text in texts) != clause.is_negative
            for clause in self.query.phrases
        )

    def _check_time(self) -> None:
        if time.monotonic() > self.deadline:
            raise TooSlow

    # Segments

    def _read_segments(self, start: datetime | None, end: datetime | None) -> list[Segment]:
        asked = {"project_id": self.project_id, "start": start, "end": end}
        with raw_cursor() as cursor:
            cursor.execute(load("traces", "search_segments"), asked, binary=True)
            return [
                Segment(
                    segment_id,
                    day,
                    docs,
                    us_of(first_at),
                    us_of(last_at),
                    unpack_numbers(block_starts),
                    None if gone_map is None else _bits(gone_map, docs),
                )
                for segment_id, day, docs, first_at, last_at, block_starts, gone_map in cursor.fetchall()
            ]

    def _survey(self, query: Query) -> None:
        """Read segments, newest first, until more than `COUNT_MAX` are found."""
        self.query = query
        self._found: dict[int, Ordinals] = {}
        self._blocks: dict[tuple[int, int], DocBlock] = {}
        self._told: dict[UUID, bool] = {}
        size = GROUP
        while len(self._found) < len(self._segments) and self.total <= COUNT_MAX:
            self._read_more(self._segments, size)
            size = min(size * 2, GROUP_MAX)

    def _read_more(self, order: Sequence[Segment], size: int) -> None:
        """Look into the next segments of `order`."""
        self._check_time()
        wanted = self.query.terms
        prefixes = sum(term.is_prefix for term in wanted)
        size = max(min(size, BLOCKS_AT_ONCE // (len(wanted) + 10 * prefixes)), 1)
        group: list[Segment] = []
        for segment in order:
            if segment.segment_id in self._found:
                continue
            # What lies far off in time is asked for alone, or the planner would look at every day between.
            if len(group) == size or (group and abs((segment.day - group[0].day).days) > 400):
                break
            group.append(segment)
        if not group:
            return
        terms = self._read_terms(group)
        edges = [
            (segment, number)
            for segment in group
            for edge in (self.start_us, self.end_us)
            if segment.first_us < edge <= segment.last_us
            for number in (_block_at(segment, edge),)
        ]
        self._load([(segment, number) for segment, number in edges])
        for segment in group:
            self._found[segment.segment_id] = self._evaluate(segment, terms.get(segment.segment_id, []))

    def _read_terms(self, group: Sequence[Segment]) -> dict[int, list[tuple[bytes, TermBlock]]]:
        wanted = self.query.terms
        prefixes = sorted(term.text.encode() for term in wanted if term.is_prefix)
        asked = {
            "project_id": self.project_id,
            "segment_ids": [segment.segment_id for segment in group],
            "days": [segment.day for segment in group],
            "first_day": min(segment.day for segment in group),
            "last_day": max(segment.day for segment in group),
            "terms": sorted(term.text.encode() for term in wanted),
            "prefixes": prefixes,
            "prefix_ends": [after_prefix(prefix) for prefix in prefixes],
            "prefix_limit": PREFIX_BLOCKS,
        }
        found: defaultdict[int, list[tuple[bytes, TermBlock]]] = defaultdict(list)
        with raw_cursor() as cursor:
            cursor.execute(load("traces", "search_terms"), asked, binary=True, prepare=False)
            for segment_id, first, data in cursor.fetchall():
                found[segment_id].append((first, unpack_terms(data)))
        if prefixes:
            self.is_partial |= any(len(blocks) >= PREFIX_BLOCKS for blocks in found.values())
        return found

    def _evaluate(self, segment: Segment, blocks: Sequence[tuple[bytes, TermBlock]]) -> Ordinals:
        """The ordinals of the segment's documents that match, lie in the window and still count."""
        mask = np.ones(segment.docs, np.bool_)
        for clause in self.query.clauses:
            if clause.is_negative and clause.phrase:
                continue  # its words alone say nothing: the text is looked at
            held = _mask(clause, segment.docs, blocks)
            mask &= ~held if clause.is_negative else held
        if segment.gone is not None:
            mask &= ~segment.gone
        mask[: self._ordinal_of(segment, self.start_us)] = False
        mask[self._ordinal_of(segment, self.end_us) :] = False
        return np.flatnonzero(mask)

    def _ordinal_of(self, segment: Segment, edge: int) -> int:
        """The first ordinal that starts at or after a moment."""
        if edge <= segment.first_us:
            return 0
        if edge > segment.last_us:
            return segment.docs
        number = _block_at(segment, edge)
        block = self._blocks.get((segment.segment_id, number))
        if block is None:
            return number * DOC_BLOCK
        return number * DOC_BLOCK + int(np.searchsorted(block.starts, edge, "left"))

    # In order

    def _take(self, n: int, after: Place | None, goes_down: bool) -> list[Place]:
        sign = -1 if goes_down else 1
        order = sorted(self._segments, key=lambda s: -s.last_us if goes_down else s.first_us)
        if after is not None:
            order = [s for s in order if (s.first_us <= after[0] if goes_down else s.last_us >= after[0])]
        size = GROUP
        while True:
            unread = next((s for s in order if s.segment_id not in self._found), None)
            # What an unread segment may hold comes no earlier than this.
            horizon = None if unread is None else (unread.last_us if goes_down else unread.first_us)
            found = self._ordered(n, order, after, goes_down)
            if horizon is None:
                return found[:n]
            sure = [place for place in found if sign * place[0] < sign * horizon]
            if len(sure) >= n:
                return sure[:n]
            self._read_more(order, size)
            size = min(size * 2, GROUP_MAX)

    def _ordered(self, n: int, order: Sequence[Segment], after: Place | None, goes_down: bool) -> list[Place]:
        """The first `n` of what is found in the segments read, behind a place.

        A document begins between the starts of its block and of the next. So only blocks that may hold one of the
        first `n` are read: those that begin before the latest moment by which `n` must have come.
        """
        sign = -1 if goes_down else 1
        kept: list[tuple[Segment, Ordinals, NDArray[np.int64], NDArray[np.int64]]] = []
        for segment in order:
            ordinals = self._found.get(segment.segment_id)
            if ordinals is None or not len(ordinals):
                continue
            numbers = ordinals // DOC_BLOCK
            # In the list's direction: when the block begins, and when it has ended.
            near, far = segment.block_starts[numbers + goes_down], segment.block_starts[numbers + (not goes_down)]
            if after is not None:
                behind = sign * far >= sign * after[0]
                ordinals, near, far = ordinals[behind], near[behind], far[behind]
            kept.append((segment, ordinals, sign * near, sign * far))
        latest = self._latest(n, kept, None if after is None else sign * after[0])
        wanted = [
            (segment, ordinals if latest is None else ordinals[near <= latest]) for segment, ordinals, near, _ in kept
        ]
        self._load(
            (segment, number) for segment, ordinals in wanted for number in np.unique(ordinals // DOC_BLOCK).tolist()
        )
        found = [place for place in self._extras if _is_behind(place, after, sign)]
        for segment, ordinals in wanted:
            found += self._places(segment, ordinals, after, sign)
        found.sort(key=lambda place: (sign * place[0], sign * place[1].int))
        return found[:n]

    def _latest(self, n: int, kept: Sequence[tuple[Segment, Ordinals, Any, Any]], after: int | None) -> int | None:
        """The moment by which `n` have surely come, in the list's direction; None where there may be fewer."""
        ends = [far if after is None else far[near > after] for _, _, near, far in kept]
        every = np.concatenate(ends) if ends else np.empty(0, np.int64)
        return None if len(every) < n else int(np.partition(every, n - 1)[n - 1])

    def _places(self, segment: Segment, ordinals: Ordinals, after: Place | None, sign: int) -> Iterable[Place]:
        for ordinal in ordinals.tolist():
            number, at = divmod(ordinal, DOC_BLOCK)
            block = self._blocks.get((segment.segment_id, number))
            if block is not None:
                place = (int(block.starts[at]), block.trace_id(at))
                if _is_behind(place, after, sign):
                    yield place

    def _load(self, wanted: Iterable[tuple[Segment, int]]) -> None:
        """Read document blocks that are not here yet."""
        missing = {(s.segment_id, number): s for s, number in wanted if (s.segment_id, number) not in self._blocks}
        if not missing:
            return
        self._check_time()
        asked = {
            "project_id": self.project_id,
            "segment_ids": [segment_id for segment_id, _ in missing],
            "days": [segment.day for segment in missing.values()],
            "firsts": [number.to_bytes(4) for _, number in missing],
            "first_day": min(segment.day for segment in missing.values()),
            "last_day": max(segment.day for segment in missing.values()),
        }
        with raw_cursor() as cursor:
            cursor.execute(load("traces", "search_docs"), asked, binary=True, prepare=False)
            for segment_id, first, data in cursor.fetchall():
                number = int.from_bytes(first)
                docs = missing[(segment_id, number)].docs
                self._blocks[(segment_id, number)] = unpack_docs(data, min(DOC_BLOCK, docs - number * DOC_BLOCK))

    # What is not in the index yet

    def _read_extras(self) -> list[Place]:
        """Of the traces that wait to be taken in, those whose row matches: by name, ids and first words."""
        asked = {"project_id": self.project_id, "consumer": _CONSUMER, "limit": UNINDEXED}
        with raw_cursor() as cursor:
            cursor.execute(load("traces", "search_unindexed"), asked)
            rows = cursor.fetchall()
        found = []
        for trace_id, started_at, text in rows:
            start = us_of(started_at)
            if self.start_us <= start < self.end_us and row_matches(self.query, trace_id, text):
                found.append((start, trace_id))
        return found


def _says_phrase(text: str, phrase: str) -> bool:
    # Most texts lack its longest word, which is seen ten times faster than how words follow each other.
    word = max(phrase.split(" "), key=len)
    return word in fold(text) and has_phrase(plain_text(text), phrase)


def row_matches(query: Query, trace_id: UUID, text: str) -> bool:
    """Whether the texts of a trace's row are what a query asks for."""
    return holds(query, terms_of(text) | {trace_id.hex}, lambda: plain_text(text))


def _is_behind(place: Place, after: Place | None, sign: int) -> bool:
    return after is None or ((place > after) if sign > 0 else (place < after))


def _mask(clause: Clause, docs: int, blocks: Sequence[tuple[bytes, TermBlock]]) -> NDArray[np.bool_]:
    mask = np.ones(docs, np.bool_)
    for slot in clause.slots:
        held = np.zeros(docs, np.bool_)
        for term in slot:
            for ordinals in _find(term, blocks):
                held[ordinals] = True
        mask &= held
    return mask


def _find(term: Term, blocks: Sequence[tuple[bytes, TermBlock]]) -> Iterable[NDArray[np.uint16]]:
    text = term.text.encode()
    if not term.is_prefix:
        block = next((block for first, block in reversed(blocks) if first <= text), None)
        return [] if block is None else [block.find(text)]
    end = after_prefix(text)
    return [block.find_prefix(text) for first, block in blocks if first < end and block.terms[-1] >= text]


def _block_at(segment: Segment, edge: int) -> int:
    """The number of the block in which documents from a moment on begin."""
    return max(int(np.searchsorted(segment.block_starts[:-1], edge, "left")) - 1, 0)


def _bits(data: bytes, n: int) -> NDArray[np.bool_]:
    raw = zstandard.ZstdDecompressor().decompress(data)
    return np.unpackbits(np.frombuffer(raw, np.uint8), count=n).astype(np.bool_)


__all__ = [
    "COUNT_MAX",
    "Backlog",
    "Hits",
    "Place",
    "QueryError",
    "SearchState",
    "parse_query",
    "read_backlog",
    "read_state",
    "row_matches",
    "traces_of_span",
]
