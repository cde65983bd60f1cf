"""Which monitors of the same part of a project agree that something moved: "3 of 5 signals agree"."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from django.db.models import TextField
from django.db.models.fields.json import KeyTransform
from django.db.models.functions import Cast

from alerts.incidents import scopes, wording
from alerts.incidents.types import Scope
from alerts.models import IncidentMember, Monitor
from alerts.monitors.states import UNJUDGED, Standing
from alerts.read.incidents import IncidentRow
from alerts.read.shown import list_named, read_last

# Monitors looked at in a project, and those that are read whole.
LOOKED_AT, SHOWN_MOST = 1_000, 8
_OUT = {Standing.ALARMED, Standing.ACKNOWLEDGED}
_Standing = tuple[int, int, Standing, str, Scope]


@dataclass(frozen=True, slots=True)
class Signal:
    """One monitor of the incident's part of the project. `is_out`: beyond its limits now.

    `agrees`: it is, or it was when it joined the incident. `says` is its values or its standing in words.
    """

    monitor_id: int
    name: str
    metric: str
    severity: int
    standing: Standing
    is_out: bool
    is_member: bool
    agrees: bool
    value: float | None
    before: float | None
    n: int | None
    says: str
    path: str


@dataclass(frozen=True, slots=True)
class Agreement:
    """The signals that were judged (`of`), how many agree, and the first of them; `silent` could not be judged."""

    agree: int
    of: int
    silent: int
    signals: tuple[Signal, ...]

    @property
    def words(self) -> str:
        """ "3 of 5 signals agree"."""
        if not self.of:
            return "No other signal to compare"
        return f"{self.agree} of {self.of} signal{'' if self.of == 1 else 's'} agree{'s' if self.agree == 1 else ''}"


def count_agreeing(project_id: int, incidents: Sequence[IncidentRow]) -> dict[int, tuple[int, int]]:
    """How many signals agree, of how many judged, for some incidents at once. Two queries."""
    if not incidents:
        return {}
    members: dict[int, set[int]] = {row.id: set() for row in incidents}
    joined = IncidentMember.objects.filter(incident_id__in=list(members), monitor__isnull=False)
    for incident_id, monitor_id in joined.values_list("incident_id", "monitor_id")[:5_000]:
        if monitor_id is not None:
            members[incident_id].add(monitor_id)
    monitors = list(_monitors(project_id))
    return {
        row.id: (len([1 for agrees, _, _ in found if agrees]), len(found))
        for row in incidents
        for found, _ in [_judged(row, members[row.id], monitors)]
    }


def agreeing(project_id: int, incident: IncidentRow) -> Agreement:
    """The monitors that share a dimension with the incident, or are of the whole project as it is. Four queries.

    Monitors that joined count whatever they are of. Those that learn, are broken or have no data are silent: they
    neither agree nor disagree.
    """
    members: dict[int, IncidentMember] = {}
    for member in IncidentMember.objects.filter(incident_id=incident.id, monitor__isnull=False).order_by("pk")[:500]:
        if member.monitor_id is not None:
            members.setdefault(member.monitor_id, member)
    found, silent = _judged(incident, set(members), _monitors(project_id))
    found.sort(key=lambda one: (not one[0], one[1], one[2]))
    shown = [pk for _, _, pk in found[:SHOWN_MOST]]
    read = {each.id: each for each in list_named(project_id, shown)}
    last = read_last(list(read.values()))
    signals = []
    for pk in shown:
        each, at, joined = read[pk], last.get(pk), members.get(pk)
        facts = joined.facts if joined is not None else {}
        is_out = each.standing in _OUT
        value = at.value if at else facts.get("value")
        before = facts.get("before") if joined is not None else (at.shown_level if at else None)
        signals.append(
            Signal(
                pk, each.name, each.metric, each.severity, each.standing, is_out, joined is not None,
                is_out or joined is not None, value, before, at.n if at else facts.get("n"),
                _says(each.metric, value, before), f"monitors/{pk}/",
            )
        )  # fmt: skip
    return Agreement(sum(1 for agrees, _, _ in found if agrees), len(found), silent, tuple(signals))


def _monitors(project_id: int) -> Iterable[_Standing]:
    scope = Cast(KeyTransform("scope", "definition"), TextField())
    rows = Monitor.objects.filter(project_id=project_id, archived_at=None, is_on=True).annotate(told=scope)
    told = rows.order_by("severity", "pk").values_list("pk", "severity", "standing", "standing_words", "told")
    return [
        (pk, severity, Standing(standing), words, scopes.read(json.loads(scope or "{}")))
        for pk, severity, standing, words, scope in told[:LOOKED_AT]
    ]


def _judged(
    incident: IncidentRow, members: set[int], monitors: Iterable[_Standing]
) -> tuple[list[tuple[bool, int, int]], int]:
    """Those that were judged, as (agrees, severity, id), and how many were not."""
    found, silent = [], 0
    for pk, severity, standing, words, scope in monitors:
        if pk not in members and not _belongs(incident.scope, scope):
            continue
        agrees = standing in _OUT or pk in members
        if agrees or (standing == Standing.IN_CONTROL and words != UNJUDGED):
            found.append((agrees, severity, pk))
        else:
            silent += 1
    return found, silent


def _belongs(incident: Scope, monitor: Scope) -> bool:
    shared = scopes.agree(incident, monitor)
    return shared is not None and (shared > 0 or (not incident and not monitor))


def _says(metric: str, value: float | None, before: float | None) -> str:
    if value is None:
        return "no value yet"
    now = wording.number(metric, value)
    return now if before is None else f"{wording.number(metric, before)} → {now}"
