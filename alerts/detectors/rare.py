"""Shares so small that most windows hold no event: a sum of log likelihood ratios, event by event.

A score of "0 of 40 at .1 %" says next to nothing and its average moves in steps. The sum of log likelihood ratios of
twice the share against the baseline's takes each event for what it is worth at its window's volume, and its limit is
drawn at the real volumes, the error of the share and its overdispersion inside. Downward the ratio is a half.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from alerts.detectors import phase1
from alerts.detectors.base import (
    Baseline,
    NotStable,
    Part,
    Ruled,
    State,
    TooLittle,
    Verdict,
    judged,
    of_kind,
    waiting,
)
from alerts.detectors.points import Share
from alerts.detectors.shares import ShareSettings
from alerts.stats.proportions import dispersed, normal_score
from alerts.stats.rare import EVENTS_MIN, RATIO, is_rare, jeffreys, simulated_limit, weights

KIND = "rare"

WINDOWS_MIN = 50
_REQUESTS_MIN = 200
# Fewer events than these are screened for no outlier and no change: three in a row would already be one.
_SCREENED_FROM = 10
_ONE_EVENT = 1.05
_SIDES = (("up", RATIO), ("down", 1 / RATIO))


def suits(points: Sequence[Share]) -> bool:
    """Whether windows like these are expected to hold less than one event each."""
    windows = [point for point in points if point.n]
    events, total = sum(point.k for point in windows), sum(point.n for point in windows)
    return bool(windows) and is_rare(events / total, total / len(windows))


class Rare:
    """The detector of rare shares."""

    kind = KIND

    def learn(self, points: Sequence[Share], settings: ShareSettings, seed: int) -> Baseline | NotStable | TooLittle:
        """A frozen share, from Jeffreys' prior under 30 events (`assumed` says so), with limits drawn at its volumes.

        Assumes windows independent given the share. TooLittle under 50 windows that hold anything, or 200 requests;
        NotStable for a change within. A fall is looked for only from 30 events on. Source: statistics.md 3.2;
        Reynolds & Stoumbos 1999.
        """
        positions = [at for at, point in enumerate(points) if point.n > 0]
        k = np.array([points[at].k for at in positions], dtype=np.int64)
        n = np.array([points[at].n for at in positions], dtype=np.int64)
        if len(k) < WINDOWS_MIN:
            return TooLittle(len(k), WINDOWS_MIN, "windows that hold anything")
        if int(n.sum()) < _REQUESTS_MIN:
            return TooLittle(int(n.sum()), _REQUESTS_MIN, "requests")
        kept = np.ones(len(k), dtype=np.bool_)
        if int(k.sum()) >= _SCREENED_FROM:

            def scores(which: np.ndarray[tuple[int], np.dtype[np.bool_]]) -> phase1.Floats:
                share = jeffreys(int(k[which].sum()), int(n[which].sum())).share
                alike = dispersed(k[which], n[which], share, seed)
                pairs = zip(k.tolist(), n.tolist(), strict=True)
                return np.array([normal_score(one, of, share, alike) or 0.0 for one, of in pairs])

            kept = phase1.screened(len(k), scores)
            refusal = phase1.refused(scores(kept), seed, positions)
            if refusal is not None:
                return refusal
        events, requests = int(k[kept].sum()), int(n[kept].sum())
        known = jeffreys(events, requests)
        rho = dispersed(k[kept], n[kept], known.share, seed)
        parameters: dict[str, float | bool | None] = {
            "p": known.share,
            "p_low": known.low,
            "p_high": known.high,
            "events": events,
            "assumed": known.assumed,
            "rho": rho,
        }
        if known.assumed and settings.up_share == 0:
            return TooLittle(events, EVENTS_MIN, "events")
        for at, (side, ratio) in enumerate(_SIDES):
            share = settings.up_share if side == "up" else 1 - settings.up_share
            if side == "down" and known.assumed:
                # That events cease is no news where next to none ever came.
                share = 0.0
            limit = None
            if share > 0:
                # Limits per window that holds anything, as the sum moves only there.
                found = simulated_limit(
                    n, known.share, settings.arl0 / share, seed + at, ratio, (events, requests), rho
                )
                if isinstance(found, TooLittle):
                    return found
                # One event by itself is never news.
                limit = max(found.limit, _ONE_EVENT * weights(known.share, ratio).event)
                parameters[f"{side}_beyond"] = found.out_of_reach
            parameters[f"{side}_limit"] = limit
        return Baseline(
            kind=KIND,
            parameters=parameters,
            n=requests,
            windows=len(k),
            method="log likelihood ratios"
            + (f", share assumed from {events} of {EVENTS_MIN} events" if known.assumed else "")
            + (", overdispersed" if rho else ""),
            seed=seed,
            arl0=settings.arl0,
            excluded=tuple(at for at, stays in zip(positions, kept.tolist(), strict=True) if not stays),
        )

    def step(self, baseline: Baseline, state: State, point: Share) -> tuple[State, Verdict]:
        """The state after one window; of n = 0 nothing is said and nothing moves."""
        of_kind(baseline, KIND)
        p = baseline.number("p")
        sums = state.statistics or (0.0, 0.0)
        if point.n == 0:
            return waiting(state, _parts(baseline, sums), ())
        moved = tuple(
            weights(p, ratio).step(total, point.k, point.n) for total, (_, ratio) in zip(sums, _SIDES, strict=True)
        )
        return judged(state, Ruled(_parts(baseline, moved), moved, normal_score(point.k, point.n, p)))


def _parts(baseline: Baseline, sums: Sequence[float]) -> tuple[Part, ...]:
    """The two sums with their limits, the one downward drawn below 0; a side without budget is left out."""
    found = []
    for total, (side, _) in zip(sums, _SIDES, strict=True):
        if baseline.parameters.get(f"{side}_limit") is None:
            continue
        limit = baseline.number(f"{side}_limit")
        up = side == "up"
        found.append(
            Part(f"likelihood {side}", total if up else 0.0 - total, None if up else -limit, limit if up else None)
        )
    return tuple(found)
