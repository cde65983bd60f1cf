"""Definitions of signals in a real browser: read, tried out without leaving the page, saved, counted again."""

from __future__ import annotations

from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe

from telltale.jobs import work
from telltale.projects import keys
from telltale.projects.models import Project
from tests.web.looks import EVERY_LOOK, fits, forget_stored
from tests.web.test_browser_traces import call, send
from traces import behaving
from traces.folding import fold_roll_ups
from traces.write import behaviour as write

pytestmark = pytest.mark.django_db(transaction=True)
PAGE = "/p/shop/signals/definitions/"


@pytest.fixture
def shop(alice, monkeypatch):
    """Two sessions that were over an hour ago, of a feature whose name wants to break out."""
    forget_stored()
    write.forget()
    monkeypatch.setattr(behaving, "SETTLE", timedelta(0))
    monkeypatch.setattr(behaving, "pause", lambda seconds: None)
    project = Project.objects.get(slug="shop")
    key = keys.make_key(project, "browser", ("ingest",)).secret
    for n in (1, 2):
        told = {"session.id": f"s{n}", "telltale.feature": "<b>returns</b>" + "w" * 90}
        send(key, call(f"{n:032x}", f"{n:016x}", at_ms=-7_200_000, ms=900, said="May I return it?", attributes=told))
    while fold_roll_ups().traces:
        pass
    behaving.fold_behaviour()
    yield alice
    keys.cache.clear()


@pytest.mark.parametrize("look", ["dark", "phone", "without scripts"])
def test_definitions_are_accessible_and_fit(enter, shop, look):
    page = enter(PAGE, **EVERY_LOOK[look])

    for path in (PAGE, PAGE + "?feature=%3Cb%3Ereturns%3C%2Fb%3E"):
        page.goto(path)
        assert page.locator("h1").inner_text() == "Definitions"
        assert fits(page), path
        if look == "without scripts":
            page.locator("#f-idle_minutes").fill("20")
            page.get_by_role("button", name="Preview").click()
            assert page.get_by_text("Nothing is saved yet").or_(page.get_by_text("Nothing was saved")).count() == 1
        else:
            found = Axe().run(page).response["violations"]
            assert not found, (path, [(v["id"], [n["html"] for n in v["nodes"][:3]]) for v in found])


def test_a_change_is_tried_out_saved_and_counted(enter, shop):
    page = enter(PAGE)

    page.locator("#f-abandon_answers").fill("0")
    page.get_by_role("button", name="Preview").click()
    page.locator("#tried table").wait_for()
    tried = page.locator("#tried tr", has_text="abandoned").inner_text().split()
    page.get_by_role("button", name="Save as a new version").click()
    page.get_by_text("are being counted by version 1").wait_for()
    while work.run_next():
        pass
    page.get_by_text("All stored sessions are counted by version 1").wait_for()
    page.get_by_role("link", name="Show the page as it is now").click()

    assert tried == ["abandoned", "2", "0"]
    assert page.locator("tr", has_text="abandon_answers: 1 → 0").count() == 1
    assert page.locator("#rule-abandonment", has_text="Leaving says nothing here").count() == 1
