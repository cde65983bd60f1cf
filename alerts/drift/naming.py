"""Names for groups from the words of their most central texts: what is said in this group and not in the others."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence

from evals.judges.language import COMMON

WORDS_MOST = 3
NAME_CHARS_MAX = 60
_WORD = re.compile(r"[^\W\d_][\w'’-]*")
WORD_CHARS_MIN, WORD_CHARS_MAX = 2, 24
_APOSTROPHES = frozenset("'’")
_BEFORE = re.compile("['’]")


def names_of(groups: Sequence[Sequence[str]], fallbacks: Sequence[str], taken: Sequence[str] = ()) -> list[str]:
    """A name for each group of texts, none twice and none of `taken`; the fallback where its texts share no word.

    Words weigh by how many of the group's texts hold them, times the log of how few other groups do: what every group
    says names none. A word of one text alone names nothing.
    """
    held = [Counter(word for text in texts for word in _words(text)) for texts in groups]
    among = Counter(word for counts in held for word, n in counts.items() if n >= 2 or len(groups) == 1)
    used = {name.casefold() for name in taken}
    names = []
    for counts, texts, fallback in zip(held, groups, fallbacks, strict=True):
        least = 2 if len(texts) > 1 else 1
        scored = [
            (n / max(len(texts), 1) * math.log(1 + len(groups) / max(among[word], 1)), word)
            for word, n in counts.items()
            if n >= least
        ]
        best = [word for _, word in sorted(scored, key=lambda pair: (-pair[0], pair[1]))[:WORDS_MOST]]
        first = _in_order(best, texts)
        name = " ".join(first)[:NAME_CHARS_MAX].strip().capitalize() or fallback
        if name.casefold() in used:
            name = fallback if fallback.casefold() not in used else f"{fallback} ({len(used) + 1})"
        used.add(name.casefold())
        names.append(name)
    return names


def _words(text: str) -> set[str]:
    """The words of a text that say something, each once, in lower case."""
    found = (word.casefold() for word in _WORD.findall(text[:2_000]))
    return {word for word in found if WORD_CHARS_MIN <= len(word) <= WORD_CHARS_MAX and _is_telling(word)}


def _is_telling(word: str) -> bool:
    """Whether a word is none of the commonest of its language, by itself or before its apostrophe: "don't", "I'm"."""
    return word not in COMMON and not (_APOSTROPHES.intersection(word) and _BEFORE.split(word)[0] in COMMON)


def _in_order(words: Sequence[str], texts: Sequence[str]) -> list[str]:
    """Words as the texts mostly have them, one after the other."""
    places: dict[str, list[int]] = {word: [] for word in words}
    for text in texts:
        said = [word.casefold() for word in _WORD.findall(text[:2_000])]
        for word in words:
            if word in said:
                places[word].append(said.index(word))
    return sorted(words, key=lambda word: (sum(places[word]) / max(len(places[word]), 1), word))
