"""The people everyone knows, in one organisation with two projects, and a stranger with a project of their own."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.test import Client

from telltale.accounts.models import Organisation, OrganisationMember, User
from telltale.projects import keys
from telltale.projects.models import Project, ProjectMember

PASSWORD = "correct horse battery 1"


def signed_in(user, **options):
    client = Client(**options)
    client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


@pytest.fixture
def house(db):
    """alice owns Example Ltd with `shop` and `mail`; bob, rita, dora, erin are in shop; charlie is a stranger."""
    keys.cache.clear()
    people = {name: User.objects.create(email=f"{name}@example.com") for name in ("bob", "rita", "dora", "erin")}
    for name in ("alice", "charlie"):
        people[name] = User.objects.create_user(f"{name}@example.com", PASSWORD, name=name.title())
    organisation = Organisation.objects.create(name="Example Ltd", slug="example-ltd")
    OrganisationMember.objects.create(organisation=organisation, user=people["alice"], is_owner=True)
    shop = Project.objects.create(organisation=organisation, name="Shop", slug="shop")
    mail = Project.objects.create(organisation=organisation, name="Mail", slug="mail")
    members = {
        name: ProjectMember.objects.create(project=shop, user=people[name], role=role)
        for name, role in {"bob": "viewer", "rita": "reviewer", "dora": "engineer", "erin": "admin"}.items()
    }
    far = Organisation.objects.create(name="Far Ltd", slug="far-ltd")
    OrganisationMember.objects.create(organisation=far, user=people["charlie"], is_owner=True)
    Project.objects.create(organisation=far, name="Far", slug="far")
    yield SimpleNamespace(
        organisation=organisation, shop=shop, mail=mail, members=members, people=SimpleNamespace(**people),
        password=PASSWORD, sign_in=lambda name, **options: signed_in(people[name], **options),
    )  # fmt: skip
    keys.cache.clear()
