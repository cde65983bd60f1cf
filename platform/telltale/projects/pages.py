"""Pages of one project that need no room above: its settings, members, keys."""

from __future__ import annotations

from typing import cast

from django.conf import settings as django_settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from telltale.accounts.models import User
from telltale.lib import clock
from telltale.projects import read, write
from telltale.projects.access import get_key_for, may, project_page, require
from telltale.projects.forms import (
    SCOPE_WORDS,
    KeyForm,
    LimitForm,
    RuleFormSet,
    SettingsForm,
    SignalsLimitForm,
    rules_of,
)
from telltale.projects.models import Project, Role
from telltale.projects.snippets import PLACEHOLDER, snippets


def me(request: HttpRequest) -> User:
    """The person signed in."""
    return cast(User, request.user)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page()
def settings(request: HttpRequest, project: Project) -> HttpResponse:
    """Name, time zone, retention, features. Everybody reads them, admins change them."""
    if request.method == "POST":
        require(project, "settings")
    data = request.POST if request.method == "POST" else None
    form = SettingsForm.of(project, data)
    rules = RuleFormSet(data, initial=project.feature_rules, prefix="rule")
    if data is not None and form.is_valid() and rules.is_valid():
        changed = write.change_project(project, form.settings(rules_of(rules)), request=request)
        messages.success(request, "Settings saved." if changed else "Nothing was different; nothing changed.")
        return redirect("project_settings", slug=project.slug)
    context = {"project": project, "form": form, "rules": rules, "may_change": may(project, "settings")}
    return render(request, "projects/settings.html", context)


@require_http_methods(["GET", "HEAD"])
@project_page()
def keys(request: HttpRequest, project: Project) -> HttpResponse:
    """The keys of the project."""
    return _keys_page(request, project, KeyForm())


@require_POST
@project_page(Role.ADMIN)
def key_create(request: HttpRequest, project: Project) -> HttpResponse:
    """Make a key. Its secret is in this one answer; reloading makes another only if the form is sent again."""
    form = KeyForm(request.POST)
    if not form.is_valid():
        return _keys_page(request, project, form)
    made = write.create_key(
        project,
        form.cleaned_data["name"],
        tuple(form.cleaned_data["scopes"]),
        spans_a_second=form.cleaned_data["spans_a_second"],
        origins=form.cleaned_data["origins"],
        by=me(request),
        request=request,
    )
    told = {"name": made.key.name, "secret": made.secret, "public": made.key.public_part}
    return _keys_page(request, project, KeyForm(), **told, origins=", ".join(made.key.origins))


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ADMIN)
def key_revoke(request: HttpRequest, project: Project, key_id: int) -> HttpResponse:
    """Ask, then revoke."""
    key = get_key_for(request.user, project.slug, key_id)
    if request.method == "POST":
        write.revoke_key(key, request=request)
        messages.success(request, f"Key “{key.name}” is revoked. Senders that use it are refused within 5 seconds.")
        return redirect("project_keys", slug=project.slug)
    return render(request, "projects/key_revoke.html", {"project": project, "key": read.key_row(key)})


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ADMIN)
def key_limit(request: HttpRequest, project: Project, key_id: int) -> HttpResponse:
    """How much a key may send a second, and one that only sends signals from which pages."""
    key = get_key_for(request.user, project.slug, key_id)
    row = read.key_row(key)
    initial = {"spans_a_second": key.spans_a_second, "origins": "\n".join(key.origins)}
    kind = SignalsLimitForm if row.is_signals_only else LimitForm
    form = kind(request.POST if request.method == "POST" else None, initial=initial)
    if request.method == "POST" and form.is_valid():
        write.limit_key(key, form.cleaned_data["spans_a_second"], request=request)
        if "origins" in form.cleaned_data:
            write.set_origins(key, form.cleaned_data["origins"], request=request)
        messages.success(request, f"The limit of key “{key.name}” is saved. It holds everywhere within 5 seconds.")
        return redirect("project_keys", slug=project.slug)
    context = {
        "project": project,
        "key": row,
        "form": form,
        "of_installation": django_settings.INGEST_KEY_SPANS_A_SECOND,
        "of_browsers": django_settings.BROWSER_SIGNALS_A_SECOND,
    }
    return render(request, "projects/key_limit.html", context)


def _keys_page(request: HttpRequest, project: Project, form: KeyForm, **made: str) -> HttpResponse:
    rows = read.list_keys(project)
    chosen = form["scopes"].value() or []
    context = {
        "project": project,
        "form": form,
        "scopes": [(scope, words, scope in chosen) for scope, words in SCOPE_WORDS.items()],
        "live": [row for row in rows if row.revoked_at is None],
        "revoked": [row for row in rows if row.revoked_at is not None],
        "unused": [row for row in rows if row.is_unused],
        "made": made,
        "may_change": may(project, "keys"),
    }
    return render(request, "projects/keys.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page()
def welcome(request: HttpRequest, project: Project) -> HttpResponse:
    """How to send the first trace. An admin makes the key here; it is in that one answer."""
    secret = ""
    if request.method == "POST":
        require(project, "keys")
        secret = write.create_key(project, "first key", ("ingest",), by=me(request), request=request).secret
    context = {
        "project": project,
        "secret": secret,
        "snippets": snippets(django_settings.TELLTALE_PUBLIC_URL, secret or PLACEHOLDER, clock.now()),
        "may_make_key": may(project, "keys"),
        "has_key": bool(secret) or project.keys.filter(revoked_at=None).exists(),
    }
    return render(request, "projects/welcome.html", context)


@require_http_methods(["GET", "HEAD"])
@project_page()
def welcome_status(request: HttpRequest, project: Project) -> HttpResponse:
    """The part of the welcome page that turns live; the whole page for who asks without htmx."""
    if request.headers.get("HX-Request") != "true":
        return redirect("project_welcome", slug=project.slug)
    return render(request, "projects/_first_span.html", {"project": project})
