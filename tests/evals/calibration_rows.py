"""Rows for tests of calibration: a judge with versions, labels of people and scores of judges, written plainly."""

from __future__ import annotations

from datetime import UTC, datetime
from itertools import count
from uuid import UUID

from django.db import connection

from evals.models import Judge, JudgeVersion, Review, Rubric, RubricVersion

POINTS = {"kind": "points", "low": 1, "high": 5}
DEFINITION = "Every claim in the answer is supported by a document."
_ids = count(1_000)


def spec(*keys, definition=DEFINITION, scale=POINTS, flag=2):
    criteria = [
        {"key": key, "title": key.capitalize(), "definition": definition, "scale": scale}
        | ({} if flag is None else {"flag_at_most": flag})
        for key in keys or ("correctness",)
    ]
    return {"criteria": criteria}


def make_rubric(project, rubric_spec=None, slug="answers", number=1):
    rubric, _ = Rubric.objects.get_or_create(project=project, slug=slug, defaults={"name": slug})
    return RubricVersion.objects.create(rubric=rubric, number=number, spec=rubric_spec or spec(), spec_hash="x")


def make_version(project, rubric=None, *, slug="quality", number=1, kind="external", is_live=True, config=None):
    """A version of a judge; `is_live` puts it in production."""
    judge, _ = Judge.objects.get_or_create(
        project=project, slug=slug, defaults={"name": "Answer quality", "kind": kind}
    )
    version = JudgeVersion.objects.create(
        judge=judge,
        number=number,
        rubric_version=rubric or make_rubric(project),
        config=config or {},
        config_hash=str(number),
    )
    if is_live:
        judge.live_version = version
        judge.live_since = datetime(2026, 11, 1, tzinfo=UTC)
        judge.save()
    return version


def trace_of(n):
    return UUID(int=n + 1)


def add_judge_score(project, version, trace_id, number=None, *, label=None, name="correctness", span_id=0, **more):
    """A judge's score; `judgement` names its row of the queue, `pi` the chance the target had."""
    at = more.get("at", datetime(2026, 11, 10, tzinfo=UTC))
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO evals_score (project_id, score_id, source, target_kind, trace_id, span_id, started_at, name,"
            " data_type, number, label, comment, judge_id, judge_version_id, judgement_id, pi, made_at, updated_at)"
            " VALUES (%s, %s, 1, %s, %s, %s, %s, %s, 1, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                project.pk, next(_ids), 2 if span_id else 1, trace_id, span_id, at, name, number, label,
                more.get("comment"), version.judge_id, version.pk, more.get("judgement"), more.get("pi"), at, at,
            ],
        )  # fmt: skip


def add_judgement(project, version, trace_id, *, repeat=0, purpose=1, state="scored", **more):
    """A row of the queue of judging; its id."""
    judgement_id = next(_ids)
    at = datetime(2026, 11, 10, tzinfo=UTC)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO evals_judgement (project_id, judgement_id, judge_id, judge_version_id, target_kind, target_id,"
            " repeat, purpose, pi, state, next_at, made_at, done_at, started_at, feature, model, prompt_version,"
            " is_flagged, answer, cost_pico)"
            " VALUES (%s, %s, %s, %s, 1, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                project.pk, judgement_id, version.judge_id, version.pk, trace_id, repeat, purpose, more.get("pi"),
                state, at, at, at, at, more.get("feature", ""), more.get("model", ""), more.get("prompt_version", ""),
                more.get("is_flagged"), more.get("answer"), more.get("cost_pico"),
            ],
        )  # fmt: skip
    return judgement_id


def add_label(project, rubric, trace_id, number=None, *, by="ann@example.com", label=None, name="correctness", **more):
    """A review with one score: `blind`, `adjudication`, `undone`, `skip`, `pi_judge`, `pi_review` as in a row."""
    at = more.get("at", datetime(2026, 11, 12, tzinfo=UTC))
    review = Review.objects.create(
        project=project,
        rubric_version=rubric,
        trace_id=trace_id,
        reviewer_name=by,
        was_blind=more.get("blind", True),
        is_adjudication=more.get("adjudication", False),
        is_skip=more.get("skip", False),
        undone_at=at if more.get("undone") else None,
        pi_judge=more.get("pi_judge"),
        pi_review=more.get("pi_review"),
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO evals_score (project_id, score_id, source, target_kind, trace_id, span_id, started_at, name,"
            " data_type, number, label, comment, review_id, rubric_version_id, author, session_id, made_at, updated_at)"
            " VALUES (%s, %s, 2, 1, %s, 0, %s, %s, 1, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
            [
                project.pk, next(_ids), trace_id, at, name, number, label, more.get("note"), review.pk, rubric.pk, by,
                more.get("session"), at, at,
            ],
        )  # fmt: skip
    return review


def add_pairs(project, version, pairs, *, name="correctness", start=0, **more):
    """One labelled and judged trace for each (person, judge)."""
    for n, (person, judge) in enumerate(pairs, start):
        add_label(project, version.rubric_version, trace_of(n), person, name=name, **more)
        if judge is not None:
            add_judge_score(project, version, trace_of(n), judge, name=name, pi=more.get("pi_judge"))
