"""Removing what a project has in this room, and what is past its days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from evals.write import probes
from evals.write.age import ROWS, SLICE_ROWS, erase_slice, remove_older
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.projects.models import Project

SLICES_MAX = 200


def erase_project(project_id: int) -> Iterator[int]:
    """Remove every row that does not go with the project itself, telling after each slice how many went.

    Safe to stop anywhere and to repeat.
    """
    removed = 0
    for table in ROWS:
        while gone := erase_slice(table, project_id):
            removed += gone
            yield removed


def sweep_old(slices: int = SLICES_MAX) -> int:
    """Remove what is of traces past their project's days, and answers to probes as old; how many rows. Bounded."""
    removed, left = 0, slices
    now = clock.now()
    for project_id, days in Project.objects.order_by("pk").values_list("pk", "retention_days"):
        if left <= 0:
            break
        gone, used = remove_older(project_id, now - timedelta(days=days), left)
        removed += gone
        left -= used
        with raw_cursor() as cursor:
            removed += probes.forget_answers(cursor, project_id, now - timedelta(days=days), SLICE_ROWS)
    return removed
