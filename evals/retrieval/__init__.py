"""How good retrieval is, from verdicts on retrieved documents. Pure: verdicts in, estimates out.

A retrieval is one ranked list of documents. At a depth k it counts where every document of its first k ranks (or all it
has, where those are fewer) was judged; precision is the relevant share of them, a hit is any relevant one among them.
What was drawn is the trace: retrievals of one trace are not independent, and intervals are between traces.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from evals.stats.results import Estimate, TooLittle
from evals.stats.weighted import Sums, hajek, wilson_eff

# A document is relevant from here on; a judge's verdict of yes or no is 1 or 0.
RELEVANT_FROM = 0.5
DEPTHS = (1, 3, 5, 10)
# With fewer traces a figure is no figure yet: a judgement call, the least that an interval is worth reading from.
TRACES_MIN = 20


@dataclass(frozen=True, slots=True)
class Retrieval:
    """The verdicts on one ranked list: rank (from 1) -> relevance (0..1); `documents`: how many the list has."""

    relevance: Mapping[int, float]
    documents: int = 0

    @property
    def length(self) -> int:
        """How many documents the list has: as told, but never fewer than its last judged rank."""
        return max(self.documents, *self.relevance, 0)

    def relevant_at(self, k: int) -> int | None:
        """How many of the first k documents are relevant; None where one of them was not judged, or there is none."""
        judged = [value for rank, value in self.relevance.items() if rank <= k]
        if not judged or len(judged) < min(k, self.length):
            return None
        return sum(value >= RELEVANT_FROM for value in judged)

    def precision_at(self, k: int) -> float | None:
        """The relevant share of the first k documents (Manning et al. 2008, 8.4); None where one was not judged.

        A list shorter than k is divided by its own length: it cannot be blamed for what it was not asked for.
        """
        relevant = self.relevant_at(k)
        return None if relevant is None else relevant / min(k, self.length)

    def hit_at(self, k: int) -> float | None:
        """1 where any of the first k documents is relevant, else 0; None where one was not judged."""
        relevant = self.relevant_at(k)
        return None if relevant is None else float(relevant > 0)

    def reciprocal_rank(self) -> float | None:
        """1 / the rank of the first relevant document, 0 without one (Voorhees 1999).

        None where a document before it was not judged, or none is relevant yet and not all were judged.
        """
        for rank in range(1, self.length + 1):
            value = self.relevance.get(rank)
            if value is None:
                return None
            if value >= RELEVANT_FROM:
                return 1 / rank
        return 0.0 if self.relevance else None


@dataclass(frozen=True, slots=True)
class Part:
    """One figure over the retrievals of a trace: how many have it, and the sum of their values."""

    n: int
    total: float


@dataclass(frozen=True, slots=True)
class Traces:
    """`times` traces of which all that matters here is the same: feature, chance of being judged, and the figures.

    `pi` None: picked by hand. `precision` and `hits` by depth. `retrievals`: how many each trace has, judged in full or
    in part.
    """

    feature: str
    pi: float | None
    precision: Mapping[int, Part]
    hits: Mapping[int, Part]
    reciprocal: Part
    retrievals: int = 1
    times: int = 1


@dataclass(frozen=True, slots=True)
class Quality:
    """The figures of some retrievals at one depth. `partly`: left out as not judged in full.

    `unweighted`: retrievals picked by hand beside drawn ones, which are in no figure.
    """

    k: int
    precision: Estimate | TooLittle
    hits: Estimate | TooLittle
    partly: int
    is_sample: bool
    unweighted: int = 0


@dataclass(slots=True)
class _Totals:
    """Sums between traces of a figure's weighted totals, with the retrievals that are in them."""

    retrievals: int = 0
    parts: list[Sums] = field(default_factory=list)

    def add(self, part: Part, pi: float, times: int) -> None:
        """Add `times` traces with these values of their retrievals."""
        if not part.n:
            return
        w = 1 / pi
        of, y = w * part.n, w * part.total
        # As `Sums` of single scores, but that a trace's weighted total stands where there one score does: the squares
        # then are those of the variance between traces. Σwy² is asked of shares alone, where it is Σwy.
        self.parts.append(Sums(
            times, times * of, times * of * of, times * y, times * y, times * of * y, times * y * y,
        ))  # fmt: skip
        self.retrievals += part.n * times

    def mean(self) -> Estimate | TooLittle:
        """The mean within 0..1 with a t interval between traces."""
        sums = Sums.total(self.parts)
        little = TooLittle(sums.n, TRACES_MIN, "traces")
        return little if sums.n < TRACES_MIN else self._told(hajek(sums, of="process", scale=(0.0, 1.0)))

    def share(self) -> Estimate | TooLittle:
        """The share of ones with Wilson's interval on the effective number of traces."""
        sums = Sums.total(self.parts)
        return TooLittle(sums.n, TRACES_MIN, "traces") if sums.n < TRACES_MIN else self._told(wilson_eff(sums))

    def _told(self, found: Estimate | TooLittle) -> Estimate | TooLittle:
        return found if isinstance(found, TooLittle) else replace(found, n=self.retrievals)


def traces_of(retrievals: Sequence[Retrieval], *, pi: float | None = None, feature: str = "") -> Traces:
    """The retrievals of one trace."""

    def part(values: Iterable[float | None]) -> Part:
        told = [value for value in values if value is not None]
        return Part(len(told), sum(told))

    return Traces(
        feature,
        pi,
        {k: part(each.precision_at(k) for each in retrievals) for k in DEPTHS},
        {k: part(each.hit_at(k) for each in retrievals) for k in DEPTHS},
        part(each.reciprocal_rank() for each in retrievals),
        len(retrievals),
    )


def quality_at(traces: Iterable[Traces], k: int) -> Quality:
    """Precision and hit rate at k over all traffic where traces were drawn, else over those judged.

    Drawn ones weigh 1/pi (Hájek); where none was drawn all weigh the same and speak for themselves alone. As a process,
    not as a finite traffic: judged in full, the next retrievals are still unknown.
    """
    chosen, unweighted = _chosen(traces)
    precision, hits = _Totals(), _Totals()
    for each in chosen:
        precision.add(each.precision[k], each.pi or 1.0, each.times)
        hits.add(each.hits[k], each.pi or 1.0, each.times)
    partly = sum(each.retrievals * each.times for each in chosen) - precision.retrievals
    is_sample = any(each.pi is not None for each in chosen)
    return Quality(k, precision.mean(), hits.share(), partly, is_sample, unweighted)


def reciprocal_of(traces: Iterable[Traces]) -> Estimate | TooLittle:
    """The mean reciprocal rank, weighted as in `quality_at`."""
    totals = _Totals()
    for each in _chosen(traces)[0]:
        totals.add(each.reciprocal, each.pi or 1.0, each.times)
    return totals.mean()


def _chosen(traces: Iterable[Traces]) -> tuple[list[Traces], int]:
    """The drawn ones, or all where none was; and how many retrievals that leaves out."""
    every = list(traces)
    drawn = [each for each in every if each.pi is not None]
    if not drawn:
        return every, 0
    return drawn, sum(each.retrievals * each.times for each in every if each.pi is None)
