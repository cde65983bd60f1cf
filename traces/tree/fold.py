"""From a tree to lines: depth first, in order of start, with what says little folded into one line."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from traces.canonical.types import SpanStatus
from traces.tree.build import Tree

# So many siblings of one name are shown before the rest folds: enough to see the pattern, few enough to see past it.
SAME_NAME_SHOWN = 10
SAME_NAME_FOLDS = 25
_ERROR = int(SpanStatus.ERROR)


class Fold(Enum):
    """Why lines are folded."""

    HTTP = "http"
    SAME_NAME = "same_name"


class Line(NamedTuple):
    """One line: a span at `place`, or a fold of `n` spans (with all below them) that are children of `place`."""

    place: int
    depth: int
    n_below: int  # direct children
    fold: Fold | None = None
    n: int = 1
    name: str = ""


@dataclass(frozen=True, slots=True)
class Lines:
    """All lines of a tree, and how many spans its folds hide."""

    lines: list[Line]
    folded: int

    def find(self, place: int) -> int | None:
        """The line number of a span; None where a fold hides it."""
        return next((at for at, line in enumerate(self.lines) if line.place == place and line.fold is None), None)


def fold_tree(tree: Tree, opened: Collection[int] = (), selected: int | None = None) -> Lines:
    """The lines of `tree`. Folds among the children of the places in `opened`, and above `selected`, stay open.

    The HTTP calls below a model or tool call, which only repeat it, fold into one line, and so do siblings of one name
    beyond the first. A span that failed is never folded.
    """
    open_places = set(opened)
    if selected is not None:
        open_places.update(tree.way_to(selected))
    steps, children = tree.steps, tree.children
    lines: list[Line] = []
    folded = 0
    # Entries are places, or (line, ) for a fold to be written when its turn comes.
    stack: list[tuple[int, int, Line | None]] = [(root, 0, None) for root in reversed(tree.roots)]
    while stack:
        at, depth, fold = stack.pop()
        if fold is not None:
            lines.append(fold)
            folded += fold.n
            continue
        below = children.get(at)
        if not below:
            lines.append(Line(at, depth, 0))
            continue
        lines.append(Line(at, depth, len(below)))
        deeper = depth + 1
        if at in open_places:
            stack += [(child, deeper, None) for child in reversed(below)]
            continue
        is_near_http = steps[at].is_http
        if len(below) <= SAME_NAME_FOLDS and (is_near_http or not any(steps[child].is_http for child in below)):
            stack += [(child, deeper, None) for child in reversed(below)]
            continue
        stack += reversed(_folded(tree, at, below, deeper, is_near_http))
    return Lines(lines, folded)


def _folded(
    tree: Tree, at: int, below: list[int], depth: int, is_near_http: bool
) -> list[tuple[int, int, Line | None]]:
    steps = tree.steps
    names: dict[str, int] = {}
    if len(below) > SAME_NAME_FOLDS:
        for child in below:
            name = steps[child].name
            names[name] = names.get(name, 0) + 1
    shown: dict[str, int] = {}
    rest: dict[str, int] = {}
    place_of_rest: dict[str, int] = {}
    http = 0
    http_at = -1
    entries: list[tuple[int, int, Line | None]] = []
    for child in below:
        step = steps[child]
        if step.is_http and not is_near_http and step.status != _ERROR and _is_all_http(tree, child):
            if not http:
                http_at = len(entries)
                entries.append((at, depth, None))
            http += 1
            continue
        name = step.name
        if names.get(name, 0) > SAME_NAME_FOLDS and step.status != _ERROR:
            seen = shown.get(name, 0)
            if seen >= SAME_NAME_SHOWN:
                if name not in rest:
                    place_of_rest[name] = len(entries)
                    entries.append((at, depth, None))
                rest[name] = rest.get(name, 0) + 1
                continue
            shown[name] = seen + 1
        entries.append((child, depth, None))
    if http:
        entries[http_at] = (at, depth, Line(at, depth, 0, Fold.HTTP, http))
    for name, n in rest.items():
        entries[place_of_rest[name]] = (at, depth, Line(at, depth, 0, Fold.SAME_NAME, n, name))
    return entries


def _is_all_http(tree: Tree, at: int) -> bool:
    stack = [at]
    while stack:
        place = stack.pop()
        step = tree.steps[place]
        if not step.is_http or step.status == _ERROR:
            return False
        stack += tree.children.get(place, ())
    return True
