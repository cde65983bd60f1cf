"""Dated tasks from the day they are due to what they found: asked of people, or run as probes, then told in words."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction

from evals.calibrating.asking import begin_task
from evals.calibrating.work import calibrate_all
from evals.judges import probes
from evals.judges.config import parse_config
from evals.models import Judge, JudgeVersion, ReviewItem, Routine
from evals.read import calibration as read_calibration
from evals.read import probes as read
from evals.read.calibration import CalibrationRow
from evals.read.gates import RoutineRow, due_routines, find_routine
from evals.read.material import load_materials
from evals.read.pairs import level_of, load_pairs
from evals.read.setup import JudgeVersionView, JudgeView, get_judge_by_id, get_judge_version
from evals.reviewing.config import RefusedReview
from evals.routines import attacking, levels, probing
from evals.stats.weighted import Sums
from evals.write import calibration as write
from evals.write.judgements import Purpose, Target, queue
from telltale.lib import clock
from telltale.projects.models import Project

MONTHLY, QUARTERLY = "monthly", "quarterly"
# The dated checks; beside them the injection set on the shipped cases, which is begun by people alone.
PLANNED = (MONTHLY, QUARTERLY, *probes.KINDS)
KINDS = (*PLANNED, attacking.KIND)
MONTH, QUARTER = timedelta(days=30), timedelta(days=91)
EVERY = {MONTHLY: MONTH, QUARTERLY: QUARTER, **dict.fromkeys(probes.KINDS, MONTH)}
# The first probe of a judge comes soon after it went live, the first look at its level when there are two months.
FIRST = {MONTHLY: 2 * MONTH, QUARTERLY: QUARTER, **dict.fromkeys(probes.KINDS, timedelta(days=1))}
ANSWERS = {MONTHLY: 60, QUARTERLY: 500}
# So long people have for what a task asks of them; after that it is told from what there is.
PATIENCE = {MONTHLY: timedelta(days=14), QUARTERLY: timedelta(days=28)}
PROBE_PATIENCE = timedelta(days=3)
LATER = timedelta(days=1)
LOOK_BACK = timedelta(days=30)
POOL = 1_000
# Whole traces are read to see their documents.
DOCUMENTS_POOL = 200


def plan() -> int:
    """See that every live judge has its next task of each kind that applies; how many were added."""
    added = 0
    live = Judge.objects.filter(archived_at=None, live_version__isnull=False).exclude(kind="person")
    for judge_id, project_id, kind, live_since in live.values_list("pk", "project_id", "kind", "live_since"):
        planned = [name for name in kinds_for(kind) if name in EVERY]
        done = dict.fromkeys(planned, None) | {
            each.kind: each.done_at
            for each in Routine.objects.filter(judge_id=judge_id, state__in=("done", "skipped")).order_by("done_at")
        }
        is_open = set(Routine.objects.filter(judge_id=judge_id, state__in=write.OPEN).values_list("kind", flat=True))
        for name in planned:
            if name not in is_open:
                last = done[name]
                due_at = (live_since or clock.now()) + FIRST[name] if last is None else last + EVERY[name]
                added += write.add_routine(project_id, judge_id, name, due_at) is not None
    gone = Routine.objects.filter(state="due").exclude(judge__live_version__isnull=False, judge__archived_at=None)
    ids = list(gone.filter(created_at__lt=clock.now() - LATER).values_list("judge_id", flat=True).distinct())
    if ids:
        write.close_routines(ids, "the judge is live no longer")
    return added


def kinds_for(judge_kind: str) -> tuple[str, ...]:
    """The tasks that make sense for a kind of judge: only a model can be talked round, or contradict itself."""
    return KINDS if judge_kind == "model" else (MONTHLY, QUARTERLY)


def tend() -> int:
    """Go on with every task whose day has come; how many ended."""
    return sum(work(project_id, routine_id) for project_id, routine_id in due_routines(clock.now()))


def work(project_id: int, routine_id: int) -> bool:
    """Begin a task that is due, or look whether one under way is over; whether it ended now."""
    row = find_routine(project_id, routine_id)
    judge = None if row is None else get_judge_by_id(project_id, row.judge_id)
    if row is None or judge is None or row.state not in write.OPEN:
        return False
    version = judge.live or judge.newest
    if row.state == "running" and row.result.get("version_id") is not None:
        version = get_judge_version(project_id, int(row.result["version_id"])) or version
    if row.kind == attacking.KIND:
        if row.state == "running":
            return attacking.go_on(row, project_id)
        asked = judge.version(int(row.result["version"])) if row.result.get("version") else None
        return attacking.begin(row, project_id, (asked or version).id, (asked or version).number)
    if row.kind in probes.KINDS:
        return (
            _begin_probe(row, project_id, judge, version)
            if row.state == "due"
            else _end_probe(row, project_id, version)
        )
    if row.state == "due":
        return _ask(row, project_id, judge, version)
    return _end_asked(row, project_id, version)


def _begin_probe(row: RoutineRow, project_id: int, judge: JudgeView, version: JudgeVersionView) -> bool:
    now = clock.now()
    targets = read.judged_targets(project_id, judge.id, version.id, now - LOOK_BACK, POOL)
    criterion = version.rubric_version.rubric.criteria[0]
    base = read.base_scores(project_id, version.id, [each.target_id for each in targets])
    known = {
        key: level_of(criterion.scale, *scores[criterion.key], is_rounded=True)
        for key, scores in base.items()
        if criterion.key in scores
    }
    scored = [each for each in targets if (each.target_id, each.span_id) in known]
    lacking = "this version scored nothing in the last 30 days yet"
    if row.kind == probes.POSITION:
        scored = _with_documents(project_id, judge.kind, version, scored[:DOCUMENTS_POOL])
        lacking = "no answer that this version scored lately has two retrieved documents"
    chosen = probing.trials(row.kind, scored, known, len(criterion.scale.names) - 1, row.id)
    if not chosen:
        write.postpone_routine(row.id, now + LATER, lacking)
        return False
    begun = {
        "version_id": version.id,
        "version": version.number,
        "targets": sorted({each.target.target_id.hex for each in chosen}),
        "of": len(chosen),
        "seed": row.id,
        "began_at": now.isoformat(),
    }
    with transaction.atomic():
        if not write.start_routine(row.id, result=begun):
            return False
        orm = JudgeVersion.objects.get(pk=version.id)
        for repeat in sorted({each.repeat for each in chosen}):
            wanted = [_target(each.target) for each in chosen if each.repeat == repeat]
            queue(project_id, orm, wanted, Purpose.PROBE, repeat=repeat)
    return False


def _with_documents(
    project_id: int, kind: str, version: JudgeVersionView, targets: list[read.Judged]
) -> list[read.Judged]:
    """Those targets whose documents have an order to turn."""
    mapping = parse_config(kind, dict(version.config)).mapping
    found = load_materials(project_id, [(each.target_id, each.span_id) for each in targets], mapping)
    several = {key for key, material in found.items() if len(material.documents) > 1}
    return [each for each in targets if (each.target_id, each.span_id) in several]


def _target(found: read.Judged) -> Target:
    return Target(
        target_id=found.target_id,
        started_at=found.started_at,
        kind=found.target_kind,
        span_id=found.span_id,
        feature=found.feature,
        model=found.model,
        prompt_version=found.prompt_version,
        session_id=found.session_id,
    )


def _end_probe(row: RoutineRow, project_id: int, version: JudgeVersionView) -> bool:
    ids = [UUID(hex=each) for each in row.result.get("targets") or []]
    first = probes.number_of(row.kind)
    last = first + (9_000 if row.kind == probes.INJECTION else 0)
    rows = read.probes_of(project_id, version.id, ids, first, last)
    is_late = clock.now() - datetime.fromisoformat(row.result["began_at"]) >= PROBE_PATIENCE
    if any(not each.is_over for each in rows) and not is_late:
        done = sum(1 for each in rows if each.is_over)
        write.keep_result(row.id, dict(row.result) | {"done": done, "of": len(rows)})
        return False
    over = [each for each in rows if each.is_over]
    base = read.base_scores(project_id, version.id, ids)
    found = probing.result_of(row.kind, version.rubric_version.rubric, over, base)
    kept = {name: row.result[name] for name in ("version_id", "version", "seed", "began_at")}
    return write.end_routine(row.id, kept | found)


def _ask(row: RoutineRow, project_id: int, judge: JudgeView, version: JudgeVersionView) -> bool:
    """Have people label what a monthly or quarterly task needs; a month with enough labels is told at once."""
    now = clock.now()
    begun: dict[str, Any] = {"version_id": version.id, "version": version.number, "end": now.isoformat()}
    if row.kind == MONTHLY:
        months = month_of(project_id, version, now)
        if levels.overall(months) != "too_few":
            with transaction.atomic():
                write.start_routine(row.id, result=begun)
                return write.end_routine(row.id, begun | {"criteria": months, "word": levels.overall(months)})
    else:
        begun["before"] = _by_criterion(project_id, version)
    project = Project.objects.select_related("organisation").get(pk=project_id)
    days = EVERY[row.kind].days
    try:
        with transaction.atomic():
            task = begin_task(
                project,
                judge,
                version,
                wanted=ANSWERS[row.kind],
                days=days,
                due_at=now + PATIENCE[row.kind],
                name=f"{row.kind.capitalize()} labels for {judge.name}"[:120],
                actor="system",
            )
            write.start_routine(row.id, result=begun | {"asked": task.items}, queue_id=task.queue.id)
    except RefusedReview as refused:
        write.postpone_routine(row.id, now + LATER, str(refused)[:200])
    return False


def _end_asked(row: RoutineRow, project_id: int, version: JudgeVersionView) -> bool:
    items = ReviewItem.objects.filter(queue_id=row.queue_id)
    is_open = row.queue_id is not None and items.filter(state__in=("open", "disputed")).exists()
    end = datetime.fromisoformat(row.result["end"])
    if is_open and clock.now() < end + PATIENCE[row.kind]:
        return False
    begun = dict(row.result)
    if row.kind == MONTHLY:
        months = month_of(project_id, version, end)
        return write.end_routine(row.id, begun | {"criteria": months, "word": levels.overall(months)})
    for criterion in version.rubric_version.rubric.criteria:
        calibrate_all(project_id, version.id, criterion.key)
    now = _by_criterion(project_id, version)
    criteria = {
        key: _quarter(begun.get("before", {}).get(key), found) | {"moved": _since(project_id, version, key, found, end)}
        for key, found in now.items()
    }
    return write.end_routine(row.id, begun | {"criteria": criteria, "word": _worst(criteria)})


def month_of(project_id: int, version: JudgeVersionView, end: datetime) -> dict[str, dict[str, Any]]:
    """This month against the one before, for each criterion that has numbers."""
    middle, start = end - MONTH, end - 2 * MONTH
    now = read.score_sums(project_id, version.judge_id, version.id, middle, end)
    before = read.score_sums(project_id, version.judge_id, version.id, start, middle)
    told = {}
    for criterion in version.rubric_version.rubric.criteria:
        if not criterion.scale.has_numbers:
            continue
        found = load_pairs(project_id, version.id, criterion).judged
        known = [pair for pair in found if pair.started_at is not None]
        old = tuple(pair for pair in known if pair.started_at and start <= pair.started_at < middle)
        new = tuple(pair for pair in known if pair.started_at and middle <= pair.started_at < end)
        told[criterion.key] = levels.moved(
            levels.Month(old, before.get(criterion.key, Sums())),
            levels.Month(new, now.get(criterion.key, Sums())),
            criterion.scale,
        )
    return told


def _by_criterion(project_id: int, version: JudgeVersionView) -> dict[str, dict[str, Any]]:
    rows = read_calibration.newest(project_id, version_id=version.id)
    return {row.criterion: _short(row) for row in rows if not row.scope.stored()}


def _short(row: CalibrationRow) -> dict[str, Any]:
    gate = row.result.get("gate") or {}
    agreement: Mapping[str, Any] = row.result.get("agreement") or {}
    return {
        "id": row.id,
        "verdict": row.verdict,
        "pairs": row.pairs,
        "metric": gate.get("metric"),
        "agreement": agreement.get(str(gate.get("metric"))),
        "need_more": row.need_more,
    }


def _since(
    project_id: int, version: JudgeVersionView, key: str, found: Mapping[str, Any], begun: datetime
) -> dict[str, Any] | None:
    """Agreement on the answers that were labelled since a quarterly task began, against those labelled before."""
    criterion = version.rubric_version.rubric.criterion(key)
    if criterion is None:
        return None
    whole = load_pairs(project_id, version.id, criterion)
    newer = tuple(pair for pair in whole.labelled if pair.ratings[0].at >= begun)
    older = tuple(pair for pair in whole.labelled if pair.ratings[0].at < begun)
    return levels.apart(
        replace(whole, labelled=older), replace(whole, labelled=newer), str(found.get("metric")), found["id"]
    )


def _quarter(before: Mapping[str, Any] | None, now: Mapping[str, Any]) -> dict[str, Any]:
    return {"before": before, "now": now, "word": str(now["verdict"])}


def _worst(criteria: Mapping[str, Mapping[str, Any]]) -> str:
    found = {each["word"] for each in criteria.values()}
    return next((word for word in ("failed", "not_proven", "proven") if word in found), "too_few")
