"""Incidents as REST answers them."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from alerts.incidents import scopes, timeline
from alerts.incidents.types import SEVERITIES, STEPS
from alerts.read.incident_settings import SettingsRow
from alerts.read.incidents import EventRow, IncidentRow, MemberRow, StepRow, WatcherRow
from alerts.read.signals import Agreement
from alerts.summing_up import Summary, as_json
from telltale.lib.format import iso

Json = dict[str, Any]


def moment(at: datetime | None) -> str | None:
    """A time as text, null where there is none."""
    return None if at is None else iso(at)


def incident(row: IncidentRow) -> Json:
    """One incident of a list."""
    return {
        "number": row.number,
        "ref": row.ref,
        "title": row.title,
        "severity": row.severity,
        "state": str(row.state),
        "step": str(row.step),
        "step_started_at": moment(row.step_started_at),
        "step_due_at": moment(row.step_due_at),
        "is_overdue": row.is_overdue,
        "round": row.round,
        "origin": row.origin,
        "scope": scopes.as_json(row.scope),
        "members": row.members,
        "began_at": moment(row.began_at),
        "opened_at": moment(row.opened_at),
        "last_moved_at": moment(row.last_moved_at),
        "quiet_since": moment(row.quiet_since),
        "acknowledged_at": moment(row.acknowledged_at),
        "acknowledged_by": row.acknowledged_by or None,
        "assignee": row.assignee or None,
        "assignee_id": row.assignee_id,
        "muted_until": moment(row.muted_until),
        "muted_until_worse": row.muted_until_worse,
        "verdict": row.verdict or None,
        "scope_note": row.scope_note,
        "cause_change": row.cause_change,
        "cause_note": row.cause_note,
        "dataset": row.dataset_id,
        "experiment": row.experiment_id,
        "closed_at": moment(row.closed_at),
        "closed_by": row.closed_by or None,
        "override_reason": row.override_reason,
        "merged_into": row.merged_into,
        "split_from": row.split_from,
        "created_by": row.created_by or None,
        "version": row.version,
    }


def step(row: StepRow) -> Json:
    """One step of one round."""
    return {
        "step": str(row.step),
        "round": row.round,
        "started_at": moment(row.started_at),
        "due_at": moment(row.due_at),
        "finished_at": moment(row.finished_at),
        "finished_by": row.finished_by or None,
        "in_time": row.in_time,
        "draft": dict(row.draft),
        "outcome": dict(row.outcome),
    }


def member(row: MemberRow) -> Json:
    """One membership."""
    return {
        "id": row.id,
        "kind": row.kind,
        "ref": row.ref,
        "monitor": row.monitor_id,
        "name": row.name,
        "says": row.says,
        "metric": row.metric,
        "direction": row.direction,
        "rule": row.rule,
        "value": row.value,
        "before": row.before,
        "n": row.n,
        "scope": scopes.as_json(row.scope),
        "severity": row.severity,
        "is_page": row.is_page,
        "joined_at": moment(row.joined_at),
        "began_at": moment(row.began_at),
        "over_at": moment(row.over_at),
    }


def event(row: EventRow) -> Json:
    """One line of the timeline."""
    return {
        "id": row.id,
        "at": moment(row.at),
        "kind": row.kind,
        "who": row.who or None,
        "words": timeline.say(row.kind, row.who, row.facts),
        "facts": dict(row.facts),
    }


def watcher(row: WatcherRow) -> Json:
    """One person who watches."""
    return {"user_id": row.user_id, "name": row.name, "since": moment(row.since)}


def agreement(found: Agreement) -> Json:
    """The signals that agree."""
    return {
        "agree": found.agree,
        "of": found.of,
        "silent": found.silent,
        "signals": [
            {
                "monitor": each.monitor_id, "name": each.name, "metric": each.metric, "standing": str(each.standing),
                "is_out": each.is_out, "is_member": each.is_member, "agrees": each.agrees, "value": each.value,
                "before": each.before, "n": each.n,
            }
            for each in found.signals
        ],
    }  # fmt: skip


def summary(told: Summary) -> Json:
    """The summary of an incident."""
    found = dict(as_json(told))
    found["steps"] = [{**each, "finished_at": moment(each["finished_at"])} for each in found["steps"]]
    found["timeline"] = [{**line, "at": moment(line["at"])} for line in found["timeline"]]
    found["made_at"] = moment(told.made_at)
    return {"incident": incident(told.incident), "members": [member(row) for row in told.members], **found}


def settings(row: SettingsRow) -> Json:
    """Timers and gates."""
    told = row.settings
    return {
        "timers": {f"p{level}": {str(each): told.timers[level][each] for each in STEPS} for level in SEVERITIES},
        "cases_least": told.cases_least,
        "recovery_hours": told.recovery_hours,
        "reopen_days": told.reopen_days,
        "changed_by": row.changed_by or None,
        "changed_at": moment(row.changed_at),
    }
