"""OTLP protobuf bodies as groups of messages; one hostile message costs itself, not the request.

The stock parser refuses a whole request for one byte of bad UTF-8 or one value nested too deeply. Then the request is
split on the wire and each message is parsed alone, bad text replaced by means of a second set of message classes in
which every string is bytes.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2
from opentelemetry.proto.common.v1 import common_pb2
from opentelemetry.proto.logs.v1 import logs_pb2
from opentelemetry.proto.metrics.v1 import metrics_pb2
from opentelemetry.proto.resource.v1 import resource_pb2
from opentelemetry.proto.trace.v1 import trace_pb2

from traces.canonical.types import WireError

_STRING = descriptor_pb2.FieldDescriptorProto.TYPE_STRING
_BYTES = descriptor_pb2.FieldDescriptorProto.TYPE_BYTES
LARGE_BYTES = 8 * 1024 * 1024
# One span, record or metric over this is refused alone: 2 bytes of it may become 50 in the parser's memory.
MAX_ITEM_BYTES = 16 * 1024 * 1024
# Spans or log records of one request. 64 MiB of empty ones would be 30 million.
MAX_ITEMS = 150_000
_MAX_FIELDS = 1_000_000
_GROUP_ITEMS = 4096  # of a large request, so many are held parsed at a time
_FILES = (common_pb2, resource_pb2, trace_pb2, logs_pb2, metrics_pb2)


@dataclass(frozen=True, slots=True)
class Signal:
    """One of OTLP's three signals: its request message and the names of its levels."""

    request: Any
    item: Any
    groups: str
    scopes: str
    items: str


TRACES = Signal(trace_service_pb2.ExportTraceServiceRequest, trace_pb2.Span, "resource_spans", "scope_spans", "spans")
LOGS = Signal(
    logs_service_pb2.ExportLogsServiceRequest, logs_pb2.LogRecord, "resource_logs", "scope_logs", "log_records"
)
METRICS = Signal(
    metrics_service_pb2.ExportMetricsServiceRequest, metrics_pb2.Metric, "resource_metrics", "scope_metrics", "metrics"
)


@dataclass(slots=True)
class Group:
    """The messages of one (resource, scope). `repaired` are positions whose text was replaced; `refused` could not be
    parsed even alone, with why."""

    resource: Any
    scope: Any
    items: Any
    repaired: set[int] = field(default_factory=set)
    refused: list[str] = field(default_factory=list)
    resource_repaired: bool = False


def read_groups(body: bytes, signal: Signal) -> Iterator[Group]:
    """The groups of a request; WireError 400 where not even its outline can be read, 413 where it holds too much.

    A large body is split as well: parsed whole, it would take many times its size at once.
    """
    if len(body) > LARGE_BYTES:
        yield from _split(body, signal)
        return
    try:
        request = signal.request.FromString(body)
    except DecodeError:
        yield from list(_split(body, signal))
        return
    for resource_group in getattr(request, signal.groups):
        for scope_group in getattr(resource_group, signal.scopes):
            yield Group(resource_group.resource, scope_group.scope, getattr(scope_group, signal.items))


def check_count(count: int, what: str) -> None:
    """WireError 413 where a request holds more items than one may."""
    if count > MAX_ITEMS:
        raise WireError(
            f"the request holds more than {MAX_ITEMS} {what}; lower the exporter's batch size", status=413, code=8
        )


def _split(body: bytes, signal: Signal) -> Iterator[Group]:
    """The same by hand. Both outer levels have resource or scope as field 1 and what they hold as field 2."""
    outline = _Outline()
    for number, resource_group in outline.fields(memoryview(body)):
        if number != 1:
            continue
        resource_bytes, scope_groups = outline.halves(resource_group)
        resource, resource_repaired = _parse_part(resource_bytes, resource_pb2.Resource)
        for scope_group in scope_groups:
            scope_bytes, item_bytes = outline.halves(scope_group)
            scope, scope_repaired = _parse_part(scope_bytes, common_pb2.InstrumentationScope)
            was_repaired = resource_repaired or scope_repaired
            for at in range(0, len(item_bytes), _GROUP_ITEMS) or (0,):
                group = Group(resource, scope, [], resource_repaired=was_repaired)
                for data in item_bytes[at : at + _GROUP_ITEMS]:
                    _take(group, data, signal)
                yield group


def _take(group: Group, data: memoryview, signal: Signal) -> None:
    if len(data) > MAX_ITEM_BYTES:
        group.refused.append(f"{len(data)} bytes long, over the limit of {MAX_ITEM_BYTES}")
        return
    try:
        item, was_repaired = _parse(bytes(data), signal.item)
    except DecodeError as error:
        group.refused.append(_reason(error))
        return
    if was_repaired:
        group.repaired.add(len(group.items))
    group.items.append(item)


def _parse_part(data: bytes, message: Any) -> tuple[Any, bool]:
    """Resource or scope; what cannot be parsed is taken as empty, since it is no reason to lose its spans."""
    try:
        return _parse(data, message)
    except DecodeError:
        return message(), True


def _parse(data: bytes, message: Any) -> tuple[Any, bool]:
    """The message, and whether text in it had to be replaced; DecodeError where it cannot be read at all."""
    try:
        return message.FromString(data), False
    except DecodeError:
        loose = _loose_class(message.DESCRIPTOR.full_name).FromString(data)
        _mend(loose, _string_fields())
        return message.FromString(loose.SerializeToString()), True


def _mend(message: Message, strings: frozenset[str]) -> None:
    """Replace bad UTF-8 in every field that is text in the true class. The parser's own depth limit bounds this."""
    for descriptor, value in message.ListFields():
        if descriptor.message_type is not None:
            for child in value if descriptor.is_repeated else (value,):
                _mend(child, strings)
        elif descriptor.full_name in strings:
            if descriptor.is_repeated:
                value[:] = [_utf8(item) for item in value]
            else:
                setattr(message, descriptor.name, _utf8(value))


def _utf8(data: bytes) -> bytes:
    return data.decode("utf-8", "replace").encode()


def _reason(error: DecodeError) -> str:
    return (
        "nested too deeply" if "depth" in str(error).lower() or "recursion" in str(error).lower() else "not decodable"
    )


@cache
def _pool() -> tuple[descriptor_pool.DescriptorPool, frozenset[str]]:
    """The message types with every string as bytes, and the full names of the fields that were strings."""
    pool = descriptor_pool.DescriptorPool()
    strings: set[str] = set()

    def loosen(message: descriptor_pb2.DescriptorProto, prefix: str) -> None:
        name = f"{prefix}.{message.name}"
        for field_proto in message.field:
            if field_proto.type == _STRING:
                field_proto.type = _BYTES
                field_proto.ClearField("default_value")
                strings.add(f"{name}.{field_proto.name}")
        for nested in message.nested_type:
            loosen(nested, name)

    for module in _FILES:
        file_proto = descriptor_pb2.FileDescriptorProto()
        module.DESCRIPTOR.CopyToProto(file_proto)
        for message in file_proto.message_type:
            loosen(message, file_proto.package)
        pool.Add(file_proto)
    return pool, frozenset(strings)


def _string_fields() -> frozenset[str]:
    return _pool()[1]


@cache
def _loose_class(full_name: str) -> Any:
    return message_factory.GetMessageClass(_pool()[0].FindMessageTypeByName(full_name))


class _Outline:
    """Walks the outer messages of one request; how many fields they may have together is bounded."""

    def __init__(self) -> None:
        self.left = _MAX_FIELDS

    def halves(self, data: memoryview) -> tuple[bytes, list[memoryview]]:
        """Field 1 (the last one counts, parts merge) and every field 2 of a message."""
        first: list[bytes] = []
        second: list[memoryview] = []
        for number, payload in self.fields(data):
            if number == 1:
                first.append(bytes(payload))
            elif number == 2:
                second.append(payload)
        check_count(len(second), "items")
        return b"".join(first), second

    def fields(self, data: memoryview) -> Iterator[tuple[int, memoryview]]:
        """The length-delimited fields of a message; others are stepped over. WireError 400 where bytes end early."""
        at, end, depth = 0, len(data), 0
        while at < end:
            self.left -= 1
            if self.left < 0:
                raise WireError(f"the request has more than {_MAX_FIELDS} parts", status=413, code=8)
            tag, at = _varint(data, at)
            kind = tag & 7
            if kind == 2:
                size, at = _varint(data, at)
                if size > end - at:
                    raise WireError("protobuf body is truncated")
                if not depth:
                    yield tag >> 3, data[at : at + size]
                at += size
            elif kind == 0:
                _, at = _varint(data, at)
            elif kind in (1, 5):
                at += 8 if kind == 1 else 4
            elif kind == 3:  # a group, of which OTLP has none: unknown, so stepped over whole
                depth += 1
            elif kind == 4 and depth:
                depth -= 1
            else:
                raise WireError("body is no OTLP protobuf message")
            if at > end:
                raise WireError("protobuf body is truncated")
        if depth:
            raise WireError("protobuf body is truncated")


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if at >= len(data) or shift > 63:
            raise WireError("body is no OTLP protobuf message")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
        shift += 7
