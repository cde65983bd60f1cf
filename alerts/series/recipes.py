"""How metrics are made of roll-ups: which rows, which sums and sketches, and what these come to."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from alerts.monitors.types import Definition, Metric, Reading, Window
from alerts.series import making
from alerts.series.catalogue import quantile_of
from telltale.stats.sketch import Sketch
from traces.rollup.sums import Sums, What

_MS = 1e-6  # of nanoseconds
_SECONDS = 1e-9
_NO_CALL, _NO_REQUEST, _NO_USAGE = "no model call", "no request", "no call told its usage"


class Rows(StrEnum):
    """Which rows of roll-ups."""

    REQUESTS = "requests"  # whole traces
    CALLS = "calls"  # generations
    SPANS = "spans"  # all spans: usage and money are on the counted ones
    TOOLS = "tools"  # calls of tools


@dataclass(frozen=True, slots=True)
class Held:
    """What roll-ups hold of one series in one window. `named`: counts by reason, or by the value of a dimension."""

    window: Window
    zone: str
    metric: Metric
    definition: Definition
    sums: Sums
    sketches: Mapping[str, Sketch] = field(default_factory=dict)
    named: Mapping[str | None, int] = field(default_factory=dict)
    capacity: float | None = None

    def sketch(self, name: str) -> Sketch:
        """One that was asked for; empty where nothing was added."""
        return self.sketches.get(name) or Sketch()

    @property
    def seed(self) -> str:
        """What makes the order of values: the series alone."""
        return f"{self.metric.key} {self.definition.scope}"


@dataclass(frozen=True, slots=True)
class Recipe:
    """`want`, `sketches`: as `Rollups.ask` has them; `reason`: counts by reason too; `by`: counts by a dimension."""

    rows: Rows
    make: Callable[[Held], Reading]
    want: tuple[str, ...] = ("counts",)
    sketches: tuple[str, ...] = ()
    reason: What | None = None
    by: str = ""


def _part(name: str, lacking: str) -> Callable[[Held], Reading]:
    def make(held: Held) -> Reading:
        return making.share(held.window, getattr(held.sums, name), held.sums.n, lacking)

    return make


def _times(sketch: str, scale: float, lacking: str, *, inverse: bool = False) -> Callable[[Held], Reading]:
    def make(held: Held) -> Reading:
        q = quantile_of(held.definition)
        return making.times(held.window, held.sketch(sketch), q, scale, held.seed, lacking, inverse=inverse)

    return make


def _slow(sketch: str, lacking: str) -> Callable[[Held], Reading]:
    def make(held: Held) -> Reading:
        told = held.sketch(sketch)
        over = told.share_over(float(held.definition.params["limit_ms"]) / _MS)
        return making.share(held.window, round((over or 0.0) * told.n), told.n, lacking)

    return make


def _named(params: Mapping[str, Any], key: str) -> frozenset[str]:
    told = params[key]
    return frozenset([told] if isinstance(told, str) else told)


def _error_type(held: Held) -> Reading:
    wanted = _named(held.definition.params, "error_type")
    k = sum(n for name, n in held.named.items() if name in wanted)
    return making.share(held.window, k, held.sums.n, _NO_CALL)


def _finish_reason(held: Held) -> Reading:
    wanted = _named(held.definition.params, "finish_reason")
    told = sum(held.named.values())
    k = sum(n for name, n in held.named.items() if name in wanted)
    coverage = min(told / held.sums.n, 1.0) if held.sums.n else None
    return making.share(held.window, k, told, "no call told how it ended" if held.sums.n else _NO_CALL, coverage)


def _finish_reasons(held: Held) -> Reading:
    unknown = held.sums.n - sum(held.named.values())
    return making.categories(held.window, {**held.named, None: max(unknown, 0)}, _NO_CALL)


def _values(lacking: str) -> Callable[[Held], Reading]:
    def make(held: Held) -> Reading:
        return making.categories(held.window, held.named, lacking)

    return make


def _utilisation(held: Held) -> Reading:
    minutes, capacity = making.minutes_of(held.window), held.capacity
    value = None if not capacity else held.sums.n / minutes / capacity
    return making.level(held.window, value, held.sums.n, "no capacity is entered")


def _told_usage(sums: Sums) -> int:
    return sums.priced_count + sums.unpriced_count + sums.partial_count + sums.upper_bound_count


def _usage_coverage(sums: Sums) -> float | None:
    counted = _told_usage(sums) + sums.unknown_usage_count
    return _told_usage(sums) / counted if counted else None


def _tokens(name: str) -> Callable[[Held], Reading]:
    def make(held: Held) -> Reading:
        told, coverage = _told_usage(held.sums), _usage_coverage(held.sums)
        if not told and held.sums.unknown_usage_count:
            return making.nothing(held.window, _NO_USAGE, held.sums.unknown_usage_count, coverage)
        return making.count(held.window, held.zone, getattr(held.sums, name), n=told, coverage=coverage)

    return make


def _input_length(held: Held) -> Reading:
    told = _told_usage(held.sums)
    value = held.sums.input_tokens / told if told else None
    return making.level(held.window, value, told, _NO_USAGE, coverage=_usage_coverage(held.sums))


def _cache_share(held: Held) -> Reading:
    every = held.sums.input_tokens
    value = held.sums.input_cache_read / every if every else None
    return making.level(
        held.window, value, _told_usage(held.sums), "no input token was counted", coverage=_usage_coverage(held.sums)
    )


def _spend(held: Held) -> Reading:
    sums = held.sums
    known = sums.priced_count + sums.upper_bound_count
    counted = known + sums.partial_count + sums.unpriced_count + sums.unknown_usage_count
    if counted and not known:
        return making.nothing(held.window, "no call has a known cost", counted, 0.0)
    coverage = known / counted if counted else None
    micro = round(sums.cost_pico / 1_000_000)
    return making.count(held.window, held.zone, micro, n=known, value=sums.cost_pico / 1e12, coverage=coverage)


def _unpriced(held: Held) -> Reading:
    return making.share(held.window, held.sums.unpriced_count, _told_usage(held.sums), _NO_USAGE)


def _events(held: Held) -> Reading:
    return making.count(held.window, held.zone, held.sums.n)


_USAGE = ("statuses", "tokens")
RECIPES: dict[str, Recipe] = {
    "errors": Recipe(Rows.REQUESTS, _part("errors", _NO_REQUEST)),
    "failures": Recipe(Rows.REQUESTS, _part("failed", _NO_REQUEST)),
    "call_errors": Recipe(Rows.CALLS, _part("errors", _NO_CALL)),
    "error_type": Recipe(Rows.CALLS, _error_type, reason=What.ERROR_TYPE),
    "error_types": Recipe(Rows.CALLS, _values("no call failed"), reason=What.ERROR_TYPE),
    "retries": Recipe(Rows.CALLS, _part("retries", _NO_CALL)),
    "refusals": Recipe(Rows.CALLS, _part("refusals", _NO_CALL)),
    "finish_reason": Recipe(Rows.CALLS, _finish_reason, reason=What.FINISH_REASON),
    "finish_reasons": Recipe(Rows.CALLS, _finish_reasons, reason=What.FINISH_REASON),
    "request_duration": Recipe(Rows.REQUESTS, _times("duration", _MS, "no request ended"), sketches=("duration",)),
    "duration": Recipe(Rows.CALLS, _times("duration", _MS, "no model call ended"), sketches=("duration",)),
    "ttft": Recipe(Rows.CALLS, _times("ttft", _MS, "no call told its first token"), sketches=("ttft",)),
    "tpot": Recipe(Rows.CALLS, _times("tpot", _MS, "no call told its time per token"), sketches=("tpot",)),
    "token_speed": Recipe(
        Rows.CALLS, _times("tpot", _SECONDS, "no call told its time per token", inverse=True), sketches=("tpot",)
    ),
    "slow_requests": Recipe(Rows.REQUESTS, _slow("duration", "no request ended"), sketches=("duration",)),
    "slow_calls": Recipe(Rows.CALLS, _slow("duration", "no model call ended"), sketches=("duration",)),
    "slow_ttft": Recipe(Rows.CALLS, _slow("ttft", "no call told its first token"), sketches=("ttft",)),
    "slow_tpot": Recipe(Rows.CALLS, _slow("tpot", "no call told its time per token"), sketches=("tpot",)),
    "utilisation": Recipe(Rows.CALLS, _utilisation),
    "requests": Recipe(Rows.REQUESTS, _events),
    "calls": Recipe(Rows.CALLS, _events),
    "input_tokens": Recipe(Rows.SPANS, _tokens("input_tokens"), _USAGE),
    "output_tokens": Recipe(Rows.SPANS, _tokens("output_tokens"), _USAGE),
    "input_length": Recipe(Rows.SPANS, _input_length, _USAGE),
    "response_length": Recipe(Rows.CALLS, _times("length", 1.0, _NO_USAGE), sketches=("length",)),
    "spend": Recipe(Rows.SPANS, _spend, ("statuses", "cost")),
    "cache_share": Recipe(Rows.SPANS, _cache_share, _USAGE),
    "unpriced": Recipe(Rows.SPANS, _unpriced, ("statuses",)),
    "models": Recipe(Rows.CALLS, _values(_NO_CALL), by="model"),
    "tools": Recipe(Rows.TOOLS, _values("no tool was called"), by="stage"),
}
