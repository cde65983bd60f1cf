"""Reading how good retrieval is: verdicts on documents, groundedness of answers, latency and cost of each stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from evals.read.estimates import Row, Where, read_estimates
from evals.read.review import previews
from evals.retrieval import DEPTHS, RELEVANT_FROM, Part, Quality, Traces, quality_at, reciprocal_of
from evals.stats.results import Estimate, TooLittle
from telltale.lib.db import raw_cursor
from traces.canonical.types import Kind
from traces.read.asking import asking, fetch
from traces.read.money import CostSum, cost_sum
from traces.read.performance import quantile_of
from traces.read.rollups import Sums, calls, reading, requests

# The newest of a window: so many judged retrievals are counted in 0.1 s.
RETRIEVALS_MAX = 50_000
# Of so many of the newest the retriever's own scores are drawn: far more than a histogram of 12 bars needs.
SCORED_MAX = 1_000
BINS = 12
LOOKED_AT_MAX = 2_000
FEATURES_MAX = 30
WORST = 20
SOURCES = {1: "judge", 2: "people", 3: "api"}
STAGES = (Kind.RETRIEVER, Kind.EMBEDDING, Kind.RERANKER, Kind.GENERATION)
GROUNDED = ("groundedness", "faithfulness", "hallucination")


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Who judged documents in a window: `key` is people, api, or judge-<version id>. At most RETRIEVALS_MAX counted."""

    key: str
    source: int
    version_id: int
    title: str
    retrievals: int


@dataclass(frozen=True, slots=True)
class Worst:
    """One retrieval that went badly: what was asked, and what its documents were worth at the depth shown.

    `asked` is None where the trace is gone.
    """

    trace_id: UUID
    span_id: int
    feature: str
    asked: str | None
    started_at: datetime
    precision: float
    is_hit: bool
    documents: int


@dataclass(frozen=True, slots=True)
class Scores:
    """How the retriever itself scored judged documents: counts between `edges` (n + 1), and the middle of each kind.

    Empty edges: no score, or one and the same.
    """

    edges: tuple[float, ...] = ()
    relevant: tuple[int, ...] = ()
    other: tuple[int, ...] = ()
    relevant_middle: float | None = None
    other_middle: float | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """What one kind of step took. Times in ms with the limits of their 95 % interval; None is not known."""

    kind: Kind
    n: int
    errors: int
    p50: tuple[float | None, float | None, float | None]
    p95: tuple[float | None, float | None, float | None]
    cost: CostSum
    of_requests: int


@dataclass(frozen=True, slots=True)
class RetrievalPage:
    """All that is known of retrieval in a window.

    `is_capped`: only the newest retrievals were read. `features_left`: features with fewer retrievals than those told.
    """

    choices: tuple[Verdicts, ...]
    chosen: Verdicts | None
    retrievals: int
    documents: int
    qualities: tuple[Quality, ...]
    by_feature: tuple[tuple[str, Quality], ...]
    features_left: int
    reciprocal: Estimate | TooLittle | None
    scores: Scores
    worst: tuple[Worst, ...]
    is_capped: bool
    grounded: tuple[Row, ...]
    stages: tuple[Stage, ...]
    features: tuple[str, ...]
    requests: int


# Who judged at all, by leaps over the index: one look-up each, however many rows there are.
_CHOICES = """
WITH RECURSIVE who(source, version) AS (
    (SELECT source, judge_version_id FROM evals_retrieval WHERE project_id = %(project)s ORDER BY 1, 2 LIMIT 1)
    UNION ALL
    SELECT next.* FROM who CROSS JOIN LATERAL (
        SELECT source, judge_version_id FROM evals_retrieval
        WHERE project_id = %(project)s AND (source, judge_version_id) > (who.source, who.version)
        ORDER BY 1, 2 LIMIT 1
    ) AS next
)
SELECT who.source, who.version, n.n, j.name, v.number
FROM who
CROSS JOIN LATERAL (
    SELECT count(*) AS n FROM (
        SELECT 1 FROM evals_retrieval AS r
        WHERE r.project_id = %(project)s AND r.source = who.source AND r.judge_version_id = who.version
            AND r.started_at >= %(start)s AND r.started_at < %(end)s
            AND (%(feature)s::text IS NULL OR r.feature = %(feature)s)
        LIMIT %(limit)s
    ) AS counted
) AS n
LEFT JOIN evals_judgeversion AS v ON v.id = who.version
LEFT JOIN evals_judge AS j ON j.id = v.judge_id
WHERE n.n > 0
ORDER BY n.n DESC, 1, 2
LIMIT 50
"""
_NEWEST = """
    SELECT * FROM evals_retrieval
    WHERE project_id = %(project)s AND source = %(source)s AND judge_version_id = %(version)s
        AND started_at >= %(start)s AND started_at < %(end)s
        AND (%(feature)s::text IS NULL OR feature = %(feature)s)
    ORDER BY started_at DESC
    LIMIT %(limit)s
"""
_AT_DEPTHS = ", ".join(
    f"count(relevant_{k}) AS n_{k}, coalesce(sum(relevant_{k}::float8 / least({k}, documents)), 0) AS precision_{k},"
    f" count(*) FILTER (WHERE relevant_{k} > 0) AS hits_{k}"
    for k in DEPTHS
)
# Traces of which all figures are the same are one row: retrievals of one trace are summed before they are counted.
_TRACES = f"""
WITH newest AS ({_NEWEST}),
traces AS (
    SELECT min(feature) AS feature, min(pi) AS pi, count(*) AS n, sum(judged) AS judged,
        {_AT_DEPTHS},
        count(reciprocal) AS ranked, coalesce(sum(reciprocal), 0) AS reciprocal
    FROM newest GROUP BY trace_id
)
SELECT feature, pi, n, ranked, reciprocal, {", ".join(f"n_{k}, precision_{k}, hits_{k}" for k in DEPTHS)},
    count(*), sum(judged)::bigint
FROM traces
GROUP BY {", ".join(str(at) for at in range(1, 6 + 3 * len(DEPTHS)))}
"""  # noqa: S608 - depths are numbers of ours
_WORST = f"""
WITH newest AS ({_NEWEST})
SELECT trace_id, span_id, feature, started_at, relevant_{{k}}::float8 / least({{k}}, documents), relevant_{{k}} > 0,
    documents
FROM newest
WHERE relevant_{{k}} < least({{k}}, documents)
ORDER BY 5, 4 DESC, 1, 2
LIMIT {WORST}
"""  # noqa: S608
_SCORES = f"""
WITH scored AS (
    SELECT d.relevance >= {RELEVANT_FROM} AS is_relevant, d.retrieval_score AS score
    FROM ({_NEWEST}) AS r
    -- OFFSET 0: by the index of each, never through all documents there are.
    CROSS JOIN LATERAL (
        SELECT relevance, retrieval_score FROM evals_document_score
        WHERE project_id = r.project_id AND trace_id = r.trace_id AND span_id = r.span_id AND source = r.source
            AND judge_version_id = r.judge_version_id
        OFFSET 0
    ) AS d
    WHERE d.retrieval_score > '-infinity' AND d.retrieval_score < 'infinity'
), range AS (
    SELECT min(score) AS low, max(score) AS high FROM scored
), middle AS (
    SELECT is_relevant, percentile_disc(0.5) WITHIN GROUP (ORDER BY score) AS half FROM scored GROUP BY 1
)
SELECT is_relevant, least(width_bucket(s.score, r.low, r.high, {BINS}), {BINS}), count(*), r.low, r.high, m.half
FROM scored AS s JOIN middle AS m USING (is_relevant) CROSS JOIN range AS r
WHERE r.low < r.high
GROUP BY 1, 2, 4, 5, 6
"""  # noqa: S608


def read_retrieval(
    project_id: int, zone: str, start: datetime, end: datetime, *, feature: str | None = None, by: str = "", k: int = 5
) -> RetrievalPage:
    """All about retrieval in [start, end). `by` is a key of `choices`; `k` the depth of the worst ones. TooSlow."""
    window = {"project": project_id, "start": start, "end": end, "feature": feature}
    traces: list[Traces] = []
    scores, documents = Scores(), 0
    bad: list[tuple[Any, ...]] = []
    with asking() as cursor:
        found = fetch(cursor, _CHOICES, window | {"limit": RETRIEVALS_MAX})
        choices = tuple(_verdicts(*row) for row in found)
        chosen = next((each for each in choices if each.key == by), choices[0] if choices else None)
        if chosen is not None:
            params = {**window, "source": chosen.source, "version": chosen.version_id, "limit": RETRIEVALS_MAX}
            rows = fetch(cursor, _TRACES, params)
            traces, documents = [_traces(row) for row in rows], sum(row[-1] for row in rows)
            bad = fetch(cursor, _WORST.format(k=k), params)
            scores = _scores(fetch(cursor, _SCORES, params | {"limit": SCORED_MAX}))
    names = _features(traces)
    stages, features, asked = _stages(project_id, zone, start, end, feature)
    where = Where(feature=feature) if feature is not None else Where()
    estimates = read_estimates(project_id, zone, start, end, where, with_coverage=False)
    grounded = [row for row in estimates.rows if row.of.name in GROUNDED]
    retrievals = sum(each.retrievals * each.times for each in traces)
    return RetrievalPage(
        choices=choices,
        chosen=chosen,
        retrievals=retrievals,
        documents=documents,
        qualities=tuple(quality_at(traces, depth) for depth in DEPTHS) if traces else (),
        by_feature=tuple(
            (name, quality_at([each for each in traces if each.feature == name], k)) for name in names[:FEATURES_MAX]
        ),
        features_left=max(len(names) - FEATURES_MAX, 0),
        reciprocal=reciprocal_of(traces) if traces else None,
        scores=scores,
        worst=_worst(project_id, bad),
        is_capped=retrievals >= RETRIEVALS_MAX,
        grounded=tuple(grounded),
        stages=stages,
        features=features,
        requests=asked,
    )


def has_retrieval(project_id: int, trace_id: UUID, start: datetime, end: datetime) -> bool:
    """Whether a trace, whose spans began in [start, end], fetched documents, as far as its first spans tell."""
    query = """
        SELECT EXISTS (
            SELECT 1 FROM (
                SELECT kind FROM traces_span
                WHERE project_id = %(project)s AND trace_id = %(trace)s AND started_at BETWEEN %(start)s AND %(end)s
                LIMIT %(most)s
            ) AS first
            WHERE kind = ANY(%(kinds)s)
        )
    """
    kinds = [int(Kind.RETRIEVER), int(Kind.RERANKER)]
    with raw_cursor() as cursor:
        params = {"project": project_id, "trace": trace_id, "start": start, "end": end, "most": LOOKED_AT_MAX}
        cursor.execute(query, {**params, "kinds": kinds})
        row = cursor.fetchone()
    return bool(row and row[0])


def labels_of(project_id: int, trace_id: UUID) -> dict[tuple[int, int, int], float]:
    """What people (2) and the API (3) said of a trace's documents: (span, rank, source) -> relevance."""
    query = """
        SELECT span_id, rank, source, relevance FROM evals_document_score
        WHERE project_id = %(project)s AND trace_id = %(trace)s AND judge_version_id = 0
    """
    with asking() as cursor:
        rows = fetch(cursor, query, {"project": project_id, "trace": trace_id})
    return {(span, rank, source): relevance for span, rank, source, relevance in rows}


def _verdicts(source: int, version_id: int, retrievals: int, name: str | None, number: int | None) -> Verdicts:
    if source == 1:
        title = f"{name} v{number}" if name else "a judge that is gone"
        return Verdicts(f"judge-{version_id}", source, version_id, title, retrievals)
    title = "people" if source == 2 else "labels sent by the API"
    return Verdicts(SOURCES.get(source, "api"), source, version_id, title, retrievals)


def _traces(row: Sequence[Any]) -> Traces:
    feature, pi, n, ranked, reciprocal = row[:5]
    parts = {k: row[5 + 3 * at : 8 + 3 * at] for at, k in enumerate(DEPTHS)}
    return Traces(
        feature,
        pi,
        {k: Part(part[0], part[1]) for k, part in parts.items()},
        {k: Part(part[0], part[2]) for k, part in parts.items()},
        Part(ranked, reciprocal),
        n,
        row[-2],
    )


def _features(traces: Sequence[Traces]) -> list[str]:
    """The features there are, those with most retrievals first."""
    counts: Counter[str] = Counter()
    for each in traces:
        counts[each.feature] += each.retrievals * each.times
    return [name for name, _ in sorted(counts.items(), key=lambda one: (-one[1], one[0]))]


def _scores(rows: Sequence[Sequence[Any]]) -> Scores:
    if not rows:
        return Scores()
    low, high = rows[0][3:5]
    counts = {kind: [0] * BINS for kind in (True, False)}
    middle: dict[bool, float] = {}
    for is_relevant, place, n, *_, half in rows:
        counts[is_relevant][place - 1] += n
        middle[is_relevant] = half
    edges = tuple(low + (high - low) * at / BINS for at in range(BINS + 1))
    return Scores(edges, tuple(counts[True]), tuple(counts[False]), middle.get(True), middle.get(False))


def _worst(project_id: int, rows: Sequence[Sequence[Any]]) -> tuple[Worst, ...]:
    asked: Mapping[UUID, str] = previews(project_id, [row[0] for row in rows])
    return tuple(
        Worst(trace_id, span_id, feature, asked.get(trace_id), started_at, share, is_hit, documents)
        for trace_id, span_id, feature, started_at, share, is_hit, documents in rows
    )


def _stages(
    project_id: int, zone: str, start: datetime, end: datetime, feature: str | None
) -> tuple[tuple[Stage, ...], tuple[str, ...], int]:
    """The stages of requests that retrieve, the features that do, and how many requests they had."""
    with reading(project_id, zone) as r:
        told = r.ask(calls(kind=Kind.RETRIEVER), start, end, by=("feature",), want=("counts",)).groups()
        features = tuple(sorted(str(key[0]) for key in told if key[0] is not None))
        if not told:
            return (), (), 0
        only = (feature,) if feature is not None else tuple(key[0] for key in told)
        found = r.ask(
            calls(feature=only), start, end, by=("kind",), want=("counts", "statuses", "cost"), sketches=("duration",)
        )
        asked = r.ask(requests(feature=only), start, end, want=("counts",)).total.n
    rows = {int(row.key[0] or 0): row for row in found.rows}
    stages = tuple(
        Stage(
            kind, row.sums.n, row.sums.errors, quantile_of(row.sketch("duration"), 0.5),
            quantile_of(row.sketch("duration"), 0.95), _cost(row.sums), asked,
        )
        for kind in STAGES
        if (row := rows.get(int(kind))) is not None
    )  # fmt: skip
    return stages, features, asked


def _cost(s: Sums) -> CostSum:
    return cost_sum(
        int(s.cost_pico), s.priced_count, s.unpriced_count, s.unknown_usage_count, s.partial_count, s.upper_bound_count,
        None,
    )  # fmt: skip
