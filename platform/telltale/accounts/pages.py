"""The pages of a person about themselves."""

from __future__ import annotations

from typing import cast

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from telltale.accounts import sessions
from telltale.accounts.browsers import browser_words
from telltale.accounts.confirming import confirmed
from telltale.accounts.forms import NameForm
from telltale.accounts.models import User
from telltale.audit.log import record


def _me(request: HttpRequest) -> User:
    return cast(User, request.user)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def account_settings(request: HttpRequest) -> HttpResponse:
    """Name, password, second factor, and how many places one is signed in."""
    me = _me(request)
    form = NameForm(request.POST if request.method == "POST" else None, initial={"name": me.name})
    if request.method == "POST" and form.is_valid():
        User.objects.filter(pk=me.pk).update(name=form.cleaned_data["name"])
        messages.success(request, "Your name is saved.")
        return redirect("account_settings")
    has_totp = Authenticator.objects.filter(user=me, type=Authenticator.Type.TOTP).exists()
    session_count = len(UserSession.objects.purge_and_list(me))
    return render(
        request, "accounts/settings.html", {"form": form, "has_totp": has_totp, "session_count": session_count}
    )


@login_required
@require_http_methods(["GET", "HEAD"])
def session_list(request: HttpRequest) -> HttpResponse:
    """Where one is signed in."""
    held = sorted(UserSession.objects.purge_and_list(_me(request)), key=lambda row: row.last_seen_at, reverse=True)
    current = request.session.session_key
    rows = [(row, browser_words(row.user_agent)) for row in held]
    return render(request, "accounts/sessions.html", {"sessions": rows, "current": current})


@login_required
@require_POST
@confirmed
def session_end(request: HttpRequest, session_id: int) -> HttpResponse:
    """End one of one's own sessions; ending this one signs out."""
    held = UserSession.objects.filter(user=_me(request), pk=session_id).first()
    if held is None:
        raise Http404
    held.end()
    record("session.end", request=request, target=_me(request).email)
    messages.success(request, "That session is ended.")
    return redirect("account_sessions")


@login_required
@require_POST
@confirmed
def session_end_others(request: HttpRequest) -> HttpResponse:
    """End every session but this one."""
    ended = sessions.end_others(_me(request), request.session.session_key)
    record("session.end_others", request=request, target=_me(request).email, after={"sessions_ended": ended})
    messages.success(request, "You are signed in here only now." if ended else "There was no other session.")
    return redirect("account_sessions")
