"""What end users did, on its way to Telltale: a bounded queue and one thread, by the standard library alone."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from typing import Any

from telltale_sdk._config import SIGNALS_PATH, Config
from telltale_sdk._guard import trouble, warn_once
from telltale_sdk._pipeline import RETRIED, read_pause
from telltale_sdk._version import VERSION

QUEUE_SIGNALS = 1_000
BATCH_SIGNALS = 100
PAUSE_MAX_SECONDS = 30.0
ANSWER_BYTES = 64 * 1024


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer: the key goes to the address that it was given for, and nowhere else."""

    def redirect_request(self, *arguments: Any, **options: Any) -> None:
        return None


class SignalSender:
    """Sends signals in the background. `given == queued + sent + dropped`, always."""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.renew()

    def renew(self) -> None:
        """Begin at nothing, as the child of a fork does."""
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.waiting: deque[dict[str, Any]] = deque()
        self.given = self.queued = self.sent = self.dropped = 0
        self.thread: threading.Thread | None = None
        self.stop_at: float | None = None
        self.opener = urllib.request.build_opener(_NoRedirect)

    def put(self, signal: dict[str, Any]) -> None:
        """Take one in, or drop it where too many wait: never waits itself."""
        with self.lock:
            self.given += 1
            if self.stop_at is not None or self.queued >= QUEUE_SIGNALS:
                self.dropped += 1
                is_full = True
            else:
                is_full = False
                self.queued += 1
                self.waiting.append(signal)
                if self.thread is None:
                    thread = threading.Thread(target=self.run, name="telltale-signals", daemon=True)
                    thread.start()
                    self.thread = thread
                self.changed.notify_all()
        if is_full:
            warn_once("signals/queue", "signals come faster than they can be sent; some are dropped")

    def run(self) -> None:
        """The thread: takes what waits and delivers it."""
        while True:
            with self.lock:
                while not self.waiting:
                    if self.stop_at is not None:
                        return
                    self.changed.wait()
                batch = [self.waiting.popleft() for _ in range(min(len(self.waiting), BATCH_SIGNALS))]
            is_sent = False
            try:
                is_sent = self.deliver(batch)
            except Exception as error:  # noqa: BLE001 - the thread that sends must live on
                trouble("signal", error)
            with self.lock:
                self.queued -= len(batch)
                if is_sent:
                    self.sent += len(batch)
                else:
                    self.dropped += len(batch)
                self.changed.notify_all()

    def deliver(self, batch: list[dict[str, Any]]) -> bool:
        """Whether Telltale took a batch. Where it is away or busy it is asked again for a while."""
        body = json.dumps(batch, ensure_ascii=False, default=str).encode("utf-8", "replace")
        give_up_at = time.monotonic() + self.config.retry_s
        pause = 1.0
        while True:
            status, asked = self.post(body)
            if 200 <= status < 300:
                return True
            if status == 404:
                warn_once("signals/404", "Telltale at %s takes no signals yet; they are dropped", self.config.shown)
                return False
            if status and status not in RETRIED:
                warn_once(f"signals/{status}", "Telltale answered %d to signals; they are dropped", status)
                return False
            now = time.monotonic()
            with self.lock:
                is_closed = self.stop_at is not None
            if is_closed or now + max(pause, asked) >= give_up_at:
                if not is_closed:
                    warn_once("signals/late", "Telltale at %s took no signals in time: dropped", self.config.shown)
                return False
            warn_once("signals/away", "Telltale at %s takes no signals now; they are held", self.config.shown)
            with self.lock:
                self.changed.wait_for(lambda: self.stop_at is not None, max(pause, asked))
            pause = min(pause * 2, PAUSE_MAX_SECONDS)

    def post(self, body: bytes) -> tuple[int, float]:
        """The status of one try, 0 where nothing answered, and how long the answer asks to wait."""
        request = urllib.request.Request(  # noqa: S310 - the endpoint was checked to be http or https
            self.config.url(SIGNALS_PATH),
            data=body,
            method="POST",
            headers={
                **self.config.headers,
                "Authorization": f"Bearer {self.config.api_key}",
                "Content-Type": "application/json",
                "User-Agent": f"telltale-sdk-python/{VERSION}",
            },
        )
        try:
            with self.opener.open(request, timeout=self.config.timeout_s) as response:
                response.read(ANSWER_BYTES)
                return response.status, 0.0
        except urllib.error.HTTPError as error:
            with error:
                return error.code, read_pause(error.headers.get("Retry-After"))
        except (OSError, ValueError):
            return 0, 0.0

    def wait_for(self, given: int, until: float) -> bool:
        """Wait until as many as `given` have come to their end; False where the time is up before."""
        with self.lock:
            self.changed.wait_for(lambda: self.given - self.queued >= given, max(until - time.monotonic(), 0))
            return self.given - self.queued >= given

    def close(self, until: float) -> None:
        """Send what waits, and end, by `until` (monotonic)."""
        with self.lock:
            given, thread = self.given, self.thread
            self.changed.notify_all()
        if thread is not None:
            self.wait_for(given, until)
        with self.lock:
            self.stop_at = until
            self.dropped += len(self.waiting)
            self.queued -= len(self.waiting)
            self.waiting.clear()
            self.changed.notify_all()
