"""One HTTP request, as values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request that tells a receiver of something. `ref` is how the receiver calls what it is about."""

    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    ref: str = ""
    method: str = "POST"


def json_request(url: str, body: Mapping[str, Any], *, ref: str = "", **headers: str) -> Outgoing:
    """A POST of JSON; `headers` with underscores for hyphens."""
    told = {name.replace("_", "-"): value for name, value in headers.items()}
    return Outgoing(url, orjson.dumps(body), {"Content-Type": "application/json", **told}, ref)
