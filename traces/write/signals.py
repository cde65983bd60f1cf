"""Rows of signals: put by their keys, bound to what they are about, named anew, removed.

Binding never misses: whoever stores a signal looks for its target in the same transaction and once more after it, and
every trace that is stored looks for signals that wait for it (`bind`, by the consumer of the feed). Of two that commit
at the same moment one sees the other. `bind_waiting` looks again at those whose sender died in between.

Statements that name rows by arrays of keys are planned anew each time (`prepare=False`): a plan kept from when the
table was small would read it whole.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from django.db import transaction
from psycopg import Cursor

from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.lib.sql import load
from traces.cost.judging import JUDGE_SERVICE
from traces.signals.items import NewSignal
from traces.signals.kinds import Kind, Source
from traces.signals.names import Names, kind_for, vote_of
from traces.write import feed

# (unit_key, session_id or None), as traces_behaviour_due has it.
Unit = tuple[UUID, str | None]
# A request's spans are looked for from so long before the signal; by metadata so many at once (0.1 ms each and day).
REQUEST_SINCE = timedelta(days=7)
REQUEST_WINDOW = timedelta(days=35)
DEEP_MAX, DEEP_SWEEP_MAX = 50, 500
# More than one request may hold: those of one have one time, by which the sweep goes on.
WAITING_MAX = 2_000
SLICE = 5_000


@dataclass(frozen=True, slots=True)
class Placed:
    """A signal about a trace that is here, whose words or place changed just now. `number` of true is 1, of false 0."""

    key: UUID
    trace_id: UUID
    session_id: str | None
    name: str
    kind: Kind
    vote: int | None
    number: float | None
    label: str | None


@dataclass(frozen=True, slots=True)
class Put:
    """What became of a signal: `revision` 1 is new; None: nothing changed, and `is_late` says why."""

    revision: int | None
    is_bound: bool
    is_late: bool = False

    @property
    def status(self) -> str:
        """In one word."""
        return "unchanged" if self.revision is None else "accepted" if self.revision == 1 else "updated"


Told = Callable[[int, Sequence[Placed]], None]
# What rooms above do with signals about traces that are here, in the transaction that changes them (signalling.also).
told: list[Told] = []

_UNCHANGED = """
SELECT signal_key, bound_at IS NOT NULL, is_dated, happened_at FROM traces_signal
WHERE project_id = %(project_id)s AND signal_key = ANY(%(keys)s)
"""
_PLACED = """
SELECT signal_key, trace_id, session_id, name, kind, vote, coalesce(value_number, value_bool::integer), value_label
FROM traces_signal
WHERE project_id = %(project_id)s AND signal_key = ANY(%(keys)s) AND trace_id IS NOT NULL AND bound_at IS NOT NULL
"""


_FOREIGN = """
SELECT signal_key FROM traces_signal
WHERE project_id = %(project_id)s AND signal_key = ANY(%(keys)s)
    AND (key_id IS NULL OR key_id <> ALL(%(only_of)s::bigint[]))
"""


def foreign(cursor: Cursor[Any], project_id: int, keys: Sequence[UUID], only_of: Sequence[int]) -> set[UUID]:
    """Which of these signals are here and were told by none of the keys `only_of`."""
    cursor.execute(_FOREIGN, {"project_id": project_id, "keys": list(keys), "only_of": list(only_of)}, prepare=False)
    return {row[0] for row in cursor.fetchall()}


def put(
    cursor: Cursor[Any],
    project_id: int,
    signals: Sequence[NewSignal],
    key_id: int | None,
    only_of: Sequence[int] | None = None,
) -> dict[UUID, Put]:
    """Keep signals, each key once, in the caller's transaction; what became of each, by key.

    Binds them where their target is here, marks the units they change, and tells rooms above. `only_of`: rows that
    other keys than these told stay as they are.
    """
    if not signals:
        return {}
    now = clock.now()
    params: dict[str, Any] = {"project_id": project_id, "key_id": key_id, "now": now, "judge": JUDGE_SERVICE}
    params["only_of"] = None if only_of is None else list(only_of)
    requests = find_requests(cursor, project_id, signals)
    cursor.execute(load("traces", "put_signals"), params | {"rows": _rows(signals, requests)})
    done: dict[UUID, Put] = {}
    changed: list[UUID] = []
    left: list[Unit] = []
    for key, revision, trace_id, is_bound, unit_key, session_id in cursor.fetchall():
        if key is None:
            left.append((unit_key, session_id))
            continue
        done[key] = Put(revision, is_bound)
        if is_bound and trace_id is not None:
            changed.append(key)
    if len(done) < len(signals):
        dated = {signal.key: signal.happened_at for signal in signals if signal.is_dated}
        rest = [signal.key for signal in signals if signal.key not in done]
        cursor.execute(_UNCHANGED, {"project_id": project_id, "keys": rest}, prepare=False)
        for key, is_bound, is_dated, at in cursor.fetchall():
            done[key] = Put(None, is_bound, is_dated and key in dated and dated[key] < at)
    _mark_later(cursor, project_id, left)
    tell(cursor, project_id, changed)
    return done


_TRACES_OF_UNITS = """
SELECT t.trace_id
FROM unnest(%(sessions)s::text[]) AS asked (session_id)
CROSS JOIN LATERAL (
    SELECT x.trace_id FROM traces_trace AS x
    WHERE x.project_id = %(project_id)s AND x.session_id = asked.session_id
    ORDER BY x.started_at DESC
    LIMIT 1
) AS t
"""


def _mark_later(cursor: Cursor[Any], project_id: int, units: Sequence[Unit]) -> None:
    """Have units marked that somebody folds just now: by the consumer of changed traces, which may wait for them."""
    if not units:
        return
    sessions = [session_id for _, session_id in units if session_id is not None]
    trace_ids = [unit_key for unit_key, session_id in units if session_id is None]
    if sessions:
        cursor.execute(_TRACES_OF_UNITS, {"project_id": project_id, "sessions": sessions})
        trace_ids += [row[0] for row in cursor.fetchall()]
    feed.tell(cursor, project_id, trace_ids, (feed.Consumer.BEHAVIOUR,))


def tell(cursor: Cursor[Any], project_id: int, keys: Sequence[UUID]) -> None:
    """Tell rooms above of bound signals about traces, in the caller's transaction."""
    if not told or not keys:
        return
    cursor.execute(_PLACED, {"project_id": project_id, "keys": list(keys)}, prepare=False)
    placed = [Placed(row[0], row[1], row[2], row[3], Kind(row[4]), *row[5:]) for row in cursor.fetchall()]
    for work in told:
        work(project_id, placed)


def _rows(signals: Sequence[NewSignal], requests: dict[str, UUID]) -> str:
    base = (time.time_ns() // 1_000_000) << 20
    low = secrets.randbits(20) % max((1 << 20) - len(signals), 1)
    rows = []
    for at, one in enumerate(signals):
        trace_id = one.trace_id
        if trace_id is None and one.request_id is not None:
            trace_id = requests.get(one.request_id)
        rows.append(
            {
                "signal_key": one.key,
                "signal_id": base + low + at,
                "client_id": one.client_id,
                "target_kind": int(one.target),
                "trace_id": trace_id,
                "span_id": one.span_id,
                "session_id": one.session_id,
                "request_id": one.request_id,
                "name": one.name,
                "kind": int(one.kind),
                "value_number": one.number,
                "value_bool": one.truth,
                "value_label": one.label,
                "value_text": one.text,
                "vote": one.vote,
                "comment": one.comment,
                "source": int(one.source),
                "author": one.author,
                "happened_at": one.happened_at,
                "is_dated": one.is_dated,
                "metadata": one.metadata,
            }
        )
    return orjson.dumps(rows).decode()


def find_requests(cursor: Cursor[Any], project_id: int, signals: Sequence[NewSignal]) -> dict[str, UUID]:
    """The traces that the requests of signals are, by request id; those that are not here are left out."""
    asked = {one.request_id: one.happened_at for one in signals if one.trace_id is None and one.request_id is not None}
    return _requests(cursor, project_id, asked) if asked else {}


def _requests(
    cursor: Cursor[Any], project_id: int, asked: dict[str, datetime], deep: int = DEEP_MAX
) -> dict[str, UUID]:
    last = max(asked.values()) + timedelta(days=1)
    params = {
        "project_id": project_id,
        "ids": sorted(asked, key=lambda one: asked[one], reverse=True),
        "deep": deep,
        # Each day has a partition of its own, and each id is looked for in each of them.
        "since": max(min(asked.values()) - REQUEST_SINCE, last - REQUEST_WINDOW),
        "until": last,
    }
    cursor.execute(load("traces", "find_requests"), params, prepare=False)
    return dict(cursor.fetchall())


_HAS_REQUESTS = """
SELECT EXISTS (
    SELECT FROM traces_signal WHERE project_id = %s AND request_id IS NOT NULL AND bound_at IS NULL
)
"""
_BOUNDS = """
SELECT min(started_at), max(last_started_at) FROM traces_trace WHERE project_id = %s AND trace_id = ANY(%s)
"""


def bind(cursor: Cursor[Any], project_id: int, trace_ids: Iterable[UUID]) -> set[Unit]:
    """Bind what waits for these traces or their sessions, in the caller's transaction; the units it belongs to.

    Also moves signals whose trace has got a session or another feature since. To be called for every changed trace.
    """
    ids = list(trace_ids)
    if not ids:
        return set()
    params: dict[str, Any] = {"project_id": project_id, "trace_ids": ids, "judge": JUDGE_SERVICE}
    cursor.execute(load("traces", "find_signals"), params, prepare=False)
    pairs: list[tuple[UUID, UUID | None]] = cursor.fetchall()
    cursor.execute(_HAS_REQUESTS, (project_id,))
    row = cursor.fetchone()
    if row and row[0]:
        cursor.execute(_BOUNDS, (project_id, ids), prepare=False)
        since, until = cursor.fetchone() or (None, None)
        if since is not None:
            cursor.execute(
                load("traces", "find_awaited_requests"), params | {"since": since, "until": until}, prepare=False
            )
            pairs += cursor.fetchall()
    return _bind(cursor, project_id, pairs)


def _bind(cursor: Cursor[Any], project_id: int, pairs: Sequence[tuple[UUID, UUID | None]]) -> set[Unit]:
    if not pairs:
        return set()
    params = {
        "project_id": project_id,
        "keys": [key for key, _ in pairs],
        "traces": [trace_id for _, trace_id in pairs],
        "now": clock.now(),
        "judge": JUDGE_SERVICE,
    }
    cursor.execute(load("traces", "bind_signals"), params, prepare=False)
    rows = cursor.fetchall()
    tell(cursor, project_id, [row[0] for row in rows if row[1] is not None])
    return {(row[2], row[3]) for row in rows if row[2] is not None}


_WAITING = """
SELECT signal_key, request_id, trace_id, happened_at, received_at FROM traces_signal
WHERE project_id = %(project_id)s AND bound_at IS NULL AND {which}
"""
_WAITING_OF_KEYS = _WAITING.format(which="signal_key = ANY(%(keys)s)")
_WAITING_SINCE = _WAITING.format(
    which="received_at >= %(since)s AND received_at <= %(until)s ORDER BY received_at DESC LIMIT %(limit)s"
)
_PROJECTS_WAITING = """
WITH RECURSIVE waiting AS (
    (SELECT project_id FROM traces_signal WHERE bound_at IS NULL ORDER BY project_id LIMIT 1)
    UNION ALL
    SELECT (SELECT s.project_id FROM traces_signal AS s
            WHERE s.bound_at IS NULL AND s.project_id > waiting.project_id ORDER BY s.project_id LIMIT 1)
    FROM waiting WHERE waiting.project_id IS NOT NULL
)
SELECT project_id FROM waiting WHERE project_id IS NOT NULL
"""


def look(cursor: Cursor[Any], project_id: int, keys: Sequence[UUID]) -> set[UUID]:
    """Look for the targets of signals stored a moment ago, in the caller's transaction; the keys of those now bound."""
    cursor.execute(_WAITING_OF_KEYS, {"project_id": project_id, "keys": list(keys)}, prepare=False)
    waiting = cursor.fetchall()
    _bind(cursor, project_id, _pairs(cursor, project_id, waiting))
    if not waiting:
        return set(keys)
    cursor.execute(_WAITING_OF_KEYS, {"project_id": project_id, "keys": list(keys)}, prepare=False)
    return set(keys) - {row[0] for row in cursor.fetchall()}


def projects_waiting(cursor: Cursor[Any]) -> list[int]:
    """The ids of projects with signals that are bound to nothing."""
    cursor.execute(_PROJECTS_WAITING)
    return [row[0] for row in cursor.fetchall()]


def bind_waiting(
    cursor: Cursor[Any], project_id: int, since: datetime, until: datetime
) -> tuple[set[Unit], datetime | None]:
    """Look again for the targets of the newest `WAITING_MAX` unbound signals that came from `since` to `until`.

    The units they belong to, and until when to look next, or None where these were all.
    """
    params = {"project_id": project_id, "since": since, "until": until, "limit": WAITING_MAX}
    cursor.execute(_WAITING_SINCE, params)
    waiting = cursor.fetchall()
    units = _bind(cursor, project_id, _pairs(cursor, project_id, waiting, DEEP_SWEEP_MAX))
    return units, (waiting[-1][4] if len(waiting) == WAITING_MAX else None)


def _pairs(
    cursor: Cursor[Any], project_id: int, waiting: Sequence[tuple[Any, ...]], deep: int = DEEP_MAX
) -> list[tuple[UUID, UUID | None]]:
    asked = {row[1]: row[3] for row in waiting if row[1] is not None and row[2] is None}
    found = _requests(cursor, project_id, asked, deep) if asked else {}
    return [(row[0], found.get(row[1])) for row in waiting]


_NEXT_NAMED = """
SELECT signal_key, name, source, kind, vote, value_number, value_bool, value_label, value_text
FROM traces_signal
WHERE project_id = %(project_id)s AND (%(after)s::uuid IS NULL OR signal_key > %(after)s::uuid)
ORDER BY signal_key
LIMIT %(limit)s
FOR UPDATE
"""
_REKIND = """
WITH said AS (
    UPDATE traces_signal AS s SET kind = new.kind, vote = new.vote, value_label = new.label, value_text = new.said
    FROM jsonb_to_recordset(%(rows)s::jsonb) AS new (key uuid, kind smallint, vote smallint, label text, said text)
    WHERE s.project_id = %(project_id)s AND s.signal_key = new.key
    RETURNING s.unit_key
)
INSERT INTO traces_behaviour_due AS d (project_id, unit_key, session_id, due_at)
SELECT b.project_id, b.unit_key, b.session_id, %(now)s::timestamptz
FROM traces_behaviour AS b
WHERE b.project_id = %(project_id)s AND b.unit_key IN (SELECT unit_key FROM said)
ORDER BY b.unit_key
ON CONFLICT (project_id, unit_key) DO UPDATE SET due_at = excluded.due_at WHERE d.due_at > excluded.due_at
"""


def rekind(
    cursor: Cursor[Any], project_id: int, names: Names, after: UUID | None, limit: int = SLICE
) -> tuple[UUID | None, int]:
    """Say anew what the next `limit` signals behind the key `after` mean, in the caller's transaction.

    (Where to go on, or None at the end; how many rows meant something else.) Marks the units of those.
    """
    cursor.execute(_NEXT_NAMED, {"project_id": project_id, "after": after, "limit": limit})
    rows = cursor.fetchall()
    changed = []
    for key, name, source, kind, vote, number, truth, label, text in rows:
        meaning = names.meaning(name)
        new_kind = kind_for(meaning.kind, Source(source))
        new_vote = vote_of(meaning, number, truth, label) if new_kind is Kind.THUMB else None
        # What is text by its kind is text, however short.
        is_text = label is not None and new_kind in (Kind.CORRECTION, Kind.TEXT)
        if (kind, vote) != (int(new_kind), new_vote) or is_text:
            said = (None, label) if is_text else (label, text)
            changed.append({"key": key, "kind": int(new_kind), "vote": new_vote, "label": said[0], "said": said[1]})
    if changed:
        params = {"project_id": project_id, "rows": orjson.dumps(changed).decode(), "now": clock.now()}
        cursor.execute(_REKIND, params)
    return (rows[-1][0] if len(rows) == limit else None), len(changed)


_REMOVE = """
WITH gone AS (
    DELETE FROM traces_signal WHERE project_id = %(project_id)s AND signal_key = %(key)s RETURNING unit_key
), marked AS (
    INSERT INTO traces_behaviour_due AS d (project_id, unit_key, session_id, due_at)
    SELECT b.project_id, b.unit_key, b.session_id, %(now)s::timestamptz
    FROM gone
    JOIN traces_behaviour AS b ON b.project_id = %(project_id)s AND b.unit_key = gone.unit_key
    ON CONFLICT (project_id, unit_key) DO UPDATE SET due_at = excluded.due_at WHERE d.due_at > excluded.due_at
)
SELECT count(*) FROM gone
"""


def remove(cursor: Cursor[Any], project_id: int, key: UUID) -> bool:
    """Remove a signal, in the caller's transaction; False where there is none. Its unit is looked at again."""
    cursor.execute(_REMOVE, {"project_id": project_id, "key": key, "now": clock.now()})
    row = cursor.fetchone()
    return bool(row and row[0])


_OLD = """
    DELETE FROM traces_signal
    WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM traces_signal
        WHERE project_id = %(project_id)s AND happened_at < %(cutoff)s AND received_at < %(cutoff)s
        ORDER BY happened_at
        LIMIT %(limit)s
        FOR UPDATE SKIP LOCKED
    ))
"""


def remove_old(project_id: int, cutoff: datetime, slices: int) -> int:
    """Remove signals that happened and came before `cutoff`, in at most `slices` slices; how many of these it took.

    What a clock that was wrong by years dates is kept as long as everything else that came then.
    """
    for used in range(slices):
        with transaction.atomic(), raw_cursor() as cursor:
            cursor.execute(_OLD, {"project_id": project_id, "cutoff": cutoff, "limit": SLICE})
            if cursor.rowcount < SLICE:
                return used + bool(cursor.rowcount)
    return slices
