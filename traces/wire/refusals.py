"""Items refused alone, by reason: what the answer and the accounting page say about them."""

from __future__ import annotations

import logging
from collections import Counter

from traces.canonical.text import clean_text
from traces.canonical.types import Rejection

log = logging.getLogger(__name__)

MAX_EXAMPLES = 3  # messages kept of one reason: the answer names the first few
MAX_MESSAGE_CHARS = 500


class Refusals:
    """Items refused, by reason: the first few with their own message, the rest counted."""

    def __init__(self) -> None:
        self._kept: list[Rejection] = []
        self._seen: Counter[str] = Counter()

    def add(self, reason: str, message: str) -> None:
        """Count one refused item."""
        self._seen[reason] += 1
        if self._seen[reason] <= MAX_EXAMPLES:
            self._kept.append(Rejection(reason, clean_text(message)[:MAX_MESSAGE_CHARS]))

    def rejections(self, what: str = "spans") -> list[Rejection]:
        """One entry for each example, one more for all others of a reason."""
        more = [
            Rejection(reason, f"{count - MAX_EXAMPLES} more {what} refused for this reason", count - MAX_EXAMPLES)
            for reason, count in self._seen.items()
            if count > MAX_EXAMPLES
        ]
        return self._kept + more


def note_internal(refusals: Refusals, error: Exception) -> None:
    """Count an item that our own code failed on, and log it."""
    log.error("mapping one item failed: %s", type(error).__name__, exc_info=error)
    refusals.add("internal_error", "the item could not be mapped; this is a fault of ours and has been logged")
