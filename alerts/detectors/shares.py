"""Shares of a changing number: errors, refusals, unusable answers, low scores, zero costs.

Each window is turned into the normal score of its exact mid-p value under the (beta-)binomial of the baseline, so the
same limits hold whatever the volume; an EWMA of the scores sees lasting shifts, the exact tail of one window big ones.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from alerts.detectors import phase1
from alerts.detectors._gauss import boundary, sum_boundary
from alerts.detectors._rules import Rules, chosen, frozen
from alerts.detectors.base import (
    Baseline,
    NotStable,
    Part,
    Ruled,
    Settings,
    State,
    TooLittle,
    Verdict,
    judged,
    of_kind,
    waiting,
)
from alerts.detectors.points import Share as Share
from alerts.stats.normal import score, upper_quantile
from alerts.stats.proportions import EVENTS_MIN, normal_score, reference
from alerts.stats.resampling import Rule
from alerts.stats.tails import share_tails

KIND = "share"


@dataclass(frozen=True, slots=True)
class ShareSettings(Settings):
    """`lam`: weight of the EWMA; `ewma_share`: its part of the budget, the rest is the one-point limit's."""

    lam: float = 0.1
    ewma_share: float = 0.8
    events_min: int = EVENTS_MIN


class Shares:
    """The detector of shares."""

    kind = KIND

    def learn(self, points: Sequence[Share], settings: ShareSettings, seed: int) -> Baseline | NotStable | TooLittle:
        """A frozen share with its overdispersion. Windows of n = 0 say nothing, whatever they are made for.

        Assumes windows independent given the share. TooLittle below `events_min` events (and as many that were none);
        NotStable for a change within. Source: statistics.md 3.2; overdispersion by moments of the beta-binomial.
        """
        positions = [at for at, point in enumerate(points) if point.n > 0]
        k = np.array([points[at].k for at in positions], dtype=np.int64)
        n = np.array([points[at].n for at in positions], dtype=np.int64)
        found = reference(k, n, settings.events_min)
        if isinstance(found, TooLittle):
            return found

        def scores(kept: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> phase1.Floats:
            by = reference(k[kept], n[kept], 1)
            if isinstance(by, TooLittle):
                return np.zeros(len(k))
            pairs = zip(k.tolist(), n.tolist(), strict=True)
            return np.array([normal_score(one, of, by.p, by.rho) or 0.0 for one, of in pairs])

        kept = phase1.screened(len(k), scores)
        refusal = phase1.refused(scores(kept), seed, positions)
        if refusal is not None:
            return refusal
        screened = reference(k[kept], n[kept], settings.events_min)
        if isinstance(screened, TooLittle):
            return screened
        # The share is off by chance, and by the more of a window's own sd the larger the window is.
        large = float((n[kept] ** 2).sum() / n[kept].sum())
        spread = math.sqrt(min(1.0, large / screened.n))
        up, down = settings.up_share / settings.arl0, (1 - settings.up_share) / settings.arl0
        ewma = {"chart": settings.ewma_share, "cusum": 1.0, "shewhart": 0.0}[settings.by]
        usual = Rule(f"EWMA {settings.lam:g}", 0, settings.lam, ewma)
        # One point alone is judged by its exact tail, not by a limit on its score.
        rules = () if settings.by == "shewhart" else chosen(settings.by, (usual,))
        low, high = np.full(len(rules), -np.inf), np.full(len(rules), np.inf)
        for at, rule in enumerate(rules):
            if rule.sums:
                high[at] = sum_boundary(rule.k, up if rule.sums == "up" else down, spread)
            else:
                high[at] = boundary(settings.lam, up * ewma, spread)
                low[at] = -boundary(settings.lam, down * ewma, spread)
        return Baseline(
            kind=KIND,
            parameters={
                "p": screened.p,
                "rho": screened.rho,
                "sigma_z": screened.sigma_z,
                "events": screened.events,
                **frozen(rules, low, high),
                "alpha_high": up * (1 - ewma),
                "alpha_low": down * (1 - ewma),
            },
            n=screened.n,
            windows=screened.windows,
            method="normal scores of mid-p" + (", overdispersed" if screened.rho else ""),
            seed=seed,
            arl0=settings.arl0,
            excluded=tuple(at for at, stays in zip(positions, kept.tolist(), strict=True) if not stays),
        )

    def step(self, baseline: Baseline, state: State, point: Share) -> tuple[State, Verdict]:
        """The state after one window; of n = 0 nothing is said and nothing moves."""
        of_kind(baseline, KIND)
        rules = Rules(baseline)
        statistics = state.statistics or rules.start
        alphas = baseline.number("alpha_low"), baseline.number("alpha_high")
        if point.n == 0:
            # What a window of nothing would be drawn at: the statistics as they stand.
            return waiting(state, rules.parts(statistics) or (one_point(0.5, 0.5, *alphas),), ())
        tails = share_tails(point.k, point.n, baseline.number("p"), baseline.number("rho"))
        z = score(tails.mid_low, tails.mid_high)
        moved = rules.moved(statistics, (z,))
        single = (one_point(tails.mid_low, tails.mid_high, *alphas),) if any(alphas) else ()
        return judged(state, Ruled(rules.parts(moved) + single, moved, z))


def one_point(below: float, above: float, alpha_low: float, alpha_high: float) -> Part:
    """The exact one-point rule, drawn on the scale of normal scores: its limits are those of the two chances."""
    z = score(below, above)
    high = upper_quantile(alpha_high) if alpha_high > 0 else None
    low = -upper_quantile(alpha_low) if alpha_low > 0 else None
    # A score is held within six sd and its limit may lie beyond: a chance under the limit's is drawn past it.
    if high is not None and above < alpha_high:
        z = max(z, math.nextafter(high, math.inf))
    if low is not None and below < alpha_low:
        z = min(z, math.nextafter(low, -math.inf))
    return Part("one point", z, low, high)
