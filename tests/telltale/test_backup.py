"""A backup is restored elsewhere: the same tables, the same rows, and the same key opens what is sealed."""

from __future__ import annotations

import io
import os
import secrets
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from telltale.jobs.models import Schedule
from telltale.lib import vault
from telltale.run import dumping
from telltale.run.commands import run_command
from telltale.run.home import RunError
from tests.conftest import database_url
from tests.traces.hostile_wire import plain
from traces.accounting import fold_batches

ROOT = Path(__file__).resolve().parent.parent.parent


@pytest.fixture
def elsewhere(committed_db):
    """The DSN of an empty database on the same server."""
    from django.db import connection

    name = f"restored_{secrets.token_hex(4)}"
    url = database_url()
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
    parts = urlsplit(url)
    yield urlunsplit(parts._replace(path=f"/{name}"))
    connection.close()
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def run(monkeypatch, url, *arguments):
    monkeypatch.setenv("TELLTALE_DATABASE_URL", url)
    out = io.StringIO()
    return run_command([*arguments], out), out.getvalue()


def filled(client, key, project):
    """Spans through the door, an account of them, and a sealed secret."""
    from evals.models import Connection

    for n in range(1, 4):
        answer = client.post(
            "/v1/traces", plain(bytes([0x40 + n]) * 16), content_type="application/x-protobuf",
            headers={"Authorization": f"Bearer {key.secret}"},
        )  # fmt: skip
        assert answer.status_code == 200
    fold_batches()
    sealed = vault.seal("evals.connection", "sk-restored")
    Connection.objects.create(project=project, name="c", kind="openai", base_url="https://a.example", sealed_key=sealed)


def test_what_was_backed_up_is_there_after_a_restore_elsewhere(
    client, project, key, elsewhere, tmp_path, monkeypatch, settings
):
    filled(client, key, project)
    source, file = database_url(), tmp_path / "telltale.dump"

    made = run(monkeypatch, source, "backup", str(file))
    # What holds something is not written over by accident, and is on purpose.
    with psycopg.connect(elsewhere, autocommit=True) as connection:
        connection.execute("CREATE TABLE somebody_elses (n integer)")
    refused = run(monkeypatch, elsewhere, "restore", str(file))
    restored = run(monkeypatch, elsewhere, "restore", str(file), "--replace")

    assert made[0] == 0, made[1]
    assert refused[0] == 1
    assert restored[0] == 0, restored[1]
    assert file.stat().st_mode & 0o077 == 0
    tables = dumping.tables_of(source)
    assert dumping.tables_of(elsewhere) == tables
    here, there = dumping.counts(source, tables), dumping.counts(elsewhere, tables)
    # The backup is noted after it was made.
    assert {name for name in tables if here[name] != there[name]} <= {"jobs_schedule"}
    assert there["traces_span"] >= 3
    assert there["traces_ingest_batch"] >= 3
    with psycopg.connect(elsewhere) as there_now, psycopg.connect(source) as here_now:
        sealed = there_now.execute("SELECT sealed_key FROM evals_connection").fetchone()[0]
        sums = [
            each.execute("SELECT sum(stored), sum(body_bytes) FROM traces_ingest_hour").fetchone()
            for each in (there_now, here_now)
        ]
    assert vault.unseal("evals.connection", sealed) == "sk-restored"
    assert sums[0] == sums[1]
    settings.SECRET_KEY = "another-installation-" + "k3y" * 12
    with pytest.raises(vault.Sealed):
        vault.unseal("evals.connection", sealed)
    assert Schedule.objects.filter(name="telltale.backup").exists()
    # The restored database is whole: no migration is missing, and the next one would apply.
    checked = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "migrate", "--check"],
        env={**os.environ, "TELLTALE_DATABASE_URL": elsewhere, "TELLTALE_HOME": str(tmp_path),
             "TELLTALE_SECRET_KEY": "r" + "estore-0123456789" * 3},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert checked.returncode == 0, checked.stdout + checked.stderr


def test_backup_that_fails_leaves_no_file_and_names_no_password(tmp_path, monkeypatch):
    file = tmp_path / "telltale.dump"
    file.write_text("the last good one")

    with pytest.raises(RunError) as caught:
        dumping.dump(file, "postgresql://telltale:hunter2@127.0.0.1:1/nowhere")

    assert "hunter2" not in str(caught.value)
    assert file.read_text() == "the last good one"
    assert [each.name for each in tmp_path.iterdir()] == ["telltale.dump"]


def test_password_is_in_no_list_of_processes(tmp_path, monkeypatch):
    seen = {}

    def note(command, env, **options):
        seen.update(command=command, password=env.get("PGPASSWORD"))
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(dumping.subprocess, "run", note)
    dumping.restore(tmp_path / "x", "postgresql://telltale:hunter2@127.0.0.1:1/nowhere")

    assert seen["password"] == "hunter2"
    assert not any("hunter2" in part for part in seen["command"])
