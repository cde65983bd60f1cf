"""Measures of a host and the metric names that tell them, by the conventions of OpenTelemetry, DCGM, vLLM and TGI."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class How(StrEnum):
    """How readings of a metric become a figure of its measure."""

    SHARE = "share"  # 0..1 as it is
    PERCENT = "percent"  # 0..100
    STATES = "states"  # a share for each state: 1 - the idle ones
    STATE_TIME = "state time"  # seconds spent in each state, ever growing: the part not idle of what was added
    STATE_BYTES = "state bytes"  # an amount for each state: the part used
    COUNT = "count"  # how many, as it is


@dataclass(frozen=True, slots=True)
class Source:
    """One metric that tells a measure. Of several, the first in `MEASURES` that has readings is taken for a host."""

    name: str
    how: How


@dataclass(frozen=True, slots=True)
class Measure:
    """Something people look at beside latency. `unit` is "share" or a noun."""

    key: str
    label: str
    unit: str
    sources: tuple[Source, ...]


MEASURES = (
    Measure(
        "cpu",
        "CPU busy",
        "share",
        (
            Source("system.cpu.utilization", How.STATES),
            Source("system.cpu.time", How.STATE_TIME),
            Source("process.cpu.utilization", How.STATES),
        ),
    ),
    Measure(
        "memory",
        "Memory used",
        "share",
        (Source("system.memory.utilization", How.STATES), Source("system.memory.usage", How.STATE_BYTES)),
    ),
    Measure(
        "gpu",
        "GPU busy",
        "share",
        (
            Source("DCGM_FI_PROF_SM_ACTIVE", How.SHARE),
            Source("hw.gpu.utilization", How.SHARE),
            Source("gpu.utilization", How.SHARE),
            Source("DCGM_FI_DEV_GPU_UTIL", How.PERCENT),
        ),
    ),
    Measure(
        "gpu_memory",
        "GPU memory used",
        "share",
        (
            Source("hw.gpu.memory.utilization", How.SHARE),
            Source("gpu.memory.utilization", How.SHARE),
            Source("vllm:kv_cache_usage_perc", How.SHARE),
            Source("vllm:gpu_cache_usage_perc", How.SHARE),
        ),
    ),
    Measure(
        "waiting",
        "Requests waiting for a GPU",
        "requests",
        (Source("vllm:num_requests_waiting", How.COUNT), Source("tgi_queue_size", How.COUNT)),
    ),
)
_BY_NAME = {source.name: (measure, at) for measure in MEASURES for at, source in enumerate(measure.sources)}
NAMES = tuple(_BY_NAME)


def source_of(name: str) -> tuple[Measure, int] | None:
    """The measure that a metric tells and its place among the measure's sources; None for other metrics."""
    return _BY_NAME.get(name)
