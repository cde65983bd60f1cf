"""The door through which rooms above learn which traces changed: they watch a project and take what it is told.

Taking deletes in the caller's transaction: what the caller writes in it and what it took stand or fall together, so
nothing is skipped and nothing comes twice. Spans committed within about `traces.ingest.rules.HOLD_SECONDS` of the first
`watch` may not be told.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from telltale.lib.db import raw_cursor
from traces.models import Watch
from traces.write import feed


def watch(project_id: int) -> None:
    """Have new spans of the project told from now on. Safe to call again."""
    Watch.objects.get_or_create(project_id=project_id)


def unwatch(project_id: int) -> None:
    """Have nothing told any more; what was told waits until it is taken."""
    Watch.objects.filter(project_id=project_id).delete()


def is_watched(project_id: int) -> bool:
    """Whether somebody wants to know of the project's new spans."""
    return Watch.objects.filter(project_id=project_id).exists()


def open_projects() -> list[int]:
    """The ids of projects with changes to take, ascending."""
    with raw_cursor() as cursor:
        return feed.open_projects(cursor, feed.Consumer.ABOVE)


def take(project_id: int, limit: int = 200) -> list[UUID]:
    """The traces of up to `limit` accepted requests, oldest first, each once. To be called inside a transaction."""
    with raw_cursor() as cursor:
        told = feed.claim(cursor, feed.Consumer.ABOVE, project_id, limit)
    return list(dict.fromkeys(trace_id for entry in told for trace_id in entry.trace_ids))


def projects_to_sample() -> list[int]:
    """The ids of projects with traffic that nobody has looked at for sampling, ascending."""
    with raw_cursor() as cursor:
        return feed.open_projects(cursor, feed.Consumer.SAMPLE)


def take_to_sample(project_id: int, limit: int = 200) -> list[UUID]:
    """As `take`, for whoever samples traffic: told of every project's new spans, watched or not."""
    with raw_cursor() as cursor:
        told = feed.claim(cursor, feed.Consumer.SAMPLE, project_id, limit)
    return list(dict.fromkeys(trace_id for entry in told for trace_id in entry.trace_ids))


def unsampled_since(project_id: int) -> datetime | None:
    """When the oldest change came that whoever samples traffic was not told of yet; None where nothing waits."""
    with raw_cursor() as cursor:
        return feed.oldest(cursor, feed.Consumer.SAMPLE, project_id)
