"""Is it real? What people's verdicts on drawn responses say of a regression that a monitor claims.

A flag is not a failure: judges err, and so do limits. What counts is the share of flagged responses *times* the part
of them that people confirm, now against before. Source: docs/triage.md; intervals of shares by Clopper and Pearson 1934
and Newcombe 1998; products and differences of estimates from their own limits by Zou and Donner 2008 (MOVER).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from evals.stats.quantiles import clopper_pearson, wilson_limits
from telltale.stats.proportions import Difference, newcombe, wilson

Suggestion = Literal["real", "false", ""]
# Verdicts on flagged responses from which on anything is suggested. With 10 of 10 real the lower limit is 69 %, with
# none of 10 the upper 31 %: below that no outcome would say enough.
ENOUGH = 10
# Where the flagged share itself says nothing, fewer than this part confirmed is a false alarm.
FALSE_BELOW = 0.25
# A false alarm: what people confirm explains less than this part of the rise of the flagged share.
PART = 0.5


@dataclass(frozen=True, slots=True)
class Arm:
    """Verdicts on the responses of one origin: `dealt` in all, of them so many real, false and unsure."""

    dealt: int = 0
    real: int = 0
    false: int = 0
    unsure: int = 0

    @property
    def decided(self) -> int:
        """Those that were called real or false; unsure ones say nothing."""
        return self.real + self.false

    @property
    def left(self) -> int:
        """Those nobody looked at yet."""
        return self.dealt - self.decided - self.unsure


@dataclass(frozen=True, slots=True)
class Share:
    """A share (0..1) of `n_eff` equally weighted responses; None: nothing came."""

    value: float | None
    n_eff: float


@dataclass(frozen=True, slots=True)
class Range:
    """A figure with the limits of its 95 % interval. `value` None: only the limits are known."""

    value: float | None
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Weighed:
    """What the verdicts say. Each is None where there is nothing to say it by.

    `confirmed`: the part of flagged responses that are real failures, now; `confirmed_before` of the baseline's flagged
    ones; `missed` of those that were not flagged. `against_control`: confirmed less missed. `rate_now`, `rate_before`:
    flagged share times its confirmed part, as a share of all responses; `rise` their difference. `claimed`: how much
    the flagged share rose. `why`: a word for the page: rose, not_risen, few_real, most_real, unclear, too_few.
    """

    confirmed: Range | None
    confirmed_before: Range | None
    missed: Range | None
    against_control: Difference | None
    rate_now: Range | None
    rate_before: Range | None
    rise: Range | None
    claimed: float | None
    suggestion: Suggestion
    why: str


def weigh(now: Arm, control: Arm, before: Arm, flags_now: Share, flags_before: Share, *, is_whole: bool) -> Weighed:
    """Weigh the verdicts on flagged responses, on unflagged ones of the same hours, and on flagged ones of before.

    Shapes: counts of people's verdicts; shares of all responses with their effective n. `is_whole`: every response of
    the stretch counts as flagged (no single one can be), so shares of flagged ones are 1 and say nothing.
    Assumes that each arm is a random draw of its kind and that whoever decided did not know the kind. Suggests "real"
    where the whole interval of the rise lies above 0; "false" where even its upper limit explains less than half of the
    claimed rise; nothing under 10 decided flagged responses. Errors: none; what cannot be said is None.
    """
    confirmed, confirmed_before, missed = _part(now), _part(before), _part(control)
    share_now = Range(1.0, 1.0, 1.0) if is_whole else _share(flags_now)
    share_before = Range(1.0, 1.0, 1.0) if is_whole else _share(flags_before)
    against = None
    if now.decided and control.decided:
        against = newcombe(wilson(now.real, now.decided), wilson(control.real, control.decided))
    rate_now = _product(share_now, confirmed) if share_now and confirmed else None
    rate_before = _before(share_before, confirmed_before)
    rise = _less(rate_now, rate_before) if rate_now and rate_before else None
    claimed = None
    if not is_whole and flags_now.value is not None and flags_before.value is not None:
        claimed = flags_now.value - flags_before.value
    suggestion, why = _suggest(now, confirmed, rise, claimed)
    return Weighed(
        confirmed, confirmed_before, missed, against, rate_now, rate_before, rise, claimed, suggestion, why
    )  # fmt: skip


def _suggest(now: Arm, confirmed: Range | None, rise: Range | None, claimed: float | None) -> tuple[Suggestion, str]:
    if now.decided < min(ENOUGH, max(now.dealt - now.unsure, 1)) or confirmed is None:
        return "", "too_few"
    if rise is not None and rise.low > 0:
        return "real", "rose"
    if claimed is not None and claimed > 0 and rise is not None:
        return ("false", "not_risen") if rise.high < PART * claimed else ("", "unclear")
    if confirmed.high < FALSE_BELOW:
        return "false", "few_real"
    # Nothing before to compare with: what people confirm has to speak for itself.
    if rise is None and confirmed.low > PART:
        return "real", "most_real"
    return "", "unclear"


def _part(arm: Arm) -> Range | None:
    """The part of decided ones that are real, with the limits of Clopper and Pearson."""
    if not arm.decided:
        return None
    low, high = clopper_pearson(arm.real, arm.decided)
    return Range(arm.real / arm.decided, low, high)


def _share(share: Share) -> Range | None:
    if share.value is None or share.n_eff <= 0:
        return None
    low, high = wilson_limits(share.value, share.n_eff)
    return Range(share.value, low, high)


def _product(a: Range, b: Range) -> Range:
    """The product of two independent shares, its limits from theirs on the scale of logarithms."""
    value = (a.value or 0.0) * (b.value or 0.0)
    if value <= 0 or a.low <= 0 or b.low <= 0:
        low = 0.0
    else:
        low = value * math.exp(-math.hypot(math.log((a.value or 1) / a.low), math.log((b.value or 1) / b.low)))
    if value <= 0:
        return Range(value, low, a.high * b.high)
    high = value * math.exp(math.hypot(math.log(a.high / (a.value or 1)), math.log(b.high / (b.value or 1))))
    return Range(value, low, min(high, 1.0))


def _before(share: Range | None, confirmed: Range | None) -> Range | None:
    """What share of responses failed before; where nobody looked, anything from none to all flagged ones."""
    if share is None:
        return None
    return _product(share, confirmed) if confirmed is not None else Range(None, 0.0, share.high)


def _less(a: Range, b: Range) -> Range:
    """a - b of independent estimates; by their limits alone where b has no value."""
    if a.value is None or b.value is None:
        return Range(None, a.low - b.high, a.high - b.low)
    value = a.value - b.value
    low = value - math.hypot(a.value - a.low, b.high - b.value)
    return Range(value, low, value + math.hypot(a.high - a.value, b.value - b.low))
