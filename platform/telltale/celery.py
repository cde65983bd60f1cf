"""The Celery application. Truth is rows in PostgreSQL; the broker only wakes workers."""

from __future__ import annotations

import os
from typing import Any

from celery import Celery, signals

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "telltale.settings")
app = Celery("telltale")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()


@signals.celeryd_init.connect
def _take_care(**kwargs: Any) -> None:
    """Give a worker, and nothing else, the scheduler and the signs of life."""
    from telltale.jobs.worker import CareStep

    app.steps["worker"].add(CareStep)
