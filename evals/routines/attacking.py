"""The injection set put to a judge version on the cases that ship with the product: calls, resumable, then figures.

The routine's result is the truth of how far it is; a job runs it. Its calls are paid within the day's budget, stored as
traces of the judge, and are scores of nothing. Where the budget is used up or the endpoint is away it goes on later.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any
from uuid import uuid4

from django.db import connection as database
from django.db import transaction

from evals.calling import Called, CallFailed, ask
from evals.judges import Material, ModelConfig, Prompt, Verdict, build_prompt, fresh_nonce, read_reply
from evals.judging.context import Context, context_of
from evals.models import Routine
from evals.read.gates import RoutineRow, find_routine
from evals.read.pairs import level_of
from evals.routines.attacked import State, figures_of
from evals.rubrics import Criterion
from evals.write import calibration as write
from evals.write import pace, spend
from evals.write.setup import freeze
from telltale.jobs import work
from telltale.jobs.models import Job
from telltale.jobs.tasks import sweep
from telltale.jobs.wake import wake
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from traces.own_calls import OwnCall, store_calls

KIND = "attacks"
JOB = "evals.attacks"
# Calls at a time: half of what an endpoint is usually given, the other half is for judging.
AT_A_TIME = 4
# An answer that is no verdict, or none, is asked for again so often in all.
TIMES_MAX = 3
AGAIN = timedelta(minutes=5)
PATIENCE = timedelta(days=3)
LEG_SECONDS = 1_800.0
HOLD_SECONDS = 15.0
PAUSES_MAX = 20
pause_for = time.sleep


@dataclass(frozen=True, slots=True)
class Asked:
    """One call of a slice: its number among all items, what is judged, the prompt, and what was set aside for it."""

    item: int
    material: Material
    prompt: Prompt
    wanted: int | None


def begin(row: RoutineRow, project_id: int, version_id: int, number: int) -> bool:
    """Begin a due task: a job does it. False, for it has not ended."""
    with transaction.atomic():
        result = {"version_id": version_id, "version": number, "began_at": clock.now().isoformat()}
        if write.start_routine(row.id, result=result):
            freeze(version_id)
            _start_leg(row.id, project_id)
    wake(sweep)
    return False


def go_on(row: RoutineRow, project_id: int, *, at_once: bool = False) -> bool:
    """See that a task under way has a job; whether it ended now. `at_once`: though it waits for its time."""
    now = clock.now()
    if Job.objects.filter(pk=row.job_id or 0, state__in=("pending", "running")).exists():
        return False
    if now - datetime.fromisoformat(row.result["began_at"]) >= PATIENCE:
        context = context_of(int(row.result["version_id"]))
        return _end(row.id, State.of(row.result, context), context)
    next_at = row.result.get("next_at")
    if at_once or next_at is None or datetime.fromisoformat(next_at) <= now:
        with transaction.atomic():
            _start_leg(row.id, project_id)
        wake(sweep)
    return False


def _start_leg(routine_id: int, project_id: int) -> None:
    job = work.start(JOB, project_id=project_id, params={"routine": routine_id})
    Routine.objects.filter(pk=routine_id, state="running").update(job_id=job.pk)


@work.register(JOB)
def _run(run: work.Run) -> dict[str, Any]:
    row = find_routine(run.job.project_id or 0, int(run.params["routine"]))
    if row is None or row.state != "running" or row.job_id != run.job.pk:
        return {"told": "the check is over"}
    context = context_of(int(row.result["version_id"]))
    state = State.of(row.result, context)
    if context is None or context.endpoint is None or not isinstance(context.config, ModelConfig):
        return _leave(run, row.id, state, "the judge cannot be asked: see its settings", clock.now() + AGAIN)
    _give_back(run, row.id, state, context)
    with _held(run):
        return _Leg(run, row.id, state, context).go()


class _Leg:
    """One run of the job: slices of calls until all is done, the money is, or the endpoint."""

    def __init__(self, run: work.Run, routine_id: int, state: State, context: Context) -> None:
        self.run, self.routine_id, self.state, self.context = run, routine_id, state, context
        self.form = "json_schema"
        self.failed_in_a_row = 0
        self.told = ""

    def go(self) -> dict[str, Any]:
        ends, pauses = time.monotonic() + LEG_SECONDS, 0
        while not self.state.is_over:
            if pauses > PAUSES_MAX or self.failed_in_a_row >= 3 * AT_A_TIME or time.monotonic() > ends:
                said = self.told or "the endpoint takes no calls now"
                return _leave(self.run, self.routine_id, self.state, said, clock.now() + AGAIN)
            asked, is_broke = self._reserve()
            if is_broke and not asked:
                then = self.context.day_ends(clock.now())
                return _leave(self.run, self.routine_id, self.state, "the day's budget for judging is used up", then)
            if not asked:
                pauses += 1
                pause_for(1.0)
                continue
            self._settle(asked, self._call(asked))
            if self.failed_in_a_row:
                pause_for(min(2.0 * self.failed_in_a_row, 10.0))
        _end(self.routine_id, self.state, self.context)
        return {"told": "done"}

    def _reserve(self) -> tuple[list[Asked], bool]:
        """The next calls with their money set aside, which is written down; and whether the budget is used up."""
        context, connection = self.context, self.context.connection
        assert connection is not None  # noqa: S101 - there is an endpoint
        now, day = clock.now(), self.context.day(clock.now())
        found = [self._asked(item) for item in self.state.open_items()[:AT_A_TIME]]
        with transaction.atomic(), raw_cursor() as cursor:
            allowed = pace.allow(
                cursor, connection.pk, len(found), now, connection.at_a_time, connection.calls_a_minute
            )
            wanted = [each.wanted for each in found[:allowed]]
            paid = spend.reserve(cursor, context.project_id, context.judge_id, day, wanted, context.budget)
            pace.called(cursor, connection.pk, paid, now, connection.calls_a_minute)
            self.state.held = [[day.isoformat(), each] for each in wanted[:paid]]
            self._keep()
        return found[:paid], paid < allowed

    def _asked(self, item: int) -> Asked:
        context = self.context
        assert isinstance(context.config, ModelConfig)  # noqa: S101 - asked before
        material = self.state.material(item)
        prompt = build_prompt(context.rubric, context.config, material, fresh_nonce(material))
        size = len(prompt.system.encode()) + len(prompt.user.encode())
        return Asked(item, material, prompt, context.at_most(size))

    def _call(self, asked: Sequence[Asked]) -> list[Called | CallFailed]:
        endpoint, config = self.context.endpoint, self.context.config
        assert endpoint is not None and isinstance(config, ModelConfig)  # noqa: S101, PT018

        def call(each: Asked) -> Called | CallFailed:
            try:
                return ask(endpoint, each.prompt, config.max_output_tokens, form=self.form)
            except CallFailed as failed:
                return failed
            except ValueError as error:
                return CallFailed("refused_request", str(error)[:300], was_sent=False)

        with ThreadPoolExecutor(len(asked), thread_name_prefix="attacks") as pool:
            return list(pool.map(call, asked))

    def _settle(self, asked: Sequence[Asked], answers: Sequence[Called | CallFailed]) -> None:
        """Book the calls and write down what they said, in one transaction; then store them as traces."""
        context, state, calls = self.context, self.state, list[OwnCall]()
        day, now = date.fromisoformat(state.held[0][0]), clock.now()
        book = spend.Book(context.project_id)
        for each, answer in zip(asked, answers, strict=True):
            if isinstance(answer, CallFailed):
                change = spend.lost(each.wanted) if answer.was_sent else spend.unsent(each.wanted)
                if answer.was_sent and answer.status not in (0, 200):
                    change = spend.answered(each.wanted, 0)
                self.told, self.failed_in_a_row = answer.told, self.failed_in_a_row + 1
                # What is asked may be at fault (an endpoint that refuses such text): not for ever.
                state.failed(each.item, answer.kind, TIMES_MAX if answer.kind == "refused_request" else 3 * TIMES_MAX)
            else:
                cost = context.price(
                    answer.input_tokens, answer.output_tokens, answer.cached_tokens, answer.model
                )
                change = spend.answered(each.wanted, cost)
                self.failed_in_a_row, self.form = 0, answer.form
                state.add_cost(cost)
                calls.append(self._heard(each, answer, now))
            book.add(context.judge_id, day, change)
        state.held = []
        skipped = None
        with transaction.atomic(), raw_cursor() as cursor:
            book.write(cursor)
            try:
                self._keep()
            except work.Cancelled as over:
                skipped = over  # by a person: what was called is paid for all the same
        store_calls(context.project_id, calls)
        if skipped is not None:
            raise skipped

    def _heard(self, each: Asked, answer: Called, at: datetime) -> OwnCall:
        """Put an answer down; the call as it is stored."""
        context, config = self.context, self.context.config
        with_documents = isinstance(config, ModelConfig) and config.with_documents
        read = read_reply(
            context.rubric, answer.text, each.material, answer.finish_reason, with_documents=with_documents
        )
        if isinstance(read, Verdict):
            level = _level(context.rubric.criteria[0], read)
            self.state.scored(each.item, level, is_flagged=read.injection_attempt)
        else:
            self.state.failed(each.item, read.kind, TIMES_MAX)
        name = self.state.name(each.item)
        return OwnCall(
            uuid4(), 1, f"try {context.version.judge.slug}", context.version.model, context.provider, at,
            answer.duration_ms, answer.input_tokens, answer.output_tokens, answer.cached_tokens, answer.model,
            answer.finish_reason, "" if isinstance(read, Verdict) else "unusable", each.prompt.system,
            each.prompt.user, answer.text, {"judge": context.version.judge.slug, "injection_set": name}, context.rates,
        )  # fmt: skip

    def _keep(self) -> None:
        """Write down how far it is; a person who skipped it, or another worker that has it, ends this run."""
        _keep(self.run, self.routine_id, self.state)


def _keep(run: work.Run, routine_id: int, state: State) -> None:
    with transaction.atomic():
        mine = Routine.objects.filter(pk=routine_id, state="running", job_id=run.job.pk)
        if not mine.update(result=state.kept()):
            raise work.Cancelled
        run.step(cursor={"done": state.ended}, progress=state.ended, total=state.total)


def _give_back(run: work.Run, routine_id: int, state: State, context: Context) -> None:
    """Money that a killed worker had set aside: whether its calls were paid for is not known, and told so."""
    if not state.held:
        return
    book = spend.Book(context.project_id)
    for day, wanted in state.held:
        book.add(context.judge_id, date.fromisoformat(day), spend.lost(wanted))
    state.held = []
    with transaction.atomic(), raw_cursor() as cursor:
        book.write(cursor)
        _keep(run, routine_id, state)


def _leave(run: work.Run, routine_id: int, state: State, reason: str, next_at: datetime) -> dict[str, Any]:
    """End this run, and say when the next one goes on."""
    state.reason, state.next_at = reason, next_at.isoformat()
    _keep(run, routine_id, state)
    return {"told": reason}


def _end(routine_id: int, state: State, context: Context | None) -> bool:
    criterion = context.rubric.criteria[0].key if context is not None and context.rubric.criteria else ""
    return write.end_routine(routine_id, figures_of(state, criterion))


def _level(criterion: Criterion, verdict: Verdict) -> int | None:
    found = verdict.score(criterion.key)
    if found is None or found.is_unsure:
        return None
    return level_of(criterion.scale, found.number, found.label, is_rounded=True)


@contextmanager
def _held(run: work.Run) -> Iterator[None]:
    """Hold the job while models answer."""
    is_over = threading.Event()

    def hold() -> None:
        try:
            while not is_over.wait(HOLD_SECONDS):
                run.step(cursor=run.cursor, progress=run.job.progress)
        except work.RunEnded:
            return
        finally:
            database.close()

    thread = threading.Thread(target=hold, name="attacks-hold", daemon=True)
    thread.start()
    try:
        yield
    finally:
        is_over.set()
        thread.join()
