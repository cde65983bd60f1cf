"""Rows of questions, of reports about monitors, of proposals, and of how often charts were looked at."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date, datetime, timedelta
from typing import Any

from django.db import connection

from alerts.models import ChartView, MetricReport, Monitor, Proposal, Question, QuestionMonitor, QuestionSettings

OPEN, ACCEPTED, REFUSED, UNDONE, GONE = "open", "accepted", "refused", "undone", "gone"
EVERY = timedelta(days=1)
# A report that somebody works on is not made by another meanwhile; one that died is made again.
CLAIMED = timedelta(minutes=15)

_CLAIM = """
    UPDATE alerts_metricreport SET state = 'working', made_at = %(now)s
    WHERE project_id IN (
        SELECT project_id FROM alerts_metricreport
        WHERE state = 'waiting' OR (state IN ('done', 'failed') AND coalesce(made_at, asked_at) < %(stale)s)
            OR (state = 'working' AND made_at < %(dead)s)
        ORDER BY asked_at LIMIT %(limit)s FOR UPDATE SKIP LOCKED
    )
    RETURNING project_id
"""
_LACKING = """
    INSERT INTO alerts_metricreport (project_id, state, body, error, asked_at)
    SELECT DISTINCT m.project_id, 'waiting', '{}'::jsonb, '', %(now)s::timestamptz FROM alerts_monitor AS m
    WHERE m.archived_at IS NULL AND NOT EXISTS (SELECT FROM alerts_metricreport AS r WHERE r.project_id = m.project_id)
    ON CONFLICT DO NOTHING
"""
_SEEN = """
    INSERT INTO alerts_chartview (project_id, monitor_id, day, views) VALUES (%s, %s, %s, 1)
    ON CONFLICT (monitor_id, day) DO UPDATE SET views = alerts_chartview.views + 1
"""


def insert(project_id: int, *, by_id: int | None, **fields: Any) -> Question:
    """A new question, after the others."""
    last = Question.objects.filter(project_id=project_id).order_by("-position").values_list("position", flat=True)
    return Question.objects.create(
        project_id=project_id, created_by_id=by_id, position=(last.first() or 0) + 1, **fields
    )


def lock(project_id: int, question_id: int) -> Question | None:
    """The question, held until the transaction ends; None where it is not there or was put away."""
    return (
        Question.objects.select_for_update(no_key=True)
        .filter(project_id=project_id, pk=question_id, archived_at=None)
        .first()
    )


def put(held: Question, **fields: Any) -> None:
    """Set columns of a locked question."""
    for name, value in fields.items():
        setattr(held, name, value)
    held.save(update_fields=list(fields))


def bind(question_id: int, monitor_ids: Sequence[int]) -> None:
    """The monitors that answer a question, in this order, and no others."""
    QuestionMonitor.objects.filter(question_id=question_id).exclude(monitor_id__in=monitor_ids).delete()
    QuestionMonitor.objects.bulk_create(
        [QuestionMonitor(question_id=question_id, monitor_id=each, position=at) for at, each in enumerate(monitor_ids)],
        update_conflicts=True,
        unique_fields=["question", "monitor"],
        update_fields=["position"],
    )


def watched(project_id: int) -> dict[int, str]:
    """Metrics of the monitors of a project that are not put away, by id."""
    rows = Monitor.objects.filter(project_id=project_id, archived_at=None)
    return dict(rows.order_by("pk").values_list("pk", "metric"))


def put_settings(project_id: int, *, by_id: int | None, **fields: Any) -> None:
    """Keep what a project says of its worths."""
    QuestionSettings.objects.update_or_create(project_id=project_id, defaults={**fields, "changed_by_id": by_id})


def put_report(project_id: int, body: dict[str, Any], now: datetime) -> None:
    """Keep a report in the place of the one before."""
    MetricReport.objects.update_or_create(
        project_id=project_id,
        defaults={"state": "done", "body": body, "error": "", "made_at": now},
        create_defaults={"state": "done", "body": body, "error": "", "made_at": now, "asked_at": now},
    )


def ask_report(project_id: int, now: datetime) -> None:
    """Ask for a report; it is made within a minute."""
    MetricReport.objects.update_or_create(
        project_id=project_id, defaults={"state": "waiting"}, create_defaults={"state": "waiting", "asked_at": now}
    )


def fail_report(project_id: int, error: str) -> None:
    """Say why a report could not be made; the one before stays."""
    MetricReport.objects.filter(project_id=project_id).update(state="failed", error=error[:400])


def claim_reports(now: datetime, limit: int) -> list[int]:
    """Projects whose report is due, held for whoever asked."""
    with connection.cursor() as cursor:
        cursor.execute(_LACKING, {"now": now})
        cursor.execute(_CLAIM, {"now": now, "stale": now - EVERY, "dead": now - CLAIMED, "limit": limit})
        return [project_id for (project_id,) in cursor.fetchall()]


def propose(
    project_id: int,
    monitor_id: int,
    kind: str,
    into_id: int | None,
    reasons: list[str],
    evidence: dict[str, Any],
    now: datetime,
    *,
    not_since: datetime,
) -> None:
    """Open a proposal, or bring the open one up to date. Nothing where it was refused or undone since `not_since`."""
    said = Proposal.objects.filter(monitor_id=monitor_id, state__in=(REFUSED, UNDONE), decided_at__gte=not_since)
    if said.exists():
        return
    told = {"kind": kind, "into_id": into_id, "reasons": reasons, "evidence": evidence}
    if not Proposal.objects.filter(monitor_id=monitor_id, state=OPEN).update(**told):
        Proposal.objects.create(project_id=project_id, monitor_id=monitor_id, made_at=now, **told)


def take_back_proposals(project_id: int, still: Sequence[int], now: datetime) -> int:
    """End the open proposals of monitors not in `still`; how many."""
    rows = Proposal.objects.filter(project_id=project_id, state=OPEN).exclude(monitor_id__in=still)
    return rows.update(state=GONE, decided_at=now)


def lock_proposal(project_id: int, proposal_id: int) -> Proposal | None:
    """The proposal, held until the transaction ends."""
    return (
        Proposal.objects.select_for_update(no_key=True).filter(project_id=project_id, pk=proposal_id).first()
    )


def put_proposal(held: Proposal, **fields: Any) -> None:
    """Set columns of a locked proposal."""
    for name, value in fields.items():
        setattr(held, name, value)
    held.save(update_fields=list(fields))


def add_view(project_id: int, monitor_id: int, day: date) -> None:
    """Count that somebody looked at a monitor on a day."""
    with connection.cursor() as cursor:
        cursor.execute(_SEEN, (project_id, monitor_id, day))


def forget_views(before: date) -> int:
    """Remove counts of days before `before`; how many."""
    return ChartView.objects.filter(day__lt=before).delete()[0]


def decided(held: Proposal, state: str, by_id: int | None, now: datetime, note: str = "") -> None:
    """Write down what a person said of a proposal."""
    put_proposal(held, state=state, decided_by_id=by_id, decided_at=now, note=note[:400])

