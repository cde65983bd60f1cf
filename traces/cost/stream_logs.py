"""Joining a streamed call to the zero-length log span that carries its usage (Logfire writes one beside the call)."""

from __future__ import annotations

from collections.abc import Sequence

from traces.canonical.types import MODEL_KINDS

from .views import CallView


def pair_stream_logs(views: Sequence[CallView]) -> dict[int, int]:
    """From generation to its log, as places in `views`, which are in order of their start.

    A log belongs to the latest generation before it with the same trace, parent and scope that has no usage, else the
    same usage, and no other response id. A generation has one log, and a log one generation.
    """
    if not any(view.stream_log for view in views):
        return {}
    waiting: dict[tuple[object, ...], list[int]] = {}
    pairs: dict[int, int] = {}
    for place, view in enumerate(views):
        family = (view.trace_id, view.parent_span_id, view.scope)
        usage = (view.input_tokens, view.output_tokens)
        if view.stream_log:
            if not view.has_usage:
                continue
            for wanted in (None, usage):
                stack = waiting.get((*family, wanted))
                if stack and _one_call(views[stack[-1]], view):
                    pairs[stack.pop()] = place
                    break
        elif view.kind in MODEL_KINDS and not view.aggregated_usage:
            waiting.setdefault((*family, usage if view.has_usage else None), []).append(place)
    return pairs


def _one_call(generation: CallView, log: CallView) -> bool:
    return generation.response_id is None or log.response_id is None or generation.response_id == log.response_id
