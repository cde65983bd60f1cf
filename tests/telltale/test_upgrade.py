"""Every migration meets rows of the state before it, and the check of a deployment finds nothing."""

from __future__ import annotations

import json
import os
import secrets
import subprocess
import sys
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import psycopg
import pytest
from psycopg import sql

from tests.conftest import database_url

ROOT = Path(__file__).resolve().parent.parent.parent
KEY = "u" + "pgrade-0123456789" * 4


def environment(home, **more):
    # What tests of browsers set for themselves is not ours.
    kept = {name: value for name, value in os.environ.items() if name != "DJANGO_ALLOW_ASYNC_UNSAFE"}
    return {
        **kept, "TELLTALE_HOME": str(home), "TELLTALE_SECRET_KEY": KEY,
        "DJANGO_SETTINGS_MODULE": "telltale.settings", "PYTHONPATH": f"{ROOT}:{ROOT / 'platform'}", **more,
    }  # fmt: skip


@pytest.fixture
def empty_database(db):
    """The DSN of a database without anything in it, on the tests' server."""
    name = f"upgrade_{secrets.token_hex(4)}"
    url = database_url()
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(sql.SQL("CREATE DATABASE {} TEMPLATE template0").format(sql.Identifier(name)))
    yield urlunsplit(urlsplit(url)._replace(path=f"/{name}"))
    with psycopg.connect(url, autocommit=True) as admin:
        admin.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


def test_rows_of_every_earlier_state_come_through_every_migration(empty_database, tmp_path):
    done = subprocess.run(
        [sys.executable, str(Path(__file__).with_name("upgrade_walk.py"))],
        env=environment(tmp_path, TELLTALE_DATABASE_URL=empty_database), capture_output=True, text=True, timeout=600,
    )  # fmt: skip

    assert done.returncode == 0, done.stderr[-3000:]
    report = json.loads(done.stdout)
    assert report["steps"] == report["planned"] > 90
    assert report["tables"] > 150
    assert report["refused"] == {}
    assert report["changed"] == {}
    assert report["read"] == ""
    assert report["unfilled"] == []


def test_check_of_a_deployment_finds_nothing_with_production_settings(tmp_path):
    done = subprocess.run(
        [sys.executable, str(ROOT / "manage.py"), "check", "--deploy", "--fail-level", "WARNING"],
        env=environment(
            tmp_path, TELLTALE_SECRET_KEY=secrets.token_urlsafe(48), TELLTALE_BIND="0.0.0.0",
            TELLTALE_PUBLIC_URL="https://telltale.example.com", TELLTALE_ALLOWED_HOSTS="telltale.example.com",
            TELLTALE_TRUSTED_PROXIES="10.0.0.0/8",
        ),
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip

    assert done.returncode == 0, done.stdout + done.stderr
    assert "WARNING" not in done.stderr
