"""What the estimators of survivorship give back, beside `evals.stats.results`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from evals.stats.results import Estimate, TooLittle
from evals.stats.survivorship.counts import Counts
from traces.behaviour.types import Stratum

Colour = Literal["red", "amber", "green", "grey"]


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between what the true rate lies by an assumption alone, and the interval that chance adds around both ends.

    `low` and `high` are what the sessions seen allow; `limit_low` and `limit_high` hold the true rate with `level`.
    `assumption` says in words what is taken for granted.
    """

    low: float
    high: float
    limit_low: float
    limit_high: float
    level: float
    n: int
    method: str
    assumption: str


@dataclass(frozen=True, slots=True)
class Lacking:
    """One stratum that is too large to be guessed and has too few votes to be known."""

    stratum: Stratum
    share: float
    votes: int


@dataclass(frozen=True, slots=True)
class NotIdentified:
    """There is no calibrated rate: these strata have fewer than `need` votes each."""

    strata: tuple[Lacking, ...]
    need: int


@dataclass(frozen=True, slots=True)
class Calibrated:
    """The votes' rate of each stratum, weighed by how many sessions the stratum has; the seed is that of its interval.

    `silent_share` times delta is what the sensitivity line takes away. `used`: what sessions are told apart by.
    """

    estimate: Estimate
    silent_share: float
    seed: int
    resamples: int
    used: Literal["strata"] = "strata"


@dataclass(frozen=True, slots=True)
class StratumCoverage:
    """Who votes: one stratum against all other sessions.

    `ratio` is its coverage over that of the rest, None where the rest never votes; `ratio_low` and `ratio_high` are the
    limits of a log interval with half a session added (so they exist without a vote, too). `p` is two-sided.
    `rate`: its votes' own rate.
    """

    stratum: Stratum
    sessions: int
    share: float
    coverage: Estimate
    rest_coverage: Estimate
    ratio: float | None
    ratio_low: float
    ratio_high: float
    p: float
    test: str
    rate: Estimate | TooLittle


@dataclass(frozen=True, slots=True)
class Weighted:
    """Votes weighed by one over how likely such a session votes.

    `capped_at` is the largest weight, in sessions that one vote stands for, `capped` how many votes it held down.
    `uncovered`: the share of sessions in strata without any vote, of which it does not speak. `used`: what the chance
    to vote is told by.
    """

    estimate: Estimate
    capped_at: float
    capped: int
    uncovered: float
    used: Literal["strata"] = "strata"


@dataclass(frozen=True, slots=True)
class Anchor:
    """The share of satisfied sessions from randomly drawn ones: what missing votes cannot touch.

    `n`: people's reviews. `n_eff`: how many equally drawn reviews alone would be as sure. `judged`: sessions whose
    judge's scores were used beside, 0 where reviews stand alone. `reviews_to_ten`: about how many more reviews would
    bring the half-width to .10; 0 when it is there.
    """

    estimate: float
    low: float
    high: float
    n: int
    method: str
    n_eff: float = 0.0
    judged: int = 0
    level: float = 0.95
    reviews_to_ten: int = 0
    error: float | None = None

    @property
    def half_width(self) -> float:
        """Half the width of the interval."""
        return (self.high - self.low) / 2


Rule = Literal[
    "no_sessions",
    "few_sessions",
    "no_votes",
    "low_coverage",
    "few_votes",
    "anchor_below_votes",
    "calibrated_excludes_votes",
    "unequal_coverage",
    "coverage_below_5",
    "anchor_agrees",
    "no_anchor",
    "few_reviews",
    "wide_anchor",
    "anchor_not_clear",
]
Note = Literal["few_or_selective_votes", "votes_understate"]
Missing = Literal["sessions", "votes", "anchor", "reviews", "narrower_anchor", "clearer_anchor"]


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the votes can be trusted: the first rule that matched, the figures it went by, and what is missing.

    `votes` is told from the first vote on (None without any); its minimum of 30 is for showing it as a rate.
    `deciding`: the numbers that decided, by name, as shares. `unequal`: the strata whose coverage differs, where that
    was looked at. `missing`: what would let more be said; `have` and `need` of it where that is a number of things.
    `reviews_needed`: about how many more reviews of randomly drawn sessions would do, 0 where none are needed, None
    where more would not help. `seed` is that of the bootstrap.
    """

    colour: Colour
    rule: Rule
    counts: Counts
    tolerance: float
    seed: int
    votes: Estimate | None = None
    coverage: Estimate | None = None
    bounds: Bounds | None = None
    calibrated: Calibrated | NotIdentified | TooLittle | None = None
    strata: Mapping[Stratum, StratumCoverage | TooLittle] = field(default_factory=dict)
    unequal: tuple[StratumCoverage, ...] = ()
    anchor: Anchor | TooLittle | None = None
    deciding: Mapping[str, float] = field(default_factory=dict)
    notes: tuple[Note, ...] = ()
    missing: Missing | None = None
    have: int = 0
    need: int = 0
    reviews_needed: int | None = None
