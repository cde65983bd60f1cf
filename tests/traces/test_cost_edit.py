"""Prices as people type them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from traces.canonical.types import BUCKETS
from traces.cost.book import Level, MatchKind, PriceBook, PriceRow, Tier
from traces.cost.edit import FIELDS, FieldError, find_clash, parse_price_form

TODAY = date(2026, 11, 21)


def form(**changes: Any) -> dict[str, Any]:
    return {"model": "my-model", "input_fresh": "0.15", "output_text": "0.60", **changes}


def parsed(**changes: Any) -> PriceRow:
    row = parse_price_form(form(**changes), today=TODAY)
    assert isinstance(row, PriceRow), row
    return row


def errors(**changes: Any) -> list[FieldError]:
    found = parse_price_form(form(**changes), today=TODAY)
    assert isinstance(found, list), found
    return found


def test_a_plain_form_becomes_a_row_of_the_project_in_whole_pico_dollars() -> None:
    row = parsed()

    assert row.rates == (150_000, None, None, None, None, 600_000, None, None)
    assert (row.match, row.level, row.tier) == (MatchKind.EXACT, Level.PROJECT, Tier.STANDARD)
    assert (row.provider, row.context_over, row.pico_per_hour) == (None, None, None)
    assert (row.effective_from, row.effective_to) == (None, None)
    assert (row.source, row.source_date) == ("entered by hand", TODAY)
    assert PriceBook([row]).match(None, "my-model", None, 0) is not None


def test_a_full_form_keeps_everything() -> None:
    row = parse_price_form(
        form(
            match="pattern",
            model=" my-* ",
            provider="azure",
            tier="batch",
            context_over="200000",
            input_cache_read=0.075,
            output_reasoning=1,
            effective_from="2026-11-01",
            effective_to="2026-12-01T00:00:00+01:00",
            source="contract",
            source_date="2026-10-30",
        ),
        level=Level.INSTALLATION,
        zone=ZoneInfo("Europe/Berlin"),
    )

    assert isinstance(row, PriceRow)
    assert (row.level, row.match, row.model) == (Level.INSTALLATION, MatchKind.PATTERN, "my-*")
    assert (row.provider, row.tier, row.context_over) == ("azure", Tier.BATCH, 200_000)
    assert row.rates == (150_000, 75_000, None, None, None, 600_000, 1_000_000, None)
    assert row.effective_from == datetime(2026, 10, 31, 23, tzinfo=UTC)
    assert row.effective_to == datetime(2026, 11, 30, 23, tzinfo=UTC)
    assert (row.source, row.source_date) == ("contract", date(2026, 10, 30))


def test_hours_are_a_price_of_their_own() -> None:
    row = parsed(input_fresh="", output_text=None, usd_per_hour="2.5")

    assert row.pico_per_hour == 2_500_000_000_000
    assert errors(usd_per_hour="2.5")[0].field == "usd_per_hour"


@pytest.mark.parametrize("value", ["0", 0, 0.0, "0.000001", "1000000", 1_000_000, "+1", " 2 ", Decimal("0.5")])
def test_amounts_that_can_be_read(value: Any) -> None:
    assert parsed(input_fresh=value).rates[0] == int(Decimal(str(value).strip()) * 1_000_000)


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ("0.0000001", "at most 6 decimals"),
        (1e-7, "at most 6 decimals"),
        ("0." + "1" * 60, "at most 6 decimals"),
        ("1000000.000001", "between 0 and 1,000,000"),
        ("-0.1", "between 0 and 1,000,000"),
        (float("nan"), "between 0"),
        (float("inf"), "between 0"),
        ("abc", "decimal number"),
        ("1e3", "decimal number"),
        ("1_000", "decimal number"),
        ("1,5", "decimal number"),
        ("٣", "decimal number"),
        ("--5", "decimal number"),
        ("9" * 100_000, "decimal number"),
        (True, "decimal number"),
        ([1], "decimal number"),
    ],
)
def test_amounts_that_cannot_be_read_name_field_and_limit(value: Any, message: str) -> None:
    (error,) = errors(input_fresh=value)

    assert error.field == "input_fresh"
    assert message in error.message
    assert len(error.value) <= 80


def test_all_errors_are_told_at_once() -> None:
    found = errors(model="", input_fresh="x", tier="gold", match="regex", effective_from="soon", context_over="-1")

    assert {error.field for error in found} == {
        "model",
        "input_fresh",
        "tier",
        "match",
        "effective_from",
        "context_over",
    }
    assert {error.field for error in found} <= set(FIELDS)


def test_a_row_needs_a_price_and_zero_is_one() -> None:
    (error,) = errors(input_fresh="", output_text="")

    assert "0 means free" in error.message
    assert parsed(input_fresh="0", output_text="").rates[0] == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"model": "x" * 201}, "at most 200 characters, has 201"),
        ({"model": "a\x00b"}, "control characters"),
        ({"model": 5}, "must be text"),
        ({"model": "gpt-*"}, "choose match pattern"),
        ({"model": "gpt", "match": "pattern"}, "without one, match exactly"),
        ({"model": "*a*b*c*d*e*", "match": "pattern"}, "one to 5"),
        ({"model": "*", "match": "pattern"}, "at least 2 characters"),
    ],
)
def test_models_and_patterns_that_are_refused(changes: dict[str, Any], message: str) -> None:
    (error,) = errors(**changes)

    assert error.field == "model"
    assert message in error.message


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"effective_from": "2026-02-30"}, "effective_from"),
        ({"effective_from": "9999-12-31"}, "effective_from"),
        ({"effective_from": "0001-01-01T00:00:00+23:00"}, "effective_from"),
        ({"effective_from": "2026-11-02", "effective_to": "2026-11-02"}, "effective_to"),
        ({"context_over": "0"}, "context_over"),
        ({"context_over": 1.5}, "context_over"),
        ({"context_over": "9" * 30}, "context_over"),
        ({"source": "x" * 501}, "source"),
        ({"provider": "a\nb"}, "provider"),
    ],
)
def test_other_fields_that_are_refused(changes: dict[str, Any], field: str) -> None:
    assert [error.field for error in errors(**changes)] == [field]


def test_two_rows_for_the_same_calls_at_the_same_time_clash() -> None:
    first = parsed(effective_from="2026-11-01", effective_to="2026-12-01")

    assert find_clash(parsed(model="MY-model"), [first]) is first
    assert find_clash(parsed(effective_from="2026-12-01"), [first]) is None
    assert find_clash(parsed(effective_to="2026-11-01"), [first]) is None
    for other in ({"tier": "batch"}, {"context_over": 5}, {"provider": "azure"}, {"model": "other"}):
        assert find_clash(parsed(**other), [first]) is None


def test_dates_without_a_zone_are_utc_unless_told() -> None:
    row = parsed(effective_from="2026-11-01T12:00:00")

    assert row.effective_from == datetime(2026, 11, 1, 12, tzinfo=UTC)
    assert row.effective_from.utcoffset() == timedelta(0)
    assert set(BUCKETS) <= set(FIELDS)
