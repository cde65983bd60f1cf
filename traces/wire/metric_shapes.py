"""A metric and a point of it, whatever encoding they came in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any


@dataclass(slots=True)
class Point:
    """One point: sums and gauges have a value, the others counts and buckets."""

    attributes: dict[str, Any]
    at_ns: int
    value: float | None = None
    count: int | None = None
    total: float | None = None
    low: float | None = None
    high: float | None = None
    buckets: dict[str, Any] | None = None


@dataclass(slots=True)
class Metric:
    """A metric with its points still unread: most metrics of a host are dropped by name."""

    name: str
    unit: str
    kind: str
    temporality: str
    points: list[Callable[[], Point | None]]
