"""Error pages: what happened, why, what to do. None of them needs the database, a session or the shell."""

from __future__ import annotations

import sys

from django.db import InterfaceError, OperationalError
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseNotAllowed
from django.template.loader import render_to_string

from telltale.lib import clock
from telltale.projects.access import RoleLacking, is_at_least
from telltale.projects.models import Role


def _page(request: HttpRequest, status: int, title: str, text: str, *, reference: bool = False) -> HttpResponse:
    # Rendered without the request: no context processor runs, so nothing asks the database.
    context = {
        "title": title,
        "text": text,
        "status": status,
        "ribbon": "bad" if status >= 500 else "none",
        "reference": getattr(request, "request_id", "") if reference else "",
        "at": clock.now(),
    }
    return HttpResponse(render_to_string("web/error.html", context), status=status)


def bad_request(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """400."""
    return _page(
        request, 400, "This request could not be read", "The address or what was sent with it has a wrong form."
    )


def csrf_failure(request: HttpRequest, reason: str = "") -> HttpResponse:
    """403 for a form that does not come from one of our pages, or from one that is too old."""
    return _page(
        request,
        403,
        "This form is out of date",
        "You may have signed in or out in another window since. Go back, load the page again and repeat the step. "
        "Nothing was changed.",
    )


def forbidden(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """403: which role can."""
    if not isinstance(exception, RoleLacking):
        return _page(request, 403, "You cannot do this", "Your account is not allowed to. Nothing was changed.")
    able = [f"{role.label}s" for role in Role if is_at_least(role, exception.needs)]
    who = able[0] if len(able) == 1 else ", ".join(able[:-1]) + " and " + able[-1]
    return _page(
        request,
        403,
        f"Your role, {exception.has.label}, cannot do this",
        f"{who} of this project can. Ask one of them, or have your role changed. Nothing was changed.",
    )


def not_found(request: HttpRequest, exception: Exception | None = None) -> HttpResponse:
    """404, the same for what is not there and what is not yours: it carries nothing of the request."""
    return _page(
        request,
        404,
        "Page not found",
        "The address may be mistyped, what it names may have passed its retention, or you are not a member there.",
    )


def method_not_allowed(request: HttpRequest, bare: HttpResponseNotAllowed) -> HttpResponse:
    """405 with the methods that are."""
    page = _page(request, 405, "This address is not for that", "It answers " + bare.headers["Allow"] + " only.")
    bare.content = page.content
    # What stood there counted the bare answer's body: none.
    bare.headers["Content-Length"] = str(len(page.content))
    return bare


def server_error(request: HttpRequest) -> HttpResponse:
    """500 with a reference that is in the log, or 503 where it was the database that did not answer."""
    if isinstance(sys.exc_info()[1], OperationalError | InterfaceError):
        return unavailable(request)
    return _page(
        request,
        500,
        "Something broke on our side",
        "Receiving traces is separate: none are lost by this. Try again in a minute.",
        reference=True,
    )


def unavailable(request: HttpRequest) -> HttpResponse:
    """503: the database is away or took too long."""
    response = _page(
        request,
        503,
        "The database does not answer",
        "It may be starting, or the question took too long. Senders keep what they could not deliver and try again. "
        "Reload this page in a few seconds.",
        reference=True,
    )
    response.headers["Retry-After"] = "5"
    return response
