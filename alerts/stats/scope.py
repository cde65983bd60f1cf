"""Who is affected: attribute values, and pairs of them, that hold the excess of bad rows, among all looked at.

A slice is compared with everything outside of it within the incident's window, and with itself in the baseline's: one
that was always bad is not the cause. Ranked by explained excess, bad - n·(rate outside), never by p.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from itertools import combinations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from alerts.stats.normal import above, quantile
from alerts.stats.pvalues import benjamini_hochberg, fisher
from alerts.stats.slices import SAME_OVER, Attribute, Counts, Floats, counts_of, rows_in, same_rows, shift_between
from evals.stats.quantiles import wilson_limits
from evals.stats.results import LEVEL, TooLittle

BAD_MIN = 10
TESTS_MOST = 2_000
Q = 0.1
# Fisher's test below this expected count, G from it on.
EXPECTED_MIN = 5.0
# At .95 the wider value stood before its pair in 10 of 100 simulated incidents, by chance of either of two rests.
REST_LEVEL = 0.99


@dataclass(frozen=True, slots=True)
class Slice:
    """One attribute value, or two together. Rates weigh rows by 1/pi; tests and intervals stand on n_eff.

    `excess`: bad rows beyond the rate outside (weighted); `share_of_excess` of all the excess over the baseline's rate.
    `ratio` of rates with its log interval; `difference` with Newcombe's. `p_adjusted` over all that were tested; a
    pair's `p` is the largest of three: against all outside, and against the rest of either value.
    `shift`: (rate - rate outside) now less the same in the baseline, with its interval; None where the baseline has no
    such rows, as for a new release. `was_always_bad`: that interval does not lie over 0. `also`: names of slices of
    (nearly) the same rows. `through`: the pair that holds what this slice has in excess.
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
    also: tuple[str, ...] = field(default=())
    through: str | None = None


@dataclass(frozen=True, slots=True)
class Scope:
    """Slices with more bad than outside at q, the likeliest first: what was always bad last, though never left out.

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
class _Candidate:
    parts: tuple[tuple[Attribute, int], ...]
    counts: Counts

    @property
    def name(self) -> str:
        return " and ".join(f"{attribute.name} {attribute.labels[code]}" for attribute, code in self.parts)


@dataclass(slots=True)
class _Screened:
    """Values and pairs that were not tested: too few bad rows, or beyond the number of tests."""

    values_few: int = 0
    values_cut: int = 0
    pairs_few: int = 0
    pairs_cut: int = 0


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
    candidates, screened = _candidates(columns, is_bad, w, tests_most)
    alone = {candidate.parts[0]: candidate.counts for candidate in candidates if len(candidate.parts) == 1}
    tests = [_candidate_p(candidate, whole, alone) for candidate in candidates]
    adjusted = _adjusted(candidates, tests, screened)
    needed = [
        (c.counts.rate > whole.rate and p <= q) or len(c.parts) == 1 for c, p in zip(candidates, adjusted, strict=True)
    ]
    before = _before(candidates, needed, baseline)
    rate_baseline = before[0].rate if before is not None else None
    excess_all = whole.bad - whole.all * rate_baseline if rate_baseline is not None else None
    lines = [
        _line(candidate, whole, p, float(p_adjusted), excess_all, before, place)
        for place, (candidate, p, p_adjusted) in enumerate(zip(candidates, tests, adjusted, strict=True))
    ]
    found = [at for at, line in enumerate(lines) if line.p_adjusted <= q and line.excess > 0]
    singles = {candidates[at].parts[0]: at for at in range(len(lines)) if len(candidates[at].parts) == 1}
    kept = [at for at in found if _stands_out(candidates[at], lines, at, singles)]
    kept.sort(key=lambda at: (lines[at].was_always_bad, -lines[at].excess, lines[at].name))
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


def _candidates(
    columns: list[Attribute], bad: NDArray[np.bool_], w: Floats, most: int
) -> tuple[list[_Candidate], _Screened]:
    """Values first, then pairs, each with the most bad rows first; and what was not tested."""
    found: list[_Candidate] = []
    screened = _Screened()
    for column in columns:
        counts = counts_of(column.codes, len(column.labels), bad, w)
        for code, one in enumerate(counts):
            if one.bad_rows < BAD_MIN:
                screened.values_few += one.bad_rows > 0
            elif one.rows < bad.size:
                found.append(_Candidate(((column, code),), one))
    found.sort(key=lambda candidate: -candidate.counts.bad_rows)
    screened.values_cut = max(0, len(found) - most)
    found = found[:most]
    tops = {column.name: {c.parts[0][1] for c in found if c.parts[0][0] is column} for column in columns}
    pairs: list[tuple[int, Attribute, Attribute, int]] = []
    for a, b in combinations([column for column in columns if tops[column.name]], 2):
        joint, support = np.unique(a.codes[bad] * len(b.labels) + b.codes[bad], return_counts=True)
        for code, times in zip(joint.tolist(), support.tolist(), strict=True):
            if times < BAD_MIN:
                screened.pairs_few += 1
            elif code // len(b.labels) in tops[a.name] and code % len(b.labels) in tops[b.name]:
                pairs.append((times, a, b, code))
    pairs.sort(key=lambda pair: (-pair[0], pair[1].name, pair[2].name, pair[3]))
    room = max(0, most - len(found))
    screened.pairs_cut = max(0, len(pairs) - room)
    by_columns: dict[tuple[str, str], list[tuple[Attribute, Attribute, int]]] = {}
    for _, a, b, code in pairs[:room]:
        by_columns.setdefault((a.name, b.name), []).append((a, b, code))
    for group in by_columns.values():
        a, b, _ = group[0]
        places = np.full(len(a.labels) * len(b.labels), len(group), dtype=np.intp)
        places[[code for _, _, code in group]] = np.arange(len(group))
        counts = counts_of(places[a.codes * len(b.labels) + b.codes], len(group) + 1, bad, w)
        for (_, _, code), one in zip(group, counts, strict=False):
            if one.rows < bad.size:
                found.append(_Candidate(((a, code // len(b.labels)), (b, code % len(b.labels))), one))
    return found, screened


def _adjusted(candidates: list[_Candidate], tests: list[float], screened: _Screened) -> list[float]:
    """Adjusted p: values and pairs are two families with half of q each, what was screened out counting in its own.

    A slice is tested because it has many bad rows, so those that had too few must count too, or chance alone passes.
    """
    values = sum(len(candidate.parts) == 1 for candidate in candidates)
    pairs = len(candidates) - values
    of_values = benjamini_hochberg(tests[:values], values + screened.values_few + screened.values_cut)
    of_pairs = benjamini_hochberg(tests[values:], pairs + screened.pairs_few + screened.pairs_cut)
    families = 2 if pairs else 1
    return [min(1.0, families * float(p)) for p in (*of_values, *of_pairs)]


def _candidate_p(candidate: _Candidate, whole: Counts, alone: Mapping[tuple[Attribute, int], Counts]) -> float:
    """P that the slice is like the rest; of a pair also that it is like the rest of either value, the largest counts.

    Pairs of a bad value with anything are bad too. Were they discoveries, Benjamini-Hochberg would let as many false
    pairs pass as its share of them: 26 beside one bad value among 12 attributes (measured).
    """
    p = _tested(candidate.counts, whole)
    if len(candidate.parts) == 1:
        return p
    return max(p, *(_tested(candidate.counts, alone[part]) for part in candidate.parts))


def _tested(inside: Counts, whole: Counts) -> float:
    """Two-sided p that slice and rest have one rate: G, or Fisher's where fewer than 5 are expected in a cell."""
    outside = whole.less(inside)
    n, m = inside.n_eff, outside.n_eff
    if n <= 0 or m <= 0:
        return 1.0
    k, j = inside.rate * n, outside.rate * m
    table = np.array([[k, n - k], [j, m - j]])
    expected = np.outer(table.sum(1), table.sum(0)) / (n + m)
    if expected.min() < EXPECTED_MIN:
        good = max(0, round(n) - round(k)), max(0, round(m) - round(j))
        return fisher(round(k), good[0], round(j), good[1]).two_sided
    some = table > 0
    g = 2 * float((table[some] * np.log(table[some] / expected[some])).sum())
    return min(1.0, 2 * above(math.sqrt(max(0.0, g))))


def _before(
    candidates: list[_Candidate],
    needed: list[bool],
    baseline: tuple[Mapping[str, ArrayLike], ArrayLike, ArrayLike | None] | None,
) -> tuple[Counts, list[Counts | None]] | None:
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
    whole = Counts.whole(is_bad, w)
    known: list[Counts | None] = []
    for candidate, shown in zip(candidates, needed, strict=True):
        if not shown:
            known.append(None)
            continue
        mask = rows_in(columns, [(attribute.name, attribute.labels[code]) for attribute, code in candidate.parts])
        known.append(Counts.whole(is_bad[mask], w[mask]) if mask is not None and mask.any() else None)
    return whole, known


def _line(
    candidate: _Candidate,
    whole: Counts,
    p: float,
    p_adjusted: float,
    excess_all: float | None,
    before: tuple[Counts, list[Counts | None]] | None,
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
    then = before[1][place] if before is not None else None
    if before is not None and then is not None and before[0].rows > then.rows:
        shift = shift_between(difference, then.against(before[0].less(then)))
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
    )


def _stands_out(candidate: _Candidate, lines: list[Slice], at: int, singles: dict[tuple[Attribute, int], int]) -> bool:
    """A pair counts only where its interval lies over those of both its values."""
    if len(candidate.parts) == 1:
        return True
    parents = [lines[singles[part]] for part in candidate.parts if part in singles]
    return all(lines[at].rate_low > parent.rate_high for parent in parents)


def _grouped(
    kept: list[int],
    candidates: list[_Candidate],
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
                masks[other] = _mask(candidates[other])
        head = next((other for other in near if same_rows(masks[at], masks[other])), None)
        if head is None:
            heads.append(at)
        else:
            also.setdefault(head, []).append(lines[at].name)
    # What a pair holds comes after the pair, whatever noise adds to the wider slice.
    heads.sort(key=lambda at: (lines[at].was_always_bad, at in through, -lines[at].excess, lines[at].name))
    return tuple(replace(lines[at], also=tuple(also.get(at, ())), through=through.get(at)) for at in heads)


def _mask(candidate: _Candidate) -> NDArray[np.bool_]:
    masks = [attribute.codes == code for attribute, code in candidate.parts]
    return np.asarray(np.logical_and.reduce(masks))
