"""Spans of OTLP requests. Children of one hostile span are neither lost nor delayed: it is refused alone, by reason."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

from traces.canonical.limits import DEFAULT_LIMITS, Limits
from traces.canonical.mapping import Draft, map_span
from traces.canonical.notes import Notes
from traces.canonical.source import Source
from traces.canonical.text import clean_text
from traces.canonical.types import Intake
from traces.wire.ids import describe_bytes
from traces.wire.json_pieces import consume, json_requests
from traces.wire.otlp_json import (
    BadField,
    enum,
    id_bytes,
    listing,
    mapping,
    nanoseconds,
    objects,
    text,
)
from traces.wire.protobuf import TRACES, check_count, read_groups
from traces.wire.refusals import Refusals, note_internal
from traces.wire.values import clean_key, clean_payload, keep_first, read_json_pairs, read_pairs

_KINDS = ("UNSPECIFIED", "INTERNAL", "SERVER", "CLIENT", "PRODUCER", "CONSUMER")
_STATUSES = ("UNSET", "OK", "ERROR")


def read_traces(body: bytes, is_json: bool, *, received_at_ns: int, limits: Limits = DEFAULT_LIMITS) -> Intake:
    """The spans of an ExportTraceServiceRequest; WireError 400 where not even its outline can be read.

    `intake.received == len(intake.spans) + sum(r.count for r in intake.rejections)` always. What the same request says
    twice is left to the store.
    """
    intake = Intake()
    refusals = Refusals()
    if is_json:
        _read_json(body, intake, refusals, received_at_ns, limits)
    else:
        _read_protobuf(body, intake, refusals, received_at_ns, limits)
    intake.rejections = refusals.rejections()
    return intake


def _read_protobuf(body: bytes, intake: Intake, refusals: Refusals, received_at_ns: int, limits: Limits) -> None:
    trace_ids: dict[bytes, UUID] = {}
    for group in read_groups(body, TRACES):
        check_count(intake.received + len(group.items), "spans")
        source = protobuf_source(group.resource, group.scope, limits)
        if group.resource_repaired:
            _warn(intake, "resource or scope held text that was not UTF-8; it was replaced")
        for reason in group.refused:
            intake.received += 1
            refusals.add("not_decodable", f"a span's protobuf is {reason}")
        repaired = group.repaired
        for at, message in enumerate(group.items):
            intake.received += 1
            try:
                draft = _draft(message, trace_ids, limits)
                if at in repaired:
                    draft.notes.repaired = True
                intake.spans.append(map_span(draft, source, received_at_ns, limits))
            except BadField as error:
                refusals.add("bad_id", str(error))
            except Exception as error:  # noqa: BLE001 - one span's mapping must never cost its neighbours
                note_internal(refusals, error)


def _warn(intake: Intake, warning: str) -> None:
    if warning not in intake.warnings:
        intake.warnings.append(warning)


def protobuf_source(resource: Any, scope: Any, limits: Limits) -> Source:
    """The source of a protobuf group."""
    notes = Notes()
    return Source(
        keep_first(read_pairs(resource.attributes, limits, notes), limits, notes, "resource"),
        clean_key(scope.name, notes),
        clean_key(scope.version, notes),
        keep_first(read_pairs(scope.attributes, limits, notes), limits, notes, "scope"),
        limits.indexed_text_bytes,
    )


def json_source(resource: dict[str, Any], scope: dict[str, Any], limits: Limits) -> Source:
    """The source of a JSON group."""
    notes = Notes()
    return Source(
        keep_first(read_json_pairs(resource.get("attributes"), limits, notes), limits, notes, "resource"),
        clean_key(text(scope.get("name")), notes),
        clean_key(text(scope.get("version")), notes),
        keep_first(read_json_pairs(scope.get("attributes"), limits, notes), limits, notes, "scope"),
        limits.indexed_text_bytes,
    )


def _draft(message: Any, trace_ids: dict[bytes, UUID], limits: Limits) -> Draft:
    trace_bytes = message.trace_id
    trace_id = trace_ids.get(trace_bytes)
    if trace_id is None:
        if len(trace_bytes) != 16 or not any(trace_bytes):
            raise BadField(f"trace_id must be 16 bytes that are not all zero, got {describe_bytes(trace_bytes)}")
        trace_id = trace_ids[trace_bytes] = UUID(bytes=trace_bytes)
    span_bytes = message.span_id
    span_id = int.from_bytes(span_bytes, "big", signed=True)
    if len(span_bytes) != 8 or not span_id:
        raise BadField(f"span_id must be 8 bytes that are not all zero, got {describe_bytes(span_bytes)}")
    notes = Notes()
    attributes = read_pairs(message.attributes, limits, notes)
    if len(attributes) > limits.attributes:
        attributes = keep_first(attributes, limits, notes, "attributes")
    draft = Draft(
        trace_id,
        span_id,
        _parent(message.parent_span_id),
        clean_payload(message.name, "name", limits, notes),
        message.kind,
        message.start_time_unix_nano,
        message.end_time_unix_nano,
        attributes,
        notes,
    )
    status = message.status
    draft.status = status.code
    if status.message:
        draft.status_message = clean_payload(status.message, "status_message", limits, notes)
    if message.events:
        draft.events = _events(message.events, limits, notes)
    if message.links:
        draft.links = _links(message.links, limits, notes)
    if message.trace_state:
        draft.trace_state = clean_payload(message.trace_state, "trace_state", limits, notes)
    if message.dropped_attributes_count or message.dropped_events_count or message.dropped_links_count:
        draft.dropped = _dropped(
            message.dropped_attributes_count, message.dropped_events_count, message.dropped_links_count
        )
    return draft


def _parent(data: bytes) -> int | None:
    """The parent's id; none where it is left out or all zero."""
    if not data:
        return None
    if len(data) != 8:
        if not any(data):
            return None
        raise BadField(f"parent_span_id must be 8 bytes, got {describe_bytes(data)}")
    return int.from_bytes(data, "big", signed=True) or None


def _dropped(attributes: int, events: int, links: int) -> dict[str, int]:
    counts = {"attributes": attributes, "events": events, "links": links}
    return {name: count for name, count in counts.items() if count}


def _first(items: Any, limit: int, what: str, notes: Notes) -> Any:
    """The first `limit` events or links; the number sent is noted."""
    if len(items) <= limit:
        return items
    notes.attributes_cut = True
    notes.note_cut(what, len(items))
    return items[:limit]


def _events(items: Any, limits: Limits, notes: Notes) -> list[dict[str, Any]]:
    events = []
    for item in _first(items, limits.events, "events", notes):
        event: dict[str, Any] = {
            "name": clean_payload(item.name, "event", limits, notes), "at_ns": item.time_unix_nano,
        }  # fmt: skip
        if item.attributes:
            pairs = read_pairs(item.attributes, limits, notes)
            event["attributes"] = keep_first(pairs, limits, notes, "event attributes")
        events.append(event)
    return events


def _links(items: Any, limits: Limits, notes: Notes) -> list[dict[str, Any]]:
    links = []
    for item in _first(items, limits.links, "links", notes):
        link: dict[str, Any] = {"trace_id": item.trace_id[:64].hex(), "span_id": item.span_id[:64].hex()}
        if item.attributes:
            link["attributes"] = keep_first(
                read_pairs(item.attributes, limits, notes), limits, notes, "link attributes"
            )
        links.append(link)
    return links


def _read_json(body: bytes, intake: Intake, refusals: Refusals, received_at_ns: int, limits: Limits) -> None:
    for resource, scope, items in json_requests(body, "resourceSpans", "scopeSpans", "spans"):
        source = json_source(resource, scope, limits)
        check_count(intake.received + len(items), "spans")
        for item in consume(items):
            intake.received += 1
            if not isinstance(item, dict):
                refusals.add("not_decodable", f"a span must be a JSON object, got {type(item).__name__}")
                continue
            try:
                intake.spans.append(map_span(_json_draft(item, limits), source, received_at_ns, limits))
            except BadField as error:
                refusals.add("bad_id" if "hex" in str(error) or "zero" in str(error) else "bad_field", str(error))
            except Exception as error:  # noqa: BLE001 - one span's mapping must never cost its neighbours
                note_internal(refusals, error)


def _json_draft(item: dict[str, Any], limits: Limits) -> Draft:
    trace_bytes = id_bytes(item.get("traceId"), "traceId", 16)
    span_bytes = id_bytes(item.get("spanId"), "spanId", 8)
    if not any(trace_bytes) or not any(span_bytes):
        field = "spanId" if any(trace_bytes) else "traceId"
        raise BadField(f"{field} must not be all zero")
    parent = id_bytes(item.get("parentSpanId"), "parentSpanId", 8, optional=True)
    notes = Notes()
    status = mapping(item.get("status"))
    draft = Draft(
        UUID(bytes=trace_bytes),
        int.from_bytes(span_bytes, "big", signed=True),
        int.from_bytes(parent, "big", signed=True) or None,
        clean_payload(text(item.get("name")), "name", limits, notes),
        enum(item.get("kind"), "SPAN_KIND_", _KINDS),
        nanoseconds(item.get("startTimeUnixNano"), "startTimeUnixNano"),
        nanoseconds(item.get("endTimeUnixNano"), "endTimeUnixNano"),
        keep_first(read_json_pairs(item.get("attributes"), limits, notes), limits, notes, "attributes"),
        notes,
        status=enum(status.get("code"), "STATUS_CODE_", _STATUSES),
        status_message=clean_payload(text(status.get("message")), "status_message", limits, notes),
        trace_state=clean_payload(text(item.get("traceState")), "trace_state", limits, notes),
    )
    draft.events = _json_events(item.get("events"), limits, notes) or None
    draft.links = _json_links(item.get("links"), limits, notes) or None
    counts = (_count(item.get(f"dropped{what}Count")) for what in ("Attributes", "Events", "Links"))
    draft.dropped = _dropped(*counts) or None
    return draft


def _count(value: Any) -> int:
    return value if isinstance(value, int) and 0 <= value < 2**32 else 0


def _json_list(
    value: Any, limit: int, what: str, notes: Notes, read: Callable[[dict[str, Any]], dict[str, Any]]
) -> list[dict[str, Any]]:
    return [read(item) for item in objects(_first(listing(value), limit, what, notes))]


def _json_events(value: Any, limits: Limits, notes: Notes) -> list[dict[str, Any]]:
    def read(item: dict[str, Any]) -> dict[str, Any]:
        event: dict[str, Any] = {
            "name": clean_payload(text(item.get("name")), "event", limits, notes),
            "at_ns": nanoseconds(item.get("timeUnixNano"), "timeUnixNano"),
        }
        if item.get("attributes"):
            pairs = read_json_pairs(item["attributes"], limits, notes)
            event["attributes"] = keep_first(pairs, limits, notes, "event attributes")
        return event

    return _json_list(value, limits.events, "events", notes, read)


def _json_links(value: Any, limits: Limits, notes: Notes) -> list[dict[str, Any]]:
    def read(item: dict[str, Any]) -> dict[str, Any]:
        link: dict[str, Any] = {
            "trace_id": clean_text(text(item.get("traceId"))[:64]),
            "span_id": clean_text(text(item.get("spanId"))[:64]),
        }
        if item.get("attributes"):
            pairs = read_json_pairs(item["attributes"], limits, notes)
            link["attributes"] = keep_first(pairs, limits, notes, "link attributes")
        return link

    return _json_list(value, limits.links, "links", notes, read)
