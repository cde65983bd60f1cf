"""What goes into a call of a model and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

OPENAI = "openai"
ANTHROPIC = "anthropic"
KINDS = (OPENAI, ANTHROPIC)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where and how a model is called. `key` is unsealed, goes to this host alone and is in no text of ours.

    `headers` are further headers for the same host; `input_pico` and `output_pico` are pico-dollars a token,
    None where the connection names no price.
    """

    kind: str
    base_url: str
    key: str = field(default="", repr=False)
    model: str = ""
    timeout_seconds: float = 60.0
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    input_pico: int | None = None
    output_pico: int | None = None


@dataclass(frozen=True, slots=True)
class ChatMessage:
    """One message of a chat; `role` is system, user or assistant."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class ToolOffer:
    """A tool that a model may call: `parameters` is the JSON schema of its arguments."""

    name: str
    description: str = ""
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of a tool that a model asks for; `arguments` is JSON text as the model wrote it, untrusted."""

    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Embedded:
    """Vectors of texts, in their order, as floats of one length. Unknown is None."""

    vectors: tuple[tuple[float, ...], ...]
    input_tokens: int | None
    model: str
    duration_ms: float
    cost_pico: int | None = None


@dataclass(frozen=True, slots=True)
class Called:
    """A model's answer. `finish_reason`: stop, length, refusal, content_filter or as the provider says, "" unknown.

    Tokens and `cost_pico` (pico-dollars, by the endpoint's prices) are None where they are not known. `form`: how
    the endpoint was held to JSON. `fingerprint`: what the provider says of the system behind the name, "" if nothing.
    """

    text: str
    input_tokens: int | None
    output_tokens: int | None
    cached_tokens: int | None
    finish_reason: str
    model: str
    duration_ms: float
    status: int
    cost_pico: int | None = None
    form: str = "none"
    tools: tuple[ToolCall, ...] = ()
    fingerprint: str = ""


class CallFailed(Exception):
    """No answer of a model: timeout, unreachable, rate_limited, server, refused_request, auth or egress.

    `told` is for people and quotes nothing that answered. `retry_after` is what the provider asks for, capped.
    `was_sent`: the request may have reached the provider and cost money.
    """

    def __init__(
        self, kind: str, told: str, *, retry_after: timedelta | None = None, was_sent: bool = True, status: int = 0
    ) -> None:
        super().__init__(told)
        self.kind = kind
        self.told = told
        self.retry_after = retry_after
        self.was_sent = was_sent
        self.status = status


def price_of(endpoint: Endpoint, input_tokens: int | None, output_tokens: int | None) -> int | None:
    """What a call costs in pico-dollars by the endpoint's own prices; None where price or tokens are not known."""
    if endpoint.input_pico is None or endpoint.output_pico is None or input_tokens is None or output_tokens is None:
        return None
    return endpoint.input_pico * input_tokens + endpoint.output_pico * output_tokens
