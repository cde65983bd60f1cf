"""Probes in a browser: no violations, they fit, and an alarm is closed by keyboard."""

from __future__ import annotations

from evals.models import ProbeAlarm, ProbeSeries
from tests.evals.test_probes_pages import make_rows


def test_pages_of_probes_have_no_violation_and_fit(project, page, alice, sign_in_browser, axe):
    suite = make_rows(project, models=("gpt-4", "a-very-long-name-of-a-model-" * 5))
    series = ProbeSeries.objects.filter(target__suite=suite).order_by("pk")[0]
    base = f"/p/{project.slug}/probes/"
    addresses = (
        base, f"{base}{series.pk}/?run=3", base + "new/", f"{base}suites/{suite.slug}/",
        f"{base}suites/{suite.slug}/probes/format-json/",
    )  # fmt: skip
    sign_in_browser(page, alice)
    for scheme, width in (("light", 1440), ("dark", 390)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        for address in addresses:
            assert page.goto(address).status == 200, address
            if width == 1440 or address in addresses[:2]:
                assert axe(page) == [], (address, scheme)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (address, width)

    page.goto(base)
    page.locator("input[name=note]").fill("They changed it.")
    page.locator("input[name=note]").press("Tab")
    page.keyboard.press("Enter")
    page.get_by_text("Closed as real.").wait_for()
    assert ProbeAlarm.objects.get().note == "They changed it."
