"""Judging while workers die: each response once, nonsense is no score, and the bill is bounded."""

from __future__ import annotations

import os
import random
import re
import signal
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from benchmarks._pipeline import EGRESS, send, wait_quiet
from benchmarks._product import Product
from benchmarks.chaos.scene import Scene, scenario, started, wait_for
from benchmarks.notices import Api, grant
from telltale.run import stand_in

THREADS = 4
FAULT_SHARE = 0.15
# Longer than the connection waits: an answer that is made, and not heard.
LATE_S, TIMEOUT_S = 4.0, 2.0
NONSENSE = ("prose", "half", "range", "refusal")
FAULTS = ("busy", "late", *NONSENSE)
LEFT = "SELECT count(*) FROM evals_judgement WHERE state IN ('pending', 'running')"
_REFERENCE = re.compile(r"Reference (\d+)\.")


class _Handler(stand_in._Handler):
    server: Model

    def answer(self, messages: list[str], schema: dict[str, Any] | None) -> None:
        found = _REFERENCE.search(messages[-1] if messages else "")
        self.server.asked.reference = found[1] if found else ""
        super().answer(messages, schema)


class Model(stand_in.StandIn):
    """A model that counts its calls by what they are about, and goes wrong by `kinds` in a share of them."""

    def __init__(self, share: float, kinds: tuple[str, ...], seed: int, delay_seconds: float = 0.2) -> None:
        super().__init__(0, 0.0, delay_seconds, seed)
        self.RequestHandlerClass = _Handler
        self.share, self.kinds = share, kinds
        self.asked = threading.local()
        self.by_reference: Counter[str] = Counter()
        self.good: Counter[str] = Counter()
        self._rng, self._guard = random.Random(seed), threading.Lock()

    def next_fault(self) -> str:
        """What goes wrong with this call; the call is counted."""
        with self._guard:
            fault = self._rng.choice(self.kinds) if self._rng.random() < self.share else ""
            self.calls += 1
            self.by_reference[self.asked.reference] += 1
            self.good[self.asked.reference] += not fault
        if fault == "late":
            time.sleep(LATE_S)
            return ""
        return fault


@contextmanager
def model(share: float, kinds: tuple[str, ...], seed: int) -> Iterator[Model]:
    """A model that answers while the block runs."""
    server = Model(share, kinds, seed)
    threading.Thread(target=server.serve_forever, args=(0.1,), daemon=True).start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def set_up(product: Product, url: str, *, calls_a_day: int | None = None) -> Api:
    """A judge of two criteria by that model, by REST; no backfill yet."""
    grant(product)
    api = Api(product)
    points = {"kind": "points", "low": 1, "high": 5}
    criteria = [
        {"key": key, "title": key.title(), "scale": points, "definition": f"The answer is good by its {key}."}
        for key in ("correctness", "tone")
    ]
    api.ask("POST", "rubrics", {"name": "Chaos", "slug": "chaos", "spec": {"criteria": criteria}})
    connection = api.ask(
        "POST", "connections",
        {
            "name": "Stand-in", "kind": "openai", "base_url": url, "at_a_time": 2 * THREADS,
            "timeout_seconds": TIMEOUT_S,
            "input_usd_per_million": "0.15", "output_usd_per_million": "0.6", "is_stand_in": True,
        },
    )  # fmt: skip
    api.ask(
        "POST", "judges",
        {
            "name": "Chaos", "slug": "chaos", "kind": "model", "rubric": "chaos", "connection_id": connection["id"],
            "model": "telltale-stand-in",
        },
    )  # fmt: skip
    api.ask("PATCH", "evaluation", {"budget_usd_day": None, "budget_calls_day": calls_a_day})
    return api


def begin(product: Product, api: Api, n: int) -> None:
    """Store `n` traces and have all of them judged."""
    send(product, n)
    wait_quiet(product, "SELECT count(*) FROM traces_feed")
    api.ask("POST", "backfills", {"judge": "chaos", "query": "t=24h"})
    wait_for(lambda: product.one("SELECT count(*) FROM evals_judgement") > 0, 60)


def kill_worker(product: Product) -> None:
    """kill -9 of the worker with all its threads, and wait until there is another."""
    pid = product.pid("worker")
    if pid is None:
        raise RuntimeError("no worker runs")
    os.kill(pid, signal.SIGKILL)
    wait_for(lambda: product.pid("worker") not in {None, pid}, 30, 0.05)


@scenario("judging-killed", "R11 R12")
def judging_killed(scene: Scene) -> None:
    """300 responses judged by a model of which 15 % of the answers are faulty, while the worker is killed 15 times"""
    n, kills = (60, 3) if scene.quick else (300, 15)
    environment = {"TELLTALE_EGRESS_ALLOW": EGRESS, "TELLTALE_JUDGE_THREADS": str(THREADS)}
    with model(FAULT_SHARE, FAULTS, scene.seed) as server, started(environment=environment) as product:
        api = set_up(product, server.url)
        begin(product, api, n)
        for done in range(kills):
            # Spread over the whole of it: each kill finds calls under way.
            mark = (done + 1) * n // (kills + 2)
            wait_for(lambda mark=mark: sum(server.by_reference.values()) >= mark and product.one(LEFT) > 0, 120, 0.05)
            kill_worker(product)
        since = time.monotonic()
        wait_for(lambda: not product.one(LEFT), 600)
        scene.say(f"{server.calls} calls for {n} responses; done {time.monotonic() - since:.0f} s after the last kill")
        _check_once(scene, product, server, n, kills)


def _check_once(scene: Scene, product: Product, server: Model, n: int, kills: int) -> None:
    with product.connect() as connection:
        states = dict(connection.execute("SELECT state, count(*) FROM evals_judgement GROUP BY 1").fetchall())
        twice = product.one(
            "SELECT count(*) FROM "
            "(SELECT 1 FROM evals_score GROUP BY project_id, trace_id, name HAVING count(*) > 1) AS s"
        )
        reasons = connection.execute(
            "SELECT state, reason, count(*) FROM evals_judgement WHERE state <> 'scored' GROUP BY 1, 2"
        ).fetchall()
    scores = product.one("SELECT count(*) FROM evals_score")
    scored = int(str(states.get("scored", 0)))
    scene.say(f"states: {states}; not scored: {reasons}")
    asked = {reference for reference in server.by_reference if reference}
    missing = [f"{n - len(asked)} were never asked about"] if len(asked) != n else []
    ended = sum(int(str(count)) for state, count in states.items() if state in {"scored", "failed"})
    missing += [f"{n - ended} of {n} have no end: {states}"] if ended != n else []
    scene.hold("every response ends as scored or failed with a reason", n, missing)
    scene.hold("no response has two scores of a criterion", scores, [f"{twice} have"] if twice else [])
    scene.hold("a score for each criterion of what was scored", scores, [f"{scores}"] if scores != 2 * scored else [])
    bare = [f"{count} {state} without a reason" for state, reason, count in reasons if not reason]
    scene.hold("what failed says why", len(reasons), bare)
    more = sum(count - 1 for count in server.good.values() if count > 1)
    scene.report.add("responses", n, "", n, is_floor=True)
    scene.report.add("kills", kills, "", kills, is_floor=True)
    bound = f"{kills} kills x {THREADS} calls at a time"
    scene.report.add("good answers made twice", more, "", kills * THREADS, note=bound)


@scenario("judge-nonsense", "R12")
def judge_nonsense(scene: Scene) -> None:
    """A model that always answers nonsense: no score at all, each target is failed with its reason, and shown so"""
    n = 12 if scene.quick else 60
    environment = {"TELLTALE_EGRESS_ALLOW": EGRESS, "TELLTALE_JUDGE_THREADS": str(THREADS)}
    with model(1.0, NONSENSE, scene.seed) as server, started(environment=environment) as product:
        api = set_up(product, server.url)
        begin(product, api, n)
        wait_for(lambda: not product.one(LEFT), 900)
        with product.connect() as connection:
            rows = connection.execute(
                "SELECT state, reason, count(*) FROM evals_judgement GROUP BY 1, 2 ORDER BY 3 DESC"
            ).fetchall()
        scene.say(f"{server.calls} calls; {rows}")
        scores = product.one("SELECT count(*) FROM evals_score")
        scene.hold("no score", n, [f"{scores} scores"] if scores else [])
        wrong = [f"{count} {state} {reason}" for state, reason, count in rows if state != "failed" or not reason]
        scene.hold("every target is failed with a reason", sum(int(str(row[2])) for row in rows), wrong)
        runs = api.ask("GET", "judges/chaos/runs")
        told = runs["states"].get("failed") if "states" in runs else None
        page = product.browser().ask("GET", f"/p/{product.project}/judges/chaos/runs/")[2].decode()
        shown = [] if all(str(row[1]).split("_")[0] in page for row in rows) else ["a reason is not on the page"]
        scene.hold("page and REST show it", 2, shown if told in {n, None} else [*shown, f"REST says {told} failed"])


@scenario("judging-budget", "S8")
def judging_budget(scene: Scene) -> None:
    """A budget of 40 calls a day for 120 responses, while the worker is killed: never more but calls under way"""
    budget, n = 40, 120
    environment = {"TELLTALE_EGRESS_ALLOW": EGRESS, "TELLTALE_JUDGE_THREADS": str(THREADS)}
    with model(0.0, NONSENSE, scene.seed) as server, started(environment=environment) as product:
        api = set_up(product, server.url, calls_a_day=budget)
        begin(product, api, n)
        kills = 1 if scene.quick else 3
        for done in range(kills):
            wait_for(lambda mark=(done + 1) * 8: server.calls >= mark, 60, 0.05)
            kill_worker(product)
        held = "SELECT count(*) FROM evals_judgement WHERE state = 'pending' AND reason = 'budget'"
        paused = wait_for(lambda: product.one(held) > 0, 180)
        # Whoever were to go on would have gone on by then.
        time.sleep(scene.seconds(25, 40))
        scene.report.add("paused with the reason budget", paused, "s", 180)
        scene.report.add("calls for a budget of 40", server.calls, "", budget + THREADS)
        page = product.browser().ask("GET", f"/p/{product.project}/judges/chaos/runs/")[2].decode()
        scene.hold("the page says so", 1, [] if "budget" in page.lower() else ["it does not"])
        before = server.calls
        api.ask("PATCH", "evaluation", {"budget_calls_day": 4 * n})
        resumed = wait_for(lambda: server.calls > before, 120)
        scene.report.add("goes on by itself once there is budget", resumed, "s", 60)
        wait_for(lambda: not product.one(LEFT), 300)
        scored = product.one("SELECT count(*) FROM evals_judgement WHERE state = 'scored'")
        scene.hold("all are judged then", n, [f"{scored} of {n}"] if scored != n else [])
