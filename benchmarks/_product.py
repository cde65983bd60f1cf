"""A Telltale to measure: started by its own supervisor in a temporary home, or one that runs already."""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from benchmarks._client import Browser, Wire
from benchmarks._proc import is_alive

ROOT = Path(__file__).resolve().parent.parent
PARTS = ("web", "worker", "postgres")
START_SECONDS = 300.0  # on a machine that does much else besides
EMAIL, PASSWORD = "bench@example.org", "correct horse battery bench"
PROJECT = "bench"


@dataclass(slots=True)
class Product:
    """Where a running Telltale is and how to get in."""

    url: str
    key: str
    dsn: str
    home: Path | None = None
    supervisor: subprocess.Popen[bytes] | None = None
    email: str = EMAIL
    password: str = PASSWORD
    project: str = PROJECT

    def pid(self, part: str) -> int | None:
        """The pid in `run/<part>.pid`, or None where there is none just now."""
        if self.home is None:
            return None
        try:
            return int((self.home / "run" / f"{part}.pid").read_text().split()[0])
        except (OSError, ValueError, IndexError):
            return None

    def roots(self, *parts: str) -> list[int]:
        """The pids of these parts (of the whole product where none is named), for `_proc`."""
        found = [pid for part in parts or PARTS if (pid := self.pid(part)) is not None]
        if not parts and self.supervisor is not None:
            found.append(self.supervisor.pid)
        return found

    def connect(self) -> psycopg.Connection[tuple[object, ...]]:
        """A connection of our own, autocommit."""
        return psycopg.connect(self.dsn, autocommit=True, connect_timeout=5)

    def one(self, query: str) -> int:
        """The single whole number a query gives."""
        with self.connect() as connection:
            row = connection.execute(query.encode()).fetchone()
        return int(str(row[0])) if row and row[0] is not None else 0

    def stored_spans(self) -> int:
        """Spans that anybody can see now."""
        return self.one("SELECT count(*) FROM traces_span")

    def browser(self) -> Browser:
        """A signed-in browser."""
        browser = Browser(self.url)
        browser.login(self.email, self.password)
        return browser

    def is_ready(self) -> bool:
        """Whether /readyz says 200."""
        wire = Wire(self.url, timeout_s=5)
        try:
            return wire.ask("GET", "/readyz")[0] == 200
        finally:
            wire.close()


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """What every benchmark takes."""
    group = parser.add_argument_group("a running Telltale instead of one started here")
    group.add_argument("--url", help="for example http://127.0.0.1:8000")
    group.add_argument("--key", default=os.environ.get("TELLTALE_BENCH_KEY", ""), help="a key with the scope ingest")
    group.add_argument("--dsn", default="", help="its database (telltale database-url)")
    group.add_argument("--home", type=Path, help="its TELLTALE_HOME, for CPU and memory")
    group.add_argument("--email", default=EMAIL)
    group.add_argument("--password", default=PASSWORD)
    group.add_argument("--project", default=PROJECT)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    parser.add_argument("--keep", type=Path, help="make the home here and leave it behind")


@contextmanager
def product(args: argparse.Namespace) -> Iterator[Product]:
    """The Telltale that the arguments ask for, ready; what was started is stopped and removed."""
    if args.url:
        yield Product(
            args.url.rstrip("/"), args.key, args.dsn, args.home, None, args.email, args.password, args.project
        )
        return
    with started(keep=args.keep) as running:
        yield running


@contextmanager
def started(keep: Path | None = None, environment: dict[str, str] | None = None) -> Iterator[Product]:
    """A Telltale of its own on a free port."""
    parent = keep or Path(tempfile.mkdtemp(prefix="telltale-bench-"))
    parent.mkdir(parents=True, exist_ok=True)
    # Root hands the state to another account, which must be able to pass through here.
    parent.chmod(0o755)
    running = launch(parent / "home", environment)
    try:
        wait_ready(running)
        running.dsn = (environment or {}).get("TELLTALE_DATABASE_URL") or database_url(running)
        yield running
    finally:
        stop(running)
        if keep is None:
            shutil.rmtree(parent, ignore_errors=True)


def launch(home: Path, environment: dict[str, str] | None = None) -> Product:
    """Start `telltale run` and do not wait; its output goes to `<home>.out`."""
    port = free_port()
    secret = "tt_sk_" + secrets.token_hex(24)
    settings = {
        "TELLTALE_HOME": str(home),
        "TELLTALE_BIND": "127.0.0.1",
        "TELLTALE_PORT": str(port),
        "TELLTALE_INIT_ADMIN_EMAIL": EMAIL,
        "TELLTALE_INIT_ADMIN_PASSWORD": PASSWORD,
        "TELLTALE_INIT_PROJECT": PROJECT,
        "TELLTALE_INIT_PUBLIC_KEY": "tt_pk_" + secrets.token_hex(12),
        "TELLTALE_INIT_SECRET_KEY": secret,
    } | (environment or {})
    output = home.with_suffix(".out").open("ab")
    with output:
        process = subprocess.Popen(
            command("run"), cwd=ROOT, env=clean_environment(settings), stdout=output, stderr=subprocess.STDOUT,
            start_new_session=True,
        )  # fmt: skip
    return Product(f"http://127.0.0.1:{port}", secret, "", home, process)


def command(*words: str) -> list[str]:
    """The command line of a `telltale` command from this checkout."""
    return [sys.executable, str(ROOT / "manage.py"), "telltale", *words]


def clean_environment(settings: dict[str, str]) -> dict[str, str]:
    """Our environment without settings of some other Telltale, and with these."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("TELLTALE_", "DJANGO_"))}
    return kept | settings


def wait_ready(running: Product, seconds: float = START_SECONDS) -> float:
    """Wait for /readyz; the seconds it took. RuntimeError with the end of the output where it never comes."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if running.is_ready():
            return time.monotonic() - began
        if running.supervisor is not None and running.supervisor.poll() is not None:
            break
        time.sleep(0.05)
    output = running.home.with_suffix(".out") if running.home else None
    tail = output.read_text()[-2000:] if output and output.exists() else ""
    raise RuntimeError(f"Telltale is not ready after {time.monotonic() - began:.0f} s\n{tail}")


def database_url(running: Product) -> str:
    """What `telltale database-url` prints for this home."""
    done = subprocess.run(
        command("database-url"), cwd=ROOT, env=clean_environment({"TELLTALE_HOME": str(running.home)}),
        capture_output=True, text=True, timeout=60, check=True,
    )  # fmt: skip
    return done.stdout.strip().splitlines()[-1]


def stop(running: Product, seconds: float = 20.0) -> float:
    """Stop what `launch` started, by its supervisor; the seconds it took."""
    began = time.monotonic()
    if running.supervisor is None:
        return 0.0
    mine = running.roots()
    if running.supervisor.poll() is None:
        running.supervisor.terminate()
        try:
            running.supervisor.wait(seconds)
        except subprocess.TimeoutExpired:
            running.supervisor.kill()
            running.supervisor.wait()
    for pid in mine:
        if pid != running.supervisor.pid and is_alive(pid):
            os.kill(pid, signal.SIGKILL)
    return time.monotonic() - began


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
