"""Durable spans a second and CPU a span, against the floor measured in the same minutes into the same PostgreSQL.

    python -m benchmarks.ingest --spans 100000

Durable: acknowledged and seen by SELECT count(*) right after the last acknowledgement. CPU: user and system time of the
supervisor, web, worker and PostgreSQL with all their children, from /proc. CPU a span hardly moves when other work
shares the machine; spans a second do, which is why they are read as ratios to the floor.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import threading
import time
from collections.abc import Iterable, Sequence

from benchmarks import _floor, _proc, _product
from benchmarks._client import Parcel, Tally, drive, parcel, quantile
from benchmarks._product import Product
from benchmarks._report import Report
from benchmarks.corpus import Batch, Corpus
from telltale.lib.sql import load as load_sql

CONNECTIONS = 4
WARM_SPANS = 2048
BARS = {"batches": (0.25, 0.5), "small": (0.20, 0.40)}
CPU_BAR_MS, CPU_AIM_MS = 0.20, 0.12
P95_BAR_MS, P95_AIM_MS = 150.0, 60.0
MEMORY_BAR_MIB, MEMORY_AIM_MIB = 500.0, 350.0
IDLE_MEMORY_BAR_MIB, IDLE_MEMORY_AIM_MIB = 600.0, 400.0
IDLE_CPU_BAR_PCT = 1.0
IDLE_SECONDS = 30.0
BACKLOG_MAX_SECONDS = 300.0
# Tasks keep their full rate for 30 s after the last sign of work (telltale.jobs.quiet), PostgreSQL vacuums every 30 s.
SETTLE_SECONDS = 60.0
OPEN_WORK = f"SELECT ({load_sql('traces', 'has_open_work')})::integer"


class Sampler(threading.Thread):
    """Highest PSS of some trees while something runs. Reading it costs CPU of ours, not of the trees."""

    def __init__(self, roots: list[int], every_s: float = 1.0) -> None:
        super().__init__(daemon=True)
        self.roots, self.every_s, self.peak_mib = roots, every_s, 0.0
        self.halt = threading.Event()

    def run(self) -> None:
        while not self.halt.wait(self.every_s):
            self.peak_mib = max(self.peak_mib, _proc.pss_mib(self.roots))


def fresh(parts: Iterable[Batch]) -> list[Parcel]:
    """Batches as requests."""
    return [parcel(batch.body, batch.spans) for batch in parts]


def load(product: Product, parcels: Sequence[Parcel], connections: int = CONNECTIONS) -> tuple[Tally, float, float]:
    """Send everything as fast as it goes: the tally, durable spans a second, CPU milliseconds a span.

    RuntimeError where what was acknowledged is not there.
    """
    roots = product.roots()
    before, cpu = product.stored_spans(), _proc.cpu_s(roots)
    tally = drive(product.url, product.key, parcels, connections=connections)
    cpu = _proc.cpu_s(roots) - cpu
    visible = product.stored_spans() - before
    if visible != tally.spans_acked or not visible:
        answers = f"{dict(tally.status)} {dict(tally.errors)}"
        raise RuntimeError(f"{tally.spans_acked} spans acknowledged, {visible} visible; answers {answers}")
    return tally, visible / tally.seconds, cpu / visible * 1000


def measure_load(report: Report, product: Product, name: str, parcels: Sequence[Parcel], floor: float) -> float:
    """One shape of load with its ratio to the floor; durable spans a second."""
    sampler = Sampler(product.roots("web", "worker"))
    sampler.start()
    tally, rate, cpu_ms = load(product, parcels)
    sampler.halt.set()
    sampler.join()
    label = "512-span batches" if name == "batches" else "one small trace a request"
    bar, aim = BARS[name]
    report.add(f"durable spans/s, {label}", rate, "spans/s")
    report.add(f"  ratio to the floor, {label}", rate / floor, "x", bar, aim, is_floor=True)
    is_main = name == "batches"
    report.add(f"  CPU a span, {label}", cpu_ms, "ms", CPU_BAR_MS if is_main else None, CPU_AIM_MS if is_main else None)
    report.add(f"  p50 / p95, closed loop, {label}", 1000 * quantile(tally.latencies, 0.95), "ms p95",
               note=f"p50 {1000 * quantile(tally.latencies, 0.5):.0f} ms")  # fmt: skip
    if is_main and sampler.peak_mib:
        report.add("memory of web and worker under load (PSS)", sampler.peak_mib, "MiB", MEMORY_BAR_MIB, MEMORY_AIM_MIB)
    if any(status != 200 for status in tally.status):
        report.say(f"answers: {dict(tally.status)} {dict(tally.errors)}")
    return rate


def measure_half(report: Report, product: Product, parcels: Sequence[Parcel], capacity: float, label: str) -> None:
    """Latency at half the measured capacity, open loop: from the moment each request was due."""
    mean = sum(item.spans for item in parcels) / len(parcels)
    tally = drive(product.url, product.key, parcels, connections=16, parcels_per_s=capacity / 2 / mean)
    p95 = 1000 * quantile(tally.latencies, 0.95)
    report.add(f"request p95 at half capacity, {label}", p95, "ms", P95_BAR_MS, P95_AIM_MS,
               note=f"p50 {1000 * quantile(tally.latencies, 0.5):.0f} ms, n {len(tally.latencies)}")  # fmt: skip


def measure_idle(report: Report, product: Product, seconds: float) -> None:
    """Memory and CPU of the whole product with nothing to do: what the load left to sum and to index is waited for."""
    began = time.monotonic()
    while product.one(OPEN_WORK) and time.monotonic() - began < BACKLOG_MAX_SECONDS:
        time.sleep(1.0)
    report.say(f"work left by the load was done after {time.monotonic() - began:.0f} s")
    time.sleep(min(SETTLE_SECONDS, seconds))
    roots = product.roots()
    parts = {part: product.roots(part) for part in _product.PARTS}
    began, cpu = time.monotonic(), _proc.cpu_s(roots)
    by_part = {part: _proc.cpu_s(pids) for part, pids in parts.items()}
    time.sleep(seconds)
    elapsed = time.monotonic() - began
    used = (_proc.cpu_s(roots) - cpu) / elapsed
    shares = {part: round(100 * (_proc.cpu_s(pids) - by_part[part]) / elapsed, 2) for part, pids in parts.items()}
    report.add("idle CPU, whole product, share of one core", 100 * used, "%", IDLE_CPU_BAR_PCT)
    report.add(
        "idle memory, whole product (PSS)", _proc.pss_mib(roots), "MiB", IDLE_MEMORY_BAR_MIB, IDLE_MEMORY_AIM_MIB
    )
    memory = {part: round(_proc.pss_mib(pids)) for part, pids in parts.items()}
    report.say(f"idle by part: CPU % {shares}, PSS MiB {memory}")


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--spans", type=int, default=60_000, help="spans in batches; a quarter goes as small requests")
    parser.add_argument("--burst", type=int, default=1, help="traces whose spans mix in the batches")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--repeat", type=int, default=3, help="runs of the floor; the best counts")
    parser.add_argument("--idle", type=float, default=IDLE_SECONDS, help="seconds of idling to measure; 0 skips it")
    parser.add_argument("--no-half", action="store_true", help="skip the latency at half capacity")
    _product.add_arguments(parser)
    args = parser.parse_args()
    report = Report("ingest")
    end_s = time.time() // 86_400 * 86_400
    few = args.spans // 4
    batches = list(Corpus(args.seed, args.spans, end_s=end_s, burst=args.burst).batches())
    small = list(Corpus(args.seed + 1, few, end_s=end_s).small())
    half = (
        list(Corpus(args.seed + 2, few, end_s=end_s).batches()),
        list(Corpus(args.seed + 3, few, end_s=end_s).small()),
    )
    warm = list(itertools.islice(Corpus(args.seed + 4, WARM_SPANS, end_s=end_s).batches(), 8))
    warm += list(itertools.islice(Corpus(args.seed + 5, WARM_SPANS, end_s=end_s).small(), 100))
    with _product.product(args) as product:
        report.say(f"other work on this machine: {_proc.busy_cores(2, product.roots()):.2f} cores")
        floor = _floor.measure(product.dsn, batches[: max(1, 40_000 // 512)], args.repeat)
        report.add(
            "floor F512: decode, flatten, COPY, one process", floor.batches, "spans/s", note=f"text {floor.storage}"
        )
        report.add("floor F9: COPY, nine rows a commit", floor.small_commits, "spans/s")
        report.add("floor: decode and flatten alone", floor.decode_flatten, "spans/s")
        drive(product.url, product.key, fresh(warm), connections=CONNECTIONS)
        rate = measure_load(report, product, "batches", fresh(batches), floor.batches)
        small_rate = measure_load(report, product, "small", fresh(small), floor.small_commits)
        if not args.no_half:
            measure_half(report, product, fresh(half[0]), rate, "512-span batches")
            measure_half(report, product, fresh(half[1]), small_rate, "one small trace a request")
        if args.idle and product.roots():
            measure_idle(report, product, args.idle)
    return report.finish(args.json)


if __name__ == "__main__":
    sys.exit(main())
