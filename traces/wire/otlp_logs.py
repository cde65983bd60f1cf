"""GenAI log events of OTLP requests. Records that nobody joins to a span are counted by reason and dropped."""

from __future__ import annotations

from collections import Counter
from typing import Any
from uuid import UUID

from traces.canonical.limits import DEFAULT_LIMITS, Limits
from traces.canonical.moments import clamp_us
from traces.canonical.notes import Notes
from traces.canonical.source import digest64
from traces.canonical.text import clean_value
from traces.canonical.types import LogEvent, LogIntake
from traces.wire.ids import describe_bytes
from traces.wire.json_pieces import consume, json_requests
from traces.wire.otlp_json import BadField, id_bytes, nanoseconds, text
from traces.wire.protobuf import LOGS, check_count, read_groups
from traces.wire.refusals import Refusals, note_internal
from traces.wire.values import keep_first, read_any, read_json_any, read_json_pairs, read_pairs

EVENTS = frozenset({
    "gen_ai.system.message", "gen_ai.user.message", "gen_ai.assistant.message", "gen_ai.tool.message", "gen_ai.choice",
    "gen_ai.client.inference.operation.details", "gen_ai.evaluation.result",
})  # fmt: skip
NOT_GENAI = "not_a_genai_event"
NO_SPAN = "no_span_id"


def read_logs(body: bytes, is_json: bool, *, received_at_ns: int, limits: Limits = DEFAULT_LIMITS) -> LogIntake:
    """The GenAI events of an ExportLogsServiceRequest; WireError 400 where not even its outline can be read.

    `received == len(events) + sum(dropped) + sum(rejected)` always.
    """
    reader = _LogReader(received_at_ns, limits)
    if is_json:
        for _, _, items in json_requests(body, "resourceLogs", "scopeLogs", "logRecords"):
            check_count(reader.intake.received + len(items), "log records")
            for item in consume(items):
                reader.take(reader.from_json, item)
    else:
        for group in read_groups(body, LOGS):
            check_count(reader.intake.received + len(group.items), "log records")
            for reason in group.refused:
                reader.intake.received += 1
                reader.refusals.add("not_decodable", f"a log record's protobuf is {reason}")
            for item in group.items:
                reader.take(reader.from_protobuf, item)
    reader.intake.rejections = reader.refusals.rejections("log records")
    reader.intake.dropped = dict(reader.dropped)
    return reader.intake


class _LogReader:
    """Takes the records of one request."""

    def __init__(self, received_at_ns: int, limits: Limits) -> None:
        self.intake = LogIntake()
        self.refusals = Refusals()
        self.dropped: Counter[str] = Counter()
        self.received_at_ns = received_at_ns
        self.limits = limits

    def take(self, read: Any, item: Any) -> None:
        """Read one record: an event, a reason to drop it, or a refusal."""
        self.intake.received += 1
        try:
            read(item)
        except BadField as error:
            self.refusals.add("bad_id", str(error))
        except Exception as error:  # noqa: BLE001 - one record must never cost its neighbours
            note_internal(self.refusals, error)

    def from_protobuf(self, record: Any) -> None:
        notes = Notes()
        attributes = keep_first(read_pairs(record.attributes, self.limits, notes), self.limits, notes, "attributes")
        name = _event_name(record.event_name, attributes)
        content: Any = None
        if name is None and record.body.HasField("kvlist_value"):
            content = read_any(record.body, "body", self.limits, notes)
            name = _event_name("", content)
        if name is None:
            self.dropped[NOT_GENAI] += 1
            return
        if content is None:
            content = read_any(record.body, "body", self.limits, notes)
        moment = record.time_unix_nano or record.observed_time_unix_nano
        self._add(name, record.trace_id, record.span_id, moment, content, attributes)

    def from_json(self, record: Any) -> None:
        if not isinstance(record, dict):
            raise BadField(f"a log record must be a JSON object, got {type(record).__name__}")
        notes = Notes()
        pairs = read_json_pairs(record.get("attributes"), self.limits, notes)
        attributes = keep_first(pairs, self.limits, notes, "attributes")
        content = read_json_any(record.get("body"), "body", self.limits, notes)
        name = _event_name(text(record.get("eventName")), attributes) or _event_name("", content)
        if name is None:
            self.dropped[NOT_GENAI] += 1
            return
        moment = nanoseconds(record.get("timeUnixNano"), "timeUnixNano") or nanoseconds(
            record.get("observedTimeUnixNano"), "observedTimeUnixNano"
        )
        trace_bytes = id_bytes(record.get("traceId"), "traceId", 16, optional=True)
        span_bytes = id_bytes(record.get("spanId"), "spanId", 8, optional=True)
        self._add(name, trace_bytes, span_bytes, moment, content, attributes)

    def _add(
        self, name: str, trace_bytes: bytes, span_bytes: bytes, moment: int, content: Any, attributes: dict[str, Any]
    ) -> None:
        if not any(trace_bytes) or not any(span_bytes):
            self.dropped[NO_SPAN] += 1
            return
        if len(trace_bytes) != 16:
            raise BadField(f"trace_id must be 16 bytes, got {describe_bytes(trace_bytes)}")
        if len(span_bytes) != 8:
            raise BadField(f"span_id must be 8 bytes, got {describe_bytes(span_bytes)}")
        content = clean_value(content)
        index = content.get("index") if isinstance(content, dict) else None
        self.intake.events.append(
            LogEvent(
                trace_id=UUID(bytes=trace_bytes),
                span_id=int.from_bytes(span_bytes, "big", signed=True),
                event_name=name,
                happened_us=clamp_us((moment or self.received_at_ns) // 1000),
                ordinal=self.intake.received - 1,
                digest=digest64(name, str(moment), index, content, attributes),
                body={"body": content, "attributes": attributes},
            )
        )


def _event_name(told: str, attributes: Any) -> str | None:
    """The GenAI event that a record is, by its own field, or by what its attributes or body call it."""
    if told in EVENTS:
        return told
    if isinstance(attributes, dict):
        for key in ("event.name", "event_name", "name"):
            name = attributes.get(key)
            if isinstance(name, str) and name in EVENTS:
                return name
    return None
