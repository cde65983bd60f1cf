"""Telling workers that there is work, without ever waiting for the broker."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from kombu.exceptions import KombuError


def wake(task: Any, *args: Any) -> None:
    """Send `task` with `args` once the transaction has committed. A broker that is away loses only the hurry."""

    def send() -> None:
        try:
            task.apply_async(args, retry=False)
        except (KombuError, OSError):
            return

    transaction.on_commit(send)
