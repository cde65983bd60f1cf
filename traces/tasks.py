"""The room's work outside of requests. Each task is safe to run twice, and at once."""

from __future__ import annotations

from celery import shared_task

from traces import accounting


@shared_task(name="traces.fold_batches", queue="roll-up", time_limit=60, ignore_result=True)
def fold_batches() -> int:
    """Fold committed batches into the hourly account of ingest."""
    return accounting.fold_batches()
