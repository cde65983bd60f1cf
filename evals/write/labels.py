"""Rows of labels from elsewhere, many in one statement each. In the caller's transaction."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from evals.models import JudgeVersion
from evals.write.ids import new_ids
from evals.write.judgements import SCORED, Purpose
from evals.write.tallies import Tallies, hour_of
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.lib.sql import load
from traces.masks import mask_id, mask_text

JUDGE = 1
CATEGORY_CHARS = 100


@dataclass(frozen=True, slots=True)
class NewLabel:
    """A person's verdict on a target, as it is to be kept under the caller's id."""

    external_id: str
    rubric_version_id: int
    trace_id: UUID
    span_id: int
    reviewer_id: int | None
    reviewer: str
    verdict: str
    category: str
    note: str
    is_adjudication: bool
    was_blind: bool
    pi_judge: float | None
    pi_review: float | None
    at: datetime


@dataclass(frozen=True, slots=True)
class NewJudged:
    """What a judge from elsewhere scored a target."""

    trace_id: UUID
    span_id: int
    session_id: str
    started_at: datetime
    feature: str
    model: str
    prompt_version: str
    pi: float | None
    is_flagged: bool
    at: datetime
    scores: tuple[NewJudgeScore, ...]
    is_part: bool = False


@dataclass(frozen=True, slots=True)
class NewJudgeScore:
    """One criterion's score of a judge from elsewhere."""

    name: str
    data_type: int
    number: float | None
    label: str | None
    reason: str | None
    evidence: tuple[str, ...]


def add_version(
    judge_id: int, number: int, rubric_version_id: int, model: str, config_hash: str, by_id: int | None
) -> int:
    """A version of a judge whose scores come from elsewhere, under the number that they name."""
    made = JudgeVersion.objects.create(
        judge_id=judge_id,
        number=number,
        rubric_version_id=rubric_version_id,
        model=model,
        config_hash=config_hash,
        created_by_id=by_id,
    )
    return int(made.pk)


def put_labels(project_id: int, labels: Sequence[NewLabel]) -> list[tuple[int, bool]]:
    """Keep verdicts under their callers' ids: (review, whether it is new), in order. Each id once."""
    ids = [mask_id(project_id, each.external_id) for each in labels]
    rows = [
        {
            "external_id": external_id,
            "rubric_version_id": each.rubric_version_id,
            "trace_id": each.trace_id,
            "span_id": each.span_id,
            "reviewer_id": each.reviewer_id,
            "reviewer_name": each.reviewer,
            "verdict": each.verdict,
            "category": mask_text(project_id, each.category)[:CATEGORY_CHARS],
            "note": mask_text(project_id, each.note),
            "is_adjudication": each.is_adjudication,
            "was_blind": each.was_blind,
            "pi_judge": each.pi_judge,
            "pi_review": each.pi_review,
            "created_at": each.at,
        }
        for external_id, each in zip(ids, labels, strict=True)
    ]
    with raw_cursor() as cursor:
        cursor.execute(load("evals", "put_labels"), {"project_id": project_id, "rows": orjson.dumps(rows).decode()})
        kept = {external_id: (review_id, is_new) for review_id, external_id, is_new in cursor.fetchall()}
    return [kept[external_id] for external_id in ids]


def put_judged(project_id: int, version: JudgeVersion, judged: Sequence[NewJudged]) -> tuple[int, int]:
    """Keep what a judge from elsewhere scored: (new, replaced). One judgement a target and version, as always.

    They are counted among the judgements made for calibration; estimates of traffic are not summed from them.
    """
    if not judged:
        return 0, 0
    now = clock.now()
    by_target = {(each.trace_id, each.span_id): each for each in judged}
    ordered = [by_target[target] for target in sorted(by_target)]
    rows = [
        {
            "judgement_id": judgement_id,
            "target_kind": 2 if each.span_id else 1,
            "target_id": each.trace_id,
            "span_id": each.span_id,
            "pi": each.pi,
            "is_flagged": each.is_flagged,
            "done_at": each.at,
            "started_at": each.started_at,
            "feature": each.feature,
            "model": each.model,
            "prompt_version": each.prompt_version,
            "session_id": each.session_id,
        }
        for judgement_id, each in zip(new_ids(len(ordered)), ordered, strict=True)
    ]
    params = {
        "project_id": project_id,
        "judge_id": version.judge_id,
        "version_id": version.pk,
        "purpose": int(Purpose.CALIBRATION),
        "now": now,
        "rows": orjson.dumps(rows).decode(),
    }
    with raw_cursor() as cursor:
        cursor.execute(load("evals", "put_judged"), params)
        kept = {(row[0], row[1]): (row[2], row[3]) for row in cursor.fetchall()}
        new = sum(is_new for _, is_new in kept.values())
        tallies = Tallies(project_id)
        tallies.add((version.judge_id, version.pk, int(Purpose.CALIBRATION), hour_of(now), SCORED, ""), new)
        tallies.write(cursor)
        _put_scores(cursor, project_id, version, ordered, {key: row[0] for key, row in kept.items()}, now)
    return new, len(kept) - new


def _put_scores(
    cursor: Any,
    project_id: int,
    version: JudgeVersion,
    judged: Sequence[NewJudged],
    ids: dict[tuple[UUID, int], int],
    now: datetime,
) -> None:
    whole = [each for each in judged if not each.is_part]
    kept = [f"{ids[each.trace_id, each.span_id]} {score.name}" for each in whole for score in each.scores]
    cursor.execute(
        "DELETE FROM evals_score WHERE judgement_id = ANY(%s) AND NOT judgement_id || ' ' || name = ANY(%s)",
        ([ids[each.trace_id, each.span_id] for each in whole], kept),
    )
    flat = [(each, score) for each in judged for score in each.scores]
    rows = [
        {
            "score_id": score_id,
            "judgement_id": ids[each.trace_id, each.span_id],
            "target_kind": 2 if each.span_id else 1,
            "trace_id": each.trace_id,
            "span_id": each.span_id,
            "session_id": each.session_id or None,
            "started_at": each.started_at,
            "name": score.name,
            "data_type": score.data_type,
            "number": score.number,
            "label": score.label,
            "comment": score.reason and mask_text(project_id, score.reason),
            "evidence": [mask_text(project_id, quote) for quote in score.evidence] or None,
            "pi": each.pi,
            "made_at": each.at,
        }
        for score_id, (each, score) in zip(new_ids(len(flat)), flat, strict=True)
    ]
    params = {
        "project_id": project_id,
        "source": JUDGE,
        "judge_id": version.judge_id,
        "version_id": version.pk,
        "rubric_version_id": version.rubric_version_id,
        "now": now,
        "rows": orjson.dumps(rows).decode(),
    }
    cursor.execute(load("evals", "put_judge_scores"), params)
