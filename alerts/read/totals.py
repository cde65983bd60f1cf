"""How telling went in the whole installation: for counters, never for a project's page."""

from __future__ import annotations

from alerts.write.notices import KEPT_ATTEMPTS, attempts_by_result
from telltale.jobs.kept import read_kept


def read_attempt_totals() -> dict[str, int]:
    """Attempts to deliver since the beginning, by result: delivered, failed; those on their way are in none."""
    kept, there = read_kept(KEPT_ATTEMPTS), attempts_by_result()
    return {result: kept.get(result, 0) + there.get(result, 0) for result in ("delivered", "failed")}
