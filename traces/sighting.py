"""Seeing what traces run: releases, models, prompts and providers, and the changes that follow from what is new.

Pulled from the feed of changed traces. What is seen only spreads (an earlier first start, a later last one) and the
changes of a project are made from all of it at once, so killed, repeated and late work ends at the same rows.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from django.db import DatabaseError, transaction
from psycopg import Cursor

from telltale.jobs import work
from telltale.jobs.tasks import sweep
from telltale.jobs.wake import wake
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from traces.changing.deriving import derive
from traces.write import changelog, feed
from traces.write import sightings as write

log = logging.getLogger(__name__)

BACKFILL = "changes.backfill"
RUN_SECONDS = 15.0
# The spans of a trace come in several requests, its root last: by then its feature is known.
SETTLE = timedelta(seconds=20)
TAKE_ENTRIES = 200
TAKE_TRACES = 5000
# A slice of the look at what was stored before (about 0.2 s), and the breath between two.
BACKFILL_TRACES = 1000
BREATH_SECONDS = 0.02
pause = time.sleep
_WRONG = (psycopg.Error, DatabaseError, ArithmeticError, LookupError, TypeError, ValueError)
_running = threading.Lock()

# A project whose first traces all wait in the feed is new: there is nothing to make up for.
_NEW_PROJECTS = """
    INSERT INTO traces_sighting_state (project_id, backfilled_at)
    SELECT p.id, CASE WHEN NOT EXISTS (
        SELECT 1
        FROM (SELECT trace_id FROM traces_trace WHERE project_id = p.id LIMIT 1000) AS t
        WHERE NOT EXISTS (
            SELECT 1 FROM traces_feed AS f
            WHERE f.consumer = %s AND f.project_id = p.id AND t.trace_id = ANY(f.trace_ids)
        )
    ) THEN now() END
    FROM projects_project AS p
    WHERE NOT EXISTS (SELECT 1 FROM traces_sighting_state AS s WHERE s.project_id = p.id)
    ON CONFLICT DO NOTHING
    RETURNING project_id, backfilled_at
"""
_COUNT = "SELECT count(*) FROM traces_trace WHERE project_id = %s"
_NEXT = """
    SELECT trace_id, started_at FROM traces_trace
    WHERE project_id = %(project_id)s
        AND (%(at)s::timestamptz IS NULL OR (started_at, trace_id) < (%(at)s::timestamptz, %(id)s::uuid))
    ORDER BY started_at DESC, trace_id DESC
    LIMIT %(limit)s
"""
_DONE = "UPDATE traces_sighting_state SET backfilled_at = now() WHERE project_id = %s"


def see_changes(seconds: float = RUN_SECONDS, settle: timedelta = SETTLE) -> int:
    """Take in what changed at least `settle` ago, until nothing is left or `seconds` are over; traces taken.

    Safe to run twice, and at once: another run in this process returns at once.
    """
    if not _running.acquire(blocking=False):
        return 0
    try:
        began, traces = time.monotonic(), 0
        start_backfills()
        while True:
            with raw_cursor() as cursor:
                projects = feed.open_projects(cursor, feed.Consumer.CHANGES)
            taken = 0
            for project_id in projects:
                try:
                    taken += _take(project_id, clock.now() - settle)
                except _WRONG as error:
                    log.exception("what project %s runs cannot be seen; it waits", project_id, exc_info=error)
            traces += taken
            if not taken or time.monotonic() - began > seconds:
                return traces
    finally:
        _running.release()


def _take(project_id: int, until: datetime) -> int:
    with transaction.atomic(), raw_cursor() as cursor:
        waiting = feed.peek(cursor, feed.Consumer.CHANGES, project_id, TAKE_ENTRIES)
        some = _some([entry for entry in waiting if entry.changed_at <= until])
        if not some:
            return 0
        changelog.lock(cursor, project_id)
        mine = feed.take(cursor, feed.Consumer.CHANGES, project_id, [entry.feed_id for entry in some])
        trace_ids = list(dict.fromkeys(trace_id for entry in mine for trace_id in entry.trace_ids))
        if trace_ids:
            see(cursor, project_id, trace_ids, [entry.batch_id for entry in mine if entry.batch_id is not None])
    return len(trace_ids)


def see(cursor: Cursor[Any], project_id: int, trace_ids: Sequence[UUID], batch_ids: Sequence[int]) -> None:
    """Write down what these traces show, and the changes that follow. The caller holds the project's change log."""
    if write.keep(cursor, project_id, write.look(cursor, project_id, trace_ids, batch_ids)):
        write.put_derived(cursor, project_id, derive(write.read_all(cursor, project_id)))


def _some(entries: Sequence[feed.Told]) -> Sequence[feed.Told]:
    """The first entries, one at least, that together name no more than `TAKE_TRACES`."""
    traces = 0
    for at, entry in enumerate(entries):
        traces += len(entry.trace_ids)
        if traces > TAKE_TRACES:
            return entries[: max(at, 1)]
    return entries


def start_backfills() -> int:
    """Have the stored traces of projects that were never looked at looked through; how many projects."""
    with transaction.atomic(), raw_cursor() as cursor:
        cursor.execute(_NEW_PROJECTS, (int(feed.Consumer.CHANGES),))
        behind = [project_id for project_id, backfilled_at in cursor.fetchall() if backfilled_at is None]
        for project_id in behind:
            work.start(BACKFILL, project_id=project_id)
    if behind:
        wake(sweep)
    return len(behind)


@work.register(BACKFILL)
def _backfill(run: work.Run) -> dict[str, Any]:
    """Look through the stored traces of a project, newest first. Safe to stop anywhere."""
    project_id = run.job.project_id
    if project_id is None:
        raise work.JobFailed("The job names no project.")
    total = run.job.total
    if total is None:
        with raw_cursor() as cursor:
            cursor.execute(_COUNT, (project_id,))
            row = cursor.fetchone()
        total = int(row[0]) if row else 0
    done = run.job.progress
    while True:
        place = run.cursor
        params = {
            "project_id": project_id, "at": place.get("at"), "id": place.get("id"), "limit": BACKFILL_TRACES,
        }  # fmt: skip
        with transaction.atomic(), raw_cursor() as cursor:
            cursor.execute(_NEXT, params)
            found = cursor.fetchall()
            if not found:
                cursor.execute(_DONE, (project_id,))
                return {"traces": done}
            changelog.lock(cursor, project_id)
            sightings = write.look(cursor, project_id, [row[0] for row in found], [], huge=2**31 - 1)
            if write.keep(cursor, project_id, sightings):
                write.put_derived(cursor, project_id, derive(write.read_all(cursor, project_id)))
            done += len(found)
            at, trace_id = found[-1][1], found[-1][0]
            run.step(cursor={"at": at.isoformat(), "id": str(trace_id)}, progress=done, total=max(total, done))
        pause(BREATH_SECONDS)


__all__ = ["BACKFILL", "SETTLE", "see", "see_changes", "start_backfills"]
