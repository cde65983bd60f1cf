"""Removing what drift keeps of a project, and what is past its days."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from django.db import transaction

from alerts.models import DriftReference, DriftReport, DriftSettings
from alerts.write import drift as write
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.projects.models import Project

SLICES_MAX = 200
# Reports are small and hold no text: two years of days can be looked back on.
REPORT_DAYS = 730


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
    for project_id, days in Project.objects.order_by("pk").values_list("pk", "retention_days"):
        while left > 0:
            left -= 1
            with transaction.atomic(), raw_cursor() as cursor:
                gone = write.remove_older(cursor, project_id, now - timedelta(days=days))
            removed += gone
            if gone < write.SLICE_ROWS:
                break
    old = DriftReport.objects.filter(end_at__lt=now - timedelta(days=REPORT_DAYS)).values_list("pk", flat=True)
    return removed + DriftReport.objects.filter(pk__in=list(old[:5000])).delete()[0]
