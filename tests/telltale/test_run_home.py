"""Where the state lies, and what is refused."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from telltale.lib.dsn import django_database, embedded_dsn, socket_directory
from telltale.run import home as home_module
from telltale.run.account import Account
from telltale.run.child import PAUSES_SECONDS, Child
from telltale.run.home import Home, RunError, prepare_home
from telltale.run.postgres import Postgres
from telltale.run.safety import unsafe_settings
from telltale.run.supervisor import listen

ROOT = Path(__file__).resolve().parent.parent.parent
NOBODY = Account("nobody", 65534, 65534)


@pytest.fixture
def place():
    directory = Path(tempfile.mkdtemp(prefix="telltale-home-", dir="/tmp"))
    yield directory
    shutil.rmtree(directory, ignore_errors=True)


def test_home_is_private_and_its_secret_is_kept(place):
    home = prepare_home(place / "home")

    key = (home.path / "secret_key").read_text()
    again = prepare_home(place / "home")

    assert home.path.stat().st_mode & 0o777 == 0o700
    assert (home.path / "secret_key").stat().st_mode & 0o777 == 0o600
    assert len(key.strip()) >= 32
    assert (again.path / "secret_key").read_text() == key


def test_half_written_secret_is_made_again(place):
    home = prepare_home(place)
    (home.path / "postgres.password.new").write_text("half")

    assert len(home.keep_secret("postgres.password")) >= 32


def test_account_cannot_reach_below_a_private_directory(place):
    private = place / "private"
    private.mkdir(mode=0o700)
    place.chmod(0o755)

    assert NOBODY.can_reach(place / "home")
    assert not NOBODY.can_reach(private / "home")


def test_state_below_a_private_directory_moves_and_leaves_a_link(place, monkeypatch):
    elsewhere = place / "lib"
    elsewhere.mkdir()
    private = place / "root"
    private.mkdir(mode=0o700)
    place.chmod(0o755)
    monkeypatch.setattr(home_module, "drop_account", lambda: Account(NOBODY.name, NOBODY.uid, NOBODY.gid))
    monkeypatch.setattr(home_module, "STATE", elsewhere)
    monkeypatch.setattr(Home, "own", lambda self, path, mode: path.chmod(mode))

    home = prepare_home(private / ".telltale")
    again = prepare_home(private / ".telltale")

    assert home.path.parent == elsewhere
    assert (private / ".telltale").is_symlink()
    assert again.path == home.path
    assert (private / ".telltale" / "run").is_dir()


def test_state_that_cannot_move_is_named(place, monkeypatch):
    private = place / "root"
    private.mkdir(mode=0o700)
    (private / ".telltale").mkdir()
    (private / ".telltale" / "kept").touch()
    place.chmod(0o755)
    monkeypatch.setattr(home_module, "drop_account", lambda: NOBODY)

    with pytest.raises(RunError, match="holds state"):
        prepare_home(private / ".telltale")


def test_socket_of_a_deep_home_lies_in_a_short_directory():
    deep = Path("/srv") / ("d" * 40) / ("e" * 40) / "telltale"

    assert socket_directory(Path("/srv/telltale")) == Path("/srv/telltale/run")
    assert len(str(socket_directory(deep))) < 60
    assert str(socket_directory(deep)).replace("/", "%2F") in embedded_dsn(deep)


def test_dsn_becomes_djangos_terms():
    found = django_database("postgresql://ann:p%40ss@db.example:6543/shop?sslmode=require", Path("/"))

    assert (found["HOST"], found["PORT"], found["USER"], found["PASSWORD"], found["NAME"]) == (
        "db.example", "6543", "ann", "p@ss", "shop",
    )  # fmt: skip
    assert found["OPTIONS"]["sslmode"] == "require"
    with pytest.raises(ValueError, match="postgresql://"):
        django_database("mysql://db/shop", Path("/"))


def test_pid_file_that_names_another_process_is_no_running_server(place):
    server = Postgres(Home(place, None))
    server.data.mkdir()
    (server.data / "postmaster.pid").write_text(f"{os.getpid()}\n")

    assert server.running_pid() is None

    server._clear_stale_pid()

    assert not (server.data / "postmaster.pid").exists()


def test_child_that_keeps_dying_waits_longer_each_time(place, monkeypatch):
    home = prepare_home(place)
    child = Child(home, "web", lambda log: subprocess.Popen(["/bin/false"], stdout=log), stop_with=signal.SIGTERM)
    pauses = []

    for _ in range(6):
        child.start()
        child.process.wait()
        began = child._started_at
        assert child.look().startswith("web ended with code 1")
        pauses.append(round(child.due_at - began, 1))

    assert pauses[0] < pauses[2] < pauses[-1]
    assert pauses[-1] == pytest.approx(PAUSES_SECONDS[-1], abs=0.5)


def test_child_that_ignores_the_request_is_killed(place):
    home = prepare_home(place)
    ready = place / "ready"
    stubborn = ["/bin/sh", "-c", f"trap '' TERM; : > {ready}; while :; do sleep 0.05; done"]
    child = Child(home, "web", lambda log: subprocess.Popen(stubborn, start_new_session=True), stop_with=signal.SIGTERM)
    child.start()
    process = child.process
    while not ready.exists():
        time.sleep(0.01)

    said = child.stop(0.3)

    assert "was killed" in said
    assert process.returncode == -signal.SIGKILL
    assert not home.pid_file("web").exists()


@pytest.mark.parametrize("value", ["tiny-key", "django-insecure-" + "x" * 40, "a" * 64, "Password" + "0123456789" * 5])
def test_known_secret_key_is_refused(monkeypatch, value):
    monkeypatch.setenv("TELLTALE_SECRET_KEY", value)

    (found,) = unsafe_settings()

    assert "TELLTALE_SECRET_KEY" in found
    assert value not in found


def test_debug_is_refused_where_other_machines_reach_it(monkeypatch):
    monkeypatch.setenv("TELLTALE_DEBUG", "1")
    monkeypatch.delenv("TELLTALE_SECRET_KEY", raising=False)
    monkeypatch.setenv("TELLTALE_BIND", "127.0.0.1")
    assert unsafe_settings() == []

    monkeypatch.setenv("TELLTALE_BIND", "0.0.0.0")

    assert len(unsafe_settings()) == 1


def test_debug_is_refused_behind_a_public_address_and_weak_earlier_keys_too(monkeypatch):
    monkeypatch.setenv("TELLTALE_DEBUG", "1")
    monkeypatch.delenv("TELLTALE_SECRET_KEY", raising=False)
    monkeypatch.setenv("TELLTALE_BIND", "127.0.0.1")
    monkeypatch.setenv("TELLTALE_PUBLIC_URL", "http://localhost:8000")
    assert unsafe_settings() == []

    monkeypatch.setenv("TELLTALE_PUBLIC_URL", "https://telltale.example.com")
    monkeypatch.setenv("TELLTALE_OLD_SECRET_KEYS", "s" * 70)

    assert [found.split()[0] for found in unsafe_settings()] == ["TELLTALE_OLD_SECRET_KEYS", "TELLTALE_DEBUG"]


@pytest.mark.parametrize("module", ["telltale.run.worker", "gunicorn"])
def test_web_and_worker_do_not_start_with_a_known_key(tmp_path, module):
    arguments = ["--config", "python:telltale.run.gunicorn_conf", "telltale.wsgi"] if module == "gunicorn" else []
    done = subprocess.run(
        [sys.executable, "-m", module, *arguments],
        env={**os.environ, "TELLTALE_SECRET_KEY": "changeme" * 8, "TELLTALE_HOME": str(tmp_path),
             "PYTHONPATH": f"{ROOT / 'platform'}:{ROOT}"},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip

    assert done.returncode != 0
    assert "TELLTALE_SECRET_KEY is known" in done.stdout + done.stderr
    assert "changeme" not in done.stdout + done.stderr


def test_port_that_is_no_number_is_named(monkeypatch):
    monkeypatch.setenv("TELLTALE_PORT", "eighty")

    with pytest.raises(RunError, match="TELLTALE_PORT"):
        listen()


def test_postgresql_waits_for_what_a_killed_one_left(place, monkeypatch):
    server = Postgres(prepare_home(place / "home"))
    started = []

    def spawn(log):
        held = "FATAL:  pre-existing shared memory block (key 1, ID 2) is still in use"
        started.append(f"echo '{held}' >&2; exit 1" if len(started) < 2 else "sleep 60")
        return subprocess.Popen(["sh", "-c", started[-1]], stdout=log, stderr=log)

    for step in ("_prepare_socket_directory", "_write_settings", "_clear_stale_pid"):
        monkeypatch.setattr(server, step, lambda: None)
    monkeypatch.setattr(server, "spawn", spawn)
    monkeypatch.setattr(server, "is_ready", lambda pid: len(started) == 3)
    with (place / "postgres.log").open("ab") as log:
        process = server.start(log)
        process.kill()
        process.wait()

        monkeypatch.setattr(server, "is_ready", lambda pid: False)
        monkeypatch.setattr(server, "spawn", lambda log: subprocess.Popen(["false"], stdout=log, stderr=log))
        with pytest.raises(RunError, match="ended with code 1"):
            server.start(log)
    assert len(started) == 3
