"""Metric points of OTLP requests: those of an allow-list become points of series, others are counted and dropped."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from typing import Any

from traces.canonical.limits import DEFAULT_LIMITS, Limits
from traces.canonical.moments import clamp_us
from traces.canonical.notes import Notes
from traces.canonical.source import Source, digest64
from traces.canonical.types import MetricIntake, MetricPoint
from traces.wire.metric_json import json_metrics
from traces.wire.metric_shapes import Metric, Point
from traces.wire.otlp_json import BadField
from traces.wire.otlp_traces import protobuf_source
from traces.wire.protobuf import METRICS, read_groups
from traces.wire.refusals import Refusals, note_internal
from traces.wire.values import keep_first, read_pairs

# Host and GPU metrics by the semantic conventions, DCGM's, vLLM's and TGI's own names, and GenAI's.
ALLOWED_PREFIXES = (
    "system.", "process.", "hw.", "gpu.", "DCGM_", "dcgm.", "dcgm_", "vllm:", "vllm.", "vllm_", "tgi_", "tgi.",
    "gen_ai.",
)  # fmt: skip
NOT_ALLOWED = "not_an_allowed_metric"
NO_VALUE = "no_recorded_value"
# Of the resource, what tells one sender's series from another's on a page; the rest only enters the series key.
SHOWN_RESOURCE_KEYS = ("service.name", "host.name", "service.instance.id")
MAX_SERIES_ATTRIBUTES = 32
MAX_SERIES_TEXT_BYTES = 1024
MAX_BUCKETS = 1024

_DATA = {
    "gauge": "gauge",
    "sum": "sum",
    "histogram": "histogram",
    "exponential_histogram": "exponential_histogram",
    "summary": "summary",
}


def read_metrics(body: bytes, is_json: bool, *, received_at_ns: int, limits: Limits = DEFAULT_LIMITS) -> MetricIntake:
    """The points of allow-listed metrics; WireError 400 where not even the request's outline can be read.

    `received == len(points) + sum(dropped) + sum(rejected)` always, counted in points.
    """
    intake = MetricIntake()
    refusals = Refusals()
    dropped: Counter[str] = Counter()
    metrics = json_metrics(body, limits) if is_json else _protobuf_metrics(body, limits, intake, refusals)
    for source, metric in metrics:
        for read in metric.points:
            intake.received += 1
            if not metric.name.startswith(ALLOWED_PREFIXES):
                dropped[NOT_ALLOWED] += 1
                continue
            try:
                point = read()
                if point is None:
                    dropped[NO_VALUE] += 1
                else:
                    intake.points.append(_canonical(metric, point, source, received_at_ns))
            except BadField as error:
                refusals.add("bad_field", f"metric {metric.name[:100]}: {error}")
            except Exception as error:  # noqa: BLE001 - one point must never cost its neighbours
                note_internal(refusals, error)
    intake.rejections = refusals.rejections("points")
    intake.dropped = dict(dropped)
    return intake


def _canonical(metric: Metric, point: Point, source: Source, received_at_ns: int) -> MetricPoint:
    attributes = dict(list(point.attributes.items())[:MAX_SERIES_ATTRIBUTES])
    if metric.temporality == "delta":
        attributes["otel.temporality"] = "delta"
    key = digest64(metric.name, metric.unit, metric.kind, attributes, source.resource)
    for name in SHOWN_RESOURCE_KEYS:
        if name in source.resource:
            attributes.setdefault(name, source.resource[name])
    if point.buckets is not None and any(
        isinstance(item, list) and len(item) > MAX_BUCKETS for item in _lists(point.buckets)
    ):
        raise BadField(f"a histogram may have at most {MAX_BUCKETS} buckets")
    return MetricPoint(
        series_key=key,
        name=metric.name,
        unit=metric.unit,
        kind=metric.kind,
        attributes=attributes,
        at_us=clamp_us((point.at_ns or received_at_ns) // 1000),
        value=point.value,
        count=point.count,
        total=point.total,
        low=point.low,
        high=point.high,
        buckets=point.buckets,
    )


def _lists(buckets: dict[str, Any]) -> Iterator[Any]:
    for value in buckets.values():
        if isinstance(value, dict):
            yield from value.values()
        else:
            yield value


def _protobuf_metrics(
    body: bytes, limits: Limits, intake: MetricIntake, refusals: Refusals
) -> Iterator[tuple[Source, Metric]]:
    for group in read_groups(body, METRICS):
        source = protobuf_source(group.resource, group.scope, limits)
        for reason in group.refused:
            intake.received += 1
            refusals.add("not_decodable", f"a metric's protobuf is {reason}")
        for message in group.items:
            kind = message.WhichOneof("data")
            if kind not in _DATA:
                continue
            data = getattr(message, kind)
            is_delta = kind not in ("gauge", "summary") and data.aggregation_temporality == 1
            yield (
                source,
                Metric(
                    message.name.replace("\x00", "\ufffd")[:250],
                    message.unit.replace("\x00", "\ufffd")[:60],
                    kind,
                    "delta" if is_delta else "cumulative",
                    [_Later(kind, point, limits) for point in data.data_points],
                ),
            )


class _Later:
    """A protobuf point, read only if its metric is kept."""

    __slots__ = ("_kind", "_limits", "_point")

    def __init__(self, kind: str, point: Any, limits: Limits) -> None:
        self._kind, self._point, self._limits = kind, point, limits

    def __call__(self) -> Point | None:
        point, notes = self._point, Notes()
        if point.flags & 1:  # "no recorded value"
            return None
        pairs = read_pairs(point.attributes, self._limits, notes)
        read = Point(keep_first(pairs, self._limits, notes, "attributes"), point.time_unix_nano)
        if self._kind in ("gauge", "sum"):
            which = point.WhichOneof("value")
            value = None if which is None else float(getattr(point, which))
            if value is None or not math.isfinite(value):
                return None
            read.value = value
            return read
        read.count = min(point.count, 2**63 - 1)
        if self._kind == "summary":
            read.total = finite(point.sum)
            read.buckets = {"quantiles": [[finite(q.quantile), finite(q.value)] for q in point.quantile_values]}
            return read
        read.total = finite(point.sum) if point.HasField("sum") else None
        read.low = finite(point.min) if point.HasField("min") else None
        read.high = finite(point.max) if point.HasField("max") else None
        if self._kind == "histogram":
            read.buckets = {
                "bounds": [finite(bound) for bound in point.explicit_bounds],
                "counts": list(point.bucket_counts),
            }
        else:
            read.buckets = {
                "scale": point.scale,
                "zero_count": point.zero_count,
                "zero_threshold": finite(point.zero_threshold),
                "positive": {"offset": point.positive.offset, "counts": list(point.positive.bucket_counts)},
                "negative": {"offset": point.negative.offset, "counts": list(point.negative.bucket_counts)},
            }
        return read


def finite(value: float) -> float | None:
    """A number that is one, None for NaN and the infinities."""
    return value if math.isfinite(value) else None
