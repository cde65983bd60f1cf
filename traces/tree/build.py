"""From spans with parent ids to a tree. Every span given is in it once, but for pending spans whose real span came.

A child joins its parent whenever both are there. A span whose parent is not there stands at the top with a note; one
such span alone is the root. A span that is its own parent is a root; a cycle is cut at its earliest span. Nothing
recurses: 100,000 spans in one chain or under one parent are as good as ten.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum
from typing import NamedTuple

from traces.canonical.types import SpanFlag

_PENDING = int(SpanFlag.PENDING)


class Step(NamedTuple):
    """What the tree needs of a span; the order of the fields is the order of the skeleton query's columns."""

    span_id: int
    parent_span_id: int | None
    started_us: int
    duration_ns: int | None
    kind: int
    status: int
    flags: int
    is_http: bool  # spoken by the instrumentation of an HTTP client or server
    name: str
    is_counted: bool = True  # False where another span tells the same call and counts


class Note(Enum):
    """Why a span stands where it does, where that is not plain."""

    PARENT_MISSING = "parent missing"
    OWN_PARENT = "own parent"
    CYCLE_CUT = "circle cut here"


@dataclass(frozen=True, slots=True)
class Tree:
    """Steps by place; `children[i]` are the places below place i, `roots` those at the top, all in order of start."""

    steps: Sequence[Step]
    children: dict[int, list[int]]
    roots: tuple[int, ...]
    notes: dict[int, Note]
    pending_hidden: int  # placeholders whose real span is there
    parents: dict[int, int]  # the place above, as the tree has it

    @property
    def size(self) -> int:
        """How many spans the tree shows."""
        return len(self.steps) - self.pending_hidden

    @property
    def cycles(self) -> int:
        """How many circles were cut."""
        return sum(note is not Note.PARENT_MISSING for note in self.notes.values())

    @property
    def orphans(self) -> int:
        """How many spans stand at the top because their parent is not there."""
        return sum(note is Note.PARENT_MISSING for note in self.notes.values())

    def place_of(self, span_id: int) -> int | None:
        """The place of a span by its id; None where it is not among the steps."""
        return next((at for at, step in enumerate(self.steps) if step.span_id == span_id), None)

    def way_to(self, place: int) -> list[int]:
        """The places from the top down to `place`, without it."""
        way: list[int] = []
        above = self.parents.get(place)
        while above is not None:
            way.append(above)
            above = self.parents.get(above)
        return way[::-1]


def build_tree(steps: Sequence[Step]) -> Tree:
    """The tree of `steps`, which must come in order of start, then id."""
    index = {step[0]: at for at, step in enumerate(steps)}
    hidden = _hidden(steps, index)
    children: dict[int, list[int]] = {}
    parents: dict[int, int] = {}
    roots: list[int] = []
    notes: dict[int, Note] = {}
    for at, step in enumerate(steps):
        if at in hidden:
            continue
        parent_id = step[1]
        if parent_id is None:
            roots.append(at)
            continue
        above = index.get(parent_id)
        while above is not None and above in hidden:
            above = index.get(steps[above][1] or 0)
        if above is None:
            roots.append(at)
            notes[at] = Note.PARENT_MISSING
        elif above == at:
            roots.append(at)
            notes[at] = Note.OWN_PARENT
        else:
            parents[at] = above
            below = children.get(above)
            if below is None:
                children[above] = [at]
            else:
                below.append(at)
    _cut_cycles(len(steps) - len(hidden), steps, hidden, children, parents, roots, notes)
    if len(roots) == 1 and notes.get(roots[0]) is Note.PARENT_MISSING:
        del notes[roots[0]]
    roots.sort()
    return Tree(steps, children, tuple(roots), notes, len(hidden), parents)


def _hidden(steps: Sequence[Step], index: dict[int, int]) -> set[int]:
    """Placeholders whose real span, which is their parent, is there."""
    return {
        at
        for at, step in enumerate(steps)
        if step[6] & _PENDING and step[1] is not None and step[1] in index and index[step[1]] != at
        and not steps[index[step[1]]][6] & _PENDING
    }  # fmt: skip


def _cut_cycles(
    size: int,
    steps: Sequence[Step],
    hidden: set[int],
    children: dict[int, list[int]],
    parents: dict[int, int],
    roots: list[int],
    notes: dict[int, Note],
) -> None:
    reached = set()
    stack = list(roots)
    while stack:
        at = stack.pop()
        reached.add(at)
        below = children.get(at)
        if below:
            stack += below
    if len(reached) == size:
        return
    for at in range(len(steps)):
        if at in reached or at in hidden:
            continue
        # Upwards from here the parents must run into their circle.
        seen: set[int] = set()
        above = at
        while above not in seen:
            seen.add(above)
            above = parents[above]
        circle = [above]
        after = parents[above]
        while after != above:
            circle.append(after)
            after = parents[after]
        first = min(circle)
        children[parents.pop(first)].remove(first)
        roots.append(first)
        notes[first] = Note.CYCLE_CUT
        stack = [first]
        while stack:
            place = stack.pop()
            reached.add(place)
            stack += children.get(place, ())
