"""A run of a suite: ask every probe of every model as often as wanted, then judge what came back.

Answers are rows of their own: a kill loses the calls in flight and nothing else. What was tried and what it may cost
are written down before the call, so that nothing is tried without end and no money goes uncounted.
"""

from __future__ import annotations

import time
from collections.abc import Collection
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid5

from django.db import transaction
from psycopg import Cursor

from evals.calling.kinds import Called, CallFailed, Endpoint
from evals.judges import ModelConfig
from evals.judging.context import Context, context_of, provider_of
from evals.models import Connection, JudgeVersion, ProbeAnswer, ProbeRun, ProbeSeries
from evals.probes.checks import JUDGE, SIMILAR, Checked, passed
from evals.probes.spec import Spec, parse_spec
from evals.probing.asking import Answered, JudgeOf, Order, carry_out, tokens_at_most
from evals.probing.judging import judge_answers
from evals.read.setup import endpoint_of, settings_for
from evals.read.spend import day_of
from evals.write import pace, spend
from evals.write import probes as write
from evals.write.probes import CANCELLED, DONE, FAILED, RUNNING
from telltale.jobs import work
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.lib.vault import Sealed
from traces.own_calls import OwnCall, Rates, price_call, store_calls

KIND = "evals.probes"
ATTEMPTS_MAX = 4
AGAIN = timedelta(seconds=2)  # doubled with each attempt
AGAIN_MAX = timedelta(minutes=2)
# A provider that wants to be left alone for longer is asked in the next run.
PATIENCE = timedelta(minutes=30)
# A run is one moment of a provider, and one task of a worker, which may take an hour: what is late is left out.
RUN_MAX = timedelta(minutes=50)
HEARTBEAT_SECONDS = 15.0
LOOK_SECONDS = 0.25
GATHER_SECONDS = 0.005
THREADS_MAX = 16
# Of these another try is no use; the first two will fail for every other probe of the connection too.
HOPELESS = ("auth", "egress")
FINAL = (*HOPELESS, "refused_request")
# Names of traces are made of the answer's row and its attempt: what is stored twice is one.
NAMESPACE = UUID("7f1c6f0e-6b6a-4c55-9c42-2c27a1d7a5f3")
# What a judge reads of an answer, in tokens, when money is set aside before there is one.
JUDGED_TOKENS = 2_000
pause = time.sleep


@work.register(KIND)
def run_probes(run: work.Run) -> dict[str, Any]:
    """Do what is left of a run, from where the last committed step ended."""
    row = ProbeRun.objects.select_related("suite__project", "suite__encoder").filter(pk=run.params["run"]).first()
    if row is None or row.state != RUNNING:
        return {}
    try:
        Calls(run, row).make()
        state = judge_answers(run, row)
    except work.Cancelled:
        write.give_up(row.pk, "cancelled")
        write.move_run(row.pk, CANCELLED, reason="cancelled by a person")
        raise
    return {"state": state}


@dataclass
class _Door:
    """One connection of a run: how it is called, and why it is no more."""

    connection: Connection
    endpoints: dict[str, Endpoint] = field(default_factory=dict)
    in_flight: int = 0
    stopped: str = ""


@dataclass
class Calls:
    """The calls of one run: at most as many at a time, a minute and for as much money as they may be."""

    run: work.Run
    row: ProbeRun
    flying: dict[Future[Answered], tuple[Order, _Door]] = field(default_factory=dict)
    spent_pico: int = 0
    _beat_at: float = 0.0

    def make(self) -> None:
        """Call until nothing waits, or no call may be made any more."""
        suite = self.row.suite
        self.project = suite.project
        self.zone = clock.zone_of(self.project.time_zone)
        with transaction.atomic(), raw_cursor() as cursor:
            write.free_pending(cursor, self.project.pk, self.row.pk)
        self.series = {
            one.pk: one
            for one in ProbeSeries.objects.select_related("version__probe", "target__connection")
            .filter(answers__run=self.row)
            .distinct()
        }
        self.specs: dict[int, Spec] = {key: parse_spec(one.version.spec) for key, one in self.series.items()}
        self.judges = self._judges()
        self.doors = {one.target.connection_id: _Door(one.target.connection) for one in self.series.values()}
        self.total = self.row.answers.count()
        self.spent_pico = sum(filter(None, self.row.answers.values_list("cost_pico", flat=True)))
        self._beat_at = time.monotonic()
        with ThreadPoolExecutor(THREADS_MAX, thread_name_prefix="probes") as pool:
            try:
                while self._goes_on(pool):
                    self._collect()
            finally:
                # What was asked is paid for: keep it, also where the run ends early.
                self._keep(list(self.flying))
        self._step()

    def _goes_on(self, pool: ThreadPoolExecutor) -> bool:
        """Begin what may begin; False once nothing waits and nothing flies."""
        if clock.now() - self.row.created_at > RUN_MAX:
            write.give_up(self.row.pk, "it was not answered within 50 minutes")
        for door in self.doors.values():
            if not door.stopped and door.connection.archived_at is not None:
                door.stopped = "The connection was put away."
            if not door.stopped:
                self._begin(pool, door)
            if door.stopped:
                write.give_up(self.row.pk, door.stopped, door.connection.pk)
        return bool(self.flying) or write.count_pending(self.row.pk) > 0

    def _begin(self, pool: ThreadPoolExecutor, door: _Door) -> None:
        """Begin as many calls as the connection takes now; judges and experiments call it too."""
        connection = door.connection
        room = min(connection.at_a_time, THREADS_MAX - len(self.flying) + door.in_flight) - door.in_flight
        if room <= 0:
            return
        now = clock.now()
        day = day_of(now, self.zone)
        limits = settings_for(self.project.pk)
        budget = spend.Budget(limits.budget_pico_day, limits.budget_calls_day)
        with transaction.atomic(), raw_cursor() as cursor:
            room = pace.allow(cursor, connection.pk, room, now, room, connection.calls_a_minute)
            orders = self._take(door, room) if room else []
            wanted = [order.set_aside for order in orders]
            paid = spend.reserve(cursor, self.project.pk, spend.WHOLE, day, wanted, budget)
            pace.called(cursor, connection.pk, paid, now, connection.calls_a_minute)
            write.set_aside([(order.answer_id, order.set_aside) for order in orders[:paid]], day)
            write.let_go([order.answer_id for order in orders[paid:]])
        for order in orders[:paid]:
            self.flying[pool.submit(carry_out, order)] = (order, door)
            door.in_flight += 1
        # With calls under way, what was set aside for them may come back; wait for that.
        if orders and not self.flying:
            for each in self.doors.values():
                each.stopped = each.stopped or "The project’s budget of the day is used up."

    def _take(self, door: _Door, room: int) -> list[Order]:
        """Answers to ask for, their attempts counted; what is hopeless or too dear is not among them."""
        orders: list[Order] = []
        held = door.connection.timeout_seconds * 2 + 60
        for answer in write.take_pending(self.row.pk, door.connection.pk, room, held):
            if answer.attempts > ATTEMPTS_MAX:
                why = "its worker ended each time it was tried"
                write.end_call(self.project.pk, answer.pk, {"state": FAILED, "error": why})
                continue
            order = self._order(door, answer)
            if order is None:
                write.let_go([answer.pk])
                break
            if self._is_too_dear((order.set_aside or 0) + sum(each.set_aside or 0 for each in orders)):
                write.let_go([answer.pk])
                for each in self.doors.values() if not self.flying and not orders else ():
                    each.stopped = each.stopped or "The budget of this run is used up."
                break
            orders.append(order)
        return orders

    def _order(self, door: _Door, answer: ProbeAnswer) -> Order | None:
        series, suite = self.series[answer.series_id], self.row.suite
        model = series.target.model
        if model not in door.endpoints:
            try:
                endpoint = endpoint_of(door.connection.pk, model)
            except Sealed:
                endpoint, door.stopped = None, "The connection’s key cannot be opened. Enter it again."
            if endpoint is None:
                door.stopped = door.stopped or "The connection is gone."
                return None
            door.endpoints[model] = endpoint
        spec = self.specs[series.pk]
        judges = {at: judge for (key, at), judge in self.judges.items() if key == series.pk}
        aside = [self._price(door.endpoints[model], tokens_at_most(spec), suite.max_output_tokens)]
        aside += [self._judge_aside(each, suite.max_output_tokens) for each in judges.values()]
        known = [pico for pico in aside if pico is not None]
        return Order(
            answer.pk, series.pk, answer.attempts, spec, door.endpoints[model], suite.max_output_tokens,
            suite.temperature, uuid5(NAMESPACE, f"{answer.pk}/{answer.attempts}"),
            f"probe {series.version.probe.key}", sum(known) if known else None, judges,
        )  # fmt: skip

    def _judge_aside(self, judge: JudgeOf, answer_tokens: int) -> int | None:
        if judge.endpoint is None or not isinstance(judge.config, ModelConfig):
            return 0
        return self._price(judge.endpoint, JUDGED_TOKENS + answer_tokens, judge.config.max_output_tokens)

    def _price(self, endpoint: Endpoint, given: int | None, made: int | None, cached: int | None = None,
               answered: str = "") -> int | None:  # fmt: skip
        return price_call(
            self.project.pk, provider_of(endpoint), endpoint.model, given, made, cached, model_answered=answered,
            rates=_rates(endpoint),
        )  # fmt: skip

    def _is_too_dear(self, pico: int) -> bool:
        budget = self.row.suite.budget_pico_run
        flying = sum(order.set_aside or 0 for order, _ in self.flying.values())
        return budget is not None and self.spent_pico + flying + pico > budget

    def _collect(self) -> None:
        """Write down the calls that ended; waits a moment for one."""
        if self.flying:
            ended, _ = wait(self.flying, timeout=LOOK_SECONDS, return_when=FIRST_COMPLETED)
            # What comes back at the same moment is written together: a third of the cost with a quick model.
            wait(self.flying, timeout=GATHER_SECONDS)
        else:
            pause(LOOK_SECONDS)
        # Kept before the step: a run that lost its job must not throw away what was paid for.
        ended = {future for future in self.flying if future.done()}
        self._keep(ended)
        if time.monotonic() - self._beat_at > HEARTBEAT_SECONDS or (ended and not self.flying):
            self._step()

    def _keep(self, futures: Collection[Future[Answered]]) -> None:
        """Write down what came of calls; waits for those that are not over."""
        now = clock.now()
        kept: list[tuple[Order, Answered]] = []
        failed: list[tuple[Order, _Door, CallFailed]] = []
        for future in futures:
            order, door = self.flying.pop(future)
            door.in_flight -= 1
            try:
                kept.append((order, future.result()))
            except CallFailed as error:
                failed.append((order, door, error))
            except ValueError as error:
                failed.append((order, door, CallFailed("refused_request", str(error)[:300], was_sent=False)))
        # Traces first: an answer that is there has its trace.
        store_calls(self.project.pk, [self._own_call(order, answered.called, now) for order, answered in kept])
        book = spend.Book(self.project.pk)
        with transaction.atomic(), raw_cursor() as cursor:
            for order, answered in kept:
                self._keep_answer(order, answered, book)
            for order, door, why in failed:
                self._keep_failure(order, door, why, book, cursor)
            book.write(cursor)

    def _keep_answer(self, order: Order, answered: Answered, book: spend.Book) -> None:
        called = answered.called
        costs = [self._cost(order.endpoint, called)]
        costs += [self._cost(each.endpoint, each.called) for each in answered.judging]
        known = [pico for pico in costs if pico is not None]
        cost = sum(known) if known else None
        self.spent_pico += cost or 0
        checked = [each or Checked(SIMILAR, None, "It waits for the other answers.") for each in answered.checked]
        day = write.take_reserved(order.answer_id)
        values = {
            "state": DONE, "text": called.text, "passed": passed(checked),
            "tools": [{"name": each.name, "arguments": each.arguments} for each in called.tools],
            "checks": [each.as_json() for each in checked], "finish_reason": called.finish_reason,
            "model_answered": called.model, "fingerprint": called.fingerprint, "latency_ms": called.duration_ms,
            "input_tokens": called.input_tokens, "output_tokens": called.output_tokens, "cost_pico": cost,
            "calls": len(costs), "unpriced": sum(pico is None for pico in costs), "trace_id": order.trace_id,
        }  # fmt: skip
        write.end_call(self.project.pk, order.answer_id, values)
        if day is not None:
            # One call was set aside with the money of all; the judges' count besides.
            book.add(spend.WHOLE, day, spend.answered(order.set_aside, cost))
            for pico in costs[1:]:
                book.add(spend.WHOLE, day, spend.Change(calls=1, unpriced=int(pico is None)))

    def _cost(self, endpoint: Endpoint, called: Called | CallFailed) -> int | None:
        if isinstance(called, CallFailed):
            return None if called.was_sent and called.status in (0, 200) else 0
        return self._price(endpoint, called.input_tokens, called.output_tokens, called.cached_tokens, called.model)

    def _keep_failure(
        self, order: Order, door: _Door, failed: CallFailed, book: spend.Book, cursor: Cursor[Any]
    ) -> None:
        if failed.kind in HOPELESS:
            door.stopped = door.stopped or failed.told
        # An answer with a status was refused before it cost anything; without one it may have been worked out.
        is_free = not failed.was_sent or failed.status not in (0, 200)
        change = spend.lost(order.set_aside)
        if is_free:
            change = spend.answered(order.set_aside, 0) if failed.was_sent else spend.unsent(order.set_aside)
        else:
            self.spent_pico += order.set_aside or 0
        if (day := write.take_reserved(order.answer_id)) is not None:
            book.add(spend.WHOLE, day, change)
        after = failed.retry_after or min(AGAIN * 2 ** (order.attempts - 1), AGAIN_MAX)
        if failed.kind == "rate_limited":
            # Told to all who call it: the provider means the key, not this run.
            until = clock.now() + (failed.retry_after or AGAIN)
            pace.pause(cursor, door.connection.pk, until, failed.told)
        if failed.kind in FINAL or order.attempts >= ATTEMPTS_MAX or after > PATIENCE:
            write.end_call(self.project.pk, order.answer_id, {"state": FAILED, "error": failed.told[:500], "calls": 1})
        else:
            write.call_again(order.answer_id, max(after, AGAIN / 2))

    def _own_call(self, order: Order, called: Called, at: datetime) -> OwnCall:
        series = self.series[order.series_id]
        told = {"suite": self.row.suite.slug, "probe": series.version.probe.key, "run": self.row.number}
        asked = "\n\n".join(each.text for each in order.spec.messages)
        answer = called.text or "\n".join(f"{each.name}({each.arguments})" for each in called.tools)
        return OwnCall(
            order.trace_id, 1, order.name, order.endpoint.model, provider_of(order.endpoint),
            at - timedelta(milliseconds=called.duration_ms), called.duration_ms, called.input_tokens,
            called.output_tokens, called.cached_tokens, called.model, called.finish_reason, "", order.spec.system,
            asked, answer, told, _rates(order.endpoint),
        )  # fmt: skip

    def _judges(self) -> dict[tuple[int, int], JudgeOf]:
        """The judges that checks ask, by series and place of the check."""
        found: dict[tuple[int, int], JudgeOf] = {}
        for key, spec in self.specs.items():
            for at, check in enumerate(spec.checks):
                if check.kind == JUDGE:
                    version_id = JudgeVersion.objects.filter(
                        judge__project_id=self.project.pk, judge__slug=check.settings["judge"],
                        number=int(check.settings.get("version") or 0),
                    ).values_list("pk", flat=True).first()  # fmt: skip
                    context = context_of(version_id) if version_id is not None else None
                    if context is not None:
                        found[key, at] = _judge_of(context)
        return found

    def _step(self) -> None:
        self._beat_at = time.monotonic()
        waiting = write.count_pending(self.row.pk)
        self.run.step(cursor={"phase": "call"}, progress=self.total - waiting, total=self.total)


def _judge_of(context: Context) -> JudgeOf:
    return JudgeOf(context.rubric, context.config, context.endpoint, context.version.model, context.problem)


def _rates(endpoint: Endpoint) -> Rates | None:
    if endpoint.input_pico is None or endpoint.output_pico is None:
        return None
    return Rates(endpoint.input_pico, endpoint.output_pico)
