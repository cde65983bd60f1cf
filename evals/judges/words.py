"""Words of a text as rules of thumb count them: sets of terms, and how far one text covers another."""

from __future__ import annotations

import re
from pathlib import Path

_WORD = re.compile(r"[^\W_]+(?:['’.,][^\W_]+)*")
# Scripts without spaces between words: their terms are pairs of neighbouring characters.
_DENSE = re.compile("[\u0e00-\u0eff\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff]+")
_STEM_CHARS = 6
_STOP = frozenset(Path(__file__).with_name("data").joinpath("stop_words.txt").read_text(encoding="utf-8").split())


def terms(text: str) -> set[str]:
    """The words of `text` that carry content: without stop words, in small letters, cut to their beginning.

    The first six letters stand for a word, so that "returned" and "returns" are one; numbers stay whole.
    """
    found: set[str] = set()
    lowered = text.casefold()
    for word in _WORD.findall(lowered):
        if _DENSE.search(word):
            for run in _DENSE.findall(word):
                found.update(run[at : at + 2] for at in range(max(len(run) - 1, 1)))
        elif word not in _STOP:
            found.add(word if any(c.isdigit() for c in word) else word[:_STEM_CHARS])
    return found


def coverage(wanted: set[str], given: set[str]) -> float | None:
    """The share of `wanted` terms that `given` holds, 0..1; None where nothing is wanted."""
    return len(wanted & given) / len(wanted) if wanted else None
