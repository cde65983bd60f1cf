"""How many judgements are in which state, by the hour they were made: moved with each change of state.

The sum over states is all that were made; the sum of `calls` is all calls that were answered or lost.
"""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime
from typing import Any

from psycopg import Cursor

Key = tuple[int, int, int, datetime, str, str]  # judge, version, purpose, hour, state, reason

_ADD = """
INSERT INTO evals_judgement_hour AS h (
    project_id, judge_id, judge_version_id, purpose, hour, state, reason, n, calls, cost_pico, unpriced
)
SELECT %(project_id)s, new.* FROM unnest(
    %(judges)s::bigint[], %(versions)s::bigint[], %(purposes)s::smallint[], %(hours)s::timestamptz[],
    %(states)s::text[], %(reasons)s::text[], %(n)s::bigint[], %(calls)s::bigint[], %(costs)s::bigint[],
    %(unpriced)s::bigint[]
) AS new
ON CONFLICT (project_id, judge_version_id, purpose, hour, state, reason) DO UPDATE
SET n = h.n + excluded.n, calls = h.calls + excluded.calls, cost_pico = h.cost_pico + excluded.cost_pico,
    unpriced = h.unpriced + excluded.unpriced
"""


def hour_of(at: datetime) -> datetime:
    """The hour `at` lies in."""
    return at.replace(minute=0, second=0, microsecond=0)


class Tallies:
    """Changes of one transaction, written together at its end in one order, so that two never wait for each other.

    What locks more than judgements does so in this order everywhere: judgements, the day's money, tallies, sums.
    """

    def __init__(self, project_id: int) -> None:
        self._project_id = project_id
        self._changes: dict[Key, list[int]] = defaultdict(lambda: [0, 0, 0, 0])

    def add(self, key: Key, n: int = 0, *, calls: int = 0, cost_pico: int = 0, unpriced: int = 0) -> None:
        """Count `n` judgements, and calls with their cost, under a state."""
        change = self._changes[key]
        change[0] += n
        change[1] += calls
        change[2] += cost_pico
        change[3] += unpriced

    def move(self, was: Key, now: Key, n: int = 1) -> None:
        """Count `n` judgements under another state than before."""
        self.add(was, -n)
        self.add(now, n)

    def write(self, cursor: Cursor[Any]) -> None:
        """Write what was counted."""
        rows = [(key, change) for key, change in sorted(self._changes.items()) if any(change)]
        self._changes.clear()
        if not rows:
            return
        keys = list(zip(*(key for key, _ in rows), strict=True))
        sums = list(zip(*(change for _, change in rows), strict=True))
        names = ("judges", "versions", "purposes", "hours", "states", "reasons", "n", "calls", "costs", "unpriced")
        params: dict[str, Any] = {name: list(values) for name, values in zip(names, (*keys, *sums), strict=True)}
        cursor.execute(_ADD, params | {"project_id": self._project_id})
