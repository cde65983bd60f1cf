"""Monitors, their charts and alarms as REST tells them."""

from __future__ import annotations

from typing import Any

from alerts.monitors.definition import COMPOSITE, to_json
from alerts.monitors.states import Method
from alerts.read.alarms import AlarmRow
from alerts.read.baselines import BaselineRow
from alerts.read.monitors import MonitorRow
from alerts.read.points import PointRow
from alerts.series.catalogue import METRICS
from telltale.rest import form

PHASES = {1: "learning", 2: "watched", 3: "latched"}
# What takes no share of the budget: people set the limit.
UNBUDGETED = (Method.FIXED, Method.COMPOSITE)


def monitor(row: MonitorRow) -> dict[str, Any]:
    """A monitor with where it stands."""
    is_shared = row.method not in UNBUDGETED
    return {
        "id": row.id,
        "name": row.name,
        "definition": to_json(row.definition),
        "unit": unit_of(row.metric),
        "revision": row.revision,
        "chart_no": row.chart_no,
        "is_on": row.is_on,
        "muted_until": form.moment(row.muted_until),
        "standing": row.standing.value,
        "standing_words": row.standing_words,
        "standing_since": form.moment(row.standing_since),
        "arl0": row.arl0 if is_shared else None,
        "expected_a_week": row.expected_a_week if is_shared else None,
        "updates_a_week": row.updates_a_week,
        "decided_to": form.moment(row.decided_to),
        "next_start": form.moment(row.next_start),
        "error": row.error,
        "open_alarm": row.alarm_id,
        "baseline": row.baseline_id,
        "created_by": row.created_by or None,
        "created_at": form.moment(row.created_at),
        "changed_at": form.moment(row.changed_at),
        "archived_at": form.moment(row.archived_at),
    }


def unit_of(metric: str) -> str:
    """The unit of what is drawn."""
    found = METRICS.get(metric)
    return found.unit if found else "members" if metric == COMPOSITE else ""


def point(row: PointRow) -> dict[str, Any]:
    """One decided window."""
    return {
        "start": form.moment(row.start_at),
        "end": form.moment(row.end_at),
        "n": row.now_n,
        "n_eff": row.n_eff,
        "value": row.now_value,
        "low": row.low,
        "high": row.high,
        "coverage": row.coverage,
        "state": row.state,
        "phase": PHASES[row.phase],
        "baseline": row.baseline_id,
        "z": row.z,
        "statistic": row.statistic,
        "limit_low": row.limit_low,
        "limit_high": row.limit_high,
        "shown_low": row.shown_low,
        "shown_high": row.shown_high,
        "shown_level": row.shown_level,
        "rule": row.rule,
        "crossed": row.crossed or None,
        "alarm": row.alarm_id,
        "decided_n": row.n,
        "decided_value": row.value,
        "revision": row.revision,
        "decided_at": form.moment(row.decided_at),
    }


def baseline(row: BaselineRow) -> dict[str, Any]:
    """One frozen reference."""
    return {
        "id": row.id,
        "monitor": row.monitor_id,
        "chart_no": row.chart_no,
        "state": row.state,
        "kind": row.kind,
        "method": row.learned.method,
        "start": form.moment(row.start_at),
        "end": form.moment(row.end_at),
        "n": row.n,
        "windows": row.windows,
        "arl0": row.arl0,
        "centre": row.centre,
        "excluded": [form.moment(at) for at in row.excluded],
        "parameters": dict(row.learned.parameters),
        "limits_of": row.limits_of,
        "reason": row.reason,
        "made_by": row.made_by or None,
        "approved_by": row.approved_by or None,
        "approved_at": form.moment(row.approved_at),
        "in_force_from": form.moment(row.in_force_from),
        "in_force_to": form.moment(row.in_force_to),
        "created_at": form.moment(row.created_at),
    }


def alarm(row: AlarmRow) -> dict[str, Any]:
    """One alarm."""
    return {
        "id": row.id,
        "monitor": row.monitor_id,
        "monitor_name": row.monitor_name,
        "metric": row.metric,
        "chart_no": row.chart_no,
        "baseline": row.baseline_id,
        "window_start": form.moment(row.window_start),
        "window_end": form.moment(row.window_end),
        "direction": row.direction,
        "rule": row.rule,
        "statistic": row.statistic,
        "limit": row.limit,
        "value": row.value,
        "severity": row.severity,
        "is_page": row.is_page,
        "state": row.state,
        "verdict": row.verdict or None,
        "note": row.note,
        "found_at": form.moment(row.found_at),
        "acknowledged_by": row.acknowledged_by or None,
        "acknowledged_at": form.moment(row.acknowledged_at),
        "ended_at": form.moment(row.ended_at),
        "closed_by": row.closed_by or None,
        "closed_at": form.moment(row.closed_at),
        "evidence": dict(row.evidence),
    }
