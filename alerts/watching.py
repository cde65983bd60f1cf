"""The engine: monitors that are due are claimed, their closed windows read, judged, and committed whole.

A round may be killed anywhere, delivered twice, or overtaken by a person: `write.charts.commit` moves a monitor only
from the version that was read, and all that followed from it in the same transaction. What is judged, and how, is in
`alerts.charting` alone.
"""

from __future__ import annotations

import logging
import math
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta

from django.db import InterfaceError, OperationalError

from alerts.charting import composites
from alerts.charting.advancing import advance, begin
from alerts.charting.stored import from_json
from alerts.charting.types import Advanced, Chart, Collected, Recall
from alerts.detectors.base import Baseline
from alerts.models import Monitor
from alerts.monitors.definition import COMPOSITE, read_definition
from alerts.monitors.types import Definition, Metric, Reading, Window
from alerts.read import members, points
from alerts.read.baselines import learned_of
from alerts.read.beside import changes_before
from alerts.read.drift import unembedded_since
from alerts.read.monitors import get_budget
from alerts.read.series import Asked, SeriesFault, metric_for, metrics_for, read_many
from alerts.read.series_vectors import OF_SAMPLES
from alerts.series.catalogue import METRICS
from alerts.series.grid import window_at, windows_between
from alerts.write import charts as write
from telltale.lib import clock
from telltale.lib.logs import describe_error
from telltale.projects.models import Project
from traces.read.rollups import unbooked_since

_Answer = list[Reading] | SeriesFault | Exception
# What ends a round for all: the database is away, and nothing is known of any monitor.
CONNECTION_ERRORS = (OperationalError, InterfaceError)
logger = logging.getLogger("telltale.alerts")

# Held by one worker for so long; a killed one's monitors are claimed by the next after it.
LEASE_SECONDS = 120.0
CLAIM_MOST = 250
# Of those that replay their history: learning takes a second or so each.
REPLAYS_MOST = 10
# A monitor that replays its history takes its turn with the others after so many windows.
WINDOWS_A_ROUND = 400
# Of all monitors of one read together: what is held in memory at once.
READINGS_A_READ = 4_000
# Seconds a call goes on claiming, unless told otherwise.
SECONDS = 20.0
RETRY_PASSING = timedelta(minutes=1)
RETRY_BROKEN = timedelta(minutes=10)
RETRY_MOST = timedelta(hours=1)
# What an alarm names of the change log: so many entries at most of so long before its window.
CHANGES_BEFORE, CHANGES_MOST = timedelta(days=1), 5
# An endpoint for embeddings that stands still holds up charts of the sample for so long.
SAMPLE_MOST = timedelta(days=1)
# A composite waits for its members; it looks for them so often.
RETRY_MEMBERS = timedelta(seconds=15)


@dataclass(frozen=True, slots=True)
class Counted:
    """What a call did: monitors looked at, windows decided, alarms opened, monitors that could not be evaluated."""

    monitors: int = 0
    windows: int = 0
    alarms: int = 0
    broken: int = 0

    def plus(self, other: Counted) -> Counted:
        return Counted(
            self.monitors + other.monitors,
            self.windows + other.windows,
            self.alarms + other.alarms,
            self.broken + other.broken,
        )


@dataclass(frozen=True, slots=True)
class _Place:
    """What the monitors of a project share: its zone, and the days people marked as no example of normal.

    `booked_to`: everything that came before then is in the roll-ups, `sampled_to`: in the sample of inputs and outputs;
    None: all that came.
    """

    project_id: int
    zone: str
    marked: frozenset[str]
    booked_to: datetime | None = None
    sampled_to: datetime | None = None

    def reached(self, definition: Definition) -> tuple[datetime, bool]:
        """What came before then is in the series, and whether something waits to be.

        A sample that stands still for a day is waited for no longer.
        """
        now = clock.now()
        waiting = [] if self.booked_to is None else [self.booked_to]
        if definition.metric in OF_SAMPLES and self.sampled_to is not None:
            waiting.append(max(self.sampled_to, now - SAMPLE_MOST))
        return min([now, *waiting]), bool(waiting)

    def closed_before(self, definition: Definition, begun_at: datetime | None = None) -> datetime | None:
        """Windows that end by then are closed: late data had their time, and the series holds what came in it.

        None where it does not hold yet all that came before `begun_at`, when the chart began: history is read whole.
        """
        reached, waits = self.reached(definition)
        if waits and begun_at is not None and reached < begun_at:
            return None
        return reached - definition.lateness

    def is_marked(self, start: datetime) -> bool:
        return bool(self.marked) and self._day(start).isoformat() in self.marked

    def _day(self, at: datetime) -> date:
        return at.astimezone(clock.zone_of(self.zone)).date()


@dataclass(frozen=True, slots=True)
class _Due:
    """A claimed monitor with what it takes to go on, and the closed windows of this round."""

    row: Monitor
    definition: Definition
    metric: Metric
    chart: Chart
    windows: tuple[Window, ...]
    has_more: bool


def metric_of(definition: Definition, project_id: int | None = None) -> Metric:
    """The metric a definition is charted as, with the scale of its scores in this project.

    KeyError for one the catalogue no longer has. Without a project scores are taken to lie on 1..5.
    """
    if definition.metric == COMPOSITE:
        return composites.METRIC
    found = METRICS.get(definition.metric) if project_id is None else metric_for(project_id, definition)
    if found is None:
        raise KeyError(definition.metric)
    return found


def evaluate_due(*, seconds: float = SECONDS, is_stopping: Callable[[], bool] = lambda: False) -> Counted:
    """Evaluate what is due for about `seconds`: first those that watch, then those that replay their history."""
    until, done = time.monotonic() + seconds, Counted()
    while not is_stopping() and time.monotonic() < until:
        claimed = claim()
        if not claimed:
            break
        done = done.plus(evaluate(claimed, until))
    return done


def claim() -> list[Monitor]:
    """Monitors that are due, held for us. New ones that replay weeks never keep others from their minute."""
    now = clock.now()
    live = write.claim(now, seconds=LEASE_SECONDS, limit=CLAIM_MOST, is_replaying=False)
    return live or write.claim(now, seconds=LEASE_SECONDS, limit=REPLAYS_MOST, is_replaying=True)


def evaluate(rows: Sequence[Monitor], until: float = math.inf) -> Counted:
    """Evaluate claimed monitors: one part of their closed windows each, every monitor committed by itself.

    At `until` (by the monotonic clock) those that are left are let go of.
    """
    done = Counted()
    left = {row.pk for row in rows}
    by_project: dict[int, list[Monitor]] = defaultdict(list)
    for row in rows:
        by_project[row.project_id].append(row)
    for project_id, mine in by_project.items():
        if time.monotonic() >= until:
            break
        try:
            place = place_of(project_id)
        except Project.DoesNotExist:
            continue
        groups: dict[tuple[Window, ...], list[_Due]] = defaultdict(list)
        for row, due in _all_prepared(place, mine):
            if due is None:
                done = done.plus(Counted(1, broken=1))
                left.discard(row.pk)
            elif not due.windows:
                write.put_off(row, next_due(due, place), now=clock.now())
                done = done.plus(Counted(1))
                left.discard(row.pk)
            else:
                groups[due.windows].append(due)
        for windows, dues in groups.items():
            for part in _parts(dues, max(1, READINGS_A_READ // len(windows))):
                if time.monotonic() >= until:
                    break
                for due, answer in zip(part, _read(place, part, windows), strict=True):
                    if time.monotonic() >= until:
                        break
                    done = done.plus(_decide(place, due, answer))
                    left.discard(due.row.pk)
    write.release_leases(sorted(left))
    return done


def _all_prepared(place: _Place, rows: Sequence[Monitor]) -> Iterable[tuple[Monitor, _Due | None]]:
    """Every row with what this round decides of it, None where it cannot go on; three queries for all of them."""
    learned = learned_of([row.chart["baseline_id"] for row in rows if row.chart.get("baseline_id")])
    definitions = [_definition(row) for row in rows]
    scaled = iter(metrics_for(place.project_id, [one for one in definitions if one is not None]))
    for row, definition in zip(rows, definitions, strict=True):
        yield row, None if definition is None else _prepared(row, definition, next(scaled), place, learned)


def place_of(project_id: int) -> _Place:
    """What the monitors of a project share. Project.DoesNotExist where it is gone."""
    zone = Project.objects.values_list("time_zone", flat=True).get(pk=project_id)
    marked = frozenset(get_budget(project_id).marked_days)
    return _Place(project_id, zone, marked, unbooked_since(project_id), unembedded_since(project_id))


def chart_of(row: Monitor, definition: Definition, learned: Mapping[int, Baseline]) -> Chart:
    """The chart of a row, or a new one where none began."""
    if not row.chart:
        return begin(definition)
    return from_json(row.chart, learned.get(row.chart.get("baseline_id") or 0))


def recall_of(row: Monitor, place: _Place) -> Recall:
    """The collected windows of a row's chart that were committed before."""

    def recall(start: datetime, end: datetime) -> Sequence[Collected]:
        return points.collected(row.pk, row.chart_no, start, end, is_marked=place.is_marked)

    return recall


def next_due(due: _Due, place: _Place) -> datetime:
    """When the first window that is not closed will be."""
    row, definition = due.row, due.definition
    following = window_at(place.zone, definition.window, row.next_start)
    closes = following.end + definition.lateness
    now = clock.now()
    return closes if closes > now else now + RETRY_MEMBERS


def _definition(row: Monitor) -> Definition | None:
    """What a monitor is; None, and put off, where its row makes no sense."""
    try:
        return read_definition(row.definition)
    except (KeyError, ValueError, TypeError) as error:
        _broken(row, error, "its definition cannot be read")
        return None


def _prepared(
    row: Monitor, definition: Definition, metric: Metric | None, place: _Place, learned: Mapping[int, Baseline]
) -> _Due | None:
    """What this round decides of a monitor; None, and put off, where it cannot go on."""
    if definition.metric == COMPOSITE:
        metric = composites.METRIC
    try:
        if metric is None:
            raise KeyError(definition.metric)
        chart = chart_of(row, definition, learned)
        until = place.closed_before(definition, row.changed_at if row.decided_to is None else None)
        if until is None:
            return _Due(row, definition, metric, chart, (), False)
        if definition.composite is not None:
            reached = members.decided_to(place.project_id, [one.monitor_id for one in definition.composite.members])
            until = min(until, reached) if reached is not None else until
        ahead = windows_between(place.zone, definition.window, row.next_start, until)
        windows = []
        for window in ahead:
            windows.append(window)
            if len(windows) > WINDOWS_A_ROUND:
                break
        return _Due(row, definition, metric, chart, tuple(windows[:WINDOWS_A_ROUND]), len(windows) > WINDOWS_A_ROUND)
    except (KeyError, ValueError, TypeError) as error:
        _broken(row, error, "its metric or chart cannot be read")
        return None


def _read(place: _Place, part: Sequence[_Due], windows: Sequence[Window]) -> list[_Answer]:
    """Readings of the same windows for many monitors: few queries whatever their number.

    Where something unforeseen ends that, each is read by itself, and only the one at fault is left without.
    """
    try:
        return _read_together(place, part, windows)
    except CONNECTION_ERRORS:
        raise
    except Exception as error:
        if len(part) == 1:
            return [error]
        logger.error("monitors of project %s could not be read together", place.project_id, exc_info=error)
    return [answer for due in part for answer in _read(place, [due], windows)]


def _read_together(place: _Place, part: Sequence[_Due], windows: Sequence[Window]) -> list[_Answer]:
    series = [due for due in part if due.definition.composite is None]
    asked = [Asked(due.metric, due.definition) for due in series]
    found = read_many(place.project_id, place.zone, asked, windows) if asked else []
    answers: dict[int, _Answer] = {due.row.pk: answer for due, answer in zip(series, found, strict=True)}
    for due in part:
        if due.definition.composite is not None:
            ids = [one.monitor_id for one in due.definition.composite.members]
            start = windows[0].end - due.definition.composite.within
            said = members.said(place.project_id, ids, start, windows[-1].end)
            answers[due.row.pk] = composites.readings(due.definition, windows, said)
    return [answers[due.row.pk] for due in part]


def _decide(place: _Place, due: _Due, answer: _Answer) -> Counted:
    """Judge one monitor's windows and commit what they came to. It never costs its neighbours anything."""
    row, now = due.row, clock.now()
    if isinstance(answer, SeriesFault):
        wait = min((RETRY_PASSING if answer.is_passing else RETRY_BROKEN) * (row.failures + 1), RETRY_MOST)
        write.put_off(row, now + wait, error=answer.words, is_broken=not answer.is_passing, now=now)
        return Counted(1, broken=1)
    try:
        if isinstance(answer, Exception):
            raise answer
        return _committed(place, due, answer, now)
    except CONNECTION_ERRORS:
        raise
    except Exception as error:  # noqa: BLE001 - one monitor must never cost its neighbours; it is logged and shown
        _broken(row, error, "it could not be evaluated")
        return Counted(1, broken=1)


def _committed(place: _Place, due: _Due, readings: Sequence[Reading], now: datetime) -> Counted:
    row = due.row
    steps = judge(due.chart, due.definition, due.metric, readings, row.arl0, place, recall_of(row, place))
    if not steps:
        write.put_off(row, next_due(due, place), now=now)
        return Counted(1)
    following = steps[-1].point.window.end
    closes = window_at(place.zone, due.definition.window, following).end + due.definition.lateness
    due_at = now if due.has_more else max(closes, now)
    steps = [_with_changes(place, due.definition, step) for step in steps]
    if not write.commit(row, write.Round(steps, steps[-1].chart, following, due_at, now)):
        # Somebody changed it meanwhile, or judged the same windows: theirs holds.
        write.release_leases([row.pk])
        return Counted(1)
    return Counted(1, len(steps), sum(1 for step in steps if step.alarm is not None))


def judge(
    chart: Chart,
    definition: Definition,
    metric: Metric,
    readings: Iterable[Reading],
    arl0: float,
    place: _Place,
    recall: Recall | None = None,
) -> list[Advanced]:
    """Every reading in its turn; the same live and in a back-test."""
    steps = []
    for reading in readings:
        marked = place.is_marked(reading.window.start)
        step = advance(chart, definition, metric, reading, arl0, recall=recall, marked=marked)
        steps.append(step)
        chart = step.chart
    return steps


def _with_changes(place: _Place, definition: Definition, step: Advanced) -> Advanced:
    """A step whose alarm names what the change log says of the days before it."""
    if step.alarm is None:
        return step
    window = step.alarm.window
    changes = changes_before(place.project_id, definition, window.start - CHANGES_BEFORE, window.end)
    if not changes:
        return step
    named = [{"id": one.id, "at": one.at.isoformat(), "kind": str(one.kind), "title": one.title} for one in changes]
    return replace(step, alarm=replace(step.alarm, evidence={**step.alarm.evidence, "changes": named[-CHANGES_MOST:]}))


def _broken(row: Monitor, error: Exception, words: str) -> None:
    now = clock.now()
    logger.error("monitor %s could not be evaluated", row.pk, exc_info=error)
    wait = min(RETRY_PASSING * 2 ** min(row.failures, 10), RETRY_MOST)
    told = f"{words} ({describe_error(error)['error']})"
    write.put_off(row, now + wait, error=told, is_broken=True, now=now)


def _parts(rows: Sequence[_Due], size: int) -> Iterable[Sequence[_Due]]:
    for first in range(0, len(rows), size):
        yield rows[first : first + size]
