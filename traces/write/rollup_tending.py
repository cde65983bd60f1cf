"""Upkeep of roll-ups: what is past its days goes, and sketches of buckets that are over get one record an index."""

from __future__ import annotations

from django.db import transaction

from telltale.lib.db import raw_cursor
from traces.rollup.buckets import Grain, minute_of, time_of
from traces.rollup.covering import Horizon
from traces.write import rollup_rows, rollups

# Deletes of this size take about 30 ms; the fold goes on between two of them.
SLICE_ROWS = 2000
# Shorter sketches are hardly longer than they must be.
LOOSE_SKETCH_BYTES = 480
# Buckets that ended longer ago were tidied before, or change so seldom that it does not matter.
TIDY_DAYS = 3

_PROJECTS = "SELECT project_id FROM traces_rollup_state ORDER BY project_id"
_DROP = """
    DELETE FROM {table} WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM {table} WHERE project_id = %s AND grain = ANY(%s) AND bucket < %s LIMIT %s
    ))
"""
_LOOSE = """
    SELECT grain, bucket, scope_id FROM traces_rollup
    WHERE project_id = %s AND grain = %s AND bucket >= %s AND bucket < %s
        AND greatest(octet_length(duration), octet_length(ttft), octet_length(tpot), octet_length(length)) > %s
"""
_OLD = (
    ("traces_rollup", (Grain.MINUTE,), "minutes"),
    ("traces_rollup", (Grain.HOUR,), "hours"),
    ("traces_rollup_reason", (Grain.MINUTE,), "minutes"),
    ("traces_rollup_reason", (Grain.HOUR,), "hours"),
    ("traces_user_period", (Grain.DAY, Grain.MONTH), "users"),
)


def tend() -> int:
    """How many rows were dropped or rewritten. Safe to stop anywhere, and to run twice at once."""
    with raw_cursor() as cursor:
        cursor.execute(_PROJECTS)
        project_ids = [row[0] for row in cursor.fetchall()]
    return sum(_drop_old(project_id) + _tidy(project_id) for project_id in project_ids)


def _drop_old(project_id: int) -> int:
    dropped = 0
    for table, grains, kept in _OLD:
        while True:
            with transaction.atomic(), raw_cursor() as cursor:
                cursor.execute("SELECT now()")
                row = cursor.fetchone()
                assert row is not None  # noqa: S101
                first = getattr(Horizon.for_writing(minute_of(row[0])), kept)
                params = (project_id, [int(grain) for grain in grains], time_of(first), SLICE_ROWS)
                cursor.execute(_DROP.replace("{table}", table).encode(), params)
                gone = cursor.rowcount
            dropped += gone
            if gone < SLICE_ROWS:
                break
    return dropped


def _tidy(project_id: int) -> int:
    """Compact what grew by joining, in buckets that are over. What comes late appends a record or two again."""
    changed = 0
    for grain, after in ((Grain.HOUR, "1 hour"), (Grain.DAY, "25 hours")):
        with transaction.atomic(), raw_cursor() as cursor:
            cursor.execute("SELECT now() - %s * interval '1 day', now() - %s::interval", (TIDY_DAYS, after))
            row = cursor.fetchone()
            assert row is not None  # noqa: S101
            cursor.execute(_LOOSE, (project_id, int(grain), *row, LOOSE_SKETCH_BYTES))
            keys = cursor.fetchall()
        for at in range(0, len(keys), SLICE_ROWS):
            try:
                with rollups.holding(project_id) as cursor:
                    changed += rollup_rows.compact(cursor, project_id, keys[at : at + SLICE_ROWS])
            except rollups.Busy:
                break
    return changed
