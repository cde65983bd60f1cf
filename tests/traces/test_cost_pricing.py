"""What a span's cost is, and what is said where it is not known."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from traces.canonical.types import BUCKETS, CanonicalSpan, CostStatus, Kind, Origin, SpanFlag, Usage, Vocabulary
from traces.cost.book import MatchKind, PriceBook, PriceRow, Tier
from traces.cost.pricing import MAX_COST_PICO, missing_rates, price_span

RATES = {"input_fresh": 10, "input_cache_read": 1, "output_text": 40}


def row(rates: dict[str, int] | None = None, **changes: Any) -> PriceRow:
    values = {
        "match": MatchKind.EXACT,
        "model": "m",
        "rates": tuple((RATES if rates is None else rates).get(b) for b in BUCKETS),
        "price_id": 5,
    }
    return PriceRow(**{**values, **changes})


def span(usage: Usage | None = None, **changes: Any) -> CanonicalSpan:
    values: dict[str, Any] = {
        "trace_id": UUID(int=1),
        "span_id": 1,
        "parent_span_id": None,
        "name": "call",
        "kind": Kind.GENERATION,
        "started_us": 1_795_000_000_000_000,
        "start_ns": 0,
        "end_ns": None,
        "duration_ns": None,
        "origin": Origin(1, {}, "scope", "", {}, Vocabulary.GENAI),
        "model_answered": "m",
        "usage": usage,
    }
    return CanonicalSpan(**{**values, **changes})


def priced(usage: Usage | None = None, rows: list[PriceRow] | None = None, **changes: Any) -> CanonicalSpan:
    result = span(usage, **changes)
    price_span(result, PriceBook([row()] if rows is None else rows))
    return result


def test_cost_is_tokens_times_rates_with_the_row_that_priced_it() -> None:
    result = priced(Usage(input_fresh=7, input_cache_read=3, output_text=2))

    assert (result.cost_status, result.cost_pico) == (CostStatus.PRICED, 7 * 10 + 3 + 2 * 40)
    assert result.cost_parts == [70, 3, None, None, None, 80, None, None]
    assert (result.model_priced, result.price_id) == ("m", 5)


def test_the_requested_model_is_named_where_it_gave_the_price() -> None:
    result = priced(Usage(1, output_text=1), model_answered="unheard-of", model_requested="m")

    assert (result.model_priced, result.cost_pico) == ("m", 50)


def test_a_model_without_a_price_is_unpriced_and_never_zero() -> None:
    result = priced(Usage(7, output_text=2), rows=[])

    assert (result.cost_status, result.cost_pico, result.cost_parts) == (CostStatus.UNPRICED, None, None)
    assert (result.model_priced, result.price_id) == (None, None)


@pytest.mark.parametrize("usage", [None, Usage()])
@pytest.mark.parametrize("kind", [Kind.GENERATION, Kind.EMBEDDING, Kind.RERANKER])
def test_a_model_span_without_usage_is_unknown(kind: Kind, usage: Usage | None) -> None:
    result = priced(usage, kind=kind)

    assert (result.cost_status, result.cost_pico) == (CostStatus.UNKNOWN_USAGE, None)


@pytest.mark.parametrize("usage", [None, Usage()])
def test_a_span_that_called_no_model_has_no_cost(usage: Usage | None) -> None:
    result = priced(usage, kind=Kind.TOOL)

    assert (result.cost_status, result.cost_pico) == (None, None)


def test_usage_on_another_kind_of_span_is_priced() -> None:
    assert priced(Usage(1, output_text=1), kind=Kind.AGENT).cost_pico == 50


@pytest.mark.parametrize("usage", [Usage(input_fresh=7), Usage(output_text=7)])
def test_a_generation_of_which_one_side_is_unknown_is_not_summed_over_the_other(usage: Usage) -> None:
    assert priced(usage).cost_status is CostStatus.UNKNOWN_USAGE
    assert priced(usage, kind=Kind.EMBEDDING).cost_status is CostStatus.PRICED


def test_explicit_zero_rates_are_a_price() -> None:
    result = priced(Usage(7, output_text=2), rows=[row({"input_fresh": 0, "output_text": 0})])

    assert (result.cost_status, result.cost_pico) == (CostStatus.PRICED, 0)


def test_zero_tokens_need_no_rate() -> None:
    result = priced(Usage(7, 0, 0, 0, 0, 2, 0, 0), rows=[row({"input_fresh": 10, "output_text": 40})])

    assert (result.cost_status, result.cost_pico) == (CostStatus.PRICED, 150)


def test_reasoning_takes_the_output_rate() -> None:
    assert priced(Usage(0, output_text=1, output_reasoning=3)).cost_pico == 160
    own = row({**RATES, "output_reasoning": 7})
    assert priced(Usage(0, output_text=1, output_reasoning=3), rows=[own]).cost_pico == 61


@pytest.mark.parametrize("bucket", ["input_cache_write_5m", "input_cache_write_1h", "input_audio", "output_audio"])
def test_tokens_without_a_rate_make_the_cost_partial_and_name_the_bucket(bucket: str) -> None:
    usage = Usage(input_fresh=7, output_text=2)
    setattr(usage, bucket, 3)

    result = priced(usage)

    assert (result.cost_status, result.cost_pico) == (CostStatus.PARTIAL, None)
    assert result.cost_parts is not None
    assert (result.cost_parts[0], result.cost_parts[5]) == (70, 80)
    assert missing_rates(usage.buckets(), result.cost_parts) == [bucket]


def test_unknown_cache_counts_make_an_upper_bound_only_where_there_is_a_discount() -> None:
    blind = {"flags": int(SpanFlag.CACHE_UNKNOWN)}

    assert priced(Usage(7, output_text=2), **blind).cost_status is CostStatus.UPPER_BOUND
    assert priced(Usage(7, output_text=2), **blind).cost_pico == 150
    assert priced(Usage(0, output_text=2), **blind).cost_status is CostStatus.PRICED
    plain = row({"input_fresh": 10, "output_text": 40})
    assert priced(Usage(7, output_text=2), [plain], **blind).cost_status is CostStatus.PRICED


@pytest.mark.parametrize(
    ("tier", "status", "pico"),
    [
        ("batch", CostStatus.UPPER_BOUND, 150),
        ("flex", CostStatus.UPPER_BOUND, 150),
        ("priority", CostStatus.UNPRICED, None),
        ("default", CostStatus.PRICED, 150),
    ],
)
def test_a_tier_without_a_price_is_bounded_or_unpriced_and_never_understated(
    tier: str, status: CostStatus, pico: int | None
) -> None:
    result = priced(Usage(7, output_text=2), service_tier=tier)

    assert (result.cost_status, result.cost_pico) == (status, pico)


def test_a_tier_with_a_price_uses_it() -> None:
    halved = row({"input_fresh": 5, "output_text": 20}, tier=Tier.BATCH)

    assert priced(Usage(7, output_text=2), [row(), halved], service_tier="batch").cost_pico == 75


def test_context_threshold_counts_every_kind_of_input() -> None:
    rows = [row(), row({"input_fresh": 20, "input_cache_read": 2, "output_text": 80}, context_over=10)]

    assert priced(Usage(input_fresh=4, input_cache_read=6, output_text=1), rows).cost_pico == 86
    assert priced(Usage(input_fresh=4, input_cache_read=7, output_text=1), rows).cost_pico == 174


def test_a_model_run_by_the_hour_costs_its_time_whatever_its_tokens() -> None:
    hourly = [row({}, pico_per_hour=3_600 * 10**12)]

    for usage in (None, Usage(7, output_text=2)):
        result = priced(usage, hourly, duration_ns=1_500_000_000)
        assert (result.cost_status, result.cost_pico) == (CostStatus.PRICED, 1_500_000_000_000)
        assert result.cost_parts is None
    assert priced(None, hourly).cost_status is CostStatus.UNKNOWN_USAGE
    assert priced(None, hourly, kind=Kind.TOOL, duration_ns=1).cost_status is None
    assert priced(None, [row({}, pico_per_hour=1)], duration_ns=10**18).cost_pico == 277_778


def test_a_cost_nobody_pays_is_unknown_and_flagged() -> None:
    rows = [row({"input_fresh": 10**6, "output_text": 1})]

    edge = priced(Usage(MAX_COST_PICO // 10**6, output_text=0), rows)
    over = priced(Usage(MAX_COST_PICO // 10**6, output_text=1), rows)

    assert (edge.cost_status, edge.cost_pico) == (CostStatus.PRICED, MAX_COST_PICO)
    assert (over.cost_status, over.cost_pico, over.cost_parts) == (CostStatus.UNKNOWN_USAGE, None, None)
    assert over.flags & SpanFlag.IMPLAUSIBLE_COST
    assert not edge.flags & SpanFlag.IMPLAUSIBLE_COST


def test_what_the_sender_reports_stays_beside_our_cost() -> None:
    result = priced(Usage(7, output_text=2), cost_reported_pico=99)

    assert (result.cost_pico, result.cost_reported_pico) == (150, 99)
    assert priced(Usage(7, output_text=2), [], cost_reported_pico=99).cost_pico is None


@pytest.mark.parametrize("reported", [0, -1, MAX_COST_PICO + 1])
def test_a_reported_zero_is_unknown(reported: int) -> None:
    assert priced(Usage(7, output_text=2), cost_reported_pico=reported).cost_reported_pico is None


def test_pricing_again_forgets_what_was_before() -> None:
    result = span(Usage(7, output_text=2))
    price_span(result, PriceBook([row()]))

    price_span(result, PriceBook())

    assert (result.cost_status, result.cost_pico, result.cost_parts) == (CostStatus.UNPRICED, None, None)
    assert (result.model_priced, result.price_id) == (None, None)
