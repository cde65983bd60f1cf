"""Runs begin: on schedule, when somebody asks, and after a recorded change; and end where their job did."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import OuterRef, Subquery

from evals.keeping.changes import By
from evals.models import ProbeBaseline, ProbeRun, ProbeSuite, ProbeVersion
from evals.probes.schedule import next_after, parse_schedule
from evals.probing.running import KIND
from evals.setup.refusals import NotThere, SetupRefused
from evals.stats.repeats import BASELINE_MIN
from evals.write import probes as write
from evals.write.probes import CANCELLED, FAILED, RUNNING
from telltale.audit.log import record_in
from telltale.jobs import work
from telltale.jobs.models import Job, JobState
from telltale.jobs.tasks import sweep
from telltale.jobs.wake import wake
from telltale.lib import clock
from telltale.projects.models import Project
from traces.changing.kinds import Source
from traces.read.changelog import changes_between

DUE_AT_ONCE = 20
# After a deploy, the first minutes are its own.
AFTER_CHANGE = timedelta(minutes=2)
# Suites look for recorded changes this often, and no run begins for one so soon after another.
LOOK_EVERY = timedelta(minutes=1)
BETWEEN = timedelta(minutes=15)


class Conflict(Exception):
    """What is asked for does not fit the state of the suite or run; the text says why, for people."""


def run_now(project: Project, slug: str, *, by: By) -> int:
    """Begin a run at once; its number. NotThere; SetupRefused with nothing to ask; Conflict while one is under way."""
    with transaction.atomic():
        suite = write.hold_suite(project.pk, slug)
        if suite is None or suite.archived_at is not None:
            raise NotThere
        if suite.runs.filter(state=RUNNING).exists():
            raise Conflict("A run of this suite is under way already.")
        run = begin(suite, "asked", by.id)
        if run is None:
            raise SetupRefused("suite", "has no probe to ask", "a suite with at least one probe and one model")
        record_in(project, "probes.run", slug, request=by.request, actor=by.words, after={"run": run.number})
    return run.number


def cancel_run(project: Project, slug: str, number: int, *, by: By) -> None:
    """Stop a run; what was answered stays, and nothing is judged by it. NotThere; Conflict where it is over."""
    with transaction.atomic():
        suite = write.hold_suite(project.pk, slug)
        run = None if suite is None else suite.runs.filter(number=number).first()
        if run is None:
            raise NotThere
        if run.state != RUNNING:
            raise Conflict(f"This run is {run.state} already.")
        if run.job_id is not None:
            work.cancel(run.job_id)
        write.give_up(run.pk, "cancelled")
        write.move_run(run.pk, CANCELLED, reason="cancelled by a person")
        record_in(project, "probes.cancel", f"{slug} #{number}", request=by.request, actor=by.words)


def begin(suite: ProbeSuite, cause: str, by_id: int | None = None, due_at: datetime | None = None) -> ProbeRun | None:
    """A run of a suite that is locked, its job included; None where there is nothing to ask.

    A series that is still learning is asked as often as its baseline lacks: one run is enough to compare the next.
    """
    newest = ProbeVersion.objects.filter(probe=OuterRef("probe")).order_by("-number").values("pk")[:1]
    versions = ProbeVersion.objects.filter(probe__suite=suite, probe__archived_at=None, pk=Subquery(newest))
    targets = suite.targets.filter(archived_at=None).values_list("pk", flat=True)
    series = write.series_for(list(versions.values_list("pk", flat=True)), list(targets))
    if not series:
        return None
    runs = dict(ProbeBaseline.objects.filter(series__in=series, ended_at=None).values_list("series_id", "runs"))
    repeats = {one.pk: max(suite.repeats, BASELINE_MIN - runs.get(one.pk, 0)) for one in series}
    run = write.add_run(suite, cause, repeats, by_id, due_at)
    job = work.start(KIND, project_id=suite.project_id, created_by_id=by_id, params={"run": run.pk})
    ProbeRun.objects.filter(pk=run.pk).update(job_id=job.pk)
    wake(sweep)
    return run


def tend() -> int:
    """Begin what is due, after changes too, and end runs whose job ended without them; how many runs began."""
    _end_lost()
    return _begin_due() + _begin_after_changes()


def _begin_due() -> int:
    begun = 0
    with transaction.atomic():
        for suite in write.hold_due(clock.now(), DUE_AT_ONCE):
            due_at = suite.next_at
            # What was missed while nothing ran is not made up for: one run, then the schedule goes on.
            project = Project.objects.get(pk=suite.project_id)
            after = next_after(parse_schedule(suite.schedule), clock.now(), clock.zone_of(project.time_zone))
            ProbeSuite.objects.filter(pk=suite.pk).update(next_at=after)
            is_running = suite.runs.filter(state=RUNNING).exists()
            if not is_running and not suite.runs.filter(due_at=due_at).exists():
                begun += begin(suite, "schedule", None, due_at) is not None
    return begun


def _begin_after_changes() -> int:
    """Begin a run of each suite that wants one after changes, where one was recorded since it looked last."""
    now, begun = clock.now(), 0
    wanting = ProbeSuite.objects.filter(
        with_changes=True, archived_at=None, paused_at=None, looked_at__lte=now - LOOK_EVERY
    )
    for key in list(wanting.values_list("pk", flat=True)[:DUE_AT_ONCE]):
        with transaction.atomic():
            suite = ProbeSuite.objects.select_for_update(skip_locked=True, no_key=True).filter(pk=key).first()
            if suite is None or suite.looked_at is None or suite.looked_at > now - LOOK_EVERY:
                continue
            if suite.runs.filter(created_at__gte=now - BETWEEN).exists() or suite.runs.filter(state=RUNNING).exists():
                continue
            until = now - AFTER_CHANGE
            is_changed = until > suite.looked_at and _is_changed(suite.project_id, suite.looked_at, until)
            ProbeSuite.objects.filter(pk=key).update(looked_at=max(until, suite.looked_at))
            if is_changed:
                begun += begin(suite, "change") is not None
    return begun


def _is_changed(project_id: int, start: datetime, end: datetime) -> bool:
    """Whether somebody recorded a change; what traces show follows from one, and comes late."""
    return any(change.source != Source.DERIVED for change in changes_between(project_id, start, end))


def _end_lost() -> int:
    """End runs whose job failed or is gone, so that the next can begin; how many."""
    ended = 0
    for run_id, job_id in ProbeRun.objects.filter(state=RUNNING).values_list("pk", "job_id"):
        if job_id is None:
            continue
        state = Job.objects.filter(pk=job_id).values_list("state", flat=True).first()
        if state not in (JobState.PENDING, JobState.RUNNING):
            write.give_up(run_id, "its job ended")
            ended += write.move_run(run_id, FAILED, reason="Its job ended without it. The next run begins anew.")
    return ended
