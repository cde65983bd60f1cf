"""Signing in at an OpenID Connect provider: one of the test's own, asked over the loopback."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import rsa
from django.test import Client

from telltale.accounts.models import OrganisationMember, User
from telltale.audit.models import AuditEntry
from telltale.projects import write
from telltale.projects.models import ProjectMember, Role

pytestmark = pytest.mark.django_db
LOGIN, CALLBACK = "/accounts/oidc/login/", "/accounts/oidc/callback/"


class Provider(BaseHTTPRequestHandler):
    """Discovery, keys and tokens; what it says about the person is `server.claims`."""

    def do_GET(self):
        at = self.server.issuer
        if self.path == "/.well-known/openid-configuration":
            places = {
                name: f"{at}/{name}" for name in ("authorization_endpoint", "token_endpoint", "userinfo_endpoint")
            }
            self.say(200, {"issuer": self.server.calls_itself or at, "jwks_uri": f"{at}/keys", **places})
        elif self.path == "/keys":
            key = jwt.algorithms.RSAAlgorithm.to_jwk(self.server.key.public_key(), as_dict=True)
            self.say(200, {"keys": [{**key, "kid": "k1", "alg": "RS256", "use": "sig"}]})
        else:
            self.say(404, {})

    def do_POST(self):
        asked = parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode())
        self.server.asked = asked
        proof = base64.urlsafe_b64encode(hashlib.sha256(asked["code_verifier"][0].encode()).digest()).rstrip(b"=")
        if asked["code"] != ["c1"] or proof.decode() != self.server.challenge:
            return self.say(400, {"error": "invalid_grant"})
        now = int(time.time())
        own = {"iss": self.server.issuer, "aud": "telltale", "iat": now, "exp": now + 60, "nonce": self.server.nonce}
        claims = {name: value for name, value in {**own, **self.server.claims}.items() if value is not None}
        token = jwt.encode(claims, self.server.signs_with, algorithm=self.server.algorithm, headers={"kid": "k1"})
        return self.say(200, {"access_token": "at", "token_type": "Bearer", "id_token": token})

    def say(self, status, body):
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def key():
    return rsa.generate_private_key(public_exponent=65537, key_size=2048)


@pytest.fixture
def provider(settings, key):
    server = ThreadingHTTPServer(("127.0.0.1", 0), Provider)
    server.issuer = f"http://127.0.0.1:{server.server_port}"
    server.key = server.signs_with = key
    server.algorithm, server.calls_itself = "RS256", ""
    server.claims = {"sub": "42", "email": "bob@example.com", "email_verified": True, "name": "Bob"}
    settings.TELLTALE_EGRESS_ALLOW = ["127.0.0.0/8"]
    settings.TELLTALE_OIDC_ISSUER, settings.TELLTALE_OIDC_CLIENT_ID = server.issuer, "telltale"
    app = {
        "provider_id": "oidc", "name": "Test", "client_id": "telltale", "secret": "s3cret",
        "settings": {"server_url": server.issuer},
    }  # fmt: skip
    settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": [app]}}
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


def go(provider, client=None, **changed):
    """Sign in; what came back, and the browser."""
    client = client or Client()
    off = client.get(LOGIN + "?next=/accounts/sessions/")
    assert off.status_code == 302, off.content
    asked = {name: value[0] for name, value in parse_qs(urlsplit(off.url).query).items()}
    assert off.url.startswith(provider.issuer + "/authorization_endpoint?")
    assert asked["redirect_uri"].endswith(CALLBACK)
    assert asked["code_challenge_method"] == "S256"
    provider.challenge = asked["code_challenge"]
    provider.back_to, provider.nonce = asked["redirect_uri"], asked["nonce"]
    back = client.get(CALLBACK, {"code": "c1", "state": asked["state"], **changed})
    return SimpleNamespace(client=client, back=back)


def is_in(signed):
    return signed.client.get("/accounts/sessions/").status_code == 200


def test_an_existing_person_signs_in_and_it_is_written_down_once(house, provider, settings):
    first, second = go(provider), go(provider)

    assert first.back.url == "/accounts/sessions/"
    assert is_in(first)
    assert is_in(second)
    assert provider.asked["client_secret"] == ["s3cret"]
    assert provider.asked["redirect_uri"] == [provider.back_to]
    assert provider.back_to == settings.TELLTALE_PUBLIC_URL + CALLBACK
    entries = AuditEntry.objects.filter(actor="bob@example.com").order_by("pk")
    assert [(e.action, e.after) for e in entries] == [
        ("oidc.link", None), ("login", {"by": "oidc"}), ("login", {"by": "oidc"}),
    ]  # fmt: skip
    assert User.objects.filter(email="bob@example.com").count() == 1


def test_the_invited_come_in_with_what_they_were_invited_to_and_strangers_do_not(house, provider):
    provider.claims = {"sub": "7", "email": "New@Example.com", "email_verified": True, "name": "Nina"}
    stranger = go(provider)
    assert not is_in(stranger)
    assert not User.objects.filter(email="new@example.com").exists()
    assert AuditEntry.objects.filter(action="login", outcome="refused").count() == 1

    write.invite(house.shop, "new@example.com", Role.ENGINEER, by=None)
    invited = go(provider)

    assert is_in(invited)
    member = ProjectMember.objects.get(user__email="new@example.com")
    assert (member.project, member.role, member.user.has_usable_password()) == (house.shop, "engineer", False)


def test_a_domain_is_let_in_with_the_operators_role(house, provider, settings):
    settings.TELLTALE_OIDC_DOMAINS, settings.TELLTALE_OIDC_PROJECT = ["corp.example"], "shop"
    settings.TELLTALE_OIDC_ROLE = "viewer"
    provider.claims = {"sub": "8", "email": "ann@corp.example", "email_verified": True}
    assert is_in(go(provider))
    assert ProjectMember.objects.get(user__email="ann@corp.example").role == "viewer"

    provider.claims = {"sub": "9", "email": "eve@evil-corp.example", "email_verified": True}
    assert not is_in(go(provider))
    settings.TELLTALE_OIDC_ROLE = "owner"
    provider.claims = {"sub": "10", "email": "zoe@corp.example", "email_verified": True}
    assert not is_in(go(provider))
    assert OrganisationMember.objects.filter(user__email="zoe@corp.example").count() == 0


@pytest.mark.parametrize(
    "wrong",
    [
        {"claims": {"sub": "1", "email": "bob@example.com", "email_verified": False}},
        {"claims": {"sub": "1", "email": "bob@example.com"}},
        {"claims": {"sub": "1", "email": "bob@example.com", "email_verified": True, "aud": "another"}},
        {"claims": {"sub": "1", "email": "bob@example.com", "email_verified": True, "iss": "https://evil.example"}},
        {"claims": {"sub": "1", "email": "bob@example.com", "email_verified": True, "exp": 1}},
        {"claims": {"email": "bob@example.com", "email_verified": True}},
        {"claims": {"sub": "1", "email": "bob@example.com", "email_verified": True, "nonce": None}},
        {"claims": {"sub": "1", "email": "bob@example.com", "email_verified": True, "nonce": ""}},
        {"claims": {"sub": "1", "email": "bob@example.com", "email_verified": True, "nonce": "x" * 43}},
        {"claims": {"sub": "1", "email": "bob@example.com", "email_verified": True, "nonce": ["x"]}},
        {"calls_itself": "https://evil.example"},
        {"algorithm": "HS256", "signs_with": "telltale" * 8},
        {"signs_with": rsa.generate_private_key(public_exponent=65537, key_size=2048)},
    ],
)
def test_an_answer_that_proves_nothing_lets_nobody_in(house, provider, wrong):
    for name, value in wrong.items():
        setattr(provider, name, value)
    if "calls_itself" in wrong:
        assert Client().get(LOGIN).url == "/accounts/login/"
        return

    signed = go(provider)

    assert signed.back.status_code == 302
    assert signed.back.url == "/accounts/login/"
    assert not is_in(signed)


def test_why_an_answer_was_refused_is_a_line_without_its_words(house, provider, caplog):
    provider.calls_itself = provider.issuer + "/"
    Client().get(LOGIN)
    provider.calls_itself = ""
    provider.algorithm, provider.signs_with = "HS256", "telltale" * 8
    go(provider)

    told = [record.getMessage() for record in caplog.records if record.name == "telltale.oidc"]
    assert told == [f"an answer of the provider was refused: {why}" for why in ("another issuer", "algorithm")]


@pytest.mark.parametrize("site", ["cross-site", "same-site"])
def test_a_page_elsewhere_starts_no_sign_in(house, provider, site):
    assert Client().get(LOGIN, headers={"Sec-Fetch-Site": site}).url == "/accounts/login/"
    for ours in ("same-origin", "none"):
        assert Client().get(LOGIN, headers={"Sec-Fetch-Site": ours}).url.startswith(provider.issuer)


def test_each_try_has_a_nonce_of_its_own_whatever_its_address_says(house, provider):
    tries = [Client().get(LOGIN + "?auth_params=nonce%3Dguessed") for _ in range(2)]

    nonces = [parse_qs(urlsplit(off.url).query)["nonce"] for off in tries]

    assert nonces[0] != nonces[1]
    assert all(len(nonce) == 1 and len(nonce[0]) >= 43 for nonce in nonces)


def test_an_id_token_of_another_try_lets_nobody_in(house, provider):
    first = go(provider)
    assert is_in(first)
    provider.claims |= {"nonce": provider.nonce}  # signed and fresh, of the try before

    assert not is_in(go(provider))


def test_a_way_back_that_nobody_set_out_on_leads_nowhere(house, provider):
    for query in ({"code": "c1", "state": "guessed"}, {"code": "c1"}, {"error": "access_denied"}, {}):
        client = Client()
        assert client.get(CALLBACK, query).status_code in {302, 200, 401}
        assert client.get("/accounts/sessions/").status_code == 302
    replayed = go(provider, code="another")
    assert not is_in(replayed)


def test_a_closed_account_stays_closed(house, provider):
    User.objects.filter(email="bob@example.com").update(is_active=False)

    assert not is_in(go(provider))


def test_a_provider_at_a_forbidden_address_is_never_asked(house, provider, settings):
    settings.TELLTALE_EGRESS_ALLOW = []

    answer = Client().get(LOGIN)

    assert answer.url == "/accounts/login/"


def test_passwords_are_closed_where_the_operator_says_so(house, provider, settings):
    page = Client().get("/accounts/login/").content.decode()
    assert ("Sign in with" in page, 'name="password"' in page) == (True, True)
    settings.TELLTALE_OIDC_ONLY = True

    client = Client()
    page = client.get("/accounts/login/").content.decode()
    client.post("/accounts/login/", {"login": "alice@example.com", "password": house.password})

    assert ("Sign in with" in page, 'name="password"' in page) == (True, False)
    assert client.get("/accounts/sessions/").status_code == 302


def test_without_a_provider_there_is_no_such_address(house):
    assert Client().get(LOGIN).status_code == 404
    assert "Sign in with" not in Client().get("/accounts/login/").content.decode()
