"""Removing a project: its keys stop at once, seven days to undo it, then every row goes and its slug is free."""

from __future__ import annotations

from datetime import timedelta

import pytest
import time_machine
from django.db import transaction
from django.test import Client

from telltale.jobs.models import Job
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.lib.rows import list_tables
from telltale.projects import keys
from telltale.projects.models import Project
from telltale.web.erasing import asking, kept, removing, running
from telltale.web.models import Erasure
from tests.traces.erasing_kit import fold_all

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    for module in (running, removing):
        monkeypatch.setattr(module, "pause", lambda seconds: None)


def rows_of(project_id):
    """Rows of a project by table, but for the log and the receipts."""
    found = {}
    with transaction.atomic(), raw_cursor() as cursor:
        for table in list_tables(cursor):
            scope = table.of_project(project_id)
            if scope is None or table.name in kept.OF_PROJECTS:
                continue
            cursor.execute(removing.sql.SQL("SELECT count(*) FROM {} WHERE {}").format(
                removing.sql.Identifier(table.name), scope
            ))  # fmt: skip
            if n := cursor.fetchone()[0]:
                found[table.name] = n
    return found


def test_a_project_goes_after_seven_days_with_every_row(otlp, shop):
    from telltale.accounts.models import User
    from tests.telltale.test_access_walk import _furnish

    secret = keys.make_key(shop.project, "all", keys.SCOPES).secret
    holder = Client(headers={"Authorization": f"Bearer {secret}"})
    _furnish(shop.project, User.objects.create(email="dora@example.com"), holder, bytes.fromhex("ab" * 16))
    otlp.send(otlp.generation("ac" * 16, "a2" * 8))
    otlp.send(otlp.generation("ad" * 16, "a3" * 8), project=shop.elsewhere)
    fold_all()
    elsewhere, project_id = rows_of(shop.elsewhere.pk), shop.project.pk
    assert len(rows_of(project_id)) > 60

    page = "/p/shop/settings/privacy/"
    assert shop.erin.post(page + "remove/", {"slug": "shop"}).status_code == 403
    assert shop.alice.post(page + "remove/", {"slug": "other"}).status_code == 400
    assert shop.alice.post(page + "remove/", {"slug": "shop"}).status_code == 302

    keys.cache.clear()
    assert holder.get("/api/v1/traces").status_code == 401
    assert "Being removed" in shop.alice.get("/").content.decode()
    assert asking.start_due() == 0
    with time_machine.travel(clock.now() + timedelta(days=7, minutes=1), tick=True):
        assert asking.start_due() == 1
        with pytest.raises(asking.Conflict):
            asking.undo_project(shop.project)
        running.work.run_now(Job.objects.get(kind="erase", params__erasure=Erasure.objects.get(kind="project").pk))

    receipt = Erasure.objects.get(kind="project")
    assert not Erasure.objects.exclude(state="done").exists()
    assert (receipt.state, receipt.remaining) == ("done", {}), receipt.error
    assert rows_of(project_id) == {}
    assert rows_of(shop.elsewhere.pk) == elsewhere
    Project.objects.create(organisation=shop.project.organisation, name="Shop", slug="shop")


def test_an_owner_keeps_the_project_after_all(shop):
    asking.ask_project(shop.project, by="alice@example.com")
    headers = shop.key("read")
    keys.cache.clear()
    assert shop.nobody.get("/api/v1/project", headers=headers).status_code == 401

    assert shop.alice.post("/p/shop/settings/privacy/keep/").status_code == 302

    keys.cache.clear()
    assert shop.nobody.get("/api/v1/project", headers=headers).status_code == 200
    assert Erasure.objects.get().state == "undone"
    assert asking.ask_project(Project.objects.get(slug="shop")).state == "waiting"
