"""Masking again what a project has stored, by the rules in force: a job that goes on after a kill and says what it did.

New rules change nothing that is stored; somebody asks for this. It begins with what started before it was asked for and
a little after: until every process knows the new rules, spans are still stored by the old ones.
"""

from __future__ import annotations

import time
from collections import Counter
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.http import HttpRequest

from telltale.audit.log import record_in
from telltale.jobs import work
from telltale.jobs.models import Job, JobState
from telltale.jobs.tasks import sweep
from telltale.jobs.wake import wake
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.projects.models import Project
from traces.masking import Mode
from traces.masks import masker_for, version_of
from traces.write import remask as write

KIND = "traces.remask"
SLICE = 50
SIGNALS_SLICE = 500
# Every process knows new rules within 5 s and stores within 2 s; clocks of senders run ahead.
SETTLE = timedelta(seconds=8)
AHEAD = timedelta(days=1)
pause = time.sleep


class Conflict(Exception):
    """What is asked for does not fit the state of things; the text says why, for people."""


@dataclass(frozen=True, slots=True)
class Remask:
    """The newest job of a project: how far it is, and how often each rule masked something."""

    id: int
    state: str
    version: int
    done: int
    total: int | None
    found: dict[str, int]
    error: str
    created_at: datetime
    finished_at: datetime | None

    @property
    def is_over(self) -> bool:
        return self.state in {JobState.DONE, JobState.FAILED, JobState.CANCELLED}


def start(project: Project, *, by_id: int | None, request: HttpRequest | None, actor: str = "") -> Remask:
    """Mask again what the project has stored. Conflict where that is under way, or nothing is masked."""
    version = version_of(project.pk)
    if version.policy.strictest is Mode.OFF:
        raise Conflict("These rules mask nothing. Switch masking on first.")
    with transaction.atomic():
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        if _jobs(project.pk).filter(state__in=[JobState.PENDING, JobState.RUNNING]).exists():
            raise Conflict("The stored text is being masked already. Wait until that is done.")
        params = {"version": version.number, "until": (clock.now() + AHEAD).isoformat()}
        job = work.start(KIND, project_id=project.pk, created_by_id=by_id, params=params)
        record_in(
            project, "masking.reapply", f"masking rules, version {version.number}", request=request, actor=actor,
            after={"job": job.pk}, outcome="started",
        )  # fmt: skip
    wake(sweep)
    return _view(job)


def last(project_id: int) -> Remask | None:
    """The newest job of the project; None where there was none."""
    job = _jobs(project_id).order_by("-pk").first()
    return None if job is None else _view(job)


def _jobs(project_id: int) -> Any:
    return Job.objects.filter(project_id=project_id, kind=KIND)


def _view(job: Job) -> Remask:
    told = (job.result or job.cursor or {}).get("found", {})
    return Remask(
        job.pk, job.state, job.params["version"], job.progress, job.total, dict(sorted(told.items())), job.error,
        job.created_at, job.finished_at,
    )  # fmt: skip


@work.register(KIND)
def _remask(run: work.Run) -> dict[str, Any]:
    """Traces newest first, then signals; each slice commits what it changed with the position and the counts."""
    project_id = run.job.project_id
    if project_id is None:
        raise work.JobFailed("The job names no project.")
    if run.job.created_at + SETTLE > clock.now() and not run.cursor:
        pause((run.job.created_at + SETTLE - clock.now()).total_seconds())
    found: Counter[str] = Counter(run.cursor.get("found", {}))
    until = datetime.fromisoformat(run.params["until"])
    if run.cursor.get("phase", "traces") == "traces":
        _remask_traces(run, project_id, until, found)
    _remask_signals(run, project_id, found)
    result = {"found": dict(found)}
    project = Project.objects.get(pk=project_id)
    record_in(project, "masking.reapply", f"job {run.job.pk}", actor="system", after=result)
    return result


def _remask_traces(run: work.Run, project_id: int, until: datetime, found: Counter[str]) -> None:
    place, done, total = run.cursor, run.job.progress, run.job.total
    after = (datetime.fromisoformat(place["at"]), UUID(place["id"])) if "at" in place else None
    while True:
        masker = masker_for(project_id)
        with transaction.atomic(), raw_cursor() as cursor:
            if total is None:
                total = write.count_traces(cursor, project_id, until)
            held = write.next_traces(cursor, project_id, until, after, masker, SLICE)
            if not held:
                run.step(cursor={"phase": "signals", "found": dict(found)}, progress=done, total=total)
                return
            found += write.mask_traces(cursor, project_id, held, masker)
            after, done = (held[-1].first, held[-1].trace_id), done + len(held)
            place = {"phase": "traces", "at": after[0].isoformat(), "id": str(after[1]), "found": dict(found)}
            run.step(cursor=place, progress=done, total=max(total, done))


def _remask_signals(run: work.Run, project_id: int, found: Counter[str]) -> None:
    place = run.cursor
    after = UUID(place["key"]) if "key" in place else None
    while True:
        masker = masker_for(project_id)
        with transaction.atomic(), raw_cursor() as cursor:
            after, _, counts = write.mask_signals(cursor, project_id, after, masker, SIGNALS_SLICE)
            found += counts
            if after is None:
                run.step(cursor={"phase": "end", "found": dict(found)}, progress=run.job.progress)
                return
            run.step(cursor={"phase": "signals", "key": str(after), "found": dict(found)}, progress=run.job.progress)
