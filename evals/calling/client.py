"""Calls of models over the guarded way out: one request, one answer or one `CallFailed`. No retries, no rows.

Two shapes are spoken: chat completions as OpenAI defined them and many others serve them, and Anthropic's messages.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

import orjson

from evals.calling.answers import read_anthropic, read_embeddings, read_openai
from evals.calling.kinds import (
    ANTHROPIC,
    KINDS,
    OPENAI,
    Called,
    CallFailed,
    ChatMessage,
    Embedded,
    Endpoint,
    ToolOffer,
)
from evals.judges.fencing import clean
from evals.judges.prompt import Prompt
from telltale.lib import clock, egress

# A judge's reply has some thousand characters; this is room for the longest a model writes, escaped.
ANSWER_BYTES = 4 * 1024 * 1024
# 64 vectors of 16,384 numbers of 20 characters.
EMBEDDINGS_BYTES = 24 * 1024 * 1024
TEXTS_MAX = 64
CONNECT_SECONDS = 5.0
TIMEOUT_MIN, TIMEOUT_MAX = 1.0, 600.0
RETRY_AFTER_MAX = timedelta(hours=1)
OUTPUT_TOKENS_MAX = 128_000
ANTHROPIC_VERSION = "2023-06-01"
_PATHS = {OPENAI: "/chat/completions", ANTHROPIC: "/messages"}


@dataclass(frozen=True, slots=True)
class _Dialect:
    """How an OpenAI-like endpoint wants to be asked for a model: servers and models differ in what they know."""

    form: str = "json_schema"
    limit_name: str = "max_tokens"
    has_temperature: bool = True


# What was learned from refusals, by base URL and model, so that a process learns it once.
_LEARNED: dict[tuple[str, str], _Dialect] = {}
_LEARNED_MAX = 256


def ask(
    endpoint: Endpoint, prompt: Prompt, max_output_tokens: int, temperature: float = 0.0, *, form: str = "json_schema"
) -> Called:
    """The model's answer to a judge's prompt; CallFailed where there is none.

    `form` is how an OpenAI-like endpoint is held to JSON: json_schema, json_object or none. One that refuses the form,
    the temperature or the name of the limit answers 400 without doing work; it is then asked again in another way, at
    most four times, each within the endpoint's time. `Called.form` says what it took, so that the next call may begin
    there.
    """
    messages = [ChatMessage("system", prompt.system), ChatMessage("user", prompt.user)]
    dialect = _dialect(endpoint, prompt)
    if _FORMS.index(form) > _FORMS.index(dialect.form):
        dialect = replace(dialect, form=form)
    return _converse(endpoint, messages, max_output_tokens, temperature, dialect, prompt)


def chat(
    endpoint: Endpoint,
    messages: Sequence[ChatMessage],
    max_output_tokens: int = 1024,
    temperature: float | None = None,
    tools: Sequence[ToolOffer] = (),
) -> Called:
    """The model's answer to a chat, in which it may call `tools`; CallFailed where there is none."""
    dialect = _dialect(endpoint, None)
    return _converse(endpoint, messages, max_output_tokens, temperature, dialect, None, tools)


def embed(endpoint: Endpoint, texts: Sequence[str]) -> Embedded:
    """The vectors of `texts` (1 to `TEXTS_MAX`), by an OpenAI-like `/embeddings`; CallFailed where there are none."""
    if not 1 <= len(texts) <= TEXTS_MAX:
        raise ValueError(f"1 to {TEXTS_MAX} texts are embedded at once, not {len(texts)}.")
    if endpoint.kind != OPENAI:
        raise CallFailed("refused_request", "This kind of endpoint has no embeddings.", was_sent=False)
    # An empty text is refused by most; a space means as little.
    body = orjson.dumps({"model": endpoint.model, "input": [clean(text) or " " for text in texts]})
    base, mark, query = endpoint.base_url.partition("?")
    base = base.rstrip("/")
    address = (base if base.endswith("/embeddings") else base + "/embeddings") + mark + query
    answer, duration_ms = _post(endpoint, address, body, EMBEDDINGS_BYTES)
    if answer.status != 200:
        raise _failure(answer)
    if answer.is_cut:
        raise CallFailed("server", f"The answer is larger than {EMBEDDINGS_BYTES:,} bytes.", status=200)
    return read_embeddings(endpoint, answer.body, len(texts), duration_ms)


_FORMS = ("json_schema", "json_object", "none")
_TRIES_MAX = 5


def _dialect(endpoint: Endpoint, prompt: Prompt | None) -> _Dialect:
    """What is known of the endpoint's dialect; else what the model's name says."""
    is_reasoning = endpoint.kind == OPENAI and _is_reasoning(endpoint.model)
    guess = _Dialect("json_schema", "max_completion_tokens" if is_reasoning else "max_tokens", not is_reasoning)
    known = _LEARNED.get((endpoint.base_url, endpoint.model), guess)
    return known if prompt is not None and endpoint.kind == OPENAI else replace(known, form="none")


def _converse(
    endpoint: Endpoint,
    messages: Sequence[ChatMessage],
    max_output_tokens: int,
    temperature: float | None,
    dialect: _Dialect,
    prompt: Prompt | None,
    tools: Sequence[ToolOffer] = (),
) -> Called:
    """Call, and where the endpoint refuses how it was asked, ask in another way."""
    tried = [dialect]
    while True:
        try:
            called = _call(endpoint, messages, max_output_tokens, temperature, dialect, prompt, tools)
        except _DialectRefused as refused:
            other = _other(dialect, refused.body, has_prompt=prompt is not None)
            if other is None or other in tried or len(tried) >= _TRIES_MAX:
                raise refused.failed from None
            dialect = other
            tried.append(dialect)
            continue
        if len(tried) > 1 and prompt is not None and len(_LEARNED) < _LEARNED_MAX:
            _LEARNED[endpoint.base_url, endpoint.model] = dialect
        return called


def _other(dialect: _Dialect, body: bytes, *, has_prompt: bool) -> _Dialect | None:
    """The dialect to try next after a refusal that says `body`; None where it is about something else."""
    text = body[:20_000].decode("utf-8", "replace").lower()
    if "temperature" in text and dialect.has_temperature:
        return replace(dialect, has_temperature=False)
    if "max_completion_tokens" in text or "max_tokens" in text:
        is_new = dialect.limit_name == "max_completion_tokens"
        if ("max_completion_tokens" in text) or not is_new:
            return replace(dialect, limit_name="max_tokens" if is_new else "max_completion_tokens")
    if has_prompt and dialect.form != "none" and any(word in text for word in _FORM_WORDS):
        return replace(dialect, form=_FORMS[_FORMS.index(dialect.form) + 1])
    return None


_FORM_WORDS = ("response_format", "json_schema", "json_object", "structured output", "guided", "grammar", "strict")


class _DialectRefused(Exception):
    """The endpoint may not know how it was asked; `body` says."""

    def __init__(self, failed: CallFailed, body: bytes) -> None:
        super().__init__(str(failed))
        self.failed = failed
        self.body = body


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
    dialect: _Dialect,
    prompt: Prompt | None,
    tools: Sequence[ToolOffer],
) -> Called:
    if endpoint.kind not in KINDS:
        raise ValueError(f"An endpoint is one of {', '.join(KINDS)}, not {endpoint.kind}.")
    if not 1 <= max_output_tokens <= OUTPUT_TOKENS_MAX:
        raise ValueError(f"max_output_tokens must be from 1 to {OUTPUT_TOKENS_MAX:,}.")
    body = _body(endpoint, messages, max_output_tokens, temperature, dialect, prompt, tools)
    answer, duration_ms = _post(endpoint, address_of(endpoint), body, ANSWER_BYTES)
    if answer.status != 200:
        failed = _failure(answer)
        if endpoint.kind == OPENAI and answer.status in (400, 404, 415, 422, 501):
            raise _DialectRefused(failed, answer.body)
        raise failed
    if answer.is_cut:
        raise CallFailed("server", f"The model's answer is larger than {ANSWER_BYTES:,} bytes.", status=200)
    read = read_openai if endpoint.kind == OPENAI else read_anthropic
    return read(endpoint, answer.body, duration_ms, dialect.form)


def _post(endpoint: Endpoint, address: str, body: bytes, bytes_max: int) -> tuple[egress.Answer, float]:
    """What the endpoint answered, whatever its status, and after how many milliseconds. CallFailed."""
    seconds = min(max(endpoint.timeout_seconds, TIMEOUT_MIN), TIMEOUT_MAX)
    limits = egress.Limits(min(CONNECT_SECONDS, seconds), seconds, seconds, bytes_max)
    began = time.perf_counter()
    try:
        answer = egress.request("POST", address, headers=_headers(endpoint), body=body, limits=limits)
    except egress.Refused as refused:
        raise CallFailed("egress", str(refused), was_sent=False) from None
    except egress.Unreachable as error:
        kind = "timeout" if error.is_late else "unreachable"
        raise CallFailed(kind, str(error), was_sent=error.was_sent) from None
    return answer, (time.perf_counter() - began) * 1000


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
    dialect: _Dialect,
    prompt: Prompt | None,
    tools: Sequence[ToolOffer],
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
        if tools:
            told["tools"] = [
                {"name": tool.name, "description": tool.description, "input_schema": _parameters(tool)}
                for tool in tools
            ]
    else:
        told["messages"] = [{"role": each.role, "content": each.text} for each in messages]
        told[dialect.limit_name] = max_output_tokens
        if tools:
            told["tools"] = [
                {
                    "type": "function",
                    "function": {
                        "name": tool.name, "description": tool.description, "parameters": _parameters(tool)
                    },
                }
                for tool in tools
            ]  # fmt: skip
        if dialect.form == "json_schema" and prompt is not None:
            shape = {"name": prompt.schema_name, "strict": True, "schema": prompt.schema}
            told["response_format"] = {"type": "json_schema", "json_schema": shape}
        elif dialect.form == "json_object":
            told["response_format"] = {"type": "json_object"}
    if temperature is not None and dialect.has_temperature:
        told["temperature"] = temperature
    return orjson.dumps(told)


def _parameters(tool: ToolOffer) -> dict[str, Any]:
    return dict(tool.parameters) or {"type": "object", "properties": {}}


def _is_reasoning(model: str) -> bool:
    """OpenAI's models that know neither a temperature nor `max_tokens`."""
    name = model.rpartition("/")[2].lower()
    return name.startswith(("o1", "o3", "o4", "gpt-5"))


# Words of providers' own that tell apart what the status alone does not.
_UNPAID = (b"insufficient_quota", b"credit balance", b"billing_hard_limit")
_TOO_LONG = (b"context_length_exceeded", b"maximum context length", b"prompt is too long")


def _failure(answer: egress.Answer) -> CallFailed:
    """What a status that is not 200 means. Says the status alone: what answered is not to be trusted."""
    status, after = answer.status, retry_after(answer, clock.now())
    at = f"(HTTP {status})"
    if status in (400, 403, 429) and any(words in answer.body for words in _UNPAID):
        return CallFailed("auth", f"The provider says that the account's credit is used up {at}.", status=status)
    if status == 400 and any(words in answer.body for words in _TOO_LONG):
        return CallFailed("refused_request", f"The prompt is too long for the model {at}.", status=status)
    if status == 400 and b"content_filter" in answer.body:
        return CallFailed(
            "refused_request", f"The provider's filter of contents refused the prompt {at}.", status=status
        )
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
