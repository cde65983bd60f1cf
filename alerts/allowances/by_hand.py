"""Routing and caching reckoned by hand: requests a day, what each model costs, what a cache answers. Exact.

The worked example is that of a well-known guide, which has its figures wrong: 60 % of 100,000 requests a day at $0.0008
and 40 % at $0.015 cost $0.00648 each, so $648 a day and not $880, more than the $500 before. With 40 % of them answered
from a cache it is $388.80: 22 % less than $500.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from alerts.allowances.definition import decimal_of
from telltale.lib.faults import Fault, ItemRefused


@dataclass(frozen=True, slots=True)
class ByHand:
    """What is assumed: `requests` a day at `now_usd` each; `cheap_share` (0..1) of them to a model that costs
    `cheap_usd`, the others at `dear_usd`; `hit_share` (0..1) of the bill is answered from a cache."""

    requests: Decimal
    now_usd: Decimal
    cheap_share: Decimal
    cheap_usd: Decimal
    dear_usd: Decimal
    hit_share: Decimal


@dataclass(frozen=True, slots=True)
class Reckoned:
    """What it comes to, a day; changes are shares of the bill now, negative where it costs less."""

    now_usd: Decimal
    routed_each_usd: Decimal
    routed_usd: Decimal
    cached_usd: Decimal
    routed_change: Decimal | None
    cached_change: Decimal | None


EXAMPLE = ByHand(
    Decimal(100_000), Decimal("0.005"), Decimal("0.6"), Decimal("0.0008"), Decimal("0.015"), Decimal("0.4")
)  # fmt: skip


def reckon(told: ByHand) -> Reckoned:
    """Routing first, then the cache over what is left; changes are None where nothing is spent now."""
    now = told.requests * told.now_usd
    each = told.cheap_share * told.cheap_usd + (1 - told.cheap_share) * told.dear_usd
    routed = told.requests * each
    cached = routed * (1 - told.hit_share)
    return Reckoned(
        now, each, routed, cached, (routed - now) / now if now else None, (cached - now) / now if now else None
    )  # fmt: skip


# Names in addresses, the most that is accepted, and whether it is written in per cent.
FIELDS: dict[str, tuple[Decimal, bool]] = {
    "requests": (Decimal(10) ** 12, False),
    "now_usd": (Decimal(10) ** 6, False),
    "cheap_share": (Decimal(100), True),
    "cheap_usd": (Decimal(10) ** 6, False),
    "dear_usd": (Decimal(10) ** 6, False),
    "hit_share": (Decimal(100), True),
}


def read_by_hand(told: Mapping[str, str]) -> ByHand:
    """What an address assumes; the example's figure where it says none. Shares are per cent. ItemRefused."""
    faults, found = [], {}
    for name, (most, is_share) in FIELDS.items():
        raw = told.get(name, "").strip()
        held: Decimal = getattr(EXAMPLE, name)
        value = decimal_of(raw.removesuffix("%")) if raw else held * 100 if is_share else held
        if value is None or not 0 <= value <= most or value.as_tuple().exponent < -12:  # type: ignore[operator]
            limit = f"a number from 0 to {most:,f}, with at most 12 decimals"
            faults.append(Fault(name, "is no number" if value is None else "is out of range", limit, raw[:40]))
            continue
        found[name] = value / 100 if is_share else value
    if faults:
        raise ItemRefused(*faults)
    return ByHand(**found)
