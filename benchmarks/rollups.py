"""Roll-ups: CPU a span of the fold, how far charts are behind at half capacity, and how quickly they are read.

    python -m benchmarks.rollups --spans 100000

Fold: everything stored is booked from nothing, by the product's own worker; CPU is that of worker and PostgreSQL. Lag:
the age of the oldest change that is not booked yet, looked at five times a second while requests come at half the
measured capacity. Reading: questions as pages ask them over 28 days with --scopes combinations of dimensions (those of
the corpus, copied under other releases), through traces.read.rollups.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections.abc import Callable
from datetime import timedelta

from benchmarks import _proc, _product, _seed
from benchmarks._client import drive, quantile
from benchmarks._product import Product
from benchmarks._report import Report
from benchmarks.corpus import Corpus
from benchmarks.ingest import fresh, load

FOLD_BAR_US = 50.0
FOLD_AIM_US = 25.0
LAG_BAR_S, LAG_AIM_S = 5.0, 2.0
READ_P50_BAR_MS, READ_P95_BAR_MS = 40.0, 80.0
READ_P50_AIM_MS, READ_P95_AIM_MS = 15.0, 30.0
DAYS = 28
_WAITING = "SELECT count(*) FROM traces_feed WHERE consumer = 1"
_LAG_MS = """
    SELECT coalesce(extract(epoch FROM now() - min(changed_at)) * 1000, 0)::bigint FROM traces_feed WHERE consumer = 1
"""
_EMPTY = ("traces_rollup", "traces_rollup_reason", "traces_user_period", "traces_ledger")
_TELL = """
    INSERT INTO traces_feed (consumer, project_id, feed_id, trace_ids)
    SELECT 1, project_id, part, array_agg(trace_id) FROM (
        SELECT project_id, trace_id, row_number() OVER (PARTITION BY project_id ORDER BY started_at) / 60 AS part
        FROM traces_trace
    ) AS numbered
    GROUP BY project_id, part
"""


def wait_folded(product: Product, seconds: float = 1800.0) -> float:
    """Wait until nothing waits; the seconds it took."""
    began = time.monotonic()
    while product.one(_WAITING):
        if time.monotonic() - began > seconds:
            raise RuntimeError(f"the fold is not done after {seconds:.0f} s")
        time.sleep(0.05)
    return time.monotonic() - began


def measure_fold(report: Report, product: Product) -> None:
    """Book everything from nothing."""
    wait_folded(product)
    spans = product.stored_spans()
    with product.connect() as connection:
        connection.execute(f"TRUNCATE {', '.join(_EMPTY)}".encode())
    roots = product.roots("worker", "postgres")
    idle = _proc.cpu_s(roots)
    time.sleep(3)
    idle = (_proc.cpu_s(roots) - idle) / 3
    cpu = _proc.cpu_s(roots)
    began = time.monotonic()
    with product.connect() as connection:
        connection.execute(_TELL.encode())
    wait_folded(product)
    took = time.monotonic() - began
    cpu = _proc.cpu_s(roots) - cpu - idle * took
    booked = product.one("SELECT sum(n) FROM traces_rollup WHERE grain = 1440 AND scope_id >= 0")
    if booked != spans:
        raise RuntimeError(f"{booked} spans are booked, {spans} stored")
    report.add("CPU a span of the fold, sessions included", 1e6 * cpu / spans, "us", FOLD_BAR_US, FOLD_AIM_US,
               note=f"{spans:,} spans over {DAYS} days")  # fmt: skip
    report.add("spans folded a second", spans / took, "spans/s")
    rows = product.one("SELECT count(*) FROM traces_rollup")
    size = sum(product.one(f"SELECT pg_total_relation_size('{table}')") for table in _EMPTY)
    report.add("bytes of roll-ups and ledger a span", size / spans, "B", note=f"{rows:,} rows of traces_rollup")


def measure_lag(report: Report, product: Product, spans: int, seed: int) -> None:
    """How far charts are behind while requests come at half the capacity."""
    end_s = time.time()
    batches = list(Corpus(seed, spans, end_s=end_s, days=0.01).batches())
    _, capacity, _ = load(product, fresh(batches[: max(8, len(batches) // 4)]))
    wait_folded(product)
    lags: list[float] = []
    halt = threading.Event()

    def look() -> None:
        while not halt.wait(0.2):
            lags.append(product.one(_LAG_MS) / 1000)

    watcher = threading.Thread(target=look, daemon=True)
    watcher.start()
    rest = Corpus(seed + 1, spans, end_s=end_s, days=0.01).batches()
    mean = sum(batch.spans for batch in batches) / len(batches)
    drive(product.url, product.key, fresh(rest), connections=16, parcels_per_s=capacity / 2 / mean)
    halt.set()
    watcher.join()
    report.add("lag of the fold at half capacity, p95", quantile(lags, 0.95), "s", LAG_BAR_S, LAG_AIM_S,
               note=f"p50 {quantile(lags, 0.5):.2f} s, {capacity / 2:,.0f} spans/s, n {len(lags)}")  # fmt: skip


def grow_scopes(product: Product, scopes: int) -> int:
    """Copy scopes and their rows until there are `scopes`; how many there are."""
    with product.connect() as connection:
        names = [
            str(row[0])
            for row in connection.execute(
                "SELECT column_name FROM information_schema.columns WHERE table_name = 'traces_rollup'"
                " AND table_schema = 'public' ORDER BY ordinal_position"
            )
        ]
        here = product.one("SELECT count(*) FROM traces_scope")
        connection.execute("CREATE TEMPORARY TABLE bench_scope AS SELECT * FROM traces_scope")
        for copy in range(1, (scopes + here - 1) // here):
            moved = f"scope_id # {copy}"
            values = ", ".join(f"r.{moved}" if name == "scope_id" else f"r.{name}" for name in names)
            columns = "project_id, family, kind, stage, feature, provider, model, service, environment, prompt_name"
            columns += ", prompt_version, folded, used_on"
            connection.execute(
                f"INSERT INTO traces_scope ({columns}, scope_id, release)"
                f" SELECT {columns}, {moved}, 'copy {copy}' FROM bench_scope ON CONFLICT DO NOTHING".encode()
            )
            connection.execute(
                f"INSERT INTO traces_rollup ({', '.join(names)}) SELECT {values} FROM traces_rollup AS r"
                " JOIN bench_scope AS b USING (project_id, scope_id) WHERE r.grain > 1 ON CONFLICT DO NOTHING".encode()
            )
        connection.execute("VACUUM ANALYZE traces_rollup, traces_scope")
    return product.one("SELECT count(*) FROM traces_scope")


def measure_reading(report: Report, product: Product, repeat: int) -> None:
    """Questions as pages ask them."""
    set_up(product)
    from telltale.projects.models import Project
    from traces.read.rollups import Rollups, Step, What, calls, reading, requests

    project = Project.objects.get(slug=product.project)
    quantiles = ("duration",)
    questions: dict[str, Callable[[Rollups], object]] = {
        "cost by model and day": lambda r: r.ask(
            calls(kind=(1, 2, 4)), r.now - timedelta(days=DAYS), r.now, by=("model",), step=Step.DAY,
            want=("counts", "statuses", "tokens", "cost", "parts"),
        ),
        "cost by feature, whole window": lambda r: r.ask(
            calls(), r.now - timedelta(days=DAYS), r.now, by=("feature",), want=("counts", "statuses", "tokens", "cost")
        ),
        "requests by day with duration p50, p95, p99": lambda r: [
            [point.sketch("duration").quantile(q) for q in (0.5, 0.95, 0.99)]
            for point in r.ask(
                requests(), r.now - timedelta(days=DAYS), r.now, step=Step.DAY, want=("counts",), sketches=quantiles
            ).points()
        ],
        "stages with duration p50, p95, p99": lambda r: [
            [row.sketch("duration").quantile(q) for q in (0.5, 0.95, 0.99)]
            for row in r.ask(
                calls(), r.now - timedelta(days=DAYS), r.now, by=("kind", "stage"), want=("counts", "latency"),
                sketches=quantiles,
            ).rows
        ],
        "calls by hour of a week, p95 by model": lambda r: [
            row.sketch("duration").quantile(0.95)
            for row in r.ask(
                calls(kind=1), r.now - timedelta(days=7), r.now, by=("model",), step=Step.HOUR, want=("counts",),
                sketches=quantiles,
            ).rows
        ],
        "errors by type": lambda r: r.reasons(
            What.ERROR_TYPE, calls(), r.now - timedelta(days=DAYS), r.now, by=("kind",)
        ),
        "dearest users": lambda r: r.users(r.now - timedelta(days=DAYS), r.now),
    }  # fmt: skip
    for name, ask in questions.items():
        taken = []
        for turn in range(repeat + 3):
            began = time.perf_counter()
            with reading(project.pk, project.time_zone) as rollups:
                ask(rollups)
            if turn >= 3:
                taken.append(1000 * (time.perf_counter() - began))
        report.add(f"{name}, p50", quantile(taken, 0.5), "ms", READ_P50_BAR_MS, READ_P50_AIM_MS)
        report.add(f"{name}, p95", quantile(taken, 0.95), "ms", READ_P95_BAR_MS, READ_P95_AIM_MS)


def measure_deltas(report: Report, product: Product, seconds: float = 5.0) -> None:
    """What it would cost to add each batch's sums to the same rows in the transaction that stores its spans.

    Batches of 60 booked traces are added and taken away again by one and by four connections, as ingest would have them
    after its own work; docs/decisions/0006-ledger.md.
    """
    set_up(product)
    from django.db import connection, transaction

    from telltale.lib import clock
    from telltale.lib.db import raw_cursor
    from telltale.projects.models import Project
    from traces.rollup import ledger
    from traces.rollup.buckets import calendar_of, minute_of
    from traces.rollup.covering import Horizon
    from traces.rollup.deltas import Delta
    from traces.write import rollup_rows

    project = Project.objects.get(slug=product.project)
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT l.data FROM traces_ledger AS l JOIN traces_trace AS t USING (project_id, trace_id)"
            " WHERE l.project_id = %s ORDER BY t.started_at DESC LIMIT 1200",
            [project.pk],
        )
        booked = [ledger.read(bytes(row[0])) for row in cursor.fetchall()]
    horizon = Horizon.for_writing(minute_of(clock.now()))

    def add(number: int, sign: int) -> None:
        delta = Delta()
        for found in booked[number * 60 % len(booked) :][:60]:
            delta.book(found, sign)
        delta.settle()
        with transaction.atomic(), raw_cursor() as cursor:
            rollup_rows.apply(cursor, project.pk, delta, calendar_of(project.time_zone), horizon)

    for connections in (1, 4):
        taken: list[float] = []
        until = time.monotonic() + seconds

        def work(of: int, taken: list[float] = taken, until: float = until) -> None:
            number = of
            try:
                while time.monotonic() < until:
                    for sign in (1, -1):
                        began = time.perf_counter()
                        add(number, sign)
                        taken.append(1000 * (time.perf_counter() - began))
                    number += 4
            finally:
                connection.close()

        workers = [threading.Thread(target=work, args=(of,)) for of in range(connections)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        report.add(f"sums of a batch in its own transaction, {connections} at once, p95", quantile(taken, 0.95), "ms",
                   note=f"p50 {quantile(taken, 0.5):.1f} ms, {len(taken) / seconds:.0f} batches/s")  # fmt: skip


def set_up(product: Product) -> None:
    """Make this process one of the product's, to call what pages call."""
    os.environ["TELLTALE_DATABASE_URL"] = product.dsn
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "telltale.settings")
    import django

    django.setup()


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--spans", type=int, default=100_000)
    parser.add_argument("--scopes", type=int, default=300)
    parser.add_argument("--repeat", type=int, default=40)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--lag-spans", type=int, default=150_000, help="spans sent at half capacity; 0 skips it")
    parser.add_argument("--deltas", action="store_true", help="measure what summing within ingest would cost instead")
    _product.add_arguments(parser)
    args = parser.parse_args()
    report = Report("rollups")
    with _product.product(args) as product:
        report.say(f"other work on this machine: {_proc.busy_cores(2, product.roots()):.2f} cores")
        here = product.stored_spans()
        if here < args.spans:
            _seed.send(product, args.spans - here, args.seed, days=DAYS)
        _seed.settle(product, report.say)
        if args.deltas:
            measure_deltas(report, product)
            return report.finish(args.json)
        measure_fold(report, product)
        if args.lag_spans:
            measure_lag(report, product, args.lag_spans, args.seed + 100)
        report.say(f"{grow_scopes(product, args.scopes):,} scopes")
        measure_reading(report, product, args.repeat)
    return report.finish(args.json)


if __name__ == "__main__":
    sys.exit(main())
