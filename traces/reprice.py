"""Pricing again what is stored: first what it would change, then changing it; both as jobs that go on after a kill.

History never changes by itself. A preview walks the traces of a window and adds up old and new costs; applying one
walks them again in slices, each of which changes spans, trace sums, and the job's own position and result in one
transaction.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import connection, transaction
from django.db.models import Q
from django.http import HttpRequest

from telltale.audit.log import record_in
from telltale.jobs import work
from telltale.jobs.models import Job, JobState
from telltale.jobs.tasks import sweep
from telltale.jobs.wake import wake
from telltale.lib import clock
from telltale.projects.models import Project
from traces.canonical.types import CostStatus
from traces.cost.reprice import Difference, ModelDifference, StatusChange, merge
from traces.models import Price
from traces.prices import load_book
from traces.write import reprice as write

PREVIEW, APPLY = "reprice.preview", "reprice.apply"
KINDS = (PREVIEW, APPLY)
MODELS_MAX = 100
# Senders that make up model names must not make a job's result grow without end.
MODELS_KEPT = 300
# Ingest holds a book for up to 5 s and stores within 2 s; only then is every span of the old prices there to be found.
SETTLE = timedelta(seconds=8)
pause = time.sleep
_COUNT = "SELECT count(*) FROM traces_trace WHERE project_id = %s AND started_at >= %s AND started_at < %s"


class Conflict(Exception):
    """What is asked for does not fit the state of things; the text says why, for people."""


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


def start_apply(
    project: Project, preview_id: int, *, by_id: int | None, request: HttpRequest | None = None, actor: str = ""
) -> int:
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
        record_in(
            project,
            "price.reprice",
            ", ".join(preview.order.models) or "all models",
            request=request,
            actor=actor,
            after={
                **_params(preview.order),
                "job": job.pk,
                "expected": difference_json(preview.difference)["delta_usd"],
            },
            outcome="started",
        )
    return job.pk


def cancel(project: Project, job_id: int, *, request: HttpRequest | None = None) -> bool:
    """Stop a job of the project; False where it was over already. Slices that are applied stay, and each is whole."""
    with transaction.atomic():
        job = _open_jobs(project.pk).filter(pk=job_id).first()
        if job is None or not work.cancel(job_id):
            return False
        kind = "apply" if job.kind == APPLY else "preview"
        record_in(project, "price.reprice.cancel", f"job {job_id}", request=request, before={"kind": kind})
    return True


def find_job(project_id: int, job_id: int) -> JobView | None:
    """One job of the project, None where there is none."""
    job = Job.objects.filter(project_id=project_id, pk=job_id, kind__in=KINDS).first()
    return None if job is None else _view(job)


def list_jobs(project_id: int, limit: int = 20) -> list[JobView]:
    """The newest jobs of the project."""
    return [_view(job) for job in Job.objects.filter(project_id=project_id, kind__in=KINDS).order_by("-pk")[:limit]]


@work.register(PREVIEW)
def _preview(run: work.Run) -> dict[str, Any]:
    project_id = _project_of(run)
    book = load_book(project_id)
    return difference_json(_walk(run, lambda traces, models: write.compare(project_id, traces, models, book)))


@work.register(APPLY)
def _apply(run: work.Run) -> dict[str, Any]:
    project_id = _project_of(run)
    _settle(project_id)

    def change(traces: Sequence[write.TraceBounds], models: Sequence[str], **how: bool) -> Difference:
        ids = [trace.trace_id for trace in traces]
        return write.apply(project_id, ids, models, lambda: load_book(project_id), **how)

    _walk(run, change)
    result = difference_json(_walk_moved(run, lambda traces, models: change(traces, models, may_be_done=True)))
    record_in(
        Project.objects.get(pk=project_id),
        "price.reprice",
        ", ".join(run.params["models"]) or "all models",
        actor="system",
        after={"job": run.job.pk, **{name: value for name, value in result.items() if name != "models"}},
    )
    return result


Look = Callable[[Sequence[write.TraceBounds], Sequence[str]], Difference]


def _walk(run: work.Run, look: Look) -> Difference:
    """The traces of the window, slice after slice from where the job stands."""
    order, project_id = _order(run.params), _project_of(run)
    if run.job.total is None:
        with connection.cursor() as cursor:
            cursor.execute(_COUNT, [project_id, order.start, order.end])
            run.job.total = cursor.fetchone()[0]
    return _slices(
        run, look, lambda after: write.next_traces(project_id, order.start, order.end, after), is_moved=False
    )


def _walk_moved(run: work.Run, look: Look) -> Difference:
    """After the window: the traces that were in it when the preview was ordered and lie below it by now."""
    order, project_id = _order(run.params), _project_of(run)
    preview = Job.objects.filter(pk=run.params["preview"]).first() or run.job
    return _slices(
        run, look, lambda after: write.next_moved(project_id, order.start, preview.created_at, after), is_moved=True
    )


def _slices(
    run: work.Run,
    look: Look,
    following: Callable[[write.Position | None], tuple[list[write.TraceBounds], write.Position | None]],
    *,
    is_moved: bool,
) -> Difference:
    """Slice after slice; each commits what it did with the job's position and sums. The difference so far."""
    place = run.cursor
    so_far = difference_from_json(place["difference"]) if place else Difference()
    was_moved = place.get("moved", False)
    if was_moved and not is_moved:
        return so_far  # the window was done before the kill
    position = _position(place) if was_moved == is_moved else None
    done = run.job.progress
    while True:
        with transaction.atomic():
            traces, position = following(position)
            if position is None:
                return so_far
            so_far = _capped(merge([so_far, look(traces, _order(run.params).models)]))
            done += len(traces)
            place = {"at": position[0].isoformat(), "id": str(position[1]), "moved": is_moved}
            run.step(cursor={**place, "difference": difference_json(so_far)}, progress=done, total=run.job.total)


def _settle(project_id: int) -> None:
    """Wait until no process can still be storing spans with the book before the last change."""
    last = _last_change(project_id)
    left = SETTLE - (clock.now() - last) if last else timedelta(0)
    if left > timedelta(0):
        pause(left.total_seconds())


def _project_of(run: work.Run) -> int:
    if run.job.project_id is None:
        raise work.JobFailed("The job names no project.")
    return run.job.project_id


def _capped(found: Difference) -> Difference:
    """The difference with at most `MODELS_KEPT` models by name; the rest, by name unknown, is one more."""
    if len(found.models) <= MODELS_KEPT:
        return found
    unnamed = (replace(model, model=None) for model in found.models[MODELS_KEPT:])
    models = merge([Difference(models=(*found.models[:MODELS_KEPT], *unnamed))]).models
    return replace(found, models=models)


def _queue(project: Project, kind: str, order: Order, by_id: int | None, more: dict[str, Any]) -> Job:
    params = {**_params(order), "book": _book_mark(project.pk), **more}
    job = work.start(kind, project_id=project.pk, created_by_id=by_id, params=params)
    wake(sweep)
    return job


def _open_jobs(project_id: int) -> Any:
    return Job.objects.filter(project_id=project_id, kind__in=KINDS, state__in=(JobState.PENDING, JobState.RUNNING))


def _last_change(project_id: int | None) -> datetime | None:
    rows = Price.objects.filter(Q(project_id=project_id) | Q(project=None)).values_list("created_at", "replaced_at")
    times = [at for row in rows for at in row if at is not None]
    return max(times) if times else None


def _book_mark(project_id: int | None) -> str:
    last = _last_change(project_id)
    return "" if last is None else last.isoformat()


def _params(order: Order) -> dict[str, Any]:
    return {"from": order.start.isoformat(), "to": order.end.isoformat(), "models": list(order.models)}


def _order(params: dict[str, Any]) -> Order:
    start, end = datetime.fromisoformat(params["from"]), datetime.fromisoformat(params["to"])
    return Order(start, end, tuple(params["models"]))


def _position(cursor: dict[str, Any]) -> write.Position | None:
    return (datetime.fromisoformat(cursor["at"]), UUID(cursor["id"])) if cursor.get("id") else None


def _view(job: Job) -> JobView:
    told = job.result or job.cursor.get("difference")
    return JobView(
        id=job.pk,
        kind="preview" if job.kind == PREVIEW else "apply",
        state=job.state,
        order=_order(job.params),
        done=job.progress,
        total=job.total,
        difference=difference_from_json(told) if told else Difference(),
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
        {
            "before": change.before and int(change.before),
            "after": change.after and int(change.after),
            "spans": change.spans,
        }
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
