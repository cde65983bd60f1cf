"""Roll-ups equal what SQL finds in the stored spans, whatever came late, twice, was priced again or taken away."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from random import Random
from uuid import UUID

import pytest
from django.db import connection, transaction

from telltale.lib.db import raw_cursor
from tests.traces import rollup_audit, rollup_traffic
from traces import folding, prices, reprice
from traces.erasure import erase_project
from traces.write import feed, rollup_memory, rollups


@pytest.fixture(autouse=True)
def fresh_memory():
    rollup_memory.forget()
    folding.forget_rates()
    yield
    rollup_memory.forget()


def fold():
    return folding.fold_roll_ups()


def count(table, project):
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT count(*) FROM {table} WHERE project_id = %s", [project.pk])
        return cursor.fetchone()[0]


def dump(project):
    """All that is booked, to compare with later."""
    tables = {
        "traces_rollup": "grain, bucket, scope_id",
        "traces_rollup_reason": "grain, bucket, scope_id, what, reason",
        "traces_user_period": "grain, bucket, user_id",
    }
    found = {}
    with connection.cursor() as cursor:
        for table, key in tables.items():
            cursor.execute(f"SELECT * FROM {table} WHERE project_id = %s ORDER BY {key}", [project.pk])
            found[table] = [tuple(bytes(c) if isinstance(c, memoryview) else c for c in row) for row in cursor]
    return found


@pytest.mark.parametrize("seed", range(6))
def test_random_traffic_folded_at_random_moments_equals_sql(otlp, shop, seed):
    rng = Random(seed)
    for _ in rollup_traffic.send(otlp, rollup_traffic.make_traffic(otlp, seed), seed):
        if rng.random() < 0.3:
            fold()
    fold()
    rollup_audit.check(shop.project)
    assert count("traces_rollup_aside", shop.project) == 0


@pytest.mark.parametrize("zone", ["Europe/Berlin", "Asia/Kathmandu", "Asia/Kolkata", "America/St_Johns"])
def test_hours_and_days_are_those_of_the_project(otlp, shop, zone):
    shop.project.time_zone = zone
    shop.project.save()
    for _ in rollup_traffic.send(otlp, rollup_traffic.make_traffic(otlp, 77)):
        pass
    fold()
    rollup_audit.check(shop.project, zone)


def test_folding_again_changes_nothing(otlp, shop):
    for _ in rollup_traffic.send(otlp, rollup_traffic.make_traffic(otlp, 1, traces=10)):
        pass
    fold()
    before = dump(shop.project)
    with raw_cursor() as cursor:
        cursor.execute("SELECT trace_id FROM traces_trace WHERE project_id = %s", (shop.project.pk,))
        feed.tell(cursor, shop.project.pk, [row[0] for row in cursor.fetchall()])
    fold()
    assert dump(shop.project) == before


def test_a_late_root_moves_what_its_spans_inherit(otlp, shop):
    trace = "ab" * 16
    otlp.send(otlp.generation(trace, "02" * 8, "01" * 8, at_ms=10), otlp.span(trace, "03" * 8, "01" * 8, at_ms=70_000))
    fold()
    root = {"telltale.feature": "search", "telltale.release": "v9", "session.id": "s", "user.id": "ann"}
    otlp.send(otlp.span(trace, "01" * 8, name="root", at_ms=-90_000, ms=200_000, attributes=root))
    fold()
    rollup_audit.check(shop.project)
    held = rollup_audit.stored(shop.project, 1440, 2)
    assert {key[3] for key in held} == {"search"}
    assert all(sums["n"] > 0 for sums, _ in held.values())  # nothing stays where it was booked first


def test_pricing_again_is_booked(otlp, shop):
    trace = "cd" * 16
    model = {"gen_ai.request.model": "house-7b", "gen_ai.response.model": "house-7b"}
    otlp.send(otlp.generation(trace, "01" * 8, attributes=model, at_ms=-3_600_000))
    fold()
    rollup_audit.check(shop.project)
    data = {"model": "house-7b", "input_fresh": "1", "output_text": "2"}
    start = datetime.now(UTC) - timedelta(days=3)
    prices.add_price(shop.project, data, UTC, by_id=None)
    with transaction.atomic():
        reprice.write.apply(shop.project.pk, [UUID(trace)], (), lambda: prices.load_book(shop.project.pk))
    fold()
    rollup_audit.check(shop.project)
    sums = next(iter(rollup_audit.stored(shop.project, 1440, 2).values()))[0]
    assert (sums["unpriced_count"], sums["cost_pico"]) in {(0, 1000 * 10**6 + 100 * 2 * 10**6), (0, 1200 * 10**6)}
    assert start < datetime.now(UTC)


def test_one_call_told_by_two_traces_is_booked_once(otlp, shop):
    told = {"gen_ai.response.id": "resp-1"}
    otlp.send(otlp.generation("a1" * 16, "01" * 8, attributes=told), scope="one")
    fold()
    otlp.send(otlp.generation("a2" * 16, "01" * 8, attributes=told), scope="two")
    fold()
    rollup_audit.check(shop.project)
    held = [sums for sums, _ in rollup_audit.stored(shop.project, 1440, 2).values()]
    assert sum(sums["n"] for sums in held) == 2
    assert sum(sums["input_fresh"] for sums in held) == 1000


def test_what_cached_tokens_saved_is_told_from_their_price(otlp, shop):
    cached = {"gen_ai.usage.input_tokens": 1000, "gen_ai.usage.cache_read.input_tokens": 1000}
    otlp.send(otlp.generation("b1" * 16, "01" * 8, attributes=cached))
    fold()
    sums = next(iter(rollup_audit.stored(shop.project, 1440, 2).values()))[0]
    book = prices.load_book(shop.project.pk)
    row = book.match("openai", "gpt-4o-mini", "gpt-4o-mini", 1_790_000_000_000_000).row
    assert sums["input_fresh"] == 0
    assert sums["saved_pico"] == 1000 * (row.rates[0] - row.rates[1]) > 0


def test_a_trace_that_goes_takes_its_share_with_it(otlp, shop):
    for _ in rollup_traffic.send(otlp, rollup_traffic.make_traffic(otlp, 5, traces=8)):
        pass
    fold()
    gone = UUID(f"{5:08x}{3:024x}")
    with transaction.atomic(), raw_cursor() as cursor:
        cursor.execute("DELETE FROM traces_trace WHERE trace_id = %s", (gone,))
        cursor.execute("DELETE FROM traces_span WHERE trace_id = %s", (gone,))
        feed.tell(cursor, shop.project.pk, [gone])
    fold()
    rollup_audit.check(shop.project)


def test_erasing_a_project_leaves_nothing_of_its_roll_ups(otlp, shop):
    for _ in rollup_traffic.send(otlp, rollup_traffic.make_traffic(otlp, 6, traces=5)):
        pass
    fold()
    list(erase_project(shop.project.pk))
    for table in ("rollup", "rollup_reason", "user_period", "ledger", "scope", "rollup_state", "rollup_aside"):
        assert count(f"traces_{table}", shop.project) == 0
    otlp.send(otlp.span("c1" * 16, "01" * 8))
    fold()
    rollup_audit.check(shop.project)


def test_sessions_are_told_of_the_old_and_the_new_id(otlp, shop, monkeypatch):
    named = []
    monkeypatch.setattr(rollups.sessions, "refresh", lambda cursor, project_id, ids: named.append(set(ids)))
    trace = "d1" * 16
    otlp.send(otlp.span(trace, "02" * 8, "01" * 8, attributes={"session.id": "child"}))
    fold()
    otlp.send(otlp.span(trace, "01" * 8, attributes={"session.id": "root"}))
    fold()
    assert named == [{"child"}, {"child", "root"}]


@pytest.mark.django_db(transaction=True)
def test_two_folds_at_once_count_nothing_twice(otlp, shop):
    batches = list(rollup_traffic.make_traffic(otlp, 9, traces=60))
    folding.fold_roll_ups()
    failures = []
    stop = threading.Event()

    def keep_folding():
        try:
            while not stop.is_set():
                folding.fold_roll_ups(seconds=0)
        except Exception as error:  # noqa: BLE001 - told by the test
            failures.append(error)
        finally:
            connection.close()

    folders = [threading.Thread(target=keep_folding) for _ in range(3)]
    for folder in folders:
        folder.start()
    for _ in rollup_traffic.send(otlp, batches, 9):
        pass
    stop.set()
    for folder in folders:
        folder.join(30)
    assert failures == []
    fold()
    rollup_audit.check(shop.project)


def test_nothing_to_do_is_one_query(shop, django_assert_num_queries):
    fold()
    with django_assert_num_queries(1):
        assert fold().traces == 0
