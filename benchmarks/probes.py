"""Provider probes: alarms of a steady, noisy provider, and how soon one is told that changed under the same name.

    python -m benchmarks.probes [--suites 8] [--runs 50] [--seed 1]
    python -m benchmarks.probes --live 50

The first simulates suites of eight probes at two models, ten answers each a run: answers and passes vary by chance
and are judged by the product's own rules (evals.probes.verdicts), baselines learned and frozen as it does. `--live`
runs a suite through the product (database, jobs, calls of a provider on loopback) in a project that it removes again.
"""

from __future__ import annotations

import argparse
import math
import os
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from benchmarks._report import Report
from evals.probes.lexical import vectors_of
from evals.probes.verdicts import BASELINE_FULL, FIRST_ANSWERS, RECENT_RUNS, Seen, judge_run

PROBES, MODELS, REPEATS = 8, 2, 10
BETWEEN = 1000
WORDS = np.array(
    ["the", "order", "returns", "within", "thirty", "days", "of", "a", "free", "parcel", "sent", "on", "Tuesday", "by",
     "post", "and", "paid", "again", "to", "card"]
)  # fmt: skip


@dataclass
class Series:
    """One probe at one model: how often it passes, how it speaks, and what is stored of it."""

    key: int
    target: int
    share: float
    words: np.ndarray
    passes: int = 0
    runs: int = 0
    first: np.ndarray | None = None
    past: list[tuple[int, int]] = field(default_factory=list)

    def answer(self, random: np.random.Generator, n: int, change: Change | None) -> tuple[int, list[str]]:
        """Passes and texts of `n` answers, of a provider that may have changed."""
        share, prefix, suffix = self.share, "", ""
        if change is not None and self.target == 0 and self.key % PROBES < change.probes:
            share = self.share * change.keeps
            prefix, suffix = change.prefix, change.suffix
        texts = [
            f"{prefix}{' '.join(random.choice(WORDS, 12, p=self.words))} {random.integers(100)}{suffix}"
            for _ in range(n)
        ]
        return int(random.binomial(n, share)), texts


@dataclass(frozen=True)
class Change:
    """What a provider does to its first `probes` probes: of the passes it keeps a share, texts get a frame."""

    name: str
    probes: int
    keeps: float
    prefix: str = ""
    suffix: str = ""


CHANGES = (
    Change("wraps every answer in a code fence, all checks fail", 8, 0.0, "```text\n", "\n```"),
    Change("one probe of eight fails every time", 1, 0.0),
    Change("one probe of eight fails half of the time", 1, 0.5),
    Change("every probe fails two times in ten more", 8, 0.8),
    Change("says the same behind a new opening, and passes", 8, 1.0, "Certainly! Here is what I found. "),
)


def make_suite(random: np.random.Generator) -> list[Series]:
    """A suite whose probes pass between six times in ten and always, each with words of its own."""
    return [
        Series(
            key, key // PROBES, 1.0 if key % 2 else random.uniform(0.6, 1.0), random.dirichlet(np.full(len(WORDS), 0.5))
        )
        for key in range(PROBES * MODELS)
    ]


def cycle(suite: list[Series], random: np.random.Generator, change: Change | None = None) -> set[int]:
    """One run of a suite: the models that alarm. What does not alarm is learned while its baseline is not full."""
    told = {}
    seen = []
    for one in suite:
        n = max(REPEATS, 20 - one.runs)
        passes, texts = one.answer(random, n, change)
        vectors = vectors_of(texts)
        told[one.key] = (passes, n, vectors)
        recent = None
        if one.past:
            last = one.past[1 - RECENT_RUNS :]
            recent = (sum(p for p, _ in last) + passes, sum(k for _, k in last) + n)
        seen.append(
            Seen(one.key, one.target, passes, n, one.passes, one.runs, recent, one.first, vectors)
        )  # fmt: skip
    seed = int(random.integers(2**31))
    alarms = {target.target for target, _ in judge_run(seen, BETWEEN, seed) if target.is_changed}
    for one in suite:
        passes, n, vectors = told[one.key]
        if one.target in alarms:
            one.past = []
        elif one.runs < BASELINE_FULL:
            one.passes, one.runs = one.passes + passes, one.runs + n
            one.first = vectors if one.first is None else np.vstack([one.first, vectors])[:FIRST_ANSWERS]
        else:
            one.past.append((passes, n))
    return alarms


def by_chance(expected: float) -> int:
    """The most alarms that so many expected ones explain at .001 (Poisson)."""
    most, at = 0, math.exp(-expected)
    left = 1 - at
    while left > 0.001:
        most += 1
        at *= expected / most
        left -= at
    return most


def steady(report: Report, suites: int, runs: int, seed: int) -> None:
    """False alarms of providers that vary by chance alone."""
    random = np.random.default_rng(seed)
    alarms = hit = 0
    began = time.process_time()
    for _ in range(suites):
        suite = make_suite(random)
        found = sum(bool(cycle(suite, random)) for _ in range(runs + 1))
        alarms, hit = alarms + found, hit + bool(found)
    whole = suites * runs
    took = (time.process_time() - began) / whole
    report.add(
        f"false alarms in {whole:,} runs, expected at most {whole / BETWEEN:g}", alarms, "", by_chance(whole / BETWEEN)
    )
    report.add(f"suites of {suites} with any in {runs} runs", hit, "", by_chance(whole / BETWEEN))
    report.add("CPU a run of 160 answers, drawing them included", took * 1000, "ms")


def changed(report: Report, suites: int, seed: int) -> None:
    """How often a change is told in the first run after it, and within four."""
    for at, change in enumerate(CHANGES):
        random = np.random.default_rng(seed + 1 + at)
        first = within = others = 0
        for _ in range(suites):
            suite = make_suite(random)
            for _ in range(9):
                cycle(suite, random)
            for number in range(RECENT_RUNS):
                alarms = cycle(suite, random, change)
                others += bool(alarms - {0})
                if 0 in alarms:
                    first, within = first + (number == 0), within + 1
                    break
        bar = 1.0 if change.probes == PROBES and change.keeps in (0.0, 1.0) else None
        report.add(f"{change.name}: told in one run", first / suites, "", bar, is_floor=True)
        report.add(f"{change.name}: within four", within / suites, "", bar, is_floor=True)
        report.notes.append(f"{change.name}: another model alarmed in {others} of {suites} suites")


def live(report: Report, runs: int, seed: int) -> None:
    """The product itself: a noisy provider for `runs` runs, then one that changed."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "telltale.settings")
    os.environ.setdefault("TELLTALE_EGRESS_ALLOW", "127.0.0.0/8")
    import django

    django.setup()
    from evals.models import Connection, ProbeAlarm, ProbeSuite
    from evals.probing import running
    from telltale.accounts.models import Organisation
    from telltale.projects.models import Project
    from tests.evals.probes_kit import Provider, run
    from tests.evals.probes_kit import make_suite as make_live_suite

    running.LOOK_SECONDS = 0.02
    provider = Provider("noisy", seed)
    organisation = Organisation.objects.create(name="Benchmark of probes", slug=f"probes-{os.getpid()}")
    project = Project.objects.create(organisation=organisation, name="Probes", slug=f"probes-{os.getpid()}")
    try:
        suite = make_live_suite(project, provider, repeats=REPEATS)
        began = time.monotonic()
        for _ in range(runs + 1):
            run(project, suite)
        took = (time.monotonic() - began) / (runs + 1)
        report.add(f"alarms of a noisy provider in {runs} runs", ProbeAlarm.objects.filter(suite=suite).count(), "", 0)
        provider.mode = "fenced"
        last = run(project, suite)
        alarms = ProbeAlarm.objects.filter(suite=suite, run=last).count()
        report.add("alarms in the first run of a changed one", alarms, "", 1, is_floor=True)
        report.add("a run of 20 answers, whole", took * 1000, "ms")
    finally:
        provider.close()
        ProbeSuite.objects.filter(project=project).delete()
        Connection.objects.filter(project=project).delete()
        project.delete()
        organisation.delete()


def main() -> int:
    """The command."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--suites", type=int, default=8)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--live", type=int, metavar="RUNS", help="through the product, on TELLTALE_DATABASE_URL")
    parser.add_argument("--json", type=Path, help="write the figures here")
    args = parser.parse_args()
    report = Report("probes")
    if args.live:
        live(report, args.live, args.seed)
    else:
        changed(report, args.suites, args.seed)
        steady(report, args.suites, args.runs, args.seed)
    return report.finish(args.json)


if __name__ == "__main__":
    sys.exit(main())
