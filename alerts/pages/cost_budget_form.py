"""The form of a cost budget: making and changing one."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods

from alerts import allowing
from alerts.allowances import wording
from alerts.allowances.definition import NAME_MAX, STEPS_MAX, SUBJECT_MAX, TELL_AT, USING_MAX, decimal_of, usd_text
from alerts.allowances.types import Allowance, Do, Of, Period
from alerts.read.spending import BudgetRow, get_budget
from evals.forms.fields import Choice, Field, choices_of, clean
from telltale.accounts.models import User
from telltale.lib.faults import Fault, ItemRefused
from telltale.projects.access import project_page
from telltale.projects.models import Project, Role

ROWS = 4
OFS = {Of.PROJECT: "The whole project", Of.FEATURE: "Features", Of.USER: "End users"}
PERIODS = {Period.MONTH: "Month", Period.DAY: "Day"}
_DOS = [("", "Nothing"), *((str(do), wording.DO[do].capitalize()) for do in Do)]
SEVERITIES = {"0": "P0, the worst", "1": "P1", "2": "P2", "3": "P3"}
_LABELS = {"limit_usd": "Limit", "tell_at": "Tell at", "of": "Whose spending", "subject": "Which one", "name": "Name",
           "period": "Period", "severity": "Severity", "policy": "Policy"}  # fmt: skip


@dataclass(frozen=True, slots=True)
class StepRow:
    """The inputs of one step of the policy."""

    at: int
    share: str
    choices: tuple[Choice, ...]
    using: str
    error: str


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ENGINEER)
def cost_budget_new(request: HttpRequest, project: Project) -> HttpResponse:
    """Make a budget; `of` and `subject` in the address fill the form in."""
    if request.method != "POST":
        return _form(request, project, _first(request.GET), None)
    person = request.user if isinstance(request.user, User) else None
    try:
        made = allowing.create(
            project, told_of(request.POST), by_id=person.pk if person else None, request=request
        )  # fmt: skip
    except ItemRefused as refused:
        return _form(request, project, _typed(request.POST), None, refused)
    messages.success(request, "The budget holds from now on.")
    return redirect("cost_budget", project.slug, made)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ENGINEER)
def cost_budget_edit(request: HttpRequest, project: Project, budget_id: int) -> HttpResponse:
    """Change a budget."""
    held = get_budget(project.pk, budget_id) if 0 < budget_id < 2**63 else None
    if held is None or held.archived_at is not None:
        raise Http404
    if request.method != "POST":
        return _form(request, project, _of(held.allowance), held)
    version = request.POST.get("version", "")
    of_version = int(version) if version.isascii() and version.isdigit() and len(version) < 10 else None
    try:
        is_changed = allowing.change(
            project, held.id, told_of(request.POST), of_version=of_version, request=request
        )  # fmt: skip
    except ItemRefused as refused:
        return _form(request, project, _typed(request.POST), held, refused)
    except allowing.Outdated:
        words = "was changed by somebody else meanwhile; look at what is in force before you save"
        return _form(request, project, _typed(request.POST), held, ItemRefused(Fault("name", words)), status=409)
    except allowing.NotThere:
        raise Http404 from None
    messages.success(request, "The budget is changed." if is_changed else "Nothing was changed.")
    return redirect("cost_budget", project.slug, held.id)


def told_of(post: QueryDict) -> dict[str, Any]:
    """What was typed, as REST would be told it."""
    shares = re.split(r"[\s,;%]+", clean(post.get("tell_at", ""))[:400].strip(" ,;%\n"))
    steps = []
    for at in range(STEPS_MAX):
        share, do, using = (clean(post.get(f"{name}_{at}", "")).strip() for name in ("at", "do", "with"))
        if share or do:
            steps.append({"at": _of_percent(share), "do": do, **({"with": using} if using else {})})
    severity = post.get("severity", "")
    return {
        "name": clean(post.get("name", "")),
        "of": post.get("of", ""),
        "subject": clean(post.get("subject", "")).strip() if post.get("of") != Of.PROJECT else "",
        "period": post.get("period", ""),
        "limit_usd": clean(post.get("limit_usd", "")),
        "tell_at": [_of_percent(share) for share in shares if share],
        "policy": steps,
        "severity": int(severity) if severity in SEVERITIES else severity,
    }


def _of_percent(text: str) -> str:
    """A typed percentage as the share it is; what is no number stays as it is, to be refused by name."""
    value = decimal_of(text.removesuffix("%").strip())
    return text if value is None else f"{(value / 100).normalize():f}"


def _first(query: QueryDict) -> dict[str, str]:
    of = query.get("of", "")
    return {
        "name": "", "of": of if of in set(Of) else "project", "subject": clean(query.get("subject", ""))[:SUBJECT_MAX],
        "period": "month", "limit_usd": "", "tell_at": _percents(TELL_AT), "severity": "2", "version": "",
    }  # fmt: skip


def _of(told: Allowance) -> dict[str, str]:
    typed = {
        "name": told.name, "of": str(told.of), "subject": told.subject, "period": str(told.period),
        "limit_usd": usd_text(told.limit_pico), "tell_at": _percents(told.tell_at), "severity": str(told.severity),
    }  # fmt: skip
    for at, step in enumerate(told.policy):
        typed |= {f"at_{at}": _percents([step.at]), f"do_{at}": str(step.do), f"with_{at}": step.using}
    return typed


def _typed(post: QueryDict) -> dict[str, str]:
    return {name: clean(str(value))[:1000] for name, value in post.items()}


def _percents(shares: Sequence[Any]) -> str:
    return ", ".join(f"{(share * 100).normalize():f}" for share in shares)


def _form(
    request: HttpRequest,
    project: Project,
    typed: Mapping[str, str],
    held: BudgetRow | None,
    refused: ItemRefused | None = None,
    status: int = 400,
) -> HttpResponse:
    wrong = _errors(refused)

    def make(name: str, label: str, hint: str = "", **more: Any) -> Field:
        return Field(name, label, typed.get(name, ""), hint, wrong.get(name, ""), **more)

    fields = {
        "name": make("name", "Name", is_required=True, chars_max=NAME_MAX),
        "of": make("of", "Whose spending", kind="select", choices=_options(OFS, typed.get("of", ""))),
        "subject": make(
            "subject",
            "Which one",
            "A feature or user as traces name it. Empty: each has the limit for itself.",
            chars_max=SUBJECT_MAX,
        ),
        "limit_usd": make("limit_usd", "Limit, USD", "As 250 or 0.50.", kind="number", is_required=True),
        "period": make(
            "period",
            "Period",
            f"Whole ones in {project.time_zone}; each begins at nothing.",
            kind="select",
            choices=_options(PERIODS, typed.get("period", "")),
        ),
        "tell_at": make("tell_at", "Tell at, percent", "As 50, 80, 100. Empty: nobody is told of it."),
        "severity": make(
            "severity",
            "Severity",
            "By it routes choose who is told.",
            kind="select",
            choices=choices_of(SEVERITIES.items(), typed.get("severity", "2")),
        ),
    }
    count = max([ROWS, *(at + 1 for at in range(STEPS_MAX) if typed.get(f"at_{at}") or typed.get(f"do_{at}"))])
    steps = [
        StepRow(
            at,
            typed.get(f"at_{at}", ""),
            choices_of(_DOS, typed.get(f"do_{at}", "")),
            typed.get(f"with_{at}", ""),
            wrong.get(f"policy[{at}]", ""),
        )
        for at in range(count)
    ]
    back = reverse("cost_budgets", args=[project.slug]) + (f"{held.id}/" if held else "")
    context = {
        "project": project,
        "held": held,
        "fields": fields,
        "steps": steps,
        "using_max": USING_MAX,
        "policy_error": wrong.get("policy", ""),
        "version": typed.get("version") or (held.version if held else ""),
        "errors": [(_input(each.field), _LABELS.get(each.field.split("[")[0], each.field), _words(each))
                   for each in (refused.faults if refused else ())],
        "back": back,
    }  # fmt: skip
    return render(request, "alerts/cost_budget_form.html", context, status=status if refused else 200)


def _errors(refused: ItemRefused | None) -> dict[str, str]:
    """The words of the first fault of each input."""
    found: dict[str, str] = {}
    for fault in refused.faults if refused else ():
        name = fault.field
        if name.startswith(("tell_at", "policy[")):
            name = name.split(".")[0] if name.startswith("policy[") else "tell_at"
        found.setdefault(name, _words(fault))
    return found


def _input(field: str) -> str:
    """The id of the input that a fault is about."""
    if field.startswith("policy["):
        return f"at_{field[7:].split(']')[0]}"
    return "at_0" if field == "policy" else f"f-{field.split('[')[0]}"


def _words(fault: Fault) -> str:
    return fault.message + (f" ({fault.limit})" if fault.limit else "") + "."


def _options(words: Mapping[Any, str], chosen: str) -> tuple[Choice, ...]:
    return choices_of([(str(key), word) for key, word in words.items()], chosen)
