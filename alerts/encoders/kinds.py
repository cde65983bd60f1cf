"""The kinds of encoders and what all of them give."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from alerts.drift.words import ENDPOINT, LEXICAL, MINILM, SENDER, kind_of

KINDS = (LEXICAL, SENDER, ENDPOINT, MINILM)
# A text's beginning says what it is about: about 2,000 tokens, which endpoints take as one piece.
TEXT_CHARS_MAX = 8_000
NAME_CHARS_MAX = 250
DIMS_MAX = 4096


class EncoderMissing(Exception):
    """The encoder cannot work on this machine as it is; the text says what to do."""


@dataclass(frozen=True)
class Encoded:
    """Vectors of length 1 by `key`, in the order of the texts; None where a text has none (no letters, no vector)."""

    key: str
    vectors: tuple[NDArray[np.float64] | None, ...] = field(repr=False)


def key_of(kind: str, name: str, dims: int) -> str:
    """The key of vectors of `dims` numbers that `name` (with its version) of this kind made."""
    return f"{kind}:{name[:NAME_CHARS_MAX]}/{dims}"


def short_text(text: str) -> str:
    """What of a text is encoded: its first 8,000 characters, without blanks around."""
    return text[: TEXT_CHARS_MAX * 2].strip()[:TEXT_CHARS_MAX]


__all__ = [
    "DIMS_MAX",
    "ENDPOINT",
    "KINDS",
    "LEXICAL",
    "MINILM",
    "SENDER",
    "TEXT_CHARS_MAX",
    "Encoded",
    "EncoderMissing",
    "key_of",
    "kind_of",
    "short_text",
]
