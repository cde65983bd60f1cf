"""Keeping the search index small: segments of one day are merged, and go when their traces are past retention."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import groupby
from typing import Any

import numpy as np
from django.db import transaction
from psycopg import Cursor

from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.projects import keeping
from telltale.projects.models import Project
from traces.search.blocks import DOC_BLOCK, SEGMENT_DOCS_MAX, TermBlock, unpack_docs, unpack_terms
from traces.search.segments import Documents, Source, merge_documents, merge_terms
from traces.write.batch import new_id
from traces.write.search import (
    FAR_DAY,
    drop,
    has_index,
    keep_blocks,
    keep_documents,
    keep_segment,
    lock,
    unpack_bits,
)

# So many segments of a size make one of the next: every document is written about four times on its way up, and a day
# that is being filled is read in some twenty pieces.
RUN = 8
RUN_MAX = 24
# Up to these sizes segments count as alike.
TIERS = (500, 4_000, 32_000, SEGMENT_DOCS_MAX)
# A day that has been quiet so long is merged down to a few segments.
QUIET = timedelta(minutes=10)
# A segment is rewritten when this share of it counts no more.
GONE_SHARE = 0.25
GONE_DOCS = 50
# Merging rests as long as it works.
REST = 1.0
pause = time.sleep
_LOCK = 0x5EA2C4

_SEGMENTS = """
    SELECT project_id, day, segment_id, docs, gone, made_at FROM traces_search_segment
    ORDER BY project_id, day, first_version
"""
_TRY_LOCK = "SELECT pg_try_advisory_xact_lock(%s, %s)"
_READ = """
    SELECT segment_id, docs, first_version, last_version, gone_map FROM traces_search_segment
    WHERE project_id = %s AND segment_id = ANY(%s)
    ORDER BY first_version
"""
_BLOCKS = """
    SELECT first, data FROM traces_search_block
    WHERE project_id = %s AND segment_id = %s AND kind = %s AND day = %s AND first > %b
    ORDER BY first
    LIMIT 8
"""
_DROP_BLOCKS = "DELETE FROM traces_search_block WHERE project_id = %s AND segment_id = ANY(%s) AND day = ANY(%s)"
_DROP_SEGMENTS = "DELETE FROM traces_search_segment WHERE project_id = %s AND segment_id = ANY(%s)"
# Segments of which every document is past its days.
_PAST = """
    SELECT segment_id, day FROM traces_search_segment
    WHERE project_id = %(project_id)s AND last_at < %(cutoff)s
    LIMIT 50
"""
# Documents that no segment holds any more.
_PAST_DOCS = """
    DELETE FROM traces_search_doc WHERE (project_id, trace_id) IN (
        SELECT d.project_id, d.trace_id FROM traces_search_doc AS d
        WHERE d.project_id = %(project_id)s AND d.started_at < %(cutoff)s
          AND NOT EXISTS (
              SELECT 1 FROM traces_search_segment AS s
              WHERE s.project_id = d.project_id AND s.day = d.day
                AND d.version BETWEEN s.first_version AND s.last_version
          )
        LIMIT 5000
    )
"""
# Past ones that share a segment with others: those whose start is too far off for a day of its own.
_PAST_MIXED = """
    SELECT trace_id FROM traces_search_doc
    WHERE project_id = %(project_id)s AND day = %(far)s AND started_at < %(cutoff)s
    LIMIT 2000
"""


@dataclass(frozen=True, slots=True)
class Held:
    """A segment as the choice of what to merge sees it."""

    project_id: int
    day: datetime
    segment_id: int
    docs: int
    gone: int
    made_at: datetime


def merge_next() -> int:
    """Merge the segments that want it most; how many became one, 0 where none want it."""
    with raw_cursor() as cursor:
        cursor.execute(_SEGMENTS)
        rows = [Held(*row) for row in cursor.fetchall()]
    best: list[Held] = []
    now = clock.now()
    for _, group in groupby(rows, key=lambda held: (held.project_id, held.day)):
        run = choose(list(group), now)
        if len(run) > len(best):
            best = run
    return merge(best[0].project_id, best[0].day, [held.segment_id for held in best]) if best else 0


def choose(segments: Sequence[Held], now: datetime) -> list[Held]:
    """Which neighbours of one day's segments, in order of version, are to be merged; none if they are well as they are.

    Only neighbours: so versions tell in which segment a document is.
    """
    is_quiet = now - max(held.made_at for held in segments) > QUIET
    for tier in TIERS:
        for run in _runs(segments, tier):
            is_worth = sum(held.docs for held in run) >= 2 * max(held.docs for held in run)
            if len(run) >= RUN or (is_quiet and len(run) >= 2 and is_worth):
                return run
    for held in segments:
        if held.gone >= max(GONE_DOCS, GONE_SHARE * held.docs):
            return [held]
    return []


def _runs(segments: Sequence[Held], tier: int) -> Iterator[list[Held]]:
    """Neighbours of at most `tier` documents each that fit into one segment together."""
    run: list[Held] = []
    for held in segments:
        fits = sum(other.docs for other in run) + held.docs <= SEGMENT_DOCS_MAX
        if held.docs > tier or not fits or len(run) == RUN_MAX:
            yield from [run] if run else []
            run = [held] if held.docs <= tier else []
        else:
            run.append(held)
    yield from [run] if run else []


def merge(project_id: int, day: datetime, segment_ids: Sequence[int]) -> int:
    """Make one segment of several of a day; how many they were, 0 where another process merges in this project.

    Readers see the old ones until the new one is there. Passes go on meanwhile: what they declare gone of the old ones
    is carried over at the end, under the lock that they write under.
    """
    with transaction.atomic(), raw_cursor() as cursor:
        cursor.execute(_TRY_LOCK, (_LOCK, project_id))
        row = cursor.fetchone()
        if row is None or not row[0]:
            return 0
        before = _read(cursor, project_id, segment_ids)
        sources = [
            Source(
                _documents(cursor, project_id, day, segment_id, docs),
                ~unpack_bits(gone_map, docs),
                _term_blocks(project_id, day, segment_id),
            )
            for segment_id, docs, _, _, gone_map in before
        ]
        if any(len(source.documents) != held[1] for source, held in zip(sources, before, strict=True)):
            _drop(cursor, project_id, [(held[0], day) for held in before])  # its partition is gone
            return len(before)
        merged = merge_documents(sources)
        new_segment = new_id()
        size = 0
        if len(merged):
            size = keep_blocks(cursor, project_id, new_segment, day, 1, _paced(merge_terms(sources)))
            size += keep_documents(cursor, project_id, new_segment, day, merged)
        if lock(cursor, project_id, is_patient=True) is None:
            transaction.set_rollback(True)  # the project is being erased
            return 0
        after = _read(cursor, project_id, segment_ids)
        if [held[0] for held in after] != [held[0] for held in before]:
            transaction.set_rollback(True)
            return 0
        gone = np.zeros(len(merged), np.bool_)
        for source, held in zip(sources, after, strict=True):
            late = source.mapping[source.counts & unpack_bits(held[4], held[1])]
            gone[late[late >= 0]] = True
        _drop(cursor, project_id, [(held[0], day) for held in before])
        if len(merged):
            versions = (before[0][2], before[-1][3])
            keep_segment(cursor, project_id, new_segment, day, merged, versions, size, gone if gone.any() else None)
    return len(before)


def _read(cursor: Cursor[Any], project_id: int, segment_ids: Sequence[int]) -> list[tuple[Any, ...]]:
    cursor.execute(_READ, (project_id, list(segment_ids)), binary=True)
    return cursor.fetchall()


def _documents(cursor: Cursor[Any], project_id: int, day: datetime, segment_id: int, docs: int) -> Documents:
    ids, starts, versions = [], [], []
    for number, (_, data) in enumerate(_blocks(project_id, day, segment_id, 0)):
        block = unpack_docs(data, min(DOC_BLOCK, docs - number * DOC_BLOCK))
        ids.append(block.trace_ids)
        starts.append(block.starts)
        versions.append(block.versions)
    if not ids:
        return Documents(b"", np.empty(0, np.int64), np.empty(0, np.int64))
    return Documents(b"".join(ids), np.concatenate(starts), np.concatenate(versions))


def _term_blocks(project_id: int, day: datetime, segment_id: int) -> Iterator[TermBlock]:
    for _, data in _blocks(project_id, day, segment_id, 1):
        yield unpack_terms(data)


def _blocks(project_id: int, day: datetime, segment_id: int, kind: int) -> Iterator[tuple[bytes, bytes]]:
    """The blocks of a segment in order, read a few at a time."""
    after = b""
    with raw_cursor() as cursor:
        while True:
            cursor.execute(_BLOCKS, (project_id, segment_id, kind, day, after), binary=True)
            rows = cursor.fetchall()
            yield from rows
            if len(rows) < 8:
                return
            after = rows[-1][0]


def _paced(blocks: Iterator[tuple[bytes, bytes]]) -> Iterator[tuple[bytes, bytes]]:
    """The same, with a rest after every stretch of work, so that ingest keeps its share of the machine."""
    began = time.perf_counter()
    for block in blocks:
        yield block
        worked = time.perf_counter() - began
        if worked > 0.1:
            pause(worked * REST)
            began = time.perf_counter()


def _drop(cursor: Cursor[Any], project_id: int, segments: Sequence[tuple[int, datetime]]) -> None:
    ids = [segment_id for segment_id, _ in segments]
    cursor.execute(_DROP_BLOCKS, (project_id, ids, list({day for _, day in segments})))
    cursor.execute(_DROP_SEGMENTS, (project_id, ids))


def purge(project_id: int) -> int:
    """Rewrite every segment of the project without the texts of what counts no more; how many were rewritten.

    For erasure: what is let go of cannot be found at once, but its words stay in the blocks until they are rewritten.
    """
    with raw_cursor() as cursor:
        cursor.execute(
            "SELECT day, segment_id FROM traces_search_segment WHERE project_id = %s AND gone > 0", (project_id,)
        )
        found = cursor.fetchall()
    return sum(merge(project_id, day, [segment_id]) for day, segment_id in found)


def unpurged(project_id: int) -> int:
    """How many segments hold texts of what counts no more."""
    with raw_cursor() as cursor:
        cursor.execute("SELECT count(*) FROM traces_search_segment WHERE project_id = %s AND gone > 0", (project_id,))
        row = cursor.fetchone()
    return int(row[0]) if row else 0


def sweep() -> int:
    """Take out of the index what is past the days of its project's text; for how many projects that was done."""
    now = clock.now()
    return sum(sweep_project(each.pk, keeping.cutoff_of(each, keeping.TEXT, now)) for each in Project.objects.all())


def sweep_project(project_id: int, cutoff: datetime) -> bool:
    """Take out of the index whatever began before `cutoff`; False where another process writes the index just now."""
    asked = {"project_id": project_id, "cutoff": cutoff, "far": FAR_DAY}
    has_more = has_mixed = True
    while has_more:
        with transaction.atomic(), raw_cursor() as cursor:
            if lock(cursor, project_id) is None:
                return not has_index(cursor, project_id)
            cursor.execute(_PAST, asked)
            past = cursor.fetchall()
            if past:
                _drop(cursor, project_id, past)
            cursor.execute(_PAST_DOCS, asked)
            has_more = len(past) == 50 or cursor.rowcount == 5000
            if has_more:
                continue
            cursor.execute(_PAST_MIXED, asked)
            mixed = {row[0] for row in cursor.fetchall()}
            has_mixed = bool(mixed)
            if mixed:
                drop(cursor, project_id, mixed)
                has_more = len(mixed) == 2000
    if has_mixed:
        purge(project_id)
    return True
