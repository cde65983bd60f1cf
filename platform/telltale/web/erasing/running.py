"""The job that removes a trace, a session or a user: found, removed, searched for, and only then done.

Each step commits with its own progress; killed anywhere, the next worker goes on with what is left, found anew. What is
stored meanwhile is found by the next round, and after `SETTLE` no door stores any more of it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import timedelta
from functools import partial
from typing import Any, TypeVar
from uuid import UUID

from django.db import transaction
from psycopg import Cursor, errors, sql

from alerts import erasing as of_alerts
from evals import erasing as of_evals
from telltale.audit.log import record
from telltale.jobs import work
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.lib.erasing import Names, count_left, scrub
from telltale.lib.rows import Table, any_of, count_rows, list_tables
from telltale.web.erasing import kept, removing
from telltale.web.erasing.subject import open_subject, spellings
from telltale.web.models import Erasure, ErasureName, ErasureTrace
from traces import erasure as of_traces

KIND = "erase"
# Doors hold what they know of a project for up to 5 s and store within 2 s.
SETTLE = timedelta(seconds=8)
SLICE = 200
FOUND = 2_000
IDS = 5_000
ROUNDS = 4
# Traces that are looked for by name in text; more are looked for by the look of an id.
FEW = 20
# Names that are looked for in one reading of a table, and how many readings a table gets at most.
WORDS, READINGS = 40, 25
TRIES = 60
TRACE_DAYS = 30
TICK_SECONDS = 1.0
pause = time.sleep
T = TypeVar("T")


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
    else:
        _Erasing(run, erasure).run_all()
    return {"erasure": erasure.pk}


class _Erasing:
    """One run of an erasure."""

    def __init__(self, run: work.Run, erasure: Erasure) -> None:
        self.run, self.erasure, self.project_id = run, erasure, erasure.project_id
        self.subject = open_subject(erasure)
        self.done = erasure.done
        self._known: dict[UUID, bool] = {}
        self._ticks_at = 0.0

    def run_all(self) -> None:
        self._phase("settling")
        left = (self.erasure.asked_at + SETTLE - clock.now()).total_seconds()
        if left > 0:
            pause(min(left, SETTLE.total_seconds()))
        self._name()
        remaining: Counter[str] = Counter()
        for _ in range(ROUNDS):
            self._remove_found()
            self._remove_names()
            self._clean()
            remaining = self._verify()
            if not remaining:
                self._finish()
                return
        Erasure.objects.filter(pk=self.erasure.pk).update(
            state="failed", remaining=dict(remaining), error=f"{sum(remaining.values()):,} rows are left."
        )
        raise work.JobFailed(f"{sum(remaining.values()):,} rows are left in {len(remaining)} tables.")

    # Who and what

    def _name(self) -> None:
        """Write down by which ids the subject is known."""
        with transaction.atomic(), raw_cursor() as cursor:
            if self.erasure.kind == "trace":
                self._add_traces([UUID(self.subject)])
                return
            names = [(self.erasure.kind, each) for each in spellings(self.project_id, self.subject)]
            if self.erasure.kind == "user":
                users = [name for _, name in names]
                own = of_traces.find_own_sessions(cursor, self.project_id, users)
                names += [("session", each) for each in own]
                of_traces.refuse(cursor, self.project_id, of_traces.What.SESSION, own, self.erasure.pk)
            held = set(self._names("user", "session"))
            ErasureName.objects.bulk_create(
                ErasureName(erasure=self.erasure, what=what, name=name) for what, name in names if name not in held
            )
            total = of_traces.count_traces(cursor, self.project_id, self.users, self.sessions)
            self._step("finding", total=self.done + total)

    @property
    def users(self) -> list[str]:
        return self._names("user")

    @property
    def sessions(self) -> list[str]:
        return self._names("session")

    def _names(self, *what: str) -> list[str]:
        held = ErasureName.objects.filter(erasure=self.erasure, what__in=what).order_by("pk")
        return list(held.values_list("name", flat=True))

    def _add_traces(self, ids: Iterable[UUID]) -> None:
        rows = [ErasureTrace(erasure=self.erasure, trace_id=each) for each in ids]
        ErasureTrace.objects.bulk_create(rows, ignore_conflicts=True, batch_size=1000)
        self._known.clear()

    # Removing

    def _remove_found(self) -> None:
        users, sessions = self.users, self.sessions
        self._phase("finding")
        if users or sessions:
            for leaf in _read(of_traces.span_leaves):
                self._add_traces(_read(partial(_in_leaf, leaf, self.project_id, users, sessions)))
                self._tick("finding")
        # Traces that came back under the same id are removed once more.
        ErasureTrace.objects.filter(erasure=self.erasure).update(is_removed=False)
        while True:
            if users or sessions:
                self._add_traces(_read(partial(_of_rows, self.project_id, users, sessions)))
            open_rows = ErasureTrace.objects.filter(erasure=self.erasure, is_removed=False).order_by("trace_id")
            ids = list(open_rows.values_list("trace_id", flat=True)[:SLICE])
            if not ids:
                return
            self._patiently(partial(self._remove_slice, ids))

    def _remove_slice(self, ids: list[UUID]) -> None:
        until = clock.now() + timedelta(days=TRACE_DAYS)
        with of_traces.holding(self.project_id) as cursor:
            removed = of_alerts.remove_traces(cursor, self.project_id, ids)
            about, calls = of_evals.remove_about(cursor, self.project_id, ids)
            gone, origins = of_traces.remove_traces(cursor, self.project_id, ids)
            removed += about + gone
            if self.erasure.kind != "trace":
                hexes = [each.hex for each in ids]
                of_traces.refuse(cursor, self.project_id, of_traces.What.TRACE, hexes, self.erasure.pk, until)
            held = set(self._names("origin"))
            ErasureName.objects.bulk_create(
                ErasureName(erasure=self.erasure, what="origin", name=str(each))
                for each in origins
                if str(each) not in held
            )
            ErasureTrace.objects.filter(erasure=self.erasure, trace_id__in=ids).update(is_removed=True)
            self._add_traces(calls)
            self._count(removed)
            self.done += removed["traces_trace"]
            self._step("removing")

    def _remove_names(self) -> None:
        users, sessions = self.users, self.sessions
        self._phase("removing")

        def names() -> None:
            with transaction.atomic(), raw_cursor() as cursor:
                removed = of_alerts.remove_users(cursor, self.project_id, users)
                for at in range(0, len(sessions), SLICE):
                    removed += of_evals.remove_about(cursor, self.project_id, [], sessions[at : at + SLICE])[0]
                removed += of_evals.remove_given(cursor, self.project_id, users)
                removed += of_traces.remove_names(cursor, self.project_id, users, sessions)
                self._count(removed)
                self._step("removing")

        def origins() -> None:
            with transaction.atomic(), raw_cursor() as cursor:
                held = [int(each) for each in self._names("origin")]
                gone = of_traces.remove_origins(cursor, self.project_id, held) if held else 0
                self._count(Counter({"traces_origin": gone}))
                self._step("removing")

        if users or sessions:
            self._patiently(names)
        self._patiently(origins)

    def _clean(self) -> None:
        """Take ids out of what stays: text, JSON, packed words, the search index."""
        self._phase("cleaning")
        for leaf in _read(of_traces.span_leaves):
            for ids in self._each_ids():
                _read(partial(_forget, leaf, self.project_id, ids))
            self._tick("cleaning")
        for _ in range(TRIES):
            if not of_traces.purge_search(self.project_id):
                break
            pause(0.5)
            self._step("cleaning")
        readings = self._readings()
        for table in self._tables():
            for names in readings:
                self._patiently(partial(self._scrub, table, names))
        self._patiently(partial(self._thin, readings))

    def _scrub(self, table: Table, names: Names) -> None:
        scope = table.of_project(self.project_id)
        if scope is None:
            return
        with transaction.atomic(), raw_cursor() as cursor:
            replaced, removed = scrub(cursor, table, scope, names)
            if replaced or removed:
                self._count(Counter({table.name: removed}), Counter({table.name: replaced}))
                self._step("cleaning")
        self._tick("cleaning")

    def _thin(self, readings: Sequence[Names]) -> None:
        with transaction.atomic(), raw_cursor() as cursor:
            vectors = of_alerts.thin_references(cursor, self.project_id, self.known)
            points = sum(of_alerts.thin_points(cursor, self.project_id, self.known, one.text) for one in readings)
            self._count(Counter(), Counter({"alerts_driftreference": vectors, "alerts_point": points}))
            self._step("cleaning")

    # Verifying

    def _verify(self) -> Counter[str]:
        """Rows that are left, by table: by id of traces, by id of people and sessions, by name in any text."""
        self._phase("verifying")
        left: Counter[str] = Counter()
        users, sessions = self.users, self.sessions
        for table in self._tables(searched=False):
            scope = table.of_project(self.project_id)
            if scope is not None:
                left[table.name] += self._left_by_id(table, scope, users, sessions)
                self._tick("verifying")
        if users or sessions:
            for leaf in _read(of_traces.span_leaves):
                left["traces_span"] += len(_read(partial(_in_leaf, leaf, self.project_id, users, sessions)))
                self._tick("verifying")
        for names in self._readings():
            for table in self._tables():
                scope = table.of_project(self.project_id)
                if scope is not None:
                    left[table.name] += _read(partial(_count_left, table, scope, names))
                self._tick("verifying")
        left["traces_search_segment"] += of_traces.purge_search(self.project_id)
        return +left

    def _left_by_id(self, table: Table, scope: sql.Composable, users: list[str], sessions: list[str]) -> int:
        by_trace = [
            each.name for each in table.of_kinds("uuid") if table.name not in kept.OF_TRACES or each.name == "trace_id"
        ]
        left = 0
        for ids in self._each_ids() if by_trace else ():
            wanted = sql.SQL("({})").format(sql.SQL(" OR ").join(any_of(name, ids) for name in by_trace))
            left += _read(partial(_count, table.name, sql.SQL("{} AND {}").format(scope, wanted)))
        if table.name == "traces_span":
            return left
        for name, values in (("user_id", users), ("session_id", sessions)):
            column = table.column(name)
            if values and column is not None and column.kind == "text":
                wanted = sql.SQL("{} AND {}").format(scope, any_of(name, values))
                left += _read(partial(_count, table.name, wanted))
        return left

    def _finish(self) -> None:
        now = clock.now()
        with transaction.atomic(), raw_cursor() as cursor:
            stay = 0
            audit = next(each for each in list_tables(cursor) if each.name == kept.AUDIT)
            scope = audit.of_project(self.project_id)
            for names in self._readings():
                stay += count_left(cursor, audit, scope, names) if scope is not None else 0
            ErasureTrace.objects.filter(erasure=self.erasure).delete()
            ErasureName.objects.filter(erasure=self.erasure).delete()
            of_traces.end(cursor, self.project_id, self.erasure.pk)
            Erasure.objects.filter(pk=self.erasure.pk).update(
                state="done", phase="", subject="", remaining={}, verified_at=now, finished_at=now,
                kept={kept.AUDIT: stay} if stay else {},
            )  # fmt: skip
            record(
                "erasure.done",
                actor="system",
                organisation_id=self.erasure.organisation_id,
                project_id=self.project_id,
                target=f"{self.erasure.kind} {self.erasure.subject_key.hex}",
                after={"erasure": self.erasure.pk, "rows": sum(self._now().removed.values())},
            )

    # Tools

    def known(self, ids: Collection[UUID]) -> set[UUID]:
        """Which of these traces are to go."""
        new = [each for each in ids if each not in self._known]
        if new:
            if len(self._known) > 100_000:
                self._known.clear()
            held = ErasureTrace.objects.filter(erasure=self.erasure, trace_id__in=new)
            found = set(held.values_list("trace_id", flat=True))
            self._known.update((each, each in found) for each in new)
        return {each for each in ids if self._known.get(each)}

    def _each_ids(self) -> Iterator[list[UUID]]:
        after = UUID(int=0)
        while True:
            rows = ErasureTrace.objects.filter(erasure=self.erasure, trace_id__gt=after).order_by("trace_id")
            ids = list(rows.values_list("trace_id", flat=True)[:IDS])
            if ids:
                yield ids
            if len(ids) < IDS:
                return
            after = ids[-1]

    def _readings(self) -> list[Names]:
        """What every table is read for: names, some at a time; ids of traces with the first of them."""
        words = [each for each in (*self.users, *self.sessions) if each]
        ids = list(ErasureTrace.objects.filter(erasure=self.erasure).values_list("trace_id", flat=True)[: FEW + 1])
        few = tuple(ids) if len(ids) <= FEW else None
        parts = [words[at : at + WORDS] for at in range(0, len(words), WORDS)][:READINGS] or [[]]
        return [Names(tuple(part), self.known, few if at == 0 else ()) for at, part in enumerate(parts)]

    def _tables(self, *, searched: bool = True) -> list[Table]:
        tables = _read(list_tables)
        return [
            each
            for each in tables
            if each.own is not None
            and (kept.is_searched(each.name) if searched else each.name not in {*kept.OWN, kept.AUDIT})
        ]

    def _now(self) -> Erasure:
        return Erasure.objects.get(pk=self.erasure.pk)

    def _count(self, removed: Counter[str], replaced: Counter[str] | None = None) -> None:
        """Add to the receipt, in the transaction that did it."""
        if not (+removed or (replaced and +replaced)):
            return
        row = Erasure.objects.select_for_update().get(pk=self.erasure.pk)
        row.removed = dict(Counter(row.removed) + removed)
        row.replaced = dict(Counter(row.replaced) + (replaced or Counter()))
        row.save(update_fields=["removed", "replaced"])

    def _phase(self, phase: str) -> None:
        self._step(phase)

    def _tick(self, phase: str) -> None:
        """Say now and then that it goes on, where nothing was changed that has to stand or fall with it."""
        if time.monotonic() >= self._ticks_at:
            self._ticks_at = time.monotonic() + TICK_SECONDS
            self._step(phase)

    def _step(self, phase: str, total: int | None = None) -> None:
        changes: dict[str, Any] = {"phase": phase, "done": self.done}
        if total is not None:
            changes["total"] = total
        Erasure.objects.filter(pk=self.erasure.pk).update(**changes)
        self.run.step(cursor={"phase": phase}, progress=self.done, total=total)

    def _patiently(self, act: Callable[[], None]) -> None:
        """Try again where others hold what is needed."""
        for _ in range(TRIES):
            try:
                act()
                return
            except (of_traces.Busy, errors.DeadlockDetected, errors.LockNotAvailable, errors.SerializationFailure):
                pause(0.2)
        act()


@contextmanager
def _cursor() -> Iterator[Cursor[Any]]:
    with transaction.atomic(), raw_cursor() as cursor:
        yield cursor


def _read(ask: Callable[[Cursor[Any]], T]) -> T:
    with _cursor() as cursor:
        return ask(cursor)


def _in_leaf(leaf: str, project_id: int, users: list[str], sessions: list[str], cursor: Cursor[Any]) -> list[UUID]:
    return of_traces.find_in_spans(cursor, leaf, project_id, users, sessions)


def _of_rows(project_id: int, users: list[str], sessions: list[str], cursor: Cursor[Any]) -> list[UUID]:
    return of_traces.find_traces(cursor, project_id, users, sessions, FOUND)


def _forget(leaf: str, project_id: int, ids: list[UUID], cursor: Cursor[Any]) -> int:
    return of_traces.forget_duplicates(cursor, leaf, project_id, ids)


def _count(table: str, wanted: sql.Composable, cursor: Cursor[Any]) -> int:
    return count_rows(cursor, table, wanted)


def _count_left(table: Table, scope: sql.Composable, names: Names, cursor: Cursor[Any]) -> int:
    return count_left(cursor, table, scope, names)
