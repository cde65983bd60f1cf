"""Writing what calls came to: verdicts, failures, money, pauses of the endpoint, and each call as a trace."""

from __future__ import annotations

import random
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from hashlib import sha256
from typing import TYPE_CHECKING
from uuid import UUID

from django.db import transaction
from psycopg import Cursor, errors

from evals.calling.kinds import Called, CallFailed
from evals.judges import ModelConfig, Unusable, Verdict, read_reply
from evals.judging.answers import (
    WAITING_KINDS,
    after_failure,
    after_unusable,
    after_verdict,
    flags_of,
    is_lost,
    pack_answer,
    told_of,
)
from evals.write import judgements, pace, spend
from evals.write.judgements import PENDING, Ending
from evals.write.masked import keeps_words_of, mask_reply, mask_said
from evals.write.scores import Scored, write_verdicts
from evals.write.tallies import Tallies
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from traces.own_calls import OwnCall, store_calls

if TYPE_CHECKING:
    from evals.judging.models import Flight, Landed

# Without a Retry-After.
LIMITED_PAUSE = timedelta(seconds=1)
# So many failures in a row, and the endpoint is left alone for a while.
BREAK_AFTER = 10
BREAK_FIRST, BREAK_MAX = timedelta(seconds=5), timedelta(minutes=5)
SETTINGS_PAUSE = timedelta(minutes=5)
# Two transactions that waited for each other: the one that lost tries again.
RIVALS = (errors.DeadlockDetected, errors.SerializationFailure, errors.LockNotAvailable)
RIVAL_TRIES = 5


@dataclass(frozen=True, slots=True)
class _Outcome:
    """A landed call with everything that is written of it."""

    flight: Flight
    ending: Ending
    change: spend.Change
    call: OwnCall | None
    verdict: Verdict | None
    cost_pico: int | None


def settle(project_id: int, landed: Sequence[Landed], holder: str) -> int:
    """Write what became of calls of one project; how many judgements ended by it.

    A verdict counts only where the judgement is still `holder`'s. What a call cost is written in any case.
    """
    now = clock.now()
    pauses = _pauses(landed, now)
    outcomes = [_outcome(flight, answer, now, pauses) for flight, answer in landed]
    store_calls(project_id, [each.call for each in outcomes if each.call is not None])
    # What was called must not be lost, and called again, because two workers were in each other's way.
    for attempt in range(RIVAL_TRIES):
        try:
            return _write(project_id, landed, outcomes, pauses, holder, now)
        except RIVALS:
            if attempt + 1 == RIVAL_TRIES:
                raise
            time.sleep(random.uniform(0.02, 0.1) * 2**attempt)  # noqa: S311 - no secret
    return 0


def _write(
    project_id: int,
    landed: Sequence[Landed],
    outcomes: Sequence[_Outcome],
    pauses: dict[int, datetime],
    holder: str,
    now: datetime,
) -> int:
    ended = 0
    with transaction.atomic(), raw_cursor() as cursor:
        tallies = Tallies(project_id)
        ours = judgements.end(cursor, [each.ending for each in outcomes], holder, now, tallies)
        book = spend.Book(project_id)
        for each in outcomes:
            row = each.flight.row
            change = each.change
            if row.judgement_id not in ours:
                # Whoever took it over has counted our call as lost.
                is_told = change.lost_calls == 0
                change = spend.found_again(row.reserved_pico, each.cost_pico) if is_told else spend.Change()
            elif each.ending.state != PENDING:
                ended += 1
            if row.reserved_day is not None:
                book.add(row.judge_id, row.reserved_day, change)
        book.write(cursor)
        tallies.write(cursor)
        write_verdicts(
            cursor,
            [
                Scored(each.flight.row, each.verdict, each.flight.context.rubric_version_id, each.ending.is_flagged)
                for each in outcomes
                if each.verdict is not None and each.flight.row.judgement_id in ours
            ],
        )
        _tell_connections(cursor, landed, pauses, now)
    return ended


def _outcome(flight: Flight, answer: Called | CallFailed, now: datetime, pauses: dict[int, datetime]) -> _Outcome:
    row, context = flight.row, flight.context
    if isinstance(answer, CallFailed):
        until = pauses.get(context.connection.pk) if context.connection is not None else None
        if not answer.was_sent:
            change = spend.unsent(row.reserved_pico)
        elif is_lost(answer):
            change = spend.lost(row.reserved_pico)
        else:
            change = spend.answered(row.reserved_pico, 0)
        call = _call(flight, None, answer.kind, "", now) if answer.was_sent else None
        ending = after_failure(row, answer, now, until)
        if call is not None:
            ending = replace(ending, call_trace_id=call.trace_id)
        return _Outcome(flight, ending, change, call, None, 0)
    assert isinstance(context.config, ModelConfig)  # noqa: S101 - only models are called
    cost = context.price(answer.input_tokens, answer.output_tokens, answer.cached_tokens, answer.model)
    read = read_reply(
        context.rubric,
        answer.text,
        flight.material,
        answer.finish_reason,
        with_documents=context.config.with_documents,
    )
    verdict, text = mask_said(row, read), mask_reply(row, answer.text)
    error, told = (verdict.kind, verdict.told) if isinstance(verdict, Unusable) else ("", "")
    call = _call(flight, answer, error, told, now)
    change = spend.answered(row.reserved_pico, cost) + _known_now(flight, cost)
    kept = pack_answer(told_of(verdict, text))
    if isinstance(verdict, Unusable):
        ending = after_unusable(row, verdict, now)
    else:
        marks = flags_of(verdict, is_cut=flight.prompt.cut, is_hidden=flight.prompt.hidden)
        ending = after_verdict(context, row, verdict, marks)
    ending = replace(
        ending,
        calls=1,
        cost_pico=cost,
        input_tokens=answer.input_tokens,
        output_tokens=answer.output_tokens,
        duration_ms=int(answer.duration_ms),
        answer=kept,
        call_trace_id=call.trace_id,
    )
    return _Outcome(flight, ending, change, call, verdict if isinstance(verdict, Verdict) else None, cost)


def _known_now(flight: Flight, cost: int | None) -> spend.Change:
    """What calls of dead workers cost is set to what the same call costs now: before, all that was set aside for them.

    Only with the first answer, and on the day of the judgement, which is theirs then too.
    """
    row = flight.row
    is_first = row.lost > 0 and row.unusable == 0 and row.reserved_day == flight.context.day(row.made_at)
    if not is_first or cost is None or row.reserved_pico is None:
        return spend.Change()
    return spend.Change(lost_pico=-max(row.reserved_pico - cost, 0) * row.lost)


def call_id(judgement_id: int, attempt: int) -> tuple[UUID, int]:
    """The trace and span of one attempt's call, the same however often it is written."""
    digest = sha256(f"telltale.judge {judgement_id} {attempt}".encode()).digest()
    return UUID(bytes=digest[:16]), int.from_bytes(digest[16:24], "big", signed=True) or 1


def _call(flight: Flight, answer: Called | None, error: str, told: str, now: datetime) -> OwnCall:
    row, context = flight.row, flight.context
    trace_id, span_id = call_id(row.judgement_id, row.attempts)
    version = context.version
    # The call's own trace has no feature: what must not be kept of the target is not kept by way of its judge.
    has_words = keeps_words_of(row)
    took = answer.duration_ms if answer is not None else (now - flight.started_at) / timedelta(milliseconds=1)
    return OwnCall(
        trace_id=trace_id,
        span_id=span_id,
        name=f"judge {version.judge.slug} v{version.number}",
        model=version.model,
        provider=context.provider,
        started_at=flight.started_at,
        duration_ms=took,
        input_tokens=answer.input_tokens if answer is not None else None,
        output_tokens=answer.output_tokens if answer is not None else None,
        cached_tokens=answer.cached_tokens if answer is not None else None,
        model_answered=answer.model if answer is not None else "",
        finish_reason=answer.finish_reason if answer is not None else "",
        error=error,
        system=flight.prompt.system,
        prompt=flight.prompt.user if has_words else "",
        answer=answer.text if answer is not None and has_words else "",
        metadata={
            "judge": version.judge.slug,
            "judge_version": version.number,
            "target": row.target_id.hex,
            "judgement": str(row.judgement_id),
            "attempt": row.attempts + 1,
        }
        | ({"unusable": told} if told else {}),
        rates=context.rates,
    )


def _pauses(landed: Sequence[Landed], now: datetime) -> dict[int, datetime]:
    """Until when endpoints are to be left alone, by what their answers say."""
    pauses: dict[int, datetime] = {}
    for flight, answer in landed:
        connection = flight.context.connection
        if not isinstance(answer, CallFailed) or connection is None:
            continue
        asked: timedelta | None = None
        if answer.kind in WAITING_KINDS:
            asked = SETTINGS_PAUSE
        elif answer.kind == "rate_limited":
            # A little more than asked for, by chance: workers should not come back all at once.
            asked = max(answer.retry_after or LIMITED_PAUSE, LIMITED_PAUSE) * random.uniform(1.0, 1.2)  # noqa: S311
        elif answer.retry_after is not None:
            asked = answer.retry_after * random.uniform(1.0, 1.2)  # noqa: S311 - no secret
        if asked is not None:
            pauses[connection.pk] = max(pauses.get(connection.pk, now), now + asked)
    return pauses


def _tell_connections(
    cursor: Cursor[tuple[object, ...]], landed: Sequence[Landed], pauses: dict[int, datetime], now: datetime
) -> None:
    """Pauses and failures in a row, by endpoint; an answer ends the row."""
    by_connection: dict[int, list[tuple[Flight, Called | CallFailed]]] = {}
    for flight, answer in landed:
        if flight.context.connection is not None:
            by_connection.setdefault(flight.context.connection.pk, []).append((flight, answer))
    for connection_id, pairs in sorted(by_connection.items()):
        held = pairs[0][0].context.connection
        failed = [answer for _, answer in pairs if isinstance(answer, CallFailed)]
        if len(failed) < len(pairs):
            if held is not None and (held.failures or held.paused_until is not None or failed):
                pace.went_well(cursor, connection_id, now)
        else:
            broken = [each for each in failed if each.kind in {"timeout", "unreachable", "server"}]
            times = max((pace.count_failure(cursor, connection_id) for _ in broken), default=0)
            if times >= BREAK_AFTER:
                until = now + min(BREAK_FIRST * 2 ** min((times - BREAK_AFTER) // 4, 10), BREAK_MAX)
                pauses[connection_id] = max(pauses.get(connection_id, until), until)
        if connection_id in pauses and failed:
            told = next((each.told for each in failed if each.kind in WAITING_KINDS), failed[0].told)
            pace.pause(cursor, connection_id, pauses[connection_id], told)
