"""Signals as tests send them through the door, and what then lies in the store."""

from __future__ import annotations

import orjson
from django.db import connection, transaction

from telltale.lib.db import raw_cursor
from traces.write import feed, signals

TRACE = "5b8efff798038103d269b633813fc60c"
OTHER = "5b8efff798038103d269b633813fc60d"


def send(client, body, headers=None, status=200, **more):
    """POST a body; the answer's JSON."""
    raw = body if isinstance(body, bytes) else orjson.dumps(body)
    answer = client.post("/api/v1/signals", raw, "application/json", headers=headers, **more)
    assert answer.status_code == status, answer.content
    return answer.json()


def rows(project_id, *columns):
    """All signals of a project in the order they were first told: these columns of each."""
    names = ", ".join(columns or ("name",))
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {names} FROM traces_signal WHERE project_id = %s ORDER BY signal_id", [project_id])
        found = cursor.fetchall()
    return found if len(columns) > 1 else [row[0] for row in found]


def due(project_id):
    """The sessions (or traces, as hex) whose behaviour is to be looked at."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT session_id, unit_key FROM traces_behaviour_due WHERE project_id = %s", [project_id])
        return {session or unit.hex for session, unit in cursor.fetchall()}


def forget_due():
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM traces_behaviour_due")


def consume(project_id):
    """What the consumer of changed traces does about signals: the units that were bound."""
    with transaction.atomic(), raw_cursor() as cursor:
        told = feed.claim(cursor, feed.Consumer.BEHAVIOUR, project_id, 1000)
        return signals.bind(cursor, project_id, {trace_id for each in told for trace_id in each.trace_ids})
