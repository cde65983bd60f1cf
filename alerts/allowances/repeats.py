"""Questions that were asked before: the same words, or nearly the same ones.

Near means at least `NEAR` of the distinct words of both are the same (Jaccard). Words with digits (an order, a date, a
size) and words that turn a sentence round must all be the same: "order 4711" is not "order 4712". Questions of fewer
than `WORDS_MIN` words are compared exactly. What is near by words may still want another answer: it is what a cache
with such a rule would have answered, not what it should have.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

NEAR = 0.8
WORDS_MIN = 4
# Words whose lists of questions are longer than this say little; a pair that shares no rarer one is not found.
POSTINGS_MAX = 400
_WORD = re.compile(r"\w+")
_TURNS = frozenset(
    (
        *("not", "no", "never", "without", "cannot", "cant", "dont", "doesnt", "isnt", "wont", "before", "after"),
        *("until", "except", "only", "nicht", "kein", "keine", "nie", "ohne", "non", "pas", "sans", "jamais", "sin"),
    )
)


@dataclass(frozen=True, slots=True)
class Said:
    """One question: `scope` is what a cache would hold apart, such as the feature. No text: never repeated."""

    at: datetime
    text: str
    scope: str


def normal(text: str) -> str:
    """A question as it is compared: case, accents' encoding, spaces and marks between words do not count."""
    return " ".join(_WORD.findall(unicodedata.normalize("NFKC", text).casefold().replace("'", "").replace("’", "")))


def find_repeats(said: Sequence[Said], kept_for: timedelta, *, near: bool) -> list[int | None]:
    """For each question, in order of time, the earlier one whose kept answer would have been given; None: none.

    An answer is kept for `kept_for` from when it was made; giving it again does not keep it longer.
    """
    found: list[int | None] = []
    held: dict[tuple[str, str], int] = {}
    texts = [normal(each.text) for each in said]
    words = [frozenset(text.split()) for text in texts] if near else []
    common = Counter(word for each in words for word in each)
    postings: dict[tuple[str, str], list[int]] = {}
    for at, each in enumerate(said):
        key = (each.scope, texts[at])
        hit: int | None = None
        if texts[at]:
            last = held.get(key)
            if last is not None and each.at - said[last].at <= kept_for:
                hit = last
            elif near and len(words[at]) >= WORDS_MIN:
                hit = _near(at, said, words, common, postings, kept_for)
            if hit is None:
                held[key] = at
                if near and len(words[at]) >= WORDS_MIN:
                    for word in _rarest(words[at], common):
                        postings.setdefault((each.scope, word), []).append(at)
        found.append(hit)
    return found


def _rarest(words: frozenset[str], common: Counter[str]) -> list[str]:
    """As many of the rarest words as two near questions must share one of (prefix filter: Chaudhuri et al. 2006)."""
    kept = len(words) - math.ceil(NEAR * len(words)) + 1
    return sorted(words, key=lambda word: (common[word], word))[:kept]


def _near(
    at: int,
    said: Sequence[Said],
    words: Sequence[frozenset[str]],
    common: Counter[str],
    postings: dict[tuple[str, str], list[int]],
    kept_for: timedelta,
) -> int | None:
    mine, oldest = words[at], said[at].at - kept_for
    seen: set[int] = set()
    for word in _rarest(mine, common):
        for other in reversed(postings.get((said[at].scope, word), [])[-POSTINGS_MAX:]):
            if other in seen:
                continue
            if said[other].at < oldest:
                break
            seen.add(other)
            if _is_near(mine, words[other]):
                return other
    return None


def _is_near(first: frozenset[str], second: frozenset[str]) -> bool:
    both = len(first & second)
    if both < NEAR * (len(first) + len(second) - both):
        return False
    return not any(word in _TURNS or any(c.isdigit() for c in word) for word in first ^ second)
