"""The plain JSON of `POST /api/v1/traces`, for people without OpenTelemetry (docs/native-api.md).

One trace or a list of them, spans nested or flat. What can be read is kept; every item that cannot is named with its
path, its field and what is wrong.
"""

from __future__ import annotations

import secrets
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from traces.canonical.limits import DEFAULT_LIMITS, Limits
from traces.canonical.mapping import map_span
from traces.canonical.source import Source
from traces.canonical.text import clean_text
from traces.canonical.types import CanonicalSpan, Intake, WireError, WrongField
from traces.wire.ids import BadId, hex_span_id, trace_id_from
from traces.wire.json_pieces import Pieces, consume, read_listed
from traces.wire.native_spans import NativeError, Parent, draft_span
from traces.wire.protobuf import check_count
from traces.wire.refusals import Refusals, note_internal

VENDOR = "native"
SCOPE = "telltale.native"
MAX_ERRORS = 100  # named in the answer; all are counted
MAX_DEPTH = 64
LISTS = (list, Pieces)
_SHARED = ("user", "session", "feature", "release", "environment", "service", "tags", "metadata")


@dataclass(slots=True)
class NativeIntake:
    """What one request became. `intake` as for OTLP; `errors` say per item what is wrong; ids as stored, in hex."""

    intake: Intake = field(default_factory=Intake)
    errors: list[dict[str, str]] = field(default_factory=list)
    trace_ids: list[str] = field(default_factory=list)
    span_ids: list[str] = field(default_factory=list)


def read_native(document: bytes, received_at_ns: int, limits: Limits = DEFAULT_LIMITS) -> NativeIntake:
    """The spans of a native document; WireError 400 where nothing in it could be read as a trace.

    `intake.received` counts spans; `errors[i]` is {"path", "field", "message"}.
    """
    reader = _NativeReader(received_at_ns, limits)
    for path, trace in _traces_of(read_listed(document, "spans", "traces")):
        reader.take_trace(path, trace)
    if not reader.native.intake.spans:
        if reader.native.errors:
            first = reader.native.errors[0]
            message = f"{first['path']}: {first['field']}: {first['message']}"
            raise WireError(message, errors=tuple(_wrong_field(error) for error in reader.native.errors))
        raise WireError('the body holds no span; send {"name": ..., "spans": [...]} or a list of such traces')
    reader.native.intake.rejections = reader.refusals.rejections()
    return reader.native


def _wrong_field(error: dict[str, str]) -> WrongField:
    """An error of an item as its field with limit and value: messages here read "must be <limit>, got <value>"."""
    at = "" if error["path"] == "(body)" else error["path"] + "."
    told, found, value = error["message"].rpartition(", got ")
    limit = told.partition("must be ")[2] or told if found else None
    return at + error["field"], error["message"], limit, value if found else None


def _traces_of(document: Any) -> Iterator[tuple[str, Any]]:
    if isinstance(document, LISTS):
        for at, trace in enumerate(consume(document)):
            yield f"[{at}]", trace
    elif isinstance(document, dict) and isinstance(document.get("traces"), LISTS):
        for at, trace in enumerate(consume(document["traces"])):
            yield f"traces[{at}]", trace
    else:
        yield "", document


class _NativeReader:
    """Takes the traces of one document."""

    def __init__(self, received_at_ns: int, limits: Limits) -> None:
        self.native = NativeIntake()
        self.refusals = Refusals()
        self.received_at_ns = received_at_ns
        self.limits = limits
        self._sources: dict[tuple[Any, ...], Source] = {}
        self._named: set[str] = set()

    def error(self, path: str, name: str, message: str) -> None:
        """Name one item that cannot be used."""
        if len(self.native.errors) < MAX_ERRORS:
            self.native.errors.append({"path": path or "(body)", "field": name, "message": clean_text(message)[:300]})

    def take_trace(self, path: str, trace: Any) -> None:
        """One trace object: a span that is its own root, or a holder of `spans`."""
        if not isinstance(trace, dict):
            self.native.intake.received += 1
            self._refuse(path, "trace", f"must be a JSON object, got {type(trace).__name__}")
            return
        try:
            told = trace.get("trace_id", trace.get("id") if isinstance(trace.get("spans"), LISTS) else None)
            trace_id, foreign = self._trace_id(told)
        except BadId as error:
            self.error(path, "trace_id", str(error))
            self._refuse_all(trace, str(error))
            return
        shared = {name: trace[name] for name in _SHARED if trace.get(name) not in (None, "")}
        before = len(self.native.intake.spans)
        trace_hex = trace_id.hex
        spans = trace.get("spans")
        if isinstance(spans, LISTS):
            parent = self._root_of(path, trace, trace_id, foreign, shared)
            for at, item in enumerate(consume(spans)):
                self.take_span(f"{path}.spans[{at}]".lstrip("."), item, trace_id, foreign, parent, shared, 0)
        else:
            self.take_span(path, trace, trace_id, foreign, None, shared, 0)
        if len(self.native.intake.spans) > before and trace_hex not in self._named:
            self._named.add(trace_hex)
            self.native.trace_ids.append(trace_hex)

    def _trace_id(self, told: Any) -> tuple[UUID, str | None]:
        if told is None or told == "":
            return UUID(bytes=secrets.token_bytes(16)), None
        if not isinstance(told, str | int) or isinstance(told, bool):
            raise BadId(f"trace_id must be a text, got {type(told).__name__}")
        return trace_id_from(str(told), VENDOR)

    def _root_of(
        self, path: str, trace: dict[str, Any], trace_id: UUID, foreign: str | None, shared: dict[str, Any]
    ) -> Parent | None:
        """A trace with a name of its own is itself the root span of its spans."""
        if trace.get("name") is None:
            return None
        root = {key: value for key, value in trace.items() if key not in ("spans", "id", "trace_id", "root_span_id")}
        root["id"] = trace.get("root_span_id")
        root.setdefault("kind", "chain")
        if root.get("start") is None:
            root["start"] = next(
                (item["start"] for item in trace["spans"] if isinstance(item, dict) and item.get("start") is not None),
                None,
            )
        return self.take_span(path, root, trace_id, foreign, None, shared, 0)

    def take_span(
        self,
        path: str,
        item: Any,
        trace_id: UUID,
        foreign_trace_id: str | None,
        parent: Parent | None,
        shared: dict[str, Any],
        depth: int,
    ) -> Parent | None:
        """One span and the spans nested in it; what it is called as a parent, None where it was refused."""
        self._count(1)
        if not isinstance(item, dict):
            self._refuse(path, "span", f"must be a JSON object, got {type(item).__name__}")
            return None
        me: Parent | None = None
        try:
            draft, source_fields = draft_span(item, trace_id, foreign_trace_id, parent, shared, self.limits)
            me = Parent(draft.span_id, draft.foreign_span_id)
            span = map_span(draft, self._source(source_fields), self.received_at_ns, self.limits)
            self._keep(span)
        except NativeError as error:
            self._refuse(path, error.field, error.message)
        except BadId as error:
            self._refuse(path, "id", str(error))
        except Exception as error:  # noqa: BLE001 - one span's mapping must never cost its neighbours
            note_internal(self.refusals, error)
            self.error(path, "span", "could not be mapped; this is a fault of ours and has been logged")
        for key in ("children", "spans"):
            inner = item.get(key)
            for at, child in enumerate(inner if isinstance(inner, list) else ()):
                where = f"{path}.{key}[{at}]".lstrip(".")
                if depth >= MAX_DEPTH:
                    self.native.intake.received += 1
                    self._refuse(where, key, f"spans may be nested at most {MAX_DEPTH} deep; send them flat")
                else:
                    self.take_span(where, child, trace_id, foreign_trace_id, me, shared, depth + 1)
        return me

    def _count(self, more: int) -> None:
        check_count(self.native.intake.received + more, "spans")
        self.native.intake.received += more

    def _keep(self, span: CanonicalSpan) -> None:
        self.native.intake.spans.append(span)
        self.native.span_ids.append(hex_span_id(span.span_id))

    def _source(self, fields: tuple[tuple[str, str], ...]) -> Source:
        source = self._sources.get(fields)
        if source is None:
            source = self._sources[fields] = Source(dict(fields), SCOPE, "1", {}, self.limits.indexed_text_bytes)
        return source

    def _refuse(self, path: str, name: str, message: str) -> None:
        self.error(path, name, message)
        self.refusals.add("bad_field", f"{path or 'span'}: {name}: {message}")

    def _refuse_all(self, trace: dict[str, Any], message: str) -> None:
        """Count every span of a trace whose id cannot be used."""
        spans = trace.get("spans")
        count = len(spans) if isinstance(spans, LISTS) and spans else 1
        self._count(count)
        for _ in range(count):
            self.refusals.add("bad_id", message)
