"""How ingest is going in the whole installation: for health checks and counters, never for a project's page."""

from __future__ import annotations

from dataclasses import dataclass

from django.db import connection

from telltale.lib.sql import load
from traces.meters import Meter


@dataclass(frozen=True, slots=True)
class Pending:
    """Committed batches that are not in roll-ups yet; `oldest_seconds` is None where there are none."""

    batches: int
    oldest_seconds: float | None


@dataclass(frozen=True, slots=True)
class Totals:
    """Counts since the beginning: items by (source, outcome), reasons by (outcome, reason), refusals by HTTP status."""

    items: dict[tuple[str, str], int]
    reasons: dict[tuple[str, str], int]
    refused: dict[int, int]


@dataclass(frozen=True, slots=True)
class ModelMeter:
    """Counters of calls of a model; `recent_pico` is what a priced call cost lately, None where none was priced."""

    project: str
    model: str
    meter: Meter
    recent_pico: float | None


def read_meters() -> list[ModelMeter]:
    """Every project's models, in the order in which they were first seen."""
    with connection.cursor() as cursor:
        cursor.execute(load("traces", "read_meters"))
        return [ModelMeter(row[0], row[1], Meter(*row[2:12]), row[12]) for row in cursor.fetchall()]


def read_pending() -> Pending:
    """What waits for its roll-up."""
    with connection.cursor() as cursor:
        cursor.execute(load("traces", "read_pending"))
        batches, oldest_seconds = cursor.fetchone()
    return Pending(batches, oldest_seconds)


def read_totals() -> Totals:
    """What arrived, and what became of it."""
    totals = Totals({}, {}, {})
    with connection.cursor() as cursor:
        cursor.execute(load("traces", "read_totals"))
        for what, name, outcome, n in cursor.fetchall():
            if what == "items":
                totals.items[(name, outcome)] = n
            elif what == "reasons":
                totals.reasons[(outcome, name)] = n
            else:
                totals.refused[int(name)] = n
    return totals


def has_open_work() -> bool:
    """Whether anything is open that a task of this room would take."""
    with connection.cursor() as cursor:
        cursor.execute(load("traces", "has_open_work"))
        return bool(cursor.fetchone()[0])
