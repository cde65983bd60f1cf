"""Quotes of a judge marked where they stand in a text. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

_SPACE = re.compile(r"\s+")
# A judge may quote everything; what is marked everywhere points nowhere.
QUOTES_MAX = 40


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a text; `is_marked`: a judge quoted it."""

    text: str
    is_marked: bool


def mark(text: str, quotes: Sequence[str]) -> tuple[Piece, ...]:
    """The text in pieces, those that a quote names marked; spaces and capitals make no difference."""
    places = sorted(place for quote in quotes[:QUOTES_MAX] for place in _places(text, quote))
    pieces: list[Piece] = []
    at = 0
    for start, end in places:
        if end <= at:
            continue
        start = max(start, at)
        if start > at:
            pieces.append(Piece(text[at:start], False))
        pieces.append(Piece(text[start:end], True))
        at = end
    if at < len(text) or not pieces:
        pieces.append(Piece(text[at:], False))
    return tuple(pieces)


def _places(text: str, quote: str) -> list[tuple[int, int]]:
    words = _SPACE.split(quote.strip().strip("“”\"'…. "))[:200]
    if not any(words) or sum(map(len, words)) < 3:
        return []
    pattern = r"\s+".join(map(re.escape, words))
    return [found.span() for found in re.finditer(pattern, text, re.IGNORECASE)][:QUOTES_MAX]
