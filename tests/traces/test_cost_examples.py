"""The worked examples of docs/cost.md, told by speakers who disagree about what "input" includes."""

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
    """One usage as a speaker tells it."""

    name: str
    model: str
    vocabulary: Vocabulary = Vocabulary.GENAI
    provider: str | None = "openai"
    counts: dict[str, Any] = field(default_factory=dict)
    usage_map: dict[str, Any] | None = None
    blind: bool = False


def priced(told: Told) -> CanonicalSpan:
    counts = Counts(**told.counts) if told.usage_map is None else counts_from_map(told.usage_map)
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
        kind=Kind.GENERATION,
        started_us=AT_US,
        start_ns=AT_US * 1000,
        end_ns=None,
        duration_ns=None,
        origin=Origin(1, {}, "scope", "", {}, told.vocabulary),
        provider=told.provider,
        model_answered=told.model,
        usage=resolved.usage,
        flags=resolved.flags,
    )
    price_span(span, shipped_book())
    return span


SONNET = "claude-sonnet-4-20250514"
BUCKETS_A = Usage(500, 8000, 1200, 400, None, 250, None, None)


@pytest.mark.parametrize(
    "told",
    [
        Told(
            "exclusive",
            SONNET,
            Vocabulary.OPENLIT,
            "anthropic",
            {"tokens_in": 500, "read": 8000, "write_5m": 1200, "write_1h": 400, "tokens_out": 250},
        ),
        Told(
            "inclusive",
            SONNET,
            Vocabulary.OPENINFERENCE,
            "anthropic",
            {"tokens_in": 10_100, "read": 8000, "write_5m": 1200, "write_1h": 400, "tokens_out": 250},
        ),
        Told(
            "inclusive, the sum of both lifetimes beside them",
            SONNET,
            Vocabulary.LANGSMITH,
            "anthropic",
            {"tokens_in": 10_100, "read": 8000, "write": 1600, "write_5m": 1200, "write_1h": 400, "tokens_out": 250},
        ),
        Told(
            "additive map",
            SONNET,
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
            Vocabulary.GENAI,
            "anthropic",
            {"tokens_in": 10_100, "read": 8000, "write": 1600, "tokens_out": 250},
        )
    )

    assert usd(span.cost_pico or 0) == Decimal("0.01365")
    assert span.flags & SpanFlag.CACHE_TTL_ASSUMED


def test_example_b_with_and_without_cache_counts() -> None:
    seen = priced(
        Told("", "gpt-4o-mini", counts={"tokens_in": 2500, "read": 2048, "tokens_out": 300, "reasoning": 192})
    )
    blind = priced(Told("", "gpt-4o-mini", counts={"tokens_in": 2500, "tokens_out": 300}, blind=True))

    assert usd(seen.cost_pico or 0) == Decimal("0.0004014")
    assert seen.cost_status is CostStatus.PRICED
    assert usd(blind.cost_pico or 0) == Decimal("0.000555")
    assert blind.cost_status is CostStatus.UPPER_BOUND


def test_example_c_counts_thoughts_that_lie_outside_of_the_answer() -> None:
    raw = {"promptTokenCount": 1000, "candidatesTokenCount": 200, "thoughtsTokenCount": 600}

    span = priced(Told("", "gemini-2.5-pro", provider="gcp.gemini", usage_map=raw))

    assert span.usage is not None
    assert (span.usage.output_text, span.usage.output_reasoning) == (200, 600)
    assert usd(span.cost_pico or 0) == Decimal("0.00925")
