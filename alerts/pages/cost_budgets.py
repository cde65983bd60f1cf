"""Pages of cost budgets: all of them, and one with its burn-down and whoever spends most."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponseBase
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from alerts import allowing
from alerts.allowances import wording
from alerts.allowances.periods import bounds_at
from alerts.allowances.types import Of
from alerts.pages import cost_budget_view as view
from alerts.read.outlooks import Histories
from alerts.read.spending import (
    BudgetRow,
    StandRow,
    get_budget,
    list_budgets,
    list_stands,
    past_stands,
    read_stand,
    stands_now,
    users_over,
)
from telltale.lib import clock
from telltale.lib import format as fmt
from telltale.lib.faults import ItemRefused
from telltale.projects.access import may, project_page
from telltale.projects.models import Project, Role
from traces.pages.addresses import write_id
from traces.pages.export import FORMATS, Busy, busy_response, download
from traces.pages_accounting import query_string
from traces.read import TooSlow
from traces.read.rollups import reading
from traces.rollup.buckets import calendar_of

NAMES = (
    "id", "name", "of", "subject", "period", "limit_usd", "state", "dearest", "spent_usd", "share", "unpriced_calls",
    "over", "forecast_usd", "forecast_low_usd", "forecast_high_usd", "as_of",
)  # fmt: skip
LISTED = 50
HEAVIEST = 20
PICO = 10**12


@require_http_methods(["GET", "HEAD"])
@project_page()
def cost_budgets(request: HttpRequest, project: Project) -> HttpResponseBase:
    """All budgets with whoever spent most of each; `state` and `of` narrow it, `format` is a file."""
    query, now = request.GET, clock.now()
    state, of = query.get("state", ""), query.get("of", "")
    budgets = list_budgets(project.pk, archived=state == "archived", of=Of(of) if of in set(Of) else None)
    stands = stands_now(budgets, calendar_of(project.time_zone), now)
    every = [(budget, view.line(budget, stands[budget.id])) for budget in budgets]
    chosen = [(b, one) for b, one in every if state not in view.STATES or one.state == state]
    if query.get("format") in FORMATS:
        records = (_record(b, one, stands[b.id]) for b, one in chosen)
        try:
            return download(
                f"{project.slug}-cost-budgets", query["format"], NAMES, records, is_head=request.method == "HEAD"
            )
        except Busy:
            return busy_response()
    rank = list(view.RIBBONS)
    lines = sorted((one for _, one in chosen), key=lambda one: (rank.index(one.state), one.name.casefold(), one.id))
    context: dict[str, Any] = {
        "project": project,
        "may_measure": may(project, "measure"),
        "is_any": bool(budgets) or state == "archived" or bool(of),
        "headline": view.headline([one for _, one in every if one.state != "off"]) if every else "No cost budget",
        "lines": lines,
        "states": [(query_string(query, state=key), word, key == state) for key, word in view.STATES.items()],
        "everything": query_string(query, state=None, format=None) or "?",
        "is_all": state not in view.STATES,
        "csv": query_string(query, format="csv"),
        "ndjson": query_string(query, format="ndjson"),
    }
    return render(request, "alerts/cost_budgets.html", context)


@require_http_methods(["GET", "HEAD"])
@project_page()
def cost_budget(request: HttpRequest, project: Project, budget_id: int) -> HttpResponseBase:
    """One budget: its burn-down (of `subject`, where it is for each), who spent most, policy, earlier periods."""
    budget = _budget(project, budget_id)
    told, calendar, now = budget.allowance, calendar_of(project.time_zone), clock.now()
    bounds = bounds_at(told.period, calendar, now)
    stands = list_stands(budget.id, bounds.start, limit=LISTED + 1) if told.is_each else []
    asked = request.GET.get("subject", "")[:200].replace("\x00", "")
    subject = told.subject or (asked if told.of != Of.PROJECT else "")
    if told.is_each and not subject and stands:
        subject = stands[0].subject
    context: dict[str, Any] = {
        "project": project,
        "budget": budget,
        "told": told,
        "may_measure": may(project, "measure"),
        "line": view.line(budget, stands),
        "whose": wording.whose(told),
        "subject": subject,
        "subjects": [view.subject_line(told, each) for each in stands[:LISTED]],
        "is_more": len(stands) > LISTED,
        "period": wording.PERIODS[told.period],
        "limit": wording.exactly(told.limit_pico),
        "tell_at": ", ".join(fmt.share(float(share)) for share in told.tell_at),
        "unseen": told.is_each and not subject,
    }
    is_one = told.of == Of.PROJECT or bool(subject)
    stand = read_stand(budget, subject, bounds) if is_one else None
    try:
        with reading(project.pk, project.time_zone) as rollups:
            burn = Histories(rollups, now).burn(told.of, subject, bounds) if is_one else None
            heaviest = users_over(project.pk, bounds, 1, limit=HEAVIEST) if told.of == Of.USER and told.is_each else []
    except TooSlow:
        return render(request, "alerts/cost_budget.html", context | {"too_slow": True}, status=503)
    context |= {
        "stand": stand,
        "stats": view.stats(told, stand, burn.outlook) if burn else [],
        "figure": view.burn_down(told, burn, bounds, calendar, now) if burn and any(p.n for p in burn.pieces) else None,
        "policy": view.policy_lines(told, stand.spent_pico if stand else None),
        "past": [view.past_line(told, each, calendar) for each in past_stands(budget.id, subject, bounds.start)],
        "heaviest": [
            (user, reverse("user_page", args=[project.slug, write_id(user)]), wording.money(spent.pico, spent.unpriced),
             wording.share(spent.pico, told.limit_pico), f"{spent.n:,}")
            for user, spent in heaviest
        ],
        "traces": _traces(project, told.of, subject, bounds.start, bounds.end),
    }  # fmt: skip
    return render(request, "alerts/cost_budget.html", context)


@require_POST
@project_page(Role.ENGINEER)
def cost_budget_act(request: HttpRequest, project: Project, budget_id: int) -> HttpResponseBase:
    """Switch a budget on or off, put it away, take it back: `act`."""
    _budget(project, budget_id)
    act = request.POST.get("act", "")
    try:
        if act in {"on", "off"}:
            allowing.change(project, budget_id, {"is_on": act == "on"}, request=request)
            messages.success(request, "The budget is on." if act == "on" else "The budget is off: it holds for nobody.")
        elif act in {"archive", "restore"}:
            allowing.change(project, budget_id, {}, is_archived=act == "archive", request=request)
            messages.success(request, "The budget is put away." if act == "archive" else "The budget is back.")
        else:
            messages.error(request, "There is nothing such to do with a budget.")
    except allowing.NotThere:
        raise Http404 from None
    except ItemRefused as refused:
        messages.error(request, f"{refused.faults[0].field.capitalize()} {refused.faults[0].message}.")
    if act == "archive":
        return redirect("cost_budgets", slug=project.slug)
    return redirect("cost_budget", project.slug, budget_id)


def _budget(project: Project, budget_id: int) -> BudgetRow:
    found = get_budget(project.pk, budget_id) if 0 < budget_id < 2**63 else None
    if found is None:
        raise Http404
    return found


def _traces(project: Project, of: Of, subject: str, start: Any, end: Any) -> str:
    """The list of the traces behind a sum."""
    pairs = [("from", fmt.iso(start)), ("to", fmt.iso(end)), ("sort", "-cost")]
    if of != Of.PROJECT:
        pairs.append(("feature" if of == Of.FEATURE else "user", subject))
    return f"{reverse('trace_list', args=[project.slug])}?{urlencode(pairs)}"


def _record(budget: BudgetRow, line: view.BudgetLine, stands: list[StandRow]) -> dict[str, Any]:
    told, first = budget.allowance, stands[0] if stands else None

    def usd(pico: int | None) -> Any:
        return None if pico is None else Decimal(pico) / PICO

    return {
        "id": budget.id, "name": budget.name, "of": str(told.of), "subject": told.subject, "period": str(told.period),
        "limit_usd": usd(told.limit_pico), "state": line.state, "dearest": first.subject if first else None,
        "spent_usd": usd(first.spent_pico) if first else None,
        "share": first.spent_pico / told.limit_pico if first else None,
        "unpriced_calls": first.unpriced if first else None,
        "over": sum(each.spent_pico >= told.limit_pico for each in stands),
        "forecast_usd": usd(first.forecast_pico) if first else None,
        "forecast_low_usd": usd(first.forecast_low_pico) if first else None,
        "forecast_high_usd": usd(first.forecast_high_pico) if first else None,
        "as_of": budget.read_at,
    }  # fmt: skip
