"""Metrics that earn their place: what each is worth beyond the others, and what may be retired.

An incident is covered by a set of metrics to 1 - delay/horizon, delay counted from the first alarm any metric gave; an
incident that a metric found alone is lost without it. The value of a metric is what the covered severity loses without
it, less what its false pages and its running cost. Severities, the price of a false page and the horizon are settings:
judgements, shown beside the figures. Nothing is ever retired automatically.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from alerts.stats.redundancy import Alike
from evals.stats.quantiles import beta_quantile, clopper_pearson

Floats = NDArray[np.float64]
Verdict = Literal["keep", "propose to retire", "no evidence", "too young", "exempt"]

DAYS_MIN = 60
RESAMPLES = 2_000
MARKED = 0.8
REAL_LEVEL = 0.8
LEVEL = 0.95
# By then what one metric said late is as good as not said.
HORIZON_MIN = 24 * 60.0


@dataclass(frozen=True, slots=True)
class Metric:
    """One monitor's record over `days`: pages that people found real or false, `cost` to run it, whether it is safety.

    `cost` (judge, storage, attention) is in the money, or the points, that severities are in. `views`: page views.
    """

    name: str
    days: float
    real: int
    false: int
    cost: float
    is_safety: bool = False
    views: int = 0


@dataclass(frozen=True, slots=True)
class Incident:
    """A real incident: what it is worth to find (`severity`), and when each metric alarmed, in minutes."""

    severity: float
    alarmed_min: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Worth:
    """One metric over the period.

    `real_share` with the 80 % interval of Beta(½ + real, ½ + false); None without a page. `found`, `alone`: incidents
    it alarmed in, and those in which no other did. `lead_min`: the median of minutes before the next other alarm, of
    incidents it was first in; None for none. `benefit`: severity lost without it, `value` = benefit - false pages -
    cost, with limits from `low` to `high`: a bootstrap over incidents, at its upper end no less than what as few finds
    can rule out. `reason` says why `verdict`.
    """

    name: str
    real: int
    false: int
    real_share: float | None
    real_low: float | None
    real_high: float | None
    found: int
    alone: int
    lead_min: float | None
    benefit: float
    benefit_high: float | None
    spent: float
    value: float
    low: float | None
    high: float | None
    verdict: Verdict
    reason: str
    redundant_to: str | None


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the greedy cover: the metric added, what it adds, and the share of all coverable severity so far."""

    name: str
    adds: float
    net: float
    covered: float


@dataclass(frozen=True, slots=True)
class Earned:
    """Metrics by value, the highest first; `cover` in the order of choosing, `core` its part up to 80 %."""

    metrics: tuple[Worth, ...]
    cover: tuple[Step, ...]
    core: tuple[str, ...]
    incidents: int
    seed: int


def earn(
    metrics: Sequence[Metric],
    incidents: Sequence[Incident],
    *,
    false_page_cost: float,
    seed: int,
    alike: Sequence[Alike] = (),
    horizon_min: float = HORIZON_MIN,
    resamples: int = RESAMPLES,
) -> Earned:
    """What each metric is worth, which few cover most, and which may be proposed for retirement.

    `alike`: pairs found redundant (`redundancy.alike`). A metric is proposed when the upper limit of its benefit is
    below what it cost, or when it is redundant to one of higher value, and it has 60 days; never a safety metric; with
    no incidents there is no evidence. Incidents by metrics not listed are ignored. Errors: ValueError for a price under
    0, a horizon not over 0, names given twice. Source: statistics.md section 9; greedy cover: Nemhauser et al. 1978.
    """
    names = [metric.name for metric in metrics]
    if false_page_cost < 0 or not horizon_min > 0 or len(set(names)) != len(names):
        raise ValueError("a price of 0 or more, a horizon over 0 and names that differ are needed")
    covered, severity = _coverage(names, incidents, horizon_min)
    lost = _lost_without(covered)
    draws = _draws(len(incidents), resamples, seed)
    values: dict[str, float] = {}
    for at, metric in enumerate(metrics):
        values[metric.name] = float(lost[:, at] @ severity) - metric.false * false_page_cost - metric.cost
    found = [
        _worth(metric, at, covered, lost, severity, draws, incidents, false_page_cost, _better(metric, alike, values))
        for at, metric in enumerate(metrics)
    ]
    cover = _cover(metrics, covered, severity, false_page_cost)
    core: list[str] = []
    for step in cover:
        core.append(step.name)
        if step.covered >= MARKED:
            break
    return Earned(
        metrics=tuple(sorted(found, key=lambda worth: (-worth.value, worth.name))),
        cover=cover,
        core=tuple(core),
        incidents=len(incidents),
        seed=seed,
    )


def _coverage(names: list[str], incidents: Sequence[Incident], horizon: float) -> tuple[Floats, Floats]:
    """How much of each incident each metric covers (i, m), 0..1, and the severities (i,)."""
    covered = np.zeros((len(incidents), len(names)))
    for row, incident in enumerate(incidents):
        known = {name: at for name, at in incident.alarmed_min.items() if name in names}
        first = min(known.values(), default=0.0)
        for name, at in known.items():
            covered[row, names.index(name)] = max(0.0, 1 - (at - first) / horizon)
    return covered, np.array([incident.severity for incident in incidents], dtype=np.float64)


def _lost_without(covered: Floats) -> Floats:
    """By how much each incident is covered less without each metric (i, m): only the best of a row can be missed."""
    lost = np.zeros_like(covered)
    if covered.size == 0:
        return lost
    best = covered.argmax(1)
    rows = np.arange(covered.shape[0])
    second = np.partition(covered, -2, axis=1)[:, -2] if covered.shape[1] > 1 else np.zeros(covered.shape[0])
    lost[rows, best] = covered[rows, best] - second
    return lost


def _draws(incidents: int, resamples: int, seed: int) -> Floats:
    """How often each incident comes in each resample, (b, i)."""
    if not incidents:
        return np.zeros((resamples, 0))
    chances = np.full(incidents, 1 / incidents)
    return np.random.default_rng(seed).multinomial(incidents, chances, size=resamples).astype(np.float64)


def _worth(
    metric: Metric,
    at: int,
    covered: Floats,
    lost: Floats,
    severity: Floats,
    draws: Floats,
    incidents: Sequence[Incident],
    false_page_cost: float,
    better: str | None,
) -> Worth:
    pages = metric.real + metric.false
    a, b = 0.5 + metric.real, 0.5 + metric.false
    tail = (1 - REAL_LEVEL) / 2
    benefit, spent = float(lost[:, at] @ severity), metric.false * false_page_cost + metric.cost
    low = high = None
    if len(incidents):
        drawn = np.quantile(draws @ (lost[:, at] * severity), ((1 - LEVEL) / 2, (1 + LEVEL) / 2))
        # Found alone 0 times of 5 does not prove that it never will: exact limits of that share bound the benefit.
        ruled_out = clopper_pearson(min(float(lost[:, at].sum()), len(incidents)), len(incidents), LEVEL)[1]
        low, high = min(float(drawn[0]), benefit), max(float(drawn[1]), ruled_out * float(severity.sum()), benefit)
    leads = [lead for incident in incidents if (lead := _lead(metric.name, incident)) is not None]
    verdict, reason = _verdict(metric, len(incidents), high, spent, better)
    return Worth(
        name=metric.name,
        real=metric.real,
        false=metric.false,
        real_share=metric.real / pages if pages else None,
        real_low=beta_quantile(tail, a, b) if pages else None,
        real_high=beta_quantile(1 - tail, a, b) if pages else None,
        found=sum(metric.name in incident.alarmed_min for incident in incidents),
        alone=sum(set(incident.alarmed_min) == {metric.name} for incident in incidents),
        lead_min=float(np.median(leads)) if leads else None,
        benefit=benefit,
        benefit_high=high,
        spent=spent,
        value=benefit - spent,
        low=None if low is None else low - spent,
        high=None if high is None else high - spent,
        verdict=verdict,
        reason=reason,
        redundant_to=better,
    )


def _lead(name: str, incident: Incident) -> float | None:
    others = [at for other, at in incident.alarmed_min.items() if other != name]
    mine = incident.alarmed_min.get(name)
    return min(others) - mine if mine is not None and others and mine <= min(others) else None


def _better(metric: Metric, alike: Sequence[Alike], values: Mapping[str, float]) -> str | None:
    """The most valuable metric that says the same and is worth more; by name where both are worth the same."""
    twins = [
        pair.other if pair.metric == metric.name else pair.metric
        for pair in alike
        if metric.name in (pair.metric, pair.other)
        and (pair.covers_metric if pair.metric == metric.name else pair.covers_other)
    ]
    mine = values[metric.name]
    above = [twin for twin in twins if twin in values and (-values[twin], twin) < (-mine, metric.name)]
    return min(above, key=lambda twin: (-values[twin], twin)) if above else None


def _verdict(
    metric: Metric, incidents: int, benefit_high: float | None, spent: float, better: str | None
) -> tuple[Verdict, str]:
    if metric.is_safety:
        return "exempt", "safety metrics are never proposed"
    if not incidents or benefit_high is None:
        return "no evidence", "there was no incident to find"
    if metric.days < DAYS_MIN:
        return "too young", f"{math.floor(metric.days)} of {DAYS_MIN} days"
    if better is not None:
        return "propose to retire", f"says the same as {better}, which is worth more"
    if benefit_high < spent:
        return "propose to retire", "it cost more than the most it can be worth"
    return "keep", "what it may be worth is not below its cost"


def _cover(metrics: Sequence[Metric], covered: Floats, severity: Floats, false_page_cost: float) -> tuple[Step, ...]:
    """Metrics in order of what they add beyond those before, as long as any adds something."""
    whole = float(covered.max(1, initial=0.0) @ severity) if covered.size else 0.0
    have = np.zeros(covered.shape[0])
    left = list(range(len(metrics)))
    steps: list[Step] = []
    while left and whole > 0:
        adds = {at: float(np.maximum(0.0, covered[:, at] - have) @ severity) for at in left}
        net = {at: adds[at] - metrics[at].false * false_page_cost - metrics[at].cost for at in left}
        useful = [at for at in left if adds[at] > 1e-12 * whole]
        if not useful:
            break
        best = min(useful, key=lambda at: (-net[at], metrics[at].name))
        have = np.maximum(have, covered[:, best])
        left.remove(best)
        steps.append(Step(metrics[best].name, adds[best], net[best], float(have @ severity) / whole))
    return tuple(steps)
