"""`telltale rotate-secrets`: a new secret key, in three steps that may each be repeated."""

from __future__ import annotations

import argparse
import os
import secrets
from pathlib import Path
from typing import TextIO

from django.conf import settings
from django.db import OperationalError

from telltale.audit.log import record
from telltale.run.home import Home, prepare_home
from telltale.run.rotation import reseal_all

ACTOR = "telltale rotate-secrets"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Options; without any, what stands under an earlier key is sealed anew."""
    steps = parser.add_mutually_exclusive_group()
    steps.add_argument("--make-key", action="store_true", help="first: make a new key in the home, keep the old one")
    steps.add_argument("--check", action="store_true", help="count what stands under which key, and change nothing")
    steps.add_argument("--forget", action="store_true", help="last: remove the home's earlier keys")


def handle(options: argparse.Namespace, out: TextIO) -> int:
    """One step; 1 where it cannot be done, or something is sealed under a key that nobody has."""
    if options.make_key:
        return _make_key(out)
    lost = waiting = 0
    is_dry = options.check or options.forget
    for count in reseal_all(is_dry=is_dry):
        lost += len(count.lost)
        waiting += count.renewed
        done = "are to be sealed anew" if is_dry else "sealed anew"
        print(f"{count.what}: {count.current:,} under today's key, {count.renewed:,} {done}", file=out)
        for row in count.lost:
            print(f"  {row} was sealed under a key that is not known: enter that secret again.", file=out)
    if options.forget:
        return _forget(waiting, out)
    if not is_dry:
        _note("seal", {"sealed_anew": waiting, "lost": lost}, out)
    if not settings.SECRET_KEY_FALLBACKS and not lost:
        print("No earlier key is known: there is nothing to change over.", file=out)
    return 1 if lost else 0


def _make_key(out: TextIO) -> int:
    if os.environ.get("TELLTALE_SECRET_KEY", "").strip():
        print(
            "The key comes from TELLTALE_SECRET_KEY. Set a new one there, put the old one into "
            "TELLTALE_OLD_SECRET_KEYS, start anew, then run `telltale rotate-secrets`.",
            file=out,
        )
        return 1
    home = prepare_home()
    key, old = home.path / "secret_key", home.path / "secret_key.old"
    before = old.read_text() if old.exists() else ""
    if before:
        print("An earlier change is not over: run `telltale rotate-secrets`, then `--forget`.", file=out)
        return 1
    # First the old one: killed in between, it is there twice and none is lost.
    _write(home, old, key.read_text().strip())
    _write(home, key, secrets.token_urlsafe(48))
    _note("make key", None, out)
    print("A new key is in the home. Start Telltale anew, then run `telltale rotate-secrets`.", file=out)
    return 0


def _forget(waiting: int, out: TextIO) -> int:
    if waiting:
        print(f"{waiting:,} secrets stand under an earlier key: run `telltale rotate-secrets` first.", file=out)
        return 1
    old: Path = settings.TELLTALE_HOME / "secret_key.old"
    if old.exists():
        old.unlink()
        _note("forget", None, out)
    rest = " Take them out of TELLTALE_OLD_SECRET_KEYS too." if os.environ.get("TELLTALE_OLD_SECRET_KEYS") else ""
    print(f"The home keeps no earlier key. Start Telltale anew.{rest}", file=out)
    return 0


def _note(step: str, after: dict[str, int] | None, out: TextIO) -> None:
    try:
        record("secrets.rotate", actor=ACTOR, target=step, after=after)
    except OperationalError:
        # The key is changed by now; that holds whether or not the database is up.
        print("The database is not reachable: the audit log does not have this step.", file=out)


def _write(home: Home, path: Path, text: str) -> None:
    new = path.with_name(path.name + ".new")
    new.unlink(missing_ok=True)
    descriptor = os.open(new, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(text + "\n")
        file.flush()
        os.fsync(file.fileno())
    home.own(new, 0o600)
    new.rename(path)
