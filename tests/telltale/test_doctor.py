"""`telltale doctor` finds each thing that is wrong, and says what to do about it."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import timedelta
from types import SimpleNamespace

import pytest
from django.db import connection
from django.db.utils import OperationalError

from telltale.jobs.disk import Growth
from telltale.jobs.models import DiskSample, Heartbeat, Job, JobState, Message, Schedule
from telltale.lib import clock
from telltale.projects.models import Project
from telltale.run import checks
from telltale.run.commands import doctor

SOUND = checks.Server(
    version="18.1", number=180001, settings=dict.fromkeys(checks.SETTINGS, "on"), encoding="UTF8", now=0.0,
    connections=10, connections_max=100, connections_reserved=3, role_limit=None, database_limit=None,
    shared_buffers=256 << 20,
)  # fmt: skip
DAY = timedelta(days=1)


def worst(findings):
    """(state, text) of what is not ok; None where all is."""
    found = [(each.state, each.text) for each in findings if each.state != "ok"]
    assert len(found) <= 1, found
    return found[0] if found else None


def server(**more):
    now = clock.now()
    return worst(checks.check_server(replace(SOUND, **{"now": now.timestamp()} | more), "the embedded one", now))


def test_a_sound_server_is_found_sound():
    assert server() is None
    assert worst(checks.check_connections(SOUND, 1)) is None


@pytest.mark.parametrize(
    ("more", "state", "words"),
    [
        ({"version": "15.4", "number": 150004}, "wrong", "upgrade it to 16 or later"),
        ({"settings": SOUND.settings | {"fsync": "off"}}, "wrong", "fsync is off. Switch on"),
        ({"settings": SOUND.settings | {"synchronous_commit": "off"}}, "wrong", "A crash can lose"),
        ({"settings": SOUND.settings | {"autovacuum": "off"}}, "wrong", "autovacuum is off. Switch it on"),
        ({"encoding": "SQL_ASCII"}, "wrong", "encoding is SQL_ASCII"),
        ({"shared_buffers": 8 << 20}, "note", "shared_buffers is 8 MiB"),
    ],
)
def test_settings_of_the_server(more, state, words):
    found = server(**more)

    assert found[0] == state
    assert words in found[1]


@pytest.mark.parametrize(("seconds", "word"), [(90, "90 s ahead"), (-90, "90 s behind")])
def test_clock_of_the_database(seconds, word):
    assert word in server(now=clock.now().timestamp() + seconds)[1]
    assert server(now=clock.now().timestamp() + 2) is None


@pytest.mark.parametrize(
    ("more", "workers", "words"),
    [
        ({"connections_max": 40}, 1, "lets 37 connections in (max_connections less"),
        ({"role_limit": 20}, 1, "lets 20 connections in (the limit of the role)"),
        ({"database_limit": 30}, 1, "lets 30 connections in (the limit of the database)"),
        ({}, 5, "may need 104. Raise it, or run fewer"),
        ({"connections": 95}, 1, "95 of 97 connections are taken"),
    ],
)
def test_connections_that_are_left_against_those_needed(settings, more, workers, words):
    settings.TELLTALE_WEB_WORKERS = 2

    found = worst(checks.check_connections(replace(SOUND, **more), workers))

    assert found[0] == "wrong"
    assert words in found[1]


def test_what_the_server_says_is_read(db):
    found = checks.read_server()

    assert found.number >= 160000
    assert set(found.settings) == set(checks.SETTINGS)
    assert abs(found.now - clock.now().timestamp()) < 5
    assert found.connections >= 1
    assert found.connections_max > found.connections_reserved


@pytest.mark.parametrize("url", ["amqp://guest:pass-word@127.0.0.1:1//", "redis://:pass-word@127.0.0.1:1/0"])
def test_a_broker_that_is_away_is_named_without_its_password(settings, monkeypatch, url):
    settings.TELLTALE_BROKER_URL = url
    # In this order: the second is the first where nobody set it, and is put back as it was.
    monkeypatch.setattr(checks.app.conf, "broker_write_url", url)
    monkeypatch.setattr(checks.app.conf, "broker_url", url)

    state, words = worst(checks.check_broker())

    assert state == "wrong"
    assert "127.0.0.1:1" in words
    assert "pass-word" not in words
    assert "empty TELLTALE_BROKER_URL" in words or "pip install redis" in words


def test_postgresql_as_the_broker_is_no_finding(settings):
    settings.TELLTALE_BROKER_URL = ""

    assert list(checks.check_broker()) == []


@pytest.mark.parametrize(
    ("public", "bind", "proxies", "hosts", "state", "words"),
    [
        ("http://telltale.example.com", "127.0.0.1", [], ["*"], "wrong", "in the open"),
        ("", "0.0.0.0", [], ["*"], "note", "listens at 0.0.0.0 without TLS"),
        ("", "127.0.0.1", [], ["*"], "note", "without TLS"),
        ("https://t.example.com", "127.0.0.1", [], ["t.example.com"], "note", "TELLTALE_TRUSTED_PROXIES is empty"),
        ("https://t.example.com", "127.0.0.1", ["10.0.0.0/8"], ["*"], "note", "set TELLTALE_ALLOWED_HOSTS"),
        ("https://t.example.com", "127.0.0.1", ["10.0.0.0/8"], ["t.example.com"], None, ""),
    ],
)
def test_the_address_of_people(settings, monkeypatch, public, bind, proxies, hosts, state, words):
    monkeypatch.setenv("TELLTALE_PUBLIC_URL", public)
    settings.TELLTALE_PUBLIC_URL = public or f"http://{bind}:8000"
    settings.TELLTALE_BIND, settings.TELLTALE_TRUSTED_PROXIES, settings.ALLOWED_HOSTS = bind, proxies, hosts

    found = worst(checks.check_address())

    assert (found is None) if state is None else (found[0] == state and words in found[1])


@pytest.mark.parametrize(
    ("allowed", "state", "words"),
    [
        ([], None, ""),
        (["10.20.0.0/16"], None, ""),
        (["0.0.0.0/0"], "wrong", "nearly every inner address (0.0.0.0/0)"),
        (["::/0"], "wrong", "nearly every"),
        (["127.0.0.1/32"], "note", "holds this machine (127.0.0.1/32)"),
        (["not-a-network"], "wrong", "must be networks"),
    ],
)
def test_networks_that_may_be_reached(settings, allowed, state, words):
    settings.TELLTALE_EGRESS_ALLOW = allowed

    found = worst(checks.check_egress())

    assert (found is None) if state is None else (found[0] == state and words in found[1])


@pytest.mark.parametrize("name", [*checks.SECRETS, ".env"])
def test_a_secret_that_others_can_read(tmp_path, name):
    tmp_path.chmod(0o755)
    secret = tmp_path / name
    secret.write_text("s")
    secret.chmod(0o600)
    before = worst(checks.check_secrets(tmp_path, [tmp_path / ".env"]))
    secret.chmod(0o640)

    state, words = worst(checks.check_secrets(tmp_path, [tmp_path / ".env"]))

    assert before is None
    assert (state, words) == ("wrong", f"{secret} can be read by others: chmod 600 it.")


def test_a_home_that_others_may_write_into(tmp_path):
    (tmp_path / "run").mkdir()
    tmp_path.chmod(0o700)
    (tmp_path / "run").chmod(0o777)

    assert "chmod go-w" in worst(checks.check_secrets(tmp_path, []))[1]


@pytest.mark.parametrize(
    ("days", "state"), [(None, None), (400.0, None), (10.0, "note"), (1.5, "wrong")]
)
def test_days_until_the_disk_is_full(days, state):
    growth = Growth(clock.now(), clock.now() - DAY, 1 << 30, 1 << 30, 1e9, days)

    found = worst(checks.check_growth(growth))

    assert (found and found[0]) == state
    assert found is None or "larger disk" in found[1]
    assert list(checks.check_growth(None)) == []


def test_a_file_system_without_room_for_files(monkeypatch, tmp_path):
    monkeypatch.setattr(os, "statvfs", lambda place: SimpleNamespace(f_files=1000, f_favail=20))

    assert "20 of 1,000 files" in worst(checks.check_inodes(tmp_path))[1]


@pytest.mark.parametrize(
    ("age", "words"), [(None, "No backup"), (9 * DAY, "9 days ago: let it run each night"), (DAY, None)]
)
def test_the_age_of_the_last_backup(age, words):
    now = clock.now()

    found = worst(checks.check_backup(None if age is None else now - age, now))

    assert (found is None) if words is None else (found[0] == "note" and words in found[1])


def test_mail_that_goes_nowhere(settings):
    settings.TELLTALE_SMTP_URL = ""

    assert worst(checks.check_mail())[0] == "note"


def test_time_zones_that_are_lost(project):
    assert worst(checks.check_zones()) is None

    Project.objects.update(time_zone="Mars/Olympus")

    assert "Mars/Olympus" in worst(checks.check_zones())[1]


def test_a_time_zone_that_postgresql_alone_lacks(project, monkeypatch):
    Project.objects.update(time_zone="Mars/Olympus")
    monkeypatch.setattr(clock, "knows_zone", lambda name: True)

    state, words = worst(checks.check_zones())

    assert state == "wrong"
    assert "PostgreSQL does not know" in words


def test_queues_that_wait_and_jobs_that_failed_come_with_what_to_do(db, settings, tmp_path):
    settings.TELLTALE_HOME = tmp_path
    now = clock.now()
    Heartbeat.objects.create(name="vm:1", pid=1, started_at=now, at=now)
    Message.objects.create(queue="judge", body="{}")
    Message.objects.update(created_at=now - timedelta(minutes=5))
    Job.objects.create(kind="reprice", state=JobState.FAILED)

    told = {each.text: each.state for each in doctor.check_work()}

    assert any(text.startswith("Work in queue judge has waited 300 s") for text in told)
    assert any("does not keep up with judge" in text and "TELLTALE_WORKER_THREADS" in text for text in told)
    assert any(text.startswith("1 long job(s) failed: `telltale jobs`") for text in told)


def test_growth_backup_and_connections_are_looked_at(db, monkeypatch):
    now = clock.now()
    Schedule.objects.create(name="telltale.backup", last_run_at=now - 9 * DAY)
    for hours, size in ((24, 1 << 30), (0, 2 << 30)):
        DiskSample.objects.create(at=now - timedelta(hours=hours), database_bytes=size, free_bytes=1 << 30)

    texts = [each.text for each in doctor.check_keeping()]

    assert any("The disk is full in 1 days" in text for text in texts)
    assert any("9 days ago" in text for text in texts)
    assert any("connections" in text for text in texts)


def test_a_disk_nearly_full_says_what_follows(monkeypatch, settings, tmp_path):
    settings.TELLTALE_HOME = tmp_path
    full = SimpleNamespace(f_bavail=1, f_frsize=4096, f_blocks=1000, f_files=0, f_favail=0)
    monkeypatch.setattr(os, "statvfs", lambda place: full)

    assert "make room" in worst(doctor.check_disk())[1]


def test_without_its_database_it_says_so_once(db, monkeypatch):
    def away(*args, **more):
        raise OperationalError("gone")

    with monkeypatch.context() as gone:
        gone.setattr(connection, "cursor", away)
        told = worst(doctor.check_database())
        others = [*doctor.check_keeping(), *doctor.check_work()]

    assert "does not answer" in told[1]
    assert others == []


def test_every_check_runs(db, settings, tmp_path):
    settings.TELLTALE_HOME = tmp_path

    findings = [finding for check in doctor.CHECKS for finding in check()]

    assert {finding.state for finding in findings} <= {"ok", "note", "wrong"}
    assert all(finding.text for finding in findings)
