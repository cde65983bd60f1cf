"""Weeks of made-up traffic, put straight into the roll-ups that series are read from: four times an hour, one feature.

Two changes lie in it: from `worse_at` on more requests fail, calls are slower and cost more; for a night nothing comes.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
from django.db import connection

from telltale.stats.sketch import of_values

QUARTER = timedelta(minutes=15)
# When tests that stop the clock stop it.
NOW = datetime(2026, 3, 12, 10, 20, tzinfo=UTC)
REQUESTS, CALLS = -11, 11
_SCOPE = """
    INSERT INTO traces_scope (project_id, scope_id, family, kind, feature, provider, model, service, used_on)
    VALUES (%s, %s, %s, %s, 'search', %s, %s, 'shop', current_date)
"""
_COLUMNS = (
    "n", "errors", "failed", "streamed", "retries", "refusals", "priced_count", "unpriced_count", "input_fresh",
    "input_cache_read", "output_text", "cost_pico", "duration", "ttft", "tpot", "length",
)  # fmt: skip


def fill(project, end, *, days=16, worse_at=None, silent=None, seed=7, requests=60):
    """Traffic of `days` days up to `end`, worse from `worse_at` on, none in `silent` (start, end)."""
    generator = np.random.default_rng(seed)
    start = (end - timedelta(days=days)).astimezone(UTC).replace(minute=0, second=0, microsecond=0)
    with connection.cursor() as cursor:
        cursor.execute(_SCOPE, [project.pk, REQUESTS, 1, None, None, None])
        cursor.execute(_SCOPE, [project.pk, CALLS, 2, 1, "openai", "gpt-4o"])
        reasons = []
        for scope in (REQUESTS, CALLS):
            cells: dict[tuple[int, datetime], dict] = {}
            at = start
            while at < end:
                if silent is None or not silent[0] <= at < silent[1]:
                    is_worse = worse_at is not None and at >= worse_at
                    made = cell(generator, scope, (at - start) // QUARTER, is_worse, requests)
                    for grain, bucket in buckets(at):
                        add(cells.setdefault((grain, bucket), {}), made)
                at += QUARTER
            rows = [(grain, bucket, made) for (grain, bucket), made in cells.items()]
            cursor.executemany(
                f"INSERT INTO traces_rollup (project_id, scope_id, grain, bucket, {', '.join(_COLUMNS)}) "
                f"VALUES ({', '.join(['%s'] * (4 + len(_COLUMNS)))})",
                [
                    [project.pk, scope, grain, bucket, *(value(made, name) for name in _COLUMNS)]
                    for grain, bucket, made in rows
                ],
            )
            if scope == CALLS:
                reasons = [
                    (project.pk, grain, bucket, scope, 2, reason, n)
                    for grain, bucket, made in rows
                    for reason, n in (("stop", made["n"] - made["refusals"]), ("refusal", made["refusals"]))
                    if n
                ]
        cursor.executemany(
            "INSERT INTO traces_rollup_reason (project_id, grain, bucket, scope_id, what, reason, n) "
            "VALUES (%s, %s, %s, %s, %s, %s, %s)",
            reasons,
        )


def buckets(at):
    """Where a minute is booked: itself, its hour, its day (UTC)."""
    hour = at.replace(minute=0)
    return (1, at), (60, hour), (1440, hour.replace(hour=0))


def cell(generator, scope, step, is_worse, requests):
    """What came in one minute. Traffic has a day and a week, counted from its beginning, whatever the clock says."""
    hour, day = step // 4 % 24, step // 96 % 7
    level = requests * (1 + 0.5 * np.sin(2 * np.pi * hour / 24)) * (0.6 if day >= 5 else 1.0)
    n = int(generator.poisson(level)) + 1
    slower, worse = (1.6, 0.06) if is_worse else (1.0, 0.02)
    tokens = int(generator.poisson(300 * n))
    return {
        "n": n,
        "errors": int(generator.binomial(n, worse)),
        "failed": int(generator.binomial(n, worse / 2)) if scope == REQUESTS else None,
        "streamed": n,
        "retries": int(generator.binomial(n, 0.01)),
        "refusals": int(generator.binomial(n, 0.1 if is_worse else 0.03)),
        "priced_count": n - (n > 20),
        "unpriced_count": int(n > 20),
        "input_fresh": 900 * n,
        "input_cache_read": int(generator.binomial(300 * n, 0.3)),
        "output_text": tokens,
        "cost_pico": int(n * slower * generator.gamma(20, 1e8)),
        "duration": sketch(generator, n, 20.5 + np.log(slower), 0.5),
        "ttft": sketch(generator, n, 19.5 + np.log(slower), 0.4),
        "tpot": sketch(generator, n, 17.0, 0.3),
        "length": sketch(generator, n, 5.6, 0.4),
    }


def sketch(generator, n, mu, sigma):
    return of_values(int(each) for each in generator.lognormal(mu, sigma, n))


def add(held, made):
    for name, each in made.items():
        before = held.get(name)
        held[name] = each if before is None else before if each is None else before + each


def value(made, name):
    return made[name]
