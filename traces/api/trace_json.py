"""Traces and spans as REST shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from telltale.rest import form
from traces.canonical.types import BUCKETS, SpanFlag
from traces.read import CostSum, Count, Facets, SpanDetail, SpanRow, TraceRow
from traces.read.signal_terms import words_of
from traces.read.signals import Signal


def trace(row: TraceRow, signals: Sequence[Signal] | None = None) -> dict[str, Any]:
    """A trace with its sums; unknown is null. With what end users did where that was read."""
    words = {} if signals is None else {"signals": sorted(words_of((each.kind, each.vote) for each in signals))}
    return words | {
        "trace_id": row.hex_id,
        "foreign_trace_id": row.foreign_trace_id,
        "name": row.name,
        "started_at": form.moment(row.started_at),
        "ended_at": form.moment(row.ended_at),
        "duration_ms": row.duration_ms,
        "status": None if row.root_status is None else row.root_status.name.lower(),
        "root_span_id": form.hex_span(row.root_span_id),
        "span_count": row.span_count,
        "generation_count": row.generation_count,
        "error_count": row.error_count,
        "duplicate_count": row.duplicate_count,
        "tokens": dict(zip(BUCKETS, row.tokens, strict=True)) if row.has_tokens else None,
        "input_tokens": row.tokens_in,
        "output_tokens": row.tokens_out,
        "cost": cost(row.cost),
        "ttft_ms": row.ttft_ms,
        "models": list(row.models),
        "service": row.service,
        "environment": row.environment,
        "release": row.release,
        "feature": row.feature,
        "user_id": row.user_id,
        "session_id": row.session_id,
        "prompt_name": row.prompt_name,
        "prompt_version": row.prompt_version,
        "finish_reason": row.finish_reason,
        "error_type": row.error_type,
        "tags": list(row.tags),
        "preview_in": row.preview_in,
        "preview_out": row.preview_out,
        "flags": flags(row.flags),
        "updated_at": form.moment(row.updated_at),
    }


def facets(count: Count | None, held: Facets | None) -> dict[str, Any]:
    """How many match, and what they have in common."""
    return {
        "count": None if count is None else count.n,
        "is_exact": count is not None and count.is_exact,
        "calls": None if count is None else count.calls,
        "sample": 0 if held is None else held.n,
        "is_whole": held is None or held.is_whole,
        "facets": [
            {
                "field": facet.field,
                "is_whole": facet.is_whole,
                "has_more": facet.more,
                "values": [{"value": value.value, "n": value.n} for value in facet.values],
            }
            for facet in (held.facets if held else ())
        ],
        "histogram": None
        if held is None or held.histogram is None
        else {
            "start": form.moment(held.histogram.start),
            "end": form.moment(held.histogram.end),
            "step_seconds": held.histogram.step_seconds,
            "n": list(held.histogram.bars),
        },
    }


def cost(held: CostSum) -> dict[str, Any]:
    """A sum of costs with what it may claim."""
    return {
        "usd": form.usd(held.pico),
        "state": held.state.value,
        "reported_usd": form.usd(held.reported_pico),
        "priced": held.priced,
        "unpriced": held.unpriced,
        "unknown_usage": held.unknown_usage,
        "partial": held.partial,
        "upper_bound": held.upper_bound,
    }


def span(row: SpanRow, detail: SpanDetail | None = None) -> dict[str, Any]:
    """A span, with its body, log events and twins where they were read."""
    shown: dict[str, Any] = {
        "trace_id": row.hex_trace_id,
        "span_id": row.hex_id,
        "parent_span_id": row.hex_parent_id,
        "name": row.name,
        "kind": row.kind.name.lower(),
        "started_at": form.moment(row.started_at),
        "duration_ms": row.duration_ms,
        "status": row.status.name.lower(),
        "status_message": row.status_message,
        "error_type": row.error_type,
        "service": row.service,
        "environment": row.environment,
        "release": row.release,
        "feature": row.feature,
        "user_id": row.user_id,
        "session_id": row.session_id,
        "provider": row.provider,
        "model_requested": row.model_requested,
        "model_answered": row.model_answered,
        "model_priced": row.model_priced,
        "operation": row.operation,
        "response_id": row.response_id,
        "service_tier": row.service_tier,
        "streamed": row.streamed,
        "ttft_ms": row.ttft_ms,
        "finish_reason": row.finish_reason,
        "prompt_name": row.prompt_name,
        "prompt_version": row.prompt_version,
        "agent_name": row.agent_name,
        "workflow_name": row.workflow_name,
        "tool_name": row.tool_name,
        "tags": list(row.tags),
        "usage": dict(zip(BUCKETS, row.usage.buckets(), strict=True)) if row.usage else None,
        "cost_status": None if row.cost_status is None else row.cost_status.name.lower(),
        "cost_usd": form.usd(row.cost_pico),
        "cost_parts_usd": None
        if row.cost_parts is None
        else {bucket: form.usd(part) for bucket, part in zip(BUCKETS, row.cost_parts, strict=True)},
        "cost_reported_usd": form.usd(row.cost_reported_pico),
        "price_id": None if row.price_id is None else str(row.price_id),
        "counted": row.counted,
        "count_reason": None if row.count_reason is None else row.count_reason.name.lower(),
        "duplicate_of_trace": form.hex_trace(row.duplicate_of_trace),
        "duplicate_of_span": form.hex_span(row.duplicate_of_span),
        "flags": flags(row.flags),
        "vocabulary": row.vocabulary.value,
        "metadata": row.metadata,
        "attributes": row.attributes,
        "resource": row.resource,
        "scope": {"name": row.scope_name, "version": row.scope_version, "attributes": row.scope_attributes},
    }
    if detail is not None:
        shown["body"] = detail.body
        shown["is_body_missing"] = detail.is_body_missing
        shown["logs"] = [{**log, "at": form.moment(log["at"])} for log in detail.logs]
        shown["also_reported_by"] = [
            {"trace_id": other.hex_trace_id, "span_id": other.hex_id} for other in detail.also_reported_by
        ]
    return shown


def flags(held: SpanFlag) -> list[str]:
    """The names of what was repaired, cut or assumed."""
    return [str(flag.name).lower() for flag in SpanFlag if flag in held]
