"""What every scenario needs: a product, load on it, a steady poster that keeps the time, and the checks afterwards."""

from __future__ import annotations

import atexit
import contextlib
import itertools
import json
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from opentelemetry.proto.trace.v1.trace_pb2 import Span

from benchmarks import _checks, _product, crash
from benchmarks._client import Wire, parcel, post_headers, quantile
from benchmarks._proc import family
from benchmarks._product import Product
from benchmarks._report import Report
from benchmarks._senders import History, Sender
from benchmarks.corpus import Corpus, pack

RECOVERY_BAR_S = 30.0
# Of a database that comes back, and of the work that waited meanwhile.
DATABASE_BAR_S = 10.0
WORK_BAR_S = 60.0
ANSWER_BAR_S = 5.0
RETRY_AFTER_MAX_S = 5
PATIENCE_S = 180.0
RECENT_S = 15.0
RETRYABLE_AT_ONCE = frozenset({200, 503})
_WAITING = "SELECT (SELECT count(*) FROM traces_ingest_batch WHERE NOT accounted) + (SELECT count(*) FROM traces_feed)"


class Skip(Exception):
    """The scenario cannot run here; the text says what is missing."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What the steady poster was told. `at` is when it asked (monotonic), `status` 0 where no answer came."""

    at: float
    took_s: float
    status: int
    retry_after: str
    note: str


class Steady(threading.Thread):
    """One small trace after another, whatever happens: how soon each answer came, and what it was."""

    def __init__(self, product: Product, history: History, *, every_s: float = 0.1, timeout_s: float = 10.0) -> None:
        super().__init__(daemon=True)
        self.product, self.history, self.every_s, self.timeout_s = product, history, every_s, timeout_s
        self.answers: list[Answer] = []
        self.halt = threading.Event()
        self._traces = list(Corpus(0x57EAD, 400, end_s=time.time() // 3600 * 3600, days=1).traces())

    def run(self) -> None:
        wire, headers = Wire(self.product.url, self.timeout_s), post_headers(self.product.key)
        for number in itertools.count(1):
            if self.halt.wait(self.every_s):
                break
            # Made anew it would cost more than to send, and keep the time badly.
            told = self._traces[number % len(self._traces)]
            batch = pack(told).again(number)
            spans = [Span(trace_id=batch.trace_ids[0], span_id=span.span_id) for span in told]
            self.history.note_sent(spans)
            body = parcel(batch.body, batch.spans, 1).wire
            at = time.monotonic()
            status, said, content = wire.ask("POST", "/v1/traces", body, headers)
            took = time.monotonic() - at
            self.history.note_answer(status, said.get("error", ""), spans, content)
            self.answers.append(Answer(at, took, status, said.get("retry-after", ""), said.get("error", "")))
        wire.close()

    def between(self, since: float, until: float = float("inf")) -> list[Answer]:
        """The answers to what was asked in a stretch of time."""
        return [answer for answer in list(self.answers) if since <= answer.at < until]

    def first_good(self, since: float) -> float | None:
        """Seconds from `since` to the end of the first request begun after it that was acknowledged."""
        good = (answer.at + answer.took_s - since for answer in self.between(since) if answer.status == 200)
        return min(good, default=None)


@dataclass(slots=True)
class Load:
    """What works on a product while something is broken."""

    product: Product
    history: History
    steady: Steady
    killer: crash.Killer


@dataclass(slots=True)
class Scene:
    """One run of one scenario: what it found and measured."""

    name: str
    quick: bool = False
    seed: int = 1
    report: Report = field(default_factory=lambda: Report(""))
    findings: list[_checks.Finding] = field(default_factory=list)

    def seconds(self, quick: float, whole: float) -> float:
        """How long something lasts: shorter with --quick."""
        return quick if self.quick else whole

    def say(self, text: str) -> None:
        """A remark."""
        self.report.say(text)

    def hold(self, name: str, looked_at: int, problems: Iterable[str] = ()) -> None:
        """Keep something that must hold."""
        found = _checks.Finding(name, looked_at, list(problems)[:5])
        self.findings.append(found)
        print(f"  {'holds ' if found.holds else 'BROKEN'} {name} ({looked_at:,})", flush=True)
        for problem in found.problems:
            print(f"         {problem}", flush=True)

    @property
    def holds(self) -> bool:
        """Whether everything did."""
        return self.report.holds and all(finding.holds for finding in self.findings)

    @contextmanager
    def load(self, product: Product, *, senders: int = 2, pause_s: float = 0.4) -> Iterator[Load]:
        """Senders and a steady poster while the block runs."""
        history, halt = History(), threading.Event()
        steady = Steady(product, history)
        workers = [
            threading.Thread(
                target=Sender(product.url, product.key, history, self.seed * 100 + n, halt, pause_s).run, daemon=True
            )
            for n in range(senders)
        ]
        for thread in (steady, *workers):
            thread.start()
        try:
            yield Load(product, history, steady, crash.Killer(product, history, self.seed))
            time.sleep(1)
        finally:
            steady.halt.set()
            halt.set()
            for thread in (steady, *workers):
                thread.join(PATIENCE_S)

    def recovered(self, load: Load, since: float, *, bar: float = RECOVERY_BAR_S, name: str = "well again") -> float:
        """Wait until all parts run, /readyz is 200 and a plain trace is taken; the seconds since `since`."""
        while time.monotonic() - since < PATIENCE_S:
            alive = all(load.product.pid(part) for part in ("web", "worker"))
            if alive and load.product.is_ready() and load.killer.probe():
                break
            time.sleep(0.1)
        took = time.monotonic() - since
        self.report.add(name, took, "s", bar)
        return took

    def answered(
        self, load: Load, since: float, until: float, *, allowed: frozenset[int] = RETRYABLE_AT_ONCE,
        slowest: float = ANSWER_BAR_S,
    ) -> None:  # fmt: skip
        """What the steady poster was told in this stretch: only these, soon, and 503 with Retry-After."""
        answers = load.steady.between(since, until)
        told = Counter(answer.status for answer in answers)
        self.say(f"the steady poster meanwhile: {dict(sorted(told.items()))}")
        wrong = [f"{n} answers {status or 'missing'}" for status, n in told.items() if status not in allowed]
        bare = [
            answer for answer in answers
            if answer.status in {429, 503}
            and not (answer.retry_after.isdigit() and 1 <= int(answer.retry_after) <= RETRY_AFTER_MAX_S)
        ]  # fmt: skip
        if bare:
            wrong.append(f"{len(bare)} refusals without Retry-After of 1 to 5 s")
        only = ", ".join(map(str, sorted(allowed)))
        self.hold(f"meanwhile: {only} alone, refusals with Retry-After", len(answers), wrong)
        most = max((answer.took_s for answer in answers), default=0.0)
        self.report.add("slowest answer meanwhile", most, "s", slowest)

    def drained(self, product: Product, since: float, *, bar: float = WORK_BAR_S) -> float:
        """Wait until nothing waits to be folded or booked; the seconds since `since`."""
        while time.monotonic() - since < max(PATIENCE_S, bar + 60) and product.one(_WAITING):
            time.sleep(0.25)
        left = product.one(_WAITING)
        took = float("inf") if left else time.monotonic() - since
        self.report.add("all work caught up", took, "s", bar)
        return took

    def keeps_up(self, product: Product, since: float, *, bar: float = WORK_BAR_S) -> float:
        """Wait until what waits is new, while load goes on; the seconds since `since`."""
        while time.monotonic() - since < PATIENCE_S and not _is_recent(product):
            time.sleep(0.25)
        took = time.monotonic() - since if _is_recent(product) else float("inf")
        self.report.add("work caught up, load going on", took, "s", bar)
        return took

    def balance(self, load: Load, *, only_sent: bool = True) -> None:
        """The books: spans against acknowledgements, sums, account, bodies, settings; senders are done by now."""
        crash.settle(load.product)
        self.say(f"answers: {dict(sorted(load.history.answers.items()))}")
        for finding in crash.check(load.product, load.history, []):
            is_other = not only_sent and finding.name == "every stored span was sent"
            if not is_other and not finding.name.startswith("well again"):
                self.hold(finding.name, finding.looked_at, finding.problems)


def _is_recent(product: Product) -> bool:
    """Whether /readyz says that account, roll-ups and search wait for nothing older than some seconds."""
    wire = Wire(product.url, timeout_s=5)
    try:
        status, _, body = wire.ask("GET", "/readyz")
    finally:
        wire.close()
    if status != 200:
        return False
    told = json.loads(body)
    ages = (told["ingest_to_account_seconds"], told["roll_ups"]["oldest_seconds"], told["search"]["oldest_seconds"])
    return max(ages) < RECENT_S


def latency_ms(answers: Iterable[Answer], share: float) -> float:
    """A quantile of how long acknowledged requests took, in ms."""
    return 1000 * quantile([answer.took_s for answer in answers if answer.status == 200], share)


@contextmanager
def stopped(pids: Iterable[int]) -> Iterator[None]:
    """These processes stand still (SIGSTOP) while the block runs, and go on after it, however it ends."""
    pids = list(pids)
    try:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGSTOP)
        yield
    finally:
        for pid in pids:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)


def tree(product: Product, part: str) -> list[int]:
    """The processes of a part, those below it included."""
    pid = product.pid(part)
    if pid is None:
        raise RuntimeError(f"{part} does not run")
    return family([pid])


def wait_for(done: Callable[[], bool], seconds: float, step: float = 0.25) -> float:
    """Seconds until `done`; infinite where it was not in time."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if done():
            return time.monotonic() - began
        time.sleep(step)
    return float("inf")


Play = Callable[[Scene], None]


@dataclass(frozen=True, slots=True)
class Scenario:
    """A registered scenario. `rows`: the promises it shows."""

    name: str
    rows: str
    play: Play

    @property
    def about(self) -> str:
        """The first line of its docstring."""
        return (self.play.__doc__ or "").splitlines()[0]


SCENARIOS: dict[str, Scenario] = {}


def scenario(name: str, rows: str) -> Callable[[Play], Play]:
    """Register a function as a scenario."""

    def keep(play: Play) -> Play:
        SCENARIOS[name] = Scenario(name, rows, play)
        return play

    return keep


@dataclass(slots=True)
class _Template:
    """A home that was made once: database, migrations, first project. Scenarios begin with copies of it."""

    parent: Path | None = None
    key: dict[str, str] = field(default_factory=dict)

    def copy_to(self, parent: Path) -> None:
        """Put a copy at `parent`/home."""
        if self.parent is None:
            self._make()
        # Owners and modes are kept: PostgreSQL looks at both.
        subprocess.run(["cp", "-a", f"{self.parent}/home", f"{parent}/home"], check=True)

    def _make(self) -> None:
        self.parent = Path(tempfile.mkdtemp(prefix="telltale-chaos-"))
        atexit.register(shutil.rmtree, self.parent, ignore_errors=True)
        self.parent.chmod(0o755)
        self.key = {"TELLTALE_INIT_PUBLIC_KEY": "tt_pk_" + secrets.token_hex(12)}
        self.key["TELLTALE_INIT_SECRET_KEY"] = "tt_sk_" + secrets.token_hex(24)
        with _product.started(self.parent, self.key):
            pass


_template = _Template()


def first_key() -> dict[str, str]:
    """The settings that name the first key, for whoever starts a home again."""
    return dict(_template.key)


@contextmanager
def started(keep: Path | None = None, environment: dict[str, str] | None = None) -> Iterator[Product]:
    """A Telltale of its own on a free port, in a home of its own (below `keep` where given)."""
    parent = keep or Path(tempfile.mkdtemp(prefix="telltale-chaos-"))
    parent.mkdir(parents=True, exist_ok=True)
    parent.chmod(0o755)
    try:
        _template.copy_to(parent)
        with _product.started(parent, (environment or {}) | _template.key) as product:
            product.key = _template.key["TELLTALE_INIT_SECRET_KEY"]
            yield product
    finally:
        if keep is None:
            shutil.rmtree(parent, ignore_errors=True)
