"""Scores that are an end user's word (user_feedback, thumbs_down, …): told to the room of traces as signals, too.

A number of somebody's evaluator stays a score alone, whatever it is about.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from evals.write.scores import BOOLEAN, LABEL, NUMERIC, NewScore
from traces import signalling
from traces.wire.ids import hex_span_id

OF_SCORE, OF_EVENT = "score:", "otel:"


@dataclass(frozen=True, slots=True)
class Word:
    """A score as a signal is to be told of it: under which id, when it was made if that was told, by whom if told."""

    client_id: str
    score: NewScore
    made_at: datetime | None = None
    author: str | None = None


def tell_feedback(project_id: int, words: Sequence[Word], key_id: int | None = None) -> int:
    """Keep those of the scores that are an end user's word as signals; how many. In the caller's transaction."""
    if not words:
        return 0
    names = signalling.names_of(project_id)
    items = [_item(word) for word in words if names.is_user_feedback(word.score.name)]
    sender = signalling.Sender(key_id, is_own=True)
    for at in range(0, len(items), signalling.ITEMS_MAX):
        signalling.put_signals(project_id, items[at : at + signalling.ITEMS_MAX], sender)
    return len(items)


def forget_feedback(project_id: int, score_id: int) -> bool:
    """Remove the signal that a score was told as; False where it was none."""
    return signalling.remove_own(project_id, f"{OF_SCORE}{score_id}")


def _item(word: Word) -> dict[str, Any]:
    score = word.score
    told = {
        "client_id": word.client_id,
        "name": score.name,
        "value": _value(score),
        "trace_id": score.trace_id.hex if score.trace_id is not None else None,
        "span_id": hex_span_id(score.span_id) if score.span_id else None,
        "session_id": score.session_id,
        "comment": score.comment if score.data_type in (NUMERIC, BOOLEAN, LABEL) else None,
        "user_id": word.author,
        "happened_at": word.made_at.isoformat() if word.made_at is not None else None,
    }
    return {key: value for key, value in told.items() if value is not None}


def _value(score: NewScore) -> bool | float | str | None:
    if score.number is not None:
        return bool(score.number) if score.data_type == BOOLEAN else score.number
    return score.label if score.data_type == LABEL else score.comment
