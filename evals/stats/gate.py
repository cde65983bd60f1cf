"""Whether a judge may be trusted: several checks, each decided on an interval, none on a point.

`proven`: every check holds with its whole interval. `failed`: at least one is missed with its whole interval.
`not_proven`: neither; each undecided check says about how many more labels would decide it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from evals.stats.results import Estimate, TooLittle

State = Literal["proven", "failed", "not_proven"]
Stage = Literal["deploy", "stay"]
Metric = Literal[
    "weighted_kappa", "cohen_kappa", "krippendorff", "gwet_ac1", "gwet_ac2", "raw_agreement", "spearman", "kendall"
]


@dataclass(frozen=True, slots=True)
class GateSettings:
    """What a judge must show. All editable; None switches a check off.

    Agreement by `metric` at least `deploy_at` to go live and `stay_at` to stay there, or at most `people_margin` below
    that of two people. Shares are 0..1; `bias_at_most` is in points of the criterion's scale, on either side.
    """

    metric: Metric = "weighted_kappa"
    deploy_at: float = 0.85
    stay_at: float = 0.80
    people_margin: float | None = 0.05
    recall_at_least: float | None = 0.80
    precision_at_least: float | None = None
    bias_at_most: float | None = 0.3
    unusable_at_most: float | None = 0.05
    self_agreement_at_least: float | None = None


@dataclass(frozen=True, slots=True)
class Check:
    """One check of the gate.

    `name`: agreement, recall, precision, bias, unusable, self_agreement. `wanted` is the limit; `by_people` says that
    the agreement holds because people agree no better. `need_more`: about how many more of `unit` would decide it, from
    half a chance up to four in five (`need_more_high`); None when it is decided or nothing was measured yet.
    """

    name: str
    state: State
    value: float | None
    low: float | None
    high: float | None
    n: int
    wanted: float
    direction: Literal["at_least", "at_most"]
    need_more: int | None = None
    need_more_high: int | None = None
    unit: str = "labels"
    by_people: bool = False


@dataclass(frozen=True, slots=True)
class Gate:
    """The verdict over all checks, and the checks themselves."""

    verdict: State
    stage: Stage
    checks: tuple[Check, ...]

    @property
    def need_more(self) -> int | None:
        """The most that any undecided check needs, in labels; None when nothing is undecided."""
        needs = [check.need_more for check in self.checks if check.need_more is not None]
        return max(needs) if needs else None


def check_gate(
    settings: GateSettings,
    *,
    stage: Stage = "deploy",
    agreement: Estimate | TooLittle | None,
    below_people: Estimate | None = None,
    recall: Estimate | TooLittle | None = None,
    precision: Estimate | TooLittle | None = None,
    bias: Estimate | TooLittle | None = None,
    unusable: Estimate | TooLittle | None = None,
    self_agreement: Estimate | TooLittle | None = None,
) -> Gate:
    """The gate over what was measured.

    `below_people`: agreement of people with each other minus agreement of judge and people, from a paired bootstrap of
    the same items. A check that is on and was not measured is not proven.
    """
    raise NotImplementedError
