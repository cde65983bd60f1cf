"""Embedding texts through a connection of the project: money set aside first, pace and pauses held, one call.

What a room above calls. Never called inside a transaction: the call may take as long as its endpoint's time.

EmbeddingEnded
├── NotNow     wait: the budget of the day is used up, or the endpoint is paused; `until` says how long
└── NotSo      trying again is no use before somebody changes something, or these texts
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from django.db import transaction

from evals.calling.client import embed
from evals.calling.kinds import OPENAI, CallFailed, Embedded, Endpoint
from evals.judging.context import BYTES_A_TOKEN, provider_of
from evals.judging.outcomes import BREAK_AFTER, BREAK_FIRST, BREAK_MAX, LIMITED_PAUSE, SETTINGS_PAUSE
from evals.read.setup import ConnectionView, endpoint_of, get_connection, settings_for
from evals.read.spend import day_of, ends_at
from evals.write import pace, spend
from evals.write.spend import EMBEDDINGS, Budget
from telltale.lib import clock, vault
from telltale.lib.db import raw_cursor
from telltale.projects.models import Project
from traces.own_calls import Rates, price_call

__all__ = ["EMBEDDINGS", "Embedded", "EmbeddingEnded", "Limits", "NotNow", "NotSo", "embed_texts"]

PACED_PAUSE = timedelta(seconds=5)
LOST_KINDS = ("timeout", "unreachable")


@dataclass(frozen=True, slots=True)
class Limits:
    """What one account may use in a day of the project's zone; None is no limit of its own."""

    pico_day: int | None = None
    calls_day: int | None = None


class EmbeddingEnded(Exception):
    """No vectors came of it. The text is for people and quotes nothing that answered."""


class NotNow(EmbeddingEnded):
    """Nothing is wrong with the texts: try again at `until`."""

    def __init__(self, told: str, until: datetime) -> None:
        super().__init__(told)
        self.told = told
        self.until = until


class NotSo(EmbeddingEnded):
    """These texts, or these settings, will not do. `is_settings`: whatever is asked will fail the same way."""

    def __init__(self, told: str, *, is_settings: bool = False) -> None:
        super().__init__(told)
        self.told = told
        self.is_settings = is_settings


def embed_texts(
    project_id: int,
    connection_id: int,
    model: str,
    texts: Sequence[str],
    *,
    limits: Limits = Limits(),
    account: int = EMBEDDINGS,
) -> Embedded:
    """Vectors of 1 to 64 texts by `model`, with what they cost. NotNow, NotSo.

    Held to the project's budget of judging as a whole, and to `limits` of the account (a judge's id, or one of
    evals.write.spend).
    """
    connection, endpoint, rates = _endpoint(project_id, connection_id, model)
    now = clock.now()
    zone = clock.zone_of(Project.objects.values_list("time_zone", flat=True).get(pk=project_id))
    whole, day = settings_for(project_id), day_of(now, zone)
    budget = Budget(whole.budget_pico_day, whole.budget_calls_day, limits.pico_day, limits.calls_day)
    most = sum(len(text.encode("utf-8", "replace")) for text in texts) / BYTES_A_TOKEN + 10
    wanted = price_call(project_id, provider_of(endpoint), model, int(most), 0, rates=rates)
    if connection.paused_until is not None and connection.paused_until > now:
        raise NotNow(connection.paused_reason or "The endpoint is paused.", connection.paused_until)
    with transaction.atomic(), raw_cursor() as cursor:
        if not pace.allow(cursor, connection_id, 1, now, connection.at_a_time, connection.calls_a_minute):
            raise NotNow("The endpoint is called as often as it may be.", now + PACED_PAUSE)
        if not spend.reserve(cursor, project_id, account, day, [wanted], budget):
            raise NotNow("The budget of the day is used up.", ends_at(now, zone))
        pace.called(cursor, connection_id, 1, now, connection.calls_a_minute)
    try:
        found = embed(endpoint, texts)
    except CallFailed as failed:
        change = spend.unsent(wanted)
        if failed.was_sent:
            change = spend.lost(wanted) if failed.kind in LOST_KINDS else spend.answered(wanted, 0)
        raise _settle_failed(project_id, connection_id, account, day, change, failed) from None
    cost = price_call(
        project_id, provider_of(endpoint), model, found.input_tokens, 0, model_answered=found.model, rates=rates
    )
    with transaction.atomic(), raw_cursor() as cursor:
        spend.add(cursor, project_id, account, day, spend.answered(wanted, cost))
        if connection.failures or connection.paused_until is not None:
            pace.went_well(cursor, connection_id, clock.now())
    return replace(found, cost_pico=cost)


def _endpoint(project_id: int, connection_id: int, model: str) -> tuple[ConnectionView, Endpoint, Rates | None]:
    """The connection, where calls go, and its own prices. NotSo where none can be made."""
    connection = get_connection(project_id, connection_id)
    if connection is None or connection.archived_at is not None:
        raise NotSo("The connection is not there any more.", is_settings=True)
    if connection.kind != OPENAI:
        raise NotSo("Embeddings need a connection of the kind openai.", is_settings=True)
    try:
        endpoint = endpoint_of(connection_id, model)
    except vault.Sealed:
        told = "The connection’s key was sealed under another secret key of this installation. Enter it again."
        raise NotSo(told, is_settings=True) from None
    if endpoint is None:
        raise NotSo("The connection is not there any more.", is_settings=True)
    rates = None
    if endpoint.input_pico is not None and endpoint.output_pico is not None:
        rates = Rates(endpoint.input_pico, endpoint.output_pico)
    return connection, endpoint, rates


def _settle_failed(
    project_id: int, connection_id: int, account: int, day: date, change: spend.Change, failed: CallFailed
) -> EmbeddingEnded:
    """Write down what a failed call cost and what it says of its endpoint; what is to be raised."""
    now = clock.now()
    until: datetime | None = None
    if failed.kind == "rate_limited" or failed.retry_after is not None:
        until = now + max(failed.retry_after or LIMITED_PAUSE, LIMITED_PAUSE) * random.uniform(1.0, 1.2)  # noqa: S311
    elif failed.kind in ("auth", "egress"):
        until = now + SETTINGS_PAUSE
    with transaction.atomic(), raw_cursor() as cursor:
        spend.add(cursor, project_id, account, day, change)
        if failed.kind in ("timeout", "unreachable", "server"):
            times = pace.count_failure(cursor, connection_id)
            if times >= BREAK_AFTER:
                until = now + min(BREAK_FIRST * 2 ** min((times - BREAK_AFTER) // 4, 10), BREAK_MAX)
        if until is not None:
            pace.pause(cursor, connection_id, until, failed.told)
    if failed.kind == "refused_request":
        return NotSo(failed.told, is_settings=failed.status in (404, 405, 301, 302, 307, 308))
    return NotNow(failed.told, until or now + BREAK_FIRST)
