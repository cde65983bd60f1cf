"""Behaviour: how many sessions a second the fold looks at, from nothing and again, and what idle sessions cost.

    python -m benchmarks.behaviour --spans 100000

Fold: every stored session is marked and looked at by the product's own worker; CPU is that of worker and PostgreSQL.
Again: the same when nothing has changed, as for a new definition that changes little. Rules: the pure rules alone, over
the turns of those sessions, in this process.
"""

from __future__ import annotations

import argparse
import sys
import time

from benchmarks import _proc, _product, _seed
from benchmarks._client import quantile
from benchmarks._product import Product
from benchmarks._report import Report
from benchmarks.rollups import set_up

FOLD_BAR_US, FOLD_AIM_US = 500.0, 250.0
RULES_BAR_US, RULES_AIM_US = 60.0, 40.0
_EMPTY = ("traces_behaviour", "traces_behaviour_hour", "traces_behaviour_due")
_MARK = """
    INSERT INTO traces_behaviour_due (project_id, unit_key, session_id, due_at)
    SELECT project_id, session_key, session_id, now() FROM traces_session WHERE turns > 0
    ON CONFLICT (project_id, unit_key) DO UPDATE SET due_at = excluded.due_at
"""
_WAITING = "SELECT count(*) FROM traces_behaviour_due WHERE due_at <= now()"
_DIFFERENT = """
    SELECT count(*) FROM (
        SELECT date_trunc('hour', first_at, 'UTC') AS hour, feature, stratum, facts, vote, is_closed, count(*) AS n
        FROM traces_behaviour GROUP BY 1, 2, 3, 4, 5, 6
    ) AS counted
    FULL JOIN traces_behaviour_hour AS kept USING (hour, feature, stratum, facts, vote, is_closed)
    WHERE counted.n IS DISTINCT FROM kept.n
"""


def wait_folded(product: Product, seconds: float = 900.0) -> float:
    """Wait until nothing is due; the seconds it took."""
    began = time.monotonic()
    while product.one(_WAITING):
        if time.monotonic() - began > seconds:
            raise RuntimeError(f"sessions are due still after {seconds:.0f} s")
        time.sleep(0.05)
    return time.monotonic() - began


def measure_fold(report: Report, product: Product, name: str) -> None:
    """Mark every session and wait until the worker has looked at all of them."""
    roots = product.roots("worker", "postgres")
    idle = _proc.cpu_s(roots)
    time.sleep(3)
    idle = (_proc.cpu_s(roots) - idle) / 3
    with product.connect() as connection:
        connection.execute(_MARK.encode())
    # The task comes every two seconds: timed from its first commit on.
    marked = product.one(_WAITING)
    while product.one(_WAITING) == marked:
        time.sleep(0.02)
    left, began, cpu = product.one(_WAITING), time.monotonic(), _proc.cpu_s(roots)
    wait_folded(product)
    took = time.monotonic() - began
    cpu = _proc.cpu_s(roots) - cpu - idle * took
    if different := product.one(_DIFFERENT):
        raise RuntimeError(f"{different} hourly counts are not those of the rows")
    report.add(f"CPU a session, {name}, PostgreSQL included", 1e6 * cpu / max(left, 1), "us", FOLD_BAR_US, FOLD_AIM_US,
               note=f"{marked:,} sessions; the bar is 2,000 a second on one core")  # fmt: skip
    report.add(f"sessions a second, {name}", left / took, "sessions/s")


def measure_rules(report: Report, product: Product, repeat: int = 5) -> None:
    """The pure rules over what is stored."""
    set_up(product)
    from telltale.lib import clock
    from telltale.lib.db import raw_cursor
    from telltale.projects.models import Project
    from traces.behaviour.definition import SHIPPED
    from traces.behaviour.rules import behaviour
    from traces.read.behaviour_units import UnitRef, read_units

    project = Project.objects.get(slug=product.project)
    with raw_cursor() as cursor:
        cursor.execute(
            "SELECT session_id FROM traces_session WHERE project_id = %s AND turns BETWEEN 2 AND 6 LIMIT 500",
            (project.pk,),
        )
        units = read_units(cursor, project.pk, [UnitRef.of_session(row[0]) for row in cursor.fetchall()])
    now, taken = clock.now(), []
    for _ in range(repeat):
        began = time.process_time()
        for unit in units:
            behaviour(unit.turns, unit.seen, SHIPPED, now)
        taken.append(1e6 * (time.process_time() - began) / max(len(units), 1))
    turns = sum(len(unit.turns) for unit in units) / max(len(units), 1)
    report.add("the rules alone, a session", quantile(taken, 0.5), "us", RULES_BAR_US, RULES_AIM_US,
               note=f"{turns:.1f} turns in the mean")  # fmt: skip


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--spans", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    _product.add_arguments(parser)
    args = parser.parse_args()
    report = Report("behaviour")
    with _product.product(args) as product:
        report.say(f"other work on this machine: {_proc.busy_cores(2, product.roots()):.2f} cores")
        here = product.stored_spans()
        if here < args.spans:
            _seed.send(product, args.spans - here, args.seed, days=7)
        _seed.settle(product, report.say)
        wait_folded(product)
        with product.connect() as connection:
            connection.execute(f"TRUNCATE {', '.join(_EMPTY)}".encode())
        measure_fold(report, product, "from nothing")
        measure_fold(report, product, "nothing changed")
        measure_rules(report, product)
    return report.finish(args.json)


if __name__ == "__main__":
    sys.exit(main())
