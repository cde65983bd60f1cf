"""An incident as its page shows it: the bar of steps with timers, the timeline, the sentences of its head. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from alerts.incidents import timeline
from alerts.incidents.types import STEPS, Settings, State, Step
from alerts.read.incidents import EventRow, IncidentRow, MemberRow, StepRow
from telltale.lib import format as fmt

TITLES: dict[Step, tuple[str, str]] = {
    Step.TRIAGE: ("Triage", "Triage: is it real?"),
    Step.SCOPE: ("Scope", "Scope: who is affected?"),
    Step.ISOLATE: ("Isolate", "Isolate: which change?"),
    Step.RESPOND: ("Respond", "Respond"),
    Step.LEARN: ("Learn", "Learn, then close"),
}
# What a step is for, where it has no timer and is still to come.
ABOUT = {Step.RESPOND: "Roll back or fix", Step.LEARN: "Add cases, then close"}
NEXT = {
    Step.TRIAGE: "Triage it",
    Step.SCOPE: "Scope it",
    Step.ISOLATE: "Find the change",
    Step.RESPOND: "Record the response",
    Step.LEARN: "Learn and close",
}
STATES = {
    State.OPEN: ("bad", "Open"),
    State.ACKNOWLEDGED: ("watch", "Acknowledged"),
    State.RESOLVED: ("ok", "Resolved"),
    State.MERGED: ("none", "Merged"),
}
VERDICTS = {"real": "Real", "false": "False alarm", "": "Nobody said"}
LEVELS = {0: "Harmful or down", 1: "High", 2: "Medium", 3: "Low"}
MEMBERS_TOLD = 3


@dataclass(frozen=True, slots=True)
class Timer:
    """What is left of a step: "24 min left", "5 min over"; `deadline` keeps it moving in the browser, "" without."""

    text: str
    of: str
    deadline: str
    share: int  # of the time that is gone, 0..100
    is_over: bool


@dataclass(frozen=True, slots=True)
class StepLine:
    """One step of the bar and of the page. `css`: done, now or todo; `tail` is told beside its title."""

    step: Step
    number: int
    name: str
    title: str
    css: str
    says: str
    timer: Timer | None
    tail: str
    is_open: bool
    bar: int | None
    is_late: bool
    row: StepRow | None


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a timeline."""

    at: datetime
    says: str
    is_hot: bool
    text: str
    path: str
    who: str


def minutes_words(minutes: float) -> str:
    """A length of time: "30 min", "1 h", "1 h 30 min", "2 days"."""
    whole = max(round(minutes), 0)
    if not whole:
        return "under 1 min"
    if whole < 60:
        return f"{whole} min"
    if whole < 60 * 48:
        hours, rest = divmod(whole, 60)
        return f"{hours} h" if not rest else f"{hours} h {rest} min"
    return f"{round(whole / 1440)} days"


def span_words(length: timedelta) -> str:
    """The same of a length."""
    return minutes_words(length.total_seconds() / 60)


def timer(started_at: datetime, due_at: datetime, now: datetime) -> Timer:
    """What is left of a step until `due_at`."""
    whole, left = (due_at - started_at).total_seconds() / 60, (due_at - now).total_seconds() / 60
    text = f"{minutes_words(left)} left" if left >= 0 else f"{minutes_words(-left)} over"
    # The script that keeps it moving says minutes: only where minutes are said here too.
    deadline = fmt.iso(due_at) if abs(left) < 60 else ""
    gone = 100 if whole <= 0 else min(max(round(100 * (1 - left / whole)), 0), 100)
    return Timer(text, minutes_words(whole), deadline, gone, left < 0)


def steps(incident: IncidentRow, rows: Sequence[StepRow], settings: Settings, now: datetime) -> list[StepLine]:
    """The five steps of the incident's round, those to come too."""
    known = {row.step: row for row in rows if row.round == incident.round}
    return [_step(incident, step, known.get(step), settings, now) for step in STEPS]


def _step(incident: IncidentRow, step: Step, row: StepRow | None, settings: Settings, now: datetime) -> StepLine:
    number, (name, title) = STEPS.index(step) + 1, TITLES[step]
    minutes = settings.timers[incident.severity][step]
    is_now = incident.is_going and step == incident.step
    clock: Timer | None = None
    bar: int | None = None
    if row is not None and row.finished_at is not None and not is_now:
        css = "done"
        took = span_words(row.finished_at - row.started_at)
        of = f" of {span_words(row.due_at - row.started_at)}" if row.due_at else ""
        says = f"Done in {took}{of}"
        bar = timer(row.started_at, row.due_at, row.finished_at).share if row.due_at else None
    elif is_now:
        css = "now"
        says = ABOUT.get(step, "No timer")
        if row is not None and row.due_at is not None:
            clock = timer(row.started_at, row.due_at, now)
            bar = clock.share
    else:
        css = "todo"
        says = minutes_words(minutes) if minutes is not None else ABOUT.get(step, "")
    tail = str(row.outcome.get("words") or "") if row is not None else ""
    is_late = (row.in_time is False if row else False) or (clock.is_over if clock else False)
    return StepLine(step, number, name, title, css, says, clock, tail, is_now, bar, is_late, row)


def lines(events: Sequence[EventRow]) -> list[Line]:
    """A timeline in words, in the order of the rows."""
    return [
        Line(
            row.at,
            timeline.say(row.kind, row.who, {**row.facts, "text": ""}).removesuffix(": ")
            if row.kind == "commented"
            else timeline.say(row.kind, row.who, row.facts),
            timeline.is_hot(row.kind),
            str(row.facts.get("text", "")) if row.kind == "commented" else "",
            str(row.facts.get("path") or ""),
            row.who,
        )
        for row in events
    ]


def lede(incident: IncidentRow, members: Sequence[MemberRow]) -> str:
    """What moved, in a sentence or two: the members that page, the worst and first of them first."""
    paging = sorted((row for row in members if row.is_page), key=lambda row: (row.severity, row.began_at, row.id))
    told = []
    for row in (paging or list(members))[:MEMBERS_TOLD]:
        words = f" ({row.before_now})" if row.before_now else ""
        told.append(f"{row.name} {row.says}{words}")
    more = len(paging or members) - len(told)
    text = "; ".join(told)
    if more > 0:
        text += f"; and {more} more"
    if incident.scope_note:
        return f"{incident.scope_note.rstrip('.')}. {text[:1].upper()}{text[1:]}{'.' if text else ''}".strip()
    return f"{text[:1].upper()}{text[1:]}." if text else ""


def stands(incident: IncidentRow, zone: ZoneInfo, now: datetime) -> str:
    """Where its series stand, in a few words: "out of limits since 08:10", "quiet since 10:05"."""
    if incident.quiet_since is None and not incident.members:
        return ""
    at = fmt.moment(incident.quiet_since or incident.began_at, zone, now, seconds=False).replace("Today", "today")
    return f"{'out of limits' if incident.quiet_since is None else 'quiet'} since {at}"


def headline(rows: Sequence[IncidentRow], now: datetime) -> str:
    """The list's sentence: "Two open incidents; one must be triaged within 12 minutes"."""
    if not rows:
        return "No open incident"
    number = _count(len(rows))
    told = f"{number} open incident{'' if len(rows) == 1 else 's'}"
    late = sum(1 for row in rows if row.is_overdue)
    if late:
        return f"{told}; {_count(late).lower()} {'is' if late == 1 else 'are'} overdue"
    due = min((row for row in rows if row.step_due_at is not None), key=_due, default=None)
    if due is None or due.step_due_at is None:
        return told
    left = (due.step_due_at - now).total_seconds() / 60
    done = {"triage": "triaged", "scope": "scoped", "isolate": "isolated"}.get(due.step, "done")
    return f"{told}; one must be {done} within {minutes_words(max(left, 1))}"


def _due(row: IncidentRow) -> datetime:
    return row.step_due_at or datetime.max.replace(tzinfo=row.opened_at.tzinfo)


def _count(number: int) -> str:
    words = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine")
    return words[number] if number < len(words) else str(number)
