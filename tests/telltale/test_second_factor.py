"""An organisation that asks for a second factor, its people's sessions, and its ownership passed on."""

from __future__ import annotations

import pytest
from allauth.mfa.totp.internal.auth import TOTP, generate_totp_secret
from allauth.usersessions.models import UserSession
from django.test import Client

from telltale.accounts.models import Organisation, OrganisationMember
from telltale.audit.models import AuditEntry
from telltale.projects.keys import make_key
from telltale.projects.models import ProjectMember

pytestmark = pytest.mark.django_db
PAGE = "/organisations/example-ltd/"
API = "/api/v1/organisations/example-ltd"
SETUP = "/accounts/2fa/totp/activate/"


@pytest.fixture
def asked(house):
    """The organisation asks for a second factor; alice has one."""
    TOTP.activate(house.people.alice, generate_totp_secret())
    Organisation.objects.filter(pk=house.organisation.pk).update(requires_second_factor=True)
    return house


def signed_in_by_form(house, name):
    person = getattr(house.people, name)
    if not person.password:
        person.set_password(house.password)
        person.save()
    client = Client()
    client.post("/accounts/login/", {"login": f"{name}@example.com", "password": house.password})
    return client


def test_an_owner_asks_for_it_once_they_have_one_themselves(house):
    alice = house.sign_in("alice")

    alice.post(PAGE + "second-factor/", {"is_asked": "1"})
    refused = alice.patch(API, {"requires_second_factor": True}, content_type="application/json")
    assert not Organisation.objects.get(pk=house.organisation.pk).requires_second_factor
    assert refused.status_code == 409

    TOTP.activate(house.people.alice, generate_totp_secret())
    alice.post(PAGE + "second-factor/", {"is_asked": "1"})
    again = alice.patch(API, {"requires_second_factor": True}, content_type="application/json")

    assert again.json()["requires_second_factor"] is True
    assert AuditEntry.objects.filter(action="organisation.second_factor").count() == 1


def test_nothing_opens_for_members_without_one_until_they_set_it_up(asked):
    bob = asked.sign_in("bob")

    for path in ("/", "/p/shop/", "/p/shop/traces/?format=csv", "/p/shop/settings/members/"):
        answer = bob.get(path)
        assert (answer.status_code, answer.url) == (302, SETUP), path
    assert bob.get("/p/shop/", headers={"HX-Request": "true"}).headers["HX-Redirect"] == SETUP
    by_rest = bob.get("/api/v1/traces?project=shop")
    assert (by_rest.status_code, "second factor" in by_rest.json()["detail"]) == (403, True)
    assert bob.get("/p/far/").status_code == 404
    for path in ("/accounts/settings/", "/accounts/sessions/", "/accounts/password/change/"):
        assert bob.get(path).status_code == 200, path

    TOTP.activate(asked.people.bob, generate_totp_secret())
    assert bob.get("/p/shop/traces/").status_code == 200
    assert bob.get("/api/v1/traces?project=shop").status_code == 200


def test_the_page_that_sets_it_up_opens_for_who_lacks_it(asked):
    bob = signed_in_by_form(asked, "bob")

    assert bob.get("/").url == SETUP
    assert bob.get(SETUP).url.startswith("/accounts/reauthenticate/")
    bob.post("/accounts/reauthenticate/", {"password": asked.password})
    page = bob.get(SETUP)

    assert page.status_code == 200
    assert bob.get("/").url == SETUP


def test_keys_and_people_of_other_organisations_are_not_asked(asked):
    secret = make_key(asked.shop, "app", ("read",)).secret

    charlie = asked.sign_in("charlie").get("/p/far/traces/")

    assert asked.sign_in("alice").get("/p/shop/traces/").status_code == 200
    assert charlie.status_code == 200
    assert Client().get("/api/v1/traces", headers={"x-api-key": secret}).status_code == 200


def test_owners_see_who_has_none_and_who_is_signed_in_where(asked):
    OrganisationMember.objects.create(organisation=asked.organisation, user=asked.people.bob)
    signed_in_by_form(asked, "bob")
    alice = asked.sign_in("alice")

    people = {row["email"]: row for row in alice.get(API).json()["people"]}
    text = alice.get(PAGE).content.decode()

    assert (people["bob@example.com"]["has_second_factor"], people["bob@example.com"]["sessions"]) == (False, 1)
    assert people["alice@example.com"]["has_second_factor"] is True
    assert "1 place" in text


def test_an_owner_or_admin_ends_all_sessions_of_a_member(house):
    OrganisationMember.objects.create(organisation=house.organisation, user=house.people.bob)
    bob = house.people.bob.pk
    member = house.members["bob"].pk
    alice, erin = house.sign_in("alice"), house.sign_in("erin")

    ways = (
        lambda: alice.post(f"{PAGE}people/{bob}/sessions/"),
        lambda: alice.delete(f"{API}/people/{bob}/sessions"),
        lambda: erin.post(f"/p/shop/settings/members/{member}/sessions/"),
        lambda: erin.delete(f"/api/v1/members/{member}/sessions?project=shop"),
    )
    for way in ways:
        here, there = signed_in_by_form(house, "bob"), signed_in_by_form(house, "bob")
        assert UserSession.objects.filter(user=bob).count() == 2
        assert way().status_code in {200, 302}
        assert [client.get("/").status_code for client in (here, there)] == [302, 302]

    entries = AuditEntry.objects.filter(action="session.end_of_member", target="bob@example.com")
    assert [entry.after for entry in entries] == [{"sessions_ended": 2}] * len(ways)
    assert alice.get("/").status_code == 200


def test_ownership_is_passed_on_and_the_giver_stays_as_admin_or_leaves(house):
    OrganisationMember.objects.create(organisation=house.organisation, user=house.people.erin)
    alice, erin = house.sign_in("alice"), house.sign_in("erin")
    place = OrganisationMember.objects.get(organisation=house.organisation, user=house.people.erin)

    assert "Pass ownership on" in alice.get(PAGE + "transfer/").content.decode()
    alice.post(PAGE + "transfer/", {"to": place.pk, "stays": "on"})

    assert alice.get(PAGE).status_code == 404
    assert alice.get("/p/shop/settings/audit/").status_code == 200
    assert ProjectMember.objects.filter(user=house.people.alice, role="admin").count() == 2
    body = {"user_id": house.people.alice.pk, "stays": False}
    back = erin.post(API + "/transfer", body, content_type="application/json")
    owners = [row["email"] for row in back.json()["people"] if row["is_owner"]]
    assert (back.status_code, owners) == (200, ["alice@example.com"])
    assert AuditEntry.objects.filter(action="organisation.transfer").count() == 2


def test_ownership_goes_to_nobody_outside_and_not_to_oneself(house):
    alice = house.sign_in("alice")

    for user in (house.people.charlie, house.people.alice):
        answer = alice.post(API + "/transfer", {"user_id": user.pk}, content_type="application/json")
        assert answer.status_code in {400, 409}

    assert OrganisationMember.objects.get(organisation=house.organisation, is_owner=True).user == house.people.alice


def test_a_person_is_removed_from_every_project_and_the_last_owner_stays(house):
    OrganisationMember.objects.create(organisation=house.organisation, user=house.people.bob)
    alice, bob = house.sign_in("alice"), house.sign_in("bob")

    assert alice.delete(f"{API}/people/{house.people.alice.pk}").status_code == 409
    assert "Remove bob@example.com" in alice.get(f"{PAGE}people/{house.people.bob.pk}/remove/").content.decode()
    alice.post(f"{PAGE}people/{house.people.bob.pk}/remove/")

    assert bob.get("/p/shop/").status_code == 404
    assert alice.delete(f"{API}/people/{house.people.bob.pk}").status_code == 404
    entry = AuditEntry.objects.get(action="organisation.remove_person", outcome="done")
    assert entry.before == {"is_owner": False, "projects": ["shop (viewer)"]}
