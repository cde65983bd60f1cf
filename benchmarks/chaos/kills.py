"""Processes that end or stand still: kill -9 and SIGSTOP of every part, and of the supervisor."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from benchmarks import _product, crash
from benchmarks._proc import family, is_alive, read_stat
from benchmarks._product import Product
from benchmarks.chaos.scene import (
    DATABASE_BAR_S,
    RECOVERY_BAR_S,
    Load,
    Scene,
    first_key,
    scenario,
    started,
    stopped,
    tree,
    wait_for,
)  # fmt: skip

# Of exporters: whoever waits longer has gone.
HANGS_S = 12.0


@scenario("kills", "R1 R2 R4 R10")
def kills(scene: Scene) -> None:
    """kill -9 of web, worker and PostgreSQL at random, alone and in pairs, with and without what is below them"""
    wanted, spans = (8, 5_000) if scene.quick else (30, 50_000)
    with started() as product:
        outcome = crash.run(product, kills=wanted, spans=spans, seed=scene.seed)
        scene.report.add("kills", len(outcome.kills), "", wanted, is_floor=True)
        scene.report.add("acknowledged spans", len(outcome.history.acked), "", spans, is_floor=True)
        scene.report.add("slowest recovery", max(kill.seconds for kill in outcome.kills), "s", RECOVERY_BAR_S)
        scene.say(f"answers: {dict(sorted(outcome.history.answers.items()))}")
        for finding in outcome.findings:
            scene.hold(finding.name, finding.looked_at, finding.problems)


@scenario("everything-killed", "R1 R2 R4 R10")
def everything_killed(scene: Scene) -> None:
    """kill -9 of web, worker, PostgreSQL and all below them in the same moment, again and again"""
    with started() as product:
        with scene.load(product) as load:
            for number in range(1 if scene.quick else 5):
                time.sleep(3)
                took = load.killer.strike(("postgres", "web", "worker"), whole_tree=True).seconds
                scene.report.add(f"well again after blow {number + 1}", took, "s", RECOVERY_BAR_S)
        scene.drained(product, time.monotonic())
        scene.balance(load)


@scenario("supervisor-killed", "R1 R2 R4")
def supervisor_killed(scene: Scene) -> None:
    """kill -9 of the supervisor: its children end with it, and a second start takes everything up again"""
    with started() as product:
        with scene.load(product) as load:
            for number in range(1 if scene.quick else 3):
                time.sleep(3)
                supervisor = product.supervisor
                if supervisor is None or product.home is None:
                    raise RuntimeError("not started here")
                children = [pid for pid in family([supervisor.pid]) if pid != supervisor.pid]
                supervisor.kill()
                supervisor.wait()
                left = wait_for(lambda pids=children: not any(is_alive(pid) for pid in pids), 30)
                scene.report.add(f"children gone after kill {number + 1}", left, "s", DATABASE_BAR_S)
                since = time.monotonic()
                port = {"TELLTALE_PORT": product.url.rsplit(":", 1)[1]} | first_key()
                product.supervisor = _product.launch(product.home, port).supervisor
                scene.recovered(load, since, name=f"well again after start {number + 1}")
        scene.drained(product, time.monotonic())
        scene.balance(load)


def freeze(scene: Scene, load: Load, parts: tuple[str, ...], seconds: float) -> tuple[float, float]:
    """SIGSTOP of these parts with all below them; when it began and when it ended."""
    time.sleep(3)
    began = time.monotonic()
    with stopped([pid for part in parts for pid in tree(load.product, part)]):
        time.sleep(seconds)
    ended = time.monotonic()
    scene.say(f"{' and '.join(parts)} stood still for {ended - began:.0f} s")
    return began, ended


@scenario("postgres-stopped", "R10")
def postgres_stopped(scene: Scene) -> None:
    """SIGSTOP of PostgreSQL with all below it: connections stay open and nothing answers on them"""
    with started() as product:
        with scene.load(product) as load:
            began, ended = freeze(scene, load, ("postgres",), scene.seconds(10, 40))
            scene.recovered(load, ended, bar=DATABASE_BAR_S)
        scene.answered(load, began, ended)
        scene.drained(product, ended)
        scene.balance(load)


@scenario("postgres-killed", "R1 R10")
def postgres_killed(scene: Scene) -> None:
    """kill -9 of PostgreSQL again and again: retryable answers alone, soon, and ready within 10 s of it"""
    with started() as product:
        with scene.load(product) as load:
            began = time.monotonic()
            slowest = 0.0
            for _ in range(3 if scene.quick else 12):
                time.sleep(2)
                slowest = max(slowest, load.killer.strike(("postgres",), whole_tree=False).seconds)
            ended = time.monotonic()
            scene.report.add("slowest recovery", slowest, "s", DATABASE_BAR_S)
        scene.answered(load, began, ended)
        scene.drained(product, ended)
        scene.balance(load)


@scenario("web-stopped", "R1 R2")
def web_stopped(scene: Scene) -> None:
    """SIGSTOP of web with all its processes: nothing answers, senders give up waiting and repeat"""
    with started() as product:
        with scene.load(product) as load:
            _, ended = freeze(scene, load, ("web",), scene.seconds(13, 45))
            scene.recovered(load, ended)
        scene.drained(product, ended)
        scene.balance(load)


@scenario("web-process-stopped", "R1 R2")
def web_process_stopped(scene: Scene) -> None:
    """SIGSTOP of one of the web processes for good: the others serve, and it is replaced"""
    with started() as product:
        with scene.load(product) as load:
            time.sleep(3)
            master = product.pid("web")
            victims = [pid for pid in tree(product, "web") if _parent(pid) == master]
            began = time.monotonic()
            os.kill(victims[0], signal.SIGSTOP)
            try:
                # Kept connections to it hang until their senders' patience ends.
                time.sleep(HANGS_S)
                good = load.steady.first_good(began + HANGS_S)
                while good is None and time.monotonic() - began < RECOVERY_BAR_S:
                    time.sleep(0.2)
                    good = load.steady.first_good(began + HANGS_S)
                took = HANGS_S + good if good is not None else float("inf")
                scene.report.add("taken again by the others", took, "s", RECOVERY_BAR_S)
                replaced = wait_for(lambda: not is_alive(victims[0]), 120)
                scene.report.add("ended by its master", HANGS_S + replaced, "s", 60)
            finally:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(victims[0], signal.SIGCONT)
            scene.recovered(load, time.monotonic(), name="well afterwards")
            fresh = [pid for pid in tree(product, "web") if _parent(pid) == product.pid("web")]
            lacks = [] if len(fresh) == len(victims) else [f"{len(fresh)} of {len(victims)} processes"]
            scene.hold("as many web processes as before", len(fresh), lacks)
        scene.drained(product, time.monotonic())
        scene.balance(load)


def _parent(pid: int) -> int | None:
    stat = read_stat(pid)
    return stat.parent if stat else None


@scenario("worker-stopped", "R1 R2 R15")
def worker_stopped(scene: Scene) -> None:
    """SIGSTOP of the worker, which is the scheduler too: ingest does not notice, and all is caught up after"""
    with started() as product:
        with scene.load(product) as load:
            began, ended = freeze(scene, load, ("worker",), scene.seconds(20, 90))
            scene.recovered(load, ended)
        # A request may find the gate full for a moment on a machine that does other things besides.
        scene.answered(load, began, ended)
        _mostly_taken(scene, load, began, ended)
        scene.drained(product, ended)
        scene.balance(load)


@scenario("worker-killed", "R1 R2")
def worker_killed(scene: Scene) -> None:
    """kill -9 of the worker and its scheduler again and again: ingest does not notice, and nothing is done twice"""
    with started() as product:
        with scene.load(product) as load:
            began = time.monotonic()
            for _ in range(3 if scene.quick else 12):
                time.sleep(2)
                load.killer.strike(("worker",), whole_tree=True)
            ended = time.monotonic()
        scene.answered(load, began, ended)
        _mostly_taken(scene, load, began, ended)
        scene.drained(product, ended)
        scene.balance(load)


def _mostly_taken(scene: Scene, load: Load, began: float, ended: float) -> None:
    answers = load.steady.between(began, ended)
    good = sum(answer.status == 200 for answer in answers)
    scene.report.add("taken meanwhile", 100 * good / max(1, len(answers)), "%", 99, is_floor=True)


@scenario("supervisor-stopped", "R1 R10")
def supervisor_stopped(scene: Scene) -> None:
    """SIGSTOP of the supervisor while the worker dies: all else goes on, and the worker is back once it goes on"""
    with started() as product:
        with scene.load(product) as load:
            time.sleep(3)
            if product.supervisor is None:
                raise RuntimeError("not started here")
            began = time.monotonic()
            with stopped([product.supervisor.pid]):
                _kill(product, "worker")
                time.sleep(scene.seconds(8, 30))
            ended = time.monotonic()
            scene.recovered(load, ended)
        scene.answered(load, began, ended)
        scene.drained(product, ended)
        scene.balance(load)


def _kill(product: Product, part: str) -> None:
    pid = product.pid(part)
    if pid is None:
        raise RuntimeError(f"{part} does not run")
    os.kill(pid, signal.SIGKILL)
