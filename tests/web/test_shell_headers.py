"""What the browser is told, on every kind of page; what machines get instead."""

from __future__ import annotations

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import PermissionDenied, RequestDataTooBig
from django.db import InterfaceError, OperationalError
from django.http import HttpResponse, JsonResponse
from django.test import Client, RequestFactory
from django.urls import path

from telltale import urls as real_urls
from telltale.web import middleware

ROOT = Path(__file__).resolve().parents[2]
PAGES = ["/", "/accounts/settings/", "/p/shop/settings/", "/p/shop/settings/keys/", "/p/shop/settings/members/",
         "/p/shop/welcome/", "/projects/new/", "/accounts/2fa/", "/accounts/sessions/",
         "/accounts/password/change/"]  # fmt: skip
ANYONE = ["/accounts/login/", "/accounts/password/reset/", "/accounts/signup/", "/no/such/page", "/join/x/"]


def fails_with(error):
    def view(request):
        raise error

    return view


class Urls:
    urlpatterns = [
        *real_urls.urlpatterns,
        path("boom/", fails_with(RuntimeError("secret detail /etc/passwd"))),
        path("db/", fails_with(OperationalError("connection to 10.0.0.1 failed"))),
        path("v1/boom", fails_with(RuntimeError("secret detail /etc/passwd"))),
        path("v1/db", fails_with(InterfaceError("connection already closed"))),
        path("v1/denied", fails_with(PermissionDenied("secret detail"))),
        path("v1/large", fails_with(RequestDataTooBig("secret detail"))),
        path("v1/echo", lambda r: JsonResponse({"path": r.path, "session": hasattr(r, "session")})),
        path("api/v1/slashed/", lambda r: HttpResponse(b"ok")),
        path("address/", lambda r: JsonResponse({"address": r.META["REMOTE_ADDR"], "secure": r.is_secure()})),
    ]
    handler400, handler403 = real_urls.handler400, real_urls.handler403
    handler404, handler500 = real_urls.handler404, real_urls.handler500


@pytest.fixture
def more_urls(settings):
    settings.ROOT_URLCONF = Urls


@pytest.fixture
def quiet():
    """A client that gets the error page instead of the exception."""
    return Client(raise_request_exception=False)


def check_headers(answer):
    policy = answer.headers["Content-Security-Policy"]
    for part in ("default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self' data:",
                 "form-action 'self'", "base-uri 'none'", "frame-ancestors 'none'", "object-src 'none'"):  # fmt: skip
        assert part in policy
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "same-origin"
    assert answer.headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert answer.headers["X-Frame-Options"] == "DENY"
    assert "camera=()" in answer.headers["Permissions-Policy"]
    assert "no-store" in answer.headers["Cache-Control"]
    assert re.fullmatch(r"[0-9a-f]{4}-[0-9a-f]{4}", answer.headers["X-Request-Id"])


@pytest.mark.parametrize("address", PAGES)
def test_pages_with_data_carry_every_header(inside, address):
    answer = inside.get(address)

    assert answer.status_code == 200
    check_headers(answer)


@pytest.mark.parametrize("address", ANYONE)
def test_pages_for_anyone_carry_every_header(client, db, address):
    check_headers(client.get(address))


@pytest.mark.parametrize("address", [*PAGES, *ANYONE])
def test_no_page_has_an_inline_script_style_or_handler(inside, address):
    text = inside.get(address).content.decode()

    assert not re.search(r"<[^>]+\sstyle=", text)
    assert "<style" not in text
    assert not re.search(r"<[^>]+\son\w+=", text)
    for attributes, body in re.findall(r"<script([^>]*)>(.*?)</script>", text, re.S):
        assert "src=" in attributes or 'type="application/json"' in attributes
        assert not body.strip() or 'type="application/json"' in attributes
    assert not re.search(r'(?:src|href)="(?:https?:)?//', text)


def test_templates_hold_no_inline_script_or_style():
    for template in (ROOT / "templates").rglob("*.html"):
        text = template.read_text()
        assert not re.search(r"<[^>%{]+\sstyle=", text), template
        assert "|safe" not in text, template
        assert "javascript:" not in text, template


def test_htmx_is_told_to_evaluate_nothing_and_keep_nothing(inside):
    text = inside.get("/").content.decode()

    for part in (
        '"includeIndicatorStyles":false',
        '"allowEval":false',
        '"selfRequestsOnly":true',
        '"historyCacheSize":0',
    ):
        assert part in text


def test_hsts_only_behind_tls(client, db, settings):
    settings.SECURE_HSTS_SECONDS = 3600

    assert "Strict-Transport-Security" not in client.get("/accounts/login/").headers
    assert "max-age=3600" in Client().get("/accounts/login/", secure=True).headers["Strict-Transport-Security"]


@pytest.mark.parametrize("address", ["/accounts/login/", "/v1/echo", "/static/css/app.css", "/no/such/page"])
def test_hsts_and_framing_are_told_on_every_kind_of_answer(more_urls, db, settings, address):
    settings.SECURE_HSTS_SECONDS, settings.SECURE_HSTS_INCLUDE_SUBDOMAINS = 31_536_000, True

    answer = Client().get(address, secure=True)
    answer.close()

    assert answer.headers["Strict-Transport-Security"] == "max-age=31536000; includeSubDomains"
    assert "frame-ancestors 'none'" in answer.headers["Content-Security-Policy"]
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_a_page_is_led_to_tls_and_a_machine_never(more_urls, db, settings):
    settings.SECURE_SSL_REDIRECT = True

    assert Client().get("/accounts/login/").url == "https://testserver/accounts/login/"
    assert Client().get("/v1/echo").status_code == 200
    assert Client().get("/healthz").status_code == 200


@pytest.mark.parametrize("method", ["TRACE", "TRACK", "CONNECT"])
@pytest.mark.parametrize("address", ["/", "/accounts/login/", "/v1/echo", "/static/css/app.css"])
def test_no_method_says_back_what_was_sent(more_urls, db, method, address):
    answer = Client().generic(method, address, headers={"X-Marker": "said-back"})

    assert answer.status_code == 405
    assert b"said-back" not in answer.content


def test_behind_tls_cookies_belong_to_this_host_alone():
    code = (
        "import django; django.setup(); from django.conf import settings as s; from telltale.accounts import throttle;"
        "from telltale.web import told;"
        "print(s.SESSION_COOKIE_NAME, s.CSRF_COOKIE_NAME, throttle.known_browser_cookie(), s.SESSION_COOKIE_SECURE,"
        "s.CSRF_COOKIE_SECURE, s.SESSION_COOKIE_PATH, s.CSRF_COOKIE_PATH, s.SESSION_COOKIE_DOMAIN,"
        "told.HostCookieStorage.cookie_name)"
    )
    told = {"TELLTALE_PUBLIC_URL": "https://telltale.example", "DJANGO_SETTINGS_MODULE": "telltale.settings"}
    given = {**os.environ, **told, "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}"}
    done = subprocess.run([sys.executable, "-c", code], env=given, capture_output=True, text=True, check=True)

    assert done.stdout.split() == [
        "__Host-sessionid", "__Host-csrftoken", "__Host-telltale_known", "True", "True", "/", "/", "None",
        "__Host-messages",
    ]  # fmt: skip


def test_a_note_for_the_next_page_waits_in_a_cookie_that_no_script_sees(inside):
    answer = inside.post("/accounts/settings/", {"name": "Alice"})

    cookie = answer.cookies["messages"]
    assert (cookie["httponly"], cookie["samesite"], cookie["path"]) == (True, "Lax", "/")
    assert "Your name is saved." in inside.get("/accounts/settings/").content.decode()
    assert "Your name is saved." not in inside.get("/accounts/settings/").content.decode()


def test_a_page_that_another_asked_for_meanwhile_takes_no_note(inside, alice):
    meanwhile = Client()
    meanwhile.cookies["sessionid"] = inside.cookies["sessionid"].value
    inside.post("/accounts/settings/", {"name": "Alice"})

    assert "Your name is saved." not in meanwhile.get("/accounts/settings/").content.decode()
    assert "Your name is saved." in inside.get("/accounts/settings/").content.decode()


def test_not_found_is_designed_and_says_nothing_of_the_request(client, db):
    answer = client.get("/no/such/<page>")

    assert answer.status_code == 404
    assert b"Page not found" in answer.content
    assert b"such" not in answer.content


def test_a_wrong_method_is_designed_and_names_the_right_ones(inside):
    answer = inside.get("/accounts/sessions/end-others/")

    assert answer.status_code == 405
    assert answer.headers["Allow"] == "POST"
    assert b"It answers POST only." in answer.content
    check_headers(answer)


def test_an_error_has_a_reference_and_no_detail_and_needs_no_database(more_urls, quiet, caplog):
    answer = quiet.get("/boom/")

    assert answer.status_code == 500
    assert b"Something broke on our side" in answer.content
    assert answer.headers["X-Request-Id"].encode() in answer.content
    assert b"secret detail" not in answer.content
    check_headers(answer)


def test_a_database_that_is_away_is_a_503_page(more_urls, quiet):
    answer = quiet.get("/db/")

    assert answer.status_code == 503
    assert answer.headers["Retry-After"] == "5"
    assert b"10.0.0.1" not in answer.content
    check_headers(answer)


def test_a_bad_request_is_designed(client, settings):
    settings.ALLOWED_HOSTS = ["telltale.example"]

    answer = client.get("/accounts/login/", headers={"Host": "evil.example"})

    assert answer.status_code == 400
    assert b"could not be read" in answer.content
    assert b"evil" not in answer.content


@pytest.mark.parametrize("address", ["/v1/echo", "/v1/echo/"])
def test_machine_paths_take_both_spellings_without_session_cookie_or_redirect(more_urls, client, address):
    answer = client.post(address, b"{}", content_type="application/json")

    assert answer.status_code == 200
    assert answer.json() == {"path": address, "session": False}
    assert not answer.cookies
    assert "Vary" not in answer.headers


@pytest.mark.parametrize("address", ["/api/v1/slashed", "/api/v1/slashed/"])
def test_machine_paths_written_with_a_slash_answer_without(more_urls, address):
    assert Client(enforce_csrf_checks=True).post(address).content == b"ok"


@pytest.mark.parametrize(
    ("address", "status"),
    [("/v1/none", 404), ("/v1/denied", 403), ("/v1/large", 413), ("/v1/db", 503), ("/v1/boom", 500)],
)
def test_machine_errors_are_problems_without_internals(more_urls, quiet, address, status):
    answer = quiet.post(address, b"x", content_type="text/plain")

    assert answer.status_code == status
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert answer.json()["status"] == status
    assert answer.json()["id"] == answer.headers["X-Request-Id"]
    assert b"secret" not in answer.content
    assert b"connection" not in answer.content
    assert (answer.headers.get("Retry-After") == "2") == (status == 503)
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("address", "is_machine"),
    [("/v1/traces", True), ("/otel/v1/traces", True), ("/api/public/otel/v1/traces", True), ("/api/v1/traces", True),
     ("/healthz", True), ("/readyz/", True), ("/metrics", True), ("/api/docs/", False), ("/api/schema/", False),
     ("/api/docsx/", True), ("/p/v1/", False), ("/accounts/login/", False), ("/", False), ("/healthzzz", False)],
)  # fmt: skip
def test_which_paths_are_for_machines(address, is_machine):
    assert bool(middleware.MACHINE.match(address)) == is_machine


@pytest.mark.parametrize(
    ("proxies", "peer", "forwarded", "address"),
    [([], "10.0.0.1", "1.2.3.4", "10.0.0.1"), (["10.0.0.0/8"], "10.0.0.1", "1.2.3.4", "1.2.3.4"),
     (["10.0.0.0/8"], "192.0.2.1", "1.2.3.4", "192.0.2.1"),
     (["10.0.0.0/8"], "10.0.0.1", "6.6.6.6, 1.2.3.4, 10.0.0.2", "1.2.3.4"),
     (["10.0.0.0/8"], "10.0.0.1", "junk", "10.0.0.1"), (["10.0.0.0/8"], "10.0.0.1", "", "10.0.0.1"),
     (["::1/128"], "::1", "2001:db8::7", "2001:db8::7")],
)  # fmt: skip
def test_only_own_proxies_say_who_calls(settings, proxies, peer, forwarded, address):
    settings.TELLTALE_TRUSTED_PROXIES = proxies
    request = RequestFactory().get("/", REMOTE_ADDR=peer, headers={"X-Forwarded-For": forwarded})

    middleware.trust_proxy(request)

    assert request.META["REMOTE_ADDR"] == address


def test_only_own_proxies_say_that_it_was_tls(settings):
    for proxies, is_secure in (([], False), (["127.0.0.1"], True)):
        settings.TELLTALE_TRUSTED_PROXIES = proxies
        request = RequestFactory().get("/", headers={"X-Forwarded-Proto": "https", "X-Forwarded-For": "1.2.3.4"})
        middleware.trust_proxy(request)
        assert request.is_secure() == is_secure


def test_vendored_files_are_those_of_the_table():
    folder = ROOT / "platform" / "telltale" / "static" / "vendor"
    table = (ROOT / "docs" / "vendored.md").read_text()

    rows = dict(re.findall(r"\| `vendor/([^`]+)` .*? `([0-9a-f]{64})` \|", table))
    assert {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()} == rows


def test_the_sidebar_marks_where_one_is(inside):
    text = inside.get("/p/shop/settings/keys/").content.decode()

    assert re.search(r'href="/p/shop/settings/" aria-current="page"><svg[^>]*><use[^>]*#i-settings', text)
    assert re.search(r'href="/p/shop/settings/keys/" aria-current="page"', text)
    assert text.count("<h1") == 1
    assert 'class="skip" href="#main"' in text
