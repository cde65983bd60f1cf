"""Folding committed batches into hours: claimed, summed and marked in one transaction."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db import connection, transaction

from telltale.lib.sql import load
from traces.write import meters

_OPEN_PROJECTS = "SELECT DISTINCT project_id FROM traces_ingest_batch WHERE NOT accounted ORDER BY project_id"
_SUMS = (
    "hour", "key_id", "source", "requests", "body_bytes",
    "received", "stored", "duplicate", "rejected", "dropped", "lag_ms_sum", "lag_ms_max",
)  # fmt: skip


@dataclass(slots=True)
class _Reason:
    n: int
    example: str
    at: datetime


def projects_with_open_batches() -> list[int]:
    """The ids of projects that have batches not yet folded."""
    with connection.cursor() as cursor:
        cursor.execute(_OPEN_PROJECTS)
        return [row[0] for row in cursor.fetchall()]


def fold_slice(project_id: int, limit: int) -> int:
    """How many batches of the project this call folded, at most `limit`; 0 where none is open or all are held.

    One transaction: killed anywhere, nothing is lost and nothing is counted twice. Rows are added in the order of
    their keys, hours before reasons before meters, so that two consumers cannot wait for each other in a ring.
    """
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute(load("traces", "fold_batches"), {"project_id": project_id, "limit": limit})
        groups = cursor.fetchall()
        if not groups:
            return 0
        hours = [{"project_id": project_id, **dict(zip(_SUMS, group, strict=False))} for group in groups]
        cursor.executemany(load("traces", "add_ingest_hour"), hours)
        reasons = [row for hour, group in zip(hours, groups, strict=True) for row in _reason_rows(hour, group[-2])]
        if reasons:
            cursor.executemany(load("traces", "add_ingest_reason_hour"), reasons)
        meters.add(cursor, project_id, [calls for group in groups for calls in json.loads(group[-1] or "[]")])
        return sum(group[-3] for group in groups)


def _reason_rows(hour: dict[str, Any], batches: str | None) -> list[dict[str, Any]]:
    """The reasons of one group of batches, summed, in key order. `batches` is JSON: [[received_at, reasons], ...]."""
    found: dict[tuple[str, str], _Reason] = {}
    for at_text, reasons in json.loads(batches or "[]"):
        at = datetime.fromisoformat(at_text)
        for outcome, reason, n, example in _each_reason(reasons):
            held = found.setdefault((outcome, reason), _Reason(0, example, at))
            held.n += n
            if at >= held.at:
                held.at, held.example = at, example
    shared = {name: hour[name] for name in ("project_id", "hour", "key_id", "source")}
    return [
        shared | {"outcome": key[0], "reason": key[1], "n": row.n, "last_example": row.example, "last_at": row.at}
        for key, row in sorted(found.items())
    ]


def _each_reason(reasons: dict[str, Any]) -> Iterator[tuple[str, str, int, str]]:
    """(outcome, reason, n, example) of one batch: {"rejected": {code: [n, example]}, "dropped": {code: n}, ...}."""
    for reason, (n, example) in reasons.get("rejected", {}).items():
        yield "rejected", reason, n, example
    for outcome in ("dropped", "masked"):
        for reason, n in reasons.get(outcome, {}).items():
            yield outcome, reason, n, ""
