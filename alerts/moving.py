"""What people do with an incident while they work on it: take it, say something, mute it, finish a step.

Every act locks the incident, checks where it is, moves its version, adds a line to the timeline and an entry to the
audit log, all in one transaction; repeated, it changes nothing. `alerts.regrouping` opens, joins, merges and splits.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.http import HttpRequest

from alerts import alarming, notifying
from alerts.incidents import checks
from alerts.incidents.types import COMMENT_MAX, GOING, Kind, NotThere, Outdated, State, Step, WrongState, ref_of
from alerts.models import Incident
from alerts.notices.transitions import Kind as Told
from alerts.read.incident_settings import get_settings
from alerts.write import incidents as write
from telltale.accounts.models import User
from telltale.audit.log import record_in
from telltale.lib import clock
from telltale.lib.faults import Fault, ItemRefused
from telltale.projects.access import is_at_least
from telltale.projects.models import Project, Role
from telltale.projects.read import list_members as list_people
from traces.masks import mask_text, mask_value

MUTE_MOST = timedelta(days=30)
# Alarms that are acknowledged with their incident: each takes a lock of its monitor.
SEEN_MOST = 20


@contextmanager
def holding(
    project: Project, number: int, *, version: int | None = None, going: bool = True, with_project: bool = False
) -> Iterator[Incident]:
    """The incident, locked in a transaction of its own.

    `version`: what the caller has seen. `with_project`: the project is locked before it, by whoever needs both, since
    grouping takes them in this order. NotThere; Outdated; WrongState where `going` and it is resolved or merged.
    """
    with transaction.atomic():
        if with_project:
            write.lock_project(project.pk)
        held = write.lock(project.pk, number)
        if held is None:
            raise NotThere
        if version is not None and held.version != version:
            raise Outdated(held.version)
        if going and held.state not in GOING:
            raise WrongState(_over(held))
        yield held


def noted(
    project: Project,
    incident: Incident,
    kind: str,
    *,
    user: User | None = None,
    actor: str = "",
    request: HttpRequest | None = None,
    facts: Mapping[str, Any] | None = None,
    action: str = "",
    before: dict[str, Any] | None = None,
    after: dict[str, Any] | None = None,
    at: datetime | None = None,
) -> None:
    """Add a line of `alerts.incidents.timeline.KINDS`, and an entry `action` ("incident.<kind>") to the audit log.

    `kind` "": the audit log alone.
    """
    if kind:
        write.add_event(incident, kind, at or clock.now(), user_id=user.pk if user else None, actor=actor, facts=facts)
    record_in(
        project, action or f"incident.{kind}", ref_of(incident.number), request=request,
        actor=actor or (user.email if user else ""), before=before, after=after,
    )  # fmt: skip


def key_of(incident: Incident, what: str) -> str:
    """The stable key of a transition of the incident's round: "inc:7:r1:opened"."""
    return f"inc:{incident.pk}:r{incident.round}:{what}"


def acknowledge(
    project: Project, number: int, *, user: User | None, request: HttpRequest | None = None, actor: str = ""
) -> bool:
    """Say that somebody is on it; it is theirs where it was nobody's. False where somebody said so before."""
    with holding(project, number) as incident:
        if incident.state != State.OPEN:
            return False
        now = clock.now()
        fields: dict[str, Any] = {"state": State.ACKNOWLEDGED, "acknowledged_at": now, "acknowledged_by": user}
        if incident.assignee_id is None and user is not None:
            fields["assignee"] = user
        write.put(incident, **fields)
        noted(
            project, incident, "acknowledged", user=user, actor=actor, request=request, at=now,
            before={"state": State.OPEN}, after={"state": State.ACKNOWLEDGED, "assignee": incident.assignee_id},
        )  # fmt: skip
        notifying.tell(incident, Told.ACKNOWLEDGED, key_of(incident, "ack"), facts={"by": _who(user, actor)}, at=now)
        _see_alarms(project, incident, user, request, actor)
    return True


def assign(
    project: Project,
    number: int,
    user_id: int | None,
    *,
    user: User | None,
    request: HttpRequest | None = None,
    actor: str = "",
    version: int | None = None,
) -> bool:
    """Give it to a person of the project who may work incidents, or to nobody. False where it is theirs already."""
    name = _worker(project, user_id) if user_id is not None else ""
    with holding(project, number, version=version) as incident:
        if incident.assignee_id == user_id:
            return False
        before = incident.assignee_id
        write.put(incident, assignee_id=user_id)
        facts = {"name": name, "user_id": user_id, "self": user is not None and user.pk == user_id}
        noted(
            project, incident, "assigned", user=user, actor=actor, request=request, facts=facts,
            before={"assignee": before}, after={"assignee": user_id},
        )  # fmt: skip
    return True


def watch(project: Project, number: int, *, user: User, request: HttpRequest | None = None, actor: str = "") -> bool:
    """Let a person be told of it, whatever the routes say. False where they are already."""
    with holding(project, number, going=False) as incident:
        if not write.watch(incident, user.pk, clock.now()):
            return False
        noted(project, incident, "watched", user=user, actor=actor, request=request)
    return True


def unwatch(project: Project, number: int, *, user: User, request: HttpRequest | None = None, actor: str = "") -> bool:
    """Let a person be told no longer but as the routes say. False where they did not watch."""
    with holding(project, number, going=False) as incident:
        if not write.unwatch(incident, user.pk):
            return False
        noted(project, incident, "unwatched", user=user, actor=actor, request=request)
    return True


def comment(
    project: Project, number: int, text: str, *, user: User | None, request: HttpRequest | None = None, actor: str = ""
) -> None:
    """Add a comment to the timeline, of a closed incident too. ItemRefused."""
    told = mask_text(project.pk, checks.text("text", text, COMMENT_MAX, is_needed=True))
    with holding(project, number, going=False) as incident:
        write.put(incident)
        noted(project, incident, "commented", user=user, actor=actor, request=request, facts={"text": told})


def retitle(
    project: Project,
    number: int,
    title: str,
    *,
    user: User | None,
    request: HttpRequest | None = None,
    actor: str = "",
    version: int | None = None,
) -> bool:
    """Call it otherwise. False where it is called that. ItemRefused."""
    told = mask_text(project.pk, checks.title(title))
    with holding(project, number, version=version, going=False) as incident:
        if incident.title == told:
            return False
        before = incident.title
        write.put(incident, title=told)
        noted(
            project, incident, "retitled", user=user, actor=actor, request=request, facts={"before": before},
            before={"title": before}, after={"title": told},
        )  # fmt: skip
    return True


def set_severity(
    project: Project,
    number: int,
    severity: int,
    *,
    user: User | None,
    request: HttpRequest | None = None,
    actor: str = "",
    version: int | None = None,
) -> bool:
    """Set how bad it is; timers follow, and worse is told. False where it is that. ItemRefused."""
    level = checks.severity(severity)
    with holding(project, number, version=version) as incident:
        before = incident.severity
        if before == level:
            return False
        write.put(incident, severity=level)
        write.time_step(incident, get_settings(project.pk))
        noted(
            project, incident, "severity", user=user, actor=actor, request=request,
            facts={"before": before, "severity": level}, before={"severity": before}, after={"severity": level},
        )  # fmt: skip
        if level < before:
            grown_worse(incident, before, by=_who(user, actor))
    return True


def grown_worse(incident: Incident, before: int, *, by: str = "") -> None:
    """Tell that a locked incident is worse than `before`, once for each severity of a round; it ends "until worse"."""
    if incident.muted_until_worse:
        write.put(incident, muted_until_worse=False)
    facts = {"before": before, "severity": incident.severity, "by": by}
    notifying.tell(incident, Told.WORSE, key_of(incident, f"worse:{incident.severity}"), facts=facts)


def mute(
    project: Project,
    number: int,
    *,
    until: datetime | None = None,
    until_worse: bool = False,
    user: User | None,
    request: HttpRequest | None = None,
    actor: str = "",
) -> bool:
    """Tell nobody of it until a moment, or until it gets worse: one of the two. False where that holds. ItemRefused."""
    now = clock.now()
    if (until is not None) == until_worse:
        raise ItemRefused(Fault("until", "is needed", "a moment, or until_worse"))
    if until is not None and not now < until <= now + MUTE_MOST:
        limit = f"after now, at most {MUTE_MOST.days} days ahead"
        raise ItemRefused(Fault("until", "is out of range", limit, until.isoformat()))
    with holding(project, number) as incident:
        before = {"until": _iso(incident.muted_until), "until_worse": incident.muted_until_worse}
        after = {"until": _iso(until), "until_worse": until_worse}
        if before == after:
            return False
        write.put(incident, muted_until=until, muted_until_worse=until_worse)
        facts = {"until": f"{until:%Y-%m-%d %H:%M} UTC"} if until else {}
        noted(
            project, incident, "muted", user=user, actor=actor, request=request, facts=facts, before=before, after=after
        )
    return True


def unmute(
    project: Project, number: int, *, user: User | None, request: HttpRequest | None = None, actor: str = ""
) -> bool:
    """Tell of it again. False where it was not muted."""
    with holding(project, number) as incident:
        if incident.muted_until is None and not incident.muted_until_worse:
            return False
        before = {"until": _iso(incident.muted_until), "until_worse": incident.muted_until_worse}
        write.put(incident, muted_until=None, muted_until_worse=False)
        noted(project, incident, "unmuted", user=user, actor=actor, request=request, before=before)
    return True


def save_draft(project: Project, number: int, step: Step, draft: Mapping[str, Any]) -> None:
    """Keep what was written for a step and not yet finished; it takes the place of the draft before. ItemRefused."""
    told = mask_value(project.pk, checks.body("draft", draft))
    with holding(project, number) as incident:
        write.put_step(write.step_row(incident, step, clock.now()), draft=told)


def finish_step(
    project: Project,
    number: int,
    step: Step,
    outcome: Mapping[str, Any],
    *,
    user: User | None,
    request: HttpRequest | None = None,
    actor: str = "",
    version: int | None = None,
) -> Step:
    """Write what a step came to; the incident goes on to the first step nobody finished. The step it is at now.

    Finishing a step again changes its outcome and moves nothing back. `outcome["words"]` is what the timeline and the
    summary say of it. Somebody who finishes a step of an incident nobody acknowledged is on it. ItemRefused.
    """
    told = mask_value(project.pk, checks.body("outcome", outcome))
    with holding(project, number, version=version) as incident:
        return finish(project, incident, step, told, user=user, request=request, actor=actor)


def finish(
    project: Project,
    incident: Incident,
    step: Step,
    outcome: Mapping[str, Any],
    *,
    user: User | None,
    request: HttpRequest | None = None,
    actor: str = "",
) -> Step:
    """`finish_step` of an incident that the caller holds."""
    now = clock.now()
    row = write.step_row(incident, step, now)
    is_again = row.finished_at is not None
    if is_again and row.outcome == dict(outcome):
        return Step(incident.step)
    before = row.outcome
    write.put_step(
        row, outcome=dict(outcome), draft={}, finished_at=row.finished_at if is_again else now, finished_by=user
    )
    fields: dict[str, Any] = {}
    if step == incident.step:
        left = write.open_steps(incident)
        fields["step"] = left[0] if left else Step.LEARN
    if incident.state == State.OPEN:
        fields |= {"state": State.ACKNOWLEDGED, "acknowledged_at": now, "acknowledged_by": user}
        fields |= {"assignee": user} if incident.assignee_id is None and user is not None else {}
    moved = "step" in fields and fields["step"] != incident.step
    write.put(incident, **fields)
    if moved:
        write.begin_step(incident, Step(incident.step), now, get_settings(project.pk))
    facts = {"step": str(step), "again": is_again, "words": str(outcome.get("words") or "")[:400]}
    noted(
        project, incident, "step", user=user, actor=actor, request=request, facts=facts, action="incident.step", at=now,
        before={"step": str(step), "outcome": before}, after={"step": str(step), "outcome": dict(outcome)},
    )  # fmt: skip
    if "state" in fields:
        notifying.tell(incident, Told.ACKNOWLEDGED, key_of(incident, "ack"), facts={"by": _who(user, actor)}, at=now)
        _see_alarms(project, incident, user, request, actor)
    return Step(incident.step)


def go_back(
    project: Project,
    number: int,
    step: Step,
    *,
    user: User | None,
    request: HttpRequest | None = None,
    actor: str = "",
    version: int | None = None,
) -> bool:
    """Open a step again that was finished; its timer begins anew, its outcome stays until it is finished once more.

    False where the incident is at that step. WrongState for a step it has not come to.
    """
    with holding(project, number, version=version) as incident:
        if incident.step == step:
            return False
        row = write.step_row(incident, step, clock.now())
        if row.finished_at is None:
            raise WrongState(f"{ref_of(incident.number)} has not come to {step} yet: there is nothing to go back to.")
        before = incident.step
        write.put(incident, step=step)
        write.begin_step(incident, step, clock.now(), get_settings(project.pk))
        noted(
            project, incident, "step_back", user=user, actor=actor, request=request, facts={"step": str(step)},
            before={"step": before}, after={"step": str(step)},
        )  # fmt: skip
    return True


def _see_alarms(
    project: Project, incident: Incident, user: User | None, request: HttpRequest | None, actor: str
) -> None:
    """Acknowledge the open alarms of an incident somebody is on, the first of many: their charts say so."""
    going = incident.members.filter(kind=Kind.ALARM, over_at=None, is_page=True).order_by("monitor_id", "pk")
    for ref in going.values_list("ref", flat=True)[:SEEN_MOST]:
        with suppress(alarming.NoAlarm):
            alarming.acknowledge(project, ref, user, request=request, actor=actor)


def _worker(project: Project, user_id: int) -> str:
    """The name of a person of the project who may work incidents. ItemRefused."""
    found = next((row for row in list_people(project) if row.user_id == user_id), None)
    limit = "a person of this project who may work incidents"
    if found is None:
        raise ItemRefused(Fault("user_id", "is nobody of this project", limit, user_id))
    if not is_at_least(found.role, Role.REVIEWER):
        raise ItemRefused(Fault("user_id", "may only look", limit, user_id))
    return found.name


def _who(user: User | None, actor: str) -> str:
    return str(user) if user is not None else actor


def _over(held: Incident) -> str:
    if held.state == State.MERGED:
        into = f" into {ref_of(held.merged_into.number)}" if held.merged_into else ""
        return f"{ref_of(held.number)} was merged{into}: work on that one."
    return f"{ref_of(held.number)} is resolved. Open it again first."


def _iso(at: datetime | None) -> str | None:
    return at.isoformat() if at else None
