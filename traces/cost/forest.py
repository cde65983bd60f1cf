"""The spans that matter for counting, joined to their nearest such ancestor: no recursion, safe on cycles."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

from .views import CallView

NONE = -1


@dataclass(frozen=True, slots=True)
class Forest:
    """Views as nodes 0..n-1. `order` has parents before children; `enter` and `leave` are places in that walk."""

    parent: list[int]
    order: list[int]
    enter: list[int]
    leave: list[int]

    def is_above(self, high: int, low: int) -> bool:
        """Whether `high` is an ancestor of `low` (or `low` itself)."""
        return self.enter[high] <= self.enter[low] < self.leave[high]


def build_forest(views: Sequence[CallView], parents: Mapping[UUID, Mapping[int, int | None]]) -> Forest:
    """The views joined to their nearest ancestor among the views, over `parents` of all spans, trace by trace.

    Views are in order of their start: a cycle is cut at its earliest view. A parent that is not there ends the walk.
    """
    parent = _nearest(views, parents)
    _cut_cycles(parent)
    return _walk(parent)


def _nearest(views: Sequence[CallView], parents: Mapping[UUID, Mapping[int, int | None]]) -> list[int]:
    by_trace: dict[UUID, dict[int, int]] = {}
    for index, view in enumerate(views):
        by_trace.setdefault(view.trace_id, {})[view.span_id] = index
    parent = [NONE] * len(views)
    for trace_id, local in by_trace.items():
        above = parents.get(trace_id, {})
        # Steps that lead to no view, or round in a circle, stay at NONE; a step known already is not walked again.
        known: dict[int, int] = {}
        for index in local.values():
            path: list[int] = []
            found = NONE
            step = views[index].parent_span_id
            while step is not None:
                found = local.get(step, NONE)
                if found != NONE:
                    break
                if step in known:
                    found = known[step]
                    break
                known[step] = NONE
                path.append(step)
                step = above.get(step)
            for passed in path:
                known[passed] = found
            parent[index] = NONE if found == index else found
    return parent


def _cut_cycles(parent: list[int]) -> None:
    seen = [0] * len(parent)  # the walk that saw the node first, 0 for none
    for start in range(len(parent)):
        node = start
        while node != NONE and not seen[node]:
            seen[node] = start + 1
            node = parent[node]
        if node == NONE or seen[node] != start + 1:
            continue
        earliest = first = node
        while parent[node] != first:
            node = parent[node]
            earliest = min(earliest, node)
        parent[earliest] = NONE


def _walk(parent: list[int]) -> Forest:
    children: list[list[int]] = [[] for _ in parent]
    roots: list[int] = []
    for node, above in enumerate(parent):
        (roots if above == NONE else children[above]).append(node)
    order: list[int] = []
    enter = [0] * len(parent)
    stack = roots[::-1]
    while stack:
        node = stack.pop()
        enter[node] = len(order)
        order.append(node)
        stack.extend(reversed(children[node]))
    leave = [place + 1 for place in enter]
    for node in reversed(order):
        above = parent[node]
        if above != NONE and leave[node] > leave[above]:
            leave[above] = leave[node]
    return Forest(parent, order, enter, leave)
