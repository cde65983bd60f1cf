"""The shapes of definitions, metrics and presets in REST."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from alerts.monitors import definition as rules
from alerts.monitors.states import Kind, Method
from alerts.monitors.types import DIMENSIONS

METHODS = [each.value for each in Method]
KINDS = [each.value for each in Kind]


def _values(told: str) -> serializers.ListField:
    return serializers.ListField(
        child=serializers.CharField(allow_null=True), required=False, help_text=f"{told}; null among them: unknown."
    )


class MonitorScopeShape(serializers.Serializer[Any]):
    """What part of the project: any of the values of each dimension, and a list's filter; all of them hold."""

    def get_fields(self) -> dict[str, Any]:
        named = {name: _values(f"Any of these values of {name.replace('_', ' ')}") for name in DIMENSIONS}
        return {
            **named,
            "filter": serializers.CharField(
                required=False, help_text="The query string of a list of traces, such as feature=search&cost.min=0.01."
            ),
            "view": serializers.IntegerField(required=False, help_text="The saved view that the filter came from."),
        }


class MonitorBaselinePolicyShape(serializers.Serializer[Any]):
    start = serializers.DateTimeField(allow_null=True, required=False, help_text="Null: as soon as there is enough.")
    end = serializers.DateTimeField(allow_null=True, required=False, help_text="Of a chosen stretch.")
    days = serializers.FloatField(
        required=False, help_text="How long it must be at least, where no stretch is chosen.",
        min_value=rules.DAYS_LEAST, max_value=rules.DAYS_MOST,
    )  # fmt: skip


class MonitorThresholdShape(serializers.Serializer[Any]):
    limit = serializers.FloatField(help_text="In the metric's unit; shares are 0 to 1.")
    side = serializers.ChoiceField(rules.SIDES, required=False, help_text="On which side of the limit it alarms.")
    release = serializers.FloatField(
        allow_null=True, required=False, help_text="Where a breach ends (hysteresis). Null: at the limit."
    )
    after = serializers.IntegerField(
        required=False, min_value=1, max_value=rules.AFTER_MAX, help_text="Windows in a row before it alarms."
    )


class MonitorObjectiveShape(serializers.Serializer[Any]):
    allowed = serializers.FloatField(help_text="The share of bad ones that is promised at most, between 0 and 1.")


class MonitorMemberShape(serializers.Serializer[Any]):
    monitor = serializers.IntegerField(help_text="Id of a monitor of the project that is no composite.")
    weight = serializers.FloatField(required=False, min_value=rules.WEIGHT_LEAST, max_value=rules.WEIGHT_MOST)


class MonitorCompositeShape(serializers.Serializer[Any]):
    members = MonitorMemberShape(many=True, help_text=f"{rules.MEMBERS_LEAST} to {rules.MEMBERS_MOST} monitors.")
    least = serializers.IntegerField(required=False, help_text="How many must be alarmed.")
    within_minutes = serializers.IntegerField(required=False, help_text="Within how long.")
    score_over = serializers.FloatField(
        allow_null=True, required=False, help_text="Alarm on the weighted score instead, beyond this. Null: count them."
    )


class MonitorDefinitionShape(serializers.Serializer[Any]):
    """Everything people decide about a monitor."""

    name = serializers.CharField(max_length=rules.NAME_MAX)
    metric = serializers.CharField(help_text="A key of /monitors/metrics; composite where the method is.")
    method = serializers.ChoiceField(
        METHODS, required=False, help_text="chart: limits from the alert budget and a frozen baseline. cusum, "
        "shewhart: charts of another form. fixed: a threshold. objective: a promised share, by burn rates. "
        "composite: of others.",
    )  # fmt: skip
    params = serializers.DictField(
        child=serializers.JSONField(), required=False, help_text="What the metric needs or may take, by name."
    )
    scope = MonitorScopeShape(required=False)
    window_minutes = serializers.ChoiceField(
        rules.WINDOWS, required=False, help_text="Days and weeks are cut in the project's time zone."
    )
    direction = serializers.ChoiceField(rules.DIRECTIONS, required=False, help_text="Which way alarms.")
    severity = serializers.IntegerField(required=False, min_value=0, max_value=3, help_text="0 to 3: P0 to P3.")
    tier = serializers.ChoiceField(
        rules.TIERS, required=False, help_text="page: by the budget. notice: shown and ten times as frequent."
    )
    weight = serializers.FloatField(
        required=False, min_value=rules.WEIGHT_LEAST, max_value=rules.WEIGHT_MOST,
        help_text="2: twice the usual share of the budget, so it sees a change earlier.",
    )  # fmt: skip
    baseline = MonitorBaselinePolicyShape(required=False)
    threshold = MonitorThresholdShape(allow_null=True, required=False)
    objective = MonitorObjectiveShape(allow_null=True, required=False)
    composite = MonitorCompositeShape(allow_null=True, required=False)
    least_n = serializers.IntegerField(
        required=False, min_value=1, help_text="Windows with fewer units are merged forward or left undecided."
    )
    no_data_minutes = serializers.IntegerField(
        allow_null=True, required=False, help_text="Minutes of nothing that are an alarm of their own. Null: never."
    )
    floor = serializers.FloatField(allow_null=True, required=False, help_text="Below it is an alarm, whatever it is.")
    ceiling = serializers.FloatField(allow_null=True, required=False)
    lateness_minutes = serializers.IntegerField(required=False, help_text="How long after its end a window is decided.")
    grace_minutes = serializers.IntegerField(
        required=False, help_text="How long late data revise what a window held; never what was decided."
    )
    note = serializers.CharField(allow_blank=True, required=False, max_length=rules.NOTE_MAX)


class MonitorBody(MonitorDefinitionShape):
    """A definition, or a preset with what is told instead of its own."""

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        for name in ("name", "metric"):
            fields[name].required = False
            fields[name].help_text = f"{fields[name].help_text or ''} Needed without a preset.".strip()
        slugs = serializers.CharField(required=False, help_text="The slug of one of /monitors/presets to begin with.")
        return {"preset": slugs, **fields}


class MonitorDefinitionChange(MonitorDefinitionShape):
    """The fields of a definition that change; and what is beside it."""

    def get_fields(self) -> dict[str, Any]:
        fields = super().get_fields()
        for name in ("name", "metric"):
            fields[name].required = False
        fields["of_revision"] = serializers.IntegerField(
            required=False, help_text="409 where another revision is in force."
        )
        fields["is_on"] = serializers.BooleanField(required=False)
        fields["is_archived"] = serializers.BooleanField(required=False)
        return fields


class MonitorParamShape(serializers.Serializer[Any]):
    name = serializers.CharField()
    title = serializers.CharField()
    kind = serializers.CharField(help_text="judge, criterion, number, choice, text, texts, outcome, host or encoder.")
    told = serializers.CharField()
    is_required = serializers.BooleanField()
    choices = serializers.ListField(child=serializers.CharField())
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)
    default = serializers.JSONField(allow_null=True)


class MonitorMetricShape(serializers.Serializer[Any]):
    key = serializers.CharField()
    title = serializers.CharField()
    told = serializers.CharField(help_text="What it is, in words.")
    group = serializers.CharField()
    kind = serializers.ChoiceField(KINDS, help_text="What it is made of: decides the detector.")
    unit = serializers.CharField()
    worse = serializers.ChoiceField(("up", "down"), allow_null=True, help_text="Null: either way may be bad.")
    params = MonitorParamShape(many=True)
    scopes = serializers.ListField(child=serializers.ChoiceField(DIMENSIONS))
    has_filter = serializers.BooleanField(help_text="Whether a saved filter may narrow it.")
    methods = serializers.ListField(child=serializers.ChoiceField(METHODS), help_text="The usual one first.")
    window_minutes = serializers.IntegerField(help_text="The usual one.")
    shortest_minutes = serializers.IntegerField()


class MonitorMetricsShape(serializers.Serializer[Any]):
    items = MonitorMetricShape(many=True)


class MonitorPresetShape(serializers.Serializer[Any]):
    slug = serializers.CharField()
    name = serializers.CharField()
    about = serializers.CharField()
    source = serializers.CharField(help_text="Where the threshold is from.")  # type: ignore[assignment]
    source_words = serializers.CharField(help_text="What the source says.")
    needs = serializers.ListField(
        child=serializers.CharField(), help_text="What must be given beside: params.judge, threshold.limit ..."
    )
    warning = serializers.CharField(help_text="What it alarms while nothing is wrong, or why it never alarms.")
    definition = serializers.DictField(
        child=serializers.JSONField(allow_null=True),
        help_text="As POST /monitors takes it, once `needs` are filled in.",
    )


class MonitorPresetsShape(serializers.Serializer[Any]):
    items = MonitorPresetShape(many=True)
