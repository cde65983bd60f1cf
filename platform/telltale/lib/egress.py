"""The one way out: HTTP to addresses that people configured, and never to where it could do harm.

The address is checked after the name was resolved, at each connection, and the connection goes to that very address:
what a name means next second makes no difference. Redirects are answers like any other. Time and size are bounded.

EgressError
├── Refused        a rule of ours said no, before anything was sent; `rule` names it
└── Unreachable    nobody answered as HTTP does: name, connection, TLS, time
"""

from __future__ import annotations

import http.client
import re
import socket
import ssl
import threading
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from django.conf import settings

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

URL_CHARS_MAX = 2048
_HOST = re.compile(
    r"[A-Za-z0-9]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9])?)*\.?\Z"
)
_HEADER_NAME = re.compile(r"[A-Za-z0-9!#$%&'*+.^_`|~-]{1,100}\Z")
_HEADER_VALUE = re.compile(r"[\x21-\x7e]([\x20-\x7e\t]{0,4094}[\x21-\x7e])?\Z")
# These say how a request is framed and are ours to set.
OWN_HEADERS = frozenset(
    {
        "host", "content-length", "transfer-encoding", "connection", "content-type", "content-encoding", "te",
        "trailer", "upgrade", "expect", "proxy-authorization", "keep-alive",
    }
)  # fmt: skip


def _networks(*texts: str) -> tuple[Network, ...]:
    return tuple(ip_network(text) for text in texts)


# Refused whatever the operator allows: no judge or tracing system is there, but credentials of machines are.
_NEVER: tuple[tuple[str, tuple[Network, ...]], ...] = (
    (
        "metadata",
        _networks(
            "169.254.169.254/32", "169.254.170.2/32", "100.100.100.200/32", "192.0.0.192/32", "168.63.129.16/32",
            "fd00:ec2::254/128", "fd20:ce::254/128",
        ),
    ),
    ("link-local", _networks("169.254.0.0/16", "fe80::/10", "fec0::/10")),
    ("multicast", _networks("224.0.0.0/4", "ff00::/8")),
    ("unspecified", _networks("0.0.0.0/8", "::/128")),
    ("broadcast", _networks("255.255.255.255/32")),
    ("reserved", _networks("240.0.0.0/4")),
)  # fmt: skip
# Refused unless the operator's environment allows them.
_ASKED: tuple[tuple[str, tuple[Network, ...]], ...] = (
    ("loopback", _networks("127.0.0.0/8", "::1/128")),
    ("private", _networks("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "fc00::/7")),
    ("carrier-grade NAT", _networks("100.64.0.0/10")),
    ("NAT64", _networks("64:ff9b::/96", "64:ff9b:1::/48")),
    ("tunnel", _networks("2002::/16", "2001::/32")),
)
_NAT64 = ip_network("64:ff9b::/96")
_V4_COMPATIBLE = ip_network("::/96")


class EgressError(Exception):
    """A request that was not answered. The text is for people and quotes nothing that answered."""


class Refused(EgressError):
    """A rule of ours refused the address; `rule` is its name."""

    def __init__(self, rule: str, message: str) -> None:
        super().__init__(message)
        self.rule = rule


class Unreachable(EgressError):
    """Nobody answered as HTTP does. `was_sent`: the request may have arrived all the same; `is_late`: time ran out."""

    def __init__(self, message: str, *, was_sent: bool = False, is_late: bool = False) -> None:
        super().__init__(message)
        self.was_sent = was_sent
        self.is_late = is_late


@dataclass(frozen=True, slots=True)
class Place:
    """Where a URL leads: a host and port by scheme, and the path with its query."""

    scheme: str
    host: str
    port: int
    path: str

    @property
    def origin(self) -> tuple[str, str, int]:
        """What credentials belong to."""
        return self.scheme, self.host, self.port

    @property
    def host_header(self) -> str:
        """The value of the Host header."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == _PORTS[self.scheme] else f"{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a request may take and how much of its answer is read."""

    connect_seconds: float = 5.0
    read_seconds: float = 10.0
    total_seconds: float = 15.0
    answer_bytes: int = 64 * 1024


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back. `body` is cut at the limit; header names are in lower case."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    is_cut: bool = False


_PORTS = {"http": 80, "https": 443}


def parse_url(url: str) -> Place:
    """Where `url` leads; Refused where it is no plain http or https address. Resolves nothing."""
    if len(url) > URL_CHARS_MAX:
        raise Refused("url", f"The address is longer than {URL_CHARS_MAX} characters.")
    if any(c <= " " or c == "\x7f" or c in '\\<>"`{}|^' for c in url):
        raise Refused("url", "The address holds spaces, line breaks or other characters that none has.")
    try:
        parts = urlsplit(url)
        port = parts.port
        host = parts.hostname or ""
    except ValueError:
        raise Refused("url", "The address cannot be read.") from None
    if parts.scheme not in _PORTS:
        raise Refused("scheme", "The address must begin with https:// (or http:// where the operator allows it).")
    if parts.username is not None or parts.password is not None:
        raise Refused("credentials", "The address must hold no user name or password; use a header.")
    if port == 0:
        raise Refused("url", "The port must be from 1 to 65535.")
    path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    if not path.isascii():
        raise Refused("url", "The path must be percent-encoded.")
    return Place(parts.scheme, _clean_host(host), port or _PORTS[parts.scheme], path)


def _clean_host(host: str) -> str:
    if not host:
        raise Refused("url", "The address names no host.")
    if ":" in host:
        try:
            if "%" in host:  # an interface of this machine
                raise ValueError
            return str(IPv6Address(host))
        except ValueError:
            raise Refused("url", "The address names no host.") from None
    try:
        ascii_host = host if host.isascii() else host.encode("idna").decode()
    except UnicodeError:
        raise Refused("url", "The host name cannot be read.") from None
    if len(ascii_host) > 253 or not _HOST.match(ascii_host):
        raise Refused("url", "The host name cannot be read.")
    return ascii_host.lower().rstrip(".")


def check_header(name: str, value: str) -> str:
    """What is wrong with a header that a person wants sent; "" where nothing is."""
    if not _HEADER_NAME.match(name):
        return "is no name of a header"
    if name.lower() in OWN_HEADERS:
        return "is set by Telltale itself"
    if not _HEADER_VALUE.match(value):
        return "has a value that no header can have: visible ASCII, at most 4,096 characters"
    return ""


@lru_cache(maxsize=8)
def _parsed(allowed: tuple[str, ...]) -> tuple[Network, ...]:
    try:
        return tuple(ip_network(text, strict=False) for text in allowed)
    except ValueError as error:
        raise ValueError(f"TELLTALE_EGRESS_ALLOW must be networks such as 10.0.0.0/8: {error}") from None


def allowed_networks() -> tuple[Network, ...]:
    """What the operator's environment allows."""
    return _parsed(tuple(settings.TELLTALE_EGRESS_ALLOW))


def rule_against(address: Address, allowed: Iterable[Network]) -> str:
    """The rule that refuses `address`; "" where none does. Addresses inside of addresses count too."""
    allowed = tuple(allowed)
    told = {address, *_inside(address)}
    for name, networks in _NEVER:
        if any(each in network for each in told for network in networks):
            return name
    # A mapped address is the one inside; any other form has to be allowed in both its meanings.
    meant = set(_inside(address)) if isinstance(address, IPv6Address) and address.ipv4_mapped else told
    for each in meant:
        if any(each in network for network in allowed):
            continue
        for name, networks in _ASKED:
            if any(each in network for network in networks):
                return name
        if not each.is_global:
            return "not public"
    return ""


def is_allowed_expressly(address: Address, allowed: Iterable[Network]) -> bool:
    """Whether the operator named a network that holds `address`."""
    told = _inside(address) if isinstance(address, IPv6Address) and address.ipv4_mapped else [address]
    return any(each in network for each in told for network in allowed)


def _inside(address: Address) -> list[IPv4Address]:
    """The IPv4 addresses that an IPv6 one carries."""
    if not isinstance(address, IPv6Address):
        return []
    found: list[IPv4Address | None] = [address.ipv4_mapped, address.sixtofour]
    if address.teredo is not None:
        found += address.teredo
    if address in _NAT64 or (address in _V4_COMPATIBLE and int(address) > 1):
        found.append(IPv4Address(int(address) & 0xFFFFFFFF))
    return [each for each in found if each is not None]


def check(url: str, seconds: float = 2.0) -> None:
    """Refused where `url` could not be sent to as things are now. A name that does not resolve yet passes."""
    place = parse_url(url)
    _check_listed(place)
    try:
        addresses = _resolve(place, seconds)
    except Unreachable:
        return
    _choose(place, addresses)


def request(
    method: str,
    url: str,
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
    limits: Limits = Limits(),
) -> Answer:
    """Send one request and read its answer, whatever its status. Refused or Unreachable where there is none."""
    place = parse_url(url)
    _check_listed(place)
    deadline = time.monotonic() + limits.total_seconds
    address, family = _choose(place, _resolve(place, min(limits.connect_seconds, limits.total_seconds)))
    return _exchange(place, address, family, method, headers or {}, body, limits, deadline)


def _check_listed(place: Place) -> None:
    """Refused where the operator listed the hosts that may be reached, and this is none of them."""
    listed = [host.lower().rstrip(".") for host in settings.TELLTALE_EGRESS_HOSTS]
    if not listed or any(place.host == host.lstrip(".") for host in listed):
        return
    if not any(host.startswith(".") and place.host.endswith(host) for host in listed):
        raise Refused("host", "The host is none of those that the operator's settings list (TELLTALE_EGRESS_HOSTS).")


def _resolve(place: Place, seconds: float) -> list[Address]:
    """The addresses of the host, within `seconds`: the resolver itself knows no limit, so it works beside."""
    found: list[Address] = []
    failed: list[bool] = []

    def look() -> None:
        try:
            for *_, where in socket.getaddrinfo(place.host, place.port, type=socket.SOCK_STREAM):
                # A link-local address comes with its interface.
                found.append(ip_address(str(where[0]).partition("%")[0]))
        except (OSError, UnicodeError, ValueError):
            failed.append(True)

    thread = threading.Thread(target=look, name="egress-resolve", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive():
        raise Unreachable(f"The name {place.host} was not resolved within {seconds:g} s.", is_late=True)
    if failed or not found:
        raise Unreachable(f"The name {place.host} leads to no address.")
    return list(dict.fromkeys(found))


def _choose(place: Place, addresses: list[Address]) -> tuple[Address, socket.AddressFamily]:
    """The first address that no rule refuses; Refused where there is none."""
    try:
        allowed = allowed_networks()
    except ValueError as error:
        raise Refused("settings", f"{error}.") from None
    rule = ""
    for address in addresses:
        found = rule_against(address, allowed)
        if not found and place.scheme == "http" and not is_allowed_expressly(address, allowed):
            found = "plain http"
        if not found:
            family = socket.AF_INET6 if isinstance(address, IPv6Address) else socket.AF_INET
            return address, family
        rule = rule or found
    if rule == "plain http":
        raise Refused(rule, "Plain http is refused: use https, or let the operator allow the network.")
    raise Refused(rule, f"The host leads to an address that is refused ({rule}). The operator's settings decide this.")


def _exchange(
    place: Place,
    address: Address,
    family: socket.AddressFamily,
    method: str,
    headers: Mapping[str, str],
    body: bytes,
    limits: Limits,
    deadline: float,
) -> Answer:
    sock = socket.socket(family, socket.SOCK_STREAM)
    is_late = threading.Event()

    def end() -> None:
        # A server that sends a byte now and then would never run into the time-out of a single read.
        is_late.set()
        try:
            socket.socket.shutdown(sock, socket.SHUT_RDWR)
        except OSError:
            return

    watch = threading.Timer(max(deadline - time.monotonic(), 0.01), end)
    watch.daemon = True
    watch.start()
    connection = http.client.HTTPConnection(place.host, place.port)
    connection.auto_open = 0
    was_sent = False
    try:
        sock.settimeout(limits.connect_seconds)
        sock.connect((str(address), place.port))
        if place.scheme == "https":
            sock = _context().wrap_socket(sock, server_hostname=place.host)
        sock.settimeout(limits.read_seconds)
        connection.sock = sock
        connection.putrequest(method, place.path, skip_host=True, skip_accept_encoding=True)
        connection.putheader("Host", place.host_header)
        for name, value in {"User-Agent": "telltale", **headers}.items():
            connection.putheader(name, value)
        connection.putheader("Content-Length", str(len(body)))
        connection.putheader("Connection", "close")
        was_sent = True
        connection.endheaders(body)
        response = connection.getresponse()
        data = response.read(limits.answer_bytes + 1)
        told = {name.lower(): value for name, value in response.getheaders()}
        if is_late.is_set():
            raise TimeoutError
        return Answer(response.status, told, data[: limits.answer_bytes], len(data) > limits.answer_bytes)
    except ssl.SSLCertVerificationError as error:
        raise Unreachable(f"The certificate of {place.host} is not trusted: {error.verify_message}.") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        message = _described(error, place, limits, is_late=is_late.is_set())
        is_out_of_time = is_late.is_set() or isinstance(error, TimeoutError)
        raise Unreachable(message, was_sent=was_sent, is_late=is_out_of_time) from None
    finally:
        watch.cancel()
        connection.close()
        sock.close()


def _described(error: Exception, place: Place, limits: Limits, *, is_late: bool) -> str:
    """What went wrong, in words that quote nothing that answered."""
    where = f"{place.host} port {place.port}"
    if is_late:
        return f"{where} took longer than {limits.total_seconds:g} s in all."
    if isinstance(error, TimeoutError):
        return f"{where} did not answer in time."
    if isinstance(error, ConnectionRefusedError):
        return f"{where} refused the connection."
    if isinstance(error, ssl.SSLError):
        return f"No secure connection to {where} could be made."
    if isinstance(error, http.client.HTTPException | ValueError):
        return f"{where} answered something that is not HTTP."
    return f"The connection to {where} failed or broke off."


@lru_cache(maxsize=1)
def _context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context
