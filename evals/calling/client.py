"""Calls of models over the guarded way out: one request, one answer or one `CallFailed`. No retries, no rows.

Two shapes are spoken: chat completions as OpenAI defined them and many others serve them, and Anthropic's messages.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from evals.calling.answers import read_anthropic, read_openai, refuses_schema
from evals.calling.kinds import ANTHROPIC, KINDS, OPENAI, Called, CallFailed, ChatMessage, Endpoint
from evals.judges.fencing import clean
from evals.judges.prompt import Prompt
from telltale.lib import clock, egress

# A judge's reply has some thousand characters; this is room for the longest a model writes, escaped.
ANSWER_BYTES = 4 * 1024 * 1024
CONNECT_SECONDS = 5.0
TIMEOUT_MIN, TIMEOUT_MAX = 1.0, 600.0
RETRY_AFTER_MAX = timedelta(hours=1)
OUTPUT_TOKENS_MAX = 128_000
ANTHROPIC_VERSION = "2023-06-01"
_PATHS = {OPENAI: "/chat/completions", ANTHROPIC: "/messages"}


def ask(
    endpoint: Endpoint, prompt: Prompt, max_output_tokens: int, temperature: float = 0.0, *, form: str = "json_schema"
) -> Called:
    """The model's answer to a judge's prompt; CallFailed where there is none.

    `form` is how an OpenAI-like endpoint is held to JSON: json_schema, json_object or none. One that refuses a form
    answers 400 without doing work; it is then asked again with the next, and `Called.form` says what it took, so that
    the next call may begin there. At most three requests, each within the endpoint's time.
    """
    messages = [ChatMessage("system", prompt.system), ChatMessage("user", prompt.user)]
    forms = _FORMS[_FORMS.index(form) :] if endpoint.kind == OPENAI else ("none",)
    for at, each in enumerate(forms):
        try:
            return _call(endpoint, messages, max_output_tokens, temperature, each, prompt)
        except _FormRefused as refused:
            if at == len(forms) - 1:
                raise refused.failed from None
    raise AssertionError("unreachable: the last form returns or raises")


def chat(
    endpoint: Endpoint,
    messages: Sequence[ChatMessage],
    max_output_tokens: int = 1024,
    temperature: float | None = None,
) -> Called:
    """The model's answer to a chat; CallFailed where there is none."""
    return _call(endpoint, messages, max_output_tokens, temperature, "none", None)


_FORMS = ("json_schema", "json_object", "none")


class _FormRefused(Exception):
    """The endpoint does not know the form of reply that was asked of it."""

    def __init__(self, failed: CallFailed) -> None:
        super().__init__(str(failed))
        self.failed = failed


def address_of(endpoint: Endpoint) -> str:
    """Where calls go: the base URL with the path of its kind, unless it ends with that already."""
    base, mark, query = endpoint.base_url.partition("?")
    base, path = base.rstrip("/"), _PATHS[endpoint.kind]
    if endpoint.kind == ANTHROPIC and not base.endswith(("/v1", path)):
        base += "/v1"
    return (base if base.endswith(path) else base + path) + mark + query


def _call(
    endpoint: Endpoint,
    messages: Sequence[ChatMessage],
    max_output_tokens: int,
    temperature: float | None,
    form: str,
    prompt: Prompt | None,
) -> Called:
    if endpoint.kind not in KINDS:
        raise ValueError(f"An endpoint is one of {', '.join(KINDS)}, not {endpoint.kind}.")
    if not 1 <= max_output_tokens <= OUTPUT_TOKENS_MAX:
        raise ValueError(f"max_output_tokens must be from 1 to {OUTPUT_TOKENS_MAX:,}.")
    body = _body(endpoint, messages, max_output_tokens, temperature, form, prompt)
    seconds = min(max(endpoint.timeout_seconds, TIMEOUT_MIN), TIMEOUT_MAX)
    limits = egress.Limits(min(CONNECT_SECONDS, seconds), seconds, seconds, ANSWER_BYTES)
    began = time.perf_counter()
    try:
        answer = egress.request("POST", address_of(endpoint), headers=_headers(endpoint), body=body, limits=limits)
    except egress.Refused as refused:
        raise CallFailed("egress", str(refused), was_sent=False) from None
    except egress.Unreachable as error:
        kind = "timeout" if error.is_late else "unreachable"
        raise CallFailed(kind, str(error), was_sent=error.was_sent) from None
    duration_ms = (time.perf_counter() - began) * 1000
    if answer.status != 200:
        failed = _failure(answer)
        if form != "none" and answer.status in (400, 404, 415, 422, 501) and refuses_schema(answer.body, form):
            raise _FormRefused(failed)
        raise failed
    if answer.is_cut:
        raise CallFailed("server", f"The model's answer is larger than {ANSWER_BYTES:,} bytes.", status=200)
    read = read_openai if endpoint.kind == OPENAI else read_anthropic
    return read(endpoint, answer.body, duration_ms, form)


def _headers(endpoint: Endpoint) -> dict[str, str]:
    headers = {"Content-Type": "application/json", "Accept": "application/json"}
    for name, value in endpoint.headers.items():
        if wrong := egress.check_header(name, value):
            raise CallFailed("egress", f"The header {name[:40]!r} {wrong}.", was_sent=False)
        headers[name] = value
    if endpoint.kind == ANTHROPIC:
        headers["anthropic-version"] = ANTHROPIC_VERSION
    if endpoint.key:
        if egress.check_header("Authorization", endpoint.key):
            told = "The key holds characters that no header can carry. Enter it again."
            raise CallFailed("auth", told, was_sent=False)
        if endpoint.kind == ANTHROPIC:
            headers["x-api-key"] = endpoint.key
        else:
            headers["Authorization"] = f"Bearer {endpoint.key}"
    return headers


def _body(
    endpoint: Endpoint,
    messages: Sequence[ChatMessage],
    max_output_tokens: int,
    temperature: float | None,
    form: str,
    prompt: Prompt | None,
) -> bytes:
    told: dict[str, Any] = {"model": endpoint.model}
    # Halves of characters, which JSON cannot hold, are in datasets now and then.
    messages = [ChatMessage(each.role, clean(each.text)) for each in messages]
    if endpoint.kind == ANTHROPIC:
        system = "\n\n".join(each.text for each in messages if each.role == "system")
        told["messages"] = [{"role": m.role, "content": m.text} for m in messages if m.role != "system"]
        if system:
            told["system"] = system
        told["max_tokens"] = max_output_tokens
    else:
        told["messages"] = [{"role": each.role, "content": each.text} for each in messages]
        told[_limit_name(endpoint.model)] = max_output_tokens
        if form == "json_schema" and prompt is not None:
            shape = {"name": prompt.schema_name, "strict": True, "schema": prompt.schema}
            told["response_format"] = {"type": "json_schema", "json_schema": shape}
        elif form == "json_object":
            told["response_format"] = {"type": "json_object"}
    if temperature is not None and _takes_temperature(endpoint):
        told["temperature"] = temperature
    return orjson.dumps(told)


def _is_reasoning(model: str) -> bool:
    """OpenAI's models that know neither a temperature nor `max_tokens`."""
    name = model.rpartition("/")[2].lower()
    return name.startswith(("o1", "o3", "o4", "gpt-5"))


def _limit_name(model: str) -> str:
    return "max_completion_tokens" if _is_reasoning(model) else "max_tokens"


def _takes_temperature(endpoint: Endpoint) -> bool:
    return endpoint.kind == ANTHROPIC or not _is_reasoning(endpoint.model)


def _failure(answer: egress.Answer) -> CallFailed:
    """What a status that is not 200 means. Says the status alone: what answered is not to be trusted."""
    status, after = answer.status, retry_after(answer, clock.now())
    at = f"(HTTP {status})"
    if status == 429:
        return CallFailed("rate_limited", f"The provider asks to slow down {at}.", retry_after=after, status=status)
    if status in (401, 403):
        return CallFailed("auth", f"The provider does not accept the key {at}.", status=status)
    if status == 402:
        return CallFailed("auth", f"The provider wants to be paid first {at}.", status=status)
    if status == 408:
        return CallFailed("timeout", f"The provider ran out of time {at}.", retry_after=after, status=status)
    if status >= 500:
        return CallFailed("server", f"The provider cannot answer now {at}.", retry_after=after, status=status)
    if 300 <= status < 400:
        told = f"The address answers with a redirect, which is not followed {at}. Enter the final address."
        return CallFailed("refused_request", told, status=status)
    if status == 404:
        told = f"There is no such model or address {at}. Check the model's name and the base URL."
        return CallFailed("refused_request", told, status=status)
    if status == 413:
        return CallFailed("refused_request", f"The prompt is too long for the provider {at}.", status=status)
    if 200 <= status < 300:
        return CallFailed("server", f"The address answers, but not as a model does {at}.", status=status)
    return CallFailed("refused_request", f"The provider refused the request {at}.", status=status)


def retry_after(answer: egress.Answer, now: datetime) -> timedelta | None:
    """The pause that an answer asks for, in seconds or as a date, from 0 to an hour; None where it asks for none."""
    raw = answer.headers.get("retry-after-ms", "").strip()
    if raw and _is_number(raw):
        return _capped(float(raw) / 1000)
    raw = answer.headers.get("retry-after", "").strip()
    if not raw:
        return None
    if _is_number(raw):
        return _capped(float(raw))
    try:
        at = parsedate_to_datetime(raw)
        return _capped(((at if at.tzinfo else at.replace(tzinfo=UTC)) - now).total_seconds())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _is_number(raw: str) -> bool:
    return len(raw) <= 20 and raw.isascii() and raw.replace(".", "", 1).isdigit()


def _capped(seconds: float) -> timedelta:
    return timedelta(seconds=min(max(seconds, 0.0), RETRY_AFTER_MAX.total_seconds()))
