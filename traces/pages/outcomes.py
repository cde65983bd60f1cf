"""The outcomes pages: what sessions came to, how sure that is, and the sessions behind each number."""

from __future__ import annotations

from typing import Any, cast
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from telltale.accounts.models import User
from telltale.lib import clock
from telltale.projects.access import may, project_page
from telltale.projects.models import Project, Role
from telltale.rest.problems import Problem
from traces import measuring
from traces.outcomes.presets import PRESETS, find_preset
from traces.outcomes.spec import FEATURE_MAX, SpecRefused, parse_outcome
from traces.outcomes.words import sentence
from traces.pages import outcome_charts, outcome_form, outcome_view
from traces.pages.change_marks import marks_in
from traces.pages.export import FORMATS, Busy, busy_response
from traces.pages.outcome_files import download_days, download_sessions, read_spot, write_spot
from traces.pages_accounting import Window, query_string, read_window
from traces.read import TooSlow, behaviour
from traces.read import outcomes as read
from traces.read.outcome_sessions import choices, each_session, list_sessions
from traces.read.outcomes import Defined, Point, period_of

FEATURES_SHOWN = 50


@require_http_methods(["GET", "HEAD"])
@project_page()
def outcome_list(request: HttpRequest, project: Project) -> HttpResponse:
    """The outcomes of the project with their figures over a window."""
    window = read_window(request.GET, clock.zone_of(project.time_zone), clock.now(), default="7d", keep=())
    period = period_of(window.start_at, window.end_at)
    found = read.list_outcomes(project.pk, with_archived=True)
    live = [each for each in found if each.archived_at is None]
    context: dict[str, Any] = {
        "project": project,
        "window": window,
        "period": period,
        "until": min(period.end, clock.now()),
        "presets": measuring.starts(PRESETS, found),
        "archived": [each for each in found if each.archived_at is not None],
        "may_measure": may(project, "measure"),
    }
    try:
        days = read.read_days(project.pk, project.time_zone, live, period)
        before = read.read_sums(project.pk, live, period.before)
    except TooSlow:
        return render(request, "traces/outcomes.html", context | {"too_slow": True}, status=503)
    progress = read.progress_of(project.pk, live)
    context["folding"] = _folding(project)
    context["lines"] = [
        outcome_view.line(each, read.sum_of(days[each.id]), before[each.id], days[each.id], progress.get(each.id))
        for each in live
    ]
    return render(request, "traces/outcomes.html", context)


@require_http_methods(["GET", "HEAD"])
@project_page()
def outcome_page(request: HttpRequest, project: Project, outcome: str) -> HttpResponseBase:
    """One outcome: its figure, its days, its features; `format` has the days as a file."""
    found = _find(project, outcome)
    zone, query = clock.zone_of(project.time_zone), request.GET
    window = read_window(query, zone, clock.now(), default="28d", keep=("feature",))
    period, feature = period_of(window.start_at, window.end_at), _feature(request)
    base = reverse("outcome", args=[project.slug, found.slug])
    context: dict[str, Any] = {
        "project": project,
        "outcome": found,
        "about": sentence(found.spec),
        "window": window,
        "period": period,
        "until": min(period.end, clock.now()),
        "feature": feature,
        "clear": query_string(query, feature=None),
        "may_measure": may(project, "measure"),
        "progress": read.progress_of(project.pk, [found]).get(found.id),
        "here": request.get_full_path(),
    }
    if found.archived_at is not None:
        return render(request, "traces/outcome.html", context)
    if request.headers.get("HX-Request") == "true":
        return render(request, "traces/_outcome_progress.html", context | {"is_swap": True})
    try:
        days = read.read_days(project.pk, project.time_zone, [found], period, feature)[found.id]
        if query.get("format") in FORMATS:
            return download_days(project.slug, found, days, query["format"], is_head=request.method == "HEAD")
        before = read.read_sums(project.pk, [found], period.before, feature)[found.id]
        features, _ = read.read_features(project.pk, found, period)
    except TooSlow:
        return render(request, "traces/outcome.html", context | {"too_slow": True}, status=503)
    except Busy:
        return busy_response()
    now = read.sum_of(days)
    context["folding"] = _folding(project)
    sessions = reverse("outcome_sessions", args=[project.slug, found.slug])

    def of_day(point: Point) -> str:
        pairs = [("from", point.start.isoformat()), ("to", point.end.isoformat())]
        return f"{sessions}?{urlencode(pairs + _feature_pair(feature))}"

    # The chart's days are whole: its axis runs from the first one's begin to the last one's end.
    axis = (days[0].start, days[-1].end) if days else (period.start, period.end)
    marks = marks_in(project.pk, *axis, features=[feature] if feature else found.spec.features)
    context |= {
        "figure": outcome_view.figure_view(found, now),
        "moved": outcome_view.moved_view(found, now, before, context["progress"]),
        "before": outcome_view.figure_view(found, before),
        "chart": marks.on(outcome_charts.figure(found, days, of_day)),
        "marks": marks,
        "unknown": f"{now.unknown:,}",
        "lists": _lists(found, f"{sessions}?{urlencode(_window_pairs(window) + _feature_pair(feature))}"),
        "features": [
            outcome_view.FeatureLine(
                name or "no feature told", base + query_string(query, feature=name), f"{sums.n:,}",
                outcome_view.figure_view(found, sums),
            )
            for name, sums in features[:FEATURES_SHOWN]
        ],
        "more": max(len(features) - FEATURES_SHOWN, 0),
        "csv": query_string(query, format="csv"),
        "ndjson": query_string(query, format="ndjson"),
    }  # fmt: skip
    return render(request, "traces/outcome.html", context)


@require_http_methods(["GET", "HEAD"])
@project_page()
def outcome_sessions(request: HttpRequest, project: Project, outcome: str) -> HttpResponseBase:
    """The sessions behind an outcome: with X, without it, or not known; `format` has all of them as a file."""
    found = _find(project, outcome)
    if found.archived_at is not None:
        raise Http404
    query = request.GET
    zone = clock.zone_of(project.time_zone)
    window = read_window(query, zone, clock.now(), default="28d", keep=("which", "feature"))
    which = query.get("which", "all")
    which = which if which in choices(found) else "all"
    period, feature, wrong = period_of(window.start_at, window.end_at), _feature(request), ""
    context: dict[str, Any] = {
        "project": project,
        "outcome": found,
        "window": window,
        "period": period,
        "until": min(period.end, clock.now()),
        "which": which,
        "tabs": _lists(found, query_string(query, which=None, cursor=None), which),
        "feature": feature,
        "clear": query_string(query, feature=None, cursor=None),
        "csv": query_string(query, format="csv", cursor=None),
        "ndjson": query_string(query, format="ndjson", cursor=None),
    }
    try:
        if query.get("format") in FORMATS:
            rows = each_session(project.pk, found, period, which, feature)
            return download_sessions(project.slug, found, query["format"], rows, is_head=request.method == "HEAD")
        try:
            spot = read_spot(query.get("cursor", ""))
        except Problem:
            spot, wrong = None, "The place in the list was not understood; it begins with the newest."
        page = list_sessions(project.pk, found, period, which, feature, spot)
    except TooSlow:
        return render(request, "traces/outcome_sessions.html", context | {"too_slow": True}, status=503)
    except Busy:
        return busy_response()
    context |= {
        "wrong": wrong,
        "rows": [outcome_view.session_line(found, row, project.slug) for row in page.rows],
        "older": query_string(query, cursor=write_spot(page.older)) if page.older else "",
        "newer": query_string(query, cursor=write_spot(page.newer)) if page.newer else "",
    }
    return render(request, "traces/outcome_sessions.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ENGINEER)
def outcome_new(request: HttpRequest, project: Project) -> HttpResponse:
    """Define an outcome, from nothing or from a preset; `act=preview` tries it out."""
    if request.method != "POST":
        preset = find_preset(request.GET.get("preset", ""))
        form = outcome_form.empty_form()
        if preset is not None:
            form = outcome_form.form_of(preset.name, parse_outcome(preset.told))
        return _form(request, project, form)
    return _posted(request, project, None)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ENGINEER)
def outcome_edit(request: HttpRequest, project: Project, outcome: str) -> HttpResponse:
    """Change an outcome; `act=preview` tries the change out."""
    found = _find(project, outcome)
    if request.method != "POST":
        return _form(request, project, outcome_form.form_of(found.name, found.spec), found)
    return _posted(request, project, found)


@require_POST
@project_page(Role.ENGINEER)
def outcome_preset(request: HttpRequest, project: Project) -> HttpResponse:
    """Add one of the shipped outcomes."""
    try:
        made = measuring.add_preset(project, request.POST.get("preset", "")[:60], by_id=_me(request), request=request)
    except SpecRefused as refused:
        messages.error(request, f"{refused.field.capitalize()} {refused.message}.")
        return redirect("outcomes", slug=project.slug)
    messages.success(request, f"{made.name} is added. The stored sessions are being counted.")
    return redirect("outcomes", slug=project.slug)


@require_POST
@project_page(Role.ENGINEER)
def outcome_archive(request: HttpRequest, project: Project, outcome: str) -> HttpResponse:
    """Put an outcome away, or take it back (`restore=1`)."""
    is_archived = request.POST.get("restore") != "1"
    found = _find(project, outcome)
    try:
        measuring.archive_outcome(
            project, found.slug, is_archived=is_archived, by_id=_me(request), request=request
        )  # fmt: skip
    except SpecRefused as refused:
        messages.error(request, f"{found.name} {refused.message} ({refused.limit}).")
        return redirect("outcome", slug=project.slug, outcome=found.slug)
    said = "is put away. Its definition stays." if is_archived else "is back. The stored sessions are being counted."
    messages.success(request, f"{found.name} {said}")
    return redirect("outcomes" if is_archived else "outcome", project.slug, *([] if is_archived else [found.slug]))


@require_POST
@project_page(Role.ENGINEER)
def outcome_recount(request: HttpRequest, project: Project, outcome: str) -> HttpResponse:
    """Count an outcome again, as where a job failed."""
    found = _find(project, outcome)
    try:
        measuring.count_again(project, found.slug, by_id=_me(request), request=request)
    except SpecRefused as refused:
        messages.error(request, f"{found.name} {refused.message}.")
    else:
        messages.success(request, f"{found.name} is being counted again.")
    return redirect("outcome", slug=project.slug, outcome=found.slug)


def _posted(request: HttpRequest, project: Project, held: Defined | None) -> HttpResponse:
    """What the form says, tried out or saved."""
    is_trial = request.POST.get("act") == "preview"
    name = request.POST.get("name", "").replace("\x00", "\ufffd")
    try:
        told = outcome_form.told_of_post(request.POST)
        if is_trial:
            tried = measuring.try_outcome(project, parse_outcome(told))
            return _form(request, project, outcome_form.form_of_post(request.POST), held, tried)
        if held is None:
            saved = measuring.add_outcome(project, name, told, by_id=_me(request), request=request)
        else:
            saved = measuring.change_outcome(
                project, held.slug, name=name, told=told, by_id=_me(request), request=request
            )  # fmt: skip
    except SpecRefused as refused:
        return _form(request, project, outcome_form.form_of_post(request.POST, refused), held)
    except TooSlow:
        return _form(request, project, outcome_form.form_of_post(request.POST), held, is_slow=True)
    if held is None or saved.revision != held.revision:
        messages.success(request, f"{saved.name} is saved. The stored sessions are being counted.")
    else:
        messages.success(request, f"{saved.name} is saved.")
    return redirect("outcome", slug=project.slug, outcome=saved.slug)


def _form(
    request: HttpRequest,
    project: Project,
    form: outcome_form.OutcomeForm,
    held: Defined | None = None,
    tried: measuring.Tried | None = None,
    *,
    is_slow: bool = False,
) -> HttpResponse:
    context: dict[str, Any] = {
        "project": project,
        "form": form,
        "outcome": held,
        "is_slow": is_slow,
        "days": measuring.TRIED_DAYS,
        "units": measuring.TRIED_UNITS,
    }
    if tried is not None:
        context |= {"tried": tried, "shown": outcome_view.tried_view(tried)}
    if request.headers.get("HX-Request") == "true":
        return render(request, "traces/_outcome_tried.html", context)
    try:
        context["names"] = read.names_seen(project.pk)
    except TooSlow:
        context["names"] = []
    return render(request, "traces/outcome_form.html", context)


def _folding(project: Project) -> behaviour.Progress | None:
    """How far sessions are looked at by new definitions; None where all of them are."""
    found = behaviour.progress(project.pk)
    return found if found.is_running else None


def _lists(found: Defined, address: str, which: str = "") -> list[tuple[str, str, bool]]:
    """The lists of sessions behind an outcome, as (address, words, whether it is shown)."""
    words = outcome_view.which_words(found)
    join = "&" if "?" in address and not address.endswith("?") else "" if address.endswith("?") else "?"
    return [(f"{address}{join}{urlencode({'which': each})}", words[each], each == which) for each in choices(found)]


def _window_pairs(window: Window) -> list[tuple[str, str]]:
    if window.current:
        return [("t", window.current)]
    return [("from", window.start_at.isoformat()), ("to", window.end_at.isoformat())]


def _feature_pair(feature: str | None) -> list[tuple[str, str]]:
    return [] if feature is None else [("feature", feature)]


def _feature(request: HttpRequest) -> str | None:
    name = request.GET.get("feature")
    if name is None or len(name) > FEATURE_MAX or "\x00" in name or any("\ud800" <= c <= "\udfff" for c in name):
        return None
    return name


def _find(project: Project, slug: str) -> Defined:
    found = read.get_outcome(project.pk, slug)
    if found is None:
        raise Http404
    return found


def _me(request: HttpRequest) -> int:
    return cast(User, request.user).pk
