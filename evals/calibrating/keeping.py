"""Keeping calibrations true: made anew where labels came, marked stale where what they stood on changed."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from evals.calibrating.work import CALLS_NOBODY, calibrate, calibrate_all, stage_of
from evals.models import Calibration
from evals.read import calibration as read
from evals.read import labels
from evals.read.calibration import CalibrationRow
from evals.read.gates import gate_for
from evals.read.labels import LabelState
from evals.read.setup import JudgeView, get_judge_by_id, get_judge_version
from evals.write import calibration as write
from telltale.lib import clock

# People label one answer after the other: a calibration waits until nothing came for so long, or for so long at most.
QUIET = timedelta(seconds=15)
WAIT_MOST = timedelta(minutes=2)
# Scores of judges that come after the labels are looked for this often, and less often the more labels there are.
LOOK_EVERY = timedelta(seconds=30)
LABELS_A_LOOK = 5_000
# A model of the feature that no label covers makes it stale from this share of the last day's traces on.
NEW_MODEL_SHARE = 0.1
NEW_MODEL_LEAST = 5
DAY = timedelta(days=1)


def tend(project_id: int | None = None) -> int:
    """Calibrate what has new labels or scores beside them; how many rows were made."""
    now = clock.now()
    return sum(look(state) for state in labels.label_states(project_id) if _is_due(state, now))


def tend_stale() -> int:
    """Mark what is stale in every project; how many were marked."""
    now = clock.now()
    fresh = Calibration.objects.filter(stale_at=None).order_by("project_id")
    return sum(mark_stale(project_id, now) for project_id in fresh.values_list("project_id", flat=True).distinct())


def tend_gates() -> int:
    """Put calibrations anew where the gate is another one by now, or their version went live or was taken down.

    How many were made.
    """
    fresh = Calibration.objects.filter(stale_at=None).order_by("project_id")
    return sum(put_to_gate(project_id) for project_id in fresh.values_list("project_id", flat=True).distinct())


def put_to_gate(project_id: int) -> int:
    """Calibrate anew what went by another gate than holds for its judge now; how many rows were made."""
    made = 0
    judges: dict[int, tuple[JudgeView | None, dict[str, Any]]] = {}
    for row in read.newest(project_id):
        if row.judge_id not in judges:
            gate = asdict(gate_for(project_id, row.judge_id).settings)
            judges[row.judge_id] = (get_judge_by_id(project_id, row.judge_id), gate)
        judge, gate = judges[row.judge_id]
        version = None if judge is None else get_judge_version(project_id, row.version_id)
        criterion = None if version is None else version.rubric_version.rubric.criterion(row.criterion)
        if row.stale or judge is None or version is None or criterion is None or _went_by(row, judge, gate):
            continue
        made += calibrate(project_id, version, criterion, row.scope) is not None
    return made


def _went_by(row: CalibrationRow, judge: JudgeView, gate: dict[str, Any]) -> bool:
    """Whether a calibration was decided by this gate, at the stage its version is in."""
    kept = row.result.get("gate") or {}
    settings = dict(kept.get("settings") or {})
    if judge.kind in CALLS_NOBODY and settings.get("unusable_at_most") is None:
        settings["unusable_at_most"] = gate["unusable_at_most"]
    return kept.get("stage") == stage_of(judge, row.version_id) and settings == gate


def look(state: LabelState) -> int:
    """Calibrate a criterion anew for every judge version that scored labelled answers; how many rows were made."""
    counts = labels.judged_counts(state.project_id, state.name)
    made = 0
    if state.is_changed or sum(counts.values()) != state.judged:
        for version_id in sorted(counts):
            made += calibrate_all(state.project_id, version_id, state.name)
    write.keep_mark(state.project_id, state.name, state.labels, state.newest_at, sum(counts.values()))
    return made


def _is_due(state: LabelState, now: datetime) -> bool:
    if state.looked_at is None:
        return now - state.newest_at >= QUIET or state.labels >= LABELS_A_LOOK
    if state.is_changed:
        return now - state.newest_at >= QUIET or now - state.looked_at >= WAIT_MOST
    return now - state.looked_at >= LOOK_EVERY * max(1, state.labels // LABELS_A_LOOK)


def mark_stale(project_id: int, now: datetime) -> int:
    """Write down which of the newest calibrations of a project hold no longer; how many were marked."""
    rows = read.newest(project_id)
    models = {judge_id: labels.models_now(project_id, judge_id, now - DAY) for judge_id in {r.judge_id for r in rows}}
    marked = 0
    for row in rows:
        reason = row.stale or new_model(row, models[row.judge_id])
        if reason:
            marked += write.mark_stale(row.id, reason)
    return marked


def new_model(row: CalibrationRow, traffic: list[tuple[str, str, int]]) -> str:
    """Why a calibration no longer covers the models of its feature; empty where it does."""
    known: dict[str, list[str]] = (row.result.get("stood_on") or {}).get("features") or {}
    inside = [each for each in traffic if row.scope.feature in ("", each[0])]
    total = sum(covered for _, _, covered in inside)
    for feature, model, covered in sorted(inside, key=lambda each: -each[2]):
        is_new = bool(model) and feature in known and model not in known[feature]
        if is_new and not row.scope.model and covered >= max(NEW_MODEL_LEAST, NEW_MODEL_SHARE * total):
            return f"{feature or 'the feature'} now runs on {model}, which no label covers"
    return ""
