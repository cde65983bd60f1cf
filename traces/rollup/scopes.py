"""Scopes of a project: ids of combinations of dimensions, and what becomes of those that are too many. Pure.

A project may use `cap` combinations in `ACTIVE_DAYS`. What is new beyond that has its stage, release and prompt version
folded into "(other)"; from 1.25 times the cap all but kind and model; from 1.5 times all but the kind. So a sender that
makes up names costs a bounded number of rows, and pages say how much is in "(other)".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import date
from hashlib import blake2b
from typing import Any

from traces.rollup.booking import ScopeKey
from traces.rollup.sums import OTHER, Family

ACTIVE_DAYS = 28
# Combinations remembered beyond the known scopes; names that are made up only empty it.
_HELD_MAX = 50_000
REASONS_MAX = 500
REASON_CHARS_MAX = 300


@dataclass(frozen=True, slots=True)
class Scope:
    """A scope that is new or was not used lately, to be written."""

    scope_id: int
    key: ScopeKey
    folded: int


def scope_id_of(key: ScopeKey, folded: int) -> int:
    """A stable 63-bit digest of the dimensions; negative for traces."""
    parts = [b"\0%d" % folded]
    for value in key:
        parts.append(b"\1" if value is None else b"\2" + str(value).encode("utf-8", "surrogatepass"))
    digest = int.from_bytes(blake2b(b"\0".join(parts), digest_size=8).digest(), "big") >> 1
    return ~digest if key[0] == Family.TRACE else digest


@dataclass(slots=True)
class Scopes:
    """What one process knows of a project's scopes and reasons, and what it has to write down."""

    cap: int
    today: date
    used_on: dict[int, date] = field(default_factory=dict)  # scopes used in the last ACTIVE_DAYS
    reasons: set[str] = field(default_factory=set)
    fresh: dict[int, Scope] = field(default_factory=dict)  # used now, not written yet
    used: set[int] = field(default_factory=set)  # used today, as is not written yet
    _held: dict[ScopeKey, int] = field(default_factory=dict)

    def scope_of(self, key: ScopeKey) -> int:
        """The id under which these dimensions are booked."""
        found = self._held.get(key)
        return self._admit(key) if found is None else found

    def _admit(self, key: ScopeKey) -> int:
        folded, booked = 0, key
        while True:
            scope_id = scope_id_of(booked, folded)
            last = self.used_on.get(scope_id)
            if last is not None or folded == 3 or len(self.used_on) < self.cap * (4 + folded) // 4:
                break
            folded += 1
            booked = _fold(key, folded)
        if last is None:
            self.fresh[scope_id] = Scope(scope_id, booked, folded)
        elif last < self.today:
            self.used.add(scope_id)
        self.used_on[scope_id] = self.today
        if len(self._held) >= _HELD_MAX:
            self._held.clear()
        self._held[key] = scope_id
        return scope_id

    def turn(self, today: date) -> None:
        """A new day: what was not used for long no longer counts, and what is used now is to be written down again."""
        if today == self.today:
            return
        self.today = today
        self._held.clear()
        self.used_on = {key: day for key, day in self.used_on.items() if (today - day).days < ACTIVE_DAYS}

    def reason_of(self, reason: str) -> str:
        """The text under which a reason is booked."""
        if reason in self.reasons:
            return reason
        if len(reason) > REASON_CHARS_MAX or len(self.reasons) >= REASONS_MAX:
            return OTHER
        self.reasons.add(reason)
        return reason


def _fold(key: ScopeKey, folded: int) -> ScopeKey:
    family, kind, stage, feature, provider, model, service, environment, release, name, version = key
    if folded == 1:
        return (family, kind, _other(stage), feature, provider, model, service, environment, _other(release), name,
                _other(version))  # fmt: skip
    model = None if family == Family.TRACE else OTHER if folded == 3 else model
    alone: Any = OTHER
    only_spans = None if family == Family.TRACE else OTHER
    return (family, kind, only_spans, alone, only_spans, model, alone, alone, alone, alone, alone)


def _other(value: str | None) -> str | None:
    return None if value is None else OTHER
