"""A frozen reference: what a stretch of sampled traffic looked like, and its JSON. Learned once, never fitted again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from alerts.drift.packing import HALF, SINGLE
from alerts.stats.mmd import ROWS_MOST, median_bandwidth
from alerts.stats.topics import Topics, learn_topics
from evals.stats.results import TooLittle

Floats = NDArray[np.float64]
# Counts by value; None: not known.
Counts = Mapping[str | None, int]

# Vectors a reference needs (statistics.md 3.6), and holds at most: those first in the salted order.
VECTORS_MIN, VECTORS_MOST = 500, 2_000


@dataclass(frozen=True)
class Facts:
    """What a stretch of samples came to besides vectors: `n` samples, counts by field, numbers by field."""

    n: int = 0
    categories: Mapping[str, Counts] = field(default_factory=dict)
    numbers: Mapping[str, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class Reference:
    """A frozen reference of one feature, side and encoder.

    `rows` (n, d) with the ids of their `traces` (hex); `topics` with a name each; `bandwidth` of the kernel.
    """

    rows: Floats = field(repr=False)
    traces: tuple[str, ...] = field(repr=False)
    topics: Topics
    names: tuple[str, ...]
    bandwidth: float
    facts: Facts
    seed: int

    @property
    def n(self) -> int:
        return int(self.rows.shape[0])


def learn(rows: Floats, traces: Sequence[str], facts: Facts, *, seed: int) -> Reference | TooLittle:
    """A reference of vectors (n, d), each of length 1, in their order; topics are called by number until named.

    TooLittle under 500 vectors.
    """
    if rows.shape[0] < VECTORS_MIN:
        return TooLittle(int(rows.shape[0]), VECTORS_MIN, "vectors")
    topics = learn_topics(rows, seed=seed)
    if isinstance(topics, TooLittle):
        return topics
    random = np.random.default_rng([seed, 3])
    some = rows if rows.shape[0] <= ROWS_MOST else rows[np.sort(random.choice(rows.shape[0], ROWS_MOST, replace=False))]
    names = tuple(f"Topic {at + 1}" for at in range(topics.centres.shape[0]))
    return Reference(rows, tuple(traces), topics, names, median_bandwidth(some), facts, seed)


def learned_json(reference: Reference) -> dict[str, Any]:
    """What the JSON column holds: everything but the tables of numbers, which are bytes beside it."""
    topics = reference.topics
    return {
        "topics": {
            "counts": list(topics.counts),
            "outside": topics.outside,
            "radius": topics.radius,
            "central": [list(each) for each in topics.central],
            "inertia": topics.inertia,
            "n": topics.n,
            "seed": topics.seed,
        },
        "names": list(reference.names),
        "bandwidth": reference.bandwidth,
        "n": reference.facts.n,
        "categories": {
            name: [[value, count] for value, count in counts.items()]
            for name, counts in reference.facts.categories.items()
        },
        "numbers": {name: list(values) for name, values in reference.facts.numbers.items()},
    }


def from_stored(
    learned: Mapping[str, Any], vectors: bytes, traces: bytes, centres: bytes, dims: int, seed: int
) -> Reference:
    """The reference that was stored."""
    told = learned["topics"]
    topics = Topics(
        centres=np.frombuffer(centres, dtype=SINGLE).reshape(-1, dims).astype(np.float64),
        counts=tuple(told["counts"]),
        outside=told["outside"],
        radius=told["radius"],
        central=tuple(tuple(each) for each in told["central"]),
        inertia=told["inertia"],
        n=told["n"],
        seed=told["seed"],
    )
    ids = tuple(traces[at : at + 16].hex() for at in range(0, len(traces), 16))
    return Reference(
        rows=np.frombuffer(vectors, HALF).reshape(-1, dims).astype(np.float64),
        traces=ids,
        topics=topics,
        names=tuple(learned["names"]),
        bandwidth=learned["bandwidth"],
        facts=Facts(
            learned["n"],
            {name: dict(pairs) for name, pairs in learned["categories"].items()},
            {name: tuple(values) for name, values in learned["numbers"].items()},
        ),
        seed=seed,
    )
