"""The what-if page: real traffic with a cheaper model and a cache, and the same reckoned by hand."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_http_methods

from alerts import what_if
from alerts.allowances.by_hand import EXAMPLE, FIELDS, read_by_hand, reckon
from alerts.pages import what_if_view as view
from evals.forms.fields import Field, choices_of, clean
from telltale.lib import format as fmt
from telltale.lib.faults import ItemRefused
from telltale.projects.access import project_page
from telltale.projects.models import Project
from traces.read import TooSlow

_NAMES = ("days", "feature", "model", "share", "difficulty", "hard", "quality", "cache", "kept_hours")
_CACHES = {"exact": "The same words", "near": "Nearly the same words", "none": "No cache"}
_KEPT = {"1": "1 hour", "24": "1 day", "168": "1 week"}
_BY_HAND = {
    "requests": ("Requests a day", ""),
    "now_usd": ("USD each now", ""),
    "cheap_share": ("To the cheap model", "%"),
    "cheap_usd": ("USD each there", ""),
    "dear_usd": ("USD each at the capable one", ""),
    "hit_share": ("From the cache", "%"),
}


@require_http_methods(["GET", "HEAD"])
@project_page()
def what_if_page(request: HttpRequest, project: Project) -> HttpResponse:
    """What routing and caching would have come to, by the address."""
    typed = {name: clean(request.GET.get(name, ""))[:1000] for name in (*_NAMES, *FIELDS)}
    errors: list[tuple[str, str]] = []
    try:
        assumed = what_if.read_assumed(typed)
    except ItemRefused as refused:
        errors += _words(refused)
        assumed = what_if.Assumed(feature=None)
    try:
        by_hand = read_by_hand(typed)
    except ItemRefused as refused:
        errors += _words(refused)
        by_hand = EXAMPLE
    context: dict[str, Any] = {
        "project": project,
        "errors": errors,
        "by_hand": view.by_hand_lines(by_hand, reckon(by_hand)),
        "is_example": by_hand == EXAMPLE,
        "hand_fields": [
            Field(name, label, typed[name] or _shown(name), kind="number", suffix=suffix)
            for name, (label, suffix) in _BY_HAND.items()
        ],
        "kept_hand": [(name, typed[name]) for name in _NAMES if typed[name]],
        "kept_real": [(name, typed[name]) for name in FIELDS if typed[name]],
    }
    try:
        try:
            found = what_if.ask(project, assumed)
        except ItemRefused as refused:
            errors += _words(refused)
            found = what_if.ask(project, what_if.Assumed(days=assumed.days, cache="none"))
    except TooSlow:
        return render(request, "alerts/what_if.html", context | {"too_slow": True}, status=503)
    context |= _shown_of(found) | {"fields": _fields(found, typed)}
    return render(request, "alerts/what_if.html", context, status=400 if errors else 200)


def _shown_of(found: what_if.WhatIf) -> dict[str, Any]:
    cached, quality, total = found.cached, found.quality, found.total
    return {
        "found": found,
        "headline": view.headline(found),
        "total": f"{total.n:,}",
        "unpriced": total.unpriced_count + total.unknown_usage_count + total.partial_count,
        "lines": view.lines(found),
        "routed_interval": view.interval(found.routed.change) if found.routed else "",
        "routed_change": view.change_words(found.routed.change.value) if found.routed and found.routed.change else "",
        "cut": view.cut_words(found, found.routed) if found.routed else "",
        "quality": quality
        and (quality.name, view.mean_words(quality.target), view.mean_words(quality.others),
             view.difference_words(quality.difference)),
        "hit_share": fmt.share(cached.share.value) if cached and cached.share else "not known",
        "hit_interval": view.plain_interval(cached.share) if cached else "",
        "cached_change": view.change_words(cached.money.value) if cached and cached.money else "not known",
        "cached_interval": view.interval(cached.money) if cached else "",
    }  # fmt: skip


def _fields(found: what_if.WhatIf, typed: dict[str, str]) -> dict[str, Field]:
    assumed = found.assumed
    judged = [(key, words) for key, words in found.judged]
    models = [("", "No routing"), *((each.model, each.model) for each in found.models)]
    if typed["model"] and typed["model"] not in dict(models):
        models.append((typed["model"], typed["model"]))

    def select(name: str, label: str, pairs: list[tuple[str, str]], chosen: str, hint: str = "") -> Field:
        return Field(name, label, chosen, hint, kind="select", choices=choices_of(pairs, chosen))

    by = [*((key, words.capitalize()) for key, words in what_if.PROXIES.items()), *judged]
    made = (
        select("model", "Cheaper model", models, typed["model"], "It takes the easy requests, at the prices paid."),
        Field("share", "Easiest requests", typed["share"] or "60", kind="number", suffix="%"),
        select("difficulty", "Hard means more", by, assumed.difficulty),
        select("hard", "Of scores, hard are", [("high", "High ones"), ("low", "Low ones")], typed["hard"] or "high"),
        select("quality", "Compare quality by", [("", "Nothing"), *judged], assumed.quality),
        select("cache", "Cache", list(_CACHES.items()), assumed.cache),
        select("kept_hours", "Answers are kept", list(_KEPT.items()), str(assumed.kept_hours)),
        select("days", "Whole days", [(str(n), f"Last {n}") for n in what_if.DAYS], str(assumed.days)),
        Field("feature", "Feature", typed["feature"], "Empty: all of them.", chars_max=what_if.TEXT_MAX),
    )
    return {field.name: field for field in made}


def _shown(name: str) -> str:
    value = getattr(EXAMPLE, name)
    return f"{(value * 100 if FIELDS[name][1] else value).normalize():f}"


def _words(refused: ItemRefused) -> list[tuple[str, str]]:
    return [
        (each.field, f"{each.field} {each.message}" + (f": {each.limit}" if each.limit else "") + ".")
        for each in refused.faults
    ]
