"""Signing in: through the door people use."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
import time_machine
from django.core import mail
from django.db import connection
from django.test import Client

from telltale.accounts import forms, throttle
from telltale.accounts.adapter import is_own_path
from telltale.accounts.models import LoginAttempt, User
from telltale.audit.models import AuditEntry
from telltale.lib import clock

pytestmark = pytest.mark.django_db


def try_login(client, email, password, path="/accounts/login/", **extra):
    return client.post(path, {"login": email, "password": password, "remember": "on"}, **extra)


@pytest.fixture(autouse=True)
def no_floor(monkeypatch):
    monkeypatch.setattr(forms, "RESET_FLOOR_SECONDS", 0.0)


def test_right_password_opens_and_makes_a_new_session(house):
    client = Client()
    client.get("/accounts/login/")
    session = client.session
    session["probe"] = 1
    session.save()
    before = session.session_key

    answer = try_login(client, "Alice@Example.com", house.password)

    assert answer.status_code == 302
    assert answer.url == "/"
    assert client.session.session_key != before
    assert AuditEntry.objects.filter(action="login", actor="alice@example.com").count() == 1


def test_cookies_are_http_only_and_lax(house):
    answer = try_login(Client(), "alice@example.com", house.password)

    for name in ("sessionid", throttle.known_browser_cookie()):
        assert answer.cookies[name]["httponly"]
        assert answer.cookies[name]["samesite"] == "Lax"


def test_eleventh_try_at_an_account_is_refused_even_with_the_right_password(house):
    for number in range(10):
        assert try_login(Client(), "alice@example.com", "wrong", REMOTE_ADDR=f"10.0.0.{number}").status_code == 200

    answer = try_login(Client(), "alice@example.com", house.password, REMOTE_ADDR="10.0.1.1")

    assert answer.status_code == 429
    assert answer.headers["Retry-After"] == "900"
    assert b"Too many tries" in answer.content


def test_eleventh_try_from_an_address_is_refused_whatever_the_account(house):
    for number in range(10):
        try_login(Client(), f"nobody{number}@example.com", "wrong", REMOTE_ADDR="10.0.0.9")

    assert try_login(Client(), "alice@example.com", house.password, REMOTE_ADDR="10.0.0.9").status_code == 429
    assert try_login(Client(), "alice@example.com", house.password, REMOTE_ADDR="10.0.0.8").status_code == 302


def test_an_ipv6_network_counts_as_one_address(house):
    for number in range(10):
        try_login(Client(), f"nobody{number}@example.com", "wrong", REMOTE_ADDR=f"2001:db8::{number + 1}")

    assert try_login(Client(), "alice@example.com", house.password, REMOTE_ADDR="2001:db8::ffff").status_code == 429


def test_refused_tries_do_not_keep_the_account_shut(house):
    start = clock.now()
    with time_machine.travel(start, tick=False) as traveller:
        for number in range(10):
            try_login(Client(), "alice@example.com", "wrong", REMOTE_ADDR=f"10.0.0.{number}")
        for minute in range(1, 15):
            traveller.move_to(start + timedelta(minutes=minute))
            assert try_login(Client(), "alice@example.com", "x", REMOTE_ADDR="10.9.9.9").status_code == 429
        traveller.move_to(start + timedelta(minutes=15, seconds=1))

        assert try_login(Client(), "alice@example.com", house.password, REMOTE_ADDR="10.7.7.7").status_code == 302


def test_a_known_browser_gets_in_while_strangers_guess(house):
    known = Client()
    try_login(known, "alice@example.com", house.password)
    known.post("/accounts/logout/")
    for number in range(12):
        try_login(Client(), "alice@example.com", "wrong", REMOTE_ADDR=f"10.0.0.{number}")

    assert try_login(Client(), "alice@example.com", house.password, REMOTE_ADDR="10.1.1.1").status_code == 429
    assert try_login(known, "alice@example.com", house.password).status_code == 302


def test_a_known_browser_is_throttled_too(house):
    known = Client()
    try_login(known, "alice@example.com", house.password)
    known.post("/accounts/logout/")
    for _ in range(10):
        try_login(known, "alice@example.com", "wrong")

    assert try_login(known, "alice@example.com", house.password).status_code == 429


def test_a_forged_or_foreign_known_browser_cookie_changes_nothing(house):
    charlie = Client()
    try_login(charlie, "charlie@example.com", house.password)
    stolen = charlie.cookies[throttle.known_browser_cookie()].value
    for number in range(10):
        try_login(Client(), "alice@example.com", "wrong", REMOTE_ADDR=f"10.0.0.{number}")

    for value in (stolen, stolen[:-2] + "xx", "junk"):
        client = Client()
        client.cookies[throttle.known_browser_cookie()] = value
        assert try_login(client, "alice@example.com", house.password, REMOTE_ADDR="10.2.2.2").status_code == 429


@pytest.mark.django_db(transaction=True)
def test_many_tries_at_once_do_not_slip_through_together():
    def one(_):
        try:
            return throttle.begin("account:alice@example.com") is not None
        finally:
            connection.close()

    with ThreadPoolExecutor(8) as pool:
        went_on = sum(pool.map(one, range(40)))

    assert went_on <= throttle.LIMIT
    assert LoginAttempt.objects.count() == went_on


def test_success_forgets_the_failures_of_the_account(house):
    for _ in range(9):
        try_login(Client(), "alice@example.com", "wrong", REMOTE_ADDR="10.0.0.1")
    try_login(Client(), "alice@example.com", house.password, REMOTE_ADDR="10.0.0.2")

    for _ in range(9):
        assert try_login(Client(), "alice@example.com", "wrong", REMOTE_ADDR="10.0.0.3").status_code == 200


def test_own_successes_do_not_clear_an_address(house):
    for number in range(9):
        try_login(Client(), f"nobody{number}@example.com", "wrong", REMOTE_ADDR="10.0.0.1")
        try_login(Client(), "charlie@example.com", house.password, REMOTE_ADDR="10.0.0.1")
    try_login(Client(), "nobody@example.com", "wrong", REMOTE_ADDR="10.0.0.1")

    assert try_login(Client(), "alice@example.com", house.password, REMOTE_ADDR="10.0.0.1").status_code == 429


def test_the_table_of_tries_names_nobody(house):
    try_login(Client(), "alice@example.com", "wrong", REMOTE_ADDR="10.0.0.1")

    subjects = list(LoginAttempt.objects.values_list("subject", flat=True))
    assert len(subjects) == 2
    assert not any("alice" in subject or "10.0.0.1" in subject for subject in subjects)


def without_tokens(answer, email):
    """The body without what differs in any two answers."""
    text = answer.content.decode().replace(email, "EMAIL")
    start = text.find('name="csrfmiddlewaretoken" value="')
    while start >= 0:
        end = text.index('">', start)
        text = text[:start] + text[end:]
        start = text.find('name="csrfmiddlewaretoken" value="')
    return text


def test_an_unknown_account_and_a_wrong_password_look_the_same(house):
    User.objects.create_user("closed@example.com", "another password 1", is_active=False)

    known = try_login(Client(), "alice@example.com", "wrong")
    unknown = try_login(Client(), "nobody@example.com", "wrong")
    closed = try_login(Client(), "closed@example.com", "wrong")

    assert known.status_code == unknown.status_code == closed.status_code == 200
    assert without_tokens(known, "alice@example.com") == without_tokens(unknown, "nobody@example.com")
    assert without_tokens(known, "alice@example.com") == without_tokens(closed, "closed@example.com")


def test_an_unknown_account_costs_one_password_hash_too(house, monkeypatch):
    hashed = []
    monkeypatch.setattr(User, "set_password", lambda self, raw: hashed.append(raw))

    try_login(Client(), "nobody@example.com", "wrong")

    assert hashed == ["wrong"]


def test_reset_answers_alike_and_sends_only_to_accounts(house):
    known = Client().post("/accounts/password/reset/", {"email": "alice@example.com"}, follow=True)
    unknown = Client().post("/accounts/password/reset/", {"email": "nobody@example.com"}, follow=True)

    assert known.redirect_chain == unknown.redirect_chain
    assert known.content == unknown.content
    assert [message.to for message in mail.outbox] == [["alice@example.com"]]


def test_reset_takes_at_least_its_floor(house, monkeypatch):
    monkeypatch.setattr(forms, "RESET_FLOOR_SECONDS", 5.0)
    slept = []
    monkeypatch.setattr(time, "sleep", slept.append)

    Client().post("/accounts/password/reset/", {"email": "nobody@example.com"})

    assert len(slept) == 1
    assert 0 < slept[0] <= 5


def reset_link(email):
    Client().post("/accounts/password/reset/", {"email": email})
    body = mail.outbox[-1].body
    return next(word for word in body.split() if "/password/reset/key/" in word)


def test_reset_works_once_and_ends_every_session(house, settings):
    inside = house.sign_in("alice")
    link = reset_link("alice@example.com")
    assert link.startswith(settings.TELLTALE_PUBLIC_URL)
    path = link.removeprefix(settings.TELLTALE_PUBLIC_URL)
    client = Client()
    form = client.get(path, follow=True)
    target = form.redirect_chain[-1][0]

    done = client.post(target, {"password1": "a new password 22", "password2": "a new password 22"}, follow=True)

    assert done.status_code == 200
    assert try_login(Client(), "alice@example.com", "a new password 22").status_code == 302
    assert inside.get("/").status_code == 302
    assert b"does not work any more" in Client().get(path, follow=True).content


def test_reset_link_ignores_a_forged_host(house, settings):
    Client().post("/accounts/password/reset/", {"email": "alice@example.com"}, headers={"Host": "evil.example"})

    assert "evil.example" not in mail.outbox[-1].body
    assert settings.TELLTALE_PUBLIC_URL in mail.outbox[-1].body


def test_reset_mails_are_throttled_silently(house):
    for _ in range(14):
        assert Client().post("/accounts/password/reset/", {"email": "alice@example.com"}).status_code == 302

    assert len(mail.outbox) == throttle.LIMIT


@pytest.mark.parametrize(
    "target",
    ["//evil.example/", "/\\evil.example", "https://evil.example/", "\\\\evil.example", "javascript:alert(1)",
     "/%0d%0aSet-Cookie:x=1\r\n", "http:evil.example", " //evil.example", "/\t/evil.example", ""],
)  # fmt: skip
def test_next_leads_nowhere_but_to_own_paths(house, target):
    answer = Client().post(
        "/accounts/login/", {"login": "alice@example.com", "password": house.password, "next": target}
    )

    assert answer.status_code == 302
    assert answer.url == "/"


def test_next_survives_signing_in(house):
    first = Client().get("/p/shop/settings/?x=1")

    assert first.url == "/accounts/login/?next=/p/shop/settings/%3Fx%3D1"
    answer = Client().post(
        "/accounts/login/",
        {"login": "alice@example.com", "password": house.password, "next": "/p/shop/settings/?x=1"},
    )
    assert answer.url == "/p/shop/settings/?x=1"


def test_own_paths_are_told_from_others():
    assert is_own_path("/p/shop/")
    assert not is_own_path("p/shop/")


def test_sign_up_is_closed(house):
    page = Client().get("/accounts/signup/")
    Client().post("/accounts/signup/", {"email": "new@example.com", "password1": "some password 11"})

    assert b"by invitation" in page.content
    assert not User.objects.filter(email="new@example.com").exists()


def test_first_password_must_be_changed_before_anything_else(house):
    User.objects.filter(email="alice@example.com").update(must_change_password=True)
    client = Client()
    try_login(client, "alice@example.com", house.password)

    for path in ("/", "/p/shop/settings/", "/accounts/settings/", "/accounts/2fa/"):
        assert client.get(path).url == "/accounts/password/change/"
    changed = client.post(
        "/accounts/password/change/",
        {"oldpassword": house.password, "password1": "my very own 12345", "password2": "my very own 12345"},
    )

    assert changed.url == "/"
    assert client.get("/").status_code == 200
    assert not User.objects.get(email="alice@example.com").must_change_password


def test_a_password_changed_of_free_will_leads_back_to_the_account(house):
    client = house.sign_in("alice")

    changed = client.post(
        "/accounts/password/change/",
        {"oldpassword": house.password, "password1": "my very own 12345", "password2": "my very own 12345"},
    )

    assert changed.url == "/accounts/settings/"
    assert "Your password is saved" in client.get(changed.url).content.decode()


def test_a_weak_password_is_refused(house):
    client = house.sign_in("alice")

    answer = client.post(
        "/accounts/password/change/",
        {"oldpassword": house.password, "password1": "password1", "password2": "password1"},
    )

    assert answer.status_code == 200
    assert b"too short" in answer.content
    assert b"errsum" in answer.content


def test_failed_sign_in_is_audited_without_what_was_typed(house):
    try_login(Client(), "alice@example.com", "wrong-secret-x")
    try_login(Client(), "hunter2@looks-like-a-password.example", "wrong-secret-x")

    rows = list(AuditEntry.objects.filter(action="login", outcome="refused").order_by("id"))
    assert [row.actor for row in rows] == ["alice@example.com", "unknown"]
    assert not any("hunter2" in str(vars(row)) or "wrong-secret" in str(vars(row)) for row in rows)


def test_passwords_are_kept_as_argon2(house):
    assert User.objects.get(email="alice@example.com").password.startswith("argon2")
