"""Whether a judge may be trusted: several checks, each decided on an interval, none on a point.

`proven`: every check holds with its whole interval. `failed`: at least one is missed with its whole interval.
`not_proven`: neither; each undecided check says about how many more labels would decide it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from evals.stats.bootstrap import ITEMS_MIN
from evals.stats.quantiles import clopper_pearson
from evals.stats.results import Estimate, TooLittle

# More labels than this nobody gives to settle one check.
MORE_MOST = 5_000
# The least difference that is worth telling apart where the settings name none.
_RESOLUTION = 0.05
# From half a chance to four in five: z(.8) over z(.975).
_POWER = 0.8416 / 1.96

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
        """The most that any undecided check on labels needs; None where none says."""
        needs = [check.need_more for check in self.checks if check.need_more is not None and check.unit == "labels"]
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
    the same items. Shares are decided on Clopper and Pearson's limits of value and n_eff, or on their own where those
    are wider (as of unequal weights); the rest on their own. A
    check that is on and was not measured, or is undefined, is not proven. Failed is a check whose whole interval misses
    its limit; the verdict is failed where any is, proven where all are.
    """
    wanted = settings.deploy_at if stage == "deploy" else settings.stay_at
    apart = abs(settings.deploy_at - settings.stay_at) or _RESOLUTION
    is_share = settings.metric == "raw_agreement"
    first = _at_least("agreement", agreement, wanted, "labels", apart, is_share)
    if settings.people_margin is not None and first.state != "proven" and _holds(below_people, settings.people_margin):
        first = replace(first, state="proven", by_people=True, need_more=None, need_more_high=None)
    checks = [first]
    for name, found, least, unit in (
        ("recall", recall, settings.recall_at_least, "bad answers"),
        ("precision", precision, settings.precision_at_least, "flagged answers"),
        ("self_agreement", self_agreement, settings.self_agreement_at_least, "repeated answers"),
    ):
        if least is not None:
            checks.append(_at_least(name, found, least, unit, _RESOLUTION, is_share=True))
    if settings.bias_at_most is not None:
        checks.append(_bias(bias, settings.bias_at_most))
    if settings.unusable_at_most is not None:
        checks.append(_unusable(unusable, settings.unusable_at_most))
    states = {check.state for check in checks}
    verdict: State = "failed" if "failed" in states else "not_proven" if "not_proven" in states else "proven"
    return Gate(verdict, stage, tuple(checks))


def more_needed(
    n: float, value: float, low: float, high: float, wanted: float, resolution: float = _RESOLUTION
) -> tuple[int, int]:
    """About how many more observations would put `wanted` outside of the interval: for half a chance, and for 80 %.

    Widths shrink with 1/sqrt(n), so a limit at a distance d of `value` reaches one at a distance e with n (d/e)². A
    value so near the limit that it would take over MORE_MOST is not decided by labels; the numbers are then those that
    tell two values apart that lie `resolution` from each other (as .80 and .85), or that narrow the interval by a third
    where it is that narrow already. Two significant digits, rounded up.
    """
    side = value - low if value >= wanted else high - value
    if side <= 0:
        return 0, 0
    distance = abs(value - wanted)
    if distance <= 0 or n * (side / distance) ** 2 - n > MORE_MOST:
        distance = min(resolution, side / 1.5)
    half = n * (side / distance) ** 2 - n
    likely = n * (side * (1 + _POWER) / distance) ** 2 - n
    return rounded_up(half), rounded_up(likely)


def rounded_up(x: float) -> int:
    """Up to two significant digits, 1 at the least."""
    if x <= 1:
        return 1
    unit = 10 ** max(0, math.floor(math.log10(x)) - 1)
    return int(math.ceil(x / unit - 1e-9) * unit)


def _holds(below: Estimate | None, margin: float) -> bool:
    return below is not None and below.high is not None and below.high <= margin


def _at_least(
    name: str, found: Estimate | TooLittle | None, wanted: float, unit: str, resolution: float, is_share: bool
) -> Check:
    if not isinstance(found, Estimate):
        return _unknown(name, found, wanted, "at_least", unit)
    low, high = _limits(found, is_share)
    if low is None or high is None:
        return _unlimited(name, found, wanted, "at_least", unit)
    check = Check(name, "not_proven", found.value, low, high, found.n, wanted, "at_least", unit=unit)
    if low >= wanted:
        return replace(check, state="proven")
    if high < wanted:
        return replace(check, state="failed")
    half, likely = more_needed(found.n, found.value, low, high, wanted, resolution)
    return replace(check, need_more=half, need_more_high=likely)


def _unusable(found: Estimate | TooLittle | None, wanted: float) -> Check:
    """At most so many: the same as at least so many that are not."""
    if not isinstance(found, Estimate):
        return _unknown("unusable", found, wanted, "at_most", "judgements")
    low, high = _limits(found, is_share=True)
    if low is None or high is None:
        return _unlimited("unusable", found, wanted, "at_most", "judgements")
    check = Check("unusable", "not_proven", found.value, low, high, found.n, wanted, "at_most", unit="judgements")
    if high <= wanted:
        return replace(check, state="proven")
    if low > wanted:
        return replace(check, state="failed")
    half, likely = more_needed(found.n, 1 - found.value, 1 - high, 1 - low, 1 - wanted, wanted / 2 or _RESOLUTION)
    return replace(check, need_more=half, need_more_high=likely)


def _bias(found: Estimate | TooLittle | None, wanted: float) -> Check:
    """Within ±wanted."""
    if not isinstance(found, Estimate):
        return _unknown("bias", found, wanted, "at_most", "labels")
    if found.low is None or found.high is None:
        return _unlimited("bias", found, wanted, "at_most", "labels")
    check = Check("bias", "not_proven", found.value, found.low, found.high, found.n, wanted, "at_most", unit="labels")
    if -wanted <= found.low and found.high <= wanted:
        return replace(check, state="proven")
    if found.low > wanted or found.high < -wanted:
        return replace(check, state="failed")
    half = (found.high - found.low) / 2
    size = abs(found.value)
    need, likely = more_needed(found.n, -size, -size - half, -size + half, -wanted, wanted / 3 or _RESOLUTION)
    return replace(check, need_more=need, need_more_high=likely)


def _limits(found: Estimate, is_share: bool) -> tuple[float | None, float | None]:
    if not is_share or found.n_eff <= 0 or found.low is None or found.high is None:
        return found.low, found.high
    k = min(found.n_eff, max(0.0, found.value * found.n_eff))
    low, high = clopper_pearson(k, found.n_eff, found.level)
    return min(low, found.low), max(high, found.high)


def _unknown(
    name: str, found: TooLittle | None, wanted: float, direction: Literal["at_least", "at_most"], unit: str
) -> Check:
    n = found.have if found is not None else 0
    need = max(1, found.need - found.have) if found is not None else None
    return Check(name, "not_proven", None, None, None, n, wanted, direction, need, need, unit)


def _unlimited(
    name: str, found: Estimate, wanted: float, direction: Literal["at_least", "at_most"], unit: str
) -> Check:
    need = max(1, ITEMS_MIN - found.n) if found.n < ITEMS_MIN else None
    return Check(name, "not_proven", found.value, None, None, found.n, wanted, direction, need, need, unit)
