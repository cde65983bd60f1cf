"""Where a query stands in a text: a stretch of it with the words found marked."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from traces.search import words
from traces.search.query import Query

BEFORE_CHARS, SNIPPET_CHARS = 40, 160
# A text is looked through no further than this.
LOOK_CHARS = 64 * 1024
_OUTER = re.compile(r"[:@/+#=&?%~\\$]+")
_INNER = re.compile(r"[-_.]+")
_HEX = re.compile(r"[0-9a-f]{9,32}\Z")
_SPACES = re.compile(r"\s+")


@dataclass(frozen=True, slots=True)
class Piece:
    """Part of a snippet, marked or not."""

    text: str
    is_marked: bool


@dataclass(frozen=True, slots=True)
class Sought:
    """The terms that a query wants to see, and the beginnings of terms; `parts` where it is seen nowhere whole."""

    terms: frozenset[str]
    prefixes: tuple[str, ...]
    parts: Sought | None = None

    def has(self, term: str) -> bool:
        return term in self.terms or (bool(self.prefixes) and term.startswith(self.prefixes))

    def may_be_in(self, text: str) -> bool:
        """Whether a closer look at the text may find something: a tenth of what that costs."""
        plain = text.lower() if text.isascii() else f"{words.fold(text)} {words.spelled_out(text)}"
        # A UUID is written with dashes, and sought without.
        return any(term in plain or _HEX.match(term) for term in self.terms)


def sought(query: Query) -> Sought:
    """What to mark for a query: not what it excludes."""
    of_parts = query.with_parts()
    return _sought(query, _sought(of_parts) if of_parts else None)


def _sought(query: Query, parts: Sought | None = None) -> Sought:
    terms = {term for clause in query.clauses if not clause.is_negative for term in clause.terms}
    prefixes = sorted(term.text for term in terms if term.is_prefix)
    return Sought(frozenset(term.text for term in terms), tuple(prefixes), parts)


def snippet(texts: Iterable[str], wanted: Sought) -> tuple[Piece, ...]:
    """The first stretch of the texts that holds something sought, in pieces; none where no text does."""
    texts = list(texts)
    for text in texts:
        shown = text[:LOOK_CHARS]
        first = next(places(shown, wanted), None) if wanted.may_be_in(shown) else None
        if first is not None:
            return _around(text, first[0], wanted)
    return snippet(texts, wanted.parts) if wanted.parts else ()


def places(text: str, wanted: Sought) -> Iterator[tuple[int, int]]:
    """Where in the text something sought stands, from left to right."""
    for match in words.chunks(text):
        chunk, start = match[0], match.start()
        if words.is_compound(chunk):
            if wanted.has(words.whole_term(chunk)):
                yield start, match.end()
                continue
            for part, at in _split(_OUTER, chunk):
                if words.is_compound(part) and wanted.has(words.whole_term(part)):
                    yield start + at, start + at + len(part)
                    continue
                for word, inner in _split(_INNER, part):
                    yield from _in_word(word, start + at + inner, wanted)
        else:
            yield from _in_word(chunk, start, wanted)


def _split(joints: re.Pattern[str], text: str) -> Iterator[tuple[str, int]]:
    """What stands between joints, and where."""
    at = 0
    for joint in joints.finditer(text):
        yield text[at : joint.start()], at
        at = joint.end()
    yield text[at:], at


def _in_word(word: str, start: int, wanted: Sought) -> Iterator[tuple[int, int]]:
    if word.isascii():
        if wanted.has(word.lower()) or any(map(wanted.has, words.word_terms(word))):
            yield start, start + len(word)
        return
    at = 0
    while at < len(word):
        end = at + 1
        is_paired = words.is_paired(word[at])
        while end < len(word) and words.is_paired(word[end]) == is_paired:
            end += 1
        if not is_paired:
            if any(map(wanted.has, words.spellings(word[at:end]))):
                yield start + at, start + end
        else:
            yield from _pairs(word[at:end], start + at, wanted)
        at = end


def _pairs(run: str, start: int, wanted: Sought) -> Iterator[tuple[int, int]]:
    """Stretches of overlapping pairs that are sought, or single characters."""
    marked = [False] * len(run)
    for at in range(len(run)):
        pair = words.fold(run[at : at + 2])
        if len(pair) > 1 and pair in wanted.terms:
            marked[at : at + 2] = [True] * len(run[at : at + 2])
        elif words.fold(run[at]) in wanted.terms:
            marked[at] = True
    at = 0
    while at < len(run):
        end = at
        while end < len(run) and marked[end]:
            end += 1
        if end > at:
            yield start + at, start + end
        at = max(end, at + 1)


def _around(text: str, first: int, wanted: Sought) -> tuple[Piece, ...]:
    low = max(first - BEFORE_CHARS, 0)
    if low:
        # From a word's beginning, where there is one near.
        gap = text.find(" ", low, first)
        low = gap + 1 if gap >= 0 else low
    high = min(low + SNIPPET_CHARS, len(text))
    if high < len(text):
        gap = text.rfind(" ", first + 20, high)
        high = gap if gap >= 0 else high
    shown = text[low:high]
    pieces: list[Piece] = []
    at = 0
    for start, end in places(shown, wanted):
        pieces += [Piece(_flat(shown[at:start]), False), Piece(_flat(shown[start:end]), True)]
        at = end
    pieces.append(Piece(_flat(shown[at:]), False))
    if low:
        pieces.insert(0, Piece("… ", False))
    if high < len(text):
        pieces.append(Piece(" …", False))
    return tuple(piece for piece in pieces if piece.text)


def _flat(text: str) -> str:
    return _SPACES.sub(" ", text)
