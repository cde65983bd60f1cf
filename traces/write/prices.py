"""Rows of entered prices. None is ever changed in place but for `replaced_at`: spans keep the id of the row they were
priced with, and a book's version is told by the newest id and the newest replacement."""

from __future__ import annotations

from datetime import datetime

from telltale.lib import clock
from traces.canonical.types import BUCKETS
from traces.cost.book import PriceRow
from traces.models import Price


def insert_price(row: PriceRow, project_id: int | None, created_by_id: int | None) -> Price:
    """Store a row; its id is new whatever `row.price_id` says."""
    return Price.objects.create(
        project_id=project_id,
        provider=row.provider or "",
        match_kind=row.match.value,
        model=row.model,
        tier=row.tier.value,
        context_over=row.context_over,
        **dict(zip(BUCKETS, row.rates, strict=True)),
        usd_per_hour=row.usd_per_hour,
        effective_from=row.effective_from,
        effective_to=row.effective_to,
        source=row.source,
        source_date=row.source_date or clock.now().date(),
        created_by_id=created_by_id,
    )


def retire_price(price_id: int, project_id: int | None, at: datetime) -> bool:
    """Take a row out of the book; False where somebody did already."""
    mine = Price.objects.filter(pk=price_id, project_id=project_id, replaced_at=None)
    return mine.update(replaced_at=at) == 1


def lock_prices(project_id: int | None) -> list[Price]:
    """The rows in force of one level, locked until the transaction ends, so that two changes cannot both fit."""
    return list(Price.objects.select_for_update().filter(project_id=project_id, replaced_at=None).order_by("pk"))
