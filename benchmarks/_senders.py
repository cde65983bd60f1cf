"""Senders that behave as exporters and collectors do when things break: they repeat, overlap, give up half-way."""

from __future__ import annotations

import gzip
import random
import socket
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field

from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse
from opentelemetry.proto.trace.v1.trace_pb2 import Span

from benchmarks._checks import SpanKey
from benchmarks._client import RETRYABLE, Wire, post_headers
from benchmarks.corpus import Corpus, pack

# How often a sender does what; judgement calls, high enough that each happens dozens of times in a run.
ABANDONS = 0.06  # a post is broken off half-way, then sent whole
REPEATS_ACKED = 0.08  # as if the answer had been lost: the same bytes again
OVERLAPS = 0.15  # a batch carries some spans of an acknowledged one
REBATCHES = 0.3  # after a failure the spans travel on in another, larger batch
GIVES_UP = 0.12  # after a failure the spans are dropped
TIMEOUT_S = 10.0


def key_of(span: Span) -> SpanKey:
    """The identity of a span."""
    return span.trace_id + span.span_id


@dataclass(slots=True)
class History:
    """What senders did and what they were told."""

    sent: set[SpanKey] = field(default_factory=set)
    acked: set[SpanKey] = field(default_factory=set)
    acks: int = 0  # spans in 2xx answers, repeats included
    answers: Counter[str] = field(default_factory=Counter)
    deeds: Counter[str] = field(default_factory=Counter)
    wrong: list[str] = field(default_factory=list)  # non-retryable answers, rejections of good spans
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note_sent(self, spans: list[Span]) -> None:
        with self.lock:
            self.sent.update(key_of(span) for span in spans)

    def note_answer(self, status: int, note: str, spans: list[Span], body: bytes) -> bool:
        """Keep one answer; whether the spans are acknowledged."""
        with self.lock:
            self.answers[str(status) if status else note] += 1
            if status == 200:
                rejected = ExportTraceServiceResponse.FromString(body).partial_success
                if rejected.rejected_spans:
                    self.wrong.append(f"200 with {rejected.rejected_spans} rejected: {rejected.error_message[:200]}")
                self.acked.update(key_of(span) for span in spans)
                self.acks += len(spans)
                return True
            if status and status not in RETRYABLE:
                self.wrong.append(f"{status}: {body[:200]!r}")
            return False

    def did(self, deed: str) -> None:
        with self.lock:
            self.deeds[deed] += 1


class Sender:
    """One exporter with a stream of its own."""

    def __init__(self, url: str, key: str, history: History, seed: int, halt: threading.Event, pause_s: float) -> None:
        self.rng = random.Random(seed)
        self.url, self.key, self.history, self.halt, self.pause_s = url, key, history, halt, pause_s
        self.wire = Wire(url, TIMEOUT_S)
        corpus = Corpus(seed, 60_000, end_s=time.time() // 3600 * 3600, days=2, burst=12)
        corpus.wanted = sys.maxsize
        self.stream: Iterator[Span] = corpus.spans()
        self.held: list[Span] = []  # failed spans that travel with the next batch
        self.earlier: list[Span] = []  # the last acknowledged batch

    def run(self) -> None:
        """Send until halted, then what is still held."""
        while not self.halt.is_set():
            fresh = [next(self.stream) for _ in range(self.rng.choice((9, 40, 150, 512)))]
            batch = self.held + fresh
            self.held = []
            if self.earlier and self.rng.random() < OVERLAPS:
                batch = self.rng.sample(self.earlier, max(1, len(self.earlier) // 2)) + batch
                self.history.did("overlapping batch")
            self.deliver(batch)
            self.halt.wait(self.rng.random() * 2 * self.pause_s)
        for _ in range(20):
            if not self.held:
                break
            batch, self.held = self.held, []
            self.deliver(batch)
        self.wire.close()

    def deliver(self, batch: list[Span]) -> None:
        """One batch, until it is acknowledged, handed on or given up."""
        wire_body = gzip.compress(pack(batch).body, 1)
        self.history.note_sent(batch)
        if self.rng.random() < ABANDONS:
            self.abandon(wire_body)
        for attempt in range(200):
            status, headers, body = self.wire.ask("POST", "/v1/traces", wire_body, post_headers(self.key))
            if self.history.note_answer(status, headers.get("error", ""), batch, body):
                self.earlier = batch[:512]
                if self.rng.random() < REPEATS_ACKED:
                    self.history.did("repeat of an acknowledged batch")
                    status, headers, body = self.wire.ask("POST", "/v1/traces", wire_body, post_headers(self.key))
                    self.history.note_answer(status, headers.get("error", ""), batch, body)
                return
            if status and status not in RETRYABLE:
                return
            chance = self.rng.random()
            if chance < GIVES_UP:
                self.history.did("batch given up")
                return
            if chance < GIVES_UP + REBATCHES and len(batch) < 3000:
                self.history.did("failed spans in another batch")
                self.held = batch
                time.sleep(self.rng.random() * 0.3)
                return
            self.history.did("same bytes after a failure")
            asked = float(headers.get("retry-after", 0) or 0)
            time.sleep(max(min(asked, 5.0), min(2.0, 0.1 * 2**attempt)) * (0.5 + self.rng.random() / 2))
        self.history.did("batch given up")

    def abandon(self, wire_body: bytes) -> None:
        """Begin a post and hang up in the middle of the body, or right after it without waiting for the answer."""
        whole = self.rng.random() < 0.5
        head = [f"POST /v1/traces HTTP/1.1\r\nHost: {self.wire.host}\r\nContent-Length: {len(wire_body)}\r\n"]
        head += [f"{name}: {value}\r\n" for name, value in post_headers(self.key).items()]
        try:
            with socket.create_connection((self.wire.host, self.wire.port), timeout=TIMEOUT_S) as link:
                link.sendall("".join([*head, "\r\n"]).encode())
                link.sendall(wire_body if whole else wire_body[: len(wire_body) // 2])
        except OSError:
            return
        self.history.did("post left before its answer" if whole else "post broken off half-way")
