"""Scores of judges, people and programs: on one trace, on those of a list, on a session, and as a list of their own."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache
from typing import Any
from uuid import UUID

import orjson
from psycopg import sql

from evals.rubrics import Criterion, Rubric, parse_rubric
from evals.rubrics.kinds import RubricRefused
from telltale.lib.db import raw_cursor
from telltale.lib.sql import load
from traces.read.asking import asking, fetch
from traces.wire.ids import hex_span_id

JUDGE, PERSON, API = 1, 2, 3
TRACE, SPAN, SESSION, RESULT = 1, 2, 3, 4
NUMERIC, BOOLEAN, LABEL, TEXT = 1, 2, 3, 4
SOURCES = {JUDGE: "judge", PERSON: "person", API: "api"}
TARGETS = {TRACE: "trace", SPAN: "span", SESSION: "session", RESULT: "result"}
DATA_TYPES = {NUMERIC: "numeric", BOOLEAN: "boolean", LABEL: "label", TEXT: "text"}
# A trace may have more scores than a page can use; what is read says so.
OF_ONE_MAX = 500
# Of each trace of a list: enough for a cell, and bounded whatever was sent.
OF_EACH_MAX = 20
NAMES_MAX = 200
EXPORT_TIMEOUT_MS = 15_000
_CHUNK = 1000


@dataclass(frozen=True, slots=True)
class Score:
    """One score. `number` is a boolean's 0 or 1 too, and the place of an ordered label; unknown is None."""

    id: int
    source: int
    target_kind: int
    trace_id: UUID | None
    span_id: int
    session_id: str | None
    started_at: datetime
    name: str
    data_type: int
    number: float | None
    label: str | None
    comment: str
    evidence: tuple[str, ...]
    judge_id: int | None
    judge_version_id: int | None
    rubric_version_id: int | None
    judgement_id: int | None
    review_id: int | None
    author: str
    external_id: str | None
    pi: float | None
    metadata: dict[str, Any] | None = field(hash=False)
    made_at: datetime
    updated_at: datetime
    judge_slug: str
    judge_name: str
    judge_kind: str
    version: int | None
    model: str
    rubric_slug: str
    rubric_name: str
    rubric_version: int | None
    is_flagged: bool | None
    flags: tuple[str, ...]
    purpose: int | None
    call_trace_id: UUID | None
    criterion: Criterion | None = None

    @property
    def span_hex(self) -> str:
        """The span it is about, in hex; empty where it is about something else."""
        return hex_span_id(self.span_id) if self.target_kind == SPAN else ""

    @property
    def title(self) -> str:
        """The criterion as its rubric writes it, else the name."""
        return self.criterion.title if self.criterion is not None else self.name

    @property
    def value(self) -> float | bool | str | None:
        """What was said, as its type: a number, true or false, or text."""
        if self.data_type == BOOLEAN:
            return None if self.number is None else bool(self.number)
        if self.data_type == NUMERIC:
            return self.number
        return self.label if self.data_type == LABEL else self.comment


@dataclass(frozen=True, slots=True)
class Brief:
    """A score as a list shows it beside its trace."""

    name: str
    source: int
    data_type: int
    number: float | None
    label: str | None
    high: int | None  # the top of its scale, where its rubric says
    judge_slug: str
    is_flagged: bool
    is_bad: bool  # its own criterion's limit is reached
    made_at: datetime


@dataclass(frozen=True, slots=True)
class ScoreFilter:
    """Which scores a list shows; empty is any. The window [start, end) is of the targets' starts."""

    start: datetime | None = None
    end: datetime | None = None
    names: tuple[str, ...] = ()
    sources: tuple[int, ...] = ()
    judge_id: int | None = None
    judge_version_id: int | None = None
    trace_id: UUID | None = None
    span_id: int | None = None
    session_id: str | None = None
    external_id: str | None = None
    target_kind: int | None = None
    at_least: float | None = None
    at_most: float | None = None
    labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ScorePage:
    """One page of scores, newest first; `older` and `newer` are ids to go on from, None at an end."""

    rows: tuple[Score, ...]
    newer: int | None
    older: int | None


def scores_of_trace(project_id: int, trace_id: UUID, span_id: int | None = None) -> tuple[Score, ...]:
    """The scores on a trace and on its spans, or on one span of it; by name, the newest first, at most OF_ONE_MAX."""
    where = "c.trace_id = %(trace_id)s AND c.target_kind IN (1, 2)"
    if span_id is not None:
        where = "c.trace_id = %(trace_id)s AND c.target_kind = 2 AND c.span_id = %(span_id)s"
    params = {"trace_id": trace_id, "span_id": span_id, "limit": OF_ONE_MAX}
    return _read(project_id, sql.SQL(where), sql.SQL("c.name, c.source, c.score_id DESC"), params)


def scores_of_session(project_id: int, session_id: str) -> tuple[Score, ...]:
    """The scores on a session as a whole; by name, the newest first, at most OF_ONE_MAX."""
    where = sql.SQL("c.session_id = %(session_id)s AND c.target_kind = 3")
    order = sql.SQL("c.name, c.source, c.score_id DESC")
    return _read(project_id, where, order, {"session_id": session_id, "limit": OF_ONE_MAX})


def scores_of_traces(
    project_id: int, trace_ids: Sequence[UUID], name: str = "", judge_slug: str = ""
) -> dict[UUID, tuple[Brief, ...]]:
    """For the traces of one page of a list, in one query: the newest score of each name and giver, bad ones first.

    With `name` of that name alone, with `judge_slug` of that judge alone.
    """
    if not trace_ids:
        return {}
    params = {
        "project_id": project_id,
        "trace_ids": list(trace_ids),
        "name": name,
        "judge": judge_slug,
        "each": OF_EACH_MAX,
    }
    with asking() as cursor:
        rows = fetch(cursor, load("evals", "read_scores_of_traces"), params)
        specs = _specs(cursor, {row[-1] for row in rows})
    found: dict[UUID, list[Brief]] = {}
    for trace_id, *values, rubric_version_id in rows:
        criterion = _criterion(specs.get(rubric_version_id), values[0])
        flag_at = criterion.flag_at_most if criterion is not None else None
        high = criterion.scale.high if criterion is not None and criterion.scale.has_numbers else None
        name_, source, data_type, number, label, slug, is_flagged, made_at = values
        is_bad = flag_at is not None and number is not None and number <= flag_at
        brief = Brief(name_, source, data_type, number, label, high, slug or "", bool(is_flagged), is_bad, made_at)
        found.setdefault(trace_id, []).append(brief)
    return {trace_id: tuple(sorted(each, key=lambda s: not s.is_bad)) for trace_id, each in found.items()}


def score_names(project_id: int, limit: int = NAMES_MAX) -> list[str]:
    """The names that scores of the project have. Every list asks, so it opens no transaction of its own."""
    with raw_cursor() as cursor:
        cursor.execute(load("evals", "read_score_names"), {"project_id": project_id, "limit": limit})
        return [row[0] for row in cursor.fetchall()]


def get_score(project_id: int, score_id: int) -> Score | None:
    """One score; None where the project has none of this id."""
    where = sql.SQL("c.score_id = %(score_id)s")
    return next(iter(_read(project_id, where, sql.SQL("c.score_id"), {"score_id": score_id, "limit": 1})), None)


def list_scores(
    project_id: int, wanted: ScoreFilter, limit: int, *, before: int | None = None, after: int | None = None
) -> ScorePage:
    """One page of the scores that match, newest first: older than the id `before`, or newer than `after`.

    traces.read.TooSlow where the database took longer than a page may.
    """
    rows = _page(project_id, wanted, limit + 1, before, after)
    has_more, rows = len(rows) > limit, rows[:limit]
    is_back = after is not None
    if is_back:
        rows = rows[::-1]
    if not rows:
        return ScorePage((), None, None)
    has_newer = has_more if is_back else before is not None
    has_older = True if is_back else has_more
    return ScorePage(rows, rows[0].id if has_newer else None, rows[-1].id if has_older else None)


def each_score(project_id: int, wanted: ScoreFilter) -> Iterator[Score]:
    """All scores that match, newest first, in short transactions: memory stays constant."""
    before: int | None = None
    while True:
        rows = _page(project_id, wanted, _CHUNK, before, None, EXPORT_TIMEOUT_MS)
        yield from rows
        if len(rows) < _CHUNK:
            return
        before = rows[-1].id


def starts_of_traces(project_id: int, trace_ids: Collection[UUID]) -> dict[UUID, datetime]:
    """When those of the traces that are there began."""
    query = (
        "SELECT trace_id, started_at FROM traces_trace"
        " WHERE project_id = %(project_id)s AND trace_id = ANY(%(ids)s::uuid[])"
    )
    with asking() as cursor:
        return dict(fetch(cursor, query, {"project_id": project_id, "ids": list(trace_ids)}))


def starts_of_sessions(project_id: int, session_ids: Collection[str]) -> dict[str, datetime]:
    """When those of the sessions that are there began, one step along an index each."""
    query = (
        "SELECT s.id, (SELECT t.started_at FROM traces_trace AS t WHERE t.project_id = %(project_id)s"
        " AND t.session_id = s.id ORDER BY t.started_at LIMIT 1) FROM unnest(%(ids)s::text[]) AS s (id)"
    )
    with asking() as cursor:
        rows = fetch(cursor, query, {"project_id": project_id, "ids": list(session_ids)})
    return {session_id: at for session_id, at in rows if at is not None}


def _page(
    project_id: int,
    wanted: ScoreFilter,
    limit: int,
    before: int | None,
    after: int | None,
    timeout_ms: int | None = None,
) -> tuple[Score, ...]:
    params: dict[str, Any] = {"limit": limit}
    parts: list[sql.Composable] = [sql.SQL("true")]
    tests: tuple[tuple[str, Any, str], ...] = (
        ("start", wanted.start, "c.started_at >= %(start)s"),
        ("end", wanted.end, "c.started_at < %(end)s"),
        ("names", list(wanted.names) or None, "c.name = ANY(%(names)s::text[])"),
        ("sources", list(wanted.sources) or None, "c.source = ANY(%(sources)s::smallint[])"),
        ("judge_id", wanted.judge_id, "c.judge_id = %(judge_id)s"),
        ("judge_version_id", wanted.judge_version_id, "c.judge_version_id = %(judge_version_id)s"),
        ("trace_id", wanted.trace_id, "c.trace_id = %(trace_id)s AND c.target_kind IN (1, 2)"),
        ("span_id", wanted.span_id, "c.target_kind = 2 AND c.span_id = %(span_id)s"),
        ("session_id", wanted.session_id, "c.session_id = %(session_id)s AND c.target_kind = 3"),
        ("external_id", wanted.external_id, "c.external_id = %(external_id)s"),
        ("target_kind", wanted.target_kind, "c.target_kind = %(target_kind)s"),
        ("at_least", wanted.at_least, "c.number >= %(at_least)s"),
        ("at_most", wanted.at_most, "c.number <= %(at_most)s"),
        ("labels", list(wanted.labels) or None, "c.label = ANY(%(labels)s::text[])"),
        ("before", before, "c.score_id < %(before)s"),
        ("after", after, "c.score_id > %(after)s"),
    )
    for key, value, condition in tests:
        if value is not None:
            params[key] = value
            parts.append(sql.SQL(condition))
    order = sql.SQL("c.score_id" if after is not None else "c.score_id DESC")
    return _read(project_id, sql.SQL(" AND ").join(parts), order, params, timeout_ms)


def _read(
    project_id: int, where: sql.Composable, order: sql.Composable, params: dict[str, Any], timeout_ms: int | None = None
) -> tuple[Score, ...]:
    text = "\n".join(line for line in load("evals", "read_scores").splitlines() if not line.startswith("--"))
    query = sql.SQL(text).format(conditions=where, order=order).as_string(None)
    with asking(timeout_ms) if timeout_ms is not None else asking() as cursor:
        rows = [_score(row) for row in fetch(cursor, query, params | {"project_id": project_id})]
        return tuple(_with_criteria(cursor, rows))


def _score(row: tuple[Any, ...]) -> Score:
    values = list(row)
    values[11] = values[11] or ""
    values[12] = tuple(values[12] or ())
    values[21] = orjson.loads(values[21]) if isinstance(values[21], str) else values[21]
    for at in (24, 25, 26, 28, 29, 30):
        values[at] = values[at] or ""
    values[33] = tuple(values[33] or ())
    return Score(*values)


def _with_criteria(cursor: Any, rows: list[Score]) -> Iterator[Score]:
    """The scores with their criteria: specs of rubrics are read once for all of them, and never change once used."""
    specs = _specs(cursor, {row.rubric_version_id for row in rows})
    for row in rows:
        criterion = _criterion(specs.get(row.rubric_version_id), row.name)
        if criterion is None:
            yield row
        else:
            yield replace(row, criterion=criterion)


def _specs(cursor: Any, rubric_version_ids: Collection[int | None]) -> dict[int | None, Rubric | None]:
    """The rubrics of these versions, in one query."""
    ids = sorted(id_ for id_ in rubric_version_ids if id_ is not None)
    if not ids:
        return {}
    query = "SELECT id, spec::text FROM evals_rubricversion WHERE id = ANY(%(ids)s::bigint[])"
    return {id_: _rubric(spec) for id_, spec in fetch(cursor, query, {"ids": ids})}


def _criterion(rubric: Rubric | None, name: str) -> Criterion | None:
    return rubric.criterion(name) if rubric is not None else None


@lru_cache(maxsize=256)
def _rubric(spec: str) -> Rubric | None:
    try:
        return parse_rubric(orjson.loads(spec))
    except RubricRefused:
        return None
