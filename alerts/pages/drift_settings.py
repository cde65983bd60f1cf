"""Settings of drift: what makes vectors, how much is sampled, what it may cost."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, cast

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from alerts import drifting
from alerts.drift.words import encoder_title
from alerts.drifting.settings import CAP_MAX, CAP_MIN, FIELDS_MAX
from alerts.encoders import ENDPOINT, LEXICAL, MINILM, SENDER, is_installed
from alerts.read.drift import DriftView, settings_of, waiting
from alerts.read.vectors import encoders_of
from evals.calling.kinds import OPENAI
from evals.forms.fields import Field, choices_of, error_at, pico_of, typed_of, usd_text, whole_of
from evals.read.setup import ConnectionView, list_connections
from evals.setup.refusals import SetupRefused
from telltale.accounts.models import User
from telltale.projects.access import may, project_page, require
from telltale.projects.models import Project

NAMES = ("is_on", "encoder", "connection_id", "model", "cap_a_day", "budget_usd_day", "budget_calls_day", "fields")
ENCODERS = {
    LEXICAL: "Words and pieces of words, made here (lexical change)",
    SENDER: "Vectors that the application sends",
    ENDPOINT: "An embeddings endpoint",
    MINILM: "MiniLM, run here",
}


@require_http_methods(["GET", "HEAD", "POST"])
@project_page()
def settings_page(request: HttpRequest, project: Project) -> HttpResponse:
    """See how traffic is sampled and embedded; POST changes it."""
    before = settings_of(project.pk)
    if request.method != "POST":
        return _form(request, project, before, _typed(before))
    require(project, "measure")
    typed = typed_of(request.POST, NAMES)
    try:
        after = drifting.save_settings(project, _values(typed), by_id=cast(User, request.user).pk, request=request)
    except SetupRefused as refused:
        return _form(request, project, before, typed, refused)
    is_other = (before.encoder, before.connection_id, before.model) != (
        after.encoder, after.connection_id, after.model,
    )  # fmt: skip
    said = " Stored traces of the last 35 days are embedded in the background." if is_other and after.is_on else ""
    messages.success(request, f"Saved.{said}")
    return redirect("drift_settings", slug=project.slug)


def _typed(view: DriftView) -> dict[str, str]:
    return {
        "is_on": "on" if view.is_on else "",
        "encoder": view.encoder,
        "connection_id": "" if view.connection_id is None else str(view.connection_id),
        "model": view.model,
        "cap_a_day": str(view.cap_a_day),
        "budget_usd_day": usd_text(view.budget_pico_day),
        "budget_calls_day": "" if view.budget_calls_day is None else str(view.budget_calls_day),
        "fields": ", ".join(view.fields),
    }


def _values(typed: Mapping[str, str]) -> dict[str, Any]:
    """What was typed as values. SetupRefused."""
    cap = whole_of("cap_a_day", typed["cap_a_day"])
    if cap is None:
        raise SetupRefused("cap_a_day", "is missing", f"{CAP_MIN:,} to {CAP_MAX:,}")
    return {
        "is_on": bool(typed["is_on"]),
        "encoder": typed["encoder"],
        "connection_id": whole_of("connection_id", typed["connection_id"]),
        "model": typed["model"],
        "cap_a_day": cap,
        "budget_pico_day": pico_of("budget_usd_day", typed["budget_usd_day"]),
        "budget_calls_day": whole_of("budget_calls_day", typed["budget_calls_day"]),
        "fields": [each for each in (part.strip() for part in typed["fields"].split(",")) if each],
    }


_SHOWN_AS = {"budget_pico_day": "budget_usd_day"}


def fields_of(
    typed: Mapping[str, str], refused: SetupRefused | None, connections: list[ConnectionView]
) -> dict[str, Field]:
    """The inputs of the form."""
    if refused is not None:
        refused.field = _SHOWN_AS.get(refused.field, refused.field)

    def make(name: str, label: str, hint: str = "", **more: Any) -> Field:
        return Field(name, label, typed[name], hint, error_at(refused, name), **more)

    encoders = [
        (kind, word)
        for kind, word in ENCODERS.items()
        if kind != MINILM or typed["encoder"] == MINILM or is_installed(settings.TELLTALE_MINILM_DIR)
    ]
    places = [("", "None")] + [(str(each.id), each.name) for each in connections if each.kind == OPENAI]
    made = (
        make("is_on", "Sample inputs and outputs", "Vectors, lengths and languages are kept, no texts.", kind="check"),
        make(
            "encoder",
            "What makes vectors",
            "Another one starts anew: its vectors cannot be compared with those before.",
            kind="select",
            choices=choices_of(encoders, typed["encoder"]),
        ),
        make(
            "connection_id",
            "Connection",
            "For an endpoint: one that speaks OpenAI’s /embeddings.",
            kind="select",
            choices=choices_of(places, typed["connection_id"]),
        ),
        make("model", "Model", "For an endpoint, such as text-embedding-3-small.", chars_max=200),
        make(
            "cap_a_day",
            "Traces a day, at most",
            f"{CAP_MIN:,} to {CAP_MAX:,}, drawn by chance from all. 500 are a reference.",
            kind="number",
            is_required=True,
        ),
        make(
            "budget_usd_day",
            "USD a day, at most",
            "For embeddings alone; the project’s budget of judging holds as well. Empty: no limit of its own.",
            kind="number",
        ),
        make("budget_calls_day", "Calls a day, at most", "Up to 32 traces a call. Empty: no limit.", kind="number"),
        make(
            "fields",
            "Metadata compared as categories",
            f"Up to {FIELDS_MAX} keys of the root’s metadata, apart by commas, such as tier, device.",
        ),
    )
    return {field.name: field for field in made}


def _form(
    request: HttpRequest,
    project: Project,
    view: DriftView,
    typed: dict[str, str],
    refused: SetupRefused | None = None,
) -> HttpResponse:
    fields = fields_of(typed, refused, list_connections(project.pk))
    context = {
        "project": project,
        "wanted": view,
        "fields": fields,
        "refused": refused,
        "refused_field": fields.get(refused.field) if refused else None,
        "may_measure": may(project, "measure"),
        "waits": waiting(project.pk),
        "encoders": [(encoder_title(each.key), each.newest_at) for each in encoders_of(project.pk)],
        "drift": reverse("drift", args=[project.slug]),
    }
    return render(request, "alerts/drift_settings.html", context, status=400 if refused else 200)
