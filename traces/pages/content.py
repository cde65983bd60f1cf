"""A span's content as the page writes it: blocks of text, each cut to what a reader can take in."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import orjson

from traces.canonical import content as canonical
from traces.canonical.content import Content, Document, Message, Part
from traces.canonical.text import clean_value

# A page stays usable with 20 MB of base64 in its trace: so much of one text is written, the rest is a download.
TEXT_MAX = 20_000
# All texts of one panel together; a text that comes later is cut shorter.
PANEL_MAX = 300_000
MESSAGES_MAX = 200
DOCUMENTS_MAX = 100
SUMMARY_CHARS = 100
LONG_CHARS = 3000

_ROLES = {"system": "System", "user": "User", "assistant": "Assistant", "tool": "Tool"}
STATES = {
    canonical.NOT_CAPTURED: (
        "watch",
        "Content not captured",
        "The sender did not send what went in or came out. That is not an empty answer.",
    ),
    canonical.TRUNCATED: ("watch", "Content cut", "Some text was longer than the limit and was cut on the way in."),
    canonical.REDACTED: ("none", "Content redacted", "Text was masked before it was stored, by this project's rules."),
    canonical.SCRUBBED: ("none", "Content scrubbed", "The sender removed text before it sent the span."),
}


@dataclass(frozen=True, slots=True)
class Text:
    """Some text, cut. `total` is its whole length where it was cut, else 0."""

    text: str
    total: int = 0

    @property
    def is_long(self) -> bool:
        """Whether it gets a box of its own to scroll in."""
        return len(self.text) > LONG_CHARS


@dataclass(frozen=True, slots=True)
class Block:
    """One piece of a message: `kind` is text, folded, code, call, result, media or missing."""

    kind: str
    title: str = ""
    body: Text = Text("")


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a conversation."""

    who: str
    css: str
    detail: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True, slots=True)
class Source:
    """One document as retrieved."""

    place: int
    title: str
    score: float | None
    body: Text
    metadata: str


@dataclass(frozen=True, slots=True)
class ContentView:
    """All content of one span."""

    turns: tuple[Turn, ...]
    more_turns: int
    query: Text | None
    sources: tuple[Source, ...]
    more_sources: int
    parameters: tuple[tuple[str, str], ...]
    state: tuple[str, str, str] | None


class _Room:
    """How much text the panel may still write."""

    def __init__(self) -> None:
        self.left = PANEL_MAX

    def cut(self, text: str) -> Text:
        limit = max(min(TEXT_MAX, self.left), 200)
        self.left -= min(len(text), limit)
        return Text(text) if len(text) <= limit else Text(text[:limit], len(text))


def view_content(content: Content, *, is_quiet: bool = False) -> ContentView:
    """The content of a span as blocks. `is_quiet`: a step that usually has none, where that is no news."""
    room = _Room()
    turns = list(_turns(content, room))
    documents = content.documents or content.rerank_in
    state = STATES.get(content.state)
    if is_quiet and content.state == canonical.NOT_CAPTURED:
        state = None
    return ContentView(
        turns=tuple(turns),
        more_turns=max(len(content.input_messages) - MESSAGES_MAX, 0),
        query=room.cut(content.retrieval_query) if content.retrieval_query else None,
        sources=tuple(_source(at, document, room) for at, document in enumerate(documents[:DOCUMENTS_MAX], 1)),
        more_sources=max(len(documents) - DOCUMENTS_MAX, 0),
        parameters=tuple((key, plain(value)) for key, value in (content.parameters or {}).items()),
        state=state,
    )


def message_key(message: Message) -> bytes:
    """What makes two messages of a trace the same one told again."""
    parts = [(part.type, part.text, part.id, part.name, part.arguments, part.result) for part in message.parts]
    return _dump([message.role, parts])


def view_messages(messages: Iterable[Message]) -> tuple[Turn, ...]:
    """Messages alone as turns, for the conversation of a whole trace."""
    room = _Room()
    return tuple(_turn(message, room) for message in messages)


def _turns(content: Content, room: _Room) -> Iterable[Turn]:
    system = Message("system", content.system_instructions)
    # Some senders have the instructions among the messages too, in front.
    if system.parts and message_key(system) not in map(message_key, content.input_messages[:1]):
        yield _turn(system, room)
    if content.prompt_variables:
        yield Turn("Variables", "", "of the prompt", (Block("code", body=room.cut(plain(content.prompt_variables))),))
    if content.tool_arguments is not None:
        yield Turn("Arguments", "", content.tool_name or "", (_value(content.tool_arguments, room),))
    elif content.input_text is not None and content.retrieval_query is None:
        yield Turn("Input", "user", content.input_mime or "", (_value(content.input_text, room),))
    # The newest messages are those that this call was about.
    for message in content.input_messages[-MESSAGES_MAX:]:
        yield _turn(message, room)
    for message in content.output_messages[:MESSAGES_MAX]:
        yield _turn(message, room)
    if content.tool_result is not None:
        yield Turn("Result", "assistant", "", (_value(content.tool_result, room),))
    elif content.output_text is not None and not content.documents:
        yield Turn("Output", "assistant", content.output_mime or "", (_value(content.output_text, room),))
    if content.tool_definitions:
        n = len(content.tool_definitions) if isinstance(content.tool_definitions, list) else 1
        title = f"{n} tool{'' if n == 1 else 's'} offered"
        yield Turn("Tools", "", "", (Block("folded", title, room.cut(plain(content.tool_definitions))),))


def _turn(message: Message, room: _Room) -> Turn:
    who = _ROLES.get(message.role, message.role or "Message")
    details = [message.name or ""]
    if message.finish_reason and message.finish_reason not in {"stop", "end_turn"}:
        details.append(f"ended by {message.finish_reason}")
    blocks = tuple(_block(part, message.role, room) for part in message.parts) or (Block("missing"),)
    css = message.role if message.role in {"user", "assistant"} else ""
    return Turn(who, css, ", ".join(detail for detail in details if detail), blocks)


def _block(part: Part, role: str, room: _Room) -> Block:
    if part.type == "text":
        text = part.text or ""
        if role == "system" and len(text) > SUMMARY_CHARS:
            return Block("folded", text[:SUMMARY_CHARS].strip() + "…", room.cut(text))
        return Block("text", body=room.cut(text))
    if part.type == "reasoning":
        return Block("folded", "Reasoning", room.cut(part.text or "The sender shows that there was some, not what."))
    if part.type == "tool_call":
        return Block("call", part.name or "a tool", room.cut(plain(part.arguments)))
    if part.type == "tool_result":
        return Block("result", part.name or part.id or "", room.cut(plain(part.result)))
    if part.type == "media":
        uri = part.uri or ""
        # An address is text here, never loaded: what a trace names is not ours to ask for.
        return Block("media", part.media_type or "media", Text(uri[:300], len(uri) if len(uri) > 300 else 0))
    return Block("code", "Other", room.cut(plain(part.data)))


def _value(value: Any, room: _Room) -> Block:
    if isinstance(value, str) and not value.lstrip().startswith(("{", "[")):
        return Block("text", body=room.cut(value))
    return Block("code", body=room.cut(plain(value)))


def _source(place: int, document: Document, room: _Room) -> Source:
    metadata = plain(document.metadata) if document.metadata else ""
    return Source(place, document.id or "", document.score, room.cut(document.content or ""), room.cut(metadata).text)


def plain(value: Any) -> str:
    """A value as text: JSON set out over lines, text as it is (JSON in text set out too), None as nothing."""
    if value is None:
        return ""
    if isinstance(value, str):
        if len(value) < TEXT_MAX and value.lstrip().startswith(("{", "[")):
            try:
                return _dump(orjson.loads(value)).decode()
            except orjson.JSONDecodeError:
                return value
        return value
    return _dump(value).decode()


def _dump(value: Any) -> bytes:
    option = orjson.OPT_INDENT_2 | orjson.OPT_NON_STR_KEYS
    try:
        return orjson.dumps(value, default=str, option=option)
    except (orjson.JSONEncodeError, RecursionError):
        # Numbers beyond 64 bits, or nesting beyond what the writer takes: as text.
        return orjson.dumps(clean_value(value), option=option)
