"""What a process remembers of a project's scopes, and writing down the new ones; valid while nobody else folds."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from django.conf import settings
from psycopg import Cursor

from traces.rollup.booking import RULES
from traces.rollup.scopes import ACTIVE_DAYS, REASONS_MAX, Scope, Scopes

_READ_STATE = """
    SELECT p.time_zone, s.time_zone, s.rules, s.generation, now()
    FROM projects_project AS p LEFT JOIN traces_rollup_state AS s ON s.project_id = p.id
    WHERE p.id = %s
"""
_WRITE_STATE = """
    INSERT INTO traces_rollup_state AS s (project_id, time_zone, rules, generation) VALUES (%s, %s, %s, %s)
    ON CONFLICT (project_id) DO UPDATE SET time_zone = excluded.time_zone, rules = excluded.rules,
        generation = excluded.generation, changed_at = now()
"""
_READ_SCOPES = "SELECT scope_id, used_on FROM traces_scope WHERE project_id = %s AND used_on > %s"
_READ_REASONS = """
    SELECT DISTINCT reason FROM traces_rollup_reason
    WHERE project_id = %s AND grain = 1440 AND bucket > now() - %s * interval '1 day' LIMIT %s
"""
_WRITE_SCOPES = """
    INSERT INTO traces_scope AS s (
        project_id, scope_id, used_on, folded, family, kind, stage, feature, provider, model, service, environment,
        release, prompt_name, prompt_version
    )
    SELECT %s, k.scope_id, %s, k.folded, k.family, k.kind, k.stage, k.feature, k.provider, k.model, k.service,
        k.environment, k.release, k.prompt_name, k.prompt_version
    FROM unnest(
        %s::bigint[], %s::smallint[], %s::smallint[], %s::smallint[], %s::text[], %s::text[], %s::text[], %s::text[],
        %s::text[], %s::text[], %s::text[], %s::text[], %s::text[]
    ) AS k (
        scope_id, folded, family, kind, stage, feature, provider, model, service, environment, release, prompt_name,
        prompt_version
    )
    ORDER BY k.scope_id
    ON CONFLICT (project_id, scope_id) DO UPDATE SET used_on = greatest(s.used_on, excluded.used_on)
"""
_USE_SCOPES = "UPDATE traces_scope SET used_on = %s WHERE project_id = %s AND scope_id = ANY(%s)"


@dataclass(slots=True)
class Held:
    """A project's scopes as of a generation: another one in the table means that somebody else has folded since."""

    generation: int
    scopes: Scopes


@dataclass(frozen=True, slots=True)
class State:
    """By what a project's roll-ups are booked from now on. `is_stale`: what is stored was booked by something else."""

    time_zone: str
    scopes: Scopes
    now: datetime
    is_stale: bool


_held: dict[int, Held] = {}


def load(cursor: Cursor[Any], project_id: int, *, adopt: bool = False) -> State | None:
    """The state of a project whose lock the caller holds; None where there is no such project.

    Where it is stale nothing may be booked before `adopt` made the present zone and rules its own.
    """
    cursor.execute(_READ_STATE, (project_id,), prepare=True)
    row = cursor.fetchone()
    if row is None:
        return None
    zone, booked_zone, rules, generation, now = row
    is_stale = (booked_zone, rules) != (zone, RULES)
    if is_stale and not adopt:
        return State(zone, Scopes(0, now.date()), now, True)
    held = _held.get(project_id)
    if held is None or held.generation != generation or is_stale:
        held = _held[project_id] = Held(secrets.randbits(62), _read_scopes(cursor, project_id, now.date()))
        cursor.execute(_WRITE_STATE, (project_id, zone, RULES, held.generation))
    held.scopes.turn(now.date())
    return State(zone, held.scopes, now, is_stale)


def _read_scopes(cursor: Cursor[Any], project_id: int, today: date) -> Scopes:
    cursor.execute(_READ_SCOPES, (project_id, date.fromordinal(today.toordinal() - ACTIVE_DAYS)))
    used_on: dict[int, date] = dict(cursor.fetchall())
    cursor.execute(_READ_REASONS, (project_id, ACTIVE_DAYS, REASONS_MAX))
    return Scopes(settings.ROLLUP_SCOPES_MAX, today, used_on, {row[0] for row in cursor.fetchall()})


def write_pending(cursor: Cursor[Any], project_id: int) -> None:
    """Write down what is new, last in the transaction; also of traces that were set aside, or it would be lost."""
    held = _held.get(project_id)
    if held is None:
        return
    scopes = held.scopes
    if scopes.fresh:
        fresh: Sequence[Scope] = list(scopes.fresh.values())
        columns = zip(*(scope.key for scope in fresh), strict=True)
        params = [[scope.scope_id for scope in fresh], [scope.folded for scope in fresh], *map(list, columns)]
        cursor.execute(_WRITE_SCOPES, (project_id, scopes.today, *params))
    if scopes.used:
        cursor.execute(_USE_SCOPES, (scopes.today, project_id, list(scopes.used)))


def settle(project_id: int) -> None:
    """After the commit: what was new is written."""
    held = _held.get(project_id)
    if held is not None:
        held.scopes.fresh.clear()
        held.scopes.used.clear()


def forget(project_id: int | None = None) -> None:
    """After a rollback (or in tests): remember nothing of the project, or of any."""
    if project_id is None:
        _held.clear()
    else:
        _held.pop(project_id, None)
