"""From ended spans to Telltale: OpenTelemetry's batching and its exporter, within a bound of spans and of bytes.

What OpenTelemetry's exporter gives up after ten seconds is held and tried again for a while, because a server that
restarts takes longer; what does not fit meanwhile is dropped, and counted.
"""

from __future__ import annotations

import logging
import threading
import time
from collections import Counter
from collections.abc import Sequence
from contextvars import ContextVar
from typing import Any

import requests
from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.trace import Status

from telltale_sdk._capture import apply_mask
from telltale_sdk._config import TRACES_PATH, Config
from telltale_sdk._guard import trouble, warn_once
from telltale_sdk._version import VERSION

SCOPE = "telltale_sdk"
RETRIED = frozenset({429, 502, 503, 504})
PAUSE_MIN_SECONDS = 1.0
PAUSE_MAX_SECONDS = 30.0
ASKED_PAUSE_MAX_SECONDS = 60.0
# What a span weighs beside its texts, measured with tracemalloc over 10,000 spans of ten short attributes.
SPAN_BYTES = 2_500

_is_ours: ContextVar[bool] = ContextVar("telltale_exporting", default=False)
# The exporter's own lines at each retry would fill the application's log while Telltale is away; those of the
# application's other exporters are left alone.
_LOGGERS = (
    "opentelemetry.exporter.otlp.proto.http.trace_exporter",
    "opentelemetry.exporter.otlp.common.http",
    "opentelemetry.sdk._shared_internal",
)


def _is_not_ours(record: logging.LogRecord) -> bool:
    return not _is_ours.get()


def quieten() -> None:
    """Let the exporter be silent where it works for us: `warn_once` tells instead."""
    for name in _LOGGERS:
        found = logging.getLogger(name)
        if _is_not_ours not in found.filters:
            found.addFilter(_is_not_ours)


class Counts:
    """What became of ended spans: `ended == queued + sent + rejected + dropped`, always."""

    def __init__(self, queue_spans: int, queue_bytes: int) -> None:
        self.queue_spans = queue_spans
        self.queue_bytes = queue_bytes
        self.renew()

    def renew(self) -> None:
        """Begin at nothing, as the child of a fork does: what was waiting is its parent's."""
        self.lock = threading.Lock()
        self.ended = self.queued = self.queued_bytes = self.sent = self.rejected = 0
        self.dropped: Counter[str] = Counter()
        self.settled = threading.Condition(self.lock)

    def take(self, size: int) -> bool:
        """Make room for one span of `size` bytes; False where there is none."""
        with self.lock:
            self.ended += 1
            if self.queued < self.queue_spans and self.queued_bytes + size <= self.queue_bytes:
                self.queued += 1
                self.queued_bytes += size
                return True
            self.dropped["queue_full"] += 1
        warn_once("queue", "spans end faster than they can be sent; some are dropped")
        return False

    def settle(self, count: int, size: int, rejected: int = 0, dropped: str = "") -> None:
        """`count` spans left the queue: sent but for `rejected` ones, or all dropped for a reason."""
        with self.lock:
            self.queued -= count
            self.queued_bytes -= size
            if dropped:
                self.dropped[dropped] += count
            else:
                self.rejected += min(rejected, count)
                self.sent += count - min(rejected, count)
            self.settled.notify_all()

    def wait_for(self, ended: int, until: float) -> bool:
        """Wait until as many spans as `ended` have come to their end; False where the time is up before."""
        with self.lock:
            while self.ended - self.queued < ended:
                left = until - time.monotonic()
                if left <= 0 or not self.settled.wait(left):
                    return self.ended - self.queued >= ended
        return True


def size_of(span: ReadableSpan) -> int:
    """About how many bytes a span holds on to."""
    size = SPAN_BYTES
    for value in (span.attributes or {}).values():
        size += len(value) * 2 if isinstance(value, str) else 32
    for event in span.events:
        size += sum(len(value) * 2 for value in (event.attributes or {}).values() if isinstance(value, str))
    return size


class Processor(BatchSpanProcessor):
    """OpenTelemetry's batching, with a bound on bytes, the sample, and counts that add up."""

    def __init__(self, exporter: Exporter, config: Config, counts: Counts) -> None:
        super().__init__(
            exporter,
            max_queue_size=config.queue_spans,
            schedule_delay_millis=config.delay_s * 1000,
            max_export_batch_size=min(config.batch_spans, config.queue_spans),
        )
        self._counts = counts
        self._limit = round(config.sample * 2**64)
        self._is_closed = False

    def on_end(self, span: ReadableSpan) -> None:
        """Take a span in, or drop it: never waits."""
        try:
            context = span.context
            if self._is_closed or context is None or not context.trace_flags.sampled:
                return
            if (context.trace_id & (2**64 - 1)) >= self._limit:
                return
            if self._counts.take(size_of(span)):
                super().on_end(span)
        except Exception as error:  # noqa: BLE001 - this runs in the application's request
            trouble("on_end", error)

    def close(self, timeout_s: float) -> None:
        """Send what is there, and end, within about `timeout_s`."""
        self._is_closed = True
        try:
            self._batch_processor.shutdown(timeout_millis=round(timeout_s * 1000))
        except (AttributeError, TypeError):
            # Versions whose batching takes no time limit; the exporter keeps to it by itself.
            super().shutdown()  # type: ignore[no-untyped-call]
        left = list(getattr(getattr(self, "_batch_processor", None), "_queue", ()))
        self._counts.settle(len(left), sum(size_of(span) for span in left), dropped="shutdown")


class Bearer(requests.auth.AuthBase):
    """The key of each request, and none of what the environment tells other exporters to send elsewhere."""

    KEPT = frozenset({"content-type", "content-encoding", "content-length", "accept", "accept-encoding", "connection"})

    def __init__(self, config: Config) -> None:
        self.headers = {**config.headers, "Authorization": f"Bearer {config.api_key}"}
        self.headers["User-Agent"] = f"telltale-sdk-python/{VERSION}"

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        for name in list(request.headers):
            if name.lower() not in self.KEPT:
                del request.headers[name]
        request.headers.update(self.headers)
        return request


class Exporter(SpanExporter):
    """OpenTelemetry's exporter, made anew in each process, and what is known of its last answer."""

    def __init__(self, config: Config, counts: Counts) -> None:
        self.config = config
        self.counts = counts
        self.renew()

    def renew(self) -> None:
        """In the child of a fork: connections and locks of the parent are not ours."""
        self.inner: OTLPSpanExporter | None = None
        self.stop_at: float | None = None
        self.stopping = threading.Event()
        self.has_failed = False
        self.status = 0
        self.asked_pause = 0.0
        self.rejected = 0

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Deliver a batch or count it as dropped; returns when one of both is done."""
        size = sum(size_of(span) for span in spans)
        token = _is_ours.set(True)
        reason = "failed"
        try:
            masked = self.config.mask is not None
            batch = [mask_foreign(span, self.config.mask) for span in spans] if masked else spans
            reason = self.deliver(batch)
        except Exception as error:  # noqa: BLE001 - the thread that sends must live on
            trouble("export", error)
        finally:
            _is_ours.reset(token)
            self.counts.settle(len(spans), size, self.rejected, reason)
        return SpanExportResult.FAILURE if reason else SpanExportResult.SUCCESS

    def deliver(self, spans: Sequence[ReadableSpan]) -> str:
        """Why a batch could not be delivered, "" where it was. The number refused is in `rejected`."""
        self.rejected = 0
        give_up_at = time.monotonic() + self.config.retry_s
        pause = PAUSE_MIN_SECONDS
        while True:
            if self.stop_at is not None and (self.has_failed or time.monotonic() >= self.stop_at):
                return "shutdown"
            if self.attempt(spans):
                self.has_failed = False
                return ""
            if self.stop_at is not None and time.monotonic() >= self.stop_at:
                return "shutdown"
            if self.status == 413 and len(spans) > 1:
                return self.deliver_halves(spans)
            if self.status and self.status not in RETRIED:
                self.tell_refusal()
                return "refused"
            self.has_failed = True
            warn_once(
                "away", "Telltale at %s %s; spans are held and sent again, within bounds", self.config.shown,
                f"answers {self.status}" if self.status else "does not answer",
            )  # fmt: skip
            if time.monotonic() + max(pause, self.asked_pause) >= give_up_at:
                return "away"
            self.stopping.wait(max(pause, self.asked_pause))
            pause = min(pause * 2, PAUSE_MAX_SECONDS)

    def attempt(self, spans: Sequence[ReadableSpan]) -> bool:
        """One try of the exporter, with the few tries of its own."""
        if self.inner is None:
            self.inner = self.make()
        self.status, self.asked_pause = 0, 0.0
        try:
            done = self.inner.export(spans) is SpanExportResult.SUCCESS
        except requests.RequestException:
            # Older versions let them through.
            return False
        # A redirect is an answer that stored nothing, to a login page for example.
        return done and not 300 <= self.status < 400

    def deliver_halves(self, spans: Sequence[ReadableSpan]) -> str:
        """Both halves of a batch that some proxy found too large."""
        half = len(spans) // 2
        first, rejected = self.deliver(spans[:half]), self.rejected
        second = self.deliver(spans[half:])
        self.rejected += rejected
        if bool(first) != bool(second):
            # One of both arrived: what is counted must say so.
            self.rejected += half if first else len(spans) - half
            return ""
        return first and second

    def make(self) -> OTLPSpanExporter:
        """The exporter, with a session that keeps what the server says."""
        session = requests.Session()
        session.auth = Bearer(self.config)
        session.hooks["response"].append(self.hear)
        return OTLPSpanExporter(
            endpoint=self.config.url(TRACES_PATH),
            timeout=self.config.timeout_s,
            compression=Compression.Gzip,
            session=session,
        )

    def hear(self, response: requests.Response, *arguments: Any, **options: Any) -> None:
        """What the server answered. Refused spans are told in a 200 that OpenTelemetry's exporter does not read."""
        self.status = response.status_code
        self.asked_pause = read_pause(response.headers.get("Retry-After"))
        if response.status_code == 200 and response.content:
            try:
                told = ExportTraceServiceResponse.FromString(response.content).partial_success
            except Exception:  # noqa: BLE001 - an answer that is none of OTLP's
                warn_once("answer", "what answers at %s is no OTLP endpoint", self.config.shown)
                return
            self.rejected = int(told.rejected_spans)
            if self.rejected:
                warn_once("rejected", "Telltale refused %d spans: %s", self.rejected, told.error_message[:500])

    def tell_refusal(self) -> None:
        """Once for each status: who is to do something about it can."""
        advice = {401: "is the key right?", 403: "has the key the scope ingest?", 404: "is the endpoint right?"}
        warn_once(
            f"refused/{self.status}", "Telltale at %s answered %d and took no spans: %s", self.config.shown,
            self.status, advice.get(self.status, "they are dropped"),
        )  # fmt: skip

    def stop_by(self, moment: float) -> None:
        """From now on, no try that begins after `moment` (monotonic), and no waiting between tries."""
        self.stop_at = moment
        # The last try of what was held: the server may be back.
        self.has_failed = False
        self.stopping.set()

    def shutdown(self) -> None:
        """Let go of the connection."""
        self.stop_by(time.monotonic())
        if self.inner is not None:
            self.inner.shutdown()  # type: ignore[no-untyped-call]

    def force_flush(self, timeout_millis: int = 30_000) -> bool:
        """Nothing waits here."""
        return True


def read_pause(told: str | None) -> float:
    """The seconds of a Retry-After header, within reason; 0 where it says none, or a date."""
    try:
        return min(max(float(told or 0), 0.0), ASKED_PAUSE_MAX_SECONDS)
    except ValueError:
        return 0.0


def mask_foreign(span: ReadableSpan, mask: Any) -> ReadableSpan:
    """A span of another instrumentation with each of its texts masked; our own were when they were captured."""
    scope = span.instrumentation_scope
    if scope is not None and scope.name == SCOPE:
        return span

    def hide(value: Any) -> Any:
        if isinstance(value, str):
            return apply_mask(mask, value)
        return tuple(hide(item) for item in value) if isinstance(value, tuple | list) else value

    def hide_all(attributes: Any) -> dict[str, Any]:
        return {key: hide(value) for key, value in (attributes or {}).items()}

    events = [type(event)(event.name, hide_all(event.attributes), event.timestamp) for event in span.events]
    words = span.status.description
    status = Status(span.status.status_code, apply_mask(mask, words) if words else None)
    return ReadableSpan(
        span.name, span.context, span.parent, span.resource, hide_all(span.attributes), events, span.links, span.kind,
        status=status, start_time=span.start_time, end_time=span.end_time, instrumentation_scope=scope,
    )  # fmt: skip
