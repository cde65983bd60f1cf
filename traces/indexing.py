"""Keeping the search index: what changed is taken in all the time, what was there before it in the background.

One process of the installation is at it at a time, by a lease. It works in passes and rests between them as long as
each took while spans are coming in, so that it takes at most half a core from ingest.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction

from telltale.jobs import leases, work
from telltale.jobs.models import Job, JobState
from telltale.jobs.tasks import sweep as sweep_jobs
from telltale.jobs.wake import wake
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.projects.models import Project
from traces.read.search import SearchState, read_state
from traces.write import feed, partitions, search, search_merge
from traces.write.feed import Consumer

BACKFILL = "search.backfill"
LEASE, LEASE_SECONDS = "search index", 10.0
# A run ends by itself, so that a worker that is asked to stop can; the next one begins within two seconds.
RUN_SECONDS = 15.0
# Spans stored within this time are somebody sending.
BUSY = timedelta(seconds=3)
SLICE_TRACES = 400
pause = time.sleep

# A project whose first traces all wait in the feed is new; others had traces before there was an index.
_NEW_PROJECTS = """
    INSERT INTO traces_search_state (project_id, is_backfilled)
    SELECT p.id, NOT EXISTS (
        SELECT 1
        FROM (SELECT trace_id FROM traces_trace WHERE project_id = p.id LIMIT 1000) AS t
        WHERE NOT EXISTS (
            SELECT 1 FROM traces_feed AS f
            WHERE f.consumer = %s AND f.project_id = p.id AND t.trace_id = ANY(f.trace_ids)
        )
    )
    FROM projects_project AS p
    WHERE NOT EXISTS (SELECT 1 FROM traces_search_state AS s WHERE s.project_id = p.id)
    ON CONFLICT DO NOTHING
"""
_UNFILLED = "SELECT project_id FROM traces_search_state WHERE NOT is_backfilled"
_FILLED = "UPDATE traces_search_state SET is_backfilled = true WHERE project_id = %s"
_IS_BUSY = """
    SELECT EXISTS (
        SELECT 1 FROM (
            SELECT changed_at FROM traces_feed WHERE consumer = %s AND project_id = %s ORDER BY feed_id DESC LIMIT 1
        ) AS newest WHERE changed_at > now() - %s
    )
"""
_SLICE = """
    SELECT trace_id, started_at, span_count FROM traces_trace
    WHERE project_id = %(project_id)s
      AND (%(at)s::timestamptz IS NULL OR (started_at, trace_id) < (%(at)s, %(id)s::uuid))
    ORDER BY started_at DESC, trace_id DESC
    LIMIT %(limit)s
"""
_IN_INDEX = "SELECT trace_id FROM traces_search_doc WHERE project_id = %s AND trace_id = ANY(%s)"
_TOTAL = "SELECT count(*) FROM traces_trace WHERE project_id = %s"
_EMPTY = ("traces_search_segment", "traces_search_block", "traces_search_doc")
_running = threading.Lock()


@dataclass(frozen=True, slots=True)
class Progress:
    """How a project's index stands: what waits, and how far the taking in of the past is (None: done)."""

    state: SearchState
    done: int | None
    total: int | None


def index_changes(seconds: float = RUN_SECONDS) -> int:
    """Take in what the feed tells, project by project in turn; how many traces. Returns at once where nothing waits."""
    if not _running.acquire(blocking=False):
        return 0
    try:
        with raw_cursor() as cursor:
            cursor.execute(_NEW_PROJECTS, (int(Consumer.SEARCH),))
            waiting = feed.open_projects(cursor, Consumer.SEARCH)
            cursor.execute(_UNFILLED)
            unfilled = [row[0] for row in cursor.fetchall()]
        for project_id in unfilled:
            start_backfill(project_id)
        return _index(waiting, time.monotonic() + seconds) if waiting else 0
    finally:
        _running.release()


def _index(waiting: list[int], deadline: float) -> int:
    taken = 0
    while waiting and time.monotonic() < deadline and leases.hold(LEASE, seconds=LEASE_SECONDS):
        again = []
        for project_id in waiting:
            began = time.perf_counter()
            passed = search.index_pass(project_id)
            if passed is None:
                continue
            taken += passed.traces
            if passed.has_more:
                again.append(project_id)
                rest(project_id, time.perf_counter() - began)
        waiting = again
    leases.let_go(LEASE)
    return taken


def rest(project_id: int, worked: float) -> None:
    """Rest as long as the work took while spans are coming in."""
    with raw_cursor() as cursor:
        cursor.execute(_IS_BUSY, (int(Consumer.SEARCH), project_id, BUSY))
        row = cursor.fetchone()
    if row and row[0]:
        pause(min(worked, 2.0))


def merge_segments(seconds: float = RUN_SECONDS) -> int:
    """Merge segments that want it, and drop what retention removed; how many segments went."""
    deadline = time.monotonic() + seconds
    gone = 0
    while time.monotonic() < deadline:
        merged = search_merge.merge_next()
        if not merged:
            break
        gone += merged
    return gone


def sweep() -> int:
    """Take out of the index what retention has removed."""
    return search_merge.sweep()


def start_backfill(project_id: int) -> int | None:
    """Queue the taking in of what was stored before the index; None where that is under way or has failed for good."""
    ended = (JobState.DONE, JobState.CANCELLED)
    if Job.objects.filter(kind=BACKFILL, project_id=project_id).exclude(state__in=ended).exists():
        return None
    with transaction.atomic():
        job = work.start(BACKFILL, project_id=project_id)
        wake(sweep_jobs)
    return job.pk


def rebuild(project_id: int) -> int:
    """Empty the project's index and queue taking everything in again; the job's id. Searches find less meanwhile."""
    with transaction.atomic(), raw_cursor() as cursor:
        cursor.execute("INSERT INTO traces_search_state (project_id) VALUES (%s) ON CONFLICT DO NOTHING", (project_id,))
        search.lock(cursor, project_id, is_patient=True)
        for table in _EMPTY:
            cursor.execute(f"DELETE FROM {table} WHERE project_id = %s".encode(), (project_id,))  # noqa: S608
        cursor.execute(
            "UPDATE traces_search_state SET is_backfilled = false, set_aside = 0 WHERE project_id = %s", (project_id,)
        )
        Job.objects.filter(kind=BACKFILL, project_id=project_id).exclude(
            state__in=(JobState.DONE, JobState.CANCELLED)
        ).update(state=JobState.CANCELLED, lease_by="", lease_until=None, finished_at=clock.now())
        return work.start(BACKFILL, project_id=project_id).pk


def read_progress(project_id: int) -> Progress:
    """How the project's index stands."""
    state = read_state(project_id)
    if state.is_backfilled:
        return Progress(state, None, None)
    job = Job.objects.filter(kind=BACKFILL, project_id=project_id).order_by("-pk").first()
    return Progress(state, job.progress if job else 0, job.total if job else None)


@work.register(BACKFILL)
def _backfill(run: work.Run) -> dict[str, Any]:
    """Take in every trace that the index does not know, newest first."""
    project_id = run.job.project_id
    if project_id is None:
        raise work.JobFailed("The job names no project.")
    total = run.job.total
    if total is None:
        with connection.cursor() as cursor:
            cursor.execute(_TOTAL, [project_id])
            total = cursor.fetchone()[0]
    done = run.job.progress
    for traces in _slices(project_id, run):
        began = time.perf_counter()
        days = {trace_id: search.day_of(started_at) for trace_id, started_at, _ in traces}
        for day in set(days.values()) - {search.FAR_DAY}:
            partitions.ensure_days("traces_search_block", [day.date()])
        with transaction.atomic():
            with raw_cursor() as cursor:
                version = search.lock(cursor, project_id, is_patient=True)
                if version is None:
                    raise work.JobFailed("The project is being removed.")
                cursor.execute(_IN_INDEX, (project_id, list(days)))
                wanted = set(days) - {row[0] for row in cursor.fetchall()}
                if wanted:
                    version, set_aside = search.take_in(cursor, project_id, wanted, days, version)
                    search.keep_version(cursor, project_id, version, set_aside)
            done += len(traces)
            last = traces[-1]
            place = {"at": last[1].isoformat(), "id": str(last[0])}
            run.step(cursor=place, progress=done, total=max(total, done))
        rest(project_id, time.perf_counter() - began)
    with raw_cursor() as cursor:
        cursor.execute(_FILLED, (project_id,))
    return {"traces": done}


def _slices(project_id: int, run: work.Run) -> Iterator[list[tuple[UUID, datetime, int]]]:
    """The traces from where the job stands, newest first, some at a time."""
    while True:
        at = run.cursor.get("at")
        asked = {
            "project_id": project_id,
            "at": datetime.fromisoformat(at) if at else None,
            "id": run.cursor.get("id"),
            "limit": SLICE_TRACES,
        }
        with raw_cursor() as cursor:
            cursor.execute(_SLICE, asked)
            traces = cursor.fetchall()
        if not traces:
            return
        kept: list[tuple[UUID, datetime, int]] = []
        spans = 0
        for row in traces:
            if kept and spans + row[2] > search.PASS_SPANS:
                break
            kept.append(row)
            spans += row[2]
        yield kept


def project_named(slug: str) -> Project | None:
    """The project of this slug."""
    return Project.objects.filter(slug=slug).first()
