"""The factories that the benchmark of detectors plugs in: they learn, keep quiet, and see what has changed."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from benchmarks import detectors as plugged


class Proportion(float):
    """As the benchmark gives proportions: a float that carries k and n."""

    k: int
    n: int


def _proportions(g: np.random.Generator, n: int, p: float) -> list[Any]:
    found = []
    for k in g.binomial(150, p, n).tolist():
        one = Proportion(k / 150)
        one.k, one.n = k, 150
        found.append(one)
    return found


def _streams(name: str) -> tuple[list[Any], list[Any]]:
    g = np.random.default_rng(3)
    levels = np.arange(1.0, 6.0)
    if name == "scores":
        good, bad = [0.03, 0.05, 0.12, 0.35, 0.45], [0.4, 0.3, 0.2, 0.05, 0.05]
        return list(g.choice(levels, 250, p=good)), list(g.choice(levels, 60, p=bad))
    if name == "latency":
        return list(g.lognormal(6.8, 0.55, 450)), list(3 * g.lognormal(6.8, 0.55, 100))
    if name == "shares":
        return _proportions(g, 250, 0.02), _proportions(g, 60, 0.1)
    rows = g.normal(0, 1, (610, 16))
    return list(rows[:550]), list(rows[550:] + 3.0)


@pytest.mark.parametrize(("name", "warmup"), [("scores", 200), ("latency", 400), ("shares", 200), ("vectors", 500)])
def test_a_plugged_detector_learns_keeps_quiet_and_sees_a_change(name: str, warmup: int):
    usual, changed = _streams(name)
    detector = getattr(plugged, name)(warmup)

    quiet = [detector.update(value) for value in usual]
    told = [detector.update(value) for value in changed]

    assert not any(quiet)
    assert any(told)
