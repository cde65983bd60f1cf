"""Quotes of a judge marked where they stand in a text. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

# A judge may quote everything; what is marked everywhere points nowhere.
QUOTES_MAX, QUOTE_CHARS_MAX = 40, 2_000


@dataclass(frozen=True, slots=True)
class Piece:
    """A piece of a text; `is_marked`: a judge quoted it."""

    text: str
    is_marked: bool


def mark(text: str, quotes: Sequence[str]) -> tuple[Piece, ...]:
    """The text in pieces, those that a quote names marked; spaces and capitals make no difference.

    Time grows with text and quotes alone: what is compared holds no pattern that somebody could make run long.
    """
    plain, at_of = _plain(text) if quotes else ("", [])
    places = sorted(place for quote in quotes[:QUOTES_MAX] for place in _places(plain, at_of, quote))
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


def _plain(text: str) -> tuple[str, list[int]]:
    """A text in small letters with one space where it has any, and the place of each letter of it in the text."""
    letters: list[str] = []
    places: list[int] = []
    for at, letter in enumerate(text):
        if letter.isspace():
            if letters and letters[-1] == " ":
                continue
            letter = " "
        small = letter.lower()
        letters.append(small if len(small) == 1 else letter)
        places.append(at)
    return "".join(letters), places


def _places(plain: str, at_of: Sequence[int], quote: str) -> list[tuple[int, int]]:
    wanted = " ".join(_plain(quote[:QUOTE_CHARS_MAX])[0].split()).strip("“”\"'…. ")
    if len(wanted.replace(" ", "")) < 3:
        return []
    found: list[tuple[int, int]] = []
    start = plain.find(wanted)
    while start >= 0 and len(found) < QUOTES_MAX:
        end = start + len(wanted)
        found.append((at_of[start], at_of[end - 1] + 1))
        start = plain.find(wanted, end)
    return found
