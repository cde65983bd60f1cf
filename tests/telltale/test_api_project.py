"""REST of a project's own things: settings, keys, members."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
from django.test import Client

from telltale.accounts.models import Organisation, OrganisationMember, User
from telltale.audit.models import AuditEntry
from telltale.projects import keys
from telltale.projects.models import ApiKey, Project, ProjectMember

pytestmark = pytest.mark.django_db


@pytest.fixture
def shop(db):
    keys.cache.clear()
    alice, bob, charlie = (User.objects.create(email=f"{name}@example.com") for name in ("alice", "bob", "charlie"))
    organisation = Organisation.objects.create(name="Shop Ltd", slug="shop-ltd")
    OrganisationMember.objects.create(organisation=organisation, user=alice, is_owner=True)
    project = Project.objects.create(organisation=organisation, name="Shop", slug="shop")
    other = Project.objects.create(
        organisation=Organisation.objects.create(name="Else", slug="else"), name="Elsewhere", slug="elsewhere"
    )
    membership = ProjectMember.objects.create(project=project, user=bob, role="viewer")

    def signed_in(user):
        client = Client()
        client.force_login(user, backend="allauth.account.auth_backends.AuthenticationBackend")
        return client

    def key(scopes, of=project):
        return {"Authorization": f"Bearer {keys.make_key(of, 'test', tuple(scopes.split())).secret}"}

    yield SimpleNamespace(
        project=project, other=other, membership=membership, key=key, nobody=Client(),
        alice=signed_in(alice), bob=signed_in(bob), charlie=signed_in(charlie),
    )  # fmt: skip
    keys.cache.clear()


def test_settings_are_read_and_changed_in_part(shop):
    headers = shop.key("read admin")
    shop.nobody.patch("/api/v1/project", {"feature_names": ["checkout"]}, "application/json", headers=headers)

    changed = shop.nobody.patch(
        "/api/v1/project", {"retention_days": 30, "time_zone": "Europe/Stockholm"}, "application/json", headers=headers
    )

    assert changed.status_code == 200
    read = shop.nobody.get("/api/v1/project", headers=headers).json()
    assert read == changed.json()
    assert (read["retention_days"], read["time_zone"], read["feature_names"]) == (30, "Europe/Stockholm", ["checkout"])
    entry = AuditEntry.objects.filter(action="project.settings").latest("id")
    assert entry.actor.startswith("key ")
    assert entry.after == {"retention_days": 30, "time_zone": "Europe/Stockholm"}


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"retention_days": 0}, "retention_days"),
        ({"retention_days": 10**30}, "retention_days"),
        ({"retention_days": "many"}, "retention_days"),
        ({"retention_days": None}, "retention_days"),
        ({"retention_days": [1]}, "retention_days"),
        ({"time_zone": "Mars/Olympus"}, "time_zone"),
        ({"time_zone": "localtime"}, "time_zone"),
        ({"name": ""}, "name"),
        ({"name": "x" * 121}, "name"),
        ({"name": "a\x00b"}, "name"),
        ({"name": {"a": 1}}, "name"),
        ({"feature_names": "checkout"}, "feature_names"),
        ({"feature_names": ["x"] * 201}, "feature_names"),
        ({"feature_rules": [{"match": "root_name", "pattern": "x"}]}, "feature_rules.0.feature"),
        ({"feature_rules": [{"match": "sun", "pattern": "x", "feature": "y"}]}, "feature_rules.0.match"),
        ({"slug": "mine"}, "slug"),
    ],
)
def test_bad_settings_are_400_and_name_the_field(shop, body, field):
    answer = shop.nobody.patch("/api/v1/project", body, "application/json", headers=shop.key("admin"))

    assert answer.status_code == 400, answer.content
    assert answer.json()["errors"][0]["field"].startswith(field)
    assert Project.objects.get(pk=shop.project.pk).name == "Shop"


@pytest.mark.parametrize(
    ("body", "limit", "value"),
    [
        ({"retention_days": 0}, "a whole number from 1 to 3650", 0),
        ({"retention_days": "many"}, "a whole number from 1 to 3650", "many"),
        ({"retention_days": None}, "a whole number from 1 to 3650", "null"),
        ({"retention_days": [1]}, "a whole number from 1 to 3650", "an array of 1 items"),
        ({"time_zone": "Mars/Olympus"}, "an IANA time zone such as Europe/Stockholm", "Mars/Olympus"),
        ({"name": ""}, "1 to 120 characters", ""),
        ({"name": {"a": 1}}, "1 to 120 characters", "an object"),
        ({"feature_names": "checkout"}, "an array of at most 200 items", "checkout"),
        ({"feature_names": ["x"] * 201}, "an array of at most 200 items", "an array of 201 items"),
        ({"feature_names": ["ok", "x" * 201]}, "1 to 200 characters", "x" * 120 + "…"),
        (
            {"feature_rules": [{"match": "sun", "pattern": "x", "feature": "y"}]},
            "one of root_name, service", "sun",
        ),
        ({"text_days": 3651}, "a whole number from 1 to 3650", 3651),
        (
            {"slug": "mine"},
            "one of feature_names, feature_rules, name, retention_days, score_days, text_days, time_zone", "slug",
        ),
    ],
)  # fmt: skip
def test_bad_settings_tell_the_limit_and_the_value(shop, body, limit, value):
    answer = shop.nobody.patch("/api/v1/project", body, "application/json", headers=shop.key("admin"))

    error = answer.json()["errors"][0]
    assert answer.json()["type"] == "urn:telltale:problem:400"
    assert (error["limit"], error["value"]) == (limit, value)


def test_a_field_that_did_not_come_has_a_limit_and_no_value(shop):
    answer = shop.nobody.post("/api/v1/members", {"role": "viewer"}, "application/json", headers=shop.key("admin"))

    assert answer.json()["errors"] == [
        {
            "field": "email", "message": "This field is required.",
            "limit": "an e-mail address of at most 254 characters",
        }
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("raw", "status"),
    [
        (b"{", 400),
        (b"[]", 400),
        (b'"x"', 400),
        (b"\xff\xfe", 400),
        (b"null", 400),
        (b'{"name": "\\ud800"}', 400),
        (b'{"a":' * 3000 + b"1" + b"}" * 3000, 400),
        (b"[" * 100_000, 400),
        (b'{"name": "' + b"x" * (1024 * 1024) + b'"}', 413),
    ],
)
def test_hostile_bodies_are_refused_without_harm(shop, raw, status):
    answer = shop.nobody.patch("/api/v1/project", raw, "application/json", headers=shop.key("admin"))

    assert answer.status_code == status, answer.content[:200]
    assert answer["Content-Type"] == "application/problem+json"
    assert len(answer.content) < 2000


def test_other_content_types_are_415(shop):
    answer = shop.nobody.post("/api/v1/keys", {"name": "x"}, headers=shop.key("admin"))

    assert answer.status_code == 415


def test_a_key_is_made_shown_once_and_revoked(shop):
    headers = shop.key("admin")
    made = shop.nobody.post(
        "/api/v1/keys", {"name": "ci", "scopes": ["read", "read"]}, "application/json", headers=headers
    )
    assert made.status_code == 201
    secret = made.json()["secret"]
    theirs = {"Authorization": f"Bearer {secret}"}
    assert shop.nobody.get("/api/v1/project", headers=theirs).status_code == 200

    listed = shop.nobody.get("/api/v1/keys", headers=headers)
    revoked = shop.nobody.delete(f"/api/v1/keys/{made.json()['id']}", headers=headers)
    keys.cache.clear()

    assert made.json()["scopes"] == ["read"]
    assert secret not in listed.content.decode()
    assert revoked.json()["revoked_at"]
    assert shop.nobody.get("/api/v1/project", headers=theirs).status_code == 401
    assert shop.nobody.delete(f"/api/v1/keys/{made.json()['id']}", headers=headers).status_code == 200


@pytest.mark.parametrize("key_id", ["0", "999999", "-1", "1e3", "9" * 40, "%00", "x", "١"])
def test_keys_that_are_not_there_are_404(shop, key_id):
    answer = shop.nobody.delete(f"/api/v1/keys/{key_id}", headers=shop.key("admin"))

    assert answer.status_code == 404


def test_keys_of_others_look_like_none(shop):
    shop.key("read", of=shop.other)
    foreign = ApiKey.objects.get(project=shop.other)
    headers = shop.key("admin")

    answers = [shop.nobody.delete(f"/api/v1/keys/{key_id}", headers=headers) for key_id in (foreign.pk, 999999)]

    assert [answer.status_code for answer in answers] == [404, 404]
    assert answers[0].json() == answers[1].json()
    foreign.refresh_from_db()
    assert foreign.revoked_at is None


def test_roles_hold_as_on_the_pages(shop):
    at = "?project=shop"
    body = {"name": "x", "scopes": ["read"]}

    assert shop.bob.get("/api/v1/keys" + at).status_code == 200
    refused = shop.bob.post("/api/v1/keys" + at, body, "application/json")
    assert refused.status_code == 403
    assert "Admin" in refused.json()["detail"]
    assert shop.alice.post("/api/v1/keys" + at, body, "application/json").status_code == 201
    assert shop.charlie.post("/api/v1/keys" + at, body, "application/json").status_code == 404
    assert shop.nobody.get("/api/v1/keys", headers=shop.key("read")).status_code == 403


def test_members_are_invited_changed_and_removed(shop):
    headers = shop.key("admin")
    url = f"/api/v1/members/{shop.membership.pk}"

    invited = shop.nobody.post(
        "/api/v1/members", {"email": "Dana@example.com", "role": "engineer"}, "application/json", headers=headers
    )
    again = shop.nobody.post(
        "/api/v1/members", {"email": "bob@example.com", "role": "engineer"}, "application/json", headers=headers
    )
    changed = shop.nobody.patch(url, {"role": "reviewer"}, "application/json", headers=headers)
    listed = shop.nobody.get("/api/v1/members", headers=headers).json()
    removed = shop.nobody.delete(url, headers=headers)

    assert invited.status_code == 201
    assert "/join/" in invited.json()["link"]
    assert again.status_code == 409
    assert changed.status_code == 200
    assert [(row["email"], row["role"]) for row in listed["items"]] == [
        ("alice@example.com", "owner"), ("bob@example.com", "reviewer"),
    ]  # fmt: skip
    assert listed["invitations"][0]["email"] == "dana@example.com"
    assert removed.status_code == 204
    assert removed.content == b""
    withdrawn = shop.nobody.delete(f"/api/v1/invitations/{invited.json()['id']}", headers=headers)
    assert withdrawn.status_code == 204
    assert shop.bob.get("/api/v1/project?project=shop").status_code == 404


def test_nobody_becomes_owner_by_a_role(shop):
    answer = shop.nobody.patch(
        f"/api/v1/members/{shop.membership.pk}", {"role": "owner"}, "application/json", headers=shop.key("admin")
    )

    assert answer.status_code == 400
    assert answer.json()["errors"][0]["field"] == "role"


def test_the_audit_log_is_read_by_admins_page_by_page(shop):
    for name in ("one", "two", "three"):
        shop.alice.post("/api/v1/keys?project=shop", {"name": name, "scopes": ["read"]}, "application/json")

    first = shop.alice.get("/api/v1/audit?project=shop&limit=2").json()
    second = shop.alice.get(first["next"]).json()

    assert len(first["items"]) == 2
    assert second["items"][0]["id"] < first["items"][-1]["id"]
    assert {row["actor"] for row in first["items"]} == {"alice@example.com"}
    assert "tt_sk_" not in str(first) + str(second)
    assert shop.bob.get("/api/v1/audit?project=shop").status_code == 403
    assert shop.charlie.get("/api/v1/audit?project=shop").status_code == 404
    assert shop.nobody.get("/api/v1/audit", headers=shop.key("read")).status_code == 403
    assert shop.nobody.get("/api/v1/audit", headers=shop.key("admin")).status_code == 200


def test_each_asker_sees_the_projects_that_are_theirs(shop):
    def slugs(client, **more):
        return [(row["slug"], row["role"]) for row in client.get("/api/v1/projects", **more).json()["items"]]

    assert slugs(shop.alice) == [("shop", "owner")]
    assert slugs(shop.bob) == [("shop", "viewer")]
    assert slugs(shop.charlie) == []
    assert slugs(shop.nobody, headers=shop.key("read")) == [("shop", None)]
    assert shop.nobody.get("/api/v1/projects", headers=shop.key("ingest")).status_code == 403
    assert shop.nobody.get("/api/v1/projects").status_code == 401


def test_an_owner_makes_projects_and_organisations(shop):
    made = shop.alice.post("/api/v1/projects", {"name": "Mail", "organisation": "shop-ltd"}, "application/json")
    assert (made.status_code, made.json()["slug"], made.json()["role"]) == (201, "mail", "owner")

    house = shop.alice.post("/api/v1/organisations", {"name": "Annexe"}, "application/json")
    assert house.status_code == 201
    slugs = [row["slug"] for row in shop.alice.get("/api/v1/organisations").json()["items"]]
    assert slugs == [house.json()["slug"], "shop-ltd"]
    assert AuditEntry.objects.filter(action__in=["project.create", "organisation.create"]).count() == 2


def test_who_owns_nothing_makes_no_organisation_as_on_the_page(shop):
    refused = shop.bob.post("/api/v1/organisations", {"name": "Bob's"}, "application/json")

    assert refused.status_code == 403
    assert Organisation.objects.count() == 2


ORGANISATION = "/api/v1/organisations/shop-ltd"


def test_an_owner_renames_the_organisation_and_its_slug_stays(shop):
    answer = shop.alice.patch(ORGANISATION, {"name": "Better Ltd"}, "application/json")

    assert answer.status_code == 200
    assert answer.json() == shop.alice.get(ORGANISATION).json()
    assert (answer.json()["slug"], answer.json()["name"]) == ("shop-ltd", "Better Ltd")
    assert answer.json()["projects"] == [{"slug": "shop", "name": "Shop"}]
    entry = AuditEntry.objects.get(action="organisation.rename")
    assert (entry.actor, entry.before, entry.after) == (
        "alice@example.com", {"name": "Shop Ltd"}, {"name": "Better Ltd"},
    )  # fmt: skip


@pytest.mark.parametrize(
    ("body", "error"),
    [
        ({}, {"field": "name"}),
        ({"name": ""}, {"field": "name", "limit": "1 to 120 characters", "value": ""}),
        ({"name": "x" * 121}, {"field": "name", "limit": "1 to 120 characters"}),
        ({"name": "a\x00b"}, {"field": "name", "value": "a\ufffdb"}),
        ({"name": 5, "slug": "new"}, {"field": "slug"}),
    ],
)
def test_a_bad_name_of_an_organisation_is_400_with_field_limit_and_value(shop, body, error):
    answer = shop.alice.patch(ORGANISATION, body, "application/json")

    assert answer.status_code == 400
    assert answer["Content-Type"] == "application/problem+json"
    told = answer.json()["errors"][0]
    assert {name: told.get(name) for name in error} == error
    assert Organisation.objects.filter(name="Shop Ltd").exists()


def test_owners_are_named_and_removed_but_the_last_one(shop):
    organisation = shop.project.organisation
    bob, alice = User.objects.get(email="bob@example.com"), User.objects.get(email="alice@example.com")
    OrganisationMember.objects.create(organisation=organisation, user=bob)
    owner = f"{ORGANISATION}/owners/"

    named = [shop.alice.put(f"{owner}{bob.pk}", {}, "application/json") for _ in range(2)]
    people = shop.bob.get(ORGANISATION).json()["people"]
    ended = [shop.bob.delete(f"{owner}{alice.pk}") for _ in range(2)]
    last = shop.bob.delete(f"{owner}{bob.pk}")

    assert [answer.status_code for answer in (*named, *ended)] == [200] * 4
    assert named[1].json() == {
        "user_id": bob.pk, "name": "bob@example.com", "email": "bob@example.com", "is_owner": True,
        "has_second_factor": False, "sessions": 0,
    }  # fmt: skip
    assert [(row["email"], row["is_owner"]) for row in people] == [
        ("alice@example.com", True), ("bob@example.com", True),
    ]  # fmt: skip
    assert last.status_code == 409
    assert last.json()["errors"] == [
        {
            "field": "is_owner", "message": "An organisation needs an owner. Name another one first.",
            "limit": "one owner at least", "value": False,
        }
    ]  # fmt: skip
    assert shop.alice.get(ORGANISATION).status_code == 404
    assert list(organisation.members.filter(is_owner=True).values_list("user", flat=True)) == [bob.pk]
    entries = AuditEntry.objects.filter(action="organisation.owner").order_by("pk")
    assert [(entry.target, entry.after, entry.outcome) for entry in entries] == [
        ("bob@example.com", {"is_owner": True}, "done"), ("alice@example.com", {"is_owner": False}, "done"),
        ("bob@example.com", {"is_owner": False}, "refused"),
    ]  # fmt: skip


def test_nobody_from_outside_becomes_an_owner(shop):
    charlie = User.objects.get(email="charlie@example.com")

    foreign, absent, odd = (
        shop.alice.put(f"{ORGANISATION}/owners/{who}", {}, "application/json") for who in (charlie.pk, 999_999, "x")
    )

    assert [answer.status_code for answer in (foreign, absent, odd)] == [404] * 3
    assert foreign.json() == absent.json() == odd.json()


def test_an_organisation_is_not_there_for_who_does_not_own_it(shop):
    owner = f"{ORGANISATION}/owners/{User.objects.get(email='alice@example.com').pk}"

    for client in (shop.bob, shop.charlie):
        told = {client.get(path).content for path in (ORGANISATION, "/api/v1/organisations/no-such")}
        assert len(told) == 1
        assert client.patch(ORGANISATION, {"name": "Mine"}, "application/json").status_code == 404
        assert client.delete(owner).status_code == 404
    for headers in (shop.key("read admin"), shop.key("ingest")):
        assert shop.nobody.get(ORGANISATION, headers=headers).status_code == 403
        assert shop.nobody.delete(owner, headers=headers).status_code == 403
    assert shop.nobody.get(ORGANISATION).status_code == 401


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"name": "X", "organisation": "else"}, 404),
        ({"name": "X", "organisation": "no-such"}, 404),
        ({"name": "", "organisation": "shop-ltd"}, 400),
        ({"name": "X", "organisation": "shop-ltd", "time_zone": "Mars/Base"}, 400),
        ({"name": "X" * 121, "organisation": "shop-ltd"}, 400),
    ],
)
def test_projects_are_made_in_ones_own_organisation_alone(shop, body, status):
    assert shop.alice.post("/api/v1/projects", body, "application/json").status_code == status
    assert Project.objects.count() == 2
    by_key = shop.nobody.post("/api/v1/projects", body, "application/json", headers=shop.key("admin"))
    assert by_key.status_code == 403
