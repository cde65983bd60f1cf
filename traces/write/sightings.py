"""Rows of what traces were seen to run, and of the changes that follow from them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import orjson
from psycopg import Cursor

from telltale.lib.sql import load
from traces.canonical.text import cut_text
from traces.canonical.types import MODEL_KINDS
from traces.changing.deriving import Derived, Sighting, What
from traces.changing.kinds import Source
from traces.cost.judging import JUDGE_SERVICE

# Of a trace of more spans only new ones are looked at: one that never ends would be read again and again.
HUGE_SPANS = 2000
# Lines and values remembered of a project; a sender that makes up names costs a bounded number of rows.
SIGHTINGS_MAX = 5000
VALUE_BYTES = 1024
# A later last start is written down when it is so much later: else every slice rewrote every row that is in use.
LAST_STEP = timedelta(seconds=10)

_KNOWN = """
    SELECT sighting_id, first_at, last_at FROM traces_sighting WHERE project_id = %s AND sighting_id = ANY(%s)
"""
_COUNT = "SELECT count(*) FROM traces_sighting WHERE project_id = %s"
_PUT = """
    INSERT INTO traces_sighting AS s (
        project_id, sighting_id, what, environment, service, feature, provider, name, value, first_at, last_at
    )
    SELECT %s, k.* FROM unnest(
        %s::bigint[], %s::smallint[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
        %s::timestamptz[], %s::timestamptz[]
    ) AS k
    ON CONFLICT (project_id, sighting_id) DO UPDATE
    SET first_at = least(s.first_at, excluded.first_at), last_at = greatest(s.last_at, excluded.last_at)
"""
_STATE = "INSERT INTO traces_sighting_state (project_id) VALUES (%s) ON CONFLICT DO NOTHING"
_LEFT_OUT = "UPDATE traces_sighting_state SET left_out = left_out + %s WHERE project_id = %s"
_ALL = """
    SELECT what, environment, service, feature, provider, name, value, first_at, last_at
    FROM traces_sighting WHERE project_id = %s
"""
# What people said of a derived change (author, note, url) and that they removed it stays theirs.
_PUT_DERIVED = f"""
    INSERT INTO traces_change AS c (
        project_id, origin, kind, at, name, version, previous, service, feature, environment, details, source,
        client_id, author, note, url, created_at, updated_at
    )
    SELECT %s, k.*, '{Source.DERIVED}', '', '', '', '', now(), now()
    FROM unnest(
        %s::text[], %s::text[], %s::timestamptz[], %s::text[], %s::text[], %s::text[], %s::text[], %s::text[],
        %s::text[], %s::jsonb[]
    ) AS k (origin, kind, at, name, version, previous, service, feature, environment, details)
    ON CONFLICT (project_id, origin) WHERE NOT (origin = '') DO UPDATE
    SET at = excluded.at, previous = excluded.previous, details = excluded.details, updated_at = now()
    WHERE (c.at, c.previous, c.details) IS DISTINCT FROM (excluded.at, excluded.previous, excluded.details)
"""  # noqa: S608 - a word of this module
_DROP_DERIVED = "DELETE FROM traces_change WHERE project_id = %s AND origin <> '' AND NOT origin = ANY(%s)"


def look(
    cursor: Cursor[Any], project_id: int, trace_ids: Sequence[UUID], batch_ids: Sequence[int], huge: int = HUGE_SPANS
) -> list[Sighting]:
    """What the spans of these traces show; of those of more than `huge` spans, the spans of these batches."""
    params = {
        "project_id": project_id,
        "trace_ids": list(trace_ids),
        "batch_ids": list(batch_ids),
        "model_kinds": [int(kind) for kind in MODEL_KINDS],
        "judge": JUDGE_SERVICE,
        "huge": huge,
    }
    cursor.execute(load("traces", "read_sightings"), params)
    return join(sighting for row in cursor.fetchall() for sighting in _of_row(*row))


def join(sightings: Iterable[Sighting]) -> list[Sighting]:
    """Each value once, from its first start to its last."""
    found: dict[int, Sighting] = {}
    for new in sightings:
        old = found.get(new.id)
        if old is not None:
            new = replace(new, first_at=min(old.first_at, new.first_at), last_at=max(old.last_at, new.last_at))
        found[new.id] = new
    return list(found.values())


def keep(cursor: Cursor[Any], project_id: int, sightings: Sequence[Sighting]) -> bool:
    """Write down what is new of these; whether changes may follow. The caller holds the project's change log."""
    cursor.execute(_KNOWN, (project_id, [sighting.id for sighting in sightings]))
    known: dict[int, tuple[datetime, datetime]] = {row[0]: (row[1], row[2]) for row in cursor.fetchall()}
    fresh = sorted((s for s in sightings if s.id not in known), key=lambda s: (s.first_at, s.id))
    earlier, later = [], []
    for sighting in sightings:
        if sighting.id in known:
            first_at, last_at = known[sighting.id]
            if sighting.first_at < first_at:
                earlier.append(sighting)
            elif sighting.last_at >= last_at + LAST_STEP:
                later.append(sighting)
    if fresh:
        cursor.execute(_STATE, (project_id,))
        cursor.execute(_COUNT, (project_id,))
        row = cursor.fetchone()
        room = max(SIGHTINGS_MAX - (int(row[0]) if row else 0), 0)
        if len(fresh) > room:
            cursor.execute(_LEFT_OUT, (len(fresh) - room, project_id))
            fresh = fresh[:room]
    written = sorted([*fresh, *earlier, *later], key=lambda s: s.id)
    if written:
        columns = zip(*(_values(sighting) for sighting in written), strict=True)
        cursor.execute(_PUT, (project_id, *map(list, columns)))
    return bool(written)


def read_all(cursor: Cursor[Any], project_id: int) -> list[Sighting]:
    """All sightings of a project: `SIGHTINGS_MAX` at most."""
    cursor.execute(_ALL, (project_id,))
    return [Sighting(What(row[0]), *row[1:]) for row in cursor.fetchall()]


def put_derived(cursor: Cursor[Any], project_id: int, changes: Sequence[Derived]) -> None:
    """Have the change log say of traces what these say, no more and no less."""
    if changes:
        columns = zip(*(_change_values(change) for change in changes), strict=True)
        cursor.execute(_PUT_DERIVED, (project_id, *map(list, columns)))
    cursor.execute(_DROP_DERIVED, (project_id, [change.origin for change in changes]))


def _of_row(
    environment: str, service: str, feature: str, release: str | None, prompt: str | None, version: str | None,
    provider: str | None, asked: str | None, answered: str | None, fingerprint: str | None, first_at: datetime,
    last_at: datetime,
) -> list[Sighting]:  # fmt: skip
    found = []

    def see(what: What, value: str, *, of: str = "", feature: str = "", service: str = "", provider: str = "") -> None:
        env = environment if what not in (What.ANSWER, What.FINGERPRINT) else ""
        env, service, feature, provider, of, value = (
            cut_text(text, VALUE_BYTES) for text in (env, service, feature, provider, of, value)
        )
        found.append(Sighting(what, env, service, feature, provider, of, value, first_at, last_at))

    if release:
        see(What.RELEASE, release, service=service)
    if prompt and version:
        see(What.PROMPT, version, of=prompt, feature=feature)
    if provider:
        see(What.PROVIDER, provider)
    if asked or answered:
        see(What.MODEL, asked or answered or "", feature=feature)
        see(What.ANSWER, answered or "", of=asked or "", provider=provider or "")
    if fingerprint and (answered or asked):
        see(What.FINGERPRINT, fingerprint, of=answered or asked or "", provider=provider or "")
    return found


def _values(s: Sighting) -> tuple[Any, ...]:
    return (
        s.id, int(s.what), s.environment, s.service, s.feature, s.provider, s.name, s.value, s.first_at, s.last_at,
    )  # fmt: skip


def _change_values(change: Derived) -> tuple[Any, ...]:
    said: dict[str, Any] = {"more_that_day": change.more} if change.more else {}
    if change.back_since is not None:
        said["back_since"] = change.back_since.isoformat()
    details = orjson.dumps(said).decode()
    return (
        change.origin, change.kind.value, change.at, change.name, change.version, change.previous, change.service,
        change.feature, change.environment, details,
    )  # fmt: skip
