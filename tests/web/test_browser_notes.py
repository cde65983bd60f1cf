"""What people do with a trace in a real browser: copy, compare, comment, label; and setting up forwarding."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from django.test import Client

from telltale.projects import keys
from telltale.projects.models import Project
from tests.web.looks import EVERY_LOOK, fits, forget_stored
from traces.models import ForwardTarget
from traces.read.notes import list_label_names

pytestmark = pytest.mark.django_db(transaction=True)
A, B = "0" * 31 + "1", "0" * 31 + "2"
TRACE = f"/p/shop/traces/{A}/"
COMPARE = f"/p/shop/traces/compare/?a={A}&b={B}"
FORWARDING = "/p/shop/settings/forwarding/"
HOSTILE = "<script>document.title='ran'</script><img src=x onerror=\"document.title='ran'\"> https://evil.example"


@pytest.fixture
def shop(alice):
    """The project with two traces of one question, and a target that fails."""
    forget_stored()
    project = Project.objects.get(slug="shop")
    key = keys.make_key(project, "browser", ("ingest", "write")).secret
    start = datetime.now(UTC) - timedelta(minutes=30)
    body = [
        {
            "trace_id": trace, "name": "turn", "start": start.isoformat(), "duration_ms": 900, "feature": "returns",
            "spans": [{
                "name": f"chat {model}", "kind": "generation", "model": model, "provider": "openai",
                "start": start.isoformat(), "duration_ms": 800, "input": [{"role": "user", "content": "How long?"}],
                "output": [{"role": "assistant", "content": f"You have {days} days {HOSTILE}"}],
                "usage": {"input_tokens": 900, "output_tokens": 20},
            }],
        }
        for trace, model, days in ((A, "gpt-4o-mini", 30), (B, "gpt-4o", 60))
    ]  # fmt: skip
    sender = Client(headers={"Authorization": f"Bearer {key}"})
    assert sender.post("/api/v1/traces", body, "application/json").json()["stored"] == 4
    made = sender.post(f"/api/v1/traces/{A}/comments", {"body": HOSTILE}, "application/json")
    assert made.status_code == 201
    sender.post(f"/api/v1/traces/{A}/labels", {"label": "policy wrong"}, "application/json")
    ForwardTarget.objects.create(
        project=project, name="tempo", url="https://tempo.invalid/v1/traces", header_hints={"api-key": "…1234"},
        failures=4, failing_since=start, next_at=start, last_error="tempo.invalid port 443 refused the connection.",
        last_error_at=start, dropped={"too_old": 3}, queued_spans=2,
    )  # fmt: skip
    return alice


@pytest.mark.parametrize("look", ["light", "dark", "phone"])
def test_every_page_is_accessible_and_fits_and_runs_nothing(enter, look):
    page = enter(TRACE, **EVERY_LOOK[look])
    target = ForwardTarget.objects.get().pk
    for path in (
        TRACE, COMPARE, f"/p/shop/traces/compare/?a={B}", TRACE + "copy/", TRACE + "copy/?as=curl&ids=new",
        "/p/shop/traces/?columns=time,said,notes,pick", FORWARDING, FORWARDING + "new/", f"{FORWARDING}{target}/",
        f"{FORWARDING}{target}/remove/",
    ):  # fmt: skip
        assert page.goto(path).status == 200
        assert fits(page), path
        found = Axe().run(page).response["violations"]
        assert [f"{v['id']}: {node['html'][:120]}" for v in found for node in v["nodes"]] == [], path
        assert page.title() != "ran"
        assert page.locator("main img, a[href*='evil.example']").count() == 0


@pytest.mark.parametrize("look", ["light", "without scripts"])
def test_a_comment_and_a_label_by_hand(enter, look):
    page = enter(TRACE, **EVERY_LOOK[look])

    page.fill("#notes textarea", "Look at this one.")
    page.click("#notes button:text('Comment')")
    page.wait_for_selector("text=Look at this one.")
    page.fill("#n-label", "Gift")
    page.click("button:text('Add label')")
    page.wait_for_selector(".labels .chip >> text=gift")
    page.click("button[aria-label='Remove the label policy wrong']")
    page.wait_for_selector("text=policy wrong", state="detached")

    assert list_label_names(Project.objects.get(slug="shop").pk) == ["gift"]
    page.click("article.comment:last-of-type >> text=Change")
    page.fill("#n-body", "Looked at.")
    page.click("button:text('Save')")
    page.wait_for_selector("text=Looked at.")
    assert page.locator("text=Look at this one.").count() == 0


def test_two_ticked_traces_are_compared(enter):
    page = enter("/p/shop/traces/?columns=time,said,pick")

    for box in page.locator("input[name=pick]").all():
        box.check()
    page.click("button:text('Compare the two that are ticked')")
    page.wait_for_selector("h1:text('side by side')")

    assert sorted((page.inner_text("del"), page.inner_text("ins"))) == ["30", "60"]


def test_the_copy_button_takes_the_whole_text(enter):
    page = enter(TRACE + "copy/")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])

    page.click("[data-copy='#copied']")
    page.wait_for_selector("button:text('Copied')")

    assert page.evaluate("navigator.clipboard.readText().then((text) => JSON.parse(text).trace_id)") == A


def test_a_target_is_paused_by_hand(enter):
    page = enter(FORWARDING)

    page.click("button[aria-label='Pause tempo']")
    page.wait_for_selector("text=tempo is paused")

    assert ForwardTarget.objects.get().paused_at is not None
