"""An experiment's job: call the endpoint for every item, measure what it answered, have it judged.

Results are rows of their own: a kill loses the calls in flight and nothing else. What was tried is counted before the
call, so that nothing is tried without end.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import asdict, dataclass, field, replace
from datetime import timedelta
from typing import Any

from django.db import transaction

from evals.calling.client import chat
from evals.calling.kinds import Called, CallFailed, ChatMessage, Endpoint, price_of
from evals.experimenting.asking import AskConfig, messages_for, tokens_at_most
from evals.experimenting.pricing import prices_of
from evals.metrics import measure, wholes
from evals.models import Connection, Experiment, ExperimentResult, JudgeVersion
from evals.read.datasets import ItemRow, all_items
from evals.read.experiments import count_waiting
from evals.read.setup import endpoint_of
from evals.write import experiments as write
from evals.write import pace
from evals.write.experiments import DONE, FAILED, JUDGING, RUNNING
from evals.write.judgements import RESULT, Purpose, Target, queue
from telltale.jobs import work
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.lib.vault import Sealed

KIND = "evals.experiment"
ATTEMPTS_MAX = 4
AGAIN = timedelta(seconds=2)  # doubled with each attempt
AGAIN_MAX = timedelta(minutes=5)
# Well within the lease of a job: a slow model must not make a second worker ask again.
HEARTBEAT_SECONDS = 15.0
LOOK_SECONDS = 0.5
SLICE = 200
THREADS_MAX = 16
# Of these another try is no use; the first two will fail for every other item too.
HOPELESS = ("auth", "egress")
FINAL = (*HOPELESS, "refused_request")
pause = time.sleep


@work.register(KIND)
def run_experiment(run: work.Run) -> dict[str, Any]:
    """Do what is left of an experiment, from where the last committed step ended."""
    experiment = Experiment.objects.select_related("connection").filter(pk=run.params["experiment"]).first()
    if experiment is None or experiment.state != RUNNING:
        return {}
    if experiment.source == "endpoint" and count_waiting(experiment.pk):
        Calls(run, experiment).make()
    measure_all(run, experiment)
    queued = judge_all(run, experiment)
    with transaction.atomic():
        write.move(experiment.pk, [RUNNING], JUDGING if queued else DONE)
    return {"judgements": queued}


@dataclass
class Calls:
    """The calls of one run: at most as many at a time, a minute and for as much money as they may be."""

    run: work.Run
    experiment: Experiment
    spent_pico: int = 0
    in_flight: dict[Future[Called], tuple[ExperimentResult, int]] = field(default_factory=dict)
    stopped: str = ""

    def make(self) -> None:
        """Call until nothing waits, or no call may be made any more."""
        connection, self.ask = self.experiment.connection, AskConfig.of_json(self.experiment.config)
        self.endpoint = self._endpoint(connection)
        assert connection is not None  # noqa: S101 - _endpoint has refused
        self.connection_id, self.a_minute = connection.pk, connection.calls_a_minute
        self.at_a_time = min(connection.at_a_time, THREADS_MAX)
        self.items = {item.key: item for item in all_items(self.experiment.dataset_id, self.experiment.dataset_version)}
        self.total = self.experiment.results.count()
        self.spent_pico = sum(filter(None, self.experiment.results.values_list("cost_pico", flat=True)))
        write.free_pending(self.experiment.pk)
        beat_at = time.monotonic()
        with ThreadPoolExecutor(self.at_a_time, thread_name_prefix="experiment") as pool:
            try:
                while True:
                    self._begin(pool)
                    if not self.in_flight and (self.stopped or not count_waiting(self.experiment.pk)):
                        break
                    self._collect()
                    if time.monotonic() - beat_at > HEARTBEAT_SECONDS:
                        self._step()
                        beat_at = time.monotonic()
            finally:
                self._keep_answers()
        if self.stopped:
            write.give_up(self.experiment.pk, self.stopped)
            Experiment.objects.filter(pk=self.experiment.pk).update(reason=self.stopped[:300])
        self._step()

    def _endpoint(self, connection: Connection | None) -> Endpoint:
        if connection is None or connection.archived_at is not None:
            self._fail("The connection is gone.")
        assert connection is not None  # noqa: S101 - _fail raises
        try:
            endpoint = endpoint_of(connection.pk, self.ask.model)
        except Sealed:
            self._fail("The connection's key cannot be opened. Enter it again.")
        assert endpoint is not None  # noqa: S101 - the connection was there
        prices = prices_of(self.experiment.project_id, connection, self.ask.model)
        if prices is None:
            return endpoint
        return replace(endpoint, input_pico=prices[0], output_pico=prices[1])

    def _fail(self, why: str) -> None:
        write.give_up(self.experiment.pk, why)
        write.move(self.experiment.pk, [RUNNING], FAILED, reason=why[:300])
        raise work.JobFailed(why)

    def _begin(self, pool: ThreadPoolExecutor) -> None:
        """Begin as many calls as the connection takes now; judges and other experiments call it too."""
        room = self.at_a_time - len(self.in_flight)
        if room <= 0 or self.stopped:
            return
        with transaction.atomic(), raw_cursor() as cursor:
            now = clock.now()
            room = pace.allow(cursor, self.connection_id, room, now, room, self.a_minute)
            taken = self._take(room) if room else []
            pace.called(cursor, self.connection_id, len(taken), now, self.a_minute)
        for result, messages, set_aside in taken:
            future = pool.submit(
                chat, self.endpoint, messages, self.ask.max_output_tokens, temperature=self.ask.temperature
            )
            self.in_flight[future] = (result, set_aside)

    def _take(self, room: int) -> list[tuple[ExperimentResult, list[ChatMessage], int]]:
        """Results to call for, their attempts counted; what is hopeless or too dear is not among them."""
        taken: list[tuple[ExperimentResult, list[ChatMessage], int]] = []
        held = self.endpoint.timeout_seconds + 60
        for result in write.take_pending(self.experiment.pk, room, held):
            item = self.items.get(result.item_key)
            if item is None or result.attempts > ATTEMPTS_MAX:
                why = "the item is gone" if item is None else "its worker ended each time it was tried"
                write.end_call(self.experiment.project_id, result.pk, {"state": FAILED, "error": why})
                continue
            messages = messages_for(item.input, self.ask)
            set_aside = price_of(self.endpoint, tokens_at_most(messages), self.ask.max_output_tokens) or 0
            if self._is_too_dear(set_aside + sum(pico for *_, pico in taken)):
                self.stopped = "The budget of this experiment is used up."
                break
            taken.append((result, messages, set_aside))
        return taken

    def _is_too_dear(self, set_aside: int) -> bool:
        budget = self.ask.budget_pico
        reserved = sum(pico for _, pico in self.in_flight.values())
        return budget is not None and self.spent_pico + reserved + set_aside > budget

    def _collect(self) -> None:
        """Write down the calls that ended; waits a moment for one."""
        if not self.in_flight:
            pause(LOOK_SECONDS)
            return
        ended, _ = wait(self.in_flight, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED)
        if ended:
            # Kept before the step: a run that lost its job must not throw away what was paid for.
            for future in ended:
                self._keep(future)
            self._step()

    def _keep_answers(self) -> None:
        """What was asked is paid for: keep it, also where the run ends early."""
        for future in list(self.in_flight):
            self._keep(future)

    def _keep(self, future: Future[Called]) -> None:
        result, set_aside = self.in_flight.pop(future)
        try:
            called = future.result()
        except CallFailed as failed:
            # What was sent may have been paid for; the most it can have cost counts against the budget.
            self.spent_pico += set_aside if failed.was_sent and failed.kind in ("timeout", "unreachable") else 0
            self._keep_failure(result, failed)
            return
        self.spent_pico += set_aside if called.cost_pico is None else called.cost_pico
        write.end_call(self.experiment.project_id, result.pk, _answered(called))

    def _keep_failure(self, result: ExperimentResult, failed: CallFailed) -> None:
        if failed.kind in HOPELESS:
            self.stopped = self.stopped or failed.told
        if failed.kind in FINAL or result.attempts >= ATTEMPTS_MAX:
            write.end_call(self.experiment.project_id, result.pk, {"state": FAILED, "error": failed.told[:500]})
            return
        if failed.kind == "rate_limited":
            # Told to all who call it: the provider means the key, not this experiment.
            with transaction.atomic(), raw_cursor() as cursor:
                pace.pause(cursor, self.connection_id, clock.now() + (failed.retry_after or AGAIN), failed.told)
        after = failed.retry_after or min(AGAIN * 2 ** (result.attempts - 1), AGAIN_MAX)
        write.call_again(result.pk, max(after, AGAIN / 2))

    def _step(self) -> None:
        waiting = count_waiting(self.experiment.pk)
        self.run.step(cursor={"phase": "call"}, progress=self.total - waiting, total=self.total)


def _answered(called: Called) -> Mapping[str, Any]:
    if not called.text and called.finish_reason in ("refusal", "content_filter"):
        values: dict[str, Any] = {"state": FAILED, "error": f"The model refused ({called.finish_reason})."}
    else:
        values = {"state": DONE, "output": called.text}
    return values | {
        "latency_ms": called.duration_ms, "cost_pico": called.cost_pico, "input_tokens": called.input_tokens,
        "output_tokens": called.output_tokens,
    }  # fmt: skip


def measure_all(run: work.Run, experiment: Experiment) -> None:
    """Compute the reference metrics of every answered result, in slices."""
    after = int(run.cursor.get("measured", 0))
    names = list(experiment.metrics)
    if not names:
        return
    items: dict[str, ItemRow] = {
        item.key: item for item in all_items(experiment.dataset_id, experiment.dataset_version)
    }
    rows = ExperimentResult.objects.filter(experiment=experiment, state=DONE)
    total, done = rows.count(), rows.filter(pk__lte=after).count()
    while part := list(rows.filter(pk__gt=after).order_by("pk")[:SLICE]):
        measured = {
            row.pk: measure(names, row.output, items[row.item_key].expected) for row in part if row.item_key in items
        }
        after, done = part[-1].pk, done + len(part)
        with transaction.atomic():
            write.keep_metrics(measured)
            run.step(cursor={"phase": "measure", "measured": after}, progress=done, total=total)
    answered = [(output, items[key].expected) for key, output in rows.values_list("item_key", "output") if key in items]
    write.keep_figures(experiment.pk, [asdict(whole) for whole in wholes(names, answered)])


def judge_all(run: work.Run, experiment: Experiment) -> int:
    """Queue a judgement of every answered result by each judge version; how many wait or were made."""
    versions = list(JudgeVersion.objects.select_related("judge").filter(pk__in=experiment.judge_versions.all()))
    rows = ExperimentResult.objects.filter(experiment=experiment, state=DONE).order_by("pk")
    model = str(experiment.config.get("model", ""))[:300]
    now = clock.now()
    queued = 0
    for version in versions:
        after = 0
        while part := list(rows.filter(pk__gt=after).values_list("pk", "target_id")[:SLICE]):
            after = part[-1][0]
            targets = [Target(target, now, kind=RESULT, model=model) for _, target in part]
            with transaction.atomic():
                queue(experiment.project_id, version, targets, Purpose.EXPERIMENT)
                queued += len(part)
                run.step(cursor={**run.cursor, "phase": "judge"}, progress=queued, total=None)
    return queued


def tend_experiments() -> int:
    """End experiments that were waiting for their judges alone; how many."""
    return write.end_judged()
