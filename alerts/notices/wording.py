"""What people are told, in words: what moved, by how much, since when, what changed before it, what to do next. Pure.

A message never says why: "began with", "before it", never "caused by". Unknown is said, never 0.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta
from typing import Any

from alerts.incidents.wording import number
from alerts.notices.messages import Line, Message, Stage, one_line
from alerts.notices.told import Moved, Told, Trouble
from alerts.notices.transitions import Kind
from telltale.lib import format as fmt
from telltale.lib.clock import zone_of

HEADLINE_MAX, SUMMARY_MAX, VALUE_MAX, LABEL_MAX = 240, 1_000, 500, 60
MOVED_MOST = 4
STAGES = {
    Kind.OPENED: Stage.OPEN,
    Kind.WORSE: Stage.OPEN,
    Kind.REOPENED: Stage.OPEN,
    Kind.REPEAT: Stage.OPEN,
    Kind.OVERDUE: Stage.NOTE,
    Kind.UNACKNOWLEDGED: Stage.OPEN,
    Kind.ACKNOWLEDGED: Stage.SEEN,
    Kind.RECOVERED: Stage.NOTE,
    Kind.RESOLVED: Stage.OVER,
    Kind.ENGINE_STANDS: Stage.OPEN,
    Kind.ENGINE_RUNS: Stage.OVER,
    Kind.BUDGET: Stage.OPEN,
    Kind.TEST: Stage.OPEN,
}
# What happened to an incident, in the word of its headline.
WORDS = {
    Kind.OPENED: "opened",
    Kind.WORSE: "got worse",
    Kind.REOPENED: "is back",
    Kind.REPEAT: "is still open",
    Kind.OVERDUE: "is overdue",
    Kind.UNACKNOWLEDGED: "has not been acknowledged",
    Kind.ACKNOWLEDGED: "acknowledged",
    Kind.RECOVERED: "is back within limits",
    Kind.RESOLVED: "resolved",
}
TYPES = {
    Kind.ENGINE_STANDS: "engine.stands",
    Kind.ENGINE_RUNS: "engine.runs",
    Kind.BUDGET: "budget.alert",
    Kind.TEST: "test",
}
_VERDICTS = {"real": "a real failure", "false": "a false alarm"}
_STEPS = {"triage": "Triage", "scope": "Scope", "isolate": "Isolate", "respond": "Respond", "learn": "Learn"}


def write(told: Told) -> Message:
    """The message of a transition."""
    trouble = told.trouble
    if trouble is None:
        return _of_project(told)
    severity = told.severity if told.severity is not None and told.kind in (Kind.OPENED, Kind.WORSE) else None
    level = trouble.severity if severity is None else severity
    ref = f"INC-{trouble.number}"
    headline = f"P{level} {ref} {WORDS.get(told.kind, told.kind.value)}: {trouble.title}"
    feature = trouble.features[0] if len(trouble.features) == 1 else ""
    return _message(
        told,
        severity=level,
        ref=ref,
        thread=thread_of(told.base, told.project, f"incident-{trouble.id}"),
        headline=headline,
        summary=_summary(told, trouble),
        lines=_lines(told, trouble),
        path=f"/p/{told.project}/incidents/{trouble.number}/",
        link=f"Open {ref}",
        feature=feature,
        metric=trouble.moved[0].metric if trouble.moved else "",
        data=_data(told, trouble, level),
    )


def thread_of(base: str, project: str, what: str) -> str:
    """The name under which receivers hold what a message is about; another installation's never is the same."""
    return f"telltale-{hashlib.sha256(base.encode()).hexdigest()[:8]}-{project}-{what}"


def moved_words(moved: Moved) -> str:
    """ "Returns: judge score fell below its lower limit: 4.31 → 3.76 (95% CI 3.61–3.91), n = 212"."""
    said = f"{moved.name} {moved.says}"
    told = value_words(moved)
    return f"{said}: {told}" if told else said


def value_words(moved: Moved) -> str:
    """By how much, with the interval of the value and n; "" where nothing is known of it."""
    if moved.value is None:
        return ""
    said = number(moved.metric, moved.value)
    if moved.before is not None:
        said = f"{number(moved.metric, moved.before)} {fmt.ARROW} {said}"
    if moved.low is not None and moved.high is not None:
        low, high = number(moved.metric, moved.low), number(moved.metric, moved.high)
        said += f" (95% CI {low}{' to ' if moved.low < 0 else fmt.EN_DASH}{high})"
    return f"{said}, n = {fmt.count(moved.n)}" if moved.n else said


def expected_words(false_a_week: float | None) -> str:
    """How often the monitor alarms while nothing is wrong; "" where that does not follow from the alert budget."""
    if false_a_week is None or false_a_week <= 0:
        return ""
    hours = 168 / false_a_week
    if hours < 48:
        often = f"{max(round(hours), 1)} h"
    elif hours < 60 * 24:
        often = f"{round(hours / 24)} days"
    else:
        weeks = round(hours / 168)
        often = f"{weeks} weeks" if weeks < 104 else f"{round(weeks / 52)} years"
    return f"about once in {often} by chance alone"


def _summary(told: Told, trouble: Trouble) -> str:
    said = str(told.facts.get("words") or "")
    own = {
        Kind.OVERDUE: _overdue(told),
        Kind.ACKNOWLEDGED: _by(told, "is on it.", "Somebody is on it."),
        Kind.RESOLVED: _resolved(told, trouble),
        Kind.REPEAT: f"Nobody has acknowledged it for {_span(told.at - trouble.opened_at)}.",
        Kind.UNACKNOWLEDGED: f"Nobody has acknowledged it for {_span(told.at - trouble.opened_at)}.",
        Kind.REOPENED: f"The same series alarmed again: it is open again, for the {_ordinal(trouble.round)} time.",
        Kind.RECOVERED: "The series is back within its limits.",
    }.get(told.kind, "")
    moved = moved_words(trouble.moved[0]) + "." if trouble.moved and STAGES[told.kind] is Stage.OPEN else ""
    return " ".join(part for part in (moved, said or own) if part)


def _overdue(told: Told) -> str:
    step = _STEPS.get(str(told.facts.get("step")), "A step")
    due = _moment(told.facts.get("due_at"))
    return f"{step} should have been done by {_at(due, told)}." if due else f"{step} is not done in its time."


def _resolved(told: Told, trouble: Trouble) -> str:
    verdict = _VERDICTS.get(str(told.facts.get("verdict") or trouble.verdict), "")
    return _by(told, f"closed it: {verdict}." if verdict else "closed it.", f"It was {verdict}." if verdict else "")


def _by(told: Told, words: str, otherwise: str) -> str:
    who = str(told.facts.get("by") or "")
    return f"{who} {words}" if who else otherwise


def _lines(told: Told, trouble: Trouble) -> list[Line]:
    lines = [Line("Where", trouble.scope), Line("Began", f"{_at(trouble.began_at, told)}")]
    for moved in trouble.moved[1:MOVED_MOST]:
        lines.append(Line("Also moved", moved_words(moved)))
    more = trouble.others + max(len(trouble.moved) - MOVED_MOST, 0)
    if more:
        lines.append(Line("And", f"{more} more alarm{'' if more == 1 else 's'} of the same trouble"))
    if trouble.quiet_since is not None:
        lines.append(Line("Quiet since", _at(trouble.quiet_since, told)))
    if trouble.change is not None:
        before = trouble.began_at - trouble.change.at
        when = f"{_span(before)} before it began" if before > timedelta(0) else "within its first window"
        lines.append(Line("Last change", f"{trouble.change.title}, {_at(trouble.change.at, told)}, {when}"))
    elif STAGES[told.kind] is Stage.OPEN and trouble.moved and trouble.is_change_known:
        lines.append(Line("Last change", "none in the log in the day before it began"))
    expected = expected_words(trouble.moved[0].false_a_week) if trouble.moved else ""
    if expected and STAGES[told.kind] is Stage.OPEN:
        lines.append(Line("This monitor alarms", expected))
    if trouble.state in {"open", "acknowledged"}:
        step = _STEPS.get(trouble.step, trouble.step)
        owner = f", {trouble.assignee}" if trouble.assignee else ", nobody owns it yet"
        lines.append(Line("Next step", f"{step}{owner}"))
    return lines


def _of_project(told: Told) -> Message:
    """The message of what belongs to no incident: the engine, a budget, a test."""
    words = str(told.facts.get("words") or "")
    title = str(told.facts.get("title") or "")
    path, link = str(told.facts.get("path") or f"/p/{told.project}/incidents/"), "Open Telltale"
    thread = told.key
    if told.kind == Kind.ENGINE_STANDS:
        title, path = title or "Monitors are not evaluated", f"/p/{told.project}/monitors/"
        words = words or "The engine stands still: no alarm will come until it runs again."
    elif told.kind == Kind.ENGINE_RUNS:
        title, path = title or "Monitors are evaluated again", f"/p/{told.project}/monitors/"
        words = words or "The engine runs again; windows of the meantime are evaluated now."
    elif told.kind == Kind.TEST:
        title, words = "Test message", words or "It works: messages of this project reach this channel."
        path, link = f"/p/{told.project}/settings/channels/", "Open channels"
    elif told.kind == Kind.BUDGET:
        title, link = title or "Cost budget", "Open the budget"
    if told.kind in (Kind.ENGINE_STANDS, Kind.ENGINE_RUNS):
        # One alert at the receiver: what stood is over when it runs.
        thread = "engine"
    return _message(
        told,
        severity=told.severity,
        ref="",
        thread=thread_of(told.base, told.project, thread.replace(":", "-")[:120]),
        headline=f"{f'P{told.severity} ' if told.severity is not None else ''}{told.project_name}: {title}",
        summary=words,
        lines=[],
        path=path,
        link=link,
        data={"facts": {name: value for name, value in told.facts.items() if isinstance(value, str | int | float)}},
    )


def _message(
    told: Told,
    *,
    severity: int | None,
    ref: str,
    thread: str,
    headline: str,
    summary: str,
    lines: list[Line],
    path: str,
    link: str,
    data: dict[str, Any],
    feature: str = "",
    metric: str = "",
) -> Message:
    return Message(
        id=told.id,
        kind=told.kind,
        stage=STAGES[told.kind],
        at=told.at,
        project=told.project,
        project_name=one_line(told.project_name, 120),
        severity=severity,
        ref=ref,
        thread=thread,
        headline=one_line(headline, HEADLINE_MAX),
        summary=one_line(summary, SUMMARY_MAX),
        lines=tuple(Line(one_line(line.label, LABEL_MAX), one_line(line.value, VALUE_MAX)) for line in lines),
        url=told.base + (path if path.startswith("/") else f"/{path}"),
        link=link,
        feature=one_line(feature, 200),
        metric=one_line(metric, 60),
        data={"type": TYPES.get(told.kind, f"incident.{told.kind.value}"), **data},
    )


def _data(told: Told, trouble: Trouble, severity: int) -> dict[str, Any]:
    """What a program needs of an incident, beside the words."""
    change = trouble.change
    return {
        "incident": {
            "ref": f"INC-{trouble.number}",
            "number": trouble.number,
            "title": one_line(trouble.title, 200),
            "severity": severity,
            "state": trouble.state,
            "step": trouble.step,
            "round": trouble.round,
            "scope": one_line(trouble.scope, VALUE_MAX),
            "features": [one_line(feature, 200) for feature in trouble.features[:20]],
            "began_at": _iso(trouble.began_at),
            "opened_at": _iso(trouble.opened_at),
            "quiet_since": _iso(trouble.quiet_since),
            "assignee": one_line(trouble.assignee, 254) or None,
            "verdict": trouble.verdict or None,
        },
        "moved": [
            {
                "name": one_line(moved.name, 200),
                "metric": moved.metric,
                "direction": moved.direction,
                "before": moved.before,
                "value": moved.value,
                "low": moved.low,
                "high": moved.high,
                "n": moved.n,
                "window_start": _iso(moved.window_start),
                "window_end": _iso(moved.window_end),
                "false_alarms_expected_a_week": moved.false_a_week,
            }
            for moved in trouble.moved[:MOVED_MOST]
        ],
        "alarms": len(trouble.moved) + trouble.others,
        "last_change": {"at": _iso(change.at), "title": one_line(change.title, VALUE_MAX)} if change else None,
    }


def _at(at: datetime, told: Told) -> str:
    return fmt.full_moment(at, zone_of(told.zone))


def _iso(at: datetime | None) -> str | None:
    return None if at is None else fmt.iso(at)


def _moment(raw: Any) -> datetime | None:
    try:
        found = datetime.fromisoformat(raw) if isinstance(raw, str) else None
    except ValueError:
        return None
    return found if found is None or found.tzinfo is not None else None


def _span(length: timedelta) -> str:
    minutes = max(round(length / timedelta(minutes=1)), 1)
    if minutes < 120:
        return f"{minutes} min"
    hours = round(minutes / 60)
    return f"{hours} h" if hours < 48 else f"{round(hours / 24)} days"


def _ordinal(number: int) -> str:
    return {2: "second", 3: "third"}.get(number, f"{number}th")
