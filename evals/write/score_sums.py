"""Weighted sums of judges' scores by hour, feature, model, prompt version and stratum: `evals_score_hour`.

Changed in the transaction that writes or reweighs a score, so that an estimate over any window is a sum of these rows.
With w = 1/pi a score y adds 1 to n, w, w², wy, wy², w²y, w²y², and (1-pi)/pi² times 1, y, y². Its level adds (1, w).
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any

import orjson
from psycopg import Cursor

from evals.write.judgements import Judgement
from evals.write.tallies import hour_of

FLAG = "_flag"
Key = tuple[int, int, int, str, datetime, str, str, str, str]
_SUMS = ("sw", "sw2", "swy", "swy2", "sw2y", "sw2y2", "v0", "v1", "v2")

_ADD = f"""
INSERT INTO evals_score_hour AS h (
    project_id, judge_id, judge_version_id, plan_id, name, hour, feature, model, prompt_version, stratum, n,
    {", ".join(_SUMS)}, levels
)
SELECT %(project_id)s, new.* FROM unnest(
    %(judges)s::bigint[], %(versions)s::bigint[], %(plans)s::bigint[], %(names)s::text[], %(hours)s::timestamptz[],
    %(features)s::text[], %(models)s::text[], %(prompts)s::text[], %(strata)s::text[], %(n)s::bigint[],
    {", ".join(f"%({name})s::float8[]" for name in _SUMS)}, %(levels)s::jsonb[]
) AS new
ON CONFLICT (project_id, judge_version_id, plan_id, name, hour, feature, model, prompt_version, stratum) DO UPDATE
SET n = h.n + excluded.n, {", ".join(f"{name} = h.{name} + excluded.{name}" for name in _SUMS)},
    levels = coalesce((
        SELECT jsonb_object_agg(level.key, jsonb_build_array(level.n, level.w))
        FROM (
            SELECT each.key, sum((each.value ->> 0)::bigint) AS n, sum((each.value ->> 1)::float8) AS w
            FROM (SELECT * FROM jsonb_each(h.levels) UNION ALL SELECT * FROM jsonb_each(excluded.levels)) AS each
            GROUP BY each.key
            HAVING sum((each.value ->> 0)::bigint) <> 0
        ) AS level
    ), '{{}}')
"""  # noqa: S608


def level_of(number: float | None, label: str | None) -> str:
    """The name of a score's level: its label, else its number; "" where it has neither."""
    if label is not None:
        return label
    return "" if number is None else f"{number:g}"


class ScoreSums:
    """Changes of one transaction, written together at its end in one order, so that two never wait for each other."""

    def __init__(self, project_id: int) -> None:
        self._project_id = project_id
        self._sums: dict[Key, list[float]] = defaultdict(lambda: [0.0] * (len(_SUMS) + 1))
        self._levels: dict[Key, dict[str, list[float]]] = defaultdict(dict)

    def add(self, row: Judgement, name: str, number: float | None, label: str | None, pi: float, sign: int = 1) -> None:
        """Add a score of a judgement, drawn with `pi`; `sign` -1 takes it out again. Labels without order have y 0."""
        key = (
            row.judge_id, row.judge_version_id, row.plan_id or 0, name, hour_of(row.started_at), row.feature, row.model,
            row.prompt_version, row.stratum,
        )  # fmt: skip
        y = 0.0 if number is None else number
        w, v = 1.0 / pi, (1.0 - pi) / (pi * pi)
        one = (1.0, w, w * w, w * y, w * y * y, w * w * y, w * w * y * y, v, v * y, v * y * y)
        self._sums[key] = [held + sign * each for held, each in zip(self._sums[key], one, strict=True)]
        level = self._levels[key].setdefault(level_of(number, label), [0, 0.0])
        level[0] += sign
        level[1] += sign * w

    def write(self, cursor: Cursor[Any]) -> None:
        """Write what was added."""
        keys = sorted(self._sums)
        if not keys:
            return
        columns = list(zip(*keys, strict=True))
        names = ("judges", "versions", "plans", "names", "hours", "features", "models", "prompts", "strata")
        params: dict[str, Any] = {name: list(values) for name, values in zip(names, columns, strict=True)}
        params["n"] = [round(self._sums[key][0]) for key in keys]
        for at, name in enumerate(_SUMS, start=1):
            params[name] = [self._sums[key][at] for key in keys]
        params["levels"] = [orjson.dumps(self._levels[key]).decode() for key in keys]
        cursor.execute(_ADD, params | {"project_id": self._project_id})
        self._sums.clear()
        self._levels.clear()
