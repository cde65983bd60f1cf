"""Cost budgets and the what-if in a browser: by keyboard and form, on a desk and on a phone, in the dark."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

from alerts import spending
from telltale.projects.keys import make_key
from tests.traces.cost_rows import Traffic


def test_a_budget_is_made_seen_and_a_what_if_reckoned(page, project, alice, sign_in_browser, axe, tmp_path):
    today = datetime.now(UTC).replace(hour=0, minute=1, second=0, microsecond=0)

    def key(scopes):
        return {"Authorization": f"Bearer {make_key(project, 'test', (scopes,)).secret}"}

    traffic = Traffic(SimpleNamespace(key=key))
    traffic.send(
        *(
            traffic.call(today - timedelta(days=at), model="gpt-4o", fresh=2_000_000 * (1 + at % 3), out=0,
                         feature="search" if at % 2 else "returns", user=f"u{at % 3}", input="Can I return this shirt?")
            for at in range(30)
        )
    )  # fmt: skip
    sign_in_browser(page, alice)

    def look(name):
        assert axe(page) == []
        assert page.evaluate("document.documentElement.scrollWidth") <= page.viewport_size["width"]
        if folder := os.environ.get("TELLTALE_TEST_SHOTS"):
            page.screenshot(path=f"{folder}/{name}.png", full_page=True)

    page.goto(f"/p/{project.slug}/cost/")
    page.click("text=Budgets")
    page.click("text=Make a cost budget")
    page.fill("#f-name", "Features")
    page.select_option("#f-of", "feature")
    page.fill("#f-limit_usd", "a lot")
    page.click("text=Make the budget")
    assert "One thing needs fixing" in page.inner_text(".errsum")
    look("form")
    page.fill("#f-limit_usd", "40")
    page.fill("#at_0", "50")
    page.select_option("#do_0", "cheaper_model")
    page.fill("#with_0", "gpt-4o-mini")
    page.press("#with_0", "Enter")
    page.wait_for_selector("text=What applications are told")
    spending.tend()
    page.reload()
    look("budget")
    assert "search" in page.inner_text("main")

    page.goto(f"/p/{project.slug}/cost/budgets/")
    look("budgets")
    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme="dark")
    look("budgets-phone")
    page.keyboard.press("j")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=What applications are told")
    look("budget-phone")

    page.goto(f"/p/{project.slug}/cost/what-if/?model=gpt-4o-mini&share=60&days=28&kept_hours=168")
    look("what-if-phone")
    page.set_viewport_size({"width": 1440, "height": 900})
    page.emulate_media(color_scheme="light")
    assert "less" in page.inner_text("h1")
    look("what-if")
