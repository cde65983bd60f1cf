"""Lists of signals, and lists filtered by them, stand on the indexes they are meant for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.db import connection

from tests.traces.test_read_plans import SEED_TRACES, list_plan, plans
from traces.read import Ask, Term, TraceFilter
from traces.read.signal_list import list_signal_rows
from traces.read.signals import signals_of_session, signals_of_traces, signals_of_user

pytestmark = pytest.mark.django_db
N = 4_000
NOW = datetime.now(UTC)
SEED_SIGNALS = """
    INSERT INTO traces_signal (
        project_id, signal_key, signal_id, target_kind, trace_id, session_id, name, kind, vote, source, author,
        happened_at, is_dated, received_at, updated_at, unit_key, bound_at
    )
    SELECT project_id, trace_id, row_number() OVER (), 1, trace_id, session_id, 'told', kind,
        CASE kind WHEN 1 THEN 1 END, 1, user_id, started_at, true, started_at, started_at, md5(session_id)::uuid,
        started_at
    FROM (SELECT t.*, 1 + (row_number() OVER () %% 12)::int AS kind FROM traces_trace AS t) AS t
"""


@pytest.fixture
def told(shop):
    """4,000 traces over 13 days in four projects with a signal each, with the statistics that autovacuum would keep."""
    with connection.cursor() as cursor:
        cursor.execute(SEED_TRACES, {"n": N, "project": shop.project.pk})
        cursor.execute(SEED_SIGNALS.replace("%%", "%"))
        cursor.execute("ANALYZE traces_trace")
        cursor.execute("ANALYZE traces_signal")
    return shop.project.pk


def signal_plan(project, *terms):
    wanted = TraceFilter(NOW - timedelta(days=7), NOW + timedelta(days=1), terms=terms)
    return plans(lambda: list_signal_rows(project, wanted, ask=Ask(count=False)))[-1]


def test_the_newest_signals_come_off_the_index_without_a_sort(told):
    plan = signal_plan(told)

    assert "traces_signal_newest" in plan
    assert '"Sort"' not in plan


def test_signals_of_one_kind_stand_on_their_index(told):
    for value in ("correction", "thumb.up"):
        assert "traces_signal_kind" in signal_plan(told, Term("kind", "is", (value,)))


@pytest.mark.parametrize(
    ("field", "value", "index"),
    [("trace", f"{7:032x}", "traces_signal_trace"), ("session", "s7", "traces_signal_session"),
     ("author", "u7", "traces_signal_author")],
)  # fmt: skip
def test_signals_of_one_thing_stand_on_its_index(told, field, value, index):
    assert index in signal_plan(told, Term(field, "is", (value,)))


def test_signals_on_pages_are_found_by_key(told):
    with connection.cursor() as cursor:
        cursor.execute("SELECT trace_id FROM traces_trace WHERE project_id = %s LIMIT 50", [told])
        traces = [row[0] for row in cursor.fetchall()]

    assert "traces_signal_trace" in plans(lambda: signals_of_traces(told, traces))[-1]
    assert "traces_signal_unit" in plans(lambda: signals_of_session(told, "s7"))[-1]
    assert "traces_signal_author" in plans(lambda: signals_of_user(told, "u7"))[-1]


def test_traces_without_a_signal_are_looked_for_row_by_row_newest_first(told):
    plan = list_plan(told, [Term("signal", "is", ("none",))])

    assert "traces_trace_started" in plan
    assert "traces_signal_trace" in plan
    assert "Hash" not in plan
