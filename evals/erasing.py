"""Removing what a project has in this room, and what is past its days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from evals.write import probes
from evals.write.age import ROWS, SLICE_ROWS, erase_slice, oldest, remove_older
from evals.write.erasing import remove as remove_about
from evals.write.erasing import remove_given
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.projects import keeping

__all__ = ["erase_project", "remove_about", "remove_given", "sweep_old"]

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
    """Remove what is of targets past the days of scores, and answers to probes past those of traces; how many rows.

    Bounded, and written down; whoever was swept longest ago comes first.
    """
    removed, left = 0, slices
    now = clock.now()
    for project in keeping.each_project():
        cutoff = keeping.cutoff_of(project, keeping.SCORES, now)
        if left <= 0:
            break
        keeping.begin(project.pk, keeping.SCORES, cutoff)
        gone = remove_older(project.pk, cutoff, left)
        left -= gone.slices
        with raw_cursor() as cursor:
            before = now - timedelta(days=project.retention_days)
            answers = probes.forget_answers(cursor, project.pk, before, SLICE_ROWS)
        reason = "" if gone.is_done else "The sweep reached its bound; the next one goes on."
        outcome = keeping.Outcome(gone.rows + answers, gone.bytes, oldest(project.pk), gone.is_done, reason)
        keeping.end(project.pk, keeping.SCORES, outcome)
        removed += gone.rows + answers
    return removed
