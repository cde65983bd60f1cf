"""Acts about people, keys and organisations: done once, by page and by REST, each is one entry of the audit log."""

from __future__ import annotations

import json
import re

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal import auth as totp
from django.core import mail
from django.test import Client

from telltale.accounts.models import OrganisationMember
from telltale.projects.models import Invitation, ProjectMember
from tests.telltale.audit_kit import PAGE_FROM, REST_FROM, Log, Rest, posted

pytestmark = pytest.mark.django_db
ERIN, ALICE = "erin@example.com", "alice@example.com"
MEMBERS, KEYS = "/p/shop/settings/members/", "/p/shop/settings/keys/"


@pytest.fixture
def log(house):
    found = Log(house.shop)
    found.secrets.add(house.password)
    return found


@pytest.fixture
def rest(house, log):
    made = Rest(house.shop)
    log.secrets.add(made.secret)
    log.skip()
    return made


@pytest.fixture
def erin(house, log):
    client = house.sign_in("erin", REMOTE_ADDR=PAGE_FROM)
    log.skip()
    return client


def login(client, email, password, status=302):
    return posted(client, "/accounts/login/", {"login": email, "password": password, "remember": "on"}, status)


def test_signing_in_and_out_and_what_was_refused(house, log):
    log.project = None
    client = Client(REMOTE_ADDR=PAGE_FROM)
    log.secrets |= {"wrong-guess", "stranger-typed"}

    login(client, ALICE, "wrong-guess", 200)
    log.one("login", ALICE, outcome="refused", target="")
    login(client, "stranger-typed", "x", 200)
    log.new()
    login(client, "stranger-typed@example.com", "x", 200)
    log.one("login", "unknown", outcome="refused", target="")
    login(client, ALICE, house.password)
    log.one("login", ALICE, target=ALICE, actor_user_id=house.people.alice.pk)
    posted(client, "/accounts/logout/")
    log.one("logout", ALICE, target=ALICE)


def test_passwords_and_second_factors(house, log, monkeypatch):
    # Within the request, as where each request commits: the test's transaction never does.
    monkeypatch.setattr("django.db.transaction.on_commit", lambda call, **_: call())
    log.project = None
    client = Client(REMOTE_ADDR=PAGE_FROM)
    login(client, ALICE, house.password)
    log.skip()
    log.secrets |= {"quite another 2 horses", "a third 3 battery staple"}

    new = {"oldpassword": house.password, "password1": "quite another 2 horses", "password2": "quite another 2 horses"}
    posted(client, "/accounts/password/change/", new)
    log.one("password.change", ALICE, target=ALICE)

    posted(client, "/accounts/reauthenticate/", {"password": "wrong-guess"}, 200)
    log.one("login", ALICE, outcome="refused", after={"step": "password once more"})
    posted(client, "/accounts/reauthenticate/", {"password": "quite another 2 horses"})
    client.get("/accounts/2fa/totp/activate/")
    secret = client.session[totp.SECRET_SESSION_KEY]
    log.secrets.add(secret)
    code = totp.format_hotp_value(totp.hotp_value(secret, next(totp.yield_hotp_counters_from_time())))
    posted(client, "/accounts/2fa/totp/activate/", {"code": code})
    assert [entry.action for entry in log.new()] == ["factor.add", "factor.add"]  # with it its recovery codes
    posted(client, "/accounts/2fa/recovery-codes/generate/", {})
    log.one("factor.reset", ALICE, target="recovery_codes")
    codes = RecoveryCodes(Authenticator.objects.get(type="recovery_codes")).get_unused_codes()
    log.secrets |= set(codes)

    other = Client(REMOTE_ADDR=PAGE_FROM)
    login(other, ALICE, "quite another 2 horses")
    log.none()  # half of a sign-in is none
    posted(other, "/accounts/2fa/authenticate/", {"code": "000000"}, 200)
    log.one("login", ALICE, outcome="refused", after={"step": "second factor"})
    posted(other, "/accounts/2fa/authenticate/", {"code": codes[0]})
    log.one("login", ALICE)
    posted(client, "/accounts/2fa/totp/deactivate/")
    assert {entry.action for entry in log.new()} == {"factor.remove"}

    posted(Client(REMOTE_ADDR=PAGE_FROM), "/accounts/password/reset/", {"email": ALICE})
    log.none()
    link = re.search(r"/accounts/password/reset/key/\S+", mail.outbox[-1].body)[0]
    log.secrets.add(link.split("/")[-2])
    guest = Client(REMOTE_ADDR=PAGE_FROM)
    form = guest.get(link, follow=True).request["PATH_INFO"]
    new = {"password1": "a third 3 battery staple", "password2": "a third 3 battery staple"}
    posted(guest, form, new)
    log.one("password.reset", ALICE)


def test_sessions(house, log, rest, erin):
    login(Client(), ALICE, house.password)
    log.skip()
    member = house.members["bob"].pk

    posted(erin, f"{MEMBERS}{member}/sessions/")
    log.one("session.end_of_member", ERIN, target="bob@example.com")
    rest("DELETE", f"members/{member}/sessions")
    log.one("session.end_of_member", rest.who, target="bob@example.com")


def test_members_invitations_and_roles(house, log, rest, erin):
    posted(erin, MEMBERS, {"email": "New@Example.com", "role": "viewer"}, 200)
    log.one("member.invite", ERIN, target="new@example.com", after={"role": "viewer"})
    made = rest("POST", "members", {"email": "next@example.com", "role": "reviewer"})
    log.secrets.add(made["link"].split("/")[-2])
    log.one("member.invite", rest.who, target="next@example.com", after={"role": "reviewer"})

    posted(erin, f"/p/shop/settings/invitations/{Invitation.objects.get(email='new@example.com').pk}/withdraw/")
    log.one("member.withdraw", ERIN, target="new@example.com")
    again = rest("POST", "members", {"email": "third@example.com", "role": "viewer"})
    log.skip()
    rest("DELETE", f"invitations/{again['id']}")
    log.one("member.withdraw", rest.who, target="third@example.com")

    guest = Client(REMOTE_ADDR=PAGE_FROM)
    log.secrets.add("some fine password 9")
    posted(guest, made["link"].partition("/join/")[1] + made["link"].partition("/join/")[2],
           {"name": "Next", "password": "some fine password 9"})  # fmt: skip
    told = log.new()
    assert [(e.action, e.actor, e.address) for e in told] == [
        ("person.create", "next@example.com", PAGE_FROM), ("login", "next@example.com", PAGE_FROM),
        ("member.join", "next@example.com", PAGE_FROM),
    ]  # fmt: skip

    bob = house.members["bob"].pk
    posted(erin, f"{MEMBERS}{bob}/role/", {"role": "engineer"})
    log.one("member.role", ERIN, target="bob@example.com", before={"role": "viewer"}, after={"role": "engineer"})
    posted(erin, f"{MEMBERS}{bob}/role/", {"role": "engineer"})
    log.none()
    rest("PATCH", f"members/{bob}", {"role": "reviewer"})
    log.one("member.role", rest.who, before={"role": "engineer"}, after={"role": "reviewer"})
    posted(erin, f"{MEMBERS}{bob}/remove/")
    log.one("member.remove", ERIN, target="bob@example.com", before={"role": "reviewer"})
    rest("DELETE", f"members/{house.members['dora'].pk}")
    log.one("member.remove", rest.who, target="dora@example.com", before={"role": "engineer"})


def test_what_a_role_or_scope_does_not_allow_is_written_down_as_refused(house, log):
    dora = house.sign_in("dora")
    bob = house.members["bob"].pk
    weak = Rest(house.shop, ("read", "write"))
    log.skip()

    posted(dora, f"{MEMBERS}{bob}/role/", {"role": "admin"}, 403)
    log.one("access", "dora@example.com", outcome="refused", target=f"POST {MEMBERS}{bob}/role/",
            after={"has": "engineer", "needs": "admin"})  # fmt: skip
    posted(dora, MEMBERS, {"email": "x@example.com", "role": "admin"}, 403)
    log.one("access", "dora@example.com", outcome="refused", target=f"POST {MEMBERS}")
    weak("PATCH", f"members/{bob}", {"role": "admin"}, status=4)
    log.one("access", weak.who, outcome="refused", target=f"PATCH /api/v1/members/{bob}", after={"needs": "admin"})
    assert dora.get(f"{MEMBERS}{bob}/remove/").status_code == 403
    log.none()
    assert ProjectMember.objects.get(pk=bob).role == "viewer"


def test_keys(house, log, rest, erin):
    page = posted(erin, f"{KEYS}new/", {"name": "checkout", "scopes": ["ingest", "read"]}, 200).content.decode()
    log.secrets.add(re.search(r"tt_sk_\w+", page)[0])
    key = house.shop.keys.get(name="checkout")
    log.one("key.create", ERIN, target=key.public_part, after={"scopes": ["ingest", "read"]})
    made = rest("POST", "keys", {"name": "pages", "scopes": ["signal"], "origins": ["https://shop.example"]})
    log.secrets.add(made["secret"])
    log.one("key.create", rest.who, target=made["public_part"],
            after={"scopes": ["signal"], "origins": ["https://shop.example"]})  # fmt: skip
    posted(erin, f"{KEYS}{key.pk}/limit/", {"spans_a_second": "50"})
    log.one("key.limit", ERIN, target=key.public_part)
    rest("PATCH", f"keys/{made['id']}", {"spans_a_second": 9})
    log.one("key.limit", rest.who, target=made["public_part"])
    posted(erin, f"{KEYS}{made['id']}/limit/", {"spans_a_second": "9", "origins": "https://a.example"})
    log.one("key.origins", ERIN, target=made["public_part"])
    rest("PATCH", f"keys/{made['id']}", {"origins": []})
    log.one("key.origins", rest.who, before={"origins": ["https://a.example"]}, after={"origins": []})
    posted(erin, f"{KEYS}{key.pk}/revoke/")
    log.one("key.revoke", ERIN, target=key.public_part)
    rest("DELETE", f"keys/{made['id']}")
    log.one("key.revoke", rest.who, target=made["public_part"])
    rest("DELETE", f"keys/{made['id']}")
    log.none()
    secret = re.search(r"tt_sk_\w+", posted(erin, "/p/shop/welcome/", status=200).content.decode())[0]
    log.secrets.add(secret)
    log.one("key.create", ERIN, after={"scopes": ["ingest"]})


def test_organisations_their_owners_and_people(house, log):
    log.project = None
    alice = house.sign_in("alice")
    log.skip()
    home, pages, bob = house.organisation, "/organisations/example-ltd/", house.people.bob
    for person in (bob, house.people.dora, house.people.erin):
        OrganisationMember.objects.create(organisation=home, user=person)

    def rest(method, path, body=None):
        api = f"/api/v1/organisations/{path}".rstrip("/")
        answer = alice.generic(
            method, api, "{}" if body is None else json.dumps(body), content_type="application/json",
            REMOTE_ADDR=REST_FROM,
        )  # fmt: skip
        assert answer.status_code < 300, (method, path, answer.content)

    def by_page(action, **told):
        log.one(action, ALICE, organisation_id=home.pk, **told)

    def by_rest(action, **told):
        log.one(action, ALICE, address=REST_FROM, organisation_id=home.pk, **told)

    posted(alice, pages, {"name": "Example AB"})
    by_page("organisation.rename", before={"name": "Example Ltd"}, after={"name": "Example AB"})
    rest("PATCH", "example-ltd", {"name": "Example Inc"})
    by_rest("organisation.rename", before={"name": "Example AB"}, after={"name": "Example Inc"})
    posted(alice, f"{pages}owners/{bob.pk}/", {"is_owner": "1"})
    by_page("organisation.owner", target="bob@example.com")
    rest("DELETE", f"example-ltd/owners/{bob.pk}")
    by_rest("organisation.owner", target="bob@example.com")
    rest("PUT", f"example-ltd/owners/{bob.pk}")
    by_rest("organisation.owner", target="bob@example.com")
    posted(alice, f"{pages}people/{bob.pk}/sessions/")
    by_page("session.end_of_member", target="bob@example.com")
    rest("DELETE", f"example-ltd/people/{bob.pk}/sessions")
    by_rest("session.end_of_member", target="bob@example.com")
    posted(alice, f"{pages}people/{house.people.dora.pk}/remove/")
    by_page("organisation.remove_person", target="dora@example.com")
    rest("DELETE", f"example-ltd/people/{house.people.erin.pk}")
    by_rest("organisation.remove_person", target="erin@example.com")

    totp.TOTP.activate(house.people.alice, totp.generate_totp_secret())
    posted(alice, f"{pages}second-factor/", {"is_asked": "1"})
    by_page("organisation.second_factor", after={"requires_second_factor": True})
    rest("PATCH", "example-ltd", {"requires_second_factor": False})
    by_rest("organisation.second_factor", after={"requires_second_factor": False})

    posted(alice, "/projects/new/", {"name": "Third", "organisation": home.pk, "time_zone": "UTC"})
    by_page("project.create", target="third")
    answer = alice.post("/api/v1/projects", {"name": "Fourth", "organisation": "example-ltd"},
                        content_type="application/json", REMOTE_ADDR=REST_FROM)  # fmt: skip
    assert answer.status_code == 201, answer.content
    by_rest("project.create", target="fourth")
    posted(alice, "/organisations/new/", {"name": "Side"})
    log.one("organisation.create", ALICE, target="Side")

    person = OrganisationMember.objects.get(organisation=home, user=bob)
    posted(alice, f"{pages}transfer/", {"to": person.pk, "stays": "on"})
    by_page("organisation.transfer")
    assert OrganisationMember.objects.get(organisation=home, is_owner=True).user == bob


def test_owners_refused(house, log):
    log.project = None
    alice, home = house.sign_in("alice"), house.organisation
    log.skip()
    posted(alice, f"/organisations/example-ltd/owners/{house.people.alice.pk}/", {"is_owner": "0"})
    log.one("organisation.owner", ALICE, outcome="refused", organisation_id=home.pk, target=ALICE)
