"""What every phase of an erasure stands on: whose ids and which traces, the tables, its receipt, its patience."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar
from uuid import UUID

from django.db import transaction
from psycopg import Cursor, errors

from telltale.jobs import work
from telltale.lib.db import raw_cursor
from telltale.lib.erasing import Names
from telltale.lib.rows import Table, list_tables
from telltale.web.erasing import kept
from telltale.web.models import Erasure, ErasureName, ErasureTrace
from traces import erasure as of_traces

IDS = 5_000
# Traces that are looked for by name in text; more are looked for by the look of an id.
FEW = 20
# Names that are looked for in one reading of a table, and how many readings a table gets at most.
WORDS, READINGS = 40, 25
TRIES = 60
TICK_SECONDS = 1.0
pause = time.sleep
T = TypeVar("T")


class Work:
    """One run of an erasure: what it knows, and what it writes down of itself."""

    def __init__(self, run: work.Run, erasure: Erasure) -> None:
        self.run, self.erasure, self.project_id = run, erasure, erasure.project_id
        self.done = erasure.done
        self._known: dict[UUID, bool] = {}
        self._ticks_at = 0.0

    @property
    def users(self) -> list[str]:
        """The ids of people that are to go, in every spelling."""
        return self.names("user")

    @property
    def sessions(self) -> list[str]:
        """The ids of sessions that are to go."""
        return self.names("session")

    def names(self, *what: str) -> list[str]:
        """The names of these kinds that were written down."""
        held = ErasureName.objects.filter(erasure=self.erasure, what__in=what).order_by("pk")
        return list(held.values_list("name", flat=True))

    def add_traces(self, ids: Iterable[UUID]) -> None:
        """Write down traces that are to go."""
        rows = [ErasureTrace(erasure=self.erasure, trace_id=each) for each in ids]
        ErasureTrace.objects.bulk_create(rows, ignore_conflicts=True, batch_size=1000)
        self._known.clear()

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

    def each_ids(self) -> Iterator[list[UUID]]:
        """The traces that are to go, `IDS` at a time."""
        after = UUID(int=0)
        while True:
            rows = ErasureTrace.objects.filter(erasure=self.erasure, trace_id__gt=after).order_by("trace_id")
            ids = list(rows.values_list("trace_id", flat=True)[:IDS])
            if ids:
                yield ids
            if len(ids) < IDS:
                return
            after = ids[-1]

    def readings(self) -> list[Names]:
        """What every table is read for: names, some at a time; ids of traces with the first of them."""
        words = [each for each in (*self.users, *self.sessions) if each]
        ids = list(ErasureTrace.objects.filter(erasure=self.erasure).values_list("trace_id", flat=True)[: FEW + 1])
        few = tuple(ids) if len(ids) <= FEW else None
        parts = [words[at : at + WORDS] for at in range(0, len(words), WORDS)][:READINGS] or [[]]
        return [Names(tuple(part), self.known, few if at == 0 else ()) for at, part in enumerate(parts)]

    def tables(self, *, searched: bool = True) -> list[Table]:
        """The tables that are read word by word; not `searched`: all that are of the project."""
        tables = read(list_tables)
        return [
            each
            for each in tables
            if each.own is not None
            and (kept.is_searched(each.name) if searched else each.name not in {*kept.OWN, kept.AUDIT})
        ]

    def now(self) -> Erasure:
        """The receipt as it stands."""
        return Erasure.objects.get(pk=self.erasure.pk)

    def count(self, removed: Counter[str], replaced: Counter[str] | None = None) -> None:
        """Add to the receipt, in the transaction that did it."""
        if not (+removed or (replaced and +replaced)):
            return
        row = Erasure.objects.select_for_update().get(pk=self.erasure.pk)
        row.removed = dict(Counter(row.removed) + removed)
        row.replaced = dict(Counter(row.replaced) + (replaced or Counter()))
        row.save(update_fields=["removed", "replaced"])

    def phase(self, phase: str) -> None:
        """Say what is being done."""
        self.step(phase)

    def tick(self, phase: str) -> None:
        """Say now and then that it goes on, where nothing was changed that has to stand or fall with it."""
        if time.monotonic() >= self._ticks_at:
            self._ticks_at = time.monotonic() + TICK_SECONDS
            self.step(phase)

    def step(self, phase: str, total: int | None = None) -> None:
        """Write the progress down, in the transaction that made it."""
        changes: dict[str, Any] = {"phase": phase, "done": self.done}
        if total is not None:
            changes["total"] = total
        Erasure.objects.filter(pk=self.erasure.pk).update(**changes)
        self.run.step(cursor={"phase": phase}, progress=self.done, total=total)

    def patiently(self, act: Callable[[], None]) -> None:
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


def read(ask: Callable[[Cursor[Any]], T]) -> T:
    """What `ask` answers to a cursor of a transaction of its own."""
    with _cursor() as cursor:
        return ask(cursor)


def in_leaf(leaf: str, project_id: int, users: list[str], sessions: list[str], cursor: Cursor[Any]) -> list[UUID]:
    """The traces of a partition of spans, one span of which names one of the users or sessions."""
    return of_traces.find_in_spans(cursor, leaf, project_id, users, sessions)
