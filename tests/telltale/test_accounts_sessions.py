"""Sessions and the second factor."""

from __future__ import annotations

from datetime import timedelta
from urllib.parse import urlsplit

import pytest
import time_machine
from allauth.mfa.models import Authenticator
from allauth.mfa.totp.internal.auth import format_hotp_value, hotp_value, yield_hotp_counters_from_time
from allauth.usersessions.models import UserSession
from django.core import mail as django_mail
from django.core.cache import cache
from django.test import Client

from telltale.accounts import mail
from telltale.accounts.models import User
from telltale.audit.models import AuditEntry
from telltale.lib import clock

pytestmark = pytest.mark.django_db


def log_in(house, remember=True, name="alice"):
    client = Client()
    data = {"login": f"{name}@example.com", "password": house.password, **({"remember": "on"} if remember else {})}
    assert client.post("/accounts/login/", data).status_code == 302
    return client


@pytest.mark.parametrize(
    ("remember", "idle", "is_open"),
    [(True, timedelta(days=6), True), (True, timedelta(days=8), False),
     (False, timedelta(hours=1, minutes=50), True), (False, timedelta(hours=2, minutes=10), False)],
)  # fmt: skip
def test_an_idle_session_ends(house, remember, idle, is_open):
    with time_machine.travel(clock.now(), tick=False) as traveller:
        client = log_in(house, remember)
        traveller.shift(idle)

        answer = client.get("/accounts/settings/")

    assert answer.status_code == (200 if is_open else 302)
    assert is_open or answer.url.startswith("/accounts/login/?next=")


def test_a_page_that_asks_by_itself_keeps_no_session_open(house):
    with time_machine.travel(clock.now(), tick=False) as traveller:
        client = log_in(house, remember=False)
        for _ in range(13):
            traveller.shift(timedelta(minutes=10))
            answer = client.get("/p/shop/welcome/status/", headers={"HX-Request": "true", "X-Unattended": "1"})

    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"].startswith("/accounts/login/")


def test_a_busy_session_ends_after_its_absolute_limit(house):
    with time_machine.travel(clock.now(), tick=False) as traveller:
        client = log_in(house)
        for _ in range(13):
            traveller.shift(timedelta(days=1))
            assert client.get("/").status_code == 200
        traveller.shift(timedelta(days=1, minutes=1))

        assert client.get("/").status_code == 302


def test_a_session_that_ran_out_is_gone_on_the_server(house):
    with time_machine.travel(clock.now(), tick=False) as traveller:
        client = log_in(house, remember=False)
        cookie = client.cookies["sessionid"].value
        traveller.shift(timedelta(hours=3))
        client.get("/")
        thief = Client()
        thief.cookies["sessionid"] = cookie

        assert thief.get("/").status_code == 302


def test_signing_out_ends_the_session_on_the_server(house):
    client = log_in(house)
    cookie = client.cookies["sessionid"].value

    assert client.get("/accounts/logout/").status_code == 200
    assert client.get("/").status_code == 200, "a GET changes nothing"
    client.post("/accounts/logout/")

    thief = Client()
    thief.cookies["sessionid"] = cookie
    assert thief.get("/").status_code == 302
    assert AuditEntry.objects.filter(action="logout", actor="alice@example.com").exists()


def test_changing_the_password_ends_the_others_and_keeps_this_one(house):
    here, there = log_in(house), log_in(house)
    before = here.session.session_key

    here.post(
        "/accounts/password/change/",
        {"oldpassword": house.password, "password1": "another long one 7", "password2": "another long one 7"},
    )

    assert here.get("/").status_code == 200
    assert here.session.session_key != before
    assert there.get("/").status_code == 302
    assert AuditEntry.objects.filter(action="password.change").count() == 1


def test_sessions_are_listed_and_ended_one_by_one(house):
    here, there = log_in(house), log_in(house)
    charlie = log_in(house, name="charlie")
    page = here.get("/accounts/sessions/").content.decode()
    other = UserSession.objects.get(session_key=there.session.session_key)
    foreign = UserSession.objects.get(session_key=charlie.session.session_key)

    assert "You are signed in at 2 places" in page
    confirm(here, house.password)
    assert here.post(f"/accounts/sessions/{foreign.pk}/end/").status_code == 404
    assert here.post(f"/accounts/sessions/{other.pk}/end/").status_code == 302
    assert there.get("/").status_code == 302
    assert charlie.get("/").status_code == 200


def test_all_other_sessions_end_at_once(house):
    here, there, elsewhere = log_in(house), log_in(house), log_in(house)

    asked = here.post("/accounts/sessions/end-others/")
    assert asked.url == "/accounts/reauthenticate/?next=%2Faccounts%2Fsessions%2Fend-others%2F"
    assert [client.get("/").status_code for client in (here, there, elsewhere)] == [200, 200, 200]
    before = here.session.session_key
    here.post("/accounts/reauthenticate/", {"password": house.password, "next": "/accounts/sessions/end-others/"})

    assert here.session.session_key != before, "a new session id at confirming"
    assert [client.get("/").status_code for client in (here, there, elsewhere)] == [200, 302, 302]


def test_a_closed_account_is_out_at_once(house):
    client = log_in(house)

    User.objects.filter(email="alice@example.com").update(is_active=False)

    assert client.get("/").status_code == 302


def test_a_page_of_a_known_session_writes_nothing(house, django_assert_num_queries):
    client = log_in(house)
    client.get("/projects/new/")

    # session, person, whether a second factor is asked for and lacking, organisations
    with django_assert_num_queries(4) as queries:
        client.get("/projects/new/")

    assert all(query["sql"].startswith("SELECT") for query in queries.captured_queries)


def codes_of(client):
    parts = client.get("/accounts/2fa/recovery-codes/").content.decode().split("<li>")
    return [part.split("<")[0] for part in parts[1:] if part[:8].isalnum() and "</li>" in part]


def code_for(secret):
    return format_hotp_value(hotp_value(secret, next(yield_hotp_counters_from_time())))


def confirm(client, password):
    return client.post("/accounts/reauthenticate/", {"password": password})


def turn_on_totp(client, password):
    confirm(client, password)
    answer = client.get("/accounts/2fa/totp/activate/")
    assert answer.status_code == 200, answer
    page = answer.content.decode()
    secret = page.split('id="totp-secret">')[1].split("<")[0]
    answer = client.post("/accounts/2fa/totp/activate/", {"code": code_for(secret)})
    assert answer.status_code == 302
    return secret


@pytest.mark.django_db(transaction=True)
def test_second_factor_is_asked_for_and_recovery_codes_stand_in(house):
    client = log_in(house)
    before = client.session.session_key
    secret = turn_on_totp(client, house.password)
    assert client.session.session_key != before, "a new session id at a change of privilege"
    codes = client.get("/accounts/2fa/recovery-codes/").content.decode().split("<li>")
    recovery = next(part.split("<")[0] for part in codes[1:] if part[:8].isalnum() and "</li>" in part)
    client.post("/accounts/logout/")

    again = Client()
    answer = again.post("/accounts/login/", {"login": "alice@example.com", "password": house.password})
    assert answer.url.startswith("/accounts/2fa/authenticate/")
    assert again.get("/").status_code == 302, "a password alone opens nothing"
    assert again.post("/accounts/2fa/authenticate/", {"code": "000000"}).status_code == 200
    assert again.post("/accounts/2fa/authenticate/", {"code": recovery}).status_code == 302
    assert again.get("/").status_code == 200
    assert secret not in str(Authenticator.objects.values_list("data", flat=True))
    assert AuditEntry.objects.filter(action="factor.add", actor="alice@example.com").count() == 2


@pytest.mark.django_db(transaction=True)
def test_a_code_works_once_whichever_process_asks(house):
    client = log_in(house)
    start = clock.now()
    with time_machine.travel(start, tick=False):
        secret = turn_on_totp(client, house.password)
        codes = [code for code in codes_of(client) if code]
        client.post("/accounts/logout/")
        outcomes = []
        for code in (code_for(secret), code_for(secret), codes[0], codes[0]):
            # What a process remembers is its own: another one of web has an empty cache.
            cache.clear()
            again = Client()
            again.post("/accounts/login/", {"login": "alice@example.com", "password": house.password})
            outcomes.append(again.post("/accounts/2fa/authenticate/", {"code": code}).status_code)

    assert outcomes == [302, 200, 302, 200]


@pytest.mark.django_db(transaction=True)
def test_a_changed_factor_ends_the_other_sessions(house):
    here, there = log_in(house), log_in(house)
    turn_on_totp(here, house.password)
    assert [client.get("/").status_code for client in (here, there)] == [200, 302]

    elsewhere = Client()
    elsewhere.post("/accounts/login/", {"login": "alice@example.com", "password": house.password})
    elsewhere.post("/accounts/2fa/authenticate/", {"code": codes_of(here)[0]})
    assert elsewhere.get("/").status_code == 200
    assert here.post("/accounts/2fa/totp/deactivate/").status_code == 302
    assert [client.get("/").status_code for client in (here, elsewhere)] == [200, 302]
    entries = AuditEntry.objects.filter(action="factor.remove").values_list("after__sessions_ended", flat=True)
    assert sum(entries) == 1


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("path", ["totp/deactivate/", "recovery-codes/generate/", "recovery-codes/download/"])
def test_a_second_factor_is_changed_only_after_the_password_once_more(house, path):
    client = log_in(house)
    turn_on_totp(client, house.password)
    with time_machine.travel(clock.now() + timedelta(minutes=6), tick=False):
        answer = client.get(f"/accounts/2fa/{path}")

    assert (answer.status_code, answer.url.split("?")[0]) == (302, "/accounts/reauthenticate/")


def test_who_has_no_password_signs_in_anew_before_a_step_that_changes_how(house):
    house.people.alice.set_unusable_password()
    house.people.alice.save()
    with time_machine.travel(clock.now(), tick=False) as traveller:
        client = house.sign_in("alice")
        fresh = client.get("/accounts/password/set/")
        traveller.shift(timedelta(minutes=11))
        stale = client.get("/accounts/password/set/")

    assert fresh.status_code == 200
    assert stale.url == "/accounts/login/?next=/accounts/password/set/"
    assert client.get("/").status_code == 302


@pytest.mark.django_db(transaction=True)
def test_a_reset_password_goes_round_no_second_factor(house):
    client = log_in(house)
    turn_on_totp(client, house.password)
    again = Client()
    again.post("/accounts/password/reset/", {"email": "alice@example.com"})
    link = next(word for word in django_mail.outbox[-1].body.split() if "/password/reset/key/" in word)
    form = again.get(urlsplit(link).path, follow=True)
    new = {"password1": "another long one 7", "password2": "another long one 7"}
    assert again.post(form.redirect_chain[-1][0], new).status_code == 302
    assert again.get("/").status_code == 302, "a new password signs nobody in"
    answer = again.post("/accounts/login/", {"login": "alice@example.com", "password": "another long one 7"})

    assert answer.url.startswith("/accounts/2fa/authenticate/")
    assert again.get("/").status_code == 302


@pytest.mark.django_db(transaction=True)
def test_the_first_recovery_codes_replace_none_and_later_ones_say_so(house):
    client = log_in(house)
    turn_on_totp(client, house.password)
    first = client.get("/accounts/2fa/").content.decode()
    client.post("/accounts/2fa/recovery-codes/generate/")
    later = client.get("/accounts/2fa/").content.decode()

    assert "Your recovery codes are made" in first
    assert "old ones have ended" not in first
    assert "Your recovery codes are new; the old ones have ended." in later


def test_codes_are_throttled_per_person(house):
    client = log_in(house)
    secret = turn_on_totp(client, house.password)
    client.post("/accounts/logout/")
    again = Client()
    again.post("/accounts/login/", {"login": "alice@example.com", "password": house.password})
    for number in range(10):
        again.post("/accounts/2fa/authenticate/", {"code": f"{number:06}"})

    answer = again.post("/accounts/2fa/authenticate/", {"code": code_for(secret)})

    assert answer.status_code == 200
    assert b"Too many tries" in answer.content


def test_a_second_factor_is_set_up_only_after_the_password_once_more(house):
    client = log_in(house)

    assert client.get("/accounts/2fa/totp/activate/").url.startswith("/accounts/reauthenticate/")
    confirm(client, "wrong")
    assert client.get("/accounts/2fa/totp/activate/").status_code == 302
    confirm(client, house.password)
    assert client.get("/accounts/2fa/totp/activate/").status_code == 200


def test_confirming_is_throttled(house):
    client = log_in(house)
    for _ in range(10):
        confirm(client, "wrong")

    answer = confirm(client, house.password)

    assert answer.status_code == 429
    assert client.get("/accounts/2fa/totp/activate/").status_code == 302


def test_a_name_is_saved(house):
    client = log_in(house)

    client.post("/accounts/settings/", {"name": "Alice B"})

    assert User.objects.get(email="alice@example.com").name == "Alice B"
    assert "Alice B" in client.get("/").content.decode()


def test_mail_without_a_server_goes_into_a_file_of_the_operator(house, settings, tmp_path):
    settings.EMAIL_BACKEND = "telltale.accounts.mail.MailBackend"
    settings.TELLTALE_HOME = tmp_path
    page = Client().get("/accounts/password/reset/").content.decode()

    Client().post("/accounts/password/reset/", {"email": "alice@example.com"})

    written = mail.mail_file()
    assert "This server sends no mail" in page
    assert "/accounts/password/reset/key/" in written.read_text()
    assert written.stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("url", "host", "port", "ssl", "tls", "user"),
    [("smtp://u%40x:p%2F@mail.example", "mail.example", 587, False, True, "u@x"),
     ("smtps://mail.example", "mail.example", 465, True, False, ""),
     ("smtp://mail.example:25?starttls=0", "mail.example", 25, False, False, "")],
)  # fmt: skip
def test_smtp_addresses_are_understood(url, host, port, ssl, tls, user):
    backend = mail.smtp_backend(url)

    assert (backend.host, backend.port, backend.use_ssl, backend.use_tls, backend.username) == (
        host,
        port,
        ssl,
        tls,
        user,
    )


def test_a_wrong_smtp_address_is_named():
    with pytest.raises(ValueError, match="TELLTALE_SMTP_URL"):
        mail.smtp_backend("http://mail.example")
