"""Removing what drift keeps of a project, and what is past its days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.db import transaction

from alerts.models import DriftReference, DriftReport, DriftSettings
from alerts.write import drift as write
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.projects import keeping

SLICES_MAX = 200
# Reports are small and hold no text: two years of days can be looked back on.
REPORT_DAYS = 730
# A vector of 256 half floats with its row; samples are about half of it.
ROW_BYTES = 600


def erase_project(project_id: int) -> Iterator[int]:
    """Remove every row of drift of a project, telling after each slice how many went. Safe to stop and to repeat."""
    removed = 0
    while True:
        with transaction.atomic(), raw_cursor() as cursor:
            gone = write.erase_slice(cursor, project_id)
        if not gone:
            break
        removed += gone
        yield removed
    for model in (DriftReport, DriftReference, DriftSettings):
        removed += model.objects.filter(project_id=project_id).delete()[0]
    yield removed


def sweep_old(slices: int = SLICES_MAX) -> int:
    """Remove samples and vectors of traces past their project's days, and old reports; how many rows. Bounded.

    A frozen reference keeps its own vectors: they are numbers, and its examples show only traces that are still there.
    """
    removed, left, now = 0, slices, clock.now()
    for project in keeping.each_project():
        cutoff = keeping.cutoff_of(project, keeping.DRIFT, now)
        if left <= 0:
            break
        keeping.begin(project.pk, keeping.DRIFT, cutoff)
        rows, is_done = 0, False
        while left > 0 and not is_done:
            left -= 1
            with transaction.atomic(), raw_cursor() as cursor:
                gone = write.remove_older(cursor, project.pk, cutoff)
            rows += gone
            is_done = gone < write.SLICE_ROWS
        with raw_cursor() as cursor:
            oldest = write.oldest(cursor, project.pk)
        reason = "" if is_done else "The sweep reached its bound; the next one goes on."
        keeping.end(project.pk, keeping.DRIFT, keeping.Outcome(rows, rows * ROW_BYTES, oldest, is_done, reason))
        removed += rows
    old = DriftReport.objects.filter(end_at__lt=now - timedelta(days=REPORT_DAYS)).values_list("pk", flat=True)
    return removed + DriftReport.objects.filter(pk__in=list(old[:5000])).delete()[0]
