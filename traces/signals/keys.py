"""The key of a signal: of the caller's id, else of what makes it the same signal when it is told again."""

from __future__ import annotations

from datetime import datetime
from hashlib import sha256
from uuid import UUID

import orjson

from traces.signals.kinds import Kind

# A thumb or a rating is a state: said anew without an id or a time, it replaces. Everything else happened.
STATES = frozenset({Kind.THUMB, Kind.RATING})


def key_of_client_id(client_id: str) -> UUID:
    """The key of a signal that its caller has named."""
    return UUID(bytes=sha256(b"id\0" + client_id.encode()).digest()[:16])


def key_of_own_id(client_id: str) -> UUID:
    """The key of a signal that the product tells itself, of a score or an event: no caller's id ever meets it."""
    return UUID(bytes=sha256(b"own\0" + client_id.encode()).digest()[:16])


def key_of_signal(
    target: tuple[int, str | None, str | None, str | None, str | None],
    kind: Kind,
    plain_name: str,
    author: str | None,
    at: datetime | None,
    value: bool | float | str | None,
) -> UUID:
    """The key of a signal without an id: of target (as told), name, author and time.

    `at`: None where no time was told. A state is then one row a target and author (a thumb by any of its names), and
    whatever happened one row a value: sent twice, by a retry or a double click, it is one row.
    """
    is_state = kind in STATES
    name = kind.name if kind is Kind.THUMB else plain_name
    when = None if at is None else at.isoformat()
    told = [target, name, author, when, None if is_state or when is not None else value]
    return UUID(bytes=sha256(b"told\0" + orjson.dumps(told)).digest()[:16])
