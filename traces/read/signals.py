"""Signals as rows: lists by time, those about traces and sessions, what is bound to nothing, what rules see of them."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from psycopg import sql

from telltale.lib import clock
from telltale.lib.db import raw_cursor
from traces.behaviour.types import Seen
from traces.read.asking import asking, fetch
from traces.signals.items import SOURCES
from traces.signals.keys import key_of_client_id, key_of_own_id
from traces.signals.kinds import Kind, Source, Target
from traces.wire.ids import hex_span_id

# Bound to nothing for so long: shown as such.
ORPHAN_AFTER = timedelta(days=7)
# Of one trace or session, shown at once.
OF_ONE_MAX = 200
OF_EACH_MAX = 20
NAMES_MAX = 200
# Each list tells them: 10,000 are counted in some 10 ms.
UNBOUND_MAX = 10_000
EXPORT_TIMEOUT_MS = 30_000
_CHUNK = 1_000
SOURCE_WORDS: dict[Source, str] = {source: word for word, source in SOURCES.items()}
KIND_NAMES: dict[Kind, str] = {kind: kind.name.lower() for kind in Kind}
TARGET_NAMES: dict[Target, str] = {target: target.name.lower() for target in Target}
BOUND, WAITING, ORPHAN = "bound", "waiting", "orphan"
STATES = (BOUND, WAITING, ORPHAN)
# (happened_at, signal_id): where a list goes on.
Place = tuple[datetime, int]


@dataclass(frozen=True, slots=True)
class Signal:
    """One signal as its row says it. `key` is its id outside; `trace_id` may be what its request was found to be."""

    key: UUID
    id: int
    client_id: str | None
    target: Target
    trace_id: UUID | None
    span_id: int | None
    session_id: str | None
    request_id: str | None
    name: str
    kind: Kind
    number: float | None
    truth: bool | None
    label: str | None
    text: str | None
    vote: int | None
    comment: str | None
    source: Source
    author: str | None
    happened_at: datetime
    is_dated: bool
    received_at: datetime
    updated_at: datetime
    revision: int
    key_id: int | None
    unit_key: UUID | None
    bound_at: datetime | None
    feature: str | None
    metadata: dict[str, Any] | None = field(hash=False)

    @property
    def value(self) -> float | bool | str | None:
        """What was told; None where the name says it alone."""
        return next((one for one in (self.truth, self.number, self.label, self.text) if one is not None), None)

    @property
    def span_hex(self) -> str | None:
        """The span it is about, in hex."""
        return None if self.span_id is None else hex_span_id(self.span_id)

    @property
    def place(self) -> Place:
        """Where a list goes on behind it."""
        return self.happened_at, self.id

    @property
    def state(self) -> str:
        """bound, waiting for its target, or an orphan: nothing came within `ORPHAN_AFTER`."""
        if self.bound_at is not None:
            return BOUND
        return ORPHAN if self.received_at < clock.now() - ORPHAN_AFTER else WAITING


@dataclass(frozen=True, slots=True)
class SignalFilter:
    """Which signals a list shows; empty is any. The window [start, end) is of when they happened."""

    start: datetime | None = None
    end: datetime | None = None
    names: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ()
    sources: tuple[Source, ...] = ()
    vote: int | None = None
    trace_id: UUID | None = None
    span_id: int | None = None
    session_id: str | None = None
    request_id: str | None = None
    client_id: str | None = None
    author: str | None = None
    feature: str | None = None
    state: str = ""


@dataclass(frozen=True, slots=True)
class SignalPage:
    """One page, newest first; `newer` and `older` are places to go on from, None at an end."""

    rows: tuple[Signal, ...]
    newer: Place | None
    older: Place | None


@dataclass(frozen=True, slots=True)
class Unbound:
    """How many signals are bound to nothing, each counted up to `UNBOUND_MAX`."""

    waiting: int
    orphans: int


_COLUMNS = (
    "signal_key", "signal_id", "client_id", "target_kind", "trace_id", "span_id", "session_id", "request_id", "name",
    "kind", "value_number", "value_bool", "value_label", "value_text", "vote", "comment", "source", "author",
    "happened_at", "is_dated", "received_at", "updated_at", "revision", "key_id", "unit_key", "bound_at", "feature",
    "metadata",
)  # fmt: skip


def columns_of(alias: str) -> sql.Composable:
    """The columns of `traces_signal` under `alias`, as `signal_of` takes them."""
    return sql.SQL(", ").join(sql.Identifier(alias, name) for name in _COLUMNS)


_SELECT = sql.SQL("SELECT {} FROM traces_signal AS g WHERE g.project_id = %(project_id)s").format(columns_of("g"))
_TESTS: tuple[tuple[str, Any], ...] = (
    ("start", sql.SQL("g.happened_at >= %(start)s")),
    ("end", sql.SQL("g.happened_at < %(end)s")),
    ("names", sql.SQL("g.name = ANY(%(names)s::text[])")),
    ("kinds", sql.SQL("g.kind = ANY(%(kinds)s::smallint[])")),
    ("sources", sql.SQL("g.source = ANY(%(sources)s::smallint[])")),
    ("vote", sql.SQL("g.vote = %(vote)s")),
    ("trace_id", sql.SQL("g.trace_id = %(trace_id)s")),
    ("span_id", sql.SQL("g.span_id = %(span_id)s")),
    ("session_id", sql.SQL("g.session_id = %(session_id)s")),
    ("request_id", sql.SQL("g.request_id = %(request_id)s")),
    ("author", sql.SQL("g.author = %(author)s")),
    ("feature", sql.SQL("g.feature = %(feature)s")),
)
_STATES = {
    BOUND: sql.SQL("g.bound_at IS NOT NULL"),
    WAITING: sql.SQL("g.bound_at IS NULL AND g.received_at >= %(orphaned)s"),
    ORPHAN: sql.SQL("g.bound_at IS NULL AND g.received_at < %(orphaned)s"),
    "no": sql.SQL("g.bound_at IS NULL"),
}


def list_signals(
    project_id: int,
    wanted: SignalFilter,
    limit: int,
    *,
    before: Place | None = None,
    after: Place | None = None,
) -> SignalPage:
    """One page of the signals that match, newest first: behind the place `before`, or ahead of `after`.

    traces.read.TooSlow where the database took longer than a page may.
    """
    rows = _page(project_id, wanted, limit + 1, before, after)
    has_more, rows = len(rows) > limit, rows[:limit]
    is_back = after is not None
    if is_back:
        rows = rows[::-1]
    if not rows:
        return SignalPage((), None, None)
    has_newer = has_more if is_back else before is not None
    has_older = True if is_back else has_more
    return SignalPage(tuple(rows), rows[0].place if has_newer else None, rows[-1].place if has_older else None)


def each_signal(project_id: int, wanted: SignalFilter) -> Iterator[Signal]:
    """All signals that match, newest first, in short transactions: memory stays constant."""
    before: Place | None = None
    while True:
        rows = _page(project_id, wanted, _CHUNK, before, None, EXPORT_TIMEOUT_MS)
        yield from rows
        if len(rows) < _CHUNK:
            return
        before = rows[-1].place


def get_signal(project_id: int, key: UUID) -> Signal | None:
    """One signal; None where the project has none of this key."""
    query = _SELECT + sql.SQL(" AND g.signal_key = %(key)s")
    return next(iter(_read(query, {"project_id": project_id, "key": key})), None)


def signals_of_traces(
    project_id: int, trace_ids: Collection[UUID], each: int = OF_EACH_MAX
) -> dict[UUID, tuple[Signal, ...]]:
    """The newest signals about each of these traces and their spans, in one query; those without are left out."""
    if not trace_ids:
        return {}
    query = sql.SQL(
        "SELECT g.* FROM unnest(%(ids)s::uuid[]) AS asked (id) CROSS JOIN LATERAL ({} AND g.trace_id = asked.id"
        " ORDER BY g.happened_at DESC, g.signal_id DESC LIMIT %(each)s) AS g"
    ).format(_SELECT)
    found: dict[UUID, list[Signal]] = {}
    for signal in _read(query, {"project_id": project_id, "ids": list(trace_ids), "each": each}):
        if signal.trace_id is not None:
            found.setdefault(signal.trace_id, []).append(signal)
    return {trace_id: tuple(signals) for trace_id, signals in found.items()}


def signals_of_session(project_id: int, session_id: str, limit: int = OF_ONE_MAX) -> tuple[Signal, ...]:
    """The newest signals of a session: about itself and about its traces, oldest first."""
    query = _SELECT + sql.SQL(
        " AND (g.unit_key = md5(%(session_id)s)::uuid OR g.session_id = %(session_id)s)"
        " ORDER BY g.happened_at DESC, g.signal_id DESC LIMIT %(limit)s"
    )
    rows = _read(query, {"project_id": project_id, "session_id": session_id, "limit": limit})
    return tuple(reversed(rows))


def signals_of_user(project_id: int, author: str, limit: int = OF_ONE_MAX) -> tuple[Signal, ...]:
    """The newest signals that name this end user, newest first."""
    query = _SELECT + sql.SQL(
        " AND g.author = %(author)s ORDER BY g.happened_at DESC, g.signal_id DESC LIMIT %(limit)s"
    )
    return tuple(_read(query, {"project_id": project_id, "author": author, "limit": limit}))


_NAMES = """
WITH newest AS (
    SELECT name, kind FROM traces_signal
    WHERE project_id = %(project_id)s
    ORDER BY happened_at DESC, signal_id DESC
    LIMIT 20000
)
SELECT name, kind, count(*) FROM newest GROUP BY name, kind ORDER BY count(*) DESC, name LIMIT %(limit)s
"""


@dataclass(frozen=True, slots=True)
class NameSeen:
    """A name among the newest signals: what it means here, and how often it came among these."""

    name: str
    kind: Kind
    n: int


def signal_names(project_id: int, limit: int = NAMES_MAX) -> list[NameSeen]:
    """The names of the newest 20,000 signals, the most frequent first."""
    with asking() as cursor:
        rows = fetch(cursor, _NAMES, {"project_id": project_id, "limit": limit})
    return [NameSeen(name, Kind(kind), n) for name, kind, n in rows]


_UNBOUND = """
SELECT
    (SELECT count(*) FROM (
        SELECT FROM traces_signal
        WHERE project_id = %(project_id)s AND bound_at IS NULL AND received_at >= %(orphaned)s LIMIT %(most)s
    ) AS waiting),
    (SELECT count(*) FROM (
        SELECT FROM traces_signal
        WHERE project_id = %(project_id)s AND bound_at IS NULL AND received_at < %(orphaned)s LIMIT %(most)s
    ) AS orphans)
"""


def unbound_counts(project_id: int) -> Unbound:
    """How many signals wait for their target, and how many have waited for longer than `ORPHAN_AFTER`."""
    params = {"project_id": project_id, "orphaned": clock.now() - ORPHAN_AFTER, "most": UNBOUND_MAX}
    with asking() as cursor:
        return Unbound(*fetch(cursor, _UNBOUND, params)[0])


_DOWN = """
SELECT DISTINCT trace_id FROM traces_signal
WHERE project_id = %(project_id)s AND trace_id = ANY(%(ids)s::uuid[]) AND vote = -1
"""


def thumbs_down(project_id: int, trace_ids: Collection[UUID]) -> set[UUID]:
    """Those of the traces that an end user gave a thumbs-down."""
    with raw_cursor() as cursor:
        cursor.execute(_DOWN, {"project_id": project_id, "ids": list(trace_ids)})
        return {row[0] for row in cursor.fetchall()}


_SEEN = """
SELECT g.unit_key, g.kind, g.name, g.source, g.happened_at, g.trace_id, g.value_number, g.value_bool, g.value_label,
    g.value_text, g.author, g.vote
FROM unnest(%(units)s::uuid[]) AS asked (unit_key)
CROSS JOIN LATERAL (
    SELECT * FROM traces_signal AS s
    WHERE s.project_id = %(project_id)s AND s.unit_key = asked.unit_key AND s.kind <> %(outside)s
    ORDER BY s.happened_at DESC, s.signal_id DESC
    LIMIT %(each)s
) AS g
ORDER BY g.happened_at, g.signal_id
"""


def seen_of_units(project_id: int, unit_keys: Sequence[UUID], each: int = 500) -> dict[UUID, list[Seen]]:
    """What rules see of the signals of units, oldest first, the newest `each` of a unit. In the open transaction.

    Numbers of somebody's evaluator are left out. Of a thumb `truth` says which way it points, whatever was told.
    """
    params = {"project_id": project_id, "units": list(unit_keys), "each": each, "outside": int(Kind.OUTSIDE)}
    found: dict[UUID, list[Seen]] = {}
    with raw_cursor() as cursor:
        cursor.execute(_SEEN, params)
        for unit_key, kind, name, source, at, trace_id, number, truth, label, text, author, vote in cursor.fetchall():
            if Kind(kind) is Kind.THUMB:
                number, truth, label, text = None, (vote > 0 if vote else None), None, None
            seen = Seen(Kind(kind), name, Source(source), at, trace_id, number, truth, label, text, author)
            found.setdefault(unit_key, []).append(seen)
    return found


def _page(
    project_id: int,
    wanted: SignalFilter,
    limit: int,
    before: Place | None,
    after: Place | None,
    timeout_ms: int | None = None,
) -> list[Signal]:
    params: dict[str, Any] = {"project_id": project_id, "limit": limit, "orphaned": clock.now() - ORPHAN_AFTER}
    parts: list[sql.Composable] = [_SELECT]
    for key, condition in _TESTS:
        value = getattr(wanted, key)
        if value is None or value == ():
            continue
        params[key] = list(value) if isinstance(value, tuple) else value
        parts.append(condition)
    if wanted.vote is not None and not wanted.kinds:
        # Thumbs alone have votes; and these have an index.
        parts.append(sql.SQL("g.kind = {}").format(sql.Literal(int(Kind.THUMB))))
    if wanted.client_id is not None:
        # What has an id is found by the key made of it: a caller's, or of a score.
        params["keys"] = [key_of_client_id(wanted.client_id), key_of_own_id(wanted.client_id)]
        parts.append(sql.SQL("g.signal_key = ANY(%(keys)s)"))
    if wanted.state:
        parts.append(_STATES[wanted.state])
    place = before or after
    if place is not None:
        params |= {"at": place[0], "id": place[1]}
        way = sql.SQL("<") if before is not None else sql.SQL(">")
        parts.append(sql.SQL("(g.happened_at, g.signal_id) {} (%(at)s, %(id)s)").format(way))
    query = sql.SQL(" AND ").join(parts)
    order = sql.SQL("") if after is not None and before is None else sql.SQL(" DESC")
    query += sql.SQL(" ORDER BY g.happened_at{order}, g.signal_id{order} LIMIT %(limit)s").format(order=order)
    return _read(query, params, timeout_ms)


def _read(query: sql.Composable, params: dict[str, Any], timeout_ms: int | None = None) -> list[Signal]:
    with asking(timeout_ms) if timeout_ms is not None else asking() as cursor:
        return [signal_of(row) for row in fetch(cursor, query.as_string(None), params)]


def signal_of(row: tuple[Any, ...]) -> Signal:
    """A row of `columns_of` as a signal."""
    values = list(row)
    values[3], values[9], values[16] = Target(values[3]), Kind(values[9]), Source(values[16])
    values[27] = orjson.loads(values[27]) if isinstance(values[27], str) else values[27]
    return Signal(*values)
