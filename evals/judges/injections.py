"""Text that addresses the judge instead of the user."""

from __future__ import annotations


def addresses_judge(text: str) -> bool:
    """Whether `text` speaks to whoever scores it."""
    return False
