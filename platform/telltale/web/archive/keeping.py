"""Archives that lie in the database: listed, dropped after some days, and at once where somebody was erased since."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from django.db import connection
from django.db.models import Q

from telltale.jobs import work
from telltale.jobs.models import Job
from telltale.lib import clock
from telltale.projects.models import Project
from telltale.rest import form
from telltale.web.models import Archive

KEPT = timedelta(days=3)
OPEN_MAX = 2
_CHUNKS = """
    DELETE FROM web_archivechunk WHERE id IN (SELECT id FROM web_archivechunk WHERE archive_id = %s LIMIT 200)
"""


class Busy(Exception):
    """The project has as many exports under way as it may."""


@dataclass(frozen=True, slots=True)
class ArchiveRow:
    """An archive as pages and REST show it. `state`: waiting, running, done, failed, dropped."""

    id: int
    of: str
    is_csv: bool
    state: str
    rows: int
    bytes: int
    files: int
    asked_by: str
    created_at: datetime
    finished_at: datetime | None
    dropped_at: datetime | None
    kept_until: datetime | None
    error: str

    @property
    def is_here(self) -> bool:
        """Whether it can be downloaded."""
        return self.state == "done"

    @property
    def ribbon(self) -> str:
        """The tone of the state."""
        return {"done": "ok", "failed": "bad", "dropped": "none"}.get(self.state, "watch")

    @property
    def word(self) -> str:
        """The state in a word."""
        return self.state.capitalize()


def list_archives(project: Project, limit: int = 50) -> list[ArchiveRow]:
    """The newest archives of the project."""
    found = list(Archive.objects.filter(project=project).defer("manifest").order_by("-pk")[:limit])
    jobs = Job.objects.in_bulk([archive.job_id for archive in found if archive.job_id is not None])
    return [_row(archive, jobs.get(archive.job_id or 0)) for archive in found]


def find_archive(project: Project, archive_id: int) -> tuple[Archive, ArchiveRow] | None:
    """One archive of the project; None where there is none."""
    archive = Archive.objects.filter(project=project, pk=archive_id).first()
    if archive is None:
        return None
    return archive, _row(archive, Job.objects.filter(pk=archive.job_id or 0).first())


def check_room(project: Project) -> None:
    """Busy where `OPEN_MAX` exports of the project are under way already."""
    waiting = Archive.objects.filter(project=project, finished_at=None, dropped_at=None).values_list(
        "job_id", flat=True
    )
    if Job.objects.filter(pk__in=list(waiting), state__in=("pending", "running")).count() >= OPEN_MAX:
        raise Busy


def drop(archive: Archive) -> None:
    """Remove the files of an archive and whose they were; its row says when. One under way stops."""
    if archive.job_id is not None:
        work.cancel(archive.job_id)
    Archive.objects.filter(pk=archive.pk, dropped_at=None).update(dropped_at=clock.now(), user_id="", manifest=None)
    archive.traces.all().delete()
    with connection.cursor() as cursor:
        while True:
            cursor.execute(_CHUNKS, [archive.pk])
            if not cursor.rowcount:
                return


def sweep() -> int:
    """Drop archives past their days, and those made before somebody of their project was erased; how many."""
    now = clock.now()
    held = Archive.objects.filter(dropped_at=None, directory="")
    old = held.filter(Q(finished_at__lt=now - KEPT) | Q(finished_at=None, created_at__lt=now - 3 * KEPT))
    dropped = 0
    for archive in [*old, *held.filter(pk__in=_before_erasures())]:
        drop(archive)
        dropped += 1
    return dropped


def _before_erasures() -> list[int]:
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT DISTINCT a.id FROM web_archive AS a JOIN web_erasure AS e ON e.project_id = a.project_id"
            " WHERE a.dropped_at IS NULL AND a.directory = '' AND e.asked_at > a.created_at"
        )
        return [row[0] for row in cursor.fetchall()]


def _row(archive: Archive, job: Job | None) -> ArchiveRow:
    told = job.result if job is not None and isinstance(job.result, dict) else {}
    if archive.dropped_at is not None or (archive.directory and archive.finished_at is not None):
        state = "dropped"  # or never here: a command wrote it to a disk
    elif job is None:
        state = "done" if archive.finished_at is not None else "failed"
    else:
        state = {"pending": "waiting", "cancelled": "failed"}.get(job.state, job.state)
    return ArchiveRow(
        id=archive.pk,
        of="one user" if archive.user_id else "the project",
        is_csv=archive.is_csv,
        state=state,
        rows=int(told.get("rows", job.progress if job is not None else 0)),
        bytes=archive.bytes,
        files=int(told.get("files", 0)),
        asked_by=archive.asked_by,
        created_at=archive.created_at,
        finished_at=archive.finished_at,
        dropped_at=archive.dropped_at,
        kept_until=archive.finished_at + KEPT if archive.finished_at is not None else None,
        error=job.error if job is not None else "",
    )


def archive_json(row: ArchiveRow) -> dict[str, Any]:
    """An archive as REST shows it."""
    return {
        "id": row.id,
        "of": "user" if row.of == "one user" else "project",
        "csv": row.is_csv,
        "state": row.state,
        "rows": row.rows,
        "bytes": row.bytes,
        "files": row.files,
        "asked_by": row.asked_by,
        "asked_at": form.moment(row.created_at),
        "finished_at": form.moment(row.finished_at),
        "kept_until": form.moment(row.kept_until) if row.state == "done" else None,
        "error": row.error,
    }
