"""Everything that waits for a person in a project, from all rooms, in a number of queries that no size changes."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol, TypeVar

from alerts.monitors.states import Standing
from alerts.pages import words as monitor_words
from alerts.read.alarms import ACKNOWLEDGED, OPEN, AlarmRow, list_alarms
from alerts.read.fronted import proposed_baselines
from alerts.read.incidents import IncidentRow, incidents_of, open_of
from alerts.read.notices import has_channel
from alerts.read.shown import Shown, list_shown
from alerts.read.worth import list_proposals
from evals.read import calibration
from evals.read.flagged_answers import FlaggedAnswer, list_flagged
from evals.read.probing import AlarmView, changes
from evals.read.review import Counts, QueueView, count_items, list_queues
from evals.read.survivorship_kept import read_days
from telltale.lib import format as fmt
from telltale.projects.models import Project
from telltale.web.front import words
from telltale.web.inbox.items import Item, Kind, marked
from telltale.web.inbox.marks import read_marks
from traces.read import TooSlow
from traces.read.asking import asking

FLAGGED_DAYS = timedelta(days=7)
FLAGGED_MOST, INCIDENTS_MOST, ALARMS_MOST, PROBES_MOST, LINES_MOST = 200, 100, 100, 50, 100
TITLE_MOST = 140
STEP_WORDS = {
    "triage": "Triage", "scope": "Scope", "isolate": "Isolate", "respond": "Respond", "learn": "Learn",
}  # fmt: skip
_STUCK = (Standing.BROKEN, Standing.STALE, Standing.UNSTABLE)
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Gathered:
    """What waits. `lacking`: parts that took too long to read, in words; `is_capped`: more answers are flagged."""

    items: tuple[Item, ...]
    lacking: tuple[str, ...] = ()
    is_capped: bool = False


def gather(
    project: Project,
    now: datetime,
    *,
    monitors: Sequence[Shown] | None = None,
    incidents: Sequence[IncidentRow] | None = None,
    alarms: tuple[Sequence[AlarmRow], Mapping[int, int]] | None = None,
    flagged_most: int = FLAGGED_MOST,
) -> Gathered:
    """Everything that waits in a project, put aside or not, in no order.

    `monitors`, `incidents` and `alarms` (the open ones, with the incident of each) where they were read already.
    """
    read = _Read(project, now, monitors, incidents, alarms, flagged_most)
    try:
        # One transaction for all, since each of its own takes three questions more.
        with asking():
            return read.all(lambda _, part: part(), [])
    except TooSlow:
        lacking: list[str] = []

        def alone(name: str, part: Callable[[], list[T]]) -> list[T]:
            try:
                with asking():
                    return part()
            except TooSlow:
                lacking.append(name)
                return []

        return read.all(alone, lacking)


class _Part(Protocol):
    """How a part is read: by itself, or with all the others."""

    def __call__(self, name: str, part: Callable[[], list[T]], /) -> list[T]: ...


@dataclass(frozen=True, slots=True)
class _Read:
    project: Project
    now: datetime
    monitors: Sequence[Shown] | None
    incidents: Sequence[IncidentRow] | None
    alarms: tuple[Sequence[AlarmRow], Mapping[int, int]] | None
    flagged_most: int

    def all(self, part: _Part, lacking: list[str]) -> Gathered:
        """Every part, each read by `part`, which names in `lacking` what took too long."""
        project, now, shown, going = self.project, self.now, self.monitors, self.incidents
        if shown is None:
            shown = part("monitors", lambda: list_shown(project.pk))
        if going is None:
            going = part("incidents", lambda: open_of([project.pk], INCIDENTS_MOST)[project.pk])
        live = [each for each in shown if each.is_on and each.archived_at is None]
        most = self.flagged_most
        flagged = part("flagged answers", lambda: list_flagged(project.pk, now - FLAGGED_DAYS, most + 1))
        items = [incident_item(each, now) for each in going]
        items += part("alarms", lambda: _alarms(project, self.alarms))
        items += part("probes", lambda: _probes(project))
        items += [flagged_item(each) for each in flagged[:most]]
        items += part("review queues", lambda: _queues(project))
        items += part("judges", lambda: _judges(project))
        items += part("user signals", lambda: _signals(project, now))
        items += part("proposals", lambda: [*_baselines(project), *_proposals(project)])
        items += part("channels", lambda: _channels(project, live))
        items += [_monitor(each) for each in live if each.standing in _STUCK][:LINES_MOST]
        return Gathered(tuple(marked(items, read_marks(project.pk))), tuple(lacking), len(flagged) > most)


def incident_item(row: IncidentRow, now: datetime) -> Item:
    """An incident that goes on: which step, how long is left, whose it is."""
    step = STEP_WORDS.get(row.step.value, row.step.value)
    parts = [f"{step}: {left(row.step_due_at, row.step_started_at, now)}."]
    if row.quiet_since is not None:
        parts.append("Quiet now.")
    if row.is_muted(now):
        parts.append("Muted.")
    parts.append(f"{fmt.visible(row.assignee)} has it." if row.assignee else "No owner yet.")
    features = dict(row.scope).get("feature", ())
    return Item(
        kind=Kind.INCIDENT,
        ref=str(row.number),
        title=f"{row.ref} {row.title}",
        detail=" ".join(parts),
        path=row.path,
        action=step if row.acknowledged_at is None or row.step.value == "triage" else "Continue",
        at=row.opened_at,
        severity=row.severity,
        due_at=row.step_due_at,
        owner_id=row.assignee_id,
        owner=row.assignee,
        state=row.state.value,
        is_seen=row.acknowledged_at is not None,
        feature=(features[0] or "") if len(features) == 1 else "",
        number=row.number,
    )


def left(due_at: datetime | None, started_at: datetime | None, now: datetime) -> str:
    """ "12 min left of 30", "24 min over", "no timer"."""
    if due_at is None:
        return "no timer"
    minutes = round((due_at - now).total_seconds() / 60)
    if minutes < 0:
        return f"{words.lag(now - due_at)} over"
    whole = f" of {words.lag(due_at - started_at)}" if started_at is not None else ""
    return f"{words.lag(due_at - now)} left{whole}"


def _alarms(project: Project, read: tuple[Sequence[AlarmRow], Mapping[int, int]] | None) -> list[Item]:
    """Alarms that page and belong to no incident: it was closed or never made; the monitor still says so."""
    if read is not None:
        return [_alarm(row) for row in read[0] if row.is_page and row.id not in read[1]]
    rows = list_alarms(project.pk, states=(OPEN, ACKNOWLEDGED), pages_only=True, limit=ALARMS_MOST)
    known = incidents_of(project.pk, "alarm", [row.id for row in rows])
    return [_alarm(row) for row in rows if row.id not in known]


def _alarm(row: AlarmRow) -> Item:
    return Item(
        kind=Kind.ALARM,
        ref=str(row.id),
        title=f"{row.monitor_name} {monitor_words.happened(row.rule, row.direction)}",
        detail="It belongs to no incident.",
        path=f"monitors/{row.monitor_id}/?alarm={row.id}",
        action="Look",
        at=row.found_at,
        severity=row.severity,
        state=row.state,
        is_seen=row.acknowledged_at is not None,
        owner=row.acknowledged_by,
        number=row.id,
    )


def _probes(project: Project) -> list[Item]:
    rows = changes(project.pk, is_open=True, limit=PROBES_MOST)
    known = incidents_of(project.pk, "probe", [row.id for row in rows])
    return [_probe(row) for row in rows if row.id not in known]


def _probe(row: AlarmView) -> Item:
    n = len(row.series)
    what = f"{n} probe{'' if n == 1 else 's'} of “{row.suite_name}” {'answers' if n == 1 else 'answer'} otherwise"
    return Item(
        kind=Kind.PROBE,
        ref=str(row.id),
        title=f"{row.target.model}: {what}",
        detail="Beyond chance; nobody has said yet whether the model changed.",
        path=f"probes/?suite={row.suite_slug}",
        action="Compare",
        at=row.opened_at,
        severity=2,
        state=row.state,
        is_seen=row.acknowledged_at is not None,
        number=row.id,
    )


def flagged_item(row: FlaggedAnswer) -> Item:
    """An answer that a judge flagged: what was asked, what the judge said of it."""
    criterion = row.criterion.replace("_", " ")
    said = f"{row.judge_name} on {criterion}: {row.reason}" if row.reason else f"Flagged by {row.judge_name}"
    trace = row.trace_id.hex
    return Item(
        kind=Kind.FLAGGED,
        ref=f"{trace}-{row.span_id}" if row.span_id else trace,
        title=cut(row.asked.strip() or "No text was stored", TITLE_MOST),
        detail=cut(" ".join(said.split()), 240),
        path=f"traces/{trace}/",
        action="Open",
        at=row.started_at,
        owner_id=row.assigned_to_id,
        owner=row.assigned_to,
        state="queued" if row.queue else "open",
        feature=row.feature,
        trace_id=row.trace_id,
        span_id=row.span_id,
    )


def _queues(project: Project) -> list[Item]:
    queues = list_queues(project.pk)
    counts = count_items([queue.id for queue in queues])
    return [_queue(queue, counts[queue.id]) for queue in queues if counts[queue.id].waiting][:LINES_MOST]


def _queue(queue: QueueView, counts: Counts) -> Item:
    detail = f"{words.plural(counts.waiting, 'answer')} wait{'s' if counts.waiting == 1 else ''} for a verdict"
    if counts.disputed:
        detail += f", {counts.disputed} with reviewers who disagree"
    return Item(
        kind=Kind.REVIEW,
        # A queue that was put aside comes back when it is due on another day.
        ref=f"{queue.slug[:60]}:{queue.due_at:%Y-%m-%d}" if queue.due_at else queue.slug[:90],
        title=f"Review queue “{queue.name}”",
        detail=f"{detail}.",
        path=f"review/?queue={queue.slug}",
        action="Review",
        at=counts.oldest_at or queue.created_at,
        due_at=queue.due_at,
    )


def _judges(project: Project) -> list[Item]:
    """Judges whose newest version's calibrations failed the gate, or hold no longer: one line a judge and state."""
    latest: dict[tuple[int, str], calibration.CalibrationRow] = {}
    for row in calibration.standing(project.pk):
        held = latest.get((row.judge_id, row.criterion))
        if held is None or row.version > held.version:
            latest[row.judge_id, row.criterion] = row
    grouped: dict[tuple[int, str], list[calibration.CalibrationRow]] = {}
    for row in latest.values():
        if row.state in {"failed", "stale"}:
            grouped.setdefault((row.judge_id, row.state), []).append(row)
    return [_judge(sorted(rows, key=lambda row: row.criterion)) for rows in grouped.values()][:LINES_MOST]


def _judge(rows: Sequence[calibration.CalibrationRow]) -> Item:
    first, newest = rows[0], max(row.computed_at for row in rows)
    criteria = words.listed([row.criterion.replace("_", " ") for row in rows[:4]])
    what = "failed the gate" if first.state == "failed" else "is stale"
    return Item(
        kind=Kind.JUDGE,
        # Calibrated anew, and failed again, it is another one.
        ref=f"{first.judge_id}:{first.state}:{newest:%Y%m%d%H%M%S}",
        title=f"Judge “{first.judge_name}” v{first.version} {what} on {criteria}",
        detail=words_of(calibration.badge_of(first).words),
        path=f"judges/{first.judge_slug}/",
        action="Calibrate",
        at=newest,
    )


def _signals(project: Project, now: datetime) -> list[Item]:
    """The last verdict of the survivorship check, where it says that votes overstate."""
    days = read_days(project.pk, None, (now - timedelta(days=4)).date())
    last = days[-1] if days else None
    if last is None or last.colour != "red":
        return []
    return [
        Item(
            kind=Kind.SIGNALS,
            ref=f"{last.day:%Y-%m}",
            title="Thumbs look better than users feel",
            detail="The votes overstate how many are satisfied: those who vote are not like those who do not.",
            path="signals/",
            action="See why",
            at=last.computed_at,
        )
    ]


def _baselines(project: Project) -> list[Item]:
    return [
        Item(
            kind=Kind.PROPOSAL,
            ref=f"baseline:{row.baseline_id}",
            title=f"A new baseline for “{row.monitor_name}” waits for approval",
            detail=words_of(row.reason) or f"Learned from {row.windows:,} windows.",
            path=f"monitors/{row.monitor_id}/#baseline",
            action="Decide",
            at=row.created_at,
        )
        for row in proposed_baselines(project.pk, LINES_MOST)
    ]


def _proposals(project: Project) -> list[Item]:
    return [
        Item(
            kind=Kind.PROPOSAL,
            ref=f"{row.kind}:{row.id}",
            title=f"“{row.monitor_name}” may {'go' if row.kind == 'retire' else f'be merged into “{row.into_name}”'}",
            detail=words_of(" ".join(words_of(reason) for reason in row.reasons[:2])),
            path="questions/",
            action="Decide",
            at=row.made_at,
        )
        for row in list_proposals(project.pk, states=("open",), limit=LINES_MOST)
    ]


def _channels(project: Project, live: Sequence[Shown]) -> list[Item]:
    """That nobody is told, where something is watched that pages."""
    paging = [each for each in live if each.is_paging]
    if not paging or has_channel(project.pk):
        return []
    return [
        Item(
            kind=Kind.SETUP,
            ref="channels",
            title="Nobody is told when an incident opens",
            detail=f"{words.plural(len(paging), 'monitor')} may page, and the project has no channel that is on.",
            path="settings/channels/",
            action="Add a channel",
            at=min(each.created_at for each in paging),
        )
    ]


def _monitor(each: Shown) -> Item:
    says = monitor_words.says(each.standing, each.standing_words, each.error)
    what = {
        Standing.BROKEN: "cannot be evaluated",
        Standing.STALE: "needs a new baseline",
        Standing.UNSTABLE: "found no steady stretch to learn from",
    }[each.standing]
    return Item(
        kind=Kind.MONITOR,
        ref=f"{each.id}:{each.standing.value}:{each.standing_since:%Y%m%d}",
        title=f"Monitor “{each.name}” {what}",
        detail=words_of(says),
        path=f"monitors/{each.id}/",
        action="Mend",
        at=each.standing_since,
    )


def words_of(text: str) -> str:
    """A text as a sentence: a capital first, a full stop at its end."""
    text = text.strip()
    return f"{text[:1].upper()}{text[1:]}{'' if not text or text[-1] in '.!?' else '.'}"


def cut(text: str, most: int) -> str:
    """The text within so many characters; what is cut off shows."""
    return text if len(text) <= most else f"{text[: most - 1].rstrip()}…"
