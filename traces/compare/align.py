"""Which steps of two trees are the same step: those below the same step that have the same kind and name, in order."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from traces.canonical.types import Kind
from traces.tree import Tree

T = TypeVar("T")
Pair = tuple[T | None, T | None]


@dataclass(frozen=True, slots=True)
class Aligned:
    """One line: the places of a step in the first and in the second tree; None where one has no such step."""

    depth: int
    a: int | None
    b: int | None


def align(first: Tree, second: Tree, limit: int) -> tuple[list[Aligned], bool]:
    """The lines of both trees, depth first, at most `limit`; and whether these are all of them."""
    lines: list[Aligned] = []
    stack = [(0, pair) for pair in reversed(_pairs(first, second, first.roots, second.roots))]
    while stack:
        depth, (a, b) = stack.pop()
        if len(lines) >= limit:
            return lines, False
        lines.append(Aligned(depth, a, b))
        left = first.children.get(a, []) if a is not None else []
        right = second.children.get(b, []) if b is not None else []
        stack += [(depth + 1, pair) for pair in reversed(_pairs(first, second, left, right))]
    return lines, True


def _pairs(first: Tree, second: Tree, left: Sequence[int], right: Sequence[int]) -> list[Pair[int]]:
    pairs = pair_up(
        [(place, first.steps[place]) for place in left],
        [(place, second.steps[place]) for place in right],
        # Names hold models and versions ("chat gpt-4o"): what is left over is matched by kind, where that says much.
        (lambda item: (item[1].kind, item[1].name), lambda item: None if item[1].kind == Kind.SPAN else item[1].kind),
        is_rest_paired=True,
    )
    return [(None if a is None else a[0], None if b is None else b[0]) for a, b in pairs]


def pair_up(
    left: Sequence[T],
    right: Sequence[T],
    keys: Sequence[Callable[[T], Hashable | None]],
    *,
    is_rest_paired: bool = False,
) -> list[Pair[T]]:
    """Each of `left` with the first of `right` that has its key and is not taken yet, in the order of `left`.

    What the first key leaves over is matched by the next; a key of None matches nothing. `is_rest_paired`: where one
    is left over on each side, these two. What of `right` has no partner stands behind its neighbour. Linear, however
    many there are of one key.
    """
    partner: list[int | None] = [None] * len(left)
    taken: set[int] = set()
    for key in keys:
        free: dict[Hashable, deque[int]] = {}
        for at, item in enumerate(right):
            found = None if at in taken else key(item)
            if found is not None:
                free.setdefault(found, deque()).append(at)
        for place, item in enumerate(left):
            found = None if partner[place] is not None else key(item)
            waiting = free.get(found) if found is not None else None
            if waiting:
                partner[place] = waiting.popleft()
                taken.add(partner[place] or 0)
    if is_rest_paired and len(left) - len(taken) == 1 and len(right) - len(taken) == 1:
        partner[partner.index(None)] = next(at for at in range(len(right)) if at not in taken)
    return _laid_out(left, right, partner)


def _laid_out(left: Sequence[T], right: Sequence[T], partner: Sequence[int | None]) -> list[Pair[T]]:
    taken = {at for at in partner if at is not None}
    pairs: list[Pair[T]] = []

    def leftovers(at: int) -> None:
        while at < len(right) and at not in taken:
            pairs.append((None, right[at]))
            at += 1

    leftovers(0)
    for item, at in zip(left, partner, strict=True):
        pairs.append((item, None if at is None else right[at]))
        if at is not None:
            leftovers(at + 1)
    return pairs
