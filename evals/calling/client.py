"""Calls of models."""

from __future__ import annotations

from collections.abc import Sequence

from evals.calling.kinds import Called, ChatMessage, Endpoint
from evals.judges.prompt import Prompt


def ask(endpoint: Endpoint, prompt: Prompt, max_output_tokens: int, temperature: float = 0.0) -> Called:
    """The model's answer to a judge's prompt; CallFailed where there is none."""
    raise NotImplementedError


def chat(
    endpoint: Endpoint, messages: Sequence[ChatMessage], max_output_tokens: int = 1024, temperature: float | None = None
) -> Called:
    """The model's answer to a chat; CallFailed where there is none."""
    raise NotImplementedError
