"""Work of pages that need several rooms. Each task is safe to run twice, and at once."""

from __future__ import annotations

from celery import shared_task

from telltale.audit.prune import prune_nightly
from telltale.web.archive import exporting as exporting  # registers its jobs with every worker
from telltale.web.archive import keeping as archives
from telltale.web.erasing import asking, late, organisations
from telltale.web.keeping import measuring


@shared_task(name="web.start_due_removals", time_limit=120)
def start_due_removals() -> int:
    """Begin to remove projects and organisations whose days are over, and late parts of traces; how many."""
    return asking.start_due() + organisations.start_due() + late.start_late()


@shared_task(name="web.measure_storage", time_limit=600, ignore_result=True)
def measure_storage() -> int:
    """Measure what each project has stored of each kind; how many projects."""
    return measuring.measure()


@shared_task(name="web.sweep_archives", time_limit=300, ignore_result=True)
def sweep_archives() -> int:
    """Drop exports past their days, and those made before somebody was erased; how many."""
    return archives.sweep()


@shared_task(name="web.prune_audit", time_limit=600, ignore_result=True)
def prune_audit() -> int:
    """Remove entries of the audit log past the installation's days, where it has some; how many."""
    return prune_nightly()
