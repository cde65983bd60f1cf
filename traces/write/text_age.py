"""Text past its days: bodies, log events, previews and the search over them go; the trace and its numbers stay."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from telltale.projects import keeping
from telltale.projects.keeping import TEXT
from telltale.projects.models import Project
from traces.write import leaves, rollups, search_merge, sessions

TABLES = ("traces_payload", "traces_span_log", "traces_search_block")
SLICE_TRACES = 1000

_PREVIEWS = """
    WITH old AS (
        SELECT trace_id FROM traces_trace
        WHERE project_id = %(project_id)s AND started_at < %(cutoff)s
          AND (preview_in IS NOT NULL OR preview_out IS NOT NULL)
        LIMIT %(limit)s
        FOR UPDATE
    ), cleared AS (
        UPDATE traces_trace AS t SET preview_in = NULL, preview_out = NULL
        FROM old
        WHERE t.project_id = %(project_id)s AND t.trace_id = old.trace_id
        RETURNING t.session_id
    )
    SELECT session_id FROM cleared
"""


def sweep(projects: list[Project], now: datetime, has_time: Callable[[], bool]) -> leaves.Removed:
    """Remove text that is past its days of each project; what went of each. Safe to stop anywhere."""
    cutoffs = {project.pk: keeping.cutoff_of(project, TEXT, now) for project in projects}
    removed = leaves.Removed()
    previews_done = {project.pk: _has_no_previews(project, cutoffs[project.pk], now) for project in projects}
    for project in projects:
        cutoff = cutoffs[project.pk]
        keeping.begin(project.pk, TEXT, cutoff)
        if not search_merge.sweep_project(project.pk, cutoff):
            removed.left[project.pk] = "The search index was being written; its turn is next hour."
        if not previews_done[project.pk] and not clear_previews(project.pk, cutoff, removed, has_time):
            removed.left.setdefault(project.pk, "Previews of some traces are left; the next sweep goes on.")
    for table in TABLES:
        leaves.clear(table, cutoffs, removed, has_time, by_trace=False)
    for project in projects:
        left = removed.left.get(project.pk, "")
        outcome = keeping.Outcome(
            removed.rows.get(project.pk, 0), removed.bytes.get(project.pk, 0), _oldest(project.pk), not left, left
        )
        keeping.end(project.pk, TEXT, outcome)
    return removed


def _has_no_previews(project: Project, cutoff: datetime, now: datetime) -> bool:
    """Whether a sweep of today has cleared up to this very cutoff: a look at every trace once a day is enough."""
    last = keeping.read_last(project).get(TEXT)
    return (
        last is not None
        and last.is_done
        and last.cutoff_at == cutoff
        and last.ended_at is not None
        and last.ended_at.date() == now.date()
    )


def clear_previews(project_id: int, cutoff: datetime, removed: leaves.Removed, has_time: Callable[[], bool]) -> bool:
    """Empty the previews of traces that began before `cutoff`, and with them those of their sessions; False if some
    are left."""
    while has_time():
        try:
            with rollups.holding(project_id) as cursor:
                asked = {"project_id": project_id, "cutoff": cutoff, "limit": SLICE_TRACES}
                cursor.execute(_PREVIEWS, asked)
                found = [row[0] for row in cursor.fetchall()]
                sessions.refresh(cursor, project_id, {name for name in found if name is not None})
        except rollups.Busy:
            return False
        removed.add(project_id, len(found), 0)
        if len(found) < SLICE_TRACES:
            return True
    return False


def _oldest(project_id: int) -> datetime | None:
    found = [leaves.earliest(table, project_id) for table in ("traces_payload", "traces_span_log")]
    return min((day for day in found if day is not None), default=None)
