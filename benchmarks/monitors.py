"""Monitors: how long one evaluation round of many takes on one core, and what an update costs.

    python -m benchmarks.monitors --spans 1000000 --monitors 1000

Shares, times, costs, counts and levels by feature, service, model and prompt version, in windows of --minutes. First
--replayed monitors replay the stored history and learn their baselines; the others are copies of them under names of
their own, chart and baseline included. Then --rounds rounds, each of one window more for every monitor, as the worker
does them: claimed, read from roll-ups, judged, committed with its points; and one look for late data in the last day.
The product's own worker stands still meanwhile. This process does the rounds alone, pinned to one core together with
PostgreSQL.
"""

from __future__ import annotations

import argparse
import os
import signal
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from itertools import product as pairs
from typing import Any

from benchmarks import _proc, _product, _seed
from benchmarks._product import Product
from benchmarks._report import Report
from benchmarks.rollups import set_up

# (metric, least n): in the proportions that a product's own watch has.
MIX = (
    ("errors", 1), ("call_errors", 1), ("refusals", 1), ("failures", 1), ("retries", 1), ("unpriced", 1),
    ("duration", 20), ("request_duration", 20), ("ttft", 20), ("tpot", 20), ("response_length", 20),
    ("cost_per_request", 20), ("requests", 1), ("calls", 1), ("input_tokens", 1), ("spend", 1), ("input_length", 1),
    ("cache_share", 1), ("finish_reasons", 20), ("models", 20),
)  # fmt: skip
UPDATE_AIM_MS = 10.0


def definitions(project_id: int, zone: str, minutes: int, count: int, start: datetime, end: datetime) -> Iterator[Any]:
    """`count` definitions: every metric of the mix for the whole project, then by values of each dimension."""
    from alerts.monitors.types import BaselinePolicy, Definition, Scope
    from alerts.read.series import values_of
    from alerts.series.catalogue import METRICS

    scopes = [Scope()]
    for dimension in ("feature", "service", "model", "prompt_version", "release", "environment", "provider"):
        found = values_of(project_id, zone, METRICS["duration"], dimension, start, end)
        scopes += [Scope(((dimension, (value,)),)) for value in found[:12]]
    made = 0
    for turn in range(1_000):
        for scope, (metric, least) in pairs(scopes, MIX):
            if made >= count:
                return
            if any(name not in METRICS[metric].scopes for name, _ in scope.values):
                continue
            made += 1
            yield Definition(
                f"{metric} {made}", metric, scope=scope, window=timedelta(minutes=minutes),
                # Later turns watch the same scopes by other settings.
                baseline=BaselinePolicy(days=3.0 + turn), least_n=least, direction="both",
            )  # fmt: skip


def make(project_id: int, minutes: int, count: int, start: datetime, end: datetime) -> int:
    """Monitors whose history begins at `start`; how many there are."""
    from alerts.budgeting import share_out
    from alerts.write import monitors
    from telltale.projects.models import Project

    zone = Project.objects.get(pk=project_id).time_zone
    for definition in definitions(project_id, zone, minutes, count, start, end):
        monitors.insert(project_id, definition, arl0=10_000.0, next_start=start, now=start, by_id=None)
    share_out(project_id)
    from alerts.models import Monitor

    return Monitor.objects.filter(project_id=project_id).count()


@contextmanager
def at_rest(product: Product) -> Iterator[None]:
    """The product's worker stands still."""
    stopped = _proc.family(product.roots("worker")) if product.home is not None else []
    for pid in stopped:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in stopped:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def on_one_core(product: Product) -> None:
    """Pin this process and all of PostgreSQL to the first core there is."""
    core = {min(os.sched_getaffinity(0))}
    for pid in (os.getpid(), *_proc.family(product.roots("postgres"))):
        with suppress(ProcessLookupError, PermissionError):
            os.sched_setaffinity(pid, core)


_COPY_MONITOR = """
    INSERT INTO alerts_monitor (project_id, name, definition, revision, chart_no, metric, method, severity, is_paging,
        weight, updates_a_week, arl0, is_on, standing, standing_words, standing_since, chart, next_start, decided_to,
        due_at, version, failures, error, created_at, changed_at)
    SELECT project_id, name || ' ' || %(copy)s, definition, revision, chart_no, metric, method, severity, is_paging,
        weight, updates_a_week, arl0, is_on, standing, standing_words, standing_since,
        chart || jsonb_build_object('copy_of', id), next_start, decided_to, due_at, version, failures, error,
        created_at, changed_at
    FROM alerts_monitor WHERE NOT chart ? 'copy_of' ORDER BY id LIMIT %(limit)s
"""
_COPY_BASELINES = """
    WITH made AS (
        INSERT INTO alerts_baseline (project_id, monitor_id, chart_no, state, kind, start_at, end_at, n, windows, arl0,
            learned, excluded, reason, in_force_from, created_at)
        SELECT b.project_id, m.id, b.chart_no, b.state, b.kind, b.start_at, b.end_at, b.n, b.windows, b.arl0,
            b.learned, b.excluded, b.reason, b.in_force_from, b.created_at
        FROM alerts_monitor AS m
        JOIN alerts_baseline AS b ON b.monitor_id = (m.chart ->> 'copy_of')::bigint AND b.state = 'in_force'
        RETURNING monitor_id, id
    )
    UPDATE alerts_monitor AS m SET chart = m.chart || jsonb_build_object('baseline_id', made.id)
    FROM made WHERE m.id = made.monitor_id
"""


def copy(monitors: int) -> int:
    """Copy monitors with their charts and baselines until there are so many; how many there are."""
    from alerts.models import Monitor
    from telltale.lib.db import raw_cursor

    own = here = Monitor.objects.count()
    with raw_cursor() as cursor:
        for number in range(1, 1_000):
            if here >= monitors or not own:
                break
            cursor.execute(_COPY_MONITOR, {"copy": str(number), "limit": min(own, monitors - here)})
            here += cursor.rowcount
        cursor.execute(_COPY_BASELINES)
        cursor.execute("VACUUM ANALYZE alerts_monitor, alerts_baseline, alerts_point")
    return here


def round_at(at: datetime, standing_clock: Callable[[datetime], None]) -> tuple[float, int, int]:
    """Evaluate everything that is due at `at`: seconds, windows decided, alarms opened."""
    from alerts import watching

    standing_clock(at)
    began = time.perf_counter()
    windows = alarms = 0
    while True:
        done = watching.evaluate_due(seconds=3_600)
        windows, alarms = windows + done.windows, alarms + done.alarms
        if not done.monitors:
            return time.perf_counter() - began, windows, alarms


def measure(report: Report, product: Product, monitors: int, replayed: int, minutes: int, rounds: int) -> None:
    """Replay, then single rounds."""
    set_up(product)
    from django.db import connection

    from alerts.keeping import erase_project
    from alerts.models import Monitor
    from alerts.series.grid import window_at
    from telltale.lib import clock
    from telltale.projects.models import Project

    project = Project.objects.get(slug=product.project)
    days = 7 if minutes < 60 else 28
    with connection.cursor() as cursor:
        cursor.execute("SELECT max(started_at) FROM traces_trace WHERE project_id = %s", [project.pk])
        newest = cursor.fetchone()[0]
    size = timedelta(minutes=minutes)
    end = window_at(project.time_zone, size, newest - (rounds + 2) * size).start
    start = window_at(project.time_zone, size, end - timedelta(days=days)).end

    def stand(at: datetime) -> None:
        clock.now = lambda: at  # type: ignore[assignment]

    stand(end)
    # Those of a run before, in a home that was kept: no round that is under way writes of them any more.
    for _ in erase_project(project.pk):
        pass
    time.sleep(3)
    Monitor.objects.filter(project=project).delete()
    with at_rest(product):
        count = make(project.pk, minutes, min(replayed, monitors), start, end)
        roots = [os.getpid(), *product.roots("postgres")]
        cpu = _proc.cpu_s(roots)
        took, windows, alarms = round_at(end + timedelta(minutes=10), stand)
        cpu = _proc.cpu_s(roots) - cpu
        standing = dict(Monitor.objects.values_list("standing").annotate(n=_count()))
        report.say(f"{count:,} monitors replayed {windows:,} windows in {took:.0f} s, {alarms:,} alarms; {standing}")
        report.add("replay, CPU a window", 1e3 * cpu / max(windows, 1), "ms", note=f"{windows / took:,.0f} windows/s")
        count = copy(monitors)
        on_one_core(product)
        seconds, costs = [], []
        for turn in range(1, rounds + 1):
            cpu = _proc.cpu_s(roots)
            took, windows, _ = round_at(end + turn * size + timedelta(minutes=10), stand)
            cpu = _proc.cpu_s(roots) - cpu
            if windows != count:
                raise RuntimeError(f"{windows} windows were decided, one each of {count} monitors was due")
            seconds.append(took)
            costs.append(1e3 * cpu / windows)
        report.add(f"one round of {count:,} monitors, slowest of {rounds}", max(seconds), "s", size.total_seconds(),
                   60.0, note=f"median {statistics.median(seconds):.1f} s; windows of {minutes} minutes")  # fmt: skip
        report.add("CPU an update, worker and PostgreSQL", statistics.median(costs), "ms", None, UPDATE_AIM_MS)
        from alerts import keeping

        began = time.perf_counter()
        changed = keeping.revise()
        report.add("one look for late data in the last day", time.perf_counter() - began, "s", 900.0, 300.0,
                   note=f"{changed} windows had changed")  # fmt: skip


def _count() -> Any:
    from django.db.models import Count

    return Count("pk")


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--spans", type=int, default=100_000)
    parser.add_argument("--sent", type=int, default=20_000, help="so many are sent, the rest are copies")
    parser.add_argument("--monitors", type=int, default=1_000)
    parser.add_argument("--replayed", type=int, default=100, help="so many of them learn by themselves")
    parser.add_argument("--minutes", type=int, default=15, help="length of a window")
    parser.add_argument("--rounds", type=int, default=4)
    _product.add_arguments(parser)
    args = parser.parse_args()
    report = Report("monitors")
    with _product.product(args) as product:
        if product.stored_spans() < args.spans:
            _seed.send(product, min(args.sent, args.spans), days=8.0)
            _seed.multiply(product, args.spans, report.say)
        _seed.settle(product, report.say)
        measure(report, product, args.monitors, args.replayed, args.minutes, args.rounds)
    return report.finish(args.json)


if __name__ == "__main__":
    sys.exit(main())
