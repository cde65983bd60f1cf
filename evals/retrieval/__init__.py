"""How good retrieval is, from verdicts on retrieved documents. Pure: verdicts in, estimates out.

A retrieval is one ranked list of documents. At a depth k it counts where every document of its first k ranks (or all it
has, where those are fewer) was judged; precision is the relevant share of them, a hit is any relevant one among them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

from evals.stats.results import Estimate, TooLittle
from evals.stats.weighted import Sums, hajek, wilson_eff

# A document is relevant from here on; a judge's verdict of yes or no is 1 or 0.
RELEVANT_FROM = 0.5
DEPTHS = (1, 3, 5, 10)
# With fewer retrievals a figure is no figure yet: a judgement call, the least that an interval is worth reading from.
RETRIEVALS_MIN = 20


@dataclass(frozen=True, slots=True)
class Retrieval:
    """The verdicts on one ranked list: rank (from 1) -> relevance (0..1). `pi`: the chance it had to be judged."""

    relevance: dict[int, float]
    pi: float | None = None
    feature: str = ""

    def _judged(self, k: int) -> int | None:
        """How many documents the first k ranks have; None where one of them was not judged."""
        n = sum(rank <= k for rank in self.relevance)
        return n if n and n == min(k, max(self.relevance)) else None

    def precision_at(self, k: int) -> float | None:
        """The relevant share of the first k documents (Manning et al. 2008, 8.4); None where one was not judged."""
        n = self._judged(k)
        return None if n is None else self._hits(k) / n

    def hit_at(self, k: int) -> float | None:
        """1 where any of the first k documents is relevant, else 0; None where one was not judged."""
        return None if self._judged(k) is None else float(self._hits(k) > 0)

    def reciprocal_rank(self) -> float:
        """1 / the rank of the first relevant document, 0 without one (Voorhees 1999)."""
        ranks = [rank for rank, value in self.relevance.items() if value >= RELEVANT_FROM]
        return 1 / min(ranks) if ranks else 0.0

    def _hits(self, k: int) -> int:
        return sum(rank <= k and value >= RELEVANT_FROM for rank, value in self.relevance.items())


@dataclass(frozen=True, slots=True)
class Quality:
    """The figures of some retrievals at one depth. `unweighted`: picked by hand beside drawn ones; in no figure."""

    k: int
    precision: Estimate | TooLittle
    hits: Estimate | TooLittle
    partly: int
    is_sample: bool
    unweighted: int = 0


def quality_at(retrievals: Iterable[Retrieval], k: int) -> Quality:
    """Precision and hit rate at k over all traffic where the retrievals were drawn, else over those judged.

    Drawn ones weigh 1/pi (Hájek); where none was drawn all weigh the same and speak for themselves alone.
    """
    every = list(retrievals)
    drawn = [each for each in every if each.pi is not None]
    chosen = drawn or every
    whole = [each for each in chosen if each.precision_at(k) is not None]
    pis = [each.pi if each.pi is not None else 1.0 for each in whole]
    partly, unweighted = len(chosen) - len(whole), len(every) - len(chosen)
    if len(whole) < RETRIEVALS_MIN:
        little = TooLittle(len(whole), RETRIEVALS_MIN, "retrievals")
        return Quality(k, little, little, partly, bool(drawn), unweighted)
    shares = np.array([each.precision_at(k) for each in whole], dtype=np.float64)
    hits = np.array([each.hit_at(k) for each in whole], dtype=np.float64)
    # As a process, not as a finite traffic: judged in full, the next retrievals are still unknown.
    precision = hajek(Sums.of(shares, pis), of="process", scale=(0.0, 1.0))
    return Quality(k, precision, wilson_eff(Sums.of(hits, pis)), partly, bool(drawn), unweighted)


def bins_of(relevant: Sequence[float], other: Sequence[float], n: int = 12) -> tuple[list[float], list[int], list[int]]:
    """The edges (n + 1) of a histogram over both, and the counts of each; empty without two different scores."""
    both = [*relevant, *other]
    if not both or min(both) == max(both):
        return [], [], []
    edges = np.linspace(min(both), max(both), n + 1)
    first, second = (np.histogram(np.asarray(values, dtype=np.float64), edges)[0] for values in (relevant, other))
    return edges.tolist(), first.tolist(), second.tolist()
