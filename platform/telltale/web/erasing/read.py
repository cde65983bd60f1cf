"""Erasures as pages, REST and the command show them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from telltale.web.erasing.asking import KINDS as ASKED
from telltale.web.erasing.asking import is_stopped
from telltale.web.models import Erasure

KINDS = {
    "trace": "Trace", "session": "Session", "user": "User", "late": "Late parts of", "project": "Project",
    "organisation": "Organisation",
}  # fmt: skip
PHASES = {
    "settling": "waiting until every door refuses what still arrives",
    "finding": "finding what is stored",
    "removing": "removing",
    "cleaning": "taking ids out of what stays",
    "verifying": "searching every table for what is left",
}


@dataclass(frozen=True, slots=True)
class Receipt:
    """An erasure, ready to be shown. `subject` is what a receipt may say of it: a hint."""

    id: int
    kind: str
    subject: str
    key: str
    state: str
    word: str
    ribbon: str
    phase: str
    asked_by: str
    asked_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    verified_at: datetime | None
    done: int
    total: int | None
    error: str
    removed: tuple[tuple[str, int], ...]
    replaced: tuple[tuple[str, int], ...]
    kept: tuple[tuple[str, int], ...]
    remaining: tuple[tuple[str, int], ...]
    lifted_at: datetime | None
    lifted_by: str
    may_lift: bool
    may_retry: bool

    @property
    def is_over(self) -> bool:
        """Whether nothing more will happen by itself."""
        return self.state in {"done", "undone", "failed"} or self.may_retry

    @property
    def rows(self) -> int:
        """How many rows it removed."""
        return sum(n for _, n in self.removed)

    @property
    def values(self) -> int:
        """How many values it replaced."""
        return sum(n for _, n in self.replaced)

    @property
    def left(self) -> int:
        """How many rows were left at the last look."""
        return sum(n for _, n in self.remaining)

    @property
    def seconds(self) -> float | None:
        """From asking to the end."""
        return (self.finished_at - self.asked_at).total_seconds() if self.finished_at else None


def list_receipts(project_id: int, *, before: int | None = None, limit: int = 50) -> list[Receipt]:
    """The erasures of a project, newest first."""
    rows = Erasure.objects.filter(project_id=project_id).order_by("-pk")
    if before is not None:
        rows = rows.filter(pk__lt=before)
    return [receipt_of(row) for row in rows[:limit]]


def list_removed_projects(organisation_id: int, limit: int = 50) -> list[Receipt]:
    """The receipts of an organisation's projects that are gone, newest first."""
    rows = Erasure.objects.filter(organisation_id=organisation_id, kind="project", state="done").order_by("-pk")
    return [receipt_of(row) for row in rows[:limit]]


def list_of_organisation(slug: str, limit: int = 50) -> list[Receipt]:
    """The receipts of the removal of organisations of this slug, newest first; also of those that are gone."""
    rows = Erasure.objects.filter(project_id=0, project_slug=slug, kind="organisation").order_by("-pk")
    return [receipt_of(row) for row in rows[:limit]]


def find_erasure(project_id: int, erasure_id: int) -> Erasure | None:
    """One erasure of a project, None where it has none of this id."""
    return Erasure.objects.filter(project_id=project_id, pk=erasure_id).first()


def receipt_of(row: Erasure) -> Receipt:
    """A row as it is shown."""
    stopped = is_stopped(row)
    word, ribbon = _said(row, stopped)
    return Receipt(
        id=row.pk,
        kind=row.kind,
        subject=row.hint,
        key="" if row.kind in {"project", "organisation"} else row.subject_key.hex,
        state="failed" if stopped else row.state,
        word=word,
        ribbon=ribbon,
        phase=PHASES.get(row.phase, ""),
        asked_by=row.asked_by,
        asked_at=row.asked_at,
        started_at=row.started_at,
        finished_at=row.finished_at,
        verified_at=row.verified_at,
        done=row.done,
        total=None if row.total is None else max(row.total, row.done),
        error=row.error,
        removed=_sorted(row.removed),
        replaced=_sorted(row.replaced),
        kept=_sorted(row.kept),
        remaining=_sorted(row.remaining),
        lifted_at=row.lifted_at,
        lifted_by=row.lifted_by,
        may_lift=row.state == "done" and row.kind in ASKED and row.lifted_at is None,
        may_retry=stopped,
    )


def receipt_json(told: Receipt) -> dict[str, Any]:
    """A receipt as REST and the command print it."""
    return {
        "id": str(told.id),
        "kind": told.kind,
        "subject": told.subject,
        "key": told.key or None,
        "state": told.state,
        "phase": told.phase or None,
        "asked_by": told.asked_by,
        "asked_at": told.asked_at,
        "started_at": told.started_at,
        "finished_at": told.finished_at,
        "verified_at": told.verified_at,
        "traces_done": told.done,
        "traces_total": told.total,
        "error": told.error or None,
        "rows_removed": told.rows,
        "removed": dict(told.removed),
        "values_replaced": told.values,
        "replaced": dict(told.replaced),
        "kept": dict(told.kept),
        "rows_remaining": told.left if told.verified_at or told.remaining else None,
        "remaining": dict(told.remaining),
        "lifted_at": told.lifted_at,
        "lifted_by": told.lifted_by or None,
    }


def _said(row: Erasure, stopped: bool) -> tuple[str, str]:
    if stopped:
        return "Not finished", "bad"
    return {
        "waiting": ("Waiting", "none"),
        "running": ("Running", "watch"),
        "done": ("Done, nothing left", "ok"),
        "undone": ("Kept after all", "none"),
    }.get(row.state, (row.state, "none"))


def _sorted(counts: dict[str, int]) -> tuple[tuple[str, int], ...]:
    return tuple(sorted(((name, n) for name, n in counts.items() if n), key=lambda each: (-each[1], each[0])))
