"""Who gets which page: every project address, every role, and the stranger."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from django.contrib.auth.models import AnonymousUser
from django.http import Http404
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import URLPattern, get_resolver

from telltale.projects import access, write
from telltale.projects.models import Project, Role

pytestmark = pytest.mark.django_db
SAMPLES = {"int": "1", "str": "sample", "slug": "sample", "uuid": "6f1f3c1e-5f0b-4b60-9f0e-0a6b8f5b9c11", "path": "x"}
ROLE_OF = {"bob": Role.VIEWER, "rita": Role.REVIEWER, "dora": Role.ENGINEER, "erin": Role.ADMIN, "alice": Role.OWNER}


def project_paths():
    """Every address below /p/<slug>/, with a sample in place of each further part."""

    def walk(patterns, prefix):
        for entry in patterns:
            route = prefix + str(entry.pattern)
            if isinstance(entry, URLPattern):
                yield route
            else:
                yield from walk(entry.url_patterns, route)

    for route in walk(get_resolver().url_patterns, ""):
        if route.startswith("p/<slug:slug>/"):
            yield re.sub(
                r"<(?:(\w+):)?(\w+)>",
                lambda m: SAMPLES.get(m[1] or "str", "sample"),
                "/" + route.replace("<slug:slug>", "SLUG"),
            )


PATHS = sorted(set(project_paths()))


def ask(client, path, slug):
    """The answer to a GET, or to a POST where a GET is not taken."""
    answer = client.get(path.replace("SLUG", slug))
    return client.post(path.replace("SLUG", slug)) if answer.status_code == 405 else answer


def test_the_walk_finds_the_pages():
    assert "/p/SLUG/settings/keys/1/revoke/" in PATHS
    assert len(PATHS) > 10


@pytest.mark.parametrize("path", PATHS)
def test_a_stranger_cannot_tell_yours_from_nothing(house, path):
    charlie = house.sign_in("charlie")

    not_yours, not_there = ask(charlie, path, "shop"), ask(charlie, path, "no-such-project")

    assert not_yours.status_code == not_there.status_code == 404
    assert not_yours.content == not_there.content


@pytest.mark.parametrize("path", PATHS)
def test_nobody_is_sent_to_sign_in_wherever_they_knock(house, path):
    for slug in ("shop", "no-such-project"):
        answer = ask(Client(), path, slug)

        assert answer.status_code == 302
        assert answer.url.startswith("/accounts/login/?next=/p/")


@pytest.mark.parametrize("path", PATHS)
def test_a_fragment_sends_the_whole_page_to_sign_in(house, path):
    client = Client(headers={"HX-Request": "true"})

    answer = ask(client, path, "shop")

    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"].startswith("/accounts/login/")


MATRIX = [
    # method, path, data, weakest role, status for those who may
    ("get", "/p/shop/", None, Role.VIEWER, 302),
    ("get", "/p/shop/welcome/", None, Role.VIEWER, 200),
    ("post", "/p/shop/welcome/", {}, Role.ADMIN, 200),
    ("get", "/p/shop/settings/", None, Role.VIEWER, 200),
    ("post", "/p/shop/settings/", {"name": ""}, Role.ADMIN, 200),
    ("get", "/p/shop/settings/keys/", None, Role.VIEWER, 200),
    ("post", "/p/shop/settings/keys/new/", {"name": "k", "scopes": "ingest"}, Role.ADMIN, 200),
    ("get", "/p/shop/settings/keys/KEY/revoke/", None, Role.ADMIN, 200),
    ("post", "/p/shop/settings/keys/KEY/revoke/", {}, Role.ADMIN, 302),
    ("get", "/p/shop/settings/audit/", None, Role.ADMIN, 200),
    ("get", "/p/shop/settings/members/", None, Role.VIEWER, 200),
    ("post", "/p/shop/settings/members/", {"email": "new@example.com", "role": "viewer"}, Role.ADMIN, 200),
    ("post", "/p/shop/settings/members/BOB/role/", {"role": "viewer"}, Role.ADMIN, 302),
    ("get", "/p/shop/settings/members/BOB/remove/", None, Role.ADMIN, 200),
    ("post", "/p/shop/settings/invitations/INVITATION/withdraw/", {}, Role.ADMIN, 302),
    ("get", "/organisations/example-ltd/", None, Role.OWNER, 200),
    ("post", "/organisations/example-ltd/", {"name": "New Ltd"}, Role.OWNER, 302),
]


@pytest.mark.parametrize("name", ROLE_OF)
@pytest.mark.parametrize(("method", "path", "data", "weakest", "status"), MATRIX)
def test_each_role_gets_what_the_table_says(house, name, method, path, data, weakest, status):
    key = write.create_key(house.shop, "k", ("ingest",)).key
    invitation = write.invite(house.shop, "lena@example.com", Role.VIEWER, by=None).invitation
    path = path.replace("KEY", str(key.pk)).replace("BOB", str(house.members["bob"].pk))
    path = path.replace("INVITATION", str(invitation.pk))

    answer = getattr(house.sign_in(name), method)(path, data)

    if access.is_at_least(ROLE_OF[name], weakest):
        assert answer.status_code == status
    elif path.startswith("/organisations/"):
        assert answer.status_code == 404
    else:
        assert answer.status_code == 403
        assert f"Your role, {ROLE_OF[name].label}, cannot do this" in answer.content.decode()
        assert "Admins and Owners of this project can" in answer.content.decode()


def test_ids_of_another_project_are_not_there(house):
    foreign = Project.objects.get(slug="far")
    key = write.create_key(foreign, "k", ("ingest",)).key
    invitation = write.invite(foreign, "x@example.com", Role.ADMIN, by=None).invitation
    alice = house.sign_in("alice")

    assert alice.post(f"/p/shop/settings/keys/{key.pk}/revoke/").status_code == 404
    assert alice.post(f"/p/shop/settings/invitations/{invitation.pk}/withdraw/").status_code == 404
    key.refresh_from_db()
    assert key.revoked_at is None


@pytest.mark.parametrize("path", PATHS)
def test_every_form_of_a_project_needs_its_token(house, path):
    client = house.sign_in("alice", enforce_csrf_checks=True)

    answer = client.post(path.replace("SLUG", "shop"))

    assert answer.status_code == 403
    assert b"This form is out of date" in answer.content


@pytest.mark.parametrize(
    "path", ["/accounts/login/", "/accounts/logout/", "/accounts/password/reset/", "/accounts/password/change/",
             "/accounts/settings/", "/accounts/sessions/end-others/", "/projects/new/", "/organisations/example-ltd/",
             "/join/x/"],
)  # fmt: skip
def test_every_other_form_needs_its_token(house, path):
    assert house.sign_in("alice", enforce_csrf_checks=True).post(path).status_code == 403


def test_no_get_changes_anything(house):
    from django.db import connection

    alice = house.sign_in("alice")
    alice.get("/")
    paths = [path.replace("SLUG", "shop") for path in PATHS]
    for path in [*paths, "/", "/projects/new/", "/organisations/example-ltd/", "/accounts/settings/", "/join/x/"]:
        with CaptureQueriesContext(
            connection,
        ) as queries:
            alice.get(path)
        changing = [q["sql"] for q in queries if q["sql"].split()[0] in {"INSERT", "UPDATE", "DELETE"}]
        assert not changing, path


def test_nobody_has_no_projects(house):
    assert not Project.objects.for_user(AnonymousUser()).exists()
    assert access.projects_of(AnonymousUser()) == []
    with pytest.raises(Http404):
        access.get_project_for(AnonymousUser(), "shop")


def test_a_closed_account_has_no_projects(house):
    house.people.bob.is_active = False

    assert not Project.objects.for_user(house.people.bob).exists()


def test_an_owner_needs_no_membership_and_a_member_sees_only_theirs(house):
    assert [p.slug for p in access.projects_of(house.people.alice)] == ["mail", "shop"]
    assert [(p.slug, p.your_role) for p in access.projects_of(house.people.bob)] == [("shop", Role.VIEWER)]


def test_an_owner_who_is_also_a_viewer_stays_owner(house):
    house.shop.members.create(user=house.people.alice, role="viewer")

    assert access.get_project_for(house.people.alice, "shop").your_role == Role.OWNER


def test_roles_grow_without_gaps():
    table = access.role_table()

    assert all(list(able) == sorted(able) for _, able in table), "a stronger role may all that a weaker one may"
    assert {act.scope for act, _ in table} == {"read", "write", "admin", ""}
    assert access.roles_that_may("keys") == (Role.ADMIN, Role.OWNER)


def test_the_document_of_roles_is_the_table():
    text = (Path(__file__).resolve().parents[2] / "docs" / "roles.md").read_text()

    for act, able in access.role_table():
        cells = " | ".join("yes" if can else "no" for can in able)
        assert f"| {act.label} | {cells} | {act.scope or 'none'} |" in text
