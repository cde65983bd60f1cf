"""Series of what carries the traffic: ingest, and the machines that tell about themselves."""

from __future__ import annotations

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from statistics import fmean

from django.conf import settings

from alerts.monitors.types import Definition, Reading, Window
from alerts.read.series_sql import TOO_SLOW, hours_of, rows_of, spans_of, template
from alerts.series import making
from alerts.series.asked import Asked, SeriesFault
from telltale.lib import clock
from traces.read.asking import TooSlow
from traces.read.hosts import read_hosts

Answers = list[list[Reading] | SeriesFault]
_SPANS = ("traces", "native")
_HOUR = timedelta(hours=1)
# As many rows by 5 minutes as are read at once: 300 series of them.
_FINE = timedelta(days=2)
# What hosts tell is anybody's number: beyond this, squares and sums leave what a float can hold. NaN is none either.
READING_MAX = 1e15
OF_INGEST = ("ingest_lag", "rejected")
OF_HOSTS = ("host_cpu", "host_memory", "host_gpu", "host_gpu_memory", "host_waiting")


@dataclass(slots=True)
class _Line:
    """What one host tells of one measure, in order of time."""

    at: list[datetime] = field(default_factory=list)
    values: list[float] = field(default_factory=list)


def read_ingest(project_id: int, zone: str, asked: Sequence[Asked], windows: Sequence[Window]) -> Answers:
    """How long the store took and what it refused. One query; windows under an hour look at single requests."""
    is_fine = any(each.end - each.start < _HOUR for each in windows)
    params = {"project_id": project_id, "sources": list(_SPANS), **(spans_of if is_fine else hours_of)(windows)}
    kept_from = fine_ingest_start(clock.now()) if is_fine else None
    try:
        rows = rows_of(template("series_ingest_fine" if is_fine else "series_ingest"), params)
    except TooSlow:
        return [TOO_SLOW for _ in asked]
    found = {at: (int(came), int(rejected), int(requests), float(lag)) for at, came, rejected, requests, lag in rows}
    answers: Answers = []
    for each in asked:
        readings = []
        for at, window in enumerate(windows):
            came, rejected, requests, lag = found.get(at, (0, 0, 0, 0.0))
            if kept_from is not None and window.start < kept_from:
                readings.append(making.nothing(window, f"requests are kept for {settings.ACCOUNT_BATCH_DAYS} days"))
            elif each.metric.key == "rejected":
                readings.append(making.share(window, rejected, came, "no span came"))
            else:
                # Sums before and after folding differ by dust.
                mean = round(lag / requests, 6) if requests else None
                readings.append(making.level(window, mean, requests, "no request of a sender came"))
        answers.append(readings)
    return answers


def fine_ingest_start(now: datetime) -> datetime:
    """From where on single requests of senders are kept."""
    return now - timedelta(days=settings.ACCOUNT_BATCH_DAYS) + _HOUR


def read_host_lines(project_id: int, zone: str, asked: Sequence[Asked], windows: Sequence[Window]) -> Answers:
    """How busy hosts are: the mean over a window of each, and one number of them all. A query for every two days."""
    low, high = min(each.start for each in windows), max(each.end for each in windows)
    is_fine = any(each.start.minute or each.end.minute or each.end - each.start < _HOUR for each in windows)
    held: dict[tuple[str, str], _Line] = defaultdict(_Line)
    try:
        for start, end in _parts(low, high, _FINE if is_fine else high - low):
            for line in read_hosts(project_id, start, end, is_fine=is_fine).lines:
                told = held[f"host_{line.measure.key}", line.host]
                points = [point for point in line.points if abs(point.value) <= READING_MAX]
                told.at += [point.bucket for point in points]
                told.values += [point.value for point in points]
    except TooSlow:
        return [TOO_SLOW for _ in asked]
    return [[_reading(each, held, window) for window in windows] for each in asked]


def _parts(low: datetime, high: datetime, step: timedelta) -> Iterator[tuple[datetime, datetime]]:
    while low < high:
        yield low, min(low + step, high)
        low += step


def _reading(asked: Asked, held: Mapping[tuple[str, str], _Line], window: Window) -> Reading:
    wanted = asked.definition.params.get("host")
    means = []
    for (key, host), line in held.items():
        if key == asked.metric.key and (not wanted or host == wanted):
            inside = line.values[bisect_left(line.at, window.start) : bisect_left(line.at, window.end)]
            if inside:
                means.append(fmean(inside))
    value = None if not means else _across(asked.definition, means)
    return making.level(window, value, len(means), "no host told it")


def _across(definition: Definition, means: Sequence[float]) -> float:
    return max(means) if definition.params.get("across") == "highest" else fmean(means)
