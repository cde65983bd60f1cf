"""Rows of sessions equal the sums of their traces, whatever happened to these, and cost the fold a bounded share."""

from __future__ import annotations

import random
import threading
from datetime import timedelta

import pytest
from django.db import DatabaseError, connection, transaction

from telltale.lib.db import raw_cursor
from tests.traces.session_rows import NOON, put_trace, refresh, refresh_all, remove_trace
from traces.read.asking import asking
from traces.read.session_rows import sum_up
from traces.read.sessions import get_session
from traces.read.turns import list_turns
from traces.write import sessions

pytestmark = pytest.mark.django_db
# An oracle of its own making: no expression is shared with what is tested.
ORACLE = """
    SELECT session_id, count(*), sum(cost_pico), sum(cost_reported_pico), sum(unpriced_count), sum(priced_count),
        sum(error_count), count(*) FILTER (WHERE error_count > 0), count(*) FILTER (WHERE root_status = 2),
        sum(input_fresh), min(started_at), max(started_at), count(DISTINCT user_id),
        (array_agg(user_id ORDER BY started_at, trace_id) FILTER (WHERE user_id IS NOT NULL))[1],
        (array_agg(preview_in ORDER BY started_at, trace_id) FILTER (WHERE preview_in IS NOT NULL))[1],
        (array_agg(preview_out ORDER BY started_at DESC, trace_id DESC) FILTER (WHERE preview_out IS NOT NULL))[1],
        (array_agg(release ORDER BY started_at DESC, trace_id DESC) FILTER (WHERE release IS NOT NULL))[1],
        coalesce(array_agg(DISTINCT feature) FILTER (WHERE feature IS NOT NULL), '{}'),
        max(coalesce(root_duration_ns, extract(epoch FROM ended_at - started_at) * 1000000000)::bigint)
    FROM traces_trace WHERE project_id = %s AND session_id IS NOT NULL GROUP BY session_id ORDER BY session_id
"""
KEPT = """
    SELECT session_id, turns, cost_pico, cost_reported_pico, unpriced_count, priced_count, error_count, error_turns,
        failed_turns, input_fresh, first_started_at, last_started_at, user_count, user_id, preview_in, preview_out,
        release, features, worst_duration_ns
    FROM traces_session WHERE project_id = %s AND turns > 0 ORDER BY session_id
"""


def rows(query, project_id):
    with connection.cursor() as cursor:
        cursor.execute(query, [project_id])
        return cursor.fetchall()


def row_of(project_id, session_id):
    with asking() as cursor:
        return get_session(cursor, project_id, session_id)


@pytest.mark.parametrize("seed", range(12))
def test_sums_equal_sql_over_traces_after_late_moved_and_repriced_ones(shop, seed):
    rng, project = random.Random(seed), shop.project.pk
    names = ["a", "b/c", "ü ☃", "d" * 900, None]
    where = {}
    for _ in range(rng.randint(20, 60)):
        touched = set()
        for _ in range(rng.randint(1, 5)):
            n = rng.randint(1, 40)
            touched.add(where.get(n))
            if rng.random() < 0.1:
                remove_trace(project, n)
                where.pop(n, None)
                continue
            where[n] = session_id = rng.choice(names)
            touched.add(session_id)
            put_trace(
                project, n, session_id,
                at=rng.choice([0.0, 0.0, rng.uniform(-9e5, 9e5)]),
                seconds=rng.choice([None, 0.0, 2.5, 4000.0]),
                cost_pico=rng.choice([0, 1, 10**18]),
                cost_reported_pico=rng.choice([None, 5]),
                priced_count=rng.randint(0, 2), unpriced_count=rng.randint(0, 2), error_count=rng.randint(0, 2),
                root_status=rng.choice([None, 1, 2]), root_duration_ns=rng.choice([None, 7, 10**12]),
                input_fresh=rng.choice([0, 9, 10**12]), user_id=rng.choice([None, "u1", "u2"]),
                feature=rng.choice([None, "x", "y"]), release=rng.choice([None, "1", "2"]),
                preview_in=rng.choice([None, "q1", "q2"]), preview_out=rng.choice([None, "a1", "a2"]),
                models=rng.choice([[], ["m1"], ["m1", "m2"]]),
            )  # fmt: skip
        asked = [session_id for session_id in touched if session_id]
        refresh(project, *asked)
        if rng.random() < 0.3:
            refresh(project, *asked)

        assert rows(KEPT, project) == rows(ORACLE, project)
    for session_id in {name for name in where.values() if name}:
        kept = row_of(project, session_id)
        with asking() as cursor:
            turns = list_turns(cursor, project, session_id, limit=500).turns
        summed = sum_up(session_id, [turn.trace for turn in turns], kept.refreshed_at)
        assert summed == kept


def test_a_session_that_no_trace_names_any_more_is_forgotten(shop):
    project = shop.project.pk
    put_trace(project, 1, "early")
    refresh(project, "early")

    put_trace(project, 1, "late")  # its root came, and knows better
    refresh(project, "early", "late")

    assert row_of(project, "early") is None
    assert row_of(project, "late").turns == 1


def test_sessions_of_projects_stay_apart(shop):
    put_trace(shop.project.pk, 1, "s", cost_pico=1)
    put_trace(shop.elsewhere.pk, 2, "s", cost_pico=2)

    refresh(shop.project.pk, "s")
    refresh(shop.elsewhere.pk, "s")

    assert [row_of(p.pk, "s").cost_pico for p in (shop.project, shop.elsewhere)] == [1, 2]


def test_refreshing_nothing_asks_nothing(shop, django_assert_num_queries):
    with django_assert_num_queries(0):
        assert refresh(shop.project.pk) == sessions.Refreshed(0, 0, 0)


def test_a_session_nobody_sent_leaves_no_row(shop):
    assert refresh(shop.project.pk, "never").gone == 1

    assert row_of(shop.project.pk, "never") is None


@pytest.fixture
def long(shop, monkeypatch):
    """A session one trace longer than what is summed at once."""
    monkeypatch.setattr(sessions, "INLINE_MAX", 5)
    for n in range(6):
        put_trace(shop.project.pk, n, "long", at=n, cost_pico=1)
    return shop.project.pk


def wait(project, session_id="long"):
    """As if the session had been summed last long ago."""
    with connection.cursor() as cursor:
        cursor.execute("UPDATE traces_session SET refreshed_at = '2000-01-01' WHERE session_id = %s", [session_id])


def test_a_long_session_is_left_to_the_task_and_waits_for_its_time(long):
    assert refresh(long, "long") == sessions.Refreshed(0, 1, 0)
    assert row_of(long, "long").turns == 0
    assert sessions.refresh_stale() == 0  # just asked for

    wait(long)
    assert sessions.refresh_stale() == 1
    first = row_of(long, "long")
    put_trace(long, 7, "long", at=7, cost_pico=1)
    refresh(long, "long")
    behind = row_of(long, "long")

    assert (first.turns, first.is_stale) == (6, False)
    assert (behind.turns, behind.is_stale) == (6, True)
    assert sessions.refresh_stale() == 0
    wait(long)
    assert sessions.refresh_stale() == 1
    assert (row_of(long, "long").turns, row_of(long, "long").is_stale) == (7, False)
    assert sessions.refresh_stale() == 0


def test_the_fold_reads_a_bounded_part_of_a_long_session(long):
    for n in range(10, 60):
        put_trace(long, n, "long", at=n)

    with connection.cursor() as cursor:
        cursor.execute("ANALYZE traces_trace")
        # Of a table this small the planner may take all entries of an index at once; of a long session it does not.
        cursor.execute("SET LOCAL enable_bitmapscan = off")
        counting = sessions._COUNT % {"project_id": long, "session_ids": "'{long}'", "limit": sessions.INLINE_MAX + 1}
        cursor.execute(f"EXPLAIN (ANALYZE, FORMAT JSON) {counting}")
        plan = cursor.fetchone()[0]

    assert max(actual_rows(plan[0]["Plan"])) == sessions.INLINE_MAX + 1


def actual_rows(node):
    """How many rows each step of a plan gave."""
    return [node["Actual Rows"], *(n for below in node.get("Plans", ()) for n in actual_rows(below))]


def test_what_came_while_a_long_session_was_summed_is_summed_again(long):
    refresh(long, "long")
    wait(long)
    claimed = sessions._claim()
    put_trace(long, 7, "long", at=7)
    refresh(long, "long")

    sessions._refresh_claimed(*claimed)

    assert row_of(long, "long").is_stale


def test_a_claim_that_was_overtaken_writes_nothing_old(long):
    refresh(long, "long")
    wait(long)
    claimed = sessions._claim()
    for n in range(4):
        remove_trace(long, n)
    refresh(long, "long")
    remove_trace(long, 5)

    sessions._refresh_claimed(*claimed)

    assert (row_of(long, "long").turns, row_of(long, "long").is_stale) == (1, False)


def test_a_long_session_may_come_to_nothing(long):
    refresh(long, "long")
    for n in range(6):
        remove_trace(long, n)
    wait(long)

    assert sessions.refresh_stale() == 1

    assert row_of(long, "long") is None


def test_a_dead_worker_leaves_the_session_to_the_next(long):
    refresh(long, "long")
    wait(long)
    assert sessions._claim() is not None  # and dies
    assert sessions._claim() is None

    wait(long)
    assert sessions.refresh_stale() == 1
    assert row_of(long, "long").turns == 6


def test_a_sum_that_takes_too_long_is_put_off(long, monkeypatch, caplog):
    refresh(long, "long")
    wait(long)
    monkeypatch.setattr(sessions, "SUM_MS", 1)
    monkeypatch.setattr(sessions, "_sum", lambda: "SELECT pg_sleep(1), %(claimed_at)s::text")

    assert sessions.refresh_stale() == 1

    assert "took too long" in caplog.text
    assert row_of(long, "long").is_stale
    assert sessions.refresh_stale() == 0  # within the hour


def test_retention_keeps_when_it_was_and_nothing_of_what_was_said(shop):
    project = shop.project.pk
    for n in range(3):
        put_trace(project, n, "old", at=n, user_id="ada", preview_in="secret", feature="x", cost_pico=5)
    refresh(project, "old")

    for n in (0, 1):
        remove_trace(project, n)
    with raw_cursor() as cursor:
        sessions.refresh_removed(cursor, project, ["old", "old"])
    part = row_of(project, "old")
    remove_trace(project, 2)
    with raw_cursor() as cursor:
        sessions.refresh_removed(cursor, project, ["old"])
    gone = row_of(project, "old")

    assert (part.turns, part.removed_count, part.cost_pico) == (1, 2, 5)
    assert (gone.is_gone, gone.removed_count, gone.cost_pico) == (True, 3, 0)
    assert (gone.user_id, gone.preview_in, gone.features) == (None, None, ())
    assert gone.last_started_at == NOON + timedelta(seconds=2)
    assert sessions.drop_removed(project, NOON) == 0
    assert sessions.drop_removed(project, NOON + timedelta(days=1)) == 1
    assert row_of(project, "old") is None


def test_the_sweep_of_retention_counts_what_it_takes(shop):
    from traces.write import retention

    project = shop.project.pk
    put_trace(project, 1, "old", at=-400 * 86_400)
    put_trace(project, 2, "old")
    refresh(project, "old")

    retention.sweep()

    assert (row_of(project, "old").turns, row_of(project, "old").removed_count) == (1, 1)


def test_everything_can_be_rebuilt_from_the_traces(shop):
    project = shop.project.pk
    for n in range(10):
        put_trace(project, n, f"s{n % 3}", at=n)
    refresh_all(project)
    before = rows(KEPT, project)
    with connection.cursor() as cursor:
        cursor.execute("UPDATE traces_session SET turns = 99, cost_pico = 7")

    refresh_all(project)

    assert rows(KEPT, project) == before == rows(ORACLE, project)


@pytest.mark.django_db(transaction=True)
def test_two_folds_at_once_end_at_the_sum_of_both(shop):
    project, names = shop.project.pk, [f"s{n}" for n in range(20)]
    trouble = []
    gate = threading.Barrier(4)

    def fold(worker):
        try:
            for turn in range(5):
                gate.wait(20)
                for at, name in enumerate(names):
                    put_trace(project, worker * 10_000 + turn * 100 + at, name, at=turn, cost_pico=1)
                with transaction.atomic(), raw_cursor() as cursor:
                    # Each asks in an order of its own: the locks have one.
                    sessions.refresh(cursor, project, names[worker * 5 :] + names[: worker * 5])
        except DatabaseError as error:
            trouble.append(error)
        finally:
            connection.close()

    threads = [threading.Thread(target=fold, args=(worker,)) for worker in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)

    assert not trouble
    assert rows(KEPT, project) == rows(ORACLE, project)
    assert {row[1] for row in rows(KEPT, project)} == {20}
