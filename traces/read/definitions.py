"""Versions of a project's definitions, and what other numbers would make of the sessions that are over."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from telltale.lib import clock
from telltale.lib.db import raw_cursor
from traces.behaviour.definition import SHIPPED, Definition, to_json
from traces.behaviour.rules import behaviour
from traces.behaviour.types import Behaviour, Fact
from traces.models import SignalDefinition
from traces.read.asking import asking, fetch
from traces.read.behaviour import read_definition
from traces.read.behaviour_units import UnitRef, iterate_units

VERSIONS_SHOWN = 20
# Looked at for a preview, whichever is reached first: 0.4 s together (measured).
TRIED_UNITS = 1000
TRIED_TURNS = 10_000
_NEWEST = """
    SELECT unit_key, session_id, turns FROM traces_behaviour
    WHERE project_id = %(project_id)s AND is_closed AND session_id IS NOT NULL AND ({feature})
    ORDER BY first_at DESC, unit_key DESC
    LIMIT %(limit)s
"""
_ALL = _NEWEST.format(feature="true")
_OF_FEATURE = _NEWEST.format(feature="feature = %(feature)s")
_FEATURES = """
    SELECT feature FROM traces_behaviour_hour
    WHERE project_id = %s AND feature <> '' AND hour >= %s GROUP BY feature ORDER BY sum(n) DESC, feature LIMIT 50
"""
# What a preview counts, as the page lists it.
COUNTED: tuple[tuple[str, str, Fact], ...] = (
    ("abandonment", "abandoned", Fact.ABANDONED),
    ("retry", "retried or rephrased", Fact.RETRIED | Fact.REPHRASED),
    ("correction", "asked for a correction", Fact.CORRECTED),
    ("escalation", "asked for a human", Fact.ESCALATED),
    ("follow_up", "followed up", Fact.FOLLOWED_UP),
    ("completion", "completed", Fact.COMPLETED),
)


@dataclass(frozen=True, slots=True)
class Version:
    """One version: when and by whom it was put in force, and what it changed, as (field, words)."""

    version: int
    created_at: datetime | None
    created_by: str
    changes: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class InForce:
    """The definition in force. Version 0 is the shipped one: nobody made it."""

    version: int
    definition: Definition
    created_at: datetime | None
    created_by: str


@dataclass(frozen=True, slots=True)
class Tried:
    """What a definition would say of the newest closed sessions, beside what the one in force says of the same ones.

    `open`: sessions that would not be over yet. `votes` are sessions with a vote.
    """

    sessions: int
    counts: tuple[tuple[str, str, int, int], ...]  # key, words, now, then
    open: int
    votes: tuple[int, int]


def in_force(project_id: int) -> InForce:
    """The definition in force, and who made it."""
    row = (
        SignalDefinition.objects.filter(project_id=project_id).select_related("created_by").order_by("-version").first()
    )
    if row is None:
        return InForce(0, SHIPPED, None, "")
    return InForce(row.version, read_definition(row.spec), row.created_at, _person(row))


def list_versions(project_id: int, limit: int = VERSIONS_SHOWN) -> list[Version]:
    """The newest versions, each with what it changed of the one before; the shipped one, 0, is the last of all."""
    rows = list(
        SignalDefinition.objects.filter(project_id=project_id)
        .select_related("created_by")
        .order_by("-version")[: limit + 1]
    )
    specs: list[Mapping[str, Any]] = [to_json(read_definition(row.spec)) for row in rows]
    specs.append(to_json(SHIPPED))
    found = [
        Version(row.version, row.created_at, _person(row), changes(specs[at + 1], specs[at]))
        for at, row in enumerate(rows[:limit])
    ]
    return found if len(rows) > limit else [*found, Version(0, None, "", ())]


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[tuple[str, str], ...]:
    """What the JSON of two definitions says differently: (field, words) of each."""
    found = []
    for name, after in new.items():
        before = old[name]
        if before == after:
            continue
        if isinstance(after, list):
            added, gone = len(set(after) - set(before)), len(set(before) - set(after))
            words = ", ".join(f"{n} {word}" for n, word in ((added, "added"), (gone, "removed")) if n)
            found.append((name, words or "in another order"))
        elif isinstance(after, dict):
            for key in sorted(set(before) | set(after)):
                if before.get(key) != after.get(key):
                    found.append((f"{name}: {key}", f"{_words(before.get(key))} → {_words(after.get(key))}"))
        else:
            found.append((name, f"{_words(before)} → {_words(after)}"))
    return tuple(found)


def features_seen(project_id: int, since: datetime) -> list[str]:
    """The features of sessions since then, those with the most first; at most 50."""
    with asking() as cursor:
        cursor.execute(_FEATURES, [project_id, since])
        return [row[0] for row in cursor.fetchall()]


def try_definition(project_id: int, wanted: Definition, feature: str | None = None) -> Tried:
    """Look at the newest closed sessions (of one feature) by another definition; TooSlow."""
    current = in_force(project_id).definition
    now, turns = clock.now(), 0
    refs: list[UnitRef] = []
    pairs: list[tuple[Behaviour, Behaviour]] = []
    with asking() as cursor:
        params = {"project_id": project_id, "limit": TRIED_UNITS, "feature": feature}
        for unit_key, session_id, n in fetch(cursor, _ALL if feature is None else _OF_FEATURE, params):
            turns += n
            if refs and turns > TRIED_TURNS:
                break
            refs.append(UnitRef(unit_key, session_id))
        for unit in iterate_units(raw_cursor(), project_id, refs):
            if unit.turns:
                pairs.append(
                    (
                        behaviour(unit.turns, unit.seen, current, now, earlier=unit.earlier),
                        behaviour(unit.turns, unit.seen, wanted, now, earlier=unit.earlier),
                    )
                )
    before, after = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
    return Tried(
        sessions=len(pairs),
        counts=tuple((key, words, _having(fact, before), _having(fact, after)) for key, words, fact in COUNTED),
        open=sum(not each.is_closed for each in after),
        votes=(sum(each.vote != 0 for each in before), sum(each.vote != 0 for each in after)),
    )


def _having(fact: Fact, found: Sequence[Behaviour]) -> int:
    return sum(bool(each.facts & fact) for each in found if each.is_closed)


def _words(value: Any) -> str:
    if value is None:
        return "as the project"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, dict):
        return ", ".join(f"{name} {_words(each)}" for name, each in value.items()) or "as the project"
    return f"{value:g}" if isinstance(value, float) else str(value)


def _person(row: SignalDefinition) -> str:
    return row.created_by.email if row.created_by else ""
