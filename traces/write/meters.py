"""Counters of calls of models: what batches say of them, added up by project and model. They never fall."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db.backends.utils import CursorWrapper

from telltale.lib.sql import load
from traces.meters import OTHER, Meter

# Of one project; calls of what comes later are counted under "(other)". Each is a few dozen lines of a scrape.
MODELS_MAX = 30

_KNOWN = "SELECT model FROM traces_meter WHERE project_id = %s"


def add(cursor: CursorWrapper, project_id: int, batches: Sequence[Mapping[str, Sequence[Any]]]) -> None:
    """Add what batches say ({model: Meter.packed()}) in the caller's transaction, in the order of the models."""
    found: dict[str, Meter] = {}
    for batch in batches:
        for model, values in batch.items():
            found.setdefault(model, Meter()).merge(Meter.unpacked(values))
    if not found:
        return
    cursor.execute(_KNOWN, [project_id])
    known = {row[0] for row in cursor.fetchall()}
    for model in sorted(found.keys() - known - {OTHER}):
        if len(known) < MODELS_MAX:
            known.add(model)
        else:
            found.setdefault(OTHER, Meter()).merge(found.pop(model))
    cursor.executemany(
        load("traces", "add_meter"),
        [
            {
                "project_id": project_id,
                "model": model,
                "succeeded": meter.succeeded,
                "failed": meter.failed,
                "latency": meter.latency,
                "latency_ns": meter.latency_ns,
                "input_tokens": meter.input_tokens,
                "output_tokens": meter.output_tokens,
                "priced": meter.priced,
                "cost_pico": meter.cost_pico,
                "length": meter.length,
                "characters": meter.characters,
            }
            for model, meter in sorted(found.items())
        ],
    )
