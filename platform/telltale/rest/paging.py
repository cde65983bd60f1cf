"""Cursor paging: an opaque position, and the addresses of the pages beside this one."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import orjson
from rest_framework.request import Request

from telltale.rest.problems import Problem, bad_field

CURSOR_MAX = 1024


def write_cursor(*position: Any) -> str:
    """An opaque cursor for a position of JSON scalars."""
    return base64.urlsafe_b64encode(orjson.dumps(position)).decode().rstrip("=")


def read_cursor(raw: str, *kinds: type) -> list[Any] | None:
    """The position that `write_cursor` made, of exactly these types; None where `raw` is empty, 400 where it is bad."""
    if not raw:
        return None
    try:
        if len(raw) > CURSOR_MAX:
            raise ValueError
        position = orjson.loads(base64.b64decode(raw + "=" * (-len(raw) % 4), b"-_", validate=True))
    except (ValueError, binascii.Error):
        raise bad_cursor(raw) from None
    if not isinstance(position, list) or [type(value) for value in position] != list(kinds):
        raise bad_cursor(raw)
    for value in position:
        if isinstance(value, str) and "\x00" in value:
            raise bad_cursor(raw)
        if isinstance(value, int) and not -(2**63) <= value < 2**63:
            raise bad_cursor(raw)
    return position


def bad_cursor(raw: str) -> Problem:
    """The 400 for a cursor that no list gave."""
    return bad_field("cursor", "is none that this list gave", limit="the cursor of `next` or `previous`", value=raw)


def page(request: Request, items: list[Any], next_cursor: str | None, previous_cursor: str | None) -> dict[str, Any]:
    """The body of one page: the items, and where the next and the previous page are (null where there is none)."""
    return {
        "items": items,
        "next": _address(request, next_cursor),
        "previous": _address(request, previous_cursor),
    }


def _address(request: Request, cursor: str | None) -> str | None:
    if cursor is None:
        return None
    query = request.query_params.copy()
    query["cursor"] = cursor
    return request.build_absolute_uri(f"{request.path}?{query.urlencode()}")
