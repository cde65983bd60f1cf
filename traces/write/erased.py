"""What was erased, as keyed hashes: what arrives late of it is refused at the door with a counted reason.

No id stands here: a row is the first half of an HMAC of project, kind and id under the installation's secret key. Who
reads a dump alone can neither list the ids nor try some.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import IntEnum
from functools import lru_cache
from typing import Any
from uuid import UUID

from django.conf import settings
from psycopg import Cursor

from telltale.lib import clock
from telltale.lib.db import raw_cursor
from traces.canonical.types import CanonicalSpan, Intake, LogIntake, Rejection
from traces.write.batch import Batch, Outcome, write_batch_row

REASON = "erased"
MESSAGE = "was erased from this project on request; what arrives of it is not stored"
SLICE = 5_000

_ADD = """
    INSERT INTO traces_erased AS e (project_id, key, what, erasure_id, until)
    SELECT %(project_id)s, key, %(what)s, %(erasure_id)s, %(until)s FROM unnest(%(keys)s::uuid[]) AS key ORDER BY key
    ON CONFLICT (project_id, key) DO UPDATE SET
        erasure_id = excluded.erasure_id,
        until = CASE WHEN e.until IS NULL OR excluded.until IS NULL THEN NULL ELSE greatest(e.until, excluded.until) END
"""
_KNOWN = """
    SELECT key, erasure_id FROM traces_erased
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


@dataclass(frozen=True, slots=True)
class Gone:
    """What was erased of the names that were asked about: each with the erasure that refuses it."""

    traces: Mapping[str, int]  # by their ids in hex
    sessions: Mapping[str, int]
    users: Mapping[str, int]

    def __bool__(self) -> bool:
        return bool(self.traces or self.sessions or self.users)

    def why(self, trace_id: UUID | None = None, session_id: str | None = None, user: str | None = None) -> str:
        """Whose it is that was erased, in words: the user first, then the session, then the trace; "" where nobody's.

        Unknown is None or "".
        """
        if user in self.users:
            return "its user"
        if session_id in self.sessions:
            return "its session"
        return "its trace" if trace_id is not None and trace_id.hex in self.traces else ""


NONE_GONE = Gone({}, {}, {})


def known(
    project_id: int,
    *,
    traces: Collection[UUID] = (),
    sessions: Collection[str | None] = (),
    users: Collection[str | None] = (),
) -> Gone:
    """Which of these were erased; None and "" among them count for nothing."""
    asked = (
        keys_of(project_id, What.TRACE, (each.hex for each in traces)),
        keys_of(project_id, What.SESSION, filter(None, sessions)),
        keys_of(project_id, What.USER, filter(None, users)),
    )
    keys = [key for each in asked for key in each]
    if not keys:
        return NONE_GONE
    with raw_cursor() as cursor:
        cursor.execute(_KNOWN, (project_id, keys), prepare=False)
        found = dict(cursor.fetchall())
    return Gone(*({each[key]: found[key] for key in each.keys() & found.keys()} for each in asked))


def find_gone(
    project_id: int,
    *,
    traces: Collection[UUID] = (),
    sessions: Collection[str | None] = (),
    users: Collection[str | None] = (),
) -> Gone:
    """The same, for doors that do not know whether anything was erased of the project: one short question more."""
    if not (traces or sessions or users) or not has_erased(project_id)[0]:
        return NONE_GONE
    return known(project_id, traces=traces, sessions=sessions, users=users)


def count_refused(project_id: int, source: str, n: int, why: str, key_id: int | None = None) -> None:
    """Add `n` refusals to the account of ingest, in the caller's transaction: for doors that keep no account else."""
    if n:
        outcome = Outcome(received=n)
        outcome.reject(REASON, f"{why} {MESSAGE}", n)
        with raw_cursor() as cursor:
            write_batch_row(cursor, Batch(project_id, key_id or 0, source, clock.now(), 0), outcome)


def without_erased(project_id: int, intake: Intake) -> tuple[Intake, dict[UUID, int]]:
    """`intake` without the spans of what was erased, each of them counted as a rejection.

    And the traces of which some were an erased user's or session's, with the erasure: others of them may be stored.
    """
    spans = intake.spans
    gone = known(
        project_id,
        traces={span.trace_id for span in spans},
        sessions={span.session_id for span in spans},
        users={span.user_id for span in spans},
    )
    if not gone:
        return intake, {}

    def why(span: CanonicalSpan) -> str:
        return gone.why(span.trace_id, span.session_id, span.user_id)

    # A trace one span of which names the user is the user's as a whole.
    of_users = {span.trace_id for span in spans if why(span)}
    kept = [span for span in spans if span.trace_id not in of_users]
    first = next(filter(None, (why(span) for span in spans)), "its trace")
    refused = Rejection(REASON, f"{first} {MESSAGE}", len(spans) - len(kept))
    parted: dict[UUID, int] = {}
    for span in spans:
        found = gone.users.get(span.user_id or "") or gone.sessions.get(span.session_id or "")
        if found is not None:
            parted.setdefault(span.trace_id, found)
    intake.spans = kept
    intake.rejections = [*intake.rejections, refused]
    return intake, parted


def logs_without_erased(project_id: int, intake: LogIntake) -> LogIntake:
    """The same for log events, by the trace they name."""
    gone = known(project_id, traces={event.trace_id for event in intake.events})
    if not gone:
        return intake
    kept = [event for event in intake.events if not gone.why(event.trace_id)]
    refused = Rejection(REASON, f"its trace {MESSAGE}", len(intake.events) - len(kept))
    intake.events = kept
    intake.rejections = [*intake.rejections, refused]
    return intake
