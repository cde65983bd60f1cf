"""One body of the hostile corpus, and what its bodies are made of."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from typing import Any

from tests.traces.hostile_wire import (
    request,
    span,
)

PROTOBUF = "application/x-protobuf"
JSON = "application/json"
TRACES, LOGS, METRICS, NATIVE = "/v1/traces", "/v1/logs", "/v1/metrics", "/api/v1/traces"
BAD_UTF8 = b"caf\xe9 \xff\xfe\xc0\x80\xed\xa0\x80\xf5 end"
LONG = "é" * 5_000 + "日本語😀" * 500  # 10 KB and more, cut points inside characters
MIB = 1 << 20


@dataclass(frozen=True)
class Case:
    """One body. `items` is what it holds where it can be decoded (None: not said); `status` the only right answers."""

    name: str
    body: bytes
    path: str = TRACES
    content_type: str = PROTOBUF
    items: int | None = None
    stored: int | None = None
    status: tuple[int, ...] = (200,)
    headers: dict[str, str] = field(default_factory=dict)

    @property
    def trace(self) -> bytes:
        return trace_of(self.name)


def trace_of(name: str) -> bytes:
    return hashlib.sha256(name.encode()).digest()[:16]


def one_span(called: str, attributes: bytes = b"", stored: int | None = 1, **more: Any) -> Case:
    body = request(span(1, trace_of(called), attributes=attributes, **more))
    return Case(called, body, items=1, stored=stored)
