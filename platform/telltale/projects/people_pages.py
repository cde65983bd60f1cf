"""Pages about the people of an organisation: a second factor for all, sessions ended, ownership passed on, removal."""

from __future__ import annotations

from typing import cast

from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods, require_POST

from telltale.accounts.models import User
from telltale.projects import write
from telltale.projects.access import get_member_for, get_organisation_for, get_person_for, project_page
from telltale.projects.forms import TransferForm
from telltale.projects.models import Project, Role


@login_required
@require_POST
def second_factor(request: HttpRequest, organisation_slug: str) -> HttpResponse:
    """Ask everybody of the organisation for a second factor, or no longer."""
    found = get_organisation_for(request.user, organisation_slug)
    is_asked = request.POST.get("is_asked") == "1"
    try:
        write.ask_second_factor(found, is_asked, by=cast(User, request.user), request=request)
    except write.Refused as refusal:
        messages.error(request, str(refusal))
    else:
        words = "Everybody is asked for a second factor now; whoever has none sets it up first."
        messages.success(request, words if is_asked else "A second factor is everybody's own choice now.")
    return redirect("organisation", organisation_slug=found.slug)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def transfer(request: HttpRequest, organisation_slug: str) -> HttpResponse:
    """Ask to whom, then pass the ownership on."""
    found = get_organisation_for(request.user, organisation_slug)
    me = cast(User, request.user)
    form = TransferForm(request.POST if request.method == "POST" else None, organisation=found, giver=me)
    if request.method == "POST" and form.is_valid():
        to, stays = form.cleaned_data["to"].user, form.cleaned_data["stays"]
        try:
            write.transfer_ownership(found, to, by=me, stays=stays, request=request)
        except write.Refused as refusal:
            form.add_error("to", str(refusal))
        else:
            messages.success(request, f"{to} owns {found.name} now.")
            return redirect("/")
    return render(request, "projects/transfer.html", {"organisation": found, "form": form})


@login_required
@require_POST
def person_sessions(request: HttpRequest, organisation_slug: str, user_id: int) -> HttpResponse:
    """Sign somebody of the organisation out everywhere."""
    person = get_person_for(request.user, organisation_slug, user_id)
    ended = write.end_sessions(person.user, request=request, organisation=person.organisation)
    messages.success(request, _ended(person.user, ended))
    return redirect("organisation", organisation_slug=organisation_slug)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def person_remove(request: HttpRequest, organisation_slug: str, user_id: int) -> HttpResponse:
    """Ask, then remove somebody from every project of the organisation."""
    person = get_person_for(request.user, organisation_slug, user_id)
    if request.method != "POST":
        return render(request, "projects/person_remove.html", {"organisation": person.organisation, "person": person})
    try:
        write.remove_person(person, request=request)
        messages.success(request, f"{person.user} can no longer open anything of {person.organisation.name}.")
    except write.Refused as refusal:
        messages.error(request, str(refusal))
    return redirect("/" if person.user_id == request.user.pk else f"/organisations/{organisation_slug}/")


@require_POST
@project_page(Role.ADMIN)
def member_sessions(request: HttpRequest, project: Project, member_id: int) -> HttpResponse:
    """Sign a member of the project out everywhere."""
    member = get_member_for(request.user, project.slug, member_id)
    ended = write.end_sessions(member.user, request=request, project=project)
    messages.success(request, _ended(member.user, ended))
    return redirect("project_members", slug=project.slug)


def _ended(user: User, ended: int) -> str:
    places = "nowhere" if not ended else "in one place" if ended == 1 else f"in {ended} places"
    return f"{user} was signed in {places}, and no longer is."
