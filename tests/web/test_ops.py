"""The operator's page: whole without worker and broker, closed to everybody else; failed jobs are dealt with on it."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from django.db import connection
from django.db.utils import OperationalError
from django.test import Client

from telltale.accounts.models import User
from telltale.audit.models import AuditEntry
from telltale.jobs import disk
from telltale.jobs.models import DiskSample, Heartbeat, Job, JobState, Lease, Message
from telltale.jobs.tasks import tidy
from telltale.lib import clock
from telltale.projects.keys import make_key
from telltale.projects.models import Project, ProjectMember
from telltale.web.ops import reading
from telltale.web.ops.words import age, size, view

ELSEWHERE = {"REMOTE_ADDR": "203.0.113.9"}


@pytest.fixture
def operator(alice):
    alice.is_superuser = True
    alice.save()
    return alice


@pytest.fixture
def failed(alice):
    project = Project.objects.get(slug="shop")
    return Job.objects.create(
        kind="reprice", project=project, state=JobState.FAILED, error="No price <b>book</b>.", attempts=5, progress=70,
        total=100, finished_at=clock.now(),
    )  # fmt: skip


def test_page_tells_of_everything_with_neither_worker_nor_broker(operator, sign_in, failed):
    Message.objects.create(queue="judge", body="{}")

    page = sign_in(operator).get("/ops/").content.decode()

    assert "No worker has shown life" in page
    assert "No price &lt;b&gt;book&lt;/b&gt;." in page
    assert "70 of 100" in page
    for words in ("Queue judge", "Roll-ups", "traces_span", "Partitions", "postgresql", "all applied", "not known"):
        assert words in page, words
    assert 'href="/ops/"' in page


def test_page_says_when_all_is_well(operator, sign_in, monkeypatch):
    # Tests that commit leave days of their own behind.
    monkeypatch.setattr(reading, "read_partitions", lambda today: [])
    # The tests' own server may lose what it has: nobody is told that it is there.
    server = reading._read_server()
    monkeypatch.setattr(reading, "_read_server", lambda: replace(server, settings=dict.fromkeys(server.settings, "on")))
    now = clock.now()
    Heartbeat.objects.create(
        name="vm:1", pid=1, started_at=now, at=now, oldest_task="traces.fold_batches", oldest_task_since=now
    )
    Lease.objects.create(name="scheduler", holder="vm", until=now + timedelta(seconds=8))

    page = sign_in(operator).get("/ops/").content.decode()

    assert "<h1>Everything moves</h1>" in page
    assert "traces.fold_batches" in page


@pytest.mark.parametrize("path", ["/ops/", "/ops/status"])
def test_members_and_owners_find_nothing(alice, charlie, sign_in, path):
    bob = User.objects.create(email="bob@example.com")
    ProjectMember.objects.create(project=Project.objects.get(slug="shop"), user=bob, role="admin")

    for person in (alice, bob, charlie):
        assert sign_in(person, **ELSEWHERE).get(path).status_code == 404


def test_nobody_is_asked_to_sign_in_and_no_key_opens_it(failed):
    key = make_key(failed.project, "Test", ("read", "write", "admin"))
    keyed = Client(**ELSEWHERE, HTTP_AUTHORIZATION=f"Bearer {key.secret}")

    for client in (Client(**ELSEWHERE), keyed):
        assert client.get("/ops/").status_code == 302
        assert client.get("/ops/status").status_code == 404
        assert client.post(f"/ops/jobs/{failed.pk}/", {"act": "retry"}).status_code == 302
    failed.refresh_from_db()
    assert failed.state == JobState.FAILED


def test_owner_of_the_project_does_nothing_to_a_job(alice, sign_in, failed):
    client = sign_in(alice)

    foreign = client.post(f"/ops/jobs/{failed.pk}/", {"act": "retry"})
    absent = client.post("/ops/jobs/999999/", {"act": "retry"})

    assert (foreign.status_code, absent.status_code) == (404, 404)
    failed.refresh_from_db()
    assert failed.state == JobState.FAILED


@pytest.mark.parametrize(("act", "state"), [("retry", JobState.PENDING), ("discard", JobState.CANCELLED)])
def test_failed_job_is_tried_again_or_put_aside_once_and_audited_once(operator, sign_in, failed, act, state):
    client = sign_in(operator)

    for _ in range(2):
        assert client.post(f"/ops/jobs/{failed.pk}/", {"act": act}).url == "/ops/"

    failed.refresh_from_db()
    assert failed.state == state
    entries = AuditEntry.objects.filter(action=f"job.{act}")
    assert [(e.actor, e.project_id, e.target) for e in entries] == [
        (operator.email, failed.project_id, f"job {failed.pk} (reprice)")
    ]


def test_unknown_act_and_unknown_job_change_nothing(operator, sign_in, failed):
    client = sign_in(operator)

    assert client.post(f"/ops/jobs/{failed.pk}/", {"act": "explode"}).status_code == 302
    assert client.post("/ops/jobs/999999/", {"act": "retry"}).status_code == 404
    assert client.get(f"/ops/jobs/{failed.pk}/").status_code == 405
    failed.refresh_from_db()
    assert failed.state == JobState.FAILED


def test_json_says_the_same_to_this_machine_and_to_the_metrics_token(db, settings, failed):
    settings.TELLTALE_METRICS_TOKEN = "scrape-me-please"

    here = Client().get("/ops/status").json()
    there = Client(**ELSEWHERE).get("/ops/status", HTTP_AUTHORIZATION="Bearer scrape-me-please").json()

    assert here.keys() == there.keys()
    assert here["failed_jobs"][0]["error"] == "No price <b>book</b>."
    assert here["missing_migrations"] == []
    assert {each["table"] for each in here["partitions"]} >= {"traces_span", "traces_payload"}
    assert here["database"]["connections_max"] > 0
    assert here["lacking"] == []


def test_without_its_database_the_page_says_so(operator, sign_in, monkeypatch):
    def refuse(*args, **kwargs):
        raise OperationalError("connection to server at 10.1.2.3 failed")

    monkeypatch.setattr(reading, "missing_migrations", refuse)
    monkeypatch.setattr(reading, "read_vitals", refuse)

    page = sign_in(operator).get("/ops/")

    assert page.status_code == 200
    assert b"The database does not answer" in page.content
    assert b"10.1.2.3" not in page.content


def test_part_that_takes_too_long_hides_no_other(operator, sign_in, monkeypatch):
    def slow():
        with connection.cursor() as cursor:
            cursor.execute("SELECT set_config('statement_timeout', '20', true)")
            cursor.execute("SELECT pg_sleep(5)")

    monkeypatch.setattr(reading, "_read_tables", slow)

    page = sign_in(operator).get("/ops/").content.decode()

    assert "Not read in time" in page
    assert "Partitions" in page


def test_days_to_full_come_from_a_week_of_samples_and_are_unknown_before_a_day(db, monkeypatch):
    now = clock.now().replace(minute=0, second=0, microsecond=0)
    DiskSample.objects.create(at=now - timedelta(hours=5), database_bytes=10**9, free_bytes=10**10)
    DiskSample.objects.create(at=now, database_bytes=2 * 10**9, free_bytes=9 * 10**9)
    young = disk.read_growth(now)
    DiskSample.objects.create(at=now - timedelta(days=4), database_bytes=10**9, free_bytes=10**10)

    grown = disk.read_growth(now)

    assert (young.bytes_a_day, young.days_to_full) == (None, None)
    assert grown.bytes_a_day == pytest.approx(0.25e9)
    assert grown.days_to_full == pytest.approx(36)


def test_disk_of_another_machine_and_a_shrinking_database_have_no_day_of_being_full(db):
    now = clock.now()
    DiskSample.objects.create(at=now - timedelta(days=2), database_bytes=10**9, free_bytes=None)
    DiskSample.objects.create(at=now, database_bytes=2 * 10**9, free_bytes=None)
    elsewhere = disk.read_growth(now)
    DiskSample.objects.update(free_bytes=5)
    DiskSample.objects.filter(at=now).update(database_bytes=1)

    shrinking = disk.read_growth(now)

    assert elsewhere.days_to_full is None
    assert (shrinking.days_to_full, shrinking.bytes_a_day < 0) == (None, True)


def test_size_of_the_database_is_that_of_its_tables_now_not_of_an_hour_ago(db):
    DiskSample.objects.create(at=clock.now(), database_bytes=7, free_bytes=None)
    found = reading.read_ops()

    (line,) = [line for line in view(found).lines if line.label == "Database"]

    assert line.value == size(sum(each.bytes for each in found.tables)) != size(7)


def test_size_of_the_database_is_written_down_once_an_hour_and_forgotten_in_time(db):
    DiskSample.objects.create(at=clock.now() - timedelta(days=61), database_bytes=1, free_bytes=None)

    tidy()
    tidy()

    assert [sample.database_bytes > 10**6 for sample in DiskSample.objects.all()] == [True]


def test_sizes_and_ages_read_as_people_say_them():
    assert [size(n) for n in (0, 1023, 1024, 5 * 2**30, 200 * 2**20)] == [
        "0 bytes", "1,023 bytes", "1.0 KiB", "5.0 GiB", "200 MiB",
    ]  # fmt: skip
    assert [age(n) for n in (None, 3, 600, 90_000, 900_000)] == ["none waits", "3 s", "10 min", "25 h", "10 days"]
