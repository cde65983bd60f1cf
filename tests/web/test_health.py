"""What /healthz, /readyz and /metrics say, and to whom."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.db import connection
from django.db.utils import OperationalError
from django.test import Client

from telltale.jobs.models import Heartbeat, Lease, Message
from telltale.lib import clock
from telltale.projects.models import Project
from telltale.web import health


@pytest.fixture(autouse=True)
def forget_migrations(monkeypatch):
    monkeypatch.setattr(health.migrated, "is_known", False)


@pytest.fixture
def no_database(monkeypatch):
    def refuse(*args, **kwargs):
        raise OperationalError("connection to server at 10.1.2.3 failed: password for telltale")

    monkeypatch.setattr(connection, "cursor", refuse)
    monkeypatch.setattr(health.transaction, "atomic", refuse)


def at_work(age=0):
    at = clock.now() - timedelta(seconds=age)
    Heartbeat.objects.create(name=f"vm:{age}", pid=1, started_at=at, at=at, tasks_done=3)
    Lease.objects.create(name="scheduler", holder="vm", until=clock.now() + timedelta(seconds=8))


@pytest.mark.parametrize("path", ["/healthz", "/healthz/"])
def test_healthz_answers_without_a_database(client, no_database, path):
    response = client.get(path)

    assert (response.status_code, response.content) == (200, b"ok\n")


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
def test_other_methods_are_refused_with_those_that_are_not(client, path):
    response = client.post(path)

    assert response.status_code == 405
    assert response.headers["Allow"] == "GET, HEAD"


def test_readyz_says_ready_and_shows_this_machine_the_ages(client, db):
    at_work()
    Message.objects.create(queue="judge", body="{}")

    told = client.get("/readyz").json()

    assert (told["status"], told["migrations"], told["notes"]) == ("ready", "applied", [])
    assert told["engine"] == "runs"
    assert told["queues"]["judge"]["waiting"] == 1
    assert told["workers"][0]["tasks_done"] == 3
    assert told["scheduler_seconds"] == pytest.approx(1, abs=1)


def test_readyz_without_its_database_is_503_and_tells_nothing_of_it(client, no_database):
    response = client.get("/readyz")

    assert response.status_code == 503
    assert 1 <= int(response.headers["Retry-After"]) <= 5
    assert b"10.1.2.3" not in response.content
    assert b"password" not in response.content


def test_readyz_is_503_while_a_migration_is_missing(client, db):
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'jobs'")

    response = client.get("/readyz")

    assert response.status_code == 503
    assert response.json()["migrations"] == "missing"


def test_every_migration_on_disk_counts(db):
    assert health.missing_migrations() == []
    with connection.cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'traces' AND name = '0001_initial'")

    assert health.missing_migrations() == ["traces.0001_initial"]


def test_silent_worker_and_waiting_work_are_said_in_words(client, db):
    at_work(age=90)
    Lease.objects.all().delete()
    Message.objects.create(queue="roll-up", body="{}")
    Message.objects.update(created_at=clock.now() - timedelta(minutes=5))

    notes = client.get("/readyz").json()["notes"]

    assert any("No worker" in note for note in notes)
    assert any("scheduler" in note for note in notes)
    assert any("roll-up has waited 300 s" in note for note in notes)


@pytest.mark.parametrize(
    "stranger",
    [{"REMOTE_ADDR": "203.0.113.9"}, {"REMOTE_ADDR": "127.0.0.1", "HTTP_X_FORWARDED_FOR": "203.0.113.9"}],
)
def test_strangers_get_the_verdict_without_details(db, stranger):
    client = Client(**stranger)

    told = client.get("/readyz").json()

    assert told == {"status": "ready", "database": "reachable", "migrations": "applied", "engine": "stands"}
    assert client.get("/metrics").status_code == 404


def test_metrics_token_opens_both_from_anywhere(db, settings):
    settings.TELLTALE_METRICS_TOKEN = "scrape-me-please"
    client = Client(REMOTE_ADDR="203.0.113.9")

    right = client.get("/metrics", HTTP_AUTHORIZATION="Bearer scrape-me-please")
    wrong = client.get("/metrics", HTTP_AUTHORIZATION="Bearer scrape-me")

    assert (right.status_code, wrong.status_code) == (200, 404)


def test_metrics_name_what_came_and_what_became_of_it(client, alice):
    at_work()
    with connection.cursor() as cursor:
        cursor.execute(
            "INSERT INTO traces_ingest_batch (batch_id, project_id, key_id, source, received_at, committed_at,"
            " body_bytes, received, stored, duplicate, rejected, dropped, reasons)"
            " VALUES (1, %s, 1, 'traces', now(), now(), 10, 7, 4, 2, 1, 0, '{}')",
            [Project.objects.get().pk],
        )

    text = client.get("/metrics").content.decode()

    assert 'telltale_ingest_items_total{outcome="stored",source="traces"} 4.0' in text
    assert 'telltale_ingest_items_total{outcome="duplicate",source="traces"} 2.0' in text
    assert "telltale_batches_pending 1.0" in text
    assert "telltale_workers_alive 1.0" in text
    assert "shop" not in text


def test_metrics_without_a_database_say_so(client, no_database):
    text = client.get("/metrics").content.decode()

    assert "telltale_database_up 0.0" in text
