"""Removing parts of a trace that came before the span which said that they are an erased user's or session's.

A door that refuses such a span tells of its trace; each minute what was told becomes erasures of their own, one at a
time in a project, with receipts that name the erased user or session by its keyed hash.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from django.db import IntegrityError, transaction

from telltale.audit.log import record
from telltale.jobs import work
from telltale.jobs.tasks import sweep
from telltale.jobs.wake import wake
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.web.erasing import running
from telltale.web.models import Erasure, ErasureTrace
from traces import erasure as of_traces

KIND = "late"
BY = "a span that came late"
# Requests that did not know of it yet have ended by then.
REST = timedelta(seconds=5)
TRACES = 1_000


def start_late() -> int:
    """Have removed what late spans told of, where something of it is stored; how many erasures began."""
    with transaction.atomic(), raw_cursor() as cursor:
        projects = of_traces.open_late(cursor)
    return sum(_start(project_id) for project_id in projects)


def _start(project_id: int) -> int:
    if Erasure.objects.filter(project_id=project_id, kind=KIND, state__in=["waiting", "running"]).exists():
        return 0
    begun = 0
    try:
        with transaction.atomic(), raw_cursor() as cursor:
            waiting = of_traces.peek_late(cursor, project_id, clock.now() - REST, TRACES)
            rows = {row.pk: row for row in Erasure.objects.filter(project_id=project_id, pk__in=waiting.by_erasure)}
            for erasure_id, trace_ids in waiting.by_erasure.items():
                of = rows.get(erasure_id)
                if of is None:
                    continue
                parts = of_traces.find_parts(cursor, project_id, trace_ids, of_session=of.kind == "session")
                if parts:
                    _ask(of, parts)
                    begun += 1
            of_traces.take_late(cursor, project_id, waiting.feed_ids)
    except IntegrityError:
        return 0  # another sweep was quicker
    if begun:
        wake(sweep)
    return begun


def _ask(of: Erasure, trace_ids: Sequence[UUID]) -> None:
    erasure = Erasure.objects.create(
        project_id=of.project_id,
        organisation_id=of.organisation_id,
        project_slug=of.project_slug,
        kind=KIND,
        subject_key=of.subject_key,
        hint=of.hint,
        asked_by=BY,
        asked_at=clock.now(),
    )
    ErasureTrace.objects.bulk_create(ErasureTrace(erasure=erasure, trace_id=each) for each in trace_ids)
    with raw_cursor() as cursor:
        of_traces.begin(cursor, of.project_id, erasure.pk)
    job = work.start(running.KIND, project_id=of.project_id, params={"erasure": erasure.pk})
    Erasure.objects.filter(pk=erasure.pk).update(job_id=job.pk)
    record(
        "erasure.ask",
        actor="system",
        organisation_id=of.organisation_id,
        project_id=of.project_id,
        target=f"{of.kind} {of.subject_key.hex}",
        after={"erasure": erasure.pk, "late_parts": len(trace_ids)},
    )
