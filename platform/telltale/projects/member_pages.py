"""Pages about people: members and invitations of a project, joining one, organisations and their owners."""

from __future__ import annotations

from typing import cast
from urllib.parse import urlencode

from allauth.account.internal.flows.login import record_authentication
from django.conf import settings
from django.contrib import messages
from django.contrib.auth import login
from django.contrib.auth.decorators import login_required
from django.core.mail import send_mail
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.views.decorators.http import require_http_methods, require_POST

from telltale.accounts.forms import JoinForm
from telltale.accounts.mail import is_by_smtp
from telltale.accounts.models import User
from telltale.audit.log import record
from telltale.projects import read, write
from telltale.projects.access import (
    get_invitation_for,
    get_member_for,
    get_organisation_for,
    may,
    may_create_organisations,
    owned_organisations,
    project_page,
    require,
    role_table,
)
from telltale.projects.forms import ROLE_CHOICES, InviteForm, OrganisationForm, ProjectForm, RoleForm
from telltale.projects.models import Invitation, Project, Role


def me(request: HttpRequest) -> User:
    """The person signed in."""
    return cast(User, request.user)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page()
def members(request: HttpRequest, project: Project) -> HttpResponse:
    """Who is in the project, and what each role may do. Admins invite; the link is in the one answer that makes it."""
    form = InviteForm()
    link = ""
    if request.method == "POST":
        require(project, "members")
        form = InviteForm(request.POST)
        if form.is_valid():
            try:
                link = _invite(request, project, form)
                form = InviteForm()
            except write.Refused as refusal:
                form.add_error("email", str(refusal))
    context = {
        "project": project,
        "form": form,
        "link": link,
        "invited": request.POST.get("email", "").strip().lower(),
        "is_by_smtp": is_by_smtp(),
        "members": read.list_members(project),
        "invitations": read.list_invitations(project),
        "role_choices": ROLE_CHOICES,
        "roles": list(Role),
        "table": role_table(),
        "may_change": may(project, "members"),
        "me": request.user,
    }
    return render(request, "projects/members.html", context)


def _invite(request: HttpRequest, project: Project, form: InviteForm) -> str:
    made = write.invite(
        project, form.cleaned_data["email"], Role(form.cleaned_data["role"]), by=me(request), request=request
    )
    link = settings.TELLTALE_PUBLIC_URL + reverse("join", args=[made.token])
    if is_by_smtp():
        send_mail(
            f"Join {project.name} on Telltale",
            f"{me(request)} invites you to the project {project.name}. This link works once, for 7 days:\n\n{link}\n",
            None,
            [made.invitation.email],
        )
    return link


@require_POST
@project_page(Role.ADMIN)
def member_role(request: HttpRequest, project: Project, member_id: int) -> HttpResponse:
    """Change somebody's role."""
    member = get_member_for(request.user, project.slug, member_id)
    form = RoleForm(request.POST)
    if not form.is_valid():
        messages.error(request, "There is no such role. Nothing was changed.")
    elif write.set_role(member, Role(form.cleaned_data["role"]), request=request):
        messages.success(request, f"{member.user} is {Role(form.cleaned_data['role']).label} now.")
    return redirect("project_members", slug=project.slug)


@require_http_methods(["GET", "HEAD", "POST"])
@project_page(Role.ADMIN)
def member_remove(request: HttpRequest, project: Project, member_id: int) -> HttpResponse:
    """Ask, then remove."""
    member = get_member_for(request.user, project.slug, member_id)
    if request.method == "POST":
        write.remove_member(member, request=request)
        messages.success(request, f"{member.user} can no longer open {project.name}.")
        return redirect("project_members", slug=project.slug)
    return render(request, "projects/member_remove.html", {"project": project, "member": member})


@require_POST
@project_page(Role.ADMIN)
def invitation_withdraw(request: HttpRequest, project: Project, invitation_id: int) -> HttpResponse:
    """Make an invitation's link stop working."""
    invitation = get_invitation_for(request.user, project.slug, invitation_id)
    write.withdraw_invitation(invitation, request=request)
    messages.success(request, f"The invitation of {invitation.email} is withdrawn.")
    return redirect("project_members", slug=project.slug)


@require_http_methods(["GET", "HEAD", "POST"])
def join(request: HttpRequest, token: str) -> HttpResponse:
    """Follow an invitation: as the person signed in, or by choosing a password for a new account."""
    invitation = write.find_invitation(token)
    if invitation is None:
        return render(request, "projects/join_over.html", status=404)
    context = {"invitation": invitation, "token": token}
    if request.user.is_authenticated:
        is_theirs = me(request).email == invitation.email
        if request.method == "POST" and is_theirs:
            return _joined(request, invitation, me(request))
        return render(request, "projects/join.html", {**context, "is_theirs": is_theirs})
    form = JoinForm(request.POST if request.method == "POST" else None, email=invitation.email)
    if request.method == "POST" and form.is_valid():
        if User.objects.filter(email=invitation.email).exists():
            form.add_error(None, "There is an account for this address. Sign in to join.")
        else:
            user = User.objects.create_user(
                invitation.email, form.cleaned_data["password"], name=form.cleaned_data["name"]
            )
            record("person.create", request=request, actor=user.email, target=user.email, after={"by": "invitation"})
            login(request, user, backend="allauth.account.auth_backends.AuthenticationBackend")
            record_authentication(request, user, "password", email=user.email)
            return _joined(request, invitation, user)
    sign_in = f"{reverse('account_login')}?{urlencode({'next': request.path})}"
    return render(request, "projects/join.html", {**context, "form": form, "sign_in": sign_in})


def _joined(request: HttpRequest, invitation: Invitation, user: User) -> HttpResponse:
    if not write.accept(invitation, user, request=request):
        return render(request, "projects/join_over.html", status=404)
    messages.success(request, f"You are {Role(invitation.role).label} of {invitation.project.name} now.")
    return redirect("project_home", slug=invitation.project.slug)


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def project_new(request: HttpRequest) -> HttpResponse:
    """Create a project in an organisation one owns."""
    owned = owned_organisations(request.user)
    form = ProjectForm(request.POST if request.method == "POST" else None, organisations=owned)
    if request.method == "POST" and owned and form.is_valid():
        data = form.cleaned_data
        try:
            project = write.create_project(
                data["organisation"], data["name"], time_zone=data["time_zone"], request=request
            )
            return redirect("project_welcome", slug=project.slug)
        except write.Refused as refusal:
            form.add_error(None, str(refusal))
    return render(request, "projects/new.html", {"form": form, "owned": owned})


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def organisation(request: HttpRequest, organisation_slug: str) -> HttpResponse:
    """An organisation, for its owners: its name, who owns it, its projects."""
    found = get_organisation_for(request.user, organisation_slug)
    form = OrganisationForm(request.POST if request.method == "POST" else None, initial={"name": found.name})
    if request.method == "POST" and form.is_valid():
        write.rename_organisation(found, form.cleaned_data["name"], request=request)
        messages.success(request, "The name is saved.")
        return redirect("organisation", organisation_slug=found.slug)
    people = read.list_people(found)
    context = {
        "organisation": found,
        "form": form,
        "people": people,
        "lacking": sum(not row.has_second_factor for row in people),
        "projects": found.projects.order_by("name"),
        "me": request.user,
    }
    return render(request, "projects/organisation.html", context)


@login_required
@require_POST
def organisation_owner(request: HttpRequest, organisation_slug: str, user_id: int) -> HttpResponse:
    """Make somebody of the organisation an owner, or no longer one."""
    found = get_organisation_for(request.user, organisation_slug)
    person = found.members.select_related("user").filter(user_id=user_id).first()
    if person is not None:
        try:
            is_owner = request.POST.get("is_owner") == "1"
            write.set_owner(found, person.user, is_owner, request=request)
            messages.success(request, f"{person.user} is {'an owner' if is_owner else 'no longer an owner'}.")
        except write.Refused as refusal:
            messages.error(request, str(refusal))
    still_mine = found.members.filter(user=me(request), is_owner=True).exists()
    return redirect("organisation", organisation_slug=found.slug) if still_mine else redirect("/")


@login_required
@require_http_methods(["GET", "HEAD", "POST"])
def organisation_new(request: HttpRequest) -> HttpResponse:
    """Another organisation, for somebody who owns one already or operates the installation."""
    able = may_create_organisations(me(request))
    form = OrganisationForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and able and form.is_valid():
        made = write.create_organisation(form.cleaned_data["name"], me(request), request=request)
        return redirect("organisation", organisation_slug=made.slug)
    return render(request, "projects/organisation_new.html", {"form": form, "able": able})
