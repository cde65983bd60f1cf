"""What a project's calls are priced by: the book in force, the models without a price, who entered what."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from difflib import SequenceMatcher
from typing import Any

from django.db import connection

from telltale.lib import clock
from telltale.lib.sql import load
from traces.canonical.types import BUCKETS
from traces.cost.book import MatchKind, PriceBook, PriceRow
from traces.cost.names import fold, provider_key, stripped
from traces.cost.shipped import shipped_rows
from traces.models import Price
from traces.prices import price_row

# How far the lists of models look: the page says so. Measured on 1 M spans: about 30 ms.
WINDOW = timedelta(days=30)
UNPRICED_TRACES = 2000
TRAFFIC_TRACES = 1000
TRAFFIC_SPANS = 50_000
# Below this likeness a suggestion is a guess.
SUGGEST_FROM = 0.6


@dataclass(frozen=True, slots=True)
class UnpricedModel:
    """A model that counted calls named and no price fits. Tokens are sums of what is known."""

    provider: str | None
    model: str
    calls: int
    traces: int
    input_tokens: int
    output_tokens: int
    first_at: datetime
    last_at: datetime
    has_price_now: bool  # the book in force prices such calls; those stored wait to be priced again


@dataclass(frozen=True, slots=True)
class Unpriced:
    """The models without a price in the newest `traces_seen` traces that have unpriced calls, of the last `days`."""

    models: tuple[UnpricedModel, ...]
    traces_seen: int
    days: int

    @property
    def is_all(self) -> bool:
        """Whether every such trace of the window was looked at."""
        return self.traces_seen < UNPRICED_TRACES

    @property
    def missing(self) -> tuple[UnpricedModel, ...]:
        """Those that the book in force does not price either."""
        return tuple(model for model in self.models if not model.has_price_now)

    @property
    def waiting(self) -> tuple[UnpricedModel, ...]:
        """Those that have a price by now."""
        return tuple(model for model in self.models if model.has_price_now)


@dataclass(frozen=True, slots=True)
class TrafficModel:
    """A model in recent traffic with the price row its calls were priced by; None where that is gone or never was."""

    provider: str | None
    model: str
    calls: int
    cost_pico: int | None
    unknown: int
    row: PriceRow | None


@dataclass(frozen=True, slots=True)
class Traffic:
    models: tuple[TrafficModel, ...]
    traces_seen: int


@dataclass(frozen=True, slots=True)
class EnteredPrice:
    """A row that people entered, in force or not, with who and when."""

    row: PriceRow
    by: str
    at: datetime
    replaced_at: datetime | None
    is_ours: bool  # of the project; else of the installation


def read_unpriced(project_id: int, book: PriceBook) -> Unpriced:
    """The models of recent calls that are stored without a price, most calls first."""
    now = clock.now()
    asked: dict[str, Any] = {
        "project_id": project_id,
        "start": now - WINDOW,
        "end": now + timedelta(days=1),
        "traces": UNPRICED_TRACES,
    }
    with connection.cursor() as cursor:
        cursor.execute(load("traces", "unpriced_models"), asked)
        rows = cursor.fetchall()
    models = tuple(
        UnpricedModel(
            provider, model, calls, traces, tokens_in, tokens_out, first_at, last_at,
            _is_priced(book, provider, model, last_at),
        )
        for provider, model, calls, traces, tokens_in, tokens_out, first_at, last_at, _ in rows
        if model
    )  # fmt: skip
    return Unpriced(models, rows[0][-1] if rows else 0, WINDOW.days)


def read_traffic(project_id: int, book: PriceBook) -> Traffic:
    """The models of the newest traces, the dearest first."""
    now = clock.now()
    asked: dict[str, Any] = {
        "project_id": project_id,
        "start": now - WINDOW,
        "end": now + timedelta(days=1),
        "traces": TRAFFIC_TRACES,
        "spans": TRAFFIC_SPANS,
    }
    with connection.cursor() as cursor:
        cursor.execute(load("traces", "price_traffic"), asked)
        rows = cursor.fetchall()
    models = tuple(
        TrafficModel(
            provider, model, calls, None if cost is None else int(cost), unknown, _row(book, project_id, price_id)
        )
        for provider, model, price_id, calls, cost, unknown, _ in rows
        if model
    )
    return Traffic(models, rows[0][-1] if rows else 0)


def find_price(project_id: int, price_id: int) -> PriceRow | None:
    """A row by the id that spans keep, in force or not: of the project, the installation, or shipped."""
    if price_id < 0:
        return next((row for row in shipped_rows() if row.price_id == price_id), None)
    mine = Price.objects.filter(pk=price_id, project_id=project_id) | Price.objects.filter(pk=price_id, project=None)
    found = mine.first()
    return None if found is None else price_row(found)


@dataclass(frozen=True, slots=True)
class Book:
    """Rows of the book in order; `ended` counts those that hold for no call of today any more, shown or not."""

    rows: tuple[PriceRow, ...]
    ended: int


def list_book(project_id: int, *, q: str = "", level: str = "", with_ended: bool = False) -> Book:
    """The rows in force, a project's first, by model; those whose model or provider holds `q`, perhaps of one level.

    Rows that begin later belong to it. Those that ended price older calls alone and come `with_ended`.
    """
    entered = Price.objects.filter(replaced_at=None)
    rows = [price_row(price) for price in entered.filter(project_id=project_id) | entered.filter(project=None)]
    wanted = fold(q)
    found = [
        row
        for row in (*rows, *shipped_rows())
        if (not level or row.level.name.lower() == level)
        and (not wanted or wanted in fold(row.model) or wanted in fold(row.provider or ""))
    ]
    now = clock.now()
    ended = {id(row) for row in found if row.has_ended(now)}
    shown = found if with_ended else [row for row in found if id(row) not in ended]
    return Book(tuple(sorted(shown, key=book_place)), len(ended))


def book_place(row: PriceRow) -> tuple[int, str, int]:
    """Where a row stands in the list of the book: patterns beside the names they begin with."""
    return (int(row.level), fold(row.model).lstrip("*/."), row.price_id or 0)


def list_entered(project_id: int, limit: int = 20) -> list[EnteredPrice]:
    """What people entered for the project or the installation, newest first."""
    rows = Price.objects.filter(project_id=project_id) | Price.objects.filter(project=None)
    return [
        EnteredPrice(
            row=price_row(price),
            by=str(price.created_by) if price.created_by else "a key or a person who left",
            at=price.created_at,
            replaced_at=price.replaced_at,
            is_ours=price.project_id is not None,
        )
        for price in rows.select_related("created_by").order_by("-pk")[:limit]
    ]


def suggest(model: str, provider: str | None) -> PriceRow | None:
    """The shipped row most like a model without a price, of its provider before others; None where none is like it."""
    folded = fold(model)
    names = [folded, *stripped(folded)]
    best: tuple[float, PriceRow] | None = None
    for name, row in _shipped_standard():
        # gpt-4o-mini-latest is gpt-4o-mini with something added, whatever else looks more alike.
        likeness = (
            1 + len(name) / 1000 if folded.startswith(f"{name}-") else max(_likeness(mine, name) for mine in names)
        )
        if provider_key(provider) is not None and provider_key(provider) == provider_key(row.provider):
            likeness += 0.05
        if likeness >= SUGGEST_FROM and (best is None or likeness > best[0]):
            best = (likeness, row)
    return None if best is None else best[1]


def _is_priced(book: PriceBook, provider: str | None, model: str, at: datetime) -> bool:
    return book.match(provider, model, None, (at - clock.EPOCH) // timedelta(microseconds=1)) is not None


def _likeness(a: str, b: str) -> float:
    matcher = SequenceMatcher(None, a, b, autojunk=False)
    return (
        matcher.ratio() if matcher.real_quick_ratio() >= SUGGEST_FROM and matcher.quick_ratio() >= SUGGEST_FROM else 0
    )


def _shipped_standard() -> Iterable[tuple[str, PriceRow]]:
    for row in shipped_rows():
        if row.match is not MatchKind.PATTERN and row.tier.value == "standard" and row.context_over is None:
            yield fold(row.model), row


def _row(book: PriceBook, project_id: int, price_id: int | None) -> PriceRow | None:
    if price_id is None:
        return None
    return book.row(price_id) or find_price(project_id, price_id)


assert len(BUCKETS) == 8  # noqa: S101 - the SQL files beside sum these buckets by name
