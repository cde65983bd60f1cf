"""The shapes of definitions and of what people did in REST."""

from __future__ import annotations

from typing import Any

from drf_spectacular.utils import extend_schema_field
from rest_framework import serializers

from traces.behaviour.definition import (
    CLOSING_CHARS_MAX,
    COMPLETIONS,
    FEATURES_MAX,
    LIMITS,
    LISTS,
    PHRASE_CHARS_MAX,
    PHRASES_MAX,
)
from traces.read.definitions import TRIED_UNITS
from traces.signals.names import MEANINGS


class DefinitionShape(serializers.Serializer[Any]):
    """Numbers, phrases, what features have of their own, and names of signals. What a body leaves out is as shipped."""

    def get_fields(self) -> dict[str, Any]:
        fields: dict[str, Any] = {}
        for each in LIMITS:
            kind: Any = serializers.IntegerField if each.is_whole else serializers.FloatField
            unit = f" In {each.unit}." if each.unit else ""
            told = f"{each.why}{unit} {each.low:,g} to {each.high:,g}."
            fields[each.name] = kind(help_text=told, required=False)
        fields["single_shot"] = serializers.BooleanField(required=False, help_text="One answer is the whole job.")
        fields["completion"] = serializers.ListField(
            child=serializers.ChoiceField(choices=list(COMPLETIONS)), required=False, help_text="Signs of completion."
        )
        for name, why in LISTS.items():
            fields[name] = serializers.ListField(
                child=serializers.CharField(),
                required=False,
                help_text=f"{why.format(chars=CLOSING_CHARS_MAX)} At most {PHRASES_MAX} of {PHRASE_CHARS_MAX} "
                "characters; ^ anchors at the beginning, $ at the end.",
            )
        fields["features"] = serializers.DictField(
            child=serializers.DictField(child=serializers.JSONField()),
            required=False,
            help_text=f"Numbers and single_shot by feature, at most {FEATURES_MAX} features.",
        )
        fields["names"] = serializers.DictField(
            child=serializers.ChoiceField(choices=list(MEANINGS)),
            required=False,
            help_text="What your own names of signals mean.",
        )
        return fields


@extend_schema_field(DefinitionShape)
class DefinitionField(serializers.JSONField):
    """A definition, read by its own rules so that each fault has its field, limit and value."""


class SignalRuleShape(serializers.Serializer[Any]):
    key = serializers.CharField()
    name = serializers.CharField()
    rule = serializers.CharField(help_text="In words, with the numbers in force.")


class DefinitionProgressShape(serializers.Serializer[Any]):
    version = serializers.IntegerField(help_text="In force.")
    is_running = serializers.BooleanField(help_text="Whether stored sessions are being counted by it.")
    done = serializers.IntegerField(help_text="Sessions, traces and signals looked at.")
    total = serializers.IntegerField(allow_null=True)
    share = serializers.FloatField(allow_null=True, help_text="0 to 1; null where it is not known.")
    error = serializers.CharField(help_text="Why it stopped; empty where it did not.")
    waiting = serializers.IntegerField(
        help_text="Units that changed and have their turn within seconds; at most 100,000."
    )


class DefinitionsShape(serializers.Serializer[Any]):
    version = serializers.IntegerField(help_text="0 is the shipped one.")
    created_at = serializers.DateTimeField(allow_null=True)
    created_by = serializers.CharField(allow_null=True)
    definition = DefinitionField()
    rules = SignalRuleShape(many=True)
    progress = DefinitionProgressShape()


class DefinitionBody(serializers.Serializer[Any]):
    definition = DefinitionField()
    version = serializers.IntegerField(
        required=False, min_value=0, help_text="The version this one was made from: another one in force answers 409."
    )


class DefinitionTryBody(serializers.Serializer[Any]):
    definition = DefinitionField()
    feature = serializers.CharField(required=False, max_length=200, help_text="Sessions of this feature alone.")


class TriedCountShape(serializers.Serializer[Any]):
    key = serializers.CharField()
    now = serializers.IntegerField(help_text="By the definition in force.")
    then = serializers.IntegerField(help_text="By the one in the body.")


class DefinitionTriedShape(serializers.Serializer[Any]):
    sessions = serializers.IntegerField(help_text=f"Looked at: the newest closed ones, at most {TRIED_UNITS:,}.")
    still_open = serializers.IntegerField(help_text="Of them, how many would not be over.")
    counts = TriedCountShape(many=True)


class VersionChangeShape(serializers.Serializer[Any]):
    field = serializers.CharField()
    words = serializers.CharField()


class DefinitionVersionShape(serializers.Serializer[Any]):
    version = serializers.IntegerField()
    created_at = serializers.DateTimeField(allow_null=True)
    created_by = serializers.CharField(allow_null=True)
    changes = VersionChangeShape(many=True)


class DefinitionVersionsShape(serializers.Serializer[Any]):
    items = DefinitionVersionShape(many=True)


class BehaviourRateShape(serializers.Serializer[Any]):
    key = serializers.CharField()
    name = serializers.CharField()
    rule = serializers.CharField()
    found = serializers.IntegerField()
    of = serializers.IntegerField(help_text="Sessions that could have had it.")
    share = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(allow_null=True, help_text="Wilson's 95 % interval.")
    high = serializers.FloatField(allow_null=True)
    left_out = serializers.IntegerField()
    left_out_why = serializers.CharField()


class BehaviourMeanShape(serializers.Serializer[Any]):
    value = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(allow_null=True)
    high = serializers.FloatField(allow_null=True)
    n = serializers.IntegerField()


class BehaviourRatesShape(serializers.Serializer[Any]):
    version = serializers.IntegerField()
    sessions = serializers.IntegerField(help_text="Closed.")
    open = serializers.IntegerField(help_text="Not over yet: in no rate.")
    lone = serializers.IntegerField(help_text="Traces that name no session: in no rate.")
    rates = BehaviourRateShape(many=True)
    answers = BehaviourMeanShape(help_text="Answers a session.")
    seconds = BehaviourMeanShape(help_text="Length of a session.")

    def get_fields(self) -> dict[str, Any]:
        # `from` is taken in a class body.
        return {name: serializers.DateTimeField() for name in ("from", "to")} | super().get_fields()
