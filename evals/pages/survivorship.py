"""The survivorship page: whether the votes can be trusted, what silence may hide, and who does not vote."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from evals.pages import survivorship_bars as bars
from evals.pages import survivorship_charts as charts
from evals.pages import survivorship_checks as checks
from evals.pages import survivorship_view as view
from evals.read.survivorship_kept import METHODS, first_hour, read_days
from evals.read.survivorship_sessions import read_silent
from evals.stats.results import TooLittle
from evals.stats.survivorship import NotIdentified
from evals.stats.survivorship.wording import not_identified_words
from evals.surviving import RefusedAnchor, Survivorship, anchoring_for, example, look_at, save_anchoring
from evals.surviving.keeping import KEPT_DAYS
from evals.surviving.looking import DELTAS
from evals.surviving.rules import RULES
from telltale.lib import clock
from telltale.projects.access import may, project_page, require
from telltale.projects.models import Project
from traces.behaviour import sentences
from traces.behaviour.definition import SHIPPED, Definition
from traces.behaviour.rates import rates_of
from traces.behaviour.types import Stratum
from traces.pages_accounting import Window, query_string, read_window
from traces.read import TooSlow
from traces.read.behaviour import definition_of, progress
from traces.read.signals import unbound_counts

KEEP = ("feature", "feature.missing", "units", "delta", "history")
VALUE_CHARS_MAX = 1024
DELTA_SHOWN = 0.1
SILENT_SHOWN = 20


@require_http_methods(["GET", "HEAD"])
@project_page()
def survivorship(request: HttpRequest, project: Project) -> HttpResponse:
    """The verdict of the window asked for, with everything it stands on."""
    query = request.GET
    window, feature, errors = _asked(project, query)
    context: dict[str, Any] = {
        "project": project,
        "window": window,
        "errors": errors,
        "may_measure": may(project, "measure"),
        "base": f"/p/{project.slug}/",
    }
    definition = SHIPPED
    try:
        if query.get("example") == "1":
            found, supposed = example(window.start_at, window.end_at)
            context |= {"is_example": True, "supposed": [_supposed(each) for each in supposed]}
        else:
            with_lone = query.get("units") == "all"
            found = look_at(project.pk, window.start_at, window.end_at, feature=feature, with_lone=with_lone)
            version, definition = definition_of(project.pk)
            context |= _around(project, query, feature)
            context["did"] = rates_of(found.cells, definition.for_feature(feature or ""), version)
            context["has_sessions"] = found.whole.units.is_empty and first_hour(project.pk) is not None
            context |= {"version": version, "own_features": [] if feature else sorted(definition.features)[:8]}
        context |= _answer(project, query, found, definition.for_feature(found.whole.feature or ""), errors)
        context["left_out"] = checks.left_out(
            found.whole, context["links"], context["other_units"], context.get("unbound"), context.get("revised", "")
        )
    except TooSlow:
        return render(request, "evals/survivorship.html", context | {"too_slow": True}, status=503)
    return render(request, "evals/survivorship.html", context)


def _asked(project: Project, query: QueryDict) -> tuple[Window, str | None, list[str]]:
    """Window, feature (None: all) and what of the address was not understood."""
    window = read_window(query, clock.zone_of(project.time_zone), clock.now(), default="7d", keep=KEEP)
    feature, errors = read_feature(query)
    if query.get("units", "") not in ("", "all"):
        errors.append(f"units: {query['units'][:40]!r} is none; all counts traces without a session as well.")
    if query.get("history", "") not in ("", "week", "day"):
        errors.append(f"history: {query['history'][:40]!r} is none; week and day are.")
    return window, feature, errors


def read_feature(query: QueryDict) -> tuple[str | None, list[str]]:
    """The feature that an address asks about ("" for none told), and what of it was not understood."""
    if query.get("feature.missing") == "yes":
        return "", []
    value = query.get("feature", "")
    if len(value) > VALUE_CHARS_MAX:
        return None, [f"feature: at most {VALUE_CHARS_MAX:,} characters, got {len(value):,}; it was left out."]
    if "\x00" in value or any("\ud800" <= c <= "\udfff" for c in value):
        return None, ["feature: holds characters that no stored text has; it was left out."]
    return value or None, []


def _delta(query: QueryDict, errors: list[str]) -> float:
    """The step of the slider that an address names."""
    raw = query.get("delta", "")
    if not raw:
        return DELTA_SHOWN
    try:
        value = float(raw)
    except ValueError:
        value = -1.0
    found = next((delta for delta in DELTAS if abs(delta - value) < 1e-9), None)
    if found is None:
        errors.append(f"delta: {raw[:40]!r} is no step; 0 to 0.5 in steps of 0.05 are.")
    return DELTA_SHOWN if found is None else found


def _around(project: Project, query: QueryDict, feature: str | None) -> dict[str, Any]:
    """History, and how far sessions are counted by the definitions in force."""
    since = clock.now().date() - timedelta(days=KEPT_DAYS + 2)
    by = "day" if query.get("history") == "day" else "week"
    days = read_days(project.pk, feature, since)
    changed = sum(day.revision > 1 for day in days)
    return {
        "history": charts.history(days, clock.zone_of(project.time_zone), by),
        "revised": f"; of the last {len(days)} days, {changed} have changed since they were first told" if days else "",
        "unbound": unbound_counts(project.pk),
        "history_tabs": [
            (query_string(query, history=name) + "#history", word, name == by)
            for name, word in (("week", "Weekly"), ("day", "Daily"))
        ],
        "progress": progress(project.pk),
    }


def _answer(
    project: Project, query: QueryDict, found: Survivorship, definition: Definition, errors: list[str]
) -> dict[str, Any]:
    whole = found.whole
    links = view.Links(project, found.start, found.end, whole.feature)
    rows = bars.bars(whole, found.anchoring.words)
    lines = view.groups(found, definition, links)
    delta = _delta(query, errors)
    units = "all" if query.get("units") != "all" else None
    said: dict[str, Any] = {
        "found": found,
        "links": links,
        "whole": whole,
        "state": view.STATES[whole.verdict.colour],
        "title": view.TITLES[whole.verdict.colour],
        "rule": RULES[whole.verdict.rule],
        "lines": view.note_lines(whole),
        "as_of_words": view.as_of(whole),
        "bars": rows,
        "bars_sentence": bars.bars_sentence(rows),
        "observed": rows[0].mark,
        "stats": view.stats(whole),
        "groups": lines,
        "reading": view.reading_words(lines),
        **view.totals(found),
        "checks": checks.checks(found, links, may_measure=may(project, "measure")),
        "other_units": query_string(query, units=units),
        "silent": whole.counts[Stratum.ABANDONED].silent,
        "silent_href": links.read(),
        "sessions_href": links.sessions(),
        "is_empty": whole.units.is_empty,
        "features": [view.feature_line(each, _feature_href(query, each.feature)) for each in found.features],
        "all_features": query_string(query, feature=None, **{"feature.missing": None}),
        "sentences": [(name, words(definition)) for _, name, words in sentences.ALL],
        "strata_rule": sentences.STRATA,
        "delta": delta,
        "hidden": [(name, value) for name, value in query.items() if name != "delta"],
    }
    if isinstance(found.line, NotIdentified | TooLittle):
        said["line_missing"] = not_identified_words(found.line)
    else:
        at = found.line[DELTAS.index(delta)]
        said |= {"line": charts.line_of_deltas(found.line, delta), "at_delta": charts.delta_words(delta, at)}
        said["steps"] = [charts.delta_words(each, one) for each, one in zip(DELTAS, found.line, strict=True)]
    return said


def _feature_href(query: QueryDict, feature: str | None) -> str:
    if feature:
        return query_string(query, feature=feature, **{"feature.missing": None})
    return query_string(query, feature=None, **{"feature.missing": "yes"})


def _supposed(each: Any) -> dict[str, Any]:
    colour = each.verdict.colour
    return {
        "fine": each.fine,
        "reviews": each.reviews,
        "state": view.STATES[colour],
        "word": view.SHORT[colour],
        "headline": each.words.headline,
    }


@require_http_methods(["GET", "HEAD"])
@project_page()
def silent(request: HttpRequest, project: Project) -> HttpResponse:
    """Twenty silent sessions that left, drawn at random: the seed is in the address, so that others see the same."""
    query = request.GET
    window = read_window(query, clock.zone_of(project.time_zone), clock.now(), default="7d", keep=("feature", "seed"))
    feature, errors = read_feature(query)
    seed = _seed(project, window, query, errors)
    context: dict[str, Any] = {
        "project": project,
        "window": window,
        "errors": errors,
        "seed": seed,
        "feature": feature,
        "again": query_string(query, seed=str((seed * 48_271 + 11) % 2**31)),
        "back": "../" + query_string(query, seed=None),
        "n": SILENT_SHOWN,
    }
    try:
        rows = read_silent(project.pk, window.start_at, window.end_at, feature, SILENT_SHOWN, seed)
        context["sessions"] = [view.silent_row(row, f"/p/{project.slug}/") for row in rows]
    except TooSlow:
        return render(request, "evals/survivorship_silent.html", context | {"too_slow": True}, status=503)
    return render(request, "evals/survivorship_silent.html", context)


def _seed(project: Project, window: Window, query: QueryDict, errors: list[str]) -> int:
    """The seed of the address; else one of project and day, so that everybody reads the same until tomorrow."""
    raw = query.get("seed", "")
    if raw.isascii() and raw.isdigit() and len(raw) <= 10 and int(raw) < 2**31:
        return int(raw)
    if raw:
        errors.append(f"seed: {raw[:40]!r} is none; a whole number from 0 to {2**31 - 1} is.")
    told = f"{project.pk} {window.end_at:%Y-%m-%d}".encode()
    return int.from_bytes(hashlib.sha256(told).digest()[:4]) % 2**31


@require_http_methods(["GET", "HEAD", "POST"])
@project_page()
def anchor(request: HttpRequest, project: Project) -> HttpResponse:
    """What counts as satisfied: a judge's criterion from some score on, what people say, or nothing."""
    now = anchoring_for(project.pk)
    typed = {
        "method": now.method,
        "criterion": now.judging.key if now.judging else "",
        "at_least": "" if now.at_least is None else f"{now.at_least:g}",
        "tolerance": f"{100 * now.tolerance:g}",
    }
    refused: RefusedAnchor | None = None
    if request.method == "POST":
        require(project, "measure")
        typed = {name: request.POST.get(name, "")[:VALUE_CHARS_MAX].strip() for name in typed}
        try:
            save_anchoring(project, _told(typed), request=request)
        except RefusedAnchor as error:
            refused = error
        else:
            messages.success(request, "Saved. The history of the verdict is made anew within the hour.")
            return redirect("survivorship", slug=project.slug)
    field = {"judge": "criterion"}.get(refused.field, refused.field) if refused else ""
    context = {
        "project": project,
        "now": now,
        "typed": typed,
        "methods": METHODS,
        "criteria": [(each, each.key == typed["criterion"]) for each in now.known],
        "refused": refused,
        "refused_field": field,
        "may_measure": may(project, "measure"),
    }
    return render(request, "evals/survivorship_anchor.html", context, status=400 if refused else 200)


def _told(typed: dict[str, str]) -> dict[str, Any]:
    """What a form says, as settings: the tolerance is typed in points."""
    told: dict[str, Any] = {"method": typed["method"]}
    try:
        told["tolerance"] = float(typed["tolerance"]) / 100
    except ValueError:
        raise RefusedAnchor("tolerance", "is no number", "points from 0 to 50", typed["tolerance"]) from None
    if not 0 <= told["tolerance"] <= 0.5:
        raise RefusedAnchor("tolerance", "is out of range", "points from 0 to 50", typed["tolerance"])
    if typed["method"] == "judge":
        told["judge"], _, told["criterion"] = typed["criterion"].partition("/")
        told["at_least"] = typed["at_least"]
    return told
