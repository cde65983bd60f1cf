"""The page of questions: what the team asks, which monitors answer, what each earned, what is proposed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, cast

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from alerts import asking, retiring
from alerts.pages import question_view
from alerts.questions.pillars import Pillar
from alerts.questions.presets import APPLICATIONS
from alerts.questions.settings import SEVERITIES
from alerts.read.questions import QuestionRow, list_questions, read_about, shipped
from alerts.read.shown import Shown, list_shown
from alerts.read.worth import OPEN, get_report, get_worths, list_proposals
from telltale.accounts.models import User
from telltale.lib.faults import ItemRefused
from telltale.projects.access import may, project_page
from telltale.projects.models import Project, Role
from traces.pages.export import FORMATS, Busy, busy_response, download
from traces.read import TooSlow
from traces.read.asking import asking as bounded

NAMES = (
    "id", "name", "pillar", "days", "pages", "real", "false", "unjudged", "found", "alone", "lead_min", "views",
    "questions", "judging", "benefit", "benefit_high", "spent", "value", "low", "high", "verdict", "reason",
)  # fmt: skip


@require_http_methods(["GET", "HEAD"])
@project_page()
def question_page(request: HttpRequest, project: Project) -> HttpResponseBase:
    """The questions; `format` has what monitors earned as a file."""
    if request.GET.get("format") in FORMATS:
        return _file(request, project)
    try:
        with bounded():
            every = [each for each in list_shown(project.pk) if each.archived_at is None]
            written = list_questions(project.pk)
            rows = written or shipped(read_about(project.pk, every))
            report, worths, proposals = get_report(project.pk), get_worths(project.pk), list_proposals(project.pk)
    except TooSlow:
        return render(request, "alerts/questions.html", {"project": project, "too_slow": True}, status=503)
    asked = {key for row in rows for key in row.monitor_ids}
    unasked = [each for each in every if each.is_on and each.id not in asked]
    context = {
        "project": project,
        "may_measure": may(project, "measure"),
        "title": question_view.title(rows, report, len(unasked)),
        "is_written": bool(written),
        "cards": question_view.cards(rows, {each.id: each for each in every}),
        "unasked": unasked[:20],
        "unasked_more": max(0, len(unasked) - 20),
        "has_monitors": bool(every),
        "applications": APPLICATIONS,
        "worths": worths,
        "worth_rows": [(severity, worths.worth[severity]) for severity in SEVERITIES],
        "report": report,
        "earned": question_view.earned(report),
        "figure": question_view.curve(report),
        "clusters": _clusters(report.body if report else {}),
        "open": question_view.proposed([row for row in proposals if row.state == OPEN]),
        "past": question_view.proposed([row for row in proposals if row.state != OPEN])[:30],
    }
    return render(request, "alerts/questions.html", context)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ENGINEER)
def question_new(request: HttpRequest, project: Project) -> HttpResponse:
    """The form of a new question."""
    return _form(request, project, None)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ENGINEER)
def question_edit(request: HttpRequest, project: Project, question_id: int) -> HttpResponse:
    """The form of a question."""
    held = next((each for each in list_questions(project.pk) if each.id == question_id), None)
    if held is None:
        raise Http404
    return _form(request, project, held)


@require_POST
@project_page(Role.ENGINEER)
def question_act(request: HttpRequest, project: Project) -> HttpResponse:
    """One act: a question moved or put away, a set written, worths set, a report asked for, a proposal decided."""
    act, key = request.POST.get("act", ""), _number(request.POST.get("id", ""))
    note = request.POST.get("note", "").replace("\x00", "")
    me: dict[str, Any] = {"by_id": cast(User, request.user).pk, "request": request}
    acts: dict[str, tuple[Callable[[], Any], str]] = {
        "archive": (lambda: asking.archive(project, key, request=request), "The question is put away."),
        "up": (lambda: asking.move(project, key, up=True, request=request), ""),
        "down": (lambda: asking.move(project, key, up=False, request=request), ""),
        "begin": (
            lambda: asking.begin_with(project, request.POST.get("application", ""), **me),
            "The questions are written. Each answers with the monitors that watch its metrics.",
        ),
        "worths": (
            lambda: asking.set_worths(project, _worths(request), **me), "The worths are set for the next report."
        ),
        "report": (lambda: asking.ask_report(project), "The report is being made; it takes up to a minute."),
        "accept": (
            lambda: retiring.accept(project, key, note, **me),
            "The monitor is retired: its chart stopped, its share of the alert budget went to the others. "
            "Nothing is deleted.",
        ),
        "refuse": (
            lambda: retiring.refuse(project, key, note, **me), "The monitor stays; it is not proposed for 90 days."
        ),
        "undo": (lambda: retiring.undo(project, key, note, **me), "The monitor is on again."),
    }
    do, said = acts.get(act, (lambda: None, "Nothing was chosen, so nothing was done."))
    try:
        do()
        if said:
            messages.success(request, said)
    except ItemRefused as refused:
        for fault in refused.faults[:5]:
            messages.error(request, f"{fault.field}: {fault.message} (limit: {fault.limit}).")
    except (asking.NotThere, retiring.NotThere):
        raise Http404 from None
    return redirect("questions", slug=project.slug)


def _form(request: HttpRequest, project: Project, held: QuestionRow | None) -> HttpResponse:
    told: dict[str, Any] = {
        "text": held.text if held else "", "pillar": held.pillar.value if held else Pillar.QUALITY.value,
        "decision": held.decision if held else "", "monitors": list(held.monitor_ids) if held else [],
    }  # fmt: skip
    faults: dict[str, str] = {}
    if request.method == "POST":
        told = {
            "text": request.POST.get("text", ""),
            "pillar": request.POST.get("pillar", ""),
            "decision": request.POST.get("decision", ""),
            "monitors": _ordered(request.POST.getlist("monitors"), told["monitors"]),
        }
        try:
            if held is None:
                asking.create(project, told, by_id=cast(User, request.user).pk, request=request)
            else:
                asking.change(project, held.id or 0, told, request=request)
            messages.success(request, "The question is kept.")
            return redirect("questions", slug=project.slug)
        except ItemRefused as refused:
            faults = {fault.field: f"{fault.field.capitalize()} {fault.message}; limit: {fault.limit}."
                      for fault in refused.faults}  # fmt: skip
        except asking.NotThere:
            raise Http404 from None
    monitors = [each for each in list_shown(project.pk) if each.archived_at is None]
    chosen = list(told["monitors"])
    context = {
        "project": project,
        "held": held,
        "told": told,
        "faults": faults,
        "pillars": [(each.value, each.value.capitalize()) for each in Pillar],
        "monitors": _listed(monitors, chosen),
        "text_max": asking.TEXT_MAX,
        "decision_max": asking.DECISION_MAX,
    }
    return render(request, "alerts/question_form.html", context, status=400 if faults else 200)


def _listed(monitors: Iterable[Shown], chosen: list[int]) -> list[tuple[Shown, bool]]:
    """Monitors to choose from, those chosen first in their order."""
    order = {key: at for at, key in enumerate(chosen)}
    ranked = sorted(monitors, key=lambda each: (order.get(each.id, len(order)), each.name.casefold()))
    return [(each, each.id in order) for each in ranked]


def _ordered(raw: Iterable[str], before: Iterable[int]) -> list[int]:
    """Ids as chosen: what was there keeps its order, what is new follows."""
    chosen = [_number(each) for each in raw]
    kept = [key for key in before if key in chosen]
    return [*kept, *(key for key in chosen if key not in kept)]


def _worths(request: HttpRequest) -> dict[str, Any]:
    worth = {str(each): _money(request.POST.get(f"worth_{each}", "")) for each in SEVERITIES}
    return {"worth": worth, "page_cost": _money(request.POST.get("page_cost", ""))}


def _money(raw: str) -> Any:
    """The number that was typed, or the text, which is refused by name."""
    text = raw.strip().lstrip("$").replace(",", "")[:40]
    try:
        return float(text)
    except ValueError:
        return text


def _number(raw: str) -> int:
    return int(raw) if raw.isascii() and raw.isdigit() and len(raw) < 19 else 0


def _clusters(body: Any) -> list[list[tuple[int, str]]]:
    names = {line["monitor"]: line["name"] for line in body.get("metrics", [])}
    return [[(key, names.get(key, "")) for key in one] for one in body.get("clusters", [])]


def _file(request: HttpRequest, project: Project) -> HttpResponseBase:
    report = get_report(project.pk)
    lines = report.body.get("metrics", []) if report else []
    records = ({"id": line["monitor"], **{name: line[name] for name in NAMES[1:]}} for line in lines)
    name, is_head = f"{project.slug}-monitors-worth", request.method == "HEAD"
    try:
        return download(name, request.GET["format"], NAMES, records, is_head=is_head)
    except Busy:
        return busy_response()
