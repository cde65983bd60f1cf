"""Closing an incident: what has to stand before it may, and what follows from it.

A person decided, the scope is written, failing cases are in a dataset and one experiment over them is recorded: then
it closes, in the page and by REST alike. An administrator may close it without and has to say why; that is audited.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.http import HttpRequest

from alerts.alarming import NoAlarm
from alerts.alarming import close as close_alarm
from alerts.incidents import checks
from alerts.incidents.types import NOTE_MAX, State, Step, Verdict, WrongState, ref_of
from alerts.models import Alarm, Incident, IncidentMember, IncidentStep, ResponseMade
from alerts.moving import finish, holding, key_of, noted
from alerts.notices.transitions import Kind as Told
from alerts.notifying import tell
from alerts.read.cases import CaseRow, list_cases, tried_of
from alerts.read.incident_settings import get_settings
from alerts.read.incidents import IncidentRow
from alerts.read.triage import FLAGGED, Deal, get_deal
from alerts.write import incidents as write
from evals.keeping import By
from evals.probing.alarms import close as close_probe
from evals.read.probe_alarms import alarms_by_id
from telltale.accounts.models import User
from telltale.audit.log import record_in
from telltale.lib import clock
from telltale.projects.models import Project
from traces.masks import mask_text

REASON_MAX = NOTE_MAX


@dataclass(frozen=True, slots=True)
class Condition:
    """One thing that has to stand before an incident closes. `is_required` False: a warning alone.

    `words` say what, `detail` how far it is: "6 of 16". `key`: decided, scope, cases, experiment, recovered.
    """

    key: str
    words: str
    detail: str
    is_met: bool
    is_required: bool = True


class GateClosed(Exception):
    """The incident may not close yet: `unmet` conditions. `may_override`: this person may with a reason."""

    def __init__(self, unmet: tuple[Condition, ...], *, may_override: bool) -> None:
        super().__init__("; ".join(each.words for each in unmet))
        self.unmet = unmet
        self.may_override = may_override


def conditions(project_id: int, incident: Incident | IncidentRow) -> list[Condition]:
    """What has to stand before this incident closes, in the order in which it is come to."""
    now = clock.now()
    cases = list_cases(project_id, incident.id)
    need, every = cases_needed(project_id, get_deal(incident.id, incident.round, now))
    return [
        _decided(incident),
        Condition(
            "scope", "Scope written", "written" if incident.scope_note else "not written", bool(incident.scope_note)
        ),
        _cases(cases, need, every),
        _experiment(project_id, incident, cases, need),
        _recovered(incident),
    ]


def cases_needed(project_id: int, found: Deal | None) -> tuple[int, int | None]:
    """How many cases a dataset must hold, and how many failing ones are known of (None: nobody looked).

    The project's number, or all there are where they are fewer: what people called real, and flagged ones that nobody
    was dealt.
    """
    least = get_settings(project_id).cases_least
    if found is None:
        return least, None
    arm = found.arm(FLAGGED)
    real = sum(each.verdict == "real" for each in found.items)
    undealt = 0 if found.is_whole else max(found.now.flagged - arm.dealt, 0)
    every = max(real + undealt + (0 if found.is_concluded else arm.left), 0)
    return min(least, max(every, 0)), every


def close(
    project: Project,
    number: int,
    *,
    override_reason: str = "",
    may_override: bool = False,
    user: User | None,
    request: HttpRequest | None = None,
    actor: str = "",
    version: int | None = None,
) -> bool:
    """Close it; False where it is closed. GateClosed where a condition is not met and no reason given, or none may be:
    that is written down.

    Its alarms are called real, as people decided. ItemRefused, NotThere, Outdated, WrongState.
    """
    reason = mask_text(project.pk, checks.text("override_reason", override_reason, REASON_MAX))
    try:
        return _close(
            project, number, reason, may_override=may_override, version=version, user=user, request=request, actor=actor
        )
    except GateClosed as gate:
        record_in(
            project, "incident.close", ref_of(number), request=request, actor=actor or (user.email if user else ""),
            after={"unmet": [each.key for each in gate.unmet], "with_reason": bool(reason)}, outcome="refused",
        )  # fmt: skip
        raise


def _close(
    project: Project,
    number: int,
    reason: str,
    *,
    may_override: bool,
    user: User | None,
    request: HttpRequest | None,
    actor: str,
    version: int | None,
) -> bool:
    with holding(project, number, version=version, going=False) as incident:
        if incident.state == State.RESOLVED:
            return False
        _may_close(incident)
        stands = conditions(project.pk, incident)
        unmet = tuple(each for each in stands if each.is_required and not each.is_met)
        if unmet and not (reason and may_override):
            raise GateClosed(unmet, may_override=may_override)
        if incident.verdict == Verdict.FALSE:
            words = "a false alarm"
        else:
            words = "a real regression" if incident.verdict == Verdict.REAL else "nobody decided what it was"
        if incident.step == Step.LEARN:
            outcome = {"words": _learnt(stands)}
            finish(project, incident, Step.LEARN, outcome, user=user, request=request, actor=actor)
        if unmet:
            missing = ", ".join(each.words.lower() for each in unmet)
            facts = {"words": f"{reason} (missing: {missing})", "reason": reason, "unmet": [each.key for each in unmet]}
            noted(
                project, incident, "overridden", user=user, actor=actor, request=request, facts=facts,
                action="incident.override", after={"reason": reason, "unmet": [each.key for each in unmet]},
            )  # fmt: skip
        _resolve(
            project, incident, incident.verdict, "closed", words, "", reason=reason if unmet else "", user=user,
            request=request, actor=actor,
        )  # fmt: skip
    return True


def close_as_false(
    project: Project,
    incident: Incident,
    note: str,
    outcome: Mapping[str, Any],
    *,
    user: User | None,
    request: HttpRequest | None = None,
    actor: str = "",
) -> None:
    """Close a held incident as a false alarm: it counts in the record of its monitors, whose charts start anew."""
    write.put(incident, verdict=Verdict.FALSE)
    finish(project, incident, Step.TRIAGE, outcome, user=user, request=request, actor=actor)
    _resolve(
        project, incident, Verdict.FALSE, "closed_false", note, note, reason="", user=user, request=request, actor=actor
    )


def _may_close(incident: Incident) -> None:
    """WrongState where the incident was merged into another: that one is closed."""
    if incident.state == State.MERGED:
        raise WrongState(f"{ref_of(incident.number)} was merged into another incident: close that one.")


def _resolve(
    project: Project,
    incident: Incident,
    verdict: str,
    kind: str,
    words: str,
    note: str,
    *,
    reason: str,
    user: User | None,
    request: HttpRequest | None,
    actor: str,
) -> None:
    now, before = clock.now(), incident.state
    write.put(
        incident, state=State.RESOLVED, closed_at=now, closed_by=user, override_reason=reason, muted_until=None,
        muted_until_worse=False,
    )  # fmt: skip
    noted(
        project, incident, kind, user=user, actor=actor, request=request, facts={"words": words, "verdict": verdict},
        action="incident.close", at=now, before={"state": before},
        after={"state": State.RESOLVED, "verdict": verdict, "override_reason": reason},
    )  # fmt: skip
    if verdict in tuple(Verdict):
        _judge_members(project, incident, verdict, note, user=user, request=request, actor=actor)
    who = (user.name or user.email) if user is not None else actor
    tell(incident, Told.RESOLVED, key_of(incident, "resolved"), facts={"by": who, "verdict": verdict}, at=now)


def _judge_members(
    project: Project,
    incident: Incident,
    verdict: str,
    note: str,
    *,
    user: User | None,
    request: HttpRequest | None,
    actor: str,
) -> None:
    """Say of its alarms what people decided, but of those that somebody judged by themselves.

    A probe's alarm is closed where it was false alone: a real one goes on until the model answers as before, or people
    accept the other one.
    """
    members = IncidentMember.objects.filter(incident=incident, kind__in=("alarm", "probe"))
    told = list(members.order_by("ref").values_list("kind", "ref"))
    text = (note or ref_of(incident.number))[:300]
    alarms = Alarm.objects.filter(pk__in=[ref for kind, ref in told if kind == "alarm"], verdict="")
    for ref in sorted(alarms.values_list("pk", flat=True)):
        try:
            close_alarm(project, ref, verdict, text, user, request=request, actor=actor)
        except NoAlarm:
            continue
    if verdict == Verdict.FALSE:
        by = By(user.pk if user is not None else None, actor, request)
        for row in alarms_by_id([ref for kind, ref in told if kind == "probe"], project.pk):
            if row.closed_at is None:
                close_probe(project, row.id, verdict, text, by=by)


def _learnt(stands: Sequence[Condition]) -> str:
    """What the last step came to: "Failing cases added to dataset “returns”: 5 of 5; One experiment …"."""
    return "; ".join(f"{each.words}: {each.detail}" for each in stands if each.key in {"cases", "experiment"})


def _decided(incident: Incident | IncidentRow) -> Condition:
    words = {Verdict.REAL: "a real regression", Verdict.FALSE: "a false alarm"}
    detail = words[Verdict(incident.verdict)] if incident.verdict else "nobody has"
    return Condition("decided", "A person decided real or false alarm", detail, bool(incident.verdict))


def _cases(cases: Sequence[CaseRow], need: int, every: int | None) -> Condition:
    kept = {(case.trace_id, case.span_id) for case in cases if case.is_kept}
    names = sorted({case.dataset_name for case in cases if case.is_kept})
    words = f"Failing cases added to {f'dataset “{names[0]}”' if len(names) == 1 else 'a dataset'}"
    if every == 0:
        return Condition("cases", words, "there are none to add", True)
    return Condition("cases", words, f"{min(len(kept), need)} of {need}", len(kept) >= need)


def _experiment(project_id: int, incident: Incident | IncidentRow, cases: Sequence[CaseRow], need: int) -> Condition:
    words = "One experiment over them recorded"
    if need == 0 and not cases:
        return Condition("experiment", words, "there are no cases to run", True)
    if incident.experiment_id is None:
        return Condition("experiment", words, "none recorded", False)
    tried = tried_of(project_id, incident.experiment_id, cases, began_of(incident))
    if tried is None:
        return Condition("experiment", words, "it was deleted", False)
    if tried.lacking:
        return Condition("experiment", words, tried.lacking, False)
    if tried.covers < need:
        return Condition("experiment", words, f"it ran over {tried.covers} of {need} cases", False)
    return Condition("experiment", words, f"{tried.row.name}, over {tried.covers} of the cases", True)


def _recovered(incident: Incident | IncidentRow) -> Condition:
    words = "Series back within limits"
    made = ResponseMade.objects.filter(incident_id=incident.id, round=incident.round, recovered_at__isnull=False)
    if incident.quiet_since is not None:
        return Condition("recovered", words, f"since {incident.quiet_since:%Y-%m-%d %H:%M} UTC", True, False)
    if made.exists():
        return Condition("recovered", words, "as judged after the response", True, False)
    return Condition("recovered", words, "still outside: a warning, it does not keep it open", False, False)


def began_of(incident: Incident | IncidentRow) -> datetime:
    """When the incident's round began: experiments of a round before say nothing of what came back."""
    if incident.round == 1:
        return min(incident.began_at, incident.opened_at)
    row = IncidentStep.objects.filter(incident_id=incident.id, round=incident.round).order_by("started_at").first()
    return row.started_at if row is not None else incident.opened_at
