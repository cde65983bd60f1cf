"""What people say of alarms: seen, real, false, or accepted as the new normal."""

from __future__ import annotations

from dataclasses import replace

from django.db import transaction
from django.http import HttpRequest

from alerts.charting.advancing import release
from alerts.charting.types import Chart
from alerts.models import Alarm, Monitor
from alerts.monitors.definition import read_definition
from alerts.monitors.states import Standing
from alerts.read.alarms import ACKNOWLEDGED, CLOSED, OPEN, VERDICTS
from alerts.read.baselines import learned_of
from alerts.watching import chart_of
from alerts.write import alarms as write
from alerts.write import charts, monitors
from telltale.accounts.models import User
from telltale.audit.log import record_in
from telltale.lib import clock
from telltale.lib.faults import Fault, ItemRefused
from telltale.projects.models import Project
from traces.masks import mask_text

NOTE_MAX = 2_000


class NoAlarm(Exception):
    """There is no such alarm in this project."""


def acknowledge(
    project: Project, alarm_id: int, user: User | None, *, request: HttpRequest | None = None, actor: str = ""
) -> bool:
    """Say that somebody looks into it; False where it was said or the alarm is over. NoAlarm."""
    with transaction.atomic():
        monitor, alarm = _held(project, alarm_id)
        if alarm.state != OPEN:
            return False
        write.put(alarm, state=ACKNOWLEDGED, acknowledged_by=user, acknowledged_at=clock.now())
        chart = _chart(monitor)
        if _is_its_own(monitor, alarm) and chart.alarm is not None:
            seen = replace(chart.alarm, acknowledged=True)
            charts.put_chart(monitor, replace(chart, alarm=seen, standing=Standing.ACKNOWLEDGED, since=clock.now()))
        _record(project, "alarm.acknowledge", alarm, request, actor)
    return True


def close(
    project: Project,
    alarm_id: int,
    verdict: str,
    note: str = "",
    user: User | None = None,
    *,
    request: HttpRequest | None = None,
    actor: str = "",
) -> bool:
    """Close an alarm with what it was: real, false, or accepted. False where it was closed with that very verdict.

    An open one releases its chart: what was added up starts again at 0. One that had ended by itself is judged all the
    same, and a closed one may be judged anew. ItemRefused for another verdict or too long a note; NoAlarm.
    """
    faults = []
    if verdict not in VERDICTS:
        faults.append(Fault("verdict", "is not accepted", f"one of {', '.join(VERDICTS)}", str(verdict)[:120]))
    if len(note) > NOTE_MAX:
        faults.append(Fault("note", "is too long", f"0 to {NOTE_MAX} characters", f"{len(note)} characters"))
    if "\x00" in note:
        faults.append(Fault("note", "holds characters that no stored text has", f"0 to {NOTE_MAX} characters"))
    if faults:
        raise ItemRefused(*faults)
    note = mask_text(project.pk, note)[:NOTE_MAX]
    with transaction.atomic():
        monitor, alarm = _held(project, alarm_id)
        if alarm.state == CLOSED and (alarm.verdict, alarm.note) == (verdict, note):
            return False
        was_open = alarm.state in {OPEN, ACKNOWLEDGED}
        before = {"state": alarm.state, "verdict": alarm.verdict}
        write.put(alarm, state=CLOSED, verdict=verdict, note=note, closed_by=user, closed_at=clock.now())
        if was_open and _is_its_own(monitor, alarm):
            charts.put_chart(monitor, release(_chart(monitor)), due_at=min(monitor.due_at, clock.now()))
        _record(project, "alarm.close", alarm, request, actor, before)
    return True


def _held(project: Project, alarm_id: int) -> tuple[Monitor, Alarm]:
    """The alarm and its monitor, both held until the transaction ends, the monitor first as the engine does."""
    found = Alarm.objects.filter(project=project, pk=alarm_id).values_list("monitor_id", flat=True).first()
    monitor = monitors.lock(project.pk, found) if found is not None else None
    if monitor is None:
        raise NoAlarm
    return monitor, write.lock(alarm_id)


def _is_its_own(monitor: Monitor, alarm: Alarm) -> bool:
    """Whether the alarm is the one that the monitor's chart holds open now."""
    opened = (monitor.chart.get("alarm") or {}).get("start")
    return alarm.chart_no == monitor.chart_no and opened == alarm.window_start.isoformat()


def _chart(monitor: Monitor) -> Chart:
    learned = learned_of([monitor.chart["baseline_id"]]) if monitor.chart.get("baseline_id") else {}
    return chart_of(monitor, read_definition(monitor.definition), learned)


def _record(
    project: Project,
    action: str,
    alarm: Alarm,
    request: HttpRequest | None,
    actor: str,
    before: dict[str, str] | None = None,
) -> None:
    after = {"state": alarm.state, "verdict": alarm.verdict}
    record_in(project, action, f"alarm {alarm.pk}", request=request, actor=actor, before=before, after=after)
