"""Looking for what is left of an erasure: by id of traces, by id of people and sessions, by name in any text."""

from __future__ import annotations

from collections import Counter
from functools import partial
from typing import Any

from django.db import transaction
from psycopg import Cursor, sql

from telltale.audit.log import record
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.lib.erasing import Names, count_left
from telltale.lib.rows import Table, any_of, count_rows, list_tables
from telltale.web.erasing import kept
from telltale.web.erasing.working import Work, in_leaf, read
from telltale.web.models import Erasure, ErasureName, ErasureTrace
from traces import erasure as of_traces


def verify(work: Work) -> Counter[str]:
    """Rows that are left, by table: by id of traces, by id of people and sessions, by name in any text."""
    work.phase("verifying")
    left: Counter[str] = Counter()
    users, sessions = work.users, work.sessions
    for table in work.tables(searched=False):
        scope = table.of_project(work.project_id)
        if scope is not None:
            left[table.name] += _left_by_id(work, table, scope, users, sessions)
            work.tick("verifying")
    if users or sessions:
        for leaf in read(of_traces.span_leaves):
            left["traces_span"] += len(read(partial(in_leaf, leaf, work.project_id, users, sessions)))
            work.tick("verifying")
    for names in work.readings():
        for table in work.tables():
            scope = table.of_project(work.project_id)
            if scope is not None:
                left[table.name] += read(partial(_count_left, table, scope, names))
            work.tick("verifying")
    left["traces_search_segment"] += of_traces.purge_search(work.project_id)
    return +left


def _left_by_id(work: Work, table: Table, scope: sql.Composable, users: list[str], sessions: list[str]) -> int:
    by_trace = [
        each.name for each in table.of_kinds("uuid") if table.name not in kept.OF_TRACES or each.name == "trace_id"
    ]
    left = 0
    for ids in work.each_ids() if by_trace else ():
        wanted = sql.SQL("({})").format(sql.SQL(" OR ").join(any_of(name, ids) for name in by_trace))
        left += read(partial(_count, table.name, sql.SQL("{} AND {}").format(scope, wanted)))
    if table.name == "traces_span":
        return left
    for name, values in (("user_id", users), ("session_id", sessions)):
        column = table.column(name)
        if values and column is not None and column.kind == "text":
            wanted = sql.SQL("{} AND {}").format(scope, any_of(name, values))
            left += read(partial(_count, table.name, wanted))
    return left


def finish(work: Work) -> None:
    now = clock.now()
    with transaction.atomic(), raw_cursor() as cursor:
        stay = 0
        audit = next(each for each in list_tables(cursor) if each.name == kept.AUDIT)
        scope = audit.of_project(work.project_id)
        for names in work.readings():
            stay += count_left(cursor, audit, scope, names) if scope is not None else 0
        ErasureTrace.objects.filter(erasure=work.erasure).delete()
        ErasureName.objects.filter(erasure=work.erasure).delete()
        of_traces.end(cursor, work.project_id, work.erasure.pk)
        Erasure.objects.filter(pk=work.erasure.pk).update(
            state="done", phase="", subject="", remaining={}, verified_at=now, finished_at=now,
            kept={kept.AUDIT: stay} if stay else {},
        )  # fmt: skip
        record(
            "erasure.done",
            actor="system",
            organisation_id=work.erasure.organisation_id,
            project_id=work.project_id,
            target=f"{work.erasure.kind} {work.erasure.subject_key.hex}",
            after={"erasure": work.erasure.pk, "rows": sum(work.now().removed.values())},
        )


def _count(table: str, wanted: sql.Composable, cursor: Cursor[Any]) -> int:
    return count_rows(cursor, table, wanted)


def _count_left(table: Table, scope: sql.Composable, names: Names, cursor: Cursor[Any]) -> int:
    return count_left(cursor, table, scope, names)
