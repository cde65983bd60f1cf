"""Bodies in and out: JSON alone, read with a cap, written by orjson."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import IO, Any

import orjson
from rest_framework import serializers
from rest_framework.negotiation import BaseContentNegotiation
from rest_framework.parsers import BaseParser
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request

from telltale.rest.field_errors import explain
from telltale.rest.problems import FieldError, Problem, shown_value

# Settings, prices and members are small; spans come in through the ingest paths, which have their own limit.
BODY_MAX_BYTES = 1024 * 1024


class JsonParser(BaseParser):
    """A JSON object, UTF-8, at most `BODY_MAX_BYTES`. orjson refuses deep nesting instead of exhausting the stack."""

    media_type = "application/json"

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        raw = stream.read(BODY_MAX_BYTES + 1)
        if len(raw) > BODY_MAX_BYTES:
            raise Problem(413, f"The body is larger than the limit of {BODY_MAX_BYTES} bytes.")
        if not raw.strip():
            return {}
        try:
            value = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            raise Problem(400, f"The body is not JSON: {error}.") from None
        if not isinstance(value, dict):
            raise Problem(400, f"The body must be a JSON object, not {_name_of(value)}.")
        return value


def _name_of(value: Any) -> str:
    names = {list: "an array", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(value), "a number")


class JsonRenderer(BaseRenderer):
    """Answers as JSON; datetimes must be text already, so that every time has one form."""

    media_type = "application/json"
    format = "json"
    charset = None
    render_style = "binary"

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        return b"" if data is None else orjson.dumps(data)


class JsonOnly(BaseContentNegotiation):
    """JSON whatever `Accept` says: an API that answers 406 helps nobody."""

    def select_parser(self, request: Request, parsers: Any) -> Any:
        content_type = request.content_type.partition(";")[0].strip().lower()
        return next((parser for parser in parsers if content_type == parser.media_type), None)

    def select_renderer(self, request: Request, renderers: Any, format_suffix: str | None = None) -> Any:
        return renderers[0], renderers[0].media_type


def checked(body: type[serializers.Serializer[Any]], request: Request) -> dict[str, Any]:
    """The request's body as `body` describes it; 400 that names each field, unknown ones too, with limit and value."""
    form_ = body(data=request.data)
    unknown = sorted(set(request.data) - set(form_.fields))
    if unknown:
        accepted = ", ".join(sorted(form_.fields))
        limit = f"one of {accepted}" if accepted else "no fields"
        raise refused(FieldError(str(shown_value(name)), "unknown field", limit, name) for name in unknown[:10])
    if not form_.is_valid():
        raise refused(explain(form_.errors, form_, request.data))
    valid: dict[str, Any] = form_.validated_data
    return valid


def refused(errors: Iterable[FieldError]) -> Problem:
    """A 400 about the fields of a body."""
    told = tuple(errors)
    return Problem(400, "; ".join(f"{error.field}: {error.message}" for error in told[:5]), *told)
