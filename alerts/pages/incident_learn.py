"""The section "learn" of an incident's page: failing cases into a dataset, one experiment over them, and the close."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.http import urlencode
from django.views.decorators.http import require_POST

from alerts import closing, learning
from alerts.closing import Condition, GateClosed, began_of, conditions
from alerts.incidents.types import Step, ref_of
from alerts.learning import Candidate, candidates
from alerts.pages.alarm_view import number as number_of
from alerts.pages.incident_acts import me, said
from alerts.read.cases import CaseRow, Tried, list_cases, list_tried
from alerts.read.incidents import IncidentRow, get_incident
from evals.reviewing.datasets import choices
from telltale.projects.access import may, project_page
from telltale.projects.models import Project, Role

MORE = "cases"


@dataclass(frozen=True, slots=True)
class LearnPart:
    """What stands and what is left to do. `is_here`: the incident has come to this step, or is over."""

    conditions: Sequence[Condition]
    unmet: Sequence[Condition]
    met: int
    of: int
    is_here: bool
    candidates: Sequence[Candidate]
    offered: Sequence[Candidate]
    kept: Sequence[CaseRow]
    datasets: Sequence[tuple[str, str]]
    dataset: tuple[str, str] | None
    name: str
    tried: Sequence[Tried]
    experiment_id: int | None
    new_experiment_href: str
    more_href: str
    may_work: bool
    may_measure: bool
    may_override: bool
    why_not: str


def part(project: Project, incident: IncidentRow, request: HttpRequest) -> object:
    """What `alerts/incident/_learn.html` shows as `part`; before its step the conditions alone."""
    stands = conditions(project.pk, incident)
    required = [each for each in stands if each.is_required]
    unmet = [each for each in required if not each.is_met]
    may_work = may(project, "review") and incident.is_going
    asked = MORE in request.GET
    is_here = asked or incident.step == Step.LEARN or not incident.is_going or incident.dataset_id is not None
    found = candidates(project.pk, incident, with_more=asked) if is_here else []
    kept = [each for each in list_cases(project.pk, incident.id) if each.is_kept] if is_here else []
    newest = kept[-1] if kept else None
    tried = list_tried(project.pk, kept, began_of(incident)) if kept else []
    base = reverse("incident", args=[project.slug, incident.number])
    query = {"dataset": newest.dataset_slug, "name": f"{incident.ref} cases"} if newest else {}
    return LearnPart(
        conditions=stands,
        unmet=unmet,
        met=len(required) - len(unmet),
        of=len(required),
        is_here=is_here,
        candidates=found,
        offered=[each for each in found if not each.datasets and not each.is_gone],
        kept=kept,
        datasets=choices(project.pk) if is_here and may_work else [],
        dataset=(newest.dataset_slug, newest.dataset_name) if newest else None,
        name=_name(incident),
        tried=tried,
        experiment_id=incident.experiment_id,
        new_experiment_href=f"{reverse('experiment_new', args=[project.slug])}?{urlencode(query)}",
        more_href="" if asked else f"{base}?{MORE}=more#learn",
        may_work=may_work,
        may_measure=may(project, "measure"),
        may_override=may(project, "settings") and incident.is_going,
        why_not=_why_not(unmet),
    )


@require_POST
@project_page(Role.REVIEWER)
def learn_cases(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Put the ticked cases into a dataset: `dataset` its slug, or `name` of a new one."""
    find_incident(project, number)
    dataset = request.POST.get("dataset", "")
    name = "" if dataset else request.POST.get("name", "").strip()
    with said(request):
        wanted = [learning.read_ref(each) for each in request.POST.getlist("case")[: learning.CASES_MOST + 1]]
        added = learning.add_cases(
            project, number, wanted, dataset=dataset, name=name, user=me(request), request=request
        )
        words = f"{added.added} {'case is' if added.added == 1 else 'cases are'} in “{added.dataset_name}” now."
        if added.known:
            words += f" {added.known} had been there."
        if added.gone:
            words += f" Of {added.gone} nothing is stored any more."
        messages.success(request, words)
    return _back(project, number)


@require_POST
@project_page(Role.REVIEWER)
def learn_experiment(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Record the experiment that ran over the cases."""
    find_incident(project, number)
    with said(request):
        done = learning.record_experiment(
            project, number, number_of(request.POST.get("experiment", "")) or 0, user=me(request), request=request
        )
        messages.success(request, "The experiment is recorded." if done else "It was recorded already.")
    return _back(project, number)


@require_POST
@project_page(Role.REVIEWER)
def incident_close(request: HttpRequest, project: Project, number: int) -> HttpResponse:
    """Close it; refused with what is missing, but for an administrator with a reason."""
    find_incident(project, number)
    reason = request.POST.get("override_reason", "")
    try:
        with said(request):
            done = closing.close(
                project, number, override_reason=reason, may_override=may(project, "settings"), user=me(request),
                request=request,
            )  # fmt: skip
            words = f"{ref_of(number)} is closed. It opens again by itself where it comes back."
            messages.success(request, words if done else f"{ref_of(number)} was closed already.")
            return redirect(reverse("incident", args=[project.slug, number]))
    except GateClosed as gate:
        missing = "; ".join(f"{each.words} ({each.detail})" for each in gate.unmet)
        words = f"{ref_of(number)} stays open. Missing: {missing}."
        if reason and not gate.may_override:
            words += " Closing without them is for administrators."
        messages.error(request, words)
    return _back(project, number)


def find_incident(project: Project, number: int) -> IncidentRow:
    """The incident of that number; Http404."""
    found = get_incident(project.pk, number)
    if found is None:
        raise Http404
    return found


def _name(incident: IncidentRow) -> str:
    features = incident.scope.get("feature", ())
    return f"Failing cases of {features[0]}" if len(features) == 1 and features[0] else f"Cases of {incident.ref}"


def _why_not(unmet: Sequence[Condition]) -> str:
    if not unmet:
        return ""
    told = {
        "decided": "decide whether it is real",
        "scope": "write the scope",
        "cases": "add failing cases to a dataset",
        "experiment": "record one experiment over them",
    }
    todo = [told[each.key] for each in unmet]
    words = todo[0] if len(todo) == 1 else f"{', '.join(todo[:-1])} and {todo[-1]}"
    return f"To close it, {words}."


def _back(project: Project, number: int) -> HttpResponse:
    return redirect(reverse("incident", args=[project.slug, number]) + "#learn")
