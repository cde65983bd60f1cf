"""Which price row applies to a call."""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from traces.canonical.types import BUCKETS
from traces.cost.book import Level, MatchKind, PriceBook, PriceRow, Tier, tier_of, usd
from traces.cost.names import Glob, fold, makers, provider_key, stripped

NOON = datetime(2026, 11, 1, 12, tzinfo=UTC)


def us(moment: datetime) -> int:
    return int(moment.timestamp()) * 1_000_000 + moment.microsecond


def row(model: str = "m", rate: int = 1, **changes: Any) -> PriceRow:
    """A project's exact row that charges `rate` for each fresh input token; the rate tells rows apart."""
    rates = (rate, *(None,) * (len(BUCKETS) - 1))
    return PriceRow(**{"match": MatchKind.EXACT, "model": model, "rates": rates, **changes})


def rate(
    rows: list[PriceRow],
    answered: str | None = "m",
    requested: str | None = None,
    *,
    provider: str | None = None,
    at: datetime = NOON,
    tier: str | None = None,
    tokens: int | None = 10,
) -> int | None:
    found = PriceBook(rows).match(provider, answered, requested, us(at), tier, tokens)
    return None if found is None else found.row.rates[0]


def test_no_row_is_no_price() -> None:
    assert rate([], "m") is None
    assert rate([row("other")], "m") is None
    assert rate([row()], None) is None
    assert rate([row()], "  ") is None


def test_project_goes_before_installation_goes_before_shipped() -> None:
    rows = [row(rate=3, level=Level.SHIPPED), row(rate=1, level=Level.PROJECT), row(rate=2, level=Level.INSTALLATION)]

    assert rate(rows) == 1
    assert rate([rows[0], rows[2]]) == 2
    assert rate([rows[0]]) == 3


def test_a_looser_fit_of_the_project_goes_before_an_exact_shipped_one() -> None:
    assert rate([row("m-1", 3, level=Level.SHIPPED), row("m*", 1, match=MatchKind.PATTERN)], "m-1") == 1


def test_a_projects_row_not_in_force_leaves_the_shipped_one() -> None:
    rows = [row(rate=1, effective_from=NOON + timedelta(days=1)), row(rate=3, level=Level.SHIPPED)]

    assert rate(rows) == 3


def test_exact_before_alias_before_stripped_before_pattern() -> None:
    name = "openai/m-2024-08-06"
    by_fit = [
        row(name, 1),
        row(name, 2, match=MatchKind.ALIAS),
        row("m-2024-08-06", 3),
        row("openai/m", 4),
        row("m", 5),
        row("*m-2024*", 6, match=MatchKind.PATTERN),
    ]

    for first in range(len(by_fit)):
        assert rate(by_fit[first:][::-1], name) == first + 1


def test_the_pattern_with_more_letters_goes_first() -> None:
    rows = [row("gpt-*", 1, match=MatchKind.PATTERN), row("gpt-4o-*", 2, match=MatchKind.PATTERN)]

    assert rate(rows, "gpt-4o-mini") == 2
    assert rate(rows, "gpt-3") == 1


def test_answered_model_before_requested_one() -> None:
    book = PriceBook([row("asked", 1), row("answered", 2)])

    both = book.match(None, "answered", "asked", us(NOON))
    fallback = book.match(None, "unknown", "asked", us(NOON))

    assert both is not None
    assert (both.row.rates[0], both.model) == (2, "answered")
    assert fallback is not None
    assert (fallback.row.rates[0], fallback.model) == (1, "asked")


def test_a_loose_fit_of_the_answered_model_goes_before_an_exact_one_of_the_requested() -> None:
    assert rate([row("asked", 1), row("ans*", 2, match=MatchKind.PATTERN)], "answered", "asked") == 2


def test_a_project_price_for_the_requested_name_is_not_passed_over_for_a_shipped_one() -> None:
    assert rate([row("my-deployment", 1), row("gpt-4o", 2, level=Level.SHIPPED)], "gpt-4o", "my-deployment") == 1


@pytest.mark.parametrize(
    ("at", "expected"),
    [
        (datetime(2026, 10, 31, 23, 59, 59, 999_999, tzinfo=UTC), 1),
        (datetime(2026, 11, 1, tzinfo=UTC), 2),
        (datetime(2026, 11, 30, 23, 59, 59, 999_999, tzinfo=UTC), 2),
        (datetime(2026, 12, 1, tzinfo=UTC), None),
    ],
)
def test_rows_are_in_force_from_their_start_to_before_their_end(at: datetime, expected: int | None) -> None:
    rows = [
        row(rate=1, effective_to=datetime(2026, 11, 1, tzinfo=UTC)),
        row(rate=2, effective_from=datetime(2026, 11, 1, tzinfo=UTC), effective_to=datetime(2026, 12, 1, tzinfo=UTC)),
    ]

    assert rate(rows, at=at) == expected


def test_of_rows_in_force_together_the_later_start_then_the_newer_version_wins() -> None:
    assert rate([row(rate=1), row(rate=2, effective_from=NOON - timedelta(days=1))]) == 2
    assert rate([row(rate=2, version="2026-11"), row(rate=1, version="2026-10")]) == 2
    assert rate([row(rate=1, price_id=7), row(rate=2, price_id=8)]) == 2


@pytest.mark.parametrize(("tokens", "expected"), [(None, 1), (0, 1), (200, 1), (201, 2), (1000, 2), (1001, 3)])
def test_context_threshold_holds_for_the_whole_request_above_it(tokens: int | None, expected: int) -> None:
    rows = [row(rate=1), row(rate=2, context_over=200), row(rate=3, context_over=1000)]

    assert rate(rows, tokens=tokens) == expected


def test_a_tier_of_its_own_goes_before_the_standard_price() -> None:
    rows = [row(rate=1), row(rate=2, tier=Tier.BATCH, level=Level.SHIPPED)]
    book = PriceBook(rows)

    batch = book.match(None, "m", None, us(NOON), "batch")
    flex = book.match(None, "m", None, us(NOON), "flex")

    assert batch is not None
    assert (batch.row.rates[0], batch.exact_tier) == (2, True)
    assert flex is not None
    assert (flex.row.rates[0], flex.exact_tier) == (1, False)
    assert rate(rows) == 1


@pytest.mark.parametrize(
    ("text", "tier"),
    [
        (None, Tier.STANDARD),
        ("", Tier.STANDARD),
        ("default", Tier.STANDARD),
        ("auto", Tier.STANDARD),
        ("scale", Tier.STANDARD),
        ("no such tier", Tier.STANDARD),
        ("Batch", Tier.BATCH),
        (" flex ", Tier.FLEX),
        ("priority", Tier.PRIORITY),
        ("fast", Tier.PRIORITY),
    ],
)
def test_service_tiers_as_senders_write_them(text: str | None, tier: Tier) -> None:
    assert tier_of(text) is tier


def test_a_row_of_the_provider_goes_before_one_for_all() -> None:
    rows = [row(rate=1), row(rate=2, provider="azure.ai.openai")]

    assert rate(rows, provider="azure") == 2
    assert rate(rows, provider="openai") == 1
    assert rate(rows) == 1


def test_a_row_of_another_provider_does_not_apply() -> None:
    assert rate([row("llama-3.3-70b", provider="groq")], "llama-3.3-70b", provider="together") is None
    assert rate([row("llama-3.3-70b", provider="groq")], "llama-3.3-70b") is None


def test_the_makers_price_applies_where_the_name_can_only_be_its_own() -> None:
    rows = [row("gpt-4o", provider="openai")]

    for provider in (None, "openai", "azure.ai.openai", "langchain", "my-gateway"):
        assert rate(rows, "gpt-4o", provider=provider) == 1
    for provider in ("ollama", "vllm", "groq"):
        assert rate(rows, "gpt-4o", provider=provider) is None


def test_open_weights_are_never_priced_by_their_name() -> None:
    assert rate([row("gpt-oss-120b", provider="openai")], "gpt-oss-120b") is None
    assert makers(None, "ollama/mistral-large") == ["ollama"]
    assert makers(None, "llama-3.3-70b") == []


def test_a_host_in_the_models_name_is_its_provider() -> None:
    assert rate([row("llama-3.3", provider="groq")], "groq/llama-3.3") == 1
    assert rate([row("llama-3.3", provider="groq")], "groq/llama-3.3", provider="litellm") == 1


@pytest.mark.parametrize(
    ("name", "others"),
    [
        ("gpt-4o", []),
        ("gpt-4o-2024-08-06", ["gpt-4o"]),
        ("claude-3-5-haiku-20241022", ["claude-3-5-haiku"]),
        ("claude-sonnet-4@20250514", ["claude-sonnet-4"]),
        ("openai/gpt-4o", ["gpt-4o"]),
        ("models/gemini-2.5-flash", ["gemini-2.5-flash"]),
        ("publishers/google/models/gemini-2.5-flash", ["gemini-2.5-flash"]),
        ("projects/acme/locations/eu/publishers/google/models/gemini", ["gemini"]),
        ("accounts/fireworks/models/llama", ["llama"]),
        ("anthropic.claude-x", ["claude-x"]),
        ("us.anthropic.claude-x-20250514-v1:0", ["claude-x-20250514-v1:0", "us.anthropic.claude-x", "claude-x"]),
        ("my-team/gpt-4o", []),
        ("gpt-4-0613", []),
        ("ft:gpt-4o-mini-2024-07-18:acme::id", []),
        ("m-2024-99-99", []),
        ("openai/", []),
        ("", []),
    ],
)
def test_other_names_of_a_model(name: str, others: list[str]) -> None:
    assert stripped(name) == others


@pytest.mark.parametrize(
    ("glob", "name", "fits"),
    [
        ("gpt-*", "gpt-4", True),
        ("gpt-*", "my-gpt-4", False),
        ("*-mini", "gpt-4o-mini", True),
        ("*-mini", "gpt-4o-mini-2", False),
        ("a*b*c", "a-b-b-c", True),
        ("a*b*c", "acb", False),
        ("a*a", "a", False),
        ("a*a", "aa", True),
        ("**", "anything", True),
        ("gpt", "gpt", True),
        ("gpt", "gpt-4", False),
        ("GPT-*", "gpt-4", True),
        ("a.c*", "abcd", False),
        ("x*ab*ab*x", "xababx", True),
        ("x*ab*ab*x", "xabx", False),
    ],
)
def test_patterns_are_anchored_globs(glob: str, name: str, fits: bool) -> None:
    assert Glob(glob).matches(name) is fits


def test_hostile_names_cost_no_time() -> None:
    rows = [row("*a*a*a*a*b", match=MatchKind.PATTERN), row("a" * 200)]
    before = time.process_time()

    assert rate(rows, "a" * 1_000_000) is None
    assert rate(rows, "/" * 100_000) is None
    assert rate(rows, "-2024-08-06" * 50_000, "us." * 100_000) is None

    assert time.process_time() - before < 2
    assert len(fold("x" * 10_000)) == 1024


def test_names_match_whatever_their_case() -> None:
    assert rate([row("GPT-4o")], "gpt-4O ") == 1
    assert provider_key(" Azure-OpenAI ") == "azure"


def test_free_is_a_price() -> None:
    assert rate([row(rate=0)]) == 0


def test_project_rows_over_a_base_leave_the_base_alone() -> None:
    base = PriceBook([row(rate=3, level=Level.SHIPPED, price_id=-3)])

    book = PriceBook([row(rate=1, price_id=1)], base=base)

    found, below = book.match(None, "m", None, us(NOON)), base.match(None, "m", None, us(NOON))
    assert found is not None
    assert below is not None
    assert (found.row.rates[0], below.row.rates[0]) == (1, 3)
    assert book.row(-3) is not None
    assert base.row(1) is None
    with pytest.raises(ValueError, match="shipped"):
        PriceBook([row(level=Level.SHIPPED)], base=base)


def test_the_same_question_is_answered_from_memory_and_made_up_names_do_not_pile_up() -> None:
    book = PriceBook([row()])

    first = book.match(None, "m", None, us(NOON))

    assert book.match(None, "m", None, us(NOON)) is first
    for number in range(9000):
        book.match(None, f"made-up-{number}", None, us(NOON))
    assert len(book._plans) <= 8192


def test_amounts_are_exact_at_any_size() -> None:
    assert usd(1) == Decimal("0.000000000001")
    assert usd(-1_500_000_000_000) == Decimal("-1.5")
    assert str(usd(10**30 + 1)).endswith("000000000001")
    assert row(rate=150_000).usd_per_million("input_fresh") == Decimal("0.15")
    assert str(row(rate=10_000_000).usd_per_million("input_fresh")) == "10"
    assert row().usd_per_million("output_text") is None
    assert row(pico_per_hour=2_500_000_000_000).usd_per_hour == Decimal("2.5")
    assert row(source_date=date(2026, 1, 1)).usd_per_hour is None
