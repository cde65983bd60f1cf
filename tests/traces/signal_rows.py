"""Signals and behaviour put into the store as rows, for tests of pages: what a sender told is no matter here."""

from __future__ import annotations

from datetime import timedelta
from itertools import count
from uuid import UUID

import orjson
from django.db import connection

from tests.traces.session_rows import NOON
from traces.behaviour.types import Stratum
from traces.read.session_rows import session_key
from traces.signals.kinds import Kind, Source, Target

_ids = count(1)
_INSERT = "INSERT INTO {table} SELECT * FROM json_populate_record(NULL::{table}, %s::json)"


def _put(table, row):
    with connection.cursor() as cursor:
        cursor.execute(_INSERT.format(table=table), [orjson.dumps(row).decode()])


def put_signal(
    project_id, kind=Kind.THUMB, *, trace=None, session=None, request=None, at=0.0, bound=True, of=None, **more
):
    """A signal about a trace, a session or a request, `at` seconds after noon; bound, to session `of` where told."""
    n = next(_ids)
    when = (NOON + timedelta(seconds=at)).isoformat()
    target = Target.TRACE if trace is not None else Target.SESSION if session is not None else Target.REQUEST
    unit = session_key(of or session) if of or session else trace
    row = {
        "project_id": project_id, "signal_key": str(UUID(int=n)), "signal_id": n, "target_kind": int(target),
        "trace_id": None if trace is None else str(trace), "session_id": session, "request_id": request,
        "name": kind.name.lower(), "kind": int(kind), "source": int(Source.END_USER), "happened_at": when,
        "is_dated": True, "received_at": when, "updated_at": when, "revision": 1,
        "unit_key": str(unit) if bound and unit is not None else None, "bound_at": when if bound else None,
    }  # fmt: skip
    row |= {key: int(value) if isinstance(value, Source | Target) else value for key, value in more.items()}
    _put("traces_signal", row)
    return n


def put_behaviour(project_id, session, stratum=Stratum.CARRIED_ON, *, facts=0, vote=0, rating=None, at=0.0):
    """What the user of a session did, as the fold writes it."""
    when = (NOON + timedelta(seconds=at)).isoformat()
    _put("traces_behaviour", {
        "project_id": project_id, "unit_key": str(session_key(session)), "session_id": session, "definition": 0,
        "feature": "", "first_at": when, "last_at": when, "closes_at": when, "is_closed": stratum != Stratum.OPEN,
        "turns": 1, "answers": 1, "facts": int(facts), "stratum": int(stratum), "vote": vote, "votes": abs(vote),
        "rating": rating, "cost_pico": 0, "is_cost_known": False, "computed_at": when,
    })  # fmt: skip
