"""Lists and pages of sessions and users stand on their indexes, and look at no more partitions than they must."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import orjson
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from telltale.lib.db import raw_cursor
from tests.traces.test_read_plans import SEED_SPANS, SEED_TRACES
from traces.read import Ask, Term, TraceFilter
from traces.read.asking import asking
from traces.read.sessions import get_session, list_sessions, neighbours_of, read_medians
from traces.read.turns import cursor_at, list_turns, read_words
from traces.read.users import list_users, read_user
from traces.rollup.buckets import calendar_of
from traces.write import partitions, sessions

pytestmark = pytest.mark.django_db
N = 8_000
NOW = datetime.now(UTC)
WEEK = TraceFilter(start=NOW - timedelta(days=7), end=NOW + timedelta(days=1))
UTC_DAYS = calendar_of("UTC")
SEED_DAYS = """
    INSERT INTO traces_user_period
    SELECT project_id, 1440, date_trunc('day', started_at), user_id, count(*), sum(error_count), sum(input_fresh), 0,
        sum(output_text), sum(cost_pico), sum(unpriced_count)
    FROM traces_trace GROUP BY 1, 2, 3, 4
"""


@pytest.fixture
def seeded(shop):
    """8,000 traces over 13 days in four projects, 3,000 sessions, with the statistics that autovacuum would keep."""
    partitions.forget()
    days = {(NOW - timedelta(days=back)).date() for back in range(-1, 15)}
    partitions.ensure_days("traces_span", days)
    partitions.ensure_days("traces_payload", days)
    project = shop.project.pk
    with connection.cursor() as cursor:
        cursor.execute(SEED_TRACES, {"n": N, "project": project})
        # About five turns a session.
        cursor.execute(
            "UPDATE traces_trace SET session_id = 's' || (extract(epoch FROM now() - started_at)::bigint / 3000),"
            " ended_at = started_at + interval '1 s' * (abs(hashtext(trace_id::text)) % 900),"
            " ranks = '0:' || (extract(epoch FROM started_at) * 1000000)::bigint || ':1:io'"
        )
        cursor.execute(SEED_SPANS)
        cursor.execute(SEED_DAYS)
        cursor.execute("SELECT project_id, array_agg(DISTINCT session_id) FROM traces_trace GROUP BY 1")
        named = cursor.fetchall()
    for project_id, session_ids in named:
        with raw_cursor() as cursor:
            sessions.refresh(cursor, project_id, session_ids)
    with connection.cursor() as cursor:
        cursor.execute("ANALYZE traces_trace, traces_span, traces_payload, traces_session, traces_user_period")
    return project


def plans(ask):
    """The plans of the queries over tables of traces that `ask` makes, as text."""
    with CaptureQueriesContext(connection) as captured:
        ask()
    found = []
    for query in captured.captured_queries:
        if "traces_" in query["sql"] and not query["sql"].startswith("EXPLAIN"):
            with connection.cursor() as cursor:
                cursor.execute("EXPLAIN (FORMAT JSON) " + query["sql"])
                plan = cursor.fetchone()[0]
            found.append(orjson.dumps(plan).decode() if isinstance(plan, list) else plan)
    assert found
    return found


def asked(read, *given):
    """A question that is asked within a transaction of its own."""

    def ask():
        with asking() as cursor:
            return read(cursor, *given)

    return ask


def list_plan(project, terms=(), sort="-started_at", **more):
    wanted = TraceFilter(WEEK.start, WEEK.end, terms=tuple(terms))
    return plans(lambda: list_sessions(project, wanted, sort, Ask(count=False, **more)))[-1]


@pytest.mark.parametrize(
    ("sort", "index"),
    [
        ("-started_at", "traces_session_started"),
        ("started_at", "traces_session_started"),
        ("-last_at", "traces_session_active"),
        ("-cost", "traces_session_cost"),
        ("-turns", "traces_session_turns"),
        ("-length", "traces_session_length"),
    ],
)
def test_an_order_comes_off_its_index_without_a_sort_on_every_page(seeded, sort, index):
    # Over so few rows a sort may be as cheap: what is asked is whether the index can do without.
    with connection.cursor() as held:
        held.execute("SET LOCAL enable_sort = off")
    cursor = list_sessions(seeded, WEEK, sort).older
    first, second = list_plan(seeded, sort=sort), list_plan(seeded, sort=sort, before=cursor)

    for plan in (first, second):
        assert index in plan
        assert '"Sort"' not in plan
        assert "Seq Scan" not in plan


@pytest.mark.parametrize(
    ("field", "value", "index"),
    [
        ("user", "u8", "traces_session_user"),
        ("status", "error", "traces_session_error"),
        ("cost_status", "unpriced", "traces_session_unpriced"),
    ],
)
def test_a_filter_stands_on_its_index(seeded, field, value, index):
    assert index in list_plan(seeded, [Term(field, "is", (value,))])


def test_the_sessions_of_a_user_come_in_order_off_their_index(seeded):
    plan = list_plan(seeded, [Term("user", "is", ("u8",))])

    assert "traces_session_user" in plan
    assert '"Sort"' not in plan


def test_neighbours_and_medians_come_off_the_index(seeded, monkeypatch):
    monkeypatch.setattr("traces.read.sessions.MEDIAN_SAMPLE", 20)
    row = list_sessions(seeded, WEEK).rows[20]
    around = plans(asked(neighbours_of, seeded, WEEK, "-started_at", row))
    medians = plans(asked(read_medians, seeded, NOW))

    assert len(around) == 2
    for plan in (*around, *medians):
        assert "traces_session_started" in plan
        assert "Seq Scan" not in plan


def test_a_session_is_found_by_its_key_and_its_turns_on_their_index(seeded):
    row = list_sessions(seeded, WEEK).rows[5]
    by_key = plans(asked(get_session, seeded, row.session_id))[0]
    turns = plans(asked(list_turns, seeded, row.session_id))[0]
    page = asked(list_turns, seeded, row.session_id)()
    at = plans(asked(cursor_at, seeded, row.session_id, page.turns[0].trace.hex_id))[0]

    assert "traces_session_pkey" in by_key
    assert "traces_trace_session" in turns
    assert "traces_trace_session" in at
    for plan in (by_key, turns, at):
        assert "Seq Scan" not in plan


def test_the_words_of_a_page_are_read_by_key_in_the_partitions_of_its_days(seeded):
    row = list_sessions(seeded, WEEK).rows[5]
    page = asked(list_turns, seeded, row.session_id)()
    (spans,) = plans(asked(read_words, seeded, page.turns))
    days = {turn.trace.started_at.date() for turn in page.turns}

    assert len(page.turns) >= 2
    assert spans.count('"Relation Name":"traces_span_') + spans.count('"Relation Name": "traces_span_') == len(days)
    assert "_pkey" in spans


def test_users_stand_on_their_days_and_one_user_on_single_look_ups(seeded):
    listed = plans(lambda: list_users(seeded, UTC_DAYS, WEEK))[0]
    seen, days = plans(asked(read_user, seeded, UTC_DAYS, "u8", WEEK.start, NOW))

    assert "traces_user_period" in listed
    assert "traces_trace_user" in listed
    assert "traces_trace_user" in seen
    assert "traces_user_period_pkey" in days
    assert "Seq Scan" not in days


def test_the_number_of_questions_does_not_grow_with_the_rows(seeded):
    row = max(list_sessions(seeded, WEEK, ask=Ask(limit=500)).rows, key=lambda row: row.turns)

    def questions(ask):
        with CaptureQueriesContext(connection) as captured:
            ask()
        return len(captured.captured_queries)

    def turns(cursor, project, limit):
        read_words(cursor, project, list_turns(cursor, project, row.session_id, limit=limit).turns)

    assert row.turns > 3
    assert questions(asked(turns, seeded, 1)) == questions(asked(turns, seeded, 40))
    for listed in (
        lambda n: list_sessions(seeded, WEEK, ask=Ask(limit=n)),
        lambda n: list_users(seeded, UTC_DAYS, WEEK, ask=Ask(limit=n)),
    ):
        assert questions(lambda listed=listed: listed(1)) == questions(lambda listed=listed: listed(40))
