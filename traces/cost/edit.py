"""Prices as people type them: from a form or a JSON object to a price row, or to what is wrong, field by field."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, tzinfo
from decimal import Decimal, InvalidOperation
from typing import Any

from traces.canonical.types import BUCKETS

from .book import PICO_PER_USD, Level, MatchKind, PriceRow
from .names import Tier, fold

MAX_USD = 1_000_000
MAX_DECIMALS = 6
MAX_MODEL = 200
MAX_SOURCE = 300
MAX_PROVIDER = 100
MAX_STARS = 5
MIN_LITERAL = 2
MAX_CONTEXT = 10**9
MAX_SHOWN = 80
EARLIEST, LATEST = datetime(2015, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC)

FIELDS = (
    "model", "match", "provider", *BUCKETS, "usd_per_hour", "tier", "context_over", "effective_from", "effective_to",
    "source", "source_date",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class FieldError:
    """What is wrong with one field: the message says the limit, `value` is what came (cut), "" where nothing did."""

    field: str
    message: str
    value: str = ""


class _Invalid(Exception):
    """One field cannot be read; carries the message."""


class _Form:
    """Reads fields one by one and keeps every error, so that a person sees them all at once."""

    def __init__(self, data: Mapping[str, Any]) -> None:
        self._data = data
        self.errors: list[FieldError] = []

    def fail(self, field: str, message: str) -> None:
        value = self._data.get(field)
        self.errors.append(FieldError(field, message, "" if value is None else str(value)[:MAX_SHOWN]))

    def text(self, field: str, limit: int) -> str:
        """The field without surrounding space, "" where it is absent or cannot be used."""
        value = self._data.get(field)
        if value is None:
            return ""
        if not isinstance(value, str):
            self.fail(field, "must be text")
            return ""
        value = value.strip()
        if len(value) > limit:
            self.fail(field, f"must be at most {limit} characters, has {len(value)}")
            return ""
        if any(unicodedata.category(char) in {"Cc", "Cs"} for char in value):
            self.fail(field, "must not contain control characters")
            return ""
        return value

    def choice(self, field: str, choices: tuple[str, ...], default: str) -> str:
        value = self.text(field, MAX_SHOWN).lower()
        if value and value not in choices:
            self.fail(field, f"must be one of {', '.join(choices)}")
        return value if value in choices else default

    def pico(self, field: str, scale: int) -> int | None:
        """A dollar amount times `scale` as a whole number, None where the field is empty."""
        try:
            amount = _decimal(self._data.get(field))
        except _Invalid as invalid:
            self.fail(field, str(invalid))
            return None
        return None if amount is None else int(amount * scale)

    def count(self, field: str, highest: int) -> int | None:
        value = self._data.get(field)
        if value is None or value == "":
            return None
        digits = str(value).strip() if isinstance(value, str | int) and not isinstance(value, bool) else ""
        if not (digits.isascii() and digits.isdigit() and len(digits) <= 12 and 1 <= int(digits) <= highest):
            self.fail(field, f"must be a whole number from 1 to {highest:,}")
            return None
        return int(digits)

    def moment(self, field: str, zone: tzinfo) -> datetime | None:
        """A date (its midnight in `zone`) or a time with its offset."""
        text = self.text(field, MAX_SHOWN)
        if not text:
            return None
        try:
            moment = datetime.fromisoformat(text)
            if moment.tzinfo is None:
                moment = moment.replace(tzinfo=zone)
            moment = moment.astimezone(UTC)
        except (ValueError, OverflowError):
            self.fail(field, "must be a date such as 2026-11-01, or a time such as 2026-11-01T12:00:00Z")
            return None
        if not EARLIEST <= moment <= LATEST:
            self.fail(field, f"must lie between {EARLIEST:%Y-%m-%d} and {LATEST:%Y-%m-%d}")
            return None
        return moment


def _decimal(value: Any) -> Decimal | None:
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | float | Decimal):
        raise _Invalid("must be a decimal number such as 0.15")
    text = str(value).strip()
    if not text:
        return None
    try:
        # No separators or exponents that only Python reads: "1_000" and "1e3" are rather mistakes than prices.
        if len(text) > 64 or (isinstance(value, str) and not _is_plain(text)):
            raise InvalidOperation
        amount = Decimal(text)
    except InvalidOperation:
        raise _Invalid("must be a decimal number such as 0.15") from None
    if not amount.is_finite() or not 0 <= amount <= MAX_USD:
        raise _Invalid(f"must be between 0 and {MAX_USD:,} US dollars")
    if amount != amount.quantize(Decimal(1).scaleb(-MAX_DECIMALS)):
        raise _Invalid(f"must have at most {MAX_DECIMALS} decimals")
    return amount


def _is_plain(text: str) -> bool:
    return text.isascii() and text.replace(".", "", 1).lstrip("+-").isdigit()


def parse_price_form(
    data: Mapping[str, Any], *, level: Level = Level.PROJECT, today: date | None = None, zone: tzinfo = UTC
) -> PriceRow | list[FieldError]:
    """A price row from `FIELDS` (rates in US dollars a million tokens, named by bucket), or every error there is.

    `today` stands in for an absent `source_date`; plain dates are midnights in `zone`.
    """
    form = _Form(data)
    match = MatchKind(form.choice("match", tuple(MatchKind), MatchKind.EXACT))
    model = form.text("model", MAX_MODEL)
    _check_model(form, model, match)
    rates = tuple(form.pico(bucket, 1_000_000) for bucket in BUCKETS)
    per_hour = form.pico("usd_per_hour", PICO_PER_USD)
    tier = Tier(form.choice("tier", tuple(Tier), Tier.STANDARD))
    over = form.count("context_over", MAX_CONTEXT)
    since, until = form.moment("effective_from", zone), form.moment("effective_to", zone)
    if since is not None and until is not None and until <= since:
        form.fail("effective_to", "must be after effective_from")
    failed = {error.field for error in form.errors}
    if per_hour is not None and any(rate is not None for rate in rates):
        form.fail("usd_per_hour", "must be empty where there are prices by the token")
    elif per_hour is None and all(rate is None for rate in rates) and not failed & {*BUCKETS, "usd_per_hour"}:
        form.fail("input_fresh", "at least one price is needed; 0 means free of charge")
    provider = form.text("provider", MAX_PROVIDER)
    source, read_on = form.text("source", MAX_SOURCE), form.moment("source_date", UTC)
    if form.errors:
        return form.errors
    return PriceRow(
        match=match,
        model=model,
        rates=rates,
        level=level,
        provider=provider or None,
        tier=tier,
        context_over=over,
        pico_per_hour=per_hour,
        effective_from=since,
        effective_to=until,
        source=source or "entered by hand",
        source_date=today if read_on is None else read_on.date(),
    )


def _check_model(form: _Form, model: str, match: MatchKind) -> None:
    if not model:
        if not any(error.field == "model" for error in form.errors):
            form.fail("model", "is needed")
    elif match is MatchKind.PATTERN:
        stars = model.count("*")
        if not 1 <= stars <= MAX_STARS:
            form.fail("model", f"a pattern has one to {MAX_STARS} * for any text; without one, match exactly")
        elif len(fold(model)) - stars < MIN_LITERAL:
            form.fail("model", f"a pattern needs at least {MIN_LITERAL} characters besides *")
    elif "*" in model:
        form.fail("model", "has a *: choose match pattern, or leave it out")


def find_clash(row: PriceRow, others: list[PriceRow]) -> PriceRow | None:
    """One of `others` for the same calls at the same time as `row`, so that only one of the two could ever apply."""
    for other in others:
        same = (
            other.price_id is None or other.price_id != row.price_id,
            other.level is row.level,
            other.match is row.match,
            fold(other.model) == fold(row.model),
            (other.provider or "") == (row.provider or ""),
            other.tier is row.tier,
            other.context_over == row.context_over,
            _before(row.effective_from, other.effective_to),
            _before(other.effective_from, row.effective_to),
        )
        if all(same):
            return other
    return None


def _before(start: datetime | None, end: datetime | None) -> bool:
    return start is None or end is None or start < end
