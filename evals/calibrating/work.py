"""Setting a judge version against people: from the labels to a kept row, and two versions against each other."""

from __future__ import annotations

import statistics
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from evals.calibrating.comparing import Compared, compared
from evals.calibrating.figures import Beside, figures, seed_of
from evals.read import calibration as read
from evals.read import labels
from evals.read.calibration import EVERYTHING, EXPIRES_DAYS, CalibrationRow, Scope
from evals.read.gates import gate_for, routines
from evals.read.pairs import PairSet, load_pairs
from evals.read.setup import JudgeVersionView, JudgeView, get_connection, get_judge_by_id, get_judge_version
from evals.rubrics import Criterion, Scale
from evals.write import calibration as write

# Parts of the traffic with fewer labelled answers are not looked at on their own, unless somebody asks.
SCOPE_MIN = 30
SCOPES_MAX = 8
# Judges whose scores come from elsewhere: there is no answer of theirs that could not be used.
CALLS_NOBODY = ("external", "person")


@dataclass(frozen=True, slots=True)
class Ground:
    """What a calibration of a judge version needs beside the pairs, read once for all its criteria and scopes."""

    version: JudgeVersionView
    stage: str
    gate: Any
    answered: int
    unusable: Mapping[str, int]
    repeats: Mapping[str, Any]
    connection: str | None


def ground_of(project_id: int, version: JudgeVersionView) -> Ground:
    """What stands beside the pairs of a judge version."""
    judge = get_judge_by_id(project_id, version.judge_id)
    answered, unusable = labels.unusable_counts(project_id, version.id)
    connection = None if version.connection_id is None else get_connection(project_id, version.connection_id)
    done = routines(project_id, judge_id=version.judge_id, kind="repeat", state="done", most=20)
    repeats = next((row.result for row in done if row.result.get("version_id") == version.id), {})
    gate = gate_for(project_id, version.judge_id).settings
    if not answered and judge is not None and judge.kind in CALLS_NOBODY:
        gate = replace(gate, unusable_at_most=None)
    return Ground(
        version=version,
        stage=stage_of(judge, version.id),
        gate=gate,
        answered=answered,
        unusable=unusable,
        repeats=repeats.get("criteria") or {},
        connection=None if connection is None else f"{connection.kind} {connection.base_url}",
    )


def stage_of(judge: JudgeView | None, version_id: int) -> str:
    """Which agreement a version must show: to stay where it is live, to go live otherwise."""
    return "stay" if judge is not None and judge.live_version_id == version_id else "deploy"


def bad_at_most(config: Mapping[str, Any], criterion: Criterion) -> float | None:
    """From which level on an answer counts as bad: the judge's flag, else the rubric's, else the worst quarter.

    None for labels without an order.
    """
    if not criterion.scale.has_numbers:
        return None
    own = ((config.get("flag") or {}).get("criteria") or {}).get(criterion.key)
    if own is not None:
        return float(own)
    return criterion.flag_at_most if criterion.flag_at_most is not None else _worst_quarter(criterion.scale)


def _worst_quarter(scale: Scale) -> float:
    return float(scale.low + (scale.high - scale.low) // 4)


def calibrate(
    project_id: int, version: JudgeVersionView, criterion: Criterion, scope: Scope = EVERYTHING
) -> CalibrationRow | None:
    """Set a judge version against the labels there are, in one scope, and keep what was found.

    None where no answer has both a label and a score of this version.
    """
    found = load_pairs(project_id, version.id, criterion, scope)
    made = _keep(project_id, ground_of(project_id, version), found)
    return None if made is None else read.find(project_id, made)


def calibrate_all(project_id: int, version_id: int, criterion_key: str, *, only_new: bool = True) -> int:
    """Calibrate a judge version in one criterion, over all traffic and each part with enough labels; how many rows.

    `only_new` leaves out what would say the same as the newest kept.
    """
    version = get_judge_version(project_id, version_id)
    criterion = None if version is None else version.rubric_version.rubric.criterion(criterion_key)
    if version is None or criterion is None:
        return 0
    whole = load_pairs(project_id, version_id, criterion)
    ground = ground_of(project_id, version)
    newest = {row.scope: row for row in read.newest(project_id, version_id=version_id, criterion=criterion_key)}
    made = 0
    for scope in scopes_of(whole):
        part = whole if scope == EVERYTHING else whole.within(scope)
        made += _keep(project_id, ground, part, newest.get(scope) if only_new else None) is not None
    return made


def scopes_of(whole: PairSet) -> list[Scope]:
    """All traffic, and the features and models with enough labelled answers of their own, the largest first."""
    scopes = [EVERYTHING]
    for name in ("feature", "model"):
        counts: dict[str, int] = {}
        for pair in whole.used:
            counts[getattr(pair, name)] = counts.get(getattr(pair, name), 0) + 1
        counts.pop("", None)
        large = sorted((value for value, n in counts.items() if n >= SCOPE_MIN), key=lambda value: -counts[value])
        scopes += [Scope(**{name: value}) for value in large[:SCOPES_MAX]]
    return scopes


def _keep(project_id: int, ground: Ground, found: PairSet, newest: CalibrationRow | None = None) -> int | None:
    """Keep the figures of `found`; the row's id, None where there are no pairs or `newest` says the same."""
    if not found.used:
        return None
    version, criterion = ground.version, found.criterion
    repeats = ground.repeats.get(criterion.key) or {}
    times = found.times
    base = {
        "stood_on": {
            "rubric_version": version.rubric_version.id,
            "model": version.model,
            "connection": ground.connection,
            "features": _models_by_feature(found),
        },
        "labels_from": times[0].isoformat(),
        "queue_id": next((pair.queue_id for pair in found.used if pair.queue_id is not None), None),
    }
    result, gate = figures(
        found,
        bad_at_most(version.config, criterion),
        ground.gate,
        stage="stay" if ground.stage == "stay" else "deploy",
        seed=seed_of(version.id, found),
        beside=Beside(
            unusable=sum(ground.unusable.values()),
            answered=ground.answered,
            unusable_kinds=ground.unusable,
            repeats_same=int(repeats.get("same", 0)),
            repeats=int(repeats.get("of", 0)),
        ),
    )
    if newest is not None and not newest.stale and newest.result == base | result:
        return None
    return write.add_calibration(
        project_id,
        version.id,
        criterion.key,
        found.scope.stored(),
        result=base | result,
        verdict=gate.verdict,
        pairs=len(found.used),
        reviewers=found.reviewers,
        labels_until=times[-1],
        expires_at=_middle(times) + timedelta(days=EXPIRES_DAYS),
    )


def _middle(times: list[datetime]) -> datetime:
    """When half of the labels had been given: one label a month does not keep a calibration young."""
    return statistics.median_low(times)


def _models_by_feature(found: PairSet) -> dict[str, list[str]]:
    told: dict[str, set[str]] = {}
    for pair in found.used:
        if pair.model:
            told.setdefault(pair.feature, set()).add(pair.model)
    return {feature: sorted(models) for feature, models in sorted(told.items())}


def judge_again(project_id: int, judge_id: int) -> int:
    """Put the newest calibrations of a judge to its gate as it is by now; how many rows."""
    seen = {(row.version_id, row.criterion) for row in read.newest(project_id, judge_id=judge_id)}
    return sum(calibrate_all(project_id, version_id, criterion) for version_id, criterion in sorted(seen))


def compare(
    project_id: int,
    version: JudgeVersionView,
    other: JudgeVersionView,
    criterion: Criterion,
    scope: Scope = EVERYTHING,
) -> Compared | None:
    """Two judge versions on the labelled answers that both scored; None where there are none."""
    first = load_pairs(project_id, version.id, criterion, scope)
    second = load_pairs(project_id, other.id, criterion, scope)
    return compared(
        first,
        second,
        (bad_at_most(version.config, criterion), bad_at_most(other.config, criterion)),
        seed=seed_of(version.id, first),
    )
