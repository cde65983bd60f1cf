"""Offer four times what Telltale can take: refused is fine, suffering is not.

    python -m benchmarks.overload --seconds 20

Capacity first, in a closed loop with four connections; then an open loop of new spans at `--times` that rate, without
retries, over many connections. Looked at meanwhile: answers by status, spans stored a second, memory of the web
processes, /healthz; afterwards: how soon a plain trace is taken again.
"""

from __future__ import annotations

import argparse
import itertools
import sys
import threading
import time
from collections.abc import Iterator, Sequence

from benchmarks import _proc, _product
from benchmarks._client import Parcel, Wire, drive, parcel, post_headers, quantile
from benchmarks._product import Product
from benchmarks._report import Report
from benchmarks.corpus import Batch, Corpus
from benchmarks.ingest import CONNECTIONS, fresh, load

EXPECTED = frozenset({200, 429, 503})


class Watch(threading.Thread):
    """Memory of the web processes and answers of /healthz during the storm."""

    def __init__(self, product: Product) -> None:
        super().__init__(daemon=True)
        self.product = product
        self.halt = threading.Event()
        self.rss_mib = 0.0
        self.pss_mib = 0.0
        self.health_s: list[float] = []
        self.unhealthy = 0

    def run(self) -> None:
        while not self.halt.wait(0.25):
            wire = Wire(self.product.url, timeout_s=10)
            began = time.perf_counter()
            status, _, _ = wire.ask("GET", "/healthz")
            wire.close()
            self.health_s.append(time.perf_counter() - began)
            self.unhealthy += status != 200
            roots = self.product.roots("web")
            self.rss_mib = max(self.rss_mib, _proc.rss_mib(roots))
            self.pss_mib = max(self.pss_mib, _proc.pss_mib(roots))


def many(batches: Sequence[Batch], spans: int) -> Iterator[Parcel]:
    """At least `spans` new spans made of the batches over and over under other trace ids."""
    total = 0
    for round_number in itertools.count(1):
        for batch in batches:
            if total >= spans:
                return
            total += batch.spans
            yield parcel(batch.again(round_number).body, batch.spans, 1)


def recover_s(product: Product, seed: int, seconds: float = 60.0) -> float:
    """Seconds until a plain trace is accepted."""
    began = time.perf_counter()
    trace = next(Corpus(seed, 9, end_s=time.time()).small())
    wire = Wire(product.url, timeout_s=10)
    while time.perf_counter() - began < seconds:
        if wire.ask("POST", "/v1/traces", parcel(trace.body, trace.spans).wire, post_headers(product.key))[0] == 200:
            return time.perf_counter() - began
        time.sleep(0.1)
    return float("inf")


def storm(report: Report, product: Product, batches: Sequence[Batch], args: argparse.Namespace) -> None:
    """Find the capacity, offer a multiple of it, look."""
    base = len(batches) // 3
    load(product, fresh(batches[:4]))
    _, capacity, _ = load(product, fresh(batches[4 : 4 + base]))
    report.add("capacity, closed loop", capacity, "spans/s")
    offered = args.times * capacity
    parcels = list(many(batches[4 + base :], int(offered * args.seconds)))
    mean = sum(item.spans for item in parcels) / len(parcels)
    before = product.stored_spans()
    watch = Watch(product)
    watch.start()
    tally = drive(
        product.url, product.key, parcels, connections=args.connections, parcels_per_s=offered / mean, timeout_s=30
    )
    seconds = time.perf_counter() - tally.began
    recovered = recover_s(product, args.seed + 9)
    watch.halt.set()
    watch.join()
    stored = product.stored_spans() - before
    answers = sum(tally.status.values())
    others = answers - sum(tally.status[status] for status in EXPECTED)
    report.say(f"answers: {dict(sorted(tally.status.items()))} {dict(tally.errors)}")
    report.add("really offered", sum(item.spans for item in parcels) / seconds / capacity, "x capacity")
    report.add("stored during the storm over capacity", stored / seconds / capacity, "x", 0.8, is_floor=True)
    report.add("answers that are not 200, 429 or 503", 100 * others / max(1, answers), "%", 1.0)
    report.add("refusals without Retry-After", tally.refused_bare, "", 0)
    report.add("acknowledged and not stored", max(0, tally.spans_acked - stored), "spans", 0)
    if watch.rss_mib:
        report.add("web processes, resident at most", watch.rss_mib, "MiB", 1024, note=f"PSS {watch.pss_mib:.0f} MiB")
    slowest = 1000 * max(watch.health_s, default=float("nan"))
    report.add("/healthz, slowest", slowest, "ms", 1000, note=f"p50 {1000 * quantile(watch.health_s, 0.5):.0f} ms")
    report.add("/healthz answers that are not 200", watch.unhealthy, "", 0)
    report.add("plain trace accepted after the storm", recovered, "s", 5)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--times", type=float, default=4.0)
    parser.add_argument("--spans", type=int, default=60_000, help="distinct spans; more are made under other trace ids")
    parser.add_argument("--small", action="store_true", help="one trace a request instead of 512-span batches")
    parser.add_argument("--connections", type=int, default=256)
    parser.add_argument("--seed", type=int, default=1)
    _product.add_arguments(parser)
    args = parser.parse_args()
    report = Report("overload")
    corpus = Corpus(args.seed, args.spans, end_s=time.time() // 86_400 * 86_400)
    batches = list(corpus.small() if args.small else corpus.batches())
    report.say(f"{len(batches)} distinct requests, closed loop over {CONNECTIONS} connections")
    with _product.product(args) as product:
        storm(report, product, batches, args)
    return report.finish(args.json)


if __name__ == "__main__":
    sys.exit(main())
