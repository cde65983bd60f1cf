"""How far two texts are apart by their words: hashed n-grams. They see a change of wording, never one of meaning.

The stand-by where no encoder is set up, and named so wherever it is shown. Source of the method: feature hashing,
Weinberger et al. 2009; character n-grams for likeness of texts, Damashek 1995.
"""

from __future__ import annotations

import math
import re
import zlib
from collections import Counter
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

NAME = "lexical-1"
DIMENSIONS = 1024
# Longer answers are told apart by their beginning: 20,000 characters take 20 ms.
CHARS_MAX = 20_000
_PART = re.compile(r"\w+|[^\w\s]+")


def vectors_of(texts: Sequence[str]) -> Floats:
    """One vector of length 1 for each text, (n, 1024); an empty text has one too: it is like other empty ones."""
    return np.stack([_vector(text) for text in texts]) if texts else np.zeros((0, DIMENSIONS))


def distances_to(vector: Floats, others: Floats) -> Floats:
    """Cosine distances 1 - cos (n,) in 0..2 of a vector (d,) of length 1 to others (n, d) of length 1."""
    return np.asarray(np.clip(1.0 - others @ vector, 0.0, 2.0))


def _vector(text: str) -> Floats:
    # A mark of its own, so that no text is without direction.
    counts = Counter({"\x02": 1})
    parts = _PART.findall(text[:CHARS_MAX].casefold())
    for at, part in enumerate(parts):
        counts[part] += 1
        if at:
            counts[f"{parts[at - 1]} {part}"] += 1
        padded = f"^{part}$"
        for n in (3, 4):
            for start in range(len(padded) - n + 1):
                counts[f"\x01{padded[start : start + n]}"] += 1
    vector = np.zeros(DIMENSIONS)
    for gram, n in counts.items():
        hashed = zlib.crc32(gram.encode("utf-8", "replace"))
        # A bit that the place does not use decides the sign: collisions cancel instead of adding up.
        vector[hashed % DIMENSIONS] += (1 if hashed & 0x80000000 else -1) * (1 + math.log(n))
    length = math.sqrt(float(vector @ vector))
    if length == 0:  # every gram met its opposite
        vector[0] = length = 1.0
    return np.asarray(vector / length)
