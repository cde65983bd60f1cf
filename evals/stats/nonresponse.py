"""Drawn targets that never got a score: counted, weighted for within stratum and hour, flagged when many."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from evals.stats.sums import Sums

# More unanswered draws than this share are flagged.
NONRESPONSE_FLAG = 0.05
# What is drawn and not judged yet raises weights by no more than this: two scores of an hour are not the hour.
RAISED_MAX = 4.0


@dataclass(frozen=True, slots=True)
class Cell:
    """One stratum in one hour: how many targets were drawn, and the sums over those that got a score.

    `taken_weight`: Σ 1/pi over the drawn; None where all of the cell were drawn with one pi.
    """

    stratum: str
    hour: int
    taken: int
    sums: Sums
    taken_weight: float | None = None


@dataclass(frozen=True, slots=True)
class Responded:
    """Sums weighted up for the drawn targets that got no score, and how many those are.

    `is_flagged`: more than NONRESPONSE_FLAG of the drawn have none. `uncovered`: drawn in strata without any score;
    the estimate does not speak of them.
    """

    sums: Sums
    taken: int
    scored: int
    uncovered: int
    nonresponse_share: float | None
    is_flagged: bool


def for_nonresponse(cells: Iterable[Cell]) -> Responded:
    """Scores weighted up, within stratum and hour, for those that were drawn and never scored.

    Each score's weight grows by (weight drawn) / (weight scored) of its cell; a cell without any score leaves its
    weight to the nearest hour of the same stratum that has one. Assumes that within a cell a missing score says
    nothing about its value. Source: weighting classes, Little and Rubin 2002, section 3.3.
    """
    by_stratum: dict[str, list[Cell]] = defaultdict(list)
    for cell in cells:
        if cell.sums.n > cell.taken:
            raise ValueError(f"{cell.taken} drawn in stratum {cell.stratum} cannot have {cell.sums.n} scores")
        by_stratum[cell.stratum].append(cell)
    parts, taken, uncovered = [], 0, 0
    for group in by_stratum.values():
        taken += sum(cell.taken for cell in group)
        answered = [cell for cell in group if cell.sums.n]
        if not answered:
            uncovered += sum(cell.taken for cell in group)
            continue
        drawn = [_drawn_weight(cell) for cell in answered]
        for cell in group:
            if not cell.sums.n and cell.taken:
                near = min(range(len(answered)), key=lambda i: (abs(answered[i].hour - cell.hour), i))
                stands_for = answered[near].sums
                drawn[near] += cell.taken_weight or cell.taken * stands_for.sw / stands_for.n
        parts += [
            cell.sums.reweighted(max(1.0, weight / cell.sums.sw)) for cell, weight in zip(answered, drawn, strict=True)
        ]
    sums = Sums.total(parts)
    missing = 1 - sums.n / taken if taken else None
    # 5 of 100 are not more than 5 %, whatever floats make of it.
    is_flagged = missing is not None and missing > NONRESPONSE_FLAG + 1e-9
    return Responded(sums, taken, sums.n, uncovered, missing, is_flagged)


def _drawn_weight(cell: Cell) -> float:
    return cell.taken * cell.sums.sw / cell.sums.n if cell.taken_weight is None else cell.taken_weight
