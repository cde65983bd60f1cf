"""How long each kind of data is kept, and the proof that what is past its days is gone.

Rooms sweep and measure what is theirs; they write down here what they did: one row a project, kind and UTC day. A sweep
marks that it began before it removes anything, so one that never ends is seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from django.db.models import F, QuerySet, Subquery

from telltale.lib import clock
from telltale.projects.models import Project, RetentionDay, StoredSize

# What days are set for, and what follows the days of traces.
TEXT, TRACES, SCORES, DRIFT = "text", "traces", "scores", "drift"
# What has no days: it stays until the project is deleted.
TOTALS, INCIDENTS, DATASETS = "totals", "incidents", "datasets"
KINDS = (TEXT, TRACES, SCORES, DRIFT)
SIZED = (*KINDS, TOTALS, INCIDENTS, DATASETS)
# Sweeps run each hour; after this long without an end something is wrong.
LATE_AFTER = timedelta(hours=3)
# Text and drift go by whole UTC days: a row may lie a day longer, and an hour until the next sweep.
SLACK = timedelta(days=1, hours=3)
PROOF_DAYS = 400


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one run of a sweep did to one kind of one project."""

    rows: int
    bytes: int
    oldest_at: datetime | None
    is_done: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Measured:
    """What a project has stored of one kind; `week_bytes` began within the last `week_days` full days."""

    rows: int
    bytes: int
    week_bytes: int | None
    week_days: float | None
    is_sampled: bool


def days_of(project: Project, kind: str) -> int | None:
    """For how many days the project keeps this kind; None: until somebody deletes it."""
    return {
        TEXT: project.text_kept_days,
        TRACES: project.retention_days,
        DRIFT: project.retention_days,
        SCORES: project.score_days,
    }.get(kind)


def cutoff_of(project: Project, kind: str, now: datetime) -> datetime:
    """What began before this is past its days. Text goes by whole UTC days. ValueError for what has no days."""
    days = days_of(project, kind)
    if days is None:
        raise ValueError(kind)
    at = now - timedelta(days=days)
    return midnight(at) if kind == TEXT else at


def midnight(at: datetime) -> datetime:
    """The start of the UTC day that `at` lies in."""
    return at.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)


def begin(project_id: int, kind: str, cutoff: datetime) -> None:
    """Write down that a sweep begins."""
    now = clock.now()
    RetentionDay.objects.update_or_create(
        project_id=project_id,
        kind=kind,
        day=now.astimezone(UTC).date(),
        create_defaults={"began_at": now, "cutoff_at": cutoff},
        defaults={"began_at": now, "cutoff_at": cutoff},
    )


def end(project_id: int, kind: str, outcome: Outcome) -> None:
    """Write down what the sweep that began last did; over midnight its row is the one it began."""
    _last(project_id, kind).update(
        runs=F("runs") + 1,
        rows=F("rows") + outcome.rows,
        bytes=F("bytes") + outcome.bytes,
        ended_at=clock.now(),
        oldest_at=outcome.oldest_at,
        is_done=outcome.is_done,
        reason=outcome.reason[:200],
    )


def add(project_id: int, kind: str, rows: int, size: int) -> None:
    """Add to what the last sweep removed: partitions that held rows of the project went after it."""
    _last(project_id, kind).update(rows=F("rows") + rows, bytes=F("bytes") + size)


def _last(project_id: int, kind: str) -> QuerySet[RetentionDay]:
    rows = RetentionDay.objects.filter(project_id=project_id, kind=kind)
    return RetentionDay.objects.filter(pk=Subquery(rows.order_by("-day").values("pk")[:1]))


def forget_old(now: datetime) -> int:
    """Drop proofs that are older than `PROOF_DAYS`."""
    return RetentionDay.objects.filter(day__lt=(now - timedelta(days=PROOF_DAYS)).date()).delete()[0]


def put_size(project_id: int, kind: str, measured: Measured) -> None:
    """Keep what was measured."""
    values = {
        "rows": measured.rows,
        "bytes": measured.bytes,
        "week_bytes": measured.week_bytes,
        "week_days": measured.week_days,
        "is_sampled": measured.is_sampled,
        "measured_at": clock.now(),
    }
    StoredSize.objects.update_or_create(project_id=project_id, kind=kind, defaults=values)


def read_sizes(project: Project) -> dict[str, StoredSize]:
    """What was measured last, by kind; kinds that were never measured are not there."""
    return {row.kind: row for row in StoredSize.objects.filter(project=project)}


def read_last(project: Project) -> dict[str, RetentionDay]:
    """The last day of sweeps by kind; kinds that were never swept are not there."""
    rows = RetentionDay.objects.filter(project=project).order_by("kind", "-day").distinct("kind")
    return {row.kind: row for row in rows}


def read_proofs(project: Project, limit: int = 60) -> list[RetentionDay]:
    """Days on which something was removed, or that did not end well; newest first."""
    rows = RetentionDay.objects.filter(project=project).exclude(rows=0, is_done=True)
    return list(rows.order_by("-day", "kind")[:limit])


def is_late(last: RetentionDay | None, now: datetime, made_at: datetime) -> bool:
    """Whether sweeps of a kind stand still: none ended for `LATE_AFTER`, or one began and never ended."""
    since = (last.ended_at or last.began_at) if last is not None else made_at
    return now - since > LATE_AFTER


def is_overdue(last: RetentionDay | None) -> bool:
    """Whether the last sweep left rows that are past their days by more than it may."""
    return last is not None and last.oldest_at is not None and last.oldest_at < last.cutoff_at - SLACK


def each_project() -> list[Project]:
    """Every project in the order in which sweeps take them: whose last sweep is longest ago comes first."""
    last: dict[int, datetime] = {}
    for project_id, began_at in RetentionDay.objects.order_by("began_at").values_list("project_id", "began_at"):
        last[project_id] = began_at
    never = datetime.min.replace(tzinfo=UTC)
    return sorted(Project.objects.all(), key=lambda project: (last.get(project.pk, never), project.pk))
