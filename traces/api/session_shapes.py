"""Shapes of sessions and users in the OpenAPI document."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers

from telltale.rest import shapes
from traces.api.trace_shapes import CostShape, TraceShape, UsageShape
from traces.behaviour.types import Stratum
from traces.read import CostState


class SessionShape(serializers.Serializer[Any]):
    session_id = serializers.CharField()
    address = serializers.CharField(help_text="The id as addresses spell it: itself, or ~ and base64url of its UTF-8.")
    started_at = serializers.DateTimeField(help_text="Start of the first turn.")
    last_at = serializers.DateTimeField(help_text="Start of the last turn.")
    ended_at = serializers.DateTimeField(allow_null=True, help_text="Latest known end.")
    length_ms = serializers.FloatField(allow_null=True)
    turns = serializers.IntegerField(help_text="Traces; 0 where retention took them all.")
    turns_with_errors = serializers.IntegerField(help_text="Turns in which some span failed.")
    turns_failed = serializers.IntegerField(help_text="Turns that failed as a whole.")
    turns_removed = serializers.IntegerField(help_text="Turns that retention took; in no sum.")
    span_count = serializers.IntegerField()
    generation_count = serializers.IntegerField()
    error_count = serializers.IntegerField(help_text="Spans that failed.")
    tokens = UsageShape(allow_null=True)
    input_tokens = serializers.IntegerField(allow_null=True)
    output_tokens = serializers.IntegerField(allow_null=True)
    cost = CostShape()
    slowest_ms = serializers.FloatField(allow_null=True, help_text="Duration of the slowest turn.")
    slowest_trace_id = serializers.CharField(allow_null=True)
    user_id = serializers.CharField(allow_null=True, help_text="Of the first turn that names one.")
    user_count = serializers.IntegerField()
    features = serializers.ListField(child=serializers.CharField())
    models = serializers.ListField(child=serializers.CharField())
    service = serializers.CharField(allow_null=True)
    environment = serializers.CharField(allow_null=True)
    release = serializers.CharField(allow_null=True, help_text="Of the last turn that names one.")
    first_question = serializers.CharField(allow_null=True)
    last_answer = serializers.CharField(allow_null=True)
    summed_at = serializers.DateTimeField(help_text="When these sums were made.")
    is_behind = serializers.BooleanField(help_text="More has come since; a long session is summed now and then.")
    behaviour = serializers.ChoiceField(
        choices=[stratum.name.lower() for stratum in Stratum], allow_null=True,
        help_text="The one group it is in (docs/behaviour.md); null where no rule has looked at it yet, as all below.",
    )
    seen = serializers.ListField(
        child=serializers.CharField(), allow_null=True, help_text="All that rules or signals saw in it."
    )
    is_over = serializers.BooleanField(allow_null=True, help_text="Whether it counts in rates.")
    vote = serializers.ChoiceField(choices=["up", "down", "none"], allow_null=True, help_text="Its last vote.")
    rating = serializers.FloatField(allow_null=True)


class TallyShape(serializers.Serializer[Any]):
    sessions = serializers.IntegerField(help_text="The newest that match, of which all below is counted.")
    is_whole = serializers.BooleanField(help_text="Whether these are all that match.")
    behaviour = serializers.DictField(child=serializers.IntegerField(), help_text="Sessions by group.")
    not_looked_at = serializers.IntegerField(help_text="No rule has looked at them yet.")
    over = serializers.IntegerField(help_text="Sessions that are over.")
    voted = serializers.IntegerField(help_text="Of these, how many have a vote.")
    up = serializers.IntegerField()
    down = serializers.IntegerField()


def session_page() -> type[serializers.Serializer[Any]]:
    """The shape of a page of sessions."""
    page = shapes.page_of(SessionShape, "SessionPage")
    tally = TallyShape(required=False, help_text="With include=tally.")
    return type("SessionPage", (page,), {"tally": tally})


class SpokenShape(serializers.Serializer[Any]):
    role = serializers.CharField()
    text = serializers.CharField()


class TurnShape(serializers.Serializer[Any]):
    number = serializers.IntegerField(help_text="The turn's place in the session, from 1.")
    trace = TraceShape()
    asked = SpokenShape(required=False, allow_null=True, help_text="With include=text: the last words of the user.")
    answered = SpokenShape(many=True, required=False, help_text="With include=text: what the model answered.")
    is_cut = serializers.BooleanField(required=False, help_text="With include=text: previews stand for texts.")


class UserSumsShape(serializers.Serializer[Any]):
    requests = serializers.IntegerField()
    requests_with_errors = serializers.IntegerField()
    input_tokens = serializers.IntegerField(allow_null=True, help_text="Cached ones too; null where none were told.")
    cached_tokens = serializers.IntegerField(allow_null=True)
    output_tokens = serializers.IntegerField(allow_null=True)
    cost_usd = serializers.CharField(allow_null=True)
    cost_state = serializers.ChoiceField(choices=[state.value for state in CostState])
    unpriced = serializers.IntegerField(help_text="Spans without a price.")


class UserShape(UserSumsShape):
    user_id = serializers.CharField()
    address = serializers.CharField(help_text="The id as addresses spell it: itself, or ~ and base64url of its UTF-8.")
    first_at = serializers.DateTimeField(allow_null=True, help_text="First trace that is kept.")
    last_at = serializers.DateTimeField(allow_null=True, help_text="Last trace that is kept.")


class UserDayShape(UserSumsShape):
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()


class UserDetailShape(UserShape):
    start = serializers.DateTimeField(help_text="Whole days of the project's zone: where they begin.")
    end = serializers.DateTimeField()
    step = serializers.ChoiceField(choices=["day", "month"])
    points = UserDayShape(many=True)
