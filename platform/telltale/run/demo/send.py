"""Sending requests to /v1/traces as an SDK would: gzip, a few connections, patience where the server asks for it."""

from __future__ import annotations

import gzip
import http.client
import json
import queue
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlencode, urlsplit

from google.protobuf.message import DecodeError
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from telltale.run.demo.wire import Request

# One connection leaves a core of two idle, four make the gate of a small machine say 503.
CONNECTIONS = 3
TIMEOUT_SECONDS = 60.0
# How long a server may be away or busy before the sender gives up.
PATIENCE_SECONDS = 90.0
PAUSE_MAX_SECONDS = 10.0
_RETRIED = frozenset({429, 502, 503, 504})


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

    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {"Authorization": f"Bearer {self.secret}", "User-Agent": "telltale-demo"}


@dataclass(slots=True)
class Sent:
    """What was acknowledged so far."""

    requests: int = 0
    spans: int = 0
    rejected: int = 0
    retries: int = 0


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


@dataclass(slots=True)
class _Shared:
    """What the threads of one sending have in common."""

    address: Address
    sent: Sent = field(default_factory=Sent)
    waiting: queue.Queue[Request | None] = field(default_factory=lambda: queue.Queue(maxsize=CONNECTIONS * 2))
    lock: threading.Lock = field(default_factory=threading.Lock)
    ended: threading.Event = field(default_factory=threading.Event)
    errors: list[Exception] = field(default_factory=list)


def send_all(address: Address, requests: Iterable[Request], tell: Callable[[Sent], None]) -> Sent:
    """Send everything over `CONNECTIONS` connections; `tell` hears of the progress. SendError where it cannot be."""
    shared = _Shared(address)
    threads = [threading.Thread(target=_work, args=(shared,), daemon=True) for _ in range(CONNECTIONS)]
    for thread in threads:
        thread.start()
    try:
        for request in requests:
            if not _put(shared, request):
                break
            tell(shared.sent)
        for _ in threads:
            _put(shared, None)
        for thread in threads:
            while thread.is_alive():
                thread.join(0.2)
                tell(shared.sent)
    finally:
        shared.ended.set()
    if shared.errors:
        raise shared.errors[0]
    return shared.sent


def _put(shared: _Shared, request: Request | None) -> bool:
    """Hand a request to the threads; False where the sending ended."""
    while not shared.ended.is_set():
        try:
            shared.waiting.put(request, timeout=0.2)
            return True
        except queue.Full:
            continue
    return False


def _work(shared: _Shared) -> None:
    connection = shared.address.connect()
    try:
        while not shared.ended.is_set():
            try:
                request = shared.waiting.get(timeout=0.2)
            except queue.Empty:
                continue
            if request is None:
                return
            rejected, retries = _deliver(shared, connection, request)
            with shared.lock:
                shared.sent.requests += 1
                shared.sent.spans += request.spans
                shared.sent.rejected += rejected
                shared.sent.retries += retries
    except SendError as error:
        shared.errors.append(error)
        shared.ended.set()
    finally:
        connection.close()


def _deliver(shared: _Shared, connection: http.client.HTTPConnection, request: Request) -> tuple[int, int]:
    """How many spans of a request were rejected, and how many tries it took more than one."""
    headers = {
        **shared.address.headers(),
        "Content-Type": "application/x-protobuf",
        "Content-Encoding": "gzip",
    }
    body = gzip.compress(request.body, compresslevel=3)
    until = time.monotonic() + PATIENCE_SECONDS
    retries = 0
    while True:
        status, answer, pause = _try(shared, connection, body, headers)
        if status == 200:
            return _rejected(answer), retries
        if status and status not in _RETRIED:
            raise SendError(f"{shared.address.url} answered {status} to /v1/traces: {_words(answer)}")
        if time.monotonic() + pause > until:
            reason = f"answers {status}" if status else "does not answer"
            raise SendError(f"{shared.address.url} {reason} since {PATIENCE_SECONDS:.0f} s. Is Telltale running?")
        retries += 1
        if shared.ended.wait(pause):
            raise SendError("The sending was stopped.")


def _try(
    shared: _Shared, connection: http.client.HTTPConnection, body: bytes, headers: dict[str, str]
) -> tuple[int, bytes, float]:
    """Status (0 where nothing answered), body, and how long to wait before another try."""
    try:
        connection.request("POST", shared.address.path("/v1/traces"), body, headers)
        response = connection.getresponse()
        return response.status, response.read(), retry_after(response.getheader("Retry-After"))
    except (OSError, http.client.HTTPException):
        connection.close()
        return 0, b"", 1.0


def retry_after(value: str | None) -> float:
    """The seconds that a Retry-After header asks for, within reason; 1 where it says none."""
    try:
        return min(max(float(value or 1), 0.1), PAUSE_MAX_SECONDS)
    except ValueError:
        return 1.0


def _rejected(answer: bytes) -> int:
    try:
        return int(ExportTraceServiceResponse.FromString(answer).partial_success.rejected_spans)
    except DecodeError:
        raise SendError("The answer to /v1/traces is none of OTLP's: another program's port?") from None


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
