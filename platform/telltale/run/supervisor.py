"""`telltale run`: PostgreSQL, web and worker as children of one process, started again whenever one dies.

    prepare the home -> PostgreSQL -> web (answers 503 on /readyz) -> migrate, provision -> worker -> "ready"

The supervisor holds the listening socket and lends it to the web child, so that requests wait in its queue instead of
being refused while web is started again. It imports no Django: it must stay small and not fail with what it watches.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import IO, Any

from telltale.run.account import can_run_code
from telltale.run.child import Child, die_with_parent
from telltale.run.home import ROOT, Home, RunError, prepare_home
from telltale.run.postgres import Postgres
from telltale.run.safety import refuse_unsafe_settings

BACKLOG = 1024
PREPARE_SECONDS = 3600.0
COMPILE_SECONDS = 60.0
CODE = ("platform", "traces", "evals", "alerts")
# Together below the 10 s that a stop may take.
STOP_SECONDS = {"web": 4.0, "worker": 3.0, "postgres": 2.5}
TICK_SECONDS = 30.0

Say = Callable[[str], None]


class Supervisor:
    """One installation while it runs."""

    def __init__(self, say: Say, say_once: Say | None = None) -> None:
        self.say = say
        # For what must not stay in a log: the first login.
        self.say_once = say_once or say
        self.home: Home
        self.socket: socket.socket
        self.children: dict[str, Child] = {}
        self.is_stopping = False
        self.on_ready: Callable[[], None] = lambda: None
        self._lock: IO[str] | None = None
        self._wake_read, self._wake_write = os.pipe()

    def run(self) -> int:
        """Run until told to stop; the exit code."""
        self._catch_signals()
        try:
            refuse_unsafe_settings()
            self.home = prepare_home()
            self._take_lock()
            self.socket = listen()
            # For `telltale doctor` in a shell that does not know TELLTALE_PORT.
            host, port = self.socket.getsockname()[:2]
            (self.home.run / "web.address").write_text(f"{host} {port}\n")
            self.environment = self._children_environment()
            self._start_all()
            if not self.is_stopping:
                self._announce()
                self._watch()
            return 0
        except RunError as error:
            self.say(f"Telltale cannot start. {error}")
            return 1
        finally:
            self._stop_all()
            if self.is_stopping:
                self.say("Telltale has stopped.")

    # Starting

    def _take_lock(self) -> None:
        self._lock = open(self.home.run / "supervisor.lock", "a+")  # noqa: SIM115
        self.home.own(self.home.run / "supervisor.lock", 0o600)
        deadline = time.monotonic() + 3  # one that is just ending gets the time to
        while True:
            try:
                fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    self._lock.seek(0)
                    pid = self._lock.read().strip() or "unknown"
                    raise RunError(
                        f"It runs already from {self.home.path} (process {pid}). Stop that one with `make stop`, "
                        "or set TELLTALE_HOME and TELLTALE_PORT for a second one."
                    ) from None
                time.sleep(0.1)
        self._lock.truncate(0)
        self._lock.write(f"{os.getpid()}\n")
        self._lock.flush()

    def _children_environment(self) -> dict[str, str]:
        paths = [str(ROOT / "platform"), str(ROOT), os.environ.get("PYTHONPATH", "")]
        port = str(self.socket.getsockname()[1])
        return {
            # Many threads with small matrices: a pool of BLAS makes them wait for each other (ten times, measured).
            "OPENBLAS_NUM_THREADS": "1",
            # glibc keeps what threads let go of, in a place of each thread's own: a fifth of web's memory at its most.
            "MALLOC_ARENA_MAX": "2",
            **os.environ,
            "TELLTALE_HOME": str(self.home.path),
            "TELLTALE_PORT": port,
            "PYTHONPATH": os.pathsep.join(path for path in paths if path),
            "PYTHONUNBUFFERED": "1",
            "DJANGO_SETTINGS_MODULE": "telltale.settings",
        }

    def _start_all(self) -> None:
        compiling = compile_code()
        if not os.environ.get("TELLTALE_DATABASE_URL", "").strip():
            self._start_postgres()
        drop = self._web_account()
        with contextlib.suppress(subprocess.TimeoutExpired):
            compiling.wait(COMPILE_SECONDS)
        self._add("web", web_command(self.socket.fileno()), drop, pass_fds=(self.socket.fileno(),))
        first = self._prepare_database(drop)
        if self.is_stopping:
            return
        self._add("worker", [sys.executable, "-m", "telltale.run.worker"], drop)
        self._first = first

    def _start_postgres(self) -> None:
        server = Postgres(self.home)
        if not server.data.exists():
            self.say("Making the database ...")
        server.initialise()
        is_first = True

        def start(log: IO[bytes]) -> subprocess.Popen[bytes]:
            return server.start(log) if is_first else server.restart(log)

        child = Child(self.home, "postgres", start, stop_with=signal.SIGINT)
        self.children["postgres"] = child
        child.start()
        is_first = False
        server.make_database()

    def _web_account(self) -> dict[str, Any]:
        account = self.home.account
        if account is None:
            return {}
        if can_run_code(account, sys.executable, ROOT):
            return account.popen_arguments()
        self.say(
            f"Warning: web and worker run as root, since the account {account.name} cannot read Python or the code "
            f"below {ROOT}. PostgreSQL does not run as root."
        )
        return {}

    def _add(self, name: str, command: list[str], drop: dict[str, Any], pass_fds: tuple[int, ...] = ()) -> None:
        def start(log: IO[bytes]) -> subprocess.Popen[bytes]:
            return subprocess.Popen(
                command,
                cwd="/",
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=pass_fds,
                start_new_session=True,
                preexec_fn=die_with_parent(signal.SIGTERM),
                **drop,
            )

        child = Child(self.home, name, start, stop_with=signal.SIGTERM)
        self.children[name] = child
        child.start()

    def _prepare_database(self, drop: dict[str, Any]) -> dict[str, Any]:
        """Migrate and provision in a process of its own; what provisioning made."""
        process = subprocess.Popen(
            [sys.executable, "-m", "telltale.run.cli", "prepare"],
            cwd="/",
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGTERM),
            **drop,
        )
        deadline = time.monotonic() + PREPARE_SECONDS
        while True:
            try:
                out, errors = process.communicate(timeout=0.1)
                break
            except subprocess.TimeoutExpired:
                self._look()
                if self.is_stopping or time.monotonic() > deadline:
                    process.terminate()  # a migration is one transaction: it is repeated whole at the next start
                    process.communicate()
                    return {}
        if process.returncode:
            path = self.home.log / "prepare.log"
            path.write_text(errors)
            self.home.own(path, 0o600)
            last = errors.strip().splitlines()[-1:] or ["no message"]
            raise RunError(f"Preparing the database failed: {last[0]} (all of it: {path})")
        found: dict[str, Any] = json.loads(out)
        return found

    def _announce(self) -> None:
        url = self.environment.get("TELLTALE_PUBLIC_URL", "").strip() or listening_url(self.socket)
        is_ready = wait_until_ready(self.socket, lambda: self.is_stopping or self._look())
        if self.is_stopping:
            return
        if is_ready:
            self.say(f"Telltale is ready: {url}")
        else:
            self.say(f"Telltale has started at {url}, but is not ready: `telltale doctor` and {self.home.log} say why.")
        if self._first.get("password"):
            self.say_once(
                "First login, shown once:\n"
                f"  e-mail    {self._first['email']}\n"
                f"  password  {self._first['password']}   (to be changed at the first login)"
            )
        if self._first.get("secret_key"):
            self.say_once(
                f"API key of project {self._first['project']}, shown once:\n"
                f"  public    {self._first['public_key']}\n"
                f"  secret    {self._first['secret_key']}"
            )
        self.on_ready()

    # Watching

    def _catch_signals(self) -> None:
        os.set_blocking(self._wake_write, False)
        os.set_blocking(self._wake_read, False)
        signal.set_wakeup_fd(self._wake_write, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, self._ask_to_stop)
        signal.signal(signal.SIGCHLD, lambda *_: None)

    def _ask_to_stop(self, number: int, frame: object) -> None:
        self.is_stopping = True

    def _watch(self) -> None:
        trimmed_at = time.monotonic()
        while not self.is_stopping:
            due = [child.due_at for child in self.children.values() if child.due_at is not None]
            pause = min([TICK_SECONDS, *(max(0.01, at - time.monotonic()) for at in due)])
            select.select([self._wake_read], [], [], pause)
            with contextlib.suppress(BlockingIOError):
                os.read(self._wake_read, 512)
            self._look()
            if time.monotonic() - trimmed_at > 60:
                trimmed_at = time.monotonic()
                for child in self.children.values():
                    child.trim_log()

    def _look(self) -> bool:
        for child in self.children.values():
            try:
                happened = child.look()
            except (RunError, OSError) as error:
                happened = f"{child.name} could not be started: {error}"
                child.due_at = time.monotonic() + 2
            if happened:
                self.say(happened)
        return False

    def _stop_all(self) -> None:
        """Web first, so that nothing new comes in; PostgreSQL last, so that everything in flight can be committed."""
        ends = time.monotonic() + sum(STOP_SECONDS.values())
        for name in ("web", "worker", "postgres"):
            if child := self.children.get(name):
                # The last one may have what the others left: a database that is killed has to recover.
                seconds = ends - time.monotonic() if name == "postgres" else STOP_SECONDS[name]
                happened = child.stop(max(seconds, STOP_SECONDS[name]))
                if happened:
                    self.say(happened)
        if self._lock:
            self._lock.close()


def compile_code() -> subprocess.Popen[bytes]:
    """Keep the product's bytecode beside its code, as pip does for what it installs; a look where it is there already.

    The account that web and worker drop to may not write there, and some environments forbid it: every start, also
    one after a fault, would then compile a thousand files, 3 s of CPU in each process. Where nobody may write, nothing
    is said.
    """
    return subprocess.Popen(
        [sys.executable, "-m", "compileall", "-qq", *(str(ROOT / room) for room in CODE)],
        cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        preexec_fn=die_with_parent(signal.SIGTERM),
    )  # fmt: skip


def web_command(descriptor: int) -> list[str]:
    """gunicorn over a socket that is open already."""
    config = "python:telltale.run.gunicorn_conf"
    return [sys.executable, "-m", "gunicorn", "--config", config, "--bind", f"fd://{descriptor}", "telltale.wsgi"]


def listen() -> socket.socket:
    """The listening socket; RunError where the address is taken or not ours."""
    host = os.environ.get("TELLTALE_BIND", "").strip() or "127.0.0.1"
    raw = os.environ.get("TELLTALE_PORT", "").strip() or "8000"
    if not raw.isdigit() or int(raw) > 65535:
        raise RunError(f"TELLTALE_PORT must be a number from 0 to 65535, not {raw!r}.")
    found = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_STREAM)
    found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        found.bind((host, int(raw)))
    except OSError as error:
        found.close()
        reason = error.strerror or str(error)
        raise RunError(f"Port {raw} of {host} cannot be used: {reason}. Set TELLTALE_PORT to another one.") from None
    found.listen(BACKLOG)
    return found


def listening_url(listening: socket.socket) -> str:
    """The address to type into a browser on this machine."""
    host, port = listening.getsockname()[:2]
    host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)  # noqa: S104
    return f"http://{host}:{port}"


def wait_until_ready(listening: socket.socket, should_end: Callable[[], bool], seconds: float = 30.0) -> bool:
    """True when /readyz answers 200, False after `seconds` without or where `should_end` says so."""
    host, port = listening.getsockname()[:2]
    target = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline and not should_end():
        with contextlib.suppress(OSError), socket.create_connection((target, port), timeout=2) as connection:
            connection.sendall(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            if connection.recv(64).split(b" ", 2)[1:2] == [b"200"]:
                return True
        time.sleep(0.1)
    return False


def stop_running(home: Path, seconds: float = 15.0) -> str:
    """Stop the supervisor of `home`; what happened, in words. RunError where it does not end."""
    try:
        with open(home.resolve() / "run" / "supervisor.lock") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return "Telltale is not running."
            except BlockingIOError:
                pid = int(lock.read().strip())
    except (FileNotFoundError, ValueError):
        return "Telltale is not running."
    os.kill(pid, signal.SIGTERM)
    deadline = time.monotonic() + seconds
    while Path(f"/proc/{pid}").exists():
        if time.monotonic() > deadline:
            raise RunError(f"Process {pid} did not end within {seconds:.0f} s.")
        time.sleep(0.05)
    return "Telltale has stopped."
