"""How changes look in REST, for the OpenAPI document."""

from __future__ import annotations

from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers

from telltale.rest import shapes
from traces import changelog
from traces.changing import items as rules
from traces.changing.kinds import KIND_WORDS, SOURCE_WORDS

CHANGE_ID = OpenApiParameter("change_id", OpenApiTypes.STR, OpenApiParameter.PATH, description="The change's id.")
_LINE = f"At most {rules.NAME_CHARS_MAX} characters."


class LoggedChangeShape(serializers.Serializer[Any]):
    id = serializers.CharField()
    kind = serializers.ChoiceField(list(KIND_WORDS))
    at = serializers.DateTimeField(help_text="When it took effect; of a derived one, when a span first showed it.")
    ended_at = serializers.DateTimeField(allow_null=True, help_text="Of one that took time.")
    title = serializers.CharField(help_text="What changed, in a line.")
    name = serializers.CharField(allow_null=True, help_text="What changed: a prompt, a model, an index.")
    version = serializers.CharField(allow_null=True, help_text="What it is now; of a deploy, the release.")
    previous = serializers.CharField(allow_null=True, help_text="What it was before, where that is known.")
    service = serializers.CharField(allow_null=True, help_text="null: it touches every one.")
    feature = serializers.CharField(allow_null=True, help_text="null: it touches every one.")
    environment = serializers.CharField(allow_null=True, help_text="null: it touches every one.")
    author = serializers.CharField(allow_null=True)
    note = serializers.CharField(allow_null=True)
    url = serializers.CharField(allow_null=True)
    details = serializers.JSONField()
    source = serializers.ChoiceField(  # type: ignore[assignment]
        list(SOURCE_WORDS), help_text="derived: nobody told it, traces show it."
    )
    client_id = serializers.CharField(allow_null=True)
    created_at = serializers.DateTimeField()
    updated_at = serializers.DateTimeField()


ChangePageShape = shapes.page_of(LoggedChangeShape, "LoggedChangePage")


class ChangeBody(serializers.Serializer[Any]):
    """What is told of a change."""

    kind = serializers.ChoiceField(list(KIND_WORDS), required=False, help_text="Required of a new one.")
    at = serializers.DateTimeField(required=False, help_text="Now where left out; at most a day ahead.")
    ended_at = serializers.DateTimeField(required=False, allow_null=True, help_text="Of one that took time.")
    name = serializers.CharField(
        required=False, allow_blank=True, help_text=f"What changed. {_LINE} It, version or note is required."
    )
    version = serializers.CharField(required=False, allow_blank=True, help_text=f"What it is now. {_LINE}")
    release = serializers.CharField(required=False, allow_blank=True, help_text="Another word for version.")
    previous = serializers.CharField(required=False, allow_blank=True, help_text=f"What it was before. {_LINE}")
    service = serializers.CharField(required=False, allow_blank=True, help_text="Left out: it touches every one.")
    feature = serializers.CharField(required=False, allow_blank=True, help_text="Left out: it touches every one.")
    environment = serializers.CharField(required=False, allow_blank=True, help_text="Left out: it touches every one.")
    author = serializers.CharField(required=False, allow_blank=True, help_text="You, or the key, where left out.")
    note = serializers.CharField(
        required=False, allow_blank=True, help_text=f"At most {rules.NOTE_CHARS_MAX} characters."
    )
    url = serializers.CharField(required=False, allow_blank=True, help_text="https:// or http://")
    details = serializers.JSONField(required=False, help_text=f"An object, at most {rules.DETAILS_BYTES_MAX} bytes.")
    source = serializers.ChoiceField(  # type: ignore[assignment]
        [each.value for each in rules.TELLERS], required=False, help_text="api where left out."
    )
    client_id = serializers.CharField(
        required=False,
        allow_blank=True,
        help_text="Yours, such as the id of a pipeline run: sent again it replaces what it said. " + _LINE,
    )


class ChangesBody(serializers.Serializer[Any]):
    changes = ChangeBody(many=True, help_text=f"1 to {changelog.ITEMS_MAX}; or one change, or a bare array of them.")


class ChangeResultShape(serializers.Serializer[Any]):
    index = serializers.IntegerField()
    status = serializers.ChoiceField(["accepted", "updated", "unchanged", "superseded", "rejected"])
    id = serializers.CharField(allow_null=True)
    client_id = serializers.CharField(allow_null=True)
    errors = shapes.FieldErrorShape(many=True, required=False)  # type: ignore[assignment]


class ChangeResultsShape(serializers.Serializer[Any]):
    accepted = serializers.IntegerField(help_text="New.")
    updated = serializers.IntegerField(help_text="Known by its client_id, and replaced.")
    unchanged = serializers.IntegerField(help_text="Known, and told the same.")
    superseded = serializers.IntegerField(help_text="Not kept: a later one of the same client_id was.")
    rejected = serializers.IntegerField(help_text="Not kept: `errors` say why.")
    items = ChangeResultShape(many=True)
