"""What changed between two texts, word by word.

Source: E. W. Myers, An O(ND) Difference Algorithm and Its Variations, Algorithmica 1 (1986), the greedy algorithm of
figure 2. Its cost grows with the number of differences, and that is what `Effort` bounds: texts that share too little
are shown as replaced, never searched for seconds. (difflib has no such bound: its worst case is cubic.)
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

# Differences searched for in one text: its cost is about the square of this.
EDITS_MAX = 700
# Scripts without spaces are compared letter by letter.
_WIDE = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff\u0e00-\u0e7f"
_WORDS = re.compile(rf"[{_WIDE}]|\s+|[^\W{_WIDE}]+|[^\w\s]")
SAME, GONE, NEW = "same", "gone", "new"


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of text: `op` is same, gone (in the first text alone) or new (in the second alone)."""

    op: str
    text: str


@dataclass(slots=True)
class Effort:
    """How many steps all comparisons of one page may still take (measured: 1.5 million take about 0.4 s)."""

    left: int = 1_500_000


def compare_texts(first: str, second: str, effort: Effort) -> tuple[list[Piece], bool]:
    """The pieces that make `second` of `first`; and whether they were searched word by word.

    Where they were not, what lies between the common beginning and end is one piece gone and one new.
    """
    a, b = _WORDS.findall(first), _WORDS.findall(second)
    start = 0
    while start < len(a) and start < len(b) and a[start] == b[start]:
        start += 1
    end = 0
    while end < len(a) - start and end < len(b) - start and a[-1 - end] == b[-1 - end]:
        end += 1
    inner_a, inner_b = a[start : len(a) - end], b[start : len(b) - end]
    matches = _matches(inner_a, inner_b, effort) if inner_a and inner_b else []
    pieces = [Piece(SAME, "".join(a[:start]))]
    at_a = at_b = 0
    for x, y, size in [*(matches or []), (len(inner_a), len(inner_b), 0)]:
        pieces.append(Piece(GONE, "".join(inner_a[at_a:x])))
        pieces.append(Piece(NEW, "".join(inner_b[at_b:y])))
        pieces.append(Piece(SAME, "".join(inner_a[x : x + size])))
        at_a, at_b = x + size, y + size
    pieces.append(Piece(SAME, "".join(a[len(a) - end :])))
    return _joined([piece for piece in pieces if piece.text]), matches is not None


def _matches(a: Sequence[str], b: Sequence[str], effort: Effort) -> list[tuple[int, int, int]] | None:
    """Runs that both have, as (place in a, place in b, length); None where it would take too long to find them."""
    n, m = len(a), len(b)
    furthest = {1: 0}
    trail: list[dict[int, int]] = []
    for edits in range(min(n + m, EDITS_MAX) + 1):
        reached: dict[int, int] = {}
        for k in range(-edits, edits + 1, 2):
            below, above = furthest.get(k + 1, -1), furthest.get(k - 1, -1)
            x = below if k == -edits or (k != edits and above < below) else above + 1
            y = x - k
            if x > n or y > m or x < 0 or y < 0:
                continue
            began = x
            while x < n and y < m and a[x] == b[y]:
                x += 1
                y += 1
            effort.left -= 1 + x - began
            reached[k] = x
            if x == n and y == m:
                trail.append(reached)
                return _walk_back(trail, n, m)
        if effort.left <= 0:
            return None
        trail.append(reached)
        furthest = reached
    return None


def _walk_back(trail: list[dict[int, int]], n: int, m: int) -> list[tuple[int, int, int]]:
    """The runs of equal words on the way that ended at (n, m)."""
    runs: list[tuple[int, int, int]] = []
    x, y = n, m
    for edits in range(len(trail) - 1, 0, -1):
        before = trail[edits - 1]
        k = x - y
        below, above = before.get(k + 1, -1), before.get(k - 1, -1)
        is_down = k == -edits or (k != edits and above < below)
        came_from = k + 1 if is_down else k - 1
        start_x = before[came_from] if is_down else before[came_from] + 1
        if x > start_x:
            runs.append((start_x, start_x - k, x - start_x))
        x = before[came_from]
        y = x - came_from
    if x > 0:
        runs.append((0, 0, x))
    return runs[::-1]


def _joined(pieces: list[Piece]) -> list[Piece]:
    """The pieces with changes that only a space keeps apart as one: "two words" became "three others"."""
    out: list[Piece] = []
    gone: list[str] = []
    new: list[str] = []

    def flush() -> None:
        out.extend(Piece(op, "".join(texts)) for op, texts in ((GONE, gone), (NEW, new)) if texts)
        gone.clear()
        new.clear()

    for at, piece in enumerate(pieces):
        is_between = 0 < at < len(pieces) - 1 and bool(gone or new)
        if piece.op == SAME and is_between and piece.text.isspace() and "\n" not in piece.text:
            gone.append(piece.text)
            new.append(piece.text)
        elif piece.op == SAME:
            flush()
            out.append(piece)
        else:
            (gone if piece.op == GONE else new).append(piece.text)
    flush()
    return out
