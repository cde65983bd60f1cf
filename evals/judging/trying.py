"""Trying an unsaved judge on a few real traces: prompt, answer, what is made of it, its price. Nothing is scored."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from typing import cast
from uuid import UUID, uuid4

from django.db import transaction

from evals.calling import ask
from evals.calling.kinds import Called, CallFailed, Endpoint
from evals.judges import (
    Config,
    Material,
    ModelConfig,
    Prompt,
    RuleConfig,
    Unusable,
    Verdict,
    build_prompt,
    flags,
    fresh_nonce,
    read_reply,
    run_rules,
)
from evals.judging.context import BYTES_A_TOKEN, provider_of
from evals.models import Connection
from evals.read.material import load_materials
from evals.read.setup import endpoint_of, settings_for
from evals.read.spend import day_of
from evals.rubrics import Rubric
from evals.write import spend
from telltale.lib import clock, vault
from telltale.lib.db import raw_cursor
from telltale.projects.models import Project
from traces.masks import keeps_content
from traces.own_calls import OwnCall, Rates, price_call, store_calls

PREFLIGHT_MAX = 5
# Counted for the project as a whole: no judge of it exists yet.
NO_JUDGE = spend.WHOLE


class PreflightRefused(Exception):
    """Nothing was called; the text says why, for people."""


@dataclass(frozen=True, slots=True)
class Tried:
    """One trace as an unsaved judge took it. Exactly one of `verdict`, `unusable` and `failed` (a sentence) is set.

    `prompt` is None for rules. `price_pico` None: not known. `material` None: the trace is gone.
    """

    trace_id: UUID
    material: Material | None = None
    prompt: Prompt | None = None
    answer: str = ""
    verdict: Verdict | None = None
    unusable: Unusable | None = None
    failed: str = ""
    is_flagged: bool | None = None
    price_pico: int | None = None
    duration_ms: float | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    call_trace_id: UUID | None = None


def preflight(
    project: Project,
    rubric: Rubric,
    config: Config,
    connection: Connection | None,
    model: str,
    trace_ids: Sequence[UUID],
    *,
    slug: str = "preflight",
) -> list[Tried]:
    """Judge up to `PREFLIGHT_MAX` traces by what is not saved yet; in order. PreflightRefused where nothing can be.

    Calls are made at once, count against the day's budget and are stored as traces; there are no retries.
    """
    wanted = list(dict.fromkeys(trace_ids))[:PREFLIGHT_MAX]
    materials = load_materials(project.pk, [(trace_id, 0) for trace_id in wanted], config.mapping)
    held = {trace_id: materials.get((trace_id, 0)) for trace_id in wanted}
    if isinstance(config, RuleConfig):
        return [_by_rules(trace_id, rubric, config, held[trace_id]) for trace_id in wanted]
    if not isinstance(config, ModelConfig):
        raise PreflightRefused("People and programs of yours judge by themselves: there is nothing to try here.")
    if connection is None or not model:
        raise PreflightRefused("Choose a connection and a model first.")
    try:
        endpoint = endpoint_of(connection.pk, model)
    except vault.Sealed:
        raise PreflightRefused(
            "The connection's key cannot be opened: the installation's secret key changed. Enter it again."
        ) from None
    if endpoint is None:
        raise PreflightRefused("The connection is not there any more.")
    return _by_model(project, rubric, config, endpoint, [(each, held[each]) for each in wanted], slug)


def _by_rules(trace_id: UUID, rubric: Rubric, config: RuleConfig, material: Material | None) -> Tried:
    if material is None:
        return Tried(trace_id, failed="The trace is not there any more.")
    began = clock.now()
    verdict = run_rules(rubric, config, material)
    took = (clock.now() - began) / timedelta(milliseconds=1)
    if isinstance(verdict, Unusable):
        return Tried(trace_id, material, unusable=verdict, price_pico=0, duration_ms=took)
    is_flagged = flags(rubric, config.flag, verdict.scores)
    return Tried(trace_id, material, verdict=verdict, is_flagged=is_flagged, price_pico=0, duration_ms=took)


def _by_model(
    project: Project,
    rubric: Rubric,
    config: ModelConfig,
    endpoint: Endpoint,
    held: Sequence[tuple[UUID, Material | None]],
    slug: str,
) -> list[Tried]:
    prompts = {
        trace_id: build_prompt(rubric, config, material, fresh_nonce(material))
        for trace_id, material in held
        if material is not None
    }
    rates = None
    if endpoint.input_pico is not None and endpoint.output_pico is not None:
        rates = Rates(endpoint.input_pico, endpoint.output_pico)
    provider = provider_of(endpoint)

    def price(tokens_in: int | None, tokens_out: int | None, cached: int | None = None, name: str = "") -> int | None:
        return price_call(
            project.pk, provider, endpoint.model, tokens_in, tokens_out, cached, model_answered=name, rates=rates
        )

    wanted = {
        trace_id: price(int(len((prompt.system + prompt.user).encode()) / BYTES_A_TOKEN) + 50, config.max_output_tokens)
        for trace_id, prompt in prompts.items()
    }
    day = day_of(clock.now(), clock.zone_of(project.time_zone))
    limits = settings_for(project.pk)
    budget = spend.Budget(limits.budget_pico_day, limits.budget_calls_day)
    with transaction.atomic(), raw_cursor() as cursor:
        paid = spend.reserve(cursor, project.pk, NO_JUDGE, day, list(wanted.values()), budget)
    asked = list(prompts)[:paid]
    started_at = clock.now()
    answers = _call_all(endpoint, config, [prompts[each] for each in asked])
    tried: dict[UUID, Tried] = {}
    calls: list[OwnCall] = []
    book = spend.Book(project.pk)
    for trace_id, answer in zip(asked, answers, strict=True):
        material, prompt = dict(held)[trace_id], prompts[trace_id]
        call_id = uuid4()
        if isinstance(answer, CallFailed):
            change = spend.lost(wanted[trace_id]) if answer.was_sent else spend.unsent(wanted[trace_id])
            if answer.was_sent and answer.status not in (0, 200):
                change = spend.answered(wanted[trace_id], 0)
            book.add(NO_JUDGE, day, change)
            tried[trace_id] = Tried(trace_id, material, prompt, failed=answer.told)
            continue
        cost = price(answer.input_tokens, answer.output_tokens, answer.cached_tokens, answer.model)
        book.add(NO_JUDGE, day, spend.answered(wanted[trace_id], cost))
        read = read_reply(
            rubric,
            answer.text,
            cast(Material, material),
            answer.finish_reason,
            with_documents=config.with_documents,
        )
        verdict = read if isinstance(read, Verdict) else None
        tried[trace_id] = Tried(
            trace_id, material, prompt, answer.text, verdict, read if isinstance(read, Unusable) else None, "",
            None if verdict is None else flags(rubric, config.flag, verdict.scores), cost, answer.duration_ms,
            answer.input_tokens, answer.output_tokens, call_id,
        )  # fmt: skip
        has_words = keeps_content(project.pk, material.feature if material is not None else "")
        calls.append(
            OwnCall(
                call_id,
                1,
                f"try {slug}",
                endpoint.model,
                provider,
                started_at,
                answer.duration_ms,
                answer.input_tokens,
                answer.output_tokens,
                answer.cached_tokens,
                answer.model,
                answer.finish_reason,
                "" if verdict is not None else "unusable",
                prompt.system,
                prompt.user if has_words else "",
                answer.text if has_words else "",
                {"judge": slug, "target": trace_id.hex},
                rates,
            )
        )
    with transaction.atomic(), raw_cursor() as cursor:
        book.write(cursor)
    store_calls(project.pk, calls)
    left = {
        trace_id: Tried(trace_id, material, prompts[trace_id], failed="The day's budget for judging is used up.")
        if material is not None
        else Tried(trace_id, failed="The trace is not there any more.")
        for trace_id, material in held
        if trace_id not in tried
    }
    return [tried.get(trace_id) or left[trace_id] for trace_id, _ in held]


def _call_all(endpoint: Endpoint, config: ModelConfig, prompts: Sequence[Prompt]) -> list[Called | CallFailed]:
    """All calls at once; a person waits."""

    def call(prompt: Prompt) -> Called | CallFailed:
        try:
            return ask(endpoint, prompt, config.max_output_tokens)
        except CallFailed as failed:
            return failed

    if not prompts:
        return []
    with ThreadPoolExecutor(len(prompts), thread_name_prefix="preflight") as pool:
        return list(pool.map(call, prompts))
