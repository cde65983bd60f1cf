"""Signals, scores and changes on their way: each a bounded queue and one thread, by the standard library alone."""

from __future__ import annotations

import json
import threading
import time
import urllib.error
import urllib.request
from collections import deque
from typing import Any

from telltale_sdk._config import CHANGES_PATH, SCORES_PATH, SIGNALS_PATH, Config
from telltale_sdk._guard import trouble, warn_once
from telltale_sdk._pipeline import RETRIED, read_pause
from telltale_sdk._version import VERSION

QUEUE_SIGNALS = QUEUE_SCORES = 1_000
BATCH_SIGNALS = BATCH_SCORES = 100
QUEUE_CHANGES = BATCH_CHANGES = 100
PAUSE_MAX_SECONDS = 30.0
ANSWER_BYTES = 256 * 1024


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect is an answer: the key goes to the address that it was given for, and nowhere else."""

    def redirect_request(self, *arguments: Any, **options: Any) -> None:
        return None


class Sender:
    """Sends small things in the background. `given == queued + sent + rejected + dropped`, always."""

    word, path = "", ""

    def __init__(self, config: Config) -> None:
        self.config = config
        self.renew()

    def renew(self) -> None:
        """Begin at nothing, as the child of a fork does."""
        self.lock = threading.Lock()
        self.changed = threading.Condition(self.lock)
        self.waiting: deque[dict[str, Any]] = deque()
        self.given = self.queued = self.sent = self.rejected = self.dropped = 0
        self.thread: threading.Thread | None = None
        self.stop_at: float | None = None
        self.opener = urllib.request.build_opener(_NoRedirect)

    @property
    def limits(self) -> tuple[int, int]:
        """How many wait at most, and how many go at a time."""
        raise NotImplementedError

    def body(self, batch: list[dict[str, Any]]) -> Any:
        """What a batch is sent as."""
        return batch

    def read_refused(self, answer: bytes) -> int:
        """How many of a batch Telltale refused although it took the batch; the first reason is told."""
        try:
            told = json.loads(answer)
            items = [item for item in told["items"] if item["status"] == "rejected"]
        except (ValueError, LookupError, TypeError):
            return 0
        for fault in (items[0].get("errors") or [{}]) if items else ():
            field, message, limit = (str(fault.get(key) or "")[:200] for key in ("field", "message", "limit"))
            one = self.word.removesuffix("s")
            warn_once(f"{self.word}/refused", "Telltale refused a %s: %s %s (%s)", one, field, message, limit)
            break
        return len(items)

    def put(self, item: dict[str, Any]) -> bool:
        """Take one in, or drop it where too many wait: never waits itself. Whether it was taken in."""
        with self.lock:
            self.given += 1
            is_taken = self.stop_at is None and self.queued < self.limits[0]
            if is_taken:
                self.queued += 1
                self.waiting.append(item)
                if self.thread is None:
                    thread = threading.Thread(target=self.run, name=f"telltale-{self.word}", daemon=True)
                    thread.start()
                    self.thread = thread
                self.changed.notify_all()
            else:
                self.dropped += 1
        if not is_taken:
            warn_once(f"{self.word}/queue", "%s come faster than they can be sent; some are dropped", self.word)
        return is_taken

    def run(self) -> None:
        """The thread: takes what waits and delivers it."""
        while True:
            with self.lock:
                while not self.waiting:
                    if self.stop_at is not None:
                        return
                    self.changed.wait()
                batch = [self.waiting.popleft() for _ in range(min(len(self.waiting), self.limits[1]))]
            sent = rejected = 0
            try:
                sent, rejected = self.deliver(batch)
            except Exception as error:  # noqa: BLE001 - the thread that sends must live on
                trouble(self.word, error)
            with self.lock:
                self.queued -= len(batch)
                self.sent += sent
                self.rejected += rejected
                self.dropped += len(batch) - sent - rejected
                self.changed.notify_all()

    def deliver(self, batch: list[dict[str, Any]]) -> tuple[int, int]:
        """How many of a batch Telltale took and how many it refused; where it is away it is asked for a while."""
        body = json.dumps(self.body(batch), ensure_ascii=False, default=str).encode("utf-8", "replace")
        give_up_at = time.monotonic() + self.config.retry_s
        pause, word = 1.0, self.word
        while True:
            status, asked, answer = self.post(body)
            if 200 <= status < 300:
                refused = min(self.read_refused(answer), len(batch))
                return len(batch) - refused, refused
            if status == 404:
                warn_once(f"{word}/404", "Telltale at %s takes no %s yet; they are dropped", self.config.shown, word)
                return 0, 0
            if status and status not in RETRIED:
                warn_once(f"{word}/{status}", "Telltale answered %d to %s; they are dropped", status, word)
                # 400 says that none of them could be kept.
                return 0, len(batch) if status == 400 else 0
            now = time.monotonic()
            with self.lock:
                is_closed = self.stop_at is not None
            if is_closed or now + max(pause, asked) >= give_up_at:
                if not is_closed:
                    warn_once(f"{word}/late", "Telltale at %s took no %s in time: dropped", self.config.shown, word)
                return 0, 0
            warn_once(f"{word}/away", "Telltale at %s takes no %s now; they are held", self.config.shown, word)
            with self.lock:
                self.changed.wait_for(lambda: self.stop_at is not None, max(pause, asked))
            pause = min(pause * 2, PAUSE_MAX_SECONDS)

    def post(self, body: bytes) -> tuple[int, float, bytes]:
        """The status of one try, 0 where nothing answered, how long the answer asks to wait, and what it says."""
        request = urllib.request.Request(  # noqa: S310 - the endpoint was checked to be http or https
            self.config.url(self.path),
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
                return response.status, 0.0, response.read(ANSWER_BYTES)
        except urllib.error.HTTPError as error:
            with error:
                return error.code, read_pause(error.headers.get("Retry-After")), b""
        except (OSError, ValueError):
            return 0, 0.0, b""

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


class SignalSender(Sender):
    """Sends what end users did. Each is judged by itself, as scores are."""

    word, path = "signals", SIGNALS_PATH

    @property
    def limits(self) -> tuple[int, int]:
        """How many wait at most, and how many go at a time."""
        return QUEUE_SIGNALS, BATCH_SIGNALS


class ScoreSender(Sender):
    """Sends scores. Each is judged by itself: a bad one is refused, told once, and costs its neighbours nothing."""

    word, path = "scores", SCORES_PATH

    @property
    def limits(self) -> tuple[int, int]:
        """How many wait at most, and how many go at a time."""
        return QUEUE_SCORES, BATCH_SCORES

    def body(self, batch: list[dict[str, Any]]) -> Any:
        """What a batch is sent as."""
        return {"scores": batch}


class ChangeSender(Sender):
    """Sends changes of what the application runs. Each is judged by itself, as scores are."""

    word, path = "changes", CHANGES_PATH

    @property
    def limits(self) -> tuple[int, int]:
        """How many wait at most, and how many go at a time."""
        return QUEUE_CHANGES, BATCH_CHANGES
