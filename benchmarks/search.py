"""Text search among many traces: time of a whole page by kind of query, the index's size and speed, ingest beside it.

    python -m benchmarks.search --traces 1000000

The first --sent traces (20,000) go through the public endpoint, the rest are copies made inside PostgreSQL
(benchmarks/_seed.py), told to the index as a request would. Then traces with words of several scripts are planted
through the endpoint, and every page asked for must show them. At last spans are sent as fast as they are taken: once
alone, once while --searchers people search, each every --pause seconds. The indexer works beside both.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import sys
import threading
import time
import urllib.parse
import uuid
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from benchmarks import _proc, _product, _seed
from benchmarks._client import Browser, drive, parcel, quantile
from benchmarks._product import Product
from benchmarks._report import Report
from benchmarks.corpus import FEATURES, Corpus, pack, put
from benchmarks.ingest import fresh, load

P50_BAR_MS, P50_AIM_MS = 150.0, 60.0
P95_BAR_MS = 1000.0
INGEST_BAR, INGEST_AIM = 0.8, 0.9
WARM = 2
# What is planted, and what finds it.
PLANTED = {
    "Arabic": ("أريد إستردادَ ثمن التذكرة الضائعة زنجبيل", "زنجبيل"),
    "Arabic, other spelling": ("سُؤالٌ عن الأمتعة المفقودة خُزامى", "خزامي"),
    "Chinese": ("我的行李在换乘时丢失了，请帮我找回翡翠手镯", "翡翠手镯"),
    "Japanese": ("乗り継ぎで預けた琥珀色のスーツケースが届きません", "琥珀色"),
    "umlaut": ("Mein Gepäckstück mit Käsespätzlemühle fehlt", "käsespätzlemühle"),
    "umlaut, spelled out": ("Die Überraschungsgästeküche blieb zu", "ueberraschungsgaestekueche"),
    "id with dashes": ("see order-2024-778899-KX for the booking", "order-2024-778899-KX"),
    "UUID": ("request 6f1d2c3b-4a59-4e68-8f77-90a1b2c3d4e5 failed", "6f1d2c3b-4a59-4e68-8f77-90a1b2c3d4e5"),
    "e-mail": ("write to zerlina.quibble@example.org", "zerlina.quibble@example.org"),
    "beginning of a word": ("the sarsaparilladrink was warm", "sarsaparilla"),
    "phrase": ("say friend quokka lantern and enter", '"quokka lantern"'),
}
COMMON = {
    "common word": "refund",
    "two common words": "flight refund",
    "common word without another": "flight -refund",
    "common phrase": '"name the passages you used"',
    "beginning of common words": "refu",
}


@dataclass(frozen=True, slots=True)
class Query:
    """A page to ask for, and the traces that must be on it."""

    name: str
    path: str
    expected: tuple[str, ...] = ()
    is_barred: bool = True  # held to the bar of a search; sorting thousands or reading every text takes longer


def seed(product: Product, traces: int, sent: int, seed_number: int, report: Report) -> None:
    """Fill the store to `traces` traces and tell the index of all of them."""
    here = product.one("SELECT count(*) FROM traces_trace")
    if here < min(traces, sent):
        _seed.send(product, (min(traces, sent) - here) * 9, seed_number)
    spans, here = product.stored_spans(), product.one("SELECT count(*) FROM traces_trace")
    if here < traces:
        _seed.multiply(product, round(spans / here * traces), report.say)
        tell(product)
    _seed.settle(product)


def tell(product: Product) -> None:
    """Tell the index of every trace it does not know, in entries as large as a request's."""
    with product.connect() as connection:
        connection.execute(
            """
            INSERT INTO traces_feed (consumer, project_id, feed_id, trace_ids)
            SELECT 2, project_id, (extract(epoch FROM now()) * 1000)::bigint << 20 | row_number() OVER (), ids
            FROM (
                SELECT project_id, array_agg(trace_id) AS ids
                FROM (
                    SELECT t.project_id, t.trace_id,
                           row_number() OVER (PARTITION BY t.project_id ORDER BY t.started_at) / 60 AS part
                    FROM traces_trace AS t
                    LEFT JOIN traces_search_doc AS d ON d.project_id = t.project_id AND d.trace_id = t.trace_id
                    WHERE d.trace_id IS NULL
                ) AS numbered
                GROUP BY project_id, part
            ) AS entries
            ON CONFLICT DO NOTHING
            """
        )


def wait_indexed(product: Product, report: Report | None = None) -> float:
    """Wait until nothing waits for the index; the seconds it took."""
    began = told = time.monotonic()
    while left := product.one("SELECT coalesce(sum(cardinality(trace_ids)), 0) FROM traces_feed WHERE consumer = 2"):
        time.sleep(0.2)
        if report and time.monotonic() - told > 60:
            told = time.monotonic()
            report.say(f"{left:,} traces wait for the index")
    return time.monotonic() - began


def measure_indexing(report: Report, product: Product) -> None:
    """Fill the index and say how fast that was."""
    waiting = product.one("SELECT coalesce(sum(cardinality(trace_ids)), 0) FROM traces_feed WHERE consumer = 2")
    roots = product.roots()
    cpu = _proc.cpu_s(roots)
    took = wait_indexed(product, report)
    if waiting > 5000:
        report.add("indexing, nothing else going on", waiting / took, "traces/s")
        if roots:
            report.add(
                "  CPU a trace, database and merging included", 1000 * (_proc.cpu_s(roots) - cpu) / waiting, "ms"
            )
    # Merging goes on for a moment.
    segments = -1
    while segments != (segments := product.one("SELECT count(*) FROM traces_search_segment")):
        time.sleep(20)
    size = """
        SELECT sum(pg_total_relation_size(c.oid)) FROM pg_class AS c
        WHERE c.relname LIKE 'traces\\_search\\_%' AND c.relkind = 'r'
    """
    with product.connect() as connection:
        connection.execute("VACUUM")
    spans, live = product.stored_spans(), product.one("SELECT sum(bytes) FROM traces_search_segment")
    report.add("index on disk", product.one(size) / spans, "B/span", note=f"its blocks {live / spans:.0f}")
    report.say(f"{segments} segments")


def plant(product: Product) -> list[Query]:
    """Send the planted traces, three of each at random times of the last week; the pages that must show them."""
    rng = random.Random(time.time_ns())
    queries, spans = [], []
    for name, (text, q) in PLANTED.items():
        ids = []
        for _ in range(3):
            span = Span(trace_id=uuid.uuid4().bytes, span_id=rng.randbytes(8), name="planted")
            span.start_time_unix_nano = int((time.time() - rng.uniform(3600, 6.5 * 86_400)) * 1e9)
            span.end_time_unix_nano = span.start_time_unix_nano + 10**9
            put(span, gen_ai__operation__name="chat", gen_ai__request__model="gpt-4o-mini")
            # Behind what a preview shows.
            put(span, input__value="a question as any other " * 20 + text, output__value="an answer")
            spans.append(span)
            ids.append(span.trace_id.hex())
        queries.append(Query(name, address(product, q), tuple(ids)))
    packed = pack(spans)
    tally = drive(product.url, product.key, [parcel(packed.body, packed.spans)], connections=1)
    if tally.spans_acked != len(spans):
        raise RuntimeError(f"planting was answered {dict(tally.status)}")
    return queries


def address(product: Product, q: str, **more: str) -> str:
    """The page of a query over the last four weeks."""
    return f"/p/{product.project}/traces/?" + urllib.parse.urlencode({"t": "28d", "q": q} | more)


def all_queries(product: Product, planted: Sequence[Query]) -> list[Query]:
    """Everything that is measured."""
    found = [*planted, *(Query(name, address(product, q), is_barred='"' not in q) for name, q in COMMON.items())]
    found.append(Query("common word and a filter", address(product, "refund", feature=FEATURES[2])))
    found.append(Query("common word, sorted by cost", address(product, "refund", sort="-cost"), is_barred=False))
    found.append(Query("nothing there", address(product, "xyzzyplughnothere")))
    return found


def measure_queries(report: Report, product: Product, queries: Sequence[Query], repeat: int) -> None:
    """Each page's p50 and p95; what was planted must be on its page."""
    browser = product.browser()
    every: list[float] = []
    for query in queries:
        _, page = browser.timed(query.path)
        missing = [trace_id for trace_id in query.expected if trace_id.encode() not in page]
        if missing:
            raise RuntimeError(f"{query.name}: {len(missing)} planted traces are not on {query.path}")
        for _ in range(WARM):
            browser.timed(query.path)
        seconds = [browser.timed(query.path)[0] for _ in range(repeat)]
        every += seconds
        bar, aim = (P50_BAR_MS, P50_AIM_MS) if query.is_barred else (None, None)
        report.add(f"{query.name}, p50", 1000 * quantile(seconds, 0.5), "ms", bar, aim,
                   note=f"p95 {1000 * quantile(seconds, 0.95):.0f} ms")  # fmt: skip
    report.add("all kinds, p50", 1000 * quantile(every, 0.5), "ms", P50_BAR_MS, P50_AIM_MS)
    report.add("all kinds, p95", 1000 * quantile(every, 0.95), "ms", P95_BAR_MS)


def search_on(
    product: Product, paths: Sequence[str], people: int, pause_s: float, results: Any, is_ready: Any, halt: Any
) -> None:
    """So many people searching until halted; a process of its own. Puts the seconds of their pages into `results`."""
    taken: list[float] = []
    lock = threading.Lock()
    # One login for all: ten at once would measure how passwords are hashed.
    first = Browser(product.url)
    first.login(product.email, product.password)

    def person(number: int) -> None:
        browser = Browser(product.url)
        browser.cookies = dict(first.cookies)
        rng = random.Random(number)
        while not halt.wait(rng.uniform(0, 2 * pause_s)):
            try:
                took, _ = browser.timed(rng.choice(paths))
            except RuntimeError:
                took = float("inf")
            with lock:
                taken.append(took)

    threads = [threading.Thread(target=person, args=(number,), daemon=True) for number in range(people)]
    for thread in threads:
        thread.start()
    is_ready.set()
    for thread in threads:
        thread.join()
    results.put(taken)


def measure_ingest(report: Report, product: Product, queries: Sequence[Query], args: argparse.Namespace) -> None:
    """Durable spans a second without and with people searching."""
    end_s = time.time()
    batches = [
        fresh(Corpus(args.seed + at, args.ingest_spans, end_s=end_s, days=0.01).batches()) for at in (1, 2, 3, 4)
    ]
    load(product, batches[0])
    _, alone, _ = load(product, batches[1])
    wait_indexed(product)
    rates: list[float] = []
    seconds: list[float] = []

    def with_people(work: Callable[[], None]) -> None:
        context = multiprocessing.get_context("spawn")
        results, is_ready, halt = context.Queue(), context.Event(), context.Event()
        paths = [query.path for query in queries]
        plain = product_plain(product)
        told = (plain, paths, args.searchers, args.pause, results, is_ready, halt)
        people = context.Process(target=search_on, args=told)
        people.start()
        is_ready.wait(60)
        work()
        halt.set()
        seconds.extend(results.get(timeout=60))
        people.join(10)

    with_people(lambda: rates.append(load(product, batches[2])[1]))
    wait_indexed(product)
    _, again, _ = load(product, batches[3])
    without = (alone + again) / 2
    report.add("durable spans/s, nobody searches", without, "spans/s", note=f"{alone:,.0f} before, {again:,.0f} after")
    report.add(f"  while {args.searchers} people search", rates[0], "spans/s")
    report.add("  ratio", rates[0] / without, "x", INGEST_BAR, INGEST_AIM, is_floor=True)
    report.add("  their pages meanwhile, p50", 1000 * quantile(seconds, 0.5), "ms",
               note=f"p95 {1000 * quantile(seconds, 0.95):.0f} ms, n {len(seconds)}")  # fmt: skip


def product_plain(product: Product) -> Product:
    """The product without what only this process can hold."""
    return Product(product.url, product.key, product.dsn, None, None, product.email, product.password, product.project)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--traces", type=int, default=100_000)
    parser.add_argument("--sent", type=int, default=20_000, help="how many go through the endpoint before copying")
    parser.add_argument("--repeat", type=int, default=30)
    parser.add_argument("--searchers", type=int, default=10)
    parser.add_argument(
        "--pause", type=float, default=4.0, help="seconds between two searches of one person, on average"
    )
    parser.add_argument("--ingest-spans", type=int, default=60_000, help="of each load; 0 skips them")
    parser.add_argument("--seed", type=int, default=1)
    _product.add_arguments(parser)
    args = parser.parse_args()
    report = Report("search")
    with _product.product(args) as product:
        seed(product, args.traces, args.sent, args.seed, report)
        measure_indexing(report, product)
        planted = plant(product)
        report.add("planted traces found after", wait_indexed(product), "s")
        queries = all_queries(product, planted)
        measure_queries(report, product, queries, args.repeat)
        if args.ingest_spans:
            measure_ingest(report, product, queries, args)
    return report.finish(args.json)


if __name__ == "__main__":
    sys.exit(main())
