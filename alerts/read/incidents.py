"""The door to incidents: lists, one, its members, steps, timeline and watchers. Frozen rows, constant query counts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from django.db.models import CharField, Count, DateTimeField, F, IntegerField, OuterRef, Q, QuerySet, Subquery, Value
from django.db.models.functions import Coalesce, NullIf

from alerts.incidents import scopes
from alerts.incidents.types import GOING, Scope, State, Step, ref_of
from alerts.models import Incident, IncidentMember, IncidentStep
from alerts.read.incident_parts import EventRow as EventRow
from alerts.read.incident_parts import MemberRow as MemberRow
from alerts.read.incident_parts import StepRow as StepRow
from alerts.read.incident_parts import WatcherRow as WatcherRow
from alerts.read.incident_parts import list_events as list_events
from alerts.read.incident_parts import list_members as list_members
from alerts.read.incident_parts import list_steps as list_steps
from alerts.read.incident_parts import list_watchers as list_watchers
from alerts.read.incident_parts import members_of as members_of
from alerts.read.incident_parts import steps_in_time as steps_in_time
from telltale.lib import clock

FAR = datetime(9999, 1, 1, tzinfo=UTC)
Sort = Literal["opened", "time_left", "closed"]
Spot = tuple[datetime, int]


@dataclass(frozen=True, slots=True)
class IncidentRow:
    """One incident. `scope` {}: the whole project. `members`: alarms and others that belong to it, over or not.

    `step_due_at` None: the current step has no timer (or the incident is over). `is_overdue` is as of the reading.
    `verdict` "": nobody decided. `path` is its page below /p/<slug>/.
    """

    id: int
    project_id: int
    number: int
    title: str
    severity: int
    state: State
    step: Step
    round: int
    origin: str
    scope: Scope
    opened_at: datetime
    began_at: datetime
    last_moved_at: datetime
    quiet_since: datetime | None
    acknowledged_at: datetime | None
    acknowledged_by: str
    assignee_id: int | None
    assignee: str
    muted_until: datetime | None
    muted_until_worse: bool
    verdict: str
    scope_note: str
    cause_change: int | None
    cause_note: str
    dataset_id: int | None
    experiment_id: int | None
    closed_at: datetime | None
    closed_by: str
    override_reason: str
    merged_into: int | None
    split_from: int | None
    created_by: str
    version: int
    members: int
    step_started_at: datetime | None
    step_due_at: datetime | None
    is_overdue: bool

    @property
    def ref(self) -> str:
        return ref_of(self.number)

    @property
    def sev(self) -> str:
        """p0 to p3, as badges are named."""
        return f"p{self.severity}"

    @property
    def path(self) -> str:
        return f"incidents/{self.number}/"

    @property
    def is_going(self) -> bool:
        """Whether people still work on it: open or acknowledged."""
        return self.state in GOING

    @property
    def scope_words(self) -> str:
        return scopes.words(self.scope)

    def is_muted(self, now: datetime) -> bool:
        """Whether nobody is told of it now: until a time, or until it gets worse."""
        return self.muted_until_worse or (self.muted_until is not None and self.muted_until > now)


def get_incident(project_id: int, number: int) -> IncidentRow | None:
    """One incident of a project by its number; None where there is none. One query."""
    found = _rows(Incident.objects.filter(project_id=project_id, number=number)) if 0 < number < 2**31 else []
    return found[0] if found else None


def get_by_id(project_id: int, incident_id: int) -> IncidentRow | None:
    """One incident of a project by the id of its row; None where there is none. One query."""
    found = _rows(Incident.objects.filter(project_id=project_id, pk=incident_id))
    return found[0] if found else None


def list_incidents(
    project_id: int,
    *,
    states: Sequence[str] = (),
    severities: Sequence[int] = (),
    steps: Sequence[str] = (),
    verdicts: Sequence[str] = (),
    assignee_id: int | None = None,
    unassigned: bool = False,
    feature: str = "",
    q: str = "",
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 50,
    after: Spot | None = None,
    sort: Sort = "opened",
) -> list[IncidentRow]:
    """Incidents of a project. One query.

    `sort`: "opened" newest first; "time_left": what is due first, those without a timer last; "closed": closed last
    first. `after`: `spot_of` the last row of the page before, of the same sort. `since`, `until`: opened in
    [since, until) (of "closed": closed).
    """
    rows = Incident.objects.filter(project_id=project_id)
    if states:
        rows = rows.filter(state__in=[str(state) for state in states])
    if severities:
        rows = rows.filter(severity__in=list(severities))
    if steps:
        rows = rows.filter(step__in=[str(step) for step in steps])
    if verdicts:
        rows = rows.filter(verdict__in=list(verdicts))
    if assignee_id is not None:
        rows = rows.filter(assignee_id=assignee_id)
    if unassigned:
        rows = rows.filter(assignee=None)
    if feature:
        rows = rows.filter(scope__feature__contains=[feature])
    if q:
        rows = rows.filter(_matches(q))
    field = "closed_at" if sort == "closed" else "opened_at"
    if sort == "closed":
        rows = rows.filter(closed_at__isnull=False)
    if since is not None:
        rows = rows.filter(**{f"{field}__gte": since})
    if until is not None:
        rows = rows.filter(**{f"{field}__lt": until})
    rows = _annotated(rows)
    if sort == "time_left":
        rows = rows.annotate(place=Coalesce("step_due", Value(FAR, output_field=DateTimeField())))
        if after is not None:
            rows = rows.filter(Q(place__gt=after[0]) | Q(place=after[0], pk__gt=after[1]))
        return _made(rows.order_by("place", "pk")[:limit])
    if after is not None:
        rows = rows.filter(Q(**{f"{field}__lt": after[0]}) | Q(**{field: after[0]}, pk__lt=after[1]))
    return _made(rows.order_by(f"-{field}", "-pk")[:limit])


def spot_of(row: IncidentRow, sort: Sort) -> Spot:
    """Where a row stands in a sort: what the next page begins after."""
    if sort == "time_left":
        return row.step_due_at or FAR, row.id
    return (row.closed_at or row.opened_at) if sort == "closed" else row.opened_at, row.id


def count_open(project_id: int) -> int:
    """How many incidents of a project are open or acknowledged. One query."""
    return Incident.objects.filter(project_id=project_id, state__in=GOING).count()


def open_of(project_ids: Iterable[int], limit: int = 200) -> dict[int, list[IncidentRow]]:
    """The incidents that go on of some projects, the worst and oldest first; each project has an entry. One query."""
    found: dict[int, list[IncidentRow]] = {project_id: [] for project_id in project_ids}
    rows = Incident.objects.filter(project_id__in=list(found), state__in=GOING)
    for row in _made(_annotated(rows).order_by("severity", "opened_at", "pk")[:limit]):
        found[row.project_id].append(row)
    return found


@dataclass(frozen=True, slots=True)
class Tally:
    """Incidents of a stretch by what people decided. `median_hours` from opened to closed, None without any."""

    closed: int
    real: int
    false: int
    hours: tuple[float, ...]

    @property
    def median_hours(self) -> float | None:
        if not self.hours:
            return None
        middle = len(self.hours) // 2
        return self.hours[middle] if len(self.hours) % 2 else (self.hours[middle - 1] + self.hours[middle]) / 2


def tally_closed(project_id: int, start: datetime, end: datetime) -> Tally:
    """What was closed in [start, end). One query, over at most 2,000 incidents."""
    rows = list(
        Incident.objects.filter(
            project_id=project_id, state=State.RESOLVED, closed_at__gte=start, closed_at__lt=end
        ).values_list("verdict", "opened_at", "closed_at")[:2_000]
    )
    hours = sorted((closed - opened).total_seconds() / 3600 for _, opened, closed in rows if closed)
    verdicts = [verdict for verdict, _, _ in rows]
    return Tally(len(rows), verdicts.count("real"), verdicts.count("false"), tuple(hours))


def incidents_of(project_id: int, kind: str, refs: Sequence[int]) -> dict[int, tuple[int, str]]:
    """Number and state of the incident that some alarms (or others of a kind) belong to, by their id. One query."""
    rows = IncidentMember.objects.filter(project_id=project_id, kind=kind, ref__in=list(refs))
    return {
        ref: (number, state) for ref, number, state in rows.values_list("ref", "incident__number", "incident__state")
    }


def _matches(text: str) -> Q:
    digits = text.strip().upper().removeprefix("INC-")
    found = Q(title__icontains=text.strip())
    return found | Q(number=int(digits)) if digits.isascii() and digits.isdigit() and len(digits) < 10 else found


def _annotated(rows: QuerySet[Incident]) -> QuerySet[Incident]:
    members = (
        IncidentMember.objects.filter(incident=OuterRef("pk")).order_by().values("incident").annotate(n=Count("pk"))
    )
    step = IncidentStep.objects.filter(incident=OuterRef("pk"), round=OuterRef("round"), step=OuterRef("step"))
    return rows.annotate(
        n_members=Coalesce(Subquery(members.values("n")[:1], output_field=IntegerField()), 0),
        step_started=Subquery(step.values("started_at")[:1]),
        step_due=Subquery(step.filter(finished_at=None).values("due_at")[:1]),
        merged_number=F("merged_into__number"),
        split_number=F("split_from__number"),
        assignee_name=_name("assignee"),
        acknowledger=_name("acknowledged_by"),
        closer=_name("closed_by"),
        creator=_name("created_by"),
    )


def _name(field: str) -> Coalesce:
    """A person's name, else the address, "" where nobody is."""
    named = NullIf(F(f"{field}__name"), Value(""))
    return Coalesce(named, F(f"{field}__email"), Value(""), output_field=CharField())


def _rows(rows: QuerySet[Incident]) -> list[IncidentRow]:
    return _made(_annotated(rows))


def _made(rows: Iterable[Any]) -> list[IncidentRow]:
    now = clock.now()
    return [_row(row, now) for row in rows]


def _row(row: Any, now: datetime) -> IncidentRow:
    state = State(row.state)
    due = row.step_due if state in GOING else None
    return IncidentRow(
        id=row.pk,
        project_id=row.project_id,
        number=row.number,
        title=row.title,
        severity=row.severity,
        state=state,
        step=Step(row.step),
        round=row.round,
        origin=row.origin,
        scope=scopes.read(row.scope),
        opened_at=row.opened_at,
        began_at=row.began_at,
        last_moved_at=row.last_moved_at,
        quiet_since=row.quiet_since,
        acknowledged_at=row.acknowledged_at,
        acknowledged_by=row.acknowledger,
        assignee_id=row.assignee_id,
        assignee=row.assignee_name,
        muted_until=row.muted_until,
        muted_until_worse=row.muted_until_worse,
        verdict=row.verdict,
        scope_note=row.scope_note,
        cause_change=row.cause_change,
        cause_note=row.cause_note,
        dataset_id=row.dataset_id,
        experiment_id=row.experiment_id,
        closed_at=row.closed_at,
        closed_by=row.closer,
        override_reason=row.override_reason,
        merged_into=row.merged_number,
        split_from=row.split_number,
        created_by=row.creator,
        version=row.version,
        members=row.n_members,
        step_started_at=row.step_started,
        step_due_at=due,
        is_overdue=due is not None and due < now,
    )
