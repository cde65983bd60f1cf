"""The Celery application. Truth is rows in PostgreSQL; the broker only wakes workers."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "telltale.settings")
app = Celery("telltale")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

# Give a worker, and nothing else, the scheduler and the signs of life. By name: it is imported when a worker is built,
# and what fails there ends the worker. Celery logs and forgets what fails in a handler of its signals.
app.steps["worker"].add("telltale.jobs.worker:CareStep")
