"""The figures of one experiment: each measure's mean with its interval, how long answers took, what they cost."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import orjson

from evals.metrics import METRICS
from evals.read.comparison import criteria_of
from evals.read.experiments import ExperimentRow, JudgeOf
from evals.stats.agreement import mean_of
from evals.stats.results import Estimate
from telltale.lib.db import raw_cursor
from telltale.stats.proportions import wilson


@dataclass(frozen=True, slots=True)
class Figure:
    """A measure of one experiment over the n results that have it. `value` None: too little to say."""

    key: str
    title: str
    judge: JudgeOf | None
    n: int
    value: float | None
    low: float | None
    high: float | None
    is_share: bool
    scale_high: float | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Took:
    """Latency in ms and tokens of an experiment's results; None where nobody told."""

    n: int
    p50_ms: float | None
    p95_ms: float | None
    input_tokens: int | None
    output_tokens: int | None


_SCORES = """
SELECT s.judge_version_id, s.name, s.number, s.data_type
FROM evals_experimentresult AS r
JOIN evals_score AS s ON s.project_id = %(project)s AND s.trace_id = r.target_id AND s.target_kind = 4 AND s.source = 1
WHERE r.experiment_id = %(experiment)s AND s.number IS NOT NULL
"""
_RESULTS = """
SELECT metrics, latency_ms, input_tokens, output_tokens FROM evals_experimentresult
WHERE experiment_id = %(experiment)s AND state <> 'pending'
"""


def figures_of(project_id: int, row: ExperimentRow) -> tuple[list[Figure], Took]:
    """Every measure of an experiment, and what its answers took. Three queries."""
    params = {"project": project_id, "experiment": row.id}
    with raw_cursor() as cursor:
        cursor.execute(_SCORES, params)
        judged: dict[tuple[int, str], list[float]] = {}
        types: dict[tuple[int, str], int] = {}
        for version, name, number, data_type in cursor.fetchall():
            judged.setdefault((version, name), []).append(number)
            types[version, name] = data_type
        cursor.execute(_RESULTS, params)
        rows = cursor.fetchall()
    criteria = criteria_of(project_id, [judge.version_id for judge in row.judges])
    figures = []
    for judge in row.judges:
        for (version, name), values in sorted(judged.items()):
            if version == judge.version_id:
                criterion = criteria.get((version, name))
                high = criterion.scale.high if criterion and criterion.scale.has_numbers else None
                title = criterion.title if criterion else name
                is_share = types[version, name] == 2
                figures.append(_figure(f"{judge.slug}.{name}", title, judge, values, is_share=is_share, high=high))
    told: dict[str, list[float]] = {}
    for metrics, *_ in rows:
        held = orjson.loads(metrics) if isinstance(metrics, str) else metrics or {}
        for kind, name in (("reference", "metric"), ("sent", "sent")):
            for each, value in held.get(kind, {}).items():
                told.setdefault(f"{name}.{each}", []).append(value)
    for key, values in sorted(told.items()):
        metric = METRICS.get(key.removeprefix("metric.")) if key.startswith("metric.") else None
        title = metric.title if metric else key.partition(".")[2]
        is_share = metric.is_binary if metric else set(values) <= {0.0, 1.0}
        figures.append(
            _figure(key, title, None, values, is_share=is_share, note=metric.says if metric else "sent along")
        )
    return figures, _took(rows)


def _figure(
    key: str, title: str, judge: JudgeOf | None, values: list[float], *, is_share: bool, high: float | None = None,
    note: str = "",
) -> Figure:  # fmt: skip
    n = len(values)
    if is_share:
        share = wilson(round(math.fsum(values)), n)
        return Figure(key, title, judge, n, share.share, share.low, share.high, True, 1.0, note)
    found = mean_of(np.asarray(values, dtype=np.float64), np.ones(n))
    if isinstance(found, Estimate):
        return Figure(key, title, judge, n, found.value, found.low, found.high, False, high, note)
    return Figure(key, title, judge, n, values[0] if n == 1 else None, None, None, False, high, note)


def _took(rows: list[tuple[Any, ...]]) -> Took:
    latencies = sorted(row[1] for row in rows if row[1] is not None)
    tokens = [[row[at] for row in rows if row[at] is not None] for at in (2, 3)]
    return Took(
        len(latencies),
        *((latencies[math.ceil(q * len(latencies)) - 1] if latencies else None) for q in (0.5, 0.95)),
        *(sum(each) if each else None for each in tokens),
    )
