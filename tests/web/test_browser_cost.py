"""The cost page in a real browser: readable in every look, from a bar of the chart to the traces behind it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.test import Client

from telltale.projects import keys
from telltale.projects.models import Project
from tests.web.looks import EVERY_LOOK, fits, forget_stored
from traces.folding import fold_roll_ups

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.browser]
COST = "/p/shop/cost/"
MODELS = (("gpt-4o-mini", "openai"), ("claude-3-5-haiku-20241022", "anthropic"), ("ours-" + "x" * 60, "vllm"))


@pytest.fixture
def shop(alice):
    """Six weeks of three models, one of them without a price."""
    forget_stored()
    key = keys.make_key(Project.objects.get(slug="shop"), "browser", ("ingest",)).secret
    body = []
    for n in range(45):
        at = (datetime.now(UTC) - timedelta(days=n, minutes=10)).isoformat()
        for model, provider in MODELS:
            body.append(
                {"kind": "generation", "name": "chat", "start": at, "end": at, "model": model, "provider": provider,
                 "feature": "search", "user_id": f"user {n % 3}", "session_id": f"s/{n}",
                 "usage": {"input_tokens": 90_000, "cached_tokens": 40_000, "output_tokens": 9000 + 100 * n}}
            )  # fmt: skip
    answer = Client().post("/api/v1/traces", body, "application/json", headers={"Authorization": f"Bearer {key}"})
    assert answer.json()["stored"] == len(body), answer.content
    while fold_roll_ups().traces:
        pass
    return alice


@pytest.mark.parametrize("look", EVERY_LOOK)
def test_the_page_is_accessible_and_fits(enter, look):
    page = enter(COST, **EVERY_LOOK[look])

    for query in (
        "",
        "?by=feature&t=28d",
        "?by=user",
        "?by=session",
        "?by=day",
        "?from=x",
        "?from=1999-01-01&to=1999-01-02",
    ):
        page.goto(COST + query)
        if look != "without scripts":
            found = Axe().run(page)
            assert found.violations_count == 0, f"{query}: {found.generate_report()}"
            assert fits(page), query
        assert page.locator("h1").count() == 1


def test_tables_open_and_a_bar_leads_to_its_traces(enter):
    page = enter(f"{COST}?by=model&t=28d", **EVERY_LOOK["light"])

    twin = page.locator("details.data").last
    twin.locator("summary").click()
    assert twin.locator("table").is_visible()
    bar = page.locator("figure.chart a:has(rect.hit)").last
    assert re.search(r": \$\d", bar.get_attribute("aria-label"))
    page.goto(bar.evaluate("link => link.href.baseVal"))
    assert page.locator("h1").inner_text()
    assert "of 3" in page.locator("main").inner_text()


def test_the_picker_leads_to_other_days_and_keeps_the_breakdown(enter):
    page = enter(f"{COST}?by=feature", **EVERY_LOOK["light"])

    page.locator(".topbar details.pop > summary").click()
    page.get_by_role("link", name="28 d").click()

    assert "in the last 28 days" in page.locator("h1").inner_text()
    assert page.get_by_role("link", name="By feature").get_attribute("aria-current") == "page"
