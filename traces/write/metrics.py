"""Storing metric points of the allow-listed series, with a bounded number of series a project."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson
from django.conf import settings
from django.db import transaction
from psycopg import Cursor

from telltale.lib.db import raw_cursor
from telltale.lib.sql import load
from traces.canonical.types import MetricIntake, MetricPoint
from traces.masking import Masker
from traces.write import partitions, rows
from traces.write.batch import Batch, Outcome, write_batch_row
from traces.write.masking import mask_points, mask_rejections

_COPY_STAGE = f"COPY metric_stage ({', '.join(rows.POINT_COLUMNS)}) FROM STDIN (FORMAT BINARY)"
_STAGE = "CREATE TEMPORARY TABLE IF NOT EXISTS metric_stage (LIKE traces_metric_point) ON COMMIT DELETE ROWS"

_known: set[tuple[int, int]] = set()


def store_metrics(
    batch: Batch, intake: MetricIntake, *, masker: Masker | None = None, is_suspect: bool = True
) -> Outcome:
    """Commit the points of `intake`; points of series beyond the project's limit are dropped and counted."""
    masked: Mapping[str, int] = {}
    if masker is not None:
        masked = mask_points(intake, masker, is_suspect=is_suspect)
        intake.rejections = mask_rejections(intake.rejections, masker)
    outcome = Outcome(received=intake.received, dropped=dict(intake.dropped), masked=masked)
    for rejection in intake.rejections:
        outcome.reject(rejection.reason, rejection.message, rejection.count)
    partitions.ensure_days("traces_metric_point", {partitions.day_of(point.at_us) for point in intake.points})
    with transaction.atomic(), raw_cursor() as cursor:
        points = _admit(cursor, batch.project_id, intake.points, outcome)
        unique: dict[tuple[int, int], MetricPoint] = {}
        for point in points:
            unique.setdefault((point.series_key, point.at_us), point)
        if unique:
            parts = [rows.HEADER]
            parts += [rows.point_row(batch.project_id, unique[key]) for key in sorted(unique)]
            parts.append(rows.TRAILER)
            cursor.execute(_STAGE)
            cursor.execute("DELETE FROM metric_stage")
            with cursor.copy(_COPY_STAGE) as copy:
                copy.write(b"".join(parts))
            cursor.execute(load("traces", "move_metric_points"))
            moved = cursor.fetchone()
            outcome.stored = moved[0] if moved else 0
            outcome.first_us = min(point.at_us for point in unique.values())
            outcome.last_us = max(point.at_us for point in unique.values())
        outcome.duplicate = len(points) - outcome.stored
        write_batch_row(cursor, batch, outcome)
    _known.update((batch.project_id, point.series_key) for point in points)
    return outcome


def _admit(cursor: Cursor[Any], project_id: int, points: list[MetricPoint], outcome: Outcome) -> list[MetricPoint]:
    """The points whose series exist or may be made; series rows are made here, under a lock for the limit."""
    new = {point.series_key: point for point in points if (project_id, point.series_key) not in _known}
    if not new:
        return points
    # One project's series are counted by one transaction at a time, or the limit would not hold.
    cursor.execute("SELECT pg_advisory_xact_lock(%s, %s)", (0x7E11, project_id))
    cursor.execute("SELECT series_id FROM traces_metric_series WHERE project_id = %s", (project_id,))
    there = {row[0] for row in cursor.fetchall()}
    free = settings.INGEST_METRIC_SERIES_MAX - len(there)
    refused: set[int] = set()
    for key in sorted(new):
        if key in there:
            continue
        if free <= 0:
            refused.add(key)
            continue
        point = new[key]
        cursor.execute(
            "INSERT INTO traces_metric_series (project_id, series_id, name, unit, kind, attributes)"
            " VALUES (%s, %s, %s, %s, %s, %s::jsonb) ON CONFLICT DO NOTHING",
            (project_id, key, point.name, point.unit, point.kind, orjson.dumps(point.attributes).decode()),
        )
        free -= 1
    kept = [point for point in points if point.series_key not in refused]
    if len(kept) < len(points):
        outcome.dropped["series_limit"] = outcome.dropped.get("series_limit", 0) + len(points) - len(kept)
    return kept


def forget() -> None:
    """Forget which series are known to be stored (tests)."""
    _known.clear()
