"""Committed signals a second through HTTP, counted in the database after the last acknowledgement.

    python -m benchmarks.signals --signals 200000 --batch 500

Of a hundred signals sixty are about traces that are there, ten about their sessions, ten toggle a thumb of an earlier
batch (one row, not two), ten come twice word for word (one row, not two), and ten are about traces that never come.
Every one has a caller's id, a user, a time and, one in five, a comment. What web, worker and database do about them
afterwards (behaviour of sessions) is running meanwhile, and waited for and told apart.
"""

from __future__ import annotations

import argparse
import random
import sys
import threading
import time
import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from benchmarks import _proc, _product
from benchmarks._client import Wire, quantile, run_all
from benchmarks._product import Product
from benchmarks._report import Report

CONNECTIONS = 4
BAR, AIM = 5_000.0, 10_000.0
TRACES, TURNS = 4_000, 4
SETTLE_MAX_SECONDS = 300.0
TARGETS = ("trace",) * 6 + ("session", "toggle", "twice", "orphan")
NAMES = ("thumbs_up", "thumbs_up", "thumbs_up", "thumbs_down", "copied", "retry", "task_completed")


@dataclass(slots=True)
class Sent:
    """What was acknowledged: how many signals, by what became of them, and how long each request took."""

    began: float = 0.0
    last_ack: float = 0.0
    statuses: dict[str, int] = field(default_factory=dict)
    latencies: list[float] = field(default_factory=list)
    failed: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def acked(self) -> int:
        return sum(self.statuses.values())

    @property
    def rate(self) -> float:
        return self.acked / max(self.last_ack - self.began, 1e-9)


def make_traces(n: int, start: datetime) -> list[tuple[str, str]]:
    """(trace, session) of `n` traces, `TURNS` to a session."""
    return [(uuid.UUID(int=(1 << 96) + at).hex, f"session-{at // TURNS}") for at in range(1, n + 1)]


def store_traces(product: Product, traces: list[tuple[str, str]], start: datetime) -> None:
    """Send the traces that the signals will be about; RuntimeError where they are not taken."""
    wire = Wire(product.url)
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {product.key}"}
    for first in range(0, len(traces), 500):
        told = [
            {
                "trace_id": trace, "name": "chat", "kind": "generation", "model": "gpt-4o-mini", "session": session,
                "start": (start + timedelta(seconds=first + at)).isoformat(), "duration_ms": 900, "feature": "help",
                "input": [{"role": "user", "content": f"Where is order {first + at}?"}], "output": "On its way.",
            }
            for at, (trace, session) in enumerate(traces[first : first + 500])
        ]  # fmt: skip
        status, _, content = wire.ask("POST", "/api/v1/traces", orjson.dumps({"traces": told}), headers)
        if status != 200:
            raise RuntimeError(f"traces answered {status} {content[:300]!r}")
    wire.close()


class Traffic:
    """Batches of signals, and how many rows they must come to."""

    def __init__(self, traces: list[tuple[str, str]], seed: int, prefix: str) -> None:
        self.traces, self.random, self.prefix = traces, random.Random(seed), prefix
        self.made: list[dict[str, Any]] = []
        self.rows, self.sent = 0, 0

    def batches(self, signals: int, size: int) -> Iterator[tuple[bytes, int]]:
        """Bodies of `size` signals; a signal of an earlier batch comes again with its id."""
        now = datetime.now(UTC)
        while self.sent < signals:
            n = min(size, signals - self.sent)
            earlier = len(self.made)
            batch = [self._one(now + timedelta(microseconds=self.sent + at), earlier) for at in range(n)]
            self.sent += n
            yield orjson.dumps({"signals": batch}), n

    def _one(self, at: datetime, earlier: int) -> dict[str, Any]:
        kind = self.random.choice(TARGETS)
        if kind in ("toggle", "twice") and earlier:
            before = self.made[self.random.randrange(earlier)]
            if kind == "twice":
                return before
            flipped = "thumbs_down" if before["name"] == "thumbs_up" else "thumbs_up"
            return before | {"name": flipped, "happened_at": at.isoformat()}
        trace, session = self.random.choice(self.traces)
        if kind == "orphan":
            about = {"trace_id": uuid.UUID(int=self.random.getrandbits(128)).hex}
        else:
            about = {"session_id": session} if kind == "session" else {"trace_id": trace}
        made = {
            "name": self.random.choice(NAMES), "client_id": f"{self.prefix}-{self.rows}", "happened_at": at.isoformat(),
            "user_id": f"user-{self.random.randrange(5_000)}", **about,
        }  # fmt: skip
        if self.random.random() < 0.2:
            made["comment"] = "The order number was right, the address was not: please look again."
        self.rows += 1
        self.made.append(made)
        return made


def send(product: Product, bodies: list[tuple[bytes, int]], connections: int) -> Sent:
    """Post every body once over `connections`, closed loop."""
    sent, supply, lock = Sent(began=time.perf_counter()), iter(bodies), threading.Lock()
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {product.key}"}

    def work() -> None:
        wire = Wire(product.url)
        while True:
            with lock:
                found = next(supply, None)
            if found is None:
                break
            began = time.perf_counter()
            status, _, content = wire.ask("POST", "/api/v1/signals", found[0], headers)
            ended = time.perf_counter()
            # Only what is counted is read: the answer of each signal is long.
            told = orjson.loads(content) if status == 200 else {}
            with sent.lock:
                if status != 200:
                    sent.failed.append(f"{status} {content[:200]!r}")
                    continue
                sent.latencies.append(ended - began)
                sent.last_ack = ended
                for name in ("accepted", "updated", "unchanged", "superseded", "rejected"):
                    sent.statuses[name] = sent.statuses.get(name, 0) + told[name]
        wire.close()

    run_all([work] * connections)
    return sent


def count(product: Product, where: str = "true") -> int:
    """Committed signals, seen over a connection of its own."""
    return product.one(f"SELECT count(*) FROM traces_signal WHERE {where}")


def cpu_by_part(product: Product) -> dict[str, float]:
    """CPU seconds so far of web, worker, database and supervisor."""
    return {part: _proc.cpu_s(product.roots(part)) for part in _product.PARTS}


def settle(product: Product) -> float:
    """Seconds until the behaviour of every session that is over has been looked at."""
    began = time.monotonic()
    waiting = "SELECT count(*) FROM traces_behaviour_due WHERE due_at <= now()"
    while product.one(waiting) and time.monotonic() - began < SETTLE_MAX_SECONDS:
        time.sleep(0.5)
    return time.monotonic() - began


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--signals", type=int, default=200_000)
    parser.add_argument("--batch", type=int, default=500, help="signals a request, at most 1000")
    parser.add_argument("--connections", type=int, default=CONNECTIONS)
    parser.add_argument("--seed", type=int, default=1)
    _product.add_arguments(parser)
    args = parser.parse_args()
    report = Report("signals")
    with _product.product(args) as product:
        report.say(f"other work on this machine: {_proc.busy_cores(2, product.roots()):.2f} cores")
        start = datetime.now(UTC) - timedelta(hours=3)
        traces = make_traces(TRACES, start)
        store_traces(product, traces, start)
        warm = Traffic(traces, args.seed + 1, f"warm-{time.time_ns()}")
        send(product, list(warm.batches(2_000, 100)), args.connections)
        settle(product)
        before = count(product)
        traffic = Traffic(traces, args.seed, f"load-{time.time_ns()}")
        bodies = list(traffic.batches(args.signals, args.batch))
        cpu = cpu_by_part(product)
        sent = send(product, bodies, args.connections)
        used = {part: seconds - cpu[part] for part, seconds in cpu_by_part(product).items()}
        stored = count(product) - before
        report.say(f"{sent.acked:,} acknowledged: {sent.statuses}; {stored:,} rows, {traffic.rows:,} expected")
        is_whole = not sent.failed and sent.acked == args.signals and stored == traffic.rows
        report.add("signals acknowledged and lost, or stored twice", abs(stored - traffic.rows), "rows", 0.0)
        label = f"{args.batch} a request, {args.connections} connections"
        report.add(f"committed signals/s, {label}", sent.rate if is_whole else float("nan"), "signals/s", BAR, AIM,
                   is_floor=True)  # fmt: skip
        shares = ", ".join(f"{part} {1e6 * seconds / max(sent.acked, 1):.0f}" for part, seconds in used.items())
        report.add("  CPU a signal, everything", 1e6 * sum(used.values()) / max(sent.acked, 1), "us", note=shares)
        report.add("  p50 / p95 of a request", 1000 * quantile(sent.latencies, 0.95), "ms p95",
                   note=f"p50 {1000 * quantile(sent.latencies, 0.5):.0f} ms")  # fmt: skip
        if sent.failed:
            report.say(f"failed: {sent.failed[:3]}")
        report.say(f"sessions that the signals changed were looked at {settle(product):.1f} s after the last of them")
        unbound = count(product, "bound_at IS NULL AND client_id LIKE 'load-%'")
        report.say(f"{unbound:,} of {stored:,} are about traces that never come, and stay unbound")
    return report.finish(args.json)


if __name__ == "__main__":
    sys.exit(main())
