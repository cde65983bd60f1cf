"""Words of a text as rules of thumb count them, and how many of one text's another holds."""

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


class Wanted:
    """The terms of a text, to be looked for in others.

    Others are searched for each term: a tenth of the time that taking them apart into their own terms would need.
    """

    def __init__(self, text: str) -> None:
        self.terms = tuple((term, _is_whole(term), bool(_DENSE.match(term))) for term in sorted(terms(text)))

    def share(self, text: str) -> float | None:
        """The share of the terms that `text` holds, 0..1; None where there are none."""
        if not self.terms:
            return None
        lowered = text.casefold()
        return sum(_holds(lowered, *each) for each in self.terms) / len(self.terms)


def _is_whole(term: str) -> bool:
    """Whether it stands for itself alone, not for all words that begin so."""
    return len(term) != _STEM_CHARS or any(c.isdigit() for c in term)


def _holds(text: str, term: str, is_whole: bool, is_dense: bool) -> bool:
    at = text.find(term)
    if at >= 0 and is_dense:
        return True
    while at >= 0:
        end = at + len(term)
        if not (at and text[at - 1].isalnum()) and not (is_whole and end < len(text) and text[end].isalnum()):
            return True
        at = text.find(term, at + 1)
    return False
