"""Rows of triage: the responses dealt, who has which on the screen, and what people said of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.db.models import Q

from alerts.models import Incident, ScopeReport, TriageItem
from telltale.lib.db import raw_cursor

# What a deal was drawn from; beside the reports of scope and isolate.
REPORT = "triage"
_LEASE = """
    UPDATE alerts_triageitem SET leased_by_id = %(user)s, leased_until = %(until)s
    WHERE id IN (
        SELECT id FROM alerts_triageitem
        WHERE incident_id = %(incident)s AND round = %(round)s AND verdict = ''
          AND (leased_by_id IS NULL OR leased_by_id = %(user)s OR leased_until <= %(now)s)
        ORDER BY (leased_by_id IS NOT DISTINCT FROM %(user)s AND leased_until > %(now)s) DESC, position
        LIMIT %(most)s
        FOR UPDATE SKIP LOCKED
    )
    RETURNING position
"""


@dataclass(frozen=True, slots=True)
class By:
    """Who says something of a response: a person, or a key. Neither: somebody whom nobody can be again."""

    user_id: int | None = None
    key_id: int | None = None

    def own(self) -> Q:
        """What this one said before."""
        if self.user_id is not None:
            return Q(user_id=self.user_id)
        return Q(by_key_id=self.key_id) if self.key_id is not None else Q(pk__in=())


def add_items(items: Sequence[TriageItem]) -> None:
    """Insert what was dealt; the incident must be held."""
    TriageItem.objects.bulk_create(items)


def put_report(incident: Incident, body: Mapping[str, Any], now: datetime) -> None:
    """Keep what the incident's round was dealt from."""
    ScopeReport.objects.update_or_create(
        incident=incident, round=incident.round, kind=REPORT,
        defaults={"state": "done", "body": dict(body), "asked_at": now, "made_at": now, "error": ""},
    )  # fmt: skip


def lease(incident_id: int, round: int, user_id: int, now: datetime, until: datetime, most: int) -> list[int]:
    """Hold the next undecided responses for a person, those that are theirs first; their positions in order."""
    params = {"incident": incident_id, "round": round, "user": user_id, "now": now, "until": until, "most": most}
    with raw_cursor() as cursor:
        cursor.execute(_LEASE, params)
        return sorted(position for (position,) in cursor.fetchall())


def decide(
    incident_id: int, round: int, position: int, verdict: str, *, by: By, now: datetime, note: str | None
) -> bool:
    """Set what somebody says of a response; False where another said something of it before (or it is not there)."""
    rows = TriageItem.objects.filter(
        Q(verdict="") | by.own(), incident_id=incident_id, round=round, position=position
    )
    fields: dict[str, Any] = {
        "verdict": verdict, "user_id": by.user_id, "by_key_id": by.key_id, "decided_at": now, "leased_by": None,
        "leased_until": None,
    }  # fmt: skip
    return bool(rows.update(**fields, **({} if note is None else {"note": note})))


def undo(incident_id: int, round: int, position: int, *, by: By) -> bool:
    """Take back what this person or key said of a response; False where they said nothing of it."""
    rows = TriageItem.objects.filter(by.own(), incident_id=incident_id, round=round, position=position)
    return bool(rows.exclude(verdict="").update(verdict="", user=None, by_key=None, decided_at=None))
