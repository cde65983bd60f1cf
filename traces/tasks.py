"""The room's work outside of requests. Each task is safe to run twice, and at once. Queues: CELERY_TASK_ROUTES."""

from __future__ import annotations

from celery import shared_task

from telltale.jobs import quiet
from telltale.jobs.wake import wake
from traces import accounting, behaving, folding, indexing, sending, sighting, signalling
from traces import measuring as measuring  # registers its jobs with every worker
from traces import remasking as remasking  # registers its jobs with every worker
from traces import reprice as reprice  # registers its jobs with every worker
from traces.read import flow
from traces.write import account_age, partitions, retention, sessions

quiet.watch(flow.has_open_work)


@shared_task(name="traces.fold_batches", time_limit=60, ignore_result=True)
def fold_batches() -> int:
    """Fold committed batches into the hourly account of ingest."""
    return accounting.fold_batches()


@shared_task(name="traces.fold_roll_ups", time_limit=300, ignore_result=True)
def fold_roll_ups() -> int:
    """Take changed traces into the roll-ups."""
    return folding.fold_roll_ups(linger=folding.LINGER_UNTIL).traces


@shared_task(name="traces.fold_behaviour", time_limit=120, ignore_result=True)
def fold_behaviour() -> int:
    """Take changed traces and signals into what users did."""
    return behaving.fold_behaviour()


@shared_task(name="traces.see_changes", time_limit=120, ignore_result=True)
def see_changes() -> int:
    """See which releases, models and prompts changed traces ran."""
    return sighting.see_changes()


@shared_task(name="traces.tend_roll_ups", time_limit=600, ignore_result=True)
def tend_roll_ups() -> int:
    """Drop roll-ups past their days, and tidy those of buckets that are over."""
    return folding.tend_roll_ups()


@shared_task(name="traces.forward", time_limit=60, ignore_result=True)
def forward() -> int:
    """Queue what was accepted for the targets of its project, and have each target tended that is due."""
    due = sending.dispatch()
    for target_id in due:
        wake(forward_to, target_id)
    return len(due)


# Sent again two seconds later where it was not taken; many of one target would only find it held.
@shared_task(name="traces.forward_to", time_limit=120, expires=10, ignore_result=True)
def forward_to(target_id: int) -> int:
    """Send on what waits for one target, for some seconds."""
    return sending.tend(target_id)


@shared_task(name="traces.make_partitions", time_limit=120, ignore_result=True)
def make_partitions() -> int:
    """Make the partitions of the next days, before any span needs them."""
    return partitions.ensure_ahead()


@shared_task(name="traces.sweep_retention", time_limit=600, ignore_result=True)
def sweep_retention() -> int:
    """Remove what is past its project's days, in bounded slices; the next run goes on where this one stopped."""
    return retention.sweep(rates_of=folding.rates_of).traces


@shared_task(name="traces.sweep_account", time_limit=300, ignore_result=True)
def sweep_account() -> int:
    """Remove batches of the account of ingest that are in their hours, and hours past their days; their sums stay."""
    return account_age.sweep_account()


@shared_task(name="traces.refresh_sessions", time_limit=120, ignore_result=True)
def refresh_sessions() -> int:
    """Sum the long sessions whose time has come; short ones the fold sums itself."""
    return sessions.refresh_stale()


@shared_task(name="traces.index_search", time_limit=120, ignore_result=True)
def index_search() -> int:
    """Take changed traces into the search index."""
    return indexing.index_changes()


@shared_task(name="traces.merge_search", time_limit=600, ignore_result=True)
def merge_search() -> int:
    """Merge the small segments of the search index into larger ones."""
    return indexing.merge_segments()


@shared_task(name="traces.sweep_search", time_limit=600, ignore_result=True)
def sweep_search() -> int:
    """Take out of the search index what retention has removed."""
    return indexing.sweep()


@shared_task(name="traces.bind_signals", time_limit=120, expires=60, ignore_result=True)
def bind_signals() -> int:
    """Look again for what signals of the last minutes are about: whoever stored them may have died before."""
    return signalling.bind_waiting()
