"""What counters say of calls of models: requests, seconds, tokens, money and the length of responses, by model. Pure.

The names and the buckets of these series are those that others' dashboards know (docs/operations.md, "Metrics").
A batch's figures are made while its spans are stored and go into the row that accounts for it; a worker adds them up.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from traces.canonical.messages import from_flat, read_messages
from traces.canonical.previews import MAX_PARSED_CHARS
from traces.canonical.text import decode_loose
from traces.canonical.types import CanonicalSpan, Kind, SpanStatus

# Upper bounds; what is above the last lies in one more bucket.
LATENCY_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1.0, 2.5, 5.0, 7.5, 10.0)
LENGTH_CHARACTERS = (0, 50, 100, 200, 500, 1000)
OTHER = "(other)"
UNKNOWN = "(unknown)"
MODEL_BYTES = 100
# Models of one batch: what a sender makes up beyond them is one.
BATCH_MODELS = 20

_LATENCY_NS = tuple(round(seconds * 1e9) for seconds in LATENCY_SECONDS)
_GENERATION, _ERROR = int(Kind.GENERATION), int(SpanStatus.ERROR)
_OUT_MESSAGES = ("gen_ai.output.messages", "langfuse.observation.output", "mlflow.spanOutputs", "gen_ai.completion")
_OUT_FLAT = ("llm.output_messages.", "gen_ai.completion.")
_OUT_TEXT = ("telltale.output", "output.value", "traceloop.entity.output", "output")


@dataclass(slots=True)
class Meter:
    """Sums over calls of one model. Buckets count each call once, in the first whose bound it does not exceed."""

    succeeded: int = 0
    failed: int = 0
    latency: list[int] = field(default_factory=lambda: [0] * (len(LATENCY_SECONDS) + 1))
    latency_ns: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    priced: int = 0
    cost_pico: int = 0
    length: list[int] = field(default_factory=lambda: [0] * (len(LENGTH_CHARACTERS) + 1))
    characters: int = 0

    def add(self, span: CanonicalSpan) -> None:
        """Take one call in. What it does not tell is in no sum."""
        if span.status == _ERROR:
            self.failed += 1
        else:
            self.succeeded += 1
        if span.duration_ns is not None:
            self.latency[bisect_left(_LATENCY_NS, span.duration_ns)] += 1
            self.latency_ns += span.duration_ns
        if span.counted and span.usage is not None:
            buckets = span.usage.buckets()
            self.input_tokens += sum(filter(None, buckets[:5]))
            self.output_tokens += sum(filter(None, buckets[5:]))
            if span.cost_pico is not None:
                self.priced += 1
                self.cost_pico += span.cost_pico
        characters = response_characters(span) if span.has_output else None
        if characters is not None:
            self.length[bisect_left(LENGTH_CHARACTERS, characters)] += 1
            self.characters += characters

    def merge(self, other: Meter) -> None:
        """Take in what another one counted."""
        for name in ("succeeded", "failed", "latency_ns", "input_tokens", "output_tokens", "priced", "cost_pico",
                     "characters"):  # fmt: skip
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.latency = [a + b for a, b in zip(self.latency, other.latency, strict=True)]
        self.length = [a + b for a, b in zip(self.length, other.length, strict=True)]

    def packed(self) -> list[Any]:
        """As a batch's row keeps it."""
        return [
            self.succeeded, self.failed, self.latency, self.latency_ns, self.input_tokens, self.output_tokens,
            self.priced, self.cost_pico, self.length, self.characters,
        ]  # fmt: skip

    @classmethod
    def unpacked(cls, values: Sequence[Any]) -> Meter:
        """What `packed` gave."""
        return cls(*values)


def measure(spans: Iterable[CanonicalSpan]) -> dict[str, Meter]:
    """A meter for each model that generated something in `spans`; a call told of twice counts once."""
    found: dict[str, Meter] = {}
    for span in spans:
        if span.kind != _GENERATION or span.duplicate_of_span is not None:
            continue
        model = model_label(span.model_answered or span.model_requested)
        meter = found.get(model)
        if meter is None:
            if len(found) >= BATCH_MODELS:
                model = OTHER
            meter = found.setdefault(model, Meter())
        meter.add(span)
    return found


def model_label(model: str | None) -> str:
    """A model's name as a label: its first 100 bytes, printable alone."""
    if not model:
        return UNKNOWN
    if len(model) * 4 > MODEL_BYTES:
        model = model.encode()[:MODEL_BYTES].decode("utf-8", "ignore")
    return model if model.isprintable() else "".join(c if c.isprintable() else "?" for c in model)


def response_characters(span: CanonicalSpan) -> int | None:
    """How many characters the model said in its text parts; None where nothing was captured, or it is very long."""
    try:
        return _said(span.body.get("raw") or {})
    except (TypeError, ValueError, LookupError, AttributeError, RecursionError):
        # Content is the sender's and of any shape. A counter must never cost a batch its commit.
        return None


def _said(raw: Mapping[str, Any]) -> int | None:
    for key in _OUT_MESSAGES:
        value = raw.get(key)
        if not value:
            continue
        if isinstance(value, str):
            if len(value) > MAX_PARSED_CHARS:
                return None
            if value[0] not in '"{[':
                return len(value)
        if messages := read_messages(decode_loose(value), "assistant"):
            return _length(message.text() for message in messages)
    for prefix in _OUT_FLAT:
        if messages := from_flat(raw, prefix, "assistant"):
            return _length(message.text() for message in messages)
    for key in _OUT_TEXT:
        value = raw.get(key)
        if isinstance(value, str) and value:
            decoded = decode_loose(value) if value[0] == '"' and len(value) <= MAX_PARSED_CHARS else value
            return len(decoded) if isinstance(decoded, str) else len(value)
    return None


def _length(texts: Iterable[str]) -> int:
    return sum(len(text) for text in texts)
