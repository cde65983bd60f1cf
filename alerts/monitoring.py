"""Monitors as people make them: creating, changing, muting, switching off, putting away; and the alert budget.

Every change of what a chart comes to begins a new chart that replays the stored history; what is beside it (name,
severity, tier, weight, note) leaves the chart as it is. Each act shares the budget out anew and is in the audit log.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.http import HttpRequest

from alerts import budgeting
from alerts.charting.stored import without_alarm
from alerts.models import Monitor
from alerts.monitors.budget import MARKED_DAYS_MAX, PAGES_LEAST, PAGES_MOST, read_budget
from alerts.monitors.definition import COMPOSITE, charted, parse_definition, read_definition, to_json
from alerts.monitors.presets import BY_SLUG, limit_on_scale
from alerts.monitors.states import Method
from alerts.monitors.types import Definition, Metric
from alerts.read import series
from alerts.read.judges import read_judges
from alerts.read.monitors import get_budget
from alerts.read.reach import first_of_members
from alerts.read.series_rollups import lacks_capacity
from alerts.series.catalogue import METRICS, timing_of
from alerts.series.grid import window_at
from alerts.series.params import parse_params
from alerts.series.scopes import parse_scope
from alerts.write import monitors as write
from telltale.audit.log import record_in
from telltale.lib import clock
from telltale.lib.faults import Fault, ItemRefused
from telltale.projects.models import Project

# One core evaluates so many in two seconds of its time (docs/performance.md).
MONITORS_MAX = 1_000
# Put away ones counted: their charts and alarms are kept.
MONITORS_KEPT = 5_000
HISTORY = timedelta(weeks=5)
MUTED_MOST = timedelta(days=90)
CAPACITY_LIMIT = (
    "calls a minute here, or for all monitors of a model or service as `capacity` of /api/v1/monitors/budget, such as "
    '{"model:gpt-4o": 600}'
)
# What another metric suggests anew.
_OF_METRIC = ("params", "scope", "direction", "least_n", "floor", "ceiling", "lateness_minutes", "grace_minutes")


class NotThere(Exception):
    """There is no such monitor, or it was put away."""


class Outdated(Exception):
    """Somebody changed it meanwhile: `revision` is in force."""

    def __init__(self, revision: int) -> None:
        super().__init__(f"revision {revision} is in force")
        self.revision = revision


def parse(told: Any) -> Definition:
    """The definition that `told` describes, by the metrics of the product; ItemRefused."""
    return parse_definition(told, METRICS, parse_scope=parse_scope, parse_params=parse_params, timing=timing_for)


def parse_for(project: Project, told: Any) -> Definition:
    """As `parse`, for a project: `preset` in `told` names one to begin with, and what is told beside it counts.

    ItemRefused.
    """
    if isinstance(told, Mapping) and "preset" in told:
        told = of_preset(project, told)
    definition = parse(told)
    check(project, definition)
    return definition


def check(project: Project, definition: Definition, own: int | None = None) -> None:
    """Nothing where all that a definition names is there: judges, outcomes, filters, members; ItemRefused."""
    metric = METRICS.get(definition.metric)
    if metric is not None:
        faults = series.check_params(project.pk, metric, definition.params)
        if metric.key == "utilisation" and (lacking := lacks_capacity(project.pk, definition)):
            faults.append(Fault("params.capacity", f"is needed: {lacking}", CAPACITY_LIMIT))
        if definition.scope.filter:
            faults += series.check_filter(definition.scope.filter)
        if faults:
            raise ItemRefused(*faults)
    _check_members(project.pk, definition, own)


def of_preset(project: Project, told: Mapping[str, Any]) -> dict[str, Any]:
    """A preset's definition with what is told instead; ItemRefused where there is none of that slug."""
    slug = told["preset"]
    preset = BY_SLUG.get(slug) if isinstance(slug, str) else None
    if preset is None:
        raise ItemRefused(Fault("preset", "is none that is shipped", "a slug of /monitors/presets", str(slug)[:60]))
    beside = {name: value for name, value in told.items() if name != "preset"}
    found: dict[str, Any] = {"name": preset.name, **preset.told, **beside}
    for name in ("params", "threshold"):
        held, given = preset.told.get(name), beside.get(name, {})
        if isinstance(held, Mapping) and isinstance(given, Mapping):
            found[name] = {**held, **given}
    threshold = found.get("threshold")
    if preset.scale_share is not None and isinstance(threshold, dict) and "limit" not in threshold:
        scale = _scale(project.pk, found.get("params"))
        if scale is not None:
            threshold["limit"] = limit_on_scale(preset.scale_share, *scale)
    return found


def _scale(project_id: int, params: Any) -> tuple[float, float] | None:
    """The ends of the scale of the judge's criterion that `params` name; None where there is none with numbers."""
    judge = params.get("judge") if isinstance(params, Mapping) else None
    if not isinstance(judge, str):
        return None
    held = read_judges(project_id, [judge]).get(judge)
    criterion = held.criterion(str(params.get("criterion"))) if held else None
    if criterion is None or not criterion.scale.has_numbers:
        return None
    return float(criterion.scale.low), float(criterion.scale.high)


def create(
    project: Project, told: Any, *, by_id: int | None = None, request: HttpRequest | None = None, actor: str = ""
) -> int:
    """The id of a new monitor, whose chart begins with the stored history; ItemRefused."""
    definition, now = parse_for(project, told), clock.now()
    with transaction.atomic():
        _queue(project)
        _check_room(project.pk)
        _check_name(project.pk, definition.name, None)
        monitor_id = write.insert(
            project.pk, definition, arl0=_first_arl0(definition), next_start=history_start(project, definition, now),
            now=now, by_id=by_id,
        )  # fmt: skip
        budgeting.share_out(project.pk)
        record_in(
            project, "monitor.create", _target(definition.name), request=request, actor=actor, after=to_json(definition)
        )
    return monitor_id


def change(
    project: Project, monitor_id: int, told: Mapping[str, Any], *, of_revision: int | None = None,
    request: HttpRequest | None = None, actor: str = "",
) -> bool:  # fmt: skip
    """Change the fields of the definition that are given; whether anything changed. ItemRefused, NotThere, Outdated.

    Another chart begins when what windows come to changes; the alarms of the old one end.
    """
    now = clock.now()
    with transaction.atomic():
        _queue(project)
        held = _lock(project.pk, monitor_id)
        if of_revision is not None and of_revision != held.revision:
            raise Outdated(held.revision)
        before = read_definition(held.definition)
        after = parse(merged(held.definition, told))
        if after == before:
            return False
        check(project, after, held.pk)
        if after.composite is not None and before.composite is None:
            _check_no_composite(project.pk, held.pk, "method")
        _check_name(project.pk, after.name, held.pk)
        write.put_definition(
            held, after, is_same_chart=charted(before) == charted(after),
            next_start=history_start(project, after, now), now=now,
        )  # fmt: skip
        budgeting.share_out(project.pk)
        record_in(
            project, "monitor.change", _target(after.name), request=request, actor=actor, before=to_json(before),
            after=to_json(after),
        )  # fmt: skip
    return True


def change_all(
    project: Project, monitor_id: int, told: Mapping[str, Any], *, of_revision: int | None = None,
    is_on: bool | None = None, is_archived: bool | None = None, request: HttpRequest | None = None, actor: str = "",
) -> None:  # fmt: skip
    """`restore`, `change`, `switch` and `archive` in one transaction: all that is given, or nothing of it."""
    with transaction.atomic():
        if is_archived is False:
            restore(project, monitor_id, request=request, actor=actor)
        if told or of_revision is not None:
            change(project, monitor_id, told, of_revision=of_revision, request=request, actor=actor)
        if is_on is not None:
            switch(project, monitor_id, is_on=is_on, request=request, actor=actor)
        if is_archived:
            archive(project, monitor_id, request=request, actor=actor)


def merged(held: Mapping[str, Any], told: Mapping[str, Any]) -> dict[str, Any]:
    """A stored definition with the given fields instead. A method leaves behind what belongs to another one alone."""
    found = {**held, **told}
    for name, method in (("threshold", Method.FIXED), ("objective", Method.OBJECTIVE), ("composite", Method.COMPOSITE)):
        if found.get("method") != method and name not in told:
            found[name] = None
    if "metric" in told and told["metric"] != held["metric"]:
        # What belongs to the metric comes with it, or is as it suggests.
        for name in (
            "params",
            "scope",
            "direction",
            "least_n",
            "floor",
            "ceiling",
            "lateness_minutes",
            "grace_minutes",
        ):
            if name not in told:
                found.pop(name, None)
    return found


def mute(
    project: Project, monitor_id: int, until: datetime, *, request: HttpRequest | None = None, actor: str = ""
) -> None:
    """Let a monitor go on without pages until then; the others get its share meanwhile. ItemRefused, NotThere."""
    now = clock.now()
    if not now < until <= now + MUTED_MOST:
        limit = f"a time within the next {MUTED_MOST.days} days"
        raise ItemRefused(Fault("until", "is past" if until <= now else "is too far off", limit, until.isoformat()))
    _put(project, monitor_id, "monitor.mute", {"muted_until": until}, request, actor)


def unmute(project: Project, monitor_id: int, *, request: HttpRequest | None = None, actor: str = "") -> None:
    """Let a monitor page again; NotThere."""
    _put(project, monitor_id, "monitor.unmute", {"muted_until": None}, request, actor)


def switch(
    project: Project, monitor_id: int, *, is_on: bool, request: HttpRequest | None = None, actor: str = ""
) -> None:
    """Switch a monitor on or off; NotThere. Off, it is not charted; on again, it goes on where it stopped."""
    action = "monitor.on" if is_on else "monitor.off"
    _put(project, monitor_id, action, {"is_on": is_on}, request, actor)


def archive(project: Project, monitor_id: int, *, request: HttpRequest | None = None, actor: str = "") -> None:
    """Put a monitor away: its alarms end, its chart and its record are kept. ItemRefused for a composite's member."""
    now = clock.now()
    with transaction.atomic():
        _queue(project)
        held = _lock(project.pk, monitor_id)
        _check_no_composite(project.pk, held.pk)
        write.end_alarms([held.pk], now)
        # Taken back, it may alarm again: no alarm that ended here holds it latched.
        write.put(held, archived_at=now, chart=without_alarm(held.chart))
        budgeting.share_out(project.pk)
        record_in(project, "monitor.archive", _target(held.name), request=request, actor=actor)


def restore(project: Project, monitor_id: int, *, request: HttpRequest | None = None, actor: str = "") -> None:
    """Take a monitor back that was put away; its chart goes on where it stopped. ItemRefused, NotThere."""
    now = clock.now()
    with transaction.atomic():
        _queue(project)
        held = write.lock(project.pk, monitor_id)
        if held is None:
            raise NotThere
        if held.archived_at is None:
            return
        _check_room(project.pk, is_new=False)
        definition = read_definition(held.definition)
        _check_name(project.pk, held.name, held.pk)
        _check_members(project.pk, definition, held.pk)
        start = max(held.next_start, history_start(project, definition, now))
        write.put(held, archived_at=None, due_at=now, next_start=start)
        budgeting.share_out(project.pk)
        record_in(project, "monitor.restore", _target(held.name), request=request, actor=actor)


def set_budget(
    project: Project, told: Mapping[str, Any], *, by_id: int | None = None, request: HttpRequest | None = None,
    actor: str = "",
) -> None:  # fmt: skip
    """Set what is given of `pages_a_week`, `marked_days` and `capacity`; limits follow. ItemRefused."""
    fields = read_budget(told)
    with transaction.atomic():
        _queue(project)
        held = get_budget(project.pk)
        before = {
            "pages_a_week": held.pages_a_week, "marked_days": list(held.marked_days), "capacity": dict(held.capacity),
        }  # fmt: skip
        after = before | fields
        if after == before:
            return
        write.put_budget(project.pk, by_id, clock.now(), **fields)
        budgeting.share_out(project.pk)
        record_in(project, "budget.change", "alert budget", request=request, actor=actor, before=before, after=after)


def history_start(project: Project, definition: Definition, now: datetime) -> datetime:
    """Where a new chart begins: five weeks back, or with the first data; earlier where its baseline asks for it."""
    least, wanted = now - HISTORY, definition.baseline.start
    if wanted is not None:
        least = min(least, wanted)
    metric = METRICS.get(definition.metric)
    first = None
    if definition.composite is not None:
        first = first_of_members(project.pk, [each.monitor_id for each in definition.composite.members])
    elif metric is not None:
        first = series.history_start(project.pk, project.time_zone, metric, definition, now)
    start = now if first is None else max(first, least)
    return window_at(project.time_zone, definition.window, min(start, now)).start


def _put(
    project: Project, monitor_id: int, action: str, fields: dict[str, Any], request: HttpRequest | None, actor: str
) -> None:
    with transaction.atomic():
        _queue(project)
        held = _lock(project.pk, monitor_id)
        before = {name: _plain(getattr(held, name)) for name in fields}
        after = {name: _plain(value) for name, value in fields.items()}
        if before == after:
            return
        write.put(held, **fields, **({"due_at": clock.now()} if fields.get("is_on") else {}))
        budgeting.share_out(project.pk)
        record_in(project, action, _target(held.name), request=request, actor=actor, before=before, after=after)


def _queue(project: Project) -> None:
    """Wait for whoever changes monitors of the project: names, their number and the shares of the budget stay right."""
    Project.objects.select_for_update(no_key=True).only("pk").get(pk=project.pk)


def _lock(project_id: int, monitor_id: int) -> Monitor:
    held = write.lock(project_id, monitor_id)
    if held is None or held.archived_at is not None:
        raise NotThere
    return held


def timing_for(metric: Metric) -> tuple[timedelta, timedelta]:
    """How late windows of a metric are decided and how long they are revised, where people do not say."""
    found = timing_of(metric)
    return found.lateness, found.grace


def _first_arl0(definition: Definition) -> float:
    """What stands until the budget is shared out, in the same transaction."""
    return write.updates_a_week(definition)


def _check_name(project_id: int, name: str, own: int | None) -> None:
    held = Monitor.objects.filter(project_id=project_id, name=name, archived_at=None)
    if held.exclude(pk=own or 0).exists():
        raise ItemRefused(Fault("name", "is another monitor’s already", "a name of its own", name))


def _check_room(project_id: int, *, is_new: bool = True) -> None:
    held = Monitor.objects.filter(project_id=project_id)
    if is_new and held.count() >= MONITORS_KEPT:
        raise ItemRefused(Fault("name", "is one monitor too many, those put away counted", f"{MONITORS_KEPT} monitors"))
    if held.filter(archived_at=None).count() >= MONITORS_MAX:
        raise ItemRefused(Fault("name", "is one monitor too many: put another one away", f"{MONITORS_MAX} monitors"))


def _check_members(project_id: int, definition: Definition, own: int | None) -> None:
    """A composite's members are monitors of the project that are no composites."""
    if definition.composite is None:
        return
    wanted = [each.monitor_id for each in definition.composite.members]
    held = Monitor.objects.filter(project_id=project_id, pk__in=wanted, archived_at=None)
    methods = dict(held.values_list("pk", "method"))
    faults = []
    for at, monitor_id in enumerate(wanted):
        field = f"composite.members[{at}].monitor"
        if monitor_id == own or monitor_id not in methods:
            faults.append(Fault(field, "is no monitor here", "the id of another monitor of the project", monitor_id))
        elif methods[monitor_id] == COMPOSITE:
            faults.append(Fault(field, "is a composite itself", "a monitor of a series", monitor_id))
    if faults:
        raise ItemRefused(*faults)


def _check_no_composite(project_id: int, monitor_id: int, field: str = "monitor") -> None:
    """Nothing where no composite stands on the monitor; ItemRefused about `field`."""
    rows = Monitor.objects.filter(project_id=project_id, method=Method.COMPOSITE.value, archived_at=None)
    names = [
        name
        for name, told in rows.values_list("name", "definition")
        if any(each["monitor"] == monitor_id for each in told["composite"]["members"])
    ]
    if names:
        raise ItemRefused(Fault(field, f"is a member of {names[0]}", "a monitor that no composite stands on"))


def _target(name: str) -> str:
    return f"monitor {name}"


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value


__all__ = [
    "MARKED_DAYS_MAX",
    "PAGES_LEAST",
    "PAGES_MOST",
    "NotThere",
    "Outdated",
    "archive",
    "change",
    "change_all",
    "check",
    "create",
    "history_start",
    "merged",
    "mute",
    "of_preset",
    "parse",
    "parse_for",
    "read_budget",
    "restore",
    "set_budget",
    "switch",
    "unmute",
]
