"""The hot queries stand on the indexes they are meant for, and look at no more partitions than they must."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from uuid import UUID

import orjson
import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from traces.read import Ask, Term, TraceFilter, get_span, get_trace, list_spans, list_traces, read_facets
from traces.write import partitions

pytestmark = pytest.mark.django_db
N = 6_000
NOW = datetime.now(UTC)
WEEK = TraceFilter(start=NOW - timedelta(days=7), end=NOW + timedelta(days=1))
SEED_TRACES = """
    INSERT INTO traces_trace (
        project_id, trace_id, started_at, last_started_at, updated_at, name, span_count, generation_count, error_count,
        usage_count, priced_count, unpriced_count, unknown_usage_count, partial_count, upper_bound_count,
        duplicate_count, flags, input_fresh, input_cache_read, input_cache_write_5m, input_cache_write_1h, input_audio,
        output_text, output_reasoning, output_audio, cost_pico, models, tags, ranks, feature, user_id, session_id
    )
    SELECT p, md5(p || ':' || i)::uuid, at, at, at, 'turn', 3, 1, (i %% 500 = 0)::int, 1, 1, (i %% 400 = 0)::int,
        0, 0, 0, 0, 0, 100, 0, 0, 0, 0, 10, 0, 0, i * 1000, '{gpt-4o-mini}', '{}', '', 'f' || i %% 50, 'u' || i %% 900,
        's' || i %% 3000
    FROM generate_series(1, %(n)s) AS i,
        LATERAL (SELECT now() - i * interval '13 days' / %(n)s AS at) AS t,
        LATERAL (SELECT %(project)s + i %% 4 AS p) AS q
"""
SEED_SPANS = """
    INSERT INTO traces_span (
        project_id, trace_id, span_id, started_at, batch_id, origin_id, kind, otel_kind, status, flags, counted, name
    )
    SELECT project_id, trace_id, s, started_at, 1, 1, 0, 1, 0, 0, false, 'step'
    FROM traces_trace, generate_series(1, 3) AS s
"""


@pytest.fixture
def seeded(shop):
    """6,000 traces over 13 days in four projects, three spans each, with the statistics that autovacuum would keep."""
    partitions.forget()
    days = {(NOW - timedelta(days=back)).date() for back in range(-1, 15)}
    partitions.ensure_days("traces_span", days)
    partitions.ensure_days("traces_payload", days)
    with connection.cursor() as cursor:
        cursor.execute(SEED_TRACES, {"n": N, "project": shop.project.pk})
        cursor.execute(SEED_SPANS)
        cursor.execute("ANALYZE traces_trace, traces_span")
    return shop.project.pk


def plans(ask):
    """The plans of the queries over span-sized tables that `ask` makes, as text."""
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


def list_plan(project, terms=(), sort="-started_at", **more):
    wanted = TraceFilter(WEEK.start, WEEK.end, terms=tuple(terms))
    return plans(lambda: list_traces(project, wanted, sort, Ask(count=False, **more)))[-1]


def test_the_newest_traces_come_off_the_index_without_a_sort(seeded):
    plan = list_plan(seeded)

    assert "traces_trace_started" in plan
    assert '"Sort"' not in plan


def test_the_next_page_starts_inside_the_index(seeded):
    """A bound by the pair alone would have the index walked from the end of the window."""
    cursor = list_traces(seeded, WEEK).older

    plan = list_plan(seeded, before=cursor)

    assert "traces_trace_started" in plan
    [condition] = re.findall(r'"Index Cond": ?"([^"]*)"', plan)
    assert "started_at <= " in condition
    assert '"Sort"' not in plan


@pytest.mark.parametrize(
    ("field", "value", "index"),
    [
        ("user", "u8", "traces_trace_user"),
        ("session", "s8", "traces_trace_session"),
        ("feature", "f8", "traces_trace_feature"),
        ("status", "error", "traces_trace_error"),
        ("cost_status", "unpriced", "traces_trace_unpriced"),
        ("model", "nobody-uses-this", "traces_trace_models"),
        ("tag", "nobody-sets-this", "traces_trace_models"),
    ],
)
def test_a_filter_stands_on_its_index(seeded, field, value, index):
    assert index in list_plan(seeded, [Term(field, "is", (value,))])


def test_the_calls_of_an_hour_are_looked_for_in_their_day_alone(seeded):
    start = (NOW - timedelta(days=3)).replace(hour=10)
    ends = {"call.from": start, "call.to": start + timedelta(hours=1)}
    terms = tuple(Term(key, "is", (at.isoformat(),)) for key, at in ends.items())

    found = plans(lambda: list_traces(seeded, TraceFilter(end=ends["call.to"], terms=terms)))

    of_spans = [plan for plan in found if "traces_span" in plan]
    assert of_spans
    for plan in of_spans:
        names = set(re.findall(r'"Relation Name": ?"(traces_span\w*)"', plan))
        assert names == {f"traces_span_{start:%Y%m%d}"}


def test_the_dearest_traces_come_off_the_index(seeded):
    plan = list_plan(seeded, sort="-cost")

    assert "traces_trace_cost" in plan
    assert '"Sort"' not in plan


def test_the_facets_read_a_sample_off_the_index(seeded):
    plan = plans(lambda: read_facets(seeded, WEEK, sample=100))[-1]

    assert "traces_trace_started" in plan
    # The store has no signals here, and an empty table is read whole.
    assert set(re.findall(r'"Seq Scan"[^{}]*?"Relation Name": ?"(\w+)"', plan)) <= {"traces_signal"}


def test_a_trace_is_found_by_its_key_and_its_spans_in_one_partition(seeded):
    row = list_traces(seeded, WEEK, ask=Ask(limit=1)).rows[0]

    by_key = plans(lambda: get_trace(seeded, row.trace_id))[0]
    steps = plans(lambda: list_spans(seeded, row))[0]
    span = plans(lambda: get_span(seeded, row, 2))[0]

    assert "traces_trace_pkey" in by_key
    assert "Seq Scan" not in by_key
    for plan in (steps, span):
        assert plan.count('"Relation Name": "traces_span') + plan.count('"Relation Name":"traces_span') == 1
        assert "_pkey" in plan
    assert len(list_spans(seeded, row).steps) == 3


def test_an_unknown_trace_costs_one_look_up(seeded, django_assert_num_queries):
    with django_assert_num_queries(4):  # savepoint, time limit, look-up, release
        assert get_trace(seeded, UUID(int=7)) is None
