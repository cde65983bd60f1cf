"""Invitations and members of a project, each change with its line in the audit log."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import dataclass
from datetime import timedelta

from django.db import transaction
from django.http import HttpRequest

from telltale.accounts.models import OrganisationMember, User
from telltale.audit.log import record_in
from telltale.lib import clock
from telltale.projects.models import Invitation, Project, ProjectMember, Role
from telltale.projects.write.naming import Refused

INVITATION_LASTS = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class Invited:
    """An invitation just made; `token` is in its link and kept nowhere."""

    invitation: Invitation
    token: str


def invite(project: Project, email: str, role: Role, *, by: User | None, request: HttpRequest | None = None) -> Invited:
    """A link for `email` into the project; an earlier open one of the same address stops working.

    Refused where the person is in already. Whether the address has an account makes no difference.
    """
    email = email.strip().lower()
    if ProjectMember.objects.filter(project=project, user__email=email).exists():
        raise Refused("This person is a member already. Change their role in the list.")
    token = secrets.token_urlsafe(32)
    now = clock.now()
    with transaction.atomic():
        # Two at the same moment follow each other; the lock is none that storing spans would wait for.
        Project.objects.select_for_update(no_key=True).values_list("pk").get(pk=project.pk)
        Invitation.objects.filter(project=project, email=email, accepted_at=None).delete()
        invitation = Invitation.objects.create(
            project=project,
            email=email,
            role=role,
            token_sha256=hash_token(token),
            invited_by=by,
            expires_at=now + INVITATION_LASTS,
        )
        record_in(project, "member.invite", email, request=request, after={"role": role})
    return Invited(invitation, token)


def find_invitation(token: str) -> Invitation | None:
    """The open invitation of a link, None where it was used, withdrawn or is too old."""
    return (
        Invitation.objects.unscoped("a link says into which project it leads")
        .filter(token_sha256=hash_token(token), accepted_at=None, expires_at__gt=clock.now())
        .select_related("project", "project__organisation", "invited_by")
        .first()
    )


def accept(invitation: Invitation, user: User, *, request: HttpRequest | None = None) -> bool:
    """Make `user` a member; False where the invitation was used a moment ago."""
    with transaction.atomic():
        taken = Invitation.objects.filter(pk=invitation.pk, accepted_at=None).update(accepted_at=clock.now())
        if not taken:
            return False
        project = invitation.project
        OrganisationMember.objects.get_or_create(organisation_id=project.organisation_id, user=user)
        ProjectMember.objects.update_or_create(project=project, user=user, defaults={"role": invitation.role})
        record_in(project, "member.join", user.email, request=request, after={"role": invitation.role})
    return True


def withdraw_invitation(invitation: Invitation, *, request: HttpRequest | None = None) -> None:
    """The link stops working."""
    with transaction.atomic():
        gone, _ = Invitation.objects.filter(pk=invitation.pk, accepted_at=None).delete()
        if gone:
            before = {"role": invitation.role}
            record_in(invitation.project, "member.withdraw", invitation.email, request=request, before=before)


def set_role(member: ProjectMember, role: Role, *, request: HttpRequest | None = None) -> bool:
    """Change a member's role; False where it is that already."""
    before = member.role
    with transaction.atomic():
        changed = ProjectMember.objects.filter(pk=member.pk, role=before).exclude(role=role).update(role=role)
        if changed:
            record_in(
                member.project,
                "member.role",
                member.user.email,
                request=request,
                before={"role": before},
                after={"role": role},
            )
    return bool(changed)


def remove_member(member: ProjectMember, *, request: HttpRequest | None = None) -> None:
    """The person can no longer open the project."""
    with transaction.atomic():
        gone, _ = ProjectMember.objects.filter(pk=member.pk).delete()
        if gone:
            before = {"role": member.role}
            record_in(member.project, "member.remove", member.user.email, request=request, before=before)


def hash_token(token: str) -> bytes:
    """Under which an invitation's link is kept and found."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()
