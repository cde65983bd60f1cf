"""Costs of usages as their speakers tell them, exact to the pico-dollar against figures worked by hand.

Figures are written as in docs/cost.md: tokens times US dollars a million, one term a bucket, in micro-dollars.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from traces.canonical.types import CanonicalSpan, CostStatus, Kind, Origin, SpanFlag, Usage, Vocabulary
from traces.canonical.usage import Counts, resolve
from traces.canonical.usage_maps import counts_from_map
from traces.cost.book import usd
from traces.cost.pricing import price_span
from traces.cost.shipped import shipped_book

AT_US = 1_795_000_000_000_000  # 2026-11-18


@dataclass
class Told:
    """One usage as a speaker tells it, and what it costs."""

    name: str
    model: str
    figure: str
    vocabulary: Vocabulary = Vocabulary.GENAI
    provider: str | None = "openai"
    counts: dict[str, Any] = field(default_factory=dict)
    usage_map: dict[str, Any] | None = None
    inclusive_map: bool = False
    blind: bool = False
    tier: str | None = None
    kind: Kind = Kind.GENERATION
    status: CostStatus = CostStatus.PRICED


def priced(told: Told) -> CanonicalSpan:
    if told.usage_map is None:
        counts = Counts(**told.counts)
    else:
        counts = counts_from_map(told.usage_map, inclusive=told.inclusive_map)
    resolved = resolve(
        counts,
        vocabulary=told.vocabulary,
        provider=told.provider,
        cache_blind=told.blind,
        is_error=False,
        has_output=True,
        source="test",
    )
    span = CanonicalSpan(
        trace_id=UUID(int=1),
        span_id=1,
        parent_span_id=None,
        name="call",
        kind=told.kind,
        started_us=AT_US,
        start_ns=AT_US * 1000,
        end_ns=None,
        duration_ns=None,
        origin=Origin(1, {}, "scope", "", {}, told.vocabulary),
        provider=told.provider,
        model_answered=told.model,
        service_tier=told.tier,
        usage=resolved.usage,
        flags=resolved.flags,
    )
    price_span(span, shipped_book())
    return span


def worked(figure: str) -> Decimal:
    """The sum of "tokens x dollars a million" terms, in dollars."""
    micro = sum(
        (Decimal(tokens) * Decimal(rate) for tokens, rate in (term.split("x") for term in figure.split("+"))),
        Decimal(0),
    )
    return micro / 1_000_000


SONNET = "claude-sonnet-4-20250514"
HAIKU = "claude-3-5-haiku-20241022"
EXAMPLE_A = "500x3.00 + 8000x0.30 + 1200x3.75 + 400x6.00 + 250x15.00"
EXAMPLE_B = "452x0.15 + 2048x0.075 + 300x0.60"
EXAMPLE_C = "1000x1.25 + 800x10.00"
BUCKETS_A = Usage(500, 8000, 1200, 400, None, 250, None, None)


@pytest.mark.parametrize(
    "told",
    [
        Told(
            "exclusive",
            SONNET,
            EXAMPLE_A,
            Vocabulary.OPENLIT,
            "anthropic",
            {"tokens_in": 500, "read": 8000, "write_5m": 1200, "write_1h": 400, "tokens_out": 250},
        ),
        Told(
            "inclusive",
            SONNET,
            EXAMPLE_A,
            Vocabulary.OPENINFERENCE,
            "anthropic",
            {"tokens_in": 10_100, "read": 8000, "write_5m": 1200, "write_1h": 400, "tokens_out": 250},
        ),
        Told(
            "inclusive, the sum of both lifetimes beside them",
            SONNET,
            EXAMPLE_A,
            Vocabulary.LANGSMITH,
            "anthropic",
            {"tokens_in": 10_100, "read": 8000, "write": 1600, "write_5m": 1200, "write_1h": 400, "tokens_out": 250},
        ),
        Told(
            "additive map",
            SONNET,
            EXAMPLE_A,
            Vocabulary.LANGFUSE,
            "anthropic",
            usage_map={
                "input": 500,
                "cache_read_input_tokens": 8000,
                "input_cache_write_5m": 1200,
                "input_cache_write_1h": 400,
                "output": 250,
                "total": 10_350,
            },
        ),
    ],
    ids=lambda told: told.name,
)
def test_example_a_is_the_same_whoever_tells_it(told: Told) -> None:
    span = priced(told)

    assert span.usage == BUCKETS_A
    assert usd(span.cost_pico or 0) == Decimal("0.01455")
    assert span.cost_status is CostStatus.PRICED
    assert [None if part is None else usd(part) for part in span.cost_parts or []] == [
        Decimal("0.0015"),
        Decimal("0.0024"),
        Decimal("0.0045"),
        Decimal("0.0024"),
        None,
        Decimal("0.00375"),
        None,
        None,
    ]


def test_example_a_without_the_lifetime_is_cheaper_and_says_so() -> None:
    span = priced(
        Told(
            "",
            SONNET,
            "",
            Vocabulary.GENAI,
            "anthropic",
            {"tokens_in": 10_100, "read": 8000, "write": 1600, "tokens_out": 250},
        )
    )

    assert usd(span.cost_pico or 0) == Decimal("0.01365")
    assert span.flags & SpanFlag.CACHE_TTL_ASSUMED


def test_example_b_with_and_without_cache_counts() -> None:
    seen = priced(
        Told("", "gpt-4o-mini", "", counts={"tokens_in": 2500, "read": 2048, "tokens_out": 300, "reasoning": 192})
    )
    blind = priced(Told("", "gpt-4o-mini", "", counts={"tokens_in": 2500, "tokens_out": 300}, blind=True))

    assert usd(seen.cost_pico or 0) == Decimal("0.0004014")
    assert seen.cost_status is CostStatus.PRICED
    assert usd(blind.cost_pico or 0) == Decimal("0.000555")
    assert blind.cost_status is CostStatus.UPPER_BOUND


def test_example_c_counts_thoughts_that_lie_outside_of_the_answer() -> None:
    raw = {"promptTokenCount": 1000, "candidatesTokenCount": 200, "thoughtsTokenCount": 600}

    span = priced(Told("", "gemini-2.5-pro", "", provider="gcp.gemini", usage_map=raw))

    assert span.usage is not None
    assert (span.usage.output_text, span.usage.output_reasoning) == (200, 600)
    assert usd(span.cost_pico or 0) == Decimal("0.00925")


OPENAI_MAP = {
    "prompt_tokens": 2500,
    "completion_tokens": 300,
    "total_tokens": 2800,
    "prompt_tokens_details": {"cached_tokens": 2048},
    "completion_tokens_details": {"reasoning_tokens": 192},
}
ANTHROPIC_MAP = {
    "input_tokens": 500,
    "output_tokens": 250,
    "cache_read_input_tokens": 8000,
    "cache_creation_input_tokens": 1600,
    "cache_creation": {"ephemeral_5m_input_tokens": 1200, "ephemeral_1h_input_tokens": 400},
}
V = Vocabulary
CASES = [
    Told("plain", "gpt-4o-mini", "1000x0.15 + 200x0.60", counts={"tokens_in": 1000, "tokens_out": 200}),
    Told("cached", "gpt-4o-mini", EXAMPLE_B, counts={"tokens_in": 2500, "read": 2048, "tokens_out": 300}),
    Told("all cached", "gpt-4o-mini", "1024x0.075 + 1x0.60", counts={"tokens_in": 1024, "read": 1024, "tokens_out": 1}),
    Told("one token", "gpt-4o-mini", "1x0.15 + 1x0.60", counts={"tokens_in": 1, "tokens_out": 1}),
    Told("nothing answered", "gpt-4o-mini", "77x0.15", counts={"tokens_in": 77, "tokens_out": 0}),
    Told("dated model", "gpt-4o-2024-08-06", "777x2.50 + 333x10", counts={"tokens_in": 777, "tokens_out": 333}),
    Told("4o cached", "gpt-4o", "500x2.50 + 500x1.25 + 9x10", counts={"tokens_in": 1000, "read": 500, "tokens_out": 9}),
    Told("turbo", "gpt-4-turbo", "1200x10 + 640x30", counts={"tokens_in": 1200, "tokens_out": 640}),
    Told("gpt-4", "gpt-4", "1200x30 + 640x60", counts={"tokens_in": 1200, "tokens_out": 640}),
    Told("3.5", "gpt-3.5-turbo", "4096x0.50 + 99x1.50", counts={"tokens_in": 4096, "tokens_out": 99}),
    Told(
        "reasoning inside",
        "o3",
        "300x2 + 500x8",
        counts={"tokens_in": 300, "tokens_out": 500, "reasoning": 448},
    ),
    Told(
        "reasoning larger than output",
        "o4-mini",
        "10x1.10 + 900x4.40",
        counts={"tokens_in": 10, "tokens_out": 100, "reasoning": 800},
    ),
    Told("gpt-5", "gpt-5", "100x1.25 + 900x0.125 + 64x10", counts={"tokens_in": 1000, "read": 900, "tokens_out": 64}),
    Told(
        "openai batch",
        "gpt-4o-mini",
        "1000x0.075 + 200x0.30",
        counts={"tokens_in": 1000, "tokens_out": 200},
        tier="batch",
    ),
    Told(
        "openai priority",
        "gpt-4o-mini",
        "1000x0.25 + 200x1",
        counts={"tokens_in": 1000, "tokens_out": 200},
        tier="priority",
    ),
    Told("openai flex", "gpt-5", "1000x0.625 + 200x5", counts={"tokens_in": 1000, "tokens_out": 200}, tier="flex"),
    Told(
        "openai default tier",
        "gpt-4o-mini",
        "1000x0.15 + 200x0.60",
        counts={"tokens_in": 1000, "tokens_out": 200},
        tier="default",
    ),
    Told("3-small", "text-embedding-3-small", "8191x0.02", counts={"tokens_in": 8191}, kind=Kind.EMBEDDING),
    Told("3-large", "text-embedding-3-large", "8191x0.13", counts={"tokens_in": 8191}, kind=Kind.EMBEDDING),
    Told(
        "ada-002", "text-embedding-ada-002", "17x0.10", counts={"tokens_in": 17, "tokens_out": 0}, kind=Kind.EMBEDDING
    ),
    Told(
        "openai-v2 blind",
        "gpt-4o-mini",
        "2500x0.15 + 300x0.60",
        counts={"tokens_in": 2500, "tokens_out": 300},
        blind=True,
        status=CostStatus.UPPER_BOUND,
    ),
    Told(
        "logfire blind without discount",
        "gpt-4-turbo",
        "25x10 + 3x30",
        V.LOGFIRE,
        counts={"tokens_in": 25, "tokens_out": 3},
        blind=True,
    ),
    Told(
        "openinference",
        "gpt-4o-mini",
        EXAMPLE_B,
        V.OPENINFERENCE,
        counts={"tokens_in": 2500, "read": 2048, "tokens_out": 300, "reasoning": 192},
    ),
    Told(
        "openllmetry anthropic",
        HAIKU,
        "100x0.80 + 900x0.08 + 50x4",
        V.OPENLLMETRY,
        "anthropic",
        {"tokens_in": 1000, "read": 900, "tokens_out": 50},
    ),
    Told(
        "openlit anthropic",
        HAIKU,
        "1000x0.80 + 900x0.08 + 50x4",
        V.OPENLIT,
        "anthropic",
        {"tokens_in": 1000, "read": 900, "tokens_out": 50},
    ),
    Told(
        "openlit openai",
        "gpt-4o-mini",
        "100x0.15 + 900x0.075 + 50x0.60",
        V.OPENLIT,
        counts={"tokens_in": 1000, "read": 900, "tokens_out": 50},
    ),
    Told(
        "exclusive for certain",
        HAIKU,
        "10x0.80 + 900x0.08 + 100x1.00 + 50x4",
        V.GENAI,
        "anthropic",
        {"tokens_in": 10, "read": 900, "write": 100, "tokens_out": 50},
    ),
    Told(
        "native anthropic",
        HAIKU,
        "20x0.80 + 60x0.08 + 20x1.60 + 5x4",
        V.ANTHROPIC,
        "anthropic",
        {"tokens_in": 100, "read": 60, "write_1h": 20, "tokens_out": 5},
    ),
    Told("langfuse raw openai", "gpt-4o-mini", EXAMPLE_B, V.LANGFUSE, usage_map=OPENAI_MAP),
    Told("langfuse raw anthropic", SONNET, EXAMPLE_A, V.LANGFUSE, "anthropic", usage_map=ANTHROPIC_MAP),
    Told(
        "langfuse additive",
        "gpt-4o-mini",
        "452x0.15 + 2048x0.075 + 108x0.60 + 192x0.60",
        V.LANGFUSE,
        usage_map={
            "input": 452,
            "input_cached_tokens": 2048,
            "output": 108,
            "output_reasoning_tokens": 192,
            "total": 2800,
        },
    ),
    Told("langfuse plain", "gpt-4o", "12x2.50 + 34x10", V.LANGFUSE, usage_map={"input": 12, "output": 34, "total": 46}),
    Told(
        "mlflow",
        HAIKU,
        "100x0.80 + 900x0.08 + 50x4",
        V.MLFLOW,
        "anthropic",
        usage_map={"input_tokens": 1000, "output_tokens": 50, "total_tokens": 1050, "cache_read_input_tokens": 900},
        inclusive_map=True,
    ),
    Told(
        "opus",
        "claude-3-opus-20240229",
        "1000x15 + 200x75",
        provider="anthropic",
        counts={"tokens_in": 1000, "tokens_out": 200},
    ),
    Told(
        "anthropic batch",
        HAIKU,
        "1000x0.40 + 200x2",
        provider="anthropic",
        counts={"tokens_in": 1000, "tokens_out": 200},
        tier="batch",
    ),
    Told(
        "bedrock",
        "us.anthropic.claude-sonnet-4-20250514-v1:0",
        "1000x3 + 200x15",
        provider="aws.bedrock",
        counts={"tokens_in": 1000, "tokens_out": 200},
    ),
    Told(
        "vertex",
        "claude-sonnet-4-5@20250929",
        "1000x3 + 200x15",
        provider="gcp.vertex_ai",
        counts={"tokens_in": 1000, "tokens_out": 200},
    ),
    Told(
        "azure",
        "gpt-4o-2024-11-20",
        "1000x2.50 + 200x10",
        provider="azure.ai.openai",
        counts={"tokens_in": 1000, "tokens_out": 200},
    ),
    Told(
        "gemini short",
        "gemini-2.5-pro",
        "200000x1.25 + 1x10",
        provider="gcp.gemini",
        counts={"tokens_in": 200_000, "tokens_out": 1},
    ),
    Told(
        "gemini long",
        "gemini-2.5-pro",
        "200001x2.50 + 1x15",
        provider="gcp.gemini",
        counts={"tokens_in": 200_001, "tokens_out": 1},
    ),
    Told(
        "gemini long by its cache",
        "gemini-2.5-pro",
        "1x2.50 + 200000x0.25 + 1x15",
        provider="gcp.gemini",
        counts={"tokens_in": 200_001, "read": 200_000, "tokens_out": 1},
    ),
    Told(
        "gemini audio",
        "gemini-2.5-flash",
        "600x0.30 + 400x1 + 10x2.50",
        provider="gcp.gemini",
        counts={"tokens_in": 1000, "audio_in": 400, "tokens_out": 10},
    ),
    Told(
        "realtime audio",
        "gpt-4o-realtime-preview",
        "100x5 + 900x40 + 50x20 + 150x80",
        counts={"tokens_in": 1000, "audio_in": 900, "tokens_out": 200, "audio_out": 150},
    ),
    Told(
        "groq",
        "llama-3.3-70b-versatile",
        "1000x0.59 + 200x0.79",
        provider="groq",
        counts={"tokens_in": 1000, "tokens_out": 200},
    ),
    Told(
        "litellm prefix",
        "groq/llama-3.3-70b-versatile",
        "1000x0.59 + 200x0.79",
        V.LITELLM,
        None,
        {"tokens_in": 1000, "tokens_out": 200},
    ),
    Told(
        "mistral",
        "mistral-large-2512",
        "1000x0.50 + 200x1.50",
        provider="mistral_ai",
        counts={"tokens_in": 1000, "tokens_out": 200},
    ),
    Told(
        "deepseek",
        "deepseek-chat",
        "200x0.27 + 800x0.07 + 50x1.10",
        provider="deepseek",
        counts={"tokens_in": 1000, "read": 800, "tokens_out": 50},
    ),
    Told(
        "cohere",
        "command-r-plus-08-2024",
        "1000x2.50 + 200x10",
        provider="cohere",
        counts={"tokens_in": 1000, "tokens_out": 200},
    ),
    Told(
        "cohere embed",
        "embed-english-v3.0",
        "512x0.10",
        provider="cohere",
        counts={"tokens_in": 512},
        kind=Kind.EMBEDDING,
    ),
    Told("voyage", "voyage-3-large", "512x0.18", provider="voyageai", counts={"tokens_in": 512}, kind=Kind.EMBEDDING),
    Told("grok", "grok-3", "1000x3 + 200x15", provider="x_ai", counts={"tokens_in": 1000, "tokens_out": 200}),
    Told(
        "mixtral",
        "mixtral-8x7b",
        "1000x0.27 + 200x0.81",
        provider="mistral_ai",
        counts={"tokens_in": 1000, "tokens_out": 200},
    ),
]


def test_there_are_enough_cases() -> None:
    assert len(CASES) >= 40
    assert len({told.name for told in CASES}) == len(CASES)
    assert {told.vocabulary for told in CASES} >= set(V) - {V.HTTP, V.NATIVE, V.PLAIN, V.LANGSMITH}


@pytest.mark.parametrize("told", CASES, ids=lambda told: told.name)
def test_cost_to_the_pico_dollar(told: Told) -> None:
    span = priced(told)

    assert span.cost_status is told.status
    assert usd(span.cost_pico or 0) == worked(told.figure)
    assert sum(part or 0 for part in span.cost_parts or []) == span.cost_pico
    assert span.model_priced == told.model
