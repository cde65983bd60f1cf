"""A trace as one conversation: what each step added to it, in order, each message once."""

from __future__ import annotations

from dataclasses import dataclass
from urllib.parse import urlencode

from traces.canonical.content import Message, Part
from traces.canonical.types import Kind, SpanFlag
from traces.forms import Pair
from traces.pages.content import Source, Turn, message_key, view_content, view_messages
from traces.pages.words import KINDS
from traces.read import SpanDetail, TraceRow, get_spans
from traces.tree import Tree
from traces.wire.ids import hex_span_id

# Steps whose bodies are read for one page; a longer conversation is read on the trace's other view.
STEPS_MAX = 60
_TELLING = frozenset({Kind.GENERATION, Kind.TOOL, Kind.RETRIEVER, Kind.RERANKER})
_PENDING = int(SpanFlag.PENDING)


@dataclass(frozen=True, slots=True)
class Step:
    """One step with what it added."""

    href: str
    name: str
    word: str
    icon: str
    css: str
    duration_ms: float | None
    is_error: bool
    turns: tuple[Turn, ...]
    sources: tuple[Source, ...]


@dataclass(frozen=True, slots=True)
class Chat:
    """The conversation; `more` steps did not fit."""

    steps: tuple[Step, ...]
    more: int


def view_chat(project_id: int, trace: TraceRow, tree: Tree, keep: list[Pair]) -> Chat:
    """The model calls, tool runs and retrievals of a trace, with the messages that each was the first to show."""
    telling = [step for step in tree.steps if Kind(step.kind) in _TELLING and not step.flags & _PENDING]
    if not telling:
        telling = [tree.steps[place] for place in tree.roots]
    shown = telling[:STEPS_MAX]
    details = get_spans(project_id, trace, [step.span_id for step in shown])
    seen: set[bytes] = set()
    steps = tuple(_step(detail, seen, keep) for detail in details if not detail.span.is_duplicate)
    return Chat(tuple(step for step in steps if step.turns or step.sources), max(len(telling) - STEPS_MAX, 0))


def _step(detail: SpanDetail, seen: set[bytes], keep: list[Pair]) -> Step:
    span = detail.span
    word, icon, css = KINDS[span.kind]
    view = view_content(detail.content, is_quiet=True)
    turns = view_messages(_new(detail, seen)) if span.kind is Kind.GENERATION else view.turns
    return Step(
        href="?" + urlencode([("span", hex_span_id(span.span_id)), *keep]),
        name=span.name,
        word=word,
        icon=icon,
        css=css,
        duration_ms=span.duration_ms,
        is_error=span.status == 2,
        turns=turns,
        sources=view.sources,
    )


def _new(detail: SpanDetail, seen: set[bytes]) -> list[Message]:
    """The messages of a model call that no call before it had."""
    content = detail.content
    system = [Message("system", content.system_instructions)] if content.system_instructions else []
    texts = [Message(role, (Part("text", text),)) for role, text in _plain_texts(detail)]
    fresh = []
    for message in (*system, *content.input_messages, *texts, *content.output_messages):
        key = message_key(message)
        if key not in seen:
            seen.add(key)
            fresh.append(message)
    return fresh


def _plain_texts(detail: SpanDetail) -> list[tuple[str, str]]:
    content = detail.content
    pairs = (("user", content.input_text), ("assistant", content.output_text))
    return [(role, text) for role, text in pairs if text]
