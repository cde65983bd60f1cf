"""What keeps charts true after their windows were decided: late data, changed judges, deploys, days that are over."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta

from alerts import baselining
from alerts.models import Monitor
from alerts.monitors.definition import COMPOSITE, read_definition
from alerts.monitors.types import Definition, Reading, Window
from alerts.read import alarms, points
from alerts.read.beside import changes_before
from alerts.read.series import Asked, SeriesFault, made_by, read_many
from alerts.series.grid import windows_between
from alerts.watching import metric_of, place_of
from alerts.write import charts as charting
from alerts.write import points as write
from telltale.lib import clock
from telltale.projects.models import Project

# What detectors took of a window is kept so long, less where the project keeps its traces for less.
DATA_DAYS = 90
# Points are numbers alone; a year and a month of them, to compare with the year before.
POINTS_DAYS = 400
SLICES_MAX = 100
# Readings that are compared with what is stored at once.
READINGS_A_READ = 20_000
# Metrics whose numbers an encoder makes, named or not.
_OF_ENCODERS = frozenset({"embeddings", "inputs_and_outputs"})
# A change of the log may explain an alarm that began within so many days after it.
EXPLAINS = timedelta(days=7)


def revise(*, is_stopping: Callable[[], bool] = lambda: False) -> int:
    """Read the windows within their grace again and write down what late data made of them; how many changed.

    The decision stands, nothing fires again. Values that are the same to 9 digits are the same.
    """
    changed = 0
    for project_id in (
        Monitor.objects.filter(archived_at__isnull=True, is_on=True).values_list("project_id", flat=True).distinct()
    ):
        if is_stopping():
            break
        changed += revise_project(project_id)
    return changed


def revise_project(project_id: int) -> int:
    """The same for one project."""
    now, place = clock.now(), place_of(project_id)
    groups: dict[tuple[timedelta, datetime, datetime], list[tuple[Monitor, Definition]]] = defaultdict(list)
    rows = Monitor.objects.filter(
        project_id=project_id, archived_at__isnull=True, is_on=True, decided_to__isnull=False
    ).exclude(metric=COMPOSITE)
    for row in rows.defer("chart").order_by("pk"):
        definition = read_definition(row.definition)
        if row.decided_to is not None and definition.grace > definition.lateness:
            start = _even(now - definition.grace, definition.window)
            groups[definition.window, start, row.decided_to].append((row, definition))
    changed = 0
    for (size, start, end), members in groups.items():
        windows = list(windows_between(place.zone, size, start, end))
        each = max(1, READINGS_A_READ // max(1, len(windows)))
        for first in range(0, len(members) if windows else 0, each):
            part = members[first : first + each]
            changed += _revise(project_id, place.zone, part, windows)
    return changed


def tend_stale() -> int:
    """Let charts learn anew whose numbers are made by something else now (judge, outcome, encoder); how many.

    What made them is written down when a chart is first seen here; a chart that begins anew forgets it.
    """
    changed = 0
    for row in Monitor.objects.filter(archived_at__isnull=True, is_on=True).exclude(chart={}).order_by("pk"):
        definition = read_definition(row.definition)
        if not (definition.params or definition.metric in _OF_ENCODERS):
            continue
        try:
            now_by = made_by(row.project_id, metric_of(definition, row.project_id), definition)
        except KeyError:
            continue
        before_by = row.chart.get("made_by")
        if not now_by or now_by == before_by:
            continue
        if before_by is None:
            charting.put_beside(row, made_by=now_by)
        elif baselining.stale(row, f"{before_by} became {now_by}", clock.now()):
            row.refresh_from_db()
            charting.put_beside(row, made_by=now_by)
            changed += 1
    return changed


def propose_after_changes() -> int:
    """Propose a baseline for charts that alarm since a change of the log, once a change; how many.

    A deploy may have made the new level, or broken something: a person says which.
    """
    made = 0
    for row in Monitor.objects.filter(
        archived_at__isnull=True, is_on=True, standing__in=("alarmed", "acknowledged")
    ).order_by("pk"):
        made += _proposed(row)
    return made


def sweep_points(slices: int = SLICES_MAX) -> int:
    """Forget what windows held beyond their days, and remove points beyond theirs; how many rows. Bounded."""
    done, left, now = 0, slices, clock.now()
    for project_id, days in Project.objects.order_by("pk").values_list("pk", "retention_days"):
        for act, before in (
            (write.forget_data, now - timedelta(days=min(DATA_DAYS, days))),
            (write.remove_older, now - timedelta(days=POINTS_DAYS)),
        ):
            while left > 0:
                rows = act(project_id, before)
                done, left = done + rows, left - 1
                if rows < write.SLICE_ROWS:
                    break
    return done


def erase_project(project_id: int) -> Iterator[int]:
    """Remove the points of a project that goes, telling after each slice how many went. Safe to stop and to repeat.

    Its monitors stop first: a round that is under way writes nothing more of them.
    """
    charting.stop_all(project_id)
    removed = 0
    while gone := write.erase_slice(project_id):
        removed += gone
        yield removed


def _revise(project_id: int, zone: str, part: list[tuple[Monitor, Definition]], windows: list[Window]) -> int:
    asked = [Asked(metric_of(definition, project_id), definition) for _, definition in part]
    answers = read_many(project_id, zone, asked, windows)
    held = points.held([(row.pk, row.chart_no) for row, _ in part], windows[0].start, windows[-1].end)
    changed = []
    for (row, _), answer in zip(part, answers, strict=True):
        if isinstance(answer, SeriesFault):
            continue
        for reading in answer:
            before = held.get((row.pk, reading.window.start))
            if before is not None and not _is_same(before, reading):
                changed.append(write.Revised(row.pk, row.chart_no, reading.window.start, reading.n, reading.value))
    return write.revise(changed)


def _is_same(before: tuple[int, float | None], reading: Reading) -> bool:
    n, value = before
    if n != reading.n or (value is None) != (reading.value is None):
        return False
    return value is None or reading.value is None or math.isclose(value, reading.value, rel_tol=1e-9, abs_tol=1e-12)


def _even(at: datetime, size: timedelta) -> datetime:
    """`at` on the minute of an even hour: monitors of one size then share their windows."""
    return at.replace(minute=0, second=0, microsecond=0)


# Up to where charts were when a proposal was last looked for: nothing new is found of the same windows.
_looked_at: dict[int, datetime] = {}


def _proposed(row: Monitor) -> int:
    """1 where a baseline was proposed for the alarm that is open."""
    definition = read_definition(row.definition)
    found = alarms.list_alarms(row.project_id, monitor_id=row.pk, states=("open", "acknowledged"), limit=1)
    if not found or found[0].chart_no != row.chart_no:
        return 0
    alarm = found[0]
    changes = changes_before(row.project_id, definition, alarm.window_start - EXPLAINS, alarm.window_end)
    if not changes or row.chart.get("proposed_for") == changes[-1].id:
        return 0
    last = changes[-1]
    reached = row.decided_to or row.next_start
    if (reached - last.at) / definition.window < baselining.WINDOWS_LEAST or _looked_at.get(row.pk) == reached:
        return 0
    _looked_at[row.pk] = reached
    began = baselining.began(row.pk, row.chart_no)
    start = max(last.at, began.at) if began is not None and began.is_clear else last.at
    return int(baselining.propose(row, start, f"after {last.title}"[:400], for_change=last.id) is not None)
