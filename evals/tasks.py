"""The room's work outside of requests. Each task is safe to run twice, and at once. Queues: CELERY_TASK_ROUTES."""

from __future__ import annotations

import threading

from celery import shared_task
from celery.worker import state

from evals import backfilling, calibrating, drawing, erasing, experimenting, judging, probing, routines, scoring
from evals.read import judgements
from evals.reviewing import filling
from evals.setup import preflights as preflights  # registers its jobs with every worker
from evals.surviving import keeping as surviving
from evals.write import day_sums
from telltale.jobs import quiet
from telltale.jobs.wake import wake

# One run of each a process: calls of models have threads of their own, and the other slots are for other work.
_drawing, _rules, _models, _backfills = (threading.Lock() for _ in range(4))

quiet.watch(judgements.has_open_work)


def is_stopping() -> bool:
    """Whether this worker was told to end."""
    return state.should_stop is not None or state.should_terminate is not None


# Sent again two seconds later where it was not taken; many would only find it under way.
@shared_task(name="evals.draw", time_limit=120, expires=10, ignore_result=True)
def draw() -> int:
    """Take changed traces, decide those that are quiet, and queue what was drawn."""
    if not _drawing.acquire(blocking=False):
        return 0
    try:
        done = drawing.draw_changes()
    finally:
        _drawing.release()
    if done.queued:
        wake(judge_rules)
        wake(judge_models)
    return done.decided


@shared_task(name="evals.judge_rules", time_limit=120, expires=10, ignore_result=True)
def judge_rules() -> int:
    """Judge by rules what is due."""
    if not _rules.acquire(blocking=False):
        return 0
    try:
        return judging.judge_rules()
    finally:
        _rules.release()


@shared_task(name="evals.judge_models", time_limit=900, expires=10, ignore_result=True)
def judge_models() -> int:
    """Judge by models what is due, for some minutes while there is something."""
    if not _models.acquire(blocking=False):
        return 0
    try:
        return judging.judge_models(is_stopping=is_stopping)
    finally:
        _models.release()


@shared_task(name="evals.tend_backfills", time_limit=120, expires=10, ignore_result=True)
def tend_backfills() -> int:
    """Queue what running backfills have room for."""
    if not _backfills.acquire(blocking=False):
        return 0
    try:
        return backfilling.tend()
    finally:
        _backfills.release()


@shared_task(name="evals.fill_reviews", time_limit=120, ignore_result=True)
def fill_reviews() -> int:
    """Let what judges flagged and end users disliked wait in the review queues that want it."""
    return filling.fill()


@shared_task(name="evals.tend_calibrations", time_limit=600, ignore_result=True)
def tend_calibrations() -> int:
    """Calibrate what has new labels."""
    return calibrating.tend()


@shared_task(name="evals.tend_experiments", time_limit=60, ignore_result=True)
def tend_experiments() -> int:
    """End the experiments that waited for their judges alone."""
    return experimenting.tend_experiments()


@shared_task(name="evals.tend_routines", time_limit=600, ignore_result=True)
def tend_routines() -> int:
    """Mark stale calibrations, put others to a changed gate, and plan and go on with the dated checks of judges."""
    return calibrating.tend_stale() + calibrating.tend_gates() + routines.plan() + routines.tend()


@shared_task(name="evals.sweep_retention", time_limit=600, ignore_result=True)
def sweep_retention() -> int:
    """Remove decisions, judgements and scores of traces past their project's days; the next run goes on from there."""
    return erasing.sweep_old()


@shared_task(name="evals.date_scores", time_limit=120, expires=60, ignore_result=True)
def date_scores() -> int:
    """Give scores that came before their traces these traces' start: lists look for scores about then."""
    return scoring.date_scores()


@shared_task(name="evals.build_days", time_limit=600, ignore_result=True)
def build_days() -> int:
    """Make the sums of days that are past, which pages over weeks and months read; the next run goes on from there."""
    return day_sums.build_all(120.0)


@shared_task(name="evals.tend_survivorship", time_limit=600, ignore_result=True)
def tend_survivorship() -> int:
    """Keep the verdict of each day on whether votes can be trusted; days that have theirs cost nothing."""
    return surviving.tend()


@shared_task(name="evals.tend_probes", time_limit=120, expires=10, ignore_result=True)
def tend_probes() -> int:
    """Begin the runs of probes that are due, and end those whose job ended without them."""
    return probing.tend()
