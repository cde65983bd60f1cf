"""Removing a project or an organisation with everything in it, from every table that the database's catalogue names."""

from __future__ import annotations

import time
from collections import Counter

from django.db import transaction
from django.db.utils import IntegrityError
from psycopg import errors, sql

from alerts.keeping import erase_project as stop_monitors
from telltale.accounts.models import Organisation
from telltale.audit.log import record
from telltale.jobs import work
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.lib.rows import (
    ORGANISATIONS,
    PROJECTS,
    Table,
    children_first,
    count_rows,
    delete_slice,
    list_leaves,
    list_tables,
)
from telltale.projects.models import Project
from telltale.web.erasing import kept
from telltale.web.models import Erasure, ErasureName, ErasureTrace

SLICE = 2_000
ROUNDS = 20
# Rows that others hold this moment are left, and found by the next round.
REST = 0.5
pause = time.sleep


def remove_project(run: work.Run, erasure: Erasure) -> None:
    """Remove a project that is due. Safe to stop anywhere and to repeat; nothing is done where somebody undid it."""
    project = Project.objects.filter(pk=erasure.project_id).first()
    if project is not None and (project.deletion_due_at is None or project.deletion_due_at > clock.now()):
        Erasure.objects.filter(pk=erasure.pk, state="running").update(state="waiting", job_id=None)
        return
    if project is not None:
        for _ in stop_monitors(project.pk):
            _step(run, erasure, Counter())
        for round_ in range(ROUNDS):
            if not sum(_empty(run, erasure, table) for table in _tables()):
                break
            pause(REST if round_ else 0)
        _remove_rest(run, erasure)
    left = _left(erasure.project_id)
    now = clock.now()
    if left:
        Erasure.objects.filter(pk=erasure.pk).update(
            state="failed", remaining=dict(left), error=f"{sum(left.values()):,} rows are left."
        )
        raise work.JobFailed(f"{sum(left.values()):,} rows are left in {len(left)} tables.")
    with transaction.atomic():
        # What was still to be erased of it went with it.
        others = Erasure.objects.filter(project_id=erasure.project_id).exclude(state__in=["done", "undone"])
        ErasureTrace.objects.filter(erasure__in=others).delete()
        ErasureName.objects.filter(erasure__in=others).delete()
        others.exclude(pk=erasure.pk).update(
            state="done", phase="", subject="", error="", remaining={}, verified_at=now, finished_at=now
        )
        Erasure.objects.filter(pk=erasure.pk).update(
            state="done", phase="", subject="", remaining={}, verified_at=now, finished_at=now
        )
        record(
            "project.removed", actor="system", organisation_id=erasure.organisation_id,
            project_id=erasure.project_id, target=erasure.project_slug,
            after={"erasure": erasure.pk, "rows": sum(Erasure.objects.get(pk=erasure.pk).removed.values())},
        )  # fmt: skip


def remove_organisation(run: work.Run, erasure: Erasure) -> None:
    """Remove an organisation that is due and has no project any more: every row of every table that leads to it.

    Nothing is done where somebody undid it, or a project is still there. Safe to repeat.
    """
    organisation_id = erasure.organisation_id
    with transaction.atomic(), raw_cursor() as cursor:
        row = Organisation.objects.select_for_update().filter(pk=organisation_id).first()
        is_due = row is None or (row.deletion_due_at is not None and row.deletion_due_at <= clock.now())
        if not is_due or Project.objects.filter(organisation_id=organisation_id).exists():
            Erasure.objects.filter(pk=erasure.pk, state="running").update(state="waiting", job_id=None)
            return
        removed: Counter[str] = Counter()
        tables = _tables(ORGANISATIONS)
        for table in (*(each for each in tables if each.name != ORGANISATIONS), _named(tables, ORGANISATIONS)):
            wanted = table.of_owner(organisation_id)
            if wanted is not None:
                query = sql.SQL("DELETE FROM {} WHERE {}").format(sql.Identifier(table.name), wanted)
                cursor.execute(query, prepare=False)
                removed[table.name] += cursor.rowcount
        _step(run, erasure, +removed)
        left = _left(organisation_id, ORGANISATIONS)
        if left:
            raise work.JobFailed(f"{sum(left.values()):,} rows are left in {len(left)} tables.")
        now = clock.now()
        Erasure.objects.filter(pk=erasure.pk).update(
            state="done", phase="", remaining={}, verified_at=now, finished_at=now
        )
        record(
            "organisation.removed", actor="system", organisation_id=organisation_id, target=erasure.project_slug,
            after={"erasure": erasure.pk, "rows": sum(removed.values())},
        )  # fmt: skip


def _named(tables: list[Table], name: str) -> Table:
    return next(each for each in tables if each.name == name)


def _tables(of: str = PROJECTS) -> list[Table]:
    with transaction.atomic(), raw_cursor() as cursor:
        found = [each for each in list_tables(cursor, of) if each.own is not None and each.name not in kept.OF_PROJECTS]
    # Traces first, so that no page shows a trace whose spans are gone already.
    return sorted(children_first(found), key=lambda each: each.name != "traces_trace")


def _empty(run: work.Run, erasure: Erasure, table: Table) -> int:
    """Remove the rows of one table in slices; how many went. What others still refer to is left for the end."""
    wanted = table.of_project(erasure.project_id)
    if wanted is None or table.name == PROJECTS:
        return 0
    with transaction.atomic(), raw_cursor() as cursor:
        leaves = list_leaves(cursor, table.name)
    removed = 0
    for leaf in leaves:
        while gone := _slice(run, erasure, table, leaf, wanted):
            removed += gone
    return removed


def _slice(run: work.Run, erasure: Erasure, table: Table, leaf: str, wanted: sql.Composable) -> int:
    try:
        with transaction.atomic(), raw_cursor() as cursor:
            gone = delete_slice(cursor, leaf, wanted, SLICE)
            if gone:
                _step(run, erasure, Counter({table.name: gone}))
    except (IntegrityError, errors.IntegrityError, errors.UndefinedTable):
        # Tables that refer to each other go together; a partition may have been dropped meanwhile.
        return 0
    return gone


def _remove_rest(run: work.Run, erasure: Erasure) -> None:
    """Remove what is left and the project itself, in one transaction: its references are checked at the end."""
    with transaction.atomic(), raw_cursor() as cursor:
        removed: Counter[str] = Counter()
        for table in _tables():
            wanted = table.of_project(erasure.project_id)
            if wanted is None or table.name == PROJECTS:
                continue
            cursor.execute(sql.SQL("DELETE FROM {} WHERE {}").format(sql.Identifier(table.name), wanted), prepare=False)
            removed[table.name] += cursor.rowcount
        cursor.execute("DELETE FROM projects_project WHERE id = %s", (erasure.project_id,))
        removed[PROJECTS] += cursor.rowcount
        _step(run, erasure, removed)


def _left(owner_id: int, of: str = PROJECTS) -> Counter[str]:
    """Rows of the project or organisation that are still there, by table."""
    left: Counter[str] = Counter()
    for table in _tables(of):
        wanted = table.of_owner(owner_id)
        if wanted is not None:
            with transaction.atomic(), raw_cursor() as cursor:
                left[table.name] += count_rows(cursor, table.name, wanted)
    return +left


def _step(run: work.Run, erasure: Erasure, removed: Counter[str]) -> None:
    row = Erasure.objects.get(pk=erasure.pk)  # its job is the only one that writes it
    row.removed = dict(Counter(row.removed) + removed)
    row.done += sum(removed.values())
    row.phase = "removing"
    row.save(update_fields=["removed", "done", "phase"])
    run.step(cursor={"phase": "removing"}, progress=row.done)
