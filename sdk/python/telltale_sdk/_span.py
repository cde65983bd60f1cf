"""One step of the application while it runs: what it was given, what it gave, which model it called, how it ended."""

from __future__ import annotations

import time
import traceback
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from opentelemetry.trace import Span as OtelSpan
from opentelemetry.trace import Status, StatusCode

from telltale_sdk._capture import attribute_value, masked_text, to_label, to_text
from telltale_sdk._guard import guarded, warn_once

if TYPE_CHECKING:
    from telltale_sdk._client import Client
    from telltale_sdk._context import Frame

KINDS = (
    "generation", "embedding", "retriever", "reranker", "tool", "agent", "chain", "guardrail", "evaluator", "prompt",
    "memory", "span",
)  # fmt: skip
MODEL_KINDS = frozenset({"generation", "embedding", "reranker"})
STACK_BYTES = 16 * 1024
TAGS_MAX = 64
COUNT_MAX = 10**12
_COUNTS = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "total_tokens": "gen_ai.usage.total_tokens",
    "cache_read_tokens": "gen_ai.usage.cache_read.input_tokens",
    "cache_write_tokens": "gen_ai.usage.cache_creation.input_tokens",
    "cache_write_5m_tokens": "gen_ai.usage.cache_creation.ephemeral_5m_input_tokens",
    "cache_write_1h_tokens": "gen_ai.usage.cache_creation.ephemeral_1h_input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
    "input_audio_tokens": "gen_ai.usage.audio.input_tokens",
    "output_audio_tokens": "gen_ai.usage.audio.output_tokens",
}


class Span:
    """A span that is open. Every method may be called at any time, before and after its end, and raises nothing.

    Without `init()`, and for traces that are not in the sample, there is nothing behind it and no method does anything.
    """

    __slots__ = ("_client", "_is_open", "_is_shared", "_otel", "_started_ns", "_tags", "_ttft", "kind", "name")

    def __init__(self, name: str, kind: str, otel: OtelSpan | None, client: Client | None, started_ns: int) -> None:
        self.name = name
        self.kind = kind
        self._otel = otel
        self._client = client
        self._is_shared = client is not None and client.is_shared
        self._started_ns = started_ns
        self._is_open = otel is not None and otel.is_recording()
        self._ttft: float | None = None
        self._tags: list[str] = []

    @property
    def trace_id(self) -> str | None:
        """The trace as 32 hex digits, None where nothing is recorded."""
        found = self._otel.get_span_context() if self._otel is not None else None
        return f"{found.trace_id:032x}" if found is not None and found.is_valid else None

    @property
    def span_id(self) -> str | None:
        """The span as 16 hex digits, None where nothing is recorded."""
        found = self._otel.get_span_context() if self._otel is not None else None
        return f"{found.span_id:016x}" if found is not None and found.is_valid else None

    @property
    def is_recording(self) -> bool:
        """Whether what is told now will be sent."""
        return self._is_open

    @guarded(None)
    def set_input(self, value: Any) -> None:
        """What went in: text, a list of messages (`{"role", "content"}`), or anything else as JSON."""
        self._set_content("telltale.input", value)

    @guarded(None)
    def set_output(self, value: Any) -> None:
        """What came out: text, a message, or anything else as JSON."""
        self._set_content("telltale.output", value)

    @guarded(None)
    def set_model(self, model: str, provider: str | None = None, *, answered: str | None = None) -> None:
        """The model asked for, who serves it, and the exact model that answered, where it says so."""
        self._set_label("gen_ai.request.model", model)
        self._set_label("gen_ai.provider.name", provider)
        self._set_label("gen_ai.response.model", answered)

    @guarded(None)
    def set_usage(self, usage: Any = None, *, accounting: str | None = None, **counts: int | None) -> None:
        """Tokens: the provider's own usage object as it is, or counts by name; None is unknown and is not sent.

        Names: input_tokens, output_tokens, total_tokens, cache_read_tokens, cache_write_tokens, cache_write_5m_tokens,
        cache_write_1h_tokens, reasoning_tokens, input_audio_tokens, output_audio_tokens. `accounting` says whether
        input_tokens hold the cached ones, too: inclusive (so it is taken to be), exclusive, additive.
        """
        if usage is not None and self._is_open:
            self._set("gen_ai.usage.raw", to_text(usage, None, 8192))
        for name, value in counts.items():
            key = _COUNTS.get(name)
            count = _count(value)
            if key is None:
                warn_once(f"usage/{name}", "set_usage() knows no %s; it is not sent", name)
            elif count is not None:
                self._set(key, count)
        if accounting is not None:
            self._set_label("telltale.usage.accounting", accounting)

    @guarded(None)
    def set_finish_reason(self, reason: str) -> None:
        """Why the model stopped: stop, length, tool_call, content_filter, refusal, error, or its own word."""
        if reason:
            self._set("gen_ai.response.finish_reasons", [to_label(reason, None)])

    @guarded(None)
    def set_response_id(self, response_id: str) -> None:
        """The provider's id of the answer: with it one call that several spans tell of is counted once."""
        self._set_label("gen_ai.response.id", response_id)

    @guarded(None)
    def set_parameters(self, **parameters: Any) -> None:
        """What was asked of the model: temperature=0.2, max_tokens=400, stream=True ..."""
        for name, value in parameters.items():
            if value is not None:
                self._set(f"gen_ai.request.{name}", attribute_value(value, self._mask))

    @guarded(None)
    def set_prompt(
        self, name: str, version: str | int | None = None, variables: Mapping[str, Any] | None = None
    ) -> None:
        """The prompt and its version of this call alone; `telltale.prompt()` sets it for all calls below."""
        for key, value in prompt_attributes(name, version, variables, self._client).items():
            self._set(key, value)

    @guarded(None)
    def set_tool(self, name: str, *, arguments: Any = None, result: Any = None, call_id: str | None = None) -> None:
        """The tool that ran, where its name is not the span's."""
        self._set_label("gen_ai.tool.name", name)
        self._set_label("gen_ai.tool.call.id", call_id)
        if arguments is not None:
            self._set_content("gen_ai.tool.call.arguments", arguments)
        if result is not None:
            self._set_content("gen_ai.tool.call.result", result)

    @guarded(None)
    def set_retrieval(
        self, query: str | None = None, documents: Sequence[Any] | None = None, *, source: str | None = None,
        top_k: int | None = None,
    ) -> None:  # fmt: skip
        """What was searched and found. Documents: `{"id", "content", "score", "metadata"}`, best first."""
        self._set_label("gen_ai.data_source.id", source)
        if query is not None:
            self._set_content("gen_ai.retrieval.query.text", query)
        if documents is not None:
            self._set_content("gen_ai.retrieval.documents", documents)
        if top_k is not None:
            self._set("gen_ai.retrieval.top_k", int(top_k))

    @guarded(None)
    def set_cost(self, usd: float) -> None:
        """Your own figure in US dollars. Telltale shows it beside its own and never adds them."""
        self._set("telltale.cost_usd", float(usd))

    @guarded(None)
    def set_metadata(self, **entries: Any) -> None:
        """What you want to find the trace by: order="4711", plan="pro"."""
        for key, value in entries.items():
            if value is not None:
                self._set(f"telltale.metadata.{to_label(key)}", attribute_value(value, self._mask))

    @guarded(None)
    def add_tags(self, *tags: str) -> None:
        """Short words that group traces."""
        if not self._is_open:
            return
        known = [*self._tags, *(to_label(tag, self._mask, 256) for tag in tags)]
        self._tags = list(dict.fromkeys(tag for tag in known if tag))[:TAGS_MAX]
        if self._tags:
            self._set("telltale.tags", self._tags)

    @guarded(None)
    def set_attribute(self, key: str, value: Any) -> None:
        """Any OpenTelemetry attribute; what it cannot carry becomes JSON."""
        if value is not None:
            self._set(to_label(key), attribute_value(value, self._mask))

    @guarded(None)
    def first_token(self, at_ns: int | None = None) -> None:
        """The first piece of the answer is here: its time since the start is kept. Later calls change nothing.

        `at_ns`: nanoseconds since 1970, now by default.
        """
        if self._ttft is None and self._is_open:
            self._ttft = max((time.time_ns() if at_ns is None else at_ns) - self._started_ns, 0) / 1e9
            self._set("telltale.ttft_seconds", self._ttft)
            self._set("gen_ai.request.stream", True)

    @guarded(None)
    def set_error(
        self,
        error: BaseException | str,
        kind: str | None = None,
        *,
        stack: str | None = None,
        at_ns: int | None = None,
    ) -> None:
        """The step failed. An exception that leaves the span is recorded by itself.

        `kind`: its class, where `error` is only its words. `at_ns`: nanoseconds since 1970, now by default.
        """
        if not self._is_open or self._otel is None:
            return
        name = kind or (_type_of(error) if isinstance(error, BaseException) else "error")
        self._set_label("error.type", name)
        message = ""
        if self._captures:
            message = masked_text(_words(error), self._mask, 4096)
        self._otel.set_status(Status(StatusCode.ERROR, message or None))
        event = {"exception.type": name}
        if self._captures:
            event["exception.message"] = message
            if isinstance(error, BaseException) and stack is None:
                stack = "".join(traceback.format_exception(error, limit=-50))
            if stack:
                event["exception.stacktrace"] = masked_text(stack, self._mask, STACK_BYTES)
        self._otel.add_event("exception", event, at_ns)

    @property
    def _mask(self) -> Any:
        return self._client.config.mask if self._client is not None else None

    @property
    def _captures(self) -> bool:
        return self._client is not None and self._client.config.capture_content

    def _set(self, key: str, value: Any) -> None:
        if self._is_open and self._otel is not None:
            self._otel.set_attribute(key, value)

    def _set_label(self, key: str, value: Any) -> None:
        text = to_label(value) if self._is_open else ""
        if text:
            self._set(key, text)

    def _set_content(self, key: str, value: Any) -> None:
        if self._is_open and self._captures:
            self._set(key, to_text(value, self._mask))

    @guarded(None)
    def _end(self, frame: Frame, before: Frame, end_ns: int | None) -> None:
        """Close it, with what `user()` and their kin said while it was the innermost span."""
        if self._otel is None or not self._is_open:
            return
        try:
            if frame.span is self:
                if frame.labels is not before.labels:
                    for key, value in frame.labels.items():
                        self._set(key, value)
                if frame.prompt is not before.prompt and self.kind == "generation":
                    for key, value in frame.prompt.items():
                        self._set(key, value)
        finally:
            self._is_open = False
            self._otel.end(end_ns)


def prompt_attributes(
    name: str, version: str | int | None, variables: Mapping[str, Any] | None, client: Client | None
) -> dict[str, Any]:
    """The attributes of a prompt: its variables are content, and masked as such."""
    told: dict[str, Any] = {"telltale.prompt.name": to_label(name)}
    if version is not None:
        told["telltale.prompt.version"] = to_label(version)
    if variables and client is not None and client.config.capture_content:
        told["telltale.prompt.variables"] = to_text(dict(variables), client.config.mask)
    return {key: value for key, value in told.items() if value}


def tag_list(tags: Iterable[str], client: Client | None) -> list[str]:
    """Tags as they are sent."""
    mask = client.config.mask if client is not None else None
    return [text for tag in tags if (text := to_label(tag, mask, 256))][:TAGS_MAX]


def _count(value: Any) -> int | None:
    """A token count, None where it is none."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if 0 <= value <= COUNT_MAX and value == int(value) else None


def _type_of(error: BaseException) -> str:
    kind = type(error)
    return (
        kind.__qualname__ if kind.__module__ in ("builtins", "__main__") else f"{kind.__module__}.{kind.__qualname__}"
    )


def _words(error: BaseException | str) -> str:
    try:
        return str(error)
    except Exception:  # noqa: BLE001 - the application's own text of an error may fail
        return ""
