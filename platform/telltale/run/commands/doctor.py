"""`telltale doctor`: everything an installation stands on, checked, in plain words."""

from __future__ import annotations

import argparse
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import psycopg
from django.conf import settings
from django.core.checks import Tags, run_checks
from django.db import Error, connection

from telltale.jobs.disk import read_growth
from telltale.jobs.models import Schedule
from telltale.jobs.read import read_heartbeats
from telltale.lib import clock
from telltale.run import checks
from telltale.run.account import drop_account
from telltale.run.audit_owner import read_standing
from telltale.run.checks import Finding
from telltale.run.home import ROOT
from telltale.run.safety import unsafe_settings
from telltale.web.health import (
    DATABASE_ERRORS,
    HEARTBEAT_LIMIT_SECONDS,
    QUEUE_LIMIT_SECONDS,
    Vitals,
    missing_migrations,
    read_vitals,
)
from telltale.web.ops.reading import BACKUP

DISK_FREE_SHARE = 0.05
LOG_END_BYTES = 4096
AUDIT_STATES = {"grant": "ok", "trigger": "note", "nothing": "wrong"}
MARKS = {"ok": "ok     ", "note": "note   ", "wrong": "WRONG  "}


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """No options."""


def handle(options: argparse.Namespace, out: TextIO) -> int:
    """Check everything, in the order in which things stand on each other; 1 where anything is wrong."""
    wrong = 0
    for check in CHECKS:
        for finding in check():
            wrong += finding.state == "wrong"
            print(MARKS[finding.state] + finding.text, file=out)
    print(f"{wrong} thing(s) wrong." if wrong else "Nothing is wrong.", file=out)
    return 1 if wrong else 0


def check_python() -> Iterator[Finding]:
    """The interpreter."""
    version = ".".join(map(str, sys.version_info[:3]))
    yield Finding("ok", f"Python {version} at {sys.executable}")


def check_settings() -> Iterator[Finding]:
    """What Django itself has to say about the settings, and what would be dangerous."""
    for reason in unsafe_settings():
        yield Finding("wrong", reason)
    yield from checks.check_address()
    yield from checks.check_egress()
    yield from checks.check_mail()
    if not settings.IS_TLS:
        return
    messages = [m for m in run_checks(tags=[Tags.security], include_deployment_checks=True) if not m.is_silenced()]
    for message in messages:
        yield Finding("note", f"{message.msg.splitlines()[0]} ({message.id})")
    if not messages:
        yield Finding("ok", "TLS outside, and Django's deployment checks find nothing")


def check_home() -> Iterator[Finding]:
    """The home, who owns it, and that its secrets are nobody else's to read."""
    home: Path = settings.TELLTALE_HOME
    if not home.exists():
        yield Finding("note", f"The home {home} does not exist yet; the first `telltale run` makes it.")
        return
    yield Finding("ok", f"The home is {home}")
    yield from checks.check_secrets(home, [ROOT / ".env"])
    if not os.access(home, os.W_OK | os.X_OK):
        yield Finding("wrong", f"This account may not write below {home}.")
    account = drop_account()
    if account and not account.can_reach(home):
        yield Finding("wrong", f"PostgreSQL's account {account.name} cannot reach {home}; set TELLTALE_HOME elsewhere.")


def check_disk() -> Iterator[Finding]:
    """Free space where the home lies."""
    place = settings.TELLTALE_HOME
    while not place.exists():
        place = place.parent
    found = os.statvfs(place)
    free, size = found.f_bavail * found.f_frsize, found.f_blocks * found.f_frsize
    words = f"{free / 2**30:.1f} of {size / 2**30:.1f} GiB are free where {place} lies"
    if free > size * DISK_FREE_SHARE:
        yield Finding("ok", words)
    else:
        yield Finding("wrong", f"{words}: make room. Where nothing can be written, what arrives is refused (503).")
    yield from checks.check_inodes(place)


def check_database() -> Iterator[Finding]:
    """The database: there, new enough, complete, and safe against kills."""
    where = "TELLTALE_DATABASE_URL" if os.environ.get("TELLTALE_DATABASE_URL", "").strip() else "the embedded one"
    try:
        server = checks.read_server()
        with connection.cursor() as cursor:
            cursor.execute("SELECT relname FROM pg_class WHERE relpersistence = 'u' AND relkind IN ('r', 'p')")
            unlogged = [row[0] for row in cursor.fetchall()]
            log = read_standing(cursor)
        missing = missing_migrations()
    except (Error, psycopg.Error) as error:
        yield Finding("wrong", f"PostgreSQL ({where}) does not answer ({type(error).__name__}). Is Telltale running?")
        return
    yield from checks.check_server(server, where, clock.now())
    if log is not None:
        yield Finding(AUDIT_STATES[log.by], log.words)
    if unlogged:
        yield Finding("wrong", f"A crash empties {', '.join(unlogged)}: ALTER TABLE ... SET LOGGED, each of them.")
    if missing:
        yield Finding("wrong", f"{len(missing)} migration(s) missing, the first {missing[0]}: run `telltale prepare`.")
    else:
        yield Finding("ok", "all migrations are applied")


def check_work() -> Iterator[Finding]:
    """Whether work moves."""
    try:
        vitals = read_vitals() if not missing_migrations() else None
    except DATABASE_ERRORS:
        return  # said above
    if vitals is None:
        return
    notes = vitals.notes
    for note in notes:
        yield Finding("wrong", note)
    yield from advice(vitals)
    if not vitals.workers_alive and (last := _last_words("worker")):
        yield Finding("note", f"The worker's log ends with: {last}")
    if vitals.failed_jobs:
        yield Finding(
            "note", f"{vitals.failed_jobs} long job(s) failed: `telltale jobs` says why, and tries them again."
        )
    if not notes:
        yield Finding("ok", f"{vitals.workers_alive} worker(s) alive, no work waits too long")


def advice(vitals: Vitals) -> Iterator[Finding]:
    """What to do where work does not move."""
    if not vitals.workers_alive:
        yield Finding("note", "Start a worker: `telltale run`, or `python -m telltale.run.worker` beside a web alone.")
        return
    late = [q.name for q in vitals.queues if (q.oldest_seconds or 0.0) > QUEUE_LIMIT_SECONDS]
    if late:
        yield Finding(
            "note",
            f"The worker does not keep up with {', '.join(late)}: `telltale jobs` says how much waits and what has run "
            "longest; raise TELLTALE_WORKER_THREADS or start another worker (docs/scaling.md).",
        )


def check_keeping() -> Iterator[Finding]:
    """What is known after some time alone: growth, backups; and what all processes together need."""
    try:
        if missing_migrations():
            return
        now = clock.now()
        growth = read_growth(now)
        backed_up_at = Schedule.objects.filter(name=BACKUP).values_list("last_run_at", flat=True).first()
        workers = sum(worker.age_seconds <= HEARTBEAT_LIMIT_SECONDS for worker in read_heartbeats(now))
        found = [
            *checks.check_connections(checks.read_server(), workers),
            *checks.check_growth(growth),
            *checks.check_backup(backed_up_at, now),
            *checks.check_zones(),
        ]
    except DATABASE_ERRORS:
        return  # said above
    yield from found


def _last_words(child: str) -> str:
    """The last line of a child's log, cut; empty where there is none to read."""
    try:
        with open(settings.TELLTALE_HOME / "log" / f"{child}.log", "rb") as log:
            log.seek(max(0, log.seek(0, os.SEEK_END) - LOG_END_BYTES))
            lines = log.read().decode("utf-8", "replace").split("\n")
    except OSError:
        return ""
    found = next((line.strip() for line in reversed(lines) if line.strip()), "")
    return "".join(c if c.isprintable() else " " for c in found)[:300]


def check_web() -> Iterator[Finding]:
    """Whether something of ours answers at the address."""
    host, port = _web_address()
    address = f"{host}:{port}"
    try:
        with socket.create_connection((host, port), timeout=3) as web:
            web.sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            answer = web.recv(64)
    except OSError as error:
        yield Finding("wrong", f"Nothing answers at {address} ({error.strerror or 'time-out'}). Is Telltale running?")
        return
    if answer.split(b" ", 2)[1:2] == [b"200"]:
        yield Finding("ok", f"web answers at {address}")
    else:
        yield Finding("wrong", f"{address} is answered by something else than Telltale: another program's port?")


def _web_address() -> tuple[str, int]:
    """Where the product of this home listens, as its supervisor wrote it down; else where the settings say."""
    host, port = settings.TELLTALE_BIND, settings.TELLTALE_PORT
    noted = settings.TELLTALE_HOME / "run" / "web.address"
    if not os.environ.get("TELLTALE_PORT") and noted.exists():
        host, _, text = noted.read_text().strip().rpartition(" ")
        port = int(text)
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host), port  # noqa: S104


CHECKS: tuple[Callable[[], Iterator[Finding]], ...] = (
    check_python,
    check_settings,
    check_home,
    check_disk,
    check_database,
    check_work,
    checks.check_broker,
    check_keeping,
    check_web,
)
