"""The one way out goes where it may, and nowhere else."""

from __future__ import annotations

import re
import socket
import ssl
import threading
import time
from ipaddress import ip_address, ip_network

import pytest

from telltale.lib import egress, vault

LOOPBACK = ["127.0.0.0/8", "::1/128"]
QUICK = egress.Limits(connect_seconds=1, read_seconds=1, total_seconds=2, answer_bytes=1000)


class Server:
    """A socket that answers each connection with the same bytes, a piece at a time, and keeps what it was sent."""

    def __init__(self, *pieces, pause=0.0):
        self.pieces, self.pause, self.requests = pieces, pause, []
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.ending = threading.Event()
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def run(self):
        while True:
            try:
                connection, _ = self.listening.accept()
            except OSError:
                return
            with connection:
                self.requests.append(self.read(connection))
                for piece in self.pieces:
                    try:
                        connection.sendall(piece)
                    except OSError:
                        break
                    if self.ending.wait(self.pause):
                        break

    def read(self, connection):
        connection.settimeout(1)
        data = connection.recv(65536)
        length = re.search(rb"content-length: (\d+)", data, re.IGNORECASE)
        while length and len(data.partition(b"\r\n\r\n")[2]) < int(length[1]):
            data += connection.recv(65536)
        return data

    def close(self):
        self.ending.set()
        self.listening.shutdown(socket.SHUT_RDWR)
        self.listening.close()
        self.thread.join(5)


@pytest.fixture
def serve():
    servers = []

    def make(*pieces, **options):
        servers.append(Server(*pieces, **options))
        return servers[-1]

    yield make
    for server in servers:
        server.close()


@pytest.fixture
def open_loopback(settings):
    settings.TELLTALE_EGRESS_ALLOW = LOOPBACK


OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nX-One: 1\r\n\r\nhi"


def test_an_answer_comes_back_whole(serve, open_loopback):
    server = serve(OK)

    answer = egress.request(
        "POST", f"http://127.0.0.1:{server.port}/v1/traces?a=b", headers={"X-Key": "k"}, body=b"body", limits=QUICK
    )

    assert (answer.status, answer.body, answer.headers["x-one"]) == (200, b"hi", "1")
    sent = server.requests[0].decode()
    assert sent.startswith("POST /v1/traces?a=b HTTP/1.1\r\n")
    assert f"Host: 127.0.0.1:{server.port}\r\n" in sent
    assert "X-Key: k\r\n" in sent
    assert "Content-Length: 4\r\n" in sent
    assert sent.endswith("\r\n\r\nbody")


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_redirect_is_an_answer_and_is_not_followed(serve, open_loopback, status):
    target = serve(OK)
    server = serve(
        f"HTTP/1.1 {status} Moved\r\nLocation: http://127.0.0.1:{target.port}/\r\nContent-Length: 0\r\n\r\n".encode()
    )

    answer = egress.request("GET", f"http://127.0.0.1:{server.port}/", limits=QUICK)

    assert answer.status == status
    assert target.requests == []


FORBIDDEN = [
    "127.0.0.1", "127.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "127.0.0.1.",
    "localhost", "LOCALHOST", "[::1]", "[::ffff:127.0.0.1]", "[::ffff:7f00:1]", "[0:0:0:0:0:ffff:127.0.0.1]",
    "10.0.0.1", "172.16.5.4", "192.168.1.1", "100.64.0.1", "[fc00::1]", "[fd12::1]", "169.254.169.254",
    "2852039166", "0xa9fea9fe", "[::ffff:169.254.169.254]", "[fe80::1]", "[fd00:ec2::254]", "0.0.0.0", "0",
    "[::]", "224.0.0.1", "[ff02::1]", "255.255.255.255", "240.0.0.1", "[64:ff9b::a00:1]", "[64:ff9b::808:808]",
    "[2002:7f00:1::]", "[2002:808:808::]", "[::7f00:1]", "100.100.100.200", "192.0.0.192", "168.63.129.16",
    "198.18.0.1", "192.0.2.1", "[2001:db8::1]",
]  # fmt: skip


@pytest.mark.parametrize("host", FORBIDDEN)
@pytest.mark.parametrize("scheme", ["http", "https"])
def test_no_connection_to_a_forbidden_address_in_any_notation(monkeypatch, settings, scheme, host):
    settings.TELLTALE_EGRESS_ALLOW = []
    tried = []
    monkeypatch.setattr(socket.socket, "connect", lambda self, where: tried.append(where))

    with pytest.raises(egress.EgressError):
        egress.request("GET", f"{scheme}://{host}/", limits=QUICK)

    assert tried == []


METADATA = [
    "169.254.169.254", "::ffff:169.254.169.254", "64:ff9b::a9fe:a9fe", "2002:a9fe:a9fe::", "fe80::1", "fd00:ec2::254",
    "0.0.0.0", "::", "224.0.0.1", "255.255.255.255", "::a9fe:a9fe", "100.100.100.200",
]  # fmt: skip


@pytest.mark.parametrize("address", METADATA)
def test_some_addresses_no_setting_opens(address):
    everything = [ip_network("0.0.0.0/0"), ip_network("::/0")]

    assert egress.rule_against(ip_address(address), everything)


@pytest.mark.parametrize(
    ("address", "allow", "rule"),
    [
        ("8.8.8.8", [], ""),
        ("2606:4700::1", [], ""),
        ("10.1.2.3", [], "private"),
        ("10.1.2.3", ["10.1.0.0/16"], ""),
        ("10.2.2.3", ["10.1.0.0/16"], "private"),
        ("::ffff:10.1.2.3", ["10.1.0.0/16"], ""),
        ("::ffff:10.1.2.3", [], "private"),
        ("::ffff:8.8.8.8", [], ""),
        ("64:ff9b::808:808", [], "NAT64"),
        ("64:ff9b::808:808", ["64:ff9b::/96"], ""),
        ("64:ff9b::a00:1", ["64:ff9b::/96"], "private"),
        ("100.64.1.1", [], "carrier-grade NAT"),
        ("127.0.0.1", ["127.0.0.0/8"], ""),
    ],
)
def test_what_the_operator_allows_is_open_and_no_more(address, allow, rule):
    assert egress.rule_against(ip_address(address), [ip_network(each) for each in allow]) == rule


def answers(monkeypatch, *addresses):
    """Each look-up gives the next list; the last one stays."""
    told = list(addresses)
    asked = []

    def getaddrinfo(host, port, **_):
        found = told.pop(0) if len(told) > 1 else told[0]
        asked.append(host)
        kinds = [(socket.AF_INET6 if ":" in each else socket.AF_INET, each) for each in found]
        return [(family, socket.SOCK_STREAM, 6, "", (each, port)) for family, each in kinds]

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    return asked


def test_a_name_that_changes_its_mind_is_judged_by_what_is_connected_to(monkeypatch, settings):
    """Rebinding: the first answer is public, the next one loopback; the name is asked once and its address used."""
    settings.TELLTALE_EGRESS_ALLOW = []
    asked = answers(monkeypatch, ["93.184.216.34"], ["127.0.0.1"])
    tried = []

    def connect(self, where):
        tried.append(where)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)

    with pytest.raises(egress.Unreachable, match="refused the connection"):
        egress.request("GET", "https://rebind.example/", limits=QUICK)
    with pytest.raises(egress.Refused, match="loopback"):
        egress.request("GET", "https://rebind.example/", limits=QUICK)

    assert tried == [("93.184.216.34", 443)]
    assert asked == ["rebind.example"] * 2


def test_of_several_addresses_only_a_fit_one_is_used(monkeypatch, settings):
    settings.TELLTALE_EGRESS_ALLOW = []
    answers(monkeypatch, ["::ffff:127.0.0.1", "10.0.0.1", "93.184.216.34"])
    tried = []

    def connect(self, where):
        tried.append(where)
        raise ConnectionRefusedError

    monkeypatch.setattr(socket.socket, "connect", connect)

    with pytest.raises(egress.Unreachable):
        egress.request("GET", "https://many.example/", limits=QUICK)

    assert tried == [("93.184.216.34", 443)]


def test_plain_http_goes_only_where_the_operator_said(monkeypatch, settings):
    settings.TELLTALE_EGRESS_ALLOW = []
    answers(monkeypatch, ["93.184.216.34"])

    with pytest.raises(egress.Refused, match="Plain http"):
        egress.request("GET", "http://public.example/", limits=QUICK)


def test_a_resolver_that_hangs_is_not_waited_for(monkeypatch):
    ending = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *a, **k: ending.wait(10) and [])

    with pytest.raises(egress.Unreachable, match="not resolved"):
        egress.request("GET", "https://slow.example/", limits=egress.Limits(connect_seconds=0.1))

    ending.set()


@pytest.mark.parametrize(
    "url",
    [
        "", "traces", "//host/", "ftp://host/", "file:///etc/passwd", "gopher://host/", "https://", "https:///path",
        "https://user:secret@host/", "https://user@host/", "https://host:0/", "https://host:99999/", "https://host:x/",
        "https://ho st/", "https://host/\r\nX: y", "https://host\n/", "https://host\\@other/", "https://[::1",
        "https://[fe80::1%25eth0]/", "https://-host/", "https://ho..st/", "https://host/ä", "https://" + "a" * 2050,
        "https://host/\x00", "HTTPS//host",
    ],
)  # fmt: skip
def test_what_is_no_plain_address_is_refused_before_anything_is_asked(monkeypatch, url):
    asked = answers(monkeypatch, ["93.184.216.34"])

    with pytest.raises(egress.Refused):
        egress.request("GET", url)

    assert asked == []


def test_hosts_are_read_as_what_they_are():
    assert egress.parse_url("HTTPS://Bücher.Example.:8443/a?b=c") == egress.Place(
        "https", "xn--bcher-kva.example", 8443, "/a?b=c"
    )
    assert egress.parse_url("https://[2606:4700::1]/").host_header == "[2606:4700::1]"
    assert egress.parse_url("https://host").path == "/"


def test_a_server_that_says_nothing_is_given_up(serve, open_loopback):
    server = serve(b"", pause=5)

    with pytest.raises(egress.Unreachable, match="did not answer in time"):
        egress.request("GET", f"http://127.0.0.1:{server.port}/", limits=egress.Limits(read_seconds=0.2))


def test_a_server_that_drips_is_cut_off_in_all(serve, open_loopback):
    server = serve(b"HTTP/1.1 200 OK\r\n", *[b"X: y\r\n"] * 200, pause=0.05)
    began = time.monotonic()

    with pytest.raises(egress.Unreachable, match=r"longer than 0\.5 s in all"):
        egress.request(
            "GET", f"http://127.0.0.1:{server.port}/", limits=egress.Limits(read_seconds=1, total_seconds=0.5)
        )

    assert time.monotonic() - began < 3


def test_of_an_endless_answer_so_much_is_read(serve, open_loopback):
    server = serve(b"HTTP/1.1 200 OK\r\n\r\n", *[b"x" * 10_000] * 50)

    answer = egress.request("GET", f"http://127.0.0.1:{server.port}/", limits=QUICK)

    assert (len(answer.body), answer.is_cut) == (1000, True)


@pytest.mark.parametrize(
    "said",
    [b"SSH-2.0-OpenSSH\r\n", b"\x00\x01\x02", b"HTTP/1.1 abc\r\n\r\n", b"", b"HTTP/1.1 200 OK\r\n" + b"a" * 70_000],
)
def test_what_is_not_http_is_described_and_not_quoted(serve, open_loopback, said):
    server = serve(said)

    with pytest.raises(egress.Unreachable) as raised:
        egress.request("GET", f"http://127.0.0.1:{server.port}/", limits=QUICK)

    assert "SSH" not in str(raised.value)


def test_a_server_without_tls_is_no_secure_one(serve, open_loopback):
    server = serve(b"HTTP/1.1 400 Bad Request\r\n\r\n")

    with pytest.raises(egress.Unreachable, match=r"secure connection|broke off"):
        egress.request("GET", f"https://127.0.0.1:{server.port}/", limits=QUICK)


def test_a_closed_port_is_said(open_loopback):
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]

    with pytest.raises(egress.Unreachable, match="refused the connection"):
        egress.request("GET", f"http://127.0.0.1:{port}/", limits=QUICK)


def test_a_setting_that_is_no_network_is_named(settings):
    settings.TELLTALE_EGRESS_ALLOW = ["10.0.0.0/99"]

    with pytest.raises(ValueError, match="TELLTALE_EGRESS_ALLOW"):
        egress.allowed_networks()
    with pytest.raises(egress.Refused, match="TELLTALE_EGRESS_ALLOW"):
        egress.check("https://127.0.0.1/")


@pytest.mark.parametrize(
    ("name", "value", "wrong"),
    [
        ("DD-API-KEY", "abc", ""),
        ("Authorization", "Basic YTpi", ""),
        ("X Y", "a", "no name"),
        ("Host", "a", "itself"),
        ("content-type", "a", "itself"),
        ("X", "a\r\nHost: b", "value"),
        ("X", "", "value"),
        ("X", "ä", "value"),
        ("X", "a" * 5000, "value"),
    ],
)
def test_headers_that_people_enter_are_checked(name, value, wrong):
    assert wrong in egress.check_header(name, value)
    assert bool(egress.check_header(name, value)) == bool(wrong)


def test_a_sealed_secret_opens_for_its_purpose_and_key_alone(settings):
    sealed = vault.seal("forwarding", "secret-väl")

    assert "secret" not in sealed
    assert vault.unseal("forwarding", sealed) == "secret-väl"
    with pytest.raises(vault.Sealed):
        vault.unseal("webhooks", sealed)
    settings.SECRET_KEY = "another" * 10
    with pytest.raises(vault.Sealed):
        vault.unseal("forwarding", sealed)


def test_a_secret_is_shown_by_its_end():
    assert vault.hint("sk-0123456789abcd") == "…abcd"
    assert vault.hint("short") == "…"


@pytest.mark.parametrize(
    ("host", "is_listed"),
    [("api.example.com", True), ("API.Example.com.", True), ("example.com", True), ("hooks.other.example", True),
     ("evil-example.com", False), ("example.com.evil.example", False), ("other.example", False), ("8.8.8.8", False)],
)  # fmt: skip
def test_where_the_operator_lists_hosts_no_other_is_looked_up(settings, monkeypatch, host, is_listed):
    settings.TELLTALE_EGRESS_HOSTS = [".example.com", "hooks.other.example"]
    asked = []

    def resolve(name, *_, **__):
        asked.append(name)
        raise OSError

    monkeypatch.setattr(socket, "getaddrinfo", resolve)

    with pytest.raises(egress.Unreachable if is_listed else egress.Refused) as error:
        egress.request("GET", f"https://{host}/")

    assert bool(asked) == is_listed
    assert is_listed or error.value.rule == "host"


def test_tls_out_is_1_2_at_least_and_looks_at_the_certificate():
    context = egress._context()

    assert context.minimum_version >= ssl.TLSVersion.TLSv1_2
    assert context.verify_mode == ssl.CERT_REQUIRED
    assert context.check_hostname
