"""Joining without a link: who signs in elsewhere under an invited address, or one of a domain that is let in."""

from __future__ import annotations

from django.conf import settings
from django.db import transaction
from django.http import HttpRequest

from telltale.accounts.models import OrganisationMember, User
from telltale.audit.log import record, record_in
from telltale.lib import clock
from telltale.projects import write
from telltale.projects.models import Invitation, Project, ProjectMember, Role


def join_by_address(email: str, name: str, *, request: HttpRequest) -> User | None:
    """The new person of verified address `email`, in the projects that invite them; None where nothing does."""
    found = Invitation.objects.unscoped("a verified address takes up whatever invites it")
    found = found.filter(email=email, accepted_at=None, expires_at__gt=clock.now())
    invitations = list(found.select_related("project"))
    open_project = None if invitations else _project_of_domain(email)
    if not invitations and open_project is None:
        return None
    with transaction.atomic():
        user = User.objects.create_user(email, None, name=name)
        record("person.create", request=request, actor=email, target=email, after={"by": "oidc"})
        for invitation in invitations:
            write.accept(invitation, user, request=request)
        if open_project is not None:
            role = settings.TELLTALE_OIDC_ROLE
            OrganisationMember.objects.get_or_create(organisation_id=open_project.organisation_id, user=user)
            ProjectMember.objects.create(project=open_project, user=user, role=role)
            record_in(open_project, "member.join", email, request=request, actor=email, after={"role": role})
    return user


def _project_of_domain(email: str) -> Project | None:
    domain = email.rpartition("@")[2]
    known_role = settings.TELLTALE_OIDC_ROLE in {role.value for role in Role if role is not Role.OWNER}
    if domain not in settings.TELLTALE_OIDC_DOMAINS or not known_role:
        return None
    return Project.objects.filter(slug=settings.TELLTALE_OIDC_PROJECT).first()
