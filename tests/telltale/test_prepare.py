"""`telltale prepare` killed in the middle, and run twice at once: every migration is applied once, and nobody is let in
before."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time

import psycopg
import pytest
from django.db.migrations.loader import MigrationLoader

from tests.telltale.test_upgrade import empty_database, environment  # noqa: F401 - a fixture

# A web process of the same version, asked by a line.
WEB = """
import sys, django
django.setup()
from django.test import Client
for _ in sys.stdin:
    answer = Client().get("/readyz")
    print(answer.status_code, answer.json()["migrations"], answer.headers.get("Retry-After", ""), flush=True)
"""
SECONDS = 240


def applied(server):
    """How many migrations are written down, and how many of them once."""
    if server.execute("SELECT to_regclass('django_migrations')").fetchone()[0] is None:
        return 0, 0
    return server.execute("SELECT count(*), count(DISTINCT (app, name)) FROM django_migrations").fetchone()


def wait_for(condition, what, process):
    deadline = time.monotonic() + SECONDS
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"{what}: {process.communicate()[1][-2000:]}")
        time.sleep(0.01)


@pytest.fixture
def start(empty_database, tmp_path):  # noqa: F811
    """`start(*arguments)` is a process on the empty database; all of them are gone at the end."""
    running = []

    def start(*arguments):
        process = subprocess.Popen(
            [sys.executable, *arguments], env=environment(tmp_path, TELLTALE_DATABASE_URL=empty_database), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        running.append(process)
        return process

    yield start
    for process in running:
        process.kill()
        process.communicate()


def test_killed_preparation_is_repeated_by_two_at_once_and_ready_only_then(start, empty_database):  # noqa: F811
    def prepare():
        return start("-m", "telltale.run.cli", "prepare")

    def ask():
        web.stdin.write("\n")
        web.stdin.flush()
        return web.stdout.readline().split()

    every = len(MigrationLoader(None).disk_migrations)
    web = start("-c", WEB)
    with psycopg.connect(empty_database, autocommit=True) as server:
        assert ask() == ["503", "missing", "2"]

        first = prepare()
        wait_for(lambda: applied(server)[0] >= 40, "no migrations", first)
        during = ask()
        first.send_signal(signal.SIGKILL)
        first.wait(30)
        done, once = applied(server)

        assert during == ["503", "missing", "2"]
        assert 40 <= done == once < every
        assert ask() == ["503", "missing", "2"]

        second, third = prepare(), prepare()
        waits = "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted"
        wait_for(lambda: server.execute(waits).fetchone()[0] == 1, "nobody waits", second)
        told = []
        for process in (second, third):
            out, err = process.communicate(timeout=SECONDS)
            assert process.returncode == 0, err[-2000:]
            told.append(json.loads(out))

        assert applied(server) == (every, every)
        # Whoever came first made the first person; the other found everything done.
        assert sorted(bool(one) for one in told) == [False, True]
        assert server.execute("SELECT count(*) FROM accounts_user").fetchone() == (1,)
        assert ask()[:2] == ["200", "applied"]
