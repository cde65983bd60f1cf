"""What the machines did: which metric series tell CPU, memory and GPU, and how they become one figure a host."""

from __future__ import annotations

from traces.hosts.measures import MEASURES, Measure, Source, source_of
from traces.hosts.reduce import HostLine, HostPoint, Reading, host_lines

__all__ = [
    "MEASURES",
    "HostLine",
    "HostPoint",
    "Measure",
    "Reading",
    "Source",
    "host_lines",
    "source_of",
]
