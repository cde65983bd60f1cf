"""What users did as tests make it, fold it, and count it again from the rows themselves."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

from django.db import connection

from telltale.lib import clock
from telltale.lib.db import raw_cursor
from traces import behaving
from traces.behaviour.definition import SHIPPED
from traces.behaviour.rules import behaviour
from traces.read.behaviour import definition_of
from traces.read.behaviour_units import UnitRef, read_units

HOUR = (
    "hour", "feature", "stratum", "facts", "vote", "is_closed", "n", "answers", "answers_squared", "seconds",
    "seconds_squared", "seconds_n",
)  # fmt: skip
_RECOUNT = """
    SELECT date_trunc('hour', first_at, 'UTC'), feature, stratum, facts, vote, is_closed, count(*), sum(answers),
        sum(answers::bigint * answers), coalesce(sum(length_seconds::numeric), 0),
        coalesce(sum(length_seconds::numeric * length_seconds::numeric), 0), count(length_seconds)
    FROM traces_behaviour WHERE project_id = %s GROUP BY 1, 2, 3, 4, 5, 6 ORDER BY 1, 2, 3, 4, 5, 6
"""


def ask(query, *params):
    with connection.cursor() as cursor:
        cursor.execute(query, params)
        return cursor.fetchall()


def kept(project_id):
    """The counts by the hour as they are kept."""
    return ask(
        f"SELECT {', '.join(HOUR)} FROM traces_behaviour_hour WHERE project_id = %s ORDER BY 1, 2, 3, 4, 5, 6",
        project_id,
    )


def recounted(project_id):
    """The same, from the rows of units."""
    return ask(_RECOUNT, project_id)


def rows(project_id, *columns):
    """These columns of every unit, by its key."""
    names = ", ".join(columns)
    return ask(f"SELECT {names} FROM traces_behaviour WHERE project_id = %s ORDER BY unit_key", project_id)


def by_rules(project_id):
    """(facts, stratum, vote, votes, answers, turns, closed or open) of every unit that is stored, by pure rules."""
    definition = definition_of(project_id)[1]
    refs = [
        UnitRef(row[0], row[1])
        for row in ask(
            "SELECT DISTINCT coalesce(md5(session_id)::uuid, trace_id), session_id FROM traces_trace"
            " WHERE project_id = %s ORDER BY 1",
            project_id,
        )
    ]
    with raw_cursor() as cursor:
        units = read_units(cursor, project_id, refs)
    found = []
    for unit in units:
        seen = behaviour(unit.turns, unit.seen, definition, clock.now(), is_session=unit.ref.session_id is not None)
        found.append(
            (unit.ref.unit_key, int(seen.facts), int(seen.stratum), seen.vote, seen.votes, seen.answers, seen.turns,
             seen.is_closed, unit.cost_sum, unit.is_cost_known)
        )  # fmt: skip
    return found


OF_RULES = (
    "unit_key", "facts", "stratum", "vote", "votes", "answers", "turns", "is_closed", "cost_pico", "is_cost_known",
)  # fmt: skip


def settle(traveller=None, seconds=3):
    """Take in and fold everything that is due; `traveller` (time_machine's) goes on by `seconds` first."""
    behaving.take_changes()
    if traveller is not None:
        traveller.shift(timedelta(seconds=seconds))
    while behaving.take_changes() or behaving.fold_due().units:
        pass


def turn(trace, at, said=None, seconds=5.0, *, answered=True, failed=False, feature="chat"):
    """A turn of the rules, `at` seconds after 12:00."""
    from traces.behaviour.types import Turn

    started = NOON + timedelta(seconds=at)
    ended = None if seconds is None else started + timedelta(seconds=seconds)
    return Turn(UUID(int=trace), started, ended, feature, said, None, answered and not failed, failed)


NOON = datetime(2026, 11, 19, 12, tzinfo=UTC)
__all__ = ["SHIPPED"]
