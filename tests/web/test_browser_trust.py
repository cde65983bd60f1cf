"""The pages of trust in a browser, with something to show: nothing is in anybody's way, in the dark, on a phone."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.contrib.auth import get_user_model

from telltale.audit.models import AuditEntry
from telltale.jobs.models import Heartbeat, Job, JobState
from telltale.lib import clock
from telltale.projects.models import Project
from telltale.web.models import Archive
from tests.web.looks import LOOKS

pytestmark = pytest.mark.django_db(transaction=True)
SETTINGS = "/p/shop/settings/"
PAGES = (
    "/ops/", "/audit/", "/organisations/example-ltd/audit/", "/organisations/example-ltd/transfer/",
    "/accounts/password/change/", "/accounts/sessions/", SETTINGS + "masking/", SETTINGS + "retention/",
    SETTINGS + "exports/", SETTINGS + "privacy/", SETTINGS + "privacy/erase/?kind=user&id=user-7",
    SETTINGS + "privacy/remove/", SETTINGS + "audit/", SETTINGS + "forwarding/",
)  # fmt: skip


@pytest.fixture
def shop(alice):
    """alice, an operator too, with an export, failed work, a worker, and an entry of many long changes."""
    get_user_model().objects.filter(pk=alice.pk).update(is_superuser=True)
    project, now = Project.objects.get(slug="shop"), clock.now()
    Archive.objects.create(project=project, asked_by=alice.email, finished_at=now, bytes=4_096)
    Job.objects.create(kind="reprice", project=project, state=JobState.FAILED, error="No price book.", finished_at=now)
    Heartbeat.objects.create(name="vm:1", pid=1, started_at=now, at=now - timedelta(minutes=9))
    AuditEntry.objects.create(
        action="price.add", actor=alice.email, target="m" * 90, project_id=project.pk, outcome="done",
        after={f"field_{n}": "long value " * 20 for n in range(12)} | {"parts": [{"of": 1}]},
    )  # fmt: skip
    return alice


@pytest.mark.parametrize(
    ("look", "pages"),
    [(LOOKS["light"], PAGES[::4]), (LOOKS["dark"] | LOOKS["phone"], PAGES)],
    ids=["light", "dark phone"],
)
def test_pages_of_trust_are_in_nobodys_way(shop, enter, axe, look, pages):
    page = enter("/", **look)

    for path in pages:
        page.goto(path)
        assert page.locator("h1").count() == 1, path
        assert axe(page) == [], path
        assert page.evaluate("document.documentElement.scrollWidth - innerWidth") <= 0, path


def test_the_open_tab_of_the_settings_is_in_sight_on_a_phone(shop, enter):
    page = enter(SETTINGS + "audit/", **LOOKS["phone"])

    box = page.locator(".settabs [aria-current]").bounding_box()

    assert box["x"] >= 0
    assert box["x"] + box["width"] <= 390


def test_the_settings_show_where_one_is_and_what_became_of_a_tried_text(shop, enter):
    page = enter(SETTINGS + "masking/")
    page.fill("#f-text", "my card 4111 1111 1111 1111")
    page.click("text=Try the text")
    result = page.locator("text=my card [masked: card]")
    result.wait_for()

    assert page.locator(".setgrid > nav.hide-s [aria-current]").inner_text() == "Masking", "also below its address"
    assert 0 < result.bounding_box()["y"] < 900, "in sight, at the end of a long page"
