"""Making an archive: one file a step, each in a transaction with the job's place, so that a kill costs one step.

Traces go in slices of `SLICE_TRACES` in order of their id, which never changes; a slice with its spans, bodies, log
events, comments and labels is read in one snapshot. Every other table goes page by page in order of its key. What
arrives while the archive is made may be in it or not; each trace in it is whole as of its moment.
"""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Any
from uuid import UUID

import orjson
from django.db import transaction
from psycopg import errors, sql

from telltale.audit.log import record_in
from telltale.jobs import work
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.lib.rows import list_leaves
from telltale.projects.models import Project, StoredSize
from telltale.rest import form
from telltale.web.archive import reading
from telltale.web.archive.files import Part, csv_cells, write_small
from telltale.web.archive.plan import FORMAT, LEFT_OUT, TRACE_TABLES, Source, list_sources
from telltale.web.models import Archive, ArchiveChunk

JOB = "archive.export"
SLICE_TRACES = 1_000
SLICE_SPANS = 20_000
PAGE_ROWS = 10_000
PARTS = ".parts"
# Spans that name the user where their trace's row does not.
_FIND = """
    INSERT INTO web_archivetrace (archive_id, trace_id)
    SELECT DISTINCT {archive}, trace_id FROM {leaf} WHERE project_id = {project} AND user_id = {user}
    ON CONFLICT DO NOTHING
"""
_SLICE = """
    SELECT trace_id, started_at, last_started_at, span_count FROM traces_trace
    WHERE project_id = {project} AND trace_id > {after} {more}
    ORDER BY trace_id
    LIMIT {limit}
"""
_NO_TRACE = UUID(int=0)


def start(
    project: Project,
    *,
    by_id: int | None,
    by: str,
    user: str = "",
    is_csv: bool = False,
    directory: str = "",
    kind: str = JOB,
    request: Any = None,
) -> Archive:
    """Queue an export, with its line in the audit log. `user`: of that user of the project alone."""  # fmt: skip
    with transaction.atomic():
        archive = Archive.objects.create(project=project, user_id=user, is_csv=is_csv, directory=directory, asked_by=by)
        job = work.start(kind, project_id=project.pk, created_by_id=by_id, params={"archive": archive.pk})
        Archive.objects.filter(pk=archive.pk).update(job_id=job.pk)
        archive.job_id = job.pk
        told = {"archive": archive.pk, "of": "one user" if user else "the project", "csv": is_csv}
        record_in(project, "project.export", project.slug, request=request, actor=by, after=told)
    return archive


@work.register(JOB)
def export(run: work.Run) -> dict[str, Any]:
    """Make the archive that the job names, from where an earlier attempt stopped."""
    archive = Archive.objects.select_related("project").get(pk=run.params["archive"])
    if archive.dropped_at is not None:
        raise work.JobFailed("The archive was dropped meanwhile.")
    maker = _Maker(run, archive)
    while maker.step():
        pass
    return maker.finish()


class _Maker:
    """One attempt at an export. `cursor`: the table at hand, its place, and the parts that are there."""

    def __init__(self, run: work.Run, archive: Archive) -> None:
        self.run, self.archive, self.project = run, archive, archive.project
        self.sources = list_sources()
        self.cursor: dict[str, Any] = run.cursor or {"found": 0, "at": 0, "after": None, "part": 0, "rows": 0}
        if archive.directory:
            Path(archive.directory).mkdir(parents=True, exist_ok=True, mode=0o700)
        with raw_cursor() as cursor:
            self.leaves = ["traces_trace", *list_leaves(cursor, "traces_span")] if archive.user_id else []
        self.told: list[dict[str, Any]] = []
        # About how many rows there are, as measured last; of one user nobody knows.
        sizes = StoredSize.objects.filter(project=self.project).values_list("rows", flat=True)
        self.total = None if archive.user_id else sum(sizes) or None

    def _find(self) -> None:
        """Find traces of the user in one more place where spans lie."""
        query = sql.SQL(_FIND).format(
            archive=sql.Literal(self.archive.pk),
            leaf=sql.SQL(self.leaves[self.cursor["found"]]),
            project=sql.Literal(self.project.pk),
            user=sql.Literal(self.archive.user_id),
        )
        with transaction.atomic(), raw_cursor() as cursor:
            reading.begin(cursor)
            with contextlib.suppress(errors.UndefinedTable), transaction.atomic():
                cursor.execute(query, prepare=False)
            self.cursor["found"] += 1
            self._next(after=None, at=0)

    def _wanted(self, source: Source) -> sql.Composable | None:
        if self.archive.user_id:
            return source.of_user(self.project.pk, self.archive.pk, self.archive.user_id)
        return source.table.of_project(self.project.pk)

    def step(self) -> bool:
        """Write what comes next; False where nothing does."""
        if self.cursor["found"] < len(self.leaves):
            self._find()
            return True
        at = self.cursor["at"]
        if at >= len(self.sources):
            return False
        if self.sources[at].name == TRACE_TABLES[0]:
            self._step_traces()
        else:
            self._step_table(self.sources[at])
        return True

    def _step_traces(self) -> None:
        after = UUID(self.cursor["after"]) if self.cursor["after"] else _NO_TRACE
        of_user = sql.SQL("AND trace_id IN (SELECT trace_id FROM web_archivetrace WHERE archive_id = {})").format(
            sql.Literal(self.archive.pk)
        )
        query = sql.SQL(_SLICE).format(
            project=sql.Literal(self.project.pk),
            after=sql.Literal(after),
            more=of_user if self.archive.user_id else sql.SQL(""),
            limit=sql.Literal(SLICE_TRACES),
        )
        with transaction.atomic(), raw_cursor() as cursor:
            reading.begin(cursor)
            cursor.execute(query, prepare=False)
            found = cursor.fetchall()
            slice_: list[tuple[Any, ...]] = []
            spans = 0
            for row in found:
                if slice_ and spans + row[3] > SLICE_SPANS:
                    break
                slice_.append(row)
                spans += row[3]
            if not slice_:
                self._next(after=None, at=len([source for source in self.sources if source.name in TRACE_TABLES]))
                return
            bounds = (min(row[1] for row in slice_), max(row[2] for row in slice_))
            ids = [row[0] for row in slice_]
            self.cursor["part"] += 1
            for source in self.sources:
                if source.name in TRACE_TABLES:
                    self._write(source, reading.read_traces(source, self.project.pk, ids, bounds))
            self._next(after=slice_[-1][0].hex, at=self.cursor["at"])

    def _step_table(self, source: Source) -> None:
        wanted = self._wanted(source)
        if wanted is None:
            with transaction.atomic():
                self._next(after=None, at=self.cursor["at"] + 1)
            return
        with transaction.atomic(), raw_cursor() as cursor:
            reading.begin(cursor)
            self.cursor["part"] += 1
            rows, last = self._write(source, reading.read_page(source, wanted, self.cursor["after"], PAGE_ROWS))
            if rows < PAGE_ROWS:
                self._next(after=None, at=self.cursor["at"] + 1)
            else:
                self._next(after=list(last), at=self.cursor["at"])

    def _write(self, source: Source, rows: Any) -> tuple[int, tuple[str, ...]]:
        """One file of rows, and its twin as CSV; none where there are no rows. How many rows, and the last key."""
        part = twin = None
        last: tuple[str, ...] = ()
        columns = list(source.columns)
        stem = f"{source.name}-{self.cursor['part']:06d}"
        for line, key, cost_pico in rows:
            last = key
            if part is None:
                part = Part(f"{stem}.ndjson.gz")
                if self.archive.is_csv:
                    twin = Part(f"{stem}.csv.gz")
                    twin.add_cells(columns)
            part.add(line, cost_pico)
            if twin is not None:
                twin.add_cells(csv_cells(line, columns))
        if part is None:
            return 0, ()
        self.cursor["rows"] += part.rows
        self.told.append(part.keep(self.archive) | {"table": source.name})
        if twin is not None:
            self.told.append(twin.keep(self.archive) | {"table": source.name, "rows": part.rows})
        return part.rows, last

    def _next(self, *, after: Any, at: int) -> None:
        self.cursor |= {"after": after, "at": at}
        if self.told:
            # What the manifest will say of these files, with the step that made them.
            said, number = orjson.dumps(self.told), self.cursor["part"]
            ArchiveChunk.objects.create(archive=self.archive, name=PARTS, number=number, data=said)
            self.told = []
        self.run.step(cursor=self.cursor, progress=self.cursor["rows"], total=self.total)

    def finish(self) -> dict[str, Any]:
        """Write the manifest, and let go of what was found of the user."""
        said = ArchiveChunk.objects.filter(archive=self.archive, name=PARTS).order_by("number")
        parts = [part for data in said.values_list("data", flat=True) for part in orjson.loads(bytes(data))]
        tables: dict[str, dict[str, Any]] = {}
        for part in parts:
            if part["name"].endswith(".csv.gz"):
                continue
            held = tables.setdefault(part["table"], {"rows": 0, "cost_pico": 0})
            held["rows"] += part["rows"]
            held["cost_pico"] += int(part.get("cost_pico", 0))
        now = clock.now()
        manifest = {
            "telltale_archive": FORMAT,
            "source": f"{self.project.slug}:{self.project.pk}:{int(self.project.created_at.timestamp() * 1e6)}",
            "project": {
                "slug": self.project.slug, "name": self.project.name, "time_zone": self.project.time_zone,
                "text_days": self.project.text_days, "retention_days": self.project.retention_days,
                "score_days": self.project.score_days,
            },
            "of": "user" if self.archive.user_id else "project",
            "began_at": form.moment(self.archive.created_at),
            "finished_at": form.moment(now),
            "tables": {name: held | {"cost_pico": str(held["cost_pico"])} for name, held in sorted(tables.items())},
            "left_out": LEFT_OUT,
            "parts": parts,
        }  # fmt: skip
        with transaction.atomic():
            write_small(self.archive, "manifest.json", orjson.dumps(manifest, option=orjson.OPT_INDENT_2))
            size = sum(part["bytes"] for part in parts)
            Archive.objects.filter(pk=self.archive.pk).update(finished_at=now, bytes=size, manifest=manifest)
            self.archive.traces.all().delete()
            said.delete()
        rows = sum(held["rows"] for held in tables.values())
        return {"rows": rows, "bytes": size, "files": len(parts), "archive": self.archive.pk}
