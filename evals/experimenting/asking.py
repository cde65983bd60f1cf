"""What an endpoint is asked for one item: its messages, by a template over its fields. Values in, values out."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from evals.calling.kinds import ChatMessage
from evals.metrics.contents import messages_in, question_of, text_of

_FIELD = re.compile(r"\{([A-Za-z_][A-Za-z0-9_]{0,99})\}")
# Of English text some 4 characters are a token, of code and other scripts fewer: what is set aside must suffice.
CHARS_A_TOKEN = 3


@dataclass(frozen=True, slots=True)
class AskConfig:
    """How items are put to a model. `template` holds {fields} of the input; empty: the question, or its messages."""

    model: str
    system: str = ""
    template: str = ""
    temperature: float | None = 0.0
    max_output_tokens: int = 1024
    budget_pico: int | None = None

    def as_json(self) -> dict[str, Any]:
        """As it is stored."""
        return {
            "model": self.model, "system": self.system, "template": self.template, "temperature": self.temperature,
            "max_output_tokens": self.max_output_tokens, "budget_pico": self.budget_pico,
        }  # fmt: skip

    @classmethod
    def of_json(cls, told: Mapping[str, Any]) -> AskConfig:
        """What `as_json` stored."""
        return cls(**{name: told[name] for name in cls.__slots__ if name in told})


def fields_of(template: str) -> list[str]:
    """The names of fields that a template asks for."""
    return list(dict.fromkeys(_FIELD.findall(template)))


def messages_for(input_: Any, config: AskConfig) -> list[ChatMessage]:
    """The chat that asks for an item. A field that the input has not becomes empty text."""
    asked: list[ChatMessage] = []
    if config.system:
        asked.append(ChatMessage("system", config.system))
    if config.template:
        return [*asked, ChatMessage("user", _filled(config.template, input_))]
    spoken = messages_in(input_)
    if spoken:
        own = [ChatMessage("system" if m["role"] in ("system", "developer") else _role(m["role"]), m["content"])
               for m in spoken if m["content"]]  # fmt: skip
        return [*asked, *(m for m in own if m.role != "system" or not config.system)]
    return [*asked, ChatMessage("user", question_of(input_))]


def tokens_at_most(messages: list[ChatMessage]) -> int:
    """Roughly how many input tokens a chat has, rather too many than too few."""
    return sum(len(message.text) // CHARS_A_TOKEN + 8 for message in messages)


def _role(role: str) -> str:
    return role if role in ("user", "assistant") else "user"


def _filled(template: str, input_: Any) -> str:
    fields = input_ if isinstance(input_, Mapping) else {}
    known = {"question": question_of(input_), "input": text_of(input_)}
    # One pass: braces in what is filled in stay what they are.
    return _FIELD.sub(lambda found: text_of(fields.get(found[1], known.get(found[1], ""))), template)
