"""Pricing again: told before it is done, exact while it is done, and gone on with after a kill."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
import time_machine
from django.db import connection, transaction

from telltale.audit.models import AuditEntry
from telltale.jobs import work
from telltale.jobs.models import Job
from traces import prices, reprice
from traces.canonical.types import BUCKETS, CostStatus, SpanFlag
from traces.models import Price
from traces.write import reprice as write
from traces.write.batch import first_id_at

NOW = datetime(2026, 11, 19, 12, tzinfo=UTC)
DAY = NOW - timedelta(days=1)
ORDER = reprice.Order(NOW - timedelta(days=7), NOW + timedelta(hours=1))
COUNTS = ("priced_count", "unpriced_count", "unknown_usage_count", "partial_count", "upper_bound_count")


@pytest.fixture(autouse=True)
def frozen(monkeypatch):
    monkeypatch.setattr(reprice, "wake", lambda task: None)
    with time_machine.travel(NOW, tick=False) as traveller:
        yield traveller


def make_trace(project, number, calls, *, at=DAY):
    """A trace of `calls` as (model, tokens in, tokens out, counted), stored unpriced; its id."""
    trace_id = UUID(int=number)
    with connection.cursor() as cursor:
        for index, (model, fresh, out, counted) in enumerate(calls):
            cursor.execute(
                "INSERT INTO traces_span (project_id, trace_id, span_id, started_at, batch_id, origin_id, kind,"
                " otel_kind, status, flags, counted, name, model_requested, input_fresh, output_text, cost_status,"
                " duration_ns)"
                " VALUES (%s, %s, %s, %s, 1, 1, 1, 0, 0, 0, %s, 'chat', %s, %s, %s, %s, 3600000000000)",
                [
                    project.pk, trace_id, index + 1, at + timedelta(seconds=index), counted, model, fresh, out,
                    CostStatus.UNPRICED if fresh is not None else CostStatus.UNKNOWN_USAGE,
                ],
            )  # fmt: skip
        unpriced = sum(1 for _, fresh, _, counted in calls if counted and fresh is not None)
        cursor.execute(
            "INSERT INTO traces_trace (project_id, trace_id, started_at, last_started_at, updated_at, name, span_count,"
            " generation_count, error_count, usage_count, priced_count, unpriced_count, unknown_usage_count,"
            " partial_count, upper_bound_count, duplicate_count, flags, input_fresh, input_cache_read,"
            " input_cache_write_5m, input_cache_write_1h, input_audio, output_text, output_reasoning, output_audio,"
            " cost_pico, models, tags, ranks) VALUES (%s, %s, %s, %s, now(), 'x', %s, %s, 0, 0, 0, %s, %s, 0, 0, 0, 0,"
            " 0, 0, 0, 0, 0, 0, 0, 0, 0, '{}', '{}', '')",
            [
                project.pk, trace_id, at, at + timedelta(seconds=max(len(calls) - 1, 0)), len(calls), len(calls),
                unpriced, sum(1 for _, fresh, _, counted in calls if counted and fresh is None),
            ],
        )  # fmt: skip
    return trace_id


def enter(project, model="house-7b", **fields):
    data = {"model": model, "input_fresh": "1", "output_text": "2", **fields}
    with time_machine.travel(NOW - timedelta(minutes=1), tick=False):
        return prices.add_price(project, data, UTC, by_id=None)


def sums(project, trace_id):
    """The trace row's sums, and the same taken from its spans."""
    by_status = ", ".join(f"count(*) FILTER (WHERE counted AND cost_status = {n})" for n in (1, 2, 3, 4, 5))
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT cost_pico::bigint, {', '.join(COUNTS)} FROM traces_trace WHERE project_id = %s AND trace_id = %s",
            [project.pk, trace_id],
        )
        row = cursor.fetchone()
        cursor.execute(
            f"SELECT coalesce(sum(cost_pico) FILTER (WHERE counted), 0)::bigint, {by_status} FROM traces_span"
            " WHERE project_id = %s AND trace_id = %s",
            [project.pk, trace_id],
        )
        return row, cursor.fetchone()


def spans(project, trace_id, columns="cost_pico, cost_status"):
    with connection.cursor() as cursor:
        cursor.execute(
            f"SELECT {columns} FROM traces_span WHERE project_id = %s AND trace_id = %s ORDER BY span_id",
            [project.pk, trace_id],
        )
        return cursor.fetchall()


def run(job):
    """Work on a job as a worker would; whether it is over."""
    return work.run_now(Job.objects.get(pk=job)).state in {"done", "failed", "cancelled"}


def preview(project, order=ORDER):
    job = reprice.start_preview(project, order, by_id=None)
    run(job)
    return reprice.find_job(project.pk, job)


def apply(project, order=ORDER):
    job = reprice.start_apply(project, preview(project, order).id, by_id=None)
    run(job)
    return reprice.find_job(project.pk, job)


pytestmark = pytest.mark.django_db


def test_a_preview_tells_the_difference_and_changes_nothing(shop):
    trace = make_trace(shop.project, 1, [("house-7b", 1000, 500, True), ("other", 10, 10, True)])
    enter(shop.project)
    before = spans(shop.project, trace)

    found = preview(shop.project)

    assert found.state == "done"
    assert found.may_apply
    assert found.difference.changed == 1
    assert found.difference.delta_pico == 1000 * 1_000_000 + 500 * 2_000_000
    assert found.difference.models[0].model == "house-7b"
    assert (found.done, found.total) == (1, 1)
    assert spans(shop.project, trace) == before


def test_applying_changes_spans_and_trace_sums_together(shop):
    trace = make_trace(
        shop.project, 1, [("house-7b", 1000, 500, True), ("house-7b", 7, 3, False), ("other", 10, 10, True)]
    )
    row = enter(shop.project)

    found = apply(shop.project)

    assert found.difference.delta_pico == 2_000_000_000
    assert found.difference.uncounted == 1
    stored, summed = sums(shop.project, trace)
    assert stored == summed == (2_000_000_000, 1, 1, 0, 0, 0)
    assert spans(
        shop.project, trace, "cost_pico, cost_status, price_id, model_priced, cost_parts[1], cost_parts[6]"
    ) == [
        (2_000_000_000, 1, row.price_id, "house-7b", 1_000_000_000, 1_000_000_000),
        (13_000_000, 1, row.price_id, "house-7b", 7_000_000, 6_000_000),
        (None, 2, None, None, None, None),
    ]


def test_applying_twice_changes_nothing_more(shop):
    trace = make_trace(shop.project, 1, [("house-7b", 1000, 500, True)])
    enter(shop.project)
    apply(shop.project)
    once = sums(shop.project, trace)

    again = apply(shop.project)

    assert again.difference.changed == 0
    assert sums(shop.project, trace) == once


def test_a_price_that_ends_makes_its_calls_unpriced_again(shop):
    trace = make_trace(shop.project, 1, [("house-7b", 1000, 500, True)])
    row = enter(shop.project)
    apply(shop.project)
    with time_machine.travel(NOW - timedelta(seconds=30), tick=False):
        prices.end_price(shop.project, row.price_id, DAY - timedelta(hours=1), by_id=None)

    found = apply(shop.project)

    assert found.difference.delta_pico == -2_000_000_000
    assert sums(shop.project, trace) == ((0, 0, 1, 0, 0, 0),) * 2


def test_hourly_prices_partial_and_bounded_costs_keep_their_counts(shop):
    first = make_trace(shop.project, 1, [("gpu", None, None, True), ("half", 5, 5, True), ("half", 0, 0, True)])
    enter(shop.project, "gpu", input_fresh="", output_text="", usd_per_hour="2.5")
    enter(shop.project, "half", output_text="")

    apply(shop.project)

    stored, summed = sums(shop.project, first)
    assert stored == summed
    assert stored[0] == 25 * 10**11
    assert stored[4] == 1


def test_only_the_models_and_the_window_asked_for_are_priced(shop):
    inside = make_trace(shop.project, 1, [("a", 1, 0, True), ("b", 1, 0, True)])
    outside = make_trace(shop.project, 2, [("a", 1, 0, True)], at=NOW - timedelta(days=30))
    enter(shop.project, "a")
    enter(shop.project, "b")

    apply(shop.project, reprice.Order(ORDER.start, ORDER.end, ("a",)))

    assert [status for _, status in spans(shop.project, inside)] == [1, 2]
    assert [status for _, status in spans(shop.project, outside)] == [2]


def test_other_projects_are_left_alone(shop):
    theirs = make_trace(shop.elsewhere, 1, [("house-7b", 1000, 500, True)])
    mine = make_trace(shop.project, 1, [("house-7b", 1000, 500, True)])
    enter(shop.project)

    apply(shop.project)

    assert spans(shop.elsewhere, theirs) == [(None, 2)]
    assert spans(shop.project, mine)[0][1] == 1


def test_a_job_killed_in_the_middle_goes_on_where_it_stopped(shop, monkeypatch):
    monkeypatch.setattr(write, "SLICE_TRACES", 2)
    traces = [
        make_trace(shop.project, n, [("house-7b", n, 0, True)], at=DAY + timedelta(minutes=n)) for n in range(1, 8)
    ]
    enter(shop.project)
    job = reprice.start_apply(shop.project, preview(shop.project).id, by_id=None)
    real, calls = write.apply, []

    def die_in_the_third(*args, **how):
        calls.append(1)
        found = real(*args, **how)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return found

    with monkeypatch.context() as patched:
        patched.setattr(write, "apply", die_in_the_third)
        with pytest.raises(KeyboardInterrupt):
            run(job)
    Job.objects.filter(pk=job).update(lease_until=datetime(2020, 1, 1, tzinfo=UTC))
    halfway = reprice.find_job(shop.project.pk, job)
    assert (halfway.state, halfway.done, halfway.difference.changed) == ("running", 4, 4)

    assert run(job)

    found = reprice.find_job(shop.project.pk, job)
    assert (found.state, found.done, found.difference.changed) == ("done", 7, 7)
    assert found.difference.delta_pico == sum(range(1, 8)) * 1_000_000
    for trace in traces:
        stored, summed = sums(shop.project, trace)
        assert stored == summed
        assert stored[1] == 1


def move_below(project, trace, at, *, batch_id):
    """A late span of the trace, stored by a batch, moves its start to `at`."""
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO traces_span (project_id, trace_id, span_id, started_at, batch_id, origin_id, kind, otel_kind,"
            " status, flags, counted, name) VALUES (%s, %s, 99, %s, %s, 1, 2, 0, 0, 0, true, 'late')",
            [project.pk, trace, at, batch_id],
        )
        cursor.execute(
            "UPDATE traces_trace SET started_at = %s, span_count = span_count + 1, updated_at = %s WHERE trace_id = %s",
            [at, NOW, trace],
        )


BELOW = ORDER.start - timedelta(hours=1)


def test_a_trace_that_moves_below_the_window_during_the_job_is_priced(shop, monkeypatch):
    monkeypatch.setattr(write, "SLICE_TRACES", 1)
    early = make_trace(shop.project, 1, [("house-7b", 1, 0, True)], at=DAY - timedelta(hours=2))
    late = make_trace(shop.project, 2, [("house-7b", 2, 0, True)])
    enter(shop.project)
    job = reprice.start_apply(shop.project, preview(shop.project).id, by_id=None)
    real = write.apply

    def arrives_meanwhile(project_id, ids, *rest, **how):
        found = real(project_id, ids, *rest, **how)
        if ids == [late] and not how:
            for trace in (early, late):
                move_below(shop.project, trace, BELOW, batch_id=first_id_at(NOW))
        return found

    monkeypatch.setattr(write, "apply", arrives_meanwhile)

    assert run(job)

    found = reprice.find_job(shop.project.pk, job)
    for trace in (early, late):
        stored, summed = sums(shop.project, trace)
        assert stored == summed
        assert stored[1] == 1
    assert (found.difference.changed, found.difference.delta_pico) == (2, 3_000_000)
    assert found.difference.spans == 2, "what was priced before it moved is not told twice"


def test_a_trace_that_always_began_below_the_window_stays_as_it_is(shop):
    trace = make_trace(shop.project, 1, [("house-7b", 1, 0, True)])
    move_below(shop.project, trace, BELOW, batch_id=first_id_at(NOW - timedelta(hours=1)))
    enter(shop.project)
    make_trace(shop.project, 2, [("house-7b", 5, 0, True)])

    found = apply(shop.project)

    assert found.difference.changed == 1
    assert sums(shop.project, trace)[0][1] == 0


def test_a_job_killed_among_the_moved_traces_goes_on_there(shop, monkeypatch):
    monkeypatch.setattr(write, "SLICE_TRACES", 1)
    traces = [make_trace(shop.project, n, [("house-7b", n, 0, True)], at=DAY + timedelta(minutes=n)) for n in (1, 2)]
    enter(shop.project)
    job = reprice.start_apply(shop.project, preview(shop.project).id, by_id=None)
    for trace in traces:
        move_below(shop.project, trace, BELOW, batch_id=first_id_at(NOW))
    real, calls = write.apply, []

    def die_in_the_second(*args, **how):
        calls.append(1)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return real(*args, **how)

    with monkeypatch.context() as patched:
        patched.setattr(write, "apply", die_in_the_second)
        with pytest.raises(KeyboardInterrupt):
            run(job)
    Job.objects.filter(pk=job).update(lease_until=datetime(2020, 1, 1, tzinfo=UTC))

    assert run(job)

    assert reprice.find_job(shop.project.pk, job).difference.delta_pico == 3_000_000
    assert [sums(shop.project, trace)[0][1] for trace in traces] == [1, 1]


def test_a_dead_worker_holds_a_job_only_until_its_lease_ends(shop, frozen):
    make_trace(shop.project, 1, [("house-7b", 1, 0, True)])
    enter(shop.project)
    job = reprice.start_preview(shop.project, ORDER, by_id=None)
    Job.objects.filter(pk=job).update(
        lease_by="dead", lease_until=datetime.now(UTC) + timedelta(days=3650), state="running"
    )
    assert work.run_next() is None

    Job.objects.filter(pk=job).update(lease_until=datetime(2020, 1, 1, tzinfo=UTC))

    assert work.run_next().state == "done"
    assert reprice.find_job(shop.project.pk, job).state == "done"


def test_a_job_that_another_took_over_writes_nothing_more(shop, monkeypatch):
    trace = make_trace(shop.project, 1, [("house-7b", 1, 0, True)])
    enter(shop.project)
    job = reprice.start_apply(shop.project, preview(shop.project).id, by_id=None)
    real = write.apply

    def taken_meanwhile(*args, **how):
        found = real(*args, **how)
        Job.objects.filter(pk=job).update(lease_by="another")
        return found

    monkeypatch.setattr(write, "apply", taken_meanwhile)

    assert run(job) is False
    assert spans(shop.project, trace) == [(None, 2)]


def test_a_cancelled_job_stops_and_what_was_done_is_whole(shop, monkeypatch):
    monkeypatch.setattr(write, "SLICE_TRACES", 1)
    traces = [make_trace(shop.project, n, [("house-7b", n, 0, True)], at=DAY + timedelta(minutes=n)) for n in (1, 2)]
    enter(shop.project)
    job = reprice.start_apply(shop.project, preview(shop.project).id, by_id=None)
    real = work.Run.step

    def cancel_at_the_second(self, **told):
        if told["progress"] == 2:
            raise work.Cancelled
        real(self, **told)

    monkeypatch.setattr(work.Run, "step", cancel_at_the_second)
    run(job)
    assert reprice.cancel(shop.elsewhere, job) is False
    assert reprice.cancel(shop.project, job)

    assert run(job)
    assert reprice.find_job(shop.project.pk, job).done == 1
    for trace in traces:
        stored, summed = sums(shop.project, trace)
        assert stored == summed
    assert reprice.cancel(shop.project, job) is False


def test_applying_waits_until_no_process_can_hold_the_book_before(shop, monkeypatch):
    make_trace(shop.project, 1, [("house-7b", 1, 0, True)])
    prices.add_price(shop.project, {"model": "house-7b", "input_fresh": "1"}, UTC, by_id=None)
    job = reprice.start_apply(shop.project, preview(shop.project).id, by_id=None)
    waited: list[float] = []
    monkeypatch.setattr(reprice, "pause", waited.append)

    assert run(job)

    assert waited == [8.0]


def test_a_preview_that_no_longer_holds_is_not_applied(shop):
    make_trace(shop.project, 1, [("house-7b", 1, 0, True)])
    enter(shop.project)
    found = preview(shop.project)
    prices.add_price(shop.project, {"model": "other", "input_fresh": "1"}, UTC, by_id=None)

    with pytest.raises(reprice.Conflict, match="Prices changed"):
        reprice.start_apply(shop.project, found.id, by_id=None)
    with pytest.raises(reprice.Conflict, match="finished preview"):
        reprice.start_apply(shop.elsewhere, found.id, by_id=None)


def test_one_application_at_a_time_in_a_project(shop):
    make_trace(shop.project, 1, [("house-7b", 1, 0, True)])
    enter(shop.project)
    found = preview(shop.project)
    reprice.start_apply(shop.project, found.id, by_id=None)

    with pytest.raises(reprice.Conflict, match="under way"):
        reprice.start_apply(shop.project, found.id, by_id=None)


def test_the_audit_log_tells_who_ordered_it_and_how_it_ended(shop):
    make_trace(shop.project, 1, [("house-7b", 1000, 0, True)])
    enter(shop.project)

    apply(shop.project)

    started, ended = AuditEntry.objects.filter(action="price.reprice").order_by("id")
    assert (started.outcome, ended.outcome) == ("started", "done")
    assert started.after["expected"] == "0.001"
    assert ended.after["delta_usd"] == "0.001"


def test_implausible_costs_are_flagged_and_unflagged_on_span_and_trace(shop):
    trace = make_trace(shop.project, 1, [("huge", 10**12, 0, True)])
    row = enter(shop.project, "huge", input_fresh="1000000")
    apply(shop.project)
    assert spans(shop.project, trace, "flags") == [(int(SpanFlag.IMPLAUSIBLE_COST),)]
    assert sums(shop.project, trace)[0] == sums(shop.project, trace)[1]

    with time_machine.travel(NOW - timedelta(seconds=30), tick=False):
        prices.correct_price(shop.project, row.price_id, {"model": "huge", "input_fresh": "0.000001"}, UTC, by_id=None)
    apply(shop.project)

    assert spans(shop.project, trace, "flags, cost_pico") == [(0, 10**12)]
    with connection.cursor() as cursor:
        cursor.execute("SELECT flags FROM traces_trace WHERE trace_id = %s", [trace])
        assert cursor.fetchone() == (0,)


def test_every_bucket_is_priced_as_when_it_came_in(shop):
    trace = make_trace(shop.project, 1, [("house-7b", 1, 1, True)])
    with connection.cursor() as cursor:
        for index, bucket in enumerate(BUCKETS):
            cursor.execute(f"UPDATE traces_span SET {bucket} = %s WHERE trace_id = %s", [10**index, trace])
    rates = {bucket: str(index + 1) for index, bucket in enumerate(BUCKETS)}
    enter(shop.project, **rates)

    apply(shop.project)

    expected = sum(10**index * (index + 1) * 1_000_000 for index in range(len(BUCKETS)))
    assert sums(shop.project, trace)[0][0] == expected


@pytest.fixture
def committing(transactional_db):
    yield
    with connection.cursor() as cursor:
        cursor.execute("TRUNCATE traces_span, traces_trace")


def test_a_sender_adding_to_the_trace_meanwhile_waits_and_sums_stay_exact(committing, shop):
    trace = make_trace(shop.project, 1, [("house-7b", 1000, 0, True)])
    enter(shop.project)
    job = reprice.start_apply(shop.project, preview(shop.project).id, by_id=None)
    has_lock, done = threading.Event(), threading.Event()

    def reprice_meanwhile():
        try:
            has_lock.wait(10)
            run(job)
        finally:
            connection.close()
            done.set()

    thread = threading.Thread(target=reprice_meanwhile)
    thread.start()
    with transaction.atomic(), connection.cursor() as cursor:
        cursor.execute("SELECT 1 FROM traces_trace WHERE trace_id = %s FOR UPDATE", [trace])
        has_lock.set()
        assert not done.wait(0.3)
        cursor.execute(
            "INSERT INTO traces_span (project_id, trace_id, span_id, started_at, batch_id, origin_id, kind, otel_kind,"
            " status, flags, counted, name, model_requested, input_fresh, output_text, cost_status)"
            " VALUES (%s, %s, 99, %s, 1, 1, 1, 0, 0, 0, true, 'chat', 'house-7b', 500, 0, 2)",
            [shop.project.pk, trace, DAY + timedelta(hours=2)],
        )
        cursor.execute(
            "UPDATE traces_trace SET unpriced_count = unpriced_count + 1, last_started_at = %s WHERE trace_id = %s",
            [DAY + timedelta(hours=2), trace],
        )
    thread.join(20)

    stored, summed = sums(shop.project, trace)
    assert stored == summed == (1_500_000_000, 2, 0, 0, 0, 0)


def test_a_price_row_is_never_changed_in_place(shop):
    row = enter(shop.project)

    made = prices.correct_price(shop.project, row.price_id, {"model": "house-7b", "input_fresh": "3"}, UTC, by_id=None)

    old = Price.objects.get(pk=row.price_id)
    assert made.price_id != row.price_id
    assert old.replaced_at is not None
    assert old.input_fresh == 1_000_000
