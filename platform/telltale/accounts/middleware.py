"""What holds for every page of somebody signed in."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib.auth import logout
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from telltale.accounts import sessions
from telltale.projects.access import sign_in_first

ALLOWED_BEFORE_CHANGE = ("/accounts/password/change/", "/accounts/logout/")


class AccountGuardMiddleware:
    """Ends sessions past their time, sends people with a first password to change it, answers 429 to too many tries."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.session.session_key and request.user.is_authenticated:
            if sessions.is_over(request.session):
                logout(request)
                return sign_in_first(request)
            sessions.touch(request.session)
            if request.user.must_change_password:
                request.had_to_change_password = True  # type: ignore[attr-defined]
                if request.path not in ALLOWED_BEFORE_CHANGE:
                    return redirect("account_change_password")
        response = self.get_response(request)
        if getattr(request, "is_throttled", False) and response.status_code == 200:
            response.status_code = 429
            response.headers["Retry-After"] = "900"
        return response
