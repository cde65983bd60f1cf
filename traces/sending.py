"""The work of sending accepted spans on: from the feed into queues, from a queue to its target.

Nothing here is on the way of ingest: what waits is read from the committed store, a target that is down costs nobody
but itself, and what it may keep waiting is bounded by age and number.
"""

from __future__ import annotations

import gzip
import random
import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from uuid import UUID

import orjson
from django.http import HttpRequest
from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from telltale.lib import clock, egress, vault
from telltale.projects.models import Project
from traces.forward import Outgoing, Sender, export_request, without_content
from traces.forwarding import PURPOSE, audit
from traces.models import ForwardTarget
from traces.read import TooSlow
from traces.read.forwarding import Stored, Waiting, read_waiting
from traces.write import forwarding as write
from traces.write.forwarding import Entry, LeaseLost, Settled

# What waits longer, or beyond this many spans, is dropped and counted. It lies in the store anyway: a row of the queue
# is about 150 bytes, however large its spans are.
AGE_MAX = timedelta(hours=24)
QUEUE_SPANS_MAX = 1_000_000
# One request: collectors take 4 MiB and more; compressed this is a tenth.
CHUNK_SPANS = 512
CHUNK_BYTES = 2 * 1024 * 1024
# Targets that are sent to at a time, so that slow ones leave workers for everything else.
SLOTS = 2
# A worker lets go of a target after this long, so that the others have their turn.
RUN_SECONDS = 10.0
LIMITS = egress.Limits(connect_seconds=5, read_seconds=10, total_seconds=15, answer_bytes=64 * 1024)
TEST_LIMITS = egress.Limits(connect_seconds=3, read_seconds=5, total_seconds=8, answer_bytes=64 * 1024)
PAUSE_FIRST = timedelta(seconds=1)
PAUSE_MAX = timedelta(minutes=5)
RETRY_AFTER_MAX = timedelta(hours=1)
# Requests with a bad span among good ones are halved to find it; beyond so many tries the rest is refused as a whole.
SPLITS_MAX = 12
# What OTLP says is worth another try, and 500, which many servers say instead, for some tries.
RETRYABLE = frozenset({408, 429, 502, 503, 504})
TRIES_OF_500 = 5
# Somebody has to look at the target's settings: what waits is kept meanwhile.
SETTINGS_STATUS = frozenset({401, 402, 403, 404, 405, 407, 410, *range(300, 400)})


def dispatch() -> list[int]:
    """Turn what was accepted into what waits, for every project; the targets that somebody should tend now."""
    for project_id in write.open_projects():
        while write.take_feed(project_id) == write.TAKE_MAX:
            pass
    return write.waiting_targets(clock.now() - AGE_MAX, QUEUE_SPANS_MAX)


def tend(target_id: int) -> int:
    """Send what waits for a target, for some seconds; how many spans were answered for.

    Safe to run twice, and at once: one holder sends. Free of transactions while the target is waited for.
    """
    target = write.claim(target_id, SLOTS)
    if target is None:
        return 0
    try:
        write.drop(target, clock.now() - AGE_MAX, QUEUE_SPANS_MAX)
        if target.paused_at is not None or (target.next_at is not None and target.next_at > clock.now()):
            write.release(target)
            return 0
        return _Sending(target).run()
    except LeaseLost:
        return 0


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a target said to one request: accepted (some may be refused), refused, or again later."""

    kind: str  # accepted, refused, again
    message: str = ""
    status: int = 0
    refused: int = 0
    pause: timedelta | None = None


class _Sending:
    """One turn at a target."""

    def __init__(self, target: ForwardTarget) -> None:
        self.target = target
        self.answered = 0
        self.limit = CHUNK_SPANS
        self.splits = 0  # refused requests since one was accepted

    def run(self) -> int:
        ends = time.monotonic() + RUN_SECONDS
        while time.monotonic() < ends:
            entries = write.next_entries(self.target.pk, CHUNK_SPANS)
            if not entries or self._is_stopped():
                break
            if not self._step(entries):
                return self.answered
        write.release(self.target)
        return self.answered

    def _is_stopped(self) -> bool:
        """Whether somebody paused or changed the target meanwhile."""
        now = ForwardTarget.objects.filter(pk=self.target.pk, lease_by=self.target.lease_by).first()
        if now is None:
            raise LeaseLost
        self.target = now
        return now.paused_at is not None

    def _step(self, entries: list[Entry]) -> bool:
        """Send the next piece; False where the target was let go until later."""
        stored = [
            Stored(each.batch_id, each.trace_ids, each.first_started_at, each.last_started_at, each.done)
            for each in entries
        ]
        try:
            waiting, is_all = read_waiting(self.target.project_id, stored, self.limit, CHUNK_BYTES)
        except TooSlow:
            write.fail(self.target, "Our own database took too long to give the spans.", _pause(self.target.failures))
            return False
        verdict = Verdict("accepted")
        if waiting:
            verdict = _post(self.target, [each.span for each in waiting], LIMITS)
        if verdict.kind == "again":
            write.fail(self.target, verdict.message, verdict.pause or _pause(self.target.failures))
            return False
        if verdict.kind == "refused":
            self.splits += 1
            if len(waiting) > 1 and self.splits <= SPLITS_MAX:
                self.limit = max(len(waiting) // 2, 1)
                return True
            write.note_refusal(self.target, verdict.message)
            verdict = replace(verdict, refused=len(waiting))
        else:
            if verdict.refused:
                write.note_refusal(self.target, verdict.message)
        self._settle(entries, waiting, is_all, verdict)
        return True

    def _settle(self, entries: list[Entry], waiting: list[Waiting], is_all: bool, verdict: Verdict) -> None:
        refused = min(verdict.refused, len(waiting))
        sent = len(waiting) - refused
        advanced, done, part = None, None, 0
        finished = [entry.entry_id for entry in entries]
        if not is_all:
            # The piece ends within a request: those before it are done, and that one as far as its last span.
            last = waiting[-1]
            at = next(at for at, entry in enumerate(entries) if entry.batch_id == last.batch_id)
            finished = finished[:at]
            advanced, done = entries[at].entry_id, (last.span.trace_id, last.span.span_id)
            part = sum(each.batch_id == last.batch_id for each in waiting)
        settled = Settled(tuple(finished), advanced, done, part, sent, refused)
        write.settle(self.target, settled, is_answered=verdict.kind == "accepted" and bool(waiting))
        self.answered += len(waiting)
        if verdict.kind == "accepted":
            # It takes spans, so that what it refused before were some of them: look for those again.
            self.limit, self.splits = min(self.limit * 2, CHUNK_SPANS), 0
        elif self.splits > SPLITS_MAX:
            self.limit = CHUNK_SPANS


def _post(target: ForwardTarget, spans: Sequence[Outgoing], limits: egress.Limits) -> Verdict:
    """One request with these spans, and what its answer means."""
    try:
        headers = orjson.loads(vault.unseal(PURPOSE, target.sealed_headers)) if target.sealed_headers else {}
    except vault.Sealed:
        message = "Its headers cannot be opened: the installation's secret key changed. Enter them again."
        return Verdict("again", message, pause=PAUSE_MAX)
    kept = spans if target.with_content else [without_content(span) for span in spans]
    body = gzip.compress(export_request(kept), 5, mtime=0)
    headers |= {"Content-Type": "application/x-protobuf", "Content-Encoding": "gzip"}
    try:
        answer = egress.request("POST", target.url, headers=headers, body=body, limits=limits)
    except egress.Refused as refused:
        return Verdict("again", str(refused), pause=PAUSE_MAX)
    except egress.Unreachable as error:
        return Verdict("again", str(error))
    return read_answer(answer, len(spans), target.failures, clock.now())


def read_answer(answer: egress.Answer, n: int, failures: int, now: datetime) -> Verdict:
    """What an answer to a request of `n` spans means after `failures` failed attempts. Pure.

    Source: OTLP 1.x, section "OTLP/HTTP Response": 2xx with partial success is never sent again; 429, 502, 503 and
    504 are, after `Retry-After`; every other status drops the data.
    """
    status = answer.status
    if 200 <= status < 300:
        refused = min(_rejected(answer), n)
        words = f"It took {n - refused} of {n} spans and refused {refused} (partial success)." if refused else ""
        return Verdict("accepted", words, status, refused)
    if status in RETRYABLE or (status >= 500 and failures < TRIES_OF_500):
        words = "asks to slow down" if status == 429 else "cannot take spans now"
        return Verdict("again", f"It {words} (HTTP {status}).", status, pause=_retry_after(answer, failures, now))
    if status in SETTINGS_STATUS:
        words = {
            401: "It does not accept the key that is sent (HTTP 401). Check the headers.",
            403: "It forbids the key to send spans (HTTP 403). Check the headers.",
            404: "It has nothing at this address (HTTP 404). Check the path; OTLP's own is /v1/traces.",
        }.get(status, f"It does not take spans at this address (HTTP {status}). Check the settings.")
        if 300 <= status < 400:
            words = f"It answers with a redirect (HTTP {status}), which is not followed. Enter the final address."
        return Verdict("again", words, status, pause=max(_pause(failures), timedelta(seconds=30)))
    return Verdict("refused", f"It refused spans for good (HTTP {status}).", status)


def _rejected(answer: egress.Answer) -> int:
    """How many spans a 2xx did not take; 0 where the body does not say."""
    kind = answer.headers.get("content-type", "").partition(";")[0].strip().lower()
    if answer.is_cut or not answer.body:
        return 0
    if kind == "application/json":
        try:
            told = orjson.loads(answer.body)
            told = told.get("partialSuccess", told.get("partial_success")) if isinstance(told, dict) else None
            rejected: Any = told.get("rejectedSpans", told.get("rejected_spans", 0)) if isinstance(told, dict) else 0
            return max(int(rejected), 0)
        except (orjson.JSONDecodeError, TypeError, ValueError, OverflowError):
            return 0
    if kind not in {"application/x-protobuf", "application/protobuf", ""}:
        return 0
    try:
        response = ExportTraceServiceResponse.FromString(answer.body)
    except DecodeError:
        return 0
    return max(int(response.partial_success.rejected_spans), 0)


def _retry_after(answer: egress.Answer, failures: int, now: datetime) -> timedelta:
    """The pause that the answer asks for, at least our own, at most an hour."""
    raw = answer.headers.get("retry-after", "").strip()
    asked = timedelta(0)
    if raw.isascii() and raw.isdigit() and len(raw) < 10:
        asked = timedelta(seconds=int(raw))
    elif raw:
        try:
            at = parsedate_to_datetime(raw)
            asked = (at if at.tzinfo else at.replace(tzinfo=UTC)) - now
        except (ValueError, TypeError, OverflowError):
            asked = timedelta(0)
    return max(min(asked, RETRY_AFTER_MAX), _pause(failures))


def _pause(failures: int) -> timedelta:
    """The pause after one more failure: twice as long each time, some of it chance so that targets do not march."""
    base = min(PAUSE_FIRST * int(2 ** min(failures, 20)), PAUSE_MAX)
    return base * random.uniform(0.8, 1.2)  # noqa: S311 - no secret


@dataclass(frozen=True, slots=True)
class Tested:
    """What a test came to."""

    is_accepted: bool
    message: str
    trace_id: str


def send_test(project: Project, target_id: int, *, request: HttpRequest | None = None) -> Tested | None:
    """Send one span that says it is a test; None where the target is not there. Takes at most some seconds."""
    row = ForwardTarget.objects.filter(project=project, pk=target_id).first()
    if row is None:
        return None
    span = _test_span(project)
    began = time.monotonic()
    verdict = _post(row, [span], TEST_LIMITS)
    took = round((time.monotonic() - began) * 1000)
    if verdict.kind == "accepted" and not verdict.refused:
        message = f"It answered {verdict.status} in {took} ms and took the test span."
    elif verdict.kind == "accepted":
        message = f"It answered {verdict.status} but did not take the test span (partial success)."
    else:
        message = verdict.message
    is_accepted = verdict.kind == "accepted" and not verdict.refused
    audit("forwarding.test", project, row, request, outcome="accepted" if is_accepted else "refused")
    return Tested(is_accepted, message, span.trace_id.hex)


def _test_span(project: Project) -> Outgoing:
    now = int(clock.now().timestamp() * 1_000_000) * 1000
    sender = Sender(0, {"service.name": "telltale"}, "telltale.forwarding", "1", {})
    attributes = {"telltale.project": project.slug, "telltale.test": True}
    return Outgoing(
        UUID(bytes=secrets.token_bytes(16)), int.from_bytes(secrets.token_bytes(8), "big", signed=True) or 1, None,
        "telltale forwarding test", 1, now - 1_000_000, now, 1, "", "", attributes, [], [], {}, sender,
    )  # fmt: skip
