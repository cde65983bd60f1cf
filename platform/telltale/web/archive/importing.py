"""Reading an archive into a project: from a directory or a tar file, in one pass, safe to stop and to repeat.

Every row passes the rules of the project that reads: what was erased there stays away, the rest is masked.
Rows that say by themselves which they are (traces, spans, signals, scores) are inserted where they are not there yet;
others get a number of this installation, remembered with that of the archive. At the end every table is counted and
its costs are summed, against the manifest.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import tarfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import orjson
from django.db import transaction
from psycopg import Cursor, errors, sql

import evals.archiving as scores
import traces.archiving as spans
from telltale.audit.log import record_in
from telltale.lib.db import raw_cursor
from telltale.lib.rowfiles import put_row
from telltale.lib.rows import Table, list_tables
from telltale.projects.models import Project
from telltale.web.archive.plan import FORMAT
from telltale.web.models import ImportedId
from traces.masks import read_masker

# By these rows it is known which traces somebody is named in.
LOOKED_AT = ("traces_trace", "traces_span")
ORDER = (*spans.NUMBERED, *spans.PLAIN, *scores.NUMBERED, *scores.PLAIN)
BATCH_ROWS = 2_000
BATCH_BYTES = 8 * 1024 * 1024
LINE_MAX = 256 * 1024 * 1024
MANIFEST_MAX = 64 * 1024 * 1024
STATEMENT_MS = 120_000


class BadArchive(Exception):
    """The archive cannot be read, or is not what its manifest says; the text says what."""


@dataclass(slots=True)
class TableRead:
    """What was read of one table: rows in the archive, new ones here, those that clashed; and whether sums agree.

    `erased` were erased in this project, with what they cost; of `dropped` nothing is kept without content; `changed`
    were masked.
    """

    rows: int = 0
    new: int = 0
    left: int = 0
    erased: int = 0
    erased_pico: int = 0
    dropped: int = 0
    changed: int = 0
    here: int | None = None
    cost_pico: int | None = None
    wanted_pico: int | None = None
    is_equal: bool | None = None


@dataclass(slots=True)
class Report:
    """What an import did, by table; what was masked, by rule; tables of the archive that are not read in."""

    tables: dict[str, TableRead] = field(default_factory=dict)
    masked: dict[str, int] = field(default_factory=dict)
    not_read: dict[str, int] = field(default_factory=dict)

    @property
    def is_equal(self) -> bool:
        """Whether every table that was read holds what the archive says."""
        return all(table.is_equal is not False for table in self.tables.values())


def read_archive(
    path: Path, project: Project, *, say: Callable[[str], None], merge: bool = False, actor: str = ""
) -> Report:
    """Read the archive at `path` into `project`. BadArchive, also where the project has traces of its own.

    `merge`: read it in all the same; traces that are there stay as they are, so sums may differ from the archive's.
    """
    with _opened(path) as files:
        manifest = files.manifest()
        source = str(manifest["source"])[:80]
        if not merge and _has_traces(project) and not _came_from(project, source):
            raise BadArchive(
                f"Project {project.slug} has traces of its own. Read it into an empty project, or give --merge."
            )
        told = {"source": source, "of": manifest.get("of"), "merge": merge}
        record_in(project, "project.import", project.slug, actor=actor, after=told)
        reader = _Reader(project, source, manifest, say)
        reader.note_source()
        parts = sorted(files.parts(manifest), key=lambda part: (ORDER.index(part["table"]), part["name"]))
        if reader.door.has_erased:
            for part in parts:
                reader.look(part, files)
        for part in parts:
            reader.read(part, files)
        return reader.finish()


class _Files:
    """The files of an archive, by name."""

    def __init__(self, open_: Callable[[str], IO[bytes]]) -> None:
        self.open = open_

    def manifest(self) -> dict[str, Any]:
        """What the archive says of itself. BadArchive where it is none of ours."""
        try:
            with self.open("manifest.json") as file:
                told = orjson.loads(file.read(MANIFEST_MAX))
            if told["telltale_archive"] != FORMAT:
                raise BadArchive(f"Format {told['telltale_archive']!r} is not known here; this version reads {FORMAT}.")
            for part in told["parts"]:
                int(told["tables"][part["table"]]["cost_pico"]), int(told["tables"][part["table"]]["rows"])
            if not isinstance(told["source"], str) or not all(_is_part(part) for part in told["parts"]):
                raise BadArchive("The manifest names files that no archive has.")
        except (OSError, KeyError, TypeError, ValueError, AttributeError, tarfile.TarError) as error:
            raise BadArchive("There is no archive: its manifest.json is missing or cannot be read.") from error
        return dict(told)

    def parts(self, manifest: dict[str, Any]) -> list[dict[str, Any]]:
        """The files that are read in."""
        return [part for part in manifest["parts"] if part["table"] in ORDER and part["name"].endswith(".ndjson.gz")]


def _is_part(part: Any) -> bool:
    name, rows = part["name"], part["rows"]
    is_named = isinstance(name, str) and Path(name).name == name and isinstance(part["table"], str)
    return is_named and isinstance(rows, int) and isinstance(part["sha256"], str)


@contextmanager
def _opened(path: Path) -> Iterator[_Files]:
    if path.is_dir():
        yield _Files(lambda name: open(path / name, "rb"))  # noqa: SIM115
        return
    try:
        with tarfile.open(path, "r:") as tar:
            members = {Path(member.name).name: member for member in tar if member.isfile()}

            def open_(name: str) -> IO[bytes]:
                file = tar.extractfile(members[name]) if name in members else None
                if file is None:
                    raise FileNotFoundError(name)
                return file

            yield _Files(open_)
    except (OSError, tarfile.TarError) as error:
        raise BadArchive(f"{path.name} is neither a directory nor a tar file that can be read.") from error


class _Hashed(io.RawIOBase):
    """A file that hashes what is read of it."""

    def __init__(self, file: IO[bytes]) -> None:
        self.file, self.digest = file, hashlib.sha256()

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        data = self.file.read(len(buffer))
        self.digest.update(data)
        buffer[: len(data)] = data
        return len(data)


class _Reader:
    """One pass over an archive."""

    def __init__(self, project: Project, source: str, manifest: dict[str, Any], say: Callable[[str], None]) -> None:
        self.project, self.source, self.manifest, self.say = project, source, manifest, say
        with raw_cursor() as cursor:
            self.tables = {table.name: table for table in list_tables(cursor)}
        self.report = Report()
        self.door = spans.Door.of(project.pk, read_masker(project.pk), scores.COLUMNS)
        for name, told in manifest.get("tables", {}).items():
            if name not in ORDER:
                self.report.not_read[name] = int(told["rows"])
        self.known: dict[tuple[str, int], int] = {
            (table, old): new
            for table, old, new in ImportedId.objects.filter(project=project, source=source).values_list(
                "table", "old_id", "new_id"
            )
        }

    def note_source(self) -> None:
        """Remember that rows of this archive are in the project: reading it again is then no surprise."""
        row = {"project": self.project, "source": self.source, "table": "", "old_id": 0}
        ImportedId.objects.get_or_create(**row, defaults={"new_id": 0})

    def look(self, part: dict[str, Any], files: _Files) -> None:
        """Look through one file for traces that were erased here, before anything is stored. BadArchive."""
        if part["table"] in LOOKED_AT:
            self._each_batch(part, files, self.door.look)

    def read(self, part: dict[str, Any], files: _Files) -> None:
        """Read one file in. BadArchive where it is not the file that the manifest means."""
        told = self.report.tables.setdefault(part["table"], TableRead())
        before = told.rows
        digest = self._each_batch(part, files, lambda batch: self._take(part["table"], batch, told))
        if digest != part["sha256"] or told.rows - before != part["rows"]:
            raise BadArchive(f"{part['name']} is not the file that the manifest means.")
        self.say(f"{part['name']}: {part['rows']:,} rows")

    def _each_batch(self, part: dict[str, Any], files: _Files, take: Callable[[list[bytes]], None]) -> str:
        """Do something with each batch of a file's lines; the file's digest. BadArchive."""
        try:
            with files.open(part["name"]) as file:
                hashed = _Hashed(file)
                with gzip.GzipFile(fileobj=io.BufferedReader(hashed, 1 << 20)) as lines:
                    for batch in _batches(lines):
                        take(batch)
        except (OSError, EOFError, gzip.BadGzipFile) as error:
            raise BadArchive(f"{part['name']} is missing or damaged.") from error
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise BadArchive(f"A row of {part['table']} is none.") from error
        return hashed.digest.hexdigest()

    def _take(self, name: str, lines: list[bytes], told: TableRead) -> None:
        table = self.tables[name]
        all_lines = len(lines)
        try:
            passed = self.door.take(name, lines)
            lines = passed.lines
            if name in spans.PLAIN:
                spans.make_days(name, lines)
            with transaction.atomic(), raw_cursor() as cursor:
                cursor.execute(f"SELECT set_config('statement_timeout', '{STATEMENT_MS}', true)".encode())
                if name in spans.NUMBERED or name in scores.NUMBERED:
                    new = self._take_numbered(cursor, table, lines, told)
                elif name in spans.PLAIN:
                    new = spans.read_in(cursor, table, lines, self.project.pk, self._ids("traces_price"))
                else:
                    ids = {parent: self._ids(parent) for parent in scores.NUMBERED}
                    new = scores.read_in(cursor, table, lines, self.project.pk, ids)
        except (errors.DataError, errors.IntegrityError, ValueError, TypeError, KeyError, AttributeError) as error:
            raise BadArchive(f"A row of {name} cannot be stored here.") from error
        told.rows += all_lines
        told.new += new
        told.erased += passed.erased
        told.erased_pico += passed.erased_pico
        told.dropped += passed.dropped
        told.changed += passed.changed

    def _take_numbered(self, cursor: Cursor[Any], table: Table, lines: Sequence[bytes], told: TableRead) -> int:
        new = 0
        references = _references(cursor, table.name)
        for line in lines:
            row = orjson.loads(line)
            old = int(row["id"])
            if (table.name, old) in self.known:
                continue
            made = put_row(cursor, table, row, self.project.pk, references, self.known)
            if made is None:
                told.left += 1
                continue
            ImportedId.objects.create(
                project=self.project, source=self.source, table=table.name, old_id=old, new_id=made
            )
            self.known[table.name, old] = made
            new += 1
        return new

    def _ids(self, table: str) -> dict[int, int]:
        return {old: new for (name, old), new in self.known.items() if name == table}

    def finish(self) -> Report:
        """Count and sum what is here now, against what the manifest says."""
        with transaction.atomic(), raw_cursor() as cursor:
            cursor.execute(f"SELECT set_config('statement_timeout', '{STATEMENT_MS * 5}', true)".encode())
            spans.note_first(cursor, self.project.pk)
            for name, read in self.report.tables.items():
                wanted = self.manifest["tables"][name]
                condition = self.tables[name].of_project(self.project.pk)
                if condition is None:
                    continue
                has_cost = self.tables[name].column("cost_pico") is not None
                query = sql.SQL("SELECT count(*), {} FROM {} WHERE {}").format(
                    sql.SQL("coalesce(sum(cost_pico), 0)" if has_cost else "0"), sql.Identifier(name), condition
                )
                cursor.execute(query, prepare=False)
                row = cursor.fetchone()
                read.here, cost = (int(row[0]), int(row[1])) if row else (0, 0)
                kept = read.rows - read.erased - read.dropped
                # What is masked may become what another row is: that is one row then.
                is_equal = kept - read.changed <= read.here <= kept
                if name in scores.NUMBERED:
                    is_equal = read.here >= kept - read.left
                if has_cost:
                    read.cost_pico, read.wanted_pico = cost, int(wanted["cost_pico"]) - read.erased_pico
                    is_equal = is_equal and read.cost_pico == read.wanted_pico
                read.is_equal = is_equal and read.rows == wanted["rows"]
        self.report.masked = dict(sorted(self.door.counts.items()))
        return self.report


_REFERENCES = """
    SELECT a.attname, p.relname
    FROM pg_constraint AS k
    JOIN pg_class AS p ON p.oid = k.confrelid
    JOIN pg_attribute AS a ON a.attrelid = k.conrelid AND a.attnum = k.conkey[1]
    WHERE k.contype = 'f' AND cardinality(k.conkey) = 1 AND k.conrelid = %s::regclass
"""


def _references(cursor: Cursor[Any], table: str) -> dict[str, str]:
    cursor.execute(_REFERENCES, (table,))
    return {column: parent for column, parent in cursor.fetchall() if column != "project_id"}


def _batches(file: IO[bytes] | gzip.GzipFile) -> Iterator[list[bytes]]:
    held: list[bytes] = []
    size = 0
    while line := file.readline(LINE_MAX):
        if not line.endswith(b"\n"):
            raise BadArchive("A line is longer than any archive has.")
        held.append(line[:-1])
        size += len(line)
        if len(held) >= BATCH_ROWS or size >= BATCH_BYTES:
            yield held
            held, size = [], 0
    if held:
        yield held


def _has_traces(project: Project) -> bool:
    with raw_cursor() as cursor:
        cursor.execute("SELECT 1 FROM traces_trace WHERE project_id = %s LIMIT 1", (project.pk,))
        return cursor.fetchone() is not None


def _came_from(project: Project, source: str) -> bool:
    return ImportedId.objects.filter(project=project, source=source).exists()
