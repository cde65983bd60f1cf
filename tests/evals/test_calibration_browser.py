"""The pages of calibration in a browser: light and dark, on a phone, by keyboard, without a violation."""

from datetime import timedelta

import pytest

from evals import calibrating, routines
from evals.read.setup import get_judge
from telltale.lib import clock
from tests.evals.calibration_rows import add_judge_score, add_judgement, add_pairs, make_version, trace_of

PAGE = "/p/shop/judges/quality/calibration/"
# Tables that are wider than their place, by name; what nobody unfolded is not seen.
CLIPPED = """Array.from(document.querySelectorAll('.tw')).filter(each => each.checkVisibility())
    .filter(each => each.scrollWidth > each.clientWidth + 1).map(each => each.getAttribute('aria-label'))"""


@pytest.fixture
def pages(committed_db, project):
    version = make_version(project, kind="model")
    newer = make_version(project, version.rubric_version, number=2, is_live=False)
    note = "Right policy, wrong amount, and a reason that goes on for quite a while so that a line must break"
    pairs = [(1 + i % 5, min(5, 1 + i % 5 + (i % 6 == 0))) for i in range(120)] + [(1, 4)] * 12
    at = clock.now() - timedelta(days=2)
    add_pairs(project, version, pairs[:70], note=note, at=at, pi_judge=1.0, pi_review=0.5)
    add_pairs(project, version, pairs[70:], note=note, at=at, pi_judge=0.1, pi_review=0.5, start=70)
    for i, (person, _) in enumerate(pairs):
        add_judge_score(project, newer, trace_of(i), person)
    for each in (version, newer, version):
        calibrating.calibrate_all(project.pk, each.pk, "correctness", only_new=False)
    for i in range(500, 510):
        row = add_judgement(project, version, trace_of(i), pi=1.0)
        add_judge_score(project, version, trace_of(i), 3, judgement=row)
    routines.plan()
    begun = routines.begin_now(project, get_judge(project.pk, "quality"), "monthly")
    return (
        PAGE,
        PAGE + "compare/",
        PAGE + "gate/",
        PAGE + "new/",
        "/p/shop/judges/quality/routines/",
        f"/p/shop/judges/quality/routines/{begun}/",
    )


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_pages_of_calibration_have_no_violation_and_fit(pages, page, live, alice, sign_in_browser, axe, scheme):
    sign_in_browser(page, alice)
    page.emulate_media(color_scheme=scheme)
    for width in (1440, 390):
        page.set_viewport_size({"width": width, "height": 900})
        for address in pages:
            assert page.goto(address).status == 200, address
            assert page.url == live + address
            assert axe(page) == [], (address, scheme, width)
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (address, width)
            assert page.evaluate(CLIPPED) == [], (address, width)


def test_the_gate_is_set_by_keyboard_and_what_is_wrong_is_said(pages, page, alice, sign_in_browser, axe):
    sign_in_browser(page, alice)
    page.goto(PAGE + "gate/")

    page.get_by_label("Agreement to go live, at least").fill("2")
    page.keyboard.press("Enter")

    page.get_by_role("alert").wait_for()
    assert (
        "Agreement to go live, at least is out of range: a number from 0 to 1" in page.get_by_role("alert").inner_text()
    )
    assert axe(page) == []
    page.get_by_label("Agreement to go live, at least").fill("0.5")
    page.get_by_label("Agreement to stay live, at least").fill("0.4")
    page.keyboard.press("Enter")
    page.get_by_text("Saved for all judges without a gate of their own.").wait_for()
    assert page.get_by_text("Agreement with people, weighted kappa, at least 0.40").count() == 1


def test_reading_needs_no_script(pages, chromium, live, alice, sign_in_browser):
    context = chromium.new_context(base_url=live, java_script_enabled=False)
    page = context.new_page()
    sign_in_browser(page, alice)

    page.goto(PAGE)

    assert page.get_by_role("heading", level=1).inner_text().startswith("v1")
    assert page.locator("table.cm td.missed").count() > 0
    page.get_by_role("link", name="v2").click()
    assert page.get_by_role("heading", level=1).inner_text().startswith("v2")
    context.close()
