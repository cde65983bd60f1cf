"""Batches become hours exactly once, whoever dies when."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from itertools import count

import orjson
import pytest
from django.db import close_old_connections, connection, transaction

from traces.accounting import fold_batches
from traces.read.accounting import read_account
from traces.write import accounting as write_accounting

HOUR = datetime(2026, 11, 19, 10, tzinfo=UTC)
PROJECT = 7
_ids = count(1)


def make_batch(
    *,
    at=HOUR + timedelta(minutes=5),
    project_id=PROJECT,
    key_id=3,
    source="traces",
    stored=0,
    duplicate=0,
    rejected=None,
    dropped=None,
    received=None,
    lag_ms=20,
):
    rejected, dropped = rejected or {}, dropped or {}
    n_rejected = sum(n for n, _ in rejected.values())
    n_dropped = sum(dropped.values())
    if received is None:
        received = stored + duplicate + n_rejected + n_dropped
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO traces_ingest_batch VALUES (%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s,%s::jsonb,NULL,NULL,false)",
            [
                next(_ids), project_id, key_id, source, at, at + timedelta(milliseconds=lag_ms), 100,
                received, stored, duplicate, n_rejected, n_dropped,
                orjson.dumps({"rejected": rejected, "dropped": dropped}).decode(),
            ],
        )  # fmt: skip


@pytest.fixture
def committing(transactional_db):
    """Tests that commit: the ORM's flush does not know these tables."""
    for is_over in (False, True):
        with connection.cursor() as cursor:
            cursor.execute("TRUNCATE traces_ingest_batch, traces_ingest_hour, traces_ingest_reason_hour")
        if not is_over:
            yield


def account(**asked):
    return read_account(PROJECT, HOUR - timedelta(hours=1), HOUR + timedelta(hours=2), **asked)


def open_batches():
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM traces_ingest_batch WHERE NOT accounted")
        return cursor.fetchone()[0]


@pytest.mark.django_db
def test_account_is_the_same_before_and_after_folding():
    make_batch(stored=8, duplicate=1, rejected={"no_trace_id": [2, "trace_id is empty"]})
    make_batch(source="logs", stored=1, dropped={"not_genai": 5}, key_id=4, lag_ms=60)
    make_batch(stored=3, at=HOUR + timedelta(hours=1))
    before = account()

    folded = fold_batches()

    assert folded == 3
    assert open_batches() == 0
    assert account() == before
    assert before.total.received == 20
    assert before.spans.received == 14
    assert before.is_whole


@pytest.mark.django_db
def test_folding_again_adds_nothing():
    make_batch(stored=5)
    fold_batches()
    before = account()

    again = fold_batches()

    assert again == 0
    assert account() == before


@pytest.mark.django_db
def test_later_batches_join_the_hour_that_is_there():
    make_batch(stored=5, lag_ms=10, rejected={"bad_time": [1, "old"]})
    fold_batches()
    make_batch(stored=7, lag_ms=30, rejected={"bad_time": [2, "new"]}, at=HOUR + timedelta(minutes=50), duplicate=1)

    half = account()
    fold_batches()

    whole = account()
    assert half == whole
    assert [(r.reason, r.n, r.last_example) for r in whole.reasons] == [("bad_time", 3, "new")]
    assert whole.total.lag_mean_ms == pytest.approx(20)
    assert whole.total.lag_max_ms == pytest.approx(30)


@pytest.mark.django_db
def test_an_older_example_does_not_replace_a_newer_one():
    make_batch(rejected={"bad_time": [1, "new"]}, at=HOUR + timedelta(minutes=50))
    fold_batches()
    make_batch(rejected={"bad_time": [1, "old"]}, at=HOUR + timedelta(minutes=1))

    fold_batches()

    assert account().reasons[0].last_example == "new"


@pytest.mark.django_db
def test_limit_bounds_one_call_and_projects_take_turns(monkeypatch):
    monkeypatch.setattr("traces.accounting.SLICE_BATCHES", 2)
    for _ in range(5):
        make_batch(stored=1)
    make_batch(stored=1, project_id=PROJECT + 1)

    folded = fold_batches(limit=3)

    assert folded == 3
    assert open_batches() == 3
    with connection.cursor() as cursor:
        cursor.execute(
            "SELECT count(*) FROM traces_ingest_batch WHERE NOT accounted AND project_id = %s", [PROJECT + 1]
        )
        assert cursor.fetchone()[0] == 0
    assert fold_batches() == 3


@pytest.mark.django_db
def test_a_sum_that_fails_is_shown_as_failing():
    make_batch(stored=5, received=9)

    fold_batches()

    assert account().total.missing == 4
    assert not account().is_whole


@pytest.mark.django_db
def test_rejections_without_a_reason_are_shown_as_unexplained():
    make_batch(stored=5, rejected={"bad_time": [2, "x"]})
    with connection.cursor() as cursor:
        cursor.execute("UPDATE traces_ingest_batch SET reasons = '{}'")

    assert account().total.is_whole
    assert account().unexplained == 2
    assert not account().is_whole


@pytest.mark.django_db
def test_account_of_one_key_and_of_one_source():
    make_batch(stored=5, key_id=3)
    make_batch(stored=2, key_id=4, source="native", rejected={"x": [1, "y"]})

    assert account(key_id=4).total.received == 3
    assert account(key_id=3).reasons == ()
    assert account(source="native").total.stored == 2
    assert [row.source for row in account().by_source] == ["traces", "native"]


@pytest.mark.django_db
def test_account_covers_whole_hours_and_lists_empty_ones():
    make_batch(stored=1, at=HOUR - timedelta(seconds=1))

    found = read_account(PROJECT, HOUR - timedelta(minutes=1), HOUR + timedelta(minutes=1))

    assert (found.start, found.end) == (HOUR - timedelta(hours=1), HOUR + timedelta(hours=1))
    assert [row.flow.received for row in found.by_hour] == [1, 0]
    assert found.by_hour[1].flow.lag_mean_ms is None


def test_a_consumer_killed_before_its_commit_loses_and_repeats_nothing(committing, monkeypatch):
    make_batch(stored=5, rejected={"x": [1, "y"]})

    def die(*_args):
        raise SystemExit

    with monkeypatch.context() as patched:
        patched.setattr(write_accounting, "_reason_rows", die)
        with pytest.raises(SystemExit):
            fold_batches()
    assert open_batches() == 1

    assert fold_batches() == 1
    assert account().total.received == 6


def test_a_second_consumer_passes_by_what_the_first_holds(committing):
    make_batch(stored=5)
    taken_by_other: list[int] = []

    def other():
        try:
            taken_by_other.append(fold_batches())
        finally:
            connection.close()

    with transaction.atomic():
        assert write_accounting.fold_slice(PROJECT, 10) == 1
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(20)

    assert taken_by_other == [0]
    close_old_connections()
    assert account().total.received == 5


def test_many_consumers_at_once_count_every_batch_once(committing, monkeypatch):
    monkeypatch.setattr("traces.accounting.SLICE_BATCHES", 3)
    for at in range(60):
        make_batch(stored=1, key_id=1 + at % 3, at=HOUR + timedelta(minutes=at), rejected={f"r{at % 2}": [1, "e"]})
    folded: list[int] = []

    def consume():
        try:
            folded.append(fold_batches())
        finally:
            connection.close()

    threads = [threading.Thread(target=consume) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)

    assert sum(folded) + fold_batches() == 60
    assert account().total.received == 120
    assert account().is_whole
