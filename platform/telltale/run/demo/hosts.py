"""What the shop's machines did: CPU, memory and GPU every five minutes, sent to /v1/metrics beside the traces."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from random import Random

from opentelemetry.exporter.otlp.proto.http import Compression
from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
from opentelemetry.sdk.metrics.export import (
    Gauge,
    Metric,
    MetricExportResult,
    MetricsData,
    NumberDataPoint,
    ResourceMetrics,
    ScopeMetrics,
)
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.util.instrumentation import InstrumentationScope

from telltale.run.demo.account import Address, SendError
from telltale.run.demo.story import HOURS, Story

STEP = timedelta(minutes=5)
_BUSIEST = max(HOURS)


@dataclass(frozen=True, slots=True)
class Host:
    """A machine: the measures it tells of, each between what it is at night and in the busiest hour."""

    name: str
    measures: tuple[tuple[str, float, float], ...]


Readings = tuple["Host", str, list[tuple[datetime, float]]]
_API = (("system.cpu.utilization", 0.09, 0.58), ("system.memory.utilization", 0.41, 0.63))
FLEET = (
    Host("shop-api-1", _API),
    Host("shop-api-2", _API),
    Host(
        "gpu-1",
        (
            ("system.cpu.utilization", 0.06, 0.22),
            ("system.memory.utilization", 0.35, 0.44),
            ("DCGM_FI_PROF_SM_ACTIVE", 0.14, 0.86),
            ("hw.gpu.memory.utilization", 0.52, 0.81),
            ("vllm:num_requests_waiting", 0.0, 5.0),
        ),
    ),
)


def make_readings(story: Story, day: date, before: datetime) -> Iterator[Readings]:
    """The readings of a day that were before `before`: (host, metric, [(at, value)])."""
    start = datetime.combine(day, time(), UTC)
    moments = [start + STEP * number for number in range(timedelta(days=1) // STEP)]
    for host in FLEET:
        for metric, quiet, busy in host.measures:
            rng = Random(f"{story.seed}/{day}/{host.name}/{metric}")  # noqa: S311 - made-up traffic
            drift = 0.0
            told = []
            for at in moments:
                drift = 0.9 * drift + rng.gauss(0, 0.025)
                share = min(max(_load(story, host, at) + drift, 0.0), 1.1)
                value = quiet + (busy - quiet) * share
                is_count = metric.startswith("vllm:")
                told.append((at, float(round(value)) if is_count else round(min(max(value, 0.0), 1.0), 4)))
            if kept := [(at, value) for at, value in told if at < before]:
                yield host, metric, kept


def _load(story: Story, host: Host, at: datetime) -> float:
    """How busy the shop is, 0 to 1: by the hour, gliding; while Anthropic was overloaded its own GPU took more."""
    hour = at.hour + at.minute / 60 - 0.5
    low = math.floor(hour)
    part = hour - low
    load = (HOURS[low % 24] * (1 - part) + HOURS[(low + 1) % 24] * part) / _BUSIEST
    if host.name == "gpu-1" and story.has_outage(at):
        load += 0.3
    return load


def send_readings(address: Address, readings: Iterable[Readings]) -> int:
    """Send readings by OpenTelemetry's own exporter; how many points. SendError where they were not taken."""
    exporter = OTLPMetricExporter(
        address.path_url("/v1/metrics"),
        headers={"Authorization": f"Bearer {address.secret}"},
        timeout=30,
        compression=Compression.Gzip,
    )
    points = 0
    by_host: dict[str, list[Metric]] = {}
    for host, metric, told in readings:
        values = [NumberDataPoint({}, 0, int(at.timestamp()) * 10**9, value) for at, value in told]
        by_host.setdefault(host.name, []).append(Metric(metric, "", _unit(metric), Gauge(values)))
        points += len(values)
    scope = InstrumentationScope("shop.hosts")
    resources = [
        ResourceMetrics(
            Resource({"host.name": name, "service.name": "shop-hosts", "telltale.demo": True}),
            [ScopeMetrics(scope, metrics, "")],
            "",
        )
        for name, metrics in by_host.items()
    ]
    try:
        if resources and exporter.export(MetricsData(resources)) is not MetricExportResult.SUCCESS:
            raise SendError(f"{address.url} did not take the readings of the machines.")
    finally:
        exporter.shutdown()
    return points


def _unit(metric: str) -> str:
    return "{request}" if metric.startswith("vllm:") else "1"
