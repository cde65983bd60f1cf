"""The page of definitions: what is taken for abandonment, a retry, a vote …, tried out and changed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast
from urllib.parse import urlencode

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from telltale.accounts.models import User
from telltale.lib import clock
from telltale.projects.access import may, project_page, require
from telltale.projects.models import Project, Role
from traces import behaving
from traces.behaviour import sentences
from traces.behaviour.definition import FEATURE_CHARS_MAX, Definition, DefinitionError, parse_definition
from traces.behaviour.rates import rates_of
from traces.pages import definition_form
from traces.read import TooSlow
from traces.read import behaviour as read
from traces.read.definitions import Tried, features_seen, in_force, list_versions, try_definition
from traces.signals.names import SHIPPED as SHIPPED_NAMES

SEEN_SINCE = timedelta(days=30)


@dataclass(frozen=True, slots=True)
class FeatureTab:
    """A feature that may have numbers of its own."""

    name: str
    href: str
    is_current: bool
    has_own: bool


@require_http_methods(["GET", "HEAD", "POST"])
@project_page()
def definitions(request: HttpRequest, project: Project) -> HttpResponse:
    """Every derived signal in words, and the form that changes them; `act=preview` counts before saving."""
    feature = _feature(request)
    if request.headers.get("HX-Request") == "true" and request.method != "POST":
        return render(request, "traces/_definition_progress.html", _progress(request, project) | {"is_swap": True})
    if request.method != "POST":
        return _page(request, project, feature)
    require(project, "measure")
    held = in_force(project.pk)
    typed = request.POST
    try:
        told = definition_form.told_by(typed, held.definition, feature)
        wanted = parse_definition(told)
    except DefinitionError as error:
        form = definition_form.form_of(held.definition, held.version, feature, typed, error.faults)
        return _page(request, project, feature, form=form, status=400)
    if typed.get("act") == "preview":
        return _preview(request, project, feature, wanted)
    try:
        if typed.get("version", "") != str(held.version):
            raise behaving.Outdated(held.version)
        version, _ = behaving.save_definition(
            project, told, by_id=cast(User, request.user).pk, of_version=held.version, request=request
        )
    except TooSlow:
        messages.error(request, "Sessions are being counted just now. Nothing was saved: try again in a moment.")
        return redirect(_address(project, feature))
    except behaving.Outdated:
        held = in_force(project.pk)
        form = definition_form.form_of(held.definition, held.version, feature, typed)
        return _page(request, project, feature, form=form, status=409, is_outdated=True)
    if version == held.version:
        messages.info(request, "Nothing was changed, so there is no new version.")
    else:
        messages.success(request, f"Version {version} is in force. The stored sessions are being counted by it.")
    return redirect(_address(project, feature))


@require_POST
@project_page(Role.ENGINEER)
def definitions_retry(request: HttpRequest, project: Project) -> HttpResponse:
    """Go on with counting where it stopped."""
    if behaving.retry_refold(project.pk):
        messages.success(request, "The count goes on where it stopped.")
    else:
        messages.info(request, "No count has stopped.")
    return redirect("signal_definitions", slug=project.slug)


def _preview(request: HttpRequest, project: Project, feature: str, wanted: Definition) -> HttpResponse:
    tried: Tried | None = None
    with suppress(TooSlow):
        tried = try_definition(project.pk, wanted, feature or None)
    context: dict[str, Any] = {"tried": tried, "tried_too_slow": tried is None}
    if request.headers.get("HX-Request") == "true":
        return render(request, "traces/_definition_preview.html", context | {"feature": feature})
    held = in_force(project.pk)
    form = definition_form.form_of(held.definition, held.version, feature, request.POST)
    return _page(request, project, feature, form=form, **context)


def _page(
    request: HttpRequest,
    project: Project,
    feature: str,
    *,
    form: definition_form.DefinitionForm | None = None,
    status: int = 200,
    **more: Any,
) -> HttpResponse:
    held = in_force(project.pk)
    rules = held.definition.for_feature(feature)
    now = clock.now()
    seen = features_seen(project.pk, now - SEEN_SINCE)
    cells = read.cells(project.pk, now - SEEN_SINCE, now, feature or None)
    names = list(dict.fromkeys([*sorted(held.definition.features), *seen, *([feature] if feature else [])]))
    context = {
        "project": project,
        "held": held,
        "feature": feature,
        "may_measure": may(project, "measure"),
        "form": form or definition_form.form_of(held.definition, held.version, feature),
        "rules": [(key, label, rule(rules)) for key, label, rule in sentences.ALL],
        "did": rates_of(cells, rules, held.version),
        "own_features": [] if feature else sorted(held.definition.features)[:8],
        "strata": sentences.STRATA,
        "previews": sentences.PREVIEWS,
        "versions": list_versions(project.pk),
        "all_href": _address(project, ""),
        "tabs": [
            FeatureTab(name, _address(project, name), name == feature, name in held.definition.features)
            for name in names
        ],
        "shipped_names": _shipped_names(),
        "own_names": sorted(held.definition.names.items()),
        **_progress(request, project),
        **more,
    }
    return render(request, "traces/signal_definitions.html", context, status=status)


def _progress(request: HttpRequest, project: Project) -> dict[str, Any]:
    found = read.progress(project.pk)
    percent = None if found.share is None else int(100 * found.share)
    return {
        "progress": found,
        "percent": percent,
        "here": _address(project, _feature(request)),
        "project": project,
        "may_measure": may(project, "measure"),
    }


def _shipped_names() -> list[tuple[str, str]]:
    """(what names mean, the shipped names that do), in the order of the table."""
    words: dict[str, list[str]] = {}
    for name, meaning in SHIPPED_NAMES.items():
        word = meaning.kind.name.lower() + {1: ", up", -1: ", down"}.get(meaning.way, "")
        words.setdefault(word.replace("_", " "), []).append(name)
    return [(word, ", ".join(names)) for word, names in words.items()]


def _feature(request: HttpRequest) -> str:
    text = (request.POST if request.method == "POST" else request.GET).get("feature", "")
    return text.replace("\x00", "\ufffd").strip()[:FEATURE_CHARS_MAX]


def _address(project: Project, feature: str) -> str:
    address = reverse("signal_definitions", args=[project.slug])
    return f"{address}?{urlencode({'feature': feature})}" if feature else address
