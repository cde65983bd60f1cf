"""Groups of spans that are one call, and the pairing of spans that carry one response id at overlapping times."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heappop, heappush
from itertools import combinations

# Seen on the wire are at most three speakers for one call. Beyond this many scopes under one response id the id says
# nothing, and pairing each scope with each other would cost the square.
MAX_SCOPES = 16


class Groups:
    """Disjoint sets of nodes, with what all members of a set share: response id, scopes, whether one carries usage."""

    def __init__(self, ids: Sequence[str | None], scopes: Sequence[str], has_usage: Sequence[bool]) -> None:
        self._up = list(range(len(ids)))
        self._id = list(ids)
        self._scopes = [frozenset((scope,)) for scope in scopes]
        self._usage = list(has_usage)

    def root(self, node: int) -> int:
        """The node that stands for the set of `node`."""
        up = self._up
        while up[node] != node:
            up[node] = up[up[node]]
            node = up[node]
        return node

    def join(self, one: int, other: int) -> None:
        """Make one set of the sets of two nodes; the smaller root stands for it, whoever was named first."""
        low, high = sorted((self.root(one), self.root(other)))
        if low == high:
            return
        self._up[high] = low
        self._id[low] = self._id[low] or self._id[high]
        self._scopes[low] |= self._scopes[high]
        self._usage[low] |= self._usage[high]

    def response_id(self, node: int) -> str | None:
        """The response id of a set, None where no member has one."""
        return self._id[self.root(node)]

    def scopes(self, node: int) -> frozenset[str]:
        """The scopes a set's members come from."""
        return self._scopes[self.root(node)]

    def has_usage(self, node: int) -> bool:
        """Whether any member of the set carries usage."""
        return self._usage[self.root(node)]


def merge_overlapping(
    nodes: Iterable[int],
    starts: Sequence[int],
    ends: Sequence[int],
    scopes: Sequence[str],
    groups: Groups,
    *,
    keep_usage_apart: bool = False,
) -> None:
    """Join nodes of one response id that overlap in time and come from different scopes, nearest starts first.

    A set never gets two members of one scope this way. Nodes are numbered in order of their start. With
    `keep_usage_apart` two sets that both carry usage are left as they are.
    """
    by_scope: dict[str, list[int]] = {}
    for node in nodes:
        by_scope.setdefault(scopes[node], []).append(node)
    if not 2 <= len(by_scope) <= MAX_SCOPES:
        return
    pairs: list[tuple[int, int, int]] = []
    for one, other in combinations(sorted(by_scope), 2):
        both = {one, other}
        pool = sorted(node for node in by_scope[one] + by_scope[other] if not both <= groups.scopes(node))
        pairs.extend(_nearest_pairs(pool, one, starts, ends, scopes))
    for _, first, second in sorted(pairs):
        if groups.root(first) == groups.root(second) or groups.scopes(first) & groups.scopes(second):
            continue
        if not (keep_usage_apart and groups.has_usage(first) and groups.has_usage(second)):
            groups.join(first, second)


def _nearest_pairs(
    pool: list[int], scope: str, starts: Sequence[int], ends: Sequence[int], scopes: Sequence[str]
) -> list[tuple[int, int, int]]:
    """Pairs (distance, earlier, later) of two scopes, overlapping, no node twice, the nearest two first.

    Two chains hold the nodes in order of start; in chain 0 nodes of `scope` may open a pair and the others close one,
    in chain 1 the other way round. The nearest pair is always an opener directly followed by a closer: an opener
    between them would be nearer to the closer, or ends before the next closer and can open nothing any more (it
    leaves the chain). So each node enters the heap a bounded number of times: O(n log n).
    """
    size = len(pool)
    is_opener = [[scopes[node] == scope for node in pool], [scopes[node] != scope for node in pool]]
    after = [list(range(1, size + 1)) for _ in range(2)]
    before = [list(range(-1, size - 1)) for _ in range(2)]
    gone = [[False] * size for _ in range(2)]
    heap: list[tuple[int, int, int, int]] = []

    def unlink(chain: int, place: int) -> int:
        left, right = before[chain][place], after[chain][place]
        if not gone[chain][place]:
            gone[chain][place] = True
            if left >= 0:
                after[chain][left] = right
            if right < size:
                before[chain][right] = left
        return left

    def consider(chain: int, place: int) -> None:
        while place >= 0 and not gone[chain][place] and is_opener[chain][place]:
            closer = after[chain][place]
            if closer >= size or is_opener[chain][closer]:
                return
            opening, closing = pool[place], pool[closer]
            if starts[closing] <= ends[opening]:
                heappush(heap, (starts[closing] - starts[opening], place, closer, chain))
                return
            place = unlink(chain, place)

    for chain in range(2):
        for place in range(size):
            consider(chain, place)
    taken = [False] * size
    pairs: list[tuple[int, int, int]] = []
    while heap:
        distance, place, closer, chain = heappop(heap)
        if taken[place] or taken[closer] or after[chain][place] != closer:
            continue
        taken[place] = taken[closer] = True
        pairs.append((distance, pool[place], pool[closer]))
        for each in range(2):
            # The later one leaves first: what then stands before the earlier one is still in the chain.
            later = unlink(each, closer)
            earlier = unlink(each, place)
            consider(each, earlier)
            if later != place:
                consider(each, later)
    return pairs
