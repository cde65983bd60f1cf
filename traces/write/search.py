"""Writing the search index: whatever changed is taken in, in bounded passes, from committed rows.

The row of `traces_search_state` is the lock: one writer a project. A pass claims entries of the feed, reads the traces
they name, writes a segment for each of their days and says which older entries no longer count, all in one
transaction: killed anywhere, it has done everything or nothing.
"""

from __future__ import annotations

import logging
import secrets
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from uuid import UUID

import numpy as np
import zstandard
from django.db import transaction
from numpy.typing import NDArray
from psycopg import Cursor

from telltale.lib import clock
from telltale.lib.db import raw_cursor
from traces.read.texts import Gathered, gather, us_of
from traces.search.blocks import DOC_BLOCK, pack_numbers, unpack_docs, unpack_numbers
from traces.search.segments import Doc, Documents, documents_of, invert
from traces.write import partitions
from traces.write.batch import new_id
from traces.write.feed import Consumer

# A pass reads this much in about 0.6 s; a longer one would hold its traces' texts for longer, a shorter one makes more
# segments to merge.
PASS_TRACES = 400
PASS_SPANS = 5_000
# A trace of more spans than this is read again only when it has been quiet, or waited for, for a while.
LARGE_SPANS = 1_000
QUIET = timedelta(seconds=10)
PATIENCE = timedelta(seconds=60)
# A pass that died is tried again with a quarter of the traces; the last one left that still kills is set aside.
ATTEMPTS_MAX = 6
# The day of documents that lie too far off to have one.
FAR_DAY = datetime(1900, 1, 1, tzinfo=UTC)
# Entries of the feed larger than this are cut, so that putting back what a pass has not taken costs little.
ENTRY_TRACES = 1_000
CUT, SET_ASIDE = 1, 2

logger = logging.getLogger("telltale.search")

_MAKE_STATE = "INSERT INTO traces_search_state (project_id) VALUES (%s) ON CONFLICT DO NOTHING"
_LOCK = "SELECT next_version FROM traces_search_state WHERE project_id = %s FOR UPDATE SKIP LOCKED"
_LOCK_WAITING = "SELECT next_version FROM traces_search_state WHERE project_id = %s FOR UPDATE"
_ATTEMPTS = "SELECT attempts FROM traces_search_state WHERE project_id = %s"
# Waits for nobody: where the row is locked, another process is at work.
_BEGIN = """
    UPDATE traces_search_state SET attempts = least(attempts + 1, 1000)
    WHERE project_id IN (SELECT project_id FROM traces_search_state WHERE project_id = %s FOR UPDATE SKIP LOCKED)
"""
_END = """
    UPDATE traces_search_state SET next_version = %s, attempts = 0, set_aside = set_aside + %s WHERE project_id = %s
"""
_KEEP_VERSION = """
    UPDATE traces_search_state SET next_version = %s, set_aside = set_aside + %s WHERE project_id = %s
"""
# The oldest entries, as many as hold together what a pass may take.
_PEEK = """
    SELECT feed_id, changed_at, trace_ids[:%(cut)s]
    FROM (
        SELECT feed_id, changed_at, trace_ids, sum(cardinality(trace_ids)) OVER (ORDER BY feed_id) AS total
        FROM (
            SELECT feed_id, changed_at, trace_ids FROM traces_feed
            WHERE consumer = %(consumer)s AND project_id = %(project_id)s
            ORDER BY feed_id
            LIMIT %(limit)s
        ) AS oldest
    ) AS summed
    WHERE total - cardinality(trace_ids) < %(bite)s
    ORDER BY feed_id
"""
_TAKE = """
    DELETE FROM traces_feed WHERE consumer = %s AND project_id = %s AND feed_id = ANY(%s::bigint[])
    RETURNING feed_id, changed_at, batch_id, trace_ids
"""
_PUT_BACK = """
    INSERT INTO traces_feed (consumer, project_id, feed_id, changed_at, batch_id, trace_ids)
    VALUES (%s, %s, %s, %s, %s, %s) ON CONFLICT DO NOTHING
"""
_BOUNDS = """
    SELECT trace_id, started_at, updated_at, span_count FROM traces_trace
    WHERE project_id = %s AND trace_id = ANY(%s)
"""
_KNOWN = """
    SELECT trace_id, version, day, started_at FROM traces_search_doc WHERE project_id = %s AND trace_id = ANY(%s)
"""
_KEEP_DOCS = """
    INSERT INTO traces_search_doc AS d (project_id, trace_id, version, day, started_at, flags)
    SELECT %(project_id)s, r.* FROM unnest(
        %(ids)s::uuid[], %(versions)s::bigint[], %(days)s::timestamptz[], %(starts)s::timestamptz[],
        %(flags)s::smallint[]
    ) AS r
    ON CONFLICT (project_id, trace_id) DO UPDATE SET
        version = excluded.version, day = excluded.day, started_at = excluded.started_at, flags = excluded.flags
"""
_DROP_DOCS = "DELETE FROM traces_search_doc WHERE project_id = %s AND trace_id = ANY(%s)"
_KEEP_BLOCKS = """
    INSERT INTO traces_search_block (project_id, segment_id, kind, first, day, data)
    SELECT %(project_id)s, %(segment_id)s, %(kind)s, r.first, %(day)s, r.data
    FROM unnest(%(firsts)b::bytea[], %(data)b::bytea[]) AS r (first, data)
"""
_KEEP_SEGMENT = """
    INSERT INTO traces_search_segment (
        project_id, segment_id, day, first_at, last_at, docs, gone, bytes, first_version, last_version, block_starts,
        gone_map
    ) VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %b, %b)
"""
_SEGMENTS_OF_DAYS = """
    SELECT segment_id, day, docs, first_version, last_version, block_starts, gone_map FROM traces_search_segment
    WHERE project_id = %s AND day = ANY(%s)
    ORDER BY day, first_version
"""
_DOC_BLOCK = """
    SELECT data FROM traces_search_block
    WHERE project_id = %s AND segment_id = %s AND kind = 0 AND first = %b AND day = %s
"""
_SET_GONE = "UPDATE traces_search_segment SET gone_map = %b, gone = %s WHERE project_id = %s AND segment_id = %s"


@dataclass(frozen=True, slots=True)
class Passed:
    """What a pass did: traces taken in or taken out, and whether there may be more to do at once."""

    traces: int
    has_more: bool


@dataclass(slots=True)
class _Choice:
    """What a pass will take: entries of the feed, and which of their traces it leaves for later."""

    feed_ids: list[int] = field(default_factory=list)
    trace_ids: set[UUID] = field(default_factory=set)
    days: dict[UUID, datetime] = field(default_factory=dict)
    has_more: bool = False


def index_pass(project_id: int, traces: int = PASS_TRACES) -> Passed | None:
    """Take in what the feed tells of one project, at most about `traces`; None where another process is at it."""
    with raw_cursor() as cursor:
        cursor.execute(_MAKE_STATE, (project_id,))
        cursor.execute(_ATTEMPTS, (project_id,))
        row = cursor.fetchone()
        died = int(row[0]) if row else 0
        bite = max(traces >> 2 * min(died, 10), 1)
        choice = _choose(cursor, project_id, bite)
        if not choice.trace_ids:
            return Passed(0, False)
        cursor.execute(_BEGIN, (project_id,))
        if not cursor.rowcount:
            return None
    for day in {day for day in choice.days.values() if day != FAR_DAY}:
        partitions.ensure_days("traces_search_block", [day.date()])
    is_deadly = bite == 1 and died >= ATTEMPTS_MAX
    with transaction.atomic(), raw_cursor() as cursor:
        version = lock(cursor, project_id)
        if version is None:
            return None
        _claim(cursor, project_id, choice)
        if is_deadly:
            logger.warning("a trace is set aside: reading it ended the worker %d times", died)
        version, set_aside = take_in(cursor, project_id, choice.trace_ids, choice.days, version, is_bare=is_deadly)
        cursor.execute(_END, (version, set_aside, project_id))
    return Passed(len(choice.trace_ids), choice.has_more)


def lock(cursor: Cursor[Any], project_id: int, *, is_patient: bool = False) -> int | None:
    """The right to write the project's index until the transaction ends, as its next version; None where taken."""
    cursor.execute(_LOCK_WAITING if is_patient else _LOCK, (project_id,))
    row = cursor.fetchone()
    return int(row[0]) if row else None


def has_index(cursor: Cursor[Any], project_id: int) -> bool:
    """Whether the project has an index at all, which somebody may hold the lock of."""
    cursor.execute("SELECT 1 FROM traces_search_state WHERE project_id = %s", (project_id,))
    return cursor.fetchone() is not None


def keep_version(cursor: Cursor[Any], project_id: int, version: int, set_aside: int) -> None:
    """Write down the next version and what was set aside, in the transaction that used the lock."""
    cursor.execute(_KEEP_VERSION, (version, set_aside, project_id))


def _choose(cursor: Cursor[Any], project_id: int, bite: int) -> _Choice:
    """Which entries a pass takes, oldest first, until there is enough to do. Nothing is changed."""
    choice = _Choice()
    asked = {
        "consumer": int(Consumer.SEARCH),
        "project_id": project_id,
        "cut": ENTRY_TRACES,
        "limit": 4 * PASS_TRACES,
        "bite": bite,
    }
    cursor.execute(_PEEK, asked)
    entries = cursor.fetchall()
    cursor.execute(_BOUNDS, (project_id, list({trace_id for entry in entries for trace_id in entry[2]})))
    bounds = {row[0]: row for row in cursor.fetchall()}
    now = clock.now()
    spans = seen = 0
    for feed_id, changed_at, trace_ids in entries:
        seen += len(trace_ids)
        if len(choice.trace_ids) >= bite or spans >= PASS_SPANS:
            break
        choice.feed_ids.append(feed_id)
        for trace_id in trace_ids:
            if trace_id in choice.trace_ids or len(choice.trace_ids) >= bite or spans >= PASS_SPANS:
                continue
            row = bounds.get(trace_id)
            if row is not None and row[3] > LARGE_SPANS and now - row[2] < QUIET and now - changed_at < PATIENCE:
                continue
            choice.trace_ids.add(trace_id)
            if row is not None:
                choice.days[trace_id] = day_of(row[1])
                spans += row[3]
    choice.has_more = bool(choice.trace_ids) and (seen >= bite or spans >= PASS_SPANS)
    return choice


def _claim(cursor: Cursor[Any], project_id: int, choice: _Choice) -> None:
    """Take the entries chosen; what of them is left for later goes back as it was, in handy pieces."""
    cursor.execute(_TAKE, (int(Consumer.SEARCH), project_id, choice.feed_ids))
    entries = cursor.fetchall()
    named: set[UUID] = set()
    for feed_id, changed_at, batch_id, trace_ids in entries:
        named.update(trace_ids)
        left = [trace_id for trace_id in trace_ids if trace_id not in choice.trace_ids]
        for at in range(0, len(left), ENTRY_TRACES):
            piece, number = left[at : at + ENTRY_TRACES], feed_id
            for _ in range(20):
                cursor.execute(_PUT_BACK, (int(Consumer.SEARCH), project_id, number, changed_at, batch_id, piece))
                if cursor.rowcount:
                    break
                number = (feed_id >> 20) << 20 | secrets.randbits(20)
            else:
                raise RuntimeError("no free place in the feed for what is put back")
    # An entry that another process took meanwhile is its own.
    choice.trace_ids &= named


def take_in(
    cursor: Cursor[Any],
    project_id: int,
    trace_ids: Iterable[UUID],
    days: dict[UUID, datetime],
    version: int,
    *,
    is_bare: bool = False,
) -> tuple[int, int]:
    """Take traces into the index, those that are gone out of it, in the caller's transaction, which holds the lock.

    `days` are those for which a partition was made. The next version, and how many documents were set aside.
    """
    wanted = set(trace_ids)
    by_day: defaultdict[datetime, list[Gathered]] = defaultdict(list)
    bare = frozenset(wanted) if is_bare else frozenset()
    set_aside = 0
    found: set[UUID] = set()
    for gathered in gather(cursor, project_id, wanted, bare=bare):
        day = day_of(gathered.started_at)
        # A trace that changed its day since the partitions were made lies with the far ones until it changes again.
        by_day[day if day in days.values() else FAR_DAY].append(gathered)
        found.add(gathered.trace_id)
        set_aside += gathered.is_set_aside
    _let_go(cursor, project_id, wanted)
    for day, held in sorted(by_day.items()):
        version = _write_segment(cursor, project_id, day, held, version)
    gone = wanted - found
    if gone:
        cursor.execute(_DROP_DOCS, (project_id, list(gone)))
    return version, set_aside


def _write_segment(cursor: Cursor[Any], project_id: int, day: datetime, held: Sequence[Gathered], version: int) -> int:
    """Write one segment and its documents' rows; the next version."""
    docs = [
        Doc(gathered.trace_id, us_of(gathered.started_at), version + at, gathered.document.terms)
        for at, gathered in enumerate(held)
    ]
    documents, ordered = documents_of(docs)
    segment_id = new_id()
    size = keep_blocks(cursor, project_id, segment_id, day, 1, invert(ordered))
    size += keep_documents(cursor, project_id, segment_id, day, documents)
    keep_segment(cursor, project_id, segment_id, day, documents, (version, version + len(docs) - 1), size, None)
    cursor.execute(
        _KEEP_DOCS,
        {
            "project_id": project_id,
            "ids": [doc.trace_id for doc in docs],
            "versions": [doc.version for doc in docs],
            "days": [day] * len(docs),
            "starts": [gathered.started_at for gathered in held],
            "flags": [CUT * g.document.is_cut | SET_ASIDE * g.is_set_aside for g in held],
        },
    )
    return version + len(docs)


def keep_blocks(
    cursor: Cursor[Any],
    project_id: int,
    segment_id: int,
    day: datetime,
    kind: int,
    blocks: Iterable[tuple[bytes, bytes]],
) -> int:
    """Insert blocks of a segment, some at a time; their bytes together."""
    total = 0
    waiting: list[tuple[bytes, bytes]] = []

    def flush() -> None:
        cursor.execute(
            _KEEP_BLOCKS,
            {
                "project_id": project_id,
                "segment_id": segment_id,
                "kind": kind,
                "day": day,
                "firsts": [first for first, _ in waiting],
                "data": [data for _, data in waiting],
            },
        )
        waiting.clear()

    for first, data in blocks:
        waiting.append((first, data))
        total += len(data)
        if len(waiting) >= 64:
            flush()
    if waiting:
        flush()
    return total


def keep_documents(cursor: Cursor[Any], project_id: int, segment_id: int, day: datetime, documents: Documents) -> int:
    """Insert the document blocks of a segment; their bytes together."""
    numbered = ((number.to_bytes(4), data) for number, data in enumerate(documents.blocks()))
    return keep_blocks(cursor, project_id, segment_id, day, 0, numbered)


def keep_segment(
    cursor: Cursor[Any],
    project_id: int,
    segment_id: int,
    day: datetime,
    documents: Documents,
    versions: tuple[int, int],
    size: int,
    gone: NDArray[np.bool_] | None,
) -> None:
    """Insert the row of a segment; with it the segment is there."""
    cursor.execute(
        _KEEP_SEGMENT,
        (
            project_id, segment_id, day, at_us(int(documents.starts[0])), at_us(int(documents.starts[-1])),
            len(documents), 0 if gone is None else int(gone.sum()), size, *versions,
            pack_numbers(documents.block_starts), None if gone is None else pack_bits(gone),
        ),
    )  # fmt: skip


def drop(cursor: Cursor[Any], project_id: int, trace_ids: Iterable[UUID]) -> int:
    """Take traces out of the index, in the caller's transaction; how many it knew.

    Nobody finds them then; their words stay in the blocks until `search_merge.purge` rewrites these.
    """
    wanted = set(trace_ids)
    lock(cursor, project_id, is_patient=True)
    _let_go(cursor, project_id, wanted)
    cursor.execute(_DROP_DOCS, (project_id, list(wanted)))
    return cursor.rowcount


def _let_go(cursor: Cursor[Any], project_id: int, trace_ids: set[UUID]) -> None:
    """Say in their segments that what the index knows of these traces counts no more."""
    cursor.execute(_KNOWN, (project_id, list(trace_ids)))
    by_day: defaultdict[datetime, list[tuple[int, int]]] = defaultdict(list)
    for _, version, day, started_at in cursor.fetchall():
        by_day[day].append((version, us_of(started_at)))
    if not by_day:
        return
    cursor.execute(_SEGMENTS_OF_DAYS, (project_id, list(by_day)), binary=True)
    for segment_id, day, docs, first, last, packed, gone_map in cursor.fetchall():
        held = [(version, start) for version, start in by_day[day] if first <= version <= last]
        if not held:
            continue
        block_starts = unpack_numbers(packed)[:-1]
        gone = unpack_bits(gone_map, docs)
        blocks = _Blocks(cursor, project_id, segment_id, day, docs)
        for version, start in held:
            at = _find(blocks, block_starts, version, start)
            if at is not None:
                gone[at] = True
        cursor.execute(_SET_GONE, (pack_bits(gone), int(gone.sum()), project_id, segment_id))


class _Blocks:
    """The blocks of a segment's documents, each read once."""

    def __init__(self, cursor: Cursor[Any], project_id: int, segment_id: int, day: datetime, docs: int) -> None:
        self.cursor, self.asked, self.day, self.docs = cursor, (project_id, segment_id), day, docs
        self._versions: dict[int, NDArray[np.int64]] = {}

    def versions(self, number: int) -> NDArray[np.int64]:
        """The versions in a block, (n,); none where it is not there."""
        held = self._versions.get(number)
        if held is None:
            self.cursor.execute(_DOC_BLOCK, (*self.asked, number.to_bytes(4), self.day), binary=True)
            row = self.cursor.fetchone()
            held = np.empty(0, np.int64)
            if row is not None:
                held = unpack_docs(row[0], min(DOC_BLOCK, self.docs - number * DOC_BLOCK)).versions
            self._versions[number] = held
        return held


def _find(blocks: _Blocks, block_starts: NDArray[np.int64], version: int, start: int) -> int | None:
    """The ordinal of a version in its segment: among the blocks whose starts enclose its own."""
    low = max(int(np.searchsorted(block_starts, start, "left")) - 1, 0)
    high = int(np.searchsorted(block_starts, start, "right"))
    for number in range(low, max(high, low + 1)):
        places = np.flatnonzero(blocks.versions(number) == version)
        if len(places):
            return number * DOC_BLOCK + int(places[0])
    return None


def day_of(at: datetime) -> datetime:
    """The day whose segments hold a trace of this start."""
    day: date = at.astimezone(UTC).date()
    if not partitions.has_own_day(day, clock.now().date()):
        return FAR_DAY
    return datetime(day.year, day.month, day.day, tzinfo=UTC)


def at_us(us: int) -> datetime:
    """The time of microseconds since 1970."""
    return clock.EPOCH + timedelta(microseconds=us)


def pack_bits(bits: NDArray[np.bool_]) -> bytes:
    """Bits by ordinal as bytes."""
    return zstandard.ZstdCompressor(level=3, write_content_size=True).compress(np.packbits(bits).tobytes())


def unpack_bits(data: bytes | None, n: int) -> NDArray[np.bool_]:
    """The first `n` bits that `data` is; none set where there is no data."""
    if data is None:
        return np.zeros(n, np.bool_)
    raw = zstandard.ZstdDecompressor().decompress(data)
    return np.unpackbits(np.frombuffer(raw, np.uint8), count=n).astype(np.bool_)
