"""Prices as their pages show them: lines of the book, and the form with what was typed and what is wrong with it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from zoneinfo import ZoneInfo

from telltale.lib import clock
from traces.canonical.types import BUCKETS
from traces.cost.book import Level, MatchKind, PriceRow, Tier, usd
from traces.cost.edit import FIELDS, FieldError
from traces.cost.reprice import Difference, ModelDifference

LABELS = {
    "input_fresh": "Input",
    "input_cache_read": "Cached input",
    "input_cache_write_5m": "Cache write, 5 min",
    "input_cache_write_1h": "Cache write, 1 h",
    "input_audio": "Audio input",
    "output_text": "Output",
    "output_reasoning": "Reasoning output",
    "output_audio": "Audio output",
    "model": "Model",
    "match": "Match",
    "provider": "Provider",
    "usd_per_hour": "US dollars an hour",
    "tier": "Service tier",
    "context_over": "Above input tokens",
    "effective_from": "From",
    "effective_to": "Until",
    "source": "Source",
    "source_date": "Read on",
}
HINTS = {
    "model": "As senders name it; a pattern has * for any text.",
    "provider": "Empty: any provider.",
    "output_reasoning": "Empty: the price of output.",
    "usd_per_hour": "For a model you run yourself, instead of prices by the token: charged by the time its calls take.",
    "context_over": "Only for requests of more input tokens than this.",
    "effective_from": "A day such as 2026-11-01. Empty: since ever.",
    "effective_to": "The first day it no longer holds. Empty: no end.",
    "source": "Where the figure is from: a price page, a contract.",
    "source_date": "Empty: today.",
}
WORDS = {
    "match": (
        (MatchKind.EXACT, "exactly this name"),
        (MatchKind.ALIAS, "another name for it"),
        (MatchKind.PATTERN, "a pattern with *"),
    ),
    "tier": tuple((tier, tier.value) for tier in Tier),
}
LEVEL_WORDS = {
    Level.ENDPOINT: "The endpoint",
    Level.PROJECT: "This project",
    Level.INSTALLATION: "Installation",
    Level.SHIPPED: "Shipped",
}


@dataclass(frozen=True, slots=True)
class FormField:
    """One field of the form. `choices` are (value, word, is chosen), empty for text."""

    name: str
    label: str
    value: str
    hint: str
    error: str
    choices: tuple[tuple[str, str, bool], ...]


@dataclass(frozen=True, slots=True)
class PriceForm:
    """The form's fields by what they are about."""

    who: tuple[FormField, ...]
    main: tuple[FormField, ...]
    more: tuple[FormField, ...]
    when: tuple[FormField, ...]
    rest: tuple[FormField, ...]
    errors: tuple[FormField, ...]
    is_more_open: bool


@dataclass(frozen=True, slots=True)
class BookLine:
    """One row of the book, ready to be shown."""

    id: str
    model: str
    detail: str
    input: str
    cached: str
    cached_share: str
    output: str
    more: str  # the other rates in words, "" where there are none
    since: str
    source: str
    level: str
    is_ours: bool
    is_shipped: bool
    has_ended: bool


def price_form(data: Mapping[str, str], errors: Iterable[FieldError] = ()) -> PriceForm:
    """The form showing `data`, with the first error of each field."""
    wrong: dict[str, str] = {}
    for error in errors:
        wrong.setdefault(error.field, error.message)
    fields = {name: _field(name, data.get(name, ""), wrong.get(name, "")) for name in FIELDS}

    def some(*names: str) -> tuple[FormField, ...]:
        return tuple(fields[name] for name in names)

    more = some(*(b for b in BUCKETS if b not in {"input_fresh", "input_cache_read", "output_text"}), "usd_per_hour")
    rest = some("match", "tier", "context_over", "source", "source_date")
    is_more_open = any(f.value or f.error for f in more) or any(
        f.error or (f.value and f.value not in {"exact", "standard"})
        for f in rest
        if f.name not in {"source", "source_date"}
    )
    return PriceForm(
        who=some("model", "provider"),
        main=some("input_fresh", "input_cache_read", "output_text"),
        more=more,
        when=some("effective_from", "effective_to"),
        rest=rest,
        errors=tuple(field for field in fields.values() if field.error),
        is_more_open=is_more_open,
    )


def form_data(row: PriceRow, zone: ZoneInfo) -> dict[str, str]:
    """A row as the form's fields."""
    return {
        "model": row.model,
        "match": row.match.value,
        "provider": row.provider or "",
        **{bucket: rate_text(row.usd_per_million(bucket)) for bucket in BUCKETS},
        "usd_per_hour": rate_text(row.usd_per_hour),
        "tier": row.tier.value,
        "context_over": "" if row.context_over is None else str(row.context_over),
        "effective_from": _moment_text(row.effective_from, zone),
        "effective_to": _moment_text(row.effective_to, zone),
        "source": row.source,
        "source_date": "" if row.source_date is None else row.source_date.isoformat(),
    }


def book_line(row: PriceRow, zone: ZoneInfo) -> BookLine:
    """A row as a line of the book."""
    fresh, cached = row.usd_per_million("input_fresh"), row.usd_per_million("input_cache_read")
    others = [
        f"{LABELS[bucket].lower()} {rate_text(rate)}"
        for bucket in BUCKETS
        if bucket not in {"input_fresh", "input_cache_read", "output_text"}
        and (rate := row.usd_per_million(bucket)) is not None
    ]
    if row.usd_per_hour is not None:
        others.append(f"{rate_text(row.usd_per_hour)} an hour")
    detail = [
        row.provider or "any provider",
        *(["pattern"] if row.match is MatchKind.PATTERN else []),
        *([f"{row.tier.value} tier"] if row.tier is not Tier.STANDARD else []),
        *([f"above {row.context_over:,} input tokens"] if row.context_over is not None else []),
    ]
    return BookLine(
        id=str(row.price_id),
        model=row.model,
        detail=", ".join(detail),
        input=rate_text(fresh),
        cached=rate_text(cached),
        cached_share=f"{100 * cached / fresh:.0f}%" if fresh and cached is not None else "",
        output=rate_text(row.usd_per_million("output_text")),
        more=", ".join(others),
        since=in_force(row, zone),
        source=_source(row),
        level=LEVEL_WORDS[row.level],
        is_ours=row.level is Level.PROJECT,
        is_shipped=row.level is Level.SHIPPED,
        has_ended=row.has_ended(clock.now()),
    )


@dataclass(frozen=True, slots=True)
class DifferenceLine:
    """One model of a difference; a cost is None where it is known of no call."""

    model: str
    spans: int
    changed: int
    old_pico: int | None
    new_pico: int | None
    delta_pico: int
    old_unknown: int
    new_unknown: int


def difference_line(found: ModelDifference | Difference, model: str = "") -> DifferenceLine:
    """A model's difference, or the whole one, as a line: what is unknown is never $0."""
    return DifferenceLine(
        model=model,
        spans=found.spans,
        changed=found.changed,
        old_pico=None if found.spans == found.old_unknown else found.old_pico,
        new_pico=None if found.spans == found.new_unknown else found.new_pico,
        delta_pico=found.delta_pico,
        old_unknown=found.old_unknown,
        new_unknown=found.new_unknown,
    )


def difference_sentence(found: Difference, *, is_done: bool) -> str:
    """What a re-pricing changes, or changed, in a sentence or two."""
    if not found.changed:
        return f"Nothing would change: all {found.spans:,} counted calls have the price of the book in force."
    would = "changed" if is_done else "would change"
    amount = usd(abs(found.delta_pico))
    more = "more" if found.delta_pico >= 0 else "less"
    first = f"{found.changed:,} of {found.spans:,} counted calls {would}; together ${rate_text(amount)} {more}."
    newly = found.old_unknown - found.new_unknown
    if newly > 0:
        return f"{first} The cost of {newly:,} of them was not known before."
    if newly < 0:
        return f"{first} The cost of {-newly:,} of them is not known any more."
    return first


def in_force(row: PriceRow, zone: ZoneInfo) -> str:
    """From when until when a row holds, in words."""
    since, until = day_text(row.effective_from, zone), day_text(row.effective_to, zone)
    if until:
        return f"{since} until {until}" if since else f"until {until}"
    return f"from {since}" if since else "since ever"


def rate_text(rate: Decimal | None) -> str:
    """A rate with at least two decimals and as many as it has: 10.00, 0.075; "" where there is none."""
    if rate is None:
        return ""
    text = f"{rate:f}"
    whole, _, part = text.partition(".")
    part = part.rstrip("0")
    return f"{whole}.{part.ljust(2, '0')}"


def day_text(at: datetime | None, zone: ZoneInfo) -> str:
    """A day in the project's zone, with the time where it is not midnight; "" for none."""
    if at is None:
        return ""
    local = at.astimezone(zone)
    day = f"{local.day} {local:%b %Y}"
    return day if (local.hour, local.minute) == (0, 0) else f"{day}, {local:%H:%M}"


def _field(name: str, value: str, error: str) -> FormField:
    choices = tuple((str(v.value), word, value == v.value) for v, word in WORDS.get(name, ()))
    return FormField(name, LABELS[name], value, HINTS.get(name, ""), error, choices)


def _source(row: PriceRow) -> str:
    date = "" if row.source_date is None else f"{row.source_date.day} {row.source_date:%b %Y}"
    return f"{row.source} ({date})" if row.source and date else row.source or date


def _moment_text(at: datetime | None, zone: ZoneInfo) -> str:
    if at is None:
        return ""
    local = at.astimezone(zone)
    if (local.hour, local.minute, local.second, local.microsecond) == (0, 0, 0, 0):
        return f"{local:%Y-%m-%d}"
    return local.isoformat()
