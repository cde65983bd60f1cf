"""From alert to closed in a real browser, by keyboard alone; triage with a thumb on a phone."""

from __future__ import annotations

import pytest

from alerts.models import Alarm, Incident, TriageItem
from evals.models import DatasetItem
from tests.alerts.test_triaging import run_experiment
from tests.alerts.triage_kit import make_trouble, open_incident
from tests.traces.conftest import otlp, shop  # noqa: F401
from tests.web.looks import fits

pytestmark = pytest.mark.django_db(transaction=True)
BASE = "/p/shop/incidents/1/"
OTHER = "(old) => document.querySelector('.tri-card') && document.querySelector('.tri-card').dataset.position !== old"


@pytest.fixture
def trouble(otlp, shop):  # noqa: F811
    return open_incident(shop.project, make_trouble(otlp, failing=21, fine=18, fine_before=20), severity=1)


def tab_to(page, selector, most=120):
    """Tab until the focus is on what the selector names."""
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("(s) => document.activeElement.matches(s)", selector):
            return
    pytest.fail(f"{selector} cannot be come to by Tab")


def position(page):
    return page.get_attribute(".tri-card", "data-position")


def test_from_alert_to_closed_by_keyboard_alone(trouble, shop, page, sign_in_browser, axe):  # noqa: F811
    sign_in_browser(page, shop.people.alice)
    page.goto(BASE)
    assert page.is_disabled("button:has-text('Close incident')")
    assert axe(page) == []
    page.keyboard.press("a")
    page.wait_for_selector("text=is acknowledged: you are on it")
    page.goto(f"{BASE}#triage")
    tab_to(page, "#triage button:not(.step-back button)")
    page.keyboard.press("Enter")
    page.wait_for_selector(".tri-card")
    assert axe(page) == []

    # The next response is on the screen before the server has said anything of the last.
    held = []
    page.wait_for_function("() => performance.getEntriesByType('resource').some((e) => e.name.includes('card/?at=2'))")
    page.route("**/triage/verdict/", lambda route: held.append(route))
    answer = page.inner_text(".tri-said.a .said")
    page.keyboard.press("1" if answer.startswith("I cannot") else "2")
    page.wait_for_function(OTHER, arg="1")
    assert not TriageItem.objects.exclude(verdict="").exists()
    while not held:
        page.wait_for_timeout(10)
    held[0].continue_()
    page.unroute("**/triage/verdict/")

    n = TriageItem.objects.count()
    for _ in range(n - 1):
        old = position(page)
        answer = page.inner_text(".tri-said.a .said")
        page.keyboard.press("1" if answer.startswith("I cannot") else "2")
        page.wait_for_function(f"(old) => !document.getElementById('tri') || ({OTHER})(old)", arg=old)
    page.wait_for_selector("text=What the verdicts come to")
    said = dict(TriageItem.objects.values_list("position", "verdict"))
    assert set(said.values()) == {"real", "false"}
    assert all(
        item.verdict == ("false" if item.origin == "control" else "real") for item in TriageItem.objects.all()
    )  # of before the flagged ones had failed too
    assert "20 of the 20 decided flagged responses are real failures" in page.inner_text("main")
    assert axe(page) == []
    page.keyboard.press("r")
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{BASE}#scope")

    tab_to(page, "#scope-note")
    page.keyboard.type("Everybody who asks for a parcel.")
    tab_to(page, "#scope button.primary")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('.steps .now a').textContent.includes('Isolate')")
    page.goto(f"{BASE}#isolate")
    tab_to(page, "#cause-note")
    page.keyboard.type("A carrier's time-out")
    tab_to(page, "#isolate button[value=cause]")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('.steps .now a').textContent.includes('Respond')")
    page.goto(f"{BASE}#respond")
    tab_to(page, "#response-note")
    page.keyboard.type("Rolled back")
    tab_to(page, "#respond button[value=record]")
    page.keyboard.press("Enter")
    page.wait_for_function("() => document.querySelector('.steps .now a').textContent.includes('Learn')")

    page.goto(f"{BASE}#learn")
    assert page.is_disabled("button:has-text('Close incident')")
    tab_to(page, "#l-name")
    page.keyboard.press("ControlOrMeta+a")
    page.keyboard.type("Parcels")
    tab_to(page, "#learn form button")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=cases are in “Parcels” now")
    assert DatasetItem.objects.filter(origin="incident").count() == list(said.values()).count("real")
    run_experiment(shop.project, "parcels")
    page.reload()
    tab_to(page, "#learn table button")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=The experiment is recorded.")
    assert axe(page) == []
    page.goto(f"{BASE}#learn")
    tab_to(page, f"form[action='{BASE}close/'] button")
    page.keyboard.press("Enter")
    page.wait_for_selector("text=INC-1 is closed.")

    incident = Incident.objects.get()
    assert (incident.state, incident.verdict, incident.override_reason) == ("resolved", "real", "")
    assert Alarm.objects.get().verdict == "real"


def test_with_a_thumb_on_a_phone_and_what_goes_wrong_is_said(trouble, shop, page, sign_in_browser, axe):  # noqa: F811
    sign_in_browser(page, shop.people.alice)
    page.set_viewport_size({"width": 390, "height": 844})
    page.goto(f"{BASE}triage/")
    page.click("text=Deal responses")
    page.wait_for_selector(".tri-card")
    assert fits(page)
    for name in ("Real failure", "Fine", "Cannot tell"):
        box = page.locator(f".vb:has-text('{name}')").bounding_box()
        assert box["height"] >= 44
        assert 844 * 0.6 < box["y"] + box["height"] < 844
    for _ in range(3):
        old = position(page)
        page.click(".vb:has-text('Real failure')")
        page.wait_for_function(OTHER, arg=old)
    page.wait_for_function("() => document.getElementById('tri-left').textContent === '37'")
    page.click("#tri-undo")
    page.wait_for_url("**/triage/?at=3")
    assert position(page) == "3"
    assert axe(page) == []

    # Somebody else said it meanwhile: theirs stays, and the page says so.
    TriageItem.objects.filter(position=3).update(verdict="unsure", user=shop.people.erin)
    page.click(".vb:has-text('Fine')")
    page.wait_for_selector("text=Erin said of response 3 meanwhile: unsure. That stays.")
    # What the server did not take is told and comes back.
    old = position(page)
    page.route("**/triage/verdict/", lambda route: route.abort())
    page.click(".vb:has-text('Fine')")
    page.wait_for_selector(f"text=Response {old} is not saved")
    page.wait_for_function("(at) => document.querySelector('.tri-card').dataset.position === at", arg=old)
    page.unroute("**/triage/verdict/")
    page.click(".vb:has-text('Fine')")
    page.wait_for_function(OTHER, arg=old)
    page.wait_for_function("() => document.getElementById('tri-left').textContent === '36'")
    assert TriageItem.objects.get(position=int(old)).verdict == "false"
    assert TriageItem.objects.get(position=3).verdict == "unsure"
