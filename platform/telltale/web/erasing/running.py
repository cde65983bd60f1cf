"""The job that removes a trace, a session or a user: found, removed, searched for, and only then done.

Each step commits with its own progress; killed anywhere, the next worker goes on with what is left, found anew. What is
stored meanwhile is found by the next round, and after `SETTLE` no door stores any more of it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any
from uuid import UUID

from django.db import transaction
from psycopg import Cursor

from alerts import erasing as of_alerts
from evals import erasing as of_evals
from telltale.jobs import work
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.lib.erasing import Names, scrub
from telltale.lib.rows import Table
from telltale.web.erasing import removing
from telltale.web.erasing.subject import open_subject, spellings
from telltale.web.erasing.verifying import finish, verify
from telltale.web.erasing.working import TRIES, Work, in_leaf, read
from telltale.web.models import Erasure, ErasureName, ErasureTrace
from traces import erasure as of_traces

KIND = "erase"
# Doors hold what they know of a project for up to 5 s and store within 2 s.
SETTLE = timedelta(seconds=8)
SLICE = 200
FOUND = 2_000
ROUNDS = 4
TRACE_DAYS = 30
pause = time.sleep


@work.register(KIND)
def erase(run: work.Run) -> dict[str, Any]:
    """Do what an erasure asks for; JobFailed where something is left."""
    erasure = Erasure.objects.filter(pk=run.params["erasure"]).first()
    if erasure is None or erasure.state in {"done", "undone"}:
        return {}
    Erasure.objects.filter(pk=erasure.pk).update(
        state="running", error="", job_id=run.job.pk, started_at=erasure.started_at or clock.now()
    )
    if erasure.kind == "project":
        removing.remove_project(run, erasure)
    elif erasure.kind == "organisation":
        removing.remove_organisation(run, erasure)
    else:
        _Erasing(run, erasure).run_all()
    return {"erasure": erasure.pk}


class _Erasing(Work):
    """The phases of an erasure, one after the other."""

    def __init__(self, run: work.Run, erasure: Erasure) -> None:
        super().__init__(run, erasure)
        # Of late parts nobody knows any more whose they are: their traces are written down.
        self.subject = "" if erasure.kind == "late" else open_subject(erasure)

    def run_all(self) -> None:
        self.phase("settling")
        left = (self.erasure.asked_at + SETTLE - clock.now()).total_seconds()
        if left > 0:
            pause(min(left, SETTLE.total_seconds()))
        self._name()
        remaining: Counter[str] = Counter()
        for _ in range(ROUNDS):
            self._remove_found()
            self._remove_names()
            self._clean()
            remaining = verify(self)
            if not remaining:
                finish(self)
                return
        Erasure.objects.filter(pk=self.erasure.pk).update(
            state="failed", remaining=dict(remaining), error=f"{sum(remaining.values()):,} rows are left."
        )
        raise work.JobFailed(f"{sum(remaining.values()):,} rows are left in {len(remaining)} tables.")

    # Who and what

    @property
    def is_of_names(self) -> bool:
        """Whether it is of a user or session, whose traces are found and refused by it."""
        return self.erasure.kind in {"user", "session"}

    def _name(self) -> None:
        """Write down by which ids the subject is known."""
        with transaction.atomic(), raw_cursor() as cursor:
            if self.erasure.kind == "trace":
                self.add_traces([UUID(self.subject)])
            if not self.is_of_names:
                return
            names = [(self.erasure.kind, each) for each in spellings(self.project_id, self.subject)]
            if self.erasure.kind == "user":
                users = [name for _, name in names]
                own = of_traces.find_own_sessions(cursor, self.project_id, users)
                names += [("session", each) for each in own]
                of_traces.refuse(cursor, self.project_id, of_traces.What.SESSION, own, self.erasure.pk)
            held = set(self.names("user", "session"))
            ErasureName.objects.bulk_create(
                ErasureName(erasure=self.erasure, what=what, name=name) for what, name in names if name not in held
            )
            total = of_traces.count_traces(cursor, self.project_id, self.users, self.sessions)
            self.step("finding", total=self.done + total)

    # Removing

    def _remove_found(self) -> None:
        users, sessions = self.users, self.sessions
        self.phase("finding")
        if users or sessions:
            for leaf in read(of_traces.span_leaves):
                self.add_traces(read(partial(in_leaf, leaf, self.project_id, users, sessions)))
                self.tick("finding")
        # Traces that came back under the same id are removed once more.
        ErasureTrace.objects.filter(erasure=self.erasure).update(is_removed=False)
        while True:
            if users or sessions:
                self.add_traces(read(partial(_of_rows, self.project_id, users, sessions)))
            open_rows = ErasureTrace.objects.filter(erasure=self.erasure, is_removed=False).order_by("trace_id")
            ids = list(open_rows.values_list("trace_id", flat=True)[:SLICE])
            if not ids:
                return
            self.patiently(partial(self._remove_slice, ids))

    def _remove_slice(self, ids: list[UUID]) -> None:
        until = clock.now() + timedelta(days=TRACE_DAYS)
        with of_traces.holding(self.project_id) as cursor:
            removed = of_alerts.remove_traces(cursor, self.project_id, ids)
            about, calls = of_evals.remove_about(cursor, self.project_id, ids)
            gone, origins = of_traces.remove_traces(cursor, self.project_id, ids)
            removed += about + gone
            if self.is_of_names:
                hexes = [each.hex for each in ids]
                of_traces.refuse(cursor, self.project_id, of_traces.What.TRACE, hexes, self.erasure.pk, until)
            held = set(self.names("origin"))
            ErasureName.objects.bulk_create(
                ErasureName(erasure=self.erasure, what="origin", name=str(each))
                for each in origins
                if str(each) not in held
            )
            ErasureTrace.objects.filter(erasure=self.erasure, trace_id__in=ids).update(is_removed=True)
            self.add_traces(calls)
            self.count(removed)
            self.done += removed["traces_trace"]
            self.step("removing")

    def _remove_names(self) -> None:
        users, sessions = self.users, self.sessions
        self.phase("removing")

        def names() -> None:
            with transaction.atomic(), raw_cursor() as cursor:
                removed = of_alerts.remove_users(cursor, self.project_id, users)
                for at in range(0, len(sessions), SLICE):
                    removed += of_evals.remove_about(cursor, self.project_id, [], sessions[at : at + SLICE])[0]
                removed += of_evals.remove_given(cursor, self.project_id, users)
                removed += of_traces.remove_names(cursor, self.project_id, users, sessions)
                self.count(removed)
                self.step("removing")

        def origins() -> None:
            with transaction.atomic(), raw_cursor() as cursor:
                held = [int(each) for each in self.names("origin")]
                gone = of_traces.remove_origins(cursor, self.project_id, held) if held else 0
                self.count(Counter({"traces_origin": gone}))
                self.step("removing")

        if users or sessions:
            self.patiently(names)
        self.patiently(origins)

    def _clean(self) -> None:
        """Take ids out of what stays: text, JSON, packed words, the search index."""
        self.phase("cleaning")
        for leaf in read(of_traces.span_leaves):
            for ids in self.each_ids():
                read(partial(_forget, leaf, self.project_id, ids))
            self.tick("cleaning")
        for _ in range(TRIES):
            if not of_traces.purge_search(self.project_id):
                break
            pause(0.5)
            self.step("cleaning")
        readings = self.readings()
        for table in self.tables():
            for names in readings:
                self.patiently(partial(self._scrub, table, names))
        self.patiently(partial(self._thin, readings))

    def _scrub(self, table: Table, names: Names) -> None:
        scope = table.of_project(self.project_id)
        if scope is None:
            return
        with transaction.atomic(), raw_cursor() as cursor:
            replaced, removed = scrub(cursor, table, scope, names)
            if replaced or removed:
                self.count(Counter({table.name: removed}), Counter({table.name: replaced}))
                self.step("cleaning")
        self.tick("cleaning")

    def _thin(self, readings: Sequence[Names]) -> None:
        with transaction.atomic(), raw_cursor() as cursor:
            vectors = of_alerts.thin_references(cursor, self.project_id, self.known)
            points = sum(of_alerts.thin_points(cursor, self.project_id, self.known, one.text) for one in readings)
            self.count(Counter(), Counter({"alerts_driftreference": vectors, "alerts_point": points}))
            self.step("cleaning")


def _of_rows(project_id: int, users: list[str], sessions: list[str], cursor: Cursor[Any]) -> list[UUID]:
    return of_traces.find_traces(cursor, project_id, users, sessions, FOUND)


def _forget(leaf: str, project_id: int, ids: list[UUID], cursor: Cursor[Any]) -> int:
    return of_traces.forget_duplicates(cursor, leaf, project_id, ids)
