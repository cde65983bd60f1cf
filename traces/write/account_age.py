"""The bounded life of the account of ingest: batches go once they are in their hours, hours once nobody asks for them.

What they summed stays: hours past their days become one row at the time -infinity, before every window of a page.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from django.conf import settings
from django.db import connection

from telltale.lib import clock
from telltale.lib.sql import load
from telltale.projects.models import Project
from traces.write.batch import first_id_at

# A slice of 5,000 batches is removed in 40 to 60 ms.
SLICE_ROWS = 5000
# Refusals of requests without a valid key belong to no project.
NO_PROJECT = 0
HOURLY = ("age_ingest_hour", "age_ingest_reason_hour", "age_ingest_refusal_hour")

# Batches that no consumer has taken yet stay, however old. Those to go are found once: a plan that looked again for
# each of them would find others and take more than a slice.
_REMOVE_BATCHES = """
    WITH old AS MATERIALIZED (
        SELECT project_id, batch_id
        FROM traces_ingest_batch
        WHERE project_id = %s AND batch_id < %s AND accounted
        ORDER BY batch_id
        LIMIT %s
        FOR UPDATE SKIP LOCKED
    )
    DELETE FROM traces_ingest_batch AS batch
    USING old
    WHERE batch.project_id = old.project_id AND batch.batch_id = old.batch_id
"""


def sweep_account(max_slices: int = 200) -> int:
    """How many rows went, in at most `max_slices` slices, each a transaction of its own; safe to stop anywhere."""
    now = clock.now()
    oldest_batch = first_id_at(now - timedelta(days=settings.ACCOUNT_BATCH_DAYS))
    cutoff = (now - timedelta(days=settings.ACCOUNT_HOUR_DAYS)).replace(minute=0, second=0, microsecond=0)
    projects = [NO_PROJECT, *Project.objects.order_by("pk").values_list("pk", flat=True)]
    taken, left = 0, max_slices
    for project_id in projects:
        for name in ("", *HOURLY):
            while left:
                count = _age(name, project_id, cutoff) if name else _remove_batches(project_id, oldest_batch)
                taken += count
                left -= bool(count)
                if count < SLICE_ROWS:
                    break
    return taken


def _remove_batches(project_id: int, before_id: int) -> int:
    with connection.cursor() as cursor:
        cursor.execute(_REMOVE_BATCHES, [project_id, before_id, SLICE_ROWS])
        return int(cursor.rowcount)


def _age(name: str, project_id: int, cutoff: datetime) -> int:
    with connection.cursor() as cursor:
        cursor.execute(load("traces", name), {"project_id": project_id, "cutoff": cutoff, "limit": SLICE_ROWS})
        return int(cursor.fetchone()[0])
