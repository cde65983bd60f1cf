"""The product's own calls of models (judges, experiments) as traces: priced and stored by the code of ingest.

They name the service `telltale.judge`, are no application's traffic, are told to nobody above and sent on to nobody.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson
from django.db import connection

from telltale.lib import clock
from traces.canonical.types import BUCKETS, Kind
from traces.cost.book import Level, MatchKind, PriceBook, PriceRow
from traces.cost.judging import JUDGE_SERVICE
from traces.cost.pricing import cost_of
from traces.masks import masker_for
from traces.prices import load_book
from traces.read.filters import TraceFilter
from traces.wire.ids import hex_span_id
from traces.wire.native import read_native
from traces.write import Rules, store_spans
from traces.write.batch import Batch
from traces.write.erased import find_gone

__all__ = ["JUDGE_SERVICE", "OwnCall", "Rates", "has_calls", "price_call", "store_calls", "without_calls"]

HOLD_SECONDS = 10.0
_KNOWN_MAX = 10_000
# Roll-ups know the services of a project, within seconds of their first trace.
_HAS = "SELECT EXISTS (SELECT FROM traces_scope WHERE project_id = %s AND service = %s)"


@dataclass(frozen=True, slots=True)
class Rates:
    """What an endpoint itself says a token costs, in whole pico-dollars. It goes before the price book."""

    input_pico: int
    output_pico: int

    def row(self, model: str) -> PriceRow:
        rates = tuple(self.input_pico if name.startswith("input") else self.output_pico for name in BUCKETS)
        return PriceRow(MatchKind.EXACT, model, rates, level=Level.ENDPOINT)


@dataclass(frozen=True, slots=True)
class OwnCall:
    """One call of a model. `trace_id` may be repeated: a call is stored once. Unknown is None, unknown text ""."""

    trace_id: UUID
    span_id: int
    name: str
    model: str
    provider: str
    started_at: datetime
    duration_ms: float
    input_tokens: int | None = None
    output_tokens: int | None = None
    cached_tokens: int | None = None
    model_answered: str = ""
    finish_reason: str = ""
    error: str = ""
    system: str = ""
    prompt: str = ""
    answer: str = ""
    metadata: Mapping[str, Any] = field(default_factory=dict)
    rates: Rates | None = None


# Until when it is known that a project has none; infinity: it has.
_known: dict[int, float] = {}


def has_calls(project_id: int) -> bool:
    """Whether the project has traces of the product's own calls, at most `HOLD_SECONDS` late."""
    held = _known.get(project_id, 0.0)
    if held == math.inf or held > time.monotonic():
        return held == math.inf
    with connection.cursor() as cursor:
        cursor.execute(_HAS, [project_id, JUDGE_SERVICE])
        found = bool(cursor.fetchone()[0])
    if len(_known) > _KNOWN_MAX:
        _known.clear()
    _known[project_id] = math.inf if found else time.monotonic() + HOLD_SECONDS
    return found


def without_calls(project_id: int, wanted: TraceFilter, *, is_shown: bool = False) -> TraceFilter:
    """The same list without the product's own calls, unless they are to be shown or a service is asked for."""
    if is_shown or any(term.field == "service" for term in wanted.terms) or not has_calls(project_id):
        return wanted
    return replace(wanted, hides=(JUDGE_SERVICE,))


def forget() -> None:
    """Forget which projects have calls of ours (tests)."""
    _known.clear()


def price_call(
    project_id: int,
    provider: str,
    model: str,
    input_tokens: int | None,
    output_tokens: int | None,
    cached_tokens: int | None = None,
    *,
    model_answered: str = "",
    at: datetime | None = None,
    rates: Rates | None = None,
) -> int | None:
    """What a call costs in pico-dollars: by the endpoint's rates, else by the project's price book. None unknown."""
    if input_tokens is None or output_tokens is None:
        return None
    if rates is not None:
        return rates.input_pico * input_tokens + rates.output_pico * output_tokens
    cached = min(cached_tokens or 0, input_tokens)
    tokens = (input_tokens - cached, cached or None, None, None, None, output_tokens, None, None)
    return cost_of(
        load_book(project_id),
        kind=Kind.GENERATION,
        provider=provider or None,
        model_answered=model_answered or None,
        model_requested=model,
        tier=None,
        started_us=int((at or clock.now()).timestamp() * 1_000_000),
        duration_ns=None,
        tokens=tokens,
        cache_unknown=cached_tokens is None,
    ).pico


def store_calls(project_id: int, calls: Sequence[OwnCall]) -> int:
    """Store calls as traces of one generation each; how many were new. Commits by itself.

    A call that was told of a trace (`target` in its metadata) which was erased meanwhile is not stored.
    """
    calls = _without_erased(project_id, calls)
    if not calls:
        return 0
    now = clock.now()
    document = orjson.dumps({"traces": [_trace(call) for call in calls]})
    native = read_native(document, received_at_ns=int(now.timestamp() * 1_000_000) * 1000)
    batch = Batch(project_id, 0, "native", now, len(document))
    own = {(call.model, call.rates): call.rates.row(call.model) for call in calls if call.rates is not None}
    book = load_book(project_id)
    rules = Rules(PriceBook(own.values(), base=book) if own else book, lambda name, service: None)
    rules = replace(rules, masker=masker_for(batch.project_id))
    return store_spans(batch, native.intake, rules).stored


def _without_erased(project_id: int, calls: Sequence[OwnCall]) -> Sequence[OwnCall]:
    targets = {at: UUID(hex=told) for at, call in enumerate(calls) if (told := call.metadata.get("target"))}
    gone = find_gone(project_id, traces=set(targets.values()))
    return [call for at, call in enumerate(calls) if not gone.why(targets.get(at))]


def _trace(call: OwnCall) -> dict[str, Any]:
    usage = {"input_tokens": call.input_tokens, "output_tokens": call.output_tokens}
    if call.cached_tokens is not None:
        usage["cached_tokens"] = call.cached_tokens
    span: dict[str, Any] = {
        "trace_id": call.trace_id.hex,
        "id": hex_span_id(call.span_id),
        "name": call.name,
        "kind": "generation",
        "service": JUDGE_SERVICE,
        "model": call.model,
        "provider": call.provider,
        "operation": "chat",
        "start": call.started_at.astimezone(UTC).isoformat(),
        "duration_ms": call.duration_ms,
        "usage": {name: count for name, count in usage.items() if count is not None},
        "metadata": dict(call.metadata),
    }
    # The endpoint's own rates are for the model that was asked for.
    if call.model_answered and call.rates is None:
        span["model_answered"] = call.model_answered
    if call.finish_reason:
        span["finish_reason"] = call.finish_reason
    if call.system:
        span["system"] = call.system
    if call.prompt:
        span["input"] = [{"role": "user", "content": call.prompt}]
    if call.answer:
        span["output"] = call.answer
    if call.error:
        span["error"] = {"type": call.error, "message": call.error}
    return span
