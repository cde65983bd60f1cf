"""A person inside a project, for tests of the shell."""

from __future__ import annotations

import os
import shutil

import pytest
from django.test import Client

from telltale.accounts.models import Organisation, OrganisationMember, User
from telltale.projects.models import Project

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


@pytest.fixture(scope="session")
def chromium():
    """One Chromium for the run; tests that need it are skipped, loudly, where there is none."""
    sync_api = pytest.importorskip("playwright.sync_api")
    path = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if path is None:
        pytest.skip("no Chromium on this machine: browser tests are not run")
    # Playwright keeps an event loop in this thread until the run ends; queries beside it are safe.
    os.environ["DJANGO_ALLOW_ASYNC_UNSAFE"] = "true"
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=path, args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"]
        )
        yield browser
        browser.close()


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
