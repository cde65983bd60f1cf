"""Saying once more who one is, before a step that changes how one signs in."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from allauth.account.decorators import reauthentication_required
from allauth.account.internal.flows.reauthentication import get_reauthentication_flows
from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponseBase

from telltale.lib import clock
from telltale.projects.access import sign_in_first

P = ParamSpec("P")
View = Callable[Concatenate[HttpRequest, P], HttpResponseBase]
# Who signs in at a provider alone has nothing here to be asked for: signing in there counts for so long.
FRESH = timedelta(minutes=10)


def confirmed(view: View[P]) -> View[P]:
    """Let `view` through for who gave their password or code within the last minutes, else ask for it first."""
    asked: Any = reauthentication_required(view, app="allauth.mfa")
    return signed_in_lately(asked)


def signed_in_lately(view: View[P]) -> View[P]:
    """Let who has neither password nor second factor here through within `FRESH` of signing in, else sign in anew."""

    @wraps(view)
    def page(request: HttpRequest, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
        user = request.user
        if user.is_authenticated and not get_reauthentication_flows(user) and not _is_fresh(request):
            logout(request)
            messages.warning(request, "Sign in once more before this step.")
            return sign_in_first(request)
        return view(request, *args, **kwargs)

    return page  # type: ignore[return-value]


def _is_fresh(request: HttpRequest) -> bool:
    began = request.session.get("began_at")
    return began is not None and clock.now() - datetime.fromisoformat(began) <= FRESH
