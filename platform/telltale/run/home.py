"""The home: the one directory below which an installation keeps its state.

    secret_key                 0600   signs sessions and tokens
    postgres/                  0700   the embedded PostgreSQL's data
    postgres.password          0600   of the role `telltale`; postgres.admin_password of the superuser
    postgres.conf                     the operator's own PostgreSQL settings, if any; they win
    run/                       0700   socket, pid files, lock
    log/                       0700   one file a process
"""

from __future__ import annotations

import hashlib
import itertools
import os
import secrets
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from telltale.run.account import Account, drop_account

ROOT = Path(__file__).resolve().parent.parent.parent.parent
# Where state goes that cannot lie where it was wanted.
STATE = Path("/var/lib")
# Log files are cut at this size at the next look (once a minute); one older generation is kept.
LOG_MAX_BYTES = 20 * 1024 * 1024


class RunError(RuntimeError):
    """Something a person must put right before Telltale can start; the text says what."""


@dataclass(frozen=True, slots=True)
class Home:
    """Where the state lies, and the account that owns it (None: whoever runs us)."""

    path: Path
    account: Account | None

    @property
    def run(self) -> Path:
        """Socket, pid files and the lock."""
        return self.path / "run"

    @property
    def log(self) -> Path:
        """Logs."""
        return self.path / "log"

    def pid_file(self, name: str) -> Path:
        """Where the pid of child `name` stands."""
        return self.run / f"{name}.pid"

    def own(self, path: Path, mode: int) -> None:
        """Give `path` the mode and the owner that state has."""
        if self.account:
            os.chown(path, self.account.uid, self.account.gid, follow_symlinks=False)
        path.chmod(mode)

    def keep_secret(self, name: str) -> str:
        """The secret in file `name`, made at first sight; it appears whole or not at all."""
        path = self.path / name
        if path.exists():
            return path.read_text().strip()
        new = path.with_name(name + ".new")
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48) + "\n")
            file.flush()
            os.fsync(file.fileno())
        self.own(new, 0o600)
        new.rename(path)
        return path.read_text().strip()


def wanted_home() -> Path:
    """The home the environment asks for, links not followed."""
    return Path(os.environ.get("TELLTALE_HOME", "").strip() or ROOT / ".telltale").absolute()


def prepare_home(wanted: Path | None = None) -> Home:
    """The home, with its directories and secret key; RunError says why it cannot be.

    Root cannot hand state below a private directory (a clone in /root) to the account PostgreSQL runs as: such state
    goes to /var/lib, and `wanted` becomes a link to it, so that `.telltale/run/*.pid` is right all the same.
    """
    wanted = wanted or wanted_home()
    account = drop_account()
    path = wanted.resolve()
    try:
        if account and not account.can_reach(path):
            path = _move_state(wanted)
        path.mkdir(parents=True, exist_ok=True)
        home = Home(path, account)
        home.own(path, 0o700)
        for directory in (home.run, home.log):
            directory.mkdir(exist_ok=True)
            home.own(directory, 0o700)
    except PermissionError as error:
        raise RunError(
            f"{error.filename} belongs to somebody else. Set TELLTALE_HOME to a directory you may write, or start as "
            "its owner."
        ) from None
    except OSError as error:
        raise RunError(f"{wanted} cannot hold the state: {error.strerror}.") from None
    if not os.environ.get("TELLTALE_SECRET_KEY", "").strip():
        home.keep_secret("secret_key")
    return home


def _numbers() -> Iterator[str]:
    yield ""
    for number in itertools.count(2):
        yield f"-{number}"


def _move_state(wanted: Path) -> Path:
    if wanted.is_symlink():
        raise RunError(f"{wanted} points to a place that PostgreSQL's account cannot reach; remove the link.")
    if wanted.exists() and any(wanted.iterdir()):
        raise RunError(
            f"{wanted} holds state, but lies below a directory that only root may enter, so PostgreSQL cannot use it. "
            "Move it somewhere else and set TELLTALE_HOME."
        )
    name = "telltale-" + hashlib.sha256(str(wanted).encode()).hexdigest()[:8]
    # State that an earlier clone in the same place left behind stays as it is: it is not this one's.
    path = next(path for path in (STATE / (name + more) for more in _numbers()) if not path.exists())
    path.mkdir(mode=0o700)
    if wanted.exists():
        wanted.rmdir()
    wanted.parent.mkdir(parents=True, exist_ok=True)
    wanted.symlink_to(path)
    return path
