"""The overview and the inbox in a browser: by keyboard, on a phone, in the dark, and for those who cannot see them."""

from __future__ import annotations

from datetime import timedelta

import pytest

from alerts.models import Incident
from telltale.lib import clock
from telltale.projects.models import Project
from tests.alerts.incident_kit import incident_of
from tests.web.front_kit import alarm_at, watched
from tests.web.looks import sign_in

pytestmark = pytest.mark.browser


@pytest.fixture
def shop(alice):
    project = Project.objects.get(slug="shop")
    Project.objects.filter(pk=project.pk).update(first_span_at=clock.now() - timedelta(days=9))
    monitor = watched(project, out=3, value=0.05, feature="returns", severity=1)
    alarm_at(monitor, out=3)
    watched(project, "Spend", "spend", value=0.4, level=0.4)
    incident_of(project, name="Errors of returns", feature="returns", severity=1)
    return alice


def test_overview_and_inbox_hold_in_a_browser(shop, open_page, axe):
    page = open_page("/accounts/login/", viewport={"width": 390, "height": 844}, color_scheme="dark")
    sign_in(page, shop)

    page.goto("/p/shop/")
    assert page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth") == 0
    people, answers = page.locator("#people-h").bounding_box(), page.locator(".answer").first.bounding_box()
    assert people["y"] < answers["y"], "on a phone what needs a person comes first"
    assert axe(page) == []

    page.set_viewport_size({"width": 1280, "height": 900})
    assert axe(page) == []
    page.goto("/p/shop/inbox/")
    assert axe(page) == []
    page.keyboard.press("j")
    page.keyboard.press("x")
    assert page.locator("[data-chosen]").inner_text() == "1 chosen"
    page.keyboard.press("a")
    page.get_by_text("1 item assigned to you.").wait_for()
    assert Incident.objects.get().assignee_id == shop.pk
