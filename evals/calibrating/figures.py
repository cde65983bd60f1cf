"""The figures of a calibration, from pairs to what a row keeps: plain values, each with n and interval."""

from __future__ import annotations

import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from itertools import permutations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from evals.read.pairs import Pair, PairSet
from evals.stats import tables
from evals.stats.agreement import bias as bias_of
from evals.stats.agreement import raw_agreement, values_of
from evals.stats.bootstrap import RESAMPLES, Statistics, bootstrap
from evals.stats.flags import Flagging, flagging
from evals.stats.gate import Gate, GateSettings, Stage, check_gate
from evals.stats.quantiles import clopper_pearson
from evals.stats.report import people_report
from evals.stats.results import LEVEL, Estimate, TooLittle

Floats = NDArray[np.float64]
NOMINAL = ("raw_agreement", "cohen_kappa", "krippendorff", "gwet_ac1")
ORDERED = (
    "raw_agreement",
    "weighted_kappa",
    "cohen_kappa",
    "krippendorff",
    "gwet_ac1",
    "gwet_ac2",
    "spearman",
    "kendall",
)
MISSED_KEPT = 200
# Two people on fewer answers say nothing of how well people agree.
DOUBLE_MIN = 20
CHECK_WORDS = {
    "agreement": "agrees too little with people",
    "recall": "misses bad answers",
    "precision": "flags good answers",
    "bias": "leans away from people",
    "unusable": "answers what cannot be used",
    "self_agreement": "contradicts itself on a second run",
}


@dataclass(frozen=True, slots=True)
class Beside:
    """What a calibration takes from elsewhere: answers that could not be used, of how many; repeats that agreed."""

    unusable: int = 0
    answered: int = 0
    unusable_kinds: Mapping[str, int] | None = None
    repeats_same: int = 0
    repeats: int = 0


def seed_of(version_id: int, found: PairSet) -> int:
    """The seed of a calibration's resamples: the same pairs give the same intervals."""
    return zlib.crc32(f"{version_id} {found.criterion.key} {sorted(found.scope.stored().items())}".encode())


def figures(
    found: PairSet,
    flag_at_most: float | None,
    gate: GateSettings,
    *,
    stage: Stage,
    seed: int,
    beside: Beside | None = None,
) -> tuple[dict[str, Any], Gate]:
    """All figures of the pairs in use, ready to be kept, and the gate over them. At least one pair is needed.

    `flag_at_most` is the level, as a number of the scale, from which on an answer is bad.
    """
    beside = beside or Beside()
    pairs = found.used
    scale = found.criterion.scale
    k = len(scale.names)
    values = values_of(scale.levels) if scale.has_numbers else np.arange(k, dtype=np.float64)
    names = ORDERED if scale.has_numbers and k > 1 else NOMINAL
    metric = gate.metric if gate.metric in names else "cohen_kappa"
    person = np.array([pair.person for pair in pairs])
    judge = np.array([_judge(pair) for pair in pairs])
    weights = np.array([1 / pair.pi for pair in pairs if pair.pi is not None]) if found.is_weighted else None
    is_uneven = weights is not None and float(np.ptp(weights)) > 1e-9 * float(weights.max())
    sessions = Counter(pair.cluster for pair in pairs)
    clusters = [pair.cluster for pair in pairs] if len(sessions) < len(pairs) else None

    cut = None if flag_at_most is None else _cut(scale.levels, flag_at_most)
    alike, people, below, traffic, shown = _agreements(
        pairs, weights if is_uneven else None, values, names, clusters, seed, cut
    )
    people |= _of_several(pairs, k, names, clusters, seed)
    lean = bias_of(values[person], values[judge], weights, clusters) if scale.has_numbers else None
    flags = _flags(person, judge, cut, weights, clusters)
    counted = alike["raw_agreement"]
    if counted is not None and clusters is None:
        exact = raw_agreement(person, judge, range(k))
        alike["raw_agreement"] = exact if isinstance(exact, Estimate) else counted
    agreed = (traffic if is_uneven else alike)[metric]
    verdict = check_gate(
        gate,
        stage=stage,
        agreement=agreed,
        below_people=below.get(metric),
        recall=None if flags is None else flags.recall,
        precision=None if flags is None else flags.precision,
        bias=None if lean is None else lean.overall,
        unusable=share(beside.unusable, beside.answered, "answers"),
        self_agreement=share(beside.repeats_same, beside.repeats, "repeats"),
    )
    missed = [pair for pair in pairs if cut is not None and pair.person <= cut < _judge(pair)]
    counts = np.zeros((k, k), dtype=int)
    np.add.at(counts, (person, judge), 1)
    result = {
        "n": len(pairs),
        "labels": found.labels,
        "reviewers": found.reviewers,
        "double": sum(1 for pair in pairs if len(pair.blind) > 1),
        "labelled": len(found.labelled),
        "left_out": dict(found.left_out),
        "is_weighted": found.is_weighted,
        "is_ordered": scale.has_numbers,
        "unit": "answers" if clusters is None else "sessions",
        "levels": list(scale.names),
        "counts": counts.tolist(),
        "agreement": {name: kept(alike[name]) for name in names} | _beside("raw_agreement", alike, shown),
        "agreement_of_traffic": {name: kept(traffic[name]) for name in names} if is_uneven else None,
        "people": {name: kept(people[name]) for name in names} if people else {},
        "people_minus_judge": {name: kept(below[name]) for name in names} if below else {},
        "constant": _constant(person, judge, values, names),
        "bias": None if lean is None else _with(kept(lean.overall), shown.get("bias")),
        "bias_by_level": [] if lean is None else _by_level(lean.by_level, scale.names, values),
        "flag": _flag_kept(flags, cut, flag_at_most, scale.names, shown),
        "unusable": {"count": beside.unusable, "of": beside.answered, "kinds": dict(beside.unusable_kinds or {})},
        "self_agreement": {"same": beside.repeats_same, "of": beside.repeats},
        "gate": gate_kept(verdict, metric, gate),
        "missed_total": len(missed),
        "missed": [_missed(pair, scale.names) for pair in missed[:MISSED_KEPT]],
        "seed": seed,
        "resamples": RESAMPLES,
    }
    return result, verdict


def _judge(pair: Pair) -> int:
    if pair.judge is None:
        raise ValueError("a pair without the judge's score has no place here")
    return pair.judge


def _cut(levels: Sequence[int], at_most: float) -> int | None:
    """The highest level that is bad, counted from 0; None where none is."""
    bad = [at for at, level in enumerate(levels) if level <= at_most]
    return bad[-1] if bad else None


def share(count: int, of: int, what: str) -> Estimate | TooLittle:
    """A share with its exact limits."""
    if of < 1:
        return TooLittle(0, 1, what)
    low, high = clopper_pearson(count, of)
    return Estimate(count / of, low, high, LEVEL, of, float(of), "share, Clopper-Pearson interval")


def _agreements(
    pairs: Sequence[Pair],
    weights: Floats | None,
    values: Floats,
    names: Sequence[str],
    clusters: Sequence[str] | None,
    seed: int,
    cut: int | None,
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any], dict[str, Any]]:
    """(judge and people, people alone, people minus judge on the same answers, judge and people over the traffic).

    Last come the bootstrap intervals of what has another one of its own, see `_shown`.
    """
    k = values.size
    size = k * k
    is_ordered = "weighted_kappa" in names
    rows = np.zeros((len(pairs), 4 * size))
    double = 0
    for at, pair in enumerate(pairs):
        cell = pair.person * k + _judge(pair)
        rows[at, cell] = 1
        if weights is not None:
            rows[at, 3 * size + cell] = weights[at] / weights.mean()
        levels = [rating.level for rating in pair.blind]
        if len(levels) < 2:
            continue
        double += 1
        for first, second in permutations(levels, 2):
            rows[at, size + first * k + second] += 1 / (len(levels) * (len(levels) - 1))
        for level in levels:
            rows[at, 2 * size + level * k + _judge(pair)] += 1 / len(levels)
    whole = rows.sum(0).reshape(4, k, k)

    def statistics(sums: Floats) -> Statistics:
        parts = sums.reshape(sums.shape[0], 4, k, k)
        told: dict[str, Floats] = {}
        for name in names:
            told[f"judge {name}"] = measure(name, parts[:, 0], values, is_ordered)
            if double >= DOUBLE_MIN:
                told[f"people {name}"] = measure(name, parts[:, 1], values, is_ordered)
                told[f"below {name}"] = told[f"people {name}"] - measure(name, parts[:, 2], values, is_ordered)
            if weights is not None:
                told[f"traffic {name}"] = measure(name, parts[:, 3], values, is_ordered)
        shown = _shown(parts[:, 0] if weights is None else parts[:, 3], values if is_ordered else None, cut)
        return told | {f"shown {name}": found for name, found in shown.items()}

    every = [f"{part} {name}" for part in ("judge", "people", "below", "traffic") for name in names]
    chance = [
        (np.concatenate([tables.at_chance(part, is_even).ravel() for part in whole]), some)
        for is_even, some in (
            (False, [name for name in every if "gwet" not in name]),
            (True, [name for name in every if "gwet" in name]),
        )
    ]
    drawn = bootstrap(rows, statistics, clusters=clusters, seed=seed, chance=chance)
    of = {
        part: {name: drawn.get(f"{part} {name}") for name in names} for part in ("judge", "people", "below", "traffic")
    }
    shown = {name.removeprefix("shown "): found for name, found in drawn.items() if name.startswith("shown ")}
    if double < DOUBLE_MIN:
        lacking = TooLittle(double, DOUBLE_MIN, "answers labelled by two people")
        return of["judge"], dict.fromkeys(names, lacking), {}, of["traffic"], shown
    people = {name: _of_double(found, double) for name, found in of["people"].items()}
    below = {name: _of_double(found, double) for name, found in of["below"].items()}
    return of["judge"], people, below, of["traffic"], shown


def _shown(of: Floats, values: Floats | None, cut: int | None) -> dict[str, Floats]:
    """What has an interval by a formula, as functions of tables (b, k, k): its bootstrap interval is told beside."""
    told = {"raw_agreement": tables.observed(of, np.eye(of.shape[-1]))}
    with np.errstate(invalid="ignore", divide="ignore"):
        whole = of.sum((1, 2))
        if values is not None:
            told["bias"] = (of * np.subtract.outer(-values, -values)).sum((1, 2)) / whole
        if cut is not None:
            bad, flagged = of[:, : cut + 1].sum((1, 2)), of[:, :, : cut + 1].sum((1, 2))
            caught = of[:, : cut + 1, : cut + 1].sum((1, 2))
            told["recall"] = caught / bad
            told["precision"] = caught / flagged
            told["false_flag_share"] = 1 - caught / flagged
            told["false_alarms"] = (flagged - caught) / (whole - bad)
            told["prevalence"] = bad / whole
    return told


def _of_several(
    pairs: Sequence[Pair], k: int, names: Sequence[str], clusters: Sequence[str] | None, seed: int
) -> dict[str, Any]:
    """Alpha and Gwet's coefficients of all people at once, gaps and all; nothing where too few answers have two."""
    if sum(1 for pair in pairs if len(pair.blind) > 1) < DOUBLE_MIN:
        return {}
    most = max(len(pair.blind) for pair in pairs)
    # Who said it does not matter to these, so each row is the nth label of every answer.
    rows = [[pair.blind[nth].level if nth < len(pair.blind) else None for pair in pairs] for nth in range(most)]
    report = people_report(rows, range(k), is_ordered="weighted_kappa" in names, clusters=clusters, seed=seed)
    if isinstance(report, TooLittle):
        return {}
    told = {name: report.figures.get(name) for name in ("krippendorff", "gwet_ac1", "gwet_ac2") if name in names}
    return {name: _of_double(found, report.n) for name, found in told.items()}


def _of_double(found: Estimate | None, double: int) -> Estimate | None:
    if found is None:
        return None
    return Estimate(found.value, found.low, found.high, found.level, double, double, found.method, found.error)


def measure(name: str, of: Floats, values: Floats, is_ordered: bool = True) -> Floats:
    """One measure of agreement of tables (b, k, k); levels without an order are only the same or not."""
    k = values.size
    if name == "weighted_kappa":
        return tables.kappa(of, tables.agreement_weights(k, "quadratic"))
    if name == "cohen_kappa":
        return tables.kappa(of, tables.agreement_weights(k, "identity"))
    if name == "krippendorff":
        return tables.alpha_table(of, values, "ordinal" if is_ordered else "nominal")
    if name == "gwet_ac1":
        return tables.gwet_table(of, tables.agreement_weights(k, "identity"))
    if name == "gwet_ac2":
        return tables.gwet_table(of, tables.agreement_weights(k, "quadratic"))
    if name == "spearman":
        return tables.spearman_table(of)
    if name == "kendall":
        return tables.kendall_table(of)
    return tables.observed(of, np.eye(k))


def _constant(
    person: NDArray[np.int64], judge: NDArray[np.int64], values: Floats, names: Sequence[str]
) -> dict[str, Any]:
    """What a judge would reach that always says what people say most."""
    k = values.size
    table = np.zeros((1, k, k))
    counts = np.bincount(person, minlength=k)
    table[0, :, int(counts.argmax())] = counts
    is_ordered = "weighted_kappa" in names
    told = {name: float(measure(name, table, values, is_ordered)[0]) for name in names}
    return {name: value if np.isfinite(value) else None for name, value in told.items()}


def _by_level(
    parts: Sequence[tuple[float, Estimate | TooLittle]], names: Sequence[str], values: Floats
) -> list[dict[str, Any]]:
    told = []
    for value, found in parts:
        level = names[int(np.flatnonzero(values == value)[0])]
        n = found.n if isinstance(found, Estimate) else found.have
        told.append((kept(found) or {}) | {"level": level, "n": n})
    return told


def _flags(
    person: NDArray[np.int64],
    judge: NDArray[np.int64],
    cut: int | None,
    weights: Floats | None,
    clusters: Sequence[str] | None,
) -> Flagging | None:
    if cut is None:
        return None
    return flagging(judge <= cut, person <= cut, 1.0 if weights is None else 1 / weights, clusters=clusters)


def _flag_kept(
    flags: Flagging | None,
    cut: int | None,
    at_most: float | None,
    names: Sequence[str],
    shown: Mapping[str, Estimate | None],
) -> dict[str, Any] | None:
    if flags is None or cut is None:
        return None
    shares = {
        "recall": flags.recall,
        "precision": flags.precision,
        "false_flag_share": flags.false_flags,
        "false_alarms": flags.false_alarms,
        "prevalence": flags.bad,
    }
    return {
        "at_most": at_most,
        "level": cut,
        "words": names[0] if cut == 0 else f"{names[0]} to {names[cut]}",
        "bad": flags.caught + flags.missed,
        "flagged": flags.caught + flags.false,
        "caught": flags.caught,
        "missed": flags.missed,
    } | {name: _with(kept(found), shown.get(name)) for name, found in shares.items()}


def _missed(pair: Pair, names: Sequence[str]) -> dict[str, Any]:
    note = next((rating.note for rating in reversed(pair.ratings) if rating.note), "")
    return {
        "trace_id": pair.trace_id.hex,
        "span_id": pair.span_id,
        "person": names[pair.person],
        "judge": names[_judge(pair)],
        "note": note[:300],
        "judge_note": pair.judge_note[:300],
    }


def kept(found: Estimate | TooLittle | None) -> dict[str, Any] | None:
    """A figure as a row keeps it; None where it is undefined."""
    if found is None:
        return None
    if isinstance(found, TooLittle):
        return {"have": found.have, "need": found.need, "what": found.what}
    return {
        "value": found.value,
        "low": found.low,
        "high": found.high,
        "level": found.level,
        "n": found.n,
        "n_eff": found.n_eff,
        "method": found.method,
    }


def _with(told: dict[str, Any] | None, resampled: Estimate | None) -> dict[str, Any] | None:
    """A stored figure with its bootstrap interval beside the one it is shown with; null where it has none."""
    if told is None or "value" not in told:
        return told
    limits = None if resampled is None or resampled.low is None else [resampled.low, resampled.high]
    return told | {"bootstrap": limits}


def _beside(name: str, found: Mapping[str, Any], shown: Mapping[str, Estimate | None]) -> dict[str, Any]:
    return {name: _with(kept(found[name]), shown.get(name))}


def gate_kept(gate: Gate, metric: str, settings: GateSettings) -> dict[str, Any]:
    """The gate as a row keeps it, with the values it went by."""
    return {
        "verdict": gate.verdict,
        "stage": gate.stage,
        "metric": metric,
        "need_more": gate.need_more,
        "checks": [asdict(check) for check in gate.checks],
        "missed": [CHECK_WORDS[check.name] for check in gate.checks if check.state == "failed"],
        "settings": asdict(settings),
    }
