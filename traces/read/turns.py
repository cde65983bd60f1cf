"""The turns of a session: its traces in order, and what was said in those that a page shows.

A turn's words are those its previews were taken from, whole. Which span they are from the trace row knows (its ranks),
so a page of 50 turns finds its spans by key and opens at most one piece of bodies a turn.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import orjson
from django.db.backends.utils import CursorWrapper
from psycopg import sql

from telltale.lib import clock
from traces.canonical.content import Content, Message, Part, build_content
from traces.canonical.types import Body, Kind, Vocabulary
from traces.read.asking import compose, fetch
from traces.read.places import Place, read_place, write_place
from traces.read.rows import COLUMNS, TraceRow, trace_row
from traces.read.session_rows import SessionRow, sum_up
from traces.read.spans import BODY_MAX_BYTES, unpack
from traces.summary import LOG_CLASS, Rank, read_ranks

TURNS_PAGE = 50
# All bodies of one page together, unpacked: 16 MB take about 60 ms to open. What comes later shows its preview.
BODIES_MAX_BYTES = 16 * 1024 * 1024
# Log events read for one page; a chat kept in log events repeats its history with each turn.
LOGS_MAX = 2000
SORT = "turn"
# A turn further back than this is shown with this number at most: counting more would cost time.
NUMBER_MAX = 20_000
_COLUMNS = sql.SQL(", ").join(sql.Identifier("t", name) for name in COLUMNS)


@dataclass(frozen=True, slots=True)
class Source:
    """The span that a preview was taken from. `is_log`: from log events that name it."""

    span_id: int
    is_log: bool


@dataclass(frozen=True, slots=True)
class TurnRow:
    """One trace of a session, with where its first and last words are; None where it has none."""

    trace: TraceRow
    asked: Source | None
    answered: Source | None


@dataclass(frozen=True, slots=True)
class TurnPage:
    """Turns in order of start. `first` is the number of the first one in the session, from 1; cursors as in lists."""

    turns: tuple[TurnRow, ...]
    first: int
    earlier: str | None
    later: str | None

    @property
    def is_whole(self) -> bool:
        """Whether these are all turns that the session has."""
        return self.earlier is None and self.later is None


@dataclass(frozen=True, slots=True)
class Words:
    """What was said in one turn. `is_cut`: the previews alone, since the texts are too long or not there any more."""

    asked: Message | None
    answered: tuple[Message, ...]
    is_cut: bool = False


def list_turns(
    cursor: CursorWrapper,
    project_id: int,
    session_id: str,
    *,
    after: str = "",
    before: str = "",
    last: bool = False,
    limit: int = TURNS_PAGE,
) -> TurnPage:
    """The turns behind the cursor `after`, or ahead of `before`; `last`: the last ones. FilterError for a bad one."""
    start = read_place(after or before, SORT, "timestamptz")
    is_back = bool(before) or (last and start is None)
    params: dict[str, Any] = {"project_id": project_id, "session_id": session_id, "limit": limit + 1}
    where: sql.Composable = sql.SQL("true")
    if start is not None:
        params |= {"at": start.value, "trace_id": start.key}
        where = sql.SQL("(t.started_at, t.trace_id) {} (%(at)s::timestamptz, %(trace_id)s)").format(
            sql.SQL("<" if is_back else ">")
        )
    direction = sql.SQL("DESC" if is_back else "ASC")
    order = sql.SQL("t.started_at {}, t.trace_id {}").format(direction, direction)
    found = fetch(cursor, compose("read_turns", columns=_COLUMNS, conditions=where, order=order), params)
    has_more = len(found) > limit
    turns = [_turn(values) for values in found[:limit]]
    if is_back:
        turns.reverse()
    first = 1
    if start is not None:
        first = max(start.place - len(turns), 1) if is_back else start.place + 1
    has_earlier = has_more if is_back else start is not None
    has_later = start is not None if is_back else has_more
    return TurnPage(
        turns=tuple(turns),
        first=first,
        earlier=_place(turns[0], first) if turns and has_earlier else None,
        later=_place(turns[-1], first + len(turns) - 1) if turns and has_later else None,
    )


def cursor_at(cursor: CursorWrapper, project_id: int, session_id: str, text: str) -> str | None:
    """The cursor behind which the trace `text` (hex or UUID) comes first; None where the session has none of this id.

    Its number is counted on the index, no further than `NUMBER_MAX`.
    """
    try:
        trace_id = UUID(hex=text)
    except ValueError:
        return None
    params = {"project_id": project_id, "session_id": session_id, "trace_id": trace_id, "limit": NUMBER_MAX}
    found = fetch(cursor, compose("read_turn_before"), params)
    if not found or found[0][0] is None:
        return None if not found else ""
    started_at, before_id, number = found[0]
    return write_place(SORT, Place(started_at.isoformat(), before_id, number))


def session_of(session_id: str, page: TurnPage, kept: SessionRow | None) -> SessionRow | None:
    """The sums of a session: of the turns at hand where these are all, which is exact at once; else as kept.

    None where nothing tells of it.
    """
    if page.turns and (page.is_whole or kept is None or not kept.turns):
        removed = kept.removed_count if kept is not None else 0
        return sum_up(session_id, [turn.trace for turn in page.turns], clock.now(), removed)
    return kept if kept is not None and (kept.turns or kept.removed_count) else None


def read_words(cursor: CursorWrapper, project_id: int, turns: Sequence[TurnRow]) -> dict[UUID, Words]:
    """What was said in each of these turns, by trace. Opens at most one piece of bodies a turn."""
    contents, closed = _contents(cursor, project_id, turns)
    return {turn.trace.trace_id: _words(turn, contents, turn.trace.trace_id in closed) for turn in turns}


_Key = tuple[UUID, int]


def _contents(
    cursor: CursorWrapper, project_id: int, turns: Sequence[TurnRow]
) -> tuple[dict[_Key, Content], set[UUID]]:
    """The content of each span that words come from, and the traces of which some could not be read."""
    sources = {
        (turn.trace.trace_id, source.span_id): (turn.trace, source)
        for turn in turns
        for source in (turn.asked, turn.answered)
        if source is not None
    }
    if not sources:
        return {}, set()
    rows = [row for row, _ in sources.values()]
    params = _bounds(project_id, rows) | {"span_ids": [span_id for _, span_id in sources]}
    spans = {(row[0], row[1]): row[2:] for row in fetch(cursor, compose("read_turn_spans"), params)}
    bodies, closed = _bodies(cursor, project_id, turns, {key: row[2] for key, row in spans.items()})
    logs = _logs(cursor, params) if any(source.is_log for _, source in sources.values()) else {}
    contents: dict[_Key, Content] = {}
    for key, (kind, flags, payload_id, attributes, vocabulary) in spans.items():
        body = bodies.get(key)
        if body is None and payload_id is not None and not sources[key][1].is_log:
            continue
        body = body or Body()
        contents[key] = build_content(
            Kind(kind),
            Vocabulary(vocabulary) if vocabulary else Vocabulary.PLAIN,
            body.get("raw", {}),
            _json(attributes),
            body.get("events"),
            logs.get(key, ()),
            flags=flags,
        )
    return contents, closed


def _bodies(
    cursor: CursorWrapper, project_id: int, turns: Sequence[TurnRow], payload_of: dict[_Key, int | None]
) -> tuple[dict[_Key, Body], set[UUID]]:
    """The bodies of these spans, of each turn those that lie in one piece; the turns whose piece was left closed."""
    wanted: dict[UUID, tuple[int, TurnRow]] = {}
    for turn in turns:
        # The answer's piece: where it is a model call, what it was asked is in it too.
        for source in (turn.answered, turn.asked):
            payload_id = payload_of.get((turn.trace.trace_id, source.span_id)) if source is not None else None
            if payload_id is not None:
                wanted[turn.trace.trace_id] = (payload_id, turn)
                break
    if not wanted:
        return {}, set()
    rows = [turn.trace for _, turn in wanted.values()]
    pieces = [payload_id for payload_id, _ in wanted.values()]
    params = _bounds(project_id, rows) | {"payload_ids": pieces, "budget": BODIES_MAX_BYTES}
    bodies: dict[_Key, Body] = {}
    closed = set(wanted)
    for trace_id, _, raw_bytes, data in fetch(cursor, compose("read_turn_payloads"), params):
        if data is None or raw_bytes > BODY_MAX_BYTES:
            continue
        closed.discard(trace_id)
        held = orjson.loads(unpack(bytes(data), raw_bytes))
        turn = wanted[trace_id][1]
        for source in (turn.asked, turn.answered):
            if source is not None and (body := held.get(f"{source.span_id & (2**64 - 1):016x}")) is not None:
                bodies[trace_id, source.span_id] = body
    return bodies, closed


def _bounds(project_id: int, rows: Sequence[TraceRow]) -> dict[str, Any]:
    """The parameters that keep a query to these traces, a row each, and to the partitions that they lie in."""
    return {
        "project_id": project_id,
        "trace_ids": [row.trace_id for row in rows],
        "starts": [row.started_at for row in rows],
        "ends": [row.last_started_at for row in rows],
        "first": min(row.started_at for row in rows),
        "last": max(row.last_started_at for row in rows),
    }


def _logs(cursor: CursorWrapper, params: dict[str, Any]) -> dict[_Key, list[dict[str, Any]]]:
    logs: dict[_Key, list[dict[str, Any]]] = {}
    rows = fetch(cursor, compose("read_turn_logs"), params | {"limit": LOGS_MAX})
    for trace_id, span_id, event_name, happened_at, ordinal, data in reversed(rows):
        event = {"event_name": event_name, "at": happened_at, "ordinal": ordinal}
        logs.setdefault((trace_id, span_id), []).append(event | orjson.loads(unpack(bytes(data), BODY_MAX_BYTES)))
    return logs


def _words(turn: TurnRow, contents: dict[_Key, Content], is_closed: bool) -> Words:
    trace_id = turn.trace.trace_id
    asked = contents.get((trace_id, turn.asked.span_id)) if turn.asked else None
    answered = contents.get((trace_id, turn.answered.span_id)) if turn.answered else None
    question = _question(asked) if asked else None
    answer = _answer(answered) if answered else ()
    is_cut = is_closed
    if question is None and turn.trace.preview_in:
        question, is_cut = Message("user", (Part("text", turn.trace.preview_in),)), True
    if not answer and turn.trace.preview_out:
        answer, is_cut = (Message("assistant", (Part("text", turn.trace.preview_out),)),), True
    return Words(question, answer, is_cut)


def _question(content: Content) -> Message | None:
    """The last words of the user, else the last message that says anything, as the preview has them."""
    said = [message for message in content.input_messages if message.text().strip()]
    for message in reversed(said):
        if message.role == "user":
            return message
    if content.input_text and content.input_text.strip():
        return Message("user", (Part("text", content.input_text),))
    return next((message for message in reversed(said) if message.role != "system"), None)


def _answer(content: Content) -> tuple[Message, ...]:
    if content.output_messages:
        return content.output_messages
    if content.output_text and content.output_text.strip():
        return (Message("assistant", (Part("text", content.output_text),)),)
    return ()


def _turn(values: tuple[Any, ...]) -> TurnRow:
    ranks = read_ranks(values[-1])
    return TurnRow(trace_row(values[:-1]), _source(ranks.get("preview_in")), _source(ranks.get("preview_out")))


def _source(rank: Rank | None) -> Source | None:
    """The span that a rank names: (class, start, span id)."""
    return None if rank is None else Source(rank[2], rank[0] == LOG_CLASS)


def _place(turn: TurnRow, number: int) -> str:
    return write_place(SORT, Place(turn.trace.started_at.isoformat(), turn.trace.trace_id, number))


def _json(value: Any) -> dict[str, Any]:
    parsed = orjson.loads(value) if isinstance(value, str | bytes) else value
    return parsed if isinstance(parsed, dict) else {}
