"""A receiver that fails, a worker that is killed or stopped: every message once after, and the watchdog in time.

    python -m benchmarks.notices --down 120

Part one opens an incident for each of several receivers that answer 500, 429 with Retry-After, with a redirect, too
slowly, or not at all for `--down` seconds (3600 is the hour of the promise), while the worker is killed with -9 every
so often. Afterwards each must have exactly one id, delivered, and nothing given up. Part two stops the worker with
SIGSTOP: /readyz, a page and the watchdog's own message must say so within 60 s, and that it runs again afterwards.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from benchmarks import _product
from benchmarks._client import Wire
from benchmarks._product import Product
from benchmarks._report import Report

STANDS_BAR_S = 60.0
# The pauses of docs/notifications.md: no message waits longer than this after its receiver is back.
PAUSE_MOST_S = 1_800 * 1.1 + 60
KINDS = ("500", "429", "redirect", "slow", "away")


class Receiver:
    """Answers as its kind does until `works` is set; remembers what came."""

    def __init__(self, kind: str) -> None:
        self.kind, self.works = kind, threading.Event()
        self.got: list[tuple[float, str, str, bool]] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                works = outer.works.is_set()
                outer.got.append((time.monotonic(), self.headers["webhook-id"], body["type"], works))
                if not works and outer.kind == "slow":
                    time.sleep(20)
                status = 204 if works else {"500": 500, "429": 429, "redirect": 302, "slow": 200}.get(outer.kind, 503)
                with contextlib.suppress(OSError):
                    self.send_response(status)
                    if status == 429:
                        self.send_header("Retry-After", "20")
                    if status == 302:
                        self.send_header("Location", "http://127.0.0.1:1/")
                    self.send_header("Content-Length", "0")
                    self.end_headers()

            def log_message(self, *args: Any) -> None:
                return

        self._handler = Handler
        self.port = _product.free_port()
        self._server: ThreadingHTTPServer | None = None
        if kind != "away":
            self.listen()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}/hook"

    def listen(self) -> None:
        """Begin to answer."""
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), self._handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()

    def mend(self) -> None:
        """From now on everything is taken."""
        self.works.set()
        if self._server is None:
            self.listen()

    def close(self) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()

    def taken(self, kind: str = "") -> list[tuple[float, str]]:
        """When and under which id a message (of a kind) was taken."""
        return [(at, told) for at, told, said, works in self.got if works and (not kind or said == kind)]


class Api:
    """REST with the product's first key."""

    def __init__(self, running: Product) -> None:
        self._wire, self._key = Wire(running.url), running.key

    def ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
        headers = {"Authorization": f"Bearer {self._key}", "Content-Type": "application/json"}
        raw = json.dumps(body).encode() if body is not None else None
        status, _, answer = self._wire.ask(method, f"/api/v1/{path}", raw, headers)
        if status == 0 and method == "GET":  # the kept connection had been closed
            status, _, answer = self._wire.ask(method, f"/api/v1/{path}", raw, headers)
        if not 200 <= status < 300:
            raise RuntimeError(f"{method} {path} answered {status}: {answer[:400]!r}")
        return json.loads(answer) if answer else None


def grant(running: Product) -> None:
    """Give the first key every scope: channels are an admin's."""
    with running.connect() as connection:
        connection.execute("UPDATE projects_apikey SET scopes = '{ingest,signal,read,write,admin}'")
    time.sleep(5)  # keys are remembered for so long


def channel(api: Api, receiver: Receiver, *, severities: list[int], name: str = "") -> str:
    """The id of a channel that gets these severities alone."""
    told = {"name": name or receiver.kind, "kind": "webhook", "url": receiver.url, "with_route": False}
    told["name"] += f" {receiver.port}"
    made = api.ask("POST", "channels", told)["id"]
    api.ask("POST", "routes", {"channel": made, "severities": severities})
    return str(made)


def wait(seconds: float, done: Callable[[], bool], step: float = 0.5) -> float:
    """Seconds until `done`; infinite where it never was."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if done():
            return time.monotonic() - began
        time.sleep(step)
    return float("inf")


@contextmanager
def killing(running: Product, every: float) -> Iterator[list[float]]:
    """Kill the worker with -9 again and again meanwhile."""
    ending, kills = threading.Event(), list[float]()

    def kill() -> None:
        dice = random.Random(7)
        while not ending.wait(every * dice.uniform(0.5, 1.5)):
            pid = running.pid("worker")
            if pid is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
                    kills.append(time.monotonic())

    thread = threading.Thread(target=kill, daemon=True)
    thread.start()
    try:
        yield kills
    finally:
        ending.set()
        thread.join()


def failing(running: Product, api: Api, report: Report, down: float, every: float) -> None:
    """Part one: every receiver fails for `down` seconds, and the worker is killed meanwhile."""
    receivers = [Receiver(kind) for kind in KINDS]
    for receiver in receivers:
        channel(api, receiver, severities=[1])
    with killing(running, every) as kills:
        number = api.ask("POST", "incidents", {"title": "Errors rose", "severity": 1})["number"]
        time.sleep(down)
        for receiver in receivers:
            receiver.mend()
        waited = wait(PAUSE_MOST_S, lambda: all(each.taken("incident.opened") for each in receivers))
    report.say(f"incident {number}; {len(kills)} kills of the worker in {down:.0f} s and after")
    report.add("all delivered after the receivers were back", waited, "s", bar=PAUSE_MOST_S)
    for receiver in receivers:
        ids = {told for _, told, said, _ in receiver.got if said == "incident.opened"}
        report.add(f"{receiver.kind}: ids", len(ids), "", bar=1)
        report.add(f"{receiver.kind}: attempts while it failed", sum(not each[3] for each in receiver.got), "")
        taken = len(receiver.taken("incident.opened"))
        report.add(f"{receiver.kind}: taken", taken, "", bar=1 + len(kills), note="more than one only after a kill")
    wait(120, lambda: not api.ask("GET", "deliveries?state=waiting")["items"])
    lost = api.ask("GET", "deliveries?state=failed")["items"]
    report.add("given up", len(lost), "", bar=0)
    for receiver in receivers:
        receiver.close()


def stopped(running: Product, api: Api, report: Report) -> None:
    """Part two: the worker is stopped, and goes on."""
    receiver = Receiver("watch")
    receiver.mend()
    channel(api, receiver, severities=[1], name="Watchdog")
    wire, browser = Wire(running.url), running.browser()

    def engine() -> str:
        return str(json.loads(wire.ask("GET", "/readyz")[2] or b"{}").get("engine"))

    def page_says() -> bool:
        return b"Monitors are not evaluated" in browser.ask("GET", f"/p/{running.project}/settings/")[2]

    wait(120, lambda: engine() == "runs")
    time.sleep(15)
    pid = running.pid("worker")
    if pid is None:
        raise RuntimeError("no worker runs")
    found: dict[str, float] = {}
    began = time.monotonic()
    os.kill(pid, signal.SIGSTOP)
    try:
        while time.monotonic() - began < 2 * STANDS_BAR_S and len(found) < 3:
            since = time.monotonic() - began
            for name, is_so in (
                ("/readyz", lambda: engine() == "stands"), ("a page", page_says),
                ("the watchdog's message", lambda: bool(receiver.taken("engine.stands"))),
            ):  # fmt: skip
                if name not in found and is_so():
                    found[name] = since
            time.sleep(0.5)
    finally:
        os.kill(pid, signal.SIGCONT)
    for name in ("/readyz", "a page", "the watchdog's message"):
        report.add(f"stopped worker: said by {name}", found.get(name, float("inf")), "s", bar=STANDS_BAR_S)
    again = wait(120, lambda: bool(receiver.taken("engine.runs")))
    report.add("it runs again: told after", again, "s", bar=60)
    report.add("messages of the watchdog", len(receiver.taken()), "", bar=2)
    receiver.close()


def main() -> int:
    """Measure, say, exit 1 where something does not hold."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--down", type=float, default=120.0, help="seconds that receivers fail")
    parser.add_argument("--kill-every", type=float, default=30.0, help="seconds between kills of the worker")
    parser.add_argument("--only", choices=("failing", "stopped"), help="one part alone")
    _product.add_arguments(parser)
    args = parser.parse_args()
    report = Report("Notices")
    # One that runs already must allow 127.0.0.0/8 and have its home and database named.
    here = {"TELLTALE_EGRESS_ALLOW": "127.0.0.0/8"}
    with _product.product(args) if args.url else _product.started(args.keep, here) as running:
        grant(running)
        api = Api(running)
        if args.only != "failing":
            stopped(running, api, report)
        if args.only != "stopped":
            failing(running, api, report, args.down, args.kill_every)
    return report.finish(args.json)


if __name__ == "__main__":
    sys.exit(main())
