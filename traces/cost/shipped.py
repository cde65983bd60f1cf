"""The price book that comes with Telltale: traces/data/prices.json, made by tools/make_price_book.py."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime
from decimal import Decimal
from functools import cache
from hashlib import blake2b
from pathlib import Path
from typing import Any

from traces.canonical.types import BUCKETS

from .book import Level, MatchKind, PriceBook, PriceRow
from .names import Tier

PATH = Path(__file__).parent.parent / "data" / "prices.json"


@cache
def shipped_rows() -> tuple[PriceRow, ...]:
    """Every row of the shipped book. Their ids are negative and depend on what the row says alone, so that the same
    row keeps its id from one book to the next and never meets one of the database."""
    book: dict[str, Any] = json.loads(PATH.read_text(encoding="utf-8"))
    read_on = date.fromisoformat(book["read_on"])
    return tuple(
        _row(entry, MatchKind(kind), name, price, book["sources"][price["source"]], read_on, book["version"])
        for entry in book["entries"]
        for kind, names in entry["names"].items()
        for name in names
        for price in entry["prices"]
    )


@cache
def shipped_book() -> PriceBook:
    """The book of the shipped rows alone: the base of every project's book."""
    return PriceBook(shipped_rows())


def _row(
    entry: dict[str, Any], kind: MatchKind, name: str, price: dict[str, Any], source: str, read_on: date, version: str
) -> PriceRow:
    rates = tuple(_pico(price["usd_per_million"].get(bucket)) for bucket in BUCKETS)
    tier, over = Tier(price.get("tier", "standard")), price.get("over")
    since, until = price.get("from"), price.get("to")
    return PriceRow(
        match=kind,
        model=name,
        rates=rates,
        level=Level.SHIPPED,
        provider=entry["provider"],
        tier=tier,
        context_over=over,
        effective_from=_midnight(since),
        effective_to=_midnight(until),
        source=source,
        source_date=read_on,
        version=version,
        price_id=_identity(entry["provider"], kind, name, rates, tier, over, since, until),
    )


def _pico(usd_per_million: str | None) -> int | None:
    """Dollars a million tokens as pico-dollars a token: six decimals are whole."""
    if usd_per_million is None:
        return None
    pico = Decimal(usd_per_million) * 1_000_000
    if pico != int(pico):
        raise ValueError(f"{PATH.name}: {usd_per_million} has more than six decimals")
    return int(pico)


def _midnight(day: str | None) -> datetime | None:
    return None if day is None else datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)


def _identity(*said: object) -> int:
    digest = blake2b(json.dumps(said, default=str).encode(), digest_size=8).digest()
    return -1 - (int.from_bytes(digest, "big") >> 1)
