"""What holds for every page of somebody signed in."""

from __future__ import annotations

from collections.abc import Callable

from django.contrib import messages
from django.contrib.auth import logout
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.shortcuts import redirect

from telltale.accounts import sessions
from telltale.projects.access import SecondFactorLacking, lacks_second_factor, sign_in_first

ALLOWED_BEFORE_CHANGE = ("/accounts/password/change/", "/accounts/logout/")


UNATTENDED = "X-Unattended"
# Pages of who operates the installation, who may be in no project.
OPERATORS_OWN = ("/ops/", "/audit/")


def factor_first(request: HttpRequest) -> HttpResponse:
    """The way to the page that sets up a second factor; a swapped fragment takes the whole page there."""
    to_setup = redirect("mfa_activate_totp")
    if request.headers.get("HX-Request") != "true":
        messages.warning(request, "Your organisation asks for a second factor. Set it up to go on.")
        return to_setup
    return HttpResponse(status=403, headers={"HX-Redirect": to_setup.url})


class AccountGuardMiddleware:
    """Ends sessions past their time, sends people with a first password to change it, answers 429 to too many tries."""

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponseBase]) -> None:
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponseBase:
        if request.session.session_key and request.user.is_authenticated:
            if sessions.is_over(request.session):
                logout(request)
                return sign_in_first(request)
            # A page that asks by itself every few seconds is no person who is there.
            if UNATTENDED not in request.headers:
                sessions.touch(request.session)
            if request.user.must_change_password:
                request.had_to_change_password = True  # type: ignore[attr-defined]
                if request.path not in ALLOWED_BEFORE_CHANGE:
                    return redirect("account_change_password")
            if request.path.startswith(OPERATORS_OWN) and lacks_second_factor(request.user):
                return factor_first(request)
        response = self.get_response(request)
        if getattr(request, "is_throttled", False) and response.status_code == 200:
            response.status_code = 429
            response.headers["Retry-After"] = "900"
        return response

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        """Who lacks a second factor that is asked for is sent to set it up, whatever page they wanted."""
        return factor_first(request) if isinstance(exception, SecondFactorLacking) else None
