"""Words of any script as terms: what is written differently and read the same becomes one term.

A term is folded (`fold`). Words are runs of letters, digits and their marks. What senders join by punctuation (ids,
addresses, paths, dotted names) is a term whole and in its parts. Scripts that do without spaces (Chinese, Japanese,
Thai ...), and Korean, whose particles cling, are cut into overlapping pairs of characters.
"""

from __future__ import annotations

import re
import sys
import unicodedata
from collections.abc import Iterator
from functools import lru_cache

TERM_CHARS_MAX = 128
# A word of more letters is no word; as ASCII it is most likely an encoded file.
WORD_CHARS_MAX = 256
CHUNK_CHARS_MAX = 1024

# Read as their plain letter: their marks are no marks to Unicode.
_LETTERS = {
    "æ": "ae", "œ": "oe", "ø": "o", "đ": "d", "ð": "d", "ł": "l", "þ": "th", "ı": "i", "ħ": "h", "ŋ": "n", "ſ": "s",
    # Arabic: forms of alef, yeh, kaf and heh that writers use for one another; the stretching tatweel is none.
    "ٱ": "ا", "ى": "ي", "ی": "ي", "ې": "ي", "ک": "ك", "ة": "ه", "ۀ": "ه", "ہ": "ه", "ھ": "ه", "ـ": "",
}  # fmt: skip
# How German and the Nordic languages write these where a keyboard lacks them.
_SPELLED_OUT = str.maketrans({"ä": "ae", "ö": "oe", "ü": "ue", "ø": "oe", "å": "aa"})
# Accents and vowel points that readers do without. Marks of Indic scripts, Thai or kana are letters and stay.
_DROPPED_MARKS = (
    (0x0300, 0x036F), (0x0591, 0x05BD), (0x05BF, 0x05C7), (0x0610, 0x061A), (0x064B, 0x065F), (0x0670, 0x0670),
    (0x06D6, 0x06ED), (0x08D3, 0x08FF), (0x1AB0, 0x1AFF), (0x1DC0, 0x1DFF), (0x20D0, 0x20FF), (0xFE20, 0xFE2F),
)  # fmt: skip
# Without width or only of direction: soft hyphen, joiners, marks of direction, variation selectors.
_INVISIBLE = (0x00AD, 0x034F, 0x061C, 0x180E, *range(0x200B, 0x2010), *range(0x202A, 0x202F), *range(0x2060, 0x2070),
              *range(0xFE00, 0xFE10), 0xFEFF)  # fmt: skip


def _fold_table() -> dict[int, str | None]:
    table: dict[int, str | None] = {ord(letter): plain for letter, plain in _LETTERS.items()}
    for low, high in _DROPPED_MARKS:
        table |= dict.fromkeys(range(low, high + 1))
    table |= dict.fromkeys(_INVISIBLE)
    for code in range(0x80, 0x1F000):
        if unicodedata.category(chr(code)) == "Nd":
            table[code] = str(unicodedata.decimal(chr(code)))
    return table


def _marks_class() -> str:
    """Every combining mark, and what has no width, as the inside of a character class."""
    codes = [c for c in range(0x300, 0x1F000) if unicodedata.category(chr(c)) in {"Mn", "Mc", "Me"}]
    codes = sorted({*codes, *_INVISIBLE})
    ranges: list[list[int]] = []
    for code in codes:
        if ranges and code == ranges[-1][1] + 1:
            ranges[-1][1] = code
        else:
            ranges.append([code, code])
    return "".join(f"\\U{low:08x}-\\U{high:08x}" for low, high in ranges)


_FOLD = _fold_table()
_JOINTS = r"[-_.:@/+#=&?%~\\$]+"
_LETTER = rf"[^\W_{_marks_class()}]"
_IN_WORD = rf"(?:[^\W_]|[{_marks_class()}])"
_CHUNK = re.compile(rf"{_LETTER}{_IN_WORD}*(?:{_JOINTS}{_LETTER}{_IN_WORD}*)*")
_CHUNK_ASCII = re.compile(rf"[A-Za-z0-9]+(?:{_JOINTS}[A-Za-z0-9]+)*")
_SYMBOL = re.compile("[\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff]")
_OUTER = re.compile(r"[:@/+#=&?%~\\$]+")
_INNER = re.compile(r"[-_.]+")
_ANY_JOINT = re.compile(_JOINTS)
_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\Z")
_HUMP = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
# Han, kana, bopomofo, Hangul, yi; Thai, Lao, Burmese, Khmer.
_PAIRED = (
    "\u0e00-\u0eff\u1000-\u109f\u1100-\u11ff\u1780-\u17ff\u19e0-\u19ff\u2e80-\u2fdf\u3005-\u3007\u3021-\u3029"
    "\u3031-\u3035\u3038-\u30ff\u3105-\u318f\u31a0-\u31ff\u3400-\u4dbf\u4e00-\ua4cf\ua960-\ua97f\uaa60-\uaa7f"
    "\uac00-\ud7ff\uf900-\ufaff\U00020000-\U0003ffff"
)
_RUN = re.compile(f"([{_PAIRED}]+)")
_IS_PAIRED = re.compile(f"[{_PAIRED}]")
_ENCODED = re.compile(r"[A-Za-z0-9+/=_-]+\Z")
# The Arabic article, alone or behind and, so, by, like, for: it clings to its word.
_ARTICLE = re.compile(r"(?:[وفبك]?ال|و?لل)(?=[\u0621-\u064a]{3})")
_NO_WORD = re.compile(rf"(?:(?!{_IN_WORD})[\s\S])+")


def fold(text: str) -> str:
    """`text` as terms have it: compatibility forms, case and accents taken away, digits of any script as 0-9."""
    if text.isascii():
        return text.lower()
    plain = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", text).casefold())
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", plain).translate(_FOLD))


def spelled_out(text: str) -> str:
    """`text` folded with ä as ae and the like; the same as `fold` where it has no such letter."""
    plain = unicodedata.normalize("NFKC", text).casefold()
    return fold(unicodedata.normalize("NFC", plain).translate(_SPELLED_OUT))


def plain_text(text: str) -> str:
    """`text` folded, with one space for whatever is not part of a word: phrases are compared in this form."""
    return _NO_WORD.sub(" ", fold(text)).strip()


def is_paired(character: str) -> bool:
    """Whether the character belongs to a script that is cut into pairs."""
    return _IS_PAIRED.match(character) is not None


def chunks(text: str) -> Iterator[re.Match[str]]:
    """What stands between spaces and punctuation, compounds whole, with places; symbols are left out."""
    return (_CHUNK_ASCII if text.isascii() else _CHUNK).finditer(text)


def symbols(text: str) -> list[str]:
    """The pictures among the characters: each is a term."""
    return [] if text.isascii() else _SYMBOL.findall(text)


def terms_of(text: str) -> set[str]:
    """Every term under which `text` is found."""
    is_ascii = text.isascii()
    found: set[str] = set()
    for chunk in set((_CHUNK_ASCII if is_ascii else _CHUNK).findall(text)):
        # Most are plain words; the rest of them are worth keeping, if they are short enough to come again.
        if is_ascii and chunk.isalnum() and (word := chunk.lower())[1:] == chunk[1:] and len(word) <= TERM_CHARS_MAX:
            found.add(word)
        else:
            found.update(_kept_chunk_terms(chunk) if len(chunk) <= 40 else chunk_terms(chunk))
    if not is_ascii:
        found.update(_SYMBOL.findall(text))
    return found


def is_compound(chunk: str) -> bool:
    """Whether a chunk is words joined by punctuation."""
    return _ANY_JOINT.search(chunk) is not None


def whole_term(chunk: str) -> str:
    """The term of a chunk as a whole: folded, a UUID without its dashes."""
    folded = fold(chunk)
    return folded.replace("-", "") if _UUID.match(folded) else folded[:TERM_CHARS_MAX]


def chunk_terms(chunk: str) -> tuple[str, ...]:
    """The terms of one chunk: the whole, what lies between its outer joints (/ @ : ...), and each word."""
    if len(chunk) > CHUNK_CHARS_MAX and _ENCODED.match(chunk):
        return ()
    if not is_compound(chunk):
        return tuple(word_terms(chunk))
    found: set[str] = set()
    if len(chunk) <= TERM_CHARS_MAX:
        found.add(whole_term(chunk))
    for part in _OUTER.split(chunk):
        if _INNER.search(part):
            if len(part) <= TERM_CHARS_MAX:
                found.add(whole_term(part))
            for word in _INNER.split(part):
                found.update(word_terms(word))
        elif part:
            found.update(word_terms(part))
    return tuple(map(sys.intern, found))


_kept_chunk_terms = lru_cache(maxsize=32_768)(chunk_terms)


def word_terms(word: str) -> set[str]:
    """The terms of one word, in every spelling that finds it."""
    found: set[str] = set()
    if word.isascii():
        if word and len(word) <= WORD_CHARS_MAX:
            found.add(word.lower()[:TERM_CHARS_MAX])
            humps = _HUMP.split(word)
            if len(humps) > 1:
                found.update(hump.lower() for hump in humps if len(hump) > 1)
        return found
    for at, run in enumerate(_RUN.split(unicodedata.normalize("NFKC", word))):
        if at % 2:
            found.update(pairs(fold(run)))
        elif run:
            found.update(spellings(run))
    return found


def spellings(run: str) -> list[str]:
    """How a word that is not cut into pairs may be written: folded, spelled out, without the Arabic article."""
    folded = fold(run)[:TERM_CHARS_MAX]
    if folded.isascii() and run.isascii():
        return [folded] if folded else []
    bare = _ARTICLE.sub("", folded, count=1) if "\u0621" <= folded[:1] <= "\u064a" else folded
    return [term for term in dict.fromkeys((folded, spelled_out(run)[:TERM_CHARS_MAX], bare)) if term]


def pairs(run: str) -> list[str]:
    """Overlapping pairs of a run's characters, and its last character, so that one character is a pair's beginning."""
    return [run[at : at + 2] for at in range(len(run) - 1)] + [run[-1:]] if run else []


def runs(word: str) -> Iterator[tuple[str, bool]]:
    """A word's stretches of one way of writing, and whether each is cut into pairs."""
    for at, run in enumerate(_RUN.split(unicodedata.normalize("NFKC", word))):
        if run:
            yield run, bool(at % 2)
