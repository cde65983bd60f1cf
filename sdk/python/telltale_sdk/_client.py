"""The one client of a process: what `init()` made, what every span is started by, what ends with the process."""

from __future__ import annotations

import atexit
import os
import threading
import time
from dataclasses import dataclass
from multiprocessing import util
from typing import Any, cast

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.sampling import ParentBased, TraceIdRatioBased
from opentelemetry.trace import SpanKind, set_span_in_context

from telltale_sdk import _guard
from telltale_sdk._budgets import BudgetAsker
from telltale_sdk._capture import to_label
from telltale_sdk._config import Config
from telltale_sdk._context import Frame
from telltale_sdk._guard import trouble, warn_once
from telltale_sdk._pipeline import SCOPE, Counts, Exporter, Processor, quieten
from telltale_sdk._signals import ChangeSender, ScoreSender, Sender, SignalSender
from telltale_sdk._span import KINDS, Span
from telltale_sdk._version import VERSION

AWAY_EXIT_SECONDS = 1.0
# Our own limits are smaller; none of the environment's may cut what was captured.
LIMITS = SpanLimits(
    max_span_attributes=1024, max_events=1024, max_links=128, max_event_attributes=128, max_link_attributes=128,
    max_attribute_length=SpanLimits.UNSET, max_span_attribute_length=SpanLimits.UNSET,
)  # fmt: skip
_OTEL_KINDS = {
    "generation": SpanKind.CLIENT, "embedding": SpanKind.CLIENT, "reranker": SpanKind.CLIENT,
    "retriever": SpanKind.CLIENT, "tool": SpanKind.INTERNAL,
}  # fmt: skip


@dataclass(frozen=True)
class Stats:
    """What became of everything so far. `spans_ended` is the sum of the four behind it; the others likewise.

    Sent is what Telltale confirmed as committed; rejected is what it refused and counted on its accounting page;
    dropped is what never arrived, by reason in `dropped_by_reason`.
    """

    spans_ended: int = 0
    spans_queued: int = 0
    spans_sent: int = 0
    spans_rejected: int = 0
    spans_dropped: int = 0
    signals_given: int = 0
    signals_queued: int = 0
    signals_sent: int = 0
    signals_rejected: int = 0
    signals_dropped: int = 0
    scores_given: int = 0
    scores_queued: int = 0
    scores_sent: int = 0
    scores_rejected: int = 0
    scores_dropped: int = 0
    changes_given: int = 0
    changes_queued: int = 0
    changes_sent: int = 0
    changes_rejected: int = 0
    changes_dropped: int = 0
    bytes_queued: int = 0
    troubles: int = 0
    dropped_by_reason: tuple[tuple[str, int], ...] = ()


class Client:
    """A configuration with its pipeline. Made once, replaced by the next `init()`."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.counts = Counts(config.queue_spans, config.queue_bytes)
        self.exporter = Exporter(config, self.counts)
        self.processor = Processor(self.exporter, config, self.counts)
        self.signals = SignalSender(config)
        self.scores = ScoreSender(config)
        self.changes = ChangeSender(config)
        self.budgets = BudgetAsker(config)
        self.flushing: threading.Thread | None = None
        self.is_shared = config.provider is not None
        provider = shared_provider(config) if self.is_shared else own_provider(config)
        provider.add_span_processor(self.processor)
        self.provider = provider
        self.tracer = provider.get_tracer(SCOPE, VERSION)
        # Beside others the resource is the application's own: what was told here goes onto our spans.
        told = {"telltale.environment": config.environment, "telltale.release": config.release}
        self.labels = {key: value for key, value in told.items() if value} if self.is_shared else {}

    def flush(self, timeout_s: float) -> bool:
        """Whether everything given so far came to its end within the time."""
        until = time.monotonic() + timeout_s
        ended = self.counts.ended
        senders = [(sender, sender.given) for sender in (self.signals, self.scores, self.changes)]
        if self.counts.queued:
            self.start_flushing()
        are_sent = [sender.wait_for(given, until) for sender, given in senders]
        return self.counts.wait_for(ended, until) and all(are_sent)

    def start_flushing(self) -> None:
        """OpenTelemetry's flush knows no time limit: a thread of its own waits for it."""
        # What comes behind a running flush is sent after the batching's own short delay.
        if self.flushing is None or not self.flushing.is_alive():
            thread = threading.Thread(target=self.force, name="telltale-flush", daemon=True)
            try:
                thread.start()
                self.flushing = thread
            except RuntimeError:
                # The interpreter is ending and starts no threads any more.
                self.force()

    def force(self) -> None:
        """Send all that waits."""
        try:
            self.processor.force_flush()
        except Exception as error:  # noqa: BLE001 - a thread of ours that fails must not print into the application
            trouble("flush", error)

    def close(self, timeout_s: float) -> None:
        """Send what can be sent within the time; nothing more is taken in."""
        if self.exporter.has_failed:
            timeout_s = min(timeout_s, AWAY_EXIT_SECONDS)
        until = time.monotonic() + timeout_s
        self.exporter.stop_by(until)
        self.processor.close(timeout_s)
        self.signals.close(until)
        self.scores.close(until)
        self.changes.close(until)

    def renew(self) -> None:
        """In the child of a fork: what was waiting is the parent's, connections and locks are new."""
        self.counts.renew()
        self.exporter.renew()
        self.signals.renew()
        self.scores.renew()
        self.changes.renew()
        self.budgets.renew()
        self.flushing = None


def own_provider(config: Config) -> TracerProvider:
    """A provider beside whatever the application has: neither sees the other's spans."""
    told = {
        "service.name": config.service, "service.version": config.release,
        "deployment.environment.name": config.environment, **config.resource,
    }  # fmt: skip
    options: dict[str, Any] = {"id_generator": config.id_generator} if config.id_generator is not None else {}
    return TracerProvider(
        resource=Resource.create({key: value for key, value in told.items() if value is not None}),
        sampler=ParentBased(TraceIdRatioBased(config.sample)),
        span_limits=LIMITS,
        shutdown_on_exit=False,
        **options,
    )


def shared_provider(config: Config) -> TracerProvider:
    """The application's own provider; where it has none yet, ours is set as the global one."""
    given: Any = trace.get_tracer_provider() if config.provider == "global" else config.provider
    if hasattr(given, "add_span_processor"):
        return cast(TracerProvider, given)
    made = own_provider(config)
    trace.set_tracer_provider(made)
    return made


_client: Client | None = None
_lock = threading.Lock()


def current() -> Client | None:
    """The client in force, None before `init()` and after `shutdown()`."""
    return _client


def replace(client: Client | None) -> Client | None:
    """Put a client in force; the one before."""
    global _client
    with _lock:
        before, _client = _client, client
    return before


def start_span(name: Any, kind: Any, around: Frame, start_ns: int | None) -> Span:
    """A span below the one of a frame, with what the frame says."""
    client = _client
    if kind not in KINDS:
        warn_once(f"kind/{str(kind)[:40]}", "kind=%r is none of %s; span is used", kind, ", ".join(KINDS))
        kind = "span"
    name = to_label(name, None, 256) or kind
    if client is None:
        return Span(name, kind, None, None, 0)
    attributes = {"telltale.kind": kind, **client.labels, **around.labels, **around.once}
    if kind == "generation":
        attributes.update(around.prompt)
    elif kind == "tool":
        attributes["gen_ai.tool.name"] = name
    context: Context | None = None
    if not client.is_shared:
        parent = around.span._otel if around.span is not None else None
        context = set_span_in_context(parent, Context()) if parent is not None else Context()
    started_ns = time.time_ns() if start_ns is None else start_ns
    otel = client.tracer.start_span(
        name, context, _OTEL_KINDS.get(kind, SpanKind.INTERNAL), attributes, start_time=started_ns
    )
    return Span(name, kind, otel, client, started_ns)


def stats_of(client: Client | None) -> Stats:
    """The figures of a client."""
    if client is None:
        return Stats(troubles=_guard.trouble_count())
    counts = client.counts
    with counts.lock:
        spans = (counts.ended, counts.queued, counts.sent, counts.rejected, counts.dropped.total())
        reasons = tuple(sorted(counts.dropped.items()))
        size = counts.queued_bytes
    told, said, changed = (_read(sender) for sender in (client.signals, client.scores, client.changes))
    troubles = _guard.trouble_count()
    return Stats(*spans, *told, *said, *changed, bytes_queued=size, troubles=troubles, dropped_by_reason=reasons)


def _read(sender: Sender) -> tuple[int, int, int, int, int]:
    with sender.lock:
        return sender.given, sender.queued, sender.sent, sender.rejected, sender.dropped


def _at_exit() -> None:
    client = replace(None)
    if client is not None:
        try:
            client.close(client.config.exit_s)
        except Exception as error:  # noqa: BLE001 - the application is going; its exit code is its own
            trouble("exit", error)


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.Lock()
    _guard.renew_locks()
    if _client is not None:
        _client.renew()
        _flush_with_child()


def _flush_with_child() -> None:
    """Children of multiprocessing and of Celery's pool end without atexit, but run finalizers of their own."""
    try:
        util.register_after_fork(_marker, lambda _: util.Finalize(None, _at_exit, exitpriority=100))
    except Exception as error:  # noqa: BLE001 - the child must start
        trouble("fork", error)


class _Marker:
    """Something that lives as long as the module, for finalizers to hang on."""


_marker = _Marker()
quieten()
atexit.register(_at_exit)
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)
