"""Who is affected: attribute values, and pairs of them, that hold the excess of bad rows, among all looked at.

A slice is compared with everything outside of it within the incident's window, and with itself in the baseline's: one
that was always bad is not the cause. Ranked by explained excess, bad - n·(rate outside), never by p.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import ArrayLike, NDArray

from alerts.stats.candidates import BAD_MIN, Candidate, adjusted_of, candidate_p, find_candidates
from alerts.stats.normal import quantile
from alerts.stats.slices import SAME_OVER, Attribute, Counts, rows_in, same_rows, shift_between
from evals.stats.quantiles import wilson_limits
from evals.stats.results import LEVEL, TooLittle

TESTS_MOST = 2_000
Q = 0.1
# P that anything is proposed where nothing differs. Lists go by Q, which lets 2 of 40 such incidents name something,
# and 10 of 40 where some slices were always worse (measured: 12 attributes, 200 values, 20,000 rows).
PROPOSED_AT = 0.02
# At .95 the wider value stood before its pair in 10 of 100 simulated incidents, by chance of either of two rests.
REST_LEVEL = 0.99


@dataclass(frozen=True, slots=True)
class Slice:
    """One attribute value, or two together. Rates weigh rows by 1/pi; tests and intervals stand on n_eff.

    `excess`: bad rows beyond the rate outside (weighted); `share_of_excess` of all the excess over the baseline's rate.
    `ratio` of rates with its log interval; `difference` with Newcombe's. `p_adjusted` over all that were tested; a
    pair's `p` is the largest of three: against all outside, and against the rest of either value.
    `shift`: (rate - rate outside) now less the same in the baseline, with its interval; None where the baseline has no
    such rows, as for a new release: then it is compared with what held nearly all of its rows, `like`, where anything
    did. `was_always_bad`: that interval does not lie over 0. `is_proposed`: both the excess and the shift stand beyond
    chance among all that was looked at (2 %), so that a page may name it. `also`: names of slices of (nearly) the same
    rows. `through`: the pair that holds what this slice has in excess.
    """

    name: str
    parts: tuple[tuple[str, str], ...]
    n: int
    bad: int
    n_eff: float
    rate: float
    rate_low: float
    rate_high: float
    rate_outside: float
    excess: float
    share_of_excess: float | None
    ratio: float
    ratio_low: float
    ratio_high: float
    difference: float
    difference_low: float
    difference_high: float
    p: float
    p_adjusted: float
    shift: float | None
    shift_low: float | None
    shift_high: float | None
    was_always_bad: bool
    is_proposed: bool = False
    like: str | None = None
    also: tuple[str, ...] = field(default=())
    through: str | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """Slices with more bad than outside at q, the likeliest first: what stands beyond chance, then what may be chance,
    what was always bad last, though never left out.

    `unclear`: single values tested and not found over-represented, for the page's grey bars. `tested` slices in all, of
    which `pairs` pairs; `too_few`: values and pairs with some but under 10 bad rows; `left_out`: candidates beyond the
    2,000 with the most bad rows. `rate_baseline` None without a baseline.
    """

    slices: tuple[Slice, ...]
    unclear: tuple[Slice, ...]
    n: int
    bad: int
    rate: float
    rate_baseline: float | None
    tested: int
    pairs: int
    too_few: int
    left_out: int
    q: float


@dataclass(slots=True)
class _Before:
    """The baseline: its whole, and for each candidate shown its rows there, or those of what held it, by name."""

    whole: Counts
    slices: list[Counts | None]
    like: list[str | None]


def find_scope(
    attributes: Mapping[str, ArrayLike],
    bad: ArrayLike,
    *,
    weights: ArrayLike | None = None,
    baseline: tuple[Mapping[str, ArrayLike], ArrayLike, ArrayLike | None] | None = None,
    q: float = Q,
    tests_most: int = TESTS_MOST,
) -> Scope | TooLittle:
    """Which slices hold the excess of bad rows of the incident's window.

    `attributes`: by name, (n,) values as text, None for not set. `bad` (n,) booleans; `weights` (n,) over 0, 1/pi.
    `baseline`: the same three of the baseline's window. Assumes independent rows. TooLittle under 10 bad rows. Errors:
    ValueError for lengths that differ.
    Source: Chung et al. 2019 (Slice Finder); Pastor et al. 2021 (DivExplorer); Newcombe 1998; Benjamini-Hochberg 1995.
    """
    is_bad = np.asarray(bad, dtype=np.bool_)
    w = np.ones(is_bad.size) if weights is None else np.asarray(weights, dtype=np.float64)
    columns = [Attribute.of(name, values) for name, values in attributes.items()]
    if any(column.codes.size != is_bad.size for column in columns) or w.shape != is_bad.shape:
        raise ValueError(f"{is_bad.size} rows need as many values of every attribute, and weights")
    if int(is_bad.sum()) < BAD_MIN:
        return TooLittle(int(is_bad.sum()), BAD_MIN, "bad rows")
    whole = Counts.whole(is_bad, w)
    candidates, screened = find_candidates(columns, is_bad, w, tests_most)
    alone = {candidate.parts[0]: candidate.counts for candidate in candidates if len(candidate.parts) == 1}
    tests = [candidate_p(candidate, whole, alone) for candidate in candidates]
    adjusted = adjusted_of(candidates, tests, screened)
    needed = [
        (c.counts.rate > whole.rate and p <= q) or len(c.parts) == 1 for c, p in zip(candidates, adjusted, strict=True)
    ]
    before = _before(candidates, needed, baseline, columns)
    rate_baseline = before.whole.rate if before is not None else None
    excess_all = whole.bad - whole.all * rate_baseline if rate_baseline is not None else None
    lines = [
        _line(candidate, whole, p, float(p_adjusted), excess_all, before, place)
        for place, (candidate, p, p_adjusted) in enumerate(zip(candidates, tests, adjusted, strict=True))
    ]
    found = [at for at, line in enumerate(lines) if line.p_adjusted <= q and line.excess > 0]
    looked_at, values = screened.all + len(lines), max(len(found), len(alone))
    for at in found:
        if _is_beyond_chance(candidates[at], whole, tests[at], values, looked_at, before, at):
            lines[at] = replace(lines[at], is_proposed=True)
    singles = {candidates[at].parts[0]: at for at in range(len(lines)) if len(candidates[at].parts) == 1}
    kept = [at for at in found if _stands_out(candidates[at], lines, at, singles)]
    kept.sort(key=lambda at: (not lines[at].is_proposed, lines[at].was_always_bad, -lines[at].excess, lines[at].name))
    return Scope(
        slices=_grouped(kept, candidates, lines, whole, singles),
        unclear=tuple(
            sorted(
                (lines[at] for at in singles.values() if at not in set(found)),
                key=lambda line: (-line.excess, line.name),
            )
        ),
        n=is_bad.size,
        bad=int(is_bad.sum()),
        rate=whole.rate,
        rate_baseline=rate_baseline,
        tested=len(lines),
        pairs=len(lines) - len(singles),
        too_few=screened.values_few + screened.pairs_few,
        left_out=screened.values_cut + screened.pairs_cut,
        q=q,
    )


def over_p95(values: ArrayLike, baseline: ArrayLike, q: float = 0.95) -> NDArray[np.bool_]:
    """Which of `values` (n,) exceed quantile `q` of `baseline`, so that latency and cost have bad rows too."""
    limit = float(np.quantile(np.asarray(baseline, dtype=np.float64), q))
    return np.asarray(np.asarray(values, dtype=np.float64) > limit)


def _before(
    candidates: list[Candidate],
    needed: list[bool],
    baseline: tuple[Mapping[str, ArrayLike], ArrayLike, ArrayLike | None] | None,
    now: list[Attribute],
) -> _Before | None:
    """Counts of the whole baseline, and there of each candidate that will be shown; None for what has no rows there."""
    if baseline is None:
        return None
    attributes, bad, weights = baseline
    is_bad = np.asarray(bad, dtype=np.bool_)
    if not is_bad.size:
        return None
    w = np.ones(is_bad.size) if weights is None else np.asarray(weights, dtype=np.float64)
    columns = {name: Attribute.of(name, values) for name, values in attributes.items()}
    if any(column.codes.size != is_bad.size for column in columns.values()) or w.shape != is_bad.shape:
        raise ValueError(f"{is_bad.size} baseline rows need as many values of every attribute, and weights")
    found = _Before(Counts.whole(is_bad, w), [], [])

    def then(parts: list[tuple[str, str]]) -> Counts | None:
        mask = rows_in(columns, parts)
        return Counts.whole(is_bad[mask], w[mask]) if mask is not None and mask.any() else None

    for candidate, shown in zip(candidates, needed, strict=True):
        counts, like = None, None
        if shown:
            counts = then([(attribute.name, attribute.labels[code]) for attribute, code in candidate.parts])
            if counts is None:
                held = [(name, label, then([(name, label)])) for name, label in _held_by(candidate, now)]
                worst = max(
                    ((c.rate, name, label, c) for name, label, c in held if c is not None and c.rows < is_bad.size),
                    default=None, key=lambda one: one[:3],
                )  # fmt: skip
                if worst is not None:
                    like, counts = f"{worst[1]} {worst[2]}", worst[3]
        found.slices.append(counts)
        found.like.append(like)
    return found


def _held_by(candidate: Candidate, columns: list[Attribute]) -> list[tuple[str, str]]:
    """Values that (nearly) all rows of the candidate have: a new prompt's feature, whose baseline speaks for it."""
    mask = candidate.mask
    held = []
    for column in columns:
        counts = np.bincount(column.codes[mask], minlength=len(column.labels))
        if counts.max(initial=0) > SAME_OVER * counts.sum():
            held.append((column.name, column.labels[int(counts.argmax())]))
    return held


def _is_beyond_chance(
    candidate: Candidate, whole: Counts, p: float, values: int, looked_at: int, before: _Before | None, place: int
) -> bool:
    """Whether excess and shift stand at 2 % over everything that was looked at (Bonferroni; the shift: all values)."""
    if p * looked_at > PROPOSED_AT:
        return False
    then = before.slices[place] if before is not None else None
    if before is None or then is None or before.whole.rows <= then.rows:
        return True
    level = 1 - PROPOSED_AT / values
    now = candidate.counts.against(whole.less(candidate.counts), level)
    return shift_between(now, then.against(before.whole.less(then), level))[1] > 0


def _line(
    candidate: Candidate,
    whole: Counts,
    p: float,
    p_adjusted: float,
    excess_all: float | None,
    before: _Before | None,
    place: int,
) -> Slice:
    inside = candidate.counts
    outside = whole.less(inside)
    low, high = wilson_limits(inside.rate, inside.n_eff)
    excess = inside.bad - inside.all * outside.rate
    difference = inside.against(outside)
    # Half an event more of each kind, on effective counts.
    k, n = inside.rate * inside.n_eff + 0.5, inside.n_eff + 0.5
    j, m = outside.rate * outside.n_eff + 0.5, outside.n_eff + 0.5
    ratio = (k / n) / (j / m)
    spread = math.exp(quantile(0.5 + LEVEL / 2) * math.sqrt(max(0.0, 1 / k - 1 / n + 1 / j - 1 / m)))
    shift: tuple[float, float, float] | None = None
    then = before.slices[place] if before is not None else None
    if before is not None and then is not None and before.whole.rows > then.rows:
        shift = shift_between(difference, then.against(before.whole.less(then)))
    return Slice(
        name=candidate.name,
        parts=tuple((attribute.name, attribute.labels[code]) for attribute, code in candidate.parts),
        n=inside.rows,
        bad=inside.bad_rows,
        n_eff=inside.n_eff,
        rate=inside.rate,
        rate_low=low,
        rate_high=high,
        rate_outside=outside.rate,
        excess=excess,
        share_of_excess=min(1.0, excess / excess_all) if excess_all is not None and excess_all > 0 else None,
        ratio=ratio,
        ratio_low=ratio / spread,
        ratio_high=ratio * spread,
        difference=difference[0],
        difference_low=difference[1],
        difference_high=difference[2],
        p=p,
        p_adjusted=p_adjusted,
        shift=shift[0] if shift else None,
        shift_low=shift[1] if shift else None,
        shift_high=shift[2] if shift else None,
        was_always_bad=shift is not None and shift[1] <= 0,
        like=before.like[place] if before is not None else None,
    )


def _stands_out(candidate: Candidate, lines: list[Slice], at: int, singles: dict[tuple[Attribute, int], int]) -> bool:
    """A pair counts only where its interval lies over those of both its values."""
    if len(candidate.parts) == 1:
        return True
    parents = [lines[singles[part]] for part in candidate.parts if part in singles]
    return all(lines[at].rate_low > parent.rate_high for parent in parents)


def _grouped(
    kept: list[int],
    candidates: list[Candidate],
    lines: list[Slice],
    whole: Counts,
    singles: dict[tuple[Attribute, int], int],
) -> tuple[Slice, ...]:
    """Slices of (nearly) the same rows as one line; values whose excess is that of a pair of theirs say which."""
    through: dict[int, str] = {}
    for at in kept:
        for part in candidates[at].parts if len(candidates[at].parts) == 2 else ():
            parent = singles.get(part)
            if parent is None:
                continue
            rest = candidates[parent].counts.less(candidates[at].counts)
            outside = whole.less(candidates[parent].counts)
            if rest.n_eff <= 0 or wilson_limits(rest.rate, rest.n_eff, REST_LEVEL)[0] <= outside.rate:
                through.setdefault(parent, lines[at].name)
    masks: dict[int, NDArray[np.bool_]] = {}
    sizes = {at: lines[at].n for at in kept}
    heads: list[int] = []
    also: dict[int, list[str]] = {}
    for at in kept:
        # Only slices of nearly one size can be nearly the same rows.
        near = [other for other in heads if SAME_OVER * max(sizes[at], sizes[other]) <= min(sizes[at], sizes[other])]
        for other in (at, *near) if near else ():
            if other not in masks:
                masks[other] = candidates[other].mask
        head = next((other for other in near if same_rows(masks[at], masks[other])), None)
        if head is None:
            heads.append(at)
        else:
            also.setdefault(head, []).append(lines[at].name)
    # What a pair holds comes after the pair, whatever noise adds to the wider slice.
    heads.sort(
        key=lambda at: (
            not lines[at].is_proposed, lines[at].was_always_bad, at in through, -lines[at].excess, lines[at].name,
        )
    )  # fmt: skip
    return tuple(replace(lines[at], also=tuple(also.get(at, ())), through=through.get(at)) for at in heads)
