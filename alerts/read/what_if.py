"""Real requests for a what-if: a sample with tokens and costs by model, judges' scores, questions in order of time."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from fractions import Fraction
from itertools import pairwise
from typing import Any
from uuid import UUID

from psycopg import sql

from alerts.allowances.routing import Rates
from alerts.read.series_sql import rows_of, template
from traces.canonical.types import BUCKETS, Kind
from traces.cost.judging import JUDGE_SERVICE
from traces.read.rollups import Rollups, Step, calls, requests
from traces.rollup.sums import Sums

SAMPLE = 4_000
SCORES_MAX = 4_000
QUESTIONS_MAX = 10_000
TIMEOUT_MS = 3_000
_KINDS = (int(Kind.GENERATION), int(Kind.RETRIEVER))
_CUT = "…"  # how a preview ends that is not the whole question


@dataclass(frozen=True, slots=True)
class Scope:
    """Which requests: [start, end) and a feature, None for all. Judges' own are never among them."""

    project_id: int
    start: datetime
    end: datetime
    feature: str | None


@dataclass(frozen=True, slots=True)
class CallsOf:
    """The model calls of one model in one request: tokens by bucket, their cost, how many have none."""

    model: str
    n: int
    tokens: tuple[int, ...]
    pico: int
    missing: int


@dataclass(frozen=True, slots=True)
class Request:
    """One request with its calls of models and how often it searched."""

    trace_id: UUID
    session_id: str | None
    pico: int
    missing: int
    tokens_in: int
    tokens_out: int
    calls_n: int
    turn: int
    searches: int
    calls: tuple[CallsOf, ...]


@dataclass(frozen=True, slots=True)
class Question:
    """What was asked, as the list of traces shows it. `text` "": nothing, or more than is kept there."""

    at: datetime
    text: str
    feature: str
    pico: int | None
    is_first: bool
    is_cut: bool


@dataclass(frozen=True, slots=True)
class ModelServed:
    """A model that answered in the window: calls, and the average rate of each bucket it used."""

    model: str
    n: int
    rates: Rates
    each_pico: Fraction | None


def total_of(rollups: Rollups, scope: Scope) -> Sums:
    """All requests of the scope, exact. One query."""
    return rollups.ask(_where(scope), scope.start, scope.end, want=("counts", "statuses", "cost")).total


def hours_of(rollups: Rollups, scope: Scope) -> list[tuple[datetime, datetime, int]]:
    """How many requests began in each hour. One query."""
    answer = rollups.ask(_where(scope), scope.start, scope.end, step=Step.HOUR, want=("counts",))
    counts = {row.at: row.sums.n for row in answer.rows}
    return [(start, end, counts[at]) for at, (start, end) in enumerate(pairwise(answer.edges)) if counts.get(at)]


def _where(scope: Scope) -> Any:
    where = requests() if scope.feature is None else requests(feature=scope.feature)
    return where.but(service=JUDGE_SERVICE)


def models_served(rollups: Rollups, start: datetime, end: datetime) -> list[ModelServed]:
    """Models that generated in a window, the busiest first, at the prices that were paid. One query."""
    where = calls(kind=int(Kind.GENERATION)).but(service=JUDGE_SERVICE)
    answer = rollups.ask(where, start, end, by=("model",), want=("counts", "statuses", "tokens", "cost", "parts"))
    found = []
    for (model,), sums in answer.groups().items():
        priced = sums.priced_count + sums.upper_bound_count
        whole = not (sums.unpriced_count or sums.partial_count or sums.unknown_usage_count)
        if not isinstance(model, str) or not model or not priced:
            continue
        # Rates are what was paid a token; where some calls have no price, tokens and money are not of the same calls.
        rates = tuple(
            Fraction(cost, count) if count and whole else None
            for cost, count in zip(sums.cost_parts, sums.tokens, strict=True)
        )
        found.append(ModelServed(model, sums.n, rates, Fraction(sums.cost_pico, priced)))
    return sorted(found, key=lambda each: (-each.n, each.model))


def sample_ids(scope: Scope, hours: Sequence[tuple[datetime, datetime, int]], seed: int) -> tuple[list[UUID], bool]:
    """Ids of at most about `SAMPLE` requests that called a model, and whether these are all. TooSlow.

    Of more, every hour gives its share, from a random moment on: each request has about the same chance.
    """
    n = sum(count for _, _, count in hours)
    is_complete = n <= SAMPLE
    drawn = random.Random(seed)  # noqa: S311 - the same question, the same sample
    wanted = [count if is_complete else _share_of(count, n, drawn) for _, _, count in hours]
    kept = [(start, end, many) for (start, end, _), many in zip(hours, wanted, strict=True) if many]
    params = {
        "project_id": scope.project_id,
        "starts": [start for start, _, _ in kept],
        "middles": [start + (end - start) * (0.0 if is_complete else drawn.random()) for start, end, _ in kept],
        "ends": [end for _, end, _ in kept],
        # Late ones may have come since the hours were counted: they are not cut off.
        "wanted": [many + 100 if is_complete else many for _, _, many in kept],
        **_named(scope),
    }
    rows = rows_of(template("what_if_sample", conditions=_conditions(scope)), params, TIMEOUT_MS)
    return [trace_id for (trace_id,) in rows], is_complete


def _share_of(count: int, n: int, drawn: random.Random) -> int:
    exact = SAMPLE * count / n
    return int(exact) + (drawn.random() < exact - int(exact))


def read_requests(project_id: int, trace_ids: Sequence[UUID], *, with_turns: bool) -> list[Request]:
    """Those of the requests that are there, in an order that has nothing to do with them. Two queries. TooSlow."""
    params = {
        "project_id": project_id,
        "trace_ids": list(trace_ids),
        "with_turns": with_turns,
        "kinds": list(_KINDS),
        "generation": int(Kind.GENERATION),
    }
    rows = rows_of(template("what_if_requests"), params, TIMEOUT_MS)
    found: dict[UUID, list[CallsOf]] = {}
    searches: dict[UUID, int] = {}
    for trace_id, kind, model, n, *figures in rows_of(template("what_if_calls"), params, TIMEOUT_MS):
        if kind == Kind.RETRIEVER:
            searches[trace_id] = searches.get(trace_id, 0) + n
            continue
        *tokens, pico, missing = figures
        found.setdefault(trace_id, []).append(CallsOf(model or "", n, tuple(tokens), pico, missing))
    return [
        Request(
            trace_id, session_id, int(pico), missing, tokens_in, tokens_out, calls_n, turn, searches.get(trace_id, 0),
            tuple(found.get(trace_id, ())),
        )
        for trace_id, session_id, pico, missing, tokens_in, tokens_out, calls_n, turn in rows
    ]  # fmt: skip


def read_scores(scope: Scope, judge_id: int, criterion: str) -> dict[UUID, tuple[float, float | None]]:
    """The newest number and inclusion probability by request, of at most `SCORES_MAX`, the newest. TooSlow."""
    params = {
        "project_id": scope.project_id, "judge_id": judge_id, "name": criterion, "start": scope.start,
        "end": scope.end, "limit": SCORES_MAX, **_named(scope),
    }  # fmt: skip
    rows = rows_of(template("what_if_scores", conditions=_conditions(scope)), params, TIMEOUT_MS)
    return {trace_id: (number, pi) for trace_id, number, pi in rows}


def read_questions(scope: Scope) -> list[Question]:
    """What was asked, oldest first: the newest `QUESTIONS_MAX`. TooSlow."""
    params = {
        "project_id": scope.project_id, "start": scope.start, "end": scope.end, "limit": QUESTIONS_MAX, **_named(scope),
    }  # fmt: skip
    rows = rows_of(template("what_if_questions", conditions=_conditions(scope)), params, TIMEOUT_MS)
    found = []
    for at, preview, feature, pico, missing, is_first in reversed(rows):
        is_cut = bool(preview and preview.endswith(_CUT))
        text = "" if is_cut else preview or ""
        found.append(Question(at, text, feature or "", None if missing else int(pico), is_first, is_cut))
    return found


def _conditions(scope: Scope) -> sql.Composed:
    of_feature = sql.SQL(" AND t.feature = %(feature)s") if scope.feature is not None else sql.SQL("")
    judged = sql.SQL("t.generation_count > 0 AND t.service IS DISTINCT FROM %(judging)s")
    return sql.Composed([judged, of_feature])


def _named(scope: Scope) -> dict[str, Any]:
    return {"feature": scope.feature, "judging": JUDGE_SERVICE}


assert len(BUCKETS) == 8  # noqa: S101 - the columns of what_if_calls
