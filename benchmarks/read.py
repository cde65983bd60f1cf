"""Whole HTML pages as a signed-in person gets them, with many spans stored: p50 and p95 until the last byte.

    python -m benchmarks.read --spans 100000 1000000 10000000
    python -m benchmarks.read --spans 1000000 --signals 500000 --no-giants

The first --sent spans (100,000) go through the public endpoint, the rest are copies made inside PostgreSQL
(benchmarks/_seed.py says how), with VACUUM ANALYZE afterwards as autovacuum would; so are the --signals of users, half
as many as spans unless said otherwise, and what users did in each session is what the worker made of it. One kept-alive
connection; every request asks for something else where it can: another trace, another session, another user. CPU is the
whole product's; unlike a latency it hardly moves when other work uses the machine.
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Callable
from dataclasses import dataclass, field

from benchmarks import _proc, _product, _seed
from benchmarks._client import Browser, quantile
from benchmarks._product import Product
from benchmarks._report import Report
from benchmarks.corpus import FEATURES, MODELS

P50_BAR_MS, P95_BAR_MS = 40.0, 80.0
P50_AIM_MS, P95_AIM_MS = 20.0, 40.0
GROWTH = {1_000_000: (1.5, 1.2), 10_000_000: (3.0, 1.5)}
SEARCH_BAR_MS, SEARCH_AIM_MS = 150.0, 60.0
GIANTS = {10_000: (1000.0, 300.0), 50_000: (2000.0, 600.0)}
# Pages of what users did, at any size.
SIGNALS_P95_BAR_MS = 150.0
WARM = 3


@dataclass(frozen=True, slots=True)
class Page:
    """A page to ask for. `path` gives another address each time."""

    name: str
    path: Callable[[], str]
    is_barred: bool = True  # held to the bars of lists and traces
    is_flat: bool = False  # from roll-ups: held to the same bars at any size
    is_of_signals: bool = False  # held to the bar of these at any size


@dataclass(slots=True)
class Timing:
    """Milliseconds of one page at one size; `cpu` is the whole product's."""

    p50: float
    p95: float
    cpu: float
    bytes: int


@dataclass(slots=True)
class Sample:
    """Things that are there to be asked for."""

    traces: list[str] = field(default_factory=list)
    sessions: list[str] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    told: list[str] = field(default_factory=list)  # traces that some signal is about


def sample(product: Product, count: int = 400) -> Sample:
    """Traces, sessions and users of the last seven days, here and there."""
    found = Sample()
    query = """
        SELECT trace_id, session_id, user_id FROM traces_trace
        WHERE span_count < 100 ORDER BY md5(trace_id::text) LIMIT %s
    """
    with product.connect() as connection:
        for trace_id, session, user in connection.execute(query, (count,)):
            found.traces.append(str(trace_id).replace("-", ""))
            found.sessions.append(str(session))
            found.users.append(str(user))
        told = (
            "SELECT DISTINCT trace_id FROM (SELECT trace_id FROM traces_signal WHERE bound_at IS NOT NULL"
            " AND trace_id IS NOT NULL ORDER BY signal_id DESC LIMIT %s) AS newest"
        )
        found.told = [str(row[0]).replace("-", "") for row in connection.execute(told, (count,))]
    found.told = found.told or found.traces
    return found


def pages(product: Product, found: Sample, rng: random.Random) -> list[Page]:
    """What is measured."""
    base = f"/p/{product.project}"
    traces = f"{base}/traces/"
    models = [name for name, _, _, _ in MODELS]
    return [
        Page("trace list, 24 h", lambda: f"{traces}?t=24h"),
        Page("trace list, 7 days", lambda: f"{traces}?t=7d"),
        Page("filtered list: feature", lambda: f"{traces}?t=7d&feature={rng.choice(FEATURES)}"),
        Page("filtered list: model and errors", lambda: f"{traces}?t=7d&model={rng.choice(models)}&status=error"),
        Page("filtered list: user", lambda: f"{traces}?t=7d&user={rng.choice(found.users)}"),
        Page("list sorted by cost", lambda: f"{traces}?t=7d&sort=-cost", is_barred=False),
        Page("trace page", lambda: f"{traces}{rng.choice(found.traces)}/"),
        Page("session list", lambda: f"{base}/sessions/?t=7d"),
        Page("session page", lambda: f"{base}/sessions/{rng.choice(found.sessions)}/", is_of_signals=True),
        *signal_pages(base, found, rng),
        Page("user page", lambda: f"{base}/users/{rng.choice(found.users)}/", is_barred=False),
        Page("cost, this month", lambda: f"{base}/cost/", is_flat=True),
        Page("cost by feature, 28 days", lambda: f"{base}/cost/?t=28d&by=feature", is_flat=True),
        Page("performance, 7 days", lambda: f"{base}/performance/?t=7d", is_flat=True),
        Page("performance of a feature, 24 h", lambda: f"{base}/performance/?t=24h&feature={rng.choice(FEATURES)}",
             is_flat=True),
        Page("accounting", lambda: f"{base}/accounting/", is_barred=False),
    ]


def signal_pages(base: str, found: Sample, rng: random.Random) -> list[Page]:
    """The pages of what users did, and the lists filtered by it."""
    kinds = ("thumb.down", "correction", "conversion", "text")
    groups = ("abandoned", "retried", "corrected", "completed")

    def page(name: str, path: Callable[[], str]) -> Page:
        return Page(name, path, is_barred=False, is_of_signals=True)

    return [
        page("user signals, 7 days", lambda: f"{base}/signals/?t=7d"),
        page("user signals of a feature, 28 days", lambda: f"{base}/signals/?t=28d&feature={rng.choice(FEATURES)}"),
        page("all signals, 7 days", lambda: f"{base}/signals/all/?t=7d"),
        page("all signals: kind", lambda: f"{base}/signals/all/?t=7d&kind={rng.choice(kinds)}"),
        page("all signals: user", lambda: f"{base}/signals/all/?t=all&author={rng.choice(found.users)}"),
        page("outcomes", lambda: f"{base}/outcomes/?t=7d"),
        page("definitions", lambda: f"{base}/signals/definitions/"),
        page("trace page with signals", lambda: f"{base}/traces/{rng.choice(found.told)}/"),
        page("trace list: signal", lambda: f"{base}/traces/?t=7d&signal={rng.choice(kinds)}"),
        page("trace list: no signal", lambda: f"{base}/traces/?t=7d&signal=none"),
        page("session list: behaviour", lambda: f"{base}/sessions/?t=7d&behaviour={rng.choice(groups)}"),
        page("session list: vote down", lambda: f"{base}/sessions/?t=7d&vote=down"),
        page("session list: signal", lambda: f"{base}/sessions/?t=7d&signal={rng.choice(kinds)}"),
    ]


def measure(product: Product, browser: Browser, page: Page, repeat: int) -> Timing | None:
    """Time one page; None where the product does not have it."""
    try:
        for _ in range(WARM):
            browser.timed(page.path())
    except RuntimeError as error:
        if " 404 " in f"{error} ":
            return None
        raise
    roots = product.roots()
    cpu = _proc.cpu_s(roots)
    taken = [browser.timed(page.path()) for _ in range(repeat)]
    cpu = (_proc.cpu_s(roots) - cpu) / repeat
    seconds = [took for took, _ in taken]
    return Timing(1000 * quantile(seconds, 0.5), 1000 * quantile(seconds, 0.95), 1000 * cpu, len(taken[-1][1]))


def measure_size(report: Report, product: Product, spans: int, repeat: int, base: dict[str, Timing]) -> None:
    """All pages at one size; `base` is filled by the first one and compared with by the others."""
    browser = product.browser()
    found = sample(product)
    is_first = not base
    for page in pages(product, found, random.Random(spans)):
        timing = measure(product, browser, page, repeat)
        if timing is None:
            report.say(f"{page.name}: the product has no such page yet")
            continue
        barred = page.is_barred and (is_first or page.is_flat)
        label = f"{page.name}, {spans:,} spans"
        report.add(f"{label}, p50", timing.p50, "ms", P50_BAR_MS if barred else None, P50_AIM_MS if barred else None,
                   note=f"CPU {timing.cpu:.0f} ms, {timing.bytes / 1024:.0f} KiB")  # fmt: skip
        p95_bar = P95_BAR_MS if barred else SIGNALS_P95_BAR_MS if page.is_of_signals else None
        report.add(f"{label}, p95", timing.p95, "ms", p95_bar, P95_AIM_MS if barred else None)
        if is_first:
            base[page.name] = timing
        elif page.name in base:
            bar, aim = GROWTH.get(spans, (None, None)) if page.is_barred and not page.is_flat else (None, None)
            report.add("  p95 over that of the first size", timing.p95 / base[page.name].p95, "x", bar, aim)
    search = Page("text search", lambda: f"/p/{product.project}/traces/?t=7d&q=refund+{random.choice('abcdef')}")
    timing = measure(product, browser, search, max(5, repeat // 4))
    if timing is not None:
        bar, aim = (SEARCH_BAR_MS, SEARCH_AIM_MS) if spans == 1_000_000 else (None, None)
        report.add(f"text search, {spans:,} spans, p50", timing.p50, "ms", bar, aim)


def measure_giants(report: Report, product: Product, seed: int) -> None:
    """First screen of one huge trace."""
    browser = product.browser()
    for spans, (bar, aim) in GIANTS.items():
        trace_id = _seed.send_giant(product, spans, seed + spans)
        page = Page("giant", lambda trace_id=trace_id: f"/p/{product.project}/traces/{trace_id}/")  # type: ignore[misc]
        timing = measure(product, browser, page, 10)
        if timing is None:
            report.say("the product has no trace page yet")
            return
        report.add(f"trace of {spans:,} spans, first screen, p95", timing.p95, "ms", bar, aim,
                   note=f"p50 {timing.p50:.0f} ms, CPU {timing.cpu:.0f} ms, {timing.bytes / 1024:.0f} KiB")  # fmt: skip


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--spans", type=int, nargs="+", default=[100_000], help="sizes to measure at, ascending")
    parser.add_argument("--sent", type=int, default=100_000, help="how many go through the endpoint before copying")
    parser.add_argument("--signals", type=int, help="signals of users; half as many as spans if absent")
    parser.add_argument("--repeat", type=int, default=100)
    parser.add_argument("--no-giants", action="store_true", help="skip the traces of 10,000 and 50,000 spans")
    parser.add_argument("--seed", type=int, default=1)
    _product.add_arguments(parser)
    args = parser.parse_args()
    report = Report("read")
    base: dict[str, Timing] = {}
    with _product.product(args) as product:
        for spans in sorted(args.spans):
            here = product.stored_spans()
            if here < min(spans, args.sent):
                here += _seed.send(product, min(spans, args.sent) - here, args.seed)
            if here < spans:
                _seed.multiply(product, spans, report.say)
            _seed.settle(product)
            _seed.define_outcomes(product)
            _seed.add_signals(product, spans // 2 if args.signals is None else args.signals, report.say)
            _seed.settle(product)
            measure_size(report, product, spans, args.repeat, base)
        if not args.no_giants:
            measure_giants(report, product, args.seed)
    return report.finish(args.json)


if __name__ == "__main__":
    sys.exit(main())
