"""Retention removes what is past its days and nothing else."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection

from telltale.accounts.models import Organisation
from telltale.projects.models import Project
from traces.canonical.types import CanonicalSpan, Intake, Kind, Origin, Vocabulary
from traces.ingest.rules import forget as forget_rules
from traces.ingest.rules import rules_for
from traces.write import partitions, retention, spans, store_spans
from traces.write.batch import Batch

ORIGIN = Origin(31, {}, "scope", "", {}, Vocabulary.PLAIN)
TABLES = ("traces_trace", "traces_span", "traces_payload")


@pytest.fixture
def organisation(db: None) -> Organisation:
    partitions.forget()
    spans.forget()
    forget_rules()
    return Organisation.objects.create(name="Keep", slug=f"keep-{uuid4().hex[:8]}")


def make_project(organisation: Organisation, days: int) -> Project:
    slug = f"keep-{uuid4().hex[:8]}"
    return Project.objects.create(organisation=organisation, name=slug, slug=slug, retention_days=days)


def store_at(project: Project, days_ago: float) -> UUID:
    trace = uuid4()
    started = int((datetime.now(UTC) - timedelta(days=days_ago)).timestamp() * 1_000_000)
    start_ns = started * 1000
    span = CanonicalSpan(trace, 1, None, "step", Kind.SPAN, started, start_ns, start_ns + 5, 5, ORIGIN)
    store_spans(Batch(project.pk, 1, "traces", datetime.now(UTC), 9), Intake(1, [span]), rules_for(project.pk))
    return trace


def held(project: Project, table: str) -> set[Any]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT trace_id FROM {table} WHERE project_id = %s", [project.pk])
        return {row[0] for row in cursor.fetchall()}


def test_a_project_loses_what_is_past_its_own_days(organisation: Organisation) -> None:
    short, long = make_project(organisation, 10), make_project(organisation, 90)
    store_at(short, 20)
    kept = store_at(short, 5)
    other = store_at(long, 20)

    swept = retention.sweep()

    assert (swept.traces, swept.is_done) == (1, True)
    assert [held(short, table) for table in TABLES] == [{kept}] * 3
    assert [held(long, table) for table in TABLES] == [{other}] * 3


def test_a_partition_goes_once_the_longest_retention_has_passed_it(organisation: Organisation) -> None:
    project = make_project(organisation, 30)
    store_at(project, 50)
    kept = store_at(project, 3)
    before = retention.partition_count()

    swept = retention.sweep()

    assert swept.partitions >= 2
    assert retention.partition_count() == before - swept.partitions
    assert [held(project, table) for table in TABLES] == [{kept}] * 3


def test_a_sweep_stops_where_it_is_told_and_goes_on_next_time(
    organisation: Organisation, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "SLICE_TRACES", 1)
    short = make_project(organisation, 10)
    make_project(organisation, 90)
    for _ in range(3):
        store_at(short, 20)

    first = retention.sweep(max_slices=2)
    second = retention.sweep()

    assert (first.traces, first.is_done) == (2, False)
    assert (second.traces, second.is_done) == (1, True)
