"""Traffic that a biased judge saw a drawn part of, as rows: for tests and measurements of estimates."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from types import SimpleNamespace
from uuid import UUID

from django.db import connection

from evals import setup
from evals.models import Judge, JudgeVersion, Review, RubricVersion
from evals.write.ids import new_ids
from evals.write.score_sums import FLAG, ScoreSums
from evals.write.tallies import hour_of
from telltale.lib.db import raw_cursor

SPEC = {
    "criteria": [
        {"key": "correctness", "title": "Correctness", "definition": "Every claim is supported by a document.",
         "scale": {"kind": "points", "low": 1, "high": 5}, "flag_at_most": 2},
        {"key": "polite", "title": "Polite", "definition": "The answer greets and thanks.",
         "scale": {"kind": "boolean"}},
    ]
}  # fmt: skip


@dataclass
class Traffic:
    """What was made: the judge's version, and of every trace what people would say and what the judge said."""

    version: JudgeVersion
    truth: list[float] = field(default_factory=list)
    polite: list[float] = field(default_factory=list)
    judged: list[tuple[float, float, float, str, datetime]] = field(default_factory=list)  # y, polite, pi, feature, at


def make_judge(project, *, slug="quality", name="Answer quality", number=1, kind="rule", live=True, spec=SPEC):
    """A judge with one version, live."""
    rubric = setup.save_rubric(project, spec, slug=f"{slug}-rubric", name=f"{name} rubric")
    judge = Judge.objects.filter(project=project, slug=slug).first()
    judge = judge or Judge.objects.create(project=project, slug=slug, name=name, kind=kind)
    version = JudgeVersion.objects.create(
        judge=judge,
        number=number,
        rubric_version_id=rubric.id,
        config={},
        config_hash=f"{slug}{number}",
        model="small-1",
    )
    if live:
        Judge.objects.filter(pk=judge.pk).update(live_version=version)
    return version


def make_traffic(project, version, *, start, hours=48, an_hour=20, seed=1, failed=0.0, reviewed=0.0, plan_id=77):
    """Traces whose failures are all judged and whose rest at 1 in 5; `reviewed` of the judged are read by people.

    The judge gives half a point too much, and knows a part of what people see.
    """
    rng, made = random.Random(seed), Traffic(version)
    n = hours * an_hour
    ids, score_ids = iter(new_ids(n)), iter(new_ids(n * 6))
    judgements, scores, decisions, states, sums, reviews = [], [], {}, {}, ScoreSums(project.pk), []
    for at in range(n):
        started_at = start + timedelta(hours=at // an_hour, seconds=rng.randrange(3600))
        feature = rng.choice(["search", "search", "chat", ""])
        model, prompt = rng.choice(["m-small", "m-large"]), rng.choice(["v1", "v2"])
        is_error = rng.random() < 0.15
        person = float(min(5, max(1, round(rng.gauss(2.0 if is_error else 4.0, 0.8)))))
        judge = float(min(5, max(1, round(0.7 * person + 1.5 + rng.gauss(0, 0.6)))))
        polite = float(rng.random() < (0.4 if is_error else 0.9))
        made.truth.append(person)
        made.polite.append(polite)
        pi = 1.0 if is_error else 0.2
        taken = rng.random() < pi
        hour = hour_of(started_at)
        key = (hour, feature, model, prompt)
        covered, drawn = decisions.get(key, (0, 0))
        decisions[key] = (covered + 1, drawn + taken)
        if not taken:
            continue
        trace_id, judgement_id = UUID(int=rng.getrandbits(128)), next(ids)
        state = "failed" if rng.random() < failed else "scored"
        states[hour, state] = states.get((hour, state), 0) + 1
        flagged = judge <= 2
        judgements.append((judgement_id, trace_id, pi, state, started_at, feature, model, prompt, flagged))
        if state == "failed":
            continue
        made.judged.append((judge, polite, pi, feature, started_at))
        row = SimpleNamespace(
            judge_id=version.judge_id, judge_version_id=version.pk, plan_id=plan_id, started_at=started_at,
            feature=feature, model=model, prompt_version=prompt, stratum="",
        )  # fmt: skip
        for name, value in (("correctness", judge), ("polite", polite)):
            sums.add(row, name, value, None, pi)
            kind = 1 if name == "correctness" else 2
            scores.append((next(score_ids), 1, trace_id, started_at, name, kind, value, judgement_id, None, pi))
        sums.add(row, FLAG, float(flagged), None, pi)
        if rng.random() < reviewed:
            reviews.append((trace_id, started_at, person, pi))
    _insert(project, version, judgements, scores, decisions, states, plan_id)
    with raw_cursor() as cursor:
        sums.write(cursor)
    for trace_id, started_at, person, pi in reviews:
        add_review(project, version, trace_id, started_at, person, next(score_ids), pi=pi, pi_review=reviewed)
    return made


def add_review(project, version, trace_id, started_at, person, score_id, *, pi, pi_review, name="correctness"):
    """One person's score of a trace."""
    rubric = RubricVersion.objects.get(pk=version.rubric_version_id)
    review = Review.objects.create(
        project=project,
        rubric_version=rubric,
        trace_id=trace_id,
        reviewer_name="mara",
        pi_judge=pi,
        pi_review=pi_review,
    )
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO evals_score (project_id, score_id, source, target_kind, trace_id, started_at, name, data_type,"
            " number, rubric_version_id, review_id, author, made_at, updated_at)"
            " VALUES (%s, %s, 2, 1, %s, %s, %s, 1, %s, %s, %s, 'mara', now(), now())",
            [project.pk, score_id, trace_id, started_at, name, person, rubric.pk, review.pk],
        )
    return review


def _insert(project, version, judgements, scores, decisions, states, plan_id):
    about = (project.pk, version.judge_id, version.pk)
    with raw_cursor() as cursor:
        with cursor.copy(
            "COPY evals_judgement (project_id, judge_id, judge_version_id, judgement_id, target_kind, target_id,"
            " purpose, plan_id, pi, state, next_at, made_at, started_at, feature, model, prompt_version, is_flagged)"
            " FROM STDIN"
        ) as copy:
            for judgement_id, trace_id, pi, state, at, feature, model, prompt, flagged in judgements:
                row = (judgement_id, 1, trace_id, 1, plan_id, pi, state, at, at, at, feature, model, prompt, flagged)
                copy.write_row((*about, *row))
        with cursor.copy(
            "COPY evals_score (project_id, judge_id, judge_version_id, rubric_version_id, score_id, source,"
            " target_kind, trace_id, started_at, name, data_type, number, judgement_id, review_id, pi, made_at,"
            " updated_at) FROM STDIN"
        ) as copy:
            for score_id, source, trace_id, at, name, kind, value, judgement_id, review_id, pi in scores:
                row = (score_id, source, 1, trace_id, at, name, kind, value, judgement_id, review_id, pi, at, at)
                copy.write_row((*about, version.rubric_version_id, *row))
        for (hour, feature, model, prompt), (covered, taken) in decisions.items():
            cursor.execute(
                "INSERT INTO evals_decision_hour VALUES (%s, %s, %s, %s, %s, %s, %s, '', %s, %s, 0)",
                [project.pk, plan_id, version.judge_id, hour, feature, model, prompt, covered, taken],
            )
        for (hour, state), count in states.items():
            reason = "unparsable" if state == "failed" else ""
            cursor.execute(
                "INSERT INTO evals_judgement_hour VALUES (%s, %s, %s, 1, %s, %s, %s, %s, %s, 0, 0)"
                " ON CONFLICT (project_id, judge_version_id, purpose, hour, state, reason)"
                " DO UPDATE SET n = evals_judgement_hour.n + excluded.n",
                [*about, hour, state, reason, count, count],
            )
