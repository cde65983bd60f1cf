"""Behaviour of sessions: folded from changed traces and signals, and made anew when a definition changes.

A project whose sessions were never looked at, or by an older version than the one in force, is folded again by itself:
so an upgrade of an installation with data needs no step of anybody. That job is exact the moment each of its slices
commits; pages say which share is counted by the new version meanwhile.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from django.db import DatabaseError, transaction
from django.http import HttpRequest
from psycopg import Cursor, errors

from telltale.audit.log import record_in
from telltale.jobs import work
from telltale.jobs.models import Job, JobState
from telltale.jobs.tasks import sweep
from telltale.jobs.wake import wake
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.projects.models import Project
from traces import signalling
from traces.behaviour.definition import Definition, parse_definition, to_json
from traces.models import SignalDefinition
from traces.read.asking import TooSlow
from traces.read.behaviour import REFOLD, definition_of, read_definition
from traces.read.behaviour_units import UnitRef
from traces.signals.names import Names
from traces.write import behaviour as write
from traces.write import feed, refold, signals

log = logging.getLogger(__name__)

# One run of the task; the next comes two seconds after it began.
RUN_SECONDS = 15.0
# What changes a session comes in bursts: it is looked at once for all that comes within this time.
SETTLE = timedelta(seconds=2)
TAKE_ENTRIES = 100
# An entry names the traces of one request: some 60, seldom thousands.
TAKE_TRACES = 5000
# About 0.1 s: senders of signals about a unit wait no longer for its fold.
FOLD_UNITS = 200
# A unit that cannot be folded is tried again so much later.
PUT_OFF = timedelta(hours=1)
# Between two slices of a refold, so that folds of what is new have their turn.
BREATH_SECONDS = 0.02
BUSY_SECONDS = 0.5
# Processes that take signals know the names of a project as old as this (signalling.HOLD_SECONDS), and a little more.
NAMES_SETTLE = timedelta(seconds=signalling.HOLD_SECONDS + 1)
_OPEN = (JobState.PENDING, JobState.RUNNING)
_BUSY = (errors.LockNotAvailable, errors.DeadlockDetected)
# What rows nobody thought of may do to the rules, or to what they are written to.
_WRONG = (psycopg.Error, DatabaseError, ArithmeticError, LookupError, TypeError, ValueError)
pause = time.sleep
_running = threading.Lock()

# A project whose first traces all wait in the feed is new: nothing has to be made up for.
_NEW_PROJECTS = """
    INSERT INTO traces_behaviour_state (project_id, version)
    SELECT p.id, CASE WHEN EXISTS (
        SELECT 1
        FROM (SELECT trace_id FROM traces_trace WHERE project_id = p.id LIMIT 1000) AS t
        WHERE NOT EXISTS (
            SELECT 1 FROM traces_feed AS f
            WHERE f.consumer = %s AND f.project_id = p.id AND t.trace_id = ANY(f.trace_ids)
        )
    ) THEN -1 ELSE coalesce((SELECT max(d.version) FROM traces_signaldefinition AS d WHERE d.project_id = p.id), 0) END
    FROM projects_project AS p
    WHERE NOT EXISTS (SELECT 1 FROM traces_behaviour_state AS s WHERE s.project_id = p.id)
    ON CONFLICT DO NOTHING
"""
_STALE = """
    SELECT s.project_id, d.version
    FROM traces_behaviour_state AS s
    JOIN projects_project AS p ON p.id = s.project_id
    CROSS JOIN LATERAL (
        SELECT coalesce(max(version), 0) AS version FROM traces_signaldefinition WHERE project_id = s.project_id
    ) AS d
    WHERE s.version <> d.version
"""


class Outdated(Exception):
    """Another version is in force than the one that was changed."""

    def __init__(self, version: int) -> None:
        super().__init__(f"version {version} is in force")
        self.version = version


@dataclass(frozen=True, slots=True)
class Done:
    """What a run did: units folded, and those that could not be."""

    units: int
    put_off: int


# --- the fold -----------------------------------------------------------------------------------------------------


def fold_behaviour(seconds: float = RUN_SECONDS) -> int:
    """Take in what changed and fold what is due, until nothing is left or `seconds` are over; units folded.

    Safe to run twice, and at once: another run in this process returns at once.
    """
    if not _running.acquire(blocking=False):
        return 0
    try:
        began, units = time.monotonic(), 0
        start_stale()
        while True:
            taken = take_changes()
            done = fold_due()
            units += done.units
            if not (taken or done.units or done.put_off) or time.monotonic() - began > seconds:
                return units
    finally:
        _running.release()


def take_changes(limit: int = TAKE_ENTRIES) -> int:
    """Bind signals to traces that came, and mark the units of changed traces; how many traces were taken.

    Binding may be done twice and is done first, in a transaction of its own; marks and the entries they stand for go
    together. So each transaction locks units in one pass, in their order.
    """
    with raw_cursor() as cursor:
        projects = feed.open_projects(cursor, feed.Consumer.BEHAVIOUR)
    taken = 0
    for project_id in projects:
        try:
            taken += _take(project_id, limit)
        except _BUSY:
            continue  # it is all there for the next run
        except _WRONG as error:
            log.exception("changes of project %s cannot be taken; they wait", project_id, exc_info=error)
    return taken


def _take(project_id: int, limit: int) -> int:
    with transaction.atomic(), raw_cursor() as cursor:
        entries = _some(feed.peek(cursor, feed.Consumer.BEHAVIOUR, project_id, limit))
        signals.bind(cursor, project_id, _traces(entries))
    if not entries:
        return 0
    with transaction.atomic(), raw_cursor() as cursor:
        mine = feed.take(cursor, feed.Consumer.BEHAVIOUR, project_id, [entry.feed_id for entry in entries])
        trace_ids = _traces(mine)
        write.mark_traces(cursor, project_id, trace_ids, clock.now() + SETTLE)
    return len(trace_ids)


def _some(entries: Sequence[feed.Told]) -> Sequence[feed.Told]:
    """The first entries, one at least, that together name no more than `TAKE_TRACES`."""
    traces = 0
    for at, entry in enumerate(entries):
        traces += len(entry.trace_ids)
        if traces > TAKE_TRACES:
            return entries[: max(at, 1)]
    return entries


def _traces(entries: Sequence[feed.Told]) -> list[UUID]:
    return list(dict.fromkeys(trace_id for entry in entries for trace_id in entry.trace_ids))


def fold_due(limit: int = FOLD_UNITS) -> Done:
    """Fold up to `limit` units whose time has come, in one transaction.

    A project that fails is folded unit by unit, and a unit that fails is put off: nobody else waits for it.
    """
    now = clock.now()
    units = put_off = 0
    with transaction.atomic(), raw_cursor() as cursor:
        for project_id, refs in write.claim(cursor, now, limit).items():
            try:
                with transaction.atomic():
                    _fold(cursor, project_id, refs, now)
                units += len(refs)
            except _BUSY:
                continue  # they are due still
            except _WRONG:
                for ref in refs:
                    if _fold_alone(cursor, project_id, ref, now):
                        units += 1
                    else:
                        put_off += 1
    return Done(units, put_off)


def _fold(cursor: Cursor[Any], project_id: int, refs: Sequence[UnitRef], now: datetime) -> None:
    write.settle(cursor, project_id, write.fold(cursor, project_id, refs, now))


def _fold_alone(cursor: Cursor[Any], project_id: int, ref: UnitRef, now: datetime) -> bool:
    try:
        with transaction.atomic():
            _fold(cursor, project_id, [ref], now)
    except _WRONG as error:
        log.exception(
            "unit %s of project %s cannot be folded; again in an hour", ref.unit_key, project_id, exc_info=error
        )
        write.put_off(cursor, project_id, ref.unit_key, now + PUT_OFF)
        return False
    return True


# --- definitions --------------------------------------------------------------------------------------------------


def save_definition(
    project: Project, told: Any, *, by_id: int | None, of_version: int | None = None, actor: str = "",
    request: HttpRequest | None = None,
) -> tuple[int, Definition]:  # fmt: skip
    """Put a definition in force and have all sessions counted by it; (version, definition).

    DefinitionError for one that cannot be; Outdated where another than `of_version` is in force; TooSlow where folds
    take too long to wait for. The same as in force makes no version.
    """
    wanted = parse_definition(told)
    with transaction.atomic(), raw_cursor() as cursor:
        try:
            write.lock_definition(cursor, project.pk)
        except errors.LockNotAvailable:
            raise TooSlow from None
        version, current = definition_of(project.pk)
        if of_version not in (None, version):
            raise Outdated(version)
        if to_json(wanted) == to_json(current):
            return version, current
        made = SignalDefinition.objects.create(
            project=project, version=version + 1, spec=to_json(wanted), created_by_id=by_id
        )
        before, after = difference(current, wanted)
        record_in(
            project, "signals.definition", f"version {made.version}", request=request, actor=actor, before=before,
            after=after,
        )  # fmt: skip
        _start_refold(project.pk, made.version, by_id)
    signalling.forget()
    wake(sweep)
    return made.version, wanted


def difference(old: Definition, new: Definition) -> tuple[dict[str, Any], dict[str, Any]]:
    """What two definitions say differently, as each says it."""
    before, after = to_json(old), to_json(new)
    names = [name for name in after if before[name] != after[name]]
    return {name: before[name] for name in names}, {name: after[name] for name in names}


def start_stale() -> int:
    """Start the refold of projects that were never looked at, or by an older version; how many.

    One that failed is left alone until somebody tries it again or the definition changes.
    """
    with raw_cursor() as cursor:
        cursor.execute(_NEW_PROJECTS, (int(feed.Consumer.BEHAVIOUR),))
        cursor.execute(_STALE)
        stale = cursor.fetchall()
    started = 0
    for project_id, version in stale:
        if _is_counted(project_id, version):
            continue
        with transaction.atomic(), raw_cursor() as cursor:
            cursor.execute("SELECT FROM traces_behaviour_state WHERE project_id = %s FOR UPDATE", (project_id,))
            if not _is_counted(project_id, version):  # another worker was quicker
                _start_refold(project_id, version, None)
                started += 1
    if started:
        wake(sweep)
    return started


def _is_counted(project_id: int, version: int) -> bool:
    """Whether a job of this version waits, runs or has failed."""
    last = Job.objects.filter(kind=REFOLD, project_id=project_id).order_by("-pk").first()
    return last is not None and last.params.get("version") == version and last.state in (*_OPEN, JobState.FAILED)


def retry_refold(project_id: int) -> bool:
    """Go on with a refold that failed, from where it stopped; False where there is none."""
    last = Job.objects.filter(kind=REFOLD, project_id=project_id).order_by("-pk").first()
    if last is None or not work.retry(last.pk):
        return False
    wake(sweep)
    return True


def _start_refold(project_id: int, version: int, by_id: int | None) -> Job:
    for job in Job.objects.filter(kind=REFOLD, project_id=project_id, state__in=_OPEN):
        if job.params.get("version") == version:
            return job
        work.cancel(job.pk)
    return work.start(REFOLD, project_id=project_id, created_by_id=by_id, params={"version": version})


@work.register(REFOLD)
def _refold(run: work.Run) -> dict[str, Any]:
    """Say anew what signals mean, then fold every session, newest first, then every trace without one."""
    project_id = run.job.project_id
    if project_id is None:
        raise work.JobFailed("The job names no project.")
    version = int(run.params["version"])
    row = SignalDefinition.objects.filter(project_id=project_id, version=version).first()
    if not run.cursor and row is not None:
        left = NAMES_SETTLE - (clock.now() - row.created_at)
        if timedelta(0) < left <= NAMES_SETTLE:
            pause(left.total_seconds())
    if run.job.total is None:
        with raw_cursor() as cursor:
            run.step(cursor=run.cursor, progress=run.job.progress, total=refold.count(cursor, project_id))
    names = Names(read_definition(row.spec).names) if row is not None else Names()
    phase, place = run.cursor.get("phase", refold.PHASES[0]), run.cursor.get("place", {})
    done = run.job.progress
    while True:
        try:
            with transaction.atomic(), raw_cursor() as cursor:
                place, seen = refold.step(cursor, project_id, version, names, phase, place)
                done += seen
                if not place:
                    phase = refold.after(phase)
                if phase == refold.END:
                    refold.keep_done(cursor, project_id, version)
                run.step(cursor={"phase": phase, "place": place}, progress=done)
        except _BUSY:
            phase, place = run.cursor.get("phase", refold.PHASES[0]), run.cursor.get("place", {})
            done = run.job.progress
            pause(BUSY_SECONDS)
            continue
        if phase == refold.END:
            return {"units": done}
        pause(BREATH_SECONDS)


__all__ = [
    "Done", "Outdated", "difference", "fold_behaviour", "fold_due", "retry_refold", "save_definition", "start_stale",
    "take_changes",
]  # fmt: skip
