"""Reports: each day of the series once it is over, and windows up to now as new samples come. In the background."""

from __future__ import annotations

import hashlib
import logging
import time as timer
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

import numpy as np

from alerts.drift.fields import Side
from alerts.drift.grouping import NOTHING
from alerts.drift.naming import names_of
from alerts.drift.reference import Reference
from alerts.drift.report import Current, Report, make_report
from alerts.drifting.filling import start_missing
from alerts.drifting.references import learn_missing, texts_of
from alerts.drifting.sampling import WRONG
from alerts.models import DriftReference, DriftReport
from alerts.read.drift import DAILY, read_current
from alerts.read.drift_about import read_about
from alerts.read.drift_references import ReferenceView, list_references, load_reference
from alerts.read.vectors import encoders_of
from alerts.write import drift_references as write
from telltale.lib import clock
from telltale.projects.models import Project

log = logging.getLogger(__name__)

RUN_SECONDS = 120.0
SERIES_DAYS = 60
WINDOWS = (1, 7, 28)
OWN_DAYS_MIN = timedelta(days=3)
LEFT_MIN = 50
# A day is over for the series so much later: embedding takes a minute, late spans some more.
LATE = timedelta(hours=2)
# How old a report may be while new samples come.
EVERY = {DAILY: timedelta(hours=1), 1: timedelta(minutes=30), 7: timedelta(hours=1), 28: timedelta(hours=6)}


def tend_reports(seconds: float = RUN_SECONDS) -> int:
    """Freeze first references and make the reports that are due, project by project; how many reports were made."""
    start_missing()
    ends, made = timer.monotonic() + seconds, 0
    for project in Project.objects.order_by("pk"):
        if timer.monotonic() > ends:
            break
        try:
            made += tend_project(project, ends=ends)
        except WRONG as error:
            log.exception("drift of project %s cannot be reported now", project.pk, exc_info=error)
    return made


def tend_project(project: Project, now: datetime | None = None, *, ends: float = float("inf")) -> int:
    """Freeze first references of a project and make its reports that are due; how many."""
    now = now or clock.now()
    seen = encoders_of(project.pk)
    if not seen:
        return 0
    learn_missing(project.pk, now)
    made = 0
    for view in list_references(project.pk):
        if view.encoder == seen[0].key:
            made += _tend(project, view, seen[0].newest_at, now, ends)
    return made


def refresh(project: Project, feature: str | None, now: datetime | None = None) -> int:
    """Make the reports of a feature's windows anew, up to now; how many. For a person who waits."""
    now = now or clock.now()
    learn_missing(project.pk, now)
    seen, made = encoders_of(project.pk), 0
    for view in list_references(project.pk):
        if seen and view.encoder == seen[0].key and view.feature == feature:
            reference = load_reference(view.id)
            for days in WINDOWS:
                _make(project, view, reference, days, _since(view, days, now), now)
                made += 1
    return made


def _tend(project: Project, view: ReferenceView, newest_at: datetime, now: datetime, ends: float) -> int:
    wanted = [*_days_wanted(project, view, newest_at, now), *_windows_wanted(view, newest_at, now)]
    if not wanted:
        return 0
    try:
        reference = load_reference(view.id)
    except DriftReference.DoesNotExist:  # replaced and erased meanwhile
        return 0
    made = 0
    for days, start, end in wanted:
        if timer.monotonic() > ends:
            break
        _make(project, view, reference, days, start, end)
        made += 1
    return made


def _days_wanted(
    project: Project, view: ReferenceView, newest_at: datetime, now: datetime
) -> list[tuple[int, datetime, datetime]]:
    """Days of the series without a report, or with one from before they were over, oldest first.

    Days of the reference itself are compared with its other days, where there are two of them at least.
    """
    zone = clock.zone_of(project.time_zone)
    begins = view.start_at if view.end_at - view.start_at >= OWN_DAYS_MIN else view.end_at
    first = max(begins.astimezone(zone).date(), now.astimezone(zone).date() - timedelta(days=SERIES_DAYS))
    last = min(newest_at, now).astimezone(zone).date()
    rows = DriftReport.objects.filter(reference_id=view.id, days=DAILY).values_list("start_at", "made_at")
    made = dict(rows)
    wanted = []
    for at in range((last - first).days + 1):
        start, end = day_of(first + timedelta(days=at), zone)
        was = made.get(start)
        is_over = now >= end + LATE
        if was is None or (is_over and was < end + LATE) or (not is_over and now - was >= EVERY[DAILY]):
            wanted.append((DAILY, start, end))
    return wanted


def _windows_wanted(view: ReferenceView, newest_at: datetime, now: datetime) -> list[tuple[int, datetime, datetime]]:
    rows = DriftReport.objects.filter(reference_id=view.id, days__in=WINDOWS).values_list("days", "made_at")
    made = dict(rows)
    wanted = []
    for days in WINDOWS:
        was = made.get(days)
        # Without anything new a window still moves along, but nobody waits for that.
        every = EVERY[days] if was is None or newest_at > was else timedelta(hours=24)
        if was is None or now - was >= every:
            wanted.append((days, _since(view, days, now), now))
    return wanted


def _since(view: ReferenceView, days: int, now: datetime) -> datetime:
    """Where a window of so many days begins: not before its reference ends, for that is what it is compared with."""
    return min(max(now - timedelta(days=days), view.end_at), now)


def _make(
    project: Project, view: ReferenceView, reference: Reference, days: int, start: datetime, end: datetime
) -> None:
    current = read_current(project.pk, view.feature, view.side, view.encoder, start, end)
    seed = int.from_bytes(hashlib.sha256(f"{view.id} {days} {start.isoformat()}".encode()).digest()[:6], "big")
    # A day is a point of a curve: nobody sees its groups.
    is_read = days != DAILY
    about = read_about(project.pk, reference.traces, current.traces) if is_read else NOTHING
    left = _without(reference, current)
    report = make_report(left, current, view.side, seed=seed, with_plane=is_read, about=about)
    write.put_report(project.pk, view.id, days, start, end, _with_names(project.pk, report, view.side))


def _without(reference: Reference, current: Current) -> Reference:
    """The reference without the vectors of the window, where they are some of its own: nothing is compared with itself.

    Left whole where next to nothing would be left: one day that holds nearly all of it.
    """
    own = set(current.traces)
    kept = np.array([trace not in own for trace in reference.traces], dtype=bool)
    if kept.all() or int(kept.sum()) < LEFT_MIN:
        return reference
    numbers = np.cumsum(kept) - 1
    central = tuple(tuple(int(numbers[at]) for at in each if kept[at]) for each in reference.topics.central)
    return replace(
        reference,
        rows=reference.rows[kept],
        traces=tuple(trace for trace, keep in zip(reference.traces, kept, strict=True) if keep),
        topics=replace(reference.topics, central=central),
    )


def _with_names(project_id: int, report: Report, side: Side) -> Report:
    """New groups named by the words of their texts."""
    new = [group for group in report.groups if group.is_new]
    if not new:
        return report
    texts = texts_of(project_id, [each for group in new for each in group.current_traces], side)
    told = [[texts[each] for each in group.current_traces if each in texts] for group in new]
    taken = [group.name for group in report.groups if not group.is_new]
    names = dict(zip([g.key for g in new], names_of(told, [g.name for g in new], taken=taken), strict=True))
    return replace(
        report, groups=tuple(replace(group, name=names.get(group.key, group.name)) for group in report.groups)
    )


def day_of(day: date, zone: ZoneInfo) -> tuple[datetime, datetime]:
    """A calendar day of the zone as [start, end): 23 or 25 hours long twice a year."""
    start = datetime.combine(day, time.min, zone)
    return start, datetime.combine(day + timedelta(days=1), time.min, zone)
