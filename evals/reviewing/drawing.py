"""Which items get one reviewer more, and which judged traces a calibration task draws. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import stdev
from uuid import UUID

from evals.sampling.draw import hash_share
from evals.stats.neyman import ReviewStratum, allocate

# With fewer reviews of a stratum its spread is not known.
SPREAD_MIN = 10


@dataclass(frozen=True, slots=True)
class Drawn:
    """One unit of a stratum that was drawn, with the chance that it had."""

    at: int
    stratum: str
    pi_review: float


def wanted_of(reviewers: int, double_share: float, salt: str, trace_id: UUID) -> int:
    """How many reviews an item wants at first: `reviewers`, and one more for the share that compares people."""
    return reviewers + (hash_share(salt, "double", trace_id) < double_share)


def allocation(sizes: Mapping[str, int], spreads: Mapping[str, float], wanted: int) -> dict[str, int]:
    """How many to draw of each stratum: by size times spread (Neyman), at least five, never more than it has.

    `spreads`: the deviation of people's scores in the stratum, on 0..1; strata that nobody reviewed yet are taken to
    be as spread as the most spread one known, so that without any it is in proportion to size.
    """
    widest = max(spreads.values(), default=0.0) or 1.0
    strata = [ReviewStratum(name, sizes[name], spreads.get(name, widest)) for name in sorted(sizes)]
    return {share.name: share.n for share in allocate(strata, wanted)}


def spreads_of(pairs: Sequence[tuple[str, float]]) -> dict[str, float]:
    """The standard deviation of people's scores (0..1) by stratum, of strata with at least `SPREAD_MIN` of them."""
    by_stratum: dict[str, list[float]] = {}
    for stratum, value in pairs:
        by_stratum.setdefault(stratum, []).append(value)
    return {name: stdev(values) for name, values in by_stratum.items() if len(values) >= SPREAD_MIN}


def draw(strata: Sequence[str], trace_ids: Sequence[UUID], counts: Mapping[str, int], salt: str) -> list[Drawn]:
    """Draw without replacement in each stratum: those of the smallest salted hashes. pi_review is n_h / N_h."""
    by_stratum: dict[str, list[int]] = {}
    for at, stratum in enumerate(strata):
        by_stratum.setdefault(stratum, []).append(at)
    drawn = []
    for stratum, units in by_stratum.items():
        n = min(counts.get(stratum, 0), len(units))
        chosen = sorted(units, key=lambda at: hash_share(salt, "calibration", trace_ids[at]))[:n]
        drawn += [Drawn(at, stratum, n / len(units)) for at in chosen]
    return drawn
