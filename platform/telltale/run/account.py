"""Which account the children run as. Root starts PostgreSQL as somebody else always, web and worker where it can."""

from __future__ import annotations

import os
import pwd
import stat
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# PostgreSQL refuses a uid without a passwd entry, so the account must exist; the first of these does.
CANDIDATES = ("telltale", "postgres", "nobody")


@dataclass(frozen=True, slots=True)
class Account:
    """An account children drop to."""

    name: str
    uid: int
    gid: int

    def popen_arguments(self) -> dict[str, Any]:
        """What makes `subprocess` start a process as this account, without root's groups."""
        return {"user": self.uid, "group": self.gid, "extra_groups": []}

    def can_reach(self, path: Path) -> bool:
        """Whether the account may traverse every directory above `path` (which itself need not exist)."""
        return all(self._may(parent, stat.S_IXUSR) for parent in path.resolve().parents)

    def can_read(self, path: Path) -> bool:
        """Whether the account may reach and read `path`."""
        return self.can_reach(path) and path.exists() and self._may(path.resolve(), stat.S_IRUSR)

    def _may(self, path: Path, owner_bit: int) -> bool:
        try:
            found = path.stat()
        except FileNotFoundError:
            return True  # made later, by us
        if found.st_uid == self.uid:
            return bool(found.st_mode & owner_bit)
        if found.st_gid == self.gid:
            return bool(found.st_mode & owner_bit >> 3)
        return bool(found.st_mode & owner_bit >> 6)


def drop_account() -> Account | None:
    """The account to drop to, or None for an ordinary user, who drops nothing; RuntimeError where root finds none."""
    if os.geteuid() != 0:
        return None
    for name in CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid:
            return Account(name, entry.pw_uid, entry.pw_gid)
    raise RuntimeError(f"PostgreSQL does not run as root, and none of the accounts {', '.join(CANDIDATES)} exists")


def can_run_code(account: Account, python: str, root: Path) -> bool:
    """Whether `account` can start `python` and import the product from `root`; tried, not guessed."""
    if not (account.can_reach(root / "manage.py") and account.can_read(root / "platform" / "telltale" / "settings.py")):
        return False
    try:
        tried = subprocess.run(
            [python, "-c", "import django, gunicorn, telltale"],
            cwd="/",
            env={**os.environ, "PYTHONPATH": f"{root / 'platform'}:{root}", "PYTHONDONTWRITEBYTECODE": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=20,
            check=False,
            **account.popen_arguments(),
        )
    except (OSError, subprocess.SubprocessError):
        return False
    return tried.returncode == 0
