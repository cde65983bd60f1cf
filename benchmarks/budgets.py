"""Asking whether somebody may spend, 50 times a second, and how often a forecast is told of falsely.

    python -m benchmarks.budgets --spans 200000
    python -m benchmarks.budgets --forecast --months 400

The first sends --spans through the public endpoint (copies beyond the first 50,000), makes budgets of the project, of
each feature and of each user, and asks `GET /api/v1/budgets/check` about one user and feature after the other, --rate a
second on --connections kept-alive connections, each question at its own moment, whether or not the one before is
answered. CPU is the whole product's a question; unlike a latency it hardly moves when other work uses the machine.

The second needs no product: months of steady spending with weekdays and a tenth of noise, looked at at each midnight,
with a limit so far under or over what the month comes to.
"""

from __future__ import annotations

import argparse
import json
import random
import sys
import threading
import time
from datetime import date, timedelta

from benchmarks import _proc, _product, _seed
from benchmarks._client import Wire, quantile
from benchmarks._product import Product
from benchmarks._report import Report

P95_BAR_MS = 20.0
SENT = 50_000
WEEKDAYS = (1.1, 1.1, 1.1, 1.0, 1.0, 0.85, 0.85)


def make_budgets(product: Product) -> None:
    """Budgets of all kinds with policies, as a project would have them."""
    wire = Wire(product.url, timeout_s=30)
    headers = {"Authorization": f"Bearer {product.key}", "Content-Type": "application/json"}
    policy = [{"at": 0.8, "do": "cheaper_model", "with": "gpt-4o-mini"}, {"at": 1, "do": "refuse"}]
    for of in ("project", "feature", "user"):
        for period in ("day", "month"):
            told = {"name": f"{of} {period}", "of": of, "period": period, "limit_usd": "25", "policy": policy}
            status, _, body = wire.ask("POST", "/api/v1/budgets", json.dumps(told).encode(), headers)
            if status not in {201, 400}:  # 400: there from an earlier run
                raise RuntimeError(f"a budget was answered {status}: {body[:200]!r}")
    wire.close()


def people(product: Product) -> list[tuple[str, str]]:
    """Users with a feature of theirs."""
    query = """
        SELECT DISTINCT user_id, feature FROM traces_trace
        WHERE user_id IS NOT NULL AND feature IS NOT NULL LIMIT 2000
    """
    with product.connect() as connection:
        return [(str(user), str(feature)) for user, feature in connection.execute(query.encode())]


def ask(product: Product, seconds: float, rate: float, connections: int, report: Report) -> None:
    """Ask at a steady rate and keep how long each answer took, from when it should have been asked."""
    found = people(product)
    took: list[float] = []
    wrong: list[str] = []
    lock = threading.Lock()
    begin = time.monotonic() + 0.5

    def run(own: int) -> None:
        wire, rng = Wire(product.url), random.Random(own)
        headers = {"Authorization": f"Bearer {product.key}"}
        for n in range(own, int(seconds * rate), connections):
            due = begin + n / rate
            time.sleep(max(due - time.monotonic(), 0.0))
            user, feature = rng.choice(found)
            status, _, body = wire.ask("GET", f"/api/v1/budgets/check?user={user}&feature={feature}", None, headers)
            ms = (time.monotonic() - due) * 1000
            with lock:
                took.append(ms)
                if status != 200 or len(json.loads(body)["budgets"]) < 6:
                    wrong.append(f"{status} {body[:120]!r}")

    threads = [threading.Thread(target=run, args=(own,)) for own in range(connections)]
    cpu = _proc.cpu_s(product.roots("web", "postgres"))
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    cpu = _proc.cpu_s(product.roots("web", "postgres")) - cpu
    asked = len(took)
    took = took[int(rate) :]  # a second to warm up
    note = f"{len(took):,} questions of {len(found):,} users, {rate:g} a second"
    report.add("budget check, p50", quantile(took, 0.5), "ms", note=note)
    report.add("budget check, p95", quantile(took, 0.95), "ms", P95_BAR_MS)
    report.add("budget check, p99", quantile(took, 0.99), "ms")
    report.add("CPU of web and PostgreSQL a question", 1000 * cpu / max(asked, 1), "ms")
    report.add("answers that were none", float(len(wrong)), "", 0.0)
    for each in wrong[:3]:
        report.say(each)


def forecasts(months: int, report: Report) -> None:
    """How often the whole interval lies over the limit at some midnight of a month, by how the month ends."""
    import numpy as np

    from alerts.allowances.forecast import outlook_of_month, will_not_last
    from traces.cost.forecast import Day

    drawn = np.random.default_rng(5)
    first = date(2026, 3, 1)
    days = [first + timedelta(days=at) for at in range(-56, 31)]
    for over in (0.95, 0.98, 1.02, 1.1, 1.2):
        told, lead = 0, []
        for _ in range(months):
            spent = [100 * WEEKDAYS[day.weekday()] * float(drawn.lognormal(0, 0.1)) for day in days]
            limit = sum(spent[56:]) / over
            sums = np.cumsum(spent[56:])
            for at in range(31):
                so_far = float(sums[at - 1]) if at else 0.0
                if so_far >= limit:
                    break
                past = [Day(day, usd) for day, usd in zip(days[: 56 + at], spent, strict=False)]
                rest = [Day(day, None) for day in days[57 + at :]]
                outlook = outlook_of_month(past, so_far, Day(days[56 + at], 0.0), 0.0, rest)
                if will_not_last(outlook, round(limit * 1e12)):
                    told += 1
                    lead += [int(np.argmax(sums >= limit)) - at] if sums[-1] >= limit else []
                    break
        words = f"month at {over:.0%} of its limit: told of"
        note = f"{sum(lead) / len(lead):.0f} days before it is spent, on average" if lead else ""
        report.add(words, 100 * told / months, "of 100", 2.0 if over == 0.95 else None, note=note)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--spans", type=int, default=200_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--rate", type=float, default=50.0)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--forecast", action="store_true", help="simulate forecasts instead")
    parser.add_argument("--months", type=int, default=400)
    _product.add_arguments(parser)
    args = parser.parse_args()
    report = Report("budgets")
    if args.forecast:
        forecasts(args.months, report)
        return report.finish(args.json)
    with _product.product(args) as product:
        if product.stored_spans() < args.spans:
            _seed.send(product, min(args.spans, SENT))
            _seed.multiply(product, args.spans, report.say)
        _seed.settle(product, report.say)
        make_budgets(product)
        time.sleep(20)  # a round of adding up
        ask(product, args.seconds, args.rate, args.connections, report)
    return report.finish(args.json)


if __name__ == "__main__":
    sys.exit(main())
