"""Changes of organisations and their people, each with its line in the audit log."""

from __future__ import annotations

from typing import Any

from django.db import transaction
from django.http import HttpRequest

from telltale.accounts import sessions
from telltale.accounts.models import Organisation, OrganisationMember, User
from telltale.audit.log import record
from telltale.projects import read
from telltale.projects.models import Project, ProjectMember, Role
from telltale.projects.write.naming import Refused, free_slug


def create_organisation(name: str, owner: User, *, request: HttpRequest | None = None) -> Organisation:
    """A new organisation that `owner` owns."""
    with transaction.atomic():
        organisation = Organisation.objects.create(name=name, slug=free_slug(Organisation, name))
        OrganisationMember.objects.create(organisation=organisation, user=owner, is_owner=True)
        record("organisation.create", request=request, organisation_id=organisation.pk, target=name)
    return organisation


def rename_organisation(organisation: Organisation, name: str, *, request: HttpRequest | None = None) -> None:
    """Change the name; the address stays."""
    if name == organisation.name:
        return
    with transaction.atomic():
        before = organisation.name
        Organisation.objects.filter(pk=organisation.pk).update(name=name)
        record(
            "organisation.rename",
            request=request,
            organisation_id=organisation.pk,
            target=name,
            before={"name": before},
            after={"name": name},
        )


def set_owner(organisation: Organisation, user: User, is_owner: bool, *, request: HttpRequest | None = None) -> None:
    """Make `user` an owner or no longer one; Refused, and written down, where it would leave none."""
    try:
        _set_owner(organisation, user, is_owner, request)
    except Refused:
        _note_refused("organisation.owner", organisation, user, request, {"is_owner": is_owner})
        raise


def _note_refused(
    action: str, organisation: Organisation, user: User, request: HttpRequest | None, after: dict[str, Any] | None
) -> None:
    told = {"organisation_id": organisation.pk, "target": user.email, "after": after}
    record(action, request=request, outcome="refused", **told)  # type: ignore[arg-type]


def _set_owner(organisation: Organisation, user: User, is_owner: bool, request: HttpRequest | None) -> None:
    with transaction.atomic():
        owners = set(
            OrganisationMember.objects.select_for_update()
            .filter(organisation=organisation, is_owner=True)
            .values_list("user_id", flat=True)
        )
        if not is_owner and owners <= {user.pk}:
            raise Refused("An organisation needs an owner. Name another one first.")
        if is_owner == (user.pk in owners):
            return
        OrganisationMember.objects.update_or_create(
            organisation=organisation, user=user, defaults={"is_owner": is_owner}
        )
        record(
            "organisation.owner",
            request=request,
            organisation_id=organisation.pk,
            target=user.email,
            before={"is_owner": not is_owner},
            after={"is_owner": is_owner},
        )


def transfer_ownership(
    organisation: Organisation, to: User, *, by: User, stays: bool, request: HttpRequest | None = None
) -> None:
    """Make `to` the owner in place of `by`, who `stays` as admin of every project, or leaves them.

    Refused where `by` is no owner any more, or `to` is nobody of the organisation, closed, or the same person.
    """
    with transaction.atomic():
        people = OrganisationMember.objects.select_for_update().filter(organisation=organisation)
        held = {row.user_id: row for row in people.select_related("user")}
        giver, taker = held.get(by.pk), held.get(to.pk)
        if giver is None or not giver.is_owner:
            raise Refused("You are no owner of this organisation any more.")
        if taker is None or to.pk == by.pk or not taker.user.is_active:
            raise Refused("Choose another person of this organisation.")
        OrganisationMember.objects.filter(pk=taker.pk).update(is_owner=True)
        OrganisationMember.objects.filter(pk=giver.pk).update(is_owner=False)
        if stays:
            for project in Project.objects.filter(organisation=organisation):
                ProjectMember.objects.update_or_create(project=project, user=by, defaults={"role": Role.ADMIN})
        record(
            "organisation.transfer",
            request=request,
            organisation_id=organisation.pk,
            target=to.email,
            before={"owner": by.email},
            after={"owner": to.email, "stays_as_admin": stays},
        )


def ask_second_factor(organisation: Organisation, is_asked: bool, *, by: User, request: HttpRequest) -> bool:
    """Ask everybody of the organisation for a second factor, or no longer; False where it is so already.

    Refused where `by` has none: whoever asks would be shut out first.
    """
    if is_asked and not read.has_second_factor(by):
        raise Refused("Set up a second factor for yourself first; then you can ask it of everybody.")
    with transaction.atomic():
        changed = Organisation.objects.filter(pk=organisation.pk, requires_second_factor=not is_asked).update(
            requires_second_factor=is_asked
        )
        if changed:
            record(
                "organisation.second_factor",
                request=request,
                organisation_id=organisation.pk,
                target=organisation.name,
                before={"requires_second_factor": not is_asked},
                after={"requires_second_factor": is_asked},
            )
    return bool(changed)


def remove_person(person: OrganisationMember, *, request: HttpRequest | None = None) -> None:
    """The person can open nothing of the organisation any more. Refused, and written down, for its only owner."""
    try:
        _remove_person(person, request)
    except Refused:
        _note_refused("organisation.remove_person", person.organisation, person.user, request, None)
        raise


def _remove_person(person: OrganisationMember, request: HttpRequest | None) -> None:
    organisation = person.organisation
    with transaction.atomic():
        owners = set(
            OrganisationMember.objects.select_for_update()
            .filter(organisation=organisation, is_owner=True)
            .values_list("user_id", flat=True)
        )
        if owners <= {person.user_id}:
            raise Refused("An organisation needs an owner. Name another one first.")
        members = ProjectMember.objects.unscoped("an owner removes somebody from each project of the organisation")
        left = members.filter(project__organisation=organisation, user=person.user_id)
        held = [f"{member.project.slug} ({member.role})" for member in left.select_related("project")]
        left.delete()
        OrganisationMember.objects.filter(pk=person.pk).delete()
        record(
            "organisation.remove_person",
            request=request,
            organisation_id=organisation.pk,
            target=person.user.email,
            before={"is_owner": person.user_id in owners, "projects": sorted(held)},
        )


def end_sessions(
    user: User,
    *,
    request: HttpRequest,
    organisation: Organisation | None = None,
    project: Project | None = None,
) -> int:
    """Sign `user` out everywhere, as somebody else decided it; how many sessions ended."""
    is_me = request.user.is_authenticated and request.user.pk == user.pk
    session = getattr(request, "session", None)
    with transaction.atomic():
        ended = sessions.end_others(user, session.session_key if is_me and session is not None else None)
        record(
            "session.end_of_member",
            request=request,
            organisation_id=organisation.pk if organisation else project.organisation_id if project else None,
            project_id=project.pk if project else None,
            target=user.email,
            after={"sessions_ended": ended},
        )
    return ended
