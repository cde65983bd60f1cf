"""How long a user takes to be erased, and whether anything is left: `python -m benchmarks.erasure [--spans 10000]`.

Needs TELLTALE_DATABASE_URL of a database that may be filled (migrated; a project `erasure-bench` is made and removed).
Stores a user's spans among as many of others by the code of ingest, erases the user, then searches a dump, and every
column unpacked, for the mark. Exit code 1 where anything is found.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import subprocess
import sys
import time
import zlib

import django
import orjson
import zstandard


def main() -> int:
    """Print the figures; 0 where nothing was left."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--spans", type=int, default=10_000, help="of the user; as many are somebody else's")
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "telltale.settings")
    django.setup()
    from telltale.accounts.models import Organisation
    from telltale.jobs import work
    from telltale.projects.models import Project
    from telltale.web.erasing import asking
    from telltale.web.models import Erasure

    organisation, _ = Organisation.objects.get_or_create(slug="erasure-bench", defaults={"name": "Erasure bench"})
    slug = f"erasure-bench-{secrets.token_hex(3)}"
    project = Project.objects.create(organisation=organisation, name="Erasure bench", slug=slug)
    mark = f"mark-{secrets.token_hex(5)}"
    began = time.monotonic()
    store(project.pk, mark, options.spans)
    store(project.pk, f"other-{secrets.token_hex(5)}", options.spans)
    fold()
    print(f"stored {2 * options.spans:,} spans in {time.monotonic() - began:.1f} s")
    before = found(mark)
    began = time.monotonic()
    erasure = asking.ask(project, "user", mark, by="benchmark")
    work.run_now(work.Job.objects.get(pk=erasure.job_id))
    took = time.monotonic() - began
    row = Erasure.objects.get(pk=erasure.pk)
    left, (dumped, dump) = found(mark), dump_lines(mark)
    print(f"found before in {len(before)} columns")
    print(f"erasure {row.state} after {took:.1f} s (8 s of it waiting): {sum(row.removed.values()):,} rows removed")
    print(f"left: {len(left)} columns {left}; lines of {dump} with the mark: {dumped}")
    Project.objects.filter(pk=project.pk).update(deletion_due_at=row.asked_at, deletion_asked_at=row.asked_at)
    gone = Erasure.objects.create(
        project_id=project.pk, organisation_id=organisation.pk, project_slug=slug, kind="project", hint=slug,
        subject_key=secrets_uuid(project.pk), asked_by="benchmark", asked_at=row.asked_at,
    )  # fmt: skip
    began = time.monotonic()
    job = work.start("erase", params={"erasure": gone.pk})
    work.run_now(job)
    gone.refresh_from_db()
    removed = sum(gone.removed.values())
    print(f"project {gone.state} after {time.monotonic() - began:.1f} s: {removed:,} rows removed")
    return 0 if row.state == gone.state == "done" and not left and not dumped else 1


def secrets_uuid(number: int) -> object:
    """A key for a receipt of a project."""
    from uuid import UUID

    return UUID(int=number)


def store(project_id: int, user: str, spans: int) -> None:
    """Traces of five spans each, the mark in every field, stored by the code of ingest."""
    from telltale.lib import clock
    from traces.ingest.rules import rules_for
    from traces.wire.native import read_native
    from traces.write import store_spans
    from traces.write.batch import Batch

    for start in range(0, spans, 500):
        traces = []
        for at in range(start, min(start + 500, spans), 5):
            told = [
                {
                    "name": f"step {n} {user}", "kind": "generation", "model": "gpt-4o-mini",
                    "start": clock.now().isoformat(), "duration_ms": 10, "user": user, "session": f"{user}-{at // 500}",
                    "feature": f"feature {user}", "metadata": {"said": user},
                    "input": [{"role": "user", "content": f"{user} asks {at} {n} " + "word " * 50}],
                    "output": f"an answer for {user} {at} {n}", "usage": {"input_tokens": 60, "output_tokens": 9},
                }
                for n in range(min(5, spans - at))
            ]  # fmt: skip
            traces.append({"trace_id": secrets.token_hex(16), "spans": told})
        native = read_native(orjson.dumps({"traces": traces}), received_at_ns=time.time_ns())
        assert not native.intake.rejections, native.intake.rejections[:2]
        store_spans(Batch(project_id, 0, "native", clock.now(), 1), native.intake, rules_for(project_id))


def fold() -> None:
    """What follows from stored spans."""
    from traces import accounting, behaving, folding, indexing, sighting

    for act in (
        accounting.fold_batches, folding.fold_roll_ups, behaving.fold_behaviour, sighting.see_changes,
        indexing.index_changes,
    ):  # fmt: skip
        for _ in range(200):
            if not act() or act is folding.fold_roll_ups:
                break


def found(mark: str) -> list[str]:
    """The columns that hold the mark, packed values unpacked."""
    from django.db import transaction
    from psycopg import sql

    from telltale.lib.db import raw_cursor
    from telltale.lib.rows import list_tables

    wanted, hits = mark.encode(), set()
    with transaction.atomic(), raw_cursor() as cursor:
        for table in list_tables(cursor):
            columns = table.of_kinds("text", "texts", "json", "bytes")
            if not columns:
                continue
            names = sql.SQL(", ").join(sql.Identifier(each.name) for each in columns)
            cursor.execute(sql.SQL("SELECT {} FROM {}").format(names, sql.Identifier(table.name)))
            while rows := cursor.fetchmany(2000):
                for row in rows:
                    for column, value in zip(columns, row, strict=True):
                        if value is not None and any(wanted in form for form in forms(value)):
                            hits.add(f"{table.name}.{column.name}")
    return sorted(hits)


def forms(value: object) -> list[bytes]:
    """A value as bytes, unpacked where it is packed."""
    if not isinstance(value, bytes | memoryview):
        return [value.encode() if isinstance(value, str) else orjson.dumps(value, default=str)]
    data = bytes(value)
    told = [data]
    for unpack in (lambda: zstandard.ZstdDecompressor().decompress(data, 1 << 26), lambda: zlib.decompress(data)):
        try:
            told.append(unpack())
        except (zstandard.ZstdError, zlib.error):
            continue
    return told


def dump_lines(mark: str) -> tuple[int, str]:
    """How many lines of a dump hold the mark, and what was read: `pg_dump`, or what its data part is made of.

    A `pg_dump` older than the server refuses it; then every table is read by the COPY that it would write.
    """
    program = os.environ.get("PG_DUMP") or shutil.which("pg_dump")
    wanted = mark.encode()
    if program is not None:
        process = subprocess.Popen(
            [program, "--dbname", os.environ["TELLTALE_DATABASE_URL"]],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        lines = sum(wanted in line for line in process.stdout)
        said = process.stderr.read().decode(errors="replace")
        if not process.wait():
            return lines, "pg_dump"
        if "version mismatch" not in said:
            raise SystemExit(f"pg_dump failed: {said.strip()}")
    return copied_lines(wanted), "COPY of every table"


def copied_lines(wanted: bytes) -> int:
    """How many lines with the mark COPY writes of every table that holds rows."""
    from psycopg import sql

    from telltale.lib.db import raw_cursor

    lines = 0
    with raw_cursor() as cursor:
        cursor.execute(
            "SELECT c.oid::regclass::text FROM pg_class AS c"
            " WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace ORDER BY 1"
        )
        for (table,) in cursor.fetchall():
            rest = b""
            with cursor.copy(sql.SQL("COPY {} TO STDOUT").format(sql.SQL(table))) as copy:
                for data in copy:
                    *whole, rest = (rest + bytes(data)).split(b"\n")
                    lines += sum(wanted in line for line in whole)
            lines += wanted in rest
    return lines


if __name__ == "__main__":
    sys.exit(main())
