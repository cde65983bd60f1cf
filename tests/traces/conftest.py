"""People, a project and its keys, as every test of this room knows them."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.test import Client

from telltale.accounts.models import Organisation, OrganisationMember, User
from telltale.projects import keys
from telltale.projects.models import Project, ProjectMember
from traces.ingest import refusals


@pytest.fixture(autouse=True)
def quiet_refusals(monkeypatch):
    """Refused requests are counted by a timer's thread a second later, when the test's database is gone."""
    monkeypatch.setattr(refusals, "_timer", object())
    yield
    refusals._held.clear()


def make_project(slug, owner=None):
    organisation = Organisation.objects.create(name=f"{slug} Ltd", slug=f"{slug}-ltd")
    if owner:
        OrganisationMember.objects.create(organisation=organisation, user=owner, is_owner=True)
    return Project.objects.create(organisation=organisation, name=slug.title(), slug=slug)


def signed_in(user):
    client = Client()
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


@pytest.fixture
def shop(db):
    """Project `shop` of alice (owner), with bob (viewer) and erin (admin); charlie owns `elsewhere`. A key each scope."""
    keys.cache.clear()
    alice, bob, charlie, erin = (
        User.objects.create(email=f"{name}@example.com", name=name.title()) for name in ("alice", "bob", "charlie", "erin")
    )
    project = make_project("shop", alice)
    ProjectMember.objects.create(project=project, user=bob, role="viewer")
    ProjectMember.objects.create(project=project, user=erin, role="admin")
    elsewhere = make_project("elsewhere", charlie)

    def key(scopes, of=project):
        made = keys.make_key(of, "test", tuple(scopes.split()))
        return {"Authorization": f"Bearer {made.secret}"}

    yield SimpleNamespace(
        project=project,
        elsewhere=elsewhere,
        alice=signed_in(alice),
        bob=signed_in(bob),
        charlie=signed_in(charlie),
        erin=signed_in(erin),
        nobody=Client(),
        key=key,
        people=SimpleNamespace(alice=alice, bob=bob, charlie=charlie, erin=erin),
    )
    keys.cache.clear()
