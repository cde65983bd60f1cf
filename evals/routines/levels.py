"""Whether the level of quality moved from one month to the next: the difference of corrected means, or too little.

Pure: pairs and sums in, plain values out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np

from evals.calibrating.figures import kept
from evals.read.pairs import Pair, PairSet
from evals.rubrics import Scale
from evals.stats.bootstrap import ITEMS_MIN, RESAMPLES
from evals.stats.gate import rounded_up
from evals.stats.ppi import REVIEWS_MIN, Corrected, difference, ppi_nested
from evals.stats.quantiles import normal_quantile
from evals.stats.report import judge_report
from evals.stats.results import Estimate, TooLittle
from evals.stats.weighted import Sums

# The move that people want to hear of, in points of the scale.
MOVED = 0.3
Word = Literal["noise", "small", "moved", "too_few"]


@dataclass(frozen=True, slots=True)
class Month:
    """The drawn reviews of a month and the sums of everything the judge scored in it."""

    pairs: tuple[Pair, ...]
    judged: Sums


def level_of_month(month: Month, scale: Scale) -> Corrected | TooLittle:
    """The corrected mean of a month over all its traffic."""
    drawn = [pair for pair in month.pairs if pair.judge is not None and pair.pi_judge and pair.pi_review]
    if len(drawn) < REVIEWS_MIN:
        return TooLittle(len(drawn), REVIEWS_MIN, "reviews of drawn answers")
    if month.judged.n < len(drawn):
        return TooLittle(month.judged.n, len(drawn), "scores of drawn answers")
    return ppi_nested(
        np.array([scale.low + pair.person for pair in drawn], dtype=np.float64),
        np.array([scale.low + (pair.judge or 0) for pair in drawn], dtype=np.float64),
        np.array([pair.pi_judge for pair in drawn], dtype=np.float64),
        np.array([pair.pi_review for pair in drawn], dtype=np.float64),
        month.judged,
        scale=(scale.low, scale.high),
    )


def moved(before: Month, now: Month, scale: Scale) -> dict[str, Any]:
    """Both months, their difference, and what it is: noise, a small move, a move of `MOVED` points, or too few reviews.

    noise: the 95 % interval holds 0. moved: it does not, and the difference is at least `MOVED` points. `rules_out`:
    the whole interval is nearer to 0 than that; where it is not, noise may hide a move, and `need_more` says about how
    many more reviews a month would tell, were there none.
    """
    first, second = level_of_month(before, scale), level_of_month(now, scale)
    told: dict[str, Any] = {"before": _told(first), "now": _told(second), "bar": MOVED}
    if isinstance(first, TooLittle) or isinstance(second, TooLittle):
        return told | {"difference": None, "word": "too_few"}
    found = difference(second, first)
    low, high = found.low, found.high
    rules_out = low is not None and high is not None and max(-low, high) < MOVED
    need = None
    if low is not None and high is not None and word_of(found) == "noise" and not rules_out:
        reviews = min(first.estimate.n, second.estimate.n)
        need = rounded_up(reviews * ((high - low) / 2 / MOVED) ** 2 - reviews)
    return told | {"difference": kept(found), "word": word_of(found), "rules_out": rules_out, "need_more": need}


def apart(
    older: PairSet, newer: PairSet, metric: str, seed: int, resamples: int = RESAMPLES
) -> dict[str, Any]:
    """Agreement with people on older labels and on newer ones of other answers, their difference, and what it is.

    `metric` is the gate's. higher, lower: the 95 % interval of newer minus older does not hold 0; noise: it does;
    too_few: there is no interval on one side. The answers differ, so the errors of both add.
    """
    before, now = _agreed(older, metric, seed, resamples), _agreed(newer, metric, seed + 1, resamples)
    told: dict[str, Any] = {"metric": metric, "older": kept(before), "newer": kept(now), "difference": None}
    if not isinstance(before, Estimate) or not isinstance(now, Estimate) or not (before.error and now.error):
        return told | {"word": "too_few"}
    found = difference(now, before)
    word = "noise"
    if found.low is not None and found.high is not None and not found.low <= 0 <= found.high:
        word = "higher" if found.value > 0 else "lower"
    return told | {"difference": kept(found), "word": word}


def _agreed(found: PairSet, metric: str, seed: int, resamples: int) -> Estimate | TooLittle | None:
    pairs, scale = found.used, found.criterion.scale
    if len(pairs) < ITEMS_MIN:
        return TooLittle(len(pairs), ITEMS_MIN, "labelled answers")
    clusters = [pair.cluster for pair in pairs]
    chances = np.array([pair.pi or np.nan for pair in pairs])
    report = judge_report(
        [pair.person for pair in pairs],
        [pair.judge for pair in pairs],
        range(len(scale.names)),
        is_ordered=scale.has_numbers,
        clusters=clusters if len(set(clusters)) < len(pairs) else None,
        weights=1 / chances if found.is_weighted else None,
        seed=seed,
        resamples=resamples,
    )
    figure = report if isinstance(report, TooLittle) else report.figures.get(metric)
    if not isinstance(figure, Estimate) or figure.low is None or figure.high is None:
        return figure
    # Where resamples hardly differ the interval knows better than their spread.
    aside = max(figure.value - figure.low, figure.high - figure.value) / normal_quantile(figure.level)
    return replace(figure, error=max(figure.error or 0.0, aside))


def word_of(found: Estimate) -> Word:
    """What a difference of two months is."""
    if found.low is None or found.high is None:
        return "too_few"
    if found.low <= 0 <= found.high:
        return "noise"
    return "moved" if abs(found.value) >= MOVED else "small"


def _told(found: Corrected | TooLittle) -> dict[str, Any] | None:
    if isinstance(found, TooLittle):
        return kept(found)
    return (kept(found.estimate) or {}) | {
        "lam": found.lam,
        "effective_reviews": found.effective_reviews,
        "bias": found.bias,
        "judged": found.n_judged,
    }


def overall(criteria: Mapping[str, Mapping[str, Any]]) -> Word:
    """The most that any criterion says."""
    words: Sequence[Word] = ("moved", "small", "too_few", "noise")
    found = {each["word"] for each in criteria.values()}
    return next((word for word in words if word in found), "too_few")
