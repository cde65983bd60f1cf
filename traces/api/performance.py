"""REST: how fast requests and model calls are, how many fail and why, and what the machines did."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from telltale.lib import clock
from telltale.rest import form, params, shapes
from telltale.rest.problems import bad_field
from telltale.rest.views import ProjectView
from telltale.stats.proportions import wilson
from telltale.stats.sketch import Sketch
from traces.api.traces import too_slow
from traces.canonical.types import Kind
from traces.read import TooSlow
from traces.read.hosts import read_hosts
from traces.read.performance import (
    BREAKDOWNS,
    DIMENSIONS,
    Performance,
    Terms,
    quantile_of,
    read_performance,
    totals,
)
from traces.read.rollups import Answer, Reasons, Row
from traces.rollup.sums import Sums

WINDOW_MAX = timedelta(days=400)
QUANTILES = (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))


class EstimateShape(serializers.Serializer[Any]):
    value = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(allow_null=True, help_text="Lower limit of the 95 % interval; null: there is none.")
    high = serializers.FloatField(allow_null=True)


class QuantilesShape(serializers.Serializer[Any]):
    n = serializers.IntegerField(help_text="How many told it.")
    p50 = EstimateShape()
    p95 = EstimateShape()
    p99 = EstimateShape()


class ShareShape(serializers.Serializer[Any]):
    k = serializers.IntegerField()
    n = serializers.IntegerField()
    share = serializers.FloatField(allow_null=True)
    low = serializers.FloatField(allow_null=True, help_text="Wilson's 95 % interval.")
    high = serializers.FloatField(allow_null=True)


class FiguresShape(serializers.Serializer[Any]):
    n = serializers.IntegerField()
    per_second = serializers.FloatField()
    errors = ShareShape()  # type: ignore[assignment]
    latency_ms = QuantilesShape()
    mean_latency_ms = serializers.FloatField(allow_null=True)
    token_weighted_latency_ms = serializers.FloatField(
        allow_null=True, help_text="sum(latency * output tokens) / sum(output tokens)."
    )
    first_token_ms = QuantilesShape()
    ms_per_output_token = QuantilesShape(help_text="(latency - first token) / (output tokens - 1).")
    output_tokens = QuantilesShape(help_text="Length of answers.")
    output_tokens_per_second = serializers.FloatField(help_text="All calls of the window together.")
    refusals = ShareShape()
    retries = serializers.IntegerField(help_text="Calls made after a failed one of the same name beside them.")


class PointShape(serializers.Serializer[Any]):
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    requests = FiguresShape(allow_null=True)
    calls = FiguresShape()


class BreakdownShape(serializers.Serializer[Any]):
    value = serializers.CharField(allow_null=True, help_text="null: unknown.")
    kind = serializers.CharField(required=False, help_text="Of stages alone.")
    figures = FiguresShape()


class PerformanceReasonShape(serializers.Serializer[Any]):
    reason = serializers.CharField()
    n = serializers.IntegerField()


class PerformanceShape(serializers.Serializer[Any]):
    start = serializers.DateTimeField(help_text="The window as answered: whole minutes, wider where it is old.")
    end = serializers.DateTimeField()
    lag_seconds = serializers.FloatField(help_text="How far the sums are behind what is stored.")
    requests = FiguresShape(allow_null=True, help_text="null where a filter names a model or provider.")
    calls = FiguresShape(help_text="Model calls.")
    series = PointShape(many=True)
    by = serializers.CharField()
    breakdown = BreakdownShape(many=True)
    error_types = PerformanceReasonShape(many=True, allow_null=True)
    finish_reasons = PerformanceReasonShape(many=True)


class HostPointShape(serializers.Serializer[Any]):
    start = serializers.DateTimeField()
    value = serializers.FloatField()


class HostLineShape(serializers.Serializer[Any]):
    measure = serializers.CharField()
    unit = serializers.CharField(help_text="share (0 to 1) or what is counted.")
    host = serializers.CharField()
    metric = serializers.CharField()
    points = HostPointShape(many=True)


class HostsShape(serializers.Serializer[Any]):
    start = serializers.DateTimeField()
    end = serializers.DateTimeField()
    step_seconds = serializers.IntegerField()
    is_cut = serializers.BooleanField(help_text="There are more series than are read.")
    lines = HostLineShape(many=True)


class PerformanceView(ProjectView):
    query = {"GET": ("from", "to", "by", *DIMENSIONS, *(f"{name}.missing" for name in DIMENSIONS))}

    @shapes.describe(
        "How fast requests and model calls are",
        PerformanceShape,
        tag="Performance",
        detail="Latency, first token, time per output token, throughput, errors, refusals and retries over a window "
        "(the last 7 days by default), as a series and broken down. Quantiles come from sketches with a relative error "
        "of at most 2.44 %, with order-statistic intervals.",
        query=(
            shapes.FROM,
            shapes.TO,
            OpenApiParameter("by", OpenApiTypes.STR, enum=BREAKDOWNS, description="What to break down by."),
            *(OpenApiParameter(name, OpenApiTypes.STR, description=f"Of this {name} alone.") for name in DIMENSIONS),
            *(
                OpenApiParameter(f"{name}.missing", OpenApiTypes.STR, enum=["yes"], description="Where it is unknown.")
                for name in DIMENSIONS
            ),
        ),
    )
    def get(self, request: Request) -> Response:
        query = request.query_params
        start, end = _window(request)
        by = params.choice(query, "by", BREAKDOWNS, "feature")
        terms: dict[str, str | None] = {}
        for name in DIMENSIONS:
            if params.choice(query, f"{name}.missing", ("yes",)):
                terms[name] = None
            elif value := params.text(query, name):
                terms[name] = value
        return Response(performance_json(self._read(start, end, terms, by)))

    def _read(self, start: datetime, end: datetime, terms: Terms, by: str) -> Performance:
        try:
            return read_performance(self.project.pk, self.project.time_zone, start, end, terms, by)
        except TooSlow:
            raise too_slow() from None


class HostsView(ProjectView):
    query = {"GET": ("from", "to")}

    @shapes.describe(
        "What the machines did",
        HostsShape,
        tag="Performance",
        detail="CPU, memory and GPU of hosts from /v1/metrics, by 5 minutes up to two days, else by hour.",
        query=(shapes.FROM, shapes.TO),
    )
    def get(self, request: Request) -> Response:
        start, end = _window(request)
        try:
            hosts = read_hosts(self.project.pk, start, end)
        except TooSlow:
            raise too_slow() from None
        return Response(
            {
                "start": form.moment(start),
                "end": form.moment(end),
                "step_seconds": int(hosts.step.total_seconds()),
                "is_cut": hosts.is_cut,
                "lines": [
                    {
                        "measure": line.measure.key,
                        "unit": line.measure.unit,
                        "host": line.host,
                        "metric": line.source,
                        "points": [{"start": form.moment(p.bucket), "value": p.value} for p in line.points],
                    }
                    for line in hosts.lines
                ],
            }
        )


def _window(request: Request) -> tuple[datetime, datetime]:
    now = clock.now()
    start, end = params.window(request.query_params, now - timedelta(days=7), now)
    if end - start > WINDOW_MAX:
        raise bad_field("from", "the window is too long", limit=f"{WINDOW_MAX.days} days", value=str(end - start))
    return start, end


def performance_json(found: Performance) -> dict[str, Any]:
    """A performance as REST shows it."""
    edges = found.calls.edges
    asked: Sequence[Row | None] = [None] * (len(edges) - 1) if found.requests is None else found.requests.points()
    return {
        "start": form.moment(found.start),
        "end": form.moment(found.end),
        "lag_seconds": found.state.lag_seconds,
        "requests": None if found.requests is None else _whole(found.requests, found.seconds),
        "calls": _whole(found.calls, found.seconds),
        "series": [
            {
                "start": form.moment(start),
                "end": form.moment(end),
                "requests": None if one is None else figures_json(one, (end - start).total_seconds()),
                "calls": figures_json(other, (end - start).total_seconds()),
            }
            for (start, end), one, other in zip(pairwise(edges), asked, found.calls.points(), strict=True)
        ],
        "by": found.by,
        "breakdown": breakdown_json(found),
        "error_types": None if found.errors is None else _reasons(found.errors),
        "finish_reasons": _reasons(found.finishes),
    }


def breakdown_json(found: Performance) -> list[dict[str, Any]]:
    """The rows of the breakdown, most frequent first: the value, of stages their kind, and the figures."""
    return [
        {
            "value": None if row.key[-1] is None else str(row.key[-1]),
            **({"kind": Kind(int(row.key[0] or 0)).name.lower()} if found.by == "stage" else {}),
            "figures": figures_json(row, found.seconds),
        }
        for row in sorted(found.breakdown.rows, key=lambda row: (-row.sums.n, str(row.key)))
    ]


def _whole(answer: Answer, seconds: float) -> dict[str, Any]:
    whole = totals(answer)
    return figures_json(Row(0, (), whole.sums, whole.sketches), seconds)


def figures_json(row: Row, seconds: float) -> dict[str, Any]:
    """The figures of one group over `seconds`."""
    sums: Sums = row.sums
    mean, weighted = sums.mean_duration_ns, sums.token_weighted_duration_ns
    return {
        "n": sums.n,
        "per_second": sums.n / seconds if seconds else 0.0,
        "errors": _share(sums.errors, sums.n),
        "latency_ms": _quantiles(row.sketch("duration")),
        "mean_latency_ms": None if mean is None else mean / 1e6,
        "token_weighted_latency_ms": None if weighted is None else weighted / 1e6,
        "first_token_ms": _quantiles(row.sketch("ttft")),
        "ms_per_output_token": _quantiles(row.sketch("tpot")),
        "output_tokens": _quantiles(row.sketch("length"), 1e6),
        "output_tokens_per_second": sums.output_tokens / seconds if seconds else 0.0,
        "refusals": _share(sums.refusals, sums.n),
        "retries": sums.retries,
    }


def _quantiles(sketch: Sketch, scale: float = 1.0) -> dict[str, Any]:
    told: dict[str, Any] = {"n": sketch.n}
    for name, q in QUANTILES:
        value, low, high = (None if v is None else v * scale for v in quantile_of(sketch, q))
        told[name] = {"value": value, "low": low, "high": high}
    return told


def _share(k: int, n: int) -> dict[str, Any]:
    found = wilson(k, n)
    return {"k": k, "n": n, "share": found.share, "low": found.low, "high": found.high}


def _reasons(found: Reasons) -> list[dict[str, Any]]:
    return [{"reason": row.reason, "n": row.n} for row in found.rows]
