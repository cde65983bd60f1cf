"""Edges of the operator's page: the page, its JSON twin, and what can be done with failed jobs."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from django.contrib.auth.decorators import login_required
from django.contrib.messages import error as say_error
from django.contrib.messages import success as say
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase, JsonResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from telltale.web.health import details, is_trusted
from telltale.web.ops.failed import ACTS, act_on
from telltale.web.ops.reading import Ops, read_ops
from telltale.web.ops.words import view


def is_operator(request: HttpRequest) -> bool:
    """Whether somebody is signed in who operates the installation."""
    user = request.user
    return bool(user.is_authenticated and user.is_active and user.is_superuser)


@login_required
@require_http_methods(["GET", "HEAD"])
def ops(request: HttpRequest) -> HttpResponse:
    """How the installation is; 404 for who does not operate it."""
    if not is_operator(request):
        raise Http404
    return render(request, "web/ops.html", {"o": view(read_ops())})


@require_http_methods(["GET", "HEAD"])
def ops_json(request: HttpRequest) -> HttpResponseBase:
    """The same for programs: for operators, this machine and the metrics token; 404 for others."""
    if not (is_operator(request) or is_trusted(request)):
        raise Http404
    return JsonResponse(as_json(read_ops()))


@login_required
@require_POST
def ops_job(request: HttpRequest, job_id: int) -> HttpResponse:
    """Try a failed job again, or put it aside; 404 for who does not operate the installation."""
    if not is_operator(request):
        raise Http404
    act = request.POST.get("act", "")
    if act not in ACTS:
        say_error(request, "Choose to try it again or to put it aside.")
        return redirect("ops")
    is_done = act_on(job_id, act, request=request)
    if is_done is None:
        raise Http404
    if is_done:
        say(request, f"Job {job_id} is {ACTS[act][1]}.")
    else:
        say_error(request, f"Job {job_id} has not failed (any more): nothing was done.")
    return redirect("ops")


def as_json(found: Ops) -> dict[str, Any]:
    """Everything of the page as JSON; what is not known is null and named in `lacking`."""
    server = None
    if found.server is not None:
        server = asdict(found.server) | {"unsafe": found.server.unsafe}
    tables = None
    if found.tables is not None:
        tables = [asdict(each) for each in found.tables]
    return {
        "at": found.at.isoformat(),
        "notes": found.notes,
        "versions": found.versions,
        "missing_migrations": found.missing,
        "work": None if found.vitals is None else details(found.vitals),
        "database": server,
        "tables": tables,
        "database_bytes": None if found.tables is None else sum(each.bytes for each in found.tables),
        "growth": None if found.growth is None else asdict(found.growth),
        "partitions": None if found.partitions is None else [asdict(each) for each in found.partitions],
        "failed_jobs": None if found.failed is None else [asdict(each) for each in found.failed],
        "messages_given_up": None if found.given_up is None else [asdict(each) for each in found.given_up],
        "backed_up_at": found.backed_up_at,
        "lacking": list(found.lacking),
    }
