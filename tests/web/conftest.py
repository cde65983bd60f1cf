"""A person inside a project, for tests of the shell."""

from __future__ import annotations

import pytest
from django.test import Client

from telltale.accounts.models import Organisation, OrganisationMember, User
from telltale.projects.models import Project
from tests.web.looks import sign_in

PASSWORD = "correct horse battery 1"


@pytest.fixture
def alice(db):
    """alice@example.com, owner of Example Ltd with the project `shop`; her password is `PASSWORD`."""
    user = User.objects.create_user("alice@example.com", PASSWORD, name="Alice Okafor")
    organisation = Organisation.objects.create(name="Example Ltd", slug="example-ltd")
    OrganisationMember.objects.create(organisation=organisation, user=user, is_owner=True)
    Project.objects.create(organisation=organisation, name="Shop", slug="shop")
    user.typed_password = PASSWORD
    return user


@pytest.fixture
def inside(alice):
    """A client signed in as alice."""
    client = Client()
    client.force_login(alice, backend="allauth.account.auth_backends.AuthenticationBackend")
    return client


@pytest.fixture
def open_page(chromium, live_server):
    """Makes pages: `open_page(path, **context options)`; console errors and policy violations fail the test."""
    contexts, complaints = [], []

    def make(path="/", **options):
        context = chromium.new_context(base_url=live_server.url, **options)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: complaints.append(m.text) if m.type in {"error", "warning"} else None)
        page.on("pageerror", lambda e: complaints.append(str(e)))
        page.on(
            "request", lambda r: complaints.append(r.url) if not r.url.startswith((live_server.url, "data:")) else None
        )
        page.goto(path)
        return page

    yield make
    for context in contexts:
        context.close()
    assert not complaints


@pytest.fixture
def shop(alice):
    """Who looks at the project. Modules that need something in it bring a `shop` of their own."""
    return alice


@pytest.fixture
def enter(shop, open_page):
    """Opens a page as alice: `enter(path, **context options)`."""

    def make(path, **options):
        page = open_page("/accounts/login/", **options)
        sign_in(page, shop)
        page.goto(path)
        return page

    return make
