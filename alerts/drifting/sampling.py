"""Which traces are sampled: a salted draw by the trace's id, at a share that is fixed for each hour before its draws.

A trace told of twice is decided the same way twice. What waits to be embedded is written in the transaction that takes
what was told, so nothing is skipped and nothing comes twice.
"""

from __future__ import annotations

import hmac
import logging
import time
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import psycopg
from django.conf import settings
from django.db import DatabaseError, transaction
from psycopg import Cursor

from alerts.read.drift import DriftView, settings_of, traffic
from alerts.write import drift as write
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from traces import changes
from traces.own_calls import JUDGE_SERVICE
from traces.read import TooSlow, TraceRow
from traces.read.contents import read_rows

log = logging.getLogger(__name__)

# What rows nobody thought of may do to a project's work, which must not stop that of others.
WRONG = (psycopg.Error, DatabaseError, TooSlow, ArithmeticError, LookupError, TypeError, ValueError)
RUN_SECONDS = 20.0
TAKE_ENTRIES = 100
# A trace is looked at when nothing of it came for so long.
SETTLE = timedelta(seconds=30)
# A burst that no hour before announced is cut here, and said so: pi of what was taken is then too high.
OVER_CAP = 2.0
BEFORE = timedelta(hours=24)


def take_changes(seconds: float = RUN_SECONDS) -> int:
    """Have sampled traces among what changed wait to be embedded; how many traces were looked at."""
    ends, seen = time.monotonic() + seconds, 0
    for project_id in changes.projects_to_sample():
        try:
            while taken := take_told(project_id):
                seen += taken
                if time.monotonic() > ends:
                    return seen
        except WRONG as error:
            # Others do not wait for it; what was told stays where it is.
            log.exception("changes of project %s cannot be sampled; they wait", project_id, exc_info=error)
    return seen


def take_told(project_id: int) -> int:
    """Decide the traces of up to `TAKE_ENTRIES` accepted requests; how many these were. Dropped where drift is off."""
    wanted = settings_of(project_id)
    with transaction.atomic(), raw_cursor() as cursor:
        trace_ids = changes.take_to_sample(project_id, TAKE_ENTRIES)
        if trace_ids and wanted.is_on:
            sample(cursor, project_id, wanted, list(read_rows(project_id, trace_ids).values()))
    return len(trace_ids)


def sample(
    cursor: Cursor[Any],
    project_id: int,
    wanted: DriftView,
    rows: Sequence[TraceRow],
    *,
    again: bool = False,
    settle: timedelta = SETTLE,
) -> int:
    """Decide traces; how many wait to be embedded now that did not before. `again`: those with a sample as well."""
    now = clock.now()
    by_hour: dict[datetime, list[UUID]] = {}
    for row in rows:
        # What judging itself called is nobody's traffic.
        if row.service != JUDGE_SERVICE:
            by_hour.setdefault(write.hour_of(row.started_at), []).append(row.trace_id)
    known = write.shares_of(cursor, project_id, list(by_hour))
    added = 0
    for hour, trace_ids in sorted(by_hour.items()):
        share = known.get(hour)
        if share is None:
            share = write.fix_share(cursor, project_id, hour, share_of_hour(project_id, wanted.cap_a_day, hour))
        drawn = [(trace_id, share, draw) for trace_id in trace_ids if (draw := draw_of(project_id, trace_id)) < share]
        if not drawn:
            continue
        room = int(wanted.cap_a_day * OVER_CAP) - (0 if again else write.taken_before(cursor, project_id, hour))
        if len(drawn) > room:
            drawn.sort(key=lambda each: each[2])
            write.count_left_out(cursor, project_id, hour, "cap", len(drawn) - max(room, 0))
            drawn = drawn[: max(room, 0)]
        if drawn:
            new = write.add_due(cursor, project_id, drawn, now + settle, now, again=again)
            added += len(new)
            if not again:
                write.count_taken(cursor, project_id, hour, len(new))
    return added


def share_of_hour(project_id: int, cap_a_day: int, hour: datetime) -> float:
    """The share of an hour's traces that is taken, so that a day like the one before it comes to the cap."""
    most = 1_000 * max(cap_a_day, 1)
    before = traffic(project_id, hour - BEFORE, hour, most)
    return min(1.0, cap_a_day / before) if before else 1.0


def draw_of(project_id: int, trace_id: UUID) -> float:
    """Where a trace stands in the salted order of its project, 0..1. Its sender cannot know."""
    key = settings.SECRET_KEY.encode()
    digest = hmac.digest(key, b"drift %d " % project_id + trace_id.bytes, "sha256")
    return int.from_bytes(digest[:8], "big") / 2**64
