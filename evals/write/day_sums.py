"""Sums of whole days, made from those by the hour once a day is past: what pages over weeks and months read.

A day is read from its hours until it is made, and again from the moment one of its hours changes until it is made
anew: readers see the same figures either way. Triggers note what changes in hours more than six hours past
(`evals_day_stale`).
"""

from __future__ import annotations

import time
from datetime import UTC, date, datetime, timedelta
from datetime import time as time_of_day
from functools import lru_cache
from typing import Any

from django.db import transaction
from psycopg import Cursor, sql

from evals.stats.nonresponse import RAISED_MAX
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.lib.sql import load
from telltale.projects.models import Project

# Its last hour may change without a note for six hours, and no transaction lasts for six more.
BUILT_AFTER = timedelta(hours=12)
DAYS_BACK = 400
# In one transaction, about 0.2 s where each hour has a hundred traces.
AT_A_TIME = 10

_DELETES = tuple(
    sql.SQL("DELETE FROM {} WHERE project_id = %(project_id)s AND day = ANY(%(days)s::date[])").format(
        sql.Identifier(table)
    )
    for table in ("evals_score_day", "evals_decision_day", "evals_day_built")
)
_TAKE_STALE = """
DELETE FROM evals_day_stale AS s
USING unnest(%(starts)s::timestamptz[], %(ends)s::timestamptz[]) AS d (s, e)
WHERE s.project_id = %(project_id)s AND s.hour >= d.s AND s.hour < d.e
"""
_DECISIONS = """
INSERT INTO evals_decision_day
SELECT h.project_id, d.day, h.judge_id, h.feature, h.model, h.prompt_version, sum(h.covered), sum(h.taken),
    sum(h.uncovered)
FROM unnest(%(days)s::date[], %(starts)s::timestamptz[], %(ends)s::timestamptz[]) AS d (day, s, e)
JOIN evals_decision_hour AS h ON h.project_id = %(project_id)s AND h.hour >= d.s AND h.hour < d.e
GROUP BY h.project_id, d.day, h.judge_id, h.feature, h.model, h.prompt_version
"""
_BUILT = """
INSERT INTO evals_day_built (project_id, day, zone, starts_at, ends_at)
SELECT %(project_id)s, d.day, %(zone)s, d.s, d.e
FROM unnest(%(days)s::date[], %(starts)s::timestamptz[], %(ends)s::timestamptz[]) AS d (day, s, e)
"""
_KNOWN = """
SELECT b.day FROM evals_day_built AS b
WHERE b.project_id = %(project_id)s AND b.zone = %(zone)s AND NOT EXISTS (
    SELECT FROM evals_day_stale AS s
    WHERE s.project_id = b.project_id AND s.hour >= b.starts_at AND s.hour < b.ends_at
)
"""
_OLDEST = "SELECT min(hour) FROM {} WHERE project_id = %(project_id)s"
_HASHES = "SELECT set_config('enable_nestloop', %s, true), set_config('enable_mergejoin', %s, true)"
_LOCK = "SELECT pg_advisory_xact_lock(hashtext('evals_day'), %(project_id)s)"


def hours_of_day(day: date, zone: str) -> tuple[datetime, datetime]:
    """The hours (of UTC) that begin in a day of a zone, as [start, end): 23 or 25 where the clock changes."""
    return _first_hour(day, zone), _first_hour(day + timedelta(days=1), zone)


def _first_hour(day: date, zone: str) -> datetime:
    at = datetime.combine(day, time_of_day(), clock.zone_of(zone)).astimezone(UTC)
    whole = at.replace(minute=0, second=0, microsecond=0)
    return whole if whole == at else whole + timedelta(hours=1)


def build_all(seconds: float) -> int:
    """Make the days of all projects that are to be made, for about so long; how many. Safe to stop and to repeat."""
    ends, built = time.monotonic() + seconds, 0
    for project_id, zone in Project.objects.order_by("pk").values_list("pk", "time_zone"):
        while time.monotonic() < ends and (made := build_days(project_id, zone, AT_A_TIME)):
            built += made
    return built


def build_days(project_id: int, zone: str, most: int) -> int:
    """Make the sums of up to `most` past days that have none, or whose hours changed, newest first; how many."""
    wanted = _wanted(project_id, zone)[:most]
    for at in range(0, len(wanted), AT_A_TIME):
        _build(project_id, zone, wanted[at : at + AT_A_TIME])
    return len(wanted)


def _wanted(project_id: int, zone: str) -> list[date]:
    params: dict[str, Any] = {"project_id": project_id, "zone": zone}
    with raw_cursor() as cursor:
        oldest = [_one(cursor, _OLDEST.format(table), params) for table in ("evals_score_hour", "evals_decision_hour")]
        known_from = min((at for at in oldest if at is not None), default=None)
        if known_from is None:
            return []
        cursor.execute(_KNOWN, params)
        known = {row[0] for row in cursor.fetchall()}
    now = clock.now()
    last = (now - BUILT_AFTER).astimezone(clock.zone_of(zone)).date() - timedelta(days=1)
    first = max(known_from.astimezone(clock.zone_of(zone)).date(), last - timedelta(days=DAYS_BACK))
    days = [last - timedelta(days=back) for back in range((last - first).days + 1)]
    return [day for day in days if day not in known]


def _one(cursor: Cursor[Any], query: str, params: dict[str, Any]) -> Any:
    cursor.execute(query, params)
    row = cursor.fetchone()
    return None if row is None else row[0]


def _build(project_id: int, zone: str, days: list[date]) -> None:
    spans = [hours_of_day(day, zone) for day in days]
    params: dict[str, Any] = {
        "project_id": project_id,
        "zone": zone,
        "days": days,
        "starts": [start for start, _ in spans],
        "ends": [end for _, end in spans],
    }
    with transaction.atomic(), raw_cursor() as cursor:
        cursor.execute(_LOCK, params)
        # What is noted is taken first: whoever noted it has committed, so the sums read next hold the change.
        cursor.execute(_TAKE_STALE, params)
        for query in _DELETES:
            cursor.execute(query, params)
        # New hours are not in the planner's figures yet: it would look through all of them for each one.
        cursor.execute(_HASHES, ["off", "off"])
        cursor.execute(_scores(), params)
        cursor.execute(_DECISIONS, params)
        cursor.execute(_BUILT, params)
        cursor.execute(_HASHES, ["on", "on"])


@lru_cache(maxsize=1)
def _scores() -> bytes:
    text = "\n".join(line for line in load("evals", "build_score_days").splitlines() if not line.startswith("--"))
    return sql.SQL(text).format(most=sql.Literal(RAISED_MAX)).as_bytes(None)
