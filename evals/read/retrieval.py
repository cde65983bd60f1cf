"""Reading how good retrieval is: verdicts on documents, groundedness of answers, latency and cost of each stage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from evals.read.estimates import Row, Where, read_estimates
from evals.read.review import previews
from evals.retrieval import DEPTHS, Quality, Retrieval, quality_at
from traces.canonical.types import Kind
from traces.read.asking import asking, fetch
from traces.read.money import CostSum, cost_sum
from traces.read.performance import quantile_of
from traces.read.rollups import Sums, calls, reading, requests

# The newest of a window: 20,000 retrievals of 10 documents are read in about a second.
RETRIEVALS_MAX = 20_000
SCORES_MAX = 50_000
WORST = 20
SOURCES = {1: "judge", 2: "people", 3: "api"}
STAGES = (Kind.RETRIEVER, Kind.EMBEDDING, Kind.RERANKER, Kind.GENERATION)
GROUNDED = ("groundedness", "faithfulness", "hallucination")


@dataclass(frozen=True, slots=True)
class Verdicts:
    """Who judged documents in a window: `key` is people, api, or judge-<version id>."""

    key: str
    source: int
    version_id: int
    title: str
    retrievals: int
    documents: int


@dataclass(frozen=True, slots=True)
class Worst:
    """One retrieval that went badly: what was asked, and what its documents were worth at the depth shown."""

    trace_id: UUID
    span_id: int
    feature: str
    asked: str
    started_at: datetime
    precision: float
    is_hit: bool
    documents: int


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
    """All that is known of retrieval in a window. `is_capped`: only the newest verdicts were read."""

    choices: tuple[Verdicts, ...]
    chosen: Verdicts | None
    qualities: tuple[Quality, ...]
    by_feature: tuple[tuple[str, Quality], ...]
    reciprocal: float | None
    relevant_scores: tuple[float, ...]
    other_scores: tuple[float, ...]
    worst: tuple[Worst, ...]
    is_capped: bool
    grounded: tuple[Row, ...]
    stages: tuple[Stage, ...]
    features: tuple[str, ...]
    requests: int


_CHOICES = """
SELECT d.source, d.judge_version_id, count(DISTINCT (d.trace_id, d.span_id)), count(*), j.name, v.number
FROM evals_document_score AS d
LEFT JOIN evals_judgeversion AS v ON v.id = d.judge_version_id
LEFT JOIN evals_judge AS j ON j.id = v.judge_id
WHERE d.project_id = %(project)s AND d.started_at >= %(start)s AND d.started_at < %(end)s
    AND (%(feature)s::text IS NULL OR d.feature = %(feature)s)
GROUP BY 1, 2, 5, 6
ORDER BY 3 DESC, 1, 2
LIMIT 50
"""
_RETRIEVALS = """
SELECT d.trace_id, d.span_id, min(d.feature), min(d.started_at), min(d.pi),
    array_agg(d.rank ORDER BY d.rank), array_agg(d.relevance ORDER BY d.rank)
FROM evals_document_score AS d
WHERE d.project_id = %(project)s AND d.started_at >= %(start)s AND d.started_at < %(end)s
    AND d.source = %(source)s AND d.judge_version_id = %(version)s
    AND (%(feature)s::text IS NULL OR d.feature = %(feature)s)
GROUP BY 1, 2
ORDER BY 4 DESC
LIMIT %(limit)s
"""
_SCORES = """
SELECT d.relevance >= 0.5, d.retrieval_score FROM evals_document_score AS d
WHERE d.project_id = %(project)s AND d.started_at >= %(start)s AND d.started_at < %(end)s
    AND d.source = %(source)s AND d.judge_version_id = %(version)s AND d.retrieval_score IS NOT NULL
    AND (%(feature)s::text IS NULL OR d.feature = %(feature)s)
ORDER BY d.started_at DESC
LIMIT %(limit)s
"""


def read_retrieval(
    project_id: int, zone: str, start: datetime, end: datetime, *, feature: str | None = None, by: str = "", k: int = 5
) -> RetrievalPage:
    """All about retrieval in [start, end). `by` is a key of `choices`; `k` the depth of the worst ones. TooSlow."""
    window = {"project": project_id, "start": start, "end": end, "feature": feature}
    with asking() as cursor:
        choices = tuple(_verdicts(*row) for row in fetch(cursor, _CHOICES, window))
        chosen = next((each for each in choices if each.key == by), choices[0] if choices else None)
        rows: list[tuple[Any, ...]] = []
        scores: list[tuple[Any, ...]] = []
        if chosen is not None:
            params = {**window, "source": chosen.source, "version": chosen.version_id}
            rows = fetch(cursor, _RETRIEVALS, {**params, "limit": RETRIEVALS_MAX + 1})
            scores = fetch(cursor, _SCORES, {**params, "limit": SCORES_MAX})
    is_capped = len(rows) > RETRIEVALS_MAX
    found = [(row, _retrieval(row)) for row in rows[:RETRIEVALS_MAX]]
    retrievals = [each for _, each in found]
    names = sorted({each.feature for each in retrievals})
    stages, features, asked = _stages(project_id, zone, start, end, feature)
    where = Where(feature=feature) if feature is not None else Where()
    grounded = [
        row
        for name in GROUNDED
        for row in read_estimates(project_id, zone, start, end, where, name=name, with_coverage=False).rows
    ]
    return RetrievalPage(
        choices=choices,
        chosen=chosen,
        qualities=tuple(quality_at(retrievals, depth) for depth in DEPTHS) if retrievals else (),
        by_feature=tuple(
            (name, quality_at([each for each in retrievals if each.feature == name], k)) for name in names
        ),
        reciprocal=sum(each.reciprocal_rank() for each in retrievals) / len(retrievals) if retrievals else None,
        relevant_scores=tuple(score for is_relevant, score in scores if is_relevant),
        other_scores=tuple(score for is_relevant, score in scores if not is_relevant),
        worst=_worst(project_id, found, k),
        is_capped=is_capped,
        grounded=tuple(grounded),
        stages=stages,
        features=features,
        requests=asked,
    )


def labels_of(project_id: int, trace_id: UUID) -> dict[tuple[int, int, int], float]:
    """What people (2) and the API (3) said of a trace's documents: (span, rank, source) -> relevance."""
    query = """
        SELECT span_id, rank, source, relevance FROM evals_document_score
        WHERE project_id = %(project)s AND trace_id = %(trace)s AND judge_version_id = 0
    """
    with asking() as cursor:
        rows = fetch(cursor, query, {"project": project_id, "trace": trace_id})
    return {(span, rank, source): relevance for span, rank, source, relevance in rows}


def _verdicts(
    source: int, version_id: int, retrievals: int, documents: int, name: str | None, number: int | None
) -> Verdicts:
    if source == 1:
        title = f"{name} v{number}" if name else "a judge that is gone"
        return Verdicts(f"judge-{version_id}", source, version_id, title, retrievals, documents)
    title = "people" if source == 2 else "labels sent by the API"
    return Verdicts(SOURCES.get(source, "api"), source, version_id, title, retrievals, documents)


def _retrieval(row: Sequence[Any]) -> Retrieval:
    return Retrieval(dict(zip(row[5], row[6], strict=True)), row[4], row[2])


def _worst(project_id: int, found: Sequence[tuple[tuple[Any, ...], Retrieval]], k: int) -> tuple[Worst, ...]:
    whole = [(row, each, each.precision_at(k)) for row, each in found]
    bad = [(row, each, share) for row, each, share in whole if share is not None and share < 1]
    bad.sort(key=lambda one: (one[2], -one[0][3].timestamp()))
    chosen = bad[:WORST]
    asked: Mapping[UUID, str] = previews(project_id, [row[0] for row, *_ in chosen])
    return tuple(
        Worst(row[0], row[1], row[2], asked.get(row[0], ""), row[3], share, bool(each.hit_at(k)), len(row[5]))
        for row, each, share in chosen
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
            calls(feature=only), start, end, by=("kind",), want=("counts", "cost"), sketches=("duration",)
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
