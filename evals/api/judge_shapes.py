"""What REST says of judges and their plans, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from evals.setup.judges import KINDS, NAME_CHARS_MAX

CONFIG_HELP = (
    "mapping, flag; of a model also parts, max_chars, max_output_tokens, with_documents; of rules also `rules`, each "
    "with criterion, kind and the settings of its kind. docs/judges.md lists them."
)
PLAN_HELP = "kind all, random, strata or errors with its shares, and a filter. docs/judging.md lists them."


class JudgeVersionShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    number = serializers.IntegerField()
    rubric = serializers.CharField(help_text="The rubric's slug.")
    rubric_version = serializers.IntegerField()
    connection_id = serializers.CharField(allow_null=True)
    model = serializers.CharField(allow_null=True)
    is_stand_in = serializers.BooleanField(help_text="Its connection leads to no real model.")
    config = serializers.DictField(help_text=CONFIG_HELP)
    is_live = serializers.BooleanField()
    is_draft = serializers.BooleanField(help_text="Nobody used it yet: saving changes it.")
    frozen_at = serializers.DateTimeField(allow_null=True)
    created_by = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()


class CriterionGateShape(serializers.Serializer[Any]):
    criterion = serializers.CharField()
    state = serializers.ChoiceField(choices=("proven", "not_proven", "failed", "stale", "none"))
    words = serializers.CharField()


class SamplingPlanShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    number = serializers.IntegerField()
    spec = serializers.DictField(help_text=PLAN_HELP)
    valid_from = serializers.DateTimeField()
    valid_to = serializers.DateTimeField(allow_null=True)
    is_in_force = serializers.BooleanField()
    created_by = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()


class JudgeSummaryShape(serializers.Serializer[Any]):
    slug = serializers.CharField()
    name = serializers.CharField()
    kind = serializers.ChoiceField(choices=KINDS)
    live_version = serializers.IntegerField(allow_null=True)
    live_since = serializers.DateTimeField(allow_null=True)
    is_paused = serializers.BooleanField()
    budget_usd_day = serializers.CharField(allow_null=True, help_text="Of this judge alone; null is no limit.")
    archived_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()
    versions = JudgeVersionShape(many=True, help_text="Newest first.")


class ListedJudgeShape(JudgeSummaryShape):
    state = serializers.CharField(help_text="What it does now, in words.")
    proof = serializers.ChoiceField(
        choices=("proven", "not_proven", "failed", "stale", "none"),
        help_text="Of the least proven criterion of the version in production, else of the newest.",
    )
    plan = serializers.CharField(allow_null=True, help_text="The sampling plan in force, in words.")
    scored_24h = serializers.IntegerField(help_text="Of judgements made in the last 24 h.")
    failed_24h = serializers.IntegerField()
    skipped_24h = serializers.IntegerField()
    waiting_24h = serializers.IntegerField()
    waits_seconds = serializers.FloatField(allow_null=True, help_text="How long the oldest live judgement waits.")
    spent_today_usd = serializers.CharField(help_text="Spent, or set aside for calls under way.")


class OneJudgeShape(JudgeSummaryShape):
    gate = CriterionGateShape(many=True, help_text="How far the newest version is proven against people.")
    plan = SamplingPlanShape(allow_null=True, help_text="In force now.")


class JudgesShape(serializers.Serializer[Any]):
    items = ListedJudgeShape(many=True, help_text="By name, those put away last.")


class JudgeBody(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=NAME_CHARS_MAX)
    slug = serializers.SlugField(max_length=60, required=False, help_text="Made of the name where left out.")
    kind = serializers.ChoiceField(choices=KINDS)
    rubric = serializers.CharField(max_length=60, help_text="A rubric's slug.")
    rubric_version = serializers.IntegerField(required=False, min_value=1, help_text="The newest where left out.")
    connection_id = serializers.CharField(required=False, allow_null=True, help_text="Of a model judge.")
    model = serializers.CharField(required=False, allow_blank=True, help_text="Of a model judge.")
    config = serializers.DictField(required=False, help_text=CONFIG_HELP)


class JudgeChange(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=NAME_CHARS_MAX, required=False)
    rubric = serializers.CharField(max_length=60, required=False)
    rubric_version = serializers.IntegerField(required=False, min_value=1)
    connection_id = serializers.CharField(required=False, allow_null=True)
    model = serializers.CharField(required=False, allow_blank=True)
    config = serializers.DictField(required=False, help_text=CONFIG_HELP)
    budget_usd_day = serializers.DecimalField(18, 12, required=False, allow_null=True, min_value=0)
    is_paused = serializers.BooleanField(required=False)
    is_archived = serializers.BooleanField(required=False)


class JudgeLiveBody(serializers.Serializer[Any]):
    version = serializers.IntegerField(required=False, min_value=1, help_text="The newest where left out.")
    reason = serializers.CharField(
        required=False, max_length=500, help_text="Needed while a criterion is not proven; goes to the audit log."
    )


class JudgeTryBody(JudgeBody):
    name = serializers.CharField(max_length=NAME_CHARS_MAX, required=False)
    rubric = serializers.CharField(max_length=60, required=False, help_text="A rubric's slug; or send `rubric_spec`.")
    rubric_spec = serializers.DictField(required=False, help_text="A rubric that is not saved, as docs/judges.md says.")
    trace_ids = serializers.ListField(
        child=serializers.CharField(), required=False, max_length=5, help_text="The newest five where left out."
    )
    slug = None  # type: ignore[assignment]


class TriedTraceShape(serializers.Serializer[Any]):
    trace_id = serializers.CharField()
    question = serializers.CharField()
    judged = serializers.CharField(help_text="The answer that was judged, cut.")
    system = serializers.CharField()
    prompt = serializers.CharField()
    is_cut = serializers.BooleanField()
    answer = serializers.CharField(help_text="What the model answered.")
    verdict = serializers.DictField(allow_null=True)
    unusable = serializers.DictField(allow_null=True)
    failed = serializers.CharField(help_text="Why nothing was answered; empty where something was.")
    is_flagged = serializers.BooleanField(allow_null=True)
    price_usd = serializers.CharField(allow_null=True)
    duration_ms = serializers.FloatField(allow_null=True)
    input_tokens = serializers.IntegerField(allow_null=True)
    output_tokens = serializers.IntegerField(allow_null=True)
    call_trace_id = serializers.CharField(allow_null=True)


class PreflightShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    state = serializers.ChoiceField(choices=("pending", "running", "done", "failed", "cancelled"))
    is_stand_in = serializers.BooleanField(help_text="Its connection leads to no real model.")
    error = serializers.CharField(allow_null=True)
    cost_usd = serializers.CharField(allow_null=True)
    items = TriedTraceShape(many=True)


class SamplingPlanBody(serializers.Serializer[Any]):
    spec = serializers.DictField(help_text=PLAN_HELP)
    valid_from = serializers.DateTimeField(required=False, help_text="Now where left out; at most 90 days ahead.")


class SamplingPlansShape(serializers.Serializer[Any]):
    items = SamplingPlanShape(many=True, help_text="Newest first.")


class PlanEstimateShape(serializers.Serializer[Any]):
    looked_at = serializers.IntegerField(help_text="The newest traces of 24 h that told it.")
    traces_day = serializers.IntegerField(allow_null=True)
    is_exact = serializers.BooleanField(help_text="All traces of the day were counted.")
    share = serializers.FloatField(allow_null=True, help_text="Mean chance of a trace.")
    judgements_day = serializers.IntegerField(allow_null=True)
    judgement_usd = serializers.CharField(allow_null=True)
    day_usd = serializers.CharField(allow_null=True)
    is_lowered = serializers.BooleanField(help_text="A limit of the day is less, and lowers the shares.")


class JudgePresetShape(serializers.Serializer[Any]):
    slug = serializers.CharField()
    name = serializers.CharField()
    about = serializers.CharField()
    source = serializers.CharField()  # type: ignore[assignment]
    kind = serializers.ChoiceField(choices=KINDS)
    rubric = serializers.DictField()
    config = serializers.DictField()


class JudgePresetsShape(serializers.Serializer[Any]):
    items = JudgePresetShape(many=True)
