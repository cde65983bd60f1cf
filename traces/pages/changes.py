"""The change log: a list with filters in its address, one change with what is known of it, and the form to tell one."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime, timedelta
from typing import Any, cast
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from telltale.accounts.models import User
from telltale.lib import clock
from telltale.lib.faults import ItemRefused
from telltale.projects.access import may, project_page, require
from telltale.projects.models import Project, Role
from telltale.rest import paging
from telltale.rest.problems import Problem
from traces import changelog
from traces.api.changes import FILE_NAMES, file_record
from traces.changing import items as rules
from traces.changing.kinds import KIND_WORDS, SOURCE_WORDS, Source
from traces.pages.change_form import ChangeForm, form_of, read_form
from traces.pages.export import FORMATS, Busy, busy_response, download
from traces.pages_accounting import Window, query_string, read_window
from traces.read import TooSlow
from traces.read import changelog as read
from traces.read.changelog import Change, ChangeFilter, Spot

PAGE_SIZE = 50
FILTERS = ("kind", "source", "service", "feature", "environment", "q")
AROUND = timedelta(hours=1)
_ID_MAX = 2**63 - 1


@require_http_methods(["GET", "HEAD"])
@project_page()
def change_list(request: HttpRequest, project: Project) -> HttpResponseBase:
    """What changed, newest first; `format` has all that matches as a file."""
    query, zone = request.GET, clock.zone_of(project.time_zone)
    window = read_window(query, zone, clock.now(), default="28d", keep=FILTERS)
    wanted = wanted_of(query, window)
    before, after, wrong = _spots(query)
    context: dict[str, Any] = {
        "project": project,
        "window": window,
        "wrong": wrong,
        "may_measure": may(project, "measure"),
        "q": wanted.text,
        "is_filtered": any(query.get(name) for name in FILTERS),
        "unfiltered": query_string(query, **dict.fromkeys((*FILTERS, "before", "after"))),
        "kept": [(name, str(query[name])) for name in ("t", "from", "to") if query.get(name)],
    }
    try:
        if query.get("format") in FORMATS:
            records = iter(()) if request.method == "HEAD" else map(file_record, read.each_change(project.pk, wanted))
            name, is_head = f"{project.slug}-changes", request.method == "HEAD"
            return download(name, query["format"], FILE_NAMES, records, is_head=is_head)
        page = read.list_changes(project.pk, wanted, PAGE_SIZE, before=before, after=after)
        context["n"] = read.count_changes(project.pk, wanted) if page.rows else 0
        values = read.scope_values(project.pk)
        context["has_any"] = bool(page.rows) or read.count_changes(project.pk, ChangeFilter()) > 0
    except TooSlow:
        return render(request, "traces/changes.html", context | {"too_slow": True}, status=503)
    except Busy:
        return busy_response()
    rows = page.rows
    context |= {
        "rows": [_row(change) for change in rows],
        "most": read.COUNT_MAX,
        "newer": query_string(query, before=None, after=_write_spot(rows[0])) if rows and page.has_newer else "",
        "older": query_string(query, after=None, before=_write_spot(rows[-1])) if rows and page.has_older else "",
        "pickers": [
            ("kind", "What", _choices(query, "kind", KIND_WORDS)),
            ("source", "Told", _choices(query, "source", SOURCE_WORDS)),
            *((name, name.capitalize(), _choices(query, name, {v: v for v in values[name]}))
              for name in ("service", "feature", "environment") if values[name] or query.get(name)),
        ],
        "csv": query_string(query, format="csv", before=None, after=None),
        "ndjson": query_string(query, format="ndjson", before=None, after=None),
    }  # fmt: skip
    return render(request, "traces/changes.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ENGINEER)
def change_new(request: HttpRequest, project: Project) -> HttpResponse:
    """The form that tells of a change."""
    zone = clock.zone_of(project.time_zone)
    if request.method != "POST":
        return _form(request, project, form_of({"kind": request.GET.get("kind", "deploy")}, zone))
    told, faults = read_form(request.POST, zone)
    if not faults:
        person = cast(User, request.user)
        by = changelog.By(person.pk, person.name or person.email, request=request)
        (result,) = changelog.put_changes(project, [told], by, Source.PAGE)
        if result.id is not None:
            messages.success(request, "The change is logged.")
            return redirect(reverse("changes", args=[project.slug]))
        faults = list(result.faults)
    return _form(request, project, form_of(request.POST, zone, faults))


@require_http_methods(["GET", "HEAD", "POST"])
@project_page()
def change_page(request: HttpRequest, project: Project, change_id: int) -> HttpResponse:
    """One change with all that is known of it; POST corrects it."""
    zone = clock.zone_of(project.time_zone)
    change = _find(project, change_id)
    may_measure = may(project, "measure")
    form = form_of(changelog.as_told(change), zone, derived=change.is_derived)
    if request.method == "POST":
        require(project, "measure")
        told, faults = read_form(request.POST, zone)
        if change.is_derived:
            told = {name: told.get(name, "") for name in changelog.BESIDE_DERIVED}
            faults = [fault for fault in faults if fault.field in told]
        try:
            if faults:
                raise ItemRefused(*faults)
            changelog.edit_change(project, change.id, told, changelog.By(request=request))
        except ItemRefused as refused:
            form = form_of(request.POST, zone, list(refused.faults), derived=change.is_derived)
        except changelog.Gone:
            raise Http404 from None
        else:
            messages.success(request, "The change is corrected; the audit log keeps what it said before.")
            return redirect(reverse("change", args=[project.slug, change.id]))
    context = {
        "project": project,
        "change": change,
        "row": _row(change),
        "source": SOURCE_WORDS[change.source],
        "details": sorted(change.details.items()),
        "form": form,
        "zone": project.time_zone,
        "around": _around(change),
        "may_measure": may_measure,
    }
    return render(request, "traces/change.html", context, status=400 if form.errors else 200)


@require_POST
@project_page(Role.ENGINEER)
def change_remove(request: HttpRequest, project: Project, change_id: int) -> HttpResponse:
    """Remove a change: the button of its page says so."""
    change = _find(project, change_id)
    if request.POST.get("remove") != "yes":
        return redirect(reverse("change", args=[project.slug, change.id]))
    try:
        changelog.remove_change(project, change.id, changelog.By(request=request))
    except changelog.Gone:
        raise Http404 from None
    messages.success(request, "The change is removed; the audit log keeps what it said.")
    return redirect(reverse("changes", args=[project.slug]))


def wanted_of(query: QueryDict, window: Window) -> ChangeFilter:
    """What the address asks for; words that name nothing are left out."""

    def among(name: str, accepted: Collection[str]) -> tuple[str, ...]:
        return tuple(value for value in query.getlist(name) if value in accepted)

    def texts(name: str) -> tuple[str, ...]:
        return tuple(value for value in map(_clean, query.getlist(name)) if value)

    return ChangeFilter(
        start=window.start_at,
        # Clocks of build machines are ahead at times; a window that ends now shows what they told as well.
        end=window.end_at if not window.current else None,
        kinds=among("kind", KIND_WORDS),
        sources=among("source", SOURCE_WORDS),
        services=texts("service"),
        features=texts("feature"),
        environments=texts("environment"),
        text=_clean(query.get("q", "")),
    )


def _clean(value: str) -> str:
    return value[: rules.INDEXED_BYTES].replace("\x00", "").encode("utf-8", "ignore").decode().strip()


def _choices(query: QueryDict, name: str, words: Mapping[Any, str]) -> list[tuple[str, str, bool]]:
    chosen = query.getlist(name)
    known = [(value, word, value in chosen) for value, word in words.items()]
    if name in {"kind", "source"}:
        return known
    return known + [(value, value, True) for value in map(_clean, chosen) if value and value not in words]


def _spots(query: QueryDict) -> tuple[Spot | None, Spot | None, bool]:
    """The places that the address names, and whether one of them is none."""
    found: dict[str, Spot | None] = {"before": None, "after": None}
    for name in found:
        try:
            place = paging.read_cursor(query.get(name, ""), str, int)
            if place is not None:
                found[name] = (datetime.fromisoformat(place[0]), place[1])
                if found[name][0].tzinfo is None:  # type: ignore[index]
                    raise ValueError
        except (Problem, ValueError):
            return None, None, True
    return found["before"], found["after"], False


def _write_spot(change: Change) -> str:
    return paging.write_cursor(change.at.isoformat(), change.id)


def _row(change: Change) -> dict[str, Any]:
    """A change as the list shows it."""
    return {
        "change": change,
        "source": SOURCE_WORDS[change.source],
        "scope": [
            (name, value)
            for name, value in (
                ("service", change.service), ("feature", change.feature), ("environment", change.environment),
            )
            if value
        ],
        "more": change.details.get("more_that_day") if change.is_derived else None,
    }  # fmt: skip


def _around(change: Change) -> str:
    """The query of the list of traces of what it touches, from an hour before to an hour behind."""
    pairs = [(name, getattr(change, name)) for name in ("service", "feature", "environment") if getattr(change, name)]
    end = change.ended_at or change.at
    times = [("from", (change.at - AROUND).isoformat()), ("to", (end + AROUND).isoformat())]
    return urlencode([*pairs, *times])


def _find(project: Project, change_id: int) -> Change:
    found = read.get_change(project.pk, change_id) if change_id <= _ID_MAX else None
    if found is None:
        raise Http404
    return found


def _form(request: HttpRequest, project: Project, form: ChangeForm) -> HttpResponse:
    context = {"project": project, "form": form, "zone": project.time_zone}
    return render(request, "traces/change_form.html", context, status=400 if form.errors else 200)
