"""Answers to pages of other origins, for the one address that takes from them: never a cookie, never a wildcard.

A browser asks before it sends (a preflight, without the key): it may where some live key lists the page's origin. What
it then sends is answered so that the page may read it only where the key itself lists the origin.
"""

from __future__ import annotations

import orjson
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.utils.cache import patch_vary_headers

from telltale.projects import origins
from telltale.rest.problems import CONTENT_TYPE, body_of, shown_value

METHODS = "POST"
HEADERS = "authorization, content-type, x-api-key"
EXPOSED = "retry-after, x-request-id"
# How long a browser remembers the answer; Chromium keeps none for longer than 2 hours.
MAX_AGE_SECONDS = 600


def origin_of(request: HttpRequest) -> str:
    """The origin of the page that asks, "" where no browser says one."""
    return str(request.META.get("HTTP_ORIGIN", "")).strip()


def preflight(request: HttpRequest, allow: str) -> HttpResponse:
    """The answer to OPTIONS; `allow` names the methods of the address."""
    origin = origin_of(request)
    response = HttpResponse(status=204, headers={"Allow": allow})
    if origin:
        if origins.is_known(origin):
            response.headers["Access-Control-Allow-Origin"] = origin
            response.headers["Access-Control-Allow-Methods"] = METHODS
            response.headers["Access-Control-Allow-Headers"] = HEADERS
            response.headers["Access-Control-Max-Age"] = str(MAX_AGE_SECONDS)
        else:
            response = HttpResponse(
                orjson.dumps(body_of(403, not_listed(origin))), status=403, content_type=CONTENT_TYPE
            )
    patch_vary_headers(response, ["Origin"])
    return response


def share(response: HttpResponseBase, origin: str, listed: tuple[str, ...]) -> HttpResponseBase:
    """Let the page of `origin` read the answer where the key that it sent lists it."""
    patch_vary_headers(response, ["Origin"])
    if origin and origins.is_listed(origin, listed):
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = EXPOSED
    return response


def not_listed(origin: str) -> str:
    """What a page is told whose origin no key lists."""
    return (
        f"No key lists the origin {shown_value(origin)}. An admin of the project can add it to a key that only sends "
        "signals, under Settings, API keys."
    )
