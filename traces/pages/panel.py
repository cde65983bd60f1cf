"""The panel beside the tree: one span in four tabs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urlencode

from telltale.lib import clock
from traces.canonical.types import Kind, SpanFlag, SpanStatus
from traces.forms import Pair
from traces.pages.content import ContentView, Text, plain, view_content
from traces.pages.costs import CostView, view_cost
from traces.pages.words import COUNT_REASONS, KINDS, VOCABULARIES, flag_words
from traces.read import SpanDetail, SpanRow
from traces.wire.ids import hex_span_id

TABS = ("messages", "sources", "attributes", "raw")
VALUE_MAX = 2000
ROWS_MAX = 400
EVENTS_MAX = 100
RAW_MAX = 60_000
STACK_MAX = 20_000
_QUIET = frozenset({Kind.SPAN, Kind.CHAIN, Kind.AGENT, Kind.GUARDRAIL, Kind.EVALUATOR, Kind.PROMPT, Kind.MEMORY})
_OTEL_KINDS = ("unspecified", "internal", "server", "client", "producer", "consumer")


@dataclass(frozen=True, slots=True)
class Tab:
    """One tab of the panel."""

    name: str
    label: str
    href: str
    count: int
    is_current: bool


@dataclass(frozen=True, slots=True)
class ErrorView:
    """What went wrong: class, message, stack."""

    type: str
    message: str
    stack: Text | None


@dataclass(frozen=True, slots=True)
class Reference:
    """A span that this one points to, or that points to it."""

    href: str
    label: str
    why: str


@dataclass(frozen=True, slots=True)
class EventView:
    """Something that happened within the span."""

    name: str
    at: datetime | None
    attributes: str


@dataclass(frozen=True, slots=True)
class Group:
    """Attributes of one origin as (key, value) rows."""

    title: str
    note: str
    rows: tuple[tuple[str, str], ...]
    more: int


@dataclass(frozen=True, slots=True)
class Panel:
    """All that the panel writes for the tab in use; what other tabs need is left empty."""

    span: SpanRow
    tab: str
    tabs: tuple[Tab, ...]
    word: str
    icon: str
    css: str
    head: str
    error: ErrorView | None
    flags: tuple[str, ...]
    counting: Reference | None
    also: tuple[Reference, ...]
    is_body_missing: bool
    content: ContentView
    cost: CostView | None
    facts: tuple[tuple[str, str], ...]
    groups: tuple[Group, ...]
    events: tuple[EventView, ...]
    more_events: int
    links: tuple[Reference, ...]
    raw: Text | None
    raw_href: str
    copy_href: str


def view_panel(project_id: int, detail: SpanDetail, tab: str, keep: list[Pair], trace_base: str) -> Panel:
    """One span for one tab. `trace_base` is the address of a trace up to its id."""
    span = detail.span
    word, icon, css = KINDS[span.kind]
    is_error = span.status == SpanStatus.ERROR
    content = view_content(detail.content, is_quiet=span.kind in _QUIET)
    events = detail.body.get("events", [])
    is_attributes = tab == "attributes"
    return Panel(
        span=span,
        tab=tab,
        tabs=_tabs(span, tab, keep, len(content.sources) + content.more_sources),
        word=word,
        icon=icon,
        css="err" if is_error else css,
        head=span.model or span.tool_name or span.agent_name or word,
        error=_error(detail) if is_error or "error_message" in detail.body else None,
        flags=tuple(flag_words(span.flags)),
        counting=_counting(span, trace_base, keep),
        also=tuple(
            Reference(_span_href(other.hex_id, keep), other.name, COUNT_REASONS.get(other.count_reason, ""))
            for other in detail.also_reported_by
            if other.count_reason is not None
        ),
        is_body_missing=detail.is_body_missing,
        content=content,
        cost=view_cost(project_id, span, detail.body.get("cost_reported_by", "")) if tab == "messages" else None,
        facts=_facts(detail),
        groups=_groups(detail) if is_attributes else (),
        events=tuple(map(_event, events[:EVENTS_MAX])) if is_attributes else (),
        more_events=max(len(events) - EVENTS_MAX, 0),
        links=_links(detail, trace_base) if is_attributes else (),
        raw=_raw(detail) if tab == "raw" else None,
        raw_href="?" + urlencode([("span", span.hex_id), ("format", "json")]),
        copy_href=f"{trace_base}{span.hex_trace_id}/copy/?{urlencode([('span', span.hex_id)])}",
    )


def raw_json(detail: SpanDetail) -> str:
    """Everything that is stored of a span, as JSON."""
    span = detail.span
    columns = {name: getattr(span, name) for name in SpanRow.__dataclass_fields__}
    columns |= {"trace_id": span.hex_trace_id, "span_id": span.hex_id, "parent_span_id": span.hex_parent_id}
    columns |= {"kind": span.kind.name.lower(), "status": span.status.name.lower()}
    columns["flags"] = [str(flag.name).lower() for flag in SpanFlag if flag & span.flags]
    columns["cost_status"] = span.cost_status.name.lower() if span.cost_status else None
    columns["count_reason"] = span.count_reason.name.lower() if span.count_reason else None
    columns["duplicate_of_trace"] = span.duplicate_of_trace.hex if span.duplicate_of_trace else None
    columns["duplicate_of_span"] = None if span.duplicate_of_span is None else hex_span_id(span.duplicate_of_span)
    del columns["batch_id"], columns["payload_id"]
    known = {name: value for name, value in columns.items() if value not in (None, (), {}, "")}
    return plain({**known, "body": detail.body, "log_events": list(detail.logs)})


def _tabs(span: SpanRow, tab: str, keep: list[Pair], n_sources: int) -> tuple[Tab, ...]:
    labels = {"messages": "Messages", "sources": "Sources", "attributes": "Attributes", "raw": "Raw JSON"}
    if span.kind is Kind.TOOL:
        labels["messages"] = "Call"
    elif span.kind in _QUIET:
        labels["messages"] = "Content"
    rest = [pair for pair in keep if pair[0] != "tab"]
    return tuple(
        Tab(
            name,
            labels[name],
            "?" + urlencode([("span", span.hex_id), ("tab", name), *rest]),
            n_sources if name == "sources" else 0,
            name == tab,
        )
        for name in TABS
    )


def _span_href(hex_id: str, keep: list[Pair]) -> str:
    return "?" + urlencode([("span", hex_id), *keep])


def _error(detail: SpanDetail) -> ErrorView:
    body, span = detail.body, detail.span
    stack = body.get("error_stack") or ""
    return ErrorView(
        type=span.error_type or "",
        message=body.get("error_message") or span.status_message or "",
        stack=Text(stack[:STACK_MAX], len(stack) if len(stack) > STACK_MAX else 0) if stack else None,
    )


def _counting(span: SpanRow, trace_base: str, keep: list[Pair]) -> Reference | None:
    """Why this span's usage is not in any total, and which span's is."""
    if span.counted or span.count_reason is None:
        return None
    why = COUNT_REASONS[span.count_reason]
    if span.duplicate_of_span is None:
        return Reference("", "", why)
    hex_id = hex_span_id(span.duplicate_of_span)
    if span.duplicate_of_trace is None or span.duplicate_of_trace == span.trace_id:
        return Reference(_span_href(hex_id, keep), f"span {hex_id}", why)
    other = span.duplicate_of_trace.hex
    return Reference(f"{trace_base}{other}/?span={hex_id}", f"span {hex_id} of trace {other[:8]}", why)


def _facts(detail: SpanDetail) -> tuple[tuple[str, str], ...]:
    """Short facts as (word, value); those that are not known are left out."""
    span = detail.span
    asked, answered = span.model_requested, span.model_answered
    facts: list[tuple[str, str | None]] = [
        ("Model asked for", asked if asked and asked != answered else None),
        ("Model that answered", answered if asked and asked != answered else None),
        ("Provider", span.provider),
        ("Finish", span.finish_reason),
        ("Streamed", None if span.streamed is None else ("yes" if span.streamed else "no")),
        ("Speed", _speed(span)),
        ("Service tier", span.service_tier),
        ("Prompt", " ".join(part for part in (span.prompt_name, span.prompt_version) if part) or None),
        ("Agent", span.agent_name),
        ("Workflow", span.workflow_name),
        ("Tool call", detail.content.tool_call_id),
        ("Response id", span.response_id),
    ]
    facts += [(key.replace("_", " ").capitalize(), plain(value)) for key, value in _parameters(detail)]
    return tuple((word, value[:VALUE_MAX]) for word, value in facts if value)


def _parameters(detail: SpanDetail) -> Iterable[tuple[str, Any]]:
    return (detail.content.parameters or detail.body.get("parameters") or {}).items()


def _speed(span: SpanRow) -> str | None:
    """Output tokens a second after the first token, where all of it is known."""
    if span.ttft_ms is None or span.duration_ms is None or span.usage is None or not span.usage.output_text:
        return None
    seconds = (span.duration_ms - span.ttft_ms) / 1000
    return f"{span.usage.output_text / seconds:,.0f} tokens/s after the first" if seconds > 0.01 else None


def _groups(detail: SpanDetail) -> tuple[Group, ...]:
    span, body = detail.span, detail.body
    identity: dict[str, Any] = {
        "trace id": span.hex_trace_id,
        "span id": span.hex_id,
        "parent span id": span.hex_parent_id,
        "id at its sender": body.get("foreign_span_id"),
        "parent id at its sender": body.get("foreign_parent_id"),
        "started, ns since 1970": body.get("start_ns"),
        "ended, ns since 1970": body.get("end_ns"),
        "kind of span": _OTEL_KINDS[span.otel_kind] if 0 <= span.otel_kind < len(_OTEL_KINDS) else span.otel_kind,
        "operation": span.operation,
        "user": span.user_id,
        "session": span.session_id,
        "feature": span.feature,
        "environment": span.environment,
        "release": span.release,
        "service": span.service,
        "tags": ", ".join(span.tags) or None,
        "trace state": body.get("trace_state"),
        "provider as sent": body.get("provider_raw"),
        "finish reasons as sent": ", ".join(map(str, body.get("finish_reasons", []))) or None,
    }
    scope = {"scope": span.scope_name, "version": span.scope_version, "speaks": VOCABULARIES[span.vocabulary]}
    groups = (
        _group("Identity", "", identity),
        _group("Metadata", "what the application attached", span.metadata),
        _group("Attributes", "as sent, nothing was read from them", span.attributes),
        _group("Attributes read from", "as sent; columns and messages come from them", body.get("raw", {})),
        _group("Token counts as reported", "", body.get("usage", {})),
        _group("Cut", "original sizes in bytes", body.get("cut", {})),
        _group("Resource", "", span.resource),
        _group("Instrumentation", "", {**scope, **span.scope_attributes}),
    )
    return tuple(group for group in groups if group.rows)


def _group(title: str, note: str, values: Mapping[str, Any]) -> Group:
    rows = [(str(key), plain(value)) for key, value in values.items() if value is not None and value != ""]
    return Group(
        title, note, tuple((key, _short(value)) for key, value in rows[:ROWS_MAX]), max(len(rows) - ROWS_MAX, 0)
    )


def _short(value: str) -> str:
    return value if len(value) <= VALUE_MAX else f"{value[:VALUE_MAX]}…"


def _event(event: Mapping[str, Any]) -> EventView:
    at_ns = event.get("at_ns")
    try:
        at = clock.from_ns(at_ns) if isinstance(at_ns, int) and at_ns > 0 else None
    except OverflowError:
        at = None
    return EventView(str(event.get("name", "")), at, plain(event.get("attributes") or None)[:VALUE_MAX])


def _links(detail: SpanDetail, trace_base: str) -> tuple[Reference, ...]:
    found = []
    for link in detail.body.get("links", [])[:EVENTS_MAX]:
        trace, span = str(link.get("trace_id", "")), str(link.get("span_id", ""))
        href = f"{trace_base}{trace}/?{urlencode([('span', span)])}" if len(trace) == 32 and trace.isalnum() else ""
        found.append(Reference(href, f"span {span} of trace {trace}", _short(plain(link.get("attributes") or None))))
    return tuple(found)


def _raw(detail: SpanDetail) -> Text:
    text = raw_json(detail)
    return Text(text[:RAW_MAX], len(text) if len(text) > RAW_MAX else 0)
