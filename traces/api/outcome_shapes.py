"""The shapes of outcomes in REST."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from traces.measuring import NAME_MAX
from traces.outcomes.presets import PRESETS
from traces.outcomes.spec import BETTER, CONDITIONS_MAX, FACTS, FEATURES_MAX, KINDS, Measure, Per


class OutcomeConditionShape(serializers.Serializer[Any]):
    """A kind or a name of signals, or a derived fact: exactly one. Signals may be held to one of the four checks."""

    def get_fields(self) -> dict[str, Any]:
        return {
            "kind": serializers.ChoiceField(choices=sorted(KINDS), required=False),
            "name": serializers.CharField(required=False, help_text="A name of signals, as they are told."),
            "fact": serializers.ChoiceField(
                choices=sorted(FACTS), required=False, help_text="Derived from traces or told by a signal."
            ),
            "at_least": serializers.FloatField(required=False),
            "at_most": serializers.FloatField(required=False),
            "is": serializers.BooleanField(required=False, help_text="Of a thumb: true is up."),
            # `label` is taken in a serializer's class body.
            "label": serializers.CharField(required=False),
        }


class OutcomeSpecShape(serializers.Serializer[Any]):
    measure = serializers.ChoiceField(
        choices=[each.value for each in Measure],
        help_text="share: sessions with X / sessions. value: sum of the numbers of X / sessions with X, or all. cost: "
        "cost of all sessions / sessions with X. time: seconds from the first turn to the first X. answers: until it.",
    )
    of = OutcomeConditionShape(many=True, help_text=f"X: any of these, at most {CONDITIONS_MAX}.")
    among = OutcomeConditionShape(many=True, required=False, help_text="Only sessions with any of these; empty: all.")
    per = serializers.ChoiceField(
        choices=[each.value for each in Per],
        required=False,
        help_text="Of a value: a mean over sessions with X, or all.",
    )
    features = serializers.ListField(
        child=serializers.CharField(), required=False, help_text=f"Of these alone, at most {FEATURES_MAX}; empty: all."
    )
    better = serializers.ChoiceField(choices=BETTER, required=False)
    unit = serializers.CharField(required=False, allow_blank=True, help_text="Of a value: EUR, points.")


class OutcomeProgressShape(serializers.Serializer[Any]):
    state = serializers.ChoiceField(choices=["pending", "running", "failed", "cancelled"])
    done = serializers.IntegerField(help_text="Sessions so far.")
    total = serializers.IntegerField(allow_null=True)
    error = serializers.CharField()


class OutcomeShape(serializers.Serializer[Any]):
    slug = serializers.CharField()
    name = serializers.CharField()
    spec = OutcomeSpecShape()
    sentence = serializers.CharField(help_text="What it measures, in words.")
    unit = serializers.CharField(help_text="Of its figures: share, USD, seconds, answers, or its own.")
    revision = serializers.IntegerField(help_text="Grows with each change of what is counted.")
    created_by = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    changed_at = serializers.DateTimeField()
    archived_at = serializers.DateTimeField(allow_null=True)
    recount = OutcomeProgressShape(allow_null=True, help_text="Null: all stored sessions are counted.")


class OutcomeLackingShape(serializers.Serializer[Any]):
    what = serializers.CharField()
    have = serializers.IntegerField()
    need = serializers.IntegerField()


class OutcomeFigureShape(serializers.Serializer[Any]):
    value = serializers.FloatField(allow_null=True, help_text="Null: too little data, `lacking` says of what.")
    low = serializers.FloatField(allow_null=True, help_text="Of the 95 % interval.")
    high = serializers.FloatField(allow_null=True)
    method = serializers.CharField(allow_null=True, help_text="Of the interval: wilson, delta, log or delta.")
    lacking = OutcomeLackingShape(allow_null=True)
    sessions = serializers.IntegerField(help_text="That the figure is over.")
    unknown = serializers.IntegerField(help_text="Left out: their cost or value is not known.")
    known_share = serializers.FloatField(allow_null=True, help_text="sessions / (sessions + unknown).")
    sum_x = serializers.CharField(help_text="The value is sum_y / sum_x; exact decimal text.")
    sum_y = serializers.CharField()


class OutcomeBeforeShape(OutcomeFigureShape):
    def get_fields(self) -> dict[str, Any]:
        moments = {name: serializers.DateTimeField() for name in ("from", "to")}
        return {**super().get_fields(), **moments}


class OutcomeMovedShape(serializers.Serializer[Any]):
    value = serializers.FloatField(help_text="Now less before.")
    low = serializers.FloatField()
    high = serializers.FloatField()
    is_more_than_noise = serializers.BooleanField(help_text="The interval leaves 0 out.")


class OutcomeWithFigureShape(OutcomeShape):
    figure = OutcomeFigureShape(allow_null=True)
    before = OutcomeBeforeShape(allow_null=True)
    change = OutcomeMovedShape(allow_null=True)


class _WindowShape(serializers.Serializer[Any]):
    def get_fields(self) -> dict[str, Any]:
        moments = {name: serializers.DateTimeField(help_text="Whole hours.") for name in ("from", "to")}
        return {**moments, **super().get_fields()}


class OutcomeListShape(_WindowShape):
    items = OutcomeWithFigureShape(many=True)


class OutcomeFeatureShape(OutcomeFigureShape):
    feature = serializers.CharField(allow_null=True)


class OutcomeFiguresShape(_WindowShape):
    figure = OutcomeFigureShape()
    before = OutcomeBeforeShape()
    change = OutcomeMovedShape(allow_null=True, help_text="Null: one of the two is null, or `recount` is not.")
    unit = serializers.CharField()
    features = OutcomeFeatureShape(many=True)
    has_more_features = serializers.BooleanField()
    recount = OutcomeProgressShape(allow_null=True)


class OutcomeDayShape(OutcomeFigureShape):
    day = serializers.DateField(help_text="In the project's zone.")
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()


class OutcomeDaysShape(_WindowShape):
    unit = serializers.CharField()
    items = OutcomeDayShape(many=True)
    recount = OutcomeProgressShape(allow_null=True)


class OutcomeSessionShape(serializers.Serializer[Any]):
    session_id = serializers.CharField(allow_null=True, help_text="Null: a trace without a session.")
    trace_id = serializers.CharField(allow_null=True)
    feature = serializers.CharField(allow_null=True)
    started_at = serializers.DateTimeField()
    turns = serializers.IntegerField()
    x = serializers.CharField(allow_null=True, help_text="What it adds below; null: not known.")
    y = serializers.CharField(allow_null=True, help_text="What it adds above.")
    cost_usd = serializers.CharField(allow_null=True)
    user_id = serializers.CharField(allow_null=True)


class OutcomeTriedShape(serializers.Serializer[Any]):
    spec = OutcomeSpecShape()
    sentence = serializers.CharField()
    unit = serializers.CharField()
    looked_at = serializers.IntegerField(help_text="Sessions.")
    is_capped = serializers.BooleanField(help_text="Only the newest were looked at.")
    since = serializers.DateTimeField()
    figure = OutcomeFigureShape()


class OutcomePresetShape(serializers.Serializer[Any]):
    slug = serializers.ChoiceField(choices=[preset.slug for preset in PRESETS])
    name = serializers.CharField()
    about = serializers.CharField()
    spec = OutcomeSpecShape()


class OutcomePresetsShape(serializers.Serializer[Any]):
    items = OutcomePresetShape(many=True)


class OutcomeBody(serializers.Serializer[Any]):
    """A new outcome. `spec` is read by the rules of outcomes, whose refusals name each field."""

    name = serializers.CharField(max_length=NAME_MAX, required=False)
    slug = serializers.CharField(max_length=60, required=False, help_text="Of the name if absent.")
    preset = serializers.CharField(max_length=60, required=False, help_text="A shipped one, instead of all others.")
    spec = serializers.JSONField(required=False, help_text="As `GET /api/v1/outcomes/presets` shows.")


class OutcomeChange(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=NAME_MAX, required=False)
    spec = serializers.JSONField(required=False)
    is_archived = serializers.BooleanField(required=False)


class PreviewBody(serializers.Serializer[Any]):
    spec = serializers.JSONField()
