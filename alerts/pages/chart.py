"""The page of one monitor: its control chart, what it means, and what a person can do about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.http import Http404, HttpRequest, HttpResponseBase, QueryDict
from django.shortcuts import render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from alerts import asking as asking_what
from alerts.monitors.states import Kind, Method
from alerts.monitors.types import Metric
from alerts.monitors.types import Window as SeriesWindow
from alerts.pages import (
    alarm_view,
    chart_facts,
    chart_figure,
    chart_files,
    chart_parts,
    chart_view,
    mix_view,
    units,
    words,
)
from alerts.pages.expecting import ByChance, by_chance
from alerts.read.alarms import AlarmRow, get_alarm, list_alarms, tallies
from alerts.read.baselines import IN_FORCE, PROPOSED, BaselineRow, list_baselines
from alerts.read.charted import Drawn, read_categories, read_drawn, read_rated, read_stretches
from alerts.read.incidents import incidents_of
from alerts.read.mixed import dimensions_of, read_mixed
from alerts.read.monitors import MonitorRow, get_monitor
from alerts.read.points import PointRow, list_points
from alerts.read.shown import list_named, read_fixed
from alerts.series.asked import SeriesFault
from alerts.series.catalogue import find_metric
from alerts.stats.shift import moved_categories, ratio_of_counts, shift_of_mean, shift_of_share
from telltale.lib import clock
from telltale.lib import format as fmt
from telltale.projects.access import may, project_page
from telltale.projects.models import Project
from traces.pages.export import FORMATS, Busy, busy_response
from traces.pages_accounting import Window, query_string, read_window
from traces.read import TooSlow
from traces.read.asking import asking
from traces.read.changelog import Change, changes_between

# The longest window a chart of so many windows is first shown for.
_FIRST = (("24h", timedelta(minutes=5)), ("7d", timedelta(hours=2)), ("28d", timedelta(weeks=2)))
ALARMS_MAX, BASELINES_MAX, CHANGES_MAX, CHARTS_MAX = 100, 20, 60, 10
# A fixed limit has no baseline: a change is held against so much of the time before.
BEFORE = timedelta(days=7)
# How far back windows tell how much counts vary.
COUNTED = timedelta(days=28)
_NOUNS = {Kind.SHARE: "Units", Kind.SCORE: "Scores", Kind.TIME: "Values", Kind.COST: "Values", Kind.COUNT: "Events"}


@dataclass(frozen=True, slots=True)
class _Held:
    """Everything the page reads of a chart, before it is put in words."""

    drawn: Drawn
    last: PointRow | None
    alarms: list[AlarmRow]
    alarm: AlarmRow | None
    baselines: list[BaselineRow]
    changes: list[Change]
    fired: Any
    sized: chart_view.Sized | None
    chance: ByChance | None


@require_http_methods(["GET", "HEAD"])
@project_page()
def monitor_page(request: HttpRequest, project: Project, monitor_id: int) -> HttpResponseBase:
    """A monitor over a window; `alarm` names one to look at, `at` a window, `format` has the windows as a file."""
    monitor, now, query = find_monitor(project, monitor_id), clock.now(), request.GET
    zone = clock.zone_of(project.time_zone)
    metric = find_metric(monitor.metric)
    asked = alarm_view.number(query.get("alarm", ""))
    try:
        with asking():
            alarm = get_alarm(project.pk, asked) if asked is not None else None
            alarm = alarm if alarm is not None and alarm.monitor_id == monitor.id else None
            newest, monitor = monitor.chart_no, _of_chart(monitor, alarm, query)
            window = _window(query, zone, now, monitor, alarm)
            if query.get("format") in FORMATS:
                name, is_head = f"{project.slug}-monitor-{monitor.id}", request.method == "HEAD"
                return chart_files.download_points(name, query["format"], monitor, window, is_head=is_head)
            held = _read(project, monitor, metric, window, alarm)
    except TooSlow:
        context = {"project": project, "monitor": monitor, "window": None, "too_slow": True}
        return render(request, "alerts/monitor.html", context, status=503)
    except Busy:
        return busy_response()
    if request.method == "GET" and monitor.archived_at is None:
        asking_what.seen(project, monitor.id)
    by, dimensions = query.get("by", ""), dimensions_of(metric, monitor.definition)
    if monitor.chart_no != newest:
        dimensions = []  # what it was of then may not be what it is of now
    mix = _mix(project, monitor, metric, window, held, by, zone) if by in dimensions else None
    is_earlier = monitor.chart_no != newest
    context = _context(project, monitor, metric, window, held, zone, now, is_earlier=is_earlier)
    context |= _addresses(project, monitor, window, query)
    context |= {
        "here": request.get_full_path(),
        "mix": mix,
        "is_earlier": is_earlier,
        "charts": [] if newest == 1 else [(f"?chart={no}", no, no == monitor.chart_no) for no in _charts(newest)],
        "members": _members(project, monitor, held.alarm),
        "dimensions": [
            (query_string(query, by=name, at=None) + "#mix", name.replace("_", " "), name == by) for name in dimensions
        ],
        "at": chart_parts.at(query, project, monitor, metric, zone),
        "began": chart_parts.began(monitor, held.alarm, zone, now) if query.get("began") == "1" else "",
    }
    return render(request, "alerts/monitor.html", context)


def find_monitor(project: Project, monitor_id: int) -> MonitorRow:
    """The monitor of that id in the project; Http404."""
    found = get_monitor(project.pk, monitor_id) if 0 < monitor_id < 2**63 else None
    if found is None:
        raise Http404
    return found


def _of_chart(monitor: MonitorRow, alarm: AlarmRow | None, query: QueryDict) -> MonitorRow:
    """The monitor with the number of the chart to draw: an alarm's own, the one asked for, else the present one."""
    asked = alarm.chart_no if alarm is not None else alarm_view.number(query.get("chart", ""))
    return replace(monitor, chart_no=asked) if asked is not None and 1 <= asked <= monitor.chart_no else monitor


def _charts(newest: int) -> range:
    """The newest charts of a monitor: each change of what is charted began another one."""
    return range(max(newest - CHARTS_MAX + 1, 1), newest + 1)


def _window(query: QueryDict, zone: ZoneInfo, now: datetime, monitor: MonitorRow, alarm: AlarmRow | None) -> Window:
    """What is shown: as asked, else around the alarm, else as much as suits the length of a window."""
    length = monitor.definition.window
    default = next((word for word, longest in _FIRST if length <= longest), "28d")
    window = read_window(query, zone, now, default=default, keep=("alarm", "by", "chart"))
    is_asked = any(query.get(name) for name in ("t", "from", "to"))
    if alarm is None or is_asked or window.start_at <= alarm.window_start:
        return window
    span = window.end_at - window.start_at
    around = QueryDict(mutable=True)
    around["from"] = (alarm.window_start - span * 0.7).astimezone(zone).strftime("%Y-%m-%d %H:%M")
    around["to"] = min(alarm.window_start + span * 0.3, now).astimezone(zone).strftime("%Y-%m-%d %H:%M")
    return read_window(around, zone, now, default=default, keep=())


def _read(
    project: Project, monitor: MonitorRow, metric: Metric | None, window: Window, alarm: AlarmRow | None
) -> _Held:
    start, end, length = window.start_at, window.end_at, monitor.definition.window
    alarms = list_alarms(project.pk, monitor_id=monitor.id, start=start, end=end, limit=ALARMS_MAX)
    if alarm is None and monitor.alarm_id is not None:
        alarm = next((each for each in alarms if each.id == monitor.alarm_id), None)
        alarm = alarm or get_alarm(project.pk, monitor.alarm_id)
    always = [each.window_start for each in alarms]
    drawn = read_drawn(monitor.id, monitor.chart_no, start, end, length, always)
    newest = list_points(monitor.id, monitor.chart_no, limit=1, newest_first=True)
    baselines = list_baselines(project.pk, monitor.id, limit=BASELINES_MAX)
    scope = dict(monitor.definition.scope.values)
    changes = changes_between(
        project.pk,
        start,
        end,
        services=scope.get("service", ()),
        features=scope.get("feature", ()),
        environments=scope.get("environment", ()),
        limit=CHANGES_MAX,
    )
    fired = tallies(project.pk, clock.now() - timedelta(days=30)).get(monitor.id)
    sized = _sized(monitor, metric, alarm, _judging(baselines, alarm))
    chance = None
    if monitor.method in {Method.FIXED, Method.COMPOSITE}:
        fixed = read_fixed(list_named(project.pk, [monitor.id]))
        chance = by_chance(monitor.definition, fixed.get(monitor.id), monitor.updates_a_week)
    return _Held(drawn, newest[0] if newest else None, alarms, alarm, baselines, changes, fired, sized, chance)


def _mix(
    project: Project, monitor: MonitorRow, metric: Metric | None, window: Window, held: _Held, by: str, zone: ZoneInfo
) -> mix_view.MixView | None:
    """The series against itself at the baseline's mix of `by`."""
    if metric is None:
        return None
    baseline = _judging(held.baselines, held.alarm)
    before = (window.start_at - BEFORE, window.start_at)
    reference = (baseline.start_at, baseline.end_at) if baseline is not None else before
    windows = [SeriesWindow(each.start_at, each.end_at) for each in held.drawn.points]
    try:
        found = read_mixed(project.pk, project.time_zone, metric, monitor.definition, by, reference, windows)
    except SeriesFault as fault:
        return mix_view.lacking(f"{fault.words[:1].upper()}{fault.words[1:]}.")
    except TooSlow:
        return mix_view.lacking("That took too long; a shorter time makes it quick.")
    if not windows:
        return mix_view.lacking("Nothing is drawn in this time.")
    of = "the baseline" if baseline is not None else "the 7 days before"
    return mix_view.view(found, metric, by, of, windows[0].start, windows[-1].end, zone)


def _members(project: Project, monitor: MonitorRow, alarm: AlarmRow | None) -> list[chart_view.MemberLine]:
    if monitor.definition.composite is None:
        return []
    ids = [each.monitor_id for each in monitor.definition.composite.members]
    return chart_view.members(list_named(project.pk, ids), alarm)


def _judging(baselines: Sequence[BaselineRow], alarm: AlarmRow | None) -> BaselineRow | None:
    """The baseline that judged an alarm, or the one in force."""
    wanted = alarm.baseline_id if alarm is not None else None
    found = next((each for each in baselines if each.id == wanted), None) if wanted is not None else None
    return found or next((each for each in baselines if each.state == IN_FORCE), None)


def _sized(
    monitor: MonitorRow, metric: Metric | None, alarm: AlarmRow | None, baseline: BaselineRow | None
) -> chart_view.Sized | None:
    """How big the change of an alarm is; None where there is none, or its kind has no such size."""
    if alarm is None or metric is None or metric.kind is Kind.VECTOR or alarm.rule == "no data":
        return None
    if monitor.method is Method.COMPOSITE:
        return None
    before = (alarm.window_start - BEFORE, alarm.window_start)
    if baseline is not None:
        before = (baseline.start_at, min(baseline.end_at, alarm.window_start))
    end = alarm.ended_at or alarm.closed_at or monitor.decided_to or alarm.window_end
    after = (alarm.window_start, max(end, alarm.window_end))
    if metric.kind is Kind.CATEGORY:
        held, now = (read_categories(monitor.id, alarm.chart_no, *stretch) for stretch in (before, after))
        return moved_categories(held, now)
    if metric.kind is Kind.COUNT:
        # What is expected is known of judged windows alone: of those since the baseline, not of those in it.
        judged = (alarm.window_start - COUNTED, alarm.window_start)
        usual, came = read_rated(monitor.id, alarm.chart_no, [judged, after])
        return ratio_of_counts(usual, came, are_events=metric.unit == "count")
    past, present = read_stretches(monitor.id, alarm.chart_no, [before, after])
    return (shift_of_share if metric.kind is Kind.SHARE else shift_of_mean)(past, present)


def _context(
    project: Project,
    monitor: MonitorRow,
    metric: Metric | None,
    window: Window,
    held: _Held,
    zone: ZoneInfo,
    now: datetime,
    *,
    is_earlier: bool,
) -> dict[str, Any]:
    definition, alarm, points = monitor.definition, held.alarm, held.drawn.points
    unit = units.unit_of(metric)
    # What judged an alarm may have been given other limits since: the present chart shows what is in force.
    baseline = _judging(held.baselines, alarm if is_earlier else None)
    told = [(each.at, each.label) for each in held.changes]
    hot = chart_view.suspect(told, alarm if alarm is not None and alarm.is_open else None, definition.window)
    sketch = chart_figure.Sketch(
        fmt.visible(monitor.name), unit, points, window.start_at, window.end_at, zone, definition.window,
        held.drawn.every, chart_parts.smoothed(points),
    )  # fmt: skip
    changes = [chart_figure.Marked(at, name, (at, name) == hot) for at, name in told]
    ribbon, word = words.standing(monitor.standing, monitor.standing_words, is_on=monitor.is_on)
    return {
        "project": project,
        "monitor": monitor,
        "metric": metric,
        "window": window,
        "has_rules_only": monitor.method in {Method.FIXED, Method.OBJECTIVE, Method.COMPOSITE},
        "title": chart_view.headline(monitor, alarm, zone, now),
        "as_of_words": chart_view.as_of(definition, metric, held.last, baseline, zone),
        "ribbon": ribbon,
        "ribbon_icon": f"r-{ribbon}",
        "word": word,
        "says": words.says(monitor.standing, monitor.standing_words, monitor.error),
        "is_muted": monitor.is_muted(now),
        "chance": chart_view.chance_words(monitor, baseline, held.fired, held.chance),
        "size": chart_view.sized(
            held.sized, metric, "since the alarm", "the baseline" if baseline else "the 7 days before"
        ),
        "suspect": chart_view.suspect_words(hot, alarm, zone, now) if hot and alarm else "",
        "alarm": alarm_view.line(alarm) if alarm else None,
        "alarm_row": alarm,
        "incident": incidents_of(project.pk, "alarm", [alarm.id]).get(alarm.id) if alarm else None,
        "alarms": alarm_view.lines(held.alarms),
        "figure": chart_figure.chart(
            sketch,
            [*changes, *chart_parts.steps(held.baselines, monitor)],
            chart_parts.behind(project, monitor, None if is_earlier else metric),
            chart_parts.href(window, monitor),
            chart_view.finding(monitor, alarm, points),
            chart_parts.note(held.drawn, monitor, window, unit),
            chart_parts.set_levels(monitor, unit),
        ),
        "strip": chart_figure.units_strip(sketch, _NOUNS.get(metric.kind, "Units") if metric else "Units"),
        "statistic": chart_parts.statistic(sketch),
        "rules": chart_view.rules(points, definition, metric, held.drawn.every),
        "changes": held.changes,
        "facts": chart_facts.facts(definition, metric, monitor),
        "baseline": baseline,
        "baseline_words": chart_parts.baseline_words(baseline, monitor, unit),
        "proposed": [each for each in held.baselines if each.state == PROPOSED],
        "earlier": [each for each in held.baselines if each is not baseline and each.state != PROPOSED],
        "fired": chart_view.fired_words(held.fired) if held.fired else None,
        "expected": chart_parts.expected(monitor, now, held.chance),
        "is_learning": not any(point.phase > 1 for point in points),
        "may_measure": may(project, "measure"),
        "may_review": may(project, "review"),
        "verdicts": [("real", "Real"), ("false", "False alarm"), ("accepted", "Change accepted")],
    }


def _addresses(project: Project, monitor: MonitorRow, window: Window, query: QueryDict) -> dict[str, Any]:
    base = reverse("monitor", args=[project.slug, monitor.id])
    return {
        "csv": query_string(query, format="csv", at=None),
        "ndjson": query_string(query, format="ndjson", at=None),
        "began_href": query_string(query, began="1") + "#alarm",
        "close_at": query_string(query, at=None),
        "base": base,
        "list": reverse("monitors", args=[project.slug]),
    }
