"""Baselines by people: said yes to, learned anew from a stretch or from where a change began, proposed, refused.

The old reference is kept for ever with its stretch, its numbers, who made it and why. A new one never begins before
the change it follows, and nothing but a person's act replaces one that is in force.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from django.db import transaction
from django.http import HttpRequest

from alerts.charting.advancing import WITHOUT_BASELINE, take_over
from alerts.charting.learning import STRETCH_MOST, learn, words
from alerts.charting.types import Chart, Collected, Learning, NewBaseline
from alerts.detectors.base import NotStable, State
from alerts.models import Baseline, Monitor
from alerts.monitors.definition import read_definition
from alerts.monitors.states import UNJUDGED, Standing
from alerts.monitors.types import Definition
from alerts.read import alarms as read_alarms
from alerts.read import baselines, points
from alerts.read.baselines import IN_FORCE, PROPOSED, REFUSED, learned_of
from alerts.stats.changepoint import change_in_mean
from alerts.watching import chart_of, metric_of, place_of
from alerts.write import alarms as write_alarms
from alerts.write import charts as write
from alerts.write import monitors
from evals.stats.results import TooLittle
from telltale.accounts.models import User
from telltale.audit.log import record_in
from telltale.lib import clock
from telltale.lib.faults import Fault, ItemRefused
from telltale.projects.models import Project
from traces.masks import mask_text

REASON_MAX = 400
# Where a change began is looked for in so many judged windows before now.
LOOKED_AT = 400
# A proposal is made of so many windows after a change at least.
WINDOWS_LEAST = 20


class NoBaseline(Exception):
    """There is no such monitor or baseline in this project, or it was put away."""


@dataclass(frozen=True, slots=True)
class Began:
    """When the present level began: the most likely window's start, and the interval of starts. `p` by permutation.

    `is_clear`: whether that is a change worth naming; otherwise there is "no clear start". `before` and `after` are the
    levels of z, in standard deviations of the baseline.
    """

    at: datetime
    low: datetime
    high: datetime
    p: float
    is_clear: bool
    before: float
    after: float
    windows: int


@dataclass(frozen=True, slots=True)
class Anew:
    """What re-baselining came to: a baseline in force, or learning that goes on in `words`."""

    baseline_id: int | None
    learns_from: datetime
    words: str


def began(monitor_id: int, chart_no: int, end: datetime | None = None) -> Began | None:
    """Where the present level of a chart began, from the z of its last judged windows; None under ten of them."""
    rows = points.list_points(monitor_id, chart_no, None, end, limit=LOOKED_AT, newest_first=True)[::-1]
    judged = [(row.start_at, row.z) for row in rows if row.z is not None]
    found = change_in_mean([z for _, z in judged], seed=monitor_id)
    if isinstance(found, TooLittle):
        return None
    at, low, high = (judged[min(one, len(judged) - 1)][0] for one in (found.split, found.low, found.high))
    return Began(at, low, high, found.p, found.clear, found.before, found.after, found.n)


def approve(
    project: Project, baseline_id: int, user: User | None, *, request: HttpRequest | None = None, actor: str = ""
) -> None:
    """A person says yes: a baseline in force is approved, a proposed one comes into force with the next window.

    ItemRefused for one that was replaced or refused; NoBaseline.
    """
    with transaction.atomic():
        held = _held_baseline(project, baseline_id)
        row = _held_monitor(project, held.monitor_id)
        held.refresh_from_db()
        if held.state not in {IN_FORCE, PROPOSED} or held.chart_no != row.chart_no:
            words = "was replaced already" if held.state != REFUSED else "was refused"
            raise ItemRefused(Fault("baseline", words, "a baseline that is proposed or in force", held.state))
        before = {"state": held.state, "approved_by": held.approved_by_id}
        approval = {"approved_by": user, "approved_at": clock.now()}
        if held.state == PROPOSED:
            definition = read_definition(row.definition)
            chart = _chart(row, definition)
            stored = baselines.get_baseline(project.pk, baseline_id)
            if stored is None:
                raise NoBaseline
            made = NewBaseline(
                no=chart.baseline_no + 1, learned=stored.learned, start=stored.start_at, end=stored.end_at,
                n=stored.n, windows=stored.windows, centre=stored.centre, excluded=stored.excluded,
                reason=stored.reason,
            )  # fmt: skip
            _into_force(row, chart, made, user, baseline_id=baseline_id, **approval)
        else:
            Baseline.objects.filter(pk=held.pk).update(**approval)
        _record(project, "baseline.approve", row, request, actor, before, {"baseline": held.pk, "state": IN_FORCE})


def refuse(project: Project, baseline_id: int, *, request: HttpRequest | None = None, actor: str = "") -> None:
    """A person says no to a proposed baseline. ItemRefused for one that is not proposed; NoBaseline."""
    with transaction.atomic():
        held = _held_baseline(project, baseline_id)
        row = _held_monitor(project, held.monitor_id)
        if not Baseline.objects.filter(pk=held.pk, state=PROPOSED).update(state=REFUSED):
            raise ItemRefused(Fault("baseline", "is not proposed", "a proposed baseline", held.state))
        _record(project, "baseline.refuse", row, request, actor, {"state": PROPOSED}, {"baseline": held.pk})


def rebaseline(
    project: Project,
    monitor_id: int,
    *,
    start: datetime | None = None,
    end: datetime | None = None,
    reason: str = "",
    user: User | None = None,
    request: HttpRequest | None = None,
    actor: str = "",
) -> Anew:
    """Learn anew from [start, end) of what is stored, or from where the present level began (`start` None).

    With enough there the new baseline judges the next window; else the chart learns on from `start`. An open alarm is
    closed as accepted. ItemRefused: a stretch that begins before the estimated change point, a change within it, no
    start to be found, times or reason that make no sense; NoBaseline.
    """
    with transaction.atomic():
        row = _held_monitor(project, monitor_id)
        definition = read_definition(row.definition)
        if definition.method in WITHOUT_BASELINE:
            raise ItemRefused(Fault("method", "needs no baseline", "a control chart", str(definition.method)))
        chart, place, now = _chart(row, definition), place_of(project.pk), clock.now()
        start = _checked(row, chart, start, end, reason, now)
        reason = mask_text(project.pk, reason)[:REASON_MAX]
        collected = _normal(row, points.collected(
            row.pk, row.chart_no, start, end or now, is_marked=place.is_marked
        ), start)  # fmt: skip
        no = chart.baseline_no + 1
        told = reason or "learned anew by a person"
        found = learn(collected, definition, metric_of(definition, row.project_id), row.arl0, chart.seed + no, no, told)
        if isinstance(found, NotStable):
            at = collected[min(found.at, len(collected) - 1)].start
            raise ItemRefused(
                Fault("start", "makes a stretch that changes within: it is no baseline", f"{at.isoformat()} or later",
                      start.isoformat())
            )  # fmt: skip
        before = {"baseline": row.chart.get("baseline_id")}
        if isinstance(found, NewBaseline):
            key = _into_force(row, chart, found, user, made_by=user, approved_by=user, approved_at=now)
            done = Anew(key, start, "in force from the next window on")
        else:
            learning = Learning(
                start=start, days=definition.baseline.days, first=collected[0].start if collected else None,
                windows=len(collected), next_at=len(collected) + 1, have=found.have, need=found.need, what=found.what,
            )  # fmt: skip
            _accept_open(row, chart, user)
            _learn_on(row, chart, learning, Standing.LEARNING)
            done = Anew(None, start, words(learning))
        after = {"baseline": done.baseline_id, "start": start.isoformat(), "reason": reason}
        _record(project, "baseline.renew", row, request, actor, before, after)
    return done


def propose(row: Monitor, start: datetime, reason: str, *, for_change: int | None = None) -> int | None:
    """The id of a proposed baseline of what came since `start`; None while that is too little or not steady.

    Nothing changes for the chart: a person says yes (`approve`) or no (`refuse`). `for_change`: the entry of the change
    log it follows; it is proposed for that once.
    """
    definition, place = read_definition(row.definition), place_of(row.project_id)
    if definition.method in WITHOUT_BASELINE or not row.chart:
        return None
    chart = _chart(row, definition)
    collected = points.collected(
        row.pk, row.chart_no, start, row.decided_to or row.next_start, is_marked=place.is_marked
    )
    collected = _normal(row, collected, start)
    if len(collected) < WINDOWS_LEAST:
        return None
    no = chart.baseline_no + 1
    found = learn(collected, definition, metric_of(definition, row.project_id), row.arl0, chart.seed + no, no, reason)
    if not isinstance(found, NewBaseline):
        return None
    with transaction.atomic():
        # A newer proposal takes the place of an older one that nobody answered.
        Baseline.objects.filter(monitor_id=row.pk, state=PROPOSED).update(state=REFUSED)
        key = write.insert_baseline(row, found, state=PROPOSED)
        if not write.put_chart(row, chart, beside={"proposed_for": for_change}):
            transaction.set_rollback(True)
            return None
        return key


def stale(row: Monitor, why: str, since: datetime) -> bool:
    """What makes the numbers of a monitor is another thing since then: it learns anew. False where it moved meanwhile.

    A judge, rubric, outcome or encoder that changed makes other numbers of the same traffic; old limits say nothing.
    """
    definition = read_definition(row.definition)
    if definition.method in WITHOUT_BASELINE or not row.chart:
        return False
    with transaction.atomic():
        learning = Learning(start=since, days=definition.baseline.days, stale=why[:200])
        return _learn_on(row, _chart(row, definition), learning, Standing.STALE)


def _checked(
    row: Monitor, chart: Chart, start: datetime | None, end: datetime | None, reason: str, now: datetime
) -> datetime:
    """The start of the stretch; ItemRefused for what makes no sense."""
    faults = []
    if len(reason) > REASON_MAX:
        faults.append(Fault("reason", "is too long", f"0 to {REASON_MAX} characters", f"{len(reason)} characters"))
    if "\x00" in reason:
        faults.append(Fault("reason", "holds characters that no stored text has", f"0 to {REASON_MAX} characters"))
    oldest = now - STRETCH_MOST
    if start is not None and not oldest <= start < now:
        faults.append(
            Fault("start", "is out of range", f"after {oldest.isoformat()} and before now", start.isoformat())
        )
    if end is not None and (start is None or not start < end):
        faults.append(Fault("end", "must lie after the start", "a time after the start", end.isoformat()))
    if faults:
        raise ItemRefused(*faults)
    change = began(row.pk, row.chart_no) if start is None or chart.alarm is not None else None
    if start is None:
        if change is None or not change.is_clear:
            raise ItemRefused(
                Fault("start", "is needed: there is no clear start of the present level", "a time to learn from")
            )
        return change.at
    if change is not None and change.is_clear and start < change.low:
        words = "lies before the change that the open alarm is about"
        raise ItemRefused(Fault("start", words, f"{change.low.isoformat()} or later", start.isoformat()))
    return start


def _normal(row: Monitor, collected: Sequence[Collected], start: datetime) -> list[Collected]:
    """Without the windows that people called an incident or a false alarm: neither is an example of normal."""
    judged = read_alarms.list_alarms(
        row.project_id, monitor_id=row.pk, verdicts=("real", "false"), start=start - timedelta(days=60), limit=1_000
    )
    left_out = [
        (
            one.window_start,
            (one.ended_at or one.closed_at or one.window_end) if one.verdict == "real" else one.window_end,
        )
        for one in judged
        if one.chart_no == row.chart_no
    ]
    return [one for one in collected if not any(since <= one.start < until for since, until in left_out)]


def _into_force(
    row: Monitor,
    chart: Chart,
    made: NewBaseline,
    user: User | None,
    *,
    baseline_id: int | None = None,
    **fields: object,
) -> int:
    """The id of the baseline that judges from the next window on; the chart's statistic starts again."""
    at = row.decided_to or row.next_start
    _accept_open(row, chart, user)
    write.replace_in_force(row.pk, at)
    if baseline_id is None:
        key = write.insert_baseline(row, made, state=IN_FORCE, in_force_from=at, **fields)
    else:
        key = baseline_id
        Baseline.objects.filter(pk=key).update(state=IN_FORCE, in_force_from=at, **fields)
    moved = replace(
        take_over(chart, made), alarm=None, quiet=0, standing=Standing.IN_CONTROL, words=UNJUDGED,
        since=clock.now(),
    )  # fmt: skip
    if not write.put_chart(row, moved, beside={"baseline_id": key, "no_limits_for": None}):
        raise NoBaseline
    return key


def _learn_on(row: Monitor, chart: Chart, learning: Learning, standing: Standing) -> bool:
    moved = replace(
        chart, learning=learning, baseline=None, state=State(), alarm=None, quiet=0, standing=standing,
        words=f"{learning.stale}; {words(learning)}" if learning.stale else words(learning), since=clock.now(),
    )  # fmt: skip
    if not write.put_chart(row, moved, beside={"baseline_id": None}):
        return False
    write.replace_in_force(row.pk, row.decided_to or row.next_start)
    monitors.end_alarms([row.pk], clock.now())
    return True


def _accept_open(row: Monitor, chart: Chart, user: User | None) -> None:
    """Close the alarm that is open: what it found is the new normal."""
    if chart.alarm is None:
        return
    for alarm in read_alarms.list_alarms(row.project_id, monitor_id=row.pk, states=("open", "acknowledged")):
        write_alarms.put(
            write_alarms.lock(alarm.id), state="closed", verdict="accepted", closed_by=user, closed_at=clock.now()
        )


def _held_monitor(project: Project, monitor_id: int) -> Monitor:
    row = monitors.lock(project.pk, monitor_id)
    if row is None or row.archived_at is not None:
        raise NoBaseline
    return row


def _held_baseline(project: Project, baseline_id: int) -> Baseline:
    found = Baseline.objects.filter(project=project, pk=baseline_id).first()
    if found is None:
        raise NoBaseline
    return found


def _chart(row: Monitor, definition: Definition) -> Chart:
    learned = learned_of([row.chart["baseline_id"]]) if row.chart.get("baseline_id") else {}
    return chart_of(row, definition, learned)


def _record(
    project: Project, action: str, row: Monitor, request: HttpRequest | None, actor: str,
    before: dict[str, Any], after: dict[str, Any],
) -> None:  # fmt: skip
    record_in(project, action, f"monitor {row.name}", request=request, actor=actor, before=before, after=after)
