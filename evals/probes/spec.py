"""A probe as it is written down: what is asked, what tools are offered, what the answer must hold to."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evals.judges.fencing import clean
from evals.judges.fields import ConfigRefused, read_choice, read_object, read_text
from evals.judges.material import Material, Message, Tool
from evals.judges.schemas import BadSchema, check_schema
from evals.probes.checks import CHECKS_MAX, ProbeCheck, parse_check

MUST_CHARS_MAX = 200
TEXT_CHARS_MAX = 20_000
MESSAGES_MAX = 20
TOOLS_MAX = 10
ROLES = ("user", "assistant")


@dataclass(frozen=True, slots=True)
class Offer:
    """A tool that the model is told of; `parameters` is the JSON schema of its arguments."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Spec:
    """A probe. `must` says in words what `checks` ask, after "must": "be JSON with name and age"."""

    must: str
    messages: tuple[Message, ...]
    checks: tuple[ProbeCheck, ...]
    system: str = ""
    tools: tuple[Offer, ...] = ()

    @property
    def question(self) -> str:
        """The last thing that is asked."""
        return self.messages[-1].text

    def as_json(self) -> dict[str, Any]:
        """As it is stored, and as `parse_spec` reads it."""
        return {
            "must": self.must,
            "system": self.system,
            "messages": [{"role": each.role, "content": each.text} for each in self.messages],
            "tools": [
                {"name": each.name, "description": each.description, "parameters": dict(each.parameters)}
                for each in self.tools
            ],
            "checks": [each.as_json() for each in self.checks],
        }


def parse_spec(raw: object) -> Spec:
    """A probe from JSON: `user` is short for one message. ConfigRefused names the field, its limit and the value."""
    told = read_object(raw, "config", {"must", "system", "user", "messages", "tools", "checks"})
    system = told.get("system") or ""
    checks = told.get("checks")
    if not isinstance(checks, list) or not 1 <= len(checks) <= CHECKS_MAX:
        raise ConfigRefused("checks", "must be a list of checks.", f"1 to {CHECKS_MAX}")
    return Spec(
        must=_line(told.get("must"), "must", MUST_CHARS_MAX),
        messages=_messages(told),
        checks=tuple(parse_check(each, f"checks[{at}]") for at, each in enumerate(checks)),
        system=_text(system, "system") if system else "",
        tools=_tools(told.get("tools") or []),
    )


def spec_hash(spec: Spec) -> str:
    """The same for two probes that ask and check the same."""
    told = json.dumps(spec.as_json(), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
    return hashlib.sha256(told.encode("utf-8", "replace")).hexdigest()


def material_of(
    spec: Spec,
    answer: str,
    tools: tuple[tuple[str, str], ...] = (),
    *,
    model: str = "",
    finish_reason: str = "",
    duration_ms: float | None = None,
    cost_pico: int | None = None,
    input_tokens: int | None = None,
    output_tokens: int | None = None,
) -> Material:
    """An answer as checks and judges look at it; `tools` are (name, arguments as JSON text)."""
    return Material(
        question=spec.question,
        answer=answer,
        messages=spec.messages[:-1],
        system=spec.system,
        tools=tuple(Tool(name, arguments) for name, arguments in tools),
        model=model,
        finish_reason=finish_reason,
        duration_ms=duration_ms,
        cost_pico=cost_pico,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
    )


def _messages(told: Mapping[str, Any]) -> tuple[Message, ...]:
    if "user" in told:
        if "messages" in told:
            raise ConfigRefused("user", "cannot be given beside messages.", "one of the two")
        return (Message("user", _text(told["user"], "user")),)
    raw = told.get("messages")
    if not isinstance(raw, list) or not 1 <= len(raw) <= MESSAGES_MAX:
        raise ConfigRefused("messages", "must be a list of messages, or user a text.", f"1 to {MESSAGES_MAX}")
    found = []
    for at, each in enumerate(raw):
        one = read_object(each, f"messages[{at}]", {"role", "content"})
        role = read_choice(one.get("role"), f"messages[{at}].role", ROLES)
        found.append(Message(role, _text(one.get("content"), f"messages[{at}].content")))
    if found[-1].role != "user":
        raise ConfigRefused(f"messages[{len(found) - 1}].role", "must be user: the last message asks.", "user")
    return tuple(found)


def _tools(raw: object) -> tuple[Offer, ...]:
    if not isinstance(raw, list) or len(raw) > TOOLS_MAX:
        raise ConfigRefused("tools", "must be a list of tools.", f"at most {TOOLS_MAX}")
    found = []
    for at, each in enumerate(raw):
        told = read_object(each, f"tools[{at}]", {"name", "description", "parameters"})
        parameters = told.get("parameters") or {"type": "object", "properties": {}}
        try:
            check_schema(parameters)
        except BadSchema as bad:
            raise ConfigRefused(f"tools[{at}].parameters", str(bad)) from None
        name = read_text(told.get("name"), f"tools[{at}].name", 64)
        if not all(c.isascii() and (c.isalnum() or c in "_-") for c in name):
            raise ConfigRefused(f"tools[{at}].name", "holds what no name of a tool has.", "letters, digits, _ and -")
        about = told.get("description") or ""
        found.append(Offer(name, _text(about, f"tools[{at}].description") if about else "", parameters))
    return tuple(found)


def _line(raw: object, where: str, limit: int) -> str:
    text = " ".join(_text(raw, where).split())
    if not text:
        raise ConfigRefused(where, "must be a text.", f"1 to {limit} characters")
    if len(text) > limit:
        raise ConfigRefused(where, f"has {len(text):,} characters; at most {limit}.", f"{limit} characters")
    return text


def _text(raw: object, where: str) -> str:
    """A text as PostgreSQL and JSON can hold it: no U+0000, no halves of characters."""
    text = read_text(raw, where, TEXT_CHARS_MAX)
    if "\x00" in text or clean(text) != text:
        raise ConfigRefused(where, "holds U+0000 or half a character, which no stored text has.")
    if not text.strip():
        raise ConfigRefused(where, "must be a text.", f"1 to {TEXT_CHARS_MAX:,} characters")
    return text
