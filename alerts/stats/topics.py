"""Groups of questions found in the frozen reference, and which of them grew.

k-means on the reference only, its seed and centres stored with the baseline; what comes later is assigned, never
fitted. Inputs farther from every centre than 99 of 100 reference rows are from theirs count as "outside": a new topic
is new because it lies there (statistics.md 3.6 c).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from alerts.stats.categories import CategoryTest, Method, compare_categories, residual
from evals.stats.results import TooLittle

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]

ROWS_MIN = 200
TOPICS = 12
# Rows a topic needs on average; fewer topics are made of a small reference.
ROWS_PER_TOPIC = 25
STARTS = 4
ROUNDS = 50
INSIDE = 0.99
OUTSIDE = "outside"
EXAMPLES = 5


@dataclass(frozen=True)
class Topics:
    """A frozen division of the reference: `centres` (k, d), `counts` (k,) of its rows inside, `outside` of them not.

    `radius`: the 99 % quantile of the distance of reference rows from their centre, computed without the row itself.
    `central` (k, up to 5): the reference rows nearest to each centre, by index, to name the topic by.
    """

    centres: Floats
    counts: tuple[int, ...]
    outside: int
    radius: float
    central: tuple[tuple[int, ...], ...]
    inertia: float
    n: int
    seed: int


@dataclass(frozen=True, slots=True)
class Moved:
    """One topic now: `topic` its number, None for outside; `examples`: current rows by index, the most telling first.

    `residual`: the adjusted standardised residual of its count, over 2 or 3 for what grew beyond chance; None without
    current rows.
    """

    topic: int | None
    n_reference: int
    n_current: int
    share_reference: float
    share_current: float
    residual: float | None
    examples: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class TopicDrift:
    """`test`: chi-square of the counts of topics and outside; `topics` from the most grown to the most shrunk."""

    test: CategoryTest | TooLittle
    topics: tuple[Moved, ...]
    n_reference: int
    n_current: int


def learn_topics(reference: ArrayLike, *, seed: int, topics: int = TOPICS) -> Topics | TooLittle:
    """The division of the reference (n, d) into at most `topics` groups, by k-means++ and Lloyd, the best of 4 starts.

    The same seed gives the same division. TooLittle under 200 rows. Errors: ValueError for numbers that are not finite.
    Source: Lloyd 1982; Arthur and Vassilvitskii 2007.
    """
    rows = _rows(reference)
    n = rows.shape[0]
    if n < ROWS_MIN:
        return TooLittle(n, ROWS_MIN, "reference vectors")
    k = max(2, min(topics, n // ROWS_PER_TOPIC))
    random = np.random.default_rng(seed)
    centres, owner, inertia = min((_lloyd(rows, k, random) for _ in range(STARTS)), key=lambda found: found[2])
    order = np.argsort(-np.bincount(owner, minlength=centres.shape[0]), kind="stable")
    centres = centres[order]
    owner, far = assign(centres, rows)
    sizes = np.bincount(owner, minlength=centres.shape[0])
    # A row pulls its own centre towards it: without it the centre is n/(n-1) times as far.
    own = far * sizes[owner] / np.maximum(1, sizes[owner] - 1)
    radius = float(np.quantile(own, INSIDE))
    inside = own <= radius
    counts = np.bincount(owner[inside], minlength=centres.shape[0])
    central = tuple(
        tuple(
            int(at) for at in np.flatnonzero(owner == topic)[np.argsort(far[owner == topic], kind="stable")][:EXAMPLES]
        )
        for topic in range(centres.shape[0])
    )
    return Topics(centres, tuple(int(c) for c in counts), int((~inside).sum()), radius, central, inertia, n, seed)


def assign(centres: Floats, rows: Floats) -> tuple[Ints, Floats]:
    """The nearest centre of each row, (n,), and the distance from it, (n,)."""
    squares = (rows * rows).sum(1)[:, None] + (centres * centres).sum(1)[None, :] - 2 * rows @ centres.T
    owner = squares.argmin(1)
    return owner, np.sqrt(((rows - centres[owner]) ** 2).sum(1))


def topic_drift(topics: Topics, current: ArrayLike, *, method: Method = "chi-square") -> TopicDrift:
    """How the current rows (m, d) fall into the reference's topics.

    Examples of a topic are its most central current rows, those of outside the farthest ones. Errors: ValueError for
    vectors of another length, or numbers that are not finite.
    """
    rows = _rows(current)
    if rows.shape[1] != topics.centres.shape[1]:
        raise ValueError(f"vectors of the baseline have {topics.centres.shape[1]} numbers, these {rows.shape[1]}")
    owner, far = assign(topics.centres, rows)
    inside = far <= topics.radius
    k, m = topics.centres.shape[0], rows.shape[0]
    now = [int((inside & (owner == topic)).sum()) for topic in range(k)]
    beyond = int((~inside).sum())
    names = [str(topic) for topic in range(k)] + [OUTSIDE]
    before = [*topics.counts, topics.outside]
    test = compare_categories(
        dict(zip(names, before, strict=True)), dict(zip(names, [*now, beyond], strict=True)), method=method
    )
    moved = []
    for place in range(k + 1):
        mine = np.flatnonzero(inside & (owner == place)) if place < k else np.flatnonzero(~inside)
        order = np.argsort(far[mine] if place < k else -far[mine], kind="stable")
        moved.append(
            Moved(
                topic=place if place < k else None,
                n_reference=before[place],
                n_current=mine.size,
                share_reference=before[place] / topics.n,
                share_current=mine.size / m if m else 0.0,
                residual=residual(before[place], topics.n, mine.size, m) if m else None,
                examples=tuple(int(at) for at in mine[order][:EXAMPLES]),
            )
        )
    moved.sort(key=lambda topic: -(topic.residual or 0.0))
    return TopicDrift(test, tuple(moved), topics.n, m)


def _lloyd(rows: Floats, k: int, random: np.random.Generator) -> tuple[Floats, Ints, float]:
    """Centres (at most k, none empty), the owner of each row, and the sum of squared distances."""
    centres = _spread(rows, k, random)
    owner, far = assign(centres, rows)
    for _ in range(ROUNDS):
        filled = np.unique(owner)
        centres = np.stack([rows[owner == topic].mean(0) for topic in filled])
        fresh, far = assign(centres, rows)
        if np.array_equal(filled[fresh], owner):
            owner = fresh
            break
        owner = fresh
    return centres, owner, float((far * far).sum())


def _spread(rows: Floats, k: int, random: np.random.Generator) -> Floats:
    """k-means++: each further centre is drawn with chances as the squared distance from those already there."""
    chosen = [int(random.integers(rows.shape[0]))]
    squares = ((rows - rows[chosen[0]]) ** 2).sum(1)
    while len(chosen) < k and squares.sum() > 0:
        at = int(random.choice(rows.shape[0], p=squares / squares.sum()))
        chosen.append(at)
        squares = np.minimum(squares, ((rows - rows[at]) ** 2).sum(1))
    return rows[chosen]


def _rows(values: ArrayLike) -> Floats:
    rows = np.asarray(values, dtype=np.float64)
    if rows.ndim != 2 or not bool(np.isfinite(rows).all()):
        raise ValueError("vectors are rows of a table of finite numbers")
    return rows
