"""Simulated products whose truth is known: who is satisfied, who votes, and what people read of a random sample."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from evals.stats.results import TooLittle
from evals.stats.survivorship import Anchor, Counts, anchor_from_reviews
from traces.behaviour.types import Stratum

Floats = NDArray[np.float64]
Thumbs = Literal["work", "up only", "coin"]

STRATA = (
    Stratum.ABANDONED,
    Stratum.RETRIED,
    Stratum.CORRECTED,
    Stratum.ESCALATED,
    Stratum.COMPLETED,
    Stratum.CARRIED_ON,
)


@dataclass(frozen=True, slots=True)
class Group:
    """One stratum: its share of sessions, how many of them are satisfied, how many of these and the others vote."""

    share: float
    satisfied: float
    happy_vote: float
    unhappy_vote: float


@dataclass(frozen=True, slots=True)
class Product:
    """A product, healthy or not.

    `is_by_behaviour`: who votes depends on the group alone, so that weighing by groups finds the truth. `thumbs`:
    whether a vote says what its user feels, is always up, or is up by the toss of a coin.
    """

    name: str
    groups: Mapping[Stratum, Group]
    is_healthy: bool
    is_by_behaviour: bool = False
    thumbs: Thumbs = "work"

    @property
    def truth(self) -> float:
        """The share of satisfied sessions."""
        return sum(group.share * group.satisfied for group in self.groups.values())

    @property
    def expected_votes(self) -> float:
        """The votes' rate in the long run; NaN where nobody votes."""
        up = down = 0.0
        for group in self.groups.values():
            up += group.share * group.satisfied * group.happy_vote
            down += group.share * (1 - group.satisfied) * group.unhappy_vote
        if self.thumbs == "up only":
            return 1.0 if up + down else float("nan")
        return float("nan") if up + down == 0 else 0.5 if self.thumbs == "coin" else up / (up + down)

    @property
    def expected_calibrated(self) -> float:
        """What the calibrated rate tends to; NaN where a group never votes."""
        whole = 0.0
        for group in self.groups.values():
            up, down = group.satisfied * group.happy_vote, (1 - group.satisfied) * group.unhappy_vote
            rate = {"work": up, "up only": up + down, "coin": (up + down) / 2}[self.thumbs]
            whole += group.share * rate / (up + down) if up + down else float("nan")
        return whole

    @property
    def expected_coverage(self) -> float:
        """The share of sessions that vote in the long run."""
        return sum(
            group.share * (group.satisfied * group.happy_vote + (1 - group.satisfied) * group.unhappy_vote)
            for group in self.groups.values()
        )


@dataclass(frozen=True, slots=True)
class Sessions:
    """What happened: (n,) strata, whether satisfied (0, 1), votes (1, -1, 0)."""

    stratum: NDArray[np.int64]
    satisfied: Floats
    vote: NDArray[np.int64]

    @property
    def counts(self) -> Counts:
        """As the product's tables hold them."""
        keys, n = np.unique(np.stack([self.stratum, self.vote]), axis=1, return_counts=True)
        return Counts.of((int(key[0]), int(key[1]), int(times)) for key, times in zip(keys.T, n, strict=True))


@dataclass(frozen=True, slots=True)
class Reading:
    """How an anchor is made: `reviews` of `sessions` drawn at random, beside a judge's scores of all or of none.

    The judge says "satisfied" of so many satisfied sessions (`sees`) and so many others (`overlooks`).
    """

    name: str
    sessions: int
    reviews: int
    is_judged: bool = False
    sees: float = 0.92
    overlooks: float = 0.30


def play(product: Product, n: int, random: np.random.Generator) -> Sessions:
    """`n` sessions of a product."""
    groups = [product.groups[stratum] for stratum in STRATA]
    index = random.choice(len(STRATA), size=n, p=[group.share for group in groups])
    table = np.array([(group.satisfied, group.happy_vote, group.unhappy_vote) for group in groups])[index]
    happy = random.random(n) < table[:, 0]
    votes = random.random(n) < np.where(happy, table[:, 1], table[:, 2])
    if product.thumbs == "up only":
        up = np.ones(n, dtype=bool)
    else:
        up = happy if product.thumbs == "work" else random.random(n) < 0.5
    return Sessions(np.array(STRATA)[index], happy.astype(float), np.where(votes, np.where(up, 1, -1), 0))


def read(sessions: Sessions, reading: Reading, random: np.random.Generator) -> Anchor | TooLittle:
    """The anchor from reviews of a simple random sample; people say what is true."""
    n = sessions.satisfied.size
    taken = random.choice(n, size=min(n, reading.reviews), replace=False)
    human = np.full(n, np.nan)
    human[taken] = sessions.satisfied[taken]
    judge = np.full(n, np.nan)
    if reading.is_judged:
        judge = (random.random(n) < np.where(sessions.satisfied == 1, reading.sees, reading.overlooks)).astype(float)
    return anchor_from_reviews(judge, 1.0, human, min(1.0, reading.reviews / n))


def _groups(*rows: tuple[float, float, float, float]) -> Mapping[Stratum, Group]:
    return dict(zip(STRATA, (Group(*row) for row in rows), strict=True))


PRODUCTS = (
    # Many leave because they have what they came for; they vote less, and are hardly less satisfied.
    Product(
        "healthy, natural leaving",
        _groups(
            (0.40, 0.86, 0.04, 0.04),
            (0.06, 0.62, 0.09, 0.09),
            (0.04, 0.55, 0.10, 0.10),
            (0.03, 0.50, 0.12, 0.12),
            (0.28, 0.96, 0.16, 0.16),
            (0.19, 0.93, 0.11, 0.11),
        ),
        is_healthy=True,
        is_by_behaviour=True,
    ),
    Product(
        "healthy, few votes",
        _groups(
            (0.40, 0.86, 0.012, 0.012),
            (0.06, 0.62, 0.03, 0.03),
            (0.04, 0.55, 0.03, 0.03),
            (0.03, 0.50, 0.04, 0.04),
            (0.28, 0.96, 0.05, 0.05),
            (0.19, 0.93, 0.04, 0.04),
        ),
        is_healthy=True,
        is_by_behaviour=True,
    ),
    # Everyone votes as readily as everyone else.
    Product(
        "healthy, votes by chance",
        _groups(
            (0.40, 0.86, 0.12, 0.12),
            (0.06, 0.62, 0.12, 0.12),
            (0.04, 0.55, 0.12, 0.12),
            (0.03, 0.50, 0.12, 0.12),
            (0.28, 0.96, 0.12, 0.12),
            (0.19, 0.93, 0.12, 0.12),
        ),
        is_healthy=True,
        is_by_behaviour=True,
    ),
    # The satisfied vote more often, just so much that the votes are 5 points too high: the most that is tolerated.
    Product(
        "healthy, at the tolerance",
        _groups(
            (0.40, 0.85, 0.12, 0.07),
            (0.06, 0.61, 0.12, 0.07),
            (0.04, 0.54, 0.12, 0.07),
            (0.03, 0.50, 0.12, 0.07),
            (0.28, 0.95, 0.12, 0.07),
            (0.19, 0.92, 0.12, 0.07),
        ),
        is_healthy=True,
    ),
    # Whoever is let down leaves in silence, and the few of them that vote say so.
    Product(
        "silent failure",
        _groups(
            (0.40, 0.30, 0.045, 0.022),
            (0.08, 0.55, 0.20, 0.06),
            (0.05, 0.45, 0.25, 0.13),
            (0.02, 0.40, 0.20, 0.10),
            (0.27, 0.95, 0.32, 0.06),
            (0.18, 0.82, 0.25, 0.05),
        ),
        is_healthy=False,
    ),
    # The same, and of those who left only the satisfied vote: votes of all groups look alike.
    Product(
        "silent failure, votes alike",
        _groups(
            (0.42, 0.37, 0.06, 0.008),
            (0.09, 0.45, 0.09, 0.03),
            (0.05, 0.40, 0.10, 0.05),
            (0.03, 0.40, 0.12, 0.05),
            (0.24, 0.95, 0.20, 0.10),
            (0.17, 0.84, 0.14, 0.05),
        ),
        is_healthy=False,
    ),
    Product(
        "thumb down lost",
        _groups(
            (0.42, 0.36, 0.06, 0.05),
            (0.09, 0.45, 0.09, 0.05),
            (0.05, 0.40, 0.10, 0.07),
            (0.03, 0.40, 0.12, 0.08),
            (0.24, 0.95, 0.20, 0.12),
            (0.17, 0.84, 0.14, 0.06),
        ),
        is_healthy=False,
        thumbs="up only",
    ),
    Product(
        "healthy, votes by a coin",
        _groups(
            (0.40, 0.86, 0.09, 0.09),
            (0.06, 0.62, 0.09, 0.09),
            (0.04, 0.55, 0.09, 0.09),
            (0.03, 0.50, 0.09, 0.09),
            (0.28, 0.96, 0.09, 0.09),
            (0.19, 0.93, 0.09, 0.09),
        ),
        is_healthy=True,
        thumbs="coin",
    ),
    Product(
        "no votes",
        _groups(
            (0.42, 0.37, 0, 0),
            (0.09, 0.45, 0, 0),
            (0.05, 0.40, 0, 0),
            (0.03, 0.40, 0, 0),
            (0.24, 0.95, 0, 0),
            (0.17, 0.84, 0, 0),
        ),
        is_healthy=False,
    ),
    # The truth is as low as the votes allow: whoever is satisfied votes, nobody else does.
    Product(
        "all silence is unhappy",
        _groups(
            (0.40, 0.25, 1, 0),
            (0.06, 0.20, 1, 0),
            (0.04, 0.20, 1, 0),
            (0.03, 0.20, 1, 0),
            (0.28, 0.55, 1, 0),
            (0.19, 0.40, 1, 0),
        ),
        is_healthy=False,
    ),
    # Who votes depends on what the session did and on nothing else.
    Product(
        "selective by behaviour",
        _groups(
            (0.40, 0.45, 0.05, 0.05),
            (0.08, 0.50, 0.12, 0.12),
            (0.06, 0.45, 0.16, 0.16),
            (0.05, 0.40, 0.18, 0.18),
            (0.24, 0.96, 0.30, 0.30),
            (0.17, 0.88, 0.20, 0.20),
        ),
        is_healthy=False,
        is_by_behaviour=True,
    ),
    # Within each group, too, the satisfied vote four times as often.
    Product(
        "selective beyond behaviour",
        _groups(
            (0.30, 0.55, 0.16, 0.04),
            (0.09, 0.50, 0.20, 0.05),
            (0.06, 0.45, 0.20, 0.05),
            (0.05, 0.45, 0.20, 0.05),
            (0.30, 0.74, 0.20, 0.05),
            (0.20, 0.70, 0.20, 0.05),
        ),
        is_healthy=False,
    ),
)
BY_NAME = {product.name: product for product in PRODUCTS}

READINGS = (
    Reading("no anchor", 1_000, 0),
    Reading("30 reviews", 1_000, 30),
    Reading("100 reviews", 1_000, 100),
    Reading("150 reviews, 3,000 judged", 3_000, 150, is_judged=True),
)
