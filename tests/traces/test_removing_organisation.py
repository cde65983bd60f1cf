"""Removing an organisation: its projects stop at once, seven days to undo it, then it goes with all of them."""

from __future__ import annotations

import io
from datetime import timedelta

import pytest
import time_machine

from telltale.accounts.models import Organisation, OrganisationMember, User
from telltale.audit.models import AuditEntry
from telltale.jobs.models import Job
from telltale.lib import clock
from telltale.projects import keys, write
from telltale.projects.models import Invitation, Project, ProjectMember, Role
from telltale.run.commands import run_command
from telltale.web import tasks
from telltale.web.erasing import asking, organisations, removing, running
from telltale.web.models import Erasure

pytestmark = pytest.mark.django_db
PAGE = "/organisations/shop-ltd/"
API = "/api/v1/organisations/shop-ltd/removal"


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch):
    for module in (running, removing):
        monkeypatch.setattr(module, "pause", lambda seconds: None)


@pytest.fixture
def second(shop):
    """Another project of the same organisation, with an invitation to it."""
    made = write.create_project(shop.project.organisation, "Second")
    write.invite(made, "dora@example.com", Role.VIEWER, by=shop.people.alice)
    return made


def status(shop, headers):
    keys.cache.clear()
    return shop.nobody.get("/api/v1/project", headers=headers).status_code


def run_all(kind="erase"):
    """The sweep of a minute, and what it began."""
    tasks.start_due_removals()
    for job in Job.objects.filter(kind=kind, state="pending").order_by("pk"):
        running.work.run_now(job)


def test_an_organisation_goes_after_seven_days_with_its_projects(otlp, shop, second):
    organisation = shop.project.organisation
    otlp.send(otlp.generation("ab" * 16, "a1" * 8))
    otlp.send(otlp.generation("cd" * 16, "c1" * 8), project=shop.elsewhere)
    headers = shop.key("read"), shop.key("read", of=second)
    assert PAGE + "remove/" in shop.alice.get(PAGE).content.decode()
    assert shop.erin.post(PAGE + "remove/", {"slug": "shop-ltd"}).status_code == 404
    assert shop.alice.post(PAGE + "remove/", {"slug": "shop"}).status_code == 400
    assert "Second" in shop.alice.get(PAGE + "remove/").content.decode()

    assert shop.alice.post(PAGE + "remove/", {"slug": "shop-ltd"}).status_code == 302

    assert [status(shop, each) for each in headers] == [401, 401]
    assert "This organisation is being removed" in shop.alice.get(PAGE).content.decode()
    assert shop.alice.get("/").content.decode().count("Being removed") == 2
    with pytest.raises(write.Refused):
        write.create_project(organisation, "Third")
    form = {"organisation": organisation.pk, "name": "Third", "time_zone": "UTC"}
    assert "being removed" in shop.alice.post("/projects/new/", form).content.decode()
    with pytest.raises(asking.Conflict):
        asking.undo_project(second)
    run_all()
    assert Organisation.objects.filter(pk=organisation.pk).exists()

    with time_machine.travel(clock.now() + timedelta(days=7, minutes=1), tick=True):
        run_all()
        assert not Project.objects.filter(organisation=organisation).exists()
        assert Organisation.objects.filter(pk=organisation.pk).exists()
        with pytest.raises(asking.Conflict):
            organisations.undo(organisation)
        run_all()

    assert list(Organisation.objects.values_list("slug", flat=True)) == ["elsewhere-ltd"]
    assert OrganisationMember.objects.filter(organisation_id=organisation.pk).count() == 0
    assert (Invitation.objects.count(), ProjectMember.objects.count()) == (0, 0)
    assert User.objects.filter(email="alice@example.com").exists()
    assert shop.charlie.get("/p/elsewhere/traces/" + "cd" * 16 + "/").status_code == 200
    receipt = Erasure.objects.get(kind="organisation")
    assert (receipt.state, receipt.removed["accounts_organisation"]) == ("done", 1)
    assert set(Erasure.objects.values_list("state", flat=True)) == {"done"}
    entries = AuditEntry.objects.filter(organisation_id=organisation.pk, action__startswith="organisation.remove")
    assert list(entries.order_by("pk").values_list("action", flat=True)) == [
        "organisation.remove", "organisation.removed",
    ]  # fmt: skip
    assert shop.alice.get(PAGE).status_code == 404
    assert write.create_organisation("Shop Ltd", shop.people.alice).slug == "shop-ltd"


def test_an_owner_keeps_it_with_the_projects_that_went_with_it(shop, second):
    asking.ask_project(second, by="alice@example.com")
    headers = shop.key("read")
    assert shop.alice.post(PAGE + "remove/", {"slug": "shop-ltd"}).status_code == 302
    assert status(shop, headers) == 401

    assert shop.erin.post(PAGE + "keep/").status_code == 404
    assert shop.alice.post(PAGE + "keep/").status_code == 302

    assert status(shop, headers) == 200
    second.refresh_from_db()
    assert second.deletion_due_at is not None
    assert set(Erasure.objects.values_list("kind", "state")) == {
        ("organisation", "undone"), ("project", "undone"), ("project", "waiting"),
    }  # fmt: skip
    asking.undo_project(second)
    write.create_project(shop.project.organisation, "Third")
    assert shop.alice.post(PAGE + "keep/").status_code == 302
    assert Erasure.objects.filter(state="undone").count() == 3


def test_a_project_made_meanwhile_goes_too(shop):
    organisations.ask(shop.project.organisation, by="alice@example.com")
    made = Project.objects.create(organisation=shop.project.organisation, name="By hand", slug="by-hand")

    with time_machine.travel(clock.now() + timedelta(days=7, minutes=1), tick=True):
        for _ in range(3):
            run_all()

    assert not Project.objects.filter(pk=made.pk).exists()
    assert not Organisation.objects.filter(slug="shop-ltd").exists()


def test_rest_asks_and_undoes(shop):
    def ask(method, body=None, client=shop.alice):
        return client.generic(method, API, body or "", content_type="application/json")

    assert ask("GET").json() == {"asked_at": None, "due_at": None, "asked_by": None}
    assert ask("DELETE").status_code == 409
    assert ask("POST", '{"slug": "shop"}').status_code == 400
    asked = ask("POST", '{"slug": "shop-ltd"}')
    assert (asked.status_code, asked.json()["asked_by"]) == (202, "alice@example.com")
    assert ask("POST", '{"slug": "shop-ltd"}').status_code == 409
    new = '{"name": "Third", "organisation": "shop-ltd"}'
    assert shop.alice.post("/api/v1/projects", new, "application/json").status_code == 409
    assert ask("GET", client=shop.erin).status_code == 404
    assert ask("DELETE").json()["asked_at"] is None


def test_the_command_asks_undoes_and_lists(shop):
    def run(*words):
        out = io.StringIO()
        return run_command(["erase", *words], out), out.getvalue()

    assert run("--organisation", "none", "--whole-organisation")[0] == 1
    assert run("--organisation", "shop-ltd", "--user", "dora")[0] == 1
    assert run("--project", "shop", "--whole-organisation")[0] == 1
    code, said = run("--organisation", "shop-ltd", "--whole-organisation")
    assert (code, "goes at" in said) == (0, True)
    assert run("--organisation", "shop-ltd", "--whole-organisation")[0] == 1
    assert run("--organisation", "shop-ltd", "--keep-organisation")[0] == 0
    code, said = run("--organisation", "shop-ltd", "--list")
    assert (code, '"kind": "organisation"' in said, '"state": "undone"' in said) == (0, True, True)
