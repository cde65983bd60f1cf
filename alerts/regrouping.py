"""What people do to what belongs together: open an incident by hand, let something join, merge, split, open again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from django.db import transaction
from django.http import HttpRequest

from alerts import notifying
from alerts.incidents import checks, scopes
from alerts.incidents.grouping import Arrival
from alerts.incidents.types import DIMENSIONS, GOING, Kind, NotThere, Origin, Scope, State, WrongState, ref_of
from alerts.models import Incident, IncidentMember
from alerts.moving import grown_worse, holding, key_of, noted
from alerts.notices.transitions import Kind as Told
from alerts.opening import joined_facts, make_member, open_incident, reopen, title_of
from alerts.read.incident_settings import get_settings
from alerts.read.joining import find_arrival
from alerts.write import incidents as write
from telltale.accounts.models import User
from telltale.lib import clock
from telltale.lib.faults import Fault, ItemRefused
from telltale.projects.models import Project
from traces.masks import mask_text

# What a person lets join at once; more are joined by grouping or in several calls.
JOINED_MOST = 200
VALUE_MAX = 300
JOINABLE = (Kind.ALARM, Kind.PROBE, Kind.REVIEW)


def open_by_hand(
    project: Project,
    title: str,
    severity: int,
    scope: Mapping[str, Any] | None = None,
    members: Sequence[tuple[str, int]] = (),
    *,
    user: User | None,
    request: HttpRequest | None = None,
    actor: str = "",
) -> int:
    """Open an incident; its number. `members`: alarms and others by (kind, id), none of which may belong elsewhere.

    ItemRefused.
    """
    told, level = mask_text(project.pk, checks.title(title)), checks.severity(severity)
    narrow, now = read_scope(scope or {}), clock.now()
    with transaction.atomic():
        if not write.lock_project(project.pk):
            raise NotThere
        arrivals = _arrivals(project.pk, members)
        began = min((one.start for one in arrivals), default=now)
        origin = Origin.REVIEW if arrivals and all(one.kind == Kind.REVIEW for one in arrivals) else Origin.PERSON
        row = open_incident(
            project.pk, title=told, severity=level, began_at=began, origin=origin, now=now,
            scope=narrow or scopes.common(one.scope for one in arrivals),
            last_moved_at=max((one.end for one in arrivals), default=now), user_id=user.pk if user else None,
            actor=actor,
        )  # fmt: skip
        _add(row, arrivals, user, actor)
        noted(
            project, row, "", user=user, actor=actor, request=request, action="incident.open",
            after={"title": told, "severity": level, "scope": dict(row.scope)},
        )  # fmt: skip
    return row.number


def join(
    project: Project,
    number: int,
    members: Sequence[tuple[str, int]],
    *,
    user: User | None,
    request: HttpRequest | None = None,
    actor: str = "",
) -> int:
    """Let alarms, alarms of probes or reviewed answers belong to an incident; how many joined that did not before.

    ItemRefused for what is not there or belongs to another incident.
    """
    with transaction.atomic():
        if not write.lock_project(project.pk):
            raise NotThere
        with holding(project, number) as incident:
            fresh = [one for one in members if _held_by(project.pk, *one) != number]
            arrivals = _arrivals(project.pk, fresh)
            if not arrivals:
                return 0
            _add(incident, arrivals, user, actor)
            before = incident.severity
            _measure(incident, quiet_may_end=True)
            noted(
                project, incident, "", user=user, actor=actor, request=request, action="incident.join",
                after={"members": [[str(one.kind), one.ref] for one in arrivals]},
            )  # fmt: skip
            if incident.severity < before:
                _say_worse(project, incident, before)
    return len(arrivals)


def merge(
    project: Project,
    number: int,
    into: int,
    *,
    user: User | None,
    request: HttpRequest | None = None,
    actor: str = "",
) -> None:
    """Give everything that belongs to an incident to another one; it is over, and its page leads there. ItemRefused."""
    if number == into:
        raise ItemRefused(Fault("into", "is the incident itself", "the number of another incident", into))
    now = clock.now()
    with transaction.atomic():
        if not write.lock_project(project.pk):
            raise NotThere
        rows = write.lock_many(project.pk, [number, into])
        if number not in rows:
            raise NotThere
        if into not in rows:
            raise ItemRefused(Fault("into", "is no incident of this project", "the number of another incident", into))
        row, other = rows[number], rows[into]
        for each in (row, other):
            if each.state not in GOING:
                raise WrongState(f"{ref_of(each.number)} is {each.state}: only incidents that go on can be merged.")
        moved = list(IncidentMember.objects.filter(incident=row).values_list("pk", flat=True))
        write.move_members(project.pk, moved, other)
        for user_id in row.watchers.values_list("user_id", flat=True):
            write.watch(other, user_id, now)
        was = row.state
        write.put(row, state=State.MERGED, merged_into=other, closed_at=now, closed_by=user)
        before = other.severity
        _measure(other, at_least=row, quiet_may_end=True)
        facts = {"ref": ref_of(into), "number": into}
        noted(
            project, row, "merged", user=user, actor=actor, request=request, facts=facts, action="incident.merge",
            before={"state": was}, after={"into": ref_of(into)}, at=now,
        )  # fmt: skip
        write.add_event(
            other, "absorbed", now, user_id=user.pk if user else None, actor=actor,
            facts={"ref": ref_of(number), "number": number, "members": len(moved), "path": f"incidents/{number}/"},
        )  # fmt: skip
        # Receivers that keep alerts open close this one: the other goes on.
        notifying.tell(
            row, Told.RESOLVED, key_of(row, "merged"), facts={"words": f"merged into {ref_of(into)}"}, at=now
        )
        if other.severity < before:
            _say_worse(project, other, before)


def split(
    project: Project,
    number: int,
    member_ids: Sequence[int],
    *,
    user: User | None,
    request: HttpRequest | None = None,
    actor: str = "",
    title: str = "",
) -> int:
    """Make an incident of its own of some members, but not of all; its number. ItemRefused."""
    now, wanted = clock.now(), set(member_ids)
    with transaction.atomic():
        if not write.lock_project(project.pk):
            raise NotThere
        with holding(project, number) as incident:
            members = list(IncidentMember.objects.filter(incident=incident).order_by("began_at", "pk"))
            chosen = [member for member in members if member.pk in wanted]
            if not wanted:
                raise ItemRefused(Fault("members", "is needed", "ids of some members of this incident"))
            if len(chosen) < len(wanted):
                gone = sorted(wanted - {member.pk for member in chosen})[:5]
                raise ItemRefused(Fault("members", "are not all of this incident", "ids of its members", gone))
            if len(chosen) == len(members):
                raise ItemRefused(Fault("members", "are all of them", "some, so that both incidents hold some"))
            lead = next((member for member in chosen if member.is_page), chosen[0])
            scope = scopes.common(scopes.read(member.facts.get("scope", {})) for member in chosen)
            made = open_incident(
                project.pk,
                title=mask_text(project.pk, checks.title(title)) if title
                else title_of(lead.facts, scope) or incident.title,
                severity=min((m.severity for m in chosen if m.is_page), default=incident.severity), scope=scope,
                began_at=chosen[0].began_at, last_moved_at=max(member.began_at for member in chosen),
                origin=Origin(incident.origin), now=now, user_id=user.pk if user else None, actor=actor,
                split_from=incident,
            )  # fmt: skip
            write.move_members(project.pk, [member.pk for member in chosen], made)
            _measure(incident, quiet_may_end=False)
            _measure(made, quiet_may_end=False)
            facts = {"ref": ref_of(made.number), "path": f"incidents/{made.number}/", "words": f"{len(chosen)} members"}
            noted(
                project, incident, "split", user=user, actor=actor, request=request, facts=facts, at=now,
                after={"into": ref_of(made.number), "members": sorted(wanted)},
            )  # fmt: skip
            write.add_event(
                made, "split_off", now, user_id=user.pk if user else None, actor=actor,
                facts={"ref": ref_of(number), "path": f"incidents/{number}/"},
            )  # fmt: skip
    return made.number


def open_again(
    project: Project,
    number: int,
    reason: str,
    *,
    user: User | None,
    request: HttpRequest | None = None,
    actor: str = "",
) -> None:
    """Begin the next round of a resolved incident: triage anew, what was found is kept. ItemRefused, WrongState."""
    words, now = mask_text(project.pk, checks.text("reason", reason, is_needed=True)), clock.now()
    with holding(project, number, going=False) as incident:
        if incident.state != State.RESOLVED:
            raise WrongState(f"{ref_of(number)} is {incident.state}: only a resolved one can be opened again.")
        before = {"state": incident.state, "verdict": incident.verdict}
        settings = get_settings(project.pk)
        reopen(incident, now, severity=incident.severity, began_at=incident.began_at, settings=settings)
        noted(
            project, incident, "reopened", user=user, actor=actor, request=request, facts={"words": words},
            action="incident.reopen", before=before, after={"state": State.OPEN, "round": incident.round}, at=now,
        )  # fmt: skip


def read_scope(told: Mapping[str, Any]) -> Scope:
    """The scope that people wrote: a value or a list of them for each dimension, null is unknown. ItemRefused."""
    if not isinstance(told, Mapping):
        raise ItemRefused(Fault("scope", "is no object", "an object of dimensions", repr(told)[:80]))
    found: dict[str, tuple[str | None, ...]] = {}
    for name, given in told.items():
        if name not in DIMENSIONS:
            raise ItemRefused(Fault(f"scope.{str(name)[:60]}", "is no dimension", ", ".join(DIMENSIONS)))
        values = given if isinstance(given, list | tuple) else [given]
        if len(values) > 50:
            raise ItemRefused(Fault(f"scope.{name}", "has too many values", "50 values", len(values)))
        clean = [
            None if one is None else checks.text(f"scope.{name}", one, VALUE_MAX, is_needed=True) for one in values
        ]
        if clean:
            found[name] = tuple(dict.fromkeys(clean))
    return scopes.read(found)


def _arrivals(project_id: int, members: Sequence[tuple[str, int]]) -> list[Arrival]:
    if len(members) > JOINED_MOST:
        raise ItemRefused(Fault("members", "are too many", f"{JOINED_MOST} at once", len(members)))
    found, faults = [], []
    for at, (kind, ref) in enumerate(dict.fromkeys(members)):
        name = f"members.{at}"
        if kind not in JOINABLE:
            faults.append(Fault(f"{name}.kind", "is none", f"one of {', '.join(JOINABLE)}", str(kind)[:60]))
            continue
        arrival = find_arrival(project_id, Kind(kind), ref)
        if arrival is None:
            faults.append(Fault(f"{name}.id", f"is no {kind} of this project", "its id", ref))
            continue
        held = write.is_member(project_id, Kind(kind), ref)
        if held is not None:
            faults.append(Fault(f"{name}.id", f"belongs to {ref_of(held)}", "what belongs to no incident", ref))
            continue
        found.append(arrival)
    if faults:
        raise ItemRefused(*faults)
    return found


def _held_by(project_id: int, kind: str, ref: int) -> int | None:
    return write.is_member(project_id, Kind(kind), ref) if kind in JOINABLE and 0 < ref < 2**63 else None


def _add(row: Incident, arrivals: Sequence[Arrival], user: User | None, actor: str) -> None:
    """Insert members that a person let join, with a line of each."""
    now = clock.now()
    write.add_members([make_member(row, arrival, now) for arrival in arrivals])
    for arrival in arrivals:
        facts = {**joined_facts(arrival), "by_hand": True}
        key = f"joined:{arrival.kind}:{arrival.ref}:{now:%Y%m%d%H%M%S%f}"
        write.add_event(row, "joined", now, user_id=user.pk if user else None, actor=actor, facts=facts, key=key)


def _measure(row: Incident, *, at_least: Incident | None = None, quiet_may_end: bool) -> None:
    """Write what the members of a locked incident come to: since when, of what, how bad, whether quiet."""
    members = list(IncidentMember.objects.filter(incident=row))
    paging = [member for member in members if member.is_page]
    fields: dict[str, Any] = {}
    began = [member.began_at for member in paging or members] + ([at_least.began_at] if at_least else [])
    if began:
        fields["began_at"] = min(began)
    if at_least is not None:
        fields["last_moved_at"] = max(row.last_moved_at, at_least.last_moved_at)
        fields["severity"] = min(row.severity, at_least.severity)
    if paging:
        fields["scope"] = scopes.as_json(scopes.common(scopes.read(one.facts.get("scope", {})) for one in paging))
        fields["severity"] = min([fields.get("severity", row.severity), *(one.severity for one in paging)])
        going = [one for one in paging if one.over_at is None]
        if going and quiet_may_end:
            fields["quiet_since"] = None
        elif not going and row.quiet_since is None:
            fields["quiet_since"] = max(one.over_at for one in paging if one.over_at)
    write.put(row, **fields)


def _say_worse(project: Project, incident: Incident, before: int) -> None:
    write.time_step(incident, get_settings(project.pk))
    write.add_event(incident, "worse", clock.now(), facts={"severity": incident.severity, "before": before})
    grown_worse(incident, before)
