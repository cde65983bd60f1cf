"""A what-if in words: the answer first, then what it stands on. Pure."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from alerts.allowances.by_hand import ByHand, Reckoned
from alerts.allowances.routing import Routed, Share
from alerts.what_if import PROXIES, WhatIf
from evals.stats.results import Estimate, TooLittle
from telltale.lib import format as fmt

PICO = 10**12


@dataclass(frozen=True, slots=True)
class ShareLine:
    """One share of the traffic to the cheaper model."""

    share: str
    cut: str
    moved: str
    change: str
    interval: str
    day: str
    is_asked: bool


def headline(found: WhatIf) -> str:
    """What would have come of it."""
    if not found.total.n:
        return "No request in these days"
    if found.change is None:
        return "Choose a model, or a cache, to see what it would have cost"
    before = float(found.day_pico)
    after = before * (1 + found.change)
    return f"{_usd(after)} a day instead of {_usd(before)}: {change_words(found.change)}"


def change_words(change: float) -> str:
    """ "22% less", "30% more", "as much as now"."""
    if abs(change) < 0.0005:
        return "as much as now"
    return f"{fmt.share(abs(change))} {'less' if change < 0 else 'more'}"


def interval(share: Share | None) -> str:
    """The limits of a change, in words."""
    if share is None:
        return "nothing was spent"
    if share.low is None or share.high is None:
        return "every request was looked at"
    return f"95% CI {change_words(share.low)} to {change_words(share.high)}"


def plain_interval(share: Share | None) -> str:
    """The limits of a share."""
    if share is None or share.low is None or share.high is None:
        return "every question was looked at" if share else "nothing to tell"
    return f"95% CI {fmt.share(max(share.low, 0.0))}{fmt.EN_DASH}{fmt.share(min(share.high, 1.0))}"


def lines(found: WhatIf) -> list[ShareLine]:
    """Other shares beside the one that is asked for."""
    asked = found.assumed.share
    rows = dict(found.others)
    if found.routed is not None:
        rows[asked] = found.routed
    return [_line(found, share, rows[share], share == asked) for share in sorted(rows)]


def _line(found: WhatIf, share: Decimal, routed: Routed, is_asked: bool) -> ShareLine:
    change = routed.change
    return ShareLine(
        share=fmt.share(float(share)),
        cut=cut_words(found, routed),
        moved=f"{routed.moved:,} of {routed.n:,}",
        change=change_words(change.value) if change else "not known",
        # Of a complete reading it stands once, above the table.
        interval="" if change is not None and change.low is None else interval(change),
        day=_usd(float(found.day_pico) * (1 + change.value)) if change else "not known",
        is_asked=is_asked,
    )


def cut_words(found: WhatIf, routed: Routed) -> str:
    """Which requests are the easy ones: "up to 412 input tokens"."""
    if routed.cut is None:
        return "none"
    by = found.assumed.difficulty
    if by in PROXIES:
        return f"up to {routed.cut:,.0f} {PROXIES[by]}"
    return f"scores {'from' if found.assumed.low_is_hard else 'up to'} {abs(routed.cut):.2f}"


def mean_words(told: Estimate | TooLittle) -> str:
    """A mean score with its interval, or how many are missing."""
    if isinstance(told, TooLittle):
        return f"nobody knows: {told.have} of {told.need} scores that it takes"
    if told.low is None or told.high is None:
        return f"{told.value:.2f}, n = {told.n:,}"
    return f"{told.value:.2f} (95% CI {told.low:.2f}{fmt.EN_DASH}{told.high:.2f}), n = {told.n:,}"


def difference_words(told: Estimate | None) -> str:
    """Whether the models are told apart."""
    if told is None or told.low is None or told.high is None:
        return "Nobody knows yet. Run an experiment with both models over the easy requests before you route."
    limits = f"{told.value:+.2f} (95% CI {told.low:+.2f} to {told.high:+.2f})".replace("-", fmt.MINUS)
    if told.high < 0:
        return f"The cheaper model’s answers are scored lower: {limits}."
    if told.low > 0:
        return f"The cheaper model’s answers are scored higher: {limits}. Who answered was not drawn by chance."
    return f"The two cannot be told apart: {limits}. That is not the same as being alike."


def by_hand_lines(told: ByHand, found: Reckoned) -> list[tuple[str, str, str]]:
    """The steps of the reckoning: what, its arithmetic, what it comes to a day."""
    share = told.cheap_share
    return [
        ("Now", f"{told.requests:,f} × ${_exact(told.now_usd)}", f"{_money(found.now_usd)} a day"),
        (
            "Routed",
            f"{_percent(share)} × ${_exact(told.cheap_usd)} + {_percent(1 - share)} × ${_exact(told.dear_usd)} "
            f"= ${_exact(found.routed_each_usd)} each",
            f"{_money(found.routed_usd)} a day{_against(found.routed_change)}",
        ),
        (
            "Routed and cached",
            f"{_money(found.routed_usd)} × {_percent(1 - told.hit_share)}",
            f"{_money(found.cached_usd)} a day{_against(found.cached_change)}",
        ),
    ]


def _against(change: Decimal | None) -> str:
    return "" if change is None else f", {change_words(float(change))}"


def _percent(share: Decimal) -> str:
    return f"{(share * 100).normalize():f}%"


def _exact(value: Decimal) -> str:
    return f"{value.normalize():f}"


def _money(value: Decimal) -> str:
    return f"${value:,.2f}"


def _usd(pico: float) -> str:
    return fmt.cost(fmt.decimal_of(round(pico / PICO, 12)))
