"""Keeping roll-ups: folding what changed, and booking everything again where the rules, the time zone or people ask.

A project is rebuilt by itself when its roll-ups were booked by other rules or in another time zone, or never: so an
upgrade of an installation with data, and a change of zone, need no step of anybody. A rebuild takes every stored trace
in again, newest first; each is exact the moment it commits, so pages are right for what it has reached.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import psycopg
from django.db import connection
from psycopg import Cursor

from telltale.jobs import work
from telltale.jobs.models import Job, JobState
from telltale.lib.db import raw_cursor
from telltale.lib.sql import load
from traces.prices import find_row
from traces.rollup.booking import RULES, RateOf
from traces.write import feed, rollup_memory, rollup_tending, rollups

REBUILD = "rollups.rebuild"
# One run of the task; the next comes two seconds after it began.
RUN_SECONDS = 20.0
# While changes come, the fold looks again this soon instead of waiting for its next turn.
LINGER_SECONDS = 0.5
LINGER_UNTIL = 1.6
# A slice of a rebuild (about 0.3 s): between two of them the fold of what is new has its turn.
REBUILD_TRACES = 400
REBUILD_SPANS = 6000
# Locks of threads are not handed on in turn: whoever waits gets it while the rebuild takes a breath.
BREATH_SECONDS = 0.02
_RATES_MAX = 10_000
pause = time.sleep

_COUNT = "SELECT count(*) FROM traces_trace WHERE project_id = %s"
_NEXT = """
    SELECT trace_id, started_at, span_count FROM traces_trace
    WHERE project_id = %(project_id)s
        AND (%(at)s::timestamptz IS NULL OR (started_at, trace_id) < (%(at)s::timestamptz, %(id)s::uuid))
    ORDER BY started_at DESC, trace_id DESC
    LIMIT %(limit)s
"""
_OPEN_REBUILD = (JobState.PENDING, JobState.RUNNING)
_rates: dict[tuple[int, int], int | None] = {}


@dataclass(frozen=True, slots=True)
class Done:
    """What a run of the fold did."""

    traces: int
    spans: int
    set_aside: int


def fold_roll_ups(seconds: float = RUN_SECONDS, linger: float = 0.0) -> Done:
    """Take in what changed in all projects, in turn, until nothing is left or `seconds` are over.

    Where there was something, it looks again for `linger` seconds from its beginning. Safe to run anywhere, at once.
    """
    began = time.monotonic()
    traces = spans = set_aside = 0
    failed: Exception | None = None
    while True:
        open_projects = list_open()
        has_more = False
        for project_id, is_stale, has_work in open_projects:
            if is_stale:
                start_rebuild(project_id, if_stale=True)
            if has_work:
                try:
                    folded = rollups.fold_slice(project_id, rates_of(project_id))
                except rollups.Busy:
                    continue
                except (psycopg.Error, *rollups.POISON) as error:
                    failed = failed or error  # told at the end: the other projects have their turn first
                    continue
                traces, spans = traces + folded.traces, spans + folded.spans
                set_aside += folded.set_aside
                has_more = has_more or folded.has_more
        spent = time.monotonic() - began
        if spent > seconds:
            break
        if not has_more:
            if not (open_projects or traces) or spent + LINGER_SECONDS > linger:
                break
            pause(LINGER_SECONDS)
    if failed is not None:
        raise failed
    return Done(traces, spans, set_aside)


def list_open() -> list[tuple[int, bool, bool]]:
    """(project, whether it must be rebuilt, whether changes wait) of projects with either. One query."""
    with connection.cursor() as cursor:
        cursor.execute(load("traces", "rollup_open"), {"consumer": int(feed.Consumer.ROLL_UP), "rules": RULES})
        return list(cursor.fetchall())


def rates_of(project_id: int) -> RateOf:
    """The price of a fresh input token by price id, remembered: price rows never change."""

    def rate_of(price_id: int) -> int | None:
        key = (project_id if price_id >= 0 else 0, price_id)
        if key not in _rates:
            if len(_rates) >= _RATES_MAX:
                _rates.clear()
            row = find_row(project_id, price_id)
            _rates[key] = None if row is None else row.rates[0]
        return _rates[key]

    return rate_of


def forget_rates() -> None:
    """Forget what prices were read (tests)."""
    _rates.clear()


def start_rebuild(project_id: int, *, if_stale: bool = False, by_id: int | None = None) -> int | None:
    """Queue a rebuild of a project's roll-ups; the job's id, that of the open one where there is one.

    `if_stale`: only where its roll-ups were booked by other rules or in another zone; None where they were not, or
    where nothing is stored yet. From then on they are booked by the present ones. None too where a fold takes long:
    the next run of the fold asks again.
    """
    try:
        with rollups.holding(project_id) as cursor:
            return _start_rebuild(cursor, project_id, if_stale, by_id)
    except rollups.Busy:
        return None


def _start_rebuild(cursor: Cursor[Any], project_id: int, if_stale: bool, by_id: int | None) -> int | None:
    state = rollup_memory.load(cursor, project_id, adopt=True)
    if state is None or (if_stale and not state.is_stale):
        return None
    open_job = Job.objects.filter(kind=REBUILD, project_id=project_id, state__in=_OPEN_REBUILD).first()
    if open_job is not None and not if_stale:
        return open_job.pk
    if open_job is not None:
        # It began under other rules, and would end before the traces it has done already.
        work.cancel(open_job.pk)
    cursor.execute("SELECT 1 FROM traces_trace WHERE project_id = %s LIMIT 1", (project_id,))
    if cursor.fetchone() is None:
        return None
    job = work.start(REBUILD, project_id=project_id, created_by_id=by_id)
    cursor.execute("UPDATE traces_rollup_state SET rebuild_job = %s WHERE project_id = %s", (job.pk, project_id))
    return job.pk


@work.register(REBUILD)
def _rebuild(run: work.Run) -> dict[str, Any]:
    project_id = run.job.project_id
    if project_id is None:
        raise work.JobFailed("The job names no project.")
    total = run.job.total
    if total is None:
        with connection.cursor() as cursor:
            cursor.execute(_COUNT, [project_id])
            total = cursor.fetchone()[0]
    done, spans = run.job.progress, int(run.cursor.get("spans", 0))
    aside = int(run.cursor.get("set_aside", 0))
    rate_of = rates_of(project_id)
    while True:
        found = _next_traces(project_id, run.cursor)
        if not found:
            return {"traces": done, "spans": spans, "set_aside": aside}
        try:
            with rollups.holding(project_id) as cursor:
                folded = rollups.fold_traces(cursor, project_id, [row[0] for row in found], rate_of)
                done, spans, aside = done + len(found), spans + folded.spans, aside + folded.set_aside
                place = {"at": found[-1][1].isoformat(), "id": str(found[-1][0]), "spans": spans, "set_aside": aside}
                run.step(cursor=place, progress=done, total=max(total, done))
            pause(BREATH_SECONDS)
        except rollups.Busy:
            run.step(cursor=run.cursor, progress=done)
            pause(LINGER_SECONDS)
        except rollups.Stale:
            raise work.JobFailed("Time zone or rules changed meanwhile. Another rebuild begins by itself.") from None


def _next_traces(project_id: int, place: dict[str, Any]) -> list[tuple[UUID, datetime, int]]:
    params = {
        "project_id": project_id,
        "at": datetime.fromisoformat(place["at"]) if place.get("at") else None,
        "id": place.get("id"),
        "limit": REBUILD_TRACES,
    }
    with raw_cursor() as cursor:
        cursor.execute(_NEXT, params)
        rows = cursor.fetchall()
    taken: list[tuple[UUID, datetime, int]] = []
    spans = 0
    for row in rows:
        if taken and spans + row[2] > REBUILD_SPANS:
            break
        taken.append(row)
        spans += row[2]
    return taken


def tend_roll_ups() -> int:
    """Drop minutes, hours and users past their days, and tidy the sketches of buckets that are over; rows changed."""
    return rollup_tending.tend()


__all__ = ["Done", "fold_roll_ups", "forget_rates", "list_open", "rates_of", "start_rebuild", "tend_roll_ups"]
