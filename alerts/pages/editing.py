"""Making and changing monitors: what to begin with, the form, and its preview."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from alerts import monitoring
from alerts.backtesting import Busy
from alerts.monitors.definition import COMPOSITE, parse_definition, to_json
from alerts.monitors.presets import BY_SLUG, OWN, PRESETS, Preset, warning_of
from alerts.monitors.types import DIMENSIONS, Metric
from alerts.pages.monitor_flat import Flat, flat_of, flat_of_post, is_judged, told_of
from alerts.pages.monitor_form import Offers, form_of
from alerts.pages.previewing import preview
from alerts.read.judges import read_judges
from alerts.read.monitors import MonitorRow, get_monitor, list_monitors
from alerts.read.series import SeriesFault, param_choices, values_of
from alerts.series.catalogue import GROUPS, METRICS, metrics_of
from alerts.series.params import PARAMS
from alerts.series.scopes import parse_scope
from telltale.accounts.models import User
from telltale.lib import clock
from telltale.lib.faults import Fault, ItemRefused
from telltale.projects.access import project_page
from telltale.projects.models import Project, Role
from traces.read import TooSlow

VALUES_OFFERED, VALUES_OF = 30, timedelta(days=7)
MEMBERS_OFFERED = 200


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ENGINEER)
def monitor_new(request: HttpRequest, project: Project) -> HttpResponse:
    """What to begin with (`preset`, `metric`), then the form; POST `act` preview or save."""
    asked = request.POST if request.method == "POST" else request.GET
    preset = BY_SLUG.get(asked.get("preset", ""))
    key = asked.get("metric", "") or (preset.told["metric"] if preset else "")
    if not key:
        return render(request, "alerts/monitor_new.html", _beginnings(project))
    if key != COMPOSITE and key not in METRICS:
        raise Http404
    metric = METRICS.get(key)
    return _form(request, project, metric, None, preset)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ENGINEER)
def monitor_edit(request: HttpRequest, project: Project, monitor_id: int) -> HttpResponse:
    """The form of a monitor; POST `act` preview or save."""
    held = get_monitor(project.pk, monitor_id) if 0 < monitor_id < 2**63 else None
    if held is None or held.archived_at is not None:
        raise Http404
    metric = METRICS.get(held.metric)
    if metric is None and held.metric != COMPOSITE:
        raise Http404
    return _form(request, project, metric, held, None)


def _form(
    request: HttpRequest, project: Project, metric: Metric | None, held: MonitorRow | None, preset: Preset | None
) -> HttpResponse:
    zone, refused, context = clock.zone_of(project.time_zone), None, dict[str, Any]()
    is_swap = request.headers.get("HX-Request") == "true"
    if request.method == "POST":
        flat = flat_of_post(request.POST)
        try:
            definition = told_of(flat, metric, zone)
            if request.POST.get("act") == "save":
                return _save(request, project, definition, held)
            context |= _previewed(project, definition, held)
        except ItemRefused as error:
            refused = error
        except monitoring.NotThere:
            raise Http404 from None
        except monitoring.Outdated:
            words = "was changed by somebody else meanwhile; look at what is in force before you save"
            refused = ItemRefused(Fault("name", words))
    else:
        flat = _first(metric, held, preset, zone)
    offers = Offers() if is_swap else _offers(project, metric, flat.get("members", ()))
    is_half = bool((clock.now().astimezone(zone).utcoffset() or timedelta()) % timedelta(hours=1))
    form = form_of(flat, metric, offers, refused, held.id if held else None, is_half=is_half)
    context |= {
        "project": project,
        "form": form,
        "metric": metric,
        "held": held,
        "preset": preset,
        "warning": warning_of(preset.slug) if preset else "",
        "revision": flat.get("revision") or (held.revision if held else ""),
        "here": request.path,
        "unit_hint": "in percent" if metric is not None and metric.unit == "share" else "",
    }
    if is_swap:
        return render(request, "alerts/_monitor_preview.html", context)
    return render(request, "alerts/monitor_form.html", context, status=400 if refused else 200)


def _save(request: HttpRequest, project: Project, told: Mapping[str, Any], held: MonitorRow | None) -> HttpResponse:
    if held is None:
        person = request.user if isinstance(request.user, User) else None
        made = monitoring.create(project, dict(told), by_id=person.pk if person else None, request=request)
        messages.success(request, "The monitor is made. It replays the stored history first.")
        return redirect("monitor", project.slug, made)
    raw = request.POST.get("revision", "")
    of_revision = int(raw) if raw.isascii() and raw.isdigit() and len(raw) < 10 else None
    whole = {**{name: None for name in to_json(held.definition) if name not in {"name", "metric"}}, **told}
    is_changed = monitoring.change(project, held.id, whole, of_revision=of_revision, request=request)
    after = get_monitor(project.pk, held.id)
    if not is_changed:
        messages.info(request, "Nothing was changed.")
    elif after is not None and after.chart_no != held.chart_no:
        messages.success(request, "The monitor is changed. Its chart begins anew with the stored history.")
    else:
        messages.success(request, "The monitor is changed. Its chart goes on.")
    return redirect("monitor", project.slug, held.id)


def _previewed(project: Project, told: Mapping[str, Any], held: MonitorRow | None) -> dict[str, Any]:
    """The preview of what the inputs say, or why there is none; ItemRefused."""
    # A name is not needed to look.
    definition = monitoring.parse({**told, "name": told.get("name") or "preview"})
    monitoring.check(project, definition, held.id if held else None)
    try:
        return {"preview": preview(project, definition, held)}
    except ItemRefused:
        return {"why_not": "There is no closed window of history to replay yet. Saved, it begins with what comes."}
    except SeriesFault as fault:
        return {"why_not": fault.words}
    except Busy:
        return {"why_not": "Other previews are running; press Preview in a moment."}
    except TooSlow:
        return {"why_not": "The history took too long to read and was given up; a narrower scope makes it quick."}


def _first(metric: Metric | None, held: MonitorRow | None, preset: Preset | None, zone: ZoneInfo) -> Flat:
    """The inputs before anything was typed: what is stored, or what preset and metric suggest."""
    if held is not None:
        return flat_of(to_json(held.definition), metric, zone)
    told: dict[str, Any] = {"name": metric.title if metric else "Several at once", "metric": COMPOSITE}
    if metric is None:
        told |= {"method": "composite", "composite": {"members": [], "least": 2, "within_minutes": 360}}
        suggested = {"window_minutes": 15, "severity": 2, "weight": 1.0, "least_n": 1}
        return flat_of({**suggested, **told}, None, zone)
    told["metric"] = metric.key
    if preset is not None:
        told |= {"name": preset.name, **preset.told}
    wanted = {name: value for name, value in told.items() if name not in {"params", "threshold", "scope"}}
    plain = {**wanted, "method": "chart"} if wanted.get("method") in {"fixed", "objective"} else wanted
    bare = replace(metric, needs=())
    suggested = to_json(
        parse_definition(plain, {metric.key: bare}, parse_scope=parse_scope, timing=monitoring.timing_for)
    )
    return flat_of({**suggested, **told}, metric, zone)


def _beginnings(project: Project) -> dict[str, Any]:
    """What one may begin with: charts of our own, thresholds by source, every metric by group."""
    sources: dict[str, list[tuple[Preset, str]]] = {}
    for preset in PRESETS:
        if preset.source != OWN:
            sources.setdefault(preset.source, []).append((preset, warning_of(preset.slug)))
    return {
        "project": project,
        "own": [preset for preset in PRESETS if preset.source == OWN],
        "sources": list(sources.items()),
        "groups": [(group, list(metrics_of(group))) for group in GROUPS],
    }


def _offers(project: Project, metric: Metric | None, members: Sequence[str] = ()) -> Offers:
    """What the inputs offer; a form without offers is a form all the same."""
    now = clock.now()
    if metric is None:
        rows = [row for row in list_monitors(project.pk, limit=monitoring.MONITORS_MAX) if row.metric != COMPOSITE]
        offered = [row for at, row in enumerate(rows) if at < MEMBERS_OFFERED or str(row.id) in members]
        return Offers(monitors=tuple((row.id, row.name) for row in offered))
    values: dict[str, tuple[str, ...]] = {}
    for name in DIMENSIONS:
        if name not in metric.scopes:
            continue
        try:
            found = values_of(project.pk, project.time_zone, metric, name, now - VALUES_OF, now, limit=VALUES_OFFERED)
        except TooSlow:
            break
        values[name] = tuple("(unknown)" if each is None else each for each in found)
    names = {*metric.needs, *metric.may}
    judges = read_judges(project.pk) if "judge" in names else {}
    criteria = tuple(
        (f"{judge.slug}|{criterion.key}", f"{judge.name}: {criterion.title}")
        for judge in judges.values()
        if judge.rubric is not None and is_judged(metric)
        for criterion in judge.rubric.criteria
        if criterion.scale.has_numbers
    )
    choices = {
        PARAMS[name].kind: param_choices(project.pk, metric, name, {}, now)
        for name in names
        if PARAMS[name].kind in {"outcome", "host", "encoder"}
    }
    return Offers(
        judges=tuple((judge.slug, judge.name) for judge in judges.values()),
        criteria=criteria,
        outcomes=tuple(choices.get("outcome", ())),
        hosts=tuple(value for value, _ in choices.get("host", ())),
        values=values,
    )
