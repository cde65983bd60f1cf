"""Requests as rows of traces, many at once: what scope and isolate compare."""

from __future__ import annotations

import json
import uuid
from datetime import timedelta

import numpy as np
from django.db import connection

from telltale.lib import clock
from traces.write.partitions import ensure_days

_NUMBERS = (
    "span_count", "generation_count", "error_count", "usage_count", "priced_count", "unpriced_count",
    "unknown_usage_count", "partial_count", "upper_bound_count", "duplicate_count", "flags", "input_fresh",
    "input_cache_read", "input_cache_write_5m", "input_cache_write_1h", "input_audio", "output_text",
    "output_reasoning", "output_audio", "cost_pico",
)  # fmt: skip
_TEXTS = ("feature", "service", "environment", "release", "prompt_name", "prompt_version", "user_id", "finish_reason")


def add_requests(project, rows, *, with_spans=False):
    """Insert requests: dicts with `at`, `bad`, `model` and texts of columns; `metadata`, `tool` for their spans."""
    columns = ["project_id", "trace_id", "started_at", "last_started_at", "updated_at", "root_status",
               "root_duration_ns", "name", "models", "tags", "ranks", *_NUMBERS, *_TEXTS]  # fmt: skip
    ids = [uuid.uuid5(uuid.NAMESPACE_URL, f"{project.pk} {at} {row['at'].isoformat()}") for at, row in enumerate(rows)]
    with connection.cursor() as cursor:
        with cursor.copy(f"COPY traces_trace ({', '.join(columns)}) FROM STDIN") as copy:
            for trace_id, row in zip(ids, rows, strict=True):
                numbers = dict.fromkeys(_NUMBERS, 0) | {
                    "span_count": 1, "generation_count": 1, "error_count": int(row["bad"]), "usage_count": 1,
                    "priced_count": 1, "input_fresh": row.get("tokens", 200), "output_text": 50,
                }  # fmt: skip
                copy.write_row([
                    project.pk, trace_id, row["at"], row["at"], row["at"], 2 if row["bad"] else 1, 900_000_000,
                    row.get("name", "chat"), [row.get("model", "gpt-4o")], [], "", *numbers.values(),
                    *(row.get(name) for name in _TEXTS),
                ])  # fmt: skip
        if with_spans:
            _add_spans(cursor, project, ids, rows)
    return ids


def _add_spans(cursor, project, ids, rows):
    columns = ("project_id", "trace_id", "span_id", "started_at", "batch_id", "origin_id", "kind", "otel_kind",
               "status", "flags", "counted", "name", "provider", "tool_name", "metadata", "prompt_version")  # fmt: skip
    ensure_days("traces_span", {row["at"].date() for row in rows})
    with cursor.copy(f"COPY traces_span ({', '.join(columns)}) FROM STDIN") as copy:
        for trace_id, row in zip(ids, rows, strict=True):
            metadata = json.dumps(row["metadata"]) if row.get("metadata") else None
            copy.write_row([project.pk, trace_id, 1, row["at"], 1, 1, 1, 0, 2 if row["bad"] else 1, 0, True, "call",
                            row.get("provider", "openai"), None, metadata, row.get("prompt_version")])  # fmt: skip
            if row.get("tool"):
                copy.write_row([project.pk, trace_id, 2, row["at"], 1, 1, 5, 0, 1, 0, True, "tool", None, row["tool"],
                                None, None])  # fmt: skip


def traffic(seed, n, start, hours, rate, **more):
    """`n` requests spread over `hours`; `rate(row)` of them bad. `more`: values by column to draw from."""
    random = np.random.default_rng(seed)
    at = np.sort(random.uniform(0, hours, n))
    rows = []
    for place in range(n):
        row = {"at": start + timedelta(hours=float(at[place]))}
        for name, values in more.items():
            row[name] = values[int(random.integers(len(values)))]
        row["bad"] = bool(random.random() < rate(row))
        rows.append(row)
    return rows


def hours_ago(hours):
    return clock.now() - timedelta(hours=hours)
