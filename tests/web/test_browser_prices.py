"""Accounting, prices and the API's page in a real browser: from an unpriced model to its price, in every look."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.test import Client

from telltale.jobs import work
from telltale.projects import keys
from telltale.projects.models import Project
from tests.web.looks import EVERY_LOOK, fits, forget_stored
from traces import reprice

pytestmark = pytest.mark.django_db(transaction=True)
PRICES = "/p/shop/settings/prices/"


@pytest.fixture
def shop(alice, monkeypatch):
    """The project with calls of a model that has a price and of one that has none, and a rejected span."""
    monkeypatch.setattr(reprice, "wake", lambda task: None)
    monkeypatch.setattr(reprice, "pause", lambda seconds: None)
    forget_stored()
    key = keys.make_key(Project.objects.get(slug="shop"), "browser", ("ingest",)).secret
    start = (datetime.now(UTC) - timedelta(minutes=30)).isoformat()
    usage = {"input_tokens": 1000, "cached_tokens": 0, "output_tokens": 100}
    call = {"kind": "generation", "name": "chat", "start": start, "end": start, "usage": usage}
    body = [
        call | {"model": "gpt-4o-mini", "provider": "openai"},
        call | {"model": "mixtral-8x22b-ours", "provider": "vllm"},
        {"name": "broken", "start": "not a time"},
    ]
    answer = Client().post("/api/v1/traces", body, "application/json", headers={"Authorization": f"Bearer {key}"})
    assert answer.json()["stored"] == 2, answer.content
    return alice


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_every_page_is_accessible_and_fits(enter, look):
    page = enter("/p/shop/accounting/", **EVERY_LOOK[look])
    job = reprice.start_preview(
        Project.objects.get(slug="shop"),
        reprice.Order(datetime.now(UTC) - timedelta(days=1), datetime.now(UTC)),
        by_id=None,
    )
    work.run_next()

    for path in (
        "/p/shop/accounting/",
        "/p/shop/accounting/?t=28d&source=logs",
        PRICES,
        f"{PRICES}new/?model=mixtral-8x22b-ours&provider=vllm",
        f"{PRICES}again/",
        f"{PRICES}again/{job}/",
        "/api/docs/",
    ):
        page.goto(path)
        found = Axe().run(page)
        assert found.violations_count == 0, f"{path}: {found.generate_report()}"
        assert fits(page), path


@pytest.mark.parametrize("look", ["light", "phone", "without scripts"])
def test_an_unpriced_model_gets_its_price_and_what_is_stored_follows(enter, look):
    page = enter(PRICES, **EVERY_LOOK[look])
    assert "One model in traffic has no price: mixtral-8x22b-ours" in page.locator("main").inner_text()

    page.get_by_role("link", name="Add the price of mixtral-8x22b-ours").first.click()
    assert page.input_value("#p-input_fresh") != ""
    page.fill("#p-input_fresh", "one")
    page.click("text=Save price")
    assert "must be a decimal number" in page.locator("#p-input_fresh-error").inner_text()
    page.fill("#p-input_fresh", "2")
    page.fill("#p-output_text", "6")
    page.click("text=Save price")
    page.click("text=Show the difference")
    assert "Waiting for a worker" in page.locator("main").inner_text()
    work.run_next()
    waited_until = time.monotonic() + 20
    while "would change" not in page.locator("main p.lede").inner_text() and time.monotonic() < waited_until:
        page.get_by_role("link", name="Refresh").click() if look == "without scripts" else page.wait_for_timeout(200)
    assert "1 of 1 counted calls would change; together $0.0026 more." in page.locator("main").inner_text()
    page.click("text=Change 1 call")
    work.run_next()
    page.reload()

    assert "1 of 1 counted calls changed" in page.locator("main").inner_text()
    page.goto(PRICES)
    assert "has no price" not in page.locator("main").inner_text()


def test_the_account_adds_up_and_shows_its_table(enter):
    page = enter("/p/shop/accounting/", **EVERY_LOOK["light"])

    assert "All 3 spans received in the last 24 h are accounted for." in page.locator("main").inner_text()
    page.click("text=Show as a table")
    assert page.get_by_role("region", name="By hour").is_visible()
    page.select_option("#f-source", "logs")
    page.click("main form button:has-text('Apply')")
    assert "Nothing came with this key or source" in page.locator("main").inner_text()
    page.click("text=Show all")
    assert "bad_field" in page.locator("main").inner_text()


def test_the_api_page_opens_an_address_and_fetches_nothing_from_elsewhere(enter):
    page = enter("/api/docs/", **EVERY_LOOK["light"])

    page.click("summary:has-text('List traces')")

    assert page.get_by_text("Has a step is any of.").first.is_visible()
