"""How far back a project's history reaches, for charts that begin with what is stored."""

from __future__ import annotations

from datetime import datetime

from telltale.lib.db import raw_cursor

_FIRST = "SELECT min(bucket) FROM traces_rollup WHERE project_id = %s AND grain = %s"
_GRAIN = 60


def first_data(project_id: int) -> datetime | None:
    """The hour of the oldest request that is summed up; None where there is none."""
    with raw_cursor() as cursor:
        cursor.execute(_FIRST, (project_id, _GRAIN))
        row = cursor.fetchone()
    return row[0] if row else None
