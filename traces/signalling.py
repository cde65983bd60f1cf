"""Signals: what end users did. Taken in one by one, bound to what they are about, removed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from time import monotonic
from typing import Any
from uuid import UUID

from django.db import transaction
from psycopg import errors

from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.lib.faults import Fault, ItemRefused
from traces.masks import mask_text, masker_for
from traces.models import SignalDefinition
from traces.read.signals import ORPHAN_AFTER
from traces.signals.items import CLIENT_ID_CHARS_MAX, FIELDS, NewSignal, read_item
from traces.signals.keys import key_of_own_id
from traces.signals.kinds import Source
from traces.signals.names import NO_NAMES, Names, NamesRefused
from traces.write import erased
from traces.write import signals as write
from traces.write.batch import Batch, Outcome, write_batch_row
from traces.write.masking import mask_signals
from traces.write.signals import Placed, Told

__all__ = [
    "ITEMS_MAX", "ORPHAN_AFTER", "Fault", "Placed", "Result", "Sender", "also", "bind_waiting", "forget", "names_of",
    "put_signals", "remove_signal",
]  # fmt: skip

ITEMS_MAX = 1000
# Who died between storing a signal and looking again did so within the last minutes.
LOOK_BACK = timedelta(minutes=15)
SWEEP_SECONDS = 20.0
HOLD_SECONDS = 5.0
TRIES = 4
OF_END_USERS = Fault("source", "is not for a page to say: it speaks for its end user alone", "end_user")
GONE = Fault("target", erased.MESSAGE)
TAKEN = Fault("client_id", "is that of a signal which no page told; pages change none", "an id of your own")
_held: dict[int, tuple[float, Names]] = {}


@dataclass(frozen=True, slots=True)
class Sender:
    """Who sends signals: a key, or a person (no key). `body_bytes`: of the request that is to be accounted for.

    `is_own`: the product itself tells of scores and events, whose ids are none of any caller's. `browser_keys`: the
    sender is a page in a browser, whose key anybody can read; it changes what these keys told and nothing else.
    """

    key_id: int | None = None
    body_bytes: int | None = None
    is_own: bool = False
    browser_keys: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Result:
    """What became of one item.

    accepted (new), updated, unchanged, rejected, or superseded: a later item has its id, or what is stored is later.
    """

    status: str
    key: UUID | None
    client_id: str | None
    is_bound: bool
    faults: tuple[Fault, ...] = ()


def also(work: Told) -> Told:
    """Decorator: `work(project_id, placed)` is told of new or changed signals about traces that are here.

    In the transaction that changes them: what it writes and what they say stand or fall together.
    """
    write.told.append(work)
    return work


def names_of(project_id: int) -> Names:
    """What names of signals mean to a project, at most `HOLD_SECONDS` old."""
    now = monotonic()
    held = _held.get(project_id)
    if held and held[0] > now:
        return held[1]
    spec = (
        SignalDefinition.objects.filter(project_id=project_id)
        .order_by("-version")
        .values_list("spec", flat=True)
        .first()
    )
    try:
        names = Names.parse(spec.get("names")) if isinstance(spec, dict) else NO_NAMES
    except NamesRefused:
        names = NO_NAMES
    if len(_held) > 1000:
        _held.clear()
    _held[project_id] = (now + HOLD_SECONDS, names)
    return names


def forget() -> None:
    """Forget which names projects have (tests; after they changed)."""
    _held.clear()


def put_signals(project_id: int, items: Sequence[Any], sender: Sender) -> list[Result]:
    """Keep what can be kept of `items`, each an object of a request; a result for each, in their order. Committed.

    Of several items with one key the last counts. What finds no target is kept unbound, and bound once that comes.
    """
    now, names = clock.now(), names_of(project_id)
    results: list[Result | None] = [None] * len(items)
    read: dict[int, NewSignal] = {}
    for at, item in enumerate(items):
        try:
            signal = read_item(item, now, names)
            if sender.browser_keys is not None and signal.source != Source.END_USER:
                raise ItemRefused(OF_END_USERS)
            if sender.is_own and signal.client_id is not None:
                signal.key = key_of_own_id(signal.client_id)
            read[at] = signal
        except ItemRefused as refused:
            results[at] = Result("rejected", None, _client_id(item), False, refused.faults)
    if sender.browser_keys is not None:
        with raw_cursor() as cursor:
            taken = write.foreign(cursor, project_id, [signal.key for signal in read.values()], sender.browser_keys)
        for at in [at for at, signal in read.items() if signal.key in taken]:
            results[at] = Result("rejected", None, read.pop(at).client_id, False, (TAKEN,))
    for at in _erased(project_id, read):
        results[at] = Result("rejected", None, read.pop(at).client_id, False, (GONE,))
    last = {signal.key: at for at, signal in read.items()}
    outcome = Outcome(received=len(items), masked=mask_signals(list(read.values()), masker_for(project_id)))
    for result in results:
        if result is not None:
            field, message = result.faults[0].field, result.faults[0].message
            reason = f"bad_{field}" if field in FIELDS else "bad_item"
            code = erased.REASON if result.faults == (GONE,) else reason
            outcome.reject(code, mask_text(project_id, f"{field} {message}"))
    done = _store(project_id, [read[at] for at in last.values()], sender, outcome)
    for at, signal in read.items():
        put = done[signal.key]
        is_kept = last[signal.key] == at and not put.is_late
        results[at] = Result(put.status if is_kept else "superseded", signal.key, signal.client_id, put.is_bound)
    return [result for result in results if result is not None]


def _erased(project_id: int, read: dict[int, NewSignal]) -> list[int]:
    """Which of the signals are about what was erased, or given by whom."""
    gone = erased.find_gone(
        project_id,
        traces={one.trace_id for one in read.values() if one.trace_id is not None},
        sessions={one.session_id for one in read.values()},
        users={one.author for one in read.values()},
    )
    return [at for at, one in read.items() if gone.why(one.trace_id, one.session_id, one.author)]


def _store(project_id: int, signals: Sequence[NewSignal], sender: Sender, outcome: Outcome) -> dict[UUID, write.Put]:
    began = clock.now()
    for attempt in range(TRIES):
        try:
            with transaction.atomic(), raw_cursor() as cursor:
                done = write.put(cursor, project_id, signals, sender.key_id, sender.browser_keys)
                if sender.body_bytes is not None:
                    outcome.stored = sum(put.revision is not None for put in done.values())
                    outcome.duplicate = outcome.received - outcome.rejected_total - outcome.stored
                    batch = Batch(project_id, sender.key_id or 0, "signals", began, sender.body_bytes)
                    write_batch_row(cursor, batch, outcome)
            break
        except (errors.DeadlockDetected, errors.SerializationFailure):
            if attempt + 1 == TRIES:
                raise
    waiting = [key for key, put in done.items() if not put.is_bound]
    if waiting:
        # A trace that was committed meanwhile has not seen them.
        with transaction.atomic(), raw_cursor() as cursor:
            found = write.look(cursor, project_id, waiting)
        done |= {key: write.Put(done[key].revision, True, done[key].is_late) for key in found}
    return done


def remove_signal(project_id: int, key: UUID) -> bool:
    """Remove a signal; False where there is none."""
    with transaction.atomic(), raw_cursor() as cursor:
        return write.remove(cursor, project_id, key)


def remove_own(project_id: int, client_id: str) -> bool:
    """Remove the signal that the product told itself under this id; False where there is none."""
    return remove_signal(project_id, key_of_own_id(client_id))


def bind_waiting() -> int:
    """Look again for targets of signals that came in the last minutes and found none, in all projects; units found."""
    until = clock.now()
    found = 0
    with raw_cursor() as cursor:
        projects = write.projects_waiting(cursor)
    ends = monotonic() + SWEEP_SECONDS
    for project_id in projects:
        before: datetime | None = until
        while before is not None and monotonic() < ends:
            with transaction.atomic(), raw_cursor() as cursor:
                units, before = write.bind_waiting(cursor, project_id, until - LOOK_BACK, before)
            found += len(units)
    return found


def _client_id(item: Any) -> str | None:
    found = (item.get("client_id") or item.get("id")) if isinstance(item, dict) else None
    return found[:CLIENT_ID_CHARS_MAX] if isinstance(found, str) and found.isprintable() else None
