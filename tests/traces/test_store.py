"""Storing spans: exactly once each, sums always true, whatever the order, the batches and the rivals."""

from __future__ import annotations

import random
import threading
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from django.db import connection

from telltale.accounts.models import Organisation
from telltale.projects.models import Project
from traces.canonical.types import (
    CanonicalSpan,
    Intake,
    Kind,
    LogEvent,
    LogIntake,
    MetricIntake,
    MetricPoint,
    Origin,
    Rejection,
    SpanStatus,
    Usage,
    Vocabulary,
)
from traces.ingest.rules import forget as forget_rules
from traces.ingest.rules import rules_for
from traces.write import metrics, partitions, spans, store_logs, store_metrics, store_spans
from traces.write.batch import Batch

NOW = datetime.now(UTC).replace(microsecond=0) - timedelta(minutes=10)
START = int(NOW.timestamp()) * 1_000_000
A = Origin(11, {"service.name": "shop"}, "opentelemetry.instrumentation.genai.anthropic", "1", {}, Vocabulary.GENAI)
B = Origin(12, {"service.name": "shop"}, "com.anthropic.sdk.python", "2", {}, Vocabulary.ANTHROPIC)


@pytest.fixture
def shop(db: None) -> Project:
    partitions.forget()
    spans.forget()
    metrics.forget()
    forget_rules()
    organisation = Organisation.objects.create(name="Shop", slug=f"shop-{uuid4().hex[:8]}")
    return Project.objects.create(organisation=organisation, name="shop", slug=f"shop-{uuid4().hex[:8]}")


def make_span(trace: UUID, span_id: int, **fields: Any) -> CanonicalSpan:
    started = fields.pop("started_us", START + span_id * 1000)
    defaults: dict[str, Any] = {
        "parent_span_id": None if span_id == 1 else 1,
        "name": f"step {span_id}",
        "kind": Kind.SPAN,
        "start_ns": started * 1000,
        "end_ns": started * 1000 + 900_000,
        "duration_ns": 900_000,
        "origin": A,
        "body": {"raw": {"input.value": f"text {span_id}"}},
    }
    return CanonicalSpan(trace_id=trace, span_id=span_id, started_us=started, **{**defaults, **fields})


def make_generation(trace: UUID, span_id: int, **fields: Any) -> CanonicalSpan:
    defaults: dict[str, Any] = {
        "kind": Kind.GENERATION,
        "provider": "openai",
        "model_requested": "gpt-4o-mini",
        "model_answered": "gpt-4o-mini",
        "usage": Usage(input_fresh=1000, input_cache_read=0, output_text=100),
    }
    return make_span(trace, span_id, **{**defaults, **fields})


def store(project: Project, *made: CanonicalSpan) -> Any:
    batch = Batch(project.pk, 1, "traces", datetime.now(UTC), 100)
    return store_spans(batch, Intake(received=len(made), spans=list(made)), rules_for(project.pk))


def fetch(query: str, *parameters: Any) -> list[dict[str, Any]]:
    with connection.cursor() as cursor:
        cursor.execute(query, parameters)
        names = [column[0] for column in cursor.description]
        return [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]


def trace_row(project: Project, trace: UUID) -> dict[str, Any]:
    return fetch("SELECT * FROM traces_trace WHERE project_id = %s AND trace_id = %s", project.pk, trace)[0]


SUMS = """
    SELECT trace_id, count(*) AS span_count, count(*) FILTER (WHERE status = 2) AS error_count,
        count(*) FILTER (WHERE kind = 1) AS generation_count, min(started_at) AS started_at,
        max(started_at) AS last_started_at,
        COALESCE(sum(input_fresh) FILTER (WHERE counted), 0) AS input_fresh,
        COALESCE(sum(input_cache_read) FILTER (WHERE counted), 0) AS input_cache_read,
        COALESCE(sum(output_text) FILTER (WHERE counted), 0) AS output_text,
        COALESCE(sum(cost_pico) FILTER (WHERE counted), 0) AS cost_pico,
        count(*) FILTER (WHERE counted AND cost_status = 1) AS priced_count,
        count(*) FILTER (WHERE counted AND cost_status = 2) AS unpriced_count,
        count(*) FILTER (WHERE NOT counted AND (duplicate_of_span IS NOT NULL OR count_reason IS NOT NULL))
            AS duplicate_count
    FROM traces_span WHERE project_id = %s GROUP BY trace_id ORDER BY trace_id
"""


def assert_sums_hold(project: Project) -> None:
    """Every trace row equals SQL over its spans, and every request's counts add up."""
    from_spans = fetch(SUMS, project.pk)
    rows = fetch("SELECT * FROM traces_trace WHERE project_id = %s ORDER BY trace_id", project.pk)
    assert [{name: row[name] for name in from_spans[0]} for row in rows] == from_spans
    uneven = fetch(
        "SELECT * FROM traces_ingest_batch WHERE project_id = %s"
        " AND received <> stored + duplicate + rejected + dropped",
        project.pk,
    )
    assert uneven == []


def test_a_new_trace_is_stored_with_its_sums(shop: Project) -> None:
    trace = uuid4()

    failed = make_span(trace, 3, status=SpanStatus.ERROR)
    outcome = store(shop, make_span(trace, 1, user_id="u1"), make_generation(trace, 2), failed)

    row = trace_row(shop, trace)
    assert (outcome.received, outcome.stored, outcome.duplicate) == (3, 3, 0)
    assert (row["name"], row["user_id"], row["span_count"], row["error_count"]) == ("step 1", "u1", 3, 1)
    # 1,000 x 0.15 + 100 x 0.60 USD per million tokens.
    assert row["cost_pico"] == 210_000_000
    assert_sums_hold(shop)
    shop.refresh_from_db()
    assert shop.first_span_at is not None


def test_the_same_request_again_changes_nothing(shop: Project) -> None:
    trace = uuid4()
    made = [make_span(trace, 1), make_generation(trace, 2)]
    store(shop, *made)
    before = trace_row(shop, trace)

    outcome = store(shop, *made)

    after = trace_row(shop, trace)
    assert (outcome.stored, outcome.duplicate) == (0, 2)
    assert {**before, "updated_at": None} == {**after, "updated_at": None}
    assert_sums_hold(shop)


def test_a_span_sent_again_with_another_start_is_the_same_span(shop: Project) -> None:
    trace = uuid4()
    store(shop, make_span(trace, 1), make_span(trace, 2))

    again = make_span(trace, 2, started_us=START - 86_400_000_000)
    outcome = store(shop, again)

    assert (outcome.stored, outcome.duplicate) == (0, 1)
    assert len(fetch("SELECT 1 FROM traces_span WHERE project_id = %s", shop.pk)) == 2
    assert_sums_hold(shop)


def test_a_span_id_used_for_another_span_is_rejected_with_that_reason(shop: Project) -> None:
    trace = uuid4()
    store(shop, make_span(trace, 1))

    outcome = store(shop, make_span(trace, 1, name="other", started_us=START + 77), make_span(trace, 5))

    assert outcome.stored == 1
    assert outcome.rejected["id_collision"][0] == 1
    assert "0000000000000001" in outcome.rejected["id_collision"][1]
    assert_sums_hold(shop)


def test_the_same_span_twice_in_one_request_is_one_row_and_no_rejection(shop: Project) -> None:
    trace = uuid4()

    outcome = store(shop, make_span(trace, 1), make_span(trace, 1))

    assert (outcome.stored, outcome.duplicate, outcome.rejected_total) == (1, 1, 0)


def test_one_span_id_in_two_traces_is_legal(shop: Project) -> None:
    outcome = store(shop, make_span(uuid4(), 1), make_span(uuid4(), 1))

    assert outcome.stored == 2


def test_rejections_of_the_wire_are_accounted_for(shop: Project) -> None:
    intake = Intake(received=3, spans=[make_span(uuid4(), 1)], rejections=[Rejection("zero_id", "trace_id is zero", 2)])

    store_spans(Batch(shop.pk, 1, "traces", datetime.now(UTC), 9), intake, rules_for(shop.pk))

    row = fetch("SELECT * FROM traces_ingest_batch WHERE project_id = %s", shop.pk)[0]
    assert (row["received"], row["stored"], row["rejected"]) == (3, 1, 2)
    assert '"zero_id": [2, "trace_id is zero"]' in str(row["reasons"])
    assert row["committed_at"] >= row["received_at"]


def test_one_row_that_cannot_be_stored_costs_one_row(shop: Project) -> None:
    trace = uuid4()

    outcome = store(shop, make_span(trace, 1), make_span(trace, 2, tool_name="a\0b"), make_span(trace, 3))

    assert outcome.stored == 2
    assert outcome.rejected["not_storable"][0] == 1
    assert "a\0b" not in outcome.rejected["not_storable"][1]
    assert_sums_hold(shop)


def test_content_of_an_unforeseen_shape_costs_its_preview_alone(
    shop: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def surprised(span: CanonicalSpan) -> tuple[str | None, str | None]:
        raise TypeError("unhashable type: 'list'")

    monkeypatch.setattr(spans, "previews", surprised)
    trace = uuid4()

    outcome = store(shop, make_span(trace, 1, has_input=True))

    assert (outcome.stored, trace_row(shop, trace)["preview_in"]) == (1, None)


@pytest.mark.parametrize("first", ["native", "instrumentation"])
def test_one_call_told_in_two_traces_counts_once(shop: Project, first: str) -> None:
    told = {
        "native": make_generation(uuid4(), 1, origin=B, response_id="msg_1", started_us=START),
        "instrumentation": make_generation(uuid4(), 1, origin=A, response_id="msg_1", started_us=START, has_input=True),
    }
    second = "instrumentation" if first == "native" else "native"
    store(shop, told[first])

    store(shop, told[second])

    counted = fetch("SELECT trace_id FROM traces_span WHERE project_id = %s AND counted", shop.pk)
    # The one with content counts, whichever came first.
    assert [row["trace_id"] for row in counted] == [told["instrumentation"].trace_id]
    loser = fetch("SELECT * FROM traces_span WHERE project_id = %s AND NOT counted", shop.pk)[0]
    assert loser["duplicate_of_trace"] == told["instrumentation"].trace_id
    assert_sums_hold(shop)


def test_a_parent_that_tells_the_call_again_takes_the_count_when_it_comes(shop: Project) -> None:
    trace = uuid4()
    store(shop, make_generation(trace, 2, parent_span_id=1))

    store(shop, make_generation(trace, 1, parent_span_id=None, has_input=True, has_output=True))

    counted = fetch("SELECT span_id FROM traces_span WHERE project_id = %s AND counted", shop.pk)
    assert [row["span_id"] for row in counted] == [1]
    assert trace_row(shop, trace)["input_fresh"] == 1000
    assert_sums_hold(shop)


def _scenario() -> list[CanonicalSpan]:
    one, two, three = UUID(int=101), UUID(int=102), UUID(int=103)
    return [
        make_span(one, 1, user_id="u", name="root"),
        make_span(one, 2, parent_span_id=1, kind=Kind.AGENT),
        make_generation(one, 3, parent_span_id=2, has_input=True),
        make_generation(one, 4, parent_span_id=3, origin=B),
        make_generation(one, 5, parent_span_id=2, response_id="r1", started_us=START + 3000),
        make_generation(two, 1, parent_span_id=None, response_id="r1", origin=B, started_us=START + 3000),
        make_generation(two, 2, parent_span_id=1, response_id="r2"),
        make_span(three, 1, parent_span_id=77, session_id="s", status=SpanStatus.ERROR),
        make_generation(three, 2, parent_span_id=77, model_answered="nobody-knows-it", model_requested=None),
    ]


def test_totals_are_the_same_in_any_order_and_any_batches(shop: Project) -> None:
    seen = []
    for seed in range(25):
        shuffler = random.Random(seed)
        made = _scenario()
        shuffler.shuffle(made)
        organisation = shop.organisation
        project = Project.objects.create(organisation=organisation, name=str(seed), slug=f"s{seed}-{uuid4().hex[:6]}")
        at = 0
        while at < len(made):
            size = shuffler.randint(1, 4)
            store(project, *made[at : at + size], *made[max(at - 1, 0) : at])
            at += size
        assert_sums_hold(project)
        rows = fetch("SELECT * FROM traces_trace WHERE project_id = %s ORDER BY trace_id", project.pk)
        counted = fetch(
            "SELECT trace_id, span_id, counted, duplicate_of_span FROM traces_span WHERE project_id = %s ORDER BY 1, 2",
            project.pk,
        )
        for row in rows:
            del row["updated_at"], row["project_id"], row["ranks"]
        seen.append((rows, counted))
    assert [seed for seed, one in enumerate(seen) if one != seen[0]] == []
    total = sum(row["input_fresh"] for row in seen[0][0])
    assert total == 4 * 1000  # one/3, one/5 or two/1, two/2, three/2


def test_rivals_with_overlapping_batches_store_each_span_once(committed_db: None) -> None:
    organisation = Organisation.objects.create(name="Rivals", slug=f"r-{uuid4().hex[:8]}")
    project = Project.objects.create(organisation=organisation, name="r", slug=f"r-{uuid4().hex[:8]}")
    partitions.forget()
    spans.forget()
    forget_rules()
    ids = [uuid4() for _ in range(12)]
    failures: list[Exception] = []

    def send(seed: int) -> None:
        shuffler = random.Random(seed)
        try:
            for _ in range(6):
                pairs = [(trace, n) for trace in shuffler.sample(ids, 8) for n in (1, 2, 3)]
                store(project, *[make_generation(trace, n, response_id=f"{trace.hex}{n}") for trace, n in pairs])
        except Exception as error:  # noqa: BLE001 - handed to the test's own thread
            failures.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=send, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert len(fetch("SELECT 1 FROM traces_span WHERE project_id = %s", project.pk)) == 36
    assert_sums_hold(project)


def test_a_start_far_away_lies_in_the_guarded_partition_until_its_day_comes(shop: Project) -> None:
    trace = uuid4()
    ahead = datetime.now(UTC) + timedelta(days=30)
    store(shop, make_span(trace, 1, started_us=int(ahead.timestamp() * 1_000_000)))
    where = "SELECT tableoid::regclass::text AS place FROM traces_span WHERE project_id = %s"
    assert fetch(where, shop.pk) == [{"place": "traces_span_guarded"}]

    partitions.make_day("traces_span", ahead.date())

    assert fetch(where, shop.pk) == [{"place": f"traces_span_{ahead:%Y%m%d}"}]


def test_log_events_are_held_and_resends_recognised(shop: Project) -> None:
    trace = uuid4()
    body = {"body": {"content": "Where is my parcel?"}, "attributes": {}}
    event = LogEvent(trace, 2, "gen_ai.user.message", START, 0, 99, body)
    batch = Batch(shop.pk, 1, "logs", datetime.now(UTC), 10)

    first = store_logs(batch, LogIntake(received=2, events=[event], dropped={"not_genai": 1}))
    second = store_logs(Batch(shop.pk, 1, "logs", datetime.now(UTC), 10), LogIntake(received=1, events=[event]))

    assert (first.stored, first.dropped_total) == (1, 1)
    assert (second.stored, second.duplicate) == (0, 1)


@pytest.mark.parametrize("order", ["span first", "event first"])
def test_the_words_of_a_trace_come_from_log_events_whichever_arrives_first(shop: Project, order: str) -> None:
    trace = uuid4()
    body = {"body": {"content": "Where is my parcel?"}, "attributes": {}}
    event = LogEvent(trace, 2, "gen_ai.user.message", START, 0, 99, body)

    def send_event() -> None:
        store_logs(Batch(shop.pk, 1, "logs", datetime.now(UTC), 10), LogIntake(received=1, events=[event]))

    if order == "event first":
        send_event()
    store(shop, make_generation(trace, 2, parent_span_id=None))
    if order == "span first":
        send_event()

    assert trace_row(shop, trace)["preview_in"] == "Where is my parcel?"


def test_metric_series_are_bounded_and_the_rest_counted(shop: Project, settings: Any) -> None:
    settings.INGEST_METRIC_SERIES_MAX = 2
    points = [MetricPoint(n, "gpu.utilisation", "1", "gauge", {"gpu": n}, START, value=0.5) for n in range(3)]

    batch = Batch(shop.pk, 1, "metrics", datetime.now(UTC), 10)
    outcome = store_metrics(batch, MetricIntake(received=3, points=points))

    assert (outcome.stored, outcome.dropped) == (2, {"series_limit": 1})
    assert fetch("SELECT received, stored, dropped FROM traces_ingest_batch") == [
        {"received": 3, "stored": 2, "dropped": 1}
    ]
