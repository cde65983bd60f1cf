"""What people did about it, and whether its series are back by the baseline from before.

Telltale records, it deploys nothing. Recovery is judged by the worker as windows close; a person closes the incident.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from django.db import transaction
from django.http import HttpRequest

from alerts import notifying
from alerts.incidents import checks, recovered
from alerts.incidents.types import NOTE_MAX, NotThere, Step, ref_of
from alerts.models import Incident, ResponseMade
from alerts.monitors.states import PointState
from alerts.moving import finish, holding, key_of, noted
from alerts.notices.transitions import Kind as Told
from alerts.read import points
from alerts.read.alarms import AlarmRow, list_alarms_by_id
from alerts.read.incident_parts import MemberRow, list_members
from alerts.read.incident_settings import get_settings
from alerts.read.monitors import get_monitor
from alerts.stats.recovery import judge_recovery
from alerts.write import incidents as write
from telltale.accounts.models import User
from telltale.lib import clock
from telltale.lib.faults import Fault, ItemRefused
from telltale.lib.format import iso
from telltale.projects.models import Project
from traces.changelog import By, put_changes
from traces.changing.kinds import Kind as ChangeKind
from traces.changing.kinds import Source
from traces.masks import mask_text
from traces.read.changelog import Change, get_change

URL_MAX = 2_000
# Clocks of people and build machines are off a little.
AHEAD = timedelta(minutes=5)
SERIES_MOST, POINTS_MOST = 12, 2_000


def record(
    project: Project,
    number: int,
    kind: str,
    *,
    at: datetime | None = None,
    note: str = "",
    url: str = "",
    as_change: bool = False,
    user: User | None,
    request: HttpRequest | None = None,
    actor: str = "",
    version: int | None = None,
) -> int:
    """Record what was done and when it took effect (`at` None: now), and finish the step; the id of the response.

    `as_change`: also write it into the change log, so that charts and later incidents know of it. ItemRefused,
    NotThere, Outdated, WrongState.
    """
    now = clock.now()
    said, address = _checked(kind, note, url)
    told = mask_text(project.pk, said), mask_text(project.pk, address)
    moment = at or now
    with holding(project, number, version=version) as incident:
        earliest = incident.began_at - timedelta(days=1)
        if not earliest <= moment <= now + AHEAD:
            limit = f"{iso(earliest)} to now"
            raise ItemRefused(Fault("at", "is out of range", limit, iso(moment)))
        row = ResponseMade.objects.create(
            incident=incident, round=incident.round, kind=kind, at=moment, note=told[0], url=told[1], user=user,
            recorded_at=now,
        )  # fmt: skip
        if as_change and kind != "none":
            row.change = _log(project, incident, row, user, request, actor)
            row.save(update_fields=["change"])
        words = _words(row)
        write.put(incident)
        noted(
            project, incident, "response", user=user, actor=actor, request=request,
            facts={"words": words, "response": row.pk}, after={"kind": kind, "at": iso(moment), "url": row.url},
        )  # fmt: skip
        outcome = {"words": words, "response": row.pk, "kind": kind}
        finish(project, incident, Step.RESPOND, outcome, user=user, request=request, actor=actor)
    return row.pk


def withdraw(
    project: Project,
    number: int,
    response_id: int,
    *,
    user: User | None,
    request: HttpRequest | None = None,
    actor: str = "",
) -> None:
    """Take back a response that was recorded by mistake; the change log keeps what it was told. NotThere."""
    with holding(project, number) as incident:
        row = ResponseMade.objects.filter(incident=incident, pk=response_id).first() if response_id < 2**63 else None
        if row is None:
            raise NotThere
        words = f"taken back: {_words(row)}"
        row.delete()
        write.put(incident)
        noted(
            project, incident, "response", user=user, actor=actor, request=request, facts={"words": words},
            action="incident.response_withdrawn",
        )  # fmt: skip


def responded(incidents: Sequence[Incident]) -> list[int]:
    """The ids of those incidents that have a response in their round. One query."""
    rounds = {incident.pk: incident.round for incident in incidents}
    rows = ResponseMade.objects.filter(incident__in=list(rounds)).values_list("incident_id", "round").distinct()
    return [key for key, number in rows if rounds[key] == number]


def look(project: Project, incident: Incident, now: datetime) -> dict[str, Any]:
    """Whether its series are back since the last response, as JSON; what turned is noted and told, once."""
    response = ResponseMade.objects.filter(incident=incident, round=incident.round, at__lte=now).order_by("-at").first()
    if response is None:
        return {"state": "nothing", "series": [], "words": "Nobody recorded a response yet.", "response": None}
    hours = get_settings(project.pk).recovery_hours
    series = _series(project.pk, incident.pk, response.at, hours)
    state = recovered.state_of(series, response.recovered_at is not None)
    body: dict[str, Any] = {
        "state": state,
        "response": response.pk,
        "since": iso(response.at),
        "hours_needed": hours,
        "series": series,
        "recovered_at": iso(response.recovered_at) if response.recovered_at else None,
    }
    body["words"] = recovered.words(body)
    _note(project, incident, response, body, now)
    return body


def _note(project: Project, incident: Incident, response: ResponseMade, body: dict[str, Any], now: datetime) -> None:
    """Write down and tell that it is back, or out again after that."""
    with transaction.atomic():
        if body["state"] == "back" and response.recovered_at is None:
            held = write.lock(project.pk, incident.number)
            if held is None or held.round != response.round:
                return
            ResponseMade.objects.filter(pk=response.pk).update(recovered_at=now)
            body["recovered_at"] = iso(now)
            body["words"] = recovered.words(body)
            key = f"recovered:{response.pk}"
            if write.add_event(held, "recovered", now, facts={"words": body["words"]}, key=key):
                write.put(held)
                notifying.tell(held, Told.RECOVERED, key_of(held, key), facts={"words": body["words"]}, at=now)
        elif body["state"] == "relapsed":
            held = write.lock(project.pk, incident.number)
            if held is not None:
                write.add_event(
                    held, "relapsed", now, facts={"words": body["words"]}, key=f"relapsed:{response.pk}"
                )  # fmt: skip


def _series(project_id: int, incident_id: int, since: datetime, hours: float) -> list[dict[str, Any]]:
    """Each series of the incident since the response, those that may page first, the oldest first."""
    members = [one for one in list_members(incident_id) if one.kind == "alarm" and one.monitor_id is not None]
    alarms = {one.id: one for one in list_alarms_by_id(project_id, [member.ref for member in members])}
    found: dict[int, tuple[MemberRow, AlarmRow]] = {}
    for member in sorted(members, key=lambda one: (not one.is_page, one.severity, one.began_at, one.id)):
        if member.ref in alarms and member.monitor_id is not None:
            found.setdefault(member.monitor_id, (member, alarms[member.ref]))
    told = []
    for monitor_id, (member, alarm) in list(found.items())[:SERIES_MOST]:
        told.append(_one(project_id, monitor_id, member, alarm, since, hours))
    return told


def _one(
    project_id: int, monitor_id: int, member: MemberRow, alarm: AlarmRow, since: datetime, hours: float
) -> dict[str, Any]:
    monitor = get_monitor(project_id, monitor_id)
    rows = points.list_points(monitor_id, alarm.chart_no, member.began_at, limit=POINTS_MOST)
    # A baseline made since then says that the trouble is normal; what came back is judged by the one before.
    own = [row for row in rows if alarm.baseline_id is None or row.baseline_id in {None, alarm.baseline_id}]
    decided = [row for row in own if row.came_to in {PointState.IN_LIMITS, PointState.OUT}]
    during = [row for row in decided if row.end_at <= since]
    after = [row for row in decided if row.start_at >= since]
    length = [(row.end_at - row.start_at) / timedelta(hours=1) for row in after]
    found = judge_recovery(
        [row.z for row in during if row.z is not None],
        np.array([np.nan if row.z is None else row.z for row in after], dtype=np.float64),
        [row.came_to is PointState.OUT for row in after],
        length,
        hours_needed=hours,
    )
    told = recovered.recovery_json(found)
    last = after[-1] if after else None
    told |= {
        "monitor_id": monitor_id,
        "name": monitor.name if monitor is not None else member.name,
        "metric": member.metric,
        "is_page": member.is_page,
        "value": last.now_value if last is not None else None,
        "n": last.now_n if last is not None else None,
        "value_during": _mean([(row.now_value, row.now_n) for row in during]),
        "value_after": _mean([(row.now_value, row.now_n) for row in after[-max(found.windows, 1) :]]),
        "value_before": member.before,
        "judged_to": iso(last.end_at) if last is not None else None,
        "other_baseline": len(rows) - len(own),
    }
    told["words"] = recovered.series_words(told)
    return told


def _mean(values: Sequence[tuple[float | None, int]]) -> float | None:
    known = [(value, max(n, 1)) for value, n in values if value is not None]
    weight = sum(n for _, n in known)
    return sum(value * n for value, n in known) / weight if weight else None


def _checked(kind: object, note: str, url: str) -> tuple[str, str]:
    faults = []
    if not isinstance(kind, str) or kind not in recovered.KINDS:
        faults.append(Fault("kind", "is not accepted", f"one of {', '.join(recovered.KINDS)}", str(kind)[:80]))
    told, address = "", ""
    for field, value, most in (("note", note, NOTE_MAX), ("url", url, URL_MAX)):
        try:
            if field == "note":
                told = checks.text(field, value, most)
            else:
                address = _url(checks.text(field, value, most))
        except ItemRefused as refused:
            faults.extend(refused.faults)
    if faults:
        raise ItemRefused(*faults)
    return told, address


def _url(text: str) -> str:
    if not text:
        return ""
    try:
        parts = urlsplit(text)
        is_good = parts.scheme in {"http", "https"} and bool(parts.hostname)
    except ValueError:
        is_good = False
    if not is_good or not text.isprintable() or " " in text:
        limit = "an address that begins with https:// or http://"
        raise ItemRefused(Fault("url", "is no web address", limit, text[:200]))
    return text


def _words(row: ResponseMade) -> str:
    at = row.at.astimezone(UTC)
    told = f"{recovered.KIND_WORDS[row.kind]} at {at:%Y-%m-%d %H:%M} UTC"
    return f"{told}: {row.note}" if row.note else told


def _log(
    project: Project, incident: Incident, row: ResponseMade, user: User | None, request: HttpRequest | None, actor: str
) -> int | None:
    """The id of the change that says the same in the log; a rollback of a marked cause goes back to what was before."""
    cause = get_change(project.pk, incident.cause_change) if incident.cause_change is not None else None
    item: dict[str, Any] = {
        "at": row.at.isoformat(),
        "note": f"{ref_of(incident.number)}: {row.note or recovered.KIND_WORDS[row.kind]}"[:4000],
        "url": row.url,
        "client_id": f"incident-{incident.number}-response-{row.pk}",
        **_what(row.kind, cause),
    }
    name = (user.name or user.email) if user is not None else actor
    by = By(user.pk if user is not None else None, name, actor, request)
    result = put_changes(project, [item], by, Source.PAGE)[0]
    if result.faults:
        raise ItemRefused(*result.faults)
    return result.id


def _what(kind: str, cause: Change | None) -> dict[str, Any]:
    if kind == "rollback" and cause is not None and cause.kind is not ChangeKind.NOTE:
        return {
            "kind": cause.kind.value, "name": cause.name, "version": cause.previous, "previous": cause.version,
            "service": cause.service, "feature": cause.feature, "environment": cause.environment,
        }  # fmt: skip
    kinds = {"rollback": "deploy", "hotfix": "deploy", "config": "configuration", "provider": "provider"}
    return {"kind": kinds.get(kind, "note"), "name": kind}
