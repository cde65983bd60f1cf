"""Where Telltale answers, and what it says it did with what was sent."""

from __future__ import annotations

import http.client
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode, urlsplit

TIMEOUT_SECONDS = 60.0


class SendError(Exception):
    """The traffic could not be sent; the text says why, for people."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where Telltale answers, and with which key."""

    url: str
    secret: str

    def connect(self) -> http.client.HTTPConnection:
        """A new connection; SendError where the address is none."""
        try:
            parts = urlsplit(self.url)
            port = parts.port
        except ValueError:
            raise SendError(f"{self.url!r} is not an address.") from None
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise SendError(f"{self.url!r} is not an address: it must begin with http:// or https://.")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        return kind(parts.hostname, port, timeout=TIMEOUT_SECONDS)

    def path(self, tail: str) -> str:
        """The path of one of the product's addresses."""
        return urlsplit(self.url).path.rstrip("/") + tail

    def path_url(self, tail: str) -> str:
        """One of the product's addresses, whole."""
        return self.url.rstrip("/") + tail

    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {"Authorization": f"Bearer {self.secret}", "User-Agent": "telltale-demo"}


@dataclass(frozen=True, slots=True)
class Account:
    """What the server says it did with the spans of one key."""

    received: int
    stored: int
    duplicate: int
    rejected: int

    def since(self, before: Account) -> Account:
        """The difference to an earlier account."""
        return Account(
            self.received - before.received,
            self.stored - before.stored,
            self.duplicate - before.duplicate,
            self.rejected - before.rejected,
        )


def read_account(address: Address, key_id: int, start: str, end: str) -> Account:
    """What became of the spans of a key between two times (ISO 8601), as /api/v1/accounting tells. SendError."""
    connection = address.connect()
    try:
        query = urlencode({"key": key_id, "from": start, "to": end})
        connection.request("GET", address.path(f"/api/v1/accounting?{query}"), headers=address.headers())
        response = connection.getresponse()
        answer = response.read()
    except (OSError, http.client.HTTPException) as error:
        raise SendError(f"Nothing answers at {address.url} ({error}). Is Telltale running?") from None
    finally:
        connection.close()
    if response.status != 200:
        raise SendError(f"{address.url} answered {response.status} to /api/v1/accounting: {_words(answer)}")
    spans: dict[str, Any] = json.loads(answer)["spans"]
    return Account(spans["received"], spans["stored"], spans["duplicate"], spans["rejected"])


def _words(answer: bytes) -> str:
    return "".join(c for c in answer[:300].decode("utf-8", "replace") if c.isprintable()).strip() or "no words"
