"""Prices: the book a project's spans are priced by, and changing what people have entered into it."""

from __future__ import annotations

import threading
from dataclasses import dataclass
from decimal import Decimal

from django.db import connection

from traces.canonical.types import BUCKETS
from traces.cost.book import Level, MatchKind, PriceBook, PriceRow, Tier
from traces.cost.shipped import shipped_book
from traces.models import Price

PICO = Decimal(10) ** 12
# Rows are never changed in place but replaced by new ones, so these two tell every change.
_VERSION = """
    SELECT max(id), max(replaced_at), count(*) FROM traces_price WHERE project_id = %s OR project_id IS NULL
"""
Version = tuple[object, ...]


@dataclass(frozen=True, slots=True)
class _Held:
    version: Version
    book: PriceBook


_lock = threading.Lock()
_held: dict[int, _Held] = {}
_HELD_MAX = 1000


def load_book(project_id: int) -> PriceBook:
    """The prices in force for a project: its own, then the installation's, then the shipped ones.

    Built once a process and change: each call asks for the version (one small query), so the answer is never old.
    """
    version = book_version(project_id)
    held = _held.get(project_id)
    if held and held.version == version:
        return held.book
    # Read after the version: what changes in between makes the next call read again.
    book = _read_book(project_id)
    with _lock:
        if len(_held) >= _HELD_MAX:
            _held.clear()
        _held[project_id] = _Held(version, book)
    return book


def book_version(project_id: int) -> Version:
    """What changes whenever a price of the project or of the installation does."""
    with connection.cursor() as cursor:
        cursor.execute(_VERSION, [project_id])
        return tuple(cursor.fetchone())


def _read_book(project_id: int) -> PriceBook:
    rows = Price.objects.filter(replaced_at=None).filter(project_id=project_id)
    installation = Price.objects.filter(replaced_at=None, project=None)
    return PriceBook([price_row(price) for price in (*installation, *rows)], base=shipped_book())


def price_row(price: Price) -> PriceRow:
    """A stored price as the book has it."""
    return PriceRow(
        match=MatchKind(price.match_kind),
        model=price.model,
        rates=tuple(getattr(price, bucket) for bucket in BUCKETS),
        level=Level.INSTALLATION if price.project_id is None else Level.PROJECT,
        provider=price.provider or None,
        tier=Tier(price.tier),
        context_over=price.context_over,
        pico_per_hour=None if price.usd_per_hour is None else int(price.usd_per_hour * PICO),
        effective_from=price.effective_from,
        effective_to=price.effective_to,
        source=price.source,
        source_date=price.source_date,
        version=price.created_at.isoformat(),
        price_id=price.pk,
    )
