"""What one turn at a judgement came to: from a verdict, an unusable answer or a failed call to the next state."""

from __future__ import annotations

import random
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

import orjson
import zstandard

from evals.calling.kinds import CallFailed
from evals.judges import Unusable, Verdict, flags
from evals.judging.context import Context
from evals.write.judgements import FAILED, PENDING, SCORED, Ending, Judgement

# An answer that is no verdict is asked for again this often; then it has failed, and never is a score.
UNUSABLE_MAX = 3
# Calls without an answer (time-outs, errors of the server) before a judgement has failed.
FAILURES_MAX = 6
REFUSED_MAX = 2
PAUSE_FIRST, PAUSE_MAX = 2.0, 120.0
TEXT_MAX = 64_000
# What the endpoint's settings must change for: it waits, and is not failed.
WAITING_KINDS = frozenset({"auth", "egress"})


def pause(times: int) -> timedelta:
    """The pause after so many failures: twice as long each time, some of it chance so that calls do not march."""
    base = min(PAUSE_FIRST * 2.0 ** min(max(times - 1, 0), 20), PAUSE_MAX)
    return timedelta(seconds=base * random.uniform(0.8, 1.2))  # noqa: S311 - no secret


def pack_answer(value: dict[str, Any]) -> bytes:
    """What is kept of an answer, compressed."""
    packed: bytes = zstandard.ZstdCompressor(level=3).compress(orjson.dumps(value))
    return packed


def unpack_answer(data: bytes) -> dict[str, Any]:
    """What was kept of an answer: {"text", "verdict" or "unusable"}."""
    raw = zstandard.ZstdDecompressor().decompress(data, max_output_size=16 * 1024 * 1024)
    value: dict[str, Any] = orjson.loads(raw)
    return value


def told_of(verdict: Verdict | Unusable, text: str) -> dict[str, Any]:
    """An answer and what was made of it, as it is kept."""
    kept: dict[str, Any] = {"text": text[:TEXT_MAX]} if text else {}
    if isinstance(verdict, Unusable):
        return kept | {"unusable": {"kind": verdict.kind, "told": verdict.told}}
    return kept | {"verdict": asdict(verdict)}


def flags_of(verdict: Verdict, *, is_cut: bool = False, is_hidden: bool = False) -> tuple[str, ...]:
    """The marks that a verdict carries; none of them changes a score."""
    marks = (
        ("injection_attempt", verdict.injection_attempt),
        ("evidence_not_found", bool(verdict.evidence_missing)),
        ("unsure", any(score.is_unsure for score in verdict.scores)),
        ("cut", is_cut),
        ("hidden_characters", is_hidden),
    )
    return tuple(name for name, is_set in marks if is_set)


def after_verdict(context: Context, row: Judgement, verdict: Verdict, marks: tuple[str, ...], **told: Any) -> Ending:
    """Scored."""
    flag = context.config.flag
    return Ending(
        row,
        SCORED,
        is_flagged=flags(context.rubric, flag, verdict.scores),
        flags=marks,
        failures=row.failures,
        unusable=row.unusable,
        **told,
    )


def after_unusable(row: Judgement, unusable: Unusable, now: datetime, *, is_final: bool = False, **told: Any) -> Ending:
    """Asked again for what is no verdict, `UNUSABLE_MAX` times in all; `is_final`: rules say the same again."""
    times = row.unusable + 1
    if is_final or times >= UNUSABLE_MAX:
        return Ending(row, FAILED, unusable.kind, failures=row.failures, unusable=times, **told)
    return Ending(
        row, PENDING, unusable.kind, next_at=now + pause(times) / 2, failures=row.failures, unusable=times, **told
    )


def after_failure(row: Judgement, failed: CallFailed, now: datetime, paused_until: datetime | None) -> Ending:
    """Later again, or failed where that was often enough."""
    was_called = failed.was_sent
    later = now + pause(row.failures + 1)
    if paused_until is not None:
        # Not all at once when the pause ends.
        later = max(later, paused_until + timedelta(seconds=random.uniform(0.0, 2.0)))  # noqa: S311 - no secret
    # An error that was answered is on no bill; what had no answer may be.
    told: dict[str, Any] = {"calls": int(was_called), "cost_pico": None if is_lost(failed) else 0}
    is_ours = failed.kind == "refused_request"  # what was asked is at fault, not the moment
    if failed.kind == "rate_limited" or failed.kind in WAITING_KINDS or not (was_called or is_ours):
        return Ending(row, PENDING, failed.kind, later, failures=row.failures, unusable=row.unusable, **told)
    times = row.failures + 1
    most = REFUSED_MAX if is_ours else FAILURES_MAX
    if times >= most:
        return Ending(row, FAILED, failed.kind, failures=times, unusable=row.unusable, **told)
    return Ending(row, PENDING, failed.kind, later, failures=times, unusable=row.unusable, **told)


def is_lost(failed: CallFailed) -> bool:
    """Whether the call may have been answered and paid for without our hearing of it."""
    return failed.was_sent and (failed.kind in {"timeout", "unreachable"} or failed.status == 200)
