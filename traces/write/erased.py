"""What was erased, as keyed hashes: what arrives late of it is refused at the door with a counted reason.

No id stands here: a row is the first half of an HMAC of project, kind and id under the installation's secret key. Who
reads a dump alone can neither list the ids nor try some.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from enum import IntEnum
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.conf import settings
from psycopg import Cursor

from telltale.lib.db import raw_cursor
from traces.canonical.types import CanonicalSpan, Intake, LogIntake, Rejection

REASON = "erased"
_MESSAGE = "was erased from this project on request; what arrives of it is not stored"
SLICE = 5_000

_ADD = """
    INSERT INTO traces_erased AS e (project_id, key, what, erasure_id, until)
    SELECT %(project_id)s, key, %(what)s, %(erasure_id)s, %(until)s FROM unnest(%(keys)s::uuid[]) AS key ORDER BY key
    ON CONFLICT (project_id, key) DO UPDATE SET
        erasure_id = excluded.erasure_id,
        until = CASE WHEN e.until IS NULL OR excluded.until IS NULL THEN NULL ELSE greatest(e.until, excluded.until) END
"""
_KNOWN = """
    SELECT key FROM traces_erased
    WHERE project_id = %s AND key = ANY(%s) AND (until IS NULL OR until > clock_timestamp())
"""
# Keys of names are random: those below 2^64 are ids of erasures under way.
_HAS = """
    SELECT EXISTS (
        SELECT FROM traces_erased
        WHERE project_id = %(project_id)s AND key >= '00000000-0000-0001-0000-000000000000'
            AND (until IS NULL OR until > clock_timestamp())
    ), EXISTS (
        SELECT FROM traces_erased
        WHERE project_id = %(project_id)s AND key < '00000000-0000-0001-0000-000000000000'
    )
"""
_BEGIN = """
    INSERT INTO traces_erased (project_id, key, what, erasure_id) VALUES (%s, %s, 0, %s) ON CONFLICT DO NOTHING
"""
_SWEEP = """
    DELETE FROM traces_erased WHERE (project_id, key) IN (
        SELECT project_id, key FROM traces_erased WHERE until < clock_timestamp() LIMIT %s
    )
"""


class What(IntEnum):
    """What a row is of."""

    WORK = 0
    TRACE = 1
    SESSION = 2
    USER = 3


def keys_of(project_id: int, what: What, names: Iterable[str]) -> dict[UUID, str]:
    """The keys that names of one kind have, under the present secret key and those before it that are still known."""
    found = {}
    for name in names:
        for secret in _secrets():
            told = hmac.digest(secret, f"{project_id}:{int(what)}:{name}".encode(), "sha256")
            found[UUID(bytes=told[:16])] = name
    return found


def key_of(project_id: int, what: What, name: str) -> UUID:
    """The key that a name has under the present secret key."""
    return next(iter(keys_of(project_id, what, [name])))


def _secrets() -> tuple[bytes, ...]:
    return _derived((settings.SECRET_KEY, *getattr(settings, "SECRET_KEY_FALLBACKS", ())))


@lru_cache(maxsize=4)
def _derived(secrets: tuple[str, ...]) -> tuple[bytes, ...]:
    return tuple(hmac.new(each.encode(), b"telltale.erased", hashlib.sha256).digest() for each in secrets)


def add(
    cursor: Cursor[Any],
    project_id: int,
    what: What,
    names: Sequence[str],
    erasure_id: int,
    until: datetime | None = None,
) -> None:
    """Refuse from now on what arrives under these names, for ever or `until` then; in the caller's transaction."""
    keys = [key_of(project_id, what, name) for name in names]
    asked = {"project_id": project_id, "what": int(what), "erasure_id": erasure_id, "until": until}
    for at in range(0, len(keys), SLICE):
        cursor.execute(_ADD, asked | {"keys": keys[at : at + SLICE]}, prepare=False)


def lift(cursor: Cursor[Any], erasure_id: int) -> int:
    """Take again what an erasure refuses; how many names it was."""
    cursor.execute("DELETE FROM traces_erased WHERE erasure_id = %s", (erasure_id,))
    return cursor.rowcount


def sweep() -> int:
    """Forget names that are refused no longer; how many, bounded."""
    with raw_cursor() as cursor:
        cursor.execute(_SWEEP, (SLICE,))
        return cursor.rowcount


def begin(cursor: Cursor[Any], project_id: int, erasure_id: int) -> None:
    """Say that an erasure is under way; doors know it within seconds."""
    cursor.execute(_BEGIN, (project_id, UUID(int=erasure_id), erasure_id))


def end(cursor: Cursor[Any], project_id: int, erasure_id: int) -> None:
    """Say that it is over. What was erased is refused all the same."""
    cursor.execute("DELETE FROM traces_erased WHERE project_id = %s AND key = %s", (project_id, UUID(int=erasure_id)))


def has_erased(project_id: int) -> tuple[bool, bool]:
    """Whether anything was erased of a project that is refused when it comes, and whether an erasure is under way."""
    with raw_cursor() as cursor:
        cursor.execute(_HAS, {"project_id": project_id})
        row = cursor.fetchone()
    return (bool(row[0]), bool(row[1])) if row else (False, False)


def known(
    project_id: int, *, traces: Collection[UUID] = (), sessions: Collection[str] = (), users: Collection[str] = ()
) -> tuple[set[str], set[str], set[str]]:
    """Which of these were erased: ids of traces as hex, sessions, users."""
    asked = (
        keys_of(project_id, What.TRACE, (each.hex for each in traces)),
        keys_of(project_id, What.SESSION, sessions),
        keys_of(project_id, What.USER, users),
    )
    keys = [key for each in asked for key in each]
    if not keys:
        return set(), set(), set()
    with raw_cursor() as cursor:
        cursor.execute(_KNOWN, (project_id, keys), prepare=False)
        found = {row[0] for row in cursor.fetchall()}
    traces_, sessions_, users_ = ({each[key] for key in each.keys() & found} for each in asked)
    return traces_, sessions_, users_


def without_erased(project_id: int, intake: Intake) -> Intake:
    """`intake` without the spans of what was erased, each of them counted as a rejection."""
    spans = intake.spans
    traces, sessions, users = known(
        project_id,
        traces={span.trace_id for span in spans},
        sessions={span.session_id for span in spans if span.session_id is not None},
        users={span.user_id for span in spans if span.user_id is not None},
    )
    if not (traces or sessions or users):
        return intake

    def why(span: CanonicalSpan) -> str:
        if span.user_id in users:
            return "its user"
        if span.session_id in sessions:
            return "its session"
        return "its trace" if span.trace_id.hex in traces else ""

    # A trace one span of which names the user is the user's as a whole.
    of_users = {span.trace_id for span in spans if why(span)}
    kept = [span for span in spans if span.trace_id not in of_users]
    first = next(filter(None, (why(span) for span in spans)), "its trace")
    refused = Rejection(REASON, f"{first} {_MESSAGE}", len(spans) - len(kept))
    intake.spans = kept
    intake.rejections = [*intake.rejections, refused]
    return intake


def logs_without_erased(project_id: int, intake: LogIntake) -> LogIntake:
    """The same for log events, by the trace they name."""
    traces, _, _ = known(project_id, traces={event.trace_id for event in intake.events})
    if not traces:
        return intake
    kept = [event for event in intake.events if event.trace_id.hex not in traces]
    refused = Rejection(REASON, f"its trace {_MESSAGE}", len(intake.events) - len(kept))
    intake.events = kept
    intake.rejections = [*intake.rejections, refused]
    return intake
