"""The summary of an incident, written from its rows and its timeline: for a page, as Markdown, as JSON.

Nothing here is kept: the summary of a closed incident is read anew and says the same. It claims nothing a person did
not decide: "began with" and "coincides with", never "caused by".
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from alerts.incidents import timeline
from alerts.incidents.types import STEPS, Step
from alerts.read.incidents import (
    EventRow,
    IncidentRow,
    MemberRow,
    StepRow,
    list_events,
    list_members,
    list_steps,
)
from telltale.lib import clock
from telltale.lib import format as fmt

EVENTS_MOST, MEMBERS_MOST = 2_000, 200
LEVELS = {0: "P0, harmful or down", 1: "P1, high", 2: "P2, medium", 3: "P3, low"}
_VERDICTS = {"real": "a real regression", "false": "a false alarm"}
_STEPS = {
    Step.TRIAGE: "Triage: is it real?",
    Step.SCOPE: "Scope: who was affected?",
    Step.ISOLATE: "Isolate: which change?",
    Step.RESPOND: "Respond",
    Step.LEARN: "Learn",
}
_NOBODY_WROTE = "Nobody wrote anything here."


@dataclass(frozen=True, slots=True)
class StepSummary:
    """One step: what it came to, and how long it took. `words` "" where nobody finished it."""

    step: Step
    title: str
    words: str
    took_minutes: float | None
    due_minutes: float | None
    in_time: bool | None
    by: str
    finished_at: datetime | None


@dataclass(frozen=True, slots=True)
class TimelineLine:
    """One line of the timeline, oldest first."""

    at: datetime
    kind: str
    who: str
    words: str


@dataclass(frozen=True, slots=True)
class Summary:
    """Everything a summary says. `lines` are sentences for the head; minutes None: it has not come to that."""

    incident: IncidentRow
    lines: tuple[str, ...]
    members: tuple[MemberRow, ...]
    steps: tuple[StepSummary, ...]
    timeline: tuple[TimelineLine, ...]
    is_cut: bool
    began_to_opened_minutes: float | None
    opened_to_acknowledged_minutes: float | None
    opened_to_closed_minutes: float | None
    made_at: datetime


def summarise(incident: IncidentRow, zone: ZoneInfo) -> Summary:
    """The summary of an incident as it is now. Three queries."""
    now = clock.now()
    members = list_members(incident.id, limit=MEMBERS_MOST)
    events = list_events(incident.id, limit=EVENTS_MOST + 1)
    steps = [row for row in list_steps(incident.id) if row.round == incident.round]
    told = sorted(events[:EVENTS_MOST], key=lambda row: (row.at, row.id))
    return Summary(
        incident=incident,
        lines=tuple(_lines(incident, members, zone, now)),
        members=tuple(members),
        steps=tuple(_step(step, steps) for step in STEPS),
        timeline=tuple(TimelineLine(row.at, row.kind, row.who, _said(row)) for row in told),
        is_cut=len(events) > EVENTS_MOST,
        began_to_opened_minutes=_minutes(incident.began_at, incident.opened_at),
        opened_to_acknowledged_minutes=_minutes(incident.opened_at, incident.acknowledged_at),
        opened_to_closed_minutes=_minutes(incident.opened_at, incident.closed_at),
        made_at=now,
    )


def markdown(summary: Summary, zone: ZoneInfo, url: str = "") -> str:
    """The summary as Markdown; what people and traffic wrote is escaped, so that it stays text."""
    row = summary.incident
    parts = [f"# {row.ref}: {escape(row.title)}", ""]
    parts += [f"- {escape(line)}" for line in summary.lines]
    if url:
        parts.append(f"- Incident: <{url}>")
    parts += ["", "## What moved", ""]
    parts += [f"- {escape(_member(member, zone))}" for member in summary.members] or ["Nothing: it was opened by hand."]
    for step in summary.steps:
        parts += ["", f"## {_STEPS[step.step]}", "", escape(step.words) or _NOBODY_WROTE]
        if step.finished_at is not None:
            by = f" by {escape(step.by)}" if step.by else ""
            late = "" if step.in_time is None else ", in time" if step.in_time else ", late"
            parts += ["", f"Finished {_moment(step.finished_at, zone)}{by}{late}."]
    parts += ["", "## Timeline", "", f"Times in {zone}.", ""]
    parts += [f"- {_moment(line.at, zone)}: {escape(line.words)}" for line in summary.timeline]
    if summary.is_cut:
        parts.append(f"- and more: the newest {EVENTS_MOST} lines are here")
    parts += ["", f"Written by Telltale from the timeline, {_moment(summary.made_at, zone)}.", ""]
    return "\n".join(parts)


def escape(text: str) -> str:
    """Text that Markdown shows as it is, in one line: no heading, list, link, picture or HTML comes of it."""
    plain = " ".join(fmt.visible(text).split())
    return re.sub(r"^(\d+)([.)])(?=\s)", r"\1\\\2", re.sub(r"([\\`*_{}\[\]<>#|~!&]|^[-+](?=\s))", r"\\\1", plain))


def _lines(incident: IncidentRow, members: Sequence[MemberRow], zone: ZoneInfo, now: datetime) -> list[str]:
    where = incident.scope_words
    lines = [
        f"{LEVELS[incident.severity]}; {where}.",
        f"Began {_moment(incident.began_at, zone)}, opened {_moment(incident.opened_at, zone)}"
        f"{_after(incident.began_at, incident.opened_at)}.",
    ]
    if incident.acknowledged_at is not None:
        by = f" by {incident.acknowledged_by}" if incident.acknowledged_by else ""
        lines.append(f"Acknowledged {_moment(incident.acknowledged_at, zone)}{by}.")
    if incident.assignee:
        lines.append(f"Owner: {incident.assignee}.")
    if incident.closed_at is not None and incident.merged_into is None:
        verdict = _VERDICTS.get(incident.verdict, "with no verdict")
        by = f" by {incident.closed_by}" if incident.closed_by else ""
        length = fmt.ago(incident.opened_at, incident.closed_at).removesuffix(" ago")
        lines.append(f"Closed {_moment(incident.closed_at, zone)}{by} after {length}, as {verdict}.")
        if incident.override_reason:
            lines.append(f"Closed although conditions were not met: {incident.override_reason}")
    elif incident.merged_into is not None:
        lines.append(f"Merged into INC-{incident.merged_into}.")
    else:
        lines.append(f"It goes on: {incident.state}, at the step {incident.step}.")
    if incident.quiet_since is not None:
        lines.append(f"Within limits again since {_moment(incident.quiet_since, zone)}.")
    if incident.round > 1:
        lines.append(f"Opened {incident.round} times; the steps below are of the last.")
    if incident.scope_note:
        lines.append(f"Affected: {incident.scope_note}")
    if incident.cause_note:
        lines.append(f"Began with, as people marked it: {incident.cause_note}")
    return lines


def _step(step: Step, rows: Sequence[StepRow]) -> StepSummary:
    row = next((each for each in rows if each.step == step), None)
    if row is None:
        return StepSummary(step, _STEPS[step], "", None, None, None, "", None)
    return StepSummary(
        step,
        _STEPS[step],
        str(row.outcome.get("words") or ""),
        _minutes(row.started_at, row.finished_at),
        _minutes(row.started_at, row.due_at),
        row.in_time,
        row.finished_by,
        row.finished_at,
    )


def _said(row: EventRow) -> str:
    return timeline.say(row.kind, row.who, row.facts)


def _member(row: MemberRow, zone: ZoneInfo) -> str:
    values = f", {row.before_now}" if row.before_now else ""
    n = f", n = {fmt.count(row.n)}" if row.n is not None else ""
    over = f" to {_moment(row.over_at, zone)}" if row.over_at else ""
    page = "" if row.is_page else " (no page)"
    return f"{row.name} {row.says}{values}{n}, from {_moment(row.began_at, zone)}{over}{page}"


def _moment(at: datetime, zone: ZoneInfo) -> str:
    local = at.astimezone(zone)
    return f"{local:%Y-%m-%d %H:%M}"


def _after(start: datetime, end: datetime) -> str:
    return f", {fmt.ago(start, end).removesuffix(' ago')} later" if end > start else ""


def _minutes(start: datetime | None, end: datetime | None) -> float | None:
    return None if start is None or end is None else round((end - start).total_seconds() / 60, 1)


def as_json(summary: Summary) -> Mapping[str, Any]:
    """What REST gives of a summary beside the incident itself."""
    return {
        "lines": list(summary.lines),
        "steps": [
            {
                "step": str(each.step), "title": each.title, "words": each.words, "took_minutes": each.took_minutes,
                "due_minutes": each.due_minutes, "in_time": each.in_time, "finished_by": each.by,
                "finished_at": each.finished_at,
            }
            for each in summary.steps
        ],
        "timeline": [
            {"at": line.at, "kind": line.kind, "who": line.who, "words": line.words} for line in summary.timeline
        ],
        "is_cut": summary.is_cut,
        "began_to_opened_minutes": summary.began_to_opened_minutes,
        "opened_to_acknowledged_minutes": summary.opened_to_acknowledged_minutes,
        "opened_to_closed_minutes": summary.opened_to_closed_minutes,
        "made_at": summary.made_at,
    }  # fmt: skip
