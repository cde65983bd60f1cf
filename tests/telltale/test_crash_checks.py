"""What the crash test looks for, shown to be found: a checker that never objects proves nothing."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from uuid import UUID

import pytest
from django.db import connection
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from benchmarks import _checks
from benchmarks._client import quantile
from benchmarks.corpus import Corpus

TRACE = UUID(int=7)
AT = datetime(2026, 11, 20, 12, tzinfo=UTC)
KEY_A, KEY_B, KEY_C = (bytes(16) + bytes([0] * 7 + [n]) for n in (1, 2, 3))


def _problems(findings: list[_checks.Finding]) -> list[str]:
    return [problem for finding in findings for problem in finding.problems]


def test_a_store_that_holds_what_was_acknowledged_is_right():
    findings = _checks.compare_spans(Counter([KEY_A, KEY_B]), acked={KEY_A}, sent={KEY_A, KEY_B, KEY_C})

    assert _problems(findings) == []


@pytest.mark.parametrize(
    ("stored", "acked", "sent", "words"),
    [
        ([KEY_A], {KEY_A, KEY_B}, {KEY_A, KEY_B}, "1 lost"),
        ([KEY_A, KEY_A], {KEY_A}, {KEY_A}, "1 stored more than once"),
        ([KEY_A, KEY_C], {KEY_A}, {KEY_A, KEY_B}, "1 never sent"),
    ],
)
def test_a_lost_a_doubled_and_a_strange_span_are_found(stored, acked, sent, words):
    problems = _problems(_checks.compare_spans(Counter(stored), acked, sent))

    assert len(problems) == 1
    assert problems[0].startswith(words)


def _insert_span(span_id: int, cost_pico: int) -> None:
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO traces_span (project_id, trace_id, span_id, started_at, batch_id, origin_id, kind, otel_kind,
                status, flags, counted, name, duration_ns, input_fresh, output_text, cost_status, cost_pico)
            VALUES (1, %s, %s, %s, 1, 1, 1, 3, 1, 0, true, 'chat', 2000000, 100, 20, 1, %s)
            """,
            [TRACE, span_id, AT, cost_pico],
        )


def _insert_trace(**changed: int) -> None:
    row: dict[str, object] = {
        "project_id": 1, "trace_id": TRACE, "started_at": AT, "last_started_at": AT, "updated_at": AT,
        "ended_at": AT.replace(microsecond=2000), "name": "chat", "span_count": 2, "generation_count": 2,
        "error_count": 0, "usage_count": 2, "priced_count": 2, "unpriced_count": 0, "unknown_usage_count": 0,
        "partial_count": 0, "upper_bound_count": 0, "duplicate_count": 0, "flags": 0, "input_fresh": 200,
        "input_cache_read": 0, "input_cache_write_5m": 0, "input_cache_write_1h": 0, "input_audio": 0,
        "output_text": 40, "output_reasoning": 0, "output_audio": 0, "cost_pico": 3000, "models": [], "tags": [],
        "ranks": "",
    }  # fmt: skip
    row |= changed
    columns, marks = ", ".join(row), ", ".join(["%s"] * len(row))
    with connection.cursor() as cursor:
        cursor.execute(f"INSERT INTO traces_trace ({columns}) VALUES ({marks})", list(row.values()))


@pytest.mark.django_db
def test_sums_that_equal_their_spans_hold():
    _insert_span(1, 1000)
    _insert_span(2, 2000)
    _insert_trace()

    finding = _checks.check_sums(connection.connection)

    assert finding.looked_at == 1
    assert finding.problems == []


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["span_count", "cost_pico", "input_fresh", "error_count", "priced_count"])
def test_a_sum_that_differs_is_named(name):
    _insert_span(1, 1000)
    _insert_span(2, 2000)
    _insert_trace(**{name: 5})

    assert _checks.check_sums(connection.connection).problems == [f"{name} differs on 1 traces"]


@pytest.mark.django_db
def test_spans_without_a_trace_row_and_batches_that_do_not_add_up_are_found():
    _insert_span(1, 1000)
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO traces_ingest_batch (batch_id, project_id, key_id, source, received_at, committed_at,
                body_bytes, received, stored, duplicate, rejected, dropped, reasons)
            VALUES (1, 1, 1, 'traces', %s, %s, 10, 3, 2, 0, 0, 0, '{}')
            """,
            [AT, AT],
        )

    sums = _checks.check_sums(connection.connection)
    account = _checks.check_account(connection.connection)

    assert "the spans of 1 traces have no trace row" in sums.problems
    assert account.problems == ["1 batches do not add up", "batches say 2 stored, 1 spans are there"]


@pytest.mark.django_db
def test_an_unsafe_durability_setting_is_a_problem():
    # The tests' own PostgreSQL may run without fsync; what differs is what the checker must see.
    with connection.cursor() as cursor:
        cursor.execute("SET LOCAL synchronous_commit = off")
        held = _checks.check_settings(connection.connection)
        cursor.execute("SET LOCAL synchronous_commit = on")
        safe = _checks.check_settings(connection.connection)

    assert set(held.problems) - set(safe.problems) == {"synchronous_commit is off"}
    assert set(safe.problems) <= {"fsync is off", "full_page_writes is off"}


def test_the_corpus_is_the_same_every_time_and_its_totals_are_exact():
    first, second = Corpus(3, 600, burst=5), Corpus(3, 600, burst=5)

    batches = list(first.batches(128))

    assert [batch.body for batch in batches] == [batch.body for batch in second.batches(128)]
    spans = [
        span
        for batch in batches
        for group in ExportTraceServiceRequest.FromString(batch.body).resource_spans
        for scope in group.scope_spans
        for span in scope.spans
    ]
    ends = [span.end_time_unix_nano for span in spans]
    assert ends == sorted(ends)
    assert first.totals.counts["spans"] == len(spans)
    assert first.totals.counts["traces"] == len({span.trace_id for span in spans})
    assert first.totals.counts["errors"] == sum(span.status.code == 2 for span in spans)


def test_a_batch_sent_as_new_traces_shares_no_trace_with_the_first():
    batch = next(Corpus(3, 600).batches(128))

    other = batch.again(5)

    assert len(other.body) == len(batch.body)
    assert not set(other.trace_ids) & set(batch.trace_ids)
    assert all(trace_id not in other.body and trace_id.hex().encode() not in other.body for trace_id in batch.trace_ids)


def test_quantiles_are_nearest_ranks():
    assert quantile([5, 1, 4, 2, 3], 0.5) == 3
    assert quantile(list(range(100)), 0.95) == 95
