"""Errors of the API: `application/problem+json` (RFC 9457) naming field, limit and value, never our insides."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import BadRequest, PermissionDenied, SuspiciousOperation
from django.http import Http404
from rest_framework import exceptions, status
from rest_framework.response import Response

from telltale.projects.access import RoleLacking

CONTENT_TYPE = "application/problem+json"
VALUE_MAX = 120
# What was too busy or too slow is asked again, by machines too: without a pause they would do so at once.
RETRY_AFTER_SECONDS = 5
TITLES = {
    400: "Invalid request",
    401: "No valid key",
    403: "Not allowed",
    404: "Not found",
    405: "Method not allowed",
    409: "Conflict",
    413: "Body too large",
    415: "Unsupported media type",
    429: "Too many requests",
    500: "Our fault",
    503: "Unavailable for a moment",
}


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field. `limit` says what is allowed, `value` what came (cut), where either helps."""

    field: str
    message: str
    limit: str | None = None
    value: Any = None

    def as_json(self) -> dict[str, Any]:
        shown: dict[str, Any] = {"field": self.field, "message": self.message}
        if self.limit is not None:
            shown["limit"] = self.limit
        if self.value is not None:
            shown["value"] = shown_value(self.value)
        return shown


class Problem(exceptions.APIException):
    """An answer other than 2xx, with the fields that caused it."""

    def __init__(self, http_status: int, detail: str, *errors: FieldError) -> None:
        super().__init__(detail)
        self.status_code = http_status
        self.message = detail
        self.errors = errors


def bad_field(field: str, message: str, *, limit: str | None = None, value: Any = None) -> Problem:
    """A 400 about one field."""
    return Problem(400, f"{field}: {message}", FieldError(field, message, limit, value))


def not_found() -> Problem:
    """The one 404: what is not there and what belongs to others look the same."""
    return Problem(404, "There is nothing here that you may see.")


def shown_value(value: Any) -> Any:
    """`value` as far as an error may repeat it: scalars, with text cut and control characters replaced."""
    if value is None or isinstance(value, bool | float):
        return value
    if isinstance(value, int) and abs(value) < 2**63:
        return value
    text = str(value)[: VALUE_MAX + 1]
    clean = "".join(c if c.isprintable() else "\ufffd" for c in text)
    return clean if len(clean) <= VALUE_MAX else clean[:VALUE_MAX] + "…"


def body_of(http_status: int, detail: str, errors: tuple[FieldError, ...] = ()) -> dict[str, Any]:
    """The JSON of a problem."""
    body: dict[str, Any] = {
        "type": f"urn:telltale:problem:{http_status}",
        "title": TITLES.get(http_status, "Request not served"),
        "status": http_status,
        "detail": detail,
    }
    if errors:
        body["errors"] = [error.as_json() for error in errors]
    return body


def answer(exc: Exception, _context: dict[str, Any]) -> Response | None:
    """DRF's exception handler: what a caller can mend as a problem; the rest goes on to the outermost edge.

    Every 503 says when to ask again: `RETRY_AFTER_SECONDS` where the view knows no better.
    """
    response = _known(exc)
    if response is not None:
        response.content_type = CONTENT_TYPE
        if response.status_code == status.HTTP_503_SERVICE_UNAVAILABLE:
            response.headers.setdefault("Retry-After", str(RETRY_AFTER_SECONDS))
    return response


def _known(exc: Exception) -> Response | None:
    if isinstance(exc, Problem):
        return Response(body_of(exc.status_code, exc.message, exc.errors), status=exc.status_code)
    if isinstance(exc, exceptions.ValidationError):
        errors = tuple(_field_errors(exc.detail, ""))
        detail = "; ".join(f"{error.field}: {error.message}" for error in errors[:5])
        return Response(body_of(400, detail, errors), status=400)
    if isinstance(exc, exceptions.APIException):
        response = Response(body_of(exc.status_code, _detail(exc)), status=exc.status_code)
        header = getattr(exc, "auth_header", None)
        if header:
            response["WWW-Authenticate"] = header
        return response
    if isinstance(exc, Http404):
        return Response(body_of(404, not_found().message), status=404)
    if isinstance(exc, RoleLacking):
        detail = f"This needs the role {exc.needs.label} or above; yours is {exc.has.label}."
        return Response(body_of(403, detail), status=403)
    if isinstance(exc, PermissionDenied):
        return Response(body_of(403, str(exc) or "You may not do this."), status=403)
    if isinstance(exc, SuspiciousOperation | BadRequest):
        return Response(body_of(400, "The request cannot be read."), status=400)
    return None


def _detail(exc: exceptions.APIException) -> str:
    if exc.status_code == status.HTTP_405_METHOD_NOT_ALLOWED:
        return "This address does not take this method; the Allow header lists those it does."
    return str(exc.detail)


def _field_errors(detail: Any, path: str) -> Iterator[FieldError]:
    """DRF's nested error lists, flattened: {"a": {"b": ["..."]}} is an error of field a.b."""
    if isinstance(detail, dict):
        for name, inner in detail.items():
            field = str(shown_value(name))
            yield from _field_errors(inner, path if field == "non_field_errors" else f"{path}.{field}".lstrip("."))
    elif isinstance(detail, list):
        for at, inner in enumerate(detail):
            nested = isinstance(inner, dict | list)
            yield from _field_errors(inner, f"{path}[{at}]" if nested else path)
    else:
        yield FieldError(path or "body", str(detail))
