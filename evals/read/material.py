"""What a judge looks at: question, answer, conversation, documents and tools of a trace, from its stored spans."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

import orjson

from evals.judges.config import Mapped
from evals.judges.material import Document, Material, Message, Tool
from evals.models import DatasetItem, ExperimentResult
from traces.canonical.content import Content
from traces.canonical.content import Message as Spoken
from traces.canonical.types import Kind
from traces.read import SpanDetail, TraceRow
from traces.read.contents import Told, read_told

AUTO = Mapped()
_RETRIEVALS = (Kind.RETRIEVER, Kind.RERANKER)


def load_material(project_id: int, trace_id: UUID, span_id: int = 0, mapping: Mapped = AUTO) -> Material | None:
    """What a trace (or one span of it) holds for a judge; None where it is not there any more."""
    return load_materials(project_id, [(trace_id, span_id)], mapping).get((trace_id, span_id))


def load_materials(
    project_id: int, targets: Iterable[tuple[UUID, int]], mapping: Mapped = AUTO
) -> dict[tuple[UUID, int], Material]:
    """What many traces (or spans, 0 for the whole) hold, read together; those that are gone are left out."""
    wanted = list(dict.fromkeys(targets))
    trace_ids = list(dict.fromkeys(trace_id for trace_id, _ in wanted))
    told = read_told(
        project_id, trace_ids, span_ids=[span_id for _, span_id in wanted if span_id], names=_names(mapping)
    )
    found: dict[tuple[UUID, int], Material] = {}
    for trace_id, span_id in wanted:
        held = told.get(trace_id)
        if held is None:
            continue
        if span_id and not any(each.span.span_id == span_id for each in held.spans):
            continue
        found[trace_id, span_id] = material_of(held, span_id, mapping)
    return found


def _names(mapping: Mapped) -> list[str]:
    sources = (mapping.question, mapping.answer, mapping.system)
    named = [source[5:].rpartition(".")[0] for source in sources if source.startswith("span:")]
    return named + ([mapping.documents[5:]] if mapping.documents.startswith("span:") else [])


def material_of(told: Told, span_id: int = 0, mapping: Mapped = AUTO) -> Material:
    """The material of a trace that was read with its spans; pure."""
    trace = told.trace
    spans = [each for each in told.spans if not each.span.is_duplicate] or list(told.spans)
    chosen = next((each for each in spans if each.span.span_id == span_id), None) if span_id else None
    main = chosen or _main(trace, spans)
    question, answer, system, messages = _auto(trace, spans, main, is_span=bool(span_id))
    if mapping.question != "auto":
        question = _source(mapping.question, trace, spans)
    if mapping.answer != "auto":
        answer = _source(mapping.answer, trace, spans)
    if mapping.system != "auto":
        system = _source(mapping.system, trace, spans)
    span = main.span if main is not None else None
    return Material(
        trace_id=trace.hex_id,
        question=question,
        answer=answer,
        messages=messages,
        system=system,
        documents=_documents(spans, mapping.documents),
        tools=_tools(spans),
        metadata=_metadata(trace, spans),
        feature=trace.feature or "",
        model=(span.model if span is not None and span.model else None) or next(iter(trace.models), ""),
        finish_reason=(span.finish_reason if chosen is not None and span is not None else trace.finish_reason) or "",
        duration_ms=span.duration_ms if chosen is not None and span is not None else trace.duration_ms,
        ttft_ms=span.ttft_ms if chosen is not None and span is not None else trace.ttft_ms,
        cost_pico=_cost(trace, chosen),
        input_tokens=trace.tokens_in,
        output_tokens=trace.tokens_out,
        error_type=(span.error_type if chosen is not None and span is not None else trace.error_type) or "",
        span_id=span_id,
    )


def _cost(trace: TraceRow, chosen: SpanDetail | None) -> int | None:
    if chosen is not None:
        return chosen.span.cost_pico
    return trace.cost.pico


def _main(trace: TraceRow, spans: Sequence[SpanDetail]) -> SpanDetail | None:
    """The model call whose answer the user saw: the last with text; else the root."""
    calls = [each for each in spans if each.span.kind is Kind.GENERATION]
    with_words = [each for each in calls if _said(each.content)]
    if with_words:
        return with_words[-1]
    return calls[-1] if calls else _root(trace, spans)


def _root(trace: TraceRow, spans: Sequence[SpanDetail]) -> SpanDetail | None:
    named = next((each for each in spans if each.span.span_id == trace.root_span_id), None)
    return named or next((each for each in spans if each.span.parent_span_id is None), None)


def _auto(
    trace: TraceRow, spans: Sequence[SpanDetail], main: SpanDetail | None, *, is_span: bool
) -> tuple[str, str, str, tuple[Message, ...]]:
    """Question, answer, system and what was said before, as the trace itself shows them."""
    if main is None:
        return "", "", "", ()
    content = main.content
    said = [Message(each.role, _text(each)) for each in content.input_messages]
    system = "\n\n".join(
        [part.text for part in content.system_instructions if part.text]
        + [each.text for each in said if each.role == "system" and each.text]
    )
    talk = [each for each in said if each.role != "system" and each.text]
    last = max((at for at, each in enumerate(talk) if each.role == "user"), default=None)
    question = talk[last].text if last is not None else content.input_text or ""
    before = tuple(talk[:last]) if last is not None else ()
    answer = _said(content)
    root = _root(trace, spans)
    if not is_span and root is not None and root is not main:
        # The root is what the application took and gave, where it says so: retrieved text may stand in the prompt.
        question = _plain(root.content.input_text) or question
        answer = answer or _said(root.content) or root.content.output_text or ""
    if not is_span:
        question = question or trace.preview_in or ""
        answer = answer or (trace.preview_out or "" if not any(_said(each.content) for each in spans) else "")
    return question, answer, system, before


def _plain(text: str | None) -> str:
    """A text that people wrote, not the JSON of a function's arguments."""
    text = (text or "").strip()
    return "" if text[:1] in "{[" else text


def _said(content: Content) -> str:
    """The text a span gave: its output messages, else its plain output."""
    text = "\n".join(filter(None, (each.text() for each in content.output_messages)))
    return text or content.output_text or ""


def _text(message: Spoken) -> str:
    """A message as text; calls of tools and their results as one line each."""
    parts: list[str] = []
    for part in message.parts:
        if part.type == "text" and part.text:
            parts.append(part.text)
        elif part.type == "tool_call":
            parts.append(f"[calls {part.name or 'a tool'} with {_json(part.arguments)}]")
        elif part.type == "tool_result":
            parts.append(f"[result: {_json(part.result)}]")
        elif part.type == "media":
            parts.append(f"[{part.media_type or 'media'}]")
    return "\n".join(parts)


def _json(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    try:
        return orjson.dumps(value).decode()
    except (orjson.JSONEncodeError, RecursionError):
        return str(value)[:10_000]


def _documents(spans: Sequence[SpanDetail], source: str) -> tuple[Document, ...]:
    if source == "none":
        return ()
    if source.startswith("span:"):
        from_spans = [each for each in spans if each.span.name == source[5:]]
    else:
        ranked = [each for each in spans if each.span.kind is Kind.RERANKER and each.content.documents]
        from_spans = ranked or [each for each in spans if each.content.documents]
    documents: list[Document] = []
    for each in from_spans:
        for rank, document in enumerate(each.content.documents, start=1):
            documents.append(
                Document(document.id or "", document.content or "", document.score, rank, each.span.span_id)
            )
    return tuple(documents)


def _tools(spans: Sequence[SpanDetail]) -> tuple[Tool, ...]:
    return tuple(
        Tool(
            each.span.tool_name or each.content.tool_name or each.span.name,
            _json(each.content.tool_arguments),
            _json(each.content.tool_result),
            (each.span.error_type or each.span.status_message or "error") if each.span.status == 2 else "",
        )
        for each in spans
        if each.span.kind is Kind.TOOL
    )


def _metadata(trace: TraceRow, spans: Sequence[SpanDetail]) -> dict[str, object]:
    root = _root(trace, spans)
    return dict(root.span.metadata) if root is not None else {}


def _source(source: str, trace: TraceRow, spans: Sequence[SpanDetail]) -> str:
    """One part by its mapping; "" where the trace has no such place."""
    if source == "none":
        return ""
    root = _root(trace, spans)
    if source.startswith("attribute:"):
        return _json(None if root is None else root.span.attributes.get(source[10:]))
    if source.startswith("metadata:"):
        return _json(_metadata(trace, spans).get(source[9:]))
    place, _, side = source.rpartition(".")
    calls = [each for each in spans if each.span.kind is Kind.GENERATION]
    if place == "root":
        found = root
    elif place == "first_generation":
        found = calls[0] if calls else None
    elif place == "last_generation":
        found = calls[-1] if calls else None
    else:
        found = next((each for each in reversed(spans) if each.span.name == place[5:]), None)
    if found is None:
        return ""
    return _said(found.content) or _result(found.content) if side == "output" else _asked(found.content)


def _result(content: Content) -> str:
    return _json(content.tool_result)


def _asked(content: Content) -> str:
    last = next((each for each in reversed(content.input_messages) if each.role == "user"), None)
    if last is not None and _text(last):
        return _text(last)
    return content.input_text or content.retrieval_query or _json(content.tool_arguments)


def material_of_result(result: ExperimentResult) -> Material:
    """What one result of an experiment holds for a judge."""
    item = (
        DatasetItem.objects.filter(
            dataset_id=result.experiment.dataset_id,
            item_key=result.item_key,
            from_version__lte=result.experiment.dataset_version,
        )
        .order_by("-from_version")
        .first()
    )
    given = item.input if item is not None else None
    return Material(
        trace_id=result.trace_id.hex if result.trace_id is not None else "",
        question=_question(given),
        answer=_answer(result.output),
        messages=_talk(given),
        expected=_answer(item.expected) if item is not None else "",
        documents=_given_documents(given, result.output),
        metadata=dict(item.metadata) if item is not None else {},
        duration_ms=result.latency_ms,
        cost_pico=result.cost_pico,
        input_tokens=result.input_tokens,
        output_tokens=result.output_tokens,
        error_type=result.error,
    )


def _question(given: Any) -> str:
    if isinstance(given, dict):
        for name in ("question", "input", "prompt", "query", "text", "message"):
            if isinstance(given.get(name), str):
                return str(given[name])
        talk = _messages(given)
        last = next((each for each in reversed(talk) if each.role == "user"), None)
        if last is not None:
            return last.text
    return _json(given)


def _messages(given: Any) -> list[Message]:
    raw = given.get("messages") if isinstance(given, dict) else None
    if not isinstance(raw, list):
        return []
    return [
        Message(str(each.get("role", "")), _json(each.get("content")))
        for each in raw
        if isinstance(each, dict) and each.get("content") is not None
    ]


def _talk(given: Any) -> tuple[Message, ...]:
    """What was said before the question."""
    talk = _messages(given)
    last = max((at for at, each in enumerate(talk) if each.role == "user"), default=None)
    return tuple(talk[:last]) if last is not None else ()


def _answer(output: Any) -> str:
    if isinstance(output, dict):
        for name in ("answer", "output", "text", "content", "response", "expected"):
            if isinstance(output.get(name), str):
                return str(output[name])
    return _json(output)


def _given_documents(*sources: Any) -> tuple[Document, ...]:
    for source in sources:
        raw = source.get("documents") if isinstance(source, dict) else None
        if isinstance(raw, list):
            return tuple(
                Document(str(each.get("id", "")), _json(each.get("text", each.get("content"))), None, rank)
                if isinstance(each, dict)
                else Document("", _json(each), None, rank)
                for rank, each in enumerate(raw, start=1)
            )
    return ()
