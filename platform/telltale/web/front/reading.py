"""Everything the overview shows of a project, in a number of queries that no size changes. A slow part is left out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from alerts.monitors.states import Method, Standing
from alerts.read.alarms import ACKNOWLEDGED, OPEN, AlarmRow, list_alarms
from alerts.read.fronted import Moved, read_curves, read_sizes
from alerts.read.incidents import IncidentRow, incidents_of, open_of
from alerts.read.questions import About, QuestionRow, questions_of, read_about
from alerts.read.shown import Shown, list_shown, read_definitions, read_last
from alerts.read.waiting import read_waiting
from alerts.series.catalogue import find_metric
from evals.read.estimates import Estimates, read_estimates
from telltale.lib.clock import zone_of
from telltale.projects.models import Project
from telltale.stats.sketch import Sketch
from telltale.web.front.values import Asked, FeatureUse, Front, Seen, Traffic, Watching
from traces.cost.judging import JUDGE_SERVICE
from traces.read import TooSlow
from traces.read.accounting import Account, read_account
from traces.read.asking import asking
from traces.read.changelog import Change, changes_between
from traces.read.cost import read_forecast
from traces.read.rollups import Where, reading, requests
from traces.rollup.sums import Sums, add

DAY = timedelta(hours=24)
# Changes this long before the window are looked at for what came before an alarm.
CHANGES_BEFORE = timedelta(days=2)
CHANGES_MOST, ALARMS_MOST, INCIDENTS_MOST, FEATURES_MOST = 100, 200, 50, 12
GOING = (Standing.ALARMED, Standing.ACKNOWLEDGED)
# Which metric of a question is drawn where nothing is out of its limits: what says most by itself.
_FIRST = (
    "score", "hallucination", "toxicity", "low_scores", "flagged", "relevance", "cost_per_request", "spend",
    "request_duration", "duration", "errors", "failures", "abandoned", "corrected",
)  # fmt: skip
_RANK = {key: at for at, key in enumerate(_FIRST)}
_STANDING = {
    Standing.IN_CONTROL: 0, Standing.LEARNING: 1, Standing.TOO_LITTLE: 2, Standing.NO_DATA: 3, Standing.STALE: 4,
    Standing.UNSTABLE: 4, Standing.BROKEN: 5,
}  # fmt: skip
JUDGED_FOR, JUDGED_MOST = timedelta(seconds=20), 200
_judged: dict[int, tuple[datetime, Estimates]] = {}
T = TypeVar("T")


def read_front(project: Project, start: datetime, end: datetime, now: datetime) -> Front:
    """The overview of a project: charts over [start, end), all else as of now."""
    return Front(
        project=project,
        zone=zone_of(project.time_zone),
        now=now,
        start=start,
        end=end,
        watching=_in_time(lambda: read_watching(project, start, end, now)),
        traffic=_in_time(lambda: read_traffic(project, now)),
        judged=_in_time(lambda: read_judged(project, now)),
        account=_in_time(lambda: _account(project, now)),
        changes=_in_time(lambda: _changes(project, start, now)),
        incidents=tuple(_incidents(project)),
        oldest=read_waiting(project.pk).oldest,
    )


def _in_time(read: Callable[[], T]) -> T | None:
    """What `read` gives; None where it takes longer than a page may."""
    try:
        return read()
    except TooSlow:
        return None


def read_watching(project: Project, start: datetime, end: datetime, now: datetime) -> Watching:
    """The monitors by question, with what their sentences and small charts need."""
    with asking():
        every = [each for each in list_shown(project.pk) if each.archived_at is None and each.is_on]
        about = read_about(project.pk, every)
        opened = list_alarms(project.pk, states=(OPEN, ACKNOWLEDGED), limit=ALARMS_MOST)
        out = {each.id for each in every if each.standing in GOING}
        # The newest where a monitor has several.
        alarms = {row.monitor_id: row for row in reversed(opened) if row.monitor_id in out}
        incident_of = {
            ref: number for ref, (number, _) in incidents_of(project.pk, "alarm", [row.id for row in opened]).items()
        }
        questions = questions_of(project.pk, about)
        by_id = {each.id: each for each in every}
        of = [(one, [by_id[each] for each in one.monitor_ids if each in by_id]) for one in questions]
        leads = [lead_of(one, monitors, alarms, about, now) for one, monitors in of]
        besides = [_beside(lead, monitors, about) for lead, (_, monitors) in zip(leads, of, strict=True)]
        table = [each for each in every if _is_of_table(each, about[each.id])]
        drawn = {each.id: each for each in (*leads, *besides) if each is not None}
        definitions = read_definitions(project.pk, list(drawn))
        curves = read_curves(list(drawn.values()), start, end)
        small = read_curves(table, start, end, 48)
        last = read_last([*drawn.values(), *(each for each in table if each.id not in drawn)])
        sizes = read_sizes(_moved(leads, alarms, now))

    def seen(each: Shown | None) -> Seen | None:
        if each is None:
            return None
        alarm = alarms.get(each.id)
        return Seen(
            each, about[each.id], find_metric(each.metric), definitions.get(each.id), alarm,
            incident_of.get(alarm.id) if alarm else None, last.get(each.id), sizes.get(each.id),
            tuple(curves[each.id]),
        )  # fmt: skip

    asked = [
        Asked(one, tuple(monitors), seen(lead), seen(beside))
        for (one, monitors), lead, beside in zip(of, leads, besides, strict=True)
    ]
    kept = {monitor_id: tuple(points) for monitor_id, points in small.items()}
    return Watching(tuple(asked), tuple(every), about, alarms, tuple(opened), incident_of, kept, last)


def is_wrong(monitor: Shown, now: datetime) -> bool:
    """Whether it says that something is wrong, and may call somebody."""
    return monitor.standing in GOING and monitor.is_paging and not monitor.is_muted(now)


def is_noted(monitor: Shown, now: datetime) -> bool:
    """Whether it is out and calls nobody: a notice, or muted."""
    return monitor.standing in GOING and not is_wrong(monitor, now)


def lead_of(
    question: QuestionRow,
    monitors: Sequence[Shown],
    alarms: Mapping[int, AlarmRow],
    about: Mapping[int, About],
    now: datetime,
) -> Shown | None:
    """The monitor that answers: the worst that is out, else the one the team put first, else what says most.

    A composite says that it is no chance, and not what moved: of the same severity a single series goes before it.
    """
    wrong = [each for each in monitors if is_wrong(each, now)] or [each for each in monitors if is_noted(each, now)]
    if wrong:
        return min(
            wrong,
            key=lambda each: (
                each.severity,
                each.method is Method.COMPOSITE,
                _RANK.get(each.metric, len(_RANK)),
                alarms[each.id].window_start if each.id in alarms else now,
                each.id,
            ),
        )
    if not monitors:
        return None
    if not question.is_shipped:
        return monitors[0]
    return min(
        monitors,
        key=lambda each: (
            _STANDING.get(each.standing, 9),
            each.method is Method.COMPOSITE,
            _RANK.get(each.metric, len(_RANK)),
            not each.is_paging,
            len(about[each.id].scope.values),
            each.id,
        ),
    )


def _beside(lead: Shown | None, monitors: Sequence[Shown], about: Mapping[int, About]) -> Shown | None:
    """A monitor of the same series in other parts of the project, that the lead can be set against."""
    if lead is None or lead.standing not in GOING or lead.method is Method.COMPOSITE:
        return None
    same = [
        each
        for each in monitors
        if each.id != lead.id
        and each.metric == lead.metric
        and each.standing not in GOING
        and about[each.id].criterion == about[lead.id].criterion
    ]
    return min(same, key=lambda each: (_STANDING.get(each.standing, 9), each.id), default=None)


def _is_of_table(monitor: Shown, about: About) -> bool:
    """Whether it watches a judge's scores of one feature: the table draws its line."""
    features = dict(about.scope.values).get("feature", ())
    return monitor.metric in {"score", "low_scores", "hallucination"} and len(features) == 1


def _moved(leads: Sequence[Shown | None], alarms: Mapping[int, AlarmRow], now: datetime) -> list[Moved]:
    found = {}
    for each in leads:
        metric = find_metric(each.metric) if each is not None else None
        if each is not None and metric is not None and each.id in alarms:
            found[each.id] = Moved(each, metric, alarms[each.id], now)
    return list(found.values())


def read_traffic(project: Project, now: datetime) -> Traffic:
    """The requests of the last 24 hours and the month's cost, from roll-ups."""
    where: Where = requests().but(service=JUDGE_SERVICE)
    with reading(project.pk, project.time_zone) as rollups:
        answer = rollups.ask(
            where,
            now - DAY,
            now,
            by=("feature",),
            want=("counts", "statuses", "cost", "latency"),
            sketches=("duration",),
        )
        month = read_forecast(rollups, now)
        state = rollups.state()
    uses = [
        FeatureUse(None if row.key[0] is None else str(row.key[0]), row.sums, row.sketch("duration"))
        for row in answer.rows
    ]
    uses.sort(key=lambda use: (-use.sums.n, use.feature or ""))
    whole = FeatureUse(
        None, add(use.sums for use in uses) if uses else Sums(), Sketch.merged(use.durations for use in uses)
    )
    return Traffic(answer.start, answer.end, tuple(uses), whole, month, state)


def read_judged(project: Project, now: datetime) -> Estimates:
    """What judges said of the last 24 hours, by feature, and how far judging came; at most JUDGED_FOR old.

    It is a fifth of the page's work, is cut at whole hours anyway, and scores come minutes after their traces.
    """
    held = _judged.get(project.pk)
    if held is not None and held[0] <= now < held[0] + JUDGED_FOR:
        return held[1]
    found = read_estimates(project.pk, project.time_zone, now - DAY, now, by="feature")
    if len(_judged) >= JUDGED_MOST:
        _judged.clear()
    _judged[project.pk] = (now, found)
    return found


def forget_judged() -> None:
    """Read what judges said anew the next time."""
    _judged.clear()


def _account(project: Project, now: datetime) -> Account:
    with asking():
        return read_account(project.pk, now - DAY, now)


def _changes(project: Project, start: datetime, now: datetime) -> tuple[Change, ...]:
    return tuple(changes_between(project.pk, start - CHANGES_BEFORE, now, limit=CHANGES_MOST))


def _incidents(project: Project) -> list[IncidentRow]:
    return open_of([project.pk], INCIDENTS_MOST)[project.pk]
