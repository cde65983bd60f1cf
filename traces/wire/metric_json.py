"""OTLP/JSON metrics."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from traces.canonical.limits import Limits
from traces.canonical.notes import Notes
from traces.canonical.source import Source
from traces.canonical.text import clean_text
from traces.wire.json_pieces import consume, json_requests
from traces.wire.metric_shapes import Metric, Point
from traces.wire.otlp_json import BadField, listing, mapping, nanoseconds, objects, text
from traces.wire.otlp_traces import json_source
from traces.wire.values import keep_first, read_json_pairs

_KINDS = {
    "gauge": "gauge",
    "sum": "sum",
    "histogram": "histogram",
    "exponentialHistogram": "exponential_histogram",
    "summary": "summary",
}


def json_metrics(body: bytes, limits: Limits) -> Iterator[tuple[Source, Metric]]:
    """The metrics of an OTLP/JSON body with their source."""
    for resource, scope, items in json_requests(body, "resourceMetrics", "scopeMetrics", "metrics"):
        source = json_source(resource, scope, limits)
        for item in consume(items):
            if not isinstance(item, dict):
                continue
            for name, kind in _KINDS.items():
                if isinstance(item.get(name), dict):
                    yield source, _metric(item, item[name], kind, limits)
                    break


def _metric(item: dict[str, Any], data: dict[str, Any], kind: str, limits: Limits) -> Metric:
    is_delta = data.get("aggregationTemporality") in (1, "1", "AGGREGATION_TEMPORALITY_DELTA")
    points: list[Callable[[], Point | None]] = [
        partial(_point, point, kind, limits) for point in listing(data.get("dataPoints"))
    ]
    return Metric(
        clean_text(text(item.get("name"))[:250]),
        clean_text(text(item.get("unit"))[:60]),
        kind,
        "delta" if is_delta else "cumulative",
        points,
    )


def _point(data: Any, kind: str, limits: Limits) -> Point | None:
    if not isinstance(data, dict):
        raise BadField(f"a point must be a JSON object, got {type(data).__name__}")
    flags = _integer(data.get("flags"))
    if flags is not None and flags & 1:
        return None
    notes = Notes()
    pairs = read_json_pairs(data.get("attributes"), limits, notes)
    point = Point(keep_first(pairs, limits, notes, "attributes"), nanoseconds(data.get("timeUnixNano"), "timeUnixNano"))
    if kind in ("gauge", "sum"):
        point.value = _number(data.get("asDouble", data.get("asInt")))
        return None if point.value is None else point
    point.count = _integer(data.get("count"))
    point.total = _number(data.get("sum"))
    if kind == "summary":
        point.buckets = {
            "quantiles": [
                [_number(item.get("quantile")), _number(item.get("value"))]
                for item in objects(data.get("quantileValues"))
            ]
        }
        return point
    point.low, point.high = _number(data.get("min")), _number(data.get("max"))
    if kind == "histogram":
        point.buckets = {
            "bounds": [_number(item) for item in listing(data.get("explicitBounds"))],
            "counts": [_integer(item) for item in listing(data.get("bucketCounts"))],
        }
    else:
        point.buckets = {
            "scale": _integer(data.get("scale")) or 0,
            "zero_count": _integer(data.get("zeroCount")) or 0,
            "zero_threshold": _number(data.get("zeroThreshold")),
            "positive": _half(mapping(data.get("positive"))),
            "negative": _half(mapping(data.get("negative"))),
        }
    return point


def _half(data: dict[str, Any]) -> dict[str, Any]:
    counts = [_integer(item) for item in listing(data.get("bucketCounts"))]
    return {"offset": _integer(data.get("offset")) or 0, "counts": counts}


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        number = float(value)
    except (ValueError, OverflowError):
        return None
    return number if math.isfinite(number) else None


def _integer(value: Any) -> int | None:
    number = value if isinstance(value, int) and not isinstance(value, bool) else _number(value)
    if number is None:
        return None
    return min(max(int(number), -(2**63)), 2**63 - 1)
