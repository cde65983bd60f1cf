"""Projects with traces, rubrics, judgements and review queues, as the tests of reviews make them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.test import Client

from evals.models import Judge, JudgeVersion, RubricVersion
from evals.read.review import get_queue
from evals.reviewing.queues import WantedQueue, add_queue
from evals.setup import save_rubric
from evals.write.ids import new_id
from telltale.accounts.models import User
from telltale.lib.db import raw_cursor
from telltale.projects import keys
from telltale.projects.models import ProjectMember
from tests.web.looks import forget_stored

SPEC = {
    "criteria": [
        {
            "key": "correctness", "title": "Correctness", "definition": "Every claim stands in a source.",
            "scale": {"kind": "points", "low": 1, "high": 5},
        },
        {
            "key": "tone", "title": "Tone", "definition": "The answer is polite and plain.",
            "scale": {"kind": "points", "low": 1, "high": 5},
        },
        {"key": "safe", "title": "Safe", "definition": "Nothing in it can harm.", "scale": {"kind": "boolean"}},
    ]
}  # fmt: skip


def trace_hex(n):
    return f"{n:032x}"


def send_traces(project, n, *, first=1, session="", feature="returns", minutes=60, error=False):
    """`n` traces with a question, a retrieved document and an answer, through the public door; their ids as UUID."""
    forget_stored()
    secret = keys.make_key(project, "sender", ("ingest",)).secret
    start = datetime.now(UTC) - timedelta(minutes=minutes)
    traces = [
        {
            "trace_id": trace_hex(at), "name": "turn", "start": (start + timedelta(seconds=at)).isoformat(),
            "duration_ms": 900, "feature": feature, **({"session": session} if session else {}),
            **({"status": "error", "error": {"type": "timeout", "message": "too slow"}} if error else {}),
            "spans": [
                {
                    "name": "search", "kind": "retriever", "start": (start + timedelta(seconds=at)).isoformat(),
                    "duration_ms": 90, "input": f"question {at}",
                    "documents": [{"id": "holiday.md", "content": "Unopened items can be returned.", "score": 0.8}],
                },
                {
                    "name": "chat", "kind": "generation", "model": "gpt-4o-mini", "provider": "openai",
                    "start": (start + timedelta(seconds=at)).isoformat(), "duration_ms": 800,
                    "input": [{"role": "user", "content": f"Can I return item {at}?"}],
                    "output": [{"role": "assistant", "content": f"Yes, you can return item {at} within 60 days."}],
                    "usage": {"input_tokens": 900, "output_tokens": 20},
                },
            ],
        }
        for at in range(first, first + n)
    ]  # fmt: skip
    sender = Client(headers={"Authorization": f"Bearer {secret}"})
    answer = sender.post("/api/v1/traces", traces, "application/json")
    assert answer.status_code == 200, answer.content
    assert answer.json()["stored"] == 3 * n, answer.json()
    return [UUID(trace_hex(at)) for at in range(first, first + n)]


def member(project, name, role="reviewer"):
    person = User.objects.create(email=f"{name}@example.com", name=name.title())
    ProjectMember.objects.create(project=project, user=person, role=role)
    return person


def make_rubric(project, name="Answer quality", spec=None):
    return save_rubric(project, spec or SPEC, name=name)


def make_judge(project, rubric_version, slug="quality", kind="rule", live=True):
    """A judge with one version, and that version's row."""
    judge = Judge.objects.create(project=project, slug=slug, name=slug.title(), kind=kind)
    version = JudgeVersion.objects.create(
        judge=judge, number=1, rubric_version=RubricVersion.objects.get(pk=rubric_version.id), config_hash="0"
    )
    if live:
        judge.live_version, judge.live_since = version, datetime.now(UTC)
        judge.save()
    return version


def judged(
    project, version, trace_id, scores, *, pi=0.1, flagged=False, reason="Not in any source.", evidence=(), at=None
):
    """A scored judgement of a trace; `scores` by criterion. Its id."""
    judgement_id, now = new_id(), datetime.now(UTC)
    with raw_cursor() as cursor:
        cursor.execute(
            "INSERT INTO evals_judgement (project_id, judgement_id, judge_id, judge_version_id, target_kind, target_id,"
            " purpose, pi, state, next_at, made_at, done_at, started_at, feature, model, is_flagged)"
            " VALUES (%s, %s, %s, %s, 1, %s, 1, %s, 'scored', %s, %s, %s, %s, 'returns', 'gpt-4o-mini', %s)",
            (
                project.pk, judgement_id, version.judge_id, version.pk, trace_id, pi, now, now, now,
                at or now - timedelta(hours=1), flagged,
            ),
        )  # fmt: skip
        for name, number in scores.items():
            cursor.execute(
                "INSERT INTO evals_score (project_id, score_id, source, target_kind, trace_id, started_at, name,"
                " data_type, number, comment, evidence, judge_id, judge_version_id, judgement_id, pi, made_at,"
                " updated_at)"
                " VALUES (%s, %s, 1, 1, %s, %s, %s, 1, %s, %s, %s, %s, %s, %s, %s, %s, %s)",
                (
                    project.pk, new_id(), trace_id, now, name, number, reason, list(evidence), version.judge_id,
                    version.pk, judgement_id, pi, now, now,
                ),
            )  # fmt: skip
    return judgement_id


def make_queue(project, name="Flagged", **more):
    """A queue by hand of the rubric `answer-quality` unless told otherwise."""
    told = {"kind": "manual", "rubric": "answer-quality", "double_share": 0.0} | more
    made = add_queue(project, WantedQueue(name=name, **told))
    found = get_queue(project.pk, made.slug)
    assert found is not None
    return found
