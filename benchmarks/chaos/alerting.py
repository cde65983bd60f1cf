"""Messages that must arrive, alarms that must not storm, and a worker that stands still and is noticed."""

from __future__ import annotations

import time
import urllib.request

import orjson

from benchmarks import notices
from benchmarks._product import Product
from benchmarks.chaos.scene import Scene, scenario, started, wait_for

EGRESS = {"TELLTALE_EGRESS_ALLOW": "127.0.0.0/8"}
BREACHES = 1_000


@scenario("receivers-failing", "R13")
def receivers_failing(scene: Scene) -> None:
    """Receivers answer 500, 429 or a redirect, too slowly or not at all, while the worker is killed"""
    with started(environment=EGRESS) as product:
        notices.grant(product)
        down, every = scene.seconds(40, 300), scene.seconds(12, 30)
        notices.failing(product, notices.Api(product), scene.report, down, every)


@scenario("worker-standing", "R15")
def worker_standing(scene: Scene) -> None:
    """SIGSTOP of the worker: /readyz, a page and a message of the watchdog say so within 60 s"""
    with started(environment=EGRESS) as product:
        notices.grant(product)
        notices.stopped(product, notices.Api(product), scene.report)


def breach(product: Product, spans: int) -> None:
    """Failed requests of this moment, through the public endpoint."""
    for _ in range(spans // 100):
        traces = [
            {"name": "answer", "kind": "generation", "model": "gpt-4o-mini", "status": "error", "duration_ms": 20,
             "error": "RateLimitError", "input": "Where is it?", "output": ""}
            for _ in range(100)
        ]  # fmt: skip
        request = urllib.request.Request(
            f"{product.url}/api/v1/traces", orjson.dumps(traces),
            {"Authorization": f"Bearer {product.key}", "Content-Type": "application/json"},
        )  # fmt: skip
        with urllib.request.urlopen(request, timeout=60) as answer:
            if orjson.loads(answer.read())["stored"] != 100:
                raise RuntimeError("not every trace was stored")


@scenario("alert-storm", "R14")
def alert_storm(scene: Scene) -> None:
    """1,000 breaching spans in one window, for two monitors that watch the same: one incident, one message"""
    with started(environment=EGRESS) as product:
        notices.grant(product)
        api = notices.Api(product)
        receiver = notices.Receiver("works")
        receiver.mend()
        notices.channel(api, receiver, severities=[0, 1, 2, 3])
        fixed = {"metric": "errors", "method": "fixed", "window_minutes": 1, "severity": 1, "scope": {},
                 "threshold": {"limit": 0.05, "side": "over", "release": 0.03, "after": 1}}  # fmt: skip
        for name in ("Errors", "Errors again"):
            api.ask("POST", "monitors", fixed | {"name": name})
        # All in one minute.
        time.sleep(max(0.0, 62 - time.time() % 60 if time.time() % 60 > 20 else 0))
        breach(product, BREACHES)
        opened = wait_for(lambda: bool(receiver.taken("incident.opened")), 360, 1)
        scene.report.add(
            "the message came after", opened, "s", 300, note="windows of a minute are decided a minute late"
        )
        # What would come later: repeats, further incidents.
        time.sleep(scene.seconds(60, 150))
        incidents = api.ask("GET", "incidents")["items"]
        scene.report.add("incidents", len(incidents), "", 1)
        sent = receiver.taken("incident.opened")
        scene.report.add("messages of an opened incident", len(sent), "", 1)
        scene.report.add(
            "messages in all", len(receiver.taken()), "", 2, note="an alarm that joins may be told as a change"
        )
        receiver.close()
