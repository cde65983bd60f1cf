"""Origins of pages that may send signals with a key: read, written one way, and found in time."""

from __future__ import annotations

import ipaddress
import re
import threading
import time
from collections.abc import Iterable

from django.conf import settings

from telltale.projects.models import ApiKey

ANY = "*"
ORIGINS_MAX = 50
ORIGIN_CHARS_MAX = 300
FORM = "scheme://host[:port] such as https://shop.example, or * for any"
_SHAPE = re.compile(
    r"(?P<scheme>[a-z][a-z0-9+.\-]{0,30})://(?P<host>\[[0-9a-f:.]+\]|[^/\s:@?#\[\]\\%]+)(?::(?P<port>[0-9]{1,5}))?/?\Z",
    re.IGNORECASE,
)
_LABEL = re.compile(r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\Z")
_DEFAULT_PORTS = {"http": 80, "https": 443}
_HELD_MAX = 1024


class OriginRefused(ValueError):
    """A text that is no origin; `value` is what came."""

    def __init__(self, value: str, message: str = "is no origin") -> None:
        super().__init__(f"“{value[:80]}” {message}. An origin is {FORM}.")
        self.value = value
        self.message = message


def read_origin(text: str) -> str:
    """An origin as a browser writes it: lower case, without the scheme's own port. OriginRefused where it is none."""
    text = text.strip()
    if text == ANY:
        return ANY
    found = _SHAPE.match(text) if len(text) <= ORIGIN_CHARS_MAX else None
    if found is None:
        has_path = "://" in text and "/" in text.split("://", 1)[1].rstrip("/")
        raise OriginRefused(text, "has more than scheme, host and port" if has_path else "is no origin")
    scheme, host = found["scheme"].lower(), _host(text, found["host"])
    port = int(found["port"]) if found["port"] else None
    if port is not None and not 1 <= port <= 65535:
        raise OriginRefused(text, "has a port that is none")
    return f"{scheme}://{host}" + ("" if port in (None, _DEFAULT_PORTS.get(scheme)) else f":{port}")


def _host(text: str, host: str) -> str:
    if host.startswith("["):
        try:
            return f"[{ipaddress.IPv6Address(host[1:-1]).compressed}]"
        except ValueError:
            raise OriginRefused(text, "has an address that is none") from None
    try:
        plain = host.encode("idna").decode().lower() if not host.isascii() else host.lower()
    except UnicodeError:
        raise OriginRefused(text, "has a host that is none") from None
    if not all(_LABEL.match(label) for label in plain.split(".")):
        raise OriginRefused(text, "has a host that is none")
    return plain


def read_origins(texts: Iterable[str]) -> tuple[str, ...]:
    """Origins without repeats, in their order; OriginRefused for the first that is none, or one too many."""
    found = tuple(dict.fromkeys(read_origin(text) for text in texts if text.strip()))
    if len(found) > ORIGINS_MAX:
        raise OriginRefused(found[ORIGINS_MAX], f"is one too many: a key has at most {ORIGINS_MAX}")
    return found


def is_listed(origin: str, listed: Iterable[str]) -> bool:
    """Whether a browser's `Origin` is among those of a key."""
    listed = tuple(listed)
    return bool(listed) and (ANY in listed or origin.strip().lower() in listed)


class _Held:
    """Origins asked for in the last seconds: a preflight carries no key, and anybody may send one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._held: dict[str, tuple[float, bool]] = {}

    def get(self, origin: str) -> bool | None:
        held = self._held.get(origin)
        return None if held is None or held[0] < time.monotonic() else held[1]

    def put(self, origin: str, is_known: bool) -> None:
        with self._lock:
            if len(self._held) >= _HELD_MAX:
                self._held.clear()
            self._held[origin] = (time.monotonic() + settings.KEY_CACHE_SECONDS, is_known)

    def clear(self) -> None:
        with self._lock:
            self._held.clear()


held = _Held()


def is_known(origin: str) -> bool:
    """Whether a live key for browsers lists `origin`; at most `KEY_CACHE_SECONDS` old."""
    origin = origin.strip().lower()
    if not origin or len(origin) > ORIGIN_CHARS_MAX or "\x00" in origin:
        return False
    known = held.get(origin)
    if known is None:
        told = ApiKey.objects.unscoped("a preflight carries no key: any project may list the origin")
        rows = told.filter(revoked_at=None, scopes=["signal"], origins__overlap=[origin, ANY])
        known = rows.exists()
        held.put(origin, known)
    return known
