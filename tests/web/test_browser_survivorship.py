"""The survivorship page in the browser: every state, both themes and a phone, by keyboard and without scripts."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection

from evals.surviving import keeping
from telltale.lib import clock
from telltale.projects.models import Project
from tests.evals.behaviour_rows import BIASED, judge_sessions, make_sessions
from tests.evals.estimate_rows import make_judge
from tests.web.looks import EVERY_LOOK, LOOKS, fits, forget_stored
from traces.behaviour.types import Fact, Stratum

pytestmark = pytest.mark.browser
PAGE = "/p/shop/signals/"
TRUTH = {Stratum.COMPLETED: 0.97, Stratum.CARRIED_ON: 0.9, Stratum.RETRIED: 0.5, Stratum.CORRECTED: 0.3,
         Stratum.ABANDONED: 0.5}  # fmt: skip
LONG = "a-feature-whose-name-is-rather-long-and-has-no-spaces-at-all-in-it-anywhere"


@pytest.fixture
def project(alice):
    """alice's project."""
    forget_stored()
    yield Project.objects.get(slug="shop")
    forget_stored()


@pytest.fixture
def biased(project):
    """Sessions whose votes overstate, over some days, with an anchor, and some of everything that is left out."""
    hour = clock.now().replace(minute=0, second=0, microsecond=0)
    groups = {stratum: tuple(-(-n // 5) for n in cell) for stratum, cell in BIASED.items()}
    make_sessions(project, groups, start=hour - timedelta(days=9), hours=48, feature="search", with_rows=False)
    made = make_sessions(project, groups, start=hour - timedelta(days=4), hours=48, feature="search", seed=2)
    make_sessions(project, {Stratum.CARRIED_ON: (0, 0, 60)}, start=hour - timedelta(days=2), feature=LONG, seed=3)
    make_sessions(project, {Stratum.OPEN: (3, 0, 17)}, start=hour - timedelta(days=1), hours=1, is_closed=False, seed=4)
    make_sessions(
        project, {Stratum.UNKNOWN: (5, 1, 94)}, start=hour - timedelta(days=1), facts=Fact.LONE, hours=2, seed=5
    )
    judge_sessions(project, make_judge(project, kind="model"), made, TRUTH, pi=0.2, reviewed=0.2)
    keeping.keep_days(project)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE")  # as the server does by itself within a minute
    return project


@pytest.mark.parametrize("look", LOOKS)
def test_the_verdict_is_readable_with_all_that_it_stands_on(biased, enter, axe, look):
    page = enter(PAGE, **LOOKS[look])

    assert "Do not trust the" in page.inner_text("h1")
    assert page.locator(".bounds .bt svg").count() == 5
    assert page.locator(".who tbody tr").count() == 6
    assert page.locator("figure.chart").count() == 3
    page.evaluate("document.querySelectorAll('details.data').forEach(each => { each.open = true; })")
    assert axe(page) == []
    assert fits(page)
    for address in ("silent/", "anchor/", "?example=1"):
        page.goto(PAGE + address)
        assert axe(page) == [], address
        assert fits(page), address


def test_nothing_and_little_are_readable_too(project, enter, axe):
    page = enter(PAGE, **LOOKS["phone"])
    assert "No sessions yet" in page.inner_text("main")
    assert axe(page) == []
    assert fits(page)

    hour = clock.now().replace(minute=0, second=0, microsecond=0)
    make_sessions(project, {Stratum.ABANDONED: (0, 0, 24), Stratum.CARRIED_ON: (0, 0, 36)},
                  start=hour - timedelta(days=2))  # fmt: skip
    page.reload()

    assert "Cannot tell: none of 60 sessions gave a vote" in page.inner_text("h1")
    assert "unknown: nobody voted" in page.locator(".bounds").text_content()
    assert axe(page) == []
    assert fits(page)


def test_the_slider_moves_by_keyboard_and_sessions_are_one_click_away(biased, enter):
    page = enter(PAGE)
    before = page.inner_text("[data-rate]")
    assert not page.locator(".deltas button").is_visible()

    page.locator("#delta").focus()
    for _ in range(4):
        page.keyboard.press("ArrowRight")

    assert page.inner_text("[data-points]") == "30 points"
    assert page.inner_text("[data-rate]") != before
    assert page.locator("#delta").get_attribute("aria-valuetext").startswith("30 points less: ")
    page.get_by_role("link", name="silent sessions that left").click()
    assert page.locator("ol.silent > li").count() == 20
    first = page.locator("ol.silent a").first.inner_text()
    page.get_by_role("link", name="Draw others").click()
    assert page.locator("ol.silent a").first.inner_text() != first


def test_the_page_reads_and_moves_without_scripts(biased, enter):
    page = enter(PAGE, **EVERY_LOOK["without scripts"])

    page.fill("#delta", "0.5")
    page.get_by_role("button", name="Show").click()
    assert "delta=0.5" in page.url
    assert page.inner_text("[data-points]") == "50 points"
    page.get_by_role("link", name="Daily").click()
    assert "Daily" in page.inner_text("#history figcaption")
    page.get_by_role("link", name="search").first.click()
    assert "feature=search" in page.url
    page.goto(PAGE + "anchor/")
    page.fill("#a-tolerance", "10")
    page.get_by_role("button", name="Save").click()
    assert "Saved." in page.inner_text("main")
