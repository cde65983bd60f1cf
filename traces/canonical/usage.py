"""Tokens into disjoint buckets, whoever tells them (docs/data-model.md). Pure functions over what a sender said.

Whether "input" includes cached tokens depends on the speaker; the table below is data. Nothing is guessed where the
numbers say otherwise, and what a speaker never shows is unknown, not 0.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from traces.canonical.types import SpanFlag, Usage, Vocabulary

INCLUSIVE = "inclusive"  # input counts the cached tokens too
EXCLUSIVE = "exclusive"  # input counts only what was neither read from nor written to a cache
ADDITIVE = "additive"  # each figure is a bucket of its own
UNKNOWN = "unknown"
ACCOUNTINGS = frozenset({INCLUSIVE, EXCLUSIVE, ADDITIVE})

# Speakers whose input excludes cached tokens, by vocabulary and provider. Every other one includes them.
EXCLUSIVE_SPEAKERS = frozenset({(Vocabulary.OPENLIT, "anthropic")})

MAX_COUNT = 10**12
# Plain integers: combining members of an IntFlag costs a microsecond.
_BAD = int(SpanFlag.USAGE_BAD)
_INCONSISTENT = int(SpanFlag.USAGE_INCONSISTENT)
_TTL_ASSUMED = int(SpanFlag.CACHE_TTL_ASSUMED)
_CACHE_UNKNOWN = int(SpanFlag.CACHE_UNKNOWN)


@dataclass(slots=True)
class Counts:
    """What a sender said about tokens, before it is known what each figure includes."""

    tokens_in: int | None = None
    tokens_out: int | None = None
    total: int | None = None
    read: int | None = None
    write: int | None = None
    write_5m: int | None = None
    write_1h: int | None = None
    reasoning: int | None = None
    audio_in: int | None = None
    audio_out: int | None = None
    accounting: str = UNKNOWN
    reasoning_outside: bool = False
    bad: bool = False  # some figure was no count: negative, fractional, absurd

    def has_cache(self) -> bool:
        """Whether any cache figure came."""
        return not (self.read is None and self.write is None and self.write_5m is None and self.write_1h is None)


@dataclass(frozen=True, slots=True)
class Resolved:
    """The buckets of a call (None: usage unknown), what was assumed, and where the figures come from."""

    usage: Usage | None
    flags: int
    provenance: dict[str, Any] | None


def to_count(value: Any) -> int | None:
    """A token count, or None: 128, "128" and 128.0 are 128; negative, fractional and absurd figures are none."""
    kind = type(value)
    if kind is int:
        return value if 0 <= value <= MAX_COUNT else None
    if kind is float:
        return int(value) if 0 <= value <= MAX_COUNT and value == math.floor(value) else None
    if kind is str and 0 < len(value) <= 32:
        try:
            return to_count(int(value)) if value.isdigit() else to_count(float(value))
        except ValueError:
            return None
    return None


def resolve(
    counts: Counts,
    *,
    vocabulary: Vocabulary,
    provider: str | None,
    cache_blind: bool,
    is_error: bool,
    has_output: bool,
    source: str,
) -> Resolved:
    """The disjoint buckets of one call.

    `cache_blind` speakers show no cache figures beside their counts (a provider's whole usage map does); `source` names
    the attribute family the figures come from.
    """
    flags = _BAD if counts.bad else 0
    if counts.tokens_in is None and counts.tokens_out is None and not counts.has_cache():
        return Resolved(None, flags, None)
    if not counts.tokens_in and not counts.tokens_out and (is_error or has_output) and not _any_cached(counts):
        # Clients write 0 for "I do not know" (streams without usage, failed calls).
        return Resolved(None, flags, None)
    accounting = _accounting(counts, vocabulary, provider)
    usage = Usage()
    flags |= _fill_input(usage, counts, accounting)
    flags |= _fill_output(usage, counts)
    if cache_blind and counts.accounting == UNKNOWN and not counts.has_cache():
        flags |= _CACHE_UNKNOWN
    provenance: dict[str, Any] = {"accounting": accounting, "source": source}
    if counts.tokens_in is not None:
        provenance["input_total_reported"] = counts.tokens_in
    if counts.tokens_out is not None:
        provenance["output_total_reported"] = counts.tokens_out
    if counts.total is not None:
        provenance["total_reported"] = counts.total
    return Resolved(usage, flags, provenance)


def _any_cached(counts: Counts) -> bool:
    return bool(counts.read or counts.write or counts.write_5m or counts.write_1h)


def _accounting(counts: Counts, vocabulary: Vocabulary, provider: str | None) -> str:
    if counts.accounting in ACCOUNTINGS:
        return counts.accounting
    if (vocabulary, provider) in EXCLUSIVE_SPEAKERS:
        return EXCLUSIVE
    if counts.read or counts.write:
        write = counts.write or (counts.write_5m or 0) + (counts.write_1h or 0)
        if (counts.tokens_in or 0) < (counts.read or 0) + write:
            return EXCLUSIVE
    return INCLUSIVE


def _fill_input(usage: Usage, counts: Counts, accounting: str) -> int:
    flags = 0
    read, audio = counts.read, counts.audio_in
    write_5m, write_1h = counts.write_5m, counts.write_1h
    if counts.write is not None:
        if write_5m is None and write_1h is None:
            write_5m = counts.write
            if counts.write:
                flags = _TTL_ASSUMED
        elif write_5m is None or write_1h is None:
            rest = counts.write - (write_5m or 0) - (write_1h or 0)
            if rest > 0:
                if write_5m is None:
                    write_5m = rest
                else:
                    write_1h = rest
    fresh = counts.tokens_in
    if fresh is not None:
        if accounting == INCLUSIVE:
            fresh -= (read or 0) + (write_5m or 0) + (write_1h or 0)
        if accounting != ADDITIVE and audio:
            if audio > fresh:
                audio = 0  # audio tokens are part of the cached ones
            else:
                fresh -= audio
        if fresh < 0:
            fresh = 0
            flags |= _INCONSISTENT
    usage.input_fresh = fresh
    usage.input_cache_read = read
    usage.input_cache_write_5m = write_5m
    usage.input_cache_write_1h = write_1h
    usage.input_audio = audio
    return flags


def _fill_output(usage: Usage, counts: Counts) -> int:
    text, reasoning, audio = counts.tokens_out, counts.reasoning, counts.audio_out
    flags = 0
    if text is not None and counts.accounting != ADDITIVE:
        if reasoning and not _is_outside(counts, text, reasoning):
            text -= reasoning
        if audio and audio > text:
            audio, flags = 0, _INCONSISTENT
        elif audio:
            text -= audio
    usage.output_text = text
    usage.output_reasoning = reasoning
    usage.output_audio = audio
    return flags


def _is_outside(counts: Counts, output: int, reasoning: int) -> bool:
    """Whether reasoning tokens come on top of the output count instead of being part of it."""
    if counts.reasoning_outside or reasoning > output:
        return True
    return (
        counts.total is not None
        and counts.tokens_in is not None
        and (counts.tokens_in + output + reasoning == counts.total)
    )
