"""Calls and their wrappers: which nested spans are one provider call, and which only sum up the calls below them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from traces.canonical.types import Kind

from .forest import NONE, Forest
from .overlaps import Groups, merge_overlapping

Tokens = tuple[int, int]


class Calls(Protocol):
    """What nesting needs to know of the spans being resolved."""

    forest: Forest
    groups: Groups
    ids: list[str | None]
    tokens: list[Tokens]
    kinds: list[Kind | None]
    scopes: list[str]
    starts: list[int]
    ends: list[int]
    is_call: list[bool]
    is_silent: list[bool]


class _Tops:
    """Some calls right below a span: how many, their sum, and the earliest one for each pair of token totals."""

    __slots__ = ("by_tokens", "count", "tokens_in", "tokens_out")

    def __init__(self) -> None:
        self.count = self.tokens_in = self.tokens_out = 0
        self.by_tokens: dict[Tokens, int] = {}

    def add(self, node: int, tokens: Tokens) -> None:
        self.count += 1
        self.tokens_in += tokens[0]
        self.tokens_out += tokens[1]
        self.by_tokens[tokens] = min(self.by_tokens.get(tokens, node), node)

    def absorb(self, other: _Tops) -> _Tops:
        """Both together; the smaller one is poured into the larger one."""
        if len(self.by_tokens) < len(other.by_tokens):
            return other.absorb(self)
        self.count += other.count
        self.tokens_in += other.tokens_in
        self.tokens_out += other.tokens_out
        for tokens, node in other.by_tokens.items():
            self.by_tokens[tokens] = min(self.by_tokens.get(tokens, node), node)
        return self


class _Below:
    """What a span has below it: its nearest calls without and with a response id, and the sum of all calls."""

    __slots__ = ("all_count", "all_in", "all_out", "first", "named", "nameless")

    def __init__(self) -> None:
        self.nameless, self.named = _Tops(), _Tops()
        self.all_count = self.all_in = self.all_out = 0
        self.first = NONE  # the earliest of the nearest calls

    def add_top(self, node: int, tokens: Tokens, *, named: bool) -> None:
        (self.named if named else self.nameless).add(node, tokens)
        self.first = node if self.first == NONE else min(self.first, node)

    def add_all(self, count: int, tokens_in: int, tokens_out: int) -> None:
        self.all_count += count
        self.all_in += tokens_in
        self.all_out += tokens_out

    def absorb(self, other: _Below) -> None:
        self.nameless = self.nameless.absorb(other.nameless)
        self.named = self.named.absorb(other.named)
        self.add_all(other.all_count, other.all_in, other.all_out)
        if other.first != NONE:
            self.first = other.first if self.first == NONE else min(self.first, other.first)

    def forget(self, tokens: Tokens) -> None:
        """Take one named call out of the sums: another one of the nearest calls is the same."""
        self.named.count -= 1
        self.named.tokens_in -= tokens[0]
        self.named.tokens_out -= tokens[1]
        self.add_all(-1, -tokens[0], -tokens[1])

    def sums_to(self, tokens: Tokens) -> bool:
        """Whether `tokens` is the sum of the nearest calls, or of all calls below, with at least two of them."""
        nearest = self.nameless.count + self.named.count
        if nearest > 1 and tokens == (
            self.nameless.tokens_in + self.named.tokens_in,
            self.nameless.tokens_out + self.named.tokens_out,
        ):
            return True
        return self.all_count > 1 and tokens == (self.all_in, self.all_out)


class Nesting:
    """Joins nested spans of one call. `roll_ups` maps spans that only sum up to the earliest call below them."""

    def __init__(self, calls: Calls) -> None:
        self._calls = calls
        self.roll_ups: dict[int, int] = {}

    def settle_calls(self) -> None:
        """Go from the leaves up: each call joins the one call below that it wraps, sums up several, or stands alone."""
        calls = self._calls
        up = self._nearest_of_kind(calls.is_call)
        same_below = self._nearest_of_id()
        below: dict[int, _Below] = {}
        named_below: dict[int, list[int]] = {}
        for node in reversed(calls.forest.order):
            if not calls.is_call[node]:
                continue
            under = below.pop(node, None)
            if under is not None and node in named_below:
                self._merge_siblings(named_below.pop(node), under)
            joined = under is not None and self._settle(node, up[node], under, same_below.get(node, []))
            if up[node] == NONE:
                continue
            shown = under
            if shown is None or node not in self.roll_ups:
                named = calls.groups.response_id(node) is not None
                shown = _Below()
                if under is not None:
                    shown.add_all(under.all_count, under.all_in, under.all_out)
                if not joined:
                    shown.add_all(1, *calls.tokens[node])
                shown.add_top(node, calls.tokens[node], named=named)
                if named:
                    named_below.setdefault(up[node], []).append(node)
            if up[node] in below:
                below[up[node]].absorb(shown)
            else:
                below[up[node]] = shown

    def _merge_siblings(self, named: list[int], under: _Below) -> None:
        """Join calls side by side that several speakers report under one response id, and count them once."""
        calls, groups = self._calls, self._calls.groups
        by_id: dict[str | None, list[int]] = {}
        for node in named:
            by_id.setdefault(groups.response_id(node), []).append(node)
        for siblings in by_id.values():
            if len(siblings) < 2:
                continue
            merge_overlapping(siblings, calls.starts, calls.ends, calls.scopes, groups)
            seen: set[int] = set()
            for node in sorted(siblings):
                if groups.root(node) in seen:
                    under.forget(calls.tokens[node])
                seen.add(groups.root(node))

    def _settle(self, node: int, up: int, under: _Below, same_id: list[int]) -> bool:
        """Join `node` to a call below, or note it as a roll-up; True where it was joined."""
        calls, groups = self._calls, self._calls.groups
        tokens, own_id = calls.tokens[node], calls.ids[node]
        if len(same_id) > 1:
            merge_overlapping(same_id, calls.starts, calls.ends, calls.scopes, groups)
        same = sorted({groups.root(below): below for below in sorted(same_id, reverse=True)}.values())
        candidates = under.nameless.count + (under.named.count if own_id is None else len(same))
        if under.sums_to(tokens):
            self.roll_ups[node] = under.first
            return False
        if candidates == 0:
            return False
        equal = self._equal(tokens, under, same, nameless=own_id is None)
        if candidates == 1:
            only = same[0] if same else under.first if own_id is None else min(under.nameless.by_tokens.values())
            if equal is None and self._belongs_above(node, up, only):
                return False
            groups.join(node, only)
            return True
        if equal is not None:
            groups.join(node, equal)
            return True
        if same:
            groups.join(node, min(same, key=lambda below: (calls.starts[below] - calls.starts[node], below)))
            return True
        self.roll_ups[node] = under.first
        return False

    def _equal(self, tokens: Tokens, under: _Below, same: Sequence[int], *, nameless: bool) -> int | None:
        """The call below with the very same totals: of the same response id first, then without, then of any."""
        for below in same:
            if self._calls.tokens[below] == tokens:
                return below
        found = under.nameless.by_tokens.get(tokens)
        if found is None and nameless:
            found = under.named.by_tokens.get(tokens)
        return found

    def _belongs_above(self, node: int, up: int, only: int) -> bool:
        """Whether a span without a response id, between two calls with different ones, tells the upper one's usage."""
        calls = self._calls
        if up == NONE or calls.ids[node] is not None or calls.tokens[node] != calls.tokens[up]:
            return False
        lower_id, upper_id = calls.groups.response_id(only), calls.ids[up]
        return lower_id is not None and upper_id is not None and lower_id != upper_id

    def settle_silent(self) -> None:
        """Join model spans without usage to the call they are part of, below them first, then above."""
        calls, groups = self._calls, self._calls.groups
        takes_part = [
            (calls.is_call[n] or calls.is_silent[n]) and n not in self.roll_ups for n in range(len(calls.ids))
        ]
        up = self._nearest_of_kind(takes_part)
        order = [node for node in calls.forest.order if takes_part[node]]
        below: dict[int, int] = {}  # a silent span and one call below it
        several: set[int] = set()
        for node in reversed(order):
            if calls.is_silent[node] and node in below:
                if node in several:
                    self.roll_ups[node] = below[node]
                elif self._one_call(node, below[node]):
                    groups.join(node, below[node])
            above = up[node]
            if above == NONE or not calls.is_silent[above]:
                continue
            call = below.get(node, node) if calls.is_silent[node] else node
            if not groups.has_usage(call):
                continue
            if above in below and groups.root(below[above]) != groups.root(call):
                several.add(above)
            if node in several:
                several.add(above)
            below[above] = min(below.get(above, call), call)
        for node in order:
            above = up[node]
            if not calls.is_silent[node] or node in self.roll_ups or groups.has_usage(node) or above == NONE:
                continue
            if above not in self.roll_ups and self._one_call(node, above):
                groups.join(node, above)

    def _one_call(self, node: int, other: int) -> bool:
        own, others = self._calls.groups.response_id(node), self._calls.groups.response_id(other)
        return own is None or others is None or own == others

    def _nearest_of_kind(self, takes_part: Sequence[bool]) -> list[int]:
        """For each node the nearest ancestor of its own kind that takes part."""
        calls, size = self._calls, len(self._calls.ids)
        nearest = [NONE] * size
        for kind in {kind for kind in calls.kinds if kind is not None}:
            held = [NONE] * size
            for node in calls.forest.order:
                parent = calls.forest.parent[node]
                above = NONE if parent == NONE else held[parent]
                of_kind = calls.kinds[node] is kind
                if of_kind:
                    nearest[node] = above
                held[node] = node if of_kind and takes_part[node] else above
        return nearest

    def _nearest_of_id(self) -> dict[int, list[int]]:
        """For each call the nearest calls below it with its own response id and kind."""
        calls, forest = self._calls, self._calls.forest
        by_id: dict[tuple[str, Kind], list[int]] = {}
        for node in forest.order:
            response_id, kind = calls.ids[node], calls.kinds[node]
            if calls.is_call[node] and response_id is not None and kind is not None:
                by_id.setdefault((response_id, kind), []).append(node)
        below: dict[int, list[int]] = {}
        for nodes in by_id.values():
            path: list[int] = []
            for node in nodes:
                while path and not forest.is_above(path[-1], node):
                    path.pop()
                if path:
                    below.setdefault(path[-1], []).append(node)
                path.append(node)
        return below
