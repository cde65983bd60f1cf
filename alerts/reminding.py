"""What time alone makes happen: escalations, reminders, and messages whose silence has ended."""

from __future__ import annotations

from datetime import datetime, timedelta

from django.db import transaction
from django.db.models import Max, Q

from alerts import notifying
from alerts.incidents.types import GOING, State
from alerts.models import Channel, Delivery, Incident, NoticeSettings, Transition
from alerts.notices.matching import About, read_way
from alerts.notices.settings import REPEAT_MINUTES
from alerts.notices.transitions import GROUPED, Kind
from alerts.read.notice_facts import about_incident, read_about
from alerts.routing import hold_of, ways
from alerts.write import notices as write
from telltale.lib import clock
from telltale.projects.models import Project

HELD_MOST = 500
HELD = ("silenced", "muted")
# What is still worth telling when a silence ends: that there is trouble, not what was done about it meanwhile.
_RELEASED = frozenset({Kind.OPENED, Kind.REOPENED, Kind.WORSE, Kind.UNACKNOWLEDGED, Kind.BUDGET})
_REMINDS = frozenset({*GROUPED, Kind.WORSE, Kind.REPEAT})
# A budget that passed its mark longer ago is no news.
BUDGET_STALE = timedelta(days=1)


def remind() -> int:
    """Escalate, repeat and release what is due, end what can go nowhere; how many. Safe to run twice, and at once."""
    now = clock.now()
    return escalate(now) + repeat(now) + release(now) + write.drop_shut(now)


def escalate(now: datetime) -> int:
    """Tell those who are to be told when nobody acknowledged for so long, once a round and route."""
    routes = list(ways().filter(after_minutes__isnull=False))
    if not routes:
        return 0
    projects = {route.project_id for route in routes}
    zones = dict(Project.objects.filter(pk__in=projects).values_list("pk", "time_zone"))
    rows = Incident.objects.filter(project_id__in=projects, state=State.OPEN).annotate(
        begun=Max("transitions__at", filter=Q(transitions__kind__in=[str(kind) for kind in GROUPED]))
    )
    told = set(
        Transition.objects.filter(incident__in=[row.pk for row in rows], kind=Kind.UNACKNOWLEDGED).values_list(
            "key", flat=True
        )
    )
    done = 0
    for row in rows:
        about: About | None = None
        for route in routes:
            key = f"inc:{row.pk}:r{row.round}:unacknowledged:{route.pk}"
            due = max(row.begun or row.opened_at, route.created_at) + timedelta(minutes=route.after_minutes)
            if route.project_id != row.project_id or key in told or due > now:
                continue
            way = read_way(route.severities, route.features, (), route.hours)
            about = about or about_incident(row, Kind.UNACKNOWLEDGED)
            if way.fits(about, now, zones[row.project_id]):
                done += _tell_open(row.pk, Kind.UNACKNOWLEDGED, key, {"route": route.pk}, now)
    return done


def repeat(now: datetime) -> int:
    """Tell again of incidents that nobody has acknowledged, every so often; in projects that have a channel."""
    projects = Channel.objects.filter(is_on=True, archived_at=None).values("project_id")
    rows = list(
        Incident.objects.filter(state=State.OPEN, project_id__in=projects, muted_until_worse=False)
        .exclude(muted_until__gt=now)
        .annotate(last=Max("transitions__at", filter=Q(transitions__kind__in=[str(kind) for kind in _REMINDS])))
        .filter(last__isnull=False)
    )
    if not rows:
        return 0
    settings = NoticeSettings.objects.filter(project_id__in={row.project_id for row in rows})
    minutes = dict(settings.values_list("project_id", "repeat_minutes"))
    done = 0
    for row in rows:
        every = minutes.get(row.project_id, REPEAT_MINUTES)
        if every is None or row.last + timedelta(minutes=every) > now:
            continue
        number = Transition.objects.filter(incident=row, kind=Kind.REPEAT).count() + 1
        key = f"inc:{row.pk}:r{row.round}:repeat:{number}"
        done += _tell_open(row.pk, Kind.REPEAT, key, {}, now)
    return done


def _tell_open(incident_id: int, kind: Kind, key: str, facts: dict[str, int], now: datetime) -> int:
    """Tell of an incident that is open still; whoever acknowledges it at this moment is waited for."""
    with transaction.atomic():
        held = Incident.objects.select_for_update(no_key=True).filter(pk=incident_id, state=State.OPEN).first()
        if held is None:
            return 0
        notifying.tell(held, kind, key, facts=facts, at=now)
    return 1


def release(now: datetime) -> int:
    """Look again at what a silence or a mute held back: what still goes on is told, late; the rest ends untold."""
    done = 0
    for _ in range(HELD_MOST):
        with transaction.atomic():
            rows = Delivery.objects.select_for_update(no_key=True, skip_locked=True, of=("self",))
            held = rows.filter(state__in=HELD, ended_at=None, next_at__lte=now).order_by("next_at")
            row = held.select_related("transition__incident").first()
            if row is None:
                return done
            done += _look_again(row, now)
    return done


def _look_again(row: Delivery, now: datetime) -> int:
    told, incident = row.transition, row.transition.incident
    kind = Kind(told.kind)
    is_going = incident.state in GOING if incident is not None else told.at > now - BUDGET_STALE
    if not is_going or kind not in _RELEASED or _is_outdone(row):
        return _put(row, ended_at=now)
    again = hold_of(row.project_id, read_about(told), incident, now)
    if again is not None:
        return _put(row, state=again.state, next_at=again.until)
    if kind is Kind.UNACKNOWLEDGED and incident is not None and incident.state != State.OPEN:
        return _put(row, ended_at=now)
    return _put(row, state="waiting", next_at=now, created_at=now) + 1


def _is_outdone(row: Delivery) -> bool:
    """Whether a later message to the same receiver says the same trouble and more."""
    if row.transition.incident_id is None:
        return False
    receiver = Q(channel_id=row.channel_id) if row.channel_id is not None else Q(channel=None, user_id=row.user_id)
    later = Delivery.objects.filter(
        receiver, transition__incident_id=row.transition.incident_id, pk__gt=row.pk,
        transition__kind__in=[str(kind) for kind in _RELEASED],
    )  # fmt: skip
    # What came to nothing told nobody.
    later = later.exclude(state__in=("dropped", "failed")).exclude(state__in=HELD, ended_at__isnull=False)
    incident = row.transition.incident
    if incident is not None and incident.state != State.OPEN:
        # That nobody acknowledged it is not true any more: held still, it will end untold.
        later = later.exclude(transition__kind=Kind.UNACKNOWLEDGED, state__in=HELD)
    return later.exists()


def _put(row: Delivery, **fields: object) -> int:
    for name, value in fields.items():
        setattr(row, name, value)
    row.save(update_fields=list(fields))
    return 0
