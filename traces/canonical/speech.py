"""What a span says about tokens, gathered from its attributes before `traces.canonical.usage` makes buckets of it."""

from __future__ import annotations

from typing import Any

from traces.canonical.keys import TYPED_KEYS, Slot
from traces.canonical.text import decode_map
from traces.canonical.types import Vocabulary
from traces.canonical.usage import ACCOUNTINGS, Counts, to_count
from traces.canonical.usage_maps import counts_from_map

_DIRECT = (
    (Slot.TOKENS_IN, "tokens_in"),
    (Slot.TOKENS_OUT, "tokens_out"),
    (Slot.TOKENS_TOTAL, "total"),
    (Slot.CACHE_READ, "read"),
    (Slot.CACHE_WRITE, "write"),
    (Slot.CACHE_WRITE_5M, "write_5m"),
    (Slot.CACHE_WRITE_1H, "write_1h"),
    (Slot.REASONING, "reasoning"),
    (Slot.AUDIO_IN, "audio_in"),
    (Slot.AUDIO_OUT, "audio_out"),
)
_AGGREGATED = (
    (Slot.AGGREGATED_IN, "tokens_in"),
    (Slot.AGGREGATED_OUT, "tokens_out"),
    (Slot.AGGREGATED_READ, "read"),
    (Slot.AGGREGATED_WRITE, "write"),
    (Slot.AGGREGATED_REASONING, "reasoning"),
)


def has_usage(ranks: list[int]) -> bool:
    """Whether any attribute tells of tokens."""
    return (
        ranks[Slot.TOKENS_IN] < 99
        or ranks[Slot.TOKENS_OUT] < 99
        or ranks[Slot.USAGE_MAP] < 99
        or ranks[Slot.AGGREGATED_IN] < 99
        or ranks[Slot.CACHE_READ] < 99
        or ranks[Slot.CACHE_WRITE] < 99
    )


def counts_of(values: list[Any], ranks: list[int], vocabulary: Vocabulary) -> tuple[Counts, str, bool]:
    """The counts, the attribute family they come from, and whether they are a framework's sum over its children.

    A map of the speaker's own (Langfuse, MLflow, LangSmith, LiteLLM, Logfire's raw answer) says more than the single
    figures beside it and is taken alone.
    """
    if values[Slot.USAGE_MAP] is not None:
        told = decode_map(values[Slot.USAGE_MAP])
        if told:
            counts = counts_from_map(told, inclusive=vocabulary is Vocabulary.MLFLOW)
            if counts.tokens_in is not None or counts.tokens_out is not None or counts.bad:
                return counts, _family(Slot.USAGE_MAP, ranks), False
    fields: tuple[tuple[int, str], ...] = _DIRECT
    aggregated = False
    if ranks[Slot.TOKENS_IN] == 99 and ranks[Slot.TOKENS_OUT] == 99 and ranks[Slot.AGGREGATED_IN] < 99:
        fields, aggregated = _AGGREGATED, True
    counts = Counts()
    for slot, field in fields:
        value = values[slot]
        if value is not None:
            count = value if type(value) is int and 0 <= value <= 10**12 else to_count(value)
            if count is None:
                counts.bad = True
            else:
                setattr(counts, field, count)
    if values[Slot.IN_DETAILS] is not None or values[Slot.OUT_DETAILS] is not None:
        _add_details(counts, values)
    if values[Slot.ACCOUNTING] in ACCOUNTINGS:
        counts.accounting = values[Slot.ACCOUNTING]
    slot = Slot.AGGREGATED_IN if aggregated else Slot.TOKENS_IN
    return counts, _family(slot, ranks), aggregated


def _add_details(counts: Counts, values: list[Any]) -> None:
    """LangSmith's OTel mode: details as the repr of a Python map."""
    details = counts_from_map(
        {
            "input_token_details": decode_map(values[Slot.IN_DETAILS]) or {},
            "output_token_details": decode_map(values[Slot.OUT_DETAILS]) or {},
        }
    )
    for field in ("read", "write", "write_5m", "write_1h", "reasoning", "audio_in", "audio_out"):
        if getattr(counts, field) is None:
            setattr(counts, field, getattr(details, field))
    counts.bad = counts.bad or details.bad


def _family(slot: int, ranks: list[int]) -> str:
    keys = TYPED_KEYS[slot]
    rank = ranks[slot]
    return keys[rank] if rank < len(keys) else "raw answer"
