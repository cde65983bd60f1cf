"""No form and no API that takes an address leads to where it could do harm: not when saved, not when used later."""

from __future__ import annotations

import socket
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

import jwt
import orjson
import pytest
from allauth.socialaccount.internal import jwtkit
from cryptography.hazmat.primitives.asymmetric import rsa
from django.test import Client

from alerts.models import Channel, NoticeSettings
from evals.models import Connection
from telltale.lib import egress
from telltale.projects import keys
from tests.telltale.test_egress import FORBIDDEN
from traces.models import ForwardTarget

pytestmark = pytest.mark.django_db
JSON = {"content_type": "application/json"}
# Beside every notation of an address: other schemes, names and passwords, breaks, look-alikes, ports.
URLS = [
    *(f"https://{host}/" for host in FORBIDDEN),
    *(f"http://{host}:8000/v1" for host in FORBIDDEN[:8]),
    "https://user:pw@127.0.0.1/", "https://example.com@127.0.0.1/", "https://127.0.0.1#@example.com/",
    "https://127.0.0.1?@example.com/", "https://127.0.0.1\\@example.com/", "https://example.com\r\nHost: 127.0.0.1/",
    "https://127.0.0.1\n.example.com/", "https://127.0.0.1\t/", " https://127.0.0.1/", "https://１２７.0.0.1/",
    "https://①②⑦.⓪.⓪.①/", "https://127。0。0。1/", "HTTPS://LOCALHOST/", "https://localhost./", "https://[::1%25lo]/",
    "https://127.0.0.1:22/", "https://127.0.0.1:0/", "https://127.0.0.1:99999/", "https:127.0.0.1/", "https:///127.0.0.1",
    "//127.0.0.1/", "127.0.0.1", "file:///etc/passwd", "gopher://127.0.0.1/", "ftp://127.0.0.1/", "javascript:alert(1)",
    "data:text/html,x", "unix:///tmp/s", "https://", "https://.", "https://[", "https://[]/", "https://%31%32%37.0.0.1/",
]  # fmt: skip
CHANNELS = {"webhook": {}, "slack": {}, "teams": {}, "pagerduty": {"key": "k" * 32}, "opsgenie": {"key": "k" * 32}}
CONNECTION = {
    "name": "Model", "kind": "openai", "timeout_seconds": "5", "at_a_time": "2", "calls_a_minute": "", "input_usd": "",
    "output_usd": "", "key": "",
}  # fmt: skip


@dataclass(frozen=True)
class Door:
    """A way in for an address: REST (method set) or a page's form."""

    path: str
    field: str
    more: dict
    method: str = ""

    def send(self, client: Client, url: str):
        if self.method:
            return client.generic(self.method, self.path, orjson.dumps({**self.more, self.field: url}), **JSON)
        return client.post(self.path, {**self.more, self.field: url})


DOORS = {
    "forwarding": Door("/api/v1/forwarding", "url", {"name": "t"}, "POST"),
    "connection": Door("/api/v1/connections", "base_url", {"name": "m", "kind": "openai"}, "POST"),
    "connection, other": Door("/api/v1/connections", "base_url", {"name": "m", "kind": "anthropic"}, "POST"),
    **{
        f"{kind} channel": Door("/api/v1/channels", "url", {"name": kind, "kind": kind, **more}, "POST")
        for kind, more in CHANNELS.items()
    },
    "alive address": Door("/api/v1/notices/settings", "alive_url", {}, "PATCH"),
    "forwarding form": Door("/p/shop/settings/forwarding/new/", "url", {"name": "t", "headers": ""}),
    "connection form": Door("/p/shop/settings/connections/new/", "base_url", CONNECTION),
    **{
        f"{kind} form": Door(f"/p/shop/settings/channels/new/?kind={kind}", "url", {"name": kind, "kind": kind, **more})
        for kind, more in CHANNELS.items()
    },
    "alive form": Door(
        "/p/shop/settings/channels/telling/",
        "alive_url",
        {"group_seconds": "30", "repeat_minutes": "", "alive_seconds": "60"},
    ),
}


WHOLE = ("forwarding", "connection", "webhook channel", "alive address")


def kept():
    """What was saved anywhere."""
    alive = NoticeSettings.objects.exclude(alive_url=b"").exclude(alive_url="").count()
    rows = (model.objects.count() for model in (ForwardTarget, Connection, Channel))
    return (*rows, alive)


@pytest.fixture
def connected(monkeypatch, settings):
    """Every place that somebody tried to connect to from Python; the database is reached by libpq."""
    settings.TELLTALE_EGRESS_ALLOW = []
    tried = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, where: tried.append(where))
    monkeypatch.setattr(socket.socket, "connect_ex", lambda self, where: tried.append(where))
    return tried


@pytest.fixture
def clients(project, alice, sign_in):
    secret = keys.make_key(project, "admin", ("read", "write", "admin")).secret
    return {True: Client(headers={"Authorization": f"Bearer {secret}"}), False: sign_in(alice)}


def test_no_door_takes_an_address_that_is_refused(connected, clients):
    before, wrong = kept(), []

    for name, door in DOORS.items():
        # All of them where addresses are read, one of each sort through the others, which read them by the same code.
        for url in URLS if name in WHOLE else URLS[::9]:
            answer = door.send(clients[bool(door.method)], url)
            if answer.status_code != 400:
                wrong.append(f"{name}: {url!r} answered {answer.status_code}")

    assert wrong == []
    assert kept() == before
    assert connected == []


def test_a_name_that_turns_to_a_forbidden_address_is_asked_nothing(connected, clients, monkeypatch):
    """Saved while the name led to a public address, used when it leads inside: the test button of each."""
    where = ["93.184.216.34"]
    family = socket.AF_INET
    monkeypatch.setattr(
        socket, "getaddrinfo", lambda host, port, **more: [(family, socket.SOCK_STREAM, 6, "", (where[0], port))]
    )
    api = clients[True]
    made = []
    for door in DOORS.values():
        if door.method == "POST":
            answer = door.send(api, "https://rebinds.example/v1")
            assert answer.status_code == 201, answer.content
            made.append(f"{door.path}/{answer.json()['id']}/test")
            Connection.objects.filter(name="m").update(name=f"m{len(made)}")
    assert connected == []  # saving looks the name up, and asks nobody

    for where[0] in ("127.0.0.1", "169.254.169.254", "10.0.0.7"):
        for path in made:
            answer = api.post(path, {"model": "m"}, **JSON)
            assert answer.status_code in (200, 400, 409, 422, 502), (path, answer.content)
            assert b"refused" in answer.content, (path, answer.content)
            assert b"169.254" not in answer.content

    assert connected == []


@pytest.fixture
def provider(settings):
    """Signing in at a provider is on; its issuer is for the test to say."""

    def named(issuer):
        settings.TELLTALE_OIDC_ISSUER, settings.TELLTALE_OIDC_CLIENT_ID = issuer, "telltale"
        told = {"server_url": issuer.rstrip("/")}
        app = {"provider_id": "oidc", "name": "Test", "client_id": "telltale", "secret": "s", "settings": told}
        settings.SOCIALACCOUNT_PROVIDERS = {"openid_connect": {"OAUTH_PKCE_ENABLED": True, "APPS": [app]}}

    return named


def test_an_issuer_that_is_refused_is_not_asked(connected, provider):
    for url in URLS:
        provider(url)

        answer = Client().get("/accounts/oidc/login/")

        assert (answer.status_code, answer.url) == (302, "/accounts/login/"), url
    assert connected == []


@pytest.mark.parametrize("place", ["token_endpoint", "jwks_uri", "userinfo_endpoint"])
def test_what_a_provider_names_is_refused_like_any_address(connected, provider, monkeypatch, place):
    """The issuer answers from a public address and sends us inside: to metadata, to ourselves, to a neighbour."""
    issuer = "https://id.example"
    told = {name: f"{issuer}/{name}" for name in ("authorization_endpoint", "token_endpoint", "jwks_uri")}
    token = jwt.encode({"sub": "1"}, rsa.generate_private_key(65537, 2048), algorithm="RS256", headers={"kid": "k"})
    bodies = {
        "/token_endpoint": {"access_token": "at", "token_type": "Bearer", "id_token": token},
        "/jwks_uri": {"keys": []},
    }
    real, refused = egress.request, []

    def request(method, url, **more):
        if url.startswith(issuer):
            path = url.removeprefix(issuer)
            return egress.Answer(200, {"Content-Type": "application/json"}, orjson.dumps(bodies.get(path, told)))
        try:
            return real(method, url, **more)
        except egress.Refused as error:
            refused.append((url, error.rule))
            raise

    monkeypatch.setattr(egress, "request", request)
    claims = {"sub": "1", "aud": "telltale", "iss": issuer}
    provider(issuer)
    for host in ("169.254.169.254", "[fd00:ec2::254]", "127.0.0.1", "10.0.0.7", "0x7f.1", "localhost"):
        told["issuer"], told[place] = issuer, f"http://{host}/latest/meta-data/"
        client = Client()
        state = parse_qs(urlsplit(client.get("/accounts/oidc/login/").url).query)
        if place == "userinfo_endpoint":  # asked only where a checked token names no address
            claims["nonce"] = state["nonce"][0]
            monkeypatch.setattr(jwtkit, "verify_and_decode", lambda **_: dict(claims))

        back = client.get("/accounts/oidc/callback/", {"code": "c", "state": state["state"][0]})

        assert (back.status_code, back.url) == (302, "/accounts/login/"), host
        assert len(refused) == 1, (host, refused)
        refused.clear()
        assert client.get("/accounts/sessions/").status_code == 302
    assert connected == []
