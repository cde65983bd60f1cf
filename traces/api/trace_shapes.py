"""The shapes of traces and spans in the OpenAPI document."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from traces.canonical.types import BUCKETS, CostStatus, CountReason, Kind, SpanStatus
from traces.read import CostState


def _text(help_text: str = "") -> serializers.CharField:
    return serializers.CharField(allow_null=True, help_text=help_text)


def _names(enum: Any) -> list[str]:
    return [member.name.lower() for member in enum]


class UsageShape(serializers.Serializer[Any]):
    """Tokens by kind, disjoint."""

    def get_fields(self) -> dict[str, Any]:
        return {bucket: serializers.IntegerField(allow_null=True) for bucket in BUCKETS}


class CostPartsShape(serializers.Serializer[Any]):
    """USD by kind of token, as decimal text."""

    def get_fields(self) -> dict[str, Any]:
        return {bucket: serializers.CharField(allow_null=True) for bucket in BUCKETS}


class CostShape(serializers.Serializer[Any]):
    usd = _text("Decimal text, exact; null where nothing is known. `state` says what it may claim.")
    state = serializers.ChoiceField(choices=[state.value for state in CostState])
    reported_usd = _text("What the senders said it cost.")
    priced = serializers.IntegerField(help_text="Counted calls by what is known of their cost.")
    unpriced = serializers.IntegerField()
    unknown_usage = serializers.IntegerField()
    partial = serializers.IntegerField()  # type: ignore[assignment]
    upper_bound = serializers.IntegerField()


class TraceShape(serializers.Serializer[Any]):
    trace_id = serializers.CharField()
    foreign_trace_id = _text("The id its sender uses, where that is no W3C id.")
    name = serializers.CharField()
    started_at = serializers.DateTimeField()
    ended_at = serializers.DateTimeField(allow_null=True)
    duration_ms = serializers.FloatField(allow_null=True)
    status = serializers.ChoiceField(choices=_names(SpanStatus), allow_null=True)
    root_span_id = _text()
    span_count = serializers.IntegerField()
    generation_count = serializers.IntegerField()
    error_count = serializers.IntegerField()
    duplicate_count = serializers.IntegerField(help_text="Spans that tell of a call another span counts.")
    tokens = UsageShape(allow_null=True)
    input_tokens = serializers.IntegerField(allow_null=True)
    output_tokens = serializers.IntegerField(allow_null=True)
    cost = CostShape()
    ttft_ms = serializers.FloatField(allow_null=True)
    models = serializers.ListField(child=serializers.CharField())
    service = _text()
    environment = _text()
    release = _text()
    feature = _text()
    user_id = _text()
    session_id = _text()
    prompt_name = _text()
    prompt_version = _text()
    finish_reason = _text()
    error_type = _text()
    tags = serializers.ListField(child=serializers.CharField())
    preview_in = _text()
    preview_out = _text()
    flags = serializers.ListField(child=serializers.CharField(), help_text="What was repaired, cut or assumed.")
    signals = serializers.ListField(
        child=serializers.CharField(), required=False, help_text="With include=signals: what end users did about it."
    )
    updated_at = serializers.DateTimeField()


class FacetValueShape(serializers.Serializer[Any]):
    value = serializers.CharField()
    n = serializers.IntegerField(help_text="Traces of the sample; at least so many where not `is_whole`.")


class FacetShape(serializers.Serializer[Any]):
    field = serializers.CharField()
    is_whole = serializers.BooleanField(help_text="Whether every trace that matches was looked at.")
    has_more = serializers.BooleanField(help_text="Whether there are further values.")
    values = FacetValueShape(many=True)


class HistogramShape(serializers.Serializer[Any]):
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    step_seconds = serializers.IntegerField()
    n = serializers.ListField(child=serializers.IntegerField())


class FacetsShape(serializers.Serializer[Any]):
    count = serializers.IntegerField(allow_null=True, help_text="Traces that match.")
    is_exact = serializers.BooleanField(help_text="False where `count` is an estimate.")
    calls = serializers.IntegerField(allow_null=True, help_text="Calls that match, where `call.*` are asked for.")
    sample = serializers.IntegerField(help_text="How many traces facets and histogram are over.")
    is_whole = serializers.BooleanField()
    facets = FacetShape(many=True)
    histogram = HistogramShape(allow_null=True)


class ScopeShape(serializers.Serializer[Any]):
    name = serializers.CharField()
    version = serializers.CharField()
    attributes = serializers.DictField()


class SpanRefShape(serializers.Serializer[Any]):
    trace_id = serializers.CharField()
    span_id = serializers.CharField()


class SpanShape(serializers.Serializer[Any]):
    trace_id = serializers.CharField()
    span_id = serializers.CharField()
    parent_span_id = _text()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=_names(Kind))
    started_at = serializers.DateTimeField()
    duration_ms = serializers.FloatField(allow_null=True)
    status = serializers.ChoiceField(choices=_names(SpanStatus))
    status_message = _text()
    error_type = _text()
    service = _text()
    environment = _text()
    release = _text()
    feature = _text()
    user_id = _text()
    session_id = _text()
    provider = _text()
    model_requested = _text()
    model_answered = _text()
    model_priced = _text("Which of the two its price was found by.")
    operation = _text()
    response_id = _text()
    service_tier = _text()
    streamed = serializers.BooleanField(allow_null=True)
    ttft_ms = serializers.FloatField(allow_null=True)
    finish_reason = _text()
    prompt_name = _text()
    prompt_version = _text()
    agent_name = _text()
    workflow_name = _text()
    tool_name = _text()
    tags = serializers.ListField(child=serializers.CharField())
    usage = UsageShape(allow_null=True)
    cost_status = serializers.ChoiceField(choices=_names(CostStatus), allow_null=True)
    cost_usd = _text("Decimal text, exact; null where it is not known.")
    cost_parts_usd = CostPartsShape(allow_null=True)
    cost_reported_usd = _text("What the sender said it cost.")
    price_id = _text("The price row used; see /api/v1/prices.")
    counted = serializers.BooleanField()
    count_reason = serializers.ChoiceField(choices=_names(CountReason), allow_null=True)
    duplicate_of_trace = _text()
    duplicate_of_span = _text()
    flags = serializers.ListField(child=serializers.CharField())
    vocabulary = serializers.CharField()
    metadata = serializers.DictField()
    attributes = serializers.DictField()
    resource = serializers.DictField()
    scope = ScopeShape()
    body = serializers.DictField(required=False, help_text="With include=body: messages, raw attributes, events.")
    is_body_missing = serializers.BooleanField(required=False)
    logs = serializers.ListField(child=serializers.DictField(), required=False)
    also_reported_by = SpanRefShape(many=True, required=False)


class SpanDetailShape(SpanShape):
    body = serializers.DictField()
    is_body_missing = serializers.BooleanField()
    logs = serializers.ListField(child=serializers.DictField())
    also_reported_by = SpanRefShape(many=True)
