"""Kill web, worker and PostgreSQL with -9 at random while four senders work; afterwards everything must be right.

    python -m benchmarks.crash --kills 30 --spans 50000

Senders repeat, overlap, break off and give up as exporters do (benchmarks/_senders.py). What must hold afterwards:
acknowledged spans are there exactly once and all others at most once, trace rows equal SQL over their spans, the
account adds up, every answer was 2xx or retryable, and each kill was recovered from within 30 s.
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import sys
import threading
import time
from dataclasses import dataclass, field

from benchmarks import _checks, _product
from benchmarks._client import Wire, parcel, post_headers, quantile
from benchmarks._proc import family, is_alive
from benchmarks._product import PARTS, Product
from benchmarks._report import Report
from benchmarks._senders import History, Sender
from benchmarks.corpus import Corpus, pack

RECOVERY_BAR_S = 30.0
PATIENCE_S = 120.0
FOLD_PATIENCE_S = 30.0


@dataclass(frozen=True, slots=True)
class Kill:
    """One blow and how long it took to be well again."""

    parts: tuple[str, ...]
    whole_tree: bool
    seconds: float


@dataclass(slots=True)
class Outcome:
    """What a run gave."""

    history: History
    kills: list[Kill] = field(default_factory=list)
    findings: list[_checks.Finding] = field(default_factory=list)

    @property
    def problems(self) -> list[str]:
        """Everything that does not hold, in words."""
        return [f"{finding.name}: {problem}" for finding in self.findings for problem in finding.problems]


class Killer:
    """Kills parts of one product and waits until it is well."""

    def __init__(self, product: Product, history: History, seed: int) -> None:
        self.product, self.history = product, history
        self.rng = random.Random(seed)
        self.probes = Corpus(seed ^ 0x5EED, 90, end_s=time.time() // 3600 * 3600, days=1)
        self.probes.wanted = sys.maxsize
        self.stream = self.probes.traces()

    def strike(self, parts: tuple[str, ...], *, whole_tree: bool) -> Kill:
        """Kill these parts at once and wait for recovery; RuntimeError where it does not come."""
        before = {part: self.product.pid(part) for part in PARTS}
        victims: list[int] = []
        for part in parts:
            pid = before[part]
            if pid is None or not self.may_kill(pid):
                raise RuntimeError(f"run/{part}.pid does not name a live process of this product")
            victims += family([pid]) if whole_tree else [pid]
        for victim in victims:
            try:
                os.kill(victim, signal.SIGKILL)
            except ProcessLookupError:
                continue
        began = time.monotonic()
        while time.monotonic() - began < PATIENCE_S:
            if self.is_well(before, parts):
                return Kill(parts, whole_tree, time.monotonic() - began)
            time.sleep(0.1)
        raise RuntimeError(f"not well {PATIENCE_S:.0f} s after {' and '.join(parts)} were killed")

    def may_kill(self, pid: int) -> bool:
        """Only what the supervisor we started is the parent of, or what an explicit --home names."""
        supervisor = self.product.supervisor
        return is_alive(pid) and (supervisor is None or pid in family([supervisor.pid]))

    def is_well(self, before: dict[str, int | None], parts: tuple[str, ...]) -> bool:
        """Every part runs (the killed ones anew), /readyz says so, and a plain trace is accepted."""
        for part in PARTS:
            pid = self.product.pid(part)
            if pid is None or not is_alive(pid) or (part in parts and pid == before[part]):
                return False
        return self.product.is_ready() and self.probe()

    def probe(self) -> bool:
        """Send one small trace of our own; whether it was accepted."""
        spans = next(self.stream)
        batch = pack(spans)
        self.history.note_sent(spans)
        wire = Wire(self.product.url, timeout_s=5)
        try:
            headers = post_headers(self.product.key)
            status, headers, body = wire.ask("POST", "/v1/traces", parcel(batch.body, batch.spans).wire, headers)
            return self.history.note_answer(status, headers.get("error", ""), spans, body)
        finally:
            wire.close()


def run(product: Product, *, kills: int, spans: int = 0, seed: int = 1, senders: int = 4, pause_s: float = 0.1,
        parts: tuple[str, ...] = PARTS, double: float = 0.2) -> Outcome:  # fmt: skip
    """Send, kill, recover, drain and check. At least `spans` acknowledged spans; every part is killed in turn."""
    history, halt = History(), threading.Event()
    outcome = Outcome(history)
    workers = [
        threading.Thread(
            target=Sender(product.url, product.key, history, seed * 100 + n, halt, pause_s).run, daemon=True
        )
        for n in range(senders)
    ]
    for worker in workers:
        worker.start()
    killer = Killer(product, history, seed)
    rng = killer.rng
    order: list[str] = []
    try:
        for _ in range(kills):
            time.sleep(rng.uniform(0.3, 2.5))
            order = order or rng.sample(parts, len(parts))
            chosen = {order.pop()}
            if rng.random() < double:
                chosen.add(rng.choice(parts))
            blow = killer.strike(tuple(sorted(chosen)), whole_tree=rng.random() < 0.5)
            outcome.kills.append(blow)
            tree = " with all below" if blow.whole_tree else ""
            print(f"  killed {' and '.join(blow.parts)}{tree}: well again after {blow.seconds:.2f} s", flush=True)
        deadline = time.monotonic() + 600
        while len(history.acked) < spans and time.monotonic() < deadline:
            time.sleep(0.2)
    finally:
        halt.set()
        for worker in workers:
            worker.join(PATIENCE_S)
    settle(product)
    outcome.findings = check(product, history, outcome.kills)
    return outcome


def settle(product: Product) -> None:
    """Wait until nothing moves: posts that their senders left still finish, and the worker folds what is open."""
    began = time.monotonic()
    last, since = -1, began
    while time.monotonic() - since < 2 and time.monotonic() - began < FOLD_PATIENCE_S:
        now = product.stored_spans()
        if now != last:
            last, since = now, time.monotonic()
        time.sleep(0.25)
    while time.monotonic() - began < FOLD_PATIENCE_S:
        if not product.one("SELECT count(*) FROM traces_ingest_batch WHERE NOT accounted"):
            return
        time.sleep(0.25)


def check(product: Product, history: History, kills: list[Kill]) -> list[_checks.Finding]:
    """Everything that must hold afterwards."""
    with product.connect() as connection:
        findings = _checks.compare_spans(_checks.stored_spans(connection), history.acked, history.sent)
        findings.append(_checks.check_sums(connection))
        findings.append(_checks.check_account(connection))
        findings.append(_checks.check_bodies(connection))
        findings.append(_checks.check_settings(connection))
        still_open = product.one("SELECT count(*) FROM traces_ingest_batch WHERE NOT accounted")
        left = [f"{still_open} batches are not folded into their hour"] if still_open else []
        findings.append(_checks.Finding("the worker has caught up", 1, left))
    findings.append(_checks.Finding("answers are 2xx or retryable", sum(history.answers.values()), history.wrong[:5]))
    slow = [f"{kill.parts} took {kill.seconds:.1f} s" for kill in kills if kill.seconds > RECOVERY_BAR_S]
    findings.append(_checks.Finding(f"well again within {RECOVERY_BAR_S:.0f} s", len(kills), slow))
    return findings


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--kills", type=int, default=30)
    parser.add_argument("--spans", type=int, default=50_000, help="acknowledged spans to reach at least")
    parser.add_argument("--senders", type=int, default=4)
    parser.add_argument("--pause", type=float, default=0.1, help="mean seconds between a sender's batches")
    parser.add_argument("--seed", type=int, default=1)
    _product.add_arguments(parser)
    args = parser.parse_args()
    report = Report("crash")
    with _product.product(args) as product:
        outcome = run(
            product, kills=args.kills, spans=args.spans, seed=args.seed, senders=args.senders, pause_s=args.pause
        )
        history = outcome.history
        report.say(f"answers: {dict(sorted(history.answers.items()))}")
        report.say(f"what senders did besides: {dict(sorted(history.deeds.items()))}")
        for finding in outcome.findings:
            report.say(f"{'holds ' if finding.holds else 'BROKEN'} {finding.name} ({finding.looked_at:,})")
            for problem in finding.problems:
                report.say(f"       {problem}")
        report.add("kills", len(outcome.kills), "", args.kills, is_floor=True)
        report.add("distinct spans sent", len(history.sent), "spans")
        report.add("distinct spans acknowledged", len(history.acked), "spans", args.spans, is_floor=True)
        report.add("things that do not hold", len(outcome.problems), "", 0)
        seconds = [kill.seconds for kill in outcome.kills]
        report.add("slowest recovery", max(seconds, default=0.0), "s", RECOVERY_BAR_S, 10)
        report.add("median recovery", quantile(seconds, 0.5), "s")
    return report.finish(args.json)


if __name__ == "__main__":
    sys.exit(main())
