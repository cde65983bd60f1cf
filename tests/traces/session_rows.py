"""Traces put into the store as rows, for tests of sessions: what a sender would have made of them is no matter here."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db import connection

from telltale.lib.db import raw_cursor
from traces.canonical.types import BUCKETS
from traces.write import sessions

NOON = datetime(2026, 11, 19, 12, tzinfo=UTC)
_INSERT = """
    INSERT INTO traces_trace SELECT * FROM json_populate_record(NULL::traces_trace, %s::json)
    ON CONFLICT (project_id, trace_id) DO UPDATE SET
        session_id = excluded.session_id, cost_pico = excluded.cost_pico, user_id = excluded.user_id,
        started_at = excluded.started_at, ended_at = excluded.ended_at, unpriced_count = excluded.unpriced_count,
        error_count = excluded.error_count, input_fresh = excluded.input_fresh, feature = excluded.feature,
        preview_in = excluded.preview_in, preview_out = excluded.preview_out, models = excluded.models,
        root_duration_ns = excluded.root_duration_ns, root_status = excluded.root_status, release = excluded.release,
        cost_reported_pico = excluded.cost_reported_pico, priced_count = excluded.priced_count
"""
COUNTS = (
    "generation_count", "error_count", "usage_count", "priced_count", "unpriced_count", "unknown_usage_count",
    "partial_count", "upper_bound_count", "duplicate_count", "flags", "cost_pico", *BUCKETS,
)  # fmt: skip


def trace_id(n):
    return UUID(int=n)


def put_trace(project_id, n, session_id, *, at=0.0, seconds=2.0, **more):
    """Trace number `n` of a session, `at` seconds after noon; put again, it is changed."""
    import orjson

    started = NOON + timedelta(seconds=at)
    row = dict.fromkeys(COUNTS, 0) | {
        "project_id": project_id, "trace_id": str(trace_id(n)), "session_id": session_id, "name": "turn",
        "started_at": started.isoformat(), "last_started_at": started.isoformat(), "updated_at": started.isoformat(),
        "ended_at": None if seconds is None else (started + timedelta(seconds=seconds)).isoformat(), "span_count": 1,
        "models": [], "tags": [], "ranks": "",
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_INSERT, [orjson.dumps(row | more).decode()])


def remove_trace(project_id, n):
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM traces_trace WHERE project_id = %s AND trace_id = %s", [project_id, trace_id(n)])


def refresh(project_id, *session_ids):
    with raw_cursor() as cursor:
        return sessions.refresh(cursor, project_id, session_ids)


def refresh_all(project_id):
    """Bring every session up to date, as the fold does for those whose traces changed."""
    with raw_cursor() as cursor:
        cursor.execute(
            "SELECT session_id FROM traces_trace WHERE project_id = %s AND session_id IS NOT NULL"
            " UNION SELECT session_id FROM traces_session WHERE project_id = %s",
            [project_id, project_id],
        )
        sessions.refresh(cursor, project_id, [row[0] for row in cursor.fetchall()])
        cursor.execute("UPDATE traces_session SET refreshed_at = '2000-01-01' WHERE stale_since IS NOT NULL")
    sessions.refresh_stale()
