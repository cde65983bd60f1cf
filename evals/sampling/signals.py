"""What end users did about an answer, as far as scores of programs tell it."""

from __future__ import annotations

THUMB_DOWN = "thumb_down"
# Names of the score that is a thumb, written with _ or -; false, 0 and less are down, true and 1 up.
THUMB_NAMES = ("user_feedback", "thumb", "thumbs")
_DOWN = frozenset({"thumbs_down", "thumb_down", "down", "dislike", "negative", "bad", "👎"})


def plain_name(name: str) -> str:
    """A score's name as `THUMB_NAMES` has it."""
    return name.strip().casefold().replace("-", "_").replace(" ", "_")


def is_thumb_down(name: str, number: float | None, label: str | None) -> bool:
    """Whether a score of a program is an end user's thumb, and down."""
    if plain_name(name) not in THUMB_NAMES:
        return False
    if label is not None:
        return plain_name(label) in _DOWN
    return number is not None and number <= 0.0
