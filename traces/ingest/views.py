"""The ingest endpoints. 2xx means committed; every refusal says which limit, and is counted."""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Callable
from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

import orjson
import psycopg
from django.conf import settings
from django.db import DatabaseError, InterfaceError
from django.http import HttpRequest, HttpResponse
from django.views.decorators.csrf import csrf_exempt
from psycopg_pool import PoolTimeout

from telltale.lib import clock
from telltale.lib.patience import answer_within
from telltale.projects.keys import KeyHolder, find_holder, secret_from_headers
from telltale.rest.problems import FieldError
from traces.canonical.types import Intake, SpanFlag, WireError
from traces.ingest import refusals
from traces.ingest.answers import JSON, PROBLEM, PROTOBUF, otlp_error, otlp_success, problem
from traces.ingest.body import STALL_SECONDS, Stalled, discard_body, hang_up, receive
from traces.ingest.gate import PACE_SECONDS, Busy, gate
from traces.ingest.quota import quota, rate_of
from traces.ingest.rules import rules_for
from traces.ingest.spool import MEMORY_BYTES, NoRoom, Spool
from traces.masking import mask_default
from traces.wire.compression import inflate
from traces.wire.limits import Limits
from traces.wire.native import read_native
from traces.wire.otlp import read_logs, read_metrics, read_traces
from traces.write import Rules, store_logs, store_metrics, store_request
from traces.write.batch import Batch, Outcome

log = logging.getLogger(__name__)

_CODES = {400: 3, 401: 16, 403: 7, 404: 5, 405: 12, 413: 8, 415: 3, 429: 8, 503: 14}
_NATIVE = "native"
# A database that hangs must become a 503 within 5 s; a body of 60 MB takes half a minute to store.
DATABASE_SECONDS = 3.0
BYTES_A_SECOND = 512 * 1024
WARN_EVERY_SECONDS = 60.0
_warned: dict[int, float] = {}
_REPAIRS = (
    (int(SpanFlag.TRUNCATED), "text over its limit was cut; the original size is kept"),
    (int(SpanFlag.CLAMPED), "the start was outside of what is kept and was moved; the raw time is kept"),
)


class Refused(Exception):
    """A request that is refused whole, with the fields that caused it where they are known."""

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        headers: dict[str, str] | None = None,
        errors: tuple[FieldError, ...] = (),
    ) -> None:
        super().__init__(message)
        self.status = status
        self.reason = reason
        self.message = message
        self.headers = headers or {}
        self.errors = errors
        self.project_id = 0


@dataclass(slots=True)
class _Arrival:
    """A request on its way in: what it is, who sends it, in which encoding it is answered."""

    source: str
    content_type: str  # the one to answer in
    holder: KeyHolder
    body: bytes
    received_at_ns: int

    def batch(self) -> Batch:
        received_at = clock.from_ns(self.received_at_ns)
        return Batch(self.holder.project_id, self.holder.key_id, self.source, received_at, len(self.body))


def _limits() -> Limits:
    return Limits(payload_text_bytes=settings.INGEST_MAX_TEXT_BYTES)


def _content_type(request: HttpRequest, source: str) -> str:
    """The media type of the request without its parameters; Refused 415 where it is none of ours."""
    media = (request.META.get("CONTENT_TYPE") or "").split(";")[0].strip().lower()
    accepted = (JSON,) if source == _NATIVE else (PROTOBUF, JSON)
    if media in accepted:
        return media
    wanted = " or ".join(accepted)
    raise Refused(
        415,
        "content_type",
        f"Content-Type {media[:100] or '(none)'!r} is not accepted; send {wanted}",
        errors=(FieldError("Content-Type", "is not accepted", wanted, media[:100]),),
    )


def _holder(request: HttpRequest) -> KeyHolder:
    """Whose key the request carries; Refused 401 or 403."""
    holder = find_holder(secret_from_headers(request))
    if holder is None:
        raise Refused(
            401,
            "no_valid_key",
            "no valid API key: send Authorization: Bearer tt_sk_… with a key that is not revoked",
            {"WWW-Authenticate": "Bearer"},
        )
    if "ingest" not in holder.scopes:
        refused = Refused(403, "scope", "this API key does not have the scope 'ingest'")
        refused.project_id = holder.project_id
        raise refused
    return holder


def _within_rate(holder: KeyHolder) -> None:
    """Refused 429 where the key has sent more than it may."""
    seconds = quota.wait_seconds(holder)
    if seconds:
        message = (
            f"this API key may send {rate_of(holder)} spans, log records and metric points a second and has sent more; "
            f"try again in {seconds} s"
        )
        raise Refused(429, "over_rate", message, _retry(seconds))


def _answer_type(request: HttpRequest, source: str) -> str:
    if source == _NATIVE:
        return PROBLEM
    media = (request.META.get("CONTENT_TYPE") or "").split(";")[0].strip().lower()
    return media if media in (PROTOBUF, JSON) else JSON


def _refuse(request: HttpRequest, source: str, refused: Refused, holder: KeyHolder | None) -> HttpResponse:
    """The answer to a request refused whole, counted under the key's project where there is one."""
    project_id = refused.project_id or (holder.project_id if holder else 0)
    refusals.note(project_id, source, refused.status, refused.reason, mask_default(refused.message))
    answer_type = _answer_type(request, source)
    if answer_type == PROBLEM:
        response = problem(refused.status, refused.reason, refused.message, refused.errors)
    else:
        response = otlp_error(answer_type, refused.status, _CODES.get(refused.status, 2), refused.message)
    for name, value in refused.headers.items():
        response[name] = value
    return response


def _retry(seconds: int) -> dict[str, str]:
    return {"Retry-After": str(seconds)}


def _is_unavailable(error: BaseException) -> bool:
    """Whether the database, not the data, is at fault: away, full, read-only, out of connections or of time."""
    if isinstance(error, (InterfaceError, psycopg.OperationalError, psycopg.InterfaceError, PoolTimeout)):
        return True
    state = getattr(error, "sqlstate", None) or getattr(error.__cause__, "sqlstate", None) or ""
    return state[:2] in {"08", "53", "57", "25", "40", "55", "58"} or isinstance(
        error.__cause__, (psycopg.OperationalError, PoolTimeout)
    )


def _door(source: str, work: Callable[[_Arrival], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    """The edge shared by every ingest path: method, type, key, size, gate; then `work`."""

    def view(request: HttpRequest) -> HttpResponse:
        response = admit(request)
        response.headers.setdefault("Content-Length", str(len(response.content)))
        return response

    def admit(request: HttpRequest) -> HttpResponse:
        holder: KeyHolder | None = None
        try:
            if request.method != "POST":
                raise Refused(405, "method", "only POST is accepted here", {"Allow": "POST"})
            content_type = _content_type(request, source)
            with answer_within(DATABASE_SECONDS):
                holder = _holder(request)
            received_at_ns = time.time_ns()
            _within_rate(holder)
            gate.know(request.environ, holder)  # type: ignore[attr-defined]
            with gate.turn(holder.key_id):
                return _admit(request, source, content_type, holder, received_at_ns, work)
        except Refused as error:
            if error.status == 429:
                time.sleep(PACE_SECONDS)
            discard_body(request.environ)  # type: ignore[attr-defined]
            return _refuse(request, source, error, holder)
        except WireError as error:
            return _refuse(request, source, _unreadable(error), holder)
        except Stalled:
            hang_up(request.environ)  # type: ignore[attr-defined]
            message = f"the request body stopped arriving for {STALL_SECONDS:g} s, or came too slowly; try again"
            return _refuse(request, source, Refused(503, "stalled", message, _retry(1)), holder)
        except NoRoom:
            discard_body(request.environ)  # type: ignore[attr-defined]
            message = "the disk has no room for a large request; send smaller ones, or try again"
            return _refuse(request, source, Refused(503, "disk_full", message, _retry(5)), holder)
        except Busy as busy:
            time.sleep(PACE_SECONDS)
            discard_body(request.environ)  # type: ignore[attr-defined]
            return _refuse(
                request, source, Refused(503, "busy", busy.message + "; try again", _retry(busy.retry_after)), holder
            )
        except Exception as error:  # noqa: BLE001 - the outermost edge of ingest: a 500 would make SDKs drop the data
            return _broken(request, source, holder, error)

    view.__name__ = f"{source}_view"
    return csrf_exempt(view)


def _broken(request: HttpRequest, source: str, holder: KeyHolder | None, error: Exception) -> HttpResponse:
    error_id = secrets.token_hex(6)
    state = getattr(error, "sqlstate", None) or getattr(error.__cause__, "sqlstate", None)
    if _is_unavailable(error):
        log.warning("ingest %s: database unavailable, %s %s, id %s", source, type(error).__name__, state, error_id)
        reason, message = "database_unavailable", "the database is not available at the moment; try again"
    else:
        # The type and place alone: messages of database errors carry values of rows.
        trace = None if isinstance(error, (DatabaseError, psycopg.Error)) else error
        log.error("ingest %s: %s %s, id %s", source, type(error).__name__, state, error_id, exc_info=trace)
        reason, message = "internal", f"the request could not be stored; nothing was kept; error id {error_id}"
    return _refuse(request, source, Refused(503, reason, message, _retry(secrets.choice((1, 2, 3)))), holder)


def _unreadable(error: WireError) -> Refused:
    reason = {413: "too_large", 415: "content_encoding"}.get(error.status, "not_decodable")
    errors = tuple(FieldError(*wrong) for wrong in error.errors)
    return Refused(error.status, reason, error.message, errors=errors or (FieldError("body", error.message),))


def _admit(
    request: HttpRequest,
    source: str,
    content_type: str,
    holder: KeyHolder,
    received_at_ns: int,
    work: Callable[[_Arrival], HttpResponse],
) -> HttpResponse:
    limit = settings.INGEST_MAX_BODY_BYTES
    encoding = (request.META.get("HTTP_CONTENT_ENCODING") or "identity").strip().lower()
    with gate.room() as take, ExitStack() as held:
        spool = held.enter_context(closing(Spool(take)))
        receive(request, limit, spool.write)
        if spool.is_large:
            held.enter_context(gate.lane())
        unfolded = 0

        def unfold(size: int) -> None:
            nonlocal unfolded
            if unfolded <= MEMORY_BYTES < unfolded + size and not spool.is_large:
                held.enter_context(gate.lane())
            unfolded += size
            take(size)

        body = inflate(spool.pieces(), encoding, limit, unfold)
        spool.close()
        patience = DATABASE_SECONDS + len(body) / BYTES_A_SECOND
        arrival = _Arrival(source, content_type, holder, body, received_at_ns)
        del body
        with answer_within(patience):
            return work(arrival)


def _otlp_answer(arrival: _Arrival, outcome: Outcome, warnings: list[str] | None = None) -> HttpResponse:
    quota.charge(arrival.holder, outcome.received)
    message = outcome.message()
    if not message and warnings and _may_warn(arrival.holder.project_id):
        message = "; ".join(warnings[:5])[:2000]
    return otlp_success(arrival.source, arrival.content_type, outcome.rejected_total, message)


def _may_warn(project_id: int) -> bool:
    """Whether a warning without loss may be said now: once a minute a project, since SDKs log each one."""
    now = time.monotonic()
    if now - _warned.get(project_id, -WARN_EVERY_SECONDS) < WARN_EVERY_SECONDS:
        return False
    _warned[project_id] = now
    return True


def _traces(arrival: _Arrival) -> HttpResponse:
    rules = rules_for(arrival.holder.project_id)
    intake = read_traces(
        arrival.body, arrival.content_type == JSON, received_at_ns=arrival.received_at_ns, limits=_limits()
    )
    if not intake.received:
        return _otlp_answer(arrival, Outcome())
    warnings = intake.warnings + _repairs(intake)
    batch, is_suspect = arrival.batch(), _is_suspect(arrival, rules)
    arrival.body = b""  # read; a large one is let go of before its spans are stored
    return _otlp_answer(arrival, store_request(batch, intake, rules, is_suspect=is_suspect), warnings)


def _is_suspect(arrival: _Arrival, rules: Rules) -> bool:
    """Whether anything that arrived may have to be masked."""
    return rules.masker is not None and rules.masker.suspects(arrival.body, is_json=arrival.content_type == JSON)


def _repairs(intake: Intake) -> list[str]:
    """What was cut or moved without loss of a span, in words."""
    said = []
    for flag, words in _REPAIRS:
        n = sum(1 for span in intake.spans if span.flags & flag)
        if n:
            said.append(f"{n} of {intake.received} spans: {words}")
    return said


def _logs(arrival: _Arrival) -> HttpResponse:
    intake = read_logs(
        arrival.body, arrival.content_type == JSON, received_at_ns=arrival.received_at_ns, limits=_limits()
    )
    if not intake.received:
        return _otlp_answer(arrival, Outcome())
    rules = rules_for(arrival.holder.project_id)
    outcome = store_logs(
        arrival.batch(),
        intake,
        has_erased=rules.has_erased,
        masker=rules.masker,
        is_suspect=_is_suspect(arrival, rules),
    )
    return _otlp_answer(arrival, outcome)


def _metrics(arrival: _Arrival) -> HttpResponse:
    intake = read_metrics(
        arrival.body, arrival.content_type == JSON, received_at_ns=arrival.received_at_ns, limits=_limits()
    )
    if not intake.received:
        return _otlp_answer(arrival, Outcome())
    rules = rules_for(arrival.holder.project_id)
    is_suspect = _is_suspect(arrival, rules)
    return _otlp_answer(
        arrival, store_metrics(arrival.batch(), intake, masker=rules.masker, is_suspect=is_suspect)
    )


def _native_traces(arrival: _Arrival) -> HttpResponse:
    native = read_native(arrival.body, received_at_ns=arrival.received_at_ns, limits=_limits())
    outcome = Outcome(received=native.intake.received)
    if native.intake.received:
        rules = rules_for(arrival.holder.project_id)
        outcome = store_request(arrival.batch(), native.intake, rules, is_suspect=_is_suspect(arrival, rules))
    quota.charge(arrival.holder, outcome.received)
    answer: dict[str, Any] = {
        "received": outcome.received,
        "stored": outcome.stored,
        "already_stored": outcome.duplicate,
        "rejected": outcome.rejected_total,
        "reasons": {reason: {"count": n, "example": example} for reason, (n, example) in outcome.rejected.items()},
        "errors": native.errors,
        "trace_ids": native.trace_ids,
    }
    return HttpResponse(orjson.dumps(answer), content_type=JSON)


otlp_traces = _door("traces", _traces)
otlp_logs = _door("logs", _logs)
otlp_metrics = _door("metrics", _metrics)
native_traces = _door(_NATIVE, _native_traces)
