"""Stored spans as what goes out again (traces.forward): as sent, as far as it is stored."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson

from telltale.lib import clock
from traces.canonical.types import Body
from traces.forward import Outgoing, Sender
from traces.read.spans import SpanDetail, SpanRow

# A status message in a column is cut at 1,024 bytes; the whole of a longer one is in the body.
_CUT_CHARS = 200


def sender_of(span: SpanRow) -> Sender:
    """Who sent a span."""
    return make_sender(span.resource, span.scope_name, span.scope_version, span.scope_attributes)


def make_sender(resource: dict[str, Any], name: str, version: str, attributes: dict[str, Any]) -> Sender:
    """A sender, whose key is the same wherever resource and scope are."""
    parts = (resource, name, version, attributes)
    data = orjson.dumps(parts, option=orjson.OPT_SORT_KEYS | orjson.OPT_NON_STR_KEYS)
    key = int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "big", signed=True)
    return Sender(key, *parts)


def outgoing_span(detail: SpanDetail) -> Outgoing:
    """A span with its body, ready to be sent."""
    span = detail.span
    duration_ns = None if span.duration_ms is None else round(span.duration_ms * 1e6)
    return make_outgoing(span, detail.body, duration_ns, sender_of(span))


def make_outgoing(span: Any, body: Body, duration_ns: int | None, sender: Sender) -> Outgoing:
    """As `outgoing_span`; `span` is anything with the columns of a span."""
    start_ns = body.get("start_ns") or ns_of(span.started_at)
    end_ns = body.get("end_ns") or (0 if duration_ns is None else start_ns + duration_ns)
    message, whole = span.status_message or "", body.get("error_message") or ""
    if len(message) > _CUT_CHARS and whole.startswith(message):
        message = whole
    return Outgoing(
        trace_id=span.trace_id,
        span_id=span.span_id,
        parent_span_id=span.parent_span_id,
        name=span.name,
        kind=span.otel_kind,
        start_ns=start_ns,
        end_ns=end_ns,
        status=int(span.status),
        status_message=message,
        trace_state=body.get("trace_state", ""),
        attributes={**body.get("raw", {}), **span.attributes},
        events=body.get("events", []),
        links=body.get("links", []),
        dropped=body.get("dropped", {}),
        sender=sender,
    )


def with_logs(span: Outgoing, detail: SpanDetail) -> Outgoing:
    """The span with its GenAI log events among its own events, as older conventions have them.

    What was said then travels with the span: sent again under the same ids it is a duplicate as a whole, where log
    events beside it would be stored twice.
    """
    return replace(span, events=[*span.events, *map(_event, detail.logs)]) if detail.logs else span


def _event(log: Mapping[str, Any]) -> dict[str, Any]:
    body = log.get("body")
    told = body if isinstance(body, dict) else {"content": body} if body is not None else {}
    return {
        "name": log["event_name"],
        "at_ns": ns_of(log["at"]),
        "attributes": {**(log.get("attributes") or {}), **told},
    }


def ns_of(at: datetime) -> int:
    """Nanoseconds since 1970, exact to the microsecond that is stored."""
    since = at - clock.EPOCH
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1000
