"""A definition as JSON, for columns and answers, and back."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from alerts.monitors.scopes import read_scope, scope_json
from alerts.monitors.states import Method
from alerts.monitors.types import BaselinePolicy, Composite, Definition, Member, Objective, Threshold

# Changes of these leave the chart as it is: none of them decides what a window comes to.
BESIDE_THE_CHART = frozenset({"name", "severity", "tier", "weight", "grace_minutes", "note"})


def to_json(definition: Definition) -> dict[str, Any]:
    """The definition as `parse_definition` and `read_definition` take it; JSON alone, every field told."""
    threshold, objective, composite = definition.threshold, definition.objective, definition.composite
    return {
        "name": definition.name,
        "metric": definition.metric,
        "method": definition.method.value,
        "params": {name: definition.params[name] for name in sorted(definition.params)},
        "scope": scope_json(definition.scope),
        "window_minutes": minutes_of(definition.window),
        "direction": definition.direction,
        "severity": definition.severity,
        "tier": "page" if definition.is_paging else "notice",
        "weight": definition.weight,
        "baseline": {
            "start": moment_of(definition.baseline.start),
            "end": moment_of(definition.baseline.end),
            "days": definition.baseline.days,
        },
        "threshold": threshold
        and {
            "limit": threshold.limit,
            "side": threshold.side,
            "release": threshold.release,
            "after": threshold.after,
        },
        "objective": objective and {"allowed": objective.allowed},
        "composite": composite
        and {
            "members": [{"monitor": each.monitor_id, "weight": each.weight} for each in composite.members],
            "least": composite.least,
            "within_minutes": minutes_of(composite.within),
            "score_over": composite.score_over,
        },
        "least_n": definition.least_n,
        "no_data_minutes": None if definition.no_data is None else minutes_of(definition.no_data),
        "floor": definition.floor,
        "ceiling": definition.ceiling,
        "lateness_minutes": minutes_of(definition.lateness),
        "grace_minutes": minutes_of(definition.grace),
        "note": definition.note,
    }


def read_definition(stored: Mapping[str, Any]) -> Definition:
    """The definition that `to_json` gave, equal to it. KeyError or ValueError for what it never gave."""
    baseline, threshold = stored["baseline"], stored["threshold"]
    objective, composite, no_data = stored["objective"], stored["composite"], stored["no_data_minutes"]
    return Definition(
        name=stored["name"],
        metric=stored["metric"],
        method=Method(stored["method"]),
        params=dict(stored["params"]),
        scope=read_scope(stored["scope"]),
        window=timedelta(minutes=stored["window_minutes"]),
        direction=stored["direction"],
        severity=stored["severity"],
        is_paging=stored["tier"] == "page",
        weight=stored["weight"],
        baseline=BaselinePolicy(_read_moment(baseline["start"]), _read_moment(baseline["end"]), baseline["days"]),
        threshold=threshold
        and Threshold(threshold["limit"], threshold["side"], threshold["release"], threshold["after"]),
        objective=objective and Objective(objective["allowed"]),
        composite=composite
        and Composite(
            tuple(Member(each["monitor"], each["weight"]) for each in composite["members"]),
            composite["least"],
            timedelta(minutes=composite["within_minutes"]),
            composite["score_over"],
        ),
        least_n=stored["least_n"],
        no_data=None if no_data is None else timedelta(minutes=no_data),
        floor=stored["floor"],
        ceiling=stored["ceiling"],
        lateness=timedelta(minutes=stored["lateness_minutes"]),
        grace=timedelta(minutes=stored["grace_minutes"]),
        note=stored["note"],
    )


def charted(definition: Definition) -> dict[str, Any]:
    """The part of the JSON that decides what windows come to: another one begins a new chart."""
    return {name: value for name, value in to_json(definition).items() if name not in BESIDE_THE_CHART}


def minutes_of(span: timedelta) -> int:
    """A span in whole minutes."""
    return int(span / timedelta(minutes=1))


def moment_of(at: datetime | None) -> str | None:
    """ISO 8601 in UTC, ending in Z."""
    return None if at is None else at.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _read_moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
