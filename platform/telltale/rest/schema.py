"""The OpenAPI document: what DRF's views say of themselves, plus the ingest paths that are no DRF views."""

from __future__ import annotations

from functools import cache
from typing import Any

from django.conf import settings
from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.generators import SchemaGenerator

from telltale.rest import schema_ingest
from telltale.rest.schema_links import add_links

Endpoint = tuple[str, str, str, Any]


class KeyScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "telltale.rest.auth.KeyAuthentication"
    match_subclasses = True
    name = "key"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "http",
            "scheme": "bearer",
            "description": "A project's key (tt_sk_...) as `Authorization: Bearer`, raw `Authorization`, Basic with "
            "the key as password, `x-api-key` or `Helicone-Auth`.",
        }


class BrowserScheme(OpenApiAuthenticationExtension):  # type: ignore[no-untyped-call]
    target_class = "telltale.rest.auth.BrowserAuthentication"
    name = "session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, Any]:
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": settings.SESSION_COOKIE_NAME,
            "description": "A signed-in browser; changing requests also carry `X-CSRFToken`.",
        }


def rest_alone(endpoints: list[Endpoint]) -> list[Endpoint]:
    """Only what lies below /api/v1: pages are no part of the document."""
    return [endpoint for endpoint in endpoints if endpoint[0].startswith("/api/v1/")]


def finish(result: dict[str, Any], generator: Any, request: Any, public: bool) -> dict[str, Any]:
    """Add the ingest paths and the links between addresses, and order them."""
    for path, methods in schema_ingest.PATHS.items():
        result["paths"].setdefault(path, {}).update(methods)
    result["paths"] = dict(sorted(result["paths"].items()))
    result["components"].setdefault("schemas", {}).update(schema_ingest.SCHEMAS)
    add_links(result)
    return result


@cache
def document() -> dict[str, Any]:
    """The whole document, built once a process; it depends on nothing but the code."""
    found: dict[str, Any] = SchemaGenerator().get_schema(request=None, public=True)  # type: ignore[no-untyped-call]
    return found
