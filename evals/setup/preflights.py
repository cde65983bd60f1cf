"""Trying an unsaved judge on five traces: a job, for models take their time and a page does not."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import connection as database

from evals.judges import Unusable, Verdict, parse_config
from evals.judging.trying import PREFLIGHT_MAX, PreflightRefused, Tried, preflight
from evals.models import Connection
from evals.read.setup import get_connection
from evals.rubrics import RubricRefused, parse_rubric, to_json
from evals.setup.judges import checked_settings
from evals.setup.refusals import SetupRefused, refused_rubric
from evals.write.masked import mask_said_of
from telltale.jobs import work
from telltale.jobs.models import Job
from telltale.jobs.tasks import sweep
from telltale.jobs.wake import wake
from telltale.projects.models import Project
from traces.masks import keeps_content, mask_text
from traces.own_calls import without_calls
from traces.read import Ask, TraceFilter, list_traces

KIND = "evals.preflight"
SHOWN_CHARS = 20_000
HOLD_SECONDS = 15.0


@dataclass(frozen=True, slots=True)
class Preflight:
    """A preflight as pages and REST show it. `tried` is filled when `state` is done."""

    id: int
    state: str
    error: str
    judge: str
    model: str
    made_at: datetime
    trace_ids: tuple[str, ...]
    tried: tuple[dict[str, Any], ...]
    cost_pico: int | None
    typed: Mapping[str, Any] = field(default_factory=dict)
    is_stand_in: bool = False

    @property
    def is_over(self) -> bool:
        """Whether nothing more comes."""
        return self.state not in ("pending", "running")


def start_preflight(
    project: Project,
    *,
    kind: str,
    rubric: Any,
    config: Any,
    connection_id: int | None = None,
    model: str = "",
    trace_ids: Sequence[UUID] = (),
    slug: str = "preflight",
    typed: Mapping[str, Any] | None = None,
    by_id: int | None = None,
) -> int:
    """Have an unsaved judge tried on `trace_ids` (the newest traces by default); the job's id. SetupRefused.

    `typed` is the form that it stands in, kept so that people find it again.
    """
    try:
        parsed = parse_rubric(rubric)
    except RubricRefused as error:
        raise refused_rubric(error) from None
    values = checked_settings(project, kind, parsed, config, connection_id, model)
    if kind not in ("model", "rule"):
        raise SetupRefused("kind", "judges by itself: there is nothing to try", "model or rule")
    chosen = list(dict.fromkeys(trace_ids))[:PREFLIGHT_MAX] or newest_traces(project.pk)
    if not chosen:
        raise SetupRefused("traces", "are none yet: send some first")
    params = {
        "judge": slug, "kind": kind, "rubric": to_json(parsed), "traces": [each.hex for each in chosen],
        "config": values["config"], "connection_id": values["connection_id"], "model": values["model"],
        "typed": dict(typed or {}), "is_stand_in": _is_stand_in(project.pk, values["connection_id"]),
    }  # fmt: skip
    job = work.start(KIND, project_id=project.pk, created_by_id=by_id, params=params)
    wake(sweep)
    return int(job.pk)


def _is_stand_in(project_id: int, connection_id: int | None) -> bool:
    found = None if connection_id is None else get_connection(project_id, connection_id)
    return found is not None and found.is_stand_in


def newest_traces(project_id: int) -> list[UUID]:
    """The newest traces of a project, as many as are tried; calls of judges are none of them."""
    page = list_traces(project_id, without_calls(project_id, TraceFilter()), ask=Ask(limit=PREFLIGHT_MAX, count=False))
    return [row.trace_id for row in page.rows]


def find_preflight(project_id: int, job_id: int) -> Preflight | None:
    """One preflight of the project."""
    job = Job.objects.filter(project_id=project_id, pk=job_id, kind=KIND).first()
    if job is None:
        return None
    tried = tuple((job.result or {}).get("tried", ()))
    prices = [each["price_pico"] for each in tried if each["answer"] or not job.params["model"]]
    return Preflight(
        id=job.pk,
        state=job.state,
        error=job.error,
        judge=job.params["judge"],
        model=job.params["model"],
        made_at=job.created_at,
        trace_ids=tuple(job.params["traces"]),
        tried=tried,
        cost_pico=None if None in prices else sum(prices),
        typed=job.params.get("typed", {}),
        is_stand_in=job.params.get("is_stand_in", False),
    )


@work.register(KIND)
def _preflight(run: work.Run) -> dict[str, Any]:
    params = run.params
    project = Project.objects.get(pk=run.job.project_id or 0)
    if run.cursor:
        # Its worker died during the calls: they may have cost money, so nobody is called again.
        raise work.JobFailed("The worker ended during the calls. Try again.")
    run.step(cursor={"called": True}, progress=0, total=len(params["traces"]))
    connection = None
    if params["connection_id"] is not None:
        connection = Connection.objects.filter(project=project, pk=params["connection_id"]).first()
    trace_ids = [UUID(each) for each in params["traces"]]
    with _held(run):
        try:
            tried = preflight(
                project, parse_rubric(params["rubric"]), parse_config(params["kind"], params["config"]), connection,
                params["model"], trace_ids, slug=params["judge"],
            )  # fmt: skip
        except PreflightRefused as refused:
            raise work.JobFailed(str(refused)) from None
    return {"tried": [tried_json(_masked(project.pk, each)) for each in tried]}


def _masked(project_id: int, tried: Tried) -> Tried:
    """What came of one trace as it may be kept: without content neither what was read nor what was said of it."""
    feature = tried.material.feature if tried.material else ""
    keeps = keeps_content(project_id, feature)
    return replace(
        tried,
        material=tried.material if keeps else None,
        prompt=tried.prompt if keeps else None,
        answer=mask_text(project_id, tried.answer, feature) if keeps else "",
        verdict=tried.verdict and mask_said_of(project_id, feature, tried.verdict, keeps),
        unusable=tried.unusable and mask_said_of(project_id, feature, tried.unusable, keeps),
    )


@contextmanager
def _held(run: work.Run) -> Iterator[None]:
    """Hold the job while models answer."""
    is_over = threading.Event()

    def hold() -> None:
        try:
            while not is_over.wait(HOLD_SECONDS):
                run.step(cursor={"called": True}, progress=0)
        except work.RunEnded:
            return
        finally:
            database.close()

    thread = threading.Thread(target=hold, name="preflight-hold", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()


def tried_json(tried: Tried) -> dict[str, Any]:
    """What came of one trace, as it is kept; long texts are cut."""
    material, prompt = tried.material, tried.prompt
    return {
        "trace_id": tried.trace_id.hex,
        "question": material.question[:300] if material else "",
        "judged": material.answer[:300] if material else "",
        "system": prompt.system[:SHOWN_CHARS] if prompt else "",
        "prompt": prompt.user[:SHOWN_CHARS] if prompt else "",
        "is_cut": bool(prompt and prompt.cut),
        "answer": tried.answer[:SHOWN_CHARS],
        "verdict": _verdict(tried.verdict),
        "unusable": _unusable(tried.unusable),
        "failed": tried.failed,
        "is_flagged": tried.is_flagged,
        "price_pico": tried.price_pico,
        "duration_ms": tried.duration_ms,
        "input_tokens": tried.input_tokens,
        "output_tokens": tried.output_tokens,
        "call_trace_id": tried.call_trace_id.hex if tried.call_trace_id else None,
    }


def _verdict(verdict: Verdict | None) -> dict[str, Any] | None:
    if verdict is None:
        return None
    scores = [
        {
            "key": each.key, "number": each.number, "label": each.label, "reason": each.reason[:2000],
            "evidence": [quote[:500] for quote in each.evidence[:10]], "is_unsure": each.is_unsure,
        }
        for each in verdict.scores
    ]  # fmt: skip
    return {
        "scores": scores,
        "injection_attempt": verdict.injection_attempt,
        "evidence_missing": list(verdict.evidence_missing),
    }


def _unusable(unusable: Unusable | None) -> dict[str, str] | None:
    return None if unusable is None else {"kind": unusable.kind, "told": unusable.told}
