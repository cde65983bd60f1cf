"""What drift has sampled and found: settings, samples of a window, reports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

import numpy as np
import orjson
from numpy.typing import NDArray
from psycopg import sql

from alerts.drift.fields import FIELDS, OWN, SIDE_NO, Side, combined
from alerts.drift.packing import HALF, unpack
from alerts.drift.reference import VECTORS_MOST, Facts
from alerts.drift.report import Current, Report
from alerts.models import DriftReport, DriftSettings
from alerts.read.vectors import dims_of
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from traces.changes import unsampled_since
from traces.own_calls import JUDGE_SERVICE

Floats = NDArray[np.float64]
# Samples of one window that facts are made of: 28 days of the default cap.
FACTS_MOST = 60_000
NUMBERS_MOST = 2_000
DISTINCT_MOST = 200
REST = "(all others)"
_NO_FIELDS: dict[str, str] = {}
DAILY = 0  # a report's `days` for one calendar day of the series

_TRAFFIC = """
    SELECT count(*) FROM (
        SELECT FROM traces_trace
        WHERE project_id = %(project_id)s AND started_at >= %(start)s AND started_at < %(end)s
          AND service IS DISTINCT FROM %(own)s
        LIMIT %(limit)s
    ) AS counted
"""
_FEATURE = {
    "all": sql.SQL(""),
    "none": sql.SQL(" AND {}.feature IS NULL"),
    "one": sql.SQL(" AND {}.feature = %(feature)s"),
}
_VECTORS = sql.SQL("""
    SELECT v.trace_id, v.data FROM (
        SELECT v.started_at, v.trace_id, v.draw, v.data FROM alerts_vector AS v
        WHERE v.project_id = %(project_id)s AND v.encoder = %(encoder)s AND v.side = %(side)s
          AND v.started_at >= %(start)s AND v.started_at < %(end)s {feature}
        ORDER BY v.draw, v.trace_id
        LIMIT %(limit)s
    ) AS v
    ORDER BY v.started_at, v.trace_id
""")
_FACTS = sql.SQL("""
    SELECT s.pi, s.prompt_version, s.provider, s.model, s.finish_reason, s.input_chars, s.output_chars, s.input_tokens,
        s.output_tokens, s.input_language, s.output_language, s.tools, s.fields::text
    FROM alerts_sample AS s
    WHERE s.project_id = %(project_id)s AND s.started_at >= %(start)s AND s.started_at < %(end)s {feature}
    ORDER BY s.started_at, s.trace_id
    LIMIT %(limit)s
""")
_COLUMNS = (
    "prompt_version", "provider", "model", "finish_reason", "input_chars", "output_chars", "input_tokens",
    "output_tokens", "input_language", "output_language", "tools",
)  # fmt: skip
_BY_FEATURE = """
    SELECT v.feature, count(*), min(v.started_at), max(v.started_at) FROM alerts_vector AS v
    WHERE v.project_id = %(project_id)s AND v.encoder = %(encoder)s AND v.side = %(side)s
      AND v.started_at >= %(start)s AND v.started_at < %(end)s
    GROUP BY v.feature
    ORDER BY count(*) DESC, v.feature
    LIMIT 200
"""
_BY_DAY = sql.SQL("""
    SELECT date_trunc('day', v.started_at AT TIME ZONE %(zone)s)::date, count(*) FROM alerts_vector AS v
    WHERE v.project_id = %(project_id)s AND v.encoder = %(encoder)s AND v.side = %(side)s {feature}
    GROUP BY 1
    ORDER BY 1
""")
_COUNT = sql.SQL("""
    SELECT count(*) FROM (
        SELECT FROM alerts_vector AS v
        WHERE v.project_id = %(project_id)s AND v.encoder = %(encoder)s AND v.side = 1 {feature}
        LIMIT %(limit)s
    ) AS counted
""")
_WAITING = """
    SELECT count(*), min(since), max(reason) FROM (
        SELECT since, reason FROM alerts_drift_due WHERE project_id = %(project_id)s LIMIT 10001
    ) AS counted
"""
_LEFT_OUT = """
    SELECT reason.key, sum(reason.value::bigint) FROM alerts_drift_hour AS h, jsonb_each_text(h.left_out) AS reason
    WHERE h.project_id = %(project_id)s AND h.hour >= %(start)s AND h.hour < %(end)s
    GROUP BY reason.key
    ORDER BY 2 DESC
"""
_IS_DUE = """
    SELECT EXISTS (
        SELECT FROM alerts_drift_due WHERE due_at <= %(now)s AND (lease_until IS NULL OR lease_until < now())
    )
"""
_SAMPLED = """
    SELECT count(*), max(started_at) FROM (
        SELECT started_at FROM alerts_sample
        WHERE project_id = %(project_id)s AND started_at >= %(start)s AND started_at < %(end)s
        LIMIT 100000
    ) AS counted
"""


@dataclass(frozen=True, slots=True)
class DriftView:
    """How a project is sampled and encoded; None is no limit."""

    is_on: bool = True
    encoder: str = "lexical"
    connection_id: int | None = None
    connection_name: str = ""
    model: str = ""
    cap_a_day: int = 2000
    budget_pico_day: int | None = 1_000_000_000_000
    budget_calls_day: int | None = None
    fields: tuple[str, ...] = ()
    trouble: str = ""
    trouble_at: datetime | None = None
    changed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class FeatureSeen:
    """A feature with vectors: `name` None where none was told."""

    name: str | None
    n: int
    first_at: datetime
    last_at: datetime


@dataclass(frozen=True, slots=True)
class Waiting:
    """What waits to be embedded: `n` (10,001 is "more than 10,000"), since when, and why where a reason is told."""

    n: int
    since: datetime | None
    reason: str


@dataclass(frozen=True, slots=True)
class ReportView:
    """A report as stored. `days` 0: one calendar day; else a window of so many days up to `end_at`."""

    id: int
    reference_id: int
    days: int
    start_at: datetime
    end_at: datetime
    made_at: datetime
    report: Report = field(repr=False)


@dataclass(frozen=True, slots=True)
class DayPoint:
    """One day of the series: the distance from the reference with what chance gives. None: too few vectors."""

    start_at: datetime
    end_at: datetime
    n: int
    mmd2: float | None
    p: float | None
    chance_99: float | None


def settings_of(project_id: int) -> DriftView:
    """The settings of a project; the defaults where nobody changed any."""
    row = DriftSettings.objects.filter(project_id=project_id).select_related("connection").first()
    if row is None:
        return DriftView()
    return DriftView(
        is_on=row.is_on,
        encoder=row.encoder,
        connection_id=row.connection_id,
        connection_name="" if row.connection is None else row.connection.name,
        model=row.model,
        cap_a_day=row.cap_a_day,
        budget_pico_day=row.budget_pico_day,
        budget_calls_day=row.budget_calls_day,
        fields=tuple(row.fields),
        trouble=row.trouble,
        trouble_at=row.trouble_at,
        changed_at=row.changed_at,
    )


def traffic(project_id: int, start: datetime, end: datetime, limit: int) -> int:
    """How many traces of [start, end) are the application's own, counted up to `limit`."""
    params = {"project_id": project_id, "start": start, "end": end, "own": JUDGE_SERVICE, "limit": limit}
    with raw_cursor() as cursor:
        cursor.execute(_TRAFFIC, params)
        found = cursor.fetchone()
    return int(found[0]) if found else 0


def features_seen(project_id: int, encoder: str, side: Side, start: datetime, end: datetime) -> list[FeatureSeen]:
    """Features with vectors of a window, most first."""
    params = {"project_id": project_id, "encoder": encoder, "side": SIDE_NO[side], "start": start, "end": end}
    with raw_cursor() as cursor:
        cursor.execute(_BY_FEATURE, params)
        return [FeatureSeen(*row) for row in cursor.fetchall()]


def days_seen(project_id: int, feature: str | None, encoder: str, side: Side, zone: str) -> list[tuple[Any, int]]:
    """Vectors by day of the zone, oldest first."""
    chosen, params = _of_feature(feature, "v")
    params |= {"project_id": project_id, "encoder": encoder, "side": SIDE_NO[side], "zone": clock.zone_of(zone).key}
    with raw_cursor() as cursor:
        cursor.execute(_BY_DAY.format(feature=chosen), params)
        return [(row[0], row[1]) for row in cursor.fetchall()]


def read_vectors(
    project_id: int,
    feature: str | None,
    side: Side,
    encoder: str,
    start: datetime,
    end: datetime,
    most: int = VECTORS_MOST,
) -> tuple[Floats, tuple[str, ...]]:
    """Vectors (n, d) of a window in their order with their traces (hex): those first in the salted order."""
    chosen, params = _of_feature(feature, "v")
    params |= {
        "project_id": project_id, "encoder": encoder, "side": SIDE_NO[side], "start": start, "end": end, "limit": most,
    }  # fmt: skip
    dims = dims_of(encoder)
    with raw_cursor() as cursor:
        cursor.execute(_VECTORS.format(feature=chosen), params)
        rows = [(row[0], row[1]) for row in cursor.fetchall() if len(row[1]) == dims * HALF.itemsize]
    return unpack([data for _, data in rows], dims), tuple(trace_id.hex for trace_id, _ in rows)


def read_current(
    project_id: int, feature: str | None, side: Side, encoder: str, start: datetime, end: datetime
) -> Current:
    """A window's sample: vectors, and the facts of all its samples."""
    rows, traces = read_vectors(project_id, feature, side, encoder, start, end)
    facts, estimated = read_facts(project_id, feature, side, start, end)
    return Current(rows, traces, facts, estimated)


def read_facts(project_id: int, feature: str | None, side: Side, start: datetime, end: datetime) -> tuple[Facts, float]:
    """Counts and numbers of a window's samples by the fields of a side; how many traces they stand for."""
    chosen, params = _of_feature(feature, "s")
    params |= {"project_id": project_id, "start": start, "end": end, "limit": FACTS_MOST}
    with raw_cursor() as cursor:
        cursor.execute(_FACTS.format(feature=chosen), params)
        rows = [(*row[:-1], _NO_FIELDS if row[-1] == "{}" else orjson.loads(row[-1])) for row in cursor.fetchall()]
    categories: dict[str, Counter[str | None]] = {}
    numbers: dict[str, tuple[float, ...]] = {}
    # Evenly over the window, so that a busy one keeps its shape.
    step = max(1, -(-len(rows) // NUMBERS_MOST))
    for known in FIELDS:
        if known.side != side or not known.column:
            continue
        at = _COLUMNS.index(known.column) + 1
        if known.is_number:
            numbers[known.key] = tuple(float(row[at]) for row in rows[::step] if row[at] is not None)
        elif known.key == "tools":
            categories[known.key] = Counter(combined(row[at]) for row in rows)
        else:
            categories[known.key] = Counter(row[at] for row in rows)
    if side == "input":
        for key in dict.fromkeys(key for row in rows for key in row[-1]):
            categories[OWN + key] = Counter(row[-1].get(key) for row in rows)
    kept = {key: _few(counts) for key, counts in categories.items()}
    return Facts(len(rows), kept, numbers), sum(1 / row[0] for row in rows)


def _few(counts: Counter[str | None]) -> dict[str | None, int]:
    """The commonest values, the others together: an identifier taken for a category must not fill a row."""
    if len(counts) <= DISTINCT_MOST:
        return dict(counts)
    kept: dict[str | None, int] = dict(counts.most_common(DISTINCT_MOST))
    kept[REST] = kept.get(REST, 0) + sum(counts.values()) - sum(kept.values())
    return kept


def waiting(project_id: int) -> Waiting:
    """What waits to be embedded."""
    with raw_cursor() as cursor:
        cursor.execute(_WAITING, {"project_id": project_id})
        found = cursor.fetchone() or (0, None, None)
    return Waiting(int(found[0]), found[1], found[2] or "")


def unembedded_since(project_id: int) -> datetime | None:
    """When the oldest change came that is not in the sample yet, embedded where it is to be; None: nothing waits."""
    with raw_cursor() as cursor:
        cursor.execute("SELECT min(since) FROM alerts_drift_due WHERE project_id = %s", [project_id])
        (embedding,) = cursor.fetchone() or (None,)
    told = [at for at in (unsampled_since(project_id), embedding) if at is not None]
    return min(told, default=None)


def left_out(project_id: int, start: datetime, end: datetime) -> dict[str, int]:
    """Traces that were sampled and have no vector, by reason."""
    with raw_cursor() as cursor:
        cursor.execute(_LEFT_OUT, {"project_id": project_id, "start": start, "end": end})
        return {row[0]: int(row[1]) for row in cursor.fetchall()}


def has_due_drift() -> bool:
    """Whether something waits to be embedded now."""
    with raw_cursor() as cursor:
        cursor.execute(_IS_DUE, {"now": clock.now()})
        found = cursor.fetchone()
    return bool(found and found[0])


def sampled(project_id: int, start: datetime, end: datetime) -> tuple[int, datetime | None]:
    """How many samples a window has (counted up to 100,000), and the start of the newest."""
    with raw_cursor() as cursor:
        cursor.execute(_SAMPLED, {"project_id": project_id, "start": start, "end": end})
        found = cursor.fetchone() or (0, None)
    return int(found[0]), found[1]


def latest_report(reference_id: int, days: int) -> ReportView | None:
    """The newest report of a reference over so many days."""
    row = DriftReport.objects.filter(reference_id=reference_id, days=days).order_by("-end_at").first()
    return None if row is None else report_view(row)


def latest_reports(reference_ids: Sequence[int], days: int) -> dict[int, ReportView]:
    """The newest report of each of several references over so many days."""
    rows = DriftReport.objects.filter(reference_id__in=list(reference_ids), days=days).order_by("end_at")
    return {row.reference_id: report_view(row) for row in rows}


def count_vectors(project_id: int, feature: str | None, encoder: str, most: int = 10_000) -> int:
    """How many inputs of a feature have vectors, counted up to `most`."""
    chosen, params = _of_feature(feature, "v")
    params |= {"project_id": project_id, "encoder": encoder, "limit": most}
    with raw_cursor() as cursor:
        cursor.execute(_COUNT.format(feature=chosen), params)
        found = cursor.fetchone()
    return int(found[0]) if found else 0


def day_series(reference_ids: Sequence[int], since: datetime) -> dict[int, list[DayPoint]]:
    """The series of days of several references, oldest first."""
    rows = DriftReport.objects.filter(reference_id__in=list(reference_ids), days=DAILY, start_at__gte=since)
    found: dict[int, list[DayPoint]] = {reference_id: [] for reference_id in reference_ids}
    columns = ("reference_id", "start_at", "end_at", "n", "mmd2", "p", "chance_99")
    for reference_id, *values in rows.order_by("start_at").values_list(*columns):
        found[reference_id].append(DayPoint(*values))
    return found


def report_view(row: DriftReport) -> ReportView:
    """A row as a value."""
    return ReportView(
        row.pk, row.reference_id, row.days, row.start_at, row.end_at, row.made_at, Report.from_json(row.body)
    )


def _of_feature(feature: str | None, table: str) -> tuple[sql.Composable, dict[str, Any]]:
    kind = "all" if feature is None else "one" if feature else "none"
    return _FEATURE[kind].format(sql.Identifier(table)), {"feature": feature} if kind == "one" else {}


def hex_ids(ids: Sequence[str]) -> list[UUID]:
    """Ids of traces from their hex digits."""
    return [UUID(hex=each) for each in ids]
