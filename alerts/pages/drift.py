"""The drift page: whether inputs and outputs still look like the frozen reference, with what moved side by side."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from typing import Any, cast
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from alerts import drifting
from alerts.drift.fields import SIDES, Side
from alerts.drift.grouping import Pair
from alerts.drift.reference import VECTORS_MIN
from alerts.drift.wording import Told, tell
from alerts.drift.words import change_word, encoder_title, is_lexical
from alerts.drifting.reports import SERIES_DAYS, WINDOWS, day_of
from alerts.pages import drift_view as view
from alerts.read.drift import DayPoint, ReportView, count_vectors, day_series, latest_reports, settings_of, waiting
from alerts.read.drift_references import ReferenceView, list_references
from alerts.read.vectors import EncoderSeen, encoders_of
from telltale.accounts.models import User
from telltale.lib import clock
from telltale.lib import format as fmt
from telltale.projects.access import may, project_page, require
from telltale.projects.models import Project
from traces.pages.export import FORMATS, Busy, busy_response, download
from traces.pages_accounting import query_string
from traces.read import TooSlow
from traces.read.asking import asking
from traces.read.changelog import changes_between
from traces.read.contents import read_rows

DAYS_DEFAULT = 7
VALUE_CHARS_MAX = 200
MARKS_MOST = 6
OLD_SHOWN = 10
FIELD_NAMES = (
    "side", "field", "state", "n_reference", "n_current", "test", "statistic", "p", "p_adjusted", "psi",
    "psi_by_chance", "kl", "js", "tvd", "ks", "wasserstein", "wasserstein_sds", "unit", "lacking",
)  # fmt: skip
GROUP_NAMES = (
    "side", "group", "name", "n_reference", "n_current", "share_reference", "share_current", "change_low",
    "change_high", "residual", "passages_reference", "passages_current", "n_passages_reference", "n_passages_current",
    "scored_by", "score_reference", "score_current", "n_score_reference", "n_score_current", "reference_traces",
    "current_traces",
)  # fmt: skip
DAY_NAMES = ("side", "start", "end", "vectors", "mmd2", "p", "chance_99")
WHAT = {"fields": FIELD_NAMES, "groups": GROUP_NAMES, "days": DAY_NAMES}


@dataclass(frozen=True)
class Asked:
    """What the address asks for. `feature` None: all together; "": traces that told none."""

    feature: str | None
    days: int
    errors: tuple[str, ...]

    @property
    def name(self) -> str:
        """The feature in words."""
        return "all features" if self.feature is None else self.feature or "no feature told"


@dataclass(frozen=True)
class Found:
    """What is known of one side."""

    side: Side
    reference: ReferenceView | None
    report: ReportView | None
    points: list[DayPoint]
    told: Told


def read_asked(query: QueryDict) -> Asked:
    """The address, with words for what of it was not understood."""
    errors = []
    feature: str | None = query.get("feature") or None
    if query.get("feature.missing") == "yes":
        feature = ""
    if feature and (len(feature) > VALUE_CHARS_MAX or "\x00" in feature or not feature.isprintable()):
        errors.append(f"feature: at most {VALUE_CHARS_MAX} visible characters; it was left out.")
        feature = None
    raw = query.get("days", "")
    days = int(raw) if raw.isascii() and raw.isdigit() and len(raw) < 4 else DAYS_DEFAULT
    if raw and days not in WINDOWS:
        errors.append(f"days: {raw[:20]!r} is none; {', '.join(map(str, WINDOWS))} are.")
    return Asked(feature, days if days in WINDOWS else DAYS_DEFAULT, tuple(errors))


@require_http_methods(["GET", "HEAD"])
@project_page()
def drift_page(request: HttpRequest, project: Project) -> HttpResponseBase:
    """One feature's window against its reference; `format` with `what` has its rows as a file."""
    asked, zone, now = read_asked(request.GET), clock.zone_of(project.time_zone), clock.now()
    context: dict[str, Any] = {
        "project": project,
        "asked": asked,
        "errors": asked.errors,
        "may_measure": may(project, "measure"),
        "base": reverse("drift", args=[project.slug]),
        "traces": f"/p/{project.slug}/traces/",
    }
    try:
        with asking():
            seen, references = encoders_of(project.pk), list_references(project.pk, with_replaced=True)
            key = seen[0].key if seen else ""
            found = look(references, asked, key, now)
            if request.GET.get("format") in FORMATS:
                return _download(request, project, asked, found)
            texts = _texts(project.pk, found)
            context |= _shown(project, asked, found, texts, seen, references, zone, now)
    except TooSlow:
        return render(request, "alerts/drift.html", context | {"too_slow": True}, status=503)
    except Busy:
        return busy_response()
    query = request.GET
    context["windows"] = [
        (query_string(query, days=str(days)), "1 day" if days == 1 else f"{days} days", days == asked.days)
        for days in WINDOWS
    ]
    context["files"] = [
        (what, [(kind, query_string(query, what=what, format=kind)) for kind in ("csv", "ndjson")]) for what in WHAT
    ]
    return render(request, "alerts/drift.html", context)


def look(references: Sequence[ReferenceView], asked: Asked, key: str, now: datetime) -> list[Found]:
    """What is known of both sides of a feature."""
    held = {
        each.side: each
        for each in references
        if each.is_in_force and each.encoder == key and each.feature == asked.feature
    }
    ids = [each.id for each in held.values()]
    reports = latest_reports(ids, asked.days)
    points = day_series(ids, now - timedelta(days=SERIES_DAYS + 1))
    found = []
    for side in SIDES:
        reference = held.get(side)
        report = None if reference is None else reports.get(reference.id)
        if report is not None and reference is not None:
            report = replace(report, report=report.report.called(reference.names))
        told = tell(None if report is None else report.report, side, key)
        found.append(Found(side, reference, report, points.get(reference.id, []) if reference else [], told))
    return found


def _learning_words(have: int, waits: int) -> str:
    """What a first reference lacks, and until when."""
    said = f"{have:,} inputs are there so far"
    many = f"{waits:,}" if waits <= 10_000 else "more than 10,000"
    said += f", and {many} sampled traces wait to be embedded, which takes some minutes. " if waits else ". "
    if have < VECTORS_MIN:
        said += f"{VECTORS_MIN - have:,} more are needed. "
    return said + (
        "The first week with enough of them is frozen as the reference by itself, within ten minutes of the last that "
        "it needs; every later window is compared with it. Who knows that a shorter stretch is normal can freeze it "
        f"now, as soon as it holds {VECTORS_MIN}."
    )


def _texts(project_id: int, found: Sequence[Found]) -> dict[Side, dict[str, str]]:
    """The first words of the examples of both sides, in one look at the traces that are still there."""
    wanted = [trace for each in found if each.report for trace in view.example_ids(each.report.report)]
    if not wanted:
        return {"input": {}, "output": {}}
    rows = read_rows(project_id, view.ids(wanted)).values()
    return {
        "input": {row.hex_id: row.preview_in or "" for row in rows},
        "output": {row.hex_id: row.preview_out or "" for row in rows},
    }


def _shown(
    project: Project,
    asked: Asked,
    found: Sequence[Found],
    texts: dict[Side, dict[str, str]],
    seen: Sequence[EncoderSeen],
    references: Sequence[ReferenceView],
    zone: ZoneInfo,
    now: datetime,
) -> dict[str, Any]:
    wanted, key = settings_of(project.pk), seen[0].key if seen else ""
    waits = waiting(project.pk)
    shown: dict[str, Any] = {
        "wanted": wanted,
        "waits": waits,
        "encoder": key,
        "encoder_title": encoder_title(key) if key else "",
        "is_lexical": bool(key) and is_lexical(key),
        "change_word": change_word(key) if key else "",
        "features": sorted(
            {
                each.feature
                for each in references
                if each.is_in_force and each.encoder == key and each.feature is not None
            }
        ),
        "references": [
            view.reference_row(each, zone)
            for each in references
            if each.feature == asked.feature and (each.is_in_force or each.encoder == key)
        ][:OLD_SHOWN],
        "is_any": any(each.reference is not None for each in found),
        "vectors_min": VECTORS_MIN,
    }  # fmt: skip
    if not shown["is_any"]:
        shown["have"] = count_vectors(project.pk, asked.feature, key) if key else 0
        shown["learning_words"] = _learning_words(shown["have"], waits.n)
        return shown
    ordered = sorted(found, key=lambda each: -each.told.rank)
    reports = [each.report for each in found if each.report is not None]
    start = min((each.points[0].start_at for each in found if each.points), default=now)
    marks = _marks(project.pk, asked, start, now)
    shown |= {
        "headline": ordered[0].told.sentence,
        "beside": ordered[1].told.sentence if ordered[1].told.sentence != ordered[0].told.sentence else "",
        "as_of": _as_of(found, reports, zone) if reports else "",
        "made_at": max((each.made_at for each in reports), default=None),
        "sides": [
            {
                "side": each.side,
                "title": "Inputs" if each.side == "input" else "Outputs",
                "group_title": "Groups of inputs" if each.side == "input" else "Groups of outputs",
                "typical": "question" if each.side == "input" else "answer",
                "told": each.told,
                "reference_id": each.reference.id if each.reference else None,
                "series": view.series(
                    each.side, key, each.reference, each.points, zone, marks,
                    has_moved=bool(each.report and each.report.report.has_moved),
                )
                if each.reference
                else None,
                "plane": view.plane_figure(each.report.report.plane, each.report.report, each.side)
                if each.report and each.report.report.plane
                else None,
                "groups": view.group_rows(each.report.report, texts[each.side]) if each.report else [],
                "scored_by": each.report.report.scored_by if each.report else "",
                "group_p": view.p_words(each.report.report.topic_p_adjusted) if each.report else "",
                "p": view.p_words(each.report.report.p_adjusted) if each.report else "",
                "fields": view.field_rows(each.report.report) if each.report else [],
                "lacking": each.report.report.lacking if each.report else "",
                "topics": list(enumerate(each.reference.names)) if each.reference else [],
            }
            for each in found
        ],
        "freeze_from": fmt.iso(now - timedelta(days=7))[:10],
        "freeze_to": fmt.iso(now)[:10],
    }
    return shown


def _marks(project_id: int, asked: Asked, start: datetime, end: datetime) -> list[tuple[datetime, str]]:
    features = () if asked.feature is None else (asked.feature,)
    return [
        (each.at, each.label) for each in changes_between(project_id, start, end, features=features, limit=MARKS_MOST)
    ]


def _as_of(found: Sequence[Found], reports: Sequence[ReportView], zone: ZoneInfo) -> str:
    report = reports[0]
    reference = next(each.reference for each in found if each.reference is not None)
    last = reference.end_at - timedelta(seconds=1)
    told = report.report
    about = (
        "" if abs(told.estimated - told.n_samples) < 0.5 else f", for about {fmt.count(round(told.estimated))} traces"
    )
    return (
        f"{fmt.full_moment(report.start_at, zone)} to {fmt.full_moment(report.end_at, zone)} against "
        f"{fmt.day(reference.start_at, zone)} to {fmt.day(last, zone)}: {fmt.count(told.n_samples)} sampled"
        f"{about}, {fmt.count(reference.n)} in the reference."
    )


def _download(request: HttpRequest, project: Project, asked: Asked, found: Sequence[Found]) -> HttpResponseBase:
    what = request.GET.get("what", "fields")
    what = what if what in WHAT else "fields"
    records = {"fields": field_records, "groups": group_records, "days": day_records}[what](found)
    name = f"{project.slug}-drift-{what}"
    return download(name, request.GET["format"], WHAT[what], records, is_head=request.method == "HEAD")


def field_records(found: Sequence[Found]) -> Iterator[dict[str, Any]]:
    """The fields of both sides, as files have them."""
    for each in found:
        for shift in each.report.report.fields if each.report else ():
            record = {name: getattr(shift, name) for name in FIELD_NAMES if name not in ("side", "field")}
            yield {"side": each.side, "field": shift.key, **record}


def group_records(found: Sequence[Found]) -> Iterator[dict[str, Any]]:
    """The groups of both sides, as files have them."""
    for each in found:
        for group in each.report.report.groups if each.report else ():
            yield {
                "side": each.side, "group": group.key, "name": group.name, "n_reference": group.n_reference,
                "n_current": group.n_current, "share_reference": group.share_reference,
                "share_current": group.share_current, "change_low": group.low, "change_high": group.high,
                "residual": group.residual, **_means("passages", group.passages),
                "scored_by": (each.report and each.report.report.scored_by) or None, **_means("score", group.score),
                "reference_traces": list(group.reference_traces),
                "current_traces": list(group.current_traces),
            }  # fmt: skip


def _means(name: str, pair: Pair) -> dict[str, Any]:
    return {
        f"{name}_reference": pair.reference, f"{name}_current": pair.current, f"n_{name}_reference": pair.n_reference,
        f"n_{name}_current": pair.n_current,
    }  # fmt: skip


def day_records(found: Sequence[Found]) -> Iterator[dict[str, Any]]:
    """The days of both sides, as files have them."""
    for each in found:
        for point in each.points:
            yield {
                "side": each.side, "start": point.start_at, "end": point.end_at, "vectors": point.n,
                "mmd2": point.mmd2, "p": point.p, "chance_99": point.chance_99,
            }  # fmt: skip


# --- acts ---------------------------------------------------------------------------------------------------------


def _back(project: Project, feature: str | None) -> HttpResponse:
    query = QueryDict(mutable=True)
    if feature:
        query["feature"] = feature
    elif feature == "":
        query["feature.missing"] = "yes"
    address = reverse("drift", args=[project.slug])
    return redirect(f"{address}?{query.urlencode()}" if query else address)


def _feature(request: HttpRequest) -> str | None:
    """The feature a form is about."""
    if request.POST.get("feature.missing") == "yes":
        return ""
    told = request.POST.get("feature", "")
    return told if told and len(told) <= VALUE_CHARS_MAX and told.isprintable() else None


@require_POST
@project_page()
def freeze(request: HttpRequest, project: Project) -> HttpResponse:
    """Freeze the days of a form as the new reference."""
    require(project, "measure")
    feature, zone = _feature(request), clock.zone_of(project.time_zone)
    try:
        start = day_of(_day("from", request.POST.get("from", "")), zone)[0]
        end = day_of(_day("to", request.POST.get("to", "")), zone)[1]
        reason = request.POST.get("reason", "").replace("\x00", "")
        made = drifting.freeze(
            project, feature, start, min(end, clock.now()), reason, by_id=cast(User, request.user).pk, request=request
        )
    except drifting.FreezeRefused as refused:
        limit = f" ({refused.limit})" if refused.limit else ""
        messages.error(request, f"{refused.field} {refused.message}{limit}. Nothing was changed.")
    else:
        drifting.start_update(project.pk, feature, cast(User, request.user).pk)
        sides = " and ".join("inputs" if each.side == "input" else "outputs" for each in made)
        messages.success(request, f"A new reference of {sides} is in force; reports are made anew in the background.")
    return _back(project, feature)


def _day(field: str, raw: str) -> date:
    try:
        day = date.fromisoformat(raw.strip()[:10])
    except ValueError:
        raise drifting.FreezeRefused(field, "is no day", "a day such as 2026-11-19", raw[:40]) from None
    if not 1970 <= day.year <= 2200:
        raise drifting.FreezeRefused(field, "is out of range", "years 1970 to 2200", raw[:40])
    return day


@require_POST
@project_page()
def approve(request: HttpRequest, project: Project, reference_id: int) -> HttpResponse:
    """Say that a reference shows what is normal."""
    require(project, "measure")
    try:
        drifting.approve(project, reference_id, by_id=cast(User, request.user).pk, request=request)
        messages.success(request, "Approved: this is what inputs and outputs are compared with.")
    except drifting.NoReference:
        raise Http404 from None
    return _back(project, _feature(request))


@require_POST
@project_page()
def rename(request: HttpRequest, project: Project, reference_id: int) -> HttpResponse:
    """Give a topic another name."""
    require(project, "measure")
    raw = request.POST.get("topic", "")
    topic = int(raw) if raw.isascii() and raw.isdigit() and len(raw) < 4 else -1
    try:
        drifting.rename_topic(project, reference_id, topic, request.POST.get("name", ""), request=request)
        messages.success(request, "Renamed.")
    except drifting.NoReference:
        raise Http404 from None
    except drifting.FreezeRefused as refused:
        messages.error(request, f"{refused.field} {refused.message}. Nothing was changed.")
    return _back(project, _feature(request))


@require_POST
@project_page()
def update(request: HttpRequest, project: Project) -> HttpResponse:
    """Have reports made up to now."""
    require(project, "measure")
    feature = _feature(request)
    drifting.start_update(project.pk, feature, cast(User, request.user).pk)
    messages.success(request, "Reports are made up to now, in the background. Look again in some seconds.")
    return _back(project, feature)
