"""What a call costs: tokens times rates, in whole pico-dollars, never rounded and never guessed (docs/cost.md)."""

from __future__ import annotations

from typing import NamedTuple

from traces.canonical.types import BUCKETS, MODEL_KINDS, CanonicalSpan, CostStatus, Kind, SpanFlag

from .book import Match, PriceBook, usd
from .names import Tier, tier_of

__all__ = ["MAX_COST_PICO", "Cost", "cost_of", "missing_rates", "price_span", "usd"]

# A million dollars for one call is a broken token count or a wrong price; it also bounds every sum.
MAX_COST_PICO = 10**18
_TEXT, _REASONING = BUCKETS.index("output_text"), BUCKETS.index("output_reasoning")
_NS_PER_HOUR = 3_600 * 10**9
_NOTHING: tuple[None, ...] = (None,) * len(BUCKETS)
_NO_INPUT, _NO_OUTPUT = _NOTHING[:5], _NOTHING[5:]
# Plain integers: arithmetic with the flag class itself costs a microsecond a span.
_CACHE_UNKNOWN, _IMPLAUSIBLE = int(SpanFlag.CACHE_UNKNOWN), int(SpanFlag.IMPLAUSIBLE_COST)


class Cost(NamedTuple):
    """A call's cost. `parts` are pico-dollars in the order of `BUCKETS`, None where there are no tokens or no rate.

    `status` None: the span called no model. `pico` None: not known, for the reason `status` tells.
    """

    status: CostStatus | None
    pico: int | None = None
    parts: list[int | None] | None = None
    match: Match | None = None
    implausible: bool = False


_NO_CALL = Cost(None)
_UNKNOWN_USAGE = Cost(CostStatus.UNKNOWN_USAGE)
_UNPRICED = Cost(CostStatus.UNPRICED)


def cost_of(
    book: PriceBook,
    *,
    kind: Kind,
    provider: str | None,
    model_answered: str | None,
    model_requested: str | None,
    tier: str | None,
    started_us: int,
    duration_ns: int | None,
    tokens: tuple[int | None, ...] | None,
    cache_unknown: bool,
) -> Cost:
    """What a call costs by `book`. `tokens` are its eight disjoint counts, None where its sender told no usage."""
    told = tokens is not None and tokens != _NOTHING
    if not told and (kind not in MODEL_KINDS or not book.has_hourly):
        return _UNKNOWN_USAGE if kind in MODEL_KINDS else _NO_CALL
    fresh, read, write_5m, write_1h, audio = tokens[:5] if tokens is not None else (None,) * 5
    sent = (fresh or 0) + (read or 0) + (write_5m or 0) + (write_1h or 0) + (audio or 0)
    match = book.match(provider, model_answered, model_requested, started_us, tier, sent)
    if match is None:
        return _UNPRICED if told else _UNKNOWN_USAGE
    if match.row.pico_per_hour is not None:
        return _by_the_hour(match, match.row.pico_per_hour, duration_ns)
    if tokens is None or not told or (kind is Kind.GENERATION and _one_side_unknown(tokens)):
        return _UNKNOWN_USAGE
    if not match.exact_tier and tier_of(tier) is Tier.PRIORITY:
        return _UNPRICED  # the standard price would be too low
    return _by_the_token(match, tokens, cache_unknown=cache_unknown)


def _one_side_unknown(tokens: tuple[int | None, ...]) -> bool:
    """Whether nothing is known of what went in, or of what came out: a sum over the other side would be too low."""
    return tokens[:5] == _NO_INPUT or tokens[5:] == _NO_OUTPUT


def _by_the_hour(match: Match, pico_per_hour: int, duration_ns: int | None) -> Cost:
    if duration_ns is None:
        return _UNKNOWN_USAGE
    # Half a pico-dollar up: the one place where a cost is not exact.
    pico = (duration_ns * pico_per_hour + _NS_PER_HOUR // 2) // _NS_PER_HOUR
    if pico > MAX_COST_PICO:
        return Cost(CostStatus.UNKNOWN_USAGE, match=match, implausible=True)
    return Cost(CostStatus.PRICED, pico, None, match)


def _by_the_token(match: Match, tokens: tuple[int | None, ...], *, cache_unknown: bool) -> Cost:
    rates = match.row.rates
    total, partial = 0, False
    parts: list[int | None] = [None] * len(BUCKETS)
    for index, count in enumerate(tokens):
        if count is None:
            continue
        rate = rates[index]
        if rate is None and index == _REASONING:
            rate = rates[_TEXT]
        if rate is not None:
            parts[index] = part = count * rate
            total += part
        elif count:
            partial = True
    if total > MAX_COST_PICO:
        return Cost(CostStatus.UNKNOWN_USAGE, match=match, implausible=True)
    if partial:
        return Cost(CostStatus.PARTIAL, None, parts, match)
    at_most = not match.exact_tier or (cache_unknown and bool(tokens[0]) and match.row.has_cache_discount)
    return Cost(CostStatus.UPPER_BOUND if at_most else CostStatus.PRICED, total, parts, match)


def missing_rates(tokens: tuple[int | None, ...], parts: list[int | None] | None) -> list[str]:
    """The buckets that keep a partial cost from being known: tokens without a rate."""
    if parts is None:
        return []
    return [bucket for bucket, count, part in zip(BUCKETS, tokens, parts, strict=True) if count and part is None]


def price_span(span: CanonicalSpan, book: PriceBook) -> None:
    """Set the cost fields of a span. What its sender reports as its cost stays beside; a reported 0 is unknown."""
    reported = span.cost_reported_pico
    if reported is not None and not 0 < reported <= MAX_COST_PICO:
        span.cost_reported_pico = None
    usage = span.usage
    if usage is None and span.kind not in MODEL_KINDS:
        cost = _NO_CALL
    else:
        cost = cost_of(
            book,
            kind=span.kind,
            provider=span.provider,
            model_answered=span.model_answered,
            model_requested=span.model_requested,
            tier=span.service_tier,
            started_us=span.started_us,
            duration_ns=span.duration_ns,
            tokens=None if usage is None else usage.buckets(),
            cache_unknown=bool(span.flags & _CACHE_UNKNOWN),
        )
    match = cost.match
    span.cost_status = cost.status
    span.cost_pico = cost.pico
    span.cost_parts = cost.parts
    span.model_priced = None if match is None else match.model
    span.price_id = None if match is None else match.row.price_id
    if cost.implausible:
        span.flags |= _IMPLAUSIBLE
    elif span.flags & _IMPLAUSIBLE:
        span.flags &= ~_IMPLAUSIBLE
