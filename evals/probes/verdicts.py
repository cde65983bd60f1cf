"""What one run of a suite says: which models answer otherwise than their baseline, beyond chance for all tests at once.

A run makes many tests, and the suite has one budget: one false alarm in so many runs. A run's chance of one, 1 /
runs_between_alarms, is shared in equal parts among three kinds of test, and each part among the tests of its kind:

passes     of one probe at one model, in this run and in the last few together: too few for its stored share
together   of all probes at one model: small falls that add up (exact, margins held)
answers    of all probes at one model: farther from the first answers than those are from each other (permutation)

Sharing by sums (Bonferroni) holds whatever depends on what. Pure: numbers in, verdicts out.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evals.stats.repeats import (
    BASELINE_MIN,
    PERMUTATIONS,
    REPLICATES_MIN,
    RUNS_MIN,
    PairedDrift,
    PassTest,
    compare_passes,
    fewest_within,
    paired_drift,
    passes_together,
)

Floats = NDArray[np.float64]

LEARNING, SAME, WATCH, CHANGED, UNANSWERED = "learning", "same", "watch", "changed", "unanswered"
PASSES, RECENT, TOGETHER, ANSWERS = "passes", "recent", "together", "answers"
# A probe is looked at, without an alarm, where it alone would come by so seldom: about one in 20 does by chance.
WATCH_PASSES, WATCH_ANSWERS = 0.05, 0.01
# Runs that are also taken together, so that a fall too small for one run is seen in some.
RECENT_RUNS = 4
# A baseline takes runs in until it has so many: from there its share counts as known (statistics.md 3.8).
BASELINE_FULL = 100
# The first answers, which later ones are compared with.
FIRST_ANSWERS = 20
# A second, longer look where the first 2,000 divisions leave it open: its p can reach any level down to 1 / 200,000.
PERMUTATIONS_MAX = 200_000
_WORTH_A_LOOK = 0.01
# It draws so many divisions for each of those that the level allows to lie as far apart: with two, one stray draw more
# hid one clear change in a hundred. Fewer, but two at least, where the answers of very many probes are divided.
_DRAWS_A_LEVEL, _DRAWS_LEAST, _DIVIDED_MOST = 10, 2, 600_000
# Runs in a row within limits after which an alarm ends by itself.
WITHIN_MAX = 3


@dataclass(frozen=True, slots=True)
class Seen:
    """What a run saw of one probe at one model, and what it is compared with.

    `recent`: passes and runs of this run and up to three before it that are not part of the baseline; None: none are.
    `stored` and `new`: vectors (n, d) of length 1 of the first answers and of this run's; None where there are none.
    """

    key: int
    target: int
    passes: int
    runs: int
    base_passes: int
    base_runs: int
    recent: tuple[int, int] | None = None
    stored: Floats | None = field(default=None, repr=False, compare=False)
    new: Floats | None = field(default=None, repr=False, compare=False)

    @property
    def has_passes(self) -> bool:
        """Whether passes can be tested."""
        return self.runs >= RUNS_MIN and self.base_runs >= BASELINE_MIN

    @property
    def has_answers(self) -> bool:
        """Whether answers can be compared."""
        sides = (self.stored, self.new)
        return self.base_runs >= BASELINE_MIN and all(s is not None and len(s) >= REPLICATES_MIN for s in sides)


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that moved: which kind of test, its p and the level it had to reach. `key` None: all of the model."""

    kind: str
    p: float
    level: float
    key: int | None = None

    def as_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "p": self.p, "level": self.level, "series": self.key}


@dataclass(frozen=True, slots=True)
class Found:
    """What the tests say of one probe at one model. `fewest`: passes of this run that chance still explains."""

    key: int
    state: str
    passed: PassTest | None = None
    recent: PassTest | None = None
    level: float | None = None
    fewest: int | None = None
    across: float | None = None
    noise: float | None = None
    p_answers: float | None = None

    def as_json(self) -> dict[str, Any]:
        """As a result's figures are stored."""
        told: dict[str, Any] = {"level": self.level, "fewest": self.fewest}
        if self.passed is not None:
            told |= {"test": self.passed.test, "p": self.passed.p, "p_fisher": self.passed.p_fisher,
                     "low": self.passed.low, "high": self.passed.high}  # fmt: skip
        if self.recent is not None:
            told["recent"] = {"passes": self.recent.passes, "runs": self.recent.runs, "p": self.recent.p_safe}
        if self.across is not None:
            told |= {"across": self.across, "noise": self.noise, "p_answers": self.p_answers}
        return told


@dataclass(frozen=True, slots=True)
class TargetFound:
    """What the tests say of one model: `evidence` is what lies beyond the levels; none: nothing does."""

    target: int
    evidence: tuple[Evidence, ...]
    p_together: float | None = None
    p_answers: float | None = None
    excess: float | None = None

    @property
    def is_changed(self) -> bool:
        return bool(self.evidence)

    def as_json(self) -> dict[str, Any]:
        """As a run's figures are stored."""
        return {"p_together": self.p_together, "p_answers": self.p_answers, "excess": self.excess,
                "evidence": [each.as_json() for each in self.evidence]}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Levels:
    """The p that each kind of test has to reach; None where a run makes none of its kind."""

    passes: float | None
    together: float | None
    answers: float | None


def levels_of(seen: Sequence[Seen], runs_between_alarms: int) -> Levels:
    """A run's chance of a false alarm, shared among the tests it makes."""
    passes = sum(1 + (each.recent is not None) for each in seen if each.has_passes)
    by_target = [[each for each in seen if each.target == target] for target in _targets(seen)]
    together = sum(sum(each.has_passes for each in some) > 1 for some in by_target)
    answers = sum(any(each.has_answers for each in some) for some in by_target)
    counts = (passes, together, answers)
    whole = 1 / runs_between_alarms / max(1, sum(n > 0 for n in counts))
    return Levels(*(whole / n if n else None for n in counts))


def judge_run(
    seen: Sequence[Seen], runs_between_alarms: int, seed: int
) -> Iterator[tuple[TargetFound, tuple[Found, ...]]]:
    """Each model of a run, with its probes. An iterator, since answers of one model may take seconds to compare."""
    levels = levels_of(seen, runs_between_alarms)
    for target in _targets(seen):
        yield _judge_target(target, [each for each in seen if each.target == target], levels, seed)


def passes_needed(repeats: int, series: int, targets: int, runs_between_alarms: int) -> int | None:
    """The most passes of `repeats` that alarm against 20 of 20; None: not even none would, and the suite sees little.

    `series` probes at `targets` models. For people who choose repeats: it says what a suite can see by single probes.
    """
    level = 1 / runs_between_alarms / (3 if series > targets else 2) / max(1, series)
    fewest = fewest_within(repeats, BASELINE_MIN, BASELINE_MIN, level)
    return fewest - 1 if fewest else None


def _targets(seen: Sequence[Seen]) -> list[int]:
    return list(dict.fromkeys(each.target for each in seen))


def _judge_target(
    target: int, seen: Sequence[Seen], levels: Levels, seed: int
) -> tuple[TargetFound, tuple[Found, ...]]:
    found, evidence = [], []
    for each in seen:
        one = _judge_passes(each, levels.passes)
        found.append(one)
        for kind, test in ((PASSES, one.passed), (RECENT, one.recent)):
            if test is not None and levels.passes is not None and test.p_safe <= levels.passes:
                evidence.append(Evidence(kind, test.p_safe, levels.passes, each.key))
    p_together = None
    strata = [(each.passes, each.runs, each.base_passes, each.base_runs) for each in seen if each.has_passes]
    if len(strata) > 1 and levels.together is not None:
        p_together = passes_together(strata)
        if p_together <= levels.together:
            evidence.append(Evidence(TOGETHER, p_together, levels.together))
    drift = _drift(seen, levels.answers, seed)
    if drift is not None and levels.answers is not None:
        found = _with_distances(found, seen, drift)
        if drift.p <= levels.answers:
            evidence.append(Evidence(ANSWERS, drift.p, levels.answers))
    changed = TargetFound(
        target, tuple(evidence), p_together, None if drift is None else drift.p, None if drift is None else drift.excess
    )
    return changed, tuple(_named(found, changed))


def _judge_passes(seen: Seen, level: float | None) -> Found:
    if seen.base_runs < BASELINE_MIN:
        return Found(seen.key, LEARNING)
    if seen.runs < RUNS_MIN:
        return Found(seen.key, UNANSWERED, level=level)
    passed = compare_passes(seen.passes, seen.runs, seen.base_passes, seen.base_runs)
    assert isinstance(passed, PassTest)  # noqa: S101 - both are long enough
    recent = None if seen.recent is None else compare_passes(*seen.recent, seen.base_passes, seen.base_runs)
    recent = recent if isinstance(recent, PassTest) else None
    fewest = None if level is None else fewest_within(seen.runs, seen.base_passes, seen.base_runs, level)
    low = min(passed.p_safe, 1.0 if recent is None else recent.p_safe)
    return Found(seen.key, WATCH if low <= WATCH_PASSES else SAME, passed, recent, level, fewest)


def _drift(seen: Sequence[Seen], level: float | None, seed: int) -> PairedDrift | None:
    """How far the answers of one model moved; the longer look where the first cannot reach the level."""
    pairs = [(each.stored, each.new) for each in seen if each.has_answers]
    sides = [(stored, new) for stored, new in pairs if stored is not None and new is not None]
    if not sides or level is None:
        return None
    drift = paired_drift(sides, seed=seed)
    if isinstance(drift, PairedDrift) and drift.p <= _WORTH_A_LOOK and level < _DRAWS_A_LEVEL / PERMUTATIONS:
        wanted = min(math.ceil(_DRAWS_A_LEVEL / level), _DIVIDED_MOST // len(sides))
        more = min(max(wanted, math.ceil(_DRAWS_LEAST / level)), PERMUTATIONS_MAX)
        drift = paired_drift(sides, seed=seed + 1, permutations=more)
    return drift if isinstance(drift, PairedDrift) else None


def _with_distances(found: list[Found], seen: Sequence[Seen], drift: PairedDrift) -> list[Found]:
    """The findings with the distances of those probes that have answers to compare."""
    distances = iter(drift.probes)
    told = []
    for one, each in zip(found, seen, strict=True):
        if not each.has_answers:
            told.append(one)
            continue
        apart = next(distances)
        state = WATCH if one.state == SAME and apart.p <= WATCH_ANSWERS else one.state
        told.append(replace(one, state=state, across=apart.across, noise=apart.noise, p_answers=apart.p))
    return told


def _named(found: Sequence[Found], changed: TargetFound) -> Iterator[Found]:
    """The findings, "changed" where the model's evidence is about them.

    Evidence about all probes of a model is about those that would be watched for it alone; where none would, about
    the one that moved most.
    """
    keys = {each.key for each in changed.evidence if each.key is not None}
    for kind in {each.kind for each in changed.evidence if each.key is None}:
        ps = {one.key: p for one in found if (p := _own_p(one, kind)) is not None}
        limit = WATCH_PASSES if kind == TOGETHER else WATCH_ANSWERS
        moved = {key for key, p in ps.items() if p <= limit}
        keys |= moved or ({min(ps, key=lambda key: ps[key])} if ps else set())
    for one in found:
        yield replace(one, state=CHANGED) if one.key in keys else one


def _own_p(one: Found, kind: str) -> float | None:
    if kind == ANSWERS:
        return one.p_answers
    return None if one.passed is None else one.passed.p_safe
