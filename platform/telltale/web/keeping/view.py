"""What the Retention page and its REST twin say, kind by kind."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from telltale.projects import keeping
from telltale.projects.keeping import DATASETS, DRIFT, INCIDENTS, SCORES, TEXT, TOTALS, TRACES
from telltale.projects.models import Project, RetentionDay
from telltale.rest import form

WORDS = {
    TEXT: ("Text", "Bodies, log events, previews and the search over them. Their traces stay, without words."),
    TRACES: ("Traces", "Traces, spans, sessions, signals, comments. What was counted of them stays in charts."),
    SCORES: ("Scores", "Scores, judgements, reviews, calibrations that a newer one has followed."),
    DRIFT: ("Samples for drift", "Samples and vectors go with their traces. Frozen references stay: they are numbers."),
    TOTALS: ("Totals", "Minutes go after 8 days, hours after 100. Days stay until the project is deleted."),
    INCIDENTS: ("Incidents and monitors", "Stay until they or the project are deleted. Points of charts: 400 days."),
    DATASETS: ("Datasets and experiments", "Stay until somebody deletes them."),
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class KindRow:
    """One kind of data: days, size, growth, where it levels off, and its last sweep. None is unknown."""

    kind: str
    label: str
    what: str
    days: int | None
    rows: int | None
    bytes: int | None
    is_sampled: bool
    day_bytes: float | None
    level_bytes: float | None
    measured_at: datetime | None
    swept_at: datetime | None
    removed_rows: int | None
    removed_bytes: int | None
    oldest_at: datetime | None
    cutoff_at: datetime | None
    standing: str  # "none" (nothing to sweep), "due", "ok", "working", "late"
    reason: str

    @property
    def ribbon(self) -> str:
        """The tone of the standing."""
        return {"ok": "ok", "late": "bad", "working": "watch"}.get(self.standing, "none")

    @property
    def word(self) -> str:
        """The standing in a word."""
        return {"ok": "Done", "late": "Late", "working": "Goes on", "due": "Not run yet"}.get(self.standing, "")


def read_kinds(project: Project, now: datetime) -> list[KindRow]:
    """Every kind of data of the project."""
    sizes, last = keeping.read_sizes(project), keeping.read_last(project)
    rows = []
    for kind in keeping.SIZED:
        size, swept, days = sizes.get(kind), last.get(kind), keeping.days_of(project, kind)
        day_bytes = None
        if size is not None and size.week_bytes is not None and size.week_days:
            day_bytes = size.week_bytes / size.week_days
        label, what = WORDS[kind]
        rows.append(
            KindRow(
                kind=kind,
                label=label,
                what=what,
                days=days,
                rows=size.rows if size else None,
                bytes=size.bytes if size else None,
                is_sampled=bool(size and size.is_sampled),
                day_bytes=day_bytes,
                level_bytes=day_bytes * days if day_bytes is not None and days is not None else None,
                measured_at=size.measured_at if size else None,
                swept_at=swept.ended_at if swept else None,
                removed_rows=swept.rows if swept else None,
                removed_bytes=swept.bytes if swept else None,
                oldest_at=swept.oldest_at if swept else None,
                cutoff_at=swept.cutoff_at if swept else None,
                standing=_standing(project, days, swept, now),
                reason=swept.reason if swept else "",
            )
        )
    return rows


def _standing(project: Project, days: int | None, swept: RetentionDay | None, now: datetime) -> str:
    if days is None:
        return "none"
    if keeping.is_late(swept, now, project.created_at) or keeping.is_overdue(swept):
        return "late"
    if swept is None or swept.ended_at is None:
        return "due"
    return "ok" if swept.is_done else "working"


def kind_json(row: KindRow) -> dict[str, Any]:
    """A kind as REST shows it."""
    return {
        "kind": row.kind,
        "kept_days": row.days,
        "rows": row.rows,
        "bytes": row.bytes,
        "is_sampled": row.is_sampled,
        "bytes_a_day": None if row.day_bytes is None else round(row.day_bytes),
        "levels_off_at_bytes": None if row.level_bytes is None else round(row.level_bytes),
        "measured_at": form.moment(row.measured_at),
        "last_sweep": None
        if row.standing in {"none", "due"}
        else {
            "at": form.moment(row.swept_at),
            "rows_removed_that_day": row.removed_rows,
            "bytes_removed_that_day": row.removed_bytes,
            "cutoff_at": form.moment(row.cutoff_at),
            "oldest_left_at": form.moment(row.oldest_at),
            "reason": row.reason,
        },
        "standing": row.standing,
    }


def proof_json(row: RetentionDay) -> dict[str, Any]:
    """One day of sweeps as REST shows it."""
    return {
        "day": row.day.isoformat(),
        "kind": row.kind,
        "runs": row.runs,
        "rows_removed": row.rows,
        "bytes_removed": row.bytes,
        "cutoff_at": form.moment(row.cutoff_at),
        "oldest_left_at": form.moment(row.oldest_at),
        "is_done": row.is_done,
        "reason": row.reason,
    }
