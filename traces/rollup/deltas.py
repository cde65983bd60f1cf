"""Changes to roll-ups, added up over many traces before anything is written. Pure."""

from __future__ import annotations

from dataclasses import dataclass, field
from operator import add, sub

from traces.rollup.booking import Cell, CellKey, Contribution, ReasonKey


@dataclass(slots=True)
class Delta:
    """What is to be added under one time zone; sums may be negative."""

    cells: dict[CellKey, Cell] = field(default_factory=dict)
    reasons: dict[ReasonKey, int] = field(default_factory=dict)
    users: dict[tuple[int, str], list[int]] = field(default_factory=dict)

    def book(self, found: Contribution, sign: int) -> None:
        """Add (`sign` 1) or take away (-1) a contribution."""
        cells = self.cells
        for key, cell in found.cells.items():
            held = cells.get(key)
            if held is None:
                cells[key] = _copy(cell, sign)
            else:
                _merge(held, cell, sign)
        for reason, n in found.reasons.items():
            self.reasons[reason] = self.reasons.get(reason, 0) + sign * n
        if found.user is not None:
            place = (found.user.minute, found.user.user_id)
            sums = self.users.get(place)
            operation = add if sign > 0 else sub
            self.users[place] = list(map(operation, sums or [0] * len(found.user.sums), found.user.sums))

    def settle(self) -> None:
        """Forget what came to nothing."""
        self.cells = {key: cell for key, cell in self.cells.items() if not _is_nothing(cell)}
        self.reasons = {key: n for key, n in self.reasons.items() if n}
        self.users = {key: sums for key, sums in self.users.items() if any(sums)}


def _copy(cell: Cell, sign: int) -> Cell:
    """A cell with its sketches as counts by index."""
    plain, usage, sketches = cell
    counts = [None if indexes is None else _counts(indexes, sign) for indexes in sketches]
    if sign > 0:
        return [plain, usage, counts]  # sums are never changed in place
    return [[-value for value in plain], usage and [-value for value in usage], counts]


def _counts(indexes: list[int], sign: int) -> dict[int, int]:
    if len(indexes) == 1:
        return {indexes[0]: sign}
    counts: dict[int, int] = {}
    for index in indexes:
        counts[index] = counts.get(index, 0) + sign
    return counts


def _merge(held: Cell, cell: Cell, sign: int) -> None:
    operation = add if sign > 0 else sub
    plain, usage, sketches = cell
    held[0] = list(map(operation, held[0], plain))
    if usage is not None:
        held[1] = list(map(operation, held[1] or [0] * len(usage), usage))
    for which, indexes in enumerate(sketches):
        if indexes is not None:
            kept = held[2][which]
            if kept is None:
                held[2][which] = _counts(indexes, sign)
            else:
                for index in indexes:
                    kept[index] = kept.get(index, 0) + sign


def _is_nothing(cell: Cell) -> bool:
    plain, usage, sketches = cell
    return not (
        any(plain) or (usage is not None and any(usage)) or any(counts and any(counts.values()) for counts in sketches)
    )
