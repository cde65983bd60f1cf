"""Lines of hosts for a window, from the sums by 5 minutes or by hour."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import orjson

from telltale.lib.sql import load
from traces.hosts import HostLine, Reading, host_lines
from traces.hosts.measures import NAMES
from traces.read.asking import asking, fetch

# 300 series over three days of 5 minutes are 260,000 rows at most; a host with 8 CPUs in 8 states sends 64 series.
SERIES_MAX = 300
FINE_DAYS = 2


@dataclass(frozen=True, slots=True)
class Hosts:
    """Lines of hosts with the width of a bucket. `is_cut` says that there are more series than are read."""

    lines: tuple[HostLine, ...]
    step: timedelta
    is_cut: bool


def read_hosts(project_id: int, start: datetime, end: datetime, *, is_fine: bool | None = None) -> Hosts:
    """What the machines of the project did in [start, end); one query, no points read.

    `is_fine`: by 5 minutes, or by the hour; left out, as the length of the window asks for.
    """
    grain = 5 if (end - start <= timedelta(days=FINE_DAYS) if is_fine is None else is_fine) else 60
    asked = {
        "project_id": project_id,
        "grain": grain,
        "names": list(NAMES),
        # A bucket more, for what sums grew by in the first.
        "start": start - timedelta(minutes=grain),
        "end": end,
        "limit": SERIES_MAX,
    }
    readings: list[Reading] = []
    series: set[tuple[str, bytes]] = set()
    with asking() as cursor:
        for name, raw, bucket, mean, total, last, before in fetch(cursor, load("traces", "read_host_sums"), asked):
            attributes = orjson.loads(raw) if isinstance(raw, str | bytes) else raw
            series.add((name, orjson.dumps(attributes, option=orjson.OPT_SORT_KEYS)))
            if bucket + timedelta(minutes=grain) <= start:
                continue
            readings.append(Reading(name, attributes, bucket, mean, _growth(attributes, total, last, before)))
    return Hosts(tuple(host_lines(readings)), timedelta(minutes=grain), len(series) >= SERIES_MAX)


def _growth(attributes: dict[str, object], total: float, last: float, before: float | None) -> float | None:
    """How much an ever-growing sum grew; from 0 where it was reset, None in its first bucket."""
    if attributes.get("otel.temporality") == "delta":
        return total
    if before is None:
        return None
    return last - before if last >= before else last
