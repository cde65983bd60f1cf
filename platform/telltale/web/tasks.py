"""Work of pages that need several rooms. Each task is safe to run twice, and at once."""

from __future__ import annotations

from celery import shared_task

from telltale.web.erasing import asking


@shared_task(name="web.start_due_removals", time_limit=120)
def start_due_removals() -> int:
    """Begin to remove projects whose days to undo it are over; how many."""
    return asking.start_due()
