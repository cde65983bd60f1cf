"""What a span cost, line by line: tokens, the rate of the price row used, and the sender's own figure beside it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from decimal import Decimal

from traces.canonical.types import BUCKETS, CostStatus
from traces.cost.book import Level, PriceRow
from traces.pages.words import BUCKET_WORDS, COST_STATUS
from traces.prices import find_row
from traces.read import SpanRow

_LEVELS = {
    Level.ENDPOINT: "the endpoint's own price",
    Level.PROJECT: "this project's price",
    Level.INSTALLATION: "this installation's price",
    Level.SHIPPED: "shipped price list",
}


@dataclass(frozen=True, slots=True)
class BucketLine:
    """One token bucket: how many, at which rate (USD per million), for how much. None is unknown."""

    word: str
    tokens: int | None
    rate: Decimal | None
    cost_pico: int | None


@dataclass(frozen=True, slots=True)
class PriceNote:
    """The price row used, in words."""

    model: str
    provider: str
    level: str
    source: str
    source_date: date | None
    tier: str
    context_over: int | None
    usd_per_hour: Decimal | None
    is_gone: bool


@dataclass(frozen=True, slots=True)
class CostView:
    """Tokens and cost of one span. `word` stands instead of a figure that is not known."""

    lines: tuple[BucketLine, ...]
    tokens_in: int | None
    tokens_out: int | None
    before: str
    usd: Decimal | None
    pico: int | None
    word: str
    why: str
    price: PriceNote | None
    reported_usd: Decimal | None
    reported_by: str
    difference: str
    is_unpriced: bool
    unpriced_model: str


def view_cost(project_id: int, span: SpanRow, reported_by: str) -> CostView | None:
    """The cost of a span that used tokens or was billed; None where nothing of the kind was told."""
    if span.usage is None and span.cost_status is None and span.cost_reported_pico is None:
        return None
    row = find_row(project_id, span.price_id) if span.price_id is not None else None
    before, word, why = COST_STATUS[span.cost_status]
    counts = span.usage.buckets() if span.usage else (None,) * len(BUCKETS)
    parts = span.cost_parts or (None,) * len(BUCKETS)
    lines = tuple(
        BucketLine(BUCKET_WORDS[name], tokens, row.usd_per_million(name) if row else None, part)
        for name, tokens, part in zip(BUCKETS, counts, parts, strict=False)
        if tokens
    )
    if span.cost_status == CostStatus.PARTIAL:
        missing = [line.word.lower() for line in lines if line.cost_pico is None]
        if missing:
            why = f"The price has no rate for {' and '.join(missing)}, so the whole cost is unknown, not $0."
    known_in = [count for count in counts[:5] if count is not None]
    known_out = [count for count in counts[5:] if count is not None]
    return CostView(
        lines=lines,
        tokens_in=sum(known_in) if known_in else None,
        tokens_out=sum(known_out) if known_out else None,
        before=before,
        usd=span.cost_usd,
        pico=span.cost_pico,
        word=word,
        why=why,
        price=_price(span, row),
        reported_usd=span.cost_reported_usd,
        reported_by=reported_by,
        difference=difference(span.cost_usd, span.cost_reported_usd),
        is_unpriced=span.cost_status == CostStatus.UNPRICED,
        unpriced_model=span.model or "",
    )


def difference(ours: Decimal | None, reported: Decimal | None) -> str:
    """How the sender's figure compares with ours, in words."""
    if ours is None or reported is None:
        return ""
    if ours == reported:
        return "the same as ours"
    if not ours:
        return "ours is $0"
    share = (reported / ours - 1) * 100
    if abs(share) < Decimal("0.05"):
        return "the same as ours, to 0.1%"
    return f"{abs(share):,.1f}% {'more' if share > 0 else 'less'} than ours"


def _price(span: SpanRow, row: PriceRow | None) -> PriceNote | None:
    if span.price_id is None:
        return None
    if row is None:
        return PriceNote(span.model_priced or "", "", "", "", None, "", None, None, True)
    return PriceNote(
        model=span.model_priced or row.model,
        provider=row.provider or "",
        level=_LEVELS[row.level],
        source=row.source,
        source_date=row.source_date,
        tier=row.tier.value,
        context_over=row.context_over,
        usd_per_hour=row.usd_per_hour,
        is_gone=False,
    )
