"""Prices: the book a project's spans are priced by, and changing what people have entered into it."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, tzinfo
from decimal import Decimal
from typing import Any

from django.db import connection, transaction
from django.db.models import Q
from django.http import HttpRequest

from telltale.audit.log import record_in
from telltale.lib import clock
from telltale.projects.models import Project
from traces.canonical.types import BUCKETS
from traces.cost.book import Level, MatchKind, PriceBook, PriceRow, Tier
from traces.cost.edit import FieldError, find_clash, parse_price_form
from traces.cost.shipped import shipped_book
from traces.models import Price
from traces.write.prices import insert_price, lock_prices, retire_price

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


# What the columns hold, where that is less than the form's own limits.
_COLUMN_MAX = {"provider": 100, "source": 300}


def find_row(project_id: int, price_id: int) -> PriceRow | None:
    """The row a span was priced by, also one replaced since; None where it is there no more."""
    if price_id < 0:
        return shipped_book().row(price_id)
    price = Price.objects.filter(Q(project_id=project_id) | Q(project=None), pk=price_id).first()
    return None if price is None else price_row(price)


class PriceRefused(Exception):
    """A price that cannot be entered, with what is wrong field by field."""

    def __init__(self, errors: list[FieldError]) -> None:
        super().__init__("; ".join(f"{error.field} {error.message}" for error in errors))
        self.errors = errors


class PriceGone(Exception):
    """The row is not in the project's part of the book: never was, or was replaced meanwhile."""


def add_price(
    project: Project, data: Mapping[str, Any], zone: tzinfo, *, by_id: int | None, request: HttpRequest | None = None
) -> PriceRow:
    """Enter a price of the project; PriceRefused says what is wrong.

    A row for the same calls that began earlier and has no end is ended where this one begins.
    """
    row = _parsed(data, zone)
    with transaction.atomic():
        held = [price_row(price) for price in lock_prices(project.pk)]
        clash = find_clash(row, held)
        if clash is not None and _is_followed(clash, row):
            _replace(project, clash, replace(clash, effective_to=row.effective_from), by_id)
            clash = find_clash(row, [other for other in held if other is not clash])
        _refuse_clash(clash)
        made = price_row(insert_price(row, project.pk, by_id))
        record_in(project, "price.add", made.model, request=request, after=row_json(made))
    return made


def correct_price(
    project: Project,
    price_id: int,
    data: Mapping[str, Any],
    zone: tzinfo,
    *,
    by_id: int | None,
    request: HttpRequest | None = None,
) -> PriceRow:
    """Put another row in the place of one; spans priced by it keep what they cost until they are priced again."""
    row = _parsed(data, zone)
    with transaction.atomic():
        held = [price_row(price) for price in lock_prices(project.pk)]
        old = next((other for other in held if other.price_id == price_id), None)
        if old is None:
            raise PriceGone
        _refuse_clash(find_clash(row, [other for other in held if other is not old]))
        made = _replace(project, old, row, by_id)
        record_in(project, "price.correct", made.model, request=request, before=row_json(old), after=row_json(made))
    return made


def end_price(
    project: Project, price_id: int, at: datetime, *, by_id: int | None, request: HttpRequest | None = None
) -> PriceRow | None:
    """End a row at `at`; where it would never have been in force it is taken out, and None is what is left."""
    with transaction.atomic():
        old = next((price_row(price) for price in lock_prices(project.pk) if price.pk == price_id), None)
        if old is None:
            raise PriceGone
        if old.effective_from is not None and at <= old.effective_from:
            retire_price(price_id, project.pk, clock.now())
            record_in(project, "price.remove", old.model, request=request, before=row_json(old))
            return None
        if old.effective_to is not None and old.effective_to <= at:
            return old
        made = _replace(project, old, replace(old, effective_to=at), by_id)
        record_in(project, "price.end", made.model, request=request, before=row_json(old), after=row_json(made))
    return made


def row_json(row: PriceRow) -> dict[str, Any]:
    """A row as REST shows it and the audit log keeps it: rates as decimal text in USD a million tokens, by bucket."""
    return {
        "id": None if row.price_id is None else str(row.price_id),
        "level": row.level.name.lower(),
        "match": row.match.value,
        "model": row.model,
        "provider": row.provider,
        "tier": row.tier.value,
        "context_over": row.context_over,
        **{bucket: _text(row.usd_per_million(bucket)) for bucket in BUCKETS},
        "usd_per_hour": _text(row.usd_per_hour),
        "effective_from": _moment(row.effective_from),
        "effective_to": _moment(row.effective_to),
        "source": row.source,
        "source_date": None if row.source_date is None else row.source_date.isoformat(),
    }


def _parsed(data: Mapping[str, Any], zone: tzinfo) -> PriceRow:
    found = parse_price_form(data, level=Level.PROJECT, today=clock.now().astimezone(zone).date(), zone=zone)
    if not isinstance(found, PriceRow):
        raise PriceRefused(found)
    errors = [
        FieldError(name, f"must be at most {limit} characters, has {len(value)}")
        for name, limit in _COLUMN_MAX.items()
        if len(value := getattr(found, name) or "") > limit
    ]
    if errors:
        raise PriceRefused(errors)
    return found


def _is_followed(old: PriceRow, new: PriceRow) -> bool:
    """Whether `new` is what comes after `old`: it begins later, and neither has an end."""
    if new.effective_from is None or new.effective_to is not None or old.effective_to is not None:
        return False
    return old.effective_from is None or old.effective_from < new.effective_from


def _refuse_clash(clash: PriceRow | None) -> None:
    if clash is not None:
        since = "ever" if clash.effective_from is None else f"{clash.effective_from:%Y-%m-%d}"
        message = f"overlaps with the price of {clash.model} in force since {since}; correct or end that one"
        raise PriceRefused([FieldError("effective_from", message)])


def _replace(project: Project, old: PriceRow, new: PriceRow, by_id: int | None) -> PriceRow:
    if old.price_id is None or not retire_price(old.price_id, project.pk, clock.now()):
        raise PriceGone
    return price_row(insert_price(new, project.pk, by_id))


def _text(amount: Decimal | None) -> str | None:
    if amount is None:
        return None
    text = f"{amount:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _moment(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat().replace("+00:00", "Z")
