"""The price book that ships with the product."""

from __future__ import annotations

import json
from collections import Counter
from datetime import UTC, date, datetime
from decimal import Decimal
from itertools import pairwise
from pathlib import Path

import pytest

from traces.cost.book import Level, MatchKind, PriceRow, Tier
from traces.cost.names import fold
from traces.cost.shipped import PATH, shipped_book, shipped_rows

AT_US = 1_795_000_000_000_000  # 2026-11-18


def rates(row: PriceRow) -> dict[str, Decimal]:
    names = {
        "input_fresh": "in",
        "input_cache_read": "read",
        "input_cache_write_5m": "5m",
        "input_cache_write_1h": "1h",
    }
    names["output_text"] = "out"
    return {short: rate for bucket, short in names.items() if (rate := row.usd_per_million(bucket)) is not None}


def found(model: str, provider: str | None = None, tier: str | None = None) -> PriceRow:
    match = shipped_book().match(provider, model, None, AT_US, tier, 1000)
    assert match is not None
    return match.row


def test_every_row_names_its_source_and_the_day_it_was_read() -> None:
    rows = shipped_rows()

    assert len(rows) > 2000
    for row in rows:
        assert len(row.source) > 10
        assert row.source_date is not None
        assert date(2026, 1, 1) <= row.source_date
        assert row.version.startswith(row.source_date.isoformat())
        assert row.level is Level.SHIPPED
        assert any(rate is not None for rate in row.rates)


def test_no_two_rows_say_the_same() -> None:
    rows = shipped_rows()
    said = Counter(
        (row.provider, row.match, fold(row.model), row.tier, row.context_over, row.effective_from) for row in rows
    )

    assert [what for what, times in said.items() if times > 1] == []
    assert len({row.price_id for row in rows}) == len(rows)


def test_dates_of_one_model_do_not_overlap() -> None:
    by_model: dict[tuple[object, ...], list[PriceRow]] = {}
    for row in shipped_rows():
        by_model.setdefault((row.provider, row.match, row.model, row.tier, row.context_over), []).append(row)

    always, never = datetime.min.replace(tzinfo=UTC), datetime.max.replace(tzinfo=UTC)
    for rows in by_model.values():
        rows.sort(key=lambda row: row.effective_from or always)
        for earlier, later in pairwise(rows):
            assert (earlier.effective_to or never) <= (later.effective_from or always), earlier


def test_ids_are_stable_negative_and_fit_the_column() -> None:
    ids = [row.price_id for row in shipped_rows()]

    assert all(price_id is not None and -(2**63) <= price_id < 0 for price_id in ids)
    mixtral = found("mixtral-8x7b")
    assert mixtral.price_id is not None
    assert shipped_book().row(mixtral.price_id) == mixtral


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        ("gpt-4o-mini", "in=0.15 read=0.075 out=0.6"),
        ("gpt-4o", "in=2.5 read=1.25 out=10"),
        ("claude-3-5-haiku-20241022", "in=0.8 read=0.08 5m=1 1h=1.6 out=4"),
        ("claude-sonnet-4-20250514", "in=3 read=0.3 5m=3.75 1h=6 out=15"),
        ("mixtral-8x7b", "in=0.27 out=0.81"),
        ("claude-3-opus", "in=15 read=1.5 5m=18.75 1h=30 out=75"),
        ("gpt-4-turbo", "in=10 out=30"),
        ("text-embedding-3-small", "in=0.02"),
        ("text-embedding-3-large", "in=0.13"),
        ("text-embedding-ada-002", "in=0.1"),
    ],
)
def test_known_prices(model: str, expected: str) -> None:
    assert " ".join(f"{name}={rate}" for name, rate in rates(found(model)).items()) == expected


@pytest.mark.parametrize(
    "provider",
    ["openai", "anthropic", "gcp.gemini", "mistral_ai", "deepseek", "cohere", "groq", "together", "meta", "voyageai"],
)
def test_the_providers_people_use_are_there(provider: str) -> None:
    assert any(row.provider == provider for row in shipped_rows())


def test_claude_has_both_lifetimes_of_cache_writes_wherever_it_has_cache_reads() -> None:
    claudes = [row for row in shipped_rows() if "claude" in row.model and row.provider != "azure.ai.openai"]

    assert len(claudes) > 100
    for row in claudes:
        if row.rates[1] is not None:
            assert row.rates[2] is not None, row.model
            assert row.rates[3] is not None, row.model


def test_batch_is_half_price_for_current_models_and_before_the_source_knew() -> None:
    for model in ("gpt-4o", "claude-sonnet-4-20250514", "claude-3-5-haiku-20241022"):
        standard, batch = rates(found(model)), rates(found(model, tier="batch"))
        assert batch["in"] * 2 == standard["in"]
        assert batch["out"] * 2 == standard["out"]
    old = shipped_book().match(None, "gpt-4o", None, 1_740_000_000_000_000, "batch", 10)  # February 2025
    assert old is not None
    assert (old.row.tier, "50%" in old.row.source) == (Tier.BATCH, True)


def test_old_prices_hold_for_old_calls() -> None:
    before = shipped_book().match("openai", "o3", None, 1_748_000_000_000_000, None, 10)  # May 2025

    assert before is not None
    assert rates(before.row)["in"] == 10
    assert rates(found("o3"))["in"] == 2


def test_what_people_run_themselves_has_no_price() -> None:
    for provider, model in (
        ("ollama", "llama3.1:8b"),
        ("openai", "gpt-oss-120b"),
        (None, "mistralai/Mistral-Small-24B"),
    ):
        assert shipped_book().match(provider, model, None, AT_US) is None


def test_the_file_is_one_entry_a_line_so_that_changes_can_be_read() -> None:
    lines = PATH.read_text(encoding="utf-8").splitlines()
    book = json.loads("".join(lines))

    assert len(lines) == len(book["entries"]) + 2
    assert all(set(entry) == {"provider", "names", "prices"} for entry in book["entries"])
    assert set(Path(PATH).parent.iterdir()) >= {PATH}
    assert {kind for entry in book["entries"] for kind in entry["names"]} == set(MatchKind)
