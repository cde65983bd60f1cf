"""How often the 95 % intervals of outcomes hold the truth, by simulation with known truths.

    python benchmarks/outcome_intervals.py [--runs 4000] [--seed 1]

One line a case and a number of sessions: the share of runs that had a figure at all, and the share of those whose
interval holds the truth. With 4,000 runs a coverage of .95 is off by .007 at most (95 %).
"""

from __future__ import annotations

import argparse
import math
from decimal import Decimal

import numpy as np

from traces.outcomes.ratio import Ratio, Shape, Sums, ratio


def _ones(random, size):
    return np.ones(size)


def _with(share):
    return lambda random, size: (random.random(size) < share) * 1.0


def _dear(random, size, x):
    return random.lognormal(0, 1, size) * (1 + x / 2)


CASES = {
    "share .02": (_ones, lambda r, s, x: (r.random(s) < 0.02) * 1.0, 0.02, Shape.SHARE),
    "share .4": (_ones, lambda r, s, x: (r.random(s) < 0.4) * 1.0, 0.4, Shape.SHARE),
    "mean, exponential": (_ones, lambda r, s, x: r.exponential(40, s), 40.0, Shape.MEAN),
    "mean, gamma of shape 2": (_ones, lambda r, s, x: r.gamma(2, 60, s), 120.0, Shape.MEAN),
    "mean, log-normal of sigma 1": (_ones, lambda r, s, x: r.lognormal(0, 1, s), math.exp(0.5), Shape.MEAN),
    "mean, log-normal of sigma 1.5": (_ones, lambda r, s, x: r.lognormal(0, 1.5, s), math.exp(1.125), Shape.MEAN),
    "revenue a session, a tenth buys": (
        _ones, lambda r, s, x: (r.random(s) < 0.1) * r.lognormal(0, 0.8, s), 0.1 * math.exp(0.32), Shape.MEAN,
    ),
    "cost per X, X in .6": (_with(0.6), _dear, math.exp(0.5) * 1.3 / 0.6, Shape.RATIO),
    "cost per X, X in .1": (_with(0.1), _dear, math.exp(0.5) * 1.05 / 0.1, Shape.RATIO),
}  # fmt: skip
SESSIONS = (60, 120, 400)


def coverage(case, n, runs, random):
    """(share of runs with a figure, share of those whose interval holds the truth)."""
    draw_x, draw_y, truth, shape = case
    held = shown = 0
    for _ in range(runs):
        x = draw_x(random, n)
        y = draw_y(random, n, x)
        sums = (Decimal(float(each.sum())) for each in (x, y, x * x, x * y, y * y))
        found = ratio(Sums(n, 0, *sums), shape)
        if isinstance(found, Ratio):
            shown += 1
            held += found.low <= truth <= found.high
    return shown / runs, held / shown if shown else math.nan


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=4000)
    parser.add_argument("--seed", type=int, default=1)
    asked = parser.parse_args()
    random = np.random.default_rng(asked.seed)
    print(f"{'case':34}{'sessions':>9}{'shown':>8}{'covers':>8}")
    for name, case in CASES.items():
        for n in SESSIONS:
            shown, held = coverage(case, n, asked.runs, random)
            print(f"{name:34}{n:9}{shown:8.3f}{held:8.3f}")


if __name__ == "__main__":
    main()
