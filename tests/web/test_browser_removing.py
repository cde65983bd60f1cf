"""Removing an organisation in a browser: typed to confirm, undone again, in every look and without scripts."""

from __future__ import annotations

import pytest

from telltale.projects.models import Project
from telltale.web.erasing import asking
from tests.web.looks import EVERY_LOOK, fits

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.mark.parametrize("look", EVERY_LOOK)
def test_an_owner_removes_the_organisation_and_keeps_it(alice, enter, axe, look):
    slug = Project.objects.get(slug="shop").organisation.slug
    page = enter(f"/organisations/{slug}/", **EVERY_LOOK[look])
    page.click("text=Remove Example")
    page.wait_for_selector("[name=slug]")
    assert fits(page)
    if look != "without scripts":
        assert axe(page) == []

    page.fill("[name=slug]", slug)
    page.click("button.danger")

    page.wait_for_selector("text=It is being removed")
    with pytest.raises(asking.Conflict):
        asking.undo_project(Project.objects.get(slug="shop"))
    page.goto(f"/organisations/{slug}/")
    assert fits(page)
    if look != "without scripts":
        assert axe(page) == []
    page.click("text=Keep the organisation")
    page.wait_for_selector("text=The organisation stays")
    assert Project.objects.get(slug="shop").deletion_asked_at is None
