"""The prices pages: what calls are priced by, what has no price, and pricing again what is stored."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, cast
from urllib.parse import urlencode
from zoneinfo import ZoneInfo

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from telltale.accounts.models import User
from telltale.lib import clock
from telltale.projects.access import may, project_page, require
from telltale.projects.models import Project, Role
from traces import prices, reprice
from traces.cost.book import Level, MatchKind, PriceRow
from traces.cost.edit import FIELDS, FieldError
from traces.price_view import book_line, difference_line, difference_sentence, form_data, price_form
from traces.read import prices as read

BOOK_PAGE = 25
TEXT_MAX = 200
AGAIN_DEFAULT = timedelta(days=30)


def me(request: HttpRequest) -> User:
    """The person signed in."""
    return cast(User, request.user)


@require_http_methods(["GET", "HEAD"])
@project_page()
def book(request: HttpRequest, project: Project) -> HttpResponse:
    """Models without a price, models in traffic, and the book; `q`, `level`, `ended`, `after` say what part."""
    zone = clock.zone_of(project.time_zone)
    q = _clean(request.GET.get("q", ""))
    level = request.GET.get("level", "")
    level = level if level in {found.name.lower() for found in Level} else ""
    with_ended = request.GET.get("ended") == "1"
    listed = read.list_book(project.pk, q=q, level=level, with_ended=with_ended)
    rows = listed.rows
    start = _whole(request.GET.get("after", ""), len(rows))
    shown = rows[start : start + BOOK_PAGE]
    in_force = prices.load_book(project.pk)
    traffic = read.read_traffic(project.pk, in_force)
    unpriced = read.read_unpriced(project.pk, in_force)
    context: dict[str, Any] = {
        "project": project,
        "unpriced": unpriced,
        "missing_calls": sum(model.calls for model in unpriced.missing),
        "unpriced_links": [
            (
                model,
                _again_link(project, model.model)
                if model.has_price_now
                else _new_link(project, model.model, model.provider),
            )
            for model in unpriced.models
        ],
        "traffic": [
            (model, book_line(model.row, zone) if model.row else None, _new_link(project, model.model, model.provider))
            for model in traffic.models
        ],
        "traffic_traces": traffic.traces_seen,
        "lines": [book_line(row, zone) for row in shown],
        "q": q,
        "level": level,
        "levels": [(found.name.lower(), word) for found, word in _levels()],
        "first": start + 1,
        "last": start + len(shown),
        "total": len(rows),
        "with_ended": with_ended,
        "ended": listed.ended,
        "ended_link": _page_link(q, level, 0, with_ended=not with_ended),
        "newer": _page_link(q, level, max(start - BOOK_PAGE, 0), with_ended=with_ended) if start else "",
        "older": _page_link(q, level, start + BOOK_PAGE, with_ended=with_ended)
        if start + BOOK_PAGE < len(rows)
        else "",
        "entered": [(entry, book_line(entry.row, zone)) for entry in read.list_entered(project.pk)],
        "jobs": reprice.list_jobs(project.pk, 5),
        "may_change": may(project, "prices"),
    }
    return render(request, "traces/prices.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ADMIN)
def new(request: HttpRequest, project: Project) -> HttpResponse:
    """Enter a price; prefilled for a model without one by the shipped price most like it, or like another row."""
    zone = clock.zone_of(project.time_zone)
    if request.method == "POST":
        return _save(request, project, None)
    model, provider = _clean(request.GET.get("model", "")), _clean(request.GET.get("provider", ""))
    data = {"model": model, "provider": provider, "match": "exact", "tier": "standard"}
    suggested: PriceRow | None = None
    like = request.GET.get("like", "")
    if like:
        data = form_data(_row(project, like), zone)
        data |= {
            "effective_from": f"{clock.now().astimezone(zone):%Y-%m-%d}",
            "effective_to": "",
            "source": "",
            "source_date": "",
        }
    elif model:
        suggested = read.suggest(model, provider or None)
        if suggested is not None:
            said = form_data(suggested, zone)
            data = {**said, **data, "effective_from": "", "effective_to": "", "source": "", "source_date": ""}
    return _form_page(request, project, data, (), suggested=suggested)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ADMIN)
def correct(request: HttpRequest, project: Project, price_id: int) -> HttpResponse:
    """Put another row in the place of one of the project's."""
    row = _ours(project, price_id)
    if request.method == "POST":
        return _save(request, project, row)
    return _form_page(request, project, form_data(row, clock.zone_of(project.time_zone)), (), row=row)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ADMIN)
def end(request: HttpRequest, project: Project, price_id: int) -> HttpResponse:
    """Ask from when on a row shall no longer hold, then end it."""
    row, zone = _ours(project, price_id), clock.zone_of(project.time_zone)
    typed, error = f"{clock.now().astimezone(zone):%Y-%m-%d}", ""
    if request.method == "POST":
        typed = request.POST.get("at", "")[:TEXT_MAX]
        try:
            at = datetime.fromisoformat(typed.strip())
            at = at if at.tzinfo else at.replace(tzinfo=zone)
            if not 2000 <= at.year <= 2099:
                raise ValueError
            left = prices.end_price(project, price_id, at, by_id=me(request).pk, request=request)
        except (ValueError, OverflowError):
            error = "Give a day such as 2026-11-01."
        except prices.PriceGone:
            raise Http404 from None
        else:
            said = "is taken out of the book: it was never in force" if left is None else f"ends {typed.strip()}"
            messages.success(request, f"The price of {row.model} {said}. What is stored keeps its cost.")
            return redirect("prices", slug=project.slug)
    context = {"project": project, "line": book_line(row, zone), "typed": typed, "error": error}
    return render(request, "traces/prices_end.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page()
def again(request: HttpRequest, project: Project) -> HttpResponse:
    """Choose what to price again; the preview that follows changes nothing."""
    zone = clock.zone_of(project.time_zone)
    now = clock.now()
    typed = {
        "from": f"{(now - AGAIN_DEFAULT).astimezone(zone):%Y-%m-%d}",
        "to": "",
        "models": _clean(request.GET.get("model", "")),
    }
    error = ""
    if request.method == "POST":
        require(project, "prices")
        typed = {name: request.POST.get(name, "")[:20_000] for name in typed}
        try:
            order = _order(typed, zone, now)
        except (ValueError, OverflowError):
            error = "From and to must be days such as 2026-11-01, in order; at most 100 models, one a line."
        else:
            job = reprice.start_preview(project, order, by_id=me(request).pk)
            return redirect("reprice_job", slug=project.slug, job_id=job)
    context = {
        "project": project,
        "typed": typed,
        "error": error,
        "jobs": reprice.list_jobs(project.pk),
        "may_change": may(project, "prices"),
    }
    return render(request, "traces/prices_again.html", context)


@require_http_methods(["GET", "HEAD"])
@project_page()
def job(request: HttpRequest, project: Project, job_id: int) -> HttpResponse:
    """One re-pricing job: how far it is, and the difference it found or made."""
    found = reprice.find_job(project.pk, job_id)
    if found is None:
        raise Http404
    context = {
        "project": project,
        "job": found,
        "sentence": difference_sentence(found.difference, is_done=found.kind == "apply"),
        "whole": difference_line(found.difference),
        "lines": [
            difference_line(model, model.model or "no name, or one of too many names")
            for model in found.difference.models
        ],
        "may_change": may(project, "prices"),
        "zone": project.time_zone,
    }
    is_swap = request.headers.get("HX-Request") == "true"
    return render(request, "traces/_reprice_job.html" if is_swap else "traces/prices_job.html", context)


@require_POST
@project_page(Role.ADMIN)
def job_apply(request: HttpRequest, project: Project, job_id: int) -> HttpResponse:
    """Apply a finished preview."""
    if reprice.find_job(project.pk, job_id) is None:
        raise Http404
    try:
        started = reprice.start_apply(project, job_id, by_id=me(request).pk, request=request)
    except reprice.Conflict as conflict:
        messages.error(request, str(conflict))
        return redirect("reprice_job", slug=project.slug, job_id=job_id)
    return redirect("reprice_job", slug=project.slug, job_id=started)


@require_POST
@project_page(Role.ADMIN)
def job_cancel(request: HttpRequest, project: Project, job_id: int) -> HttpResponse:
    """Stop a job."""
    if reprice.find_job(project.pk, job_id) is None:
        raise Http404
    if reprice.cancel(project, job_id, request=request):
        messages.success(request, "The job is stopped. What it had applied stays, and its sums are right.")
    return redirect("reprice_job", slug=project.slug, job_id=job_id)


def _save(request: HttpRequest, project: Project, row: PriceRow | None) -> HttpResponse:
    data = {name: request.POST.get(name, "") for name in FIELDS}
    zone = clock.zone_of(project.time_zone)
    try:
        if row is None or row.price_id is None:
            made = prices.add_price(project, data, zone, by_id=me(request).pk, request=request)
        else:
            made = prices.correct_price(project, row.price_id, data, zone, by_id=me(request).pk, request=request)
    except prices.PriceRefused as refused:
        return _form_page(request, project, data, refused.errors, row=row)
    except prices.PriceGone:
        messages.error(request, "Somebody changed this price meanwhile. Nothing was saved; look at it again.")
        return redirect("prices", slug=project.slug)
    said = (
        f"The price of {made.model} is saved. It holds for calls that come in; now see what it changes in those stored."
    )
    messages.success(request, said)
    return redirect(_again_link(project, "" if made.match is MatchKind.PATTERN else made.model))


def _form_page(
    request: HttpRequest,
    project: Project,
    data: dict[str, str],
    errors: list[FieldError] | tuple[FieldError, ...],
    *,
    row: PriceRow | None = None,
    suggested: PriceRow | None = None,
) -> HttpResponse:
    context = {
        "project": project,
        "form": price_form(data, errors),
        "row": row,
        "suggested": suggested,
    }
    return render(request, "traces/prices_form.html", context)


def _row(project: Project, raw: str) -> PriceRow:
    digits = raw.removeprefix("-")
    is_id = digits.isascii() and digits.isdigit() and len(digits) < 20 and int(digits) < 2**63
    row = read.find_price(project.pk, int(raw)) if is_id else None
    if row is None:
        raise Http404
    return row


def _ours(project: Project, price_id: int) -> PriceRow:
    """A row of the project that nobody has replaced, ended or not."""
    for row in read.list_book(project.pk, level=Level.PROJECT.name.lower(), with_ended=True).rows:
        if row.price_id == price_id:
            return row
    raise Http404


def _order(typed: dict[str, str], zone: ZoneInfo, now: datetime) -> reprice.Order:
    start = _moment(typed["from"], zone)
    end_at = _moment(typed["to"], zone) if typed["to"].strip() else now
    models = tuple(dict.fromkeys(line.strip() for line in typed["models"].splitlines() if line.strip()))
    if start >= end_at or len(models) > reprice.MODELS_MAX or any(len(m) > 1024 or "\x00" in m for m in models):
        raise ValueError
    return reprice.Order(start, end_at, models)


def _moment(text: str, zone: ZoneInfo) -> datetime:
    at = datetime.fromisoformat(text.strip())
    at = at if at.tzinfo else at.replace(tzinfo=zone)
    if not 1970 <= at.year <= 2200:
        raise ValueError
    return at


def _new_link(project: Project, model: str, provider: str | None) -> str:
    return f"{reverse('prices_new', args=[project.slug])}?{urlencode({'model': model, 'provider': provider or ''})}"


def _again_link(project: Project, model: str) -> str:
    return f"{reverse('prices_again', args=[project.slug])}?{urlencode({'model': model})}"


def _page_link(q: str, level: str, after: int, *, with_ended: bool) -> str:
    places = (("q", q), ("level", level), ("ended", "1" if with_ended else ""), ("after", str(after)))
    asked = {name: value for name, value in places if value and value != "0"}
    return f"?{urlencode(asked)}#book"


def _levels() -> tuple[tuple[Level, str], ...]:
    return ((Level.PROJECT, "This project"), (Level.INSTALLATION, "Installation"), (Level.SHIPPED, "Shipped"))


def _whole(raw: str, high: int) -> int:
    return min(int(raw), high) if raw.isascii() and raw.isdigit() and len(raw) < 9 else 0


def _clean(text: str) -> str:
    return "".join(c for c in text[:TEXT_MAX] if c.isprintable()).strip()
