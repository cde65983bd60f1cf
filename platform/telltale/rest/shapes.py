"""Shapes that many answers share, for the OpenAPI document, and how addresses describe themselves in it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter, OpenApiResponse, extend_schema
from rest_framework import serializers


class FieldErrorShape(serializers.Serializer[Any]):
    field = serializers.CharField()
    message = serializers.CharField()
    limit = serializers.CharField(required=False, help_text="What is allowed.")
    value = serializers.JSONField(required=False, help_text="What came, cut to 120 characters.")


class ProblemShape(serializers.Serializer[Any]):
    type = serializers.CharField()
    title = serializers.CharField()
    status = serializers.IntegerField()
    detail = serializers.CharField()
    errors = FieldErrorShape(many=True, required=False)  # type: ignore[assignment]


PROJECT = OpenApiParameter(
    "project",
    OpenApiTypes.STR,
    description="The project's slug. Needed with a browser session; a key decides the project, and a slug beside it "
    "must be the key's own.",
)
LIMIT = OpenApiParameter(
    "limit", {"type": "integer", "minimum": 1, "maximum": 500, "default": 50}, description="Items a page."
)
CURSOR = OpenApiParameter("cursor", OpenApiTypes.STR, description="The position that `next` or `previous` gave.")
FROM = OpenApiParameter("from", OpenApiTypes.DATETIME, description="Start of the window, ISO 8601, inclusive.")
TO = OpenApiParameter("to", OpenApiTypes.DATETIME, description="End of the window, exclusive.")
_PROBLEMS = {
    400: "A parameter or field is not accepted; `errors` names it.",
    401: "No key, or an unknown or revoked one.",
    403: "The key lacks the scope, or the person the role; `detail` names what is needed.",
    404: "Not there, or not yours.",
    503: "Busy, away, or the answer took longer than it may; `Retry-After` says when to ask again.",
}


def describe(
    summary: str,
    answer: Any,
    *,
    tag: str,
    status: int = 200,
    body: Any = None,
    query: tuple[OpenApiParameter, ...] = (),
    path: tuple[OpenApiParameter, ...] = (),
    detail: str = "",
    problems: dict[int, str] | None = None,
    media: dict[str, Any] | None = None,
) -> Callable[[Any], Any]:
    """Describe one method of an address in the OpenAPI document. `answer` None is an answer without a body.

    `media`: what it may answer instead of JSON, by media type.
    """
    responses: dict[Any, Any] = {status: answer if answer is not None else OpenApiResponse(description="Done.")}
    if media:
        responses = {(status, "application/json"): answer, **{(status, kind): shape for kind, shape in media.items()}}
    for code, meaning in {**_PROBLEMS, **(problems or {})}.items():
        responses[(code, "application/problem+json")] = OpenApiResponse(ProblemShape, description=meaning)
    decorate: Callable[[Any], Any] = extend_schema(
        operation_id=re.sub(r"[^a-z]+", "_", summary.lower()).strip("_"),
        summary=summary,
        description=detail or summary,
        tags=[tag],
        parameters=[PROJECT, *path, *query],
        request=body,
        responses=responses,
    )
    return decorate


def page_of(item: type[serializers.Serializer[Any]], name: str) -> type[serializers.Serializer[Any]]:
    """The shape of one page of `item`s."""
    return type(
        name,
        (serializers.Serializer,),
        {
            "items": item(many=True),
            "next": serializers.CharField(allow_null=True, help_text="Address of the next page."),
            "previous": serializers.CharField(allow_null=True, help_text="Address of the page before."),
        },
    )
