"""From what happened to whom it is told: deliveries are made of transitions that are due, once.

A delivery for each channel a route leads to and each person who watches. What a silence or a mute holds back is a
delivery as well, so that the log shows it, and is looked at again when the silence ends (`alerts.reminding`).
"""

from __future__ import annotations

import logging
from datetime import datetime, timedelta
from typing import Any

from django.db import InterfaceError, OperationalError, transaction
from django.db.models import Q

from alerts.models import Channel, Delivery, Incident, IncidentWatcher, Route, Silence, Transition
from alerts.notices.matching import ENGINE, About, read_hush, read_way
from alerts.notices.outgoing import ChannelKind, carries
from alerts.notices.transitions import Kind
from alerts.read.notice_facts import about_incident, read_about
from alerts.write import notices as write
from alerts.write.notices import Held, Target
from telltale.accounts.models import User
from telltale.lib import clock
from telltale.projects.models import Project

logger = logging.getLogger("telltale.alerts")
# A silence that ends early, or a mute that is taken back, is noticed within this.
LOOK_AGAIN = timedelta(seconds=30)
ROUTE_MOST = 500
# What cannot be routed is tried again after so long, and keeps nothing else waiting meanwhile.
PUT_OFF = timedelta(minutes=1)
# What an escalation comes by: its route is told of what follows, once nobody had acknowledged for so long.
_FOLLOWS = frozenset({Kind.ACKNOWLEDGED, Kind.RECOVERED, Kind.RESOLVED, Kind.WORSE, Kind.REPEAT, Kind.OVERDUE})


def route_due(limit: int = ROUTE_MOST) -> int:
    """Make the deliveries of transitions that are due; how many transitions. Safe to run twice, and at once."""
    done = 0
    while done < limit:
        row = None
        try:
            with transaction.atomic():
                row = write.take_due(clock.now())
                if row is None:
                    break
                route(row)
        except (OperationalError, InterfaceError):
            raise
        except Exception:
            if row is None:
                raise
            logger.exception("transition %s could not be routed and is tried again", row.pk)
            write.put_off(row.pk, clock.now() + PUT_OFF)
        done += 1
    return done


def route(row: Transition) -> int:
    """Make the deliveries of one transition that is held; how many."""
    now = clock.now()
    about = read_about(row)
    incident = Incident.objects.get(pk=row.incident_id) if row.incident_id is not None else None
    channels = _channels(row, about, incident, now)
    targets = [Target(channel_id=channel_id) for channel_id in channels]
    targets += [Target(user_id=user_id) for user_id in _people(row, incident)]
    held = hold_of(row.project_id, about, incident, now)
    ending = _told_before(incident) if incident is not None and about.kind is Kind.RESOLVED else set()
    told = [(target, None if target in ending else held) for target in targets]
    return write.put_deliveries(row, told, now, nobody=_nobody(row.project_id))


def hold_of(project_id: int, about: About, incident: Incident | None, now: datetime) -> Held | None:
    """What holds a message back now: the incident's mute, else a silence; None: nothing.

    Muted until worse, an incident tells when it is worse.
    """
    if about.kind in ENGINE:
        return None
    if incident is not None:
        if incident.muted_until is not None and incident.muted_until > now:
            return Held("muted", min(incident.muted_until, now + LOOK_AGAIN))
        if incident.muted_until_worse and about.kind is not Kind.WORSE:
            return Held("muted", now + LOOK_AGAIN)
    rows = Silence.objects.filter(project_id=project_id, start_at__lte=now, end_at__gt=now, ended_at=None)
    ends = [row.end_at for row in rows if read_hush(row.matches).holds(about)]
    return Held("silenced", min(max(ends), now + LOOK_AGAIN)) if ends else None


def ways(project_id: int | None = None) -> Any:
    """The routes that lead somewhere: on, to channels that are on."""
    rows = Route.objects.filter(is_on=True, channel__is_on=True, channel__archived_at=None)
    return (rows if project_id is None else rows.filter(project_id=project_id)).select_related("channel")


def _channels(row: Transition, about: About, incident: Incident | None, now: datetime) -> list[int]:
    """The channels that routes lead this to, each once."""
    zone = Project.objects.values_list("time_zone", flat=True).get(pk=row.project_id)
    escalated = _escalated(incident) if incident is not None else set()
    found: dict[int, None] = {}
    for each in ways(row.project_id).order_by("id"):
        if about.kind is Kind.UNACKNOWLEDGED:
            fits = each.pk == row.facts.get("route")
        else:
            is_asked = each.after_minutes is None or (each.pk in escalated and about.kind in _FOLLOWS)
            way = read_way(each.severities, each.features, each.kinds, each.hours)
            fits = is_asked and way.fits(about, now, zone)
        if fits and carries(ChannelKind(each.channel.kind), about.kind):
            found[each.channel_id] = None
    return list(found)


def _escalated(incident: Incident) -> set[int]:
    """The routes by which somebody was told in this round that nobody acknowledged."""
    prefix = f"inc:{incident.pk}:r{incident.round}:"
    rows = Transition.objects.filter(
        incident=incident, kind=Kind.UNACKNOWLEDGED, key__startswith=prefix
    ).values_list("facts", flat=True)  # fmt: skip
    return {facts["route"] for facts in rows if isinstance(facts.get("route"), int)}


def _people(row: Transition, incident: Incident | None) -> list[int]:
    """Who watches the incident or owns it, and may still see it; not who made it happen."""
    if incident is None:
        return []
    wanted = set(IncidentWatcher.objects.filter(incident=incident).values_list("user_id", flat=True))
    if incident.assignee_id is not None:
        wanted.add(incident.assignee_id)
    done_by = {Kind.ACKNOWLEDGED: incident.acknowledged_by_id, Kind.RESOLVED: incident.closed_by_id}
    wanted.discard(row.facts.get("user_id") or done_by.get(Kind(row.kind)) or 0)
    return sorted(members_among(row.project_id, wanted)) if wanted else []


def members_among(project_id: int, user_ids: set[int]) -> set[int]:
    """Those of some people who are in the project, or own its organisation, and can sign in."""
    member = Q(project_members__project_id=project_id)
    owner = Q(organisation_members__is_owner=True, organisation_members__organisation__projects__id=project_id)
    found = User.objects.filter(member | owner, pk__in=user_ids, is_active=True)
    return set(found.values_list("pk", flat=True))


def _told_before(incident: Incident) -> set[Target]:
    """Who was told of this incident: what ended is told to them whatever is silenced, or they would wait for ever."""
    rows = Delivery.objects.filter(transition__incident=incident, state="delivered")
    return {Target(channel_id, user_id) for channel_id, user_id in rows.values_list("channel_id", "user_id")}


def _nobody(project_id: int) -> str:
    """Why nobody is told."""
    if not Channel.objects.filter(project_id=project_id, archived_at=None).exists():
        return "Nobody was told: the project has no channel."
    return "Nobody was told: no route leads this to a channel that is on."


__all__ = ["about_incident", "hold_of", "members_among", "route", "route_due", "ways"]
