"""Quality corrected by people's reviews: the judge's scores of many, set right by the reviews of a few (PPI++).

Y is a person's score, F the judge's score of the same target. A judge's own mean is never quality; that of the reviews
alone is, with a wide interval. The corrected mean is as unbiased as the reviews and as much narrower as the judge
deserves: its weight `lam` is tuned from the data and is 0 for a judge that knows nothing.

The interval is made of the judge's errors. Where a few reviews show hardly any, or a few heavy ones carry them all, the
plain one is far too sure, as auditors found of difference estimates (Frost, Tamura 1986); so `ppi_nested` smooths it.
`ppi_mean` is the authors' own, kept as the reference that tests hold against their package.

Sources: Angelopoulos, Bates, Fannjiang, Jordan, Zrnic 2023, Prediction-powered inference; Angelopoulos, Duchi, Zrnic
2023, PPI++.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from evals.stats.quantiles import normal_quantile, t_quantile, wilson_limits
from evals.stats.results import LEVEL, Estimate, TooLittle
from evals.stats.sums import Sums, aligned

REVIEWS_MIN = 30
# From here on the normal quantile, below it Student's t.
NORMAL_FROM = 50
# With this many errors of the judge seen the smoothing begins to fade. A judgement call between 8, with which ordinary
# intervals grow wider for nothing, and 2, with which rare errors are less surely held; `benchmarks.survivorship
# --corrected` shows either.
SMOOTHED_TO = 4

Floats = NDArray[np.float64]
# A variance below this, of scores squared, is what rounding leaves.
_NOTHING = 1e-18


@dataclass(frozen=True, slots=True)
class Corrected:
    """The corrected mean, and what it rests on.

    `lam`: the judge's weight, 0..1. `reviews_only`: the mean of the reviews without the judge. `effective_reviews`: how
    many reviews alone would be as sure. `correlation` of judge and person over the reviews, None where either never
    varies. `bias`: judge minus person over the reviews, weighted. `n_judged`: judged targets beside the reviewed.
    """

    estimate: Estimate
    lam: float
    effective_reviews: float
    reviews_only: Estimate
    correlation: float | None
    bias: float
    n_judged: int


def ppi_mean(
    y: ArrayLike,
    f_lab: ArrayLike,
    f_unlab: ArrayLike | Sums,
    w: ArrayLike | None = None,
    w_unlab: ArrayLike | None = None,
    level: float = LEVEL,
    lam: float | None = None,
    scale: tuple[float, float] | None = None,
    linearised: bool = True,
) -> Corrected | TooLittle:
    """The corrected mean from n reviewed and N judged only targets, drawn apart from each other.

    `y`, `f_lab` (n,): person's and judge's scores; `f_unlab` (N,) or `Sums`: the judge's scores of targets without a
    review; `w` (n,), `w_unlab` (N,): weights, 1/(pi pi_review) and 1/pi, scaled to n and N here (Sums bring their own).

        theta = mean(Y) + lam (mean(F_unlab) - mean(F_lab))    lam = cov(Y, F) / ((1 + n/N) var(F)), within [0, 1]
        var   = var(Y - lam F_lab)/n + lam² var(F_unlab)/N     interval: theta ± z sqrt(var), t with n-1 below 50

    Divisors as in the authors' ppi-python 0.2.3: n for cov, n+N-1 for var(F) over both parts, n and N in the interval.
    With unequal weights the variances are those of weighted means (of w (r - mean r), linearised); `linearised=False`
    takes those of w r instead, as ppi-python does, which holds too but is wider the more the weights differ.
    `scale` keeps value and limits within the scale; shares are means of 0 and 1 on the scale (0, 1).
    Fewer than 30 reviews, or nothing judged beside them: TooLittle. Errors: ValueError for shapes that do not fit.
    """
    people, judge = _pairs(y, f_lab)
    n = people.size
    if n < REVIEWS_MIN:
        return TooLittle(n, REVIEWS_MIN, "reviews")
    unlab = f_unlab if isinstance(f_unlab, Sums) else _weighed(f_unlab, w_unlab)
    if unlab.n < 1 or unlab.sw <= 0:
        return TooLittle(unlab.n, 1, "judged targets")
    weights = _weights(w, n)
    n_unlab = unlab.n
    # Moments of the unlabelled part with weights that sum to N.
    to_n = n_unlab / unlab.sw
    mean_unlab = unlab.swy / unlab.sw
    if lam is None:
        lam = _tuned(people, judge, weights, unlab, to_n)
    mean_y, mean_f = _mean(weights, people), _mean(weights, judge)
    value = mean_y + lam * (mean_unlab - mean_f)
    rest = people - lam * judge
    if linearised:
        rectifier = weights * (rest - _mean(weights, rest))
        spread_unlab = (unlab.sw2y2 - 2 * mean_unlab * unlab.sw2y + mean_unlab**2 * unlab.sw2) * to_n**2 / n_unlab
    else:
        rectifier = weights * rest
        spread_unlab = unlab.sw2y2 * to_n**2 / n_unlab - mean_unlab**2
    variance = float(rectifier.var()) / n + lam * lam * max(0.0, spread_unlab) / n_unlab
    return _corrected(people, judge, weights, value, variance, lam, level, scale, n_unlab)


def ppi_nested(
    y: ArrayLike,
    f: ArrayLike,
    pi: ArrayLike,
    pi_review: ArrayLike,
    judged: Sums,
    level: float = LEVEL,
    scale: tuple[float, float] | None = None,
    smoothed: bool = True,
) -> Corrected | TooLittle:
    """The corrected mean where the reviewed are part of the judged: the ordinary case of sampled traffic.

    `y`, `f` (n,): person's and judge's scores of the reviewed; `pi` (n,): with what probability each was judged;
    `pi_review` (n,): with what probability a judged one was reviewed; `judged`: the sums over *all* judged, the
    reviewed among them, weighted by 1/pi. The draws may be as unequal as they like, and a review may be certain, where
    the judged only would no longer stand for all traffic.

        theta = mean_w2(Y) + lam (mean_w1(F over all judged) - mean_w2(F)),   w1 = 1/pi, w2 = 1/(pi pi_review)
        var   = Σ (lam a_i + b_i)²,   a = w1 (F - mean F)/Σw1 - w2 (F - mean_w2 F)/Σw2,   b = w2 (Y - mean_w2 Y)/Σw2

    (second parts of a, and b, for the reviewed only), lam = -Σab/Σa² within [0, 1]. With equal probabilities it is
    `ppi_mean`, up to divisors. Source: two-phase difference estimator, Särndal et al. 1992, section 9.6, linearised,
    with the tuning of PPI++. Errors as in `ppi_mean`.

    A judge that erred in hardly any of the reviewed may err yet. So var is the larger of that and of the same with two
    reviews more, as in Agresti and Coull's interval of a share (1998): a low answer that the judge found high and a
    high one that it found low, each as heavy as reviews of answers that the judge scored so. Low and high are the means
    of the scores under and over their mean, 0 and 1 of shares. What they add fades as 4/k once k > 4 errors were seen,
    k = (Σr²)²/Σr⁴ - 2 of the smoothed r = w2 (Y - mean Y - lam (F - mean F)) (as Kish 1965 counts weights). With a
    scale a limit is the P with (P - p)² = q² (V + c (P - p)(1 - p - P)), of shares of the scale: V the variance, q the
    quantile, c the lesser of 1/n_eff and V/(p(1-p)); Wilson's (1927) where V = p(1-p)/n. Reviews alone are told alike.
    `smoothed=False` leaves all of this out, and is too sure with few reviews, unequal draws or few errors.
    """
    people, judge = _pairs(y, f)
    n = people.size
    _, first = aligned(people, pi)
    _, second = aligned(people, pi_review)
    if n < REVIEWS_MIN:
        return TooLittle(n, REVIEWS_MIN, "reviews")
    if judged.n < n:
        raise ValueError(f"{judged.n} judged targets cannot hold {n} reviewed ones")
    plain = _nested(people, judge, first, second, judged)
    variance, alone = plain.variance, plain.variance_alone
    if smoothed:
        more = _nested(*_with_two_more(people, judge, first, second, judged))
        # The two that were added are no errors that were seen.
        share = min(1.0, SMOOTHED_TO / max(more.errors - 2, 1.0))
        # Reviews that are all the same have no spread to smooth: `_interval` knows what they leave open.
        nothing = _NOTHING * max(1.0, plain.value**2)
        if variance > nothing:
            variance += share * max(0.0, more.variance - variance)
        if alone > nothing:
            alone += share * max(0.0, more.variance_alone - alone)
    weights = 1 / (first * second)
    beside = judged.n - n
    return _corrected(people, judge, weights, plain.value, variance, plain.lam, level, scale, beside, alone, smoothed)


@dataclass(frozen=True, slots=True)
class _Nested:
    """`variance_alone`: of the reviews without the judge. `errors`: how many of the judge's errors these stand on."""

    value: float
    lam: float
    variance: float
    variance_alone: float
    errors: float


def _nested(people: Floats, judge: Floats, first: Floats, second: Floats, judged: Sums) -> _Nested:
    """The estimate of `ppi_nested` as its formula says."""
    n = people.size
    mean_all = judged.swy / judged.sw
    weights = 1 / (first * second)
    whole = float(weights.sum())
    mean_y, mean_f = _mean(weights, people), _mean(weights, judge)
    b = weights * (people - mean_y) / whole
    lab = weights * (judge - mean_f) / whole
    both = (judge - mean_all) / (first * judged.sw)
    # Σ over all judged of their own part squared comes from the sums; the reviewed alone bring the rest.
    own = max(0.0, judged.sw2y2 - 2 * mean_all * judged.sw2y + mean_all**2 * judged.sw2) / judged.sw**2
    aa = own + float((lab * lab - 2 * both * lab).sum())
    ab = float(((both - lab) * b).sum())
    bb = float((b * b).sum())
    # Where the judge's scores do not vary between all and reviewed there is nothing to gain.
    lam = min(1.0, max(0.0, -ab / aa)) if aa > 1e-12 * max(bb, 1e-300) else 0.0
    # Of the linearised terms the reviewed lose one degree of freedom.
    variance = max(0.0, lam * lam * aa + 2 * lam * ab + bb) * n / (n - 1)
    rest = np.abs(b - lam * lab)
    largest = float(rest.max())
    square = (rest / largest) ** 2 if largest > 0 else np.zeros(1)
    errors = float(square.sum() ** 2 / (square * square).sum()) if largest > 0 else 0.0
    return _Nested(mean_y + lam * (mean_all - mean_f), lam, variance, bb * n / (n - 1), errors)


def _with_two_more(
    people: Floats, judge: Floats, first: Floats, second: Floats, judged: Sums
) -> tuple[Floats, Floats, Floats, Floats, Sums]:
    """The same with two reviews that find the judge wrong, one too kind and one too strict."""
    scores = np.concatenate((people, judge))
    mean = float(scores.mean())
    is_low = scores < mean
    low, high = (float(scores[part].mean()) if part.any() else mean for part in (is_low, ~is_low))
    weights = 1 / (first * second)
    is_kind = judge >= (low + high) / 2
    # Each weighs as those do that the judge said the same of; how it was drawn in which step does not matter.
    heavy = [float(weights[same].mean()) if same.any() else float(weights.mean()) for same in (is_kind, ~is_kind)]
    pi = np.full(2, min(1.0, judged.n / judged.sw))
    of = np.array((high, low))
    return (
        np.append(people, of[::-1]),
        np.append(judge, of),
        np.append(first, pi),
        np.append(second, np.minimum(1.0, 1 / (pi * heavy))),
        judged + Sums.of(of, pi),
    )


def difference(a: Corrected | Estimate, b: Corrected | Estimate, level: float = LEVEL) -> Estimate:
    """a - b of two independent estimates, as of two periods whose reviews were drawn apart: variances added.

    t with Welch's degrees of freedom where either rests on fewer than 50, else the normal quantile. ValueError for an
    estimate without a standard error. Source: Welch 1947.
    """
    first, second = (x.estimate if isinstance(x, Corrected) else x for x in (a, b))
    if first.error is None or second.error is None:
        raise ValueError("a difference needs standard errors; shares have Newcombe's interval instead")
    one, two = first.error**2, second.error**2
    error = math.sqrt(one + two)
    counts = (max(first.n_eff, 2.0), max(second.n_eff, 2.0))
    if error > 0 and min(counts) < NORMAL_FROM:
        df = (one + two) ** 2 / (one * one / (counts[0] - 1) + two * two / (counts[1] - 1))
        half = t_quantile(level, df) * error
    else:
        half = normal_quantile(level) * error
    value = first.value - second.value
    n, n_eff = first.n + second.n, first.n_eff + second.n_eff
    return Estimate(value, value - half, value + half, level, n, n_eff, "difference, variances added", error)


def _pairs(y: ArrayLike, f: ArrayLike) -> tuple[Floats, Floats]:
    people, judge = np.asarray(y, dtype=np.float64), np.asarray(f, dtype=np.float64)
    if people.ndim != 1 or people.shape != judge.shape:
        raise ValueError(f"each review needs the judge's score: {people.shape} against {judge.shape}")
    if not (np.all(np.isfinite(people)) and np.all(np.isfinite(judge))):
        raise ValueError("scores are finite numbers")
    return people, judge


def _weights(w: ArrayLike | None, n: int) -> Floats:
    """Weights that sum to n."""
    if w is None:
        return np.ones(n)
    weights = np.asarray(w, dtype=np.float64)
    if weights.shape != (n,) or not np.all(np.isfinite(weights)) or not np.all(weights >= 0) or weights.sum() <= 0:
        raise ValueError(f"{n} finite weights of 0 or more are needed")
    scaled: Floats = weights * (n / weights.sum())
    return scaled


def _weighed(f: ArrayLike, w: ArrayLike | None) -> Sums:
    """What is needed of the unlabelled part as Sums; their v, which only sampling needs, stay 0."""
    scores = np.asarray(f, dtype=np.float64)
    if scores.ndim != 1 or not np.all(np.isfinite(scores)):
        raise ValueError("scores of one dimension and finite numbers are needed")
    if not scores.size:
        return Sums()
    weights = _weights(w, scores.size)
    square = weights * weights
    return Sums(
        scores.size,
        float(weights.sum()),
        float(square.sum()),
        float(weights @ scores),
        float(weights @ (scores * scores)),
        float(square @ scores),
        float(square @ (scores * scores)),
    )


def _mean(weights: Floats, values: Floats) -> float:
    return float((weights * values).sum() / weights.sum())


def _tuned(people: Floats, judge: Floats, weights: Floats, unlab: Sums, to_n: float) -> float:
    """The weight of the judge that makes the variance least, with the divisors of ppi-python 0.2.3."""
    n, n_unlab = people.size, unlab.n
    at = float((weights * (people - judge)).mean()) + unlab.swy / unlab.sw
    of_y, of_f = weights * (people - at), weights * (judge - at)
    cov = float(((of_y - of_y.mean()) * (of_f - of_f.mean())).mean())
    # Σ and Σ² of w (F - at) over the unlabelled, from their sums.
    total = (unlab.swy - at * unlab.sw) * to_n
    square = (unlab.sw2y2 - 2 * at * unlab.sw2y + at * at * unlab.sw2) * to_n**2
    both = n + n_unlab
    mean = (float(of_f.sum()) + total) / both
    var = max(0.0, float((of_f * of_f).sum()) + square - both * mean * mean) / (both - 1)
    if var <= 1e-12 * max(1.0, at * at):
        return 0.0
    return min(1.0, max(0.0, cov / ((1 + n / n_unlab) * var)))


def _corrected(
    people: Floats,
    judge: Floats,
    weights: Floats,
    value: float,
    variance: float,
    lam: float,
    level: float,
    scale: tuple[float, float] | None,
    n_judged: int,
    variance_alone: float | None = None,
    is_smoothed: bool = False,
) -> Corrected:
    n = people.size
    n_eff = float(weights.sum() ** 2 / (weights * weights).sum())
    mean_y = _mean(weights, people)
    if variance_alone is None:
        scaled = weights * (n / weights.sum())
        variance_alone = float((scaled * (people - mean_y)).var()) / n
    quantile = normal_quantile(level) if n_eff >= NORMAL_FROM else t_quantile(level, max(1.0, n_eff - 1))
    name = "PPI++, tuned and smoothed" if is_smoothed else "PPI++, tuned"
    if n_eff < NORMAL_FROM:
        name += ", t interval"
    told = _of_the_scale if is_smoothed and scale is not None else _interval
    effective = n * variance_alone / variance if variance > 0 else float(n)
    alone = told(mean_y, variance_alone, quantile, level, n, n_eff, "mean of the reviews alone", scale)
    best = told(value, variance, quantile, level, n, n_eff, name, scale)
    spread_y, spread_f = people - mean_y, judge - _mean(weights, judge)
    inner = float((weights * spread_y**2).sum() * (weights * spread_f**2).sum())
    correlation = float((weights * spread_y * spread_f).sum()) / math.sqrt(inner) if inner > 1e-24 else None
    bias = _mean(weights, judge) - mean_y
    return Corrected(best, lam, effective, alone, correlation, bias, n_judged)


def _interval(
    value: float,
    variance: float,
    quantile: float,
    level: float,
    n: int,
    n_eff: float,
    method: str,
    scale: tuple[float, float] | None,
) -> Estimate:
    """The normal interval; Wilson's as of a share of the scale where no review differs from what the judge makes of it.

    Such reviews have no spread to go by, and are no certainty. Without a scale there is no interval then.
    """
    error = math.sqrt(variance)
    if error <= 1e-9 * max(1.0, abs(value)):
        if scale is None:
            return Estimate(value, None, None, level, n, n_eff, f"{method}: no interval, no review differs", None)
        least, most = scale
        share = min(1.0, max(0.0, (value - least) / (most - least)))
        low, high = (least + limit * (most - least) for limit in wilson_limits(share, n_eff, level))
        error = max(value - low, high - value) / normal_quantile(level)
        return within(Estimate(value, low, high, level, n, n_eff, f"{method}, of equal reviews", error), scale)
    found = Estimate(value, value - quantile * error, value + quantile * error, level, n, n_eff, method, error)
    return found if scale is None else within(found, scale)


def _of_the_scale(
    value: float,
    variance: float,
    quantile: float,
    level: float,
    n: int,
    n_eff: float,
    method: str,
    scale: tuple[float, float] | None,
) -> Estimate:
    """Wilson's interval for a mean on a scale, as `ppi_nested` says; `_interval` where nothing varies."""
    error = math.sqrt(variance)
    if scale is None or error <= 1e-9 * max(1.0, abs(value)):
        return _interval(value, variance, quantile, level, n, n_eff, method, scale)
    least, most = scale
    share = min(1.0, max(0.0, (value - least) / (most - least)))
    spread, square, inner = variance / (most - least) ** 2, quantile * quantile, share * (1 - share)
    # A mean of n scores varies by p(1-p)/n at the most, so near the ends of the scale the number of reviews decides.
    each = square * (min(1 / n_eff, spread / inner) if inner > 0 else 1 / n_eff)
    lean, grown = each * (1 - 2 * share), 1 + each
    root = math.sqrt(lean * lean + 4 * grown * square * spread)
    low, high = (share + (lean + sign * root) / (2 * grown) for sign in (-1, 1))
    low, high = (least + limit * (most - least) for limit in (min(low, share), max(high, share)))
    return within(Estimate(value, low, high, level, n, n_eff, method, error), scale)


def within(estimate: Estimate, scale: tuple[float, float]) -> Estimate:
    """The estimate with value and limits kept within a scale."""
    least, most = scale

    def kept(figure: float) -> float:
        return min(most, max(least, figure))

    low, high = (None if figure is None else kept(figure) for figure in (estimate.low, estimate.high))
    return replace(estimate, value=kept(estimate.value), low=low, high=high)
