"""Makes traces/data/prices.json from the genai-prices package and the few rows that it does not have.

Development only: `python tools/make_price_book.py --read-on 2026-11-21`. The output depends on the package's version
and that date alone. What cannot be said in a price row is left out and counted on standard error.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path
from typing import Any

from genai_prices import types as source
from genai_prices.data import providers

OUTPUT = Path(__file__).parent.parent / "traces" / "data" / "prices.json"

# The package's provider -> the provider's name in Telltale.
PROVIDERS = {
    "anthropic": "anthropic",
    "aws": "aws.bedrock",
    "azure": "azure.ai.openai",
    "cerebras": "cerebras",
    "cohere": "cohere",
    "deepseek": "deepseek",
    "fireworks": "fireworks",
    "google": "gcp.gemini",
    "groq": "groq",
    "meta": "meta",
    "mistral": "mistral_ai",
    "moonshotai": "moonshot_ai",
    "openai": "openai",
    "perplexity": "perplexity",
    "together": "together",
    "voyageai": "voyageai",
    "x-ai": "x_ai",
}
# The package's price -> our bucket. Image, video, page and search prices have no bucket.
BUCKETS = {
    "input_mtok": "input_fresh",
    "cache_read_mtok": "input_cache_read",
    "cache_write_mtok": "input_cache_write_5m",
    "cache_write_1h_mtok": "input_cache_write_1h",
    "input_audio_mtok": "input_audio",
    "output_mtok": "output_text",
    "output_reasoning_mtok": "output_reasoning",
    "output_audio_mtok": "output_audio",
}
TIERS = {
    ("processing", "batch"): "batch",
    ("service_tier", "flex"): "flex",
    ("service_tier", "priority"): "priority",
}
# Providers that halve every price of a standard request in their batch interface, and since when; the package knows
# batch prices from the day it first read them.
BATCH_SINCE = {
    "anthropic": (
        date(2024, 10, 8),
        "Anthropic: Message Batches are charged at 50% of the standard prices, cache included",
    ),
    "openai": (
        date(2024, 4, 15),
        "OpenAI: the Batch API is charged at 50% of the standard prices for input and output",
    ),
}
ONE_HOUR_RULE = (
    "Anthropic prompt caching: a one-hour cache write costs 2 times the input price, a 5-minute one 1.25 times"
)
# Free of charge, and not a model that answers.
SKIP_MODELS = {("openai", "moderation")}
# Open weights: OpenAI sells no calls to them, and many who run them speak OpenAI's dialect.
SKIP_PREFIXES = {"openai": ("gpt-oss",)}
# Mistral's own interface says open-mixtral-8x7b; the bare name is what everybody else calls it.
NOT_ITS_NAME = {("mistral", "mixtral-8x7b")}
# Dated names people send that the package finds by rules a price row cannot say, or does not have.
EXTRA_ALIASES = {
    ("openai", "gpt-4o"): ["gpt-4o-2024-08-06", "gpt-4o-2024-11-20"],
    ("openai", "gpt-4o-mini"): ["gpt-4o-mini-2024-07-18"],
    ("anthropic", "claude-3-5-haiku-latest"): ["claude-3-5-haiku-20241022", "claude-3-5-haiku"],
    ("anthropic", "claude-3-opus-latest"): ["claude-3-opus-20240229", "claude-3-opus"],
    ("anthropic", "claude-sonnet-4-0"): ["claude-sonnet-4-20250514", "claude-sonnet-4"],
    ("google", "gemini-2.5-pro"): ["gemini-2.5-pro-latest"],
}
MIXTRAL_RATES = {"input_fresh": Decimal("0.27"), "output_text": Decimal("0.81")}
MIXTRAL_SOURCE = (
    "Commonly quoted price of hosted Mixtral 8x7B, 0.27 in and 0.81 out; a provider's own row goes before it"
)
COHERE_EMBED_3 = [
    "embed-english-v3.0",
    "embed-english-light-v3.0",
    "embed-multilingual-v3.0",
    "embed-multilingual-light-v3.0",
]
skipped: Counter[str] = Counter()


@dataclass
class Price:
    """One set of rates of one model."""

    rates: dict[str, Decimal]
    source: str
    tier: str = "standard"
    over: int | None = None
    since: date | None = None
    until: date | None = None

    def as_json(self, sources: list[str]) -> dict[str, Any]:
        """The row as it is written; what is at its default is left out."""
        row: dict[str, Any] = {"usd_per_million": {bucket: plain(self.rates[bucket]) for bucket in self.rates}}
        if self.tier != "standard":
            row["tier"] = self.tier
        if self.over is not None:
            row["over"] = self.over
        if self.since is not None:
            row["from"] = self.since.isoformat()
        if self.until is not None:
            row["to"] = self.until.isoformat()
        if self.source not in sources:
            sources.append(self.source)
        row["source"] = sources.index(self.source)
        return row


@dataclass
class Names:
    """What a model's rows match."""

    exact: list[str] = field(default_factory=list)
    alias: list[str] = field(default_factory=list)
    pattern: list[str] = field(default_factory=list)


def plain(amount: Decimal) -> str:
    """A decimal without exponent or trailing zeros."""
    text = format(amount, "f")
    return text.rstrip("0").rstrip(".") if "." in text else text


def flat(prices: source.ModelPrice) -> Iterator[tuple[int | None, dict[str, Decimal]]]:
    """(context threshold, rates by bucket) for the base and each threshold of a set of prices."""
    base: dict[str, Decimal] = {}
    steps: dict[int, dict[str, Decimal]] = {}
    for name, bucket in BUCKETS.items():
        amount = getattr(prices, name, None)
        if isinstance(amount, source.TieredPrices):
            base[bucket] = amount.base
            for tier in amount.tiers:
                steps.setdefault(tier.start, {})[bucket] = tier.price
        elif amount is not None:
            base[bucket] = amount
    yield None, base
    below = base
    for start in sorted(steps):
        below = {**below, **steps[start]}
        yield start, below


def whole(left: source.ModelPrice, right: source.ModelPrice) -> source.ModelPrice:
    """`left` with what `right` says in its place."""
    merged = {name: getattr(left, name, None) for name in BUCKETS}
    merged.update({name: amount for name in BUCKETS if (amount := getattr(right, name, None)) is not None})
    return source.ModelPrice(**merged)


def segments(model: source.ModelInfo) -> Iterator[tuple[date | None, date | None, source.ModelPrice]]:
    """(from, to, prices): the standard prices over time. Of prices by the hour of day the one of more hours holds."""
    if isinstance(model.prices, source.ModelPrice):
        yield None, None, model.prices
        return
    dated: list[tuple[date | None, source.ModelPrice]] = []
    by_clock: list[tuple[float, source.ModelPrice]] = []
    for conditional in model.prices:
        rule = conditional.constraint
        if isinstance(rule, source.TimeOfDateConstraint):
            start, end = (at.hour + at.minute / 60 for at in (rule.start_time, rule.end_time))
            by_clock.append(((end - start) % 24, conditional.prices))
        else:
            dated.append((rule.start_date if rule else None, conditional.prices))
    if by_clock and sum(hours for hours, _ in by_clock) > 12:
        dated = [(None, by_clock[0][1])]
    dated.sort(key=lambda entry: entry[0] or date.min)
    for place, (since, prices) in enumerate(dated):
        until = dated[place + 1][0] if place + 1 < len(dated) else None
        yield since, until, prices


def model_prices(provider: source.Provider, model: source.ModelInfo) -> Iterator[Price]:
    """Every row of a model: over time, by tier, by length of the request."""
    read = f"genai-prices {version('genai-prices')}: {(provider.pricing_urls or [provider.name])[0]}"
    for since, until, standard in segments(model):
        for over, rates in flat(standard):
            yield Price(rates, read, over=over, since=since, until=until)
        seen: set[str] = set()
        for variant in model.price_variants or ():
            tier = TIERS.get(next(iter(variant.when.items()))) if len(variant.when) == 1 else None
            if tier is None or tier in seen:
                skipped["price by another condition"] += tier is None
                continue
            rule = variant.constraint
            known = rule.start_date if isinstance(rule, source.StartDateConstraint) else None
            if until is not None and known is not None and known >= until:
                continue
            seen.add(tier)
            first = max(filter(None, (since, known)), default=None)
            prices = list(flat(whole(standard, variant.prices)))
            for over, rates in prices:
                yield Price(rates, read, tier=tier, over=over, since=first, until=until)
            if tier == "batch" and first is not None:
                yield from earlier_batch(provider.id, standard, prices, since, first)
        if provider.id == "anthropic" and "batch" not in seen:
            yield from published_batch(provider.id, standard, since, until)


def earlier_batch(
    provider: str,
    standard: source.ModelPrice,
    prices: list[tuple[int | None, dict[str, Decimal]]],
    since: date | None,
    until: date,
) -> Iterator[Price]:
    """Batch prices before the package knew them, by the published rule, where today's follow it."""
    if provider not in BATCH_SINCE:
        return
    start, rule = BATCH_SINCE[provider]
    start = max(start, since or start)
    standards = list(flat(standard))
    halved = len(prices) == len(standards) and all(
        rates["input_fresh"] * 2 == base["input_fresh"] and rates["output_text"] * 2 == base["output_text"]
        for (_, rates), (_, base) in zip(prices, standards, strict=True)
        if "input_fresh" in base and "output_text" in base
    )
    if halved and start < until:
        for over, rates in prices:
            yield Price(dict(rates), rule, tier="batch", over=over, since=start, until=until)


def published_batch(
    provider: str, standard: source.ModelPrice, since: date | None, until: date | None
) -> Iterator[Price]:
    """Batch prices by the published rule for models that the package has none for."""
    start, rule = BATCH_SINCE[provider]
    start = max(start, since or start)
    if until is None or start < until:
        for over, rates in flat(standard):
            halved = {bucket: rate / 2 for bucket, rate in rates.items()}
            yield Price(halved, rule, tier="batch", over=over, since=start, until=until)


def with_cache_writes(model: str, prices: list[Price]) -> list[Price]:
    """Adds Anthropic's cache writes by the published multiples, where a source has the 5-minute or no rate alone."""
    if "claude" not in model:
        return prices
    for price in prices:
        rates = price.rates
        if "input_cache_read" in rates and "input_cache_write_1h" not in rates:
            rates.setdefault("input_cache_write_5m", rates["input_fresh"] * Decimal("1.25"))
            rates["input_cache_write_1h"] = rates["input_fresh"] * 2
            price.source += f"; {ONE_HOUR_RULE}"
    return prices


def gather(match: Any, names: Names) -> None:
    """Turns the package's matching rules into names and globs; regular expressions are mostly dates we strip anyway."""
    if isinstance(match, source.ClauseOr):
        for part in match.or_:
            gather(part, names)
    elif isinstance(match, source.ClauseEquals):
        names.alias.append(match.equals)
    elif isinstance(match, source.ClauseStartsWith):
        names.pattern.append(f"{match.starts_with}{'-' if match.starts_with == 'mixtral-8x7b' else ''}*")
    elif isinstance(match, source.ClauseEndsWith):
        names.pattern.append(f"*{match.ends_with}")
    elif isinstance(match, source.ClauseContains):
        names.pattern.append(f"*{match.contains}*")
    elif isinstance(match, source.ClauseAnd) and isinstance(match.and_[0], source.ClauseStartsWith):
        # "begins with x and is not a speech model": the speech models have longer patterns of their own.
        names.pattern.append(f"{match.and_[0].starts_with}*")
    else:
        skipped["matching rule"] += 1


def model_names(provider: str, model: source.ModelInfo, taken: set[str]) -> dict[str, list[str]]:
    """The names of a model by kind of match, without those that an earlier model of its provider has."""
    names = Names(exact=[model.id])
    gather(model.match, names)
    names.alias += EXTRA_ALIASES.get((provider, model.id), [])
    result: dict[str, list[str]] = {}
    for kind, of_kind in vars(names).items():
        fresh: list[str] = []
        for name in of_kind:
            key = f"pattern:{name.casefold()}" if kind == "pattern" else name.casefold()
            odd = name.endswith(":free") or (provider, name) in NOT_ITS_NAME or (kind == "pattern" and len(name) < 6)
            if key not in taken and not odd:
                taken.add(key)
                fresh.append(name)
        if fresh:
            result[kind] = fresh
    return result


def usable(prices: list[Price]) -> list[Price]:
    """Prices by the token with at most six decimals a million."""
    kept = [price for price in prices if "input_fresh" in price.rates or "output_text" in price.rates]
    skipped["not by the token"] += len(prices) - len(kept)
    exact = [price for price in kept if all(rate * 10**6 % 1 == 0 for rate in price.rates.values())]
    skipped["more than six decimals"] += len(kept) - len(exact)
    return exact


def make_book(read_on: date) -> dict[str, Any]:
    """The whole book, ready to be written."""
    sources: list[str] = []
    entries: list[dict[str, Any]] = []
    for provider in sorted(providers, key=lambda each: each.id):
        if provider.id not in PROVIDERS:
            continue
        # A later name of one model must not hide an exact name of another.
        taken: set[str] = set()
        exact = {model.id.casefold() for model in provider.models}
        for model in provider.models:
            if (provider.id, model.id) in SKIP_MODELS or model.id.startswith(SKIP_PREFIXES.get(provider.id, ("\0",))):
                continue
            prices = with_cache_writes(model.id, usable(list(model_prices(provider, model))))
            names = model_names(provider.id, model, taken | (exact - {model.id.casefold()}))
            taken.update(name.casefold() for kind in ("exact", "alias") for name in names.get(kind, []))
            taken.update(f"pattern:{name.casefold()}" for name in names.get("pattern", []))
            if prices and names:
                rows = [price.as_json(sources) for price in prices]
                entries.append({"provider": PROVIDERS[provider.id], "names": names, "prices": rows})
    mixtral = Price(MIXTRAL_RATES, MIXTRAL_SOURCE).as_json(sources)
    mixtral_names = {"exact": ["mixtral-8x7b", "mixtral-8x7b-instruct"]}
    entries.append({"provider": None, "names": mixtral_names, "prices": [mixtral]})
    embed = Price({"input_fresh": Decimal("0.1")}, "Cohere: Embed 3 models, https://cohere.com/pricing").as_json(
        sources
    )
    entries.append({"provider": "cohere", "names": {"exact": COHERE_EMBED_3}, "prices": [embed]})
    made = f"{read_on.isoformat()}+genai-prices-{version('genai-prices')}"
    return {"version": made, "read_on": read_on.isoformat(), "sources": sources, "entries": entries}


def main() -> None:
    """Write the book, one entry a line so that changes can be read."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--read-on", type=date.fromisoformat, required=True, help="the day the prices were read")
    parser.add_argument("--output", type=Path, default=OUTPUT)
    options = parser.parse_args()
    if options.read_on > date.today() + timedelta(days=1):
        parser.error("--read-on lies in the future")
    book = make_book(options.read_on)
    head = json.dumps({key: book[key] for key in ("version", "read_on", "sources")}, separators=(",", ":"))
    lines = ",\n".join(json.dumps(entry, separators=(",", ":"), ensure_ascii=False) for entry in book["entries"])
    options.output.write_text(f'{head[:-1]},"entries":[\n{lines}\n]}}\n', encoding="utf-8")
    rows = sum(len(entry["prices"]) * sum(map(len, entry["names"].values())) for entry in book["entries"])
    sys.stderr.write(f"{len(book['entries'])} models, {rows} rows; left out: {dict(skipped)}\n")


if __name__ == "__main__":
    main()
