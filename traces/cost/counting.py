"""Which spans count: one provider call that arrives as several spans is counted once (docs/cost.md, "Counted once").

`resolve` looks at the spans of one or several linked traces at once and says for each whether its usage and cost enter
totals, which span stands for it if not, and why. The answer depends on the set of spans alone, never on their order.

What to hand in: a view of every span for which `call_view` gives one (spans with usage, and model spans without), of
every trace that shares a response id with another one handed in; and the parents of all spans of those traces.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from uuid import UUID

from traces.canonical.types import MODEL_KINDS, CountReason, Kind

from .forest import NONE, Forest, build_forest
from .nesting import Nesting
from .overlaps import Groups, merge_overlapping
from .stream_logs import pair_stream_logs
from .views import COUNTED, CallView, SpanKey, Verdict, call_view, is_stream_log, needs_view

__all__ = ["COUNTED", "CallView", "SpanKey", "Verdict", "call_view", "is_stream_log", "needs_view", "resolve"]

_UNSIGNED = (1 << 64) - 1
_AGGREGATED = Verdict(False, None, CountReason.ROLL_UP_OF_CHILDREN)
_EMPTY_LOG = Verdict(False, None, CountReason.STREAM_LOG)
_NO_CALL = Verdict(False)


def resolve(views: Iterable[CallView], parents: Mapping[UUID, Mapping[int, int | None]]) -> dict[SpanKey, Verdict]:
    """A verdict for each view. `parents` maps each trace's spans to their parents; those of views need not be in it.

    A model span without usage that no other span explains counts too, so that its missing usage is seen. Near-linear in
    the number of views and of their ancestors; iterative; parents may be missing or form circles.
    """
    everything = list(views)
    per_trace = Counter(view.trace_id for view in everything)
    per_id = Counter(view.response_id for view in everything if view.response_id is not None)
    verdicts: dict[SpanKey, Verdict] = {}
    entangled: list[CallView] = []
    for view in everything:
        if per_trace[view.trace_id] > 1 or (view.response_id is not None and per_id[view.response_id] > 1):
            entangled.append(view)
        else:
            verdicts[view.key] = _alone(view)
    if entangled:
        entangled.sort(key=lambda view: (view.started_us, view.trace_id.int, view.span_id & _UNSIGNED))
        verdicts.update(_Resolution(entangled, parents).verdicts())
    return verdicts


class _Resolution:
    """One run over views in order of start; nodes are their places. See docs/cost.md for the rules, step by step."""

    def __init__(self, views: list[CallView], parents: Mapping[UUID, Mapping[int, int | None]]) -> None:
        self.views = views
        self.forest: Forest = build_forest(views, parents)
        self.log_of = pair_stream_logs(views)
        size = len(views)
        self.ids = [view.response_id for view in views]
        self.tokens = [(view.input_tokens, view.output_tokens) for view in views]
        self.has_usage = [view.has_usage and not view.aggregated_usage for view in views]
        self.kinds: list[Kind | None] = [_model_kind(view) for view in views]
        self.scopes = [view.scope for view in views]
        self.starts = [view.started_us for view in views]
        self.ends = [view.started_us if view.ended_us is None else view.ended_us for view in views]
        groups = self.groups = Groups(self.ids, self.scopes, self.has_usage)
        # A generation whose usage came on a log span beside it stands for both: the log is no node of its own.
        for generation, log in self.log_of.items():
            groups.join(generation, log)
            self.ids[generation] = groups.response_id(generation)
            self.tokens[generation] = self.tokens[log]
            self.has_usage[generation] = True
        logs = set(self.log_of.values())
        self.is_call = [self.kinds[n] is not None and self.has_usage[n] and n not in logs for n in range(size)]
        self.is_silent = [
            self.kinds[n] is not None and not views[n].has_usage and not self.has_usage[n] for n in range(size)
        ]
        self.is_log = [n in logs for n in range(size)]

    def verdicts(self) -> dict[SpanKey, Verdict]:
        """The verdict of each view: nested spans first, then overlaps, then spans without usage, then other kinds."""
        nesting = Nesting(self)
        nesting.settle_calls()
        self._merge_overlaps([n for n in self.forest.order if self.is_call[n] and n not in nesting.roll_ups])
        nesting.settle_silent()
        usable = [n for n in self.forest.order if (self.is_call[n] or self.is_silent[n]) and n not in nesting.roll_ups]
        self._merge_overlaps(usable, keep_usage_apart=True)
        winners = self._winners(nesting.roll_ups)
        result = {view.key: _alone(view) for view in self.views}
        for node, view in enumerate(self.views):
            if node in nesting.roll_ups:
                first = winners[self.groups.root(nesting.roll_ups[node])]
                result[view.key] = Verdict(False, self.views[first].key, CountReason.ROLL_UP_OF_CHILDREN)
            elif self.kinds[node] is not None and not view.aggregated_usage:
                winner = winners[self.groups.root(node)]
                if winner != node:
                    result[view.key] = Verdict(False, self.views[winner].key, self._reason(node, winner))
        self._settle_others(result, winners, nesting.roll_ups)
        return result

    def _merge_overlaps(self, nodes: list[int], *, keep_usage_apart: bool = False) -> None:
        by_id: dict[tuple[str, Kind], list[int]] = {}
        for node in nodes:
            response_id, kind = self.ids[node], self.kinds[node]
            if response_id is not None and kind is not None:
                by_id.setdefault((response_id, kind), []).append(node)
        for same in by_id.values():
            if len(same) > 1:
                merge_overlapping(
                    same, self.starts, self.ends, self.scopes, self.groups, keep_usage_apart=keep_usage_apart
                )

    def _winners(self, roll_ups: Mapping[int, int]) -> dict[int, int]:
        """Of each group the one that counts: has usage, has content, outermost, shows cache counts, starts first."""
        members: dict[int, list[int]] = {}
        for node in self.forest.order:
            if self.kinds[node] is not None and not self.views[node].aggregated_usage and node not in roll_ups:
                members.setdefault(self.groups.root(node), []).append(node)
        winners: dict[int, int] = {}
        for root, nodes in members.items():
            if len(nodes) == 1:
                winners[root] = nodes[0]
                continue
            ranked: list[tuple[bool, bool, int, bool, int]] = []
            above: list[int] = []
            for node in nodes:  # in the order of the walk, so that ancestors within the group come first
                while above and not self.forest.is_above(above[-1], node):
                    above.pop()
                view = self.views[node]
                ranked.append(
                    (
                        not view.has_usage,
                        not view.has_content,
                        len(above),
                        not view.cache_shown,
                        node,
                    )
                )
                above.append(node)
            winners[root] = min(ranked)[-1]
        return winners

    def _reason(self, loser: int, winner: int) -> CountReason:
        if self.log_of.get(loser) == winner or self.log_of.get(winner) == loser:
            return CountReason.STREAM_LOG
        own = self.views[loser].response_id
        if own is None or own != self.views[winner].response_id:
            return CountReason.STREAM_LOG if self.is_log[loser] else CountReason.NESTED_WITHOUT_ID
        if self.forest.is_above(winner, loser) or self.forest.is_above(loser, winner):
            return CountReason.SAME_RESPONSE_NESTED
        return CountReason.SAME_RESPONSE_OVERLAP

    def _settle_others(
        self, result: dict[SpanKey, Verdict], winners: Mapping[int, int], roll_ups: Mapping[int, int]
    ) -> None:
        """Usage on spans that called no model counts only where no descendant's does and no ancestor's does."""
        forest, size = self.forest, len(self.views)
        above = [NONE] * size  # the nearest ancestor that is a call
        below = [NONE] * size  # the earliest descendant (or the node itself) whose usage is counted somewhere
        for node in forest.order:
            up = forest.parent[node]
            if up != NONE:
                above[node] = up if self.is_call[up] and up not in roll_ups else above[up]
        for node in reversed(forest.order):
            view = self.views[node]
            counts = False
            if self.is_call[node] or self.is_log[node]:
                counts = node not in roll_ups
            elif view.has_usage:
                relative = above[node] if above[node] != NONE else below[node]
                counts = relative == NONE and not view.aggregated_usage
                if not counts:
                    twin = None if relative == NONE else winners.get(self.groups.root(relative), relative)
                    reason = CountReason.ROLL_UP_OF_CHILDREN if view.aggregated_usage else CountReason.NOT_A_MODEL_SPAN
                    result[view.key] = Verdict(False, None if twin is None else self.views[twin].key, reason)
            if counts and (below[node] == NONE or node < below[node]):
                below[node] = node
            up = forest.parent[node]
            if up != NONE and below[node] != NONE and (below[up] == NONE or below[node] < below[up]):
                below[up] = below[node]


def _alone(view: CallView) -> Verdict:
    """The verdict of a span that no other one has to do with."""
    if view.aggregated_usage:
        return _AGGREGATED
    if view.stream_log and not view.has_usage:
        return _EMPTY_LOG
    return COUNTED if view.has_usage or view.kind in MODEL_KINDS else _NO_CALL


def _model_kind(view: CallView) -> Kind | None:
    """The kind under which a view is compared with others: only calls of one kind can be the same call."""
    if view.aggregated_usage:
        return None
    if view.stream_log:
        return Kind.GENERATION if view.has_usage else None
    return view.kind if view.kind in MODEL_KINDS else None
