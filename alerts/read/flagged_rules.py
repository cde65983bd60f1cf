"""By what a response counts as flagged, metric by metric: conditions and numbers over traces, calls and sessions.

A monitor says that a share or a level moved; a person looks at single responses. What is counted as bad in a share is
flagged; of a level, what lies beyond 19 of 20 of the baseline's.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import LiteralString

from traces.behaviour.types import Fact, Stratum
from traces.canonical.types import Kind

# Beyond so many of the baseline's a single number counts as flagged.
QUANTILE = 0.95
_MS = 1_000_000
_INPUT = "(t.input_fresh + t.input_cache_read + t.input_cache_write_5m + t.input_cache_write_1h + t.input_audio)"
_OUTPUT = "(t.output_text + t.output_reasoning + t.output_audio)"
_SPAN_OUTPUT = "(coalesce(s.output_text, 0) + coalesce(s.output_reasoning, 0) + coalesce(s.output_audio, 0))"
_PER_TOKEN = f"((s.duration_ns - s.ttft_ns)::float8 / nullif({_SPAN_OUTPUT} - 1, 0))"
_TOLD_USAGE = "(t.priced_count + t.unpriced_count + t.partial_count + t.upper_bound_count) > 0"


class Source(StrEnum):
    """The rows that a metric is looked at by."""

    TRACES = "traces"
    CALLS = "calls"
    JUDGED = "judged"
    FLAGS = "flags"
    POSTED = "posted"
    UNITS = "units"
    SAMPLES = "samples"
    LISTED = "listed"  # traces that people or probes named


@dataclass(frozen=True, slots=True)
class Rule:
    """How the rows of one source are flagged: SQL over `t`, `s` or `b`, of constants alone.

    `flag`: a condition. `number`: an expression instead, flagged beyond the baseline's quantile on the side that
    alarmed (`is_inverse`: the metric falls where the number rises). `known`: rows that are counted at all.
    `words`: what a flagged one did, after "responses that"; {limit} is filled in.
    """

    source: Source
    words: str
    flag: LiteralString = ""
    number: LiteralString = ""
    known: LiteralString = ""
    unit: str = ""
    is_inverse: bool = False
    kinds: tuple[Kind, ...] = (Kind.GENERATION,)


def _traces(words: str, flag: LiteralString, known: LiteralString = "") -> Rule:
    return Rule(Source.TRACES, words, flag, known=known)


def _number(words: str, number: LiteralString, unit: str, known: LiteralString) -> Rule:
    return Rule(Source.TRACES, words, number=number, known=known, unit=unit)


def _calls(words: str, flag: LiteralString, known: LiteralString = "") -> Rule:
    return Rule(Source.CALLS, words, flag, known=known)


def _call_number(
    words: str, number: LiteralString, unit: str, known: LiteralString, *, is_inverse: bool = False
) -> Rule:
    return Rule(Source.CALLS, words, number=number, known=known, unit=unit, is_inverse=is_inverse)


_IS_OVER = f"b.facts & {Fact.LONE:d} = 0"
_HAS_WORDS = f"{_IS_OVER} AND b.facts & {Fact.WORDLESS:d} = 0"
_CAN_LEAVE = f"{_IS_OVER} AND b.facts & {Fact.SINGLE_SHOT:d} = 0 AND b.stratum <> {Stratum.UNKNOWN:d}"


def _seen(words: str, facts: Fact, known: LiteralString) -> Rule:
    return Rule(Source.UNITS, words, f"b.facts & {int(facts)} <> 0", known=known)


RULES: Mapping[str, Rule] = {
    "errors": _traces("had a failed step", "t.error_count > 0"),
    "failures": _traces("failed", "t.root_status = 2"),
    "slow_requests": _traces(
        "took longer than {limit}", "t.root_duration_ns > %(bound)s", "t.root_duration_ns IS NOT NULL"
    ),
    "free_requests": _traces(
        "cost nothing though a model was called", "t.cost_pico = 0 AND t.generation_count > 0",
        "t.generation_count > 0 AND t.unpriced_count + t.unknown_usage_count = 0",
    ),
    "unpriced": _traces("have a call without a price", "t.unpriced_count > 0", _TOLD_USAGE),
    "request_duration": _number("took", "t.root_duration_ns", "ns", "t.root_duration_ns IS NOT NULL"),
    "cost_per_request": _number("cost", "t.cost_pico", "pico", "t.priced_count + t.upper_bound_count > 0"),
    "spend": _number("cost", "t.cost_pico", "pico", "t.priced_count + t.upper_bound_count > 0"),
    "input_tokens": _number("sent", _INPUT, "tokens", _TOLD_USAGE),
    "input_length": _number("sent", _INPUT, "tokens", _TOLD_USAGE),
    "output_tokens": _number("answered", _OUTPUT, "tokens", _TOLD_USAGE),
    "cache_share": _number(
        "read from a cache", f"(t.input_cache_read::float8 / nullif({_INPUT}, 0))", "share",
        f"{_TOLD_USAGE} AND {_INPUT} > 0",
    ),
    "call_errors": _calls("had a failed model call", "s.status = 2"),
    "retries": _calls("had a failed model call", "s.status = 2"),
    "error_type": _calls("had a call that failed for {limit}", "s.error_type = ANY (%(names)s::text[])"),
    "refusals": _calls("were refused or filtered", "s.finish_reason IN ('refusal', 'content_filter')"),
    "finish_reason": _calls(
        "ended by {limit}", "s.finish_reason = ANY (%(names)s::text[])", "s.finish_reason IS NOT NULL"
    ),
    "slow_calls": _calls("had a call over {limit}", "s.duration_ns > %(bound)s", "s.duration_ns IS NOT NULL"),
    "slow_ttft": _calls(
        "had a first token later than {limit}", "s.ttft_ns > %(bound)s", "s.ttft_ns IS NOT NULL"
    ),
    "slow_tpot": _calls("took over {limit} for each token", f"{_PER_TOKEN} > %(bound)s", f"{_PER_TOKEN} IS NOT NULL"),
    "duration": _call_number("had a call that took", "s.duration_ns", "ns", "s.duration_ns IS NOT NULL"),
    "ttft": _call_number("had their first token after", "s.ttft_ns", "ns", "s.ttft_ns IS NOT NULL"),
    "tpot": _call_number("took for each token", _PER_TOKEN, "ns", f"{_PER_TOKEN} IS NOT NULL"),
    "token_speed": _call_number(
        "took for each token", _PER_TOKEN, "ns", f"{_PER_TOKEN} IS NOT NULL", is_inverse=True
    ),
    "response_length": _call_number("had a call that answered", _SPAN_OUTPUT, "tokens", f"{_SPAN_OUTPUT} > 0"),
    "score": Rule(Source.JUDGED, "scored {limit} or lower for {name}"),
    "relevance": Rule(Source.JUDGED, "scored {limit} or lower for {name}"),
    "low_scores": Rule(Source.JUDGED, "scored {limit} or lower for {name}"),
    "hallucination": Rule(Source.JUDGED, "scored {limit} or lower for {name}"),
    "toxicity": Rule(Source.JUDGED, "scored {limit} or lower for {name}"),
    "format_compliance": Rule(Source.JUDGED, "scored {limit} or lower for {name}"),
    "flagged": Rule(Source.FLAGS, "were flagged by {name}", "r.y > 0.5"),
    "posted_score": Rule(Source.POSTED, "scored {limit} {side} for {name}"),
    "thumbs_down": Rule(Source.UNITS, "got a thumb down", "b.vote < 0", known="b.vote <> 0"),
    "abandoned": _seen("were the last of an abandoned session", Fact.ABANDONED, _CAN_LEAVE),
    "retried": _seen("are of sessions in which the user asked again", Fact.RETRIED | Fact.REPHRASED, _HAS_WORDS),
    "corrected": _seen("are of sessions in which the user corrected the answer", Fact.CORRECTED, _HAS_WORDS),
    "escalated": _seen("are of sessions handed to a person", Fact.ESCALATED, _HAS_WORDS),
    "completed": Rule(
        Source.UNITS, "are of sessions that did not come to their end", f"b.facts & {Fact.COMPLETED:d} = 0",
        known=_IS_OVER,
    ),
    "cost_per_session": Rule(
        Source.UNITS, "are of sessions that cost", number="b.cost_pico", unit="pico",
        known=f"b.is_cost_known AND {_IS_OVER}",
    ),
    "inputs_and_outputs": Rule(Source.SAMPLES, "are of what grew: {names}"),
    "embeddings": Rule(Source.SAMPLES, "are of what grew: {names}"),
}  # fmt: skip
# Categories of calls: the column that holds them, and which calls.
CATEGORIES: Mapping[str, tuple[LiteralString, tuple[Kind, ...]]] = {
    "error_types": ("s.error_type", (Kind.GENERATION,)),
    "finish_reasons": ("s.finish_reason", (Kind.GENERATION,)),
    "models": ("coalesce(s.model_answered, s.model_requested)", (Kind.GENERATION,)),
    "tools": ("coalesce(s.tool_name, s.name)", (Kind.TOOL,)),
}
# What no single response can be flagged by: how much came at all, hosts, ingest. All of the stretch are looked at.
WHOLE = Rule(Source.TRACES, "began while it was out of its limits", "true")
# An incident of no monitor.
ANY_TROUBLE = Rule(Source.TRACES, "had a failed step", "t.error_count > 0")
LISTED = Rule(Source.LISTED, "were reported")


def shown(number: float, unit: str) -> str:
    """A limit in words: "1.2 s", "$0.034", "812 tokens", "34 %"."""
    if unit == "ns":
        ms = number / _MS
        return f"{ms / 1000:,.3g} s" if ms >= 1000 else f"{ms:,.3g} ms"
    if unit == "pico":
        return f"${number / 1e12:,.4g}"
    if unit == "tokens":
        return f"{number:,.0f} tokens"
    return f"{100 * number:.3g} %" if unit == "share" else f"{number:g}"
