"""How signals look in REST, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from telltale.rest import shapes
from traces import signalling
from traces.read import signals as read
from traces.read.signals import KIND_NAMES, STATES, TARGET_NAMES
from traces.signals import items as rules
from traces.signals.names import NAME_CHARS_MAX

SIGNAL_ID = OpenApiParameter("signal_id", OpenApiTypes.UUID, OpenApiParameter.PATH, description="The signal's id.")
VOTES = {"up": 1, "down": -1, "none": 0}


class SignalShape(serializers.Serializer[Any]):
    id = serializers.CharField(help_text="Ours; the same for as long as the signal is there.")
    client_id = serializers.CharField(allow_null=True, help_text="The caller's id.")
    name = serializers.CharField(help_text="As told.")
    kind = serializers.ChoiceField(list(KIND_NAMES.values()), help_text="What the name means in this project.")
    value = serializers.JSONField(help_text="As told: a number, true or false, or text; null where the name says it.")
    vote = serializers.ChoiceField(list(VOTES), allow_null=True, help_text="Of a thumb; null: it is none.")
    target = serializers.ChoiceField(list(TARGET_NAMES.values()))
    trace_id = serializers.CharField(allow_null=True, help_text="As told, or the trace that its request is.")
    span_id = serializers.CharField(allow_null=True)
    session_id = serializers.CharField(allow_null=True)
    request_id = serializers.CharField(allow_null=True)
    comment = serializers.CharField(allow_null=True)
    user_id = serializers.CharField(allow_null=True)
    source = serializers.ChoiceField(list(rules.SOURCES))  # type: ignore[assignment]
    happened_at = serializers.DateTimeField()
    is_dated = serializers.BooleanField(help_text="Whether its sender told when; else it is when it came.")
    received_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()
    revision = serializers.IntegerField(help_text="1; one more each time it was told with something else in it.")
    state = serializers.ChoiceField(
        list(STATES), help_text="waiting: its target is not here yet; orphan: nothing came within 7 days."
    )
    bound_at = serializers.DateTimeField(allow_null=True)
    feature = serializers.CharField(allow_null=True)
    metadata = serializers.JSONField(allow_null=True)


class UnboundShape(serializers.Serializer[Any]):
    waiting = serializers.IntegerField()
    orphans = serializers.IntegerField()


class SignalPageShape(serializers.Serializer[Any]):
    items = SignalShape(many=True)
    next = serializers.CharField(allow_null=True, help_text="Address of the next page.")
    previous = serializers.CharField(allow_null=True, help_text="Address of the page before.")
    unbound = UnboundShape(
        help_text=f"Of the whole project: signals whose target is not here, counted up to {read.UNBOUND_MAX:,} each."
    )


class NewSignalShape(serializers.Serializer[Any]):
    name = serializers.CharField(help_text=f"At most {NAME_CHARS_MAX} characters: thumbs_up, rating, retry, ….")
    value = serializers.JSONField(
        required=False,
        help_text="A number, true or false, or text; left out where the name says it. At most "
        f"{rules.TEXT_CHARS_MAX} characters, or {rules.NUMBER_MAX:g} either way.",
    )
    trace_id = serializers.CharField(required=False, help_text="Of the trace. Or session_id, or request_id.")
    span_id = serializers.CharField(required=False, help_text="16 hex digits, with trace_id.")
    session_id = serializers.CharField(required=False)
    request_id = serializers.CharField(
        required=False, help_text="Your own id of the request, as the trace's metadata say it, or its provider's."
    )
    comment = serializers.CharField(required=False, help_text=f"At most {rules.COMMENT_CHARS_MAX} characters.")
    user_id = serializers.CharField(required=False, help_text="The end user.")
    source = serializers.ChoiceField(  # type: ignore[assignment]
        list(rules.SOURCES), required=False, help_text="end_user where left out; model and code are no user's."
    )
    happened_at = serializers.DateTimeField(required=False, help_text="Now where left out.")
    client_id = serializers.CharField(
        required=False,
        help_text=f"Yours, at most {rules.CLIENT_ID_CHARS_MAX} characters: sent again it replaces. `id` says the same.",
    )
    metadata = serializers.JSONField(required=False, help_text=f"An object, at most {rules.METADATA_BYTES_MAX} bytes.")


class NewSignalsShape(serializers.Serializer[Any]):
    signals = NewSignalShape(
        many=True, help_text=f"1 to {signalling.ITEMS_MAX}; or one signal, or a bare array of them."
    )
    key = serializers.CharField(
        required=False, help_text="The key of a page that cannot set headers (sendBeacon): one that lists origins."
    )


class SignalResultShape(serializers.Serializer[Any]):
    index = serializers.IntegerField()
    status = serializers.ChoiceField(["accepted", "updated", "unchanged", "superseded", "rejected"])
    id = serializers.CharField(allow_null=True)
    client_id = serializers.CharField(allow_null=True)
    bound = serializers.BooleanField(help_text="Whether its target is here; else it is bound once that comes.")
    errors = shapes.FieldErrorShape(many=True, required=False)  # type: ignore[assignment]


class SignalResultsShape(serializers.Serializer[Any]):
    accepted = serializers.IntegerField(help_text="New.")
    updated = serializers.IntegerField(help_text="Known, and replaced.")
    unchanged = serializers.IntegerField(help_text="Known, and told the same.")
    superseded = serializers.IntegerField(help_text="Not kept: a later one of the same id was.")
    rejected = serializers.IntegerField(help_text="Not kept: `errors` say why.")
    items = SignalResultShape(many=True)


class NameShape(serializers.Serializer[Any]):
    name = serializers.CharField()
    kind = serializers.ChoiceField(list(KIND_NAMES.values()))
    n = serializers.IntegerField(help_text="Among the newest 20,000 signals.")


class SignalNamesShape(serializers.Serializer[Any]):
    items = NameShape(many=True)
    meanings = serializers.ListField(child=serializers.CharField(), help_text="What a project may say a name means.")
