"""What a judge may look at: the contents of one trace, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Document:
    """A retrieved document; `rank` counts from 1, `score` is what the retriever gave it."""

    id: str
    text: str
    score: float | None = None
    rank: int = 1
    span_id: int = 0


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a conversation."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Tool:
    """One call of a tool; `error` is "" where it went well."""

    name: str
    arguments: str = ""
    result: str = ""
    error: str = ""


@dataclass(frozen=True, slots=True)
class Material:
    """The contents of one target. Texts are untrusted, "" where there is none; None is not known.

    `answer` is what is judged. `messages` are what came before it, oldest first; `expected` is the answer that a
    dataset wants.
    """

    trace_id: str = ""
    question: str = ""
    answer: str = ""
    messages: tuple[Message, ...] = ()
    system: str = ""
    documents: tuple[Document, ...] = ()
    tools: tuple[Tool, ...] = ()
    metadata: Mapping[str, object] = field(default_factory=dict)
    feature: str = ""
    model: str = ""
    finish_reason: str = ""
    duration_ms: float | None = None
    ttft_ms: float | None = None
    cost_pico: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    error_type: str = ""
    expected: str = ""
    span_id: int = 0
