"""Words of people, made comparable: phrases found in them, and how alike two messages are.

Before anything is compared, a text is taken apart into words: case, accents, apostrophes, direction marks and
punctuation are dropped; each character of a script without spaces between words (Chinese, Japanese, Korean syllables,
Thai, Lao, Khmer, Burmese) is a word of its own.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

# Combining accents, vowel points of Arabic and Hebrew, the Arabic tatweel, invisible marks, apostrophes.
_DROPPED = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a\u0640\u064b-\u065f"
    "\u0670\u06d6-\u06ed\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff\ufe00-\ufe0f'’‘`´ʼ]+"
)
# Scripts whose writers put no space between words.
_UNSPACED_CLASS = (
    "\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3005-\u3007\u3040-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
)
_UNSPACED = re.compile(f"([{_UNSPACED_CLASS}])")
# Letters, digits, and the marks of Indic and South-East Asian scripts that are part of their letters.
_APART = re.compile("[^\\w\u0900-\u0dff\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff]+|_+")
_ASCII = {code: " " for code in range(128) if not chr(code).isalnum()} | {ord("'"): None, ord("`"): None}
_PAIR = re.compile(f"([{_UNSPACED_CLASS}]) (?=[{_UNSPACED_CLASS}] )")
_HIRAGANA = re.compile("[\u3040-\u309f]")
_KANJI = re.compile("[\u30a0-\u30ff\u3400-\u4dbf\u4e00-\u9fff]{2,}")
_QUESTION = re.compile("[?？؟፧\u037e]")
_DIGITS = re.compile(r"\d+")
# A preview that was cut ends so (traces.canonical.previews).
CUT = "…"
# Texts and words remembered with what they were taken apart into.
KEPT = 4096
# Shorter words are seldom what a question is about, in languages that write spaces.
SUBJECT_LETTERS = 5


@lru_cache(maxsize=KEPT)
def normal(text: str) -> str:
    """The words of a text with one space before and after each: " no thats wrong ". One space where it has none."""
    if text.isascii():
        found = text.lower().translate(_ASCII).split()
    else:
        plain = unicodedata.normalize("NFC", _DROPPED.sub("", unicodedata.normalize("NFKD", text.casefold())))
        found = _APART.sub(" ", _UNSPACED.sub(r" \1 ", plain)).split()
    return f" {' '.join(found)} " if found else " "


def letters(words: str) -> int:
    """How much `normal` words say: their characters, those of scripts without spaces counted double."""
    plain = words.replace(" ", "")
    return len(plain) if plain.isascii() else len(plain) + len(_UNSPACED.findall(plain))


def is_cut(text: str) -> bool:
    """Whether a preview is only the beginning of what was said."""
    return text.endswith(CUT)


@dataclass(frozen=True, slots=True)
class Phrases:
    """Phrases made ready to be looked for: their `normal` words, each with the text that a person wrote.

    Those found anywhere lie under their longest word, so that a message is asked for its words and not for each phrase.
    """

    anywhere: dict[str, list[tuple[str, str]]]
    at_start: dict[str, str]
    at_end: dict[str, str]
    whole: dict[str, str]
    starts: tuple[str, ...]
    ends: tuple[str, ...]

    def find(self, words: str, *, has_end: bool = True) -> str | None:
        """A phrase that `normal` words hold, as it was written. `has_end`: whether they are the whole text."""
        if has_end and words in self.whole:
            return self.whole[words]
        if words.startswith(self.starts):
            return next(told for phrase, told in self.at_start.items() if words.startswith(phrase))
        if has_end and words.endswith(self.ends):
            return next(told for phrase, told in self.at_end.items() if words.endswith(phrase))
        for word in words.split():
            for phrase, told in self.anywhere.get(word, ()):
                if phrase in words:
                    return told
        return None


def prepare(phrases: Sequence[str]) -> Phrases:
    """Phrases as people write them, made ready. A phrase without a word in it finds nothing."""
    anywhere: dict[str, str] = {}
    at_start: dict[str, str] = {}
    at_end: dict[str, str] = {}
    whole: dict[str, str] = {}
    places = {(False, False): anywhere, (True, False): at_start, (False, True): at_end, (True, True): whole}
    for told in phrases:
        words = normal(told.removeprefix("^").removesuffix("$"))
        if words != " ":
            places[told.startswith("^"), told.endswith("$")].setdefault(words, told)
    under: dict[str, list[tuple[str, str]]] = {}
    for phrase, told in anywhere.items():
        under.setdefault(max(phrase.split(), key=len), []).append((phrase, told))
    return Phrases(under, at_start, at_end, whole, tuple(at_start), tuple(at_end))


def asks(text: str) -> bool:
    """Whether a text has a question mark of any script."""
    return _QUESTION.search(text) is not None


@lru_cache(maxsize=KEPT)
def grams(words: str) -> frozenset[str]:
    """The groups of three characters within each of `normal` words (" re", "res", … "et "); of two where words are
    single characters side by side."""
    if words.isascii():
        return frozenset(group for at in range(len(words) - 2) if (group := words[at : at + 3])[1] != " ")
    found: set[str] = set()
    for run in _PAIR.sub(r"\1", words).split():
        if _UNSPACED.match(run):
            found.update(run[at : at + 2] for at in range(max(len(run) - 1, 1)))
        else:
            padded = f" {run} "
            found.update(padded[at : at + 3] for at in range(len(run)))
    return frozenset(found)


@lru_cache(maxsize=KEPT)
def _subjects(words: str) -> tuple[frozenset[str], ...]:
    """The groups of each word of five letters or more; in Japanese of each run of two kanji or katakana or more.

    Other scripts without spaces do not show where a word begins: there are none.
    """
    if _HIRAGANA.search(words):
        return tuple(grams(f" {' '.join(run)} ") for run in _KANJI.findall(words.replace(" ", "")))
    return tuple(grams(f" {word} ") for word in words.split() if len(word) >= SUBJECT_LETTERS)


def _has_other_subject(words: str, theirs: frozenset[str]) -> bool:
    return any(2 * len(subject & theirs) < len(subject) for subject in _subjects(words))


def similarity(words: str, others: str) -> float:
    """How alike two `normal` texts are, 0 to 1: twice the three-character groups both have, over those of each (Dice).

    0 where they name different numbers, or where each has a word of five letters or more that the other has nothing
    like (half of its groups): "weather in Paris", "weather in London" are two questions. The order of words matters
    little, and long words count for more than short ones.
    """
    if words == others:
        return 1.0 if words != " " else 0.0
    if _DIGITS.findall(words) != _DIGITS.findall(others):
        return 0.0
    mine, theirs = grams(words), grams(others)
    both = len(mine) + len(theirs)
    if not both or (_has_other_subject(words, theirs) and _has_other_subject(others, mine)):
        return 0.0
    return 2 * len(mine & theirs) / both
