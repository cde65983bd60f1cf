"""Judging past traces: estimate, start, pause, resume, cancel.

A backfill is queued piece by piece, newest traces first, never more than `AHEAD` judgements before what is judged:
so live judging goes first, and pausing or cancelling is quick. Each piece is one transaction with its place.

The draw is salted by judge and purpose, so that a second backfill of a larger share keeps what the first one took. A
trace that the live plan had a chance to draw has the chance of either.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from django.db import transaction
from django.http import HttpRequest, QueryDict

from evals.drawing import target_of
from evals.models import Backfill, JudgeVersion
from evals.read import decisions as read
from evals.read.judgements import Counts, backfill_counts
from evals.sampling import FLOOR, hash_share
from evals.write import backfills as write
from evals.write import decisions, judgements
from evals.write.judgements import Purpose, Target, queue
from evals.write.scores import set_inclusion
from telltale.audit.log import record_in
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.projects.models import Project
from traces.forms import read_list
from traces.own_calls import JUDGE_SERVICE, without_calls
from traces.read import Ask, TraceFilter, TraceRow, list_traces

AHEAD = 2_000
PIECE = 500
RUN_SECONDS = 20.0
LINGER_SECONDS = 0.5
RUNNING, PAUSED, DONE, CANCELLED = "running", "paused", "done", "cancelled"
QUERY_MAX = 4_000
pause_for = time.sleep


class BackfillRefused(Exception):
    """A backfill that cannot be: `field` and `limit` as for a form, the message for people."""

    def __init__(self, field: str, message: str, limit: str = "") -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message
        self.limit = limit


@dataclass(frozen=True, slots=True)
class Estimated:
    """What a backfill would be. `traces` match; about `judgements` of them would be drawn, and cost about `pico`.

    `pico` None: the price is not known. Not `is_exact`: more match than were counted.
    """

    traces: int
    is_exact: bool
    judgements: int
    pico: int | None
    start: datetime | None
    end: datetime | None


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a backfill is: its row, and its judgements by state."""

    row: Backfill
    counts: Counts

    @property
    def share_done(self) -> float | None:
        """Of what it is to judge, how much has ended, in 0..1; None while its size is not known."""
        if self.row.state == DONE:
            return 1.0
        if not self.row.traces_total:
            return None
        ahead = self.row.traces_seen / self.row.traces_total
        made = self.counts.made
        return min(ahead * (self.counts.ended / made if made else 1.0), 1.0)


def _wanted(project: Project, query: str) -> TraceFilter:
    """The traces that a list's address names, with the window as it is now; BackfillRefused."""
    if len(query) > QUERY_MAX:
        raise BackfillRefused("query", "is too long", f"{QUERY_MAX} characters")
    state = read_list(QueryDict(query.removeprefix("?")), clock.zone_of(project.time_zone), clock.now())
    if state.errors:
        first = state.errors[0]
        raise BackfillRefused(f"query.{first.key}", first.message, first.limit or "")
    end = min(state.wanted.end or clock.now(), clock.now())
    # What judges called is never judged, and so is none of the traces that are counted and paid for.
    return without_calls(project.pk, TraceFilter(state.wanted.start, end, state.wanted.q, state.wanted.terms))


def _checked(project: Project, version_id: int, share: float) -> JudgeVersion:
    version = JudgeVersion.objects.select_related("judge").filter(judge__project=project, pk=version_id).first()
    if version is None:
        raise BackfillRefused("judge_version", "is not there")
    if version.judge.kind not in ("model", "rule"):
        raise BackfillRefused("judge_version", "must be of a model or of rules: others judge by themselves")
    if not FLOOR <= share <= 1.0:
        raise BackfillRefused("share", "must be a share of the traces", f"{FLOOR:g} to 1")
    return version


def estimate(project: Project, version_id: int, query: str, share: float = 1.0) -> Estimated:
    """What a backfill would be and cost, before anything is started; BackfillRefused, TooSlow."""
    version = _checked(project, version_id, share)
    wanted = _wanted(project, query)
    page = list_traces(project.pk, wanted, ask=Ask(limit=1, exactly=True))
    n = page.count.n if page.count is not None else 0
    one, _ = read.cost_of_one(project.pk, version, clock.now()) if version.judge.kind == "model" else (0.0, 0)
    expected = round(n * share)
    pico = None if one is None else round(one * expected)
    return Estimated(n, page.count is not None and page.count.is_exact, expected, pico, wanted.start, wanted.end)


def start(
    project: Project,
    version_id: int,
    query: str,
    share: float = 1.0,
    *,
    by_id: int | None = None,
    request: HttpRequest | None = None,
) -> Backfill:
    """Start judging what a list's address names; BackfillRefused, TooSlow. The window is fixed from now on."""
    version = _checked(project, version_id, share)
    told = estimate(project, version_id, query, share)
    with transaction.atomic():
        salt = write.salt_of(version.judge_id) or secrets.token_hex(16)
        row = Backfill.objects.create(
            project=project, judge_version=version, query=query, share=share, salt=salt, traces_total=told.traces,
            estimate_pico=told.pico, created_by_id=by_id,
            cursor={"start": _iso(told.start), "end": _iso(told.end), "before": ""},
        )  # fmt: skip
        record_in(
            project, "backfill.start", f"{version.judge.slug} v{version.number}", request=request,
            after={"query": query, "share": share, "traces": told.traces},
        )  # fmt: skip
    return row


def _iso(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()


def pause(project: Project, backfill_id: int, *, request: HttpRequest | None = None) -> bool:
    """Leave a running backfill where it is; False where it does not run. What is being judged is finished."""
    with transaction.atomic():
        row = write.move(project.pk, backfill_id, RUNNING, PAUSED)
        if row is not None:
            write.hold_back(row)
            record_in(project, "backfill.pause", str(backfill_id), request=request)
    return row is not None


def resume(project: Project, backfill_id: int, *, request: HttpRequest | None = None) -> bool:
    """Go on with a paused backfill; False where it is not paused."""
    with transaction.atomic():
        row = write.move(project.pk, backfill_id, PAUSED, RUNNING)
        if row is not None:
            write.let_on(row)
            record_in(project, "backfill.resume", str(backfill_id), request=request)
    return row is not None


def cancel(project: Project, backfill_id: int, *, request: HttpRequest | None = None) -> bool:
    """End a backfill; False where it has ended. Scores it made stay; what waits is skipped."""
    with transaction.atomic():
        row = write.move(project.pk, backfill_id, RUNNING, CANCELLED) or write.move(
            project.pk, backfill_id, PAUSED, CANCELLED
        )
        if row is not None:
            write.drop(row)
            record_in(project, "backfill.cancel", str(backfill_id), request=request)
    return row is not None


def progress(project_id: int, backfill_id: int) -> Progress | None:
    """How far a backfill of the project is; None where there is none of this id."""
    row = Backfill.objects.select_related("judge_version__judge").filter(project_id=project_id, pk=backfill_id).first()
    return None if row is None else Progress(row, backfill_counts(project_id, row.pk))


def list_backfills(project_id: int, judge_id: int | None = None, limit: int = 50) -> list[Progress]:
    """The backfills of a project or a judge, newest first."""
    rows = Backfill.objects.select_related("judge_version__judge").filter(project_id=project_id)
    if judge_id is not None:
        rows = rows.filter(judge_version__judge_id=judge_id)
    return [Progress(row, backfill_counts(project_id, row.pk)) for row in rows.order_by("-pk")[:limit]]


def tend(seconds: float = RUN_SECONDS) -> int:
    """Queue what running backfills have room for, while there is some; how many judgements."""
    ends = time.monotonic() + seconds
    queued = 0
    while True:
        is_moving = False
        for backfill_id in Backfill.objects.filter(state=RUNNING).order_by("pk").values_list("pk", flat=True):
            found = advance(backfill_id)
            if found is not None:
                queued, is_moving = queued + found, True
        if time.monotonic() > ends or not Backfill.objects.filter(state=RUNNING).exists():
            return queued
        if not is_moving:
            if time.monotonic() + LINGER_SECONDS > ends:
                return queued
            pause_for(LINGER_SECONDS)


def advance(backfill_id: int) -> int | None:
    """Queue the next piece of a backfill; how many judgements. None where there is no room, or nothing left."""
    with transaction.atomic():
        row = write.lock(backfill_id, RUNNING)
        if row is None:
            return None
        waiting = write.waiting(row)
        if row.cursor.get("is_over"):
            if not waiting and not write.running(row):
                write.finish(row, DONE)
            return None
        if waiting >= AHEAD:
            return None
        page = list_traces(
            row.project_id, _window(row), ask=Ask(limit=PIECE, before=row.cursor.get("before") or "", count=False)
        )
        traces = [trace for trace in page.rows if trace.service != JUDGE_SERVICE]
        queued = _queue(row, traces)
        row.cursor["before"], row.cursor["is_over"] = page.older or "", page.older is None
        write.step(row, len(page.rows), queued)
    return queued


def _window(row: Backfill) -> TraceFilter:
    """What the backfill asked for, in the window that it began with."""
    state = read_list(QueryDict(row.query.removeprefix("?")), clock.zone_of(row.project.time_zone), row.created_at)
    start_at, end_at = row.cursor.get("start"), row.cursor.get("end")
    start = datetime.fromisoformat(start_at) if start_at else None
    end = datetime.fromisoformat(end_at) if end_at else None
    return without_calls(row.project_id, TraceFilter(start, end, state.wanted.q, state.wanted.terms))


def _queue(row: Backfill, traces: list[TraceRow]) -> int:
    """Queue what is drawn of a piece, with the chance of either draw where the live plan had one too."""
    if not traces:
        return 0
    version = row.judge_version
    ids = [trace.trace_id for trace in traces]
    with raw_cursor() as cursor:
        live = _live_chances(cursor, row, ids)
        known = judgements.of_targets(version.pk, ids)
    targets: list[Target] = []
    raised: dict[int, float] = {}
    for trace in traces:
        either = 1.0 - (1.0 - live.get(trace.trace_id, 0.0)) * (1.0 - row.share)
        held = known.get(trace.trace_id)
        if held is not None:
            judgement_id, pi = held
            if pi is not None and either > pi:
                raised[judgement_id] = either
        elif hash_share(row.salt, f"judge:{version.judge_id}:backfill", trace.trace_id) < row.share:
            targets.append(target_of(trace, either))
    set_inclusion(row.project_id, raised)
    return queue(row.project_id, version, targets, Purpose.BACKFILL, backfill_id=row.pk)


def _live_chances(cursor: Any, row: Backfill, ids: list[UUID]) -> dict[UUID, float]:
    """The chance that the live plan gave each trace of being judged by this very version."""
    judge = row.judge_version.judge
    if judge.live_version_id != row.judge_version_id or judge.live_since is None:
        return {}
    found = decisions.decisions_of(cursor, row.project_id, ids)
    plans = read.plans_by_id({each.plan_id for held in found.values() for each in held})
    chances: dict[UUID, float] = {}
    for trace_id, held in found.items():
        for each in held:
            plan = plans.get(each.plan_id)
            if plan is not None and plan[0].judge_id == judge.pk and each.decided_at >= judge.live_since:
                chances[trace_id] = each.pi
    return chances
