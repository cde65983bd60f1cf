"""What one trace adds to the roll-ups: sums by minute and scope. Pure; docs/data-model.md ("Roll-ups") tells the rules.

This runs for every span that is stored, so it works on plain lists: a cell is [plain sums, usage sums or None,
sketches], in the order of `PLAIN`, `USAGE` and `SKETCHES`; a sketch is a list of indexes, one for each value.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from telltale.stats.sketch import BOUNDS
from traces.canonical.types import BUCKETS, MODEL_KINDS, CostStatus, SpanStatus
from traces.rollup.sums import PARTS, SKETCHES, SUMS, Family, What

# Another number: every project is booked anew by itself (traces.folding).
RULES = 1

PLAIN = ("n", "errors", "failed", "streamed", "retries", "refusals", "duration_ns_sum", "duration_n")
USAGE = (
    "priced_count", "unpriced_count", "unknown_usage_count", "partial_count", "upper_bound_count", *BUCKETS,
    "cost_pico", *PARTS, "saved_pico", "token_duration", "token_n",
)  # fmt: skip
assert sorted(PLAIN + USAGE) == sorted(SUMS)  # noqa: S101

Cell = list[Any]  # [list[int], list[int] | None, list[list[int] | None]]
Indexes = list[list[int] | None]
CellKey = tuple[int, int]  # minute, scope
ReasonKey = tuple[int, int, int, str]  # minute, scope, what, reason
# family, kind, stage, feature, provider, model, service, environment, release, prompt name, prompt version
ScopeKey = tuple[
    int, int | None, str | None, str | None, str | None, str | None, str | None, str | None, str | None, str | None,
    str | None,
]  # fmt: skip
ScopeOf = Callable[[ScopeKey], int]
ReasonOf = Callable[[str], str]
# The price of a fresh input token by price id, in pico-dollars; None where it is not known.
RateOf = Callable[[int], int | None]

_MODEL_KINDS = frozenset(int(kind) for kind in MODEL_KINDS)
_ERROR = int(SpanStatus.ERROR)
_REFUSALS = frozenset({"refusal", "content_filter"})
_ERROR_TYPE, _FINISH = int(What.ERROR_TYPE), int(What.FINISH_REASON)
_TRACE, _SPAN = int(Family.TRACE), int(Family.SPAN)
assert [int(status) for status in CostStatus] == [1, 2, 3, 4, 5]  # noqa: S101 - their places in USAGE
_N_USAGE = len(USAGE)
_TOKENS, _COST, _PARTS, _SAVED, _WEIGHTED, _WEIGHT = 5, 13, 14, 22, 23, 24
_DURATION, _TTFT, _TPOT, _LENGTH = range(len(SKETCHES))

# The columns of a span in the order in which `take` wants them; the first one says which trace it is of.
SPAN_COLUMNS = (
    "started_at", "span_id", "parent_span_id", "kind", "status", "counted", "name", "duration_ns", "error_type",
    "service", "environment", "release", "feature", "provider", "model_requested", "model_answered", "streamed",
    "ttft_ns", "finish_reason", "prompt_name", "prompt_version", "cost_status", "cost_pico", "cost_parts", "price_id",
    *BUCKETS,
)  # fmt: skip


@dataclass(slots=True)
class User:
    """What a trace adds to its user's days and months."""

    user_id: str
    minute: int
    sums: list[int]  # n, errors, input, cached and output tokens, cost, unpriced


@dataclass(slots=True)
class Contribution:
    """All that one trace adds, as it was booked under `zone`."""

    zone: str
    session_id: str | None = None
    user: User | None = None
    cells: dict[CellKey, Cell] = field(default_factory=dict)
    reasons: dict[ReasonKey, int] = field(default_factory=dict)


@dataclass(slots=True)
class Building:
    """A trace whose spans are being taken in."""

    found: Contribution
    minute: int
    dimensions: tuple[str | None, ...]  # feature, service, environment, release, prompt name and version of the trace
    user_id: str | None
    error_count: int
    root_status: int | None
    duration_ns: int | None
    ttft_ns: int | None
    finish_reason: str | None
    error_type: str | None
    usage: list[int] = field(default_factory=lambda: [0] * _N_USAGE)
    has_streamed: bool = False
    # Model calls of a trace with errors: (parent, kind, name), start, span id, has failed, cell.
    attempts: list[tuple[tuple[Any, ...], int, int, bool, Cell]] = field(default_factory=list)


def begin(
    zone: str,
    minute: int,
    dimensions: tuple[str | None, ...],
    *,
    user_id: str | None,
    session_id: str | None,
    error_count: int,
    root_status: int | None,
    duration_ns: int | None,
    ttft_ns: int | None,
    finish_reason: str | None,
    error_type: str | None,
) -> Building:
    """A trace by its row. `minute` is that of its first start; take its spans in, then `finish`."""
    return Building(
        Contribution(zone, session_id), minute, dimensions, user_id, error_count, root_status, duration_ns, ttft_ns,
        finish_reason, error_type,
    )  # fmt: skip


def take(
    building: list[Building], rows: Iterable[tuple[Any, ...]], scope_of: ScopeOf, reason_of: ReasonOf, rate_of: RateOf
) -> int:
    """Take spans in: rows of (place in `building`, *SPAN_COLUMNS), `started_at` in microseconds; how many there were.

    Nothing is booked of the trace itself before `finish`.
    """
    count, last = 0, -1
    for (
        place, started_us, span_id, parent, kind, status, counted, name, duration, error_type,
        service, environment, release, feature, provider, asked, answered, streamed,
        ttft, finish, prompt_name, prompt_version, cost_status, cost, parts, price_id,
        *tokens,
    ) in rows:  # fmt: skip
        count += 1
        if place != last:
            last = place
            trace = building[place]
            inherited, cells, reasons = trace.dimensions, trace.found.cells, trace.found.reasons
        is_model = kind in _MODEL_KINDS
        minute = started_us // 60_000_000
        scope = scope_of(
            (
                _SPAN, kind, None if is_model else name, inherited[0] if feature is None else feature, provider,
                asked if answered is None else answered, service,
                inherited[2] if environment is None else environment, inherited[3] if release is None else release,
                inherited[4] if prompt_name is None else prompt_name,
                inherited[5] if prompt_version is None else prompt_version,
            )
        )  # fmt: skip
        cell = cells.get((minute, scope))
        if cell is None:
            cell = cells[(minute, scope)] = [[0, 0, 0, 0, 0, 0, 0, 0], None, [None, None, None, None]]
        plain, _, sketches = cell
        plain[0] += 1
        if status == _ERROR:
            plain[1] += 1
        if duration is not None:
            plain[6] += duration
            plain[7] += 1
            _count(sketches, _DURATION, duration)
        if error_type is not None:
            key = (minute, scope, _ERROR_TYPE, reason_of(error_type))
            reasons[key] = reasons.get(key, 0) + 1
        if finish is not None:
            key = (minute, scope, _FINISH, finish)
            reasons[key] = reasons.get(key, 0) + 1
            if finish in _REFUSALS:
                plain[5] += 1
        if streamed:
            plain[3] += 1
            trace.has_streamed = True
        if is_model:
            if ttft is not None:
                _count(sketches, _TTFT, ttft)
            if trace.error_count:
                trace.attempts.append(((parent, kind, name), started_us, span_id, status == _ERROR, cell))
        if counted:
            usage = cell[1]
            if usage is None:
                usage = cell[1] = [0] * _N_USAGE
            _use(trace.usage, usage, sketches, tokens, cost_status, cost, parts, price_id, duration, ttft, rate_of)
    return count


def _count(sketches: Indexes, which: int, value: int) -> None:
    held = sketches[which]
    if held is None:
        sketches[which] = [bisect_left(BOUNDS, value)]
    else:
        held.append(bisect_left(BOUNDS, value))


def _use(
    of_trace: list[int],
    of_cell: list[int],
    sketches: Indexes,
    tokens: list[int | None],
    cost_status: int | None,
    cost: int | None,
    parts: list[int | None] | None,
    price_id: int | None,
    duration: int | None,
    ttft: int | None,
    rate_of: RateOf,
) -> None:
    """Add what a counted span used to its cell and its trace."""
    if cost_status is not None:
        of_cell[cost_status - 1] += 1
        of_trace[cost_status - 1] += 1
    at = _TOKENS
    for many in tokens:
        if many:
            of_cell[at] += many
            of_trace[at] += many
        at += 1
    _, read, write_5m, write_1h, _, text, reasoning, audio = tokens
    if cost is not None:
        of_cell[_COST] += cost
        of_trace[_COST] += cost
        if parts is not None:
            at = _PARTS
            for part in parts:
                if part:
                    of_cell[at] += part
                    of_trace[at] += part
                at += 1
            if read or write_5m or write_1h:
                saved = saved_pico(tokens, parts, price_id, rate_of)
                of_cell[_SAVED] += saved
                of_trace[_SAVED] += saved
    output = (text or 0) + (reasoning or 0) + (audio or 0)
    if output > 0:
        _count(sketches, _LENGTH, output)
        if duration is not None:
            weighted = duration * output
            of_cell[_WEIGHTED] += weighted
            of_trace[_WEIGHTED] += weighted
            of_cell[_WEIGHT] += output
            of_trace[_WEIGHT] += output
            if ttft is not None and output > 1 and duration >= ttft:
                _count(sketches, _TPOT, (duration - ttft) // (output - 1))


def saved_pico(tokens: list[int | None], parts: list[int | None], price_id: int | None, rate_of: RateOf) -> int:
    """What the cached tokens of a call would have cost as fresh ones, minus what they cost; 0 where it is not known."""
    fresh = tokens[0]
    rate = parts[0] // fresh if fresh and parts[0] is not None else None if price_id is None else rate_of(price_id)
    if rate is None:
        return 0
    saved = 0
    for at in (1, 2, 3):
        many, part = tokens[at], parts[at]
        if many and part is not None:
            saved += many * rate - part
    return saved


def finish(trace: Building, scope_of: ScopeOf, reason_of: ReasonOf) -> Contribution:
    """The whole contribution, once all spans are taken in."""
    found, usage = trace.found, trace.usage
    feature, service, environment, release, prompt_name, prompt_version = trace.dimensions
    scope = scope_of(
        (_TRACE, None, None, feature, None, None, service, environment, release, prompt_name, prompt_version)
    )
    retries = _mark_retries(trace.attempts)
    sketches: Indexes = [None, None, None, None]
    duration = trace.duration_ns
    if duration is not None:
        _count(sketches, _DURATION, duration)
    if trace.ttft_ns is not None:
        _count(sketches, _TTFT, trace.ttft_ns)
    plain = [
        1, int(trace.error_count > 0), int(trace.root_status == _ERROR), int(trace.has_streamed), int(retries > 0),
        int(trace.finish_reason in _REFUSALS), duration or 0, int(duration is not None),
    ]  # fmt: skip
    found.cells[(trace.minute, scope)] = [plain, usage if any(usage) else None, sketches]
    for _, _, held in found.cells.values():
        for indexes in held:
            if indexes is not None and len(indexes) > 1:
                indexes.sort()  # so that what is booked does not depend on the order of rows
    if trace.error_type is not None:
        found.reasons[(trace.minute, scope, _ERROR_TYPE, reason_of(trace.error_type))] = 1
    if trace.finish_reason is not None:
        found.reasons[(trace.minute, scope, _FINISH, trace.finish_reason)] = 1
    if trace.user_id is not None:
        tokens = usage[_TOKENS : _TOKENS + len(BUCKETS)]
        sums = [1, plain[1], sum(tokens[:5]), tokens[1], sum(tokens[5:]), usage[_COST], usage[1]]
        found.user = User(trace.user_id, trace.minute, sums)
    return found


def _mark_retries(attempts: list[tuple[tuple[Any, ...], int, int, bool, Cell]]) -> int:
    """Count model calls that began after a failed one of the same parent, kind and name, in their cells; how many."""
    failed_at: dict[tuple[Any, ...], tuple[int, int]] = {}
    for group, started, span_id, has_failed, _ in attempts:
        if has_failed:
            moment = (started, span_id)
            failed_at[group] = min(failed_at.get(group, moment), moment)
    retries = 0
    if failed_at:
        for group, started, span_id, _, cell in attempts:
            first = failed_at.get(group)
            if first is not None and (started, span_id) > first:
                cell[0][4] += 1
                retries += 1
    return retries
