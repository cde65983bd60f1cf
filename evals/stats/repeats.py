"""Probes: fewer passes than the stored share allows, and answers farther from the stored ones than those are apart.

Pass or fail is one-sided (breaking is what pages). Answers are compared for the *same* input only: the distance between
new and stored replicates against that among replicates as such, by permutation, since at temperature above 0 two
answers are never alike. A cosine distance 1 - cos lies within 0..2.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evals.stats.quantiles import clopper_pearson
from evals.stats.results import LEVEL, TooLittle
from telltale.stats.fisher import fisher

Floats = NDArray[np.float64]
Test = Literal["exact binomial", "Fisher"]

RUNS_MIN = 5
BASELINE_MIN = 20
# From so many stored runs on the share counts as known (statistics.md 3.8).
KNOWN_FROM = 100
REPLICATES_MIN = 3
PERMUTATIONS = 2_000
# Divisions are drawn and gone through in parts of so many numbers: 8 MB at once.
_NUMBERS_AT_ONCE = 1_000_000
# Divisions up to this number are all gone through instead of drawn.
_ALL_MOST = 2_000
_DUST = 1e-12


@dataclass(frozen=True, slots=True)
class PassTest:
    """`passes` of `runs` now against `baseline_passes` of `baseline_runs`: `p` that so few come by chance.

    `low`, `high`: Clopper-Pearson limits of the share now, as a page shows them; `p_fisher` and `p_two_sided` are
    Fisher's. `p_safe` is what an alarm asks: the binomial test takes the stored share for known, and a noisy probe
    whose stored runs went better than its own share would alarm too often by it alone.
    """

    passes: int
    runs: int
    baseline_passes: int
    baseline_runs: int
    share: float
    low: float
    high: float
    p: float
    p_fisher: float
    p_two_sided: float
    test: Test

    @property
    def p_safe(self) -> float:
        """The larger of the test's p and Fisher's, which knows that the stored share is an estimate."""
        return max(self.p, self.p_fisher)


@dataclass(frozen=True, slots=True)
class ProbeDistance:
    """One probe: mean cosine distances `across` new and stored answers, `noise` among replicates of one day.

    `excess` = across - noise: the energy distance, about 0 on average when nothing changed. `p` by permutation of this
    probe's replicates; it cannot be below `p_least`, one by the number of divisions there are.
    """

    across: float
    noise: float
    excess: float
    p: float
    p_least: float
    stored: int
    new: int


@dataclass(frozen=True, slots=True)
class PairedDrift:
    """All probes together: the mean excess with its permutation p, and each probe."""

    excess: float
    p: float
    probes: tuple[ProbeDistance, ...]
    permutations: int
    seed: int


def compare_passes(passes: int, runs: int, baseline_passes: int, baseline_runs: int) -> PassTest | TooLittle:
    """Whether today's passes are too few for the stored pass share.

    One-sided exact binomial against the share of 100 stored runs or more, Fisher's test with fewer. A share of 0 or 1
    is taken as if half a run had gone the other way: no number of runs proves a share of 1. Assumes independent runs.
    TooLittle: under 5 runs, or under 20 stored. Errors: ValueError for passes over runs. Source: Clopper and Pearson
    1934; Fisher 1935.
    """
    if not 0 <= passes <= runs or not 0 <= baseline_passes <= baseline_runs:
        raise ValueError(f"passes lie within 0 and runs, not {passes} of {runs}, {baseline_passes} of {baseline_runs}")
    if runs < RUNS_MIN:
        return TooLittle(runs, RUNS_MIN, "runs")
    if baseline_runs < BASELINE_MIN:
        return TooLittle(baseline_runs, BASELINE_MIN, "stored runs")
    table = fisher(passes, runs - passes, baseline_passes, baseline_runs - baseline_passes)
    test: Test = "Fisher"
    p = table.less
    if baseline_runs >= KNOWN_FROM:
        test, p = "exact binomial", binomial_at_most(passes, runs, stored_share(baseline_passes, baseline_runs))
    low, high = clopper_pearson(passes, runs, LEVEL)
    return PassTest(
        passes, runs, baseline_passes, baseline_runs, passes / runs, low, high, p, table.less, table.two_sided, test
    )


def binomial_at_most(passes: int, runs: int, share: float) -> float:
    """P(X <= passes) of `runs` independent ones that pass with `share` in (0, 1), in logarithms: far tails keep digits.

    ValueError outside. Source: the binomial distribution itself; equal to scipy within 1e-9.
    """
    if not (0 <= passes <= runs and 0 < share < 1):
        raise ValueError(f"0 <= passes <= runs and a share within 0 and 1 are needed, not {passes}, {runs}, {share}")
    k = np.arange(passes + 1, dtype=np.float64)
    steps = np.log((runs - k[:-1]) / (k[:-1] + 1)) + math.log(share) - math.log1p(-share)
    logs = runs * math.log1p(-share) + np.concatenate((np.zeros(1), np.cumsum(steps)))
    return min(1.0, float(np.exp(logs).sum()))


def passes_together(strata: Sequence[tuple[int, int, int, int]]) -> float:
    """P that all probes together pass so seldom: each (passes, runs, baseline passes, baseline runs), margins held.

    The distribution of the sum is the convolution of the probes' hypergeometric ones, so that many small falls add up
    and a probe that always failed says nothing. 1.0 without strata. ValueError for passes over runs.
    Source: exact test of a common odds ratio, Mehta, Patel and Gray 1985 (one-sided, odds ratio 1).
    """
    seen, sums = 0, np.ones(1)
    for passes, runs, baseline_passes, baseline_runs in strata:
        if not 0 <= passes <= runs or not 0 <= baseline_passes <= baseline_runs:
            raise ValueError(
                f"passes lie within 0 and runs, not {passes} of {runs}, {baseline_passes}, {baseline_runs}"
            )
        low = max(0, passes + baseline_passes - baseline_runs)
        seen += passes - low
        sums = np.convolve(sums, _hypergeometric(runs, baseline_runs, passes + baseline_passes))
    return min(1.0, float(sums[: seen + 1].sum()))


def _hypergeometric(runs: int, baseline_runs: int, passes: int) -> Floats:
    """The chances of each number of `passes` that can fall on `runs` rather than on `baseline_runs`, fewest first."""
    low, high = max(0, passes - baseline_runs), min(runs, passes)
    k = np.arange(low, high, dtype=np.float64)
    steps = np.log((runs - k) * (passes - k)) - np.log((k + 1) * (baseline_runs - passes + k + 1))
    logs = np.concatenate((np.zeros(1), np.cumsum(steps)))
    weights = np.exp(logs - logs.max())
    return np.asarray(weights / weights.sum())


def fewest_within(runs: int, baseline_passes: int, baseline_runs: int, level: float) -> int | None:
    """The fewest passes of `runs` that chance explains at `level`: one fewer is an alarm. 0: none can be; None: too
    little for the test."""
    if runs < RUNS_MIN or baseline_runs < BASELINE_MIN:
        return None
    low, high = 0, runs
    while low < high:  # p grows with the passes
        middle = (low + high) // 2
        found = compare_passes(middle, runs, baseline_passes, baseline_runs)
        if isinstance(found, PassTest) and found.p_safe <= level:
            low = middle + 1
        else:
            high = middle
    return low


def stored_share(passes: int, runs: int) -> float:
    """passes / runs, with half a run of the other kind where all went one way."""
    return passes / runs if 0 < passes < runs else (passes + 0.5) / (runs + 1)


def paired_drift(
    probes: Sequence[tuple[ArrayLike, ArrayLike]], *, seed: int, permutations: int = PERMUTATIONS
) -> PairedDrift | TooLittle:
    """Whether answers moved: for each probe its stored vectors (s, d) and its new ones (r, d).

    Under no change the replicates of one probe are exchangeable: labels are permuted within each probe, never between.
    The family's statistic is the mean of the probes' excesses, so that many small moves add up. Probes with under 3
    stored or new answers are left out by the caller; TooLittle names the first. Errors: ValueError for a vector of
    zeros (its direction is not defined) or lengths that differ.
    Source: Székely and Rizzo 2013 (energy distance); Phipson and Smyth 2010 (p).
    """
    if not probes:
        return TooLittle(0, 1, "probes")
    tables: list[tuple[Floats, int, int]] = []
    for stored, new in probes:
        a, b = directions(stored), directions(new)
        if a.shape[1] != b.shape[1]:
            raise ValueError(f"vectors of one probe need one length, not {a.shape[1]} and {b.shape[1]}")
        if min(a.shape[0], b.shape[0]) < REPLICATES_MIN:
            return TooLittle(min(a.shape[0], b.shape[0]), REPLICATES_MIN, "answers of a probe")
        both = np.concatenate((a, b))
        apart = np.clip(1 - both @ both.T, 0.0, 2.0)
        np.fill_diagonal(apart, 0.0)
        tables.append((apart, a.shape[0], b.shape[0]))
    random = np.random.default_rng(seed)
    found: list[ProbeDistance] = []
    seen_sum, drawn_sum = 0.0, np.zeros(permutations)
    for apart, n, m in tables:
        divisions = math.comb(n + m, n)
        across, noise = (float(v[0]) for v in _parts(apart, _first(n, m), n, m))
        drawn = np.concatenate(
            [_excess(apart, _drawn(n, m, part, random), n, m) for part in _in_parts(permutations, n + m)]
        )
        seen_sum += across - noise
        drawn_sum += drawn
        if divisions <= _ALL_MOST:
            p = float((_excess(apart, _every(n, m), n, m) >= across - noise - _DUST).mean())
            # Sides of one size can change places without a difference.
            least = (2 if n == m else 1) / divisions
        else:
            p = (1 + int((drawn >= across - noise - _DUST).sum())) / (1 + permutations)
            least = 1 / (1 + permutations)
        found.append(ProbeDistance(across, noise, across - noise, p, least, n, m))
    if len(found) == 1:
        p = found[0].p
    else:
        p = (1 + int((drawn_sum >= seen_sum - _DUST * len(found)).sum())) / (1 + permutations)
    return PairedDrift(seen_sum / len(found), p, tuple(found), permutations, seed)


def _in_parts(permutations: int, answers: int) -> list[int]:
    most = max(1, _NUMBERS_AT_ONCE // answers)
    return [min(most, permutations - done) for done in range(0, permutations, most)]


def _excess(apart: Floats, sides: Floats, n: int, m: int) -> Floats:
    across, noise = _parts(apart, sides, n, m)
    return across - noise


def directions(vectors: ArrayLike) -> Floats:
    """Vectors (n, d) at length 1. ValueError for one of zeros, or numbers that are not finite."""
    rows = np.asarray(vectors, dtype=np.float64)
    if rows.ndim != 2 or not bool(np.isfinite(rows).all()):
        raise ValueError("vectors are rows of a table of finite numbers")
    lengths = np.sqrt((rows * rows).sum(1))
    if bool((lengths == 0).any()):
        raise ValueError(f"vector {int(np.flatnonzero(lengths == 0)[0])} is all zeros: it has no direction")
    return np.asarray(rows / lengths[:, None])


def _parts(apart: Floats, sides: Floats, n: int, m: int) -> tuple[Floats, Floats]:
    """For each row of `sides` (b, n+m), 1 where stored: the mean distance across, and the mean of those within."""
    towards = sides @ apart
    within_a = (towards * sides).sum(1)
    across = towards.sum(1) - within_a
    within_b = apart.sum() - within_a - 2 * across
    noise = (within_a / (n * (n - 1)) + within_b / (m * (m - 1))) / 2
    return np.asarray(across / (n * m)), np.asarray(noise)


def _first(n: int, m: int) -> Floats:
    return np.concatenate((np.ones(n), np.zeros(m)))[None]


def _drawn(n: int, m: int, permutations: int, random: np.random.Generator) -> Floats:
    return np.asarray(random.permuted(np.tile(_first(n, m), (permutations, 1)), axis=1))


def _every(n: int, m: int) -> Floats:
    chosen = np.array(list(combinations(range(n + m), n)), dtype=np.intp)
    sides = np.zeros((chosen.shape[0], n + m))
    np.put_along_axis(sides, chosen, 1.0, axis=1)
    return sides
