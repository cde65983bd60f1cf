"""How many sessions of each group voted up, voted down and stayed silent: all that the votes' figures need."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from traces.behaviour.types import Stratum


class Cell(NamedTuple):
    """The closed sessions of one group, by their last vote."""

    up: int = 0
    down: int = 0
    silent: int = 0

    @property
    def n(self) -> int:
        """All its sessions."""
        return self.up + self.down + self.silent

    @property
    def votes(self) -> int:
        """Those that voted."""
        return self.up + self.down

    @property
    def rate(self) -> float | None:
        """Ups of the votes; None without votes."""
        return self.up / self.votes if self.votes else None

    @property
    def smoothed(self) -> float:
        """Ups of the votes with half a vote added each way: (U + 1/2) / (U + D + 1)."""
        return (self.up + 0.5) / (self.votes + 1)


def as_cell(counts: tuple[int, int, int]) -> Cell:
    """(up, down, silent) as a cell. ValueError for a number below 0."""
    cell = Cell(*(int(count) for count in counts))
    if min(cell) < 0:
        raise ValueError(f"numbers of sessions are 0 or more, not {tuple(cell)}")
    return cell


@dataclass(frozen=True, slots=True)
class Counts:
    """Closed sessions by stratum. OPEN ones are refused: what is not over has no outcome yet.

    UNKNOWN (traces that name no session) is a stratum like the others: nothing is known of what its users did.
    """

    by_stratum: Mapping[Stratum, Cell] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if Stratum.OPEN in self.by_stratum:
            raise ValueError("open sessions are in no rate: count closed ones")
        cells = {Stratum(key): as_cell(cell) for key, cell in sorted(self.by_stratum.items())}
        object.__setattr__(self, "by_stratum", MappingProxyType({key: cell for key, cell in cells.items() if cell.n}))

    @classmethod
    def of(cls, rows: Iterable[tuple[int, int, int]]) -> Counts:
        """From rows (stratum, vote, n) in any order; vote is 1, -1 or 0 for none. Open sessions are left out.

        ValueError for another vote or stratum.
        """
        sums: dict[Stratum, list[int]] = {}
        for stratum, vote, n in rows:
            if vote not in (1, -1, 0):
                raise ValueError(f"a vote is 1, -1 or 0, not {vote}")
            if stratum != Stratum.OPEN:
                sums.setdefault(Stratum(stratum), [0, 0, 0])[{1: 0, -1: 1, 0: 2}[vote]] += n
        return cls({stratum: Cell(*cell) for stratum, cell in sums.items()})

    def __add__(self, other: Counts) -> Counts:
        strata = {*self.by_stratum, *other.by_stratum}
        pairs = ((key, zip(self[key], other[key], strict=True)) for key in strata)
        return Counts({key: Cell(*(one + two for one, two in pair)) for key, pair in pairs})

    def __getitem__(self, stratum: Stratum) -> Cell:
        return self.by_stratum.get(stratum, Cell())

    @property
    def total(self) -> Cell:
        """All sessions, whatever their group."""
        cells = self.by_stratum.values()
        return Cell(*(sum(cell[i] for cell in cells) for i in range(3)))

    @property
    def n(self) -> int:
        """All closed sessions."""
        return self.total.n

    @property
    def coverage(self) -> float | None:
        """The share of sessions that voted; None of no sessions."""
        total = self.total
        return total.votes / total.n if total.n else None

    def rest(self, stratum: Stratum) -> Cell:
        """All sessions but those of one stratum."""
        return Cell(*(all_of - own for all_of, own in zip(self.total, self[stratum], strict=True)))

    def array(self) -> NDArray[np.float64]:
        """(strata, 3): up, down, silent, in the order of `by_stratum`."""
        return np.array([*self.by_stratum.values()], dtype=np.float64).reshape(-1, 3)


# Document 004's case as it is told: 1,000 sessions, 10 rated, 9 of them up, 40 % left. It does not say who of them
# rated; here nobody who left did.
SOURCE_EXAMPLE = Counts({Stratum.ABANDONED: Cell(0, 0, 400), Stratum.CARRIED_ON: Cell(9, 1, 590)})
