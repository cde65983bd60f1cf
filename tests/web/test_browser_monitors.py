"""The pages of monitors in the browser: what they say, both themes and a phone, by keyboard and without scripts."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from alerts import watching
from alerts.models import Alarm
from alerts.monitors.states import Method
from alerts.monitors.types import Threshold
from telltale.lib import clock
from telltale.projects.models import Project
from tests.alerts.engine_kit import DEFINITION, HOUR, make_monitor, share_of
from tests.web.looks import EVERY_LOOK, fits, forget_stored
from traces.models import Change

pytestmark = pytest.mark.browser
BASE = "/p/shop/monitors/"
LONG = "Errors-of-a-feature-whose-name-is-rather-long-and-has-no-spaces-at-all-in-it-anywhere"


@pytest.fixture
def watched(alice, monkeypatch):
    """Two weeks of an error rate that rose ten hours ago, by a chart and by a fixed limit, and a deploy before it."""
    forget_stored()
    project = Project.objects.get(slug="shop")
    end = clock.now().replace(minute=0, second=0, microsecond=0) - HOUR
    start, worse_at = end - timedelta(days=14), end - 10 * HOUR

    def read(project_id, zone, asked, windows):
        return [[share_of(each, 0.09 if each.start >= worse_at else 0.02) for each in windows] for _ in asked]

    monkeypatch.setattr(watching, "read_many", read)
    chart = make_monitor(project, replace(DEFINITION, name=LONG), next_start=start, due_at=start)
    fixed = replace(DEFINITION, name="Fixed", method=Method.FIXED, threshold=Threshold(0.05), severity=1)
    make_monitor(project, fixed, next_start=start, due_at=start)
    make_monitor(project, replace(DEFINITION, name="New one"), next_start=end, due_at=end, is_on=False)
    Change.objects.create(
        project=project, kind="deploy", name="shop-api", version="5.12", at=worse_at - HOUR / 2, source="api"
    )  # fmt: skip
    while watching.evaluate_due().windows:
        pass
    yield chart
    forget_stored()


@pytest.mark.parametrize("look", EVERY_LOOK)
def test_monitors_are_read_and_acted_on_in_every_look(watched, enter, axe, look):
    page = enter(BASE, **EVERY_LOOK[look])
    has_scripts = look != "without scripts"

    def check():
        assert fits(page)
        if has_scripts:
            assert axe(page) == []

    assert page.inner_text("h1") == "2 of 3 monitors are outside their limits"
    assert page.locator(".monitors tbody tr").count() == 3
    assert page.locator(".monitors svg.spark").count() == 2
    check()

    page.goto(page.url + "budget/")
    assert "shared by 1 monitor" in page.inner_text("h1")
    check()

    page.click("text=" + LONG)
    assert "has been above its upper limit since" in page.inner_text("h1")
    assert "The last change before it is shop-api 5.12" in page.inner_text(".grid.g2")
    for summary in page.locator("details.data > summary").all():
        summary.click()
    assert page.locator("figure.chart svg circle.c-alert").count() == 1
    check()

    page.click("text=I am on it")
    assert "It is noted that you are on it" in page.inner_text(".messages")
    page.locator("#alarm input[value=real]").check()
    page.fill("#alarm-note", "the new prompt")
    page.click("text=Close the alarm")
    assert "closed as real" in page.inner_text(".messages")
    assert Alarm.objects.filter(monitor=watched, verdict="real", note="the new prompt").count() == 1
    page.goto(page.url.split("/monitors/")[0] + "/monitors/alarms/")
    assert "the new prompt" in page.inner_text(".alarms")
    check()
