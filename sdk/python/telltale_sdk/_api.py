"""What applications call. Every function is guarded: whatever happens in here, the application goes on."""

from __future__ import annotations

import hashlib
import json
import time
import uuid
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from itertools import islice
from typing import Any

from telltale_sdk import _budgets, _client, _config
from telltale_sdk._budgets import UNKNOWN, BudgetCheck
from telltale_sdk._capture import MASK_FAILED, Mask, attribute_value, masked_text, to_label
from telltale_sdk._client import Client, Stats
from telltale_sdk._config import Config
from telltale_sdk._context import Setting, frame, with_labels, with_once, with_prompt
from telltale_sdk._guard import forget_troubles, guarded, warn_once
from telltale_sdk._span import Span, prompt_attributes, tag_list

# What Telltale keeps of a score or a signal; a character is a byte at least.
LABEL_CHARS, TEXT_BYTES, QUOTES_MAX, QUOTE_BYTES, SCORE_MAX = 200, 10_000, 20, 2_000, 1e15

_NO_SPAN = Span("", "span", None, None, 0)
# A setting that could not be made: entering and leaving it does nothing.
_NO_SETTING = Setting("")


@guarded(None)
def init(
    endpoint: str | None = None,
    api_key: str | None = None,
    service: str | None = None,
    environment: str | None = None,
    release: str | None = None,
    *,
    sample: float | None = None,
    mask: Callable[[str], str] | None = None,
    capture_content: bool | None = None,
    disabled: bool | None = None,
    provider: Any = None,
    headers: Mapping[str, str] | None = None,
    resource: Mapping[str, Any] | None = None,
    queue_spans: int | None = None,
    queue_bytes: int | None = None,
    batch_spans: int | None = None,
    delay_seconds: float | None = None,
    timeout_seconds: float | None = None,
    retry_seconds: float | None = None,
    exit_seconds: float | None = None,
    id_generator: Any = None,
) -> None:
    """Begin to send. Call it once, early; again to change what was told (what waits is sent first, for a moment).

    What is not given comes from the environment: TELLTALE_ENDPOINT, TELLTALE_API_KEY, TELLTALE_SERVICE (then
    OTEL_SERVICE_NAME), TELLTALE_ENVIRONMENT, TELLTALE_RELEASE, TELLTALE_SAMPLE, TELLTALE_CAPTURE_CONTENT,
    TELLTALE_DISABLED. Without a key nothing is sent, and one warning says so.

    `sample`: the share of traces that is sent, 0 to 1, decided by the trace id, so whole traces and everywhere alike.
    `mask`: called with every text before it leaves; what it gives is sent instead.
    `capture_content=False`: no inputs, outputs, error texts and comments at all.
    `provider`: "global" or a TracerProvider, to share one with other instrumentations; its own by default.
    """
    before = _client.replace(None)
    if before is not None:
        before.close(min(before.config.exit_s, 2.0))
        forget_troubles()
    if _config.read_truth("TELLTALE_DISABLED", disabled, False):
        return
    address = _config.read_endpoint(endpoint)
    key = _config.from_environment("TELLTALE_API_KEY", api_key)
    mask, is_usable = _config.read_callable("mask", mask)
    if key is None:
        warn_once("config/key", "no API key: give init() one or set TELLTALE_API_KEY; nothing will be sent")
    if address is None or key is None or not is_usable:
        return
    number = _config.read_number
    spans = int(number("queue_spans", queue_spans, _config.QUEUE_SPANS, 1, 10**7))
    config = Config(
        endpoint=address,
        api_key=key,
        service=_config.from_environment("TELLTALE_SERVICE", service)
        or _config.from_environment("OTEL_SERVICE_NAME", None),
        environment=_config.from_environment("TELLTALE_ENVIRONMENT", environment),
        release=_config.from_environment("TELLTALE_RELEASE", release),
        sample=number("TELLTALE_SAMPLE", sample, 1.0, 0.0, 1.0),
        mask=mask,
        capture_content=_config.read_truth("TELLTALE_CAPTURE_CONTENT", capture_content, True),
        provider=provider,
        headers=dict(headers or {}),
        resource=dict(resource or {}),
        queue_spans=spans,
        queue_bytes=int(number("queue_bytes", queue_bytes, _config.QUEUE_BYTES, 1024, 2**40)),
        batch_spans=min(int(number("batch_spans", batch_spans, _config.BATCH_SPANS, 1, 10_000)), spans),
        delay_s=number("delay_seconds", delay_seconds, _config.DELAY_SECONDS, 0.01, 3600),
        timeout_s=number("timeout_seconds", timeout_seconds, _config.TIMEOUT_SECONDS, 0.1, 600),
        retry_s=number("retry_seconds", retry_seconds, _config.RETRY_SECONDS, 0, 86_400),
        exit_s=number("exit_seconds", exit_seconds, _config.EXIT_SECONDS, 0, 600),
        id_generator=id_generator,
    )
    _client.replace(Client(config))


@guarded(False)
def flush(timeout: float = 10.0) -> bool:
    """Wait until everything so far was sent or given up; False where `timeout` seconds were too few."""
    client = _client.current()
    return True if client is None else client.flush(float(timeout))


@guarded(None)
def shutdown(timeout: float = 5.0) -> None:
    """Send what can be sent within `timeout` seconds, and stop. It happens by itself when the process ends."""
    client = _client.replace(None)
    if client is not None:
        client.close(float(timeout))


@guarded(Stats())
def stats() -> Stats:
    """What became of spans, signals and scores since `init()`, in this process."""
    return _client.stats_of(_client.current())


@guarded(_NO_SPAN)
def current_span() -> Span:
    """The innermost open span; one that does nothing where there is none."""
    return frame.get().span or _NO_SPAN


@guarded(None)
def current_trace_id() -> str | None:
    """The trace we are in, as the 32 hex digits that Telltale shows; None outside of spans."""
    return current_span().trace_id


@guarded(None)
def current_span_id() -> str | None:
    """The innermost open span as 16 hex digits; None outside of spans."""
    return current_span().span_id


def _label(what: str, key: str, value: Any, masked: bool = False) -> Setting:
    client = _client.current()
    text = _id(value, client.config.mask if masked and client is not None else None)
    return Setting(what, with_labels({key: text}))


def _id(value: Any, mask: Mask | None) -> str | None:
    """An id as it is sent; None where there is none, or where its mask failed: a marker would make everybody one."""
    text = to_label(value, mask)
    return None if text == MASK_FAILED else text or None


@guarded(_NO_SETTING)
def user(user_id: str | None) -> Setting:
    """Whose request this is: `with user("u_58f2"):`, or a plain call inside a span. None: nobody's."""
    return _label("user", "user.id", user_id, masked=True)


@guarded(_NO_SETTING)
def session(session_id: str | None) -> Setting:
    """The conversation that the traces belong to."""
    return _label("session", "session.id", session_id, masked=True)


@guarded(_NO_SETTING)
def feature(name: str | None) -> Setting:
    """The feature of the product, by which cost and quality are shown."""
    return _label("feature", "telltale.feature", name)


@guarded(_NO_SETTING)
def release(name: str | None) -> Setting:
    """The release that answers, where one process serves several; else tell `init()`."""
    return _label("release", "telltale.release", name)


@guarded(_NO_SETTING)
def prompt(name: str, version: str | int | None = None, variables: Mapping[str, Any] | None = None) -> Setting:
    """The prompt, its version and its variables, for the generations inside."""
    return Setting("prompt", with_prompt(prompt_attributes(name, version, variables, _client.current())))


@guarded(_NO_SETTING)
def metadata(**entries: Any) -> Setting:
    """What you want to find the trace by: for the open span, or the spans that start directly inside `with`."""
    client = _client.current()
    mask = client.config.mask if client is not None else None
    told = {
        f"telltale.metadata.{key}": attribute_value(item, mask) for key, item in entries.items() if item is not None
    }
    return Setting("metadata", with_once(told), lambda span: span.set_metadata(**entries))


@guarded(_NO_SETTING)
def tags(*names: str) -> Setting:
    """Short words that group traces: for the open span, or the spans that start directly inside `with`."""
    told = {"telltale.tags": tag_list(names, _client.current())}
    return Setting("tags", with_once(told), lambda span: span.add_tags(*names))


@guarded(False)
def signal(
    name: str,
    value: bool | float | str = True,
    *,
    trace_id: str | None = None,
    span_id: str | None = None,
    session: str | None = None,
    request_id: str | None = None,
    comment: str | None = None,
    user: str | None = None,
    source: str = "end_user",
    at: datetime | None = None,
    client_id: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> bool:
    """What an end user did (thumbs_up, correction, retry, abandoned ...), sent in the background.

    Without a target it is about the current trace. `request_id` is the application's own id of the request, as it was
    told in the trace. The same `client_id` again replaces value and comment. True where it was taken in.
    """
    client = _client.current()
    if client is None:
        return False
    mask, captures = client.config.mask, client.config.capture_content
    if not (trace_id or session or request_id):
        trace_id, span_id = current_trace_id(), span_id or None
    told: dict[str, Any] = {
        "name": to_label(name),
        "value": masked_text(value, mask, 4096) if isinstance(value, str) else value,
        "trace_id": to_label(trace_id) or None,
        "span_id": to_label(span_id) or None,
        "session_id": _id(session, mask),
        "request_id": to_label(request_id) or None,
        "comment": masked_text(str(comment), mask, 16_384) if comment and captures else None,
        "user_id": _id(user, mask),
        "source": to_label(source),
        "happened_at": _moment(at),
        "client_id": to_label(client_id) or uuid.uuid4().hex,
        "metadata": {to_label(key): attribute_value(item, mask) for key, item in (metadata or {}).items()} or None,
    }
    if not (isinstance(value, bool | str) or (isinstance(value, int | float) and abs(value) <= SCORE_MAX)):
        what = "no number of at most 1e15, truth or text"
        warn_once("signal/value", "signal %r has a value that is %s; it is not sent", name, what)
        return False
    if not (told["trace_id"] or told["session_id"] or told["request_id"]):
        warn_once("signal/target", "signal %r is about no trace, session or request; it is not sent", name)
        return False
    client.signals.put({key: item for key, item in told.items() if item is not None})
    return True


@guarded(False)
def score(
    name: str,
    value: bool | float | str,
    *,
    trace_id: str | None = None,
    span_id: str | None = None,
    session: str | None = None,
    data_type: str | None = None,
    comment: str | None = None,
    evidence: Iterable[str] = (),
    author: str | None = None,
    id: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    at: datetime | None = None,
) -> bool:
    """How good an answer was, by a program or a person of yours; sent in the background.

    A number, true or false, or text: a label, or from 200 characters on free text (`data_type` numeric, boolean, label
    or text says it otherwise). Without a target it is about the current trace; `span_id` alone is a span of it. It may
    be sent before its trace. The same `id` again replaces the score. True where it was taken in.
    """
    client = _client.current()
    if client is None:
        return False
    mask, captures = client.config.mask, client.config.capture_content
    is_text = isinstance(value, str) and (data_type == "text" or (data_type is None and len(value) > LABEL_CHARS))
    is_number = isinstance(value, int | float) and abs(value) <= SCORE_MAX
    if not (isinstance(value, str) or is_number) or (is_text and not captures):
        warn_once("score/value", "score %r has no value that can be sent; it is not sent", name)
        return False
    if not (trace_id or session):
        trace_id = current_trace_id()
    told: dict[str, Any] = {
        "id": to_label(id) or uuid.uuid4().hex,
        "name": to_label(name),
        "value": masked_text(value, mask, TEXT_BYTES) if isinstance(value, str) else value,
        "data_type": "text" if is_text else to_label(data_type) or None,
        "trace_id": to_label(trace_id) or None,
        "span_id": to_label(span_id) or None,
        "session_id": _id(session, mask),
        "comment": masked_text(str(comment), mask, TEXT_BYTES) if comment and captures else None,
        "evidence": _quotes(evidence, mask) if captures else None,
        "author": _id(author, mask),
        "metadata": {to_label(key): attribute_value(item, mask) for key, item in (metadata or {}).items()} or None,
        "made_at": _moment(at),
    }
    if not (told["trace_id"] or told["session_id"]):
        warn_once("score/target", "score %r is about no trace or session; it is not sent", name)
        return False
    return client.scores.put({key: item for key, item in told.items() if item is not None})


@guarded(False)
def change(
    kind: str,
    version: str = "",
    *,
    name: str = "",
    previous: str = "",
    service: str | None = None,
    feature: str = "",
    environment: str | None = None,
    author: str = "",
    note: str = "",
    url: str = "",
    details: Mapping[str, Any] | None = None,
    at: datetime | None = None,
    ended_at: datetime | None = None,
    client_id: str | None = None,
) -> bool:
    """That something changed in what the application runs, sent in the background; the key needs the scope write.

    `kind`: deploy, prompt, model, index, configuration, provider or note; name, version or note says what. Service and
    environment are those of `init()` where they are not given; "" means every one. Told the same again, as by each
    worker that starts, it is one change, at the time of the first; a return to what was there before needs a
    `client_id` of its own. True where it was taken in.
    """
    client = _client.current()
    if client is None:
        return False
    if not (name or version or note):
        warn_once("change/what", "a change of kind %r says neither name nor version nor note; it is not sent", kind)
        return False
    config = client.config
    told: dict[str, Any] = {
        "kind": to_label(kind),
        "name": to_label(name),
        "version": to_label(version),
        "previous": to_label(previous),
        "service": to_label(config.service if service is None else service),
        "feature": to_label(feature),
        "environment": to_label(config.environment if environment is None else environment),
        "author": to_label(author),
        "note": masked_text(str(note), config.mask, 4_000) if note else None,
        "url": to_label(url),
        "details": {to_label(key): attribute_value(item, config.mask) for key, item in (details or {}).items()},
        "ended_at": _moment(ended_at) if ended_at is not None else None,
    }
    told = {key: item for key, item in told.items() if item}
    if at is not None:
        told["at"] = _moment(at)
    same = json.dumps(told, sort_keys=True, default=str)
    told["client_id"] = to_label(client_id) or "sdk-" + hashlib.sha256(same.encode()).hexdigest()[:32]
    return client.changes.put(told)


@guarded(UNKNOWN)
def budget_check(
    user: str | None = None,
    feature: str | None = None,
    *,
    timeout_seconds: float = _budgets.TIMEOUT_SECONDS,
    kept_seconds: float = _budgets.KEPT_SECONDS,
) -> BudgetCheck:
    """Whether a user or feature may spend, and what its policy advises; those in force where none is given.

    Waits `timeout_seconds` at most. Where Telltale does not answer, `allowed` is True and `is_known` False, and for
    five seconds nobody waits for it again. An answer is used again for `kept_seconds`. The key needs the scope ingest
    or read. Nothing is stopped by asking: the application does what it is advised.
    """
    client = _client.current()
    if client is None:
        return UNKNOWN
    labels = frame.get().labels
    user = _id(user, client.config.mask) if user is not None else labels.get("user.id")
    feature = to_label(feature) if feature is not None else labels.get("telltale.feature")
    return client.budgets.ask(user or None, feature or None, float(timeout_seconds), float(kept_seconds))


def _quotes(evidence: Iterable[str], mask: Mask | None) -> list[str] | None:
    quotes = [evidence] if isinstance(evidence, str) else list(islice(evidence, QUOTES_MAX))
    return [masked_text(str(quote), mask, QUOTE_BYTES) for quote in quotes if quote] or None


def _moment(at: datetime | None) -> str:
    if at is None:
        return datetime.fromtimestamp(time.time(), timezone.utc).isoformat()
    return (at if at.tzinfo is not None else at.replace(tzinfo=timezone.utc)).isoformat()
