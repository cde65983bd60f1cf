"""The price book: dated rates by provider and model, and which of them applies to a call (docs/cost.md)."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from enum import IntEnum, StrEnum

from traces.canonical.types import BUCKETS

from .names import Glob, Tier, fold, makers, provider_key, stripped, tier_of

__all__ = ["Level", "Match", "MatchKind", "PriceBook", "PriceRow", "Tier", "tier_of", "usd"]

PICO_PER_USD = 10**12
NO_RATES: tuple[int | None, ...] = (None,) * len(BUCKETS)
# Plans kept for pairs of names; a sender that makes up names only empties it.
_MAX_PLANS = 8192
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Level(IntEnum):
    """Whose price it is; a smaller one goes before a larger one."""

    ENDPOINT = -1  # what the endpoint called says itself; of the product's own calls alone
    PROJECT = 0
    INSTALLATION = 1
    SHIPPED = 2


class MatchKind(StrEnum):
    """How a row names its models. `alias` is another exact name, `pattern` a glob with `*`."""

    EXACT = "exact"
    ALIAS = "alias"
    PATTERN = "pattern"


@dataclass(frozen=True, slots=True)
class PriceRow:
    """Rates in whole pico-dollars a token, in the order of `BUCKETS`; None is no rate, 0 is free of charge.

    `context_over`: the row holds for requests of more input tokens than that, as a whole. `pico_per_hour`: a model
    somebody runs, charged by the time its calls take. In force in `[effective_from, effective_to)`, None is open.
    """

    match: MatchKind
    model: str
    rates: tuple[int | None, ...] = NO_RATES
    level: Level = Level.PROJECT
    provider: str | None = None
    tier: Tier = Tier.STANDARD
    context_over: int | None = None
    pico_per_hour: int | None = None
    effective_from: datetime | None = None
    effective_to: datetime | None = None
    source: str = ""
    source_date: date | None = None
    version: str = ""
    price_id: int | None = None

    def usd_per_million(self, bucket: str) -> Decimal | None:
        """The rate of a bucket as people write it, None where the row has none."""
        rate = self.rates[BUCKETS.index(bucket)]
        return None if rate is None else _plain(usd(rate * 1_000_000))

    @property
    def usd_per_hour(self) -> Decimal | None:
        """The price of an hour, None for rows by the token."""
        return None if self.pico_per_hour is None else _plain(usd(self.pico_per_hour))

    @property
    def has_cache_discount(self) -> bool:
        """Whether tokens read from the cache cost less than fresh ones."""
        fresh, read = self.rates[0], self.rates[1]
        return fresh is not None and read is not None and read < fresh

    def has_ended(self, at: datetime) -> bool:
        """Whether the row holds for no call that starts at `at` or later."""
        return self.effective_to is not None and self.effective_to <= at


@dataclass(frozen=True, slots=True)
class Match:
    """The row that prices a call, and which of its model names the row fits. `exact_tier` is False where the call's
    service tier has no row of its own and the standard one stands in."""

    row: PriceRow
    model: str
    exact_tier: bool = True


def usd(pico: int) -> Decimal:
    """Pico-dollars as dollars, exactly, whatever the decimal context's precision."""
    sign, digits = (1, -pico) if pico < 0 else (0, pico)
    return Decimal((sign, tuple(map(int, str(digits))), -12))


def _plain(amount: Decimal) -> Decimal:
    """The same amount with no more decimals than it needs."""
    text = format(amount, "f").rstrip("0").rstrip(".")
    return Decimal(text or "0")


class _Shelf:
    """The rows of one level, found by name."""

    __slots__ = ("aliases", "exact", "patterns")

    def __init__(self, rows: Iterable[PriceRow]) -> None:
        self.exact: dict[str, list[PriceRow]] = {}
        self.aliases: dict[str, list[PriceRow]] = {}
        globs: dict[str, tuple[Glob, list[PriceRow]]] = {}
        for row in rows:
            name = fold(row.model)
            if row.match is MatchKind.PATTERN:
                globs.setdefault(name, (Glob(name), []))[1].append(row)
            else:
                (self.exact if row.match is MatchKind.EXACT else self.aliases).setdefault(name, []).append(row)
        # The pattern with more letters says more about the model.
        self.patterns = sorted(globs.values(), key=lambda entry: (-entry[0].literal, entry[0].text))
        for rows_of_name in (*self.exact.values(), *self.aliases.values(), *(rows for _, rows in self.patterns)):
            rows_of_name.sort(key=_preference)

    def steps(self, folded: str) -> Iterable[list[PriceRow]]:
        """Lists of rows that fit a name, the more exact fit first."""
        others = stripped(folded)
        for name in (folded, *others):
            if name in self.exact:
                yield self.exact[name]
            if name in self.aliases:
                yield self.aliases[name]
        for name in (folded, *others):
            for glob, rows in self.patterns:
                if glob.matches(name):
                    yield rows


def _preference(row: PriceRow) -> tuple[int, float, str, int]:
    """Order among rows of one name: the higher context threshold, the later start, the newer version first."""
    start = row.effective_from
    return (
        -1 if row.context_over is None else -2 - row.context_over,
        float("inf") if start is None else -start.timestamp(),
        _descending(row.version),
        0 if row.price_id is None else -abs(row.price_id),
    )


def _descending(text: str) -> str:
    return "".join(chr(0x10FFFF - ord(char)) for char in text) + "\U0010ffff"


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else (moment - _EPOCH) // timedelta(microseconds=1)


# In force from, to (microseconds), above this many input tokens, the match.
_Step = tuple[int | None, int | None, int | None, Match]


class PriceBook:
    """Rows to price by. Never changes; safe to share between threads (a lost plan is only made again)."""

    __slots__ = ("_ids", "_plans", "_shelves", "has_hourly")

    def __init__(self, rows: Iterable[PriceRow] = (), *, base: PriceBook | None = None) -> None:
        """A book of `rows` over those of `base`, whose levels must be others: project rows over the shipped ones."""
        by_level: dict[Level, list[PriceRow]] = {}
        for row in rows:
            by_level.setdefault(row.level, []).append(row)
        self._shelves: dict[Level, _Shelf] = dict(base._shelves) if base else {}
        self._ids: dict[int, PriceRow] = dict(base._ids) if base else {}
        self.has_hourly: bool = base is not None and base.has_hourly
        for level, of_level in by_level.items():
            if level in self._shelves:
                raise ValueError(f"the base has rows of level {level.name.lower()} already")
            self._shelves[level] = _Shelf(of_level)
            self._ids.update({row.price_id: row for row in of_level if row.price_id is not None})
            self.has_hourly = self.has_hourly or any(row.pico_per_hour is not None for row in of_level)
        self._shelves = dict(sorted(self._shelves.items()))
        self._plans: dict[tuple[str | None, str | None, str | None, str | None], tuple[_Step, ...]] = {}

    def row(self, price_id: int) -> PriceRow | None:
        """The row with an id, None where this book has none (an older book may have had it)."""
        return self._ids.get(price_id)

    def match(
        self,
        provider: str | None,
        model_answered: str | None,
        model_requested: str | None,
        at_us: int,
        tier: str | None = None,
        input_total: int | None = None,
    ) -> Match | None:
        """The row that prices a call that started at `at_us`, None where none does.

        A row of the call's service tier goes before a standard one; then the level; then the named provider before the
        maker of the model; then the answered model before the requested one; then the more exact fit; then the rows in
        force, the one with the highest context threshold that the request exceeds.
        """
        key = (provider, model_answered, model_requested, tier)
        plan = self._plans.get(key)
        if plan is None:
            plan = self._plan(provider, (model_answered, model_requested), tier_of(tier))
            if len(self._plans) >= _MAX_PLANS:
                self._plans.clear()
            self._plans[key] = plan
        for since, until, over, match in plan:
            if (
                (since is None or at_us >= since)
                and (until is None or at_us < until)
                and (over is None or (input_total is not None and input_total > over))
            ):
                return match
        return None

    def _plan(self, provider: str | None, models: Sequence[str | None], tier: Tier) -> tuple[_Step, ...]:
        """Every row that may price calls of these names, in order of preference; dates and sizes decide at the call."""
        named = provider_key(provider)
        names = [(model, fold(model)) for model in dict.fromkeys(models) if model and model.strip()]
        plan: dict[int, _Step] = {}
        for wanted in dict.fromkeys((tier, Tier.STANDARD)):
            for shelf in self._shelves.values():
                for model, folded, keys in [
                    *((model, folded, [named, None] if named else [None]) for model, folded in names),
                    *((model, folded, makers(named, folded)) for model, folded in names),
                ]:
                    for rows in shelf.steps(folded) if keys else ():
                        for key in keys:
                            for row in rows:
                                if row.tier is wanted and provider_key(row.provider) == key:
                                    plan.setdefault(id(row), _step(row, model, exact_tier=wanted is tier))
        return tuple(plan.values())


def _step(row: PriceRow, model: str, *, exact_tier: bool) -> _Step:
    return (
        _micros(row.effective_from),
        _micros(row.effective_to),
        row.context_over,
        Match(row, model, exact_tier=exact_tier),
    )
