"""Rows of experiments and their results. State moves by conditional updates: the row count says who won."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from django.db import connection
from django.db.models import Q
from django.db.models.functions import Now

from evals.models import Experiment, ExperimentResult, JudgeVersion
from evals.write import judgements
from evals.write.masked import mask_fields
from telltale.jobs import leases
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from traces.masks import mask_text, mask_value

OPEN, RUNNING, JUDGING, DONE, FAILED, CANCELLED = "open", "running", "judging", "done", "failed", "cancelled"
OVER = (DONE, FAILED, CANCELLED)
PENDING = "pending"


@dataclass(frozen=True, slots=True)
class NewResult:
    """What a system answered to one item, or the error it ended in. Unknown is None."""

    item_key: str
    output: Any = None
    error: str = ""
    latency_ms: float | None = None
    cost_pico: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    trace_id: UUID | None = None
    sent: Mapping[str, float] = field(default_factory=dict)  # numbers of the sender's own


def add_experiment(
    project_id: int, values: Mapping[str, Any], judge_versions: Sequence[JudgeVersion], *, is_asked: bool
) -> Experiment:
    """A new experiment. `is_asked`: we call the system, so every item gets a result that waits for its call."""
    made = Experiment.objects.create(project_id=project_id, **values)
    made.judge_versions.set(judge_versions)
    if is_asked:
        keys = _keys(made.dataset_id, made.dataset_version)
        rows = [ExperimentResult(experiment=made, item_key=key, target_id=uuid4()) for key in keys]
        ExperimentResult.objects.bulk_create(rows, batch_size=1000)
    return made


def hold(project_id: int, experiment_id: int) -> Experiment | None:
    """The experiment, locked until the caller's transaction ends."""
    return Experiment.objects.select_for_update().filter(project_id=project_id, pk=experiment_id).first()


def move(experiment_id: int, states: Iterable[str], to: str, **more: Any) -> bool:
    """Change the state from one of `states`; False where it was in none of them."""
    if to in OVER:
        more["finished_at"] = Now()
    return Experiment.objects.filter(pk=experiment_id, state__in=list(states)).update(state=to, **more) == 1


def put_results(project_id: int, experiment_id: int, results: Sequence[NewResult]) -> None:
    """Keep results by item: one that is there already takes the values of the new one, and keeps its target id.

    Masked by the project's rules. Keys are those of items as they are stored.
    """
    now = clock.now()
    results = [
        replace(
            one, output=mask_value(project_id, one.output), error=mask_text(project_id, one.error),
            sent=mask_value(project_id, one.sent),
        )
        for one in results
    ]  # fmt: skip
    rows = [
        ExperimentResult(
            experiment_id=experiment_id, item_key=one.item_key, target_id=uuid4(), output=one.output,
            state=FAILED if one.error else DONE, error=one.error[:500], metrics={"sent": dict(one.sent)},
            latency_ms=one.latency_ms, cost_pico=one.cost_pico, input_tokens=one.input_tokens,
            output_tokens=one.output_tokens, trace_id=one.trace_id, done_at=now,
        )
        for one in sorted(results, key=lambda one: one.item_key)
    ]  # fmt: skip
    ExperimentResult.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=["experiment", "item_key"],
        update_fields=[
            "state", "output", "error", "metrics", "latency_ms", "cost_pico", "input_tokens", "output_tokens",
            "trace_id", "done_at",
        ],
        batch_size=500,
    )  # fmt: skip


def known_keys(dataset_id: int, version: int, keys: Sequence[str]) -> set[str]:
    """Those of `keys` that the version of the dataset has."""
    return set(_keys(dataset_id, version, keys))


def take_pending(experiment_id: int, limit: int, seconds: float) -> list[ExperimentResult]:
    """Up to `limit` results whose call is due, held for `seconds`, their attempts counted: before any call is made."""
    due = Q(next_at=None) | Q(next_at__lte=Now())
    rows = ExperimentResult.objects.filter(due, experiment_id=experiment_id, state=PENDING)
    return leases.claim(rows, seconds=seconds, limit=limit)


def free_pending(experiment_id: int) -> None:
    """Let go of results that a runner before this one held: it is dead, or has lost the job."""
    ExperimentResult.objects.filter(experiment_id=experiment_id, state=PENDING).update(lease_by="", lease_until=None)


def end_call(project_id: int, result_id: int, values: Mapping[str, Any]) -> None:
    """Write down how the calls for one result ended; what was answered is masked by the project's rules."""
    rows = ExperimentResult.objects.filter(pk=result_id, state=PENDING)
    told = mask_fields(project_id, values, {"output": None, "error": 500})
    rows.update(done_at=Now(), lease_by="", lease_until=None, **told)


def call_again(result_id: int, after: timedelta) -> None:
    """Have a result's call made again, not before `after`."""
    rows = ExperimentResult.objects.filter(pk=result_id, state=PENDING)
    rows.update(next_at=Now() + after, lease_by="", lease_until=None)


def give_up(experiment_id: int, why: str) -> int:
    """End every result that still waits as failed, for this reason; how many."""
    rows = ExperimentResult.objects.filter(experiment_id=experiment_id, state=PENDING)
    return rows.update(state=FAILED, error=why[:500], done_at=Now(), lease_by="", lease_until=None)


def next_due(experiment_id: int) -> datetime | None:
    """When the next waiting result is due; None where none waits."""
    rows = ExperimentResult.objects.filter(experiment_id=experiment_id, state=PENDING)
    found = rows.order_by("next_at").values_list("next_at", "pk").first()
    return None if found is None else found[0] or clock.EPOCH


def keep_metrics(measured: Mapping[int, Mapping[str, float]]) -> None:
    """Write the reference metrics of results, by the result's id; the sender's own numbers stay."""
    rows = ExperimentResult.objects.in_bulk(list(measured))
    for key, row in rows.items():
        row.metrics = {**row.metrics, "reference": dict(measured[key])}
    ExperimentResult.objects.bulk_update(rows.values(), ["metrics"], batch_size=200)


def keep_figures(experiment_id: int, figures: Sequence[Mapping[str, Any]]) -> None:
    """Write the figures of all results together."""
    Experiment.objects.filter(pk=experiment_id).update(figures=list(figures))


_JUDGED = """
UPDATE evals_experiment AS e SET state = 'done', finished_at = now()
WHERE e.state = 'judging' AND NOT EXISTS (
    SELECT 1 FROM evals_experimentresult AS r
    JOIN evals_judgement AS j ON j.project_id = e.project_id AND j.target_id = r.target_id
    WHERE r.experiment_id = e.id AND j.target_kind = 4 AND j.state IN ('pending', 'running')
)
"""


def end_judged() -> int:
    """End the experiments of which nothing waits to be judged any more; how many."""
    with connection.cursor() as cursor:
        cursor.execute(_JUDGED)
        return int(cursor.rowcount)


_WAITING = """
SELECT j.judgement_id FROM evals_experimentresult AS r
JOIN evals_judgement AS j ON j.project_id = %(project)s AND j.target_id = r.target_id AND j.target_kind = 4
WHERE r.experiment_id = %(experiment)s AND j.state = 'pending'
FOR UPDATE OF j SKIP LOCKED
"""


def skip_judgements(project_id: int, experiment_id: int, why: str) -> int:
    """End the judgements that still wait for results of an experiment, in the caller's transaction; how many."""
    with raw_cursor() as cursor:
        cursor.execute(_WAITING, {"project": project_id, "experiment": experiment_id})
        rows = judgements.read_judgements(project_id, [row[0] for row in cursor.fetchall()])
        judgements.skip(cursor, rows, why, clock.now())
    return len(rows)


_DROP_SCORES = """
DELETE FROM evals_score AS s USING evals_experimentresult AS r
WHERE r.experiment_id = %(experiment)s AND s.project_id = %(project)s AND s.trace_id = r.target_id
    AND s.target_kind = 4
"""
_DROP_JUDGEMENTS = """
DELETE FROM evals_judgement AS j USING evals_experimentresult AS r
WHERE r.experiment_id = %(experiment)s AND j.project_id = %(project)s AND j.target_id = r.target_id
    AND j.target_kind = 4 AND j.state NOT IN ('pending', 'running')
"""


def remove(project_id: int, experiment_id: int) -> None:
    """Remove an experiment with its results and their scores. What judging cost stays in its hourly sums."""
    params = {"experiment": experiment_id, "project": project_id}
    with connection.cursor() as cursor:
        cursor.execute(_DROP_SCORES, params)
        cursor.execute(_DROP_JUDGEMENTS, params)
    Experiment.objects.filter(project_id=project_id, pk=experiment_id).delete()


_KEYS = """
SELECT item_key FROM evals_datasetitem
WHERE dataset_id = %(dataset)s AND from_version <= %(version)s AND (to_version IS NULL OR to_version > %(version)s)
    AND (%(keys)s::text[] IS NULL OR item_key = ANY(%(keys)s::text[]))
ORDER BY item_key
"""


def _keys(dataset_id: int, version: int, keys: Sequence[str] | None = None) -> list[str]:
    params = {"dataset": dataset_id, "version": version, "keys": None if keys is None else list(keys)}
    with connection.cursor() as cursor:
        cursor.execute(_KEYS, params)
        return [row[0] for row in cursor.fetchall()]
