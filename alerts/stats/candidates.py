"""The slices that scope tests: values and pairs with enough bad rows, their counts, p and adjusted p."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from alerts.stats.normal import above
from alerts.stats.pvalues import benjamini_hochberg, fisher
from alerts.stats.slices import NOT_LOOKED, Attribute, Counts, Floats, counts_of

BAD_MIN = 10
# Fisher's test below this expected count, G from it on.
EXPECTED_MIN = 5.0


@dataclass(slots=True)
class Candidate:
    """A value, or two of different attributes, with what its rows come to."""

    parts: tuple[tuple[Attribute, int], ...]
    counts: Counts

    @property
    def name(self) -> str:
        """As a page says it."""
        return " and ".join(f"{attribute.name} {attribute.labels[code]}" for attribute, code in self.parts)

    @property
    def mask(self) -> NDArray[np.bool_]:
        """Which rows it holds."""
        return np.asarray(np.logical_and.reduce([attribute.codes == code for attribute, code in self.parts]))


@dataclass(slots=True)
class Screened:
    """Values and pairs that were not tested: too few bad rows, or beyond the number of tests."""

    values_few: int = 0
    values_cut: int = 0
    pairs_few: int = 0
    pairs_cut: int = 0

    @property
    def all(self) -> int:
        """How many in sum."""
        return self.values_few + self.values_cut + self.pairs_few + self.pairs_cut


def find_candidates(
    columns: list[Attribute], bad: NDArray[np.bool_], w: Floats, most: int
) -> tuple[list[Candidate], Screened]:
    """Values first, then pairs, each with the most bad rows first; and what was not tested."""
    found: list[Candidate] = []
    screened = Screened()
    for column in columns:
        counts = counts_of(column.codes, len(column.labels), bad, w)
        for code, one in enumerate(counts):
            if column.labels[code] == NOT_LOOKED:
                continue
            if one.bad_rows < BAD_MIN:
                screened.values_few += one.bad_rows > 0
            elif one.rows < bad.size:
                found.append(Candidate(((column, code),), one))
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
                found.append(Candidate(((a, code // len(b.labels)), (b, code % len(b.labels))), one))
    return found, screened


def adjusted_of(candidates: list[Candidate], tests: list[float], screened: Screened) -> list[float]:
    """Adjusted p: values and pairs are two families with half of q each, what was screened out counting in its own.

    A slice is tested because it has many bad rows, so those that had too few must count too, or chance alone passes.
    """
    values = sum(len(candidate.parts) == 1 for candidate in candidates)
    pairs = len(candidates) - values
    of_values = benjamini_hochberg(tests[:values], values + screened.values_few + screened.values_cut)
    of_pairs = benjamini_hochberg(tests[values:], pairs + screened.pairs_few + screened.pairs_cut)
    families = 2 if pairs else 1
    return [min(1.0, families * float(p)) for p in (*of_values, *of_pairs)]


def candidate_p(candidate: Candidate, whole: Counts, alone: Mapping[tuple[Attribute, int], Counts]) -> float:
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
