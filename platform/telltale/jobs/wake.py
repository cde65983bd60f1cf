"""Telling workers that there is work, without ever waiting for the broker."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from kombu.exceptions import KombuError

# One more try at once: it replaces a pooled connection that the broker has closed meanwhile. No waiting beyond that.
RETRY: dict[str, Any] = {
    "retry": True,
    "retry_policy": {"max_retries": 1, "interval_start": 0, "interval_step": 0, "interval_max": 0},
}


def wake(task: Any, *args: Any) -> None:
    """Send `task` with `args` once the transaction has committed. A broker that is away loses only the hurry."""

    def send() -> None:
        try:
            task.apply_async(args, **RETRY)
        except (KombuError, OSError):
            return

    transaction.on_commit(send)
