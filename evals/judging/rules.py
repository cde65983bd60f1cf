"""Judging by rules: no calls, so a batch is read, judged and written in one transaction."""

from __future__ import annotations

import time

from django.db import transaction

from evals.judges import Material, RuleConfig, Unusable, run_rules
from evals.judging import tending
from evals.judging.answers import after_unusable, after_verdict, flags_of, pack_answer, told_of
from evals.judging.context import Context, context_of
from evals.judging.targets import materials_of
from evals.write import judgements
from evals.write.judgements import SKIPPED, Ending, Judgement
from evals.write.masked import mask_said
from evals.write.scores import Scored, write_verdicts
from telltale.lib import clock
from telltale.lib.db import raw_cursor

BATCH = 200


def judge_rules(seconds: float = 20.0) -> int:
    """Judge what is due by rules, all projects in turn, until nothing is left or `seconds` are over; how many ended."""
    ends = time.monotonic() + seconds
    ended = 0
    while True:
        before = ended
        for version_id in judgements.open_versions(clock.now()):
            context = context_of(version_id)
            if context is None or not context.is_rule:
                continue
            if context.problem:
                tending.put_to_wait(context, clock.now())
                continue
            ended += judge_batch(context)
            if time.monotonic() > ends:
                return ended
        if ended == before:
            return ended


def judge_batch(context: Context, limit: int = BATCH) -> int:
    """Judge up to `limit` due targets of a version of rules; how many ended. Nothing is kept where this raises."""
    now = clock.now()
    with transaction.atomic(), raw_cursor() as cursor:
        rows = judgements.pick(cursor, context.version.pk, limit, now)
        if not rows:
            return 0
        materials = materials_of(context, rows)
        endings: list[Ending] = []
        scored: list[Scored] = []
        for row in rows:
            ending, one = _judge(context, row, materials.get(row.judgement_id))
            endings.append(ending)
            if one is not None:
                scored.append(one)
        judgements.end(cursor, endings, "", now)
        write_verdicts(cursor, scored)
    return len(rows)


def _judge(context: Context, row: Judgement, material: Material | None) -> tuple[Ending, Scored | None]:
    if material is None:
        return Ending(row, SKIPPED, "gone"), None
    assert isinstance(context.config, RuleConfig)  # noqa: S101 - asked by is_rule
    began = time.perf_counter()
    verdict = mask_said(row, run_rules(context.rubric, context.config, material))
    took = int((time.perf_counter() - began) * 1000)
    if isinstance(verdict, Unusable):
        answer = pack_answer(told_of(verdict, ""))
        return after_unusable(row, verdict, clock.now(), is_final=True, answer=answer, duration_ms=took), None
    # The scores say everything; only what is no score of a target is kept beside.
    kept = pack_answer(told_of(verdict, "")) if row.repeat else None
    ending = after_verdict(context, row, verdict, flags_of(verdict), answer=kept, duration_ms=took, cost_pico=0)
    return ending, Scored(row, verdict, context.rubric_version_id, ending.is_flagged)
