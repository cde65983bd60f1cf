"""A stored span on its way out, and what gives it other ids."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from traces.wire.ids import hex_span_id

_SIGN, _WRAP = 1 << 63, 1 << 64


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sent a span: resource and scope. `key` is the same for the same sender of one project."""

    key: int
    resource: dict[str, Any]
    scope_name: str
    scope_version: str
    scope_attributes: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One span as OTLP has it, as far as it is stored. Times are nanoseconds since 1970; 0 is not known."""

    trace_id: UUID
    span_id: int  # signed 64-bit
    parent_span_id: int | None
    name: str
    kind: int  # OTLP's number
    start_ns: int
    end_ns: int
    status: int
    status_message: str
    trace_state: str
    attributes: dict[str, Any]
    events: Sequence[dict[str, Any]]  # {"name", "at_ns", "attributes"}
    links: Sequence[dict[str, Any]]  # {"trace_id" hex, "span_id" hex, "attributes"}
    dropped: dict[str, int]  # attributes, events, links that its sender left out
    sender: Sender


class NewIds:
    """Other ids for the spans of one trace: the same input and salt give the same ids, so that parts fit together.

    They are in the order of the old ones, which is what decides between spans of one start. Ids that are not among
    `span_ids` (a parent that never arrived, links to other traces) stay as they are.
    """

    def __init__(self, trace_id: UUID, span_ids: Collection[int], salt: str, *, is_whole: bool = True) -> None:
        self._salt = salt.encode()[:64]
        self._trace_id = trace_id
        known = sorted(set(span_ids))
        self._new = dict(zip(known, sorted({self._number(span_id) for span_id in known}), strict=True))
        self._is_whole = is_whole
        self.trace_id = UUID(bytes=self._digest(b"trace", trace_id.bytes, 16))

    def _digest(self, what: bytes, data: bytes, size: int) -> bytes:
        return hashlib.blake2b(data, digest_size=size, key=self._salt, person=what).digest()

    def _number(self, span_id: int) -> int:
        data = self._digest(b"span", (span_id % _WRAP).to_bytes(8, "big"), 8)
        return int.from_bytes(data, "big", signed=True) or 1

    def span(self, span_id: int) -> int:
        """The other id of a span of the trace; any other span's stays."""
        return self._new.get(span_id, span_id)

    def apply(self, span: Outgoing) -> Outgoing:
        """The span with its other ids. Alone in its new trace, it is the root there."""
        parent = span.parent_span_id
        if parent is not None:
            parent = self.span(parent) if self._is_whole or parent in self._new else None
        links = [self._link(link) for link in span.links]
        return replace(
            span, trace_id=self.trace_id, span_id=self.span(span.span_id), parent_span_id=parent, links=links
        )

    def _link(self, link: dict[str, Any]) -> dict[str, Any]:
        if link.get("trace_id") != self._trace_id.hex:
            return link
        try:
            number = int(str(link.get("span_id", "")), 16)
        except ValueError:
            return link
        span_id = number - _WRAP if number >= _SIGN else number
        return {**link, "trace_id": self.trace_id.hex, "span_id": hex_span_id(self.span(span_id))}
