"""Pricing again what is stored: first what it would change, then changing it; both as jobs that go on after a kill.

History never changes by itself. A preview walks the traces of a window and adds up old and new costs; applying one walks
them again in slices, each of which changes spans, trace sums, and the job's own position and result in one transaction.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import DatabaseError, connection, transaction
from django.db.models import Q
from django.http import HttpRequest

from telltale.audit.log import record
from telltale.jobs.leases import claim, release
from telltale.jobs.models import Job, JobState
from telltale.lib import clock
from telltale.projects.models import Project

from traces.canonical.types import CostStatus
from traces.cost.reprice import Difference, ModelDifference, StatusChange, merge
from traces.models import Price
from traces.prices import load_book
from traces.write import reprice as write

logger = logging.getLogger(__name__)

PREVIEW, APPLY = "reprice.preview", "reprice.apply"
KINDS = (PREVIEW, APPLY)
MODELS_MAX = 100
# Senders that make up model names must not make a job's result grow without end.
MODELS_KEPT = 300
LEASE_SECONDS = 60.0
TRIES_MAX = 5
# Ingest holds a book for up to 5 s. Applying waits until no process can still be storing with the one before.
SETTLE = timedelta(seconds=8)
_COUNT = "SELECT count(*) FROM traces_trace WHERE project_id = %s AND started_at >= %s AND started_at < %s"


class Conflict(Exception):
    """What is asked for does not fit the state of things; the text says why, for people."""


class LostLease(Exception):
    """The job is somebody else's by now, or was cancelled."""


@dataclass(frozen=True, slots=True)
class Order:
    """Which calls to price again: those of traces that started in [start, end), of `models` or, if empty, of all."""

    start: datetime
    end: datetime
    models: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class JobView:
    """A job as pages and REST show it."""

    id: int
    kind: str  # preview or apply
    state: str
    order: Order
    done: int
    total: int | None
    difference: Difference
    error: str
    created_at: datetime
    finished_at: datetime | None
    preview_id: int | None

    @property
    def is_over(self) -> bool:
        return self.state in {JobState.DONE, JobState.FAILED, JobState.CANCELLED}

    @property
    def may_apply(self) -> bool:
        """Whether this is a finished preview of some change."""
        return self.kind == "preview" and self.state == JobState.DONE and self.difference.changed > 0


def start_preview(project: Project, order: Order, *, by_id: int | None) -> int:
    """Queue the walk that finds out what pricing again would change; the job's id."""
    return _queue(project, PREVIEW, order, by_id, {}).pk


def start_apply(project: Project, preview_id: int, *, by_id: int | None, request: HttpRequest | None = None) -> int:
    """Queue the change that a finished preview told; the job's id. Conflict where the preview does not hold."""
    preview = find_job(project.pk, preview_id)
    if preview is None or preview.kind != "preview" or preview.state != JobState.DONE:
        raise Conflict("Apply a finished preview: it says what would change.")
    row = Job.objects.get(pk=preview_id)
    if row.params["book"] != _book_mark(project.pk):
        raise Conflict("Prices changed since this preview. Make a new one.")
    with transaction.atomic():
        # One at a time: two would undo nothing, but their reports would be each other's.
        Project.objects.select_for_update(no_key=True).get(pk=project.pk)
        if _open_jobs(project.pk).filter(kind=APPLY).exists():
            raise Conflict("A re-pricing is under way in this project. Wait until it is done.")
        job = _queue(project, APPLY, preview.order, by_id, {"preview": preview_id})
        record(
            "price.reprice",
            request=request,
            organisation_id=project.organisation_id,
            project_id=project.pk,
            target=", ".join(preview.order.models) or "all models",
            after={**_params(preview.order), "job": job.pk, "expected": difference_json(preview.difference)["delta_usd"]},
            outcome="started",
        )
    return job.pk


def cancel(project_id: int, job_id: int) -> bool:
    """Stop a job; False where it was over already. Slices that are applied stay, and each is whole."""
    return (
        _open_jobs(project_id)
        .filter(pk=job_id)
        .update(state=JobState.CANCELLED, finished_at=clock.now(), lease_by="", lease_until=None)
        == 1
    )


def find_job(project_id: int, job_id: int) -> JobView | None:
    """One job of the project, None where there is none."""
    job = Job.objects.filter(project_id=project_id, pk=job_id, kind__in=KINDS).first()
    return None if job is None else _view(job)


def list_jobs(project_id: int, limit: int = 20) -> list[JobView]:
    """The newest jobs of the project."""
    return [_view(job) for job in Job.objects.filter(project_id=project_id, kind__in=KINDS).order_by("-pk")[:limit]]


def run_open_jobs(seconds: float = 45.0) -> int:
    """Work on open jobs for about `seconds`; how many came to their end. What is left is gone on with next time."""
    until = time.monotonic() + seconds
    finished = 0
    tried: set[int] = set()
    while time.monotonic() < until:
        waiting = Job.objects.filter(kind__in=KINDS, state__in=(JobState.PENDING, JobState.RUNNING)).exclude(pk__in=tried)
        jobs = claim(waiting, seconds=LEASE_SECONDS)
        if not jobs:
            break
        tried.add(jobs[0].pk)
        try:
            finished += _work(jobs[0], until)
        except DatabaseError:
            logger.exception("job %s stopped; it is tried again", jobs[0].pk)
    return finished


def run_job(job_id: int, seconds: float = 45.0) -> bool:
    """Work on one job for about `seconds`; True where it is over, now or before."""
    jobs = claim(Job.objects.filter(pk=job_id, state__in=(JobState.PENDING, JobState.RUNNING)), seconds=LEASE_SECONDS)
    if jobs:
        _work(jobs[0], time.monotonic() + seconds)
    return not Job.objects.filter(pk=job_id, state__in=(JobState.PENDING, JobState.RUNNING)).exists()


def _work(job: Job, until: float) -> bool:
    try:
        if job.attempts > TRIES_MAX:
            _finish(job, JobState.FAILED, "It failed again and again; the log of the worker says why.")
            return True
        if job.kind == APPLY and not _is_settled(job.project_id):
            Job.objects.filter(pk=job.pk, lease_by=job.lease_by).update(attempts=0)
            return False
        if job.state == JobState.PENDING:
            _begin(job)
        while time.monotonic() < until:
            if not _slice(job):
                _finish(job, JobState.DONE, "")
                return True
        return False
    except LostLease:
        return False
    finally:
        release(job)


def _begin(job: Job) -> None:
    order = _order(job.params)
    with connection.cursor() as cursor:
        cursor.execute(_COUNT, [job.project_id, order.start, order.end])
        total = cursor.fetchone()[0]
    _save(job, state=JobState.RUNNING, started_at=clock.now(), total=total)


def _slice(job: Job) -> bool:
    """One slice, with the job's position and result in the same transaction; False where nothing was left."""
    order, project_id = _order(job.params), job.project_id
    assert project_id is not None  # noqa: S101 - jobs of these kinds have one
    with transaction.atomic():
        traces, position = write.next_traces(project_id, order.start, order.end, _position(job.cursor))
        if position is None:
            return False
        if job.kind == APPLY:
            ids = [trace.trace_id for trace in traces]
            found = write.apply(project_id, ids, order.models, lambda: load_book(project_id))
        else:
            found = write.compare(project_id, traces, order.models, load_book(project_id))
        so_far = merge([difference_from_json(job.result), found]) if job.result else found
        _save(
            job,
            cursor={"at": position[0].isoformat(), "id": str(position[1])},
            progress=job.progress + len(traces),
            result=difference_json(_capped(so_far)),
            lease_until=clock.now() + timedelta(seconds=LEASE_SECONDS),
            attempts=1,
        )
    return True


def _capped(found: Difference) -> Difference:
    """The difference with at most `MODELS_KEPT` models by name; the rest, by name unknown, is one more."""
    if len(found.models) <= MODELS_KEPT:
        return found
    unnamed = (replace(model, model=None) for model in found.models[MODELS_KEPT:])
    models = merge([Difference(models=(*found.models[:MODELS_KEPT], *unnamed))]).models
    return replace(found, models=models)


def _finish(job: Job, state: JobState, error: str) -> None:
    with transaction.atomic():
        _save(job, state=state, error=error, finished_at=clock.now(), result=job.result or difference_json(Difference()))
        if job.kind == APPLY:
            record(
                "price.reprice",
                actor="system",
                project_id=job.project_id,
                target=", ".join(job.params["models"]) or "all models",
                after={"job": job.pk, **{k: v for k, v in (job.result or {}).items() if k != "models"}},
                outcome=state.value,
            )


def _save(job: Job, **changes: Any) -> None:
    """Write to the job while it is still ours; LostLease (which rolls the slice back) where it is not."""
    held = Job.objects.filter(pk=job.pk, lease_by=job.lease_by).exclude(state=JobState.CANCELLED)
    if held.update(**changes) != 1:
        raise LostLease
    for name, value in changes.items():
        setattr(job, name, value)


def _queue(project: Project, kind: str, order: Order, by_id: int | None, more: dict[str, Any]) -> Job:
    params = {**_params(order), "book": _book_mark(project.pk), **more}
    return Job.objects.create(kind=kind, project=project, params=params, created_by_id=by_id)


def _open_jobs(project_id: int) -> Any:
    return Job.objects.filter(
        project_id=project_id, kind__in=KINDS, state__in=(JobState.PENDING, JobState.RUNNING)
    )


def _last_change(project_id: int | None) -> datetime | None:
    rows = Price.objects.filter(Q(project_id=project_id) | Q(project=None)).values_list("created_at", "replaced_at")
    times = [at for row in rows for at in row if at is not None]
    return max(times) if times else None


def _book_mark(project_id: int | None) -> str:
    last = _last_change(project_id)
    return "" if last is None else last.isoformat()


def _is_settled(project_id: int | None) -> bool:
    last = _last_change(project_id)
    return last is None or clock.now() - last >= SETTLE


def _params(order: Order) -> dict[str, Any]:
    return {"from": order.start.isoformat(), "to": order.end.isoformat(), "models": list(order.models)}


def _order(params: dict[str, Any]) -> Order:
    start, end = datetime.fromisoformat(params["from"]), datetime.fromisoformat(params["to"])
    return Order(start, end, tuple(params["models"]))


def _position(cursor: dict[str, Any]) -> write.Position | None:
    return (datetime.fromisoformat(cursor["at"]), UUID(cursor["id"])) if cursor.get("id") else None


def _view(job: Job) -> JobView:
    return JobView(
        id=job.pk,
        kind="preview" if job.kind == PREVIEW else "apply",
        state=job.state,
        order=_order(job.params),
        done=job.progress,
        total=job.total,
        difference=difference_from_json(job.result) if job.result else Difference(),
        error=job.error,
        created_at=job.created_at,
        finished_at=job.finished_at,
        preview_id=job.params.get("preview"),
    )


def difference_json(found: Difference) -> dict[str, Any]:
    """A difference as JSON: money as whole pico-dollars in text (it may pass 2**53), and as USD."""
    return {
        "spans": found.spans,
        "changed": found.changed,
        "uncounted": found.uncounted,
        "old_pico": str(found.old_pico),
        "new_pico": str(found.new_pico),
        "delta_usd": _usd(found.delta_pico),
        "old_unknown": found.old_unknown,
        "new_unknown": found.new_unknown,
        "models": [_model_json(model) for model in found.models],
    }


def difference_from_json(kept: dict[str, Any]) -> Difference:
    """The difference that `difference_json` wrote."""
    return Difference(
        models=tuple(_model_from_json(model) for model in kept["models"]),
        spans=kept["spans"],
        changed=kept["changed"],
        uncounted=kept["uncounted"],
        old_pico=int(kept["old_pico"]),
        new_pico=int(kept["new_pico"]),
        old_unknown=kept["old_unknown"],
        new_unknown=kept["new_unknown"],
    )


def _model_json(model: ModelDifference) -> dict[str, Any]:
    plain = asdict(model)
    plain["old_pico"], plain["new_pico"] = str(model.old_pico), str(model.new_pico)
    plain["delta_usd"] = _usd(model.delta_pico)
    plain["status_changes"] = [
        {"before": change.before and int(change.before), "after": change.after and int(change.after), "spans": change.spans}
        for change in model.status_changes
    ]
    return plain


def _model_from_json(kept: dict[str, Any]) -> ModelDifference:
    changes: Sequence[dict[str, Any]] = kept["status_changes"]
    return ModelDifference(
        model=kept["model"],
        spans=kept["spans"],
        changed=kept["changed"],
        old_pico=int(kept["old_pico"]),
        new_pico=int(kept["new_pico"]),
        old_unknown=kept["old_unknown"],
        new_unknown=kept["new_unknown"],
        status_changes=tuple(
            StatusChange(_status(change["before"]), _status(change["after"]), change["spans"]) for change in changes
        ),
    )


def _status(value: int | None) -> CostStatus | None:
    return None if value is None else CostStatus(value)


def _usd(pico: int) -> str:
    sign, digits = ("-", -pico) if pico < 0 else ("", pico)
    whole, part = divmod(digits, 10**12)
    return f"{sign}{whole}.{part:012d}".rstrip("0").rstrip(".")
