"""HTTP as a sender and as a browser would do it, on the standard library, so that the client costs little."""

from __future__ import annotations

import gzip
import http.client
import re
import threading
import time
import urllib.parse
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from http.cookies import SimpleCookie

RETRYABLE = frozenset({429, 502, 503, 504})
Answer = tuple[int, dict[str, str], bytes]


def quantile(values: Sequence[float], share: float) -> float:
    """The value below which `share` of them lie (nearest rank); NaN of nothing."""
    if not values:
        return float("nan")
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class Wire:
    """One kept-alive connection; `ask` answers status 0 where the connection failed."""

    def __init__(self, base: str, timeout_s: float = 60.0) -> None:
        parts = urllib.parse.urlsplit(base)
        self.host, self.port, self.timeout_s = parts.hostname or "127.0.0.1", parts.port or 80, timeout_s
        self.link: http.client.HTTPConnection | None = None

    def ask(self, method: str, path: str, body: bytes | None = None, headers: dict[str, str] | None = None) -> Answer:
        """Status, headers (lower case) and body."""
        try:
            if self.link is None:
                self.link = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout_s)
            self.link.request(method, path, body, headers or {})
            reply = self.link.getresponse()
            content = reply.read()
            if reply.will_close:
                self.close()
            return reply.status, {name.lower(): value for name, value in reply.getheaders()}, content
        except (OSError, http.client.HTTPException) as error:
            self.close()
            return 0, {"error": type(error).__name__}, b""

    def close(self) -> None:
        """Drop the connection; the next `ask` makes another."""
        if self.link is not None:
            self.link.close()
            self.link = None


def post_headers(key: str, *, is_gzip: bool = True) -> dict[str, str]:
    """The headers of an OTLP exporter."""
    headers = {"Content-Type": "application/x-protobuf", "Authorization": f"Bearer {key}"}
    return headers | {"Content-Encoding": "gzip"} if is_gzip else headers


@dataclass(frozen=True, slots=True)
class Parcel:
    """A request ready to be sent."""

    wire: bytes
    spans: int


def parcel(body: bytes, spans: int, level: int = 6) -> Parcel:
    """A body, compressed."""
    return Parcel(gzip.compress(body, level), spans)


@dataclass(slots=True)
class Tally:
    """What became of a load."""

    began: float = 0.0
    last_ack: float = 0.0
    spans_acked: int = 0
    status: Counter[int] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)
    latencies: list[float] = field(default_factory=list)
    refused_bare: int = 0  # refusals without Retry-After
    unsent: int = 0  # due, but every sender was still waiting for an answer
    lock: threading.Lock = field(default_factory=threading.Lock)

    def note(self, answer: Answer, spans: int, took_s: float) -> None:
        status, headers, _ = answer
        with self.lock:
            self.status[status] += 1
            if status == 200:
                self.spans_acked += spans
                self.latencies.append(took_s)
                self.last_ack = time.perf_counter()
            elif status == 0:
                self.errors[headers.get("error", "")] += 1
            elif status in RETRYABLE and "retry-after" not in headers:
                self.refused_bare += 1

    @property
    def seconds(self) -> float:
        """From the first send to the last acknowledgement."""
        return max(1e-9, self.last_ack - self.began)


def drive(
    base: str,
    key: str,
    parcels: Iterable[Parcel],
    *,
    connections: int,
    parcels_per_s: float = 0.0,
    timeout_s: float = 60.0,
) -> Tally:
    """Send every parcel once over `connections`. Closed loop, or an open one at `parcels_per_s`.

    In the open loop a latency runs from the moment the request was due, so that waiting for a free sender counts.
    """
    tally = Tally(began=time.perf_counter())
    supply = iter(parcels)
    lock = threading.Lock()
    due_at = tally.began

    def take() -> tuple[float, Parcel] | None:
        nonlocal due_at
        with lock:
            found = next(supply, None)
            if found is None:
                return None
            at = due_at
            if parcels_per_s:
                due_at += 1 / parcels_per_s
            return at, found

    def send() -> None:
        wire, headers = Wire(base, timeout_s), post_headers(key)
        while taken := take():
            at, item = taken
            if parcels_per_s:
                time.sleep(max(0.0, at - time.perf_counter()))
            else:
                at = time.perf_counter()
            answer = wire.ask("POST", "/v1/traces", item.wire, headers)
            tally.note(answer, item.spans, time.perf_counter() - at)
        wire.close()

    run_all([send] * connections)
    return tally


def run_all(work: Sequence[Callable[[], None]]) -> None:
    """Run each in a thread of its own until all have ended."""
    threads = [threading.Thread(target=each, daemon=True) for each in work]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


class Browser:
    """A person's session: cookies and the login form."""

    def __init__(self, base: str) -> None:
        self.wire = Wire(base)
        self.cookies: dict[str, str] = {}
        self.base = base

    def ask(self, method: str, path: str, form: dict[str, str] | None = None) -> Answer:
        """One request with the session's cookies."""
        headers = {
            "Cookie": "; ".join(f"{name}={value}" for name, value in self.cookies.items()),
            "Accept": "text/html",
        }
        body = None
        if form is not None:
            body = urllib.parse.urlencode(form).encode()
            headers |= {"Content-Type": "application/x-www-form-urlencoded", "Referer": self.base + path}
        is_kept = self.wire.link is not None
        answer = self.wire.ask(method, path, body, headers)
        if answer[0] == 0 and is_kept and method == "GET":  # the server had closed an idle connection
            answer = self.wire.ask(method, path, body, headers)
        for name, morsel in SimpleCookie(answer[1].get("set-cookie", "")).items():
            self.cookies[name] = morsel.value
        return answer

    def login(self, email: str, password: str) -> None:
        """Sign in; RuntimeError where the form does not take it."""
        _, _, page = self.ask("GET", "/accounts/login/")
        token = re.search(rb'name="csrfmiddlewaretoken"\s+value="([^"]+)"', page)
        if token is None:
            raise RuntimeError("the login page has no form")
        form = {"csrfmiddlewaretoken": token[1].decode(), "login": email, "password": password}
        status, _, page = self.ask("POST", "/accounts/login/", form)
        if status != 302:
            raise RuntimeError(f"login answered {status}")

    def timed(self, path: str) -> tuple[float, bytes]:
        """Seconds until the last byte of a page, and the page; RuntimeError unless it is a 200."""
        began = time.perf_counter()
        status, headers, page = self.ask("GET", path)
        took = time.perf_counter() - began
        if status != 200:
            told = headers.get("location") or headers.get("error", "")
            raise RuntimeError(f"GET {path} answered {status} {told}")
        return took, page
