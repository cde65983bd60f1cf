"""Readings of many series become one line a host and measure."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from traces.hosts.measures import How, Measure, source_of

_STATE_KEYS = ("state", "cpu.mode", "system.cpu.state", "cpu.state", "system.memory.state", "memory.state")
_HOST_KEYS = ("host.name", "service.instance.id", "service.name")
_GPU_KEYS = ("gpu", "hw.id", "gpu.id", "device", "UUID")
# What no work and no reservation takes.
_IDLE = frozenset({"idle", "iowait", "wait", "free", "available", "cached", "buffered", "buffers", "slab_reclaimable"})
# States that are told beside the whole and are no part of it.
_NO_PART = frozenset({"total", "available", "percent"})
UNKNOWN_HOST = "(host not named)"


@dataclass(frozen=True, slots=True)
class Reading:
    """One series in one bucket: the mean of its points, how much it grew since the bucket before (None: unknown)."""

    name: str
    attributes: Mapping[str, Any]
    bucket: datetime
    mean: float
    growth: float | None


@dataclass(frozen=True, slots=True)
class HostPoint:
    """A line's value over one bucket."""

    bucket: datetime
    value: float


@dataclass(frozen=True, slots=True)
class HostLine:
    """One measure of one host (or GPU) over time. `source` is the metric's name; gaps are buckets without points."""

    measure: Measure
    host: str
    source: str
    points: tuple[HostPoint, ...]

    @property
    def mean(self) -> float:
        return sum(point.value for point in self.points) / len(self.points)

    @property
    def highest(self) -> HostPoint:
        return max(self.points, key=lambda point: point.value)


def host_lines(readings: Iterable[Reading]) -> list[HostLine]:
    """The lines that `readings` tell, by measure and host. Of several metrics of one measure a host's first counts."""
    held: dict[tuple[str, str, int], dict[datetime, list[Reading]]] = defaultdict(lambda: defaultdict(list))
    measures: dict[str, Measure] = {}
    for reading in readings:
        found = source_of(reading.name)
        if found is not None:
            measure, at = found
            measures[measure.key] = measure
            held[(measure.key, _host(reading, measure), at)][reading.bucket].append(reading)
    lines: dict[tuple[str, str], HostLine] = {}
    for (key, host, at), buckets in sorted(held.items()):
        if (key, host) in lines:
            continue
        measure = measures[key]
        source = measure.sources[at]
        points = tuple(
            HostPoint(bucket, value)
            for bucket, here in sorted(buckets.items())
            if (value := _value(source.how, here)) is not None
        )
        if points:
            lines[(key, host)] = HostLine(measure, host, source.name, points)
    order = {key: at for at, key in enumerate(dict.fromkeys(measures))}
    return sorted(lines.values(), key=lambda line: (order[line.measure.key], line.host))


def _host(reading: Reading, measure: Measure) -> str:
    host = next((str(reading.attributes[key]) for key in _HOST_KEYS if reading.attributes.get(key)), UNKNOWN_HOST)
    if measure.key.startswith("gpu"):
        gpu = next((str(reading.attributes[key]) for key in _GPU_KEYS if key in reading.attributes), None)
        if gpu is not None:
            return f"{host}, GPU {gpu}"
    return host


def _value(how: How, readings: list[Reading]) -> float | None:
    """One figure from all series of a host in a bucket; None where they cannot tell it."""
    if how is How.COUNT:
        return sum(reading.mean for reading in readings)
    if how is How.SHARE:
        return _mean([reading.mean for reading in readings])
    if how is How.PERCENT:
        return _mean([reading.mean / 100 for reading in readings])
    if how is How.STATES:
        return _busy_of_shares(readings)
    parts = [
        (_state(reading), reading.growth if how is How.STATE_TIME else reading.mean)
        for reading in readings
        if _state(reading) not in _NO_PART
    ]
    known = [(state, amount) for state, amount in parts if amount is not None]
    whole = sum(amount for _, amount in known)
    if whole <= 0 or len({state for state, _ in known}) < 2:
        return None
    return sum(amount for state, amount in known if state not in _IDLE) / whole


def _busy_of_shares(readings: list[Reading]) -> float | None:
    """The mean over CPUs of the shares of states that are not idle; a series without a state is the busy share."""
    units: dict[str, float] = defaultdict(float)
    for reading in readings:
        state = _state(reading)
        if state in _NO_PART:
            continue
        unit = str(reading.attributes.get("cpu", reading.attributes.get("cpu.logical_number", "")))
        units[unit] += 0.0 if state in _IDLE else reading.mean
    return _mean(list(units.values()))


def _state(reading: Reading) -> str:
    return next((str(reading.attributes[key]).lower() for key in _STATE_KEYS if key in reading.attributes), "")


def _mean(values: list[float]) -> float | None:
    return sum(values) / len(values) if values else None
