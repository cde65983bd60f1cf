"""The whole product as `telltale run` starts it: everything killed comes back, everything stopped is gone."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest

from telltale.run import supervisor

ROOT = Path(__file__).resolve().parent.parent.parent
READY_SECONDS = 60
# R10 of the reliability promises: ready again within 30 s of any kill.
BACK_SECONDS = 30


def environment(home, port=0):
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("TELLTALE_", "DJANGO_"))}
    paths = f"{ROOT / 'platform'}:{ROOT}"
    return kept | {"TELLTALE_HOME": str(home), "TELLTALE_PORT": str(port), "PYTHONPATH": paths}


def telltale(home, *arguments, port=0, seconds=READY_SECONDS):
    command = [sys.executable, "-m", "telltale.run.cli", *arguments]
    return subprocess.run(
        command, env=environment(home, port), capture_output=True, text=True, timeout=seconds, check=False
    )


def answer(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as response:
            return response.status, response.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except OSError:
        return 0, b""


def wait_for(condition, seconds, what):
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if found := condition():
            return found
        time.sleep(0.1)
    pytest.fail(f"not within {seconds} s: {what}")


def pid(home, name):
    try:
        return int((home / "run" / f"{name}.pid").read_text())
    except (OSError, ValueError):
        return 0


def alive(number):
    try:
        return Path(f"/proc/{number}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


@pytest.fixture(scope="module")
def started():
    """A detached run in a new home: its home, address and what it printed."""
    home = Path(tempfile.mkdtemp(prefix="telltale-run-", dir="/tmp"))
    started = telltale(home, "run", "--detach")
    try:
        assert started.returncode == 0, started.stdout + started.stderr
        url = next(line.split()[-1] for line in started.stdout.splitlines() if line.startswith("Telltale is ready"))
        yield SimpleNamespace(home=home, url=url, printed=started.stdout)
    finally:
        telltale(home, "stop")
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def own_home():
    home = Path(tempfile.mkdtemp(prefix="telltale-run-", dir="/tmp"))
    yield home
    telltale(home, "stop")
    shutil.rmtree(home, ignore_errors=True)


@pytest.fixture
def running(started):
    """It, ready: whatever the test before has killed is back."""
    wait_for(lambda: answer(started.url + "/readyz")[0] == 200, BACK_SECONDS, "ready")
    return started


def test_first_start_prints_the_login_and_the_key_once(running):
    assert running.printed.count("password") == 1
    assert running.printed.count("tt_sk_") == 1
    for log in (running.home / "log").iterdir():
        assert "tt_sk_" not in log.read_text()
        assert "password  " not in log.read_text()


def test_first_page_is_quick_right_after_the_start(running):
    began = time.monotonic()

    status, _ = answer(running.url + "/accounts/login/")

    assert status == 200
    # 5 ms where nothing else runs (benchmarks.start); beside other tests it may have to wait for a processor.
    assert time.monotonic() - began < 5


def test_health_addresses_answer(running):
    assert answer(running.url + "/healthz") == (200, b"ok\n")
    status, body = answer(running.url + "/readyz")
    assert (status, json.loads(body)["status"]) == (200, "ready")
    status, body = answer(running.url + "/metrics")
    assert status == 200
    assert b"telltale_database_up 1.0" in body


def test_worker_shows_life_and_schedules(running):
    def working():
        told = json.loads(answer(running.url + "/readyz")[1])
        return told.get("workers") and told["scheduler_seconds"] is not None and told["notes"] == [] and told

    assert wait_for(working, 30, "a heartbeat, and nothing to be noted")


def test_database_is_safe_and_its_secrets_are_private(running):
    dsn = telltale(running.home, "database-url").stdout.strip()

    with psycopg.connect(dsn) as connection:
        names = ("fsync", "full_page_writes", "data_checksums")
        shown = {name: connection.execute(f"SHOW {name}").fetchone()[0] for name in names}
        commit = connection.execute("SHOW synchronous_commit").fetchone()[0]
        is_super = connection.execute("SELECT rolsuper FROM pg_roles WHERE rolname = current_user").fetchone()[0]
        listens = connection.execute("SHOW listen_addresses").fetchone()[0]

    assert shown == {"fsync": "on", "full_page_writes": "on", "data_checksums": "on"}
    assert (commit, is_super, listens) == ("on", False, "")
    for name in ("secret_key", "postgres.password", "postgres.admin_password"):
        assert (running.home / name).stat().st_mode & 0o777 == 0o600
    assert (running.home / "run").stat().st_mode & 0o777 == 0o700


def test_stranger_on_this_machine_cannot_log_in_without_the_password(running):
    with pytest.raises(psycopg.OperationalError, match="password"):
        psycopg.connect(host=str(running.home / "run"), user="telltale", dbname="telltale", password="guess")


@pytest.mark.parametrize("name", ["web", "worker", "postgres"])
def test_killed_child_comes_back(running, name):
    before = wait_for(lambda: pid(running.home, name), 20, "a pid file")
    kept = answer(running.url + "/readyz")[0]
    os.kill(before, signal.SIGKILL)

    after = wait_for(lambda: (n := pid(running.home, name)) != before and alive(n) and n, BACK_SECONDS, "a new pid")
    wait_for(lambda: answer(running.url + "/readyz")[0] == 200, BACK_SECONDS, "ready again")

    assert kept == 200
    assert after != before


def test_killed_database_is_answered_with_503_and_never_500(running):
    os.kill(pid(running.home, "postgres"), signal.SIGKILL)
    seen = set()

    def ready():
        status, _ = answer(running.url + "/readyz")
        seen.add(status)
        return status == 200

    wait_for(ready, BACK_SECONDS, "ready again")

    assert seen <= {200, 503}


def test_second_start_of_the_same_home_says_what_to_do(running):
    second = telltale(running.home, "run")

    assert second.returncode == 1
    assert "runs already" in second.stdout
    assert "TELLTALE_HOME" in second.stdout


def test_start_on_a_used_port_says_which(running, own_home):
    port = running.url.rsplit(":", 1)[1]

    second = telltale(own_home, "run", port=port)

    assert second.returncode == 1
    assert f"Port {port}" in second.stdout
    assert "TELLTALE_PORT" in second.stdout


@pytest.mark.parametrize("knows_port", [True, False])
def test_doctor_finds_nothing_wrong(running, knows_port):
    port = running.url.rsplit(":", 1)[1] if knows_port else ""
    wait_for(lambda: json.loads(answer(running.url + "/readyz")[1]).get("notes") == [], 30, "work moving")
    told = []

    # What the tests before killed is back, but on a busy machine not yet every time it is asked.
    def sound():
        told.append(telltale(running.home, "doctor", port=port))
        return told[-1].returncode == 0

    wait_for(sound, 30, "nothing wrong")

    assert "Nothing is wrong." in told[-1].stdout


def test_stop_takes_everything_down_and_a_new_start_finds_the_data(own_home):
    assert telltale(own_home, "run", "--detach").returncode == 0
    pids = {name: pid(own_home, name) for name in ("web", "worker", "postgres")}
    began = time.monotonic()

    stopped = telltale(own_home, "stop")

    assert stopped.stdout.strip() == "Telltale has stopped."
    assert time.monotonic() - began < 10
    assert not any(alive(number) for number in pids.values())
    assert not list((own_home / "run").glob("*.pid"))

    # The pid file of a server that was never stopped names a process which is somebody else now.
    (own_home / "postgres" / "postmaster.pid").write_text(f"{os.getpid()}\n{own_home}/postgres\n0\n5432\n\n\n\nready\n")
    again = telltale(own_home, "run", "--detach")

    assert again.returncode == 0, again.stdout
    assert "First login" not in again.stdout


def test_killed_supervisor_takes_its_children_along_and_can_be_started_again(own_home):
    assert telltale(own_home, "run", "--detach").returncode == 0
    pids = {name: pid(own_home, name) for name in ("web", "worker", "postgres")}
    os.kill(int((own_home / "run" / "supervisor.lock").read_text()), signal.SIGKILL)

    wait_for(lambda: not any(alive(number) for number in pids.values()), 15, "the children ended")
    again = telltale(own_home, "run", "--detach")

    assert again.returncode == 0, again.stdout


def test_bytecode_is_kept_where_a_new_installation_has_none(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONDONTWRITEBYTECODE", "1")
    monkeypatch.setattr(supervisor, "ROOT", tmp_path)
    (tmp_path / "traces" / "wire").mkdir(parents=True)
    (tmp_path / "traces" / "wire" / "otlp.py").write_text("SPANS = 1\n")

    assert supervisor.compile_code().wait(30) in (0, 1)  # 1: the other rooms are missing here

    assert list((tmp_path / "traces" / "wire" / "__pycache__").glob("otlp.*.pyc"))


def test_stop_without_a_run_says_so(tmp_path):
    told = telltale(tmp_path, "stop")

    assert (told.returncode, told.stdout.strip()) == (0, "Telltale is not running.")
