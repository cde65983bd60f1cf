"""GenAI log events (and the span events of older clients) as messages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from traces.canonical.messages import Message, Part, read_message, read_messages, read_parts
from traces.canonical.text import decode_loose

_ROLE_OF = {
    "gen_ai.system.message": "system",
    "gen_ai.user.message": "user",
    "gen_ai.assistant.message": "assistant",
    "gen_ai.tool.message": "tool",
}
_DETAILS = "gen_ai.client.inference.operation.details"


@dataclass(slots=True)
class LogContent:
    """What the events of one span say."""

    input_messages: list[Message] = field(default_factory=list)
    output_messages: list[Message] = field(default_factory=list)
    system: tuple[Part, ...] = ()
    tool_definitions: Any = None


def join_logs(events: Sequence[Mapping[str, Any]]) -> LogContent:
    """The messages of a span's events, ordered by time, then by position in the request; choices by their index."""
    content = LogContent()
    choices: list[tuple[int, int, Message]] = []
    for at, event in enumerate(sorted(events, key=_order)):
        name = event.get("event_name")
        attributes = event.get("attributes") or {}
        body = decode_loose(event.get("body"))
        if name in _ROLE_OF:
            content.input_messages.append(_message(body, _ROLE_OF[str(name)]))
        elif name == "gen_ai.choice":
            choices.append((_index(body), at, _choice(body)))
        elif name == "gen_ai.content.prompt":
            content.input_messages += read_messages(decode_loose(attributes.get("gen_ai.prompt")), "user")
        elif name == "gen_ai.content.completion":
            content.output_messages += read_messages(decode_loose(attributes.get("gen_ai.completion")), "assistant")
        elif name == _DETAILS:
            _add_details(content, attributes, body)
    content.output_messages += [message for _, _, message in sorted(choices, key=lambda choice: choice[:2])]
    return content


def _order(event: Mapping[str, Any]) -> tuple[Any, int]:
    moment = event.get("at", event.get("happened_us", 0))
    # Datetimes and numbers do not compare with each other; one span's events come from one place, so all are alike.
    return (moment.timestamp() if hasattr(moment, "timestamp") else moment or 0, int(event.get("ordinal") or 0))


def _message(body: Any, role: str) -> Message:
    """One input message. Without content it was not captured: a message without parts."""
    if isinstance(body, Mapping):
        found = read_message({"role": role, "content": None, **body}, role)
        return found if found is not None else Message(role)
    return Message(role, (Part("text", text=body),)) if isinstance(body, str) and body else Message(role)


def _choice(body: Any) -> Message:
    if not isinstance(body, Mapping):
        return _message(body, "assistant")
    inner = decode_loose(body.get("message"))
    told = inner if isinstance(inner, Mapping) else {"content": inner if inner is not None else body.get("content")}
    if "tool_calls" in body and "tool_calls" not in told:
        told = {**told, "tool_calls": decode_loose(body["tool_calls"])}
    finish = body.get("finish_reason")
    return replace(_message(told, "assistant"), finish_reason=finish if isinstance(finish, str) else None)


def _index(body: Any) -> int:
    index = body.get("index") if isinstance(body, Mapping) else None
    return index if isinstance(index, int) else 0


def _add_details(content: LogContent, attributes: Mapping[str, Any], body: Any) -> None:
    """One event that holds a whole call, in its attributes or (some clients) its body."""
    held = attributes if "gen_ai.input.messages" in attributes or not isinstance(body, Mapping) else body
    content.input_messages += read_messages(decode_loose(held.get("gen_ai.input.messages")), "user")
    content.output_messages += read_messages(decode_loose(held.get("gen_ai.output.messages")), "assistant")
    instructions = decode_loose(held.get("gen_ai.system_instructions"))
    if instructions and not content.system:
        content.system = read_parts(instructions)
    if content.tool_definitions is None:
        content.tool_definitions = decode_loose(held.get("gen_ai.tool.definitions"))
