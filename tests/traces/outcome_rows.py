"""Closed sessions and their signals as rows, for tests of outcomes: what traces would have made of them is no matter
here. `settle` books them as the fold does."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from uuid import UUID

import orjson
from django.db import connection, transaction

from telltale.jobs import work
from telltale.jobs.models import Job
from telltale.lib.db import raw_cursor
from traces.behaviour.types import Fact, Stratum
from traces.read.outcome_units import COLUMNS, units_of
from traces.read.outcomes import RECOUNT
from traces.signals.kinds import Kind
from traces.write import outcomes

NOON = datetime(2026, 11, 19, 12, tzinfo=UTC)
_UNIT = """
    INSERT INTO traces_behaviour SELECT * FROM json_populate_record(NULL::traces_behaviour, %s::json)
    ON CONFLICT (project_id, unit_key) DO UPDATE SET
        facts = excluded.facts, feature = excluded.feature, first_at = excluded.first_at,
        is_closed = excluded.is_closed, cost_pico = excluded.cost_pico, is_cost_known = excluded.is_cost_known
"""
_SIGNAL = "INSERT INTO traces_signal SELECT * FROM json_populate_record(NULL::traces_signal, %s::json)"


def unit_key(n):
    return UUID(int=n)


def put_session(
    project_id, n, *, at=NOON, feature="chat", facts=0, cost="0.01", closed=True, stratum=Stratum.CARRIED_ON, turns=2,
    lone=False,
):  # fmt: skip
    """Session number `n`, which began `at`; put again, it is changed. `cost` in USD, None for not known."""
    row = {
        "project_id": project_id, "unit_key": str(unit_key(n)), "session_id": None if lone else f"s{n}",
        "definition": 0, "feature": feature, "first_at": at.isoformat(), "last_at": at.isoformat(),
        "closes_at": at.isoformat(), "is_closed": closed, "turns": turns, "answers": turns,
        "facts": int(facts | (Fact.LONE if lone else 0)), "stratum": int(Stratum.UNKNOWN if lone else stratum),
        "vote": 0, "votes": 0, "cost_pico": 0 if cost is None else int(Decimal(cost) * 10**12),
        "is_cost_known": cost is not None, "computed_at": at.isoformat(),
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_UNIT, [orjson.dumps(row).decode()])


def put_signal(project_id, n, of, kind=Kind.CONVERSION, *, name="purchase", after=60, at=NOON, **value):
    """Signal number `n` of session number `of`, `after` seconds after `at`: number=, truth=, label=, vote=."""
    happened = (at + timedelta(seconds=after)).isoformat()
    row = {
        "project_id": project_id, "signal_key": str(UUID(int=n)), "signal_id": n, "target_kind": 3,
        "session_id": f"s{of}", "name": name, "kind": int(kind), "source": 1, "happened_at": happened,
        "is_dated": True, "received_at": happened, "updated_at": happened, "revision": 1,
        "unit_key": str(unit_key(of)), "bound_at": happened, "value_number": value.get("number"),
        "value_bool": value.get("truth"), "value_label": value.get("label"), "vote": value.get("vote"),
    }  # fmt: skip
    with connection.cursor() as cursor:
        cursor.execute(_SIGNAL, [orjson.dumps(row).decode()])


def settle(project_id, *ns):
    """Book these sessions anew as their rows are, with all outcomes in force, as the fold does; all of them if none."""
    with transaction.atomic(), raw_cursor() as cursor:
        measured = outcomes.load_measured(cursor, project_id)
        where = "AND unit_key = ANY(%s)" if ns else "AND %s::uuid[] IS NOT NULL"
        where += " ORDER BY unit_key FOR UPDATE"
        cursor.execute(
            f"SELECT {', '.join(COLUMNS)} FROM traces_behaviour WHERE project_id = %s {where}",
            (project_id, [unit_key(n) for n in ns]),
        )
        for kept in units_of(cursor, project_id, cursor.fetchall(), with_turns=True):
            seen = kept.unit.behaviour
            after = outcomes.figures_of(measured, kept.unit)
            place = outcomes.Place(seen.first_at, seen.feature, kept.outcomes)
            outcomes.book(cursor, project_id, measured, [(place, outcomes.Place(seen.first_at, seen.feature, after))])
            cursor.execute(
                "UPDATE traces_behaviour SET outcomes = %s WHERE project_id = %s AND unit_key = %s",
                (orjson.dumps(after).decode(), project_id, kept.unit_key),
            )


def run_jobs():
    """Run the counts that wait; how many."""
    done = 0
    for job in Job.objects.filter(kind=RECOUNT, state="pending").order_by("pk"):
        assert work.run_now(job).state == "done", Job.objects.get(pk=job.pk).error
        done += 1
    return done


def booked(project_id):
    """The hourly sums as they are kept, without cells of nothing: (outcome, hour, feature) -> sums."""
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT outcome_id, hour, feature, n, unknown, x, y, xx, xy, yy FROM traces_outcome_hour"
            " WHERE project_id = %s AND (n <> 0 OR unknown <> 0 OR x <> 0 OR y <> 0 OR xx <> 0 OR yy <> 0)",
            [project_id],
        )
        return {row[:3]: row[3:] for row in cursor.fetchall()}


def recounted(project_id):
    """The same from what the rows of sessions say is booked."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            SELECT o.id, date_trunc('hour', first_at, 'UTC'), feature, count(x), count(*) - count(x),
                coalesce(sum(x), 0), coalesce(sum(y), 0), coalesce(sum(x * x), 0), coalesce(sum(x * y), 0),
                coalesce(sum(y * y), 0)
            FROM traces_behaviour AS b
            CROSS JOIN LATERAL jsonb_each(coalesce(b.outcomes, '{}')) AS told
            JOIN traces_outcome AS o ON o.id = told.key::bigint AND o.revision = (told.value ->> 0)::integer
                AND o.archived_at IS NULL
            CROSS JOIN LATERAL (SELECT (told.value ->> 1)::numeric AS x, (told.value ->> 2)::numeric AS y) AS v
            WHERE b.project_id = %s GROUP BY 1, 2, 3
            """,
            [project_id],
        )
        return {row[:3]: row[3:] for row in cursor.fetchall()}
