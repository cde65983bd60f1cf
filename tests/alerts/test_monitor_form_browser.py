"""The form of a monitor in a browser: its preview follows what is typed, on a desk and on a phone."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from alerts.models import Monitor
from tests.alerts import history_kit


def test_the_preview_follows_the_form_and_saving_opens_the_chart(page, project, alice, sign_in_browser, axe):
    end = datetime.now(UTC).replace(minute=0, second=0, microsecond=0) - timedelta(hours=1)
    history_kit.fill(project, end, days=9, worse_at=end - timedelta(hours=30))
    sign_in_browser(page, alice)

    page.goto(f"/p/{project.slug}/monitors/new/")
    assert axe(page) == []
    page.click("text=Errors over 1 %")
    page.wait_for_selector("#preview table")
    assert "Would have alarmed" in page.inner_text("#preview")
    assert axe(page) == []

    page.check("input[value=chart]")
    page.select_option("#f-window_minutes", "60")
    page.wait_for_selector("#preview >> text=its share of the alert budget")
    assert page.is_hidden("#f-threshold-limit")
    page.fill("#f-least_n", "none")
    page.click("#f-note")
    page.wait_for_selector("#preview >> text=Fix this first")
    page.fill("#f-least_n", "1")
    page.click("#f-note")

    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme="dark")
    page.wait_for_selector("#preview >> text=Compared with other settings")
    assert page.evaluate("document.documentElement.scrollWidth") == 390
    assert axe(page) == []

    page.click("text=Save monitor")
    page.wait_for_url("**/monitors/*/")
    assert Monitor.objects.get().definition["method"] == "chart"
