"""The overview, the inbox and the list of projects over HTTP with many spans stored: p50 and p95 until the last byte.

    python -m benchmarks.overview --spans 1000000

The spans come as in `benchmarks.read`. --monitors charts (shares, times, costs, counts by feature, service, model and
prompt version, hourly) replay the stored week first, so that the page has small charts, alarms and incidents to show.
One kept-alive connection of a signed-in person; windows of 24 hours, 7 and 28 days in turn. CPU is the whole product's.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from datetime import timedelta

from benchmarks import _proc, _product, _seed
from benchmarks._client import quantile
from benchmarks._product import Product
from benchmarks._report import Report
from benchmarks.monitors import at_rest, make, round_at
from benchmarks.rollups import set_up

P95_BAR_MS, P95_AIM_MS = 150.0, 80.0
WARM = 3
WINDOWS = ("?t=24h", "", "?t=28d")


def watch(report: Report, product: Product, monitors: int) -> None:
    """Make monitors that have judged the stored week, and the incidents of what they found."""
    set_up(product)
    from alerts import grouping
    from alerts.models import Incident, Monitor
    from telltale.lib import clock
    from telltale.projects.models import Project

    project = Project.objects.get(slug=product.project)
    real = clock.now
    now = real()
    with at_rest(product):
        made = make(project.pk, 60, monitors, now - timedelta(days=7), now)
        began = time.perf_counter()
        _, windows, alarms = round_at(now, lambda at: None)
        grouping.take_alarms([project.pk])
    standing = Monitor.objects.filter(project=project, standing="alarmed").count()
    incidents = Incident.objects.filter(project=project).count()
    took = time.perf_counter() - began
    report.say(f"{made} monitors judged {windows:,} windows in {took:.0f} s: {alarms} alarms, {standing} out now")
    report.say(f"{incidents} incidents")


def measure(report: Report, product: Product, repeat: int) -> None:
    """Ask for each page `repeat` times."""
    browser = product.browser()
    base = f"/p/{product.project}/"
    pages: dict[str, Callable[[int], str]] = {
        "overview": lambda at: base + WINDOWS[at % len(WINDOWS)],
        "inbox": lambda at: f"{base}inbox/",
        "all projects": lambda at: "/",
    }
    roots = product.roots("web", "postgres")
    for name, path in pages.items():
        times = []
        cpu = 0.0
        for at in range(repeat + WARM):
            if at == WARM:
                cpu = _proc.cpu_s(roots)
            began = time.perf_counter()
            status, _, body = browser.ask("GET", path(at))
            took = (time.perf_counter() - began) * 1000
            if status != 200 or b"took too long" in body:
                raise RuntimeError(f"{name}: {status}, or part of it took too long")
            if at >= WARM:
                times.append(took)
        cpu = (_proc.cpu_s(roots) - cpu) * 1000 / repeat
        is_front = name == "overview"
        note = f"p50 {quantile(times, 0.5):.0f} ms, {cpu:.0f} ms CPU, {len(body) / 1024:.0f} KiB"
        report.add(f"{name}, p95", quantile(times, 0.95), "ms", P95_BAR_MS, P95_AIM_MS if is_front else None, note=note)


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--spans", type=int, default=1_000_000)
    parser.add_argument("--sent", type=int, default=100_000, help="how many go through the endpoint before copying")
    parser.add_argument("--monitors", type=int, default=60)
    parser.add_argument("--repeat", type=int, default=100)
    parser.add_argument("--seed", type=int, default=1)
    _product.add_arguments(parser)
    args = parser.parse_args()
    report = Report("overview")
    with _product.product(args) as product:
        here = product.stored_spans()
        if here < min(args.spans, args.sent):
            here += _seed.send(product, min(args.spans, args.sent) - here, args.seed)
        if here < args.spans:
            _seed.multiply(product, args.spans, report.say)
        _seed.settle(product)
        watch(report, product, args.monitors)
        measure(report, product, args.repeat)
    return report.finish(args.json)


if __name__ == "__main__":
    sys.exit(main())
