"""Reading experiments: the list, one with its states and sums, and its results one by one."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

import orjson
from django.db.models import Count

from evals.metrics import Whole
from evals.models import Experiment, ExperimentResult
from telltale.jobs.models import Job
from telltale.lib.db import raw_cursor


@dataclass(frozen=True, slots=True)
class JudgeOf:
    """A judge version that an experiment is judged by. `kind` is the judge's: model, rule, person, external."""

    version_id: int
    judge_id: int
    slug: str
    name: str
    number: int
    kind: str


@dataclass(frozen=True, slots=True)
class ExperimentRow:
    """An experiment with how many of its results are in which state.

    `expected_items` is the size of the dataset's version; `cost_pico` sums the known costs, `unpriced` counts results
    without one.
    """

    id: int
    name: str
    source: str
    state: str
    reason: str
    dataset_id: int
    dataset_slug: str
    dataset_name: str
    version: int
    expected_items: int
    done: int
    failed: int
    pending: int
    cost_pico: int
    priced: int
    unpriced: int
    config: Mapping[str, Any]
    metrics: tuple[str, ...]
    judges: tuple[JudgeOf, ...]
    connection_id: int | None
    connection_name: str
    job_id: int | None
    made_by: str
    created_at: datetime
    finished_at: datetime | None
    figures: tuple[Whole, ...]

    @property
    def is_over(self) -> bool:
        """Whether nothing will change any more."""
        return self.state in ("done", "failed", "cancelled")

    @property
    def results(self) -> int:
        """How many results there are."""
        return self.done + self.failed + self.pending

    @property
    def missing(self) -> int:
        """How many items of the dataset have no result."""
        return max(self.expected_items - self.results, 0)


@dataclass(frozen=True, slots=True)
class ScoreOf:
    """One score of a result: of a judge's criterion."""

    judge_version_id: int
    name: str
    number: float | None
    label: str | None
    comment: str
    data_type: int


@dataclass(frozen=True, slots=True)
class ResultRow:
    """One result beside the item it answers. `metrics` are the reference ones, `sent` the sender's own numbers."""

    id: int
    item_key: str
    target_id: UUID
    state: str
    input: Any
    expected: Any
    output: Any
    error: str
    metrics: Mapping[str, float]
    sent: Mapping[str, float]
    latency_ms: float | None
    cost_pico: int | None
    input_tokens: int | None
    output_tokens: int | None
    trace_id: UUID | None
    attempts: int
    scores: tuple[ScoreOf, ...] = ()


@dataclass(frozen=True, slots=True)
class JudgedStates:
    """How many judgements of an experiment are in which state, by judge version."""

    version_id: int
    pending: int
    scored: int
    failed: int
    skipped: int


_EXPERIMENTS = """
SELECT e.id, e.name, e.source, e.state, e.reason, e.dataset_id, d.slug, d.name, e.dataset_version,
    coalesce(v.items, 0), s.done, s.failed, s.pending, s.cost, s.priced, s.unpriced, e.config, e.metrics,
    e.connection_id, coalesce(c.name, ''), e.job_id, coalesce(nullif(u.name, ''), u.email, ''), e.created_at,
    e.finished_at, j.judges, e.figures
FROM (
    SELECT * FROM evals_experiment
    WHERE project_id = %(project)s AND (%(id)s::bigint[] IS NULL OR id = ANY(%(id)s))
        AND (%(dataset)s::bigint IS NULL OR dataset_id = %(dataset)s)
        AND (%(name)s::text IS NULL OR name = %(name)s)
        AND (%(before)s::bigint IS NULL OR id < %(before)s)
    ORDER BY id DESC LIMIT %(limit)s
) AS e
JOIN evals_dataset AS d ON d.id = e.dataset_id
LEFT JOIN evals_datasetversion AS v ON v.dataset_id = e.dataset_id AND v.number = e.dataset_version
LEFT JOIN evals_connection AS c ON c.id = e.connection_id
LEFT JOIN accounts_user AS u ON u.id = e.created_by_id
CROSS JOIN LATERAL (
    SELECT count(*) FILTER (WHERE r.state = 'done') AS done, count(*) FILTER (WHERE r.state = 'failed') AS failed,
        count(*) FILTER (WHERE r.state = 'pending') AS pending, coalesce(sum(r.cost_pico), 0)::bigint AS cost,
        count(r.cost_pico) AS priced, count(*) FILTER (WHERE r.cost_pico IS NULL AND r.state <> 'pending') AS unpriced
    FROM evals_experimentresult AS r WHERE r.experiment_id = e.id
) AS s
CROSS JOIN LATERAL (
    SELECT coalesce(json_agg(json_build_array(jv.id, jd.id, jd.slug, jd.name, jv.number, jd.kind)
        ORDER BY jd.name, jv.number), '[]') AS judges
    FROM evals_experiment_judge_versions AS m
    JOIN evals_judgeversion AS jv ON jv.id = m.judgeversion_id
    JOIN evals_judge AS jd ON jd.id = jv.judge_id
    WHERE m.experiment_id = e.id
) AS j
ORDER BY e.id DESC
"""


def list_experiments(
    project_id: int,
    *,
    dataset_id: int | None = None,
    name: str | None = None,
    before: int | None = None,
    limit: int = 50,
) -> list[ExperimentRow]:
    """The newest experiments first; `before` is the id where the last page ended. One query."""
    return _ask(project_id, dataset=dataset_id, name=name, before=before, limit=limit)


def get_experiment(project_id: int, experiment_id: int) -> ExperimentRow | None:
    """One experiment of the project."""
    found = _ask(project_id, id=[experiment_id], limit=1)
    return found[0] if found else None


def get_experiments(project_id: int, ids: Sequence[int]) -> dict[int, ExperimentRow]:
    """Several experiments of the project, by id. One query."""
    return {row.id: row for row in _ask(project_id, id=list(ids), limit=len(ids) or 1)}


def judged_states(project_id: int, experiment_id: int) -> dict[int, JudgedStates]:
    """How far the judging of an experiment is, by judge version."""
    with raw_cursor() as cursor:
        cursor.execute(_JUDGED_STATES, {"project": project_id, "experiment": experiment_id})
        return {row[0]: JudgedStates(*row) for row in cursor.fetchall()}


_JUDGED_STATES = """
SELECT j.judge_version_id, count(*) FILTER (WHERE j.state IN ('pending', 'running')),
    count(*) FILTER (WHERE j.state = 'scored'), count(*) FILTER (WHERE j.state = 'failed'),
    count(*) FILTER (WHERE j.state = 'skipped')
FROM evals_experimentresult AS r
JOIN evals_judgement AS j ON j.project_id = %(project)s AND j.target_id = r.target_id AND j.target_kind = 4
    AND j.repeat = 0
WHERE r.experiment_id = %(experiment)s
GROUP BY j.judge_version_id
"""
# The item as the experiment's version of the dataset held it, whatever became of it since.
_RESULTS = """
SELECT r.id, r.item_key, r.target_id, r.state, i.input, i.expected, r.output, r.error, r.metrics, r.latency_ms,
    r.cost_pico, r.input_tokens, r.output_tokens, r.trace_id, r.attempts
FROM evals_experimentresult AS r
JOIN evals_experiment AS e ON e.id = r.experiment_id
LEFT JOIN evals_datasetitem AS i ON i.dataset_id = e.dataset_id AND i.item_key = r.item_key
    AND i.from_version <= e.dataset_version AND (i.to_version IS NULL OR i.to_version > e.dataset_version)
WHERE r.experiment_id = %(experiment)s AND (%(after)s::text IS NULL OR r.item_key > %(after)s)
    AND (%(keys)s::text[] IS NULL OR r.item_key = ANY(%(keys)s))
    AND (%(state)s::text IS NULL OR r.state = %(state)s)
ORDER BY r.item_key
LIMIT %(limit)s
"""
_SCORES = """
SELECT s.trace_id, s.judge_version_id, s.name, s.number, s.label, coalesce(s.comment, ''), s.data_type
FROM evals_score AS s
WHERE s.project_id = %(project)s AND s.trace_id = ANY(%(targets)s) AND s.target_kind = 4 AND s.source = 1
ORDER BY s.judge_version_id, s.score_id
"""


def list_results(
    project_id: int,
    experiment_id: int,
    *,
    after: str | None = None,
    keys: Sequence[str] | None = None,
    state: str | None = None,
    limit: int = 50,
) -> list[ResultRow]:
    """Results with items and scores, in the order of their keys. Two queries."""
    params = {
        "experiment": experiment_id, "after": after, "keys": None if keys is None else list(keys), "state": state,
        "limit": limit,
    }  # fmt: skip
    with raw_cursor() as cursor:
        cursor.execute(_RESULTS, params)
        rows = cursor.fetchall()
        cursor.execute(_SCORES, {"project": project_id, "targets": [row[2] for row in rows]})
        scores: dict[UUID, list[ScoreOf]] = {}
        for target, *values in cursor.fetchall():
            scores.setdefault(target, []).append(ScoreOf(*values))
    return [_result(row, tuple(scores.get(row[2], ()))) for row in rows]


def job_progress(job_id: int | None) -> tuple[int, int | None] | None:
    """How far an experiment's job is, (done, of all); None where there is none."""
    row = Job.objects.filter(pk=job_id).values_list("progress", "total").first() if job_id else None
    return row


def experiments_of(dataset_ids: Sequence[int]) -> dict[int, int]:
    """How many experiments each dataset has."""
    rows = Experiment.objects.filter(dataset_id__in=list(dataset_ids)).values("dataset_id").annotate(n=Count("pk"))
    return {row["dataset_id"]: row["n"] for row in rows}


def answered_keys(experiment_id: int, keys: Collection[str]) -> set[str]:
    """Those of the items' keys that an experiment has an answer to; errors are none. One query."""
    rows = ExperimentResult.objects.filter(experiment_id=experiment_id, item_key__in=list(keys), state="done")
    return set(rows.values_list("item_key", flat=True))


def count_waiting(experiment_id: int) -> int:
    """How many results still wait for their call."""
    return ExperimentResult.objects.filter(experiment_id=experiment_id, state="pending").count()


def _ask(project_id: int, **asked: Any) -> list[ExperimentRow]:
    params = {"project": project_id, "id": None, "dataset": None, "name": None, "before": None, **asked}
    with raw_cursor() as cursor:
        cursor.execute(_EXPERIMENTS, params)
        return [_row(row) for row in cursor.fetchall()]


def _row(row: tuple[Any, ...]) -> ExperimentRow:
    judges = tuple(JudgeOf(*each) for each in _json(row[24]))
    figures = tuple(Whole(**each) for each in _json(row[25]) or ())
    return ExperimentRow(*[*row[:16], _json(row[16]) or {}, tuple(_json(row[17]) or ()), judges, *row[18:24], figures])


def _result(row: tuple[Any, ...], scores: tuple[ScoreOf, ...]) -> ResultRow:
    measured = _json(row[8]) or {}
    said = [_json(row[4]), _json(row[5]), _json(row[6]), row[7]]
    numbers = [measured.get("reference", {}), measured.get("sent", {})]
    return ResultRow(*[*row[:4], *said, *numbers, *row[9:15], scores])


def _json(value: Any) -> Any:
    # Django reads jsonb as text, for its own fields to decode; json is decoded already.
    return orjson.loads(value) if isinstance(value, str) else value
