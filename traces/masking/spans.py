"""Spans, log events and metric points without what the rules find, or without any text at all."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from typing import Any, cast

import orjson

from traces.canonical.source import digest64
from traces.canonical.text import clean_value
from traces.canonical.types import EVALUATION, Body, CanonicalSpan, LogEvent, MetricPoint, Origin, SpanFlag
from traces.masking.masker import Masker

# Every column of a span that its sender fills with text.
TEXTS = (
    "name", "status_message", "error_type", "foreign_trace_id", "service", "environment", "release", "feature",
    "user_id", "session_id", "provider", "model_requested", "model_answered", "operation", "response_id",
    "service_tier", "finish_reason", "prompt_name", "prompt_version", "agent_name", "workflow_name", "tool_name",
    "model_priced",
)  # fmt: skip
# Of these, what joins spans to others and to people.
IDS = frozenset({"foreign_trace_id", "user_id", "session_id", "response_id"})
# What of a body says how a call went, not what was said in it.
_KEPT_OF_BODY = (
    "start_ns", "end_ns", "usage", "finish_reasons", "provider_raw", "cost_reported_by", "dropped", "foreign_span_id",
    "foreign_parent_id",
)  # fmt: skip
# Of an evaluation's event, which tells a score as a signal does.
_KEPT_OF_EVALUATION = ("gen_ai.evaluation.name", "gen_ai.evaluation.score.label", "gen_ai.response.id", "event.name")
_TIMES = ("start_ns", "end_ns")
_NO_CONTENT = int(SpanFlag.NO_CONTENT)
_MASKED = int(SpanFlag.MASKED)
Origins = dict[int, Origin]


def mask_span(span: CanonicalSpan, masker: Masker, counts: Counter[str], origins: Origins) -> bool:
    """Mask a span in place; whether anything was found. `origins`: those of this request already done, by key."""
    before = counts.total()
    origin = origins.get(span.origin.key)
    if origin is None:
        origin = origins[span.origin.key] = mask_origin(span.origin, masker, counts)
    span.origin = origin
    if not masker.suspects_value(_as_json(span)):
        return counts.total() > before
    for name in TEXTS:
        told = getattr(span, name)
        if told is not None:
            masked = masker.id(told, counts) if name in IDS else masker.text(told, counts)
            if masked is not told:
                setattr(span, name, masked)
    if span.tags:
        span.tags = masker.value(span.tags, counts)
    if span.metadata:
        span.metadata = masker.value(span.metadata, counts)
    if span.attributes:
        span.attributes = masker.value(span.attributes, counts)
    body = masker.value(span.body, counts)
    if body is not span.body:
        # Times are numbers that may look like a card's; a mask in their place could not be read back.
        span.body = cast(Body, body | {name: told for name, told in span.body.items() if name in _TIMES})
    if counts.total() == before:
        return False
    span.flags |= _MASKED
    return True


def _as_json(span: CanonicalSpan) -> bytes:
    body = {name: value for name, value in span.body.items() if name not in _TIMES}
    parts = ([getattr(span, name) for name in TEXTS], span.tags, span.metadata, span.attributes, body)
    try:
        return orjson.dumps(parts, option=orjson.OPT_NON_STR_KEYS)
    except TypeError:  # nested too deeply, or numbers beyond 64 bits
        return orjson.dumps(clean_value(parts))


def mask_origin(origin: Origin, masker: Masker, counts: Counter[str]) -> Origin:
    """The origin with its resource and scope masked, under a key of what is left."""
    masked = replace(
        origin,
        resource=masker.value(origin.resource, counts),
        scope_name=masker.text(origin.scope_name, counts),
        scope_version=masker.text(origin.scope_version, counts),
        scope_attributes=masker.value(origin.scope_attributes, counts),
    )
    if masked == origin:
        return origin
    return _with_key(masked)


def _with_key(origin: Origin) -> Origin:
    key = digest64(origin.resource, origin.scope_name, origin.scope_version, origin.scope_attributes, origin.vocabulary)
    return replace(origin, key=key)


def strip_span(span: CanonicalSpan, masker: Masker, counts: Counter[str], origins: Origins) -> None:
    """Leave of a span its names, times, counts and cost, in place; what stays is masked."""
    body = strip_body(cast(dict[str, Any], span.body))
    times = _only(body, _TIMES)
    span.status_message = None
    span.tags = None
    span.metadata = numbers_of(span.metadata)
    span.attributes = numbers_of(span.attributes)
    origin = origins.get(span.origin.key)
    if origin is None:
        origin = origins[span.origin.key] = _strip_origin(span.origin, masker, counts)
    span.origin = origin
    for name in TEXTS:
        told = getattr(span, name)
        if told is not None:
            setattr(span, name, masker.id(told, counts) if name in IDS else masker.text(told, counts))
    span.body = cast(Body, masker.value(body, counts) | times)
    span.flags |= _NO_CONTENT
    counts["no content"] += 1


def strip_body(body: dict[str, Any]) -> dict[str, Any]:
    """Of a body what says how a call went, without what was said in it."""
    kept = {name: told for name, told in body.items() if name in _KEPT_OF_BODY}
    if "events" in body:
        kept["events"] = [_strip_span_event(event) for event in body["events"]]
    if "links" in body:
        kept["links"] = [_only(link, ("trace_id", "span_id")) for link in body["links"]]
    return kept


# What of a resource says where a span ran.
_KEPT_OF_RESOURCE = ("service.", "telemetry.", "deployment.", "telltale.", "host.", "k8s.", "cloud.", "os.type")


def _strip_origin(origin: Origin, masker: Masker, counts: Counter[str]) -> Origin:
    resource = strip_resource(origin.resource)
    return _with_key(mask_origin(replace(origin, resource=resource, scope_attributes={}), masker, counts))


def strip_resource(resource: dict[str, Any]) -> dict[str, Any]:
    """Of a resource what says where a span ran."""
    return {name: value for name, value in resource.items() if name.startswith(_KEPT_OF_RESOURCE)}


def _only(values: dict[str, Any], names: tuple[str, ...]) -> dict[str, Any]:
    return {name: values[name] for name in names if name in values}


def _strip_span_event(event: dict[str, Any]) -> dict[str, Any]:
    """An event's name and time; of an evaluation also its score."""
    kept = _only(event, ("name", "at_ns"))
    if kept.get("name") == EVALUATION:
        kept["attributes"] = score_of(event.get("attributes") or {})
    return kept


def score_of(attributes: Any) -> dict[str, Any]:
    """Of what tells an evaluation its numbers, its name and its label."""
    if not isinstance(attributes, dict):
        return {}
    kept = {name: attributes[name] for name in _KEPT_OF_EVALUATION if isinstance(attributes.get(name), str)}
    return (numbers_of(attributes) or {}) | kept


def numbers_of(values: dict[str, Any] | None) -> dict[str, Any] | None:
    """Of a map its numbers and truths; None where it has none."""
    if not values:
        return None
    return {name: value for name, value in values.items() if isinstance(value, bool | int | float)} or None


def mask_event(event: LogEvent, masker: Masker, counts: Counter[str]) -> None:
    """Mask a log event in place. Its digest stays that of what was sent, so that a resend is known."""
    event.body = masker.value(event.body, counts)


def strip_event(event: LogEvent, masker: Masker, counts: Counter[str]) -> bool:
    """Leave of a log event the score it tells, in place; False where nothing is left to keep."""
    counts["no content"] += 1
    if event.event_name != EVALUATION:
        return False
    body = event.body.get("body")
    event.body = masker.value({"body": score_of(body), "attributes": score_of(event.body.get("attributes"))}, counts)
    return True


def mask_point(point: MetricPoint, masker: Masker, counts: Counter[str]) -> None:
    """Mask a metric point in place; a series whose attributes change becomes another series."""
    attributes, unit = masker.value(point.attributes, counts), masker.text(point.unit, counts)
    if attributes is point.attributes and unit is point.unit:
        return
    point.attributes, point.unit = attributes, unit
    point.series_key = digest64("masked", point.series_key, attributes)
