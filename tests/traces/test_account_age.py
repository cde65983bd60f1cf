"""The account of ingest has a bounded life, and its sums outlive it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
import time_machine
from django.db import connection

from traces.ingest import refusals
from traces.read.accounting import read_account
from traces.read.flow import read_totals
from traces.write import account_age, partitions, spans
from traces.write.batch import first_id_at

pytestmark = pytest.mark.django_db
NOW = datetime(2026, 11, 19, 12, 30, tzinfo=UTC)


@pytest.fixture(autouse=True)
def frozen():
    for module in (partitions, spans, refusals):
        module.forget()
    with time_machine.travel(NOW, tick=False):
        yield


def make_batch(project, days_ago, *, accounted=True, number=0):
    at = NOW - timedelta(days=days_ago)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO traces_ingest_batch VALUES (%s,%s,1,'traces',%s,%s,10,4,4,0,0,0,'{}',NULL,NULL,%s)",
            [first_id_at(at) + number, project.pk, at, at, accounted],
        )


def make_hour(project_id, days_ago, *, key_id=1, stored=4, lag=9.0):
    hour = (NOW - timedelta(days=days_ago)).replace(minute=0)
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO traces_ingest_hour VALUES (%s,%s,%s,'traces',2,10,%s,%s,0,1,0,18.0,%s)",
            [project_id, hour, key_id, stored + 1, stored, lag],
        )
        cursor.execute(
            "INSERT INTO traces_ingest_reason_hour VALUES (%s,%s,%s,'traces','rejected','bad_id',1,'an example',%s)",
            [project_id, hour, key_id, hour],
        )
        cursor.execute(
            "INSERT INTO traces_ingest_refusal_hour VALUES (%s,%s,'traces',413,'too_large',3,'an example',%s)",
            [project_id, hour, hour],
        )


def fetch(query):
    with connection.cursor() as cursor:
        cursor.execute(query)
        return cursor.fetchall()


def test_batches_go_after_their_days_once_they_are_in_their_hour(shop):
    make_batch(shop.project, 31)
    make_batch(shop.project, 31, accounted=False, number=1)
    make_batch(shop.project, 29)
    make_batch(shop.elsewhere, 400)

    assert account_age.sweep_account() == 2

    left = fetch("SELECT project_id, accounted, received_at FROM traces_ingest_batch ORDER BY received_at")
    assert left == [
        (shop.project.pk, False, NOW - timedelta(days=31)),
        (shop.project.pk, True, NOW - timedelta(days=29)),
    ]


def test_hours_past_their_days_become_one_row_and_the_totals_stay(shop):
    for days_ago, key_id in ((401, 1), (402, 1), (500, 2), (399, 1)):
        make_hour(shop.project.pk, days_ago, key_id=key_id, lag=float(days_ago))
    make_hour(0, 450)
    before = read_totals()

    assert account_age.sweep_account() == 12
    again = account_age.sweep_account()

    assert again == 0
    assert read_totals() == before
    assert before.items["traces", "stored"] == 20
    rows = fetch(
        "SELECT key_id, requests, stored, lag_ms_max FROM traces_ingest_hour"
        f" WHERE hour = '-infinity' AND project_id = {shop.project.pk} ORDER BY key_id"
    )
    assert rows == [(1, 4, 8, 402.0), (2, 2, 4, 500.0)]
    assert fetch("SELECT DISTINCT last_example FROM traces_ingest_reason_hour WHERE hour = '-infinity'") == [("",)]
    assert fetch("SELECT n FROM traces_ingest_refusal_hour WHERE hour = '-infinity' AND project_id = 0") == [(3,)]


def test_a_later_sweep_adds_to_what_is_kept(shop):
    make_hour(shop.project.pk, 401)
    account_age.sweep_account()
    make_hour(shop.project.pk, 402, stored=6)

    account_age.sweep_account()

    assert fetch("SELECT stored, received FROM traces_ingest_hour") == [(10, 12)]
    assert fetch("SELECT n FROM traces_ingest_refusal_hour") == [(6,)]
    assert fetch("SELECT n FROM traces_ingest_reason_hour") == [(2,)]


def test_the_widest_window_of_the_page_meets_kept_hours_alone(shop):
    make_hour(shop.project.pk, 401)
    make_hour(shop.project.pk, 399)
    account_age.sweep_account()

    account = read_account(shop.project.pk, NOW - timedelta(days=500), NOW)

    assert [row.flow.stored for row in account.by_hour if row.flow.stored] == [4]
    assert [reason.n for reason in account.reasons] == [1]
    assert [refusal.n for refusal in account.refusals] == [3]


def test_a_sweep_is_bounded_and_the_next_goes_on(shop, monkeypatch):
    monkeypatch.setattr(account_age, "SLICE_ROWS", 2)
    for number in range(7):
        make_batch(shop.project, 40, number=number)

    taken = [account_age.sweep_account(max_slices=2) for _ in range(3)]

    assert taken == [4, 3, 0]


def test_days_are_settings(shop, settings):
    settings.ACCOUNT_BATCH_DAYS = 5
    make_batch(shop.project, 6)

    assert account_age.sweep_account() == 1
