"""The room's work outside of requests. Each task is safe to run twice, and at once. Queues: CELERY_TASK_ROUTES."""

from __future__ import annotations

import logging
import threading

from celery import shared_task
from celery.worker import state
from django.db import Error

from alerts import (
    budgeting,
    delivering,
    drifting,
    earning,
    grouping,
    keeping,
    looking,
    pinging,
    reminding,
    routing,
    spending,
    standing_guard,
    tending,
    watching,
)
from alerts.read.drift import has_due_drift
from alerts.read.monitors import has_due_work
from alerts.read.notices import has_due_notices
from alerts.read.reports import has_reports_to_make
from telltale.jobs import quiet

logger = logging.getLogger("telltale.alerts")
# One run of it a process: the other slots are for other work, and claims let several processes share it.
_evaluating, _sampling, _reporting, _tending = (threading.Lock() for _ in range(4))
_spending = threading.Lock()
_looking = threading.Lock()
_notifying = threading.Lock()

quiet.watch(has_due_work)
quiet.watch(has_due_drift)
quiet.watch(has_reports_to_make)
quiet.watch(tending.has_work)
quiet.watch(has_due_notices)


def is_stopping() -> bool:
    """Whether this worker was told to end."""
    return state.should_stop is not None or state.should_terminate is not None


@shared_task(name="alerts.evaluate", time_limit=180, expires=10, ignore_result=True)
def evaluate() -> int:
    """Judge the closed windows of monitors that are due."""
    if not _evaluating.acquire(blocking=False):
        return 0
    try:
        done = watching.evaluate_due(is_stopping=is_stopping)
        if done.alarms:
            grouping.take_alarms()
        standing_guard.mark_round()
        return done.windows
    finally:
        _evaluating.release()


@shared_task(name="alerts.tend_incidents", time_limit=120, expires=10, ignore_result=True)
def tend_incidents() -> int:
    """Group alarms into incidents, note what is over, tell which steps are overdue."""
    if not _tending.acquire(blocking=False):
        return 0
    try:
        return tending.tend()
    finally:
        _tending.release()


@shared_task(name="alerts.look_into_incidents", time_limit=300, expires=30, ignore_result=True)
def look_into_incidents() -> int:
    """Make the reports of scope, isolate and recovery that incidents want."""
    if not _looking.acquire(blocking=False):
        return 0
    try:
        return looking.tend(is_stopping=is_stopping)
    finally:
        _looking.release()


@shared_task(name="alerts.notify", time_limit=120, expires=10, ignore_result=True)
def notify() -> int:
    """Decide who is told of what happened, and begin to send what is due; ping what is to hear that all is well."""
    if not _notifying.acquire(blocking=False):
        return 0
    try:
        try:
            done = reminding.remind()
        except Error:
            raise
        except Exception:
            # What is due to be told is told all the same; reminders are tried again in two seconds.
            logger.exception("reminders and escalations could not be looked at")
            done = 0
        done += routing.route_due()
        delivering.spread(is_stopping=is_stopping)
        pinging.ping_due()
        return done
    finally:
        _notifying.release()


@shared_task(name="alerts.sweep_notices", time_limit=300, ignore_result=True)
def sweep_notices() -> int:
    """Forget deliveries that ended half a year ago."""
    return delivering.sweep()


@shared_task(name="alerts.tend_limits", time_limit=120, expires=30, ignore_result=True)
def tend_limits() -> int:
    """Share budgets out anew where mutes ran out, and make limits anew where run lengths are others."""
    return budgeting.end_mutes() + budgeting.remake_limits()


@shared_task(name="alerts.revise", time_limit=600, expires=60, ignore_result=True)
def revise() -> int:
    """Write down what late data made of windows that were decided."""
    return keeping.revise(is_stopping=is_stopping)


@shared_task(name="alerts.tend_baselines", time_limit=120, expires=30, ignore_result=True)
def tend_baselines() -> int:
    """Let charts learn anew whose numbers are made otherwise now, and propose baselines after changes."""
    return keeping.tend_stale() + keeping.propose_after_changes()


@shared_task(name="alerts.sweep_points", time_limit=600, ignore_result=True)
def sweep_points() -> int:
    """Forget what windows held after 90 days, and remove points after 400."""
    return keeping.sweep_points()


@shared_task(name="alerts.sample_drift", time_limit=900, expires=10, ignore_result=True)
def sample_drift() -> int:
    """Take changed traces, decide which are sampled, and embed those that are quiet."""
    if not _sampling.acquire(blocking=False):
        return 0
    try:
        drifting.take_changes()
        return drifting.embed_due(is_stopping=is_stopping)
    finally:
        _sampling.release()


@shared_task(name="alerts.tend_drift", time_limit=600, expires=300, ignore_result=True)
def tend_drift() -> int:
    """Freeze first references, and make the reports of drift that are due."""
    if not _reporting.acquire(blocking=False):
        return 0
    try:
        return drifting.tend_reports()
    finally:
        _reporting.release()


@shared_task(name="alerts.sweep_drift", time_limit=600, ignore_result=True)
def sweep_drift() -> int:
    """Remove samples and vectors of traces past their project's days."""
    return drifting.sweep_old()


@shared_task(name="alerts.tend_budgets", time_limit=300, expires=20, ignore_result=True)
def tend_budgets() -> int:
    """Add up what is spent of cost budgets, tell of marks that were passed, forecast."""
    if not _spending.acquire(blocking=False):
        return 0
    try:
        return spending.tend(is_stopping=is_stopping)
    finally:
        _spending.release()


@shared_task(name="alerts.sweep_budgets", time_limit=300, ignore_result=True)
def sweep_budgets() -> int:
    """Forget what users spent of budgets in periods long past."""
    return spending.sweep()


@shared_task(name="alerts.tend_questions", time_limit=600, expires=60, ignore_result=True)
def tend_questions() -> int:
    """Work out what monitors earned, of projects where that is a day old or was asked for."""
    return earning.report_due()
