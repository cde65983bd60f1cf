"""What `telltale doctor` looks at besides whether things run: each finding says what is so, and what to do about it."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib.util import find_spec
from ipaddress import ip_network
from pathlib import Path
from urllib.parse import urlsplit

from django.conf import settings
from django.db import connection
from kombu.exceptions import OperationalError as BrokerError

from telltale.accounts.mail import is_by_smtp
from telltale.celery import app
from telltale.jobs.disk import Growth
from telltale.lib import clock
from telltale.lib.dsn import POOL_MAX
from telltale.lib.egress import allowed_networks
from telltale.lib.format import span_words, visible
from telltale.projects.models import Project
from telltale.run.safety import LOOPBACK

# Files that only their owner may read, below the home.
SECRETS = ("secret_key", "secret_key.old", "postgres.password", "postgres.admin_password")
WORKER_CONNECTIONS = 16
CLOCK_OFF_SECONDS = 5.0
OLDEST_POSTGRES = 160000
# A network that holds more addresses than this lets nearly everything through.
NETWORK_BITS_MIN = {4: 8, 6: 16}
DAYS_WRONG, DAYS_NOTE = 3.0, 14.0
INODES_SHARE = 0.05
BACKUP_OLD = timedelta(days=7)
SHARED_BUFFERS_MIN = 64 * 1024 * 1024
BROKER_SECONDS = 5


@dataclass(frozen=True, slots=True)
class Finding:
    """One line: `state` is ok, note (works, but know it) or wrong (the exit code is 1)."""

    state: str
    text: str


@dataclass(frozen=True, slots=True)
class Server:
    """What PostgreSQL says of itself. Limits of connections: None is none of this role's or database's own."""

    version: str
    number: int
    settings: dict[str, str]
    encoding: str
    now: float  # seconds since 1970
    connections: int
    connections_max: int
    connections_reserved: int
    role_limit: int | None
    database_limit: int | None
    shared_buffers: int


SETTINGS = ("fsync", "full_page_writes", "synchronous_commit", "autovacuum", "track_counts")
_SERVER = """
    SELECT current_setting('server_version'), current_setting('server_version_num')::int,
        ARRAY(SELECT current_setting(name) FROM unnest(%s::text[]) WITH ORDINALITY AS s (name, place) ORDER BY place),
        pg_encoding_to_char(d.encoding), extract(epoch FROM clock_timestamp())::double precision,
        (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'),
        current_setting('max_connections')::int,
        current_setting('superuser_reserved_connections')::int + current_setting('reserved_connections')::int,
        nullif((SELECT rolconnlimit FROM pg_roles WHERE rolname = current_user), -1), nullif(d.datconnlimit, -1),
        pg_size_bytes(current_setting('shared_buffers'))
    FROM pg_database AS d WHERE d.datname = current_database()
"""


def read_server() -> Server:
    """What PostgreSQL says of itself. One query."""
    with connection.cursor() as cursor:
        cursor.execute(_SERVER, [list(SETTINGS)])
        version, number, told, *rest = cursor.fetchone()
    return Server(version, number, dict(zip(SETTINGS, told, strict=True)), *rest)


def check_server(server: Server, where: str, now: datetime) -> Iterator[Finding]:
    """New enough, safe against kills, tended, in time, and with connections enough for everything at work."""
    if server.number >= OLDEST_POSTGRES:
        yield Finding("ok", f"PostgreSQL {server.version} answers ({where})")
    else:
        yield Finding("wrong", f"PostgreSQL {server.version} is too old ({where}): upgrade it to 16 or later.")
    unsafe = [f"{name} is off" for name in SETTINGS[:3] if server.settings[name] == "off"]
    if unsafe:
        yield Finding(
            "wrong", f"A crash can lose acknowledged data: {', '.join(unsafe)}. Switch on what is off in PostgreSQL."
        )
    else:
        yield Finding("ok", "fsync, full_page_writes and synchronous_commit are on")
    if untended := [name for name in SETTINGS[3:] if server.settings[name] == "off"]:
        yield Finding(
            "wrong", f"Tables grow without end: {' and '.join(untended)} is off. Switch it on in PostgreSQL."
        )
    if server.encoding != "UTF8":
        yield Finding(
            "wrong", f"The database's encoding is {server.encoding}, which cannot hold every text: make one with UTF8."
        )
    if server.shared_buffers < SHARED_BUFFERS_MIN:
        yield Finding(
            "note", f"shared_buffers is {server.shared_buffers >> 20} MiB: give it a quarter of the machine's memory."
        )
    off = server.now - now.timestamp()
    if abs(off) > CLOCK_OFF_SECONDS:
        word = "ahead" if off > 0 else "behind"
        yield Finding(
            "wrong", f"The database's clock is {abs(off):.0f} s {word} of this machine's: set both by one time server."
        )
    else:
        yield Finding("ok", f"the database's clock is within {CLOCK_OFF_SECONDS:.0f} s of this machine's")


def check_connections(server: Server, workers: int) -> Iterator[Finding]:
    """Whether the limit of connections is enough for all web processes and `workers` workers at their most."""
    limits = {"max_connections less those it reserves": server.connections_max - server.connections_reserved}
    if server.role_limit is not None:
        limits["the limit of the role"] = server.role_limit
    if server.database_limit is not None:
        limits["the limit of the database"] = server.database_limit
    name, most = min(limits.items(), key=lambda limit: limit[1])
    web = settings.TELLTALE_WEB_WORKERS
    needed = web * POOL_MAX + max(workers, 1) * WORKER_CONNECTIONS
    parts = f"{web} web processes with {POOL_MAX} each and {max(workers, 1)} worker(s) with {WORKER_CONNECTIONS}"
    if needed > most:
        yield Finding(
            "wrong",
            f"PostgreSQL lets {most} connections in ({name}); {parts} may need {needed}. Raise it, or run fewer.",
        )
    elif most - server.connections < most * 0.1:
        yield Finding(
            "wrong",
            f"{server.connections} of {most} connections are taken, by others too: raise max_connections or end those.",
        )
    else:
        yield Finding("ok", f"{most} connections ({name}) are enough for the {needed} that may be needed")


def check_broker() -> Iterator[Finding]:
    """Whether the broker answers, where it is not PostgreSQL. What it says may hold a password: it stays here."""
    url = settings.TELLTALE_BROKER_URL
    if not url:
        return
    place = urlsplit(url)
    where = f"{place.scheme}://{place.hostname or ''}" + (f":{place.port}" if place.port else "")
    if place.scheme.startswith("redis") and find_spec("redis") is None:
        yield Finding("wrong", f"The broker {where} needs a package: .venv/bin/pip install redis")
        return
    try:
        with app.connection_for_write(connect_timeout=BROKER_SECONDS) as broker:
            broker.ensure_connection(max_retries=1, interval_start=0, timeout=BROKER_SECONDS)
    except (BrokerError, OSError) as error:
        yield Finding(
            "wrong",
            f"The broker {where} does not answer ({type(error).__name__}): nothing is lost, and one worker does all "
            "the work. Start it, or empty TELLTALE_BROKER_URL: PostgreSQL does it too.",
        )
    else:
        yield Finding("ok", f"the broker {where} answers")


def check_address() -> Iterator[Finding]:
    """How people reach it, and whether that is in the open."""
    url = urlsplit(settings.TELLTALE_PUBLIC_URL)
    is_told = bool(os.environ.get("TELLTALE_PUBLIC_URL", "").strip())
    is_near = (url.hostname or "") in LOOPBACK
    if url.scheme == "https":
        if not settings.TELLTALE_TRUSTED_PROXIES:
            yield Finding(
                "note",
                "TELLTALE_TRUSTED_PROXIES is empty: behind a proxy everybody comes from its address, in limits of "
                "sign-ins and in the audit log. Name the proxy's.",
            )
        if "*" in settings.ALLOWED_HOSTS:
            yield Finding(
                "note", f"Any host name is answered: set TELLTALE_ALLOWED_HOSTS, {url.hostname or ''} in it."
            )
    elif is_told and not is_near:
        yield Finding(
            "wrong",
            f"TELLTALE_PUBLIC_URL is {url.scheme}://{url.hostname or ''}: passwords and keys cross the network in the "
            "open. Put a proxy with TLS in front and set https://.",
        )
    elif settings.TELLTALE_BIND not in LOOPBACK:
        yield Finding(
            "note",
            f"It listens at {settings.TELLTALE_BIND} without TLS: put a proxy with TLS in front and set "
            "TELLTALE_PUBLIC_URL, or listen at 127.0.0.1.",
        )
    else:
        yield Finding("note", "Browsers reach it without TLS. Behind a proxy with TLS, set TELLTALE_PUBLIC_URL.")


def check_egress() -> Iterator[Finding]:
    """What forwarding, webhooks and judges may reach although it is private."""
    try:
        allowed = allowed_networks()
    except ValueError as error:
        yield Finding("wrong", f"{str(error)[:200]}. Until then nothing is sent out.")
        return
    wide = [str(each) for each in allowed if each.prefixlen < NETWORK_BITS_MIN[each.version]]
    if wide:
        yield Finding(
            "wrong",
            f"TELLTALE_EGRESS_ALLOW lets members reach nearly every inner address ({', '.join(wide)}): name the few "
            "networks that are needed.",
        )
    near = [str(each) for each in allowed if str(each) not in wide and _holds_loopback(str(each))]
    if near:
        yield Finding(
            "note", f"TELLTALE_EGRESS_ALLOW holds this machine ({', '.join(near)}): members can reach its services."
        )
    if not wide:
        told = ", ".join(map(str, allowed)) or "nothing private"
        yield Finding("ok", f"what is sent out may reach {told}")


def _holds_loopback(network: str) -> bool:
    held, own = ip_network(network), [ip_network("127.0.0.0/8"), ip_network("::1/128")]
    return any(held.overlaps(each) for each in own if each.version == held.version)


def check_secrets(home: Path, others: Sequence[Path]) -> Iterator[Finding]:
    """Files with secrets, in the home and elsewhere (`others`), that other accounts can read or change."""
    open_to = [path for path in (*(home / name for name in SECRETS), *others) if _mode(path) & 0o077]
    for path in open_to:
        yield Finding("wrong", f"{path} can be read by others: chmod 600 it.")
    for path in (home, home / "run", home / "postgres"):
        if _mode(path) & 0o022:
            yield Finding("wrong", f"Others may write into {path}: chmod go-w it.")
    if not open_to and home.exists():
        yield Finding("ok", "secrets in files are their owner's alone")


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0


def check_growth(growth: Growth | None) -> Iterator[Finding]:
    """When the disk of the database is full, as it grows now."""
    if growth is None or growth.days_to_full is None:
        return
    days = growth.days_to_full
    words = f"the disk is full in {days:.0f} days as the database grows now"
    if days >= DAYS_NOTE:
        yield Finding("ok", words)
        return
    advice = "Keep text for fewer days (Settings, Retention), or take a larger disk."
    yield Finding("wrong" if days < DAYS_WRONG else "note", f"{words[0].upper()}{words[1:]}. {advice}")


def check_inodes(place: Path) -> Iterator[Finding]:
    """Whether the file system can hold more files."""
    found = os.statvfs(place)
    if found.f_files and found.f_favail < found.f_files * INODES_SHARE:
        yield Finding(
            "wrong", f"{found.f_favail:,} of {found.f_files:,} files can still be made where {place} lies: remove some."
        )


def check_backup(backed_up_at: datetime | None, now: datetime) -> Iterator[Finding]:
    """How old the last backup is, of those that are known."""
    if backed_up_at is None:
        yield Finding("note", "No backup by `telltale backup` is known: make one, or see that another way does.")
        return
    words = f"the last `telltale backup` was {span_words((now - backed_up_at).total_seconds())} ago"
    if now - backed_up_at > BACKUP_OLD:
        yield Finding("note", f"{words[0].upper()}{words[1:]}: let it run each night.")
    else:
        yield Finding("ok", words)


def check_mail() -> Iterator[Finding]:
    """Whether mail leaves the machine."""
    if not is_by_smtp():
        yield Finding("note", "No mail is sent: set TELLTALE_SMTP_URL for invitations, forgotten passwords and alerts.")


def check_zones() -> Iterator[Finding]:
    """Time zones of projects that this machine or PostgreSQL does not know."""
    used = set(Project.objects.values_list("time_zone", flat=True))
    with connection.cursor() as cursor:
        cursor.execute("SELECT name FROM pg_timezone_names WHERE name = ANY(%s)", [sorted(used)])
        there = {row[0] for row in cursor.fetchall()}
    lost = sorted(name for name in used if not clock.knows_zone(name))
    if lost:
        yield Finding(
            "note", f"This machine has lost the time zone of a project ({_names(lost)}): its days are those of UTC. "
            "Choose another in its settings, or install tzdata.",
        )  # fmt: skip
    if unknown := sorted(used - there - set(lost)):
        yield Finding(
            "wrong", f"PostgreSQL does not know the time zone of a project ({_names(unknown)}): pages that cut days "
            "fail. Choose another in its settings, or renew PostgreSQL's tzdata.",
        )  # fmt: skip


def _names(names: Iterable[str]) -> str:
    return visible(", ".join(list(names)[:5]))
