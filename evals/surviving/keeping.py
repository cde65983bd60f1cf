"""The history of the verdict: at the end of each day, over the 28 days before, for all features and for each."""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any

import orjson

from evals.read.survivorship import WORK_TIMEOUT_MS, Sample, Units, read_sample, read_units_by_day, whole
from evals.read.survivorship_kept import Stored, first_hour, projects_with_sessions, stored_days
from evals.stats.results import Estimate, TooLittle
from evals.stats.survivorship import Anchor, Bounds, Calibrated, NotIdentified
from evals.surviving.choosing import Anchoring, anchoring_for
from evals.surviving.looking import Look, look
from evals.write import survivorship as write
from evals.write.day_sums import hours_of_day
from evals.write.survivorship import NewDay
from telltale.lib import clock
from telltale.projects.models import Project
from traces.read.asking import TooSlow
from traces.read.behaviour import definition_of, progress

WINDOW_DAYS = 28
KEPT_DAYS = 84
# Sessions of the evening end in the night; half an hour idle is the default.
AFTER = timedelta(hours=2)
# Votes, sessions and reviews that come late change the verdicts of so many days; what is older stays as it was.
REVISED_DAYS = 7
REVISED_EVERY = timedelta(hours=20)
SESSIONS_LEAST, FEATURES_MOST = 50, 20


def tend(seconds: float = 300.0) -> int:
    """Make the verdicts that are missing, of another definition or setting, or of late; how many were made.

    Goes on for about so long; the next run goes on from there.
    """
    until, made = time.monotonic() + seconds, 0
    for project in Project.objects.filter(pk__in=projects_with_sessions()).order_by("pk"):
        try:
            made += keep_days(project, until=until)
        except TooSlow:
            continue  # the next run tries again
    return made


def keep_days(project: Project, now: datetime | None = None, *, until: float = math.inf) -> int:
    """Make the verdicts of one project, newest first; how many. `until`: by the monotonic clock.

    While sessions are counted anew by other definitions, none: they would be of both.
    """
    now = now or clock.now()
    if progress(project.pk).is_running:
        return 0
    zone = project.time_zone
    last = (now - AFTER).astimezone(clock.zone_of(zone)).date() - timedelta(days=1)
    first = last - timedelta(days=KEPT_DAYS - 1)
    began_at = first_hour(project.pk)
    if began_at is not None:
        first = max(first, began_at.astimezone(clock.zone_of(zone)).date())
    version = definition_of(project.pk)[0]
    anchoring = anchoring_for(project.pk)
    basis = basis_of(version, anchoring, zone)
    stored = stored_days(project.pk, first)
    days = [first + timedelta(days=at) for at in range((last - first).days + 1)]
    wanted = [day for day in days if _is_wanted(stored.get(day, {}), basis, day, last, now)]
    if not wanted or began_at is None:
        return 0
    start, end = hours_of_day(wanted[0] - timedelta(days=WINDOW_DAYS - 1), zone)[0], hours_of_day(wanted[-1], zone)[1]
    by_day = read_units_by_day(project.pk, start, end, zone)
    made = 0
    for day in reversed(wanted):
        if time.monotonic() >= until:
            break
        rows = _day(project, day, by_day, stored.get(day, {}), anchoring, version, basis)
        made += write.put_days(project.pk, rows, now)
    return made


def _is_wanted(stored: Mapping[str | None, Stored], basis: str, day: date, last: date, now: datetime) -> bool:
    kept = stored.get(None)
    if kept is None or kept.basis != basis:
        return True
    return day > last - timedelta(days=REVISED_DAYS) and now - kept.computed_at >= REVISED_EVERY


def basis_of(version: int, anchoring: Anchoring, zone: str) -> str:
    """A word for what verdicts stand on: the definitions, what counts as satisfied, and where days are cut."""
    versions = anchoring.judging.version_ids if anchoring.judging else ()
    told = anchoring.told() | {"definition": version, "versions": versions, "zone": zone}
    return hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).hexdigest()[:32]


def _day(
    project: Project,
    day: date,
    by_day: Mapping[date, Mapping[str, Units]],
    stored: Mapping[str | None, Stored],
    anchoring: Anchoring,
    version: int,
    basis: str,
) -> list[NewDay]:
    """The verdicts of one day: of all together, of each feature with sessions enough, of those that had one before."""
    by_feature: dict[str, Units] = {}
    for at in range(WINDOW_DAYS):
        for feature, units in by_day.get(day - timedelta(days=at), {}).items():
            by_feature[feature] = by_feature.get(feature, Units()) + units
    start, end = (
        hours_of_day(day - timedelta(days=WINDOW_DAYS - 1), project.time_zone)[0],
        hours_of_day(day, project.time_zone)[1],
    )
    every = whole(by_feature)
    sample = Sample()
    if anchoring.is_on and not every.is_empty:
        sample = read_sample(project.pk, start, end, anchoring.judging, anchoring.at_least, WORK_TIMEOUT_MS)
    ordered = sorted(by_feature, key=lambda name: (-by_feature[name].counts().n, name))
    large = [name for name in ordered if by_feature[name].counts().n >= SESSIONS_LEAST][:FEATURES_MOST]
    shown: list[tuple[str | None, Units]] = [(None, every)]
    shown += [
        (name, by_feature.get(name, Units()))
        for name in dict.fromkeys([*large, *(name for name in stored if name is not None)])
    ]
    looks = [look(project.pk, name, units, sample, anchoring) for name, units in shown]
    return [
        NewDay(
            day,
            found.feature,
            found.verdict.colour,
            found.verdict.rule,
            found.counts.n,
            figures_of(found, start, end),
            version,
            basis,
        )
        for found in looks
    ]


def figures_of(found: Look, start: datetime, end: datetime) -> dict[str, Any]:
    """The figures of a verdict as they are kept."""
    total = found.counts.total
    anchor = found.anchor if isinstance(found.anchor, Anchor) else None
    return {
        "start": start.isoformat(),
        "end": end.isoformat(),
        "up": total.up,
        "down": total.down,
        "votes": limits(found.verdict.votes),
        "coverage": limits(found.verdict.coverage),
        "calibrated": limits(found.calibrated),
        "anchor": None if anchor is None else limits(anchor),
        "bounds": limits(found.verdict.bounds),
        "gap": found.gap,
        "seed": found.seed,
    }


def limits(
    found: Estimate | Bounds | Anchor | Calibrated | NotIdentified | TooLittle | None,
) -> dict[str, Any] | None:
    """An estimate as JSON: its value, limits and n; None where there is none."""
    if isinstance(found, Calibrated):
        return limits(found.estimate)
    if isinstance(found, Estimate):
        return {"value": found.value, "low": found.low, "high": found.high, "n": found.n}
    if isinstance(found, Anchor):
        return {"value": found.estimate, "low": found.low, "high": found.high, "n": found.n}
    if isinstance(found, Bounds):
        return {"low": found.low, "high": found.high, "n": found.n}
    return None
