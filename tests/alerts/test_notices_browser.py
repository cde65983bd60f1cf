"""Channels, routes, silences and the log in a browser: no barrier, nothing wider than a phone, works by keyboard."""

from __future__ import annotations

from alerts import routing
from alerts.addressing import channels
from alerts.models import Route
from alerts.notifying import tell_project


def test_channels_are_set_up_on_a_desk_and_read_on_a_phone(page, project, alice, sign_in_browser, axe):
    channels.add(project, {"name": "A list with a long name for the phone", "kind": "email", "to": ["a@example.com"]})
    tell_project(project.pk, "budget", "budget:1", severity=2, facts={"title": "Month", "words": "80 % is spent."})
    routing.route_due()
    sign_in_browser(page, alice)
    base = f"/p/{project.slug}/"
    looked_at = (
        "settings/channels/", "settings/channels/new/?kind=pagerduty", "settings/channels/telling/",
        "incidents/notices/", "incidents/silences/",
    )  # fmt: skip

    page.goto(base + "settings/channels/")
    page.click("text=Add route")
    page.check("input[name=severity][value='0']")
    page.check("input[name=hours][value=some]")
    page.keyboard.press("Tab")
    assert axe(page) == []
    page.click("text=Save route")
    page.wait_for_selector("text=P0")
    assert Route.objects.latest("pk").hours == {"days": [1, 2, 3, 4, 5], "start": "09:00", "end": "18:00"}
    for path in looked_at[:2]:
        page.goto(base + path)
        assert axe(page) == []

    page.set_viewport_size({"width": 390, "height": 844})
    page.emulate_media(color_scheme="dark")
    for path in looked_at:
        page.goto(base + path)
        assert page.evaluate("document.documentElement.scrollWidth") == 390, path
        assert axe(page) == [], path
    page.goto(base + "incidents/notices/")
    page.click("a[data-item]")
    page.wait_for_selector("text=What it says")
    assert axe(page) == []
