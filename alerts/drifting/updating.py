"""Making the reports of a feature anew when somebody asks: a job, for it takes some seconds."""

from __future__ import annotations

from typing import Any

from alerts.drifting.reports import refresh
from telltale.jobs import work
from telltale.jobs.models import Job, JobState
from telltale.jobs.tasks import sweep
from telltale.jobs.wake import wake
from telltale.projects.models import Project

UPDATE = "alerts.update_drift"
_OPEN = (JobState.PENDING, JobState.RUNNING)


def start_update(project_id: int, feature: str | None, by_id: int | None = None) -> Job:
    """Have a feature's reports made up to now; the job that does it, or does it already."""
    for job in Job.objects.filter(kind=UPDATE, project_id=project_id, state__in=_OPEN):
        if job.params.get("feature") == feature:
            return job
    job = work.start(UPDATE, project_id=project_id, created_by_id=by_id, params={"feature": feature})
    wake(sweep)
    return job


@work.register(UPDATE)
def _update(run: work.Run) -> dict[str, Any]:
    project = Project.objects.filter(pk=run.job.project_id or 0).first()
    if project is None:
        raise work.JobFailed("The job names no project.")
    return {"reports": refresh(project, run.params.get("feature"))}
