"""Judging by models: calls in threads of their own, everything about rows in the one thread that runs it.

A judgement is claimed with a lease, and money is set aside for it, before its call; a verdict is written only while the
lease is still ours. A thread takes its next call when the last one is written, so a kill loses at most as many calls
as there are threads. Leases are short and renewed: what a dead worker held is called again after `LEASE_SECONDS`.
"""

from __future__ import annotations

import secrets
import time
from collections import defaultdict
from collections.abc import Callable
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db import transaction

from evals.calling import ask
from evals.calling.kinds import Called, CallFailed
from evals.judges import Material, ModelConfig, Prompt, build_prompt, fresh_nonce
from evals.judging import outcomes, tending
from evals.judging.context import Context, context_of
from evals.judging.targets import materials_of
from evals.write import judgements, pace, spend
from evals.write.judgements import SKIPPED, Ending, Judgement
from evals.write.tallies import Tallies
from telltale.jobs import leases
from telltale.lib import clock
from telltale.lib.db import raw_cursor

RUN_SECONDS = 120.0
LEASE_SECONDS = 20.0
RENEW_SECONDS = 5.0
TEND_SECONDS = 5.0
AGE_SECONDS = 60.0
LOOK_SECONDS = 0.25
GATHER_SECONDS = 0.005
# A worker that is told to end waits so long for calls under way; then they are somebody else's.
STOP_SECONDS = 4.0
# When this process last looked for what waited too long: runs may be short, and the look goes over all that waits.
_aged = {"at": 0.0}


@dataclass(frozen=True, slots=True)
class Flight:
    """A call under way."""

    row: Judgement
    context: Context
    material: Material
    prompt: Prompt
    started_at: datetime
    form: str


Landed = tuple[Flight, Called | CallFailed]


def judge_models(seconds: float = RUN_SECONDS, is_stopping: Callable[[], bool] = lambda: False) -> int:
    """Judge what is due by models until nothing is left or `seconds` are over; how many judgements ended."""
    return ModelRun(is_stopping=is_stopping).run(seconds)


class ModelRun:
    """One run of judging by models in this process."""

    def __init__(self, threads: int | None = None, is_stopping: Callable[[], bool] = lambda: False) -> None:
        self.threads = threads or settings.JUDGE_THREADS
        self.holder = f"{leases.holder_name()[:60]}:{secrets.token_hex(4)}"
        self.is_stopping = is_stopping
        self.flying: dict[Future[Called | CallFailed], Flight] = {}
        self.ended = 0
        self._renewed_at = self._tended_at = 0.0
        self._forms: dict[tuple[int, str], str] = {}

    def run(self, seconds: float) -> int:
        """Until nothing is due and nothing under way; after `seconds` only what is under way is awaited."""
        ends = time.monotonic() + seconds
        stops = 0.0
        pool = ThreadPoolExecutor(self.threads, thread_name_prefix="judge")
        try:
            while True:
                self._tend()
                if self.is_stopping():
                    stops = stops or time.monotonic() + STOP_SECONDS
                is_over = bool(stops) or time.monotonic() > ends
                claimed = 0 if is_over else self._claim(pool)
                if not self.flying:
                    if is_over or not claimed:
                        return self.ended
                    continue
                if stops and time.monotonic() > stops:
                    tending.let_go([flight.row for flight in self.flying.values()], self.holder)
                    return self.ended
                # Where threads are free, look again soon: more may have become due.
                timeout = LOOK_SECONDS if stops or len(self.flying) < self.threads else RENEW_SECONDS
                wait(list(self.flying), timeout=timeout, return_when=FIRST_COMPLETED)
                # What comes back at the same moment is written together: half the cost each with a quick model.
                wait(list(self.flying), timeout=GATHER_SECONDS)
                self._settle()
        finally:
            pool.shutdown(wait=False, cancel_futures=True)

    def _tend(self) -> None:
        now = time.monotonic()
        if self.flying and now - self._renewed_at > RENEW_SECONDS:
            judgements.renew(self.holder, LEASE_SECONDS)
            self._renewed_at = now
        with suppress(*outcomes.RIVALS):  # another time
            if now - self._tended_at > TEND_SECONDS:
                self._tended_at = now
                tending.reap()
                tending.resume_waiting()
            if now - _aged["at"] > AGE_SECONDS:
                _aged["at"] = now
                tending.skip_old()

    def _claim(self, pool: ThreadPoolExecutor) -> int:
        """Start calls for what is due, as far as threads, endpoints and budgets allow; how many judgements it moved."""
        free = self.threads - len(self.flying)
        moved = 0
        if free <= 0:
            return 0
        now = clock.now()
        versions = judgements.open_versions(now)
        # Not always the same one first where there are more than threads.
        turn = int(time.monotonic() * 10) % len(versions) if versions else 0
        for version_id in versions[turn:] + versions[:turn]:
            if free <= 0:
                break
            context = context_of(version_id)
            if context is None or context.is_rule:
                continue
            if context.problem:
                tending.put_to_wait(context, now)
                continue
            if context.endpoint is None:
                continue
            connection = context.connection
            if connection is None or (connection.paused_until is not None and connection.paused_until > now):
                continue
            try:
                flights, ended, is_broke = self._take(context, free, now)
            except outcomes.RIVALS:
                continue  # nothing was taken; what flies goes on
            for flight in flights:
                self.flying[pool.submit(_call, flight)] = flight
            free -= len(flights)
            moved += len(flights) + ended
            if is_broke:
                moved += tending.put_to_wait(context, now)
        return moved

    def _take(self, context: Context, limit: int, now: datetime) -> tuple[list[Flight], int, bool]:
        """Claim up to `limit` judgements of a version with their money; (calls to make, others ended, budget gone)."""
        assert isinstance(context.config, ModelConfig)  # noqa: S101 - asked before
        assert context.connection is not None  # noqa: S101
        connection = context.connection
        day = context.day(now)
        with transaction.atomic(), raw_cursor() as cursor:
            rows = judgements.pick(cursor, context.version.pk, limit, now)
            if not rows:
                return [], 0, False
            materials = materials_of(context, rows)
            nothing = [
                Ending(row, SKIPPED, _why_not(materials.get(row.judgement_id)))
                for row in rows
                if _why_not(materials.get(row.judgement_id))
            ]
            tallies = Tallies(context.project_id)
            judgements.end(cursor, nothing, "", now, tallies)
            judged = [row for row in rows if not _why_not(materials.get(row.judgement_id))]
            prompts = [
                build_prompt(context.rubric, context.config, m, fresh_nonce(m))
                for m in (materials[row.judgement_id] for row in judged)
            ]
            allowed = pace.allow(
                cursor, connection.pk, len(judged), now, connection.at_a_time, connection.calls_a_minute
            )
            wanted = [
                context.at_most(len(prompt.system.encode()) + len(prompt.user.encode())) for prompt in prompts[:allowed]
            ]
            paid = spend.reserve(cursor, context.project_id, context.judge_id, day, wanted, context.budget)
            pace.called(cursor, connection.pk, paid, now, connection.calls_a_minute)
            held = judgements.take(cursor, judged[:paid], self.holder, LEASE_SECONDS, wanted[:paid], day, tallies)
            tallies.write(cursor)
        self.ended += len(nothing)
        form = self._forms.get((connection.pk, context.version.model), "json_schema")
        flights = [
            Flight(row, context, materials[row.judgement_id], prompt, clock.now(), form)
            for row, prompt in zip(held, prompts, strict=False)
        ]
        return flights, len(nothing), paid < allowed

    def _settle(self) -> None:
        """Write what came back; in one transaction a project."""
        landed: dict[int, list[Landed]] = defaultdict(list)
        for future in [each for each in self.flying if each.done()]:
            flight = self.flying.pop(future)
            landed[flight.context.project_id].append((flight, future.result()))
        for project_id, pairs in landed.items():
            for flight, answer in pairs:
                if isinstance(answer, Called) and flight.context.connection is not None:
                    self._forms[flight.context.connection.pk, flight.context.version.model] = answer.form
            self.ended += outcomes.settle(project_id, pairs, self.holder)


def _why_not(material: Material | None) -> str:
    """Why there is nothing to ask a model; "" where there is."""
    if material is None:
        return "gone"
    return "" if material.answer or material.question else "no_content"


def _call(flight: Flight) -> Called | CallFailed:
    """One call, in a thread: no rows here. A failure is an answer too."""
    assert flight.context.endpoint is not None  # noqa: S101 - asked before
    assert isinstance(flight.context.config, ModelConfig)  # noqa: S101
    try:
        return ask(flight.context.endpoint, flight.prompt, flight.context.config.max_output_tokens, form=flight.form)
    except CallFailed as failed:
        return failed
    except ValueError as error:
        return CallFailed("refused_request", str(error)[:300], was_sent=False)
