"""Texts as vectors by their letters alone: hashed words and pieces of words. It sees wording, not meaning.

What moves it is a change of vocabulary. It is called "lexical change" wherever it is shown, never semantic drift: two
ways of saying the same thing are far apart, and a "not" more is next to nothing.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

# 256 numbers keep random words apart (cosine 0 ± .06) and are half a kilobyte as float16.
DIMS = 256
# A change of anything below changes what vectors mean: it needs another number here.
VERSION = "1"
TEXT_CHARS_MAX = 8_000
PIECE = 4
# A whole word says more than one of its pieces.
WORD_WEIGHT, PIECE_WEIGHT = 1.0, 0.5
_WORD = re.compile(r"\w+")
# Scripts without blanks between words: pieces of two characters stand for words.
_DENSE = re.compile("[\u3040-\u30ff\u3400-\u9fff\u0e00-\u0e7f]{2,}")


def lexical_vectors(texts: Sequence[str]) -> Floats:
    """Vectors (n, 256) of length 1; of zeros where a text has no letter or digit.

    Counts enter by 1 + ln n, so that a text that repeats itself is not another text. Digits become 0: order numbers and
    dates are no topics. Source: the hashing trick with signs, Weinberger et al. 2009; pieces of words as Bojanowski et
    al. 2017.
    """
    table = np.zeros((len(texts), DIMS))
    for row, text in zip(table, texts, strict=True):
        for feature, count in _features(text).items():
            at, sign = _place(feature)
            weight = WORD_WEIGHT if feature[0] == " " else PIECE_WEIGHT
            row[at] += sign * weight * (1 + math.log(count))
    norms = np.sqrt((table * table).sum(axis=1, keepdims=True))
    return np.asarray(table / np.where(norms > 0, norms, 1.0))


def _features(text: str) -> Counter[str]:
    """Words (" word") and pieces of them ("<wor", "word", "ord>") with their counts."""
    plain = unicodedata.normalize("NFKC", text[:TEXT_CHARS_MAX]).casefold()
    plain = "".join("0" if c.isdigit() else c for c in plain) if any(c.isdigit() for c in plain) else plain
    found: Counter[str] = Counter()
    for word in _WORD.findall(plain):
        for dense in _DENSE.findall(word):
            found.update(dense[at : at + 2] for at in range(len(dense) - 1))
        if _DENSE.search(word):
            continue
        found[" " + word[:40]] += 1
        edged = f"<{word[:40]}>"
        found.update(edged[at : at + PIECE] for at in range(len(edged) - PIECE + 1))
    return found


@lru_cache(maxsize=65_536)
def _place(feature: str) -> tuple[int, int]:
    """Where a feature is counted, and with which sign: the same in every process, for ever."""
    digest = blake2b(feature.encode("utf-8", "surrogatepass"), digest_size=4).digest()
    number = int.from_bytes(digest, "big")
    return number % DIMS, 1 if number >> 31 else -1
