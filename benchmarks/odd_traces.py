"""Every stored trace opens, however odd: its page and its twins of the API, timed while the worker is busy with it.

    python -m benchmarks.odd_traces

Traces 20,000 and 100,000 children wide, 3,000 levels deep, in circles of 2, 50 and 3,000, their own parents, orphans by
the thousand, 5,000 roots, and 2,000 spans sent twice. Every address is asked for `--repeats` times.
"""

from __future__ import annotations

import argparse
import gzip
import sys
import time
from collections import defaultdict
from collections.abc import Iterator

from benchmarks import _product
from benchmarks._client import Browser, Wire, quantile
from benchmarks._door import Door, provision_key
from benchmarks._product import Product
from benchmarks._report import Report
from tests.traces.hostile_case import PROTOBUF, trace_of
from tests.traces.hostile_wire import request, span

SLOWEST_SECONDS, P95_SECONDS = 10.0, 2.0
PIECE = 10_000
Shape = tuple[str, list[bytes]]


def shapes() -> Iterator[Shape]:
    """(name, spans as protobuf) of each odd trace."""

    def of(name: str, parents: list[int]) -> Shape:
        """Span n + 1 below span `parents[n]`; 0 is no parent."""
        trace, now = trace_of(name), time.time_ns() - 60 * 10**9
        return name, [
            span(at, trace, name=f"step {at}", parent=parent or b"", start=now + at * 1_000, end=now + 50 * 10**9)
            for at, parent in enumerate(parents, 1)
        ]

    yield of("20,000 wide", [0] + [1] * 20_000)
    yield of("100,000 wide", [0] + [1] * 100_000)
    yield of("3,000 deep", list(range(3_000)))
    yield of("3,000 deep, 5 each", [0] + [at // 5 * 5 + 1 if at % 5 else max(at - 4, 1) for at in range(1, 15_000)])
    yield of("own parent", [1])
    yield of("circle of 2", [2, 1])
    yield of("circle of 50 with 500 below", [at % 50 + 1 for at in range(1, 51)] + [7] * 500)
    yield of("circle of 3,000", [at % 3_000 + 1 for at in range(1, 3_001)])
    yield of("5,000 orphans", [10**9 + at for at in range(5_000)])
    yield of("5,000 roots", [0] * 5_000)
    name, spans = of("2,000 ids twice", [0] + [1] * 1_999)
    yield name, spans * 2


def addresses(name: str) -> dict[str, str]:
    """What is asked for of a trace: words to address, `{p}` the project."""
    trace = trace_of(name).hex()
    return {
        "page": f"/p/{{p}}/traces/{trace}/",
        "page with a span": f"/p/{{p}}/traces/{trace}/?span=0000000000000001",
        "API": f"/api/v1/traces/{trace}",
        "API spans": f"/api/v1/traces/{trace}/spans",
        "API one span": f"/api/v1/traces/{trace}/spans/0000000000000001",
    }


def store(door: Door, spans: list[bytes]) -> None:
    """Send spans in pieces; RuntimeError where one is not taken whole."""
    for first in range(0, len(spans), PIECE):
        body = gzip.compress(request(*spans[first : first + PIECE]), 1)
        status, _, content = door.post("/v1/traces", body, PROTOBUF, {"Content-Encoding": "gzip"})
        if (status, content) != (200, b""):
            raise RuntimeError(f"spans answered {status} {content[:200]!r}")


def signed_in(running: Product) -> Browser:
    """A signed-in browser; a busy machine may answer 503 at first."""
    for _ in range(10):
        try:
            return running.browser()
        except RuntimeError:
            time.sleep(2.0)
    return running.browser()


def main() -> int:
    """Exit 0 where every address opened in time."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    _product.add_arguments(parser)
    parser.add_argument("--repeats", type=int, default=10)
    args = parser.parse_args()
    report = Report("odd traces")
    faults: list[str] = []
    with _product.started(keep=args.keep) as running:
        door = Door(Wire(running.url, timeout_s=60.0), provision_key(running))
        stored = {}
        for name, spans in shapes():
            store(door, spans)
            stored[name] = len(spans)
        browser = signed_in(running)
        headers = {"Authorization": f"Bearer {door.secret}"}
        times: dict[str, list[float]] = defaultdict(list)
        for name in stored:
            slowest: dict[str, float] = {}
            for what, path in addresses(name).items():
                for _ in range(args.repeats):
                    began = time.perf_counter()
                    if what.startswith("page"):
                        status, _, content = browser.ask("GET", path.replace("{p}", running.project))
                    else:
                        status, _, content = door.wire.ask("GET", path, None, headers)
                    took = time.perf_counter() - began
                    times[what].append(took)
                    slowest[what] = max(slowest.get(what, 0.0), took)
                    if status != 200 or not content:
                        faults.append(f"{name}, {what}: answered {status}")
                        break
            told = ", ".join(f"{what} {1e3 * took:,.0f} ms" for what, took in slowest.items())
            report.say(f"{name} ({stored[name]:,} spans sent), slowest: {told}")
        report.add("answers other than 200", len(faults), "", 0)
        for what, found in times.items():
            report.add(f"{what}: slowest", max(found), "s", SLOWEST_SECONDS)
            report.add(f"{what}: p95", quantile(found, 0.95), "s", P95_SECONDS)
        for fault in faults[:30]:
            report.say(fault)
    return report.finish(args.json)


if __name__ == "__main__":
    sys.exit(main())
