"""Groups among the inputs that lie outside of every topic of the reference: what a new kind of question looks like."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from alerts.stats.topics import Topics, assign

Floats = NDArray[np.float64]

# Fewer than these are single oddities, shown one by one.
ROWS_MIN = 10
SHARE_MIN = 0.15
GROUPS_MOST = 3


@dataclass(frozen=True, slots=True)
class NewGroup:
    """Rows of one group by index, the most central first: `current` ones, and those of the `reference` like them."""

    centre: Floats
    current: tuple[int, ...]
    reference: tuple[int, ...]


def new_groups(topics: Topics, reference: Floats, current: Floats) -> tuple[NewGroup, ...]:
    """At most three groups of rows outside of the topics, each within one radius of the topics; the largest first.

    Shapes: reference (n, d), current (m, d). A group is a row with its neighbours, then all that lie around their mean;
    it has 10 rows and 15 % of those outside at least. No chance enters: the same rows give the same groups.
    """
    outside = np.flatnonzero(assign(topics.centres, current)[1] > topics.radius)
    before = np.flatnonzero(assign(topics.centres, reference)[1] > topics.radius)
    least = max(ROWS_MIN, int(np.ceil(SHARE_MIN * outside.size)))
    found: list[NewGroup] = []
    left = outside
    while left.size >= least and len(found) < GROUPS_MOST:
        rows = current[left]
        # Two rows of one group lie √2 times as far from each other as from its middle.
        near = _squares(rows) <= 2 * topics.radius**2
        lead = int(near.sum(axis=1).argmax())
        centre = rows[near[lead]].mean(axis=0)
        for _ in range(2):
            inside = _from(centre, rows) <= topics.radius
            if not inside.any():
                break
            centre = rows[inside].mean(axis=0)
        far = _from(centre, rows)
        inside = far <= topics.radius
        if int(inside.sum()) < least:
            break
        order = np.argsort(far[inside], kind="stable")
        like = before[_from(centre, reference[before]) <= topics.radius]
        nearest = np.argsort(_from(centre, reference[like]), kind="stable")
        found.append(
            NewGroup(
                centre,
                tuple(int(at) for at in left[inside][order]),
                tuple(int(at) for at in like[nearest]),
            )
        )
        left = left[~inside]
        before = np.setdiff1d(before, like)
    return tuple(found)


def _from(centre: Floats, rows: Floats) -> Floats:
    return np.asarray(np.sqrt(((rows - centre) ** 2).sum(axis=1)))


def _squares(rows: Floats) -> Floats:
    norms = (rows * rows).sum(axis=1)
    return np.asarray(norms[:, None] + norms[None, :] - 2 * rows @ rows.T)
