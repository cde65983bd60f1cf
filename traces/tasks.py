"""The room's work outside of requests. Each task is safe to run twice, and at once."""

from __future__ import annotations

import logging

from celery import shared_task
from kombu.exceptions import KombuError

from traces import accounting, reprice
from traces.write import partitions, retention

log = logging.getLogger(__name__)


@shared_task(name="traces.fold_batches", queue="roll-up", time_limit=60, ignore_result=True)
def fold_batches() -> int:
    """Fold committed batches into the hourly account of ingest."""
    return accounting.fold_batches()


@shared_task(name="traces.make_partitions", queue="upkeep", time_limit=120, ignore_result=True)
def make_partitions() -> int:
    """Make the partitions of the next days, before any span needs them."""
    return partitions.ensure_ahead()


@shared_task(name="traces.sweep_retention", queue="upkeep", time_limit=600, ignore_result=True)
def sweep_retention() -> int:
    """Remove what is past its project's days, in bounded slices; the next run goes on where this one stopped."""
    return retention.sweep().traces


@shared_task(name="traces.run_reprice", queue="upkeep", time_limit=120, ignore_result=True)
def run_reprice() -> int:
    """Go on with re-pricing jobs; sent when one is made, and every few seconds for those a dead worker held."""
    return reprice.run_open_jobs()


def wake_reprice() -> None:
    """Tell a worker that there is a job. Without a broker the next sweep finds it."""
    try:
        run_reprice.delay()
    except KombuError:
        log.info("no broker: the sweep will find the job")
