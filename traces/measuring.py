"""Outcomes as people define them: adding, changing, archiving, trying one out, and counting sessions again.

A change of what is counted makes a new revision: its sums are thrown away and booked anew by a job that goes on after a
kill, newest sessions first. Sessions that close meanwhile are counted by the new measure at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from django.db import transaction
from django.http import HttpRequest
from django.utils import timezone
from django.utils.text import slugify
from psycopg import sql

from telltale.audit.log import record_in
from telltale.jobs import work
from telltale.jobs.models import Job, JobState
from telltale.jobs.tasks import sweep
from telltale.jobs.wake import wake
from telltale.lib import clock
from telltale.lib.db import raw_cursor
from telltale.projects.models import Project
from traces.canonical.text import clean_text
from traces.masks import mask_text
from traces.models import Outcome
from traces.outcomes.figures import figure
from traces.outcomes.presets import find_preset
from traces.outcomes.ratio import Ratio, Sums, TooLittle, ratio
from traces.outcomes.spec import Measure, OutcomeSpec, SpecRefused, parse_outcome, to_json
from traces.read.asking import asking
from traces.read.outcome_units import COLUMNS, units_of
from traces.read.outcomes import RECOUNT, Defined, get_outcome
from traces.write import outcomes as write

NAME_MAX = 120
# Each is asked of every session that closes.
OUTCOMES_MAX = 50
OUTCOMES_KEPT = 500
# A step of counting again: sessions whose rows it holds for some 50 ms.
SLICE = 200
TRIED_DAYS = 7
TRIED_UNITS = 2_000
_COUNT = "SELECT count(*) FROM traces_behaviour WHERE project_id = %s AND is_closed AND first_at >= %s"
_NEWEST = sql.SQL("""
    SELECT {columns} FROM traces_behaviour
    WHERE project_id = %(project_id)s AND is_closed AND first_at >= %(since)s {features}
    ORDER BY first_at DESC, unit_key DESC
    LIMIT %(limit)s
""")


class NotThere(Exception):
    """There is no such outcome."""


@dataclass(frozen=True, slots=True)
class Tried:
    """What a measure says of the sessions of the last days. `is_capped`: only the newest `TRIED_UNITS` were looked at.

    `since` is the first turn of the oldest session looked at.
    """

    spec: OutcomeSpec
    looked: int
    is_capped: bool
    since: datetime
    sums: Sums
    figure: Ratio | TooLittle


def add_outcome(
    project: Project, name: str, told: Any, *, slug: str = "", by_id: int | None,
    request: HttpRequest | None = None,
) -> Defined:  # fmt: skip
    """Define an outcome and have the stored sessions counted; SpecRefused."""
    spec, name = parse_outcome(told), mask_text(project.pk, _name(name))[:NAME_MAX]
    with transaction.atomic(), raw_cursor() as cursor:
        # Outcomes are few, and made one by one: waiting here keeps their number and their slugs right.
        Project.objects.select_for_update(no_key=True).only("pk").get(pk=project.pk)
        _check_room(project.pk, is_new=True)
        write.lock_measures(cursor, project.pk)
        made = Outcome.objects.create(
            project=project, slug=_free_slug(project.pk, slug or name, is_told=bool(slug)), name=name,
            spec=to_json(spec), created_by_id=by_id,
        )  # fmt: skip
        after = {"name": name, "spec": made.spec}
        record_in(project, "outcome.add", f"outcome {made.slug}", request=request, after=after)
        _start_recount(made, by_id)
    wake(sweep)
    return _held(project.pk, made.slug)


def add_preset(project: Project, preset: str, *, by_id: int | None, request: HttpRequest | None = None) -> Defined:
    """Define one of the shipped outcomes; SpecRefused where there is none of that name."""
    found = find_preset(preset)
    if found is None:
        raise SpecRefused("preset", "is none that is shipped", "a slug of the presets", preset)
    return add_outcome(project, found.name, found.told, by_id=by_id, request=request)


def change_outcome(
    project: Project, slug: str, *, name: str | None = None, told: Any = None, by_id: int | None,
    request: HttpRequest | None = None,
) -> Defined:  # fmt: skip
    """Change what is given. Another measure makes a new revision, counted anew. SpecRefused, NotThere."""
    spec = None if told is None else parse_outcome(told)
    with transaction.atomic(), raw_cursor() as cursor:
        held = _lock(cursor, project.pk, slug)
        before = {"name": held.name, "spec": held.spec}
        is_counted_anew = False
        if name is not None:
            held.name = mask_text(project.pk, _name(name))[:NAME_MAX]
        if spec is not None:
            is_counted_anew = _counts(held.spec) != spec.counts
            held.spec = to_json(spec)
        after = {"name": held.name, "spec": held.spec}
        if before == after:
            return _held(project.pk, slug)
        if is_counted_anew:
            _revise(cursor, held)
        held.save()
        record_in(project, "outcome.change", f"outcome {slug}", request=request, before=before, after=after)
        if is_counted_anew and held.archived_at is None:
            _start_recount(held, by_id)
    wake(sweep)
    return _held(project.pk, slug)


def change_all(
    project: Project, slug: str, *, name: str | None = None, told: Any = None, is_archived: bool | None = None,
    by_id: int | None, request: HttpRequest | None = None,
) -> Defined:  # fmt: skip
    """`change_outcome` and `archive_outcome` in one transaction: all that is given, or nothing of it."""
    with transaction.atomic():
        found = change_outcome(project, slug, name=name, told=told, by_id=by_id, request=request)
        if is_archived is not None:
            found = archive_outcome(project, slug, is_archived=is_archived, by_id=by_id, request=request)
    return found


def archive_outcome(
    project: Project, slug: str, *, is_archived: bool, by_id: int | None,
    request: HttpRequest | None = None,
) -> Defined:  # fmt: skip
    """Put an outcome away, so that it is not counted any more; or take it back, and it is counted anew.

    NotThere, SpecRefused.
    """
    with transaction.atomic(), raw_cursor() as cursor:
        if not is_archived:
            Project.objects.select_for_update(no_key=True).only("pk").get(pk=project.pk)
        held = _lock(cursor, project.pk, slug)
        if (held.archived_at is not None) == is_archived:
            return _held(project.pk, slug)
        if not is_archived:
            _check_room(project.pk, is_new=False)
        held.archived_at = timezone.now() if is_archived else None
        _revise(cursor, held)
        held.save()
        action = "outcome.archive" if is_archived else "outcome.restore"
        record_in(project, action, f"outcome {slug}", request=request)
        if not is_archived:
            _start_recount(held, by_id)
    wake(sweep)
    return _held(project.pk, slug)


def count_again(project: Project, slug: str, *, by_id: int | None, request: HttpRequest | None = None) -> Defined:
    """Throw the sums of an outcome away and count the stored sessions anew, as where a job failed.

    NotThere, SpecRefused.
    """
    with transaction.atomic(), raw_cursor() as cursor:
        held = _lock(cursor, project.pk, slug)
        if held.archived_at is not None:
            raise SpecRefused("outcome", "is archived: restore it, and it is counted anew", "", slug)
        _revise(cursor, held)
        held.save()
        record_in(project, "outcome.recount", f"outcome {slug}", request=request)
        _start_recount(held, by_id)
    wake(sweep)
    return _held(project.pk, slug)


def try_outcome(project: Project, spec: OutcomeSpec) -> Tried:
    """What a measure says of the newest closed sessions of the last days; nothing is saved. TooSlow."""
    since = clock.now() - timedelta(days=TRIED_DAYS)
    features = sql.SQL("AND feature = ANY(%(features)s)" if spec.features else "")
    query = _NEWEST.format(columns=sql.SQL(", ").join(map(sql.Identifier, COLUMNS)), features=features)
    params = {"project_id": project.pk, "since": since, "features": list(spec.features), "limit": TRIED_UNITS + 1}
    with asking(), raw_cursor() as cursor:
        cursor.execute(query, params)
        rows = cursor.fetchall()
        taken = rows[:TRIED_UNITS]
        units = units_of(cursor, project.pk, taken, with_turns=spec.measure is Measure.ANSWERS)
    sums = Sums()
    for kept in units:
        found = figure(spec, kept.unit)
        if found is not None:
            sums = sums + _one(*found)
    is_capped = len(rows) > len(taken)
    since = units[-1].unit.behaviour.first_at if is_capped else since
    return Tried(spec, len(taken), is_capped, since, sums, ratio(sums, spec.shape))


@work.register(RECOUNT)
def _recount(run: work.Run) -> dict[str, Any]:
    project_id, outcome_id, revision = run.job.project_id, run.params["outcome"], run.params["revision"]
    if project_id is None:
        raise work.JobFailed("The job names no project.")
    since = clock.now() - timedelta(days=Project.objects.values_list("retention_days", flat=True).get(pk=project_id))
    done, total = run.job.progress, run.job.total
    if total is None:
        with raw_cursor() as cursor:
            cursor.execute(_COUNT, (project_id, since))
            total = int((cursor.fetchone() or (0,))[0])
    while True:
        place = run.cursor
        after = (datetime.fromisoformat(place["at"]), UUID(place["key"])) if place else None
        with transaction.atomic(), raw_cursor() as cursor:
            found = write.recount_slice(cursor, project_id, outcome_id, revision, since=since, after=after, limit=SLICE)
            if found is None:
                return {"sessions": done, "is_superseded": True}
            if found.at is None:
                return {"sessions": done}
            done += found.units
            cursor_at = {"at": found.at.isoformat(), "key": str(found.key)}
            run.step(cursor=cursor_at, progress=done, total=max(total, done))


def _start_recount(outcome: Outcome, by_id: int | None) -> None:
    open_jobs = Job.objects.filter(
        project_id=outcome.project_id, kind=RECOUNT, params__outcome=outcome.pk,
        state__in=[JobState.PENDING, JobState.RUNNING],
    )  # fmt: skip
    for job in open_jobs:
        work.cancel(job.pk)
    params = {"outcome": outcome.pk, "revision": outcome.revision}
    work.start(RECOUNT, project_id=outcome.project_id, created_by_id=by_id, params=params)


def _revise(cursor: Any, held: Outcome) -> None:
    """What was booked is no longer this outcome's: from here on only the new revision is."""
    write.clear(cursor, held.project_id, held.pk)
    held.revision += 1


def _lock(cursor: Any, project_id: int, slug: str) -> Outcome:
    write.lock_measures(cursor, project_id)
    held = Outcome.objects.select_for_update().filter(project_id=project_id, slug=slug).first()
    if held is None:
        raise NotThere
    return held


def _held(project_id: int, slug: str) -> Defined:
    found = get_outcome(project_id, slug)
    if found is None:
        raise NotThere
    return found


def _counts(told: Any) -> dict[str, Any] | None:
    try:
        return parse_outcome(told).counts
    except SpecRefused:
        return None


def _check_room(project_id: int, *, is_new: bool) -> None:
    held = Outcome.objects.filter(project_id=project_id)
    if is_new and held.count() >= OUTCOMES_KEPT:
        raise SpecRefused("name", "is one outcome too many, archived ones counted", f"{OUTCOMES_KEPT} outcomes")
    if held.filter(archived_at=None).count() >= OUTCOMES_MAX:
        raise SpecRefused("name", "is one outcome too many: archive another one", f"{OUTCOMES_MAX} outcomes")


def _name(name: str) -> str:
    found = clean_text(" ".join(name.split()))
    limit = f"1 to {NAME_MAX} characters"
    if not found:
        raise SpecRefused("name", "needs a value", limit)
    if len(found) > NAME_MAX:
        raise SpecRefused("name", "is too long", limit, f"{len(found)} characters")
    return found


def _free_slug(project_id: int, wanted: str, *, is_told: bool) -> str:
    if is_told:
        if slugify(wanted) != wanted or len(wanted) > 60 or wanted in RESERVED:
            raise SpecRefused("slug", "is no slug", "1 to 60 of a-z, 0-9 and -", wanted)
        if Outcome.objects.filter(project_id=project_id, slug=wanted).exists():
            raise SpecRefused("slug", "is another outcome’s already", "a slug of its own", wanted)
        return wanted
    stem = slugify(wanted)[:50].strip("-") or "outcome"
    taken = set(Outcome.objects.filter(project_id=project_id, slug__startswith=stem).values_list("slug", flat=True))
    taken |= RESERVED
    return next(slug for slug in (stem, *(f"{stem}-{n}" for n in range(2, OUTCOMES_KEPT + 3))) if slug not in taken)


# Parts of addresses beside the slugs.
RESERVED = {"new", "preview", "presets", "preset"}


def _one(x: Any, y: Any) -> Sums:
    if x is None or y is None:
        return Sums(0, 1)
    return Sums(1, 0, x, y, x * x, x * y, y * y)


def starts(presets: Sequence[Any], held: Sequence[Defined]) -> list[tuple[Any, bool]]:
    """The presets, each with whether an outcome in force counts the same already."""
    counted = [each.spec.counts for each in held if each.archived_at is None]
    return [(preset, parse_outcome(preset.told).counts in counted) for preset in presets]
