"""Rows of probe suites, their runs and alarms. State moves by conditional updates: the row count says who won."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date, datetime, timedelta
from typing import Any

from django.db.models import Max, Q
from django.db.models.functions import Now
from psycopg import Cursor

from evals.models import (
    Probe,
    ProbeAlarm,
    ProbeAnswer,
    ProbeBaseline,
    ProbeResult,
    ProbeRun,
    ProbeSeries,
    ProbeSuite,
    ProbeVersion,
)
from evals.write import spend
from evals.write.masked import mask_fields
from telltale.jobs import leases

RUNNING, DONE, FAILED, CANCELLED = "running", "done", "failed", "cancelled"
PENDING = "pending"
# Of an answer what its model and its judges say, and how many characters of it fit.
SAID = {
    "text": None, "tools": None, "checks": None, "error": 500, "finish_reason": 40, "model_answered": 200,
    "fingerprint": 200,
}  # fmt: skip
MANY = 500


def hold_suite(project_id: int, slug: str) -> ProbeSuite | None:
    """The suite, locked until the caller's transaction ends."""
    return ProbeSuite.objects.select_for_update(no_key=True).filter(project_id=project_id, slug=slug).first()


def hold_due(now: datetime, limit: int) -> list[ProbeSuite]:
    """Suites whose time has come, that nobody else holds; locked until the caller's transaction ends."""
    due = ProbeSuite.objects.filter(next_at__lte=now, paused_at=None, archived_at=None)
    return list(due.select_for_update(skip_locked=True, of=("self",), no_key=True).order_by("next_at")[:limit])


def add_version(probe: Probe, spec: Mapping[str, Any], hashed: str, by_id: int | None) -> ProbeVersion:
    """The next version of a probe, whose suite is locked."""
    last = probe.versions.aggregate(last=Max("number"))["last"] or 0
    return ProbeVersion.objects.create(
        probe=probe, number=last + 1, spec=dict(spec), spec_hash=hashed, created_by_id=by_id
    )


def add_run(
    suite: ProbeSuite, cause: str, repeats: Mapping[int, int], by_id: int | None, due_at: datetime | None
) -> ProbeRun:
    """A run with its answers that wait to be asked: so many of each series (by id). The suite is locked."""
    last = suite.runs.aggregate(last=Max("number"))["last"] or 0
    run = ProbeRun.objects.create(suite=suite, number=last + 1, cause=cause, made_by_id=by_id, due_at=due_at)
    ProbeBaseline.objects.filter(series_id__in=list(repeats), ended_at=None, first_run=None).update(first_run=run)
    rows = [
        ProbeAnswer(run=run, series_id=series_id, repeat=repeat)
        # One of each first: a run that is cut short has some of all.
        for repeat in range(1, max(repeats.values(), default=0) + 1)
        for series_id, n in repeats.items()
        if repeat <= n
    ]
    ProbeAnswer.objects.bulk_create(rows, batch_size=1000)
    return run


def series_for(versions: Iterable[int], targets: Iterable[int]) -> list[ProbeSeries]:
    """The series of each version at each target, made with an empty baseline where they are new."""
    pairs = [(version, target) for version in versions for target in targets]
    ProbeSeries.objects.bulk_create(
        [ProbeSeries(version_id=version, target_id=target) for version, target in pairs], ignore_conflicts=True
    )
    found = list(
        ProbeSeries.objects.filter(
            version_id__in={version for version, _ in pairs}, target_id__in={target for _, target in pairs}
        ).order_by("pk")
    )
    there = set(ProbeBaseline.objects.filter(series__in=found).values_list("series_id", flat=True))
    ProbeBaseline.objects.bulk_create(
        [ProbeBaseline(series=one, number=1, reason="the first answers") for one in found if one.pk not in there],
        ignore_conflicts=True,
    )
    return found


def move_run(run_id: int, to: str, **more: Any) -> bool:
    """End a run that is running; False where it is over."""
    rows = ProbeRun.objects.filter(pk=run_id, state=RUNNING)
    return rows.update(state=to, finished_at=Now(), **more) == 1


def take_pending(run_id: int, connection_id: int, limit: int, seconds: float) -> list[ProbeAnswer]:
    """Up to `limit` answers whose call is due, held for `seconds`, their attempts counted: before any call is made."""
    due = Q(next_at=None) | Q(next_at__lte=Now())
    rows = ProbeAnswer.objects.filter(due, run_id=run_id, state=PENDING, series__target__connection_id=connection_id)
    return leases.claim(rows, seconds=seconds, limit=limit)


def count_pending(run_id: int) -> int:
    """How many answers of a run still wait."""
    return ProbeAnswer.objects.filter(run_id=run_id, state=PENDING).count()


def set_aside(reserved: Sequence[tuple[int, int | None]], day: date) -> None:
    """Write down what was set aside for the calls of answers (by id), so that a later runner can settle it."""
    for answer_id, pico in reserved:
        ProbeAnswer.objects.filter(pk=answer_id).update(reserved_pico=pico, reserved_day=day)


def let_go(answer_ids: Sequence[int]) -> None:
    """Let answers that were taken but not called be taken again, as if nobody had."""
    for row in ProbeAnswer.objects.filter(pk__in=list(answer_ids), state=PENDING):
        ProbeAnswer.objects.filter(pk=row.pk).update(lease_by="", lease_until=None, attempts=max(row.attempts - 1, 0))


def free_pending(cursor: Cursor[Any], project_id: int, run_id: int) -> None:
    """Let go of answers that a runner before this one held: it is dead. What was set aside may have been paid."""
    book = spend.Book(project_id)
    rows = ProbeAnswer.objects.select_for_update().filter(run_id=run_id, reserved_day__isnull=False)
    for reserved, day in rows.values_list("reserved_pico", "reserved_day"):
        if day is not None:
            book.add(spend.WHOLE, day, spend.lost(reserved))
    book.write(cursor)
    ProbeAnswer.objects.filter(run_id=run_id, reserved_day__isnull=False).update(reserved_pico=None, reserved_day=None)
    ProbeAnswer.objects.filter(run_id=run_id, state=PENDING).update(lease_by="", lease_until=None)


def take_reserved(answer_id: int) -> date | None:
    """The day of which money was set aside for a call that is over now; None where another has settled it."""
    rows = ProbeAnswer.objects.select_for_update().filter(pk=answer_id, reserved_day__isnull=False)
    day = rows.values_list("reserved_day", flat=True).first()
    if day is not None:
        ProbeAnswer.objects.filter(pk=answer_id).update(reserved_pico=None, reserved_day=None)
    return day


def end_call(project_id: int, answer_id: int, values: Mapping[str, Any]) -> bool:
    """Write down how the calls for one answer ended, masked by the project's rules; False where it was over already."""
    rows = ProbeAnswer.objects.filter(pk=answer_id, state=PENDING)
    told = mask_fields(project_id, values, SAID)
    return rows.update(done_at=Now(), lease_by="", lease_until=None, **told) == 1


def call_again(answer_id: int, after: timedelta) -> bool:
    """Have an answer's call made again, not before `after`; False where it is over."""
    rows = ProbeAnswer.objects.filter(pk=answer_id, state=PENDING)
    return rows.update(next_at=Now() + after, lease_by="", lease_until=None) == 1


def give_up(run_id: int, why: str, connection_id: int | None = None) -> int:
    """End every answer that still waits as failed, for this reason; how many."""
    rows = ProbeAnswer.objects.filter(run_id=run_id, state=PENDING)
    if connection_id is not None:
        ids = rows.filter(series__target__connection_id=connection_id).values_list("pk", flat=True)
        rows = ProbeAnswer.objects.filter(pk__in=list(ids), state=PENDING)
    return rows.update(state=FAILED, error=why[:500], done_at=Now(), lease_by="", lease_until=None)


def keep_checked(rows: Sequence[ProbeAnswer]) -> None:
    """Write the vectors and what the checks said of answers."""
    ProbeAnswer.objects.bulk_update(rows, ["vector", "encoder", "checks", "passed"], batch_size=MANY)


def keep_results(results: Sequence[ProbeResult]) -> None:
    """Write what a run found, once."""
    ProbeResult.objects.bulk_create(results, batch_size=MANY, ignore_conflicts=True)


def set_states(states: Mapping[int, str], at: datetime) -> None:
    """Write the states of series that changed."""
    for state in set(states.values()):
        ids = [key for key, value in states.items() if value == state]
        ProbeSeries.objects.filter(pk__in=ids).exclude(state=state).update(state=state, state_at=at)


def new_baseline(
    series_id: int,
    first_run: ProbeRun | None,
    passes: int,
    runs: int,
    reason: str,
    by_id: int | None,
    *,
    is_full: bool = False,
) -> ProbeBaseline:
    """A baseline after the current one, which ends; without a run it begins with the next. The suite is locked."""
    last = ProbeBaseline.objects.filter(series_id=series_id).aggregate(last=Max("number"))["last"] or 0
    ProbeBaseline.objects.filter(series_id=series_id, ended_at=None).update(ended_at=Now())
    return ProbeBaseline.objects.create(
        series_id=series_id, number=last + 1, first_run=first_run, passes=passes, runs=runs, reason=reason,
        made_by_id=by_id, frozen_at=Now() if is_full else None,
    )  # fmt: skip


def close_alarm(alarm_id: int, verdict: str, note: str = "", by_id: int | None = None) -> bool:
    """Close an open alarm; False where it is closed."""
    rows = ProbeAlarm.objects.filter(pk=alarm_id, closed_at=None)
    return rows.update(closed_at=Now(), verdict=verdict, note=note, closed_by_id=by_id) == 1


_OLD_ANSWERS = """
DELETE FROM evals_probeanswer WHERE id = ANY (ARRAY(
    SELECT a.id FROM evals_probesuite AS s
    JOIN evals_proberun AS r ON r.suite_id = s.id AND r.created_at < %(cutoff)s AND r.state <> 'running'
    JOIN evals_probeanswer AS a ON a.run_id = r.id
    WHERE s.project_id = %(project)s AND NOT EXISTS (
        SELECT FROM evals_proberesult AS l WHERE l.run_id = a.run_id AND l.series_id = a.series_id AND l.was_learned
    )
    LIMIT %(limit)s
))
"""


def forget_answers(cursor: Cursor[Any], project_id: int, cutoff: datetime, limit: int) -> int:
    """Remove answers of runs before `cutoff`, at most `limit`; how many. What baselines learned from stays."""
    cursor.execute(_OLD_ANSWERS, {"project": project_id, "cutoff": cutoff, "limit": limit})
    return cursor.rowcount
