"""What a mean would be had the mix of traffic stayed the baseline's: direct standardisation, beside the raw mean.

A change of mix is not a change of quality: when short questions become rarer, latency rises although nothing is slower.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

from evals.stats.quantiles import t_quantile
from evals.stats.results import LEVEL, Estimate, TooLittle

N_MIN = 20


@dataclass(frozen=True, slots=True)
class Stratum:
    """`n` (effective) values of one stratum with their `mean` and `variance` (divisor n-1; None for a single one)."""

    n: float
    mean: float
    variance: float | None

    @classmethod
    def of_share(cls, k: float, n: float) -> Stratum:
        """k of n; its variance from half an event more of each kind, so that 0 of n is not certain."""
        if not 0 <= k <= n or not n > 0:
            raise ValueError(f"0 <= k <= n and n > 0 are needed, not {k} of {n}")
        smooth = (k + 0.5) / (n + 1)
        return cls(n, k / n, smooth * (1 - smooth))


@dataclass(frozen=True, slots=True)
class Standardised:
    """The mean now, `raw` and at the baseline's mix, `standardised`.

    `absent`: strata of the baseline without a value now, left out, the others' shares scaled up; `covered`: the share
    of the baseline's mix that the figure stands for. `fresh`: strata the baseline does not know, in the raw mean only,
    with their share of today's values. `from_mix` = raw - standardised: what the mix alone does to the mean.
    """

    raw: Estimate
    standardised: Estimate
    from_mix: float
    absent: tuple[str, ...]
    covered: float
    fresh: tuple[tuple[str, float], ...]


def standardise(
    baseline: Mapping[str, float], current: Mapping[str, Stratum], level: float = LEVEL
) -> Standardised | TooLittle:
    """Σ share⁰·mean over the strata of both, share⁰ being the baseline's mix.

    `baseline`: shares or counts of strata, made to sum to 1; taken as known. `current`: the strata of now. The interval
    is t with Satterthwaite's degrees of freedom; a stratum with one value borrows the pooled variance of the others.
    TooLittle under 20 values in the strata of both, or where none has two. Errors: ValueError for a baseline of
    nothing, or shares under 0. Source: Keyfitz 1966; Fleiss, Levin and Paik 2003, chapter 19; Satterthwaite 1946.
    """
    whole = math.fsum(baseline.values())
    if not whole > 0 or min(baseline.values()) < 0:
        raise ValueError("a baseline's mix has shares of 0 or more that sum to over 0")
    strata = {name: stratum for name, stratum in current.items() if stratum.n > 0}
    shared = [name for name in sorted(strata) if baseline.get(name, 0) > 0]
    n = math.fsum(strata[name].n for name in shared)
    if n < N_MIN:
        return TooLittle(math.floor(n), N_MIN, "values in strata of the baseline")
    pooled = _pooled(strata)
    if pooled is None:
        return TooLittle(1, 2, "values in a stratum")
    covered = math.fsum(baseline[name] for name in shared) / whole
    shares = {name: baseline[name] / whole / covered for name in shared}
    total = math.fsum(stratum.n for stratum in strata.values())
    raw_shares = {name: stratum.n / total for name, stratum in strata.items()}
    raw = _estimate(raw_shares, strata, pooled, level, "mean of all values now, strata as they came")
    standardised = _estimate(shares, strata, pooled, level, "directly standardised to the baseline's mix")
    return Standardised(
        raw=raw,
        standardised=standardised,
        from_mix=raw.value - standardised.value,
        absent=tuple(sorted(name for name, share in baseline.items() if share > 0 and name not in strata)),
        covered=covered,
        fresh=tuple((name, raw_shares[name]) for name in sorted(strata) if not baseline.get(name, 0) > 0),
    )


def _pooled(strata: Mapping[str, Stratum]) -> float | None:
    """The pooled variance within strata, None where no stratum has two values."""
    known = [s for s in strata.values() if s.variance is not None and s.n > 1]
    freedom = math.fsum(s.n - 1 for s in known)
    return math.fsum((s.n - 1) * (s.variance or 0.0) for s in known) / freedom if freedom > 0 else None


def _estimate(
    shares: Mapping[str, float], strata: Mapping[str, Stratum], pooled: float, level: float, method: str
) -> Estimate:
    value = math.fsum(share * strata[name].mean for name, share in shares.items())
    parts: list[tuple[float, float]] = []
    for name, share in shares.items():
        stratum = strata[name]
        alone = stratum.variance is None or stratum.n <= 1
        variance = pooled if alone or stratum.variance is None else stratum.variance
        parts.append((share * share * variance / stratum.n, stratum.n - 1 if not alone else 1.0))
    squares = math.fsum(part for part, _ in parts)
    n = math.fsum(strata[name].n for name in shares)
    if squares <= 0:
        return Estimate(value, None, None, level, round(n), n, f"{method}; no interval: all values are the same", None)
    freedom = squares**2 / math.fsum(part * part / df for part, df in parts if part > 0)
    half = t_quantile(level, max(1.0, freedom)) * math.sqrt(squares)
    # As many values drawn at the target mix as would be as sure.
    n_eff = n / max(1.0, n * math.fsum(share * share / strata[name].n for name, share in shares.items()))
    return Estimate(value, value - half, value + half, level, round(n), n_eff, method, math.sqrt(squares))
