"""Rows of entered prices. None is ever changed in place but for `replaced_at`: spans keep the id of the row they were
priced with, and a book's version is told by the newest id and the newest replacement."""

from __future__ import annotations

from datetime import datetime

from django.db.models import QuerySet

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
    return _in_force(project_id).filter(pk=price_id).update(replaced_at=at) == 1


def lock_prices(project_id: int | None) -> list[Price]:
    """The rows in force of one level, locked until the transaction ends, so that two changes cannot both fit."""
    return list(_in_force(project_id).select_for_update().order_by("pk"))


def _in_force(project_id: int | None) -> QuerySet[Price]:
    rows = Price.objects.filter(replaced_at=None)
    return rows.filter(project=None) if project_id is None else rows.filter(project_id=project_id)
