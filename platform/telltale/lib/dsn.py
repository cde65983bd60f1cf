"""Database addresses: from a DSN, or the embedded PostgreSQL of a home, to Django's and psql's terms."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, quote, unquote, urlsplit

from telltale.lib.patience import PatientConnection

# Connections a process may hold. Web runs 8 threads and ingest lets 4 write at a time.
POOL_MAX = 12
POOL_TIMEOUT_SECONDS = 3.0
STATEMENT_TIMEOUT_MS = 15_000

# A socket's path may have 107 bytes on Linux; PostgreSQL adds "/.s.PGSQL.5432".
_SOCKET_DIRECTORY_MAX = 90


def socket_directory(home: Path) -> Path:
    """Where the embedded PostgreSQL of `home` has its socket: below the home, unless that path is too long for one."""
    directory = home / "run"
    if len(str(directory).encode()) <= _SOCKET_DIRECTORY_MAX:
        return directory
    return Path("/tmp") / f"telltale-{hashlib.sha256(str(home).encode()).hexdigest()[:16]}"  # noqa: S108


def embedded_dsn(home: Path) -> str:
    """The DSN of the PostgreSQL that the supervisor runs below `home`; the password is read from its 0600 file."""
    password_file = home / "postgres.password"
    password = password_file.read_text().strip() if password_file.exists() else ""
    socket = quote(str(socket_directory(home)), safe="")
    return f"postgresql://telltale:{quote(password, safe='')}@/telltale?host={socket}"


def django_database(dsn: str, home: Path) -> dict[str, Any]:
    """Django's DATABASES entry for `dsn`, or for the embedded PostgreSQL of `home` where `dsn` is empty."""
    parts = urlsplit(dsn or embedded_dsn(home))
    if parts.scheme not in {"postgresql", "postgres"}:
        raise ValueError("TELLTALE_DATABASE_URL must begin with postgresql://")
    query = dict(parse_qsl(parts.query))
    options: dict[str, Any] = {
        key: value for key, value in query.items() if key.startswith("ssl") or key == "target_session_attrs"
    }
    options["connect_timeout"] = 3
    options["prepare_threshold"] = 5
    options["options"] = f"-c statement_timeout={STATEMENT_TIMEOUT_MS} -c lock_timeout=5000 -c timezone=UTC"
    # Only the store's cursors bind on the server; with a partition a day their custom plans cost up to 4 ms each.
    options["options"] += " -c plan_cache_mode=force_generic_plan"
    options["pool"] = {"min_size": 1, "max_size": POOL_MAX, "timeout": POOL_TIMEOUT_SECONDS, "max_idle": 30.0}
    # Attempts back off up to this long: with the default of 300 s a pool would stay away for minutes after an outage.
    options["pool"]["reconnect_timeout"] = 3.0
    options["pool"]["connection_class"] = PatientConnection
    return {
        "ENGINE": "django.db.backends.postgresql",
        "NAME": unquote(parts.path.lstrip("/")) or "telltale",
        "USER": unquote(parts.username or ""),
        "PASSWORD": unquote(parts.password or ""),
        "HOST": query.get("host") or parts.hostname or "",
        "PORT": str(parts.port or query.get("port", "")),
        "CONN_MAX_AGE": 0,
        # The pool tries a connection (40 us on a socket) before it lends it: after a restart of PostgreSQL each worker
        # would otherwise answer 503 once for every connection it still holds.
        "CONN_HEALTH_CHECKS": True,
        "OPTIONS": options,
    }
