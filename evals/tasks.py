"""The room's work outside of requests. Each task is safe to run twice, and at once."""

from __future__ import annotations

from celery import shared_task

from evals.reviewing import filling


@shared_task(name="evals.fill_reviews", time_limit=120, ignore_result=True)
def fill_reviews() -> int:
    """Let what judges flagged wait in the review queues that want it."""
    return filling.fill()
