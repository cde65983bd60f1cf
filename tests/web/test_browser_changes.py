"""The pages of changes and models in a browser: no sideways scroll, nothing against accessibility, light and dark."""

from __future__ import annotations

from datetime import timedelta

import pytest

from evals.models import Promotion
from telltale.lib import clock
from telltale.projects.models import Project
from traces import changelog
from traces.models import Change

pytestmark = pytest.mark.django_db(transaction=True)


def test_changes_and_models_fit_a_phone_and_offend_no_rule(page, sign_in_browser, alice, axe):
    project = Project.objects.get(slug="shop")
    at = clock.now() - timedelta(hours=1)
    told = [
        {"kind": "deploy", "version": "1.8.2-" + "x" * 150, "service": "shop-" + "api" * 60, "note": "hot " * 80},
        {"kind": "prompt", "name": "answer", "version": "14", "previous": "13", "url": "https://ci.example.com/1"},
    ]  # fmt: skip
    changelog.put_changes(project, told, changelog.By(name="Kim"))
    Change.objects.create(project=project, kind="model", version="gpt-5", source="derived", origin="x", at=at)
    Promotion.objects.create(project=project, kind="model", version="gpt-5", author="Kim", evidence={"is_first": True})
    change = Change.objects.filter(kind="deploy").get()
    sign_in_browser(page, alice)
    paths = ("changes/", "changes/new/", f"changes/{change.pk}/", "models/", "models/promote/")

    for scheme, width in (("light", 1280), ("dark", 390)):
        page.emulate_media(color_scheme=scheme)
        page.set_viewport_size({"width": width, "height": 900})
        for path in paths:
            page.goto(f"/p/{project.slug}/{path}")
            assert page.evaluate("document.documentElement.scrollWidth") <= width, (path, width)
            assert axe(page) == [], (path, scheme)
