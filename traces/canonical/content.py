"""What a span's page shows: messages, tool calls, documents, read from the body when somebody looks.

Pure. A span's own content wins; log events fill only what the span itself lacks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from traces.canonical.documents import Document, read_documents, unflatten_documents
from traces.canonical.log_content import LogContent, join_logs
from traces.canonical.messages import Message, Part, decode_messages, from_flat, read_messages, read_parts, unflatten
from traces.canonical.previews import log_previews, previews
from traces.canonical.text import decode, decode_loose, decode_map, parse_json
from traces.canonical.types import Kind, SpanFlag, Vocabulary

__all__ = ["Content", "Document", "Message", "Part", "build_content", "log_previews", "previews"]

PRESENT = "present"
NOT_CAPTURED = "not_captured"
TRUNCATED = "truncated"
REDACTED = "redacted"
SCRUBBED = "scrubbed_by_client"

# Whole inputs and outputs, most believed first (docs/data-model.md).
INPUT_KEYS = (
    "telltale.input", "langfuse.observation.input", "mlflow.spanInputs", "input.value", "traceloop.entity.input",
    "gen_ai.prompt", "langfuse.trace.input", "request_data", "input",
)  # fmt: skip
OUTPUT_KEYS = (
    "telltale.output", "langfuse.observation.output", "mlflow.spanOutputs", "output.value", "traceloop.entity.output",
    "gen_ai.completion", "final_result", "langfuse.trace.output", "response_data", "output",
)  # fmt: skip
_INPUT_MESSAGES = (
    ("langfuse.observation.input", "", "user"),
    ("mlflow.spanInputs", "", "user"),
    ("gen_ai.input.messages", "", "user"),
    ("", "llm.input_messages.", "user"),
    ("gen_ai.prompt", "", "user"),
    ("", "gen_ai.prompt.", "user"),
    ("pydantic_ai.all_messages", "", "user"),
    ("all_messages_events", "", "user"),
    ("traceloop.entity.input", "", "user"),
)
_OUTPUT_MESSAGES = (
    ("langfuse.observation.output", "", "assistant"),
    ("mlflow.spanOutputs", "", "assistant"),
    ("gen_ai.output.messages", "", "assistant"),
    ("", "llm.output_messages.", "assistant"),
    ("gen_ai.completion", "", "assistant"),
    ("", "gen_ai.completion.", "assistant"),
    ("traceloop.entity.output", "", "assistant"),
)
# Kinds whose input and output are a conversation even where only plain text was sent.
_CHAT_KINDS = frozenset({Kind.GENERATION})
_TOOL_ARGUMENTS = ("gen_ai.tool.call.arguments", "gen_ai.tool.args", "tool_arguments")
_TOOL_RESULTS = ("gen_ai.tool.call.result", "tool_response")
_PARAMETER_MAPS = (
    "llm.invocation_parameters",
    "embedding.invocation_parameters",
    "langfuse.observation.model.parameters",
)
# MLflow writes parameters under their bare names.
_BARE_PARAMETERS = (
    "temperature", "top_p", "top_k", "max_tokens", "max_completion_tokens", "seed", "stop", "n", "frequency_penalty",
    "presence_penalty", "response_format", "reasoning_effort",
)  # fmt: skip
_NO_PARAMETERS = frozenset({"model", "model_name", "messages", "tools", "functions", "input", "prompt", "_type"})
_SCRUB_MARK = "[Scrubbed due to"
_REDACT_MARK = "__REDACTED__"


@dataclass(frozen=True, slots=True)
class Content:
    """What went in and came out of a span. None and empty mean that nothing was sent; `state` says why, where known.

    Messages are set for chats; `input_text` and `output_text` for everything else that has an input or output.
    """

    input_messages: tuple[Message, ...] = ()
    output_messages: tuple[Message, ...] = ()
    system_instructions: tuple[Part, ...] = ()
    tool_definitions: Any = None
    input_text: str | None = None
    output_text: str | None = None
    input_mime: str | None = None
    output_mime: str | None = None
    tool_name: str | None = None
    tool_call_id: str | None = None
    tool_arguments: Any = None
    tool_result: Any = None
    retrieval_query: str | None = None
    documents: tuple[Document, ...] = ()
    rerank_in: tuple[Document, ...] = ()
    prompt_variables: dict[str, Any] | None = None
    parameters: dict[str, Any] | None = None
    state: str = NOT_CAPTURED


def build_content(
    kind: Kind,
    vocabulary: Vocabulary | str,
    raw: Mapping[str, Any],
    attributes: Mapping[str, Any] | None = None,
    events: Sequence[Mapping[str, Any]] | None = None,
    log_events: Sequence[Mapping[str, Any]] | None = None,
    *,
    flags: int = 0,
) -> Content:
    """The content of a span from its body's `raw` attributes, its other attributes, its events and its log events.

    `log_events` are what was stored of them: {"event_name", "body", "attributes", "at", "ordinal"}, in any order.
    """
    attributes = attributes or {}
    told = join_logs(_span_events(events)) if events else LogContent()
    logged = join_logs(log_events) if log_events else LogContent()
    inputs = _messages(raw, _INPUT_MESSAGES, kind) or told.input_messages or logged.input_messages
    outputs = _messages(raw, _OUTPUT_MESSAGES, kind) or told.output_messages or logged.output_messages
    input_text, output_text = _text_of(raw, INPUT_KEYS), _text_of(raw, OUTPUT_KEYS)
    if kind in _CHAT_KINDS:
        inputs = inputs or _messages_of_text(raw, INPUT_KEYS, "user")
        outputs = outputs or _messages_of_text(raw, OUTPUT_KEYS, "assistant")
    instructions = _parts(raw.get("gen_ai.system_instructions")) or told.system or logged.system
    tool_arguments = tool_result = None
    if kind is Kind.TOOL:
        tool_arguments = _first(raw, _TOOL_ARGUMENTS, INPUT_KEYS)
        tool_result = _first(raw, _TOOL_RESULTS, OUTPUT_KEYS)
    documents: tuple[Document, ...] = ()
    rerank_in: tuple[Document, ...] = ()
    query = None
    if kind in (Kind.RETRIEVER, Kind.RERANKER) or "gen_ai.retrieval.documents" in raw or _has_documents(raw):
        query = _query(raw)
        documents = _documents(raw)
        rerank_in = unflatten_documents(raw, "reranker.input_documents.")
    content = Content(
        input_messages=tuple(inputs),
        output_messages=tuple(outputs),
        system_instructions=instructions,
        tool_definitions=_tool_definitions(raw, attributes) or told.tool_definitions or logged.tool_definitions,
        input_text=None if _has_words(inputs) else input_text or _embedded_texts(raw),
        output_text=None if _has_words(outputs) else output_text,
        input_mime=_mime(raw, "input.mime_type"),
        output_mime=_mime(raw, "output.mime_type"),
        tool_name=_mime(raw, "gen_ai.tool.name") or _mime(raw, "tool.name") or _mime(raw, "traceloop.entity.name")
        if kind is Kind.TOOL
        else None,
        tool_call_id=_mime(raw, "gen_ai.tool.call.id") or _mime(raw, "tool_call.id"),
        tool_arguments=tool_arguments,
        tool_result=tool_result,
        retrieval_query=query,
        documents=documents,
        rerank_in=rerank_in,
        prompt_variables=_prompt_variables(raw),
        parameters=_parameters(raw, attributes, vocabulary),
    )
    return _with_state(content, raw, flags)


def _with_state(content: Content, raw: Mapping[str, Any], flags: int) -> Content:
    has_words = _has_words(content.input_messages + content.output_messages)
    values = (
        content.input_text, content.output_text, content.tool_arguments, content.tool_result, content.retrieval_query,
        content.documents,
    )  # fmt: skip
    has_any = has_words or any(value is not None and value != () for value in values)
    state = PRESENT if has_any else NOT_CAPTURED
    if flags & SpanFlag.CONTENT_REDACTED or _REDACT_MARK in (content.input_text, content.output_text):
        state = REDACTED
    elif flags & SpanFlag.CONTENT_SCRUBBED or any(
        isinstance(value, str) and value.startswith(_SCRUB_MARK) for value in raw.values()
    ):
        state = SCRUBBED
    elif has_any and flags & SpanFlag.TRUNCATED:
        state = TRUNCATED
    fields = {name: getattr(content, name) for name in Content.__dataclass_fields__}
    return Content(**{**fields, "state": state})


def _messages(raw: Mapping[str, Any], sources: tuple[tuple[str, str, str], ...], kind: Kind) -> list[Message]:
    """The messages of the first source that says anything; else of the first that has messages without content.

    Spans that are no chats have messages only where they are told as such.
    """
    silent: list[Message] = []
    for key, prefix, role in sources:
        if prefix:
            found = from_flat(raw, prefix, role)
        else:
            value = raw.get(key)
            if value is None or value == "" or value == "null":
                continue
            decoded = decode_loose(value)
            if kind not in _CHAT_KINDS and not key.startswith(("gen_ai.", "pydantic_ai.")) and not _is_chat(decoded):
                continue
            found = read_messages(decoded, role)
        if _has_words(found):
            return found
        silent = silent or found
    return silent


def _has_words(messages: Sequence[Message]) -> bool:
    return any(message.parts for message in messages)


def _is_chat(value: Any) -> bool:
    """Whether a decoded value is a list of messages, not any list of objects."""
    if not isinstance(value, list) or not value:
        return False
    return all(isinstance(item, Mapping) and "role" in item and "content" in item for item in value)


def _messages_of_text(raw: Mapping[str, Any], keys: tuple[str, ...], role: str) -> list[Message]:
    for key in keys:
        value = raw.get(key)
        if value is not None and value not in ("", "null"):
            found = decode_messages(value, role)
            if found:
                return found
    return []


def _span_events(events: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Older GenAI conventions put messages into span events, the body's fields as attributes."""
    return [
        {
            "event_name": event.get("name"),
            "attributes": event.get("attributes") or {},
            "body": event.get("attributes") or {},
            "at": event.get("at_ns") or 0,
            "ordinal": at,
        }
        for at, event in enumerate(events)
        if str(event.get("name", "")).startswith("gen_ai.")
    ]


def _text_of(raw: Mapping[str, Any], keys: tuple[str, ...]) -> str | None:
    for key in keys:
        value = raw.get(key)
        if value is None or value == "" or value == "null":
            continue
        if isinstance(value, str):
            inner = decode(value)  # MLflow and Langfuse quote plain text
            return inner if isinstance(inner, str) else value
        return str(value)
    return None


def _embedded_texts(raw: Mapping[str, Any]) -> str | None:
    texts = [
        item["embedding"]["text"]
        for item in unflatten(raw, "embedding.embeddings.")
        if isinstance(item, dict)
        and isinstance(item.get("embedding"), dict)
        and isinstance(item["embedding"].get("text"), str)
    ]
    return "\n".join(texts) or None


def _first(raw: Mapping[str, Any], own: tuple[str, ...], general: tuple[str, ...]) -> Any:
    for key in (*own, *general):
        value = raw.get(key)
        if value is not None and value != "":
            return decode_loose(value)
    return None


def _mime(raw: Mapping[str, Any], key: str) -> str | None:
    value = raw.get(key)
    return value if isinstance(value, str) and value else None


def _parts(value: Any) -> tuple[Part, ...]:
    return read_parts(decode_loose(value)) if value else ()


def _has_documents(raw: Mapping[str, Any]) -> bool:
    return any(key.startswith(("retrieval.documents.", "reranker.")) for key in raw)


def _documents(raw: Mapping[str, Any]) -> tuple[Document, ...]:
    for prefix in ("reranker.output_documents.", "retrieval.documents."):
        found = unflatten_documents(raw, prefix)
        if found:
            return found
    for key in ("gen_ai.retrieval.documents", "documents", *OUTPUT_KEYS):
        if key in raw:
            found = read_documents(decode_loose(raw[key]))
            if found:
                return found
    return ()


def _query(raw: Mapping[str, Any]) -> str | None:
    for key in ("gen_ai.retrieval.query.text", "reranker.query"):
        if isinstance(raw.get(key), str) and raw[key]:
            return str(raw[key])
    for key in INPUT_KEYS:
        value = decode_loose(raw.get(key))
        if isinstance(value, str) and value:
            return value
        if isinstance(value, Mapping):
            return _query_in(value)
    return None


def _query_in(value: Mapping[str, Any]) -> str | None:
    """The query in a decorated function's arguments."""
    for key in ("query", "question", "input", "text", "q"):
        if isinstance(value.get(key), str):
            return str(value[key])
    arguments = value.get("args")
    if isinstance(arguments, list):
        for item in arguments:
            if isinstance(item, str):
                return item
    inner = value.get("kwargs")
    return _query_in(inner) if isinstance(inner, Mapping) and inner else None


def _tool_definitions(raw: Mapping[str, Any], attributes: Mapping[str, Any]) -> Any:
    for key in ("gen_ai.tool.definitions", "mlflow.chat.tools"):
        if raw.get(key):
            return decode_loose(raw[key])
    flat = unflatten(raw, "llm.tools.")
    if flat:
        schemas = [item.get("tool", item) if isinstance(item, dict) else item for item in flat]
        return [decode(item.get("json_schema", item)) if isinstance(item, dict) else item for item in schemas]
    functions = unflatten(raw, "llm.request.functions.")
    if functions:
        return [
            {**item, "parameters": decode(item.get("parameters"))} if isinstance(item, dict) else item
            for item in functions
        ]
    told = decode_loose(raw.get("langfuse.observation.input"))
    if isinstance(told, Mapping) and told.get("tools"):
        return told["tools"]
    return decode_loose(attributes["tools"]) if attributes.get("tools") else None


def _prompt_variables(raw: Mapping[str, Any]) -> dict[str, Any] | None:
    for key in ("telltale.prompt.variables", "llm.prompt_template.variables"):
        found = decode_map(raw.get(key))
        if found:
            return found
    prefix = "traceloop.prompt.template_variables."
    return {key[len(prefix) :]: value for key, value in raw.items() if key.startswith(prefix)} or None


def _parameters(
    raw: Mapping[str, Any], attributes: Mapping[str, Any], vocabulary: Vocabulary | str
) -> dict[str, Any] | None:
    """What was asked of the model beside the messages; OpenLIT writes provider defaults as if they had been asked."""
    found: dict[str, Any] = {}
    for key in _PARAMETER_MAPS:
        told = decode_map(raw.get(key))
        if told:
            found |= {name: value for name, value in told.items() if name not in _NO_PARAMETERS and value is not None}
    prefix = "gen_ai.request."
    for key, value in raw.items():
        if key.startswith(prefix) and key != "gen_ai.request.model" and value is not None and value != "":
            found[key[len(prefix) :]] = value
    if vocabulary == Vocabulary.MLFLOW:
        found |= {name: _bare(attributes[name]) for name in _BARE_PARAMETERS if name in attributes}
    return found or None


def _bare(value: Any) -> Any:
    """A parameter that MLflow writes as JSON text, numbers included."""
    found = parse_json(value) if isinstance(value, str) else None
    return value if found is None else found
