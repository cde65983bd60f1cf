"""Looking back: sampling traces that were stored before, when drift begins or the encoder changes. A resumable job."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from alerts.drifting.sampling import sample
from alerts.read.drift import settings_of
from telltale.jobs import work
from telltale.jobs.models import Job, JobState
from telltale.jobs.tasks import sweep
from telltale.jobs.wake import wake
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.projects.models import Project
from traces.read.contents import read_rows

FILL = "alerts.fill_drift"
# What a first reference and the weeks after it need.
FILL_DAYS = 35
STEP = 500
_OPEN = (JobState.PENDING, JobState.RUNNING)
_BEFORE = datetime.fromisoformat("1970-01-01T00:00:00+00:00")
# Oldest first, so that the shares of hours follow from the hours before them; stands on traces_trace_started.
_NEXT = """
    SELECT trace_id, started_at FROM traces_trace
    WHERE project_id = %(project_id)s AND started_at >= %(start)s AND started_at < %(end)s
      AND (started_at, trace_id) > (%(at)s, %(id)s)
    ORDER BY started_at, trace_id
    LIMIT %(limit)s
"""


def start_missing() -> int:
    """Have stored traces sampled of projects that were never looked back on, as after an upgrade; how many projects.

    What has a sample by then stays as it is.
    """
    seen = Job.objects.filter(kind=FILL).values_list("project_id", flat=True)
    started = 0
    for project_id in (
        Project.objects.exclude(first_span_at=None).exclude(pk__in=list(seen)).values_list("pk", flat=True)
    ):
        if settings_of(project_id).is_on:
            start_fill(project_id, again=False)
            started += 1
    return started


def start_fill(project_id: int, by_id: int | None = None, *, days: int = FILL_DAYS, again: bool = True) -> Job:
    """Have stored traces of the last days sampled, in the caller's transaction; the job that does it.

    Another one of the project that has not ended is over. `again`: those with a sample as well, for another encoder.
    """
    for job in Job.objects.filter(kind=FILL, project_id=project_id, state__in=_OPEN):
        work.cancel(job.pk)
    now = clock.now()
    told: dict[str, Any] = {"start": (now - timedelta(days=days)).isoformat(), "end": now.isoformat(), "again": again}
    job = work.start(FILL, project_id=project_id, created_by_id=by_id, params=told)
    transaction.on_commit(lambda: wake(sweep))
    return job


@work.register(FILL)
def _fill(run: work.Run) -> dict[str, Any]:
    """Sample stored traces piece by piece; each piece and the place it ended at commit together."""
    project_id = run.job.project_id
    if project_id is None:
        raise work.JobFailed("The job names no project.")
    start, end = (datetime.fromisoformat(run.params[name]) for name in ("start", "end"))
    at = datetime.fromisoformat(run.cursor["at"]) if run.cursor else _BEFORE
    last = UUID(run.cursor["id"]) if run.cursor else UUID(int=0)
    again = bool(run.params.get("again", True))
    seen, added = run.job.progress, int(run.cursor.get("added", 0))
    while True:
        wanted = settings_of(project_id)
        if not wanted.is_on:
            return {"traces": seen, "sampled": added}
        with transaction.atomic(), raw_cursor() as cursor:
            params = {"project_id": project_id, "start": max(start, at), "end": end, "at": at, "id": last}
            cursor.execute(_NEXT, params | {"limit": STEP})
            rows = cursor.fetchall()
            if rows:
                found = read_rows(project_id, [row[0] for row in rows])
                added += sample(
                    cursor, project_id, wanted, list(found.values()), again=again, settle=timedelta(0)
                )  # fmt: skip
                last, at = rows[-1]
                seen += len(rows)
            run.step(cursor={"at": at.isoformat(), "id": str(last), "added": added}, progress=seen)
        if len(rows) < STEP:
            return {"traces": seen, "sampled": added}
