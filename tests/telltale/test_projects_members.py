"""Inviting, joining, roles, leaving."""

from __future__ import annotations

import re
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import time_machine
from django.core import mail
from django.db import connection
from django.test import Client

from telltale.accounts.models import User
from telltale.audit.models import AuditEntry
from telltale.lib import clock
from telltale.projects import write
from telltale.projects.models import Invitation, ProjectMember, Role

pytestmark = pytest.mark.django_db
MEMBERS = "/p/shop/settings/members/"


def invite(house, email, role="engineer"):
    answer = house.sign_in("erin").post(MEMBERS, {"email": email, "role": role})
    found = re.search(r"/join/[\w-]+/", answer.content.decode())
    return found and found[0]


def test_a_new_person_joins_with_a_password_of_their_own(house):
    link = invite(house, "Lena@Example.com")
    lena = Client()
    assert "invites lena@example.com as Engineer" in lena.get(link).content.decode()

    joined = lena.post(link, {"name": "Lena", "password": "a long password 3"}, follow=True)

    assert joined.redirect_chain[0][0] == "/p/shop/"
    assert ProjectMember.objects.get(user__email="lena@example.com").role == "engineer"
    assert lena.get("/p/shop/settings/").status_code == 200
    assert (
        Client().post("/accounts/login/", {"login": "lena@example.com", "password": "a long password 3"}).status_code
        == 302
    )
    assert AuditEntry.objects.filter(action="member.join", target="lena@example.com").count() == 1


def test_somebody_with_an_account_signs_in_and_joins(house):
    link = invite(house, "charlie@example.com", "reviewer")
    page = Client().get(link).content.decode()
    assert f"next={link.replace('/', '%2F')}" in page
    charlie = house.sign_in("charlie")
    assert charlie.get("/p/shop/settings/").status_code == 404

    charlie.post(link)

    assert charlie.get("/p/shop/settings/").status_code == 200


def test_a_link_does_not_give_away_an_existing_account(house):
    link = invite(house, "charlie@example.com")

    answer = Client().post(link, {"name": "Mallory", "password": "a long password 3"})

    assert answer.status_code == 200
    assert "Sign in to join" in answer.content.decode()
    assert house.people.charlie.check_password(house.password)
    assert not ProjectMember.objects.filter(user=house.people.charlie).exists()


def test_an_admin_sees_the_same_whether_an_address_has_an_account(house):
    erin = house.sign_in("erin")

    def shown(email):
        text = erin.post(MEMBERS, {"email": email, "role": "viewer"}).content.decode()
        start, end = text.index('class="note ok"'), text.index("</form>", text.index('class="note ok"'))
        return re.sub(r"/join/[\w-]+/|value=\"\w{64}\"|" + email, "", text[start:end])

    assert shown("charlie@example.com") == shown("nobody@example.com")


def test_an_invitation_is_for_one_person(house):
    link = invite(house, "lena@example.com")
    charlie = house.sign_in("charlie")

    answer = charlie.post(link)

    assert "this invitation is for lena@example.com" in answer.content.decode()
    assert charlie.get("/p/shop/settings/").status_code == 404


def test_an_invitation_works_once(house):
    link = invite(house, "lena@example.com")
    Client().post(link, {"name": "Lena", "password": "a long password 3"})

    again = Client().post(link, {"name": "Eve", "password": "a long password 4"})

    assert again.status_code == 404
    assert "does not work any more" in again.content.decode()


def test_an_invitation_ends_after_seven_days(house):
    link = invite(house, "lena@example.com")

    with time_machine.travel(clock.now() + timedelta(days=7, seconds=1), tick=False):
        assert Client().get(link).status_code == 404


def test_a_second_invitation_replaces_the_first(house):
    first, second = invite(house, "lena@example.com"), invite(house, "lena@example.com", "admin")

    assert Client().get(first).status_code == 404
    assert Client().get(second).status_code == 200


def test_a_second_invitation_by_rest_replaces_the_first_too(house):
    erin = house.sign_in("erin")

    made = [
        erin.post("/api/v1/members?project=shop", {"email": email, "role": "viewer"}, "application/json").json()
        for email in ("lena@example.com", "Lena@Example.com")
    ]

    listed = erin.get("/api/v1/members?project=shop").json()["invitations"]
    assert [row["id"] for row in listed] == [made[1]["id"]]
    links = [urlsplit(row["link"]).path for row in made]
    assert [Client().get(link).status_code for link in links] == [404, 200]
    withdrawn = erin.delete(f"/api/v1/invitations/{made[0]['id']}?project=shop")
    assert withdrawn.status_code == 404


@pytest.mark.django_db(transaction=True)
def test_invitations_at_the_same_moment_leave_one_open_link(house):
    together = threading.Barrier(4)

    def one():
        try:
            together.wait()
            return write.invite(house.shop, "lena@example.com", Role.VIEWER, by=None)
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        made = [future.result() for future in [pool.submit(one) for _ in range(4)]]

    works = [write.find_invitation(invited.token) is not None for invited in made]
    assert sorted(works) == [False, False, False, True]


def test_a_withdrawn_invitation_is_over(house):
    link = invite(house, "lena@example.com")
    row = Invitation.objects.get()

    house.sign_in("erin").post(f"/p/shop/settings/invitations/{row.pk}/withdraw/")

    assert Client().get(link).status_code == 404


def test_the_link_is_kept_as_its_hash(house):
    link = invite(house, "lena@example.com")

    token = link.split("/")[2]
    assert token.encode() not in bytes(Invitation.objects.get().token_sha256)
    assert not AuditEntry.objects.filter(after__icontains=token).exists()


def test_mail_carries_the_link_where_there_is_a_server(house, settings):
    settings.TELLTALE_SMTP_URL = "smtp://mail.example"

    link = invite(house, "lena@example.com")

    assert mail.outbox[0].to == ["lena@example.com"]
    assert settings.TELLTALE_PUBLIC_URL + link in mail.outbox[0].body


def test_a_member_is_not_invited_again(house):
    answer = house.sign_in("erin").post(MEMBERS, {"email": "BOB@example.com", "role": "admin"})

    assert "is a member already" in answer.content.decode()
    assert not Invitation.objects.exists()


@pytest.mark.parametrize("data", [{"email": "lena@", "role": "viewer"}, {"email": "lena@example.com", "role": "owner"}])
def test_a_wrong_address_or_role_is_named(house, data):
    answer = house.sign_in("erin").post(MEMBERS, data)

    assert b"errsum" in answer.content
    assert not Invitation.objects.exists()


def test_a_weak_password_does_not_join(house):
    link = invite(house, "lena@example.com")

    answer = Client().post(link, {"name": "Lena", "password": "short"})

    assert b"errsum" in answer.content
    assert not User.objects.filter(email="lena@example.com").exists()


def test_a_role_changes_and_holds_at_once(house):
    erin, bob = house.sign_in("erin"), house.sign_in("bob")
    member = house.members["bob"].pk

    erin.post(f"{MEMBERS}{member}/role/", {"role": "admin"})
    assert bob.get(f"{MEMBERS}{member}/remove/").status_code == 200
    erin.post(f"{MEMBERS}{member}/role/", {"role": "owner"})
    erin.post(f"{MEMBERS}{member}/role/", {"role": "viewer"})

    assert bob.get(f"{MEMBERS}{member}/remove/").status_code == 403
    changes = AuditEntry.objects.filter(action="member.role").order_by("id")
    assert [(row.before["role"], row.after["role"]) for row in changes] == [("viewer", "admin"), ("admin", "viewer")]


def test_a_removed_member_is_out_at_the_next_request(house):
    bob = house.sign_in("bob")
    assert bob.get("/p/shop/settings/").status_code == 200

    house.sign_in("erin").post(f"{MEMBERS}{house.members['bob'].pk}/remove/")

    assert bob.get("/p/shop/settings/").status_code == 404


def test_the_list_shows_people_and_open_invitations(house):
    invite(house, "lena@example.com")

    page = house.sign_in("bob").get(MEMBERS).content.decode().partition("<main")[2]

    assert page.index("alice@example.com") < page.index("bob@example.com") < page.index("lena@example.com")
    assert "5 people." in page
    assert "Withdraw" not in page
    assert "<select" not in page
