"""A list of a million traces as a file: rows a second, and what the web processes' memory does meanwhile.

    python -m benchmarks.export --rows 1000000

Some spans go through the public endpoint; their trace rows are then copied inside PostgreSQL until there are --rows,
and the whole list is downloaded as NDJSON and CSV, in the order of time and in one without an index. Memory is the
growth of the web processes' PSS over what they had after a small download, looked at every 50 ms.
"""

from __future__ import annotations

import argparse
import http.client
import sys
import threading
import time
import urllib.parse
from dataclasses import dataclass

from benchmarks import _proc, _product, _seed
from benchmarks._product import Product
from benchmarks._report import Report

MEMORY_BAR_MIB = 64.0
TRIES = (("ndjson", ""), ("csv", ""), ("csv", "&sort=-duration"))


@dataclass(slots=True)
class Taken:
    """One download."""

    rows: int
    bytes: int
    seconds: float
    first_s: float  # until the first byte of the body
    peak_mib: float


class Watch:
    """The highest PSS of some process trees, until stopped."""

    def __init__(self, roots: list[int]) -> None:
        self.roots, self.peak_mib = roots, _proc.pss_mib(roots)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._stop.wait(0.05):
            self.peak_mib = max(self.peak_mib, _proc.pss_mib(self.roots))

    def stop(self) -> float:
        """The peak in MiB."""
        self._stop.set()
        self._thread.join()
        return self.peak_mib


def fill(product: Product, rows: int, report: Report) -> None:
    """Copy trace rows until there are `rows`."""
    here = product.one("SELECT count(*) FROM traces_trace")
    with product.connect() as connection:
        connection.execute(
            "CREATE TEMPORARY TABLE bench_base AS SELECT project_id, trace_id, started_at FROM traces_trace"
        )
        copy = 1
        while here < rows:
            statement = _seed._copy_statement(connection, "traces_trace", copy, f"export-{copy}")
            here += connection.execute(f"{statement} LIMIT {rows - here}".encode()).rowcount
            copy += 1
        connection.execute("VACUUM ANALYZE traces_trace")
    report.say(f"{here:,} traces")


def take(product: Product, path: str) -> Taken:
    """Download one file, keeping nothing of it."""
    browser = product.browser()
    cookies = "; ".join(f"{name}={value}" for name, value in browser.cookies.items())
    parts = urllib.parse.urlsplit(product.url)
    watch = Watch(product.roots("web"))
    began = time.perf_counter()
    link = http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=120)
    link.request("GET", path, headers={"Cookie": cookies})
    reply = link.getresponse()
    if reply.status != 200:
        raise RuntimeError(f"GET {path} answered {reply.status}")
    rows = size = 0
    first_s = 0.0
    while piece := reply.read1(1 << 20):
        first_s = first_s or time.perf_counter() - began
        rows += piece.count(b"\n")
        size += len(piece)
    seconds = time.perf_counter() - began
    link.close()
    return Taken(rows, size, seconds, first_s, watch.stop())


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--sent", type=int, default=50_000, help="spans sent through the endpoint before copying")
    _product.add_arguments(parser)
    args = parser.parse_args()
    report = Report("export")
    with _product.product(args) as product:
        if product.stored_spans() < args.sent:
            _seed.send(product, args.sent)
        small = f"/p/{product.project}/traces/?t=1h&format=csv"
        for _ in range(4):
            take(product, small)
        fill(product, args.rows, report)
        rows = product.one("SELECT count(*) FROM traces_trace")
        calm = _proc.pss_mib(product.roots("web"))
        for kind, order in TRIES:
            taken = take(product, f"/p/{product.project}/traces/?t=all&format={kind}{order}")
            lines = taken.rows - (kind == "csv")
            if lines != rows:
                report.say(f"{kind}: {lines:,} lines of {rows:,} rows")
            label = f"{kind}{order.replace('&sort=', ' sorted by ')}, {rows:,} rows"
            note = f"{taken.bytes / 1e6:.0f} MB in {taken.seconds:.0f} s, first byte after {taken.first_s:.2f} s"
            report.add(label, lines / taken.seconds, "rows/s", note=note)
            report.add("  memory above the calm web processes", taken.peak_mib - calm, "MiB", MEMORY_BAR_MIB)
    return report.finish(args.json)


if __name__ == "__main__":
    sys.exit(main())
