"""How signals come in: bodies as servers and pages send them, keys in headers and bodies, what a page may."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import IO, Any

import orjson
from django.conf import settings
from django.http import HttpRequest
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from rest_framework.exceptions import AuthenticationFailed
from rest_framework.request import Request

from telltale.projects.keys import BROWSER_SCOPES, KeyHolder, find_browser_holder, find_holder, public_from_headers
from telltale.projects.origins import is_listed
from telltale.rest import cors
from telltale.rest.auth import KEY_HEADERS, KeyAuthentication, KeyUser
from telltale.rest.body import JsonParser
from telltale.rest.problems import FieldError, Problem, shown_value
from traces.canonical.text import clean_text, parse_int
from traces.canonical.types import WireError
from traces.ingest import refusals
from traces.ingest.body import discard_body, read_body
from traces.ingest.quota import Quota
from traces.wire.compression import inflate

BODY_MAX_BYTES = 8 * 1024 * 1024
# A browser sends at most 64 KiB while its page closes; and a key that lies open must not have us read megabytes.
PAGE_BODY_MAX_BYTES = 256 * 1024
TOO_LARGE = "The body is larger than the limit of {limit} bytes; send fewer at once."
# Before gunicorn forks, as the one of ingest: all web processes of the machine count together.
quota = Quota()


class SignalParser(JsonParser):
    """A signal, an array of signals, or an object with `signals`; UTF-8, at most `BODY_MAX_BYTES`.

    Text that no UTF-8 can hold costs its own characters (U+FFFD), not the request.
    """

    def parse(
        self, stream: IO[Any], media_type: str | None = None, parser_context: Mapping[str, Any] | None = None
    ) -> Any:
        request = (parser_context or {}).get("request")
        limit = PAGE_BODY_MAX_BYTES if request is not None and _is_of_page(request) else BODY_MAX_BYTES
        raw = stream.read(limit + 1)
        if len(raw) > limit:
            raise Problem(413, TOO_LARGE.format(limit=limit))
        try:
            return orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            if b"\\u" not in raw and b"\\U" not in raw:
                raise Problem(400, f"The body is not JSON: {error}.") from None
        try:  # lone surrogates, which scripts cut out of emoji
            return json.loads(raw, parse_int=parse_int, parse_constant=float)
        except (ValueError, RecursionError):
            raise Problem(400, "The body is not JSON.") from None


def _is_of_page(request: Request) -> bool:
    """Whether a body comes from a page, as far as headers tell: by its origin, a key for browsers, or no key at all."""
    if _is_keyless(request._request):
        return True
    holder = getattr(request, "_auth", None)
    return isinstance(holder, KeyHolder) and bool(holder.origins)


def _is_keyless(request: HttpRequest) -> bool:
    """Whether a request comes from a page, or names its key nowhere but in its body."""
    return bool(cors.origin_of(request)) or not any(request.META.get(name) for name in KEY_HEADERS)


class BeaconParser(SignalParser):
    """The same as text: `navigator.sendBeacon` sends a string so, without asking first."""

    media_type = "text/plain"


class SignalKeyAuthentication(KeyAuthentication):
    """A key in any form; one for browsers also by its public part, and without a header as `key` of the body."""

    def authenticate(self, request: Request) -> tuple[KeyUser, KeyHolder] | None:
        public = public_from_headers(request._request)
        if public:
            return _user(find_browser_holder(public))
        found = super().authenticate(request)
        if found is not None or request.method != "POST":
            return found
        told = request.data.get("key") if isinstance(request.data, dict) else None
        if told is None:
            return None
        key = clean_text(told) if isinstance(told, str) else ""
        holder = find_browser_holder(key) or find_holder(key)
        if holder is not None and not holder.origins:
            raise Problem(403, "A key in a body must be one for browsers: scope signal alone, with origins.")
        return _user(holder)


class SignalKeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = SignalKeyAuthentication
    name = "signal_key"
    priority = 1  # before that of keys, which matches what stands on them

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "As `key`; a key for browsers (scope signal alone, with origins) also by its public part "
            "(tt_pk_...), or as `key` of the body.",
        }


def _user(holder: KeyHolder | None) -> tuple[KeyUser, KeyHolder]:
    if holder is None:
        raise AuthenticationFailed("The key is unknown or revoked, or no key for browsers.")
    return KeyUser(holder), holder


class TooMany(Problem):
    """More than a key for browsers may send."""

    def __init__(self, rate: int, seconds: int) -> None:
        super().__init__(429, f"This key may send {rate} signals a second and has sent more. Try again in {seconds} s.")
        self.seconds = seconds


def take_body(request: HttpRequest) -> None:
    """Read the body as ingest does, whatever its framing and encoding: Django and DRF would lose chunked ones, and wait
    for a sender that has stopped. WireError, Stalled.
    """
    limit = PAGE_BODY_MAX_BYTES if _is_keyless(request) else BODY_MAX_BYTES
    try:
        raw = read_body(request, limit)
    except WireError as error:
        # A connection closed on what is still being sent is a reset, and no answer.
        discard_body(request.environ)  # type: ignore[attr-defined]
        raise _in_our_words(error, limit) from None
    try:
        body = inflate(raw, (request.META.get("HTTP_CONTENT_ENCODING") or "identity").strip().lower(), limit)
    except WireError as error:
        raise _in_our_words(error, limit) from None
    request._body = body
    request._read_started = True  # type: ignore[attr-defined]
    request.META["CONTENT_LENGTH"] = str(len(body))


def _in_our_words(error: WireError, limit: int) -> WireError:
    """Who sends signals has no exporter whose batches could be smaller."""
    return WireError(TOO_LARGE.format(limit=limit), 413, error.code) if error.status == 413 else error


def foreign_origin(request: HttpRequest) -> str:
    """The origin of a page that is not ours; the documents of the API send from our own."""
    origin = cors.origin_of(request)
    return "" if origin == f"{request.scheme}://{request.get_host()}" else origin


def check_browser(holder: KeyHolder, origin: str) -> None:
    """403 where a page uses a key that may do more than send signals, or that does not list it."""
    if not origin:
        return
    if holder.scopes != BROWSER_SCOPES:
        raise Problem(
            403,
            "A key that a page uses must have the scope signal alone, since whoever opens the page can read it. Make "
            f"one for {shown_value(origin)} under Settings, API keys, and revoke this one if it is in a public page.",
        )
    if not is_listed(origin, holder.origins):
        raise Problem(
            403,
            f"This key does not list the origin {shown_value(origin)}. An admin of the project can add it under "
            "Settings, API keys.",
            FieldError("Origin", "is not listed by this key", "an origin of the key", origin),
        )


def within_rate(holder: KeyHolder, n: int) -> None:
    """TooMany where the key, which lies open in a page, has sent more than it may."""
    if holder.spans_a_second is None:
        holder = replace(holder, spans_a_second=settings.BROWSER_SIGNALS_A_SECOND)
    seconds = quota.wait_seconds(holder)
    if seconds:
        refused = TooMany(holder.spans_a_second or 0, seconds)
        refusals.note(holder.project_id, "signals", 429, "over_rate", refused.message)
        raise refused
    quota.charge(holder, n)
