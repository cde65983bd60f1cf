"""Text goes before its trace; what each sweep did is written down; nothing past its days is left behind."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
import time_machine
from django.db import connection

from telltale.accounts.models import Organisation
from telltale.projects import keeping
from telltale.projects.models import Project, RetentionDay
from traces.canonical.types import Body, CanonicalSpan, Intake, Kind, Origin, Vocabulary
from traces.ingest.rules import forget as forget_rules
from traces.ingest.rules import rules_for
from traces.write import partitions, retention, spans, store_spans
from traces.write.batch import Batch

NOW = datetime(2026, 3, 20, 12, tzinfo=UTC)
ORIGIN = Origin(31, {}, "scope", "", {}, Vocabulary.PLAIN)


@pytest.fixture
def organisation(db: None) -> Any:
    partitions.forget()
    spans.forget()
    forget_rules()
    with time_machine.travel(NOW, tick=False):
        yield Organisation.objects.create(name="Keep", slug=f"keep-{uuid4().hex[:8]}")
    partitions.forget()


def make_project(organisation: Organisation, **days: int) -> Project:
    slug = f"keep-{uuid4().hex[:8]}"
    return Project.objects.create(organisation=organisation, name=slug, slug=slug, **days)


def store_at(project: Project, *days_ago: float, trace: UUID | None = None) -> UUID:
    """A trace of a span at each of these times, each with a body."""
    trace = trace or uuid4()
    made = []
    for number, days in enumerate(days_ago, 1):
        started = int((NOW - timedelta(days=days)).timestamp() * 1_000_000)
        span = CanonicalSpan(
            trace, number, None if number == 1 else 1, "step", Kind.SPAN, started, started * 1000, started * 1000 + 5,
            5, ORIGIN,
        )  # fmt: skip
        span.body = Body(raw={"said": "what was written"})
        span.session_id = "a talk"
        made.append(span)
    store_spans(Batch(project.pk, 1, "traces", NOW, 9), Intake(len(made), made), rules_for(project.pk))
    with connection.cursor() as cursor:
        cursor.execute("UPDATE traces_trace SET preview_in = 'in', preview_out = 'out' WHERE trace_id = %s", [trace])
    return trace


def held(project: Project, table: str, column: str = "trace_id", more: str = "") -> list[Any]:
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {column} FROM {table} WHERE project_id = %s {more} ORDER BY 1", [project.pk])
        return [row[0] for row in cursor.fetchall()]


def test_text_goes_before_its_trace(organisation: Organisation) -> None:
    project = make_project(organisation, text_days=10, retention_days=60)
    make_project(organisation, text_days=60, retention_days=90)
    old, young = store_at(project, 20), store_at(project, 5)

    swept = retention.sweep()

    assert held(project, "traces_payload") == [young]
    assert held(project, "traces_trace", more="AND preview_in IS NOT NULL") == [young]
    assert sorted(held(project, "traces_span")) == sorted([old, young])
    assert swept.is_done
    assert swept.texts == 2


def test_text_is_never_kept_longer_than_its_trace(organisation: Organisation) -> None:
    project = make_project(organisation, text_days=60, retention_days=10)
    make_project(organisation, text_days=60, retention_days=60)
    store_at(project, 20)

    retention.sweep()

    assert [held(project, table) for table in ("traces_payload", "traces_trace", "traces_span")] == [[], [], []]


def test_a_day_of_text_that_everybody_has_passed_is_dropped_whole(organisation: Organisation) -> None:
    project = make_project(organisation, text_days=10, retention_days=60)
    store_at(project, 20)

    swept = retention.sweep()

    assert swept.partitions == 1
    assert held(project, "traces_payload") == []
    proof = RetentionDay.objects.get(project=project, kind=keeping.TEXT)
    assert (proof.rows, proof.runs, proof.is_done, proof.oldest_at) == (2, 1, True, None)
    assert proof.bytes > 0


def test_text_lies_at_most_to_the_end_of_its_day(organisation: Organisation) -> None:
    project = make_project(organisation, text_days=10, retention_days=60)
    store_at(project, 10.6)
    kept = store_at(project, 10.4)

    retention.sweep()

    # NOW is noon: 10.6 days ago is the day before.
    assert held(project, "traces_payload") == [kept]


def test_the_spans_of_a_trace_that_goes_on_stay_and_hold_up_nobody(organisation: Organisation) -> None:
    project = make_project(organisation, text_days=10, retention_days=30)
    kept = store_at(project, 50, 1)
    store_at(project, 50)

    swept = retention.sweep()

    assert swept.is_done
    assert held(project, "traces_span") == [kept, kept]
    assert held(project, "traces_trace") == [kept]
    proof = RetentionDay.objects.get(project=project, kind=keeping.TRACES)
    assert not keeping.is_overdue(proof)


def test_starts_too_far_off_for_a_day_of_their_own_go_as_well(organisation: Organisation) -> None:
    project = make_project(organisation, text_days=10, retention_days=30)
    store_at(project, 900)

    retention.sweep()

    tables = ("traces_trace", "traces_span", "traces_payload")
    assert [held(project, table) for table in tables] == [[], [], []]


def test_spans_of_the_longest_project_go_when_another_comes_to_keep_longer(organisation: Organisation) -> None:
    project = make_project(organisation, text_days=10, retention_days=30)
    store_at(project, 30.2)
    retention.sweep()
    assert held(project, "traces_trace") == []
    make_project(organisation, text_days=10, retention_days=90)

    with time_machine.travel(NOW + timedelta(days=1), tick=False):
        retention.sweep()

    assert held(project, "traces_span") == []


def test_points_of_metrics_go_by_their_own_time(organisation: Organisation) -> None:
    project = make_project(organisation, retention_days=10)
    make_project(organisation, retention_days=90)
    with connection.cursor() as cursor:
        for days in (20, 2):
            at = NOW - timedelta(days=days)
            partitions.ensure_days("traces_metric_point", [at.date()])
            cursor.execute(
                "INSERT INTO traces_metric_point (project_id, series_id, at, value) VALUES (%s, 1, %s, 1)",
                [project.pk, at],
            )

    retention.sweep()

    assert held(project, "traces_metric_point", "at") == [NOW - timedelta(days=2)]


def test_a_sweep_writes_down_what_it_did_and_what_is_left(organisation: Organisation) -> None:
    project = make_project(organisation, text_days=10, retention_days=30)
    store_at(project, 50)
    store_at(project, 5)

    retention.sweep()
    retention.sweep()

    text, traces = (RetentionDay.objects.get(project=project, kind=kind) for kind in (keeping.TEXT, keeping.TRACES))
    assert (text.runs, traces.runs, text.is_done, traces.is_done) == (2, 2, True, True)
    assert (traces.rows, text.rows) == (2, 1)  # its row and its span; its body (its previews went with the row)
    assert traces.oldest_at == NOW - timedelta(days=5)
    assert text.oldest_at == keeping.midnight(NOW - timedelta(days=5))
    assert text.cutoff_at == keeping.midnight(NOW - timedelta(days=10))


def test_a_sweep_that_had_no_time_says_so_and_the_next_one_ends_it(organisation: Organisation) -> None:
    project = make_project(organisation, text_days=10, retention_days=30)
    store_at(project, 50)

    first = retention.sweep(seconds=0.0)

    proof = RetentionDay.objects.get(project=project, kind=keeping.TRACES)
    assert not first.is_done
    assert not proof.is_done
    assert "ran out of time" in proof.reason
    assert proof.oldest_at == NOW - timedelta(days=50)
    assert keeping.is_overdue(proof)
    assert retention.sweep().is_done
    proof.refresh_from_db()
    assert (proof.is_done, proof.reason, proof.oldest_at) == (True, "", None)


def test_sweeps_that_stand_still_are_late(organisation: Organisation) -> None:
    project = make_project(organisation)
    retention.sweep()
    last = keeping.read_last(project)[keeping.TRACES]

    assert not keeping.is_late(last, NOW + timedelta(hours=2), NOW)
    assert keeping.is_late(last, NOW + timedelta(hours=4), NOW)
    keeping.begin(project.pk, keeping.TRACES, NOW)
    assert keeping.is_late(keeping.read_last(project)[keeping.TRACES], NOW + timedelta(hours=4), NOW)


def test_a_trace_whose_text_ran_out_opens_and_says_so(organisation: Organisation, project, bob, sign_in) -> None:
    Project.objects.filter(pk=project.pk).update(text_days=10, retention_days=60)
    old, young = store_at(project, 20), store_at(project, 5)
    retention.sweep()
    client = sign_in(bob)

    page = client.get(f"/p/shop/traces/{old.hex}/").content.decode()

    assert "text was kept for 10 days" in page
    assert "text was kept" not in client.get(f"/p/shop/traces/{young.hex}/").content.decode()
    assert client.get(f"/api/v1/traces/{old.hex}?project=shop").status_code == 200
    assert client.get("/p/shop/traces/").status_code == 200
    assert client.get("/p/shop/sessions/").status_code == 200
