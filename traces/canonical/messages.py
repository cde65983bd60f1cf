"""Messages of any client's shape into one: role, name, parts. Read when somebody looks, never at ingest."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from traces.canonical.text import decode, decode_loose

MAX_MESSAGES = 2000
MAX_PARTS = 2000

_ROLES = {
    "human": "user",
    "humanmessage": "user",
    "humanmessagechunk": "user",
    "ai": "assistant",
    "aimessage": "assistant",
    "aimessagechunk": "assistant",
    "model": "assistant",
    "bot": "assistant",
    "systemmessage": "system",
    "developer": "system",
    "toolmessage": "tool",
    "function": "tool",
    "functionmessage": "tool",
    "observation": "tool",
}
_TEXT_TYPES = frozenset({"text", "input_text", "output_text", "summary_text"})
_REASONING_TYPES = frozenset({"reasoning", "thinking", "redacted_thinking", "reasoning_content"})
_CALL_TYPES = frozenset({"tool_call", "tool_use", "function_call", "tool-call", "custom_tool_call", "server_tool_use"})
_RESULT_TYPES = frozenset({
    "tool_call_response", "tool_result", "function_call_output", "tool-return", "tool_response", "tool-result",
})  # fmt: skip
_MEDIA_TYPES = frozenset({
    "image", "image_url", "input_image", "audio", "input_audio", "video", "file", "input_file", "document", "blob",
    "uri", "image-url", "binary", "media",
})  # fmt: skip


@dataclass(frozen=True, slots=True)
class Part:
    """One piece of a message. `type` is text, reasoning, tool_call, tool_result, media or other; it says what is set.

    text and reasoning: `text`; tool_call: `id`, `name`, `arguments`; tool_result: `id`, `result`; media: `media_type`,
    `uri` (a link, or the head of inline data); other: `data` as sent.
    """

    type: str
    text: str | None = None
    id: str | None = None
    name: str | None = None
    arguments: Any = None
    result: Any = None
    media_type: str | None = None
    uri: str | None = None
    data: Any = None


@dataclass(frozen=True, slots=True)
class Message:
    """One message. A message without parts was sent without its content: not captured, which is no empty answer."""

    role: str
    parts: tuple[Part, ...] = ()
    name: str | None = None
    finish_reason: str | None = None

    def text(self) -> str:
        """Its text parts joined."""
        return "\n".join(part.text for part in self.parts if part.type == "text" and part.text)


def read_messages(value: Any, role: str) -> list[Message]:
    """The messages inside a decoded value; `role` is for those that name none. Empty where there is no message.

    Knows GenAI parts, OpenAI chats and responses, Anthropic, Gemini, LangChain, and plain text.
    """
    if isinstance(value, str):
        return [Message(role, (Part("text", text=value),))] if value else []
    if isinstance(value, Mapping):
        return _from_object(value, role)
    if not isinstance(value, list) or not value:
        return []
    if all(isinstance(item, list) for item in value):  # LangChain: one list of messages per prompt
        value = [item for inner in value for item in inner]
    if all(isinstance(item, str) for item in value):
        return [Message(role, (Part("text", text=item),)) for item in value[:MAX_MESSAGES]]
    messages = []
    for item in value[:MAX_MESSAGES]:
        if isinstance(item, Mapping):
            found = read_message(item, role)
            if found is not None:
                messages.append(found)
        elif isinstance(item, str):
            messages.append(Message(role, (Part("text", text=item),)))
    return messages


def _from_object(value: Mapping[str, Any], role: str) -> list[Message]:
    """Requests and answers of provider APIs, kept whole."""
    for key in ("messages", "input_messages"):
        if isinstance(value.get(key), list):
            first = _system_of(value)
            return first + read_messages(value[key], role)
    if isinstance(value.get("choices"), list):
        messages = []
        for choice in value["choices"]:
            if isinstance(choice, Mapping):
                told = choice.get("message", choice.get("delta", choice.get("text")))
                finish = _text(choice.get("finish_reason"))
                messages += [replace(found, finish_reason=finish) for found in read_messages(told, "assistant")]
        return messages
    if isinstance(value.get("generations"), list):
        messages = []
        for generation in _flat(value["generations"]):
            if isinstance(generation, Mapping):
                info = generation.get("generation_info")
                finish = _text(info.get("finish_reason")) if isinstance(info, Mapping) else None
                told = generation.get("message", generation.get("text"))
                messages += [replace(found, finish_reason=finish) for found in read_messages(told, "assistant")]
        return messages
    if isinstance(value.get("candidates"), list):  # Gemini
        return read_messages(
            [item.get("content") for item in value["candidates"] if isinstance(item, Mapping)], "assistant"
        )
    if isinstance(value.get("contents"), list):
        return read_messages(value["contents"], "user")
    if isinstance(value.get("output"), list) and value.get("object") == "response":
        return read_messages(value["output"], "assistant")
    if value.get("object") != "list":
        found = read_message(value, role)
        if found is not None:
            return [found]
    for key in ("input", "prompt", "query", "question", "output", "text"):
        inner = value.get(key)
        if isinstance(inner, str | list) and inner:
            return _system_of(value) + read_messages(inner, role)
    return []


def _system_of(value: Mapping[str, Any]) -> list[Message]:
    """The instructions that some APIs keep beside their messages."""
    for key in ("system", "instructions", "system_instruction"):
        told = value.get(key)
        if told:
            parts = read_parts(told)
            return [Message("system", parts)] if parts else []
    return []


def _flat(value: list[Any]) -> Iterable[Any]:
    for item in value:
        if isinstance(item, list):
            yield from item
        else:
            yield item


def read_message(item: Mapping[str, Any], role: str) -> Message | None:
    """One message object, None where it is none."""
    data = item.get("data")
    if isinstance(data, Mapping) and isinstance(item.get("type"), str) and "content" in data:  # LangChain, dumped
        item = {"role": item["type"], **data}
    kwargs = item.get("kwargs")
    if isinstance(kwargs, Mapping) and ("lc" in item or "content" in kwargs):
        named = item.get("id")
        kind = named[-1] if isinstance(named, list) and named else kwargs.get("type")
        item = {"role": kind, **kwargs}
    if isinstance(item.get("message"), Mapping):
        return read_message(item["message"], role)
    kind = _text(item.get("type"))  # senders put lists and objects here too
    if "role" not in item and "content" not in item and "parts" not in item:
        # Items of the Responses API stand alone: calls, results, reasoning.
        if kind in _CALL_TYPES | _REASONING_TYPES:
            return Message("assistant", read_parts([item]))
        if kind in _RESULT_TYPES:
            return Message("tool", read_parts([item]))
        if not ({"tool_calls", "function_call", "reasoning_content"} & item.keys()):
            return None
    told = item.get("role")
    if not isinstance(told, str) or not told:
        told = kind if isinstance(kind, str) and kind.lower() in _ROLES else role
    name = _text(item.get("name"))
    return Message(_ROLES.get(told.lower(), told), _parts_of(item, told), name, _text(item.get("finish_reason")))


def _parts_of(item: Mapping[str, Any], role: str) -> tuple[Part, ...]:
    parts: list[Part] = []
    for key in ("reasoning_content", "reasoning", "thinking"):
        told = item.get(key)
        if isinstance(told, str) and told:
            parts.append(Part("reasoning", text=told))
            break
    content = item.get("parts", item.get("content"))
    call_id = _text(item.get("tool_call_id")) or (_text(item.get("id")) if role == "tool" else None)
    if role in ("tool", "function", "ToolMessage") and content is not None and not _has_results(content):
        parts.append(Part("tool_result", id=call_id, result=content, name=_text(item.get("name"))))
    else:
        parts += read_parts(content)
    refusal = item.get("refusal")
    if isinstance(refusal, str) and refusal:
        parts.append(Part("text", text=refusal))
    calls = item.get("tool_calls")
    known = {part.id for part in parts if part.type == "tool_call"}
    if isinstance(calls, list):
        parts += [call for call in map(_call, calls) if call is not None and (call.id is None or call.id not in known)]
    if isinstance(item.get("function_call"), Mapping):
        call = _call(item["function_call"])
        if call is not None:
            parts.append(call)
    return tuple(parts[:MAX_PARTS])


def _has_results(content: Any) -> bool:
    return isinstance(content, list) and any(
        isinstance(part, Mapping) and _text(part.get("type")) in _RESULT_TYPES for part in content
    )


def read_parts(content: Any) -> tuple[Part, ...]:
    """The parts of a message's content: text, a list of typed parts, or one part."""
    if content is None or content == "":
        return ()
    if isinstance(content, str):
        return (Part("text", text=content),)
    if isinstance(content, Mapping):
        content = [content]
    if not isinstance(content, list):
        return (Part("text", text=str(content)),)
    return tuple(part for part in map(read_part, content[:MAX_PARTS]) if part is not None)


def read_part(item: Any) -> Part | None:
    """One typed part."""
    if isinstance(item, str):
        return Part("text", text=item) if item else None
    if not isinstance(item, Mapping):
        return None if item is None else Part("other", data=item)
    kind = _text(item.get("type"))
    if kind in _TEXT_TYPES or (kind is None and isinstance(item.get("text"), str)):
        text = item.get("content", item.get("text"))
        return Part("text", text=text) if isinstance(text, str) else None
    if kind in _REASONING_TYPES:
        return Part("reasoning", text=_reasoning(item))
    if kind in _CALL_TYPES or isinstance(item.get("functionCall", item.get("function_call")), Mapping):
        return _call(item.get("functionCall") or item.get("function_call") or item)
    if kind in _RESULT_TYPES or isinstance(item.get("functionResponse"), Mapping):
        inner = item.get("functionResponse") or item
        told = next((inner[key] for key in ("result", "response", "content", "output") if key in inner), None)
        call_id = _text(inner.get("id")) or _text(inner.get("tool_use_id")) or _text(inner.get("call_id"))
        return Part(
            "tool_result", id=call_id or _text(inner.get("tool_call_id")), name=_text(inner.get("name")), result=told
        )
    if kind in _MEDIA_TYPES:
        return _media(item, str(kind))
    return Part("other", data=dict(item))


def _reasoning(item: Mapping[str, Any]) -> str:
    for key in ("content", "text", "thinking", "summary", "reasoning"):
        told = item.get(key)
        if isinstance(told, str) and told:
            return told
        if isinstance(told, list) and told:
            return "\n".join(part.text for part in read_parts(told) if part.text)
    return ""


def _call(item: Any) -> Part | None:
    if not isinstance(item, Mapping):
        return None
    if isinstance(item.get("tool_call"), Mapping):
        item = item["tool_call"]
    function = item.get("function")
    inner = function if isinstance(function, Mapping) else item
    arguments = next((inner[key] for key in ("arguments", "input", "args") if key in inner), None)
    name = _text(inner.get("name"))
    call_id = _text(item.get("call_id")) or _text(item.get("id"))
    if name is None and call_id is None and arguments is None:
        return None
    return Part("tool_call", id=call_id, name=name, arguments=decode(arguments))


def _media(item: Mapping[str, Any], kind: str) -> Part:
    source: Any = item.get("source", item)
    inner = next((item[key] for key in ("image_url", "input_audio", "file") if key in item), source)
    uri = inner if isinstance(inner, str) else None
    media_type = _text(item.get("mime_type")) or _text(item.get("media_type")) or _text(item.get("modality"))
    if isinstance(inner, Mapping):
        uri = next(
            (text for key in ("url", "uri", "file_id", "data", "content") if (text := _text(inner.get(key)))), None
        )
        media_type = media_type or _text(inner.get("media_type")) or _text(inner.get("format"))
    if uri is not None and uri.startswith("data:"):
        media_type = media_type or uri[5:].split(";")[0]
    if uri is not None and not uri.startswith(("http://", "https://")) and len(uri) > 100:
        uri = f"{uri[:60]}… ({len(uri)} characters)"
    return Part("media", media_type=media_type or kind, uri=uri)


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def from_flat(raw: Mapping[str, Any], prefix: str, role: str) -> list[Message]:
    """Messages flattened into indexed attributes (`llm.input_messages.10.message.content`), in numeric order."""
    tree = unflatten(raw, prefix)
    return read_messages([_tidy(item) for item in tree], role) if tree else []


def _tidy(item: Any) -> Any:
    """One unflattened message with OpenInference's wrappers taken off."""
    if not isinstance(item, dict):
        return item
    inner = item.get("message", item)
    if not isinstance(inner, dict):
        return item
    message = dict(inner)
    contents = message.pop("contents", None)
    if contents is not None and not message.get("content"):
        message["content"] = [_tidy_content(part) for part in as_list(contents)]
    if "tool_calls" in message:
        message["tool_calls"] = as_list(message["tool_calls"])
    if "function_call_name" in message or "function_call_arguments_json" in message:
        message["function_call"] = {
            "name": message.pop("function_call_name", None),
            "arguments": message.pop("function_call_arguments_json", None),
        }
    return message


def _tidy_content(part: Any) -> Any:
    inner = part.get("message_content", part) if isinstance(part, dict) else part
    if isinstance(inner, dict) and isinstance(inner.get("image"), dict):
        image = inner["image"].get("image", inner["image"])
        return {"type": "image", "source": image if isinstance(image, dict) else {"url": image}}
    return inner


def unflatten(raw: Mapping[str, Any], prefix: str) -> list[Any]:
    """The list behind flattened attributes: indexes in numeric order; gaps and a first index of 1 occur."""
    items: dict[int, Any] = {}
    for key, value in raw.items():
        if not key.startswith(prefix):
            continue
        index, _, path = key[len(prefix) :].partition(".")
        if not index.isdecimal() or len(index) > 9:
            continue
        if not path:
            items.setdefault(int(index), value)
            continue
        node = items.setdefault(int(index), {})
        if not isinstance(node, dict):
            continue
        *parents, leaf = path.split(".")
        for step in parents[:16]:
            child = node.setdefault(step, {})
            if not isinstance(child, dict):
                child = node[step] = {"": child}
            node = child
        node[leaf] = value
    return [items[index] for index in sorted(items)]


def as_list(value: Any) -> list[Any]:
    """A list, or the values of a map with numeric keys in numeric order, or the one value."""
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        numbered = [key for key in value if key.isdecimal() and len(key) <= 9]
        if numbered:
            return [value[key] for key in sorted(numbered, key=int)]
    return [] if value is None else [value]


def decode_messages(value: Any, role: str) -> list[Message]:
    """Messages inside an attribute: JSON text, a Python repr, or plain text of one message."""
    return read_messages(decode_loose(value), role)
