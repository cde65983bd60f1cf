"""The alert budget handed out: every chart's run length follows from one knob, and limits follow run lengths.

A change of the knob, or of what is watched, moves `Monitor.arl0` at once and nothing else: limits are made anew from
the same frozen reference where the wanted run length differs by more than a tenth, for the windows to come alone.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace

from django.db import transaction

from alerts.charting.learning import learn
from alerts.charting.stored import from_json
from alerts.charting.types import NewBaseline
from alerts.models import Baseline, Monitor
from alerts.monitors.definition import read_definition
from alerts.monitors.states import Method
from alerts.read import baselines, points
from alerts.read.monitors import get_budget
from alerts.stats import budget
from alerts.watching import metric_of, place_of
from alerts.write import charts as write
from alerts.write import shares
from telltale.lib import clock
from telltale.projects.models import Project

# Fixed limits and composites alarm as often as they do, whatever the budget says: they take no share of it.
SHARING = frozenset({Method.CHART, Method.CUSUM, Method.SHEWHART, Method.OBJECTIVE})
# Limits of a baseline hold until the wanted run length is off by more than this.
OFF_BY = 0.1


def charts_of(project_id: int) -> tuple[budget.Chart, ...]:
    """The place of each monitor that shares the budget now: on, not muted, not put away. Key: the id as text."""
    return tuple(_place(row) for row in shares.sharing(project_id, clock.now(), SHARING))


def shares_of(project_id: int) -> tuple[budget.Share, ...]:
    """What the budget gives each of `charts_of` now."""
    return budget.allot(charts_of(project_id), get_budget(project_id).pages_a_week)


def share_out(project_id: int) -> int:
    """Hand the budget out anew; how many monitors got another run length. Limits follow by `remake_limits`.

    A monitor that takes no share now (muted, switched off) keeps the run length it would have beside the others.
    """
    pages = get_budget(project_id).pages_a_week
    held = list(shares.watched(project_id))
    sharing = shares.sharing(project_id, clock.now(), SHARING)
    charts = [_place(row) for row in sharing]
    wanted = {share.chart.key: share.arl0 for share in budget.allot(charts, pages)}
    changed: list[tuple[int, float]] = []
    for row in held:
        arl0 = wanted.get(str(row.pk))
        if arl0 is None:
            # The others as one chart of their weights together: shares follow from sums of weights alone.
            own = _place(row)
            weight = math.fsum(chart.weight for chart in charts if chart.tier == own.tier)
            others = [budget.Chart("others", 1.0, weight, own.tier)] if weight else []
            arl0 = budget.allot([*others, own], pages)[-1].arl0
        if arl0 != row.arl0:
            changed.append((row.pk, arl0))
    shares.put_arl0(changed)
    return len(changed)


def end_mutes() -> int:
    """Share out anew where a mute has run out since the last look; how many projects."""
    projects = shares.unmuted_projects(clock.now())
    for project_id in projects:
        with transaction.atomic():
            # As everybody does who changes monitors of a project: one at a time.
            Project.objects.select_for_update(no_key=True).only("pk").get(pk=project_id)
            shares.forget_mutes(project_id, clock.now())
            share_out(project_id)
    return len(projects)


def remake_limits(*, seconds: float = 10.0) -> int:
    """Make limits anew where the wanted run length is another by more than a tenth; how many, within `seconds`."""
    until, made = time.monotonic() + seconds, 0
    for row in shares.with_other_limits(OFF_BY):
        if remake(row) is not None:
            made += 1
        if time.monotonic() >= until:
            break
    return made


def remake(row: Monitor) -> int | None:
    """The id of a baseline of the same reference with limits for `row.arl0`; None where that cannot be.

    The statistic goes on where it stands. What the reference was learned from may be gone (90 days): then its limits
    stay as they are, and the monitor is not looked at again until it wants others.
    """
    held = baselines.get_baseline(row.project_id, row.chart.get("baseline_id") or 0)
    if held is None:
        return None
    definition, place = read_definition(row.definition), place_of(row.project_id)
    chart = from_json(row.chart, held.learned)
    collected = points.collected(row.pk, held.chart_no, held.start_at, held.end_at, is_marked=place.is_marked)
    no = chart.baseline_no + 1
    found = None
    if collected:
        found = learn(
            collected,
            definition,
            metric_of(definition, row.project_id),
            row.arl0,
            held.learned.seed,
            no,
            "limits for another budget",
        )
    if not isinstance(found, NewBaseline):
        write.put_chart(row, chart, beside={"no_limits_for": row.arl0})
        return None
    with transaction.atomic():
        at = row.decided_to or row.next_start
        write.replace_in_force(row.pk, at)
        # A yes to the reference is a yes to it still.
        said = Baseline.objects.values("made_by_id", "approved_by_id", "approved_at").get(pk=held.id)
        key = write.insert_baseline(row, found, state="in_force", in_force_from=at, limits_of_id=held.id, **said)
        moved = replace(chart, baseline=found.learned, baseline_no=found.no)
        if not write.put_chart(row, moved, beside={"baseline_id": key}):
            transaction.set_rollback(True)
            return None
    return key


def _place(row: Monitor) -> budget.Chart:
    tier: budget.Tier = "page" if row.is_paging else "notice"
    return budget.Chart(str(row.pk), row.updates_a_week, row.weight, tier)
