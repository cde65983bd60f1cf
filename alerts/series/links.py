"""Where the traces (or sessions) behind a point of a chart are: addresses of lists, as query strings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Literal
from urllib.parse import parse_qsl, urlencode

from alerts.monitors.types import Definition, Metric, Scope, Window
from alerts.series.catalogue import HOSTS, INGEST

_REQUEST = {"prompt_name": "prompt"}
_CALL = {"prompt_name": "call.prompt"}
# Of a request's own row.
_OF_REQUESTS = frozenset(
    {
        "errors", "failures", "request_duration", "slow_requests", "requests", "silence", "cost_per_request",
        "free_requests", "embeddings", "inputs_and_outputs",
    }
)  # fmt: skip
# All spans, not generations alone: usage and money are on the counted ones.
_OF_SPANS = frozenset({"input_tokens", "output_tokens", "input_length", "spend", "cache_share", "unpriced"})
_SEEN = {
    "abandoned": ("abandoned",),
    "retried": ("retried", "rephrased"),
    "corrected": ("corrected",),
    "escalated": ("escalated",),
    "completed": ("completed",),
}
Pairs = list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Behind:
    """A list ("" none shows it) and the query string that narrows it to what a point is of."""

    page: Literal["traces", "sessions", ""]
    query: str


def behind(metric: Metric, definition: Definition, window: Window) -> Behind:
    """What stands behind one point: the rows counted, and of a share those that are counted as bad where a list can.

    A dimension that accepts unknown beside names is left out: no list can ask for both.
    """
    scope = definition.scope
    times = [("from", _iso(window.start)), ("to", _iso(window.end))]
    kept = parse_qsl(scope.filter)
    if metric.group in {INGEST, HOSTS} or metric.key in {"unparsable", "coverage"}:
        return Behind("", "")
    if metric.key in _SEEN or metric.key in {"vote_coverage", "sessions", "cost_per_session", "outcome",
                                             "cost_per_resolved", "thumbs_down"}:  # fmt: skip
        return Behind("sessions", _query([*times, *_terms(scope, "", {}), *_session_terms(metric.key)]))
    if metric.scopes and metric.key not in _OF_REQUESTS and "provider" in metric.scopes and not scope.filter:
        calls = [("call.from", times[0][1]), ("call.to", times[1][1])]
        return Behind("traces", _query([*calls, *_call_terms(metric, definition), *_terms(scope, "call.", _CALL)]))
    return Behind("traces", _query([*times, *kept, *_trace_terms(metric, definition), *_terms(scope, "", _REQUEST)]))


def traces_behind(metric: Metric, definition: Definition, window: Window) -> str:
    """The query string of the list of traces behind one point; "" where that list does not show them."""
    found = behind(metric, definition, window)
    return found.query if found.page == "traces" else ""


def _terms(scope: Scope, prefix: str, names: dict[str, str]) -> Iterable[tuple[str, str]]:
    for name, values in scope.values:
        key = names.get(name, f"{prefix}{name}")
        if None not in values:
            yield from ((key, str(value)) for value in values)
        elif len(values) == 1:
            yield f"{key}.missing", "yes"


def _call_terms(metric: Metric, definition: Definition) -> Pairs:
    params = definition.params
    if metric.key == "tools":
        return [("call.kind", "tool")]
    pairs = [] if metric.key in _OF_SPANS else [("call.kind", "generation")]
    match metric.key:
        case "call_errors" | "error_types":
            pairs.append(("call.status", "error"))
        case "error_type":
            pairs += [("call.error_type", each) for each in _texts(params.get("error_type"))]
        case "finish_reason":
            pairs += [("call.finish_reason", each) for each in _texts(params.get("finish_reason"))]
        case "refusals":
            pairs += [("call.finish_reason", each) for each in ("refusal", "content_filter")]
        case "slow_calls":
            pairs.append(("call.duration_ms.min", f"{params.get('limit_ms', 0):g}"))
        case "slow_ttft":
            pairs.append(("call.ttft_ms.min", f"{params.get('limit_ms', 0):g}"))
        case "unpriced":
            pairs.append(("cost_status", "unpriced"))
        case "spend":
            pairs.append(("sort", "-cost"))
        case "duration" | "tpot" | "token_speed" | "slow_tpot":
            pairs.append(("sort", "-duration"))
    return pairs


def _trace_terms(metric: Metric, definition: Definition) -> Pairs:
    params = definition.params
    judge, criterion = params.get("judge", ""), params.get("criterion", "")
    match metric.key:
        case "errors":
            return [("status", "error")]
        case "failures":
            return [("status", "failed")]
        case "slow_requests":
            return [("duration_ms.min", f"{params.get('limit_ms', 0):g}")]
        case "request_duration":
            return [("sort", "-duration")]
        case "cost_per_request" | "spend":
            return [("sort", "-cost")]
        case "free_requests":
            return [("cost.max", "0")]
        case "unpriced":
            return [("cost_status", "unpriced")]
        case "tools":
            return [("kind", "tool")]
        case "flagged":
            return [("flagged", str(judge))]
        case "score" | "relevance" | "format_compliance":
            return [(f"score.{judge}/{criterion}.exists", "yes")]
        case "posted_score":
            return [(f"score.api/{params.get('name', '')}.exists", "yes")]
        case "low_scores" | "hallucination" | "toxicity":
            at_most = params.get("at_most")
            if isinstance(at_most, int | float):
                return [(f"score.{judge}/{criterion}.max", f"{at_most:g}")]
            return [(f"score.{judge}/{criterion}.exists", "yes")]
    return []


def _session_terms(key: str) -> Pairs:
    if key == "thumbs_down":
        return [("vote", "down")]
    if key == "vote_coverage":
        return [("vote", "up"), ("vote", "down")]
    if key == "cost_per_session":
        return [("sort", "-cost")]
    return [("seen", each) for each in _SEEN.get(key, ())]


def _texts(told: object) -> list[str]:
    if isinstance(told, str):
        return [told]
    return [str(each) for each in told] if isinstance(told, list | tuple) else []


def _query(pairs: Iterable[tuple[str, str]]) -> str:
    return urlencode(list(pairs))


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z")
