"""Backfills as lists show them; how far one is, with its judgements, is `evals.backfilling.progress`."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from evals.models import Backfill


@dataclass(frozen=True, slots=True)
class BackfillView:
    """A backfill. `traces_total` is what its estimate found, None where it was not known."""

    id: int
    judge_slug: str
    version: int
    query: str
    share: float
    state: str
    traces_total: int | None
    traces_seen: int
    queued: int
    estimate_pico: int | None
    created_by: str
    created_at: datetime
    finished_at: datetime | None

    @property
    def seen_share(self) -> float | None:
        """Of the traces it is about, the share it has looked at, in 0..1."""
        return min(self.traces_seen / self.traces_total, 1.0) if self.traces_total else None


def list_backfills(
    project_id: int, *, judge_id: int | None = None, before: int | None = None, limit: int = 20
) -> list[BackfillView]:
    """Backfills of a project or a judge, newest first; `before` is the last id of the page before. One query."""
    rows = Backfill.objects.select_related("judge_version__judge", "created_by").filter(project_id=project_id)
    if judge_id is not None:
        rows = rows.filter(judge_version__judge_id=judge_id)
    if before is not None:
        rows = rows.filter(pk__lt=before)
    return [view_of(row) for row in rows.order_by("-pk")[:limit]]


def view_of(row: Backfill) -> BackfillView:
    """A row as it is shown."""
    person = row.created_by
    return BackfillView(
        id=row.pk,
        judge_slug=row.judge_version.judge.slug,
        version=row.judge_version.number,
        query=row.query,
        share=row.share,
        state=row.state,
        traces_total=row.traces_total,
        traces_seen=row.traces_seen,
        queued=row.queued,
        estimate_pico=row.estimate_pico,
        created_by="" if person is None else str(person.name or person.email),
        created_at=row.created_at,
        finished_at=row.finished_at,
    )
