"""The product's own calls are traces like any other: priced by what their endpoint says, else by the price book."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC
from uuid import UUID

import pytest

from telltale.lib import clock
from traces.own_calls import JUDGE_SERVICE, OwnCall, Rates, price_call, store_calls
from traces.prices import add_price
from traces.read import get_trace

pytestmark = pytest.mark.django_db
TRACE = UUID("11" * 16)
RATES = Rates(800_000, 4_000_000)


@pytest.fixture
def call():
    return OwnCall(
        TRACE, 7, "judge", "any-model", "openai", clock.now(), 120.0, input_tokens=1000, output_tokens=50,
        prompt="Score this.", answer="{}", rates=RATES,
    )  # fmt: skip


def set_price(project, model="any-model"):
    price = {"model": model, "input_fresh": "10", "output_text": "30", "source": "agreement"}
    add_price(project, price, UTC, by_id=None)


def test_the_endpoints_rates_go_before_the_projects_price(shop, call):
    set_price(shop.project)

    assert store_calls(shop.project.pk, [call]) == 1

    trace = get_trace(shop.project.pk, TRACE)
    assert trace.service == JUDGE_SERVICE
    assert trace.cost_pico == 1000 * 800_000 + 50 * 4_000_000
    assert trace.cost_pico == price_call(shop.project.pk, "openai", "any-model", 1000, 50, rates=RATES)


def test_without_rates_the_projects_price_holds(shop, call):
    set_price(shop.project)

    store_calls(shop.project.pk, [replace(call, rates=None)])

    paid = 1000 * 10_000_000 + 50 * 30_000_000
    assert get_trace(shop.project.pk, TRACE).cost_pico == paid
    assert price_call(shop.project.pk, "openai", "any-model", 1000, 50) == paid


def test_a_call_without_any_price_is_unpriced_and_never_free(shop, call):
    store_calls(shop.project.pk, [replace(call, rates=None)])

    trace = get_trace(shop.project.pk, TRACE)
    assert trace.cost.pico is None
    assert price_call(shop.project.pk, "openai", "any-model", 1000, 50) is None


def test_a_call_is_stored_once(shop, call):
    assert store_calls(shop.project.pk, [call]) == 1
    assert store_calls(shop.project.pk, [call]) == 0
