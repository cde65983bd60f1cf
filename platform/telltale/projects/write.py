"""Everything that changes organisations, projects, members and keys, each with its line in the audit log."""

from __future__ import annotations

import hashlib
import secrets
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any

from django.db import transaction
from django.http import HttpRequest
from django.utils.text import slugify

from telltale.accounts import sessions
from telltale.accounts.models import Organisation, OrganisationMember, User
from telltale.audit.log import record, record_in
from telltale.lib import clock
from telltale.projects import keys, read
from telltale.projects.models import ApiKey, Invitation, Project, ProjectMember, Role
from telltale.projects.origins import read_origins

INVITATION_LASTS = timedelta(days=7)
_SLUG_MAX = 60
# Words that would read oddly as a project's address.
_RESERVED = {"new", "all", "none"}


class Refused(Exception):
    """A change that would break a rule; the text says which, for people."""


@dataclass(frozen=True, slots=True)
class ProjectSettings:
    """What a project's settings page holds."""

    name: str
    time_zone: str
    retention_days: int
    feature_names: list[str]
    feature_rules: list[dict[str, str]]
    # None: as it is.
    text_days: int | None = None
    score_days: int | None = None


@dataclass(frozen=True, slots=True)
class Invited:
    """An invitation just made; `token` is in its link and kept nowhere."""

    invitation: Invitation
    token: str


def create_organisation(name: str, owner: User, *, request: HttpRequest | None = None) -> Organisation:
    """A new organisation that `owner` owns."""
    with transaction.atomic():
        organisation = Organisation.objects.create(name=name, slug=_free_slug(Organisation, name))
        OrganisationMember.objects.create(organisation=organisation, user=owner, is_owner=True)
        record("organisation.create", request=request, organisation_id=organisation.pk, target=name)
    return organisation


def rename_organisation(organisation: Organisation, name: str, *, request: HttpRequest | None = None) -> None:
    """Change the name; the address stays."""
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
    """Make `user` an owner or no longer one; Refused where it would leave none."""
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
    """The person can open nothing of the organisation any more. Refused for its only owner."""
    organisation = person.organisation
    with transaction.atomic():
        owners = set(
            OrganisationMember.objects.select_for_update()
            .filter(organisation=organisation, is_owner=True)
            .values_list("user_id", flat=True)
        )
        if owners <= {person.user_id}:
            raise Refused("An organisation needs an owner. Name another one first.")
        left = ProjectMember.objects.filter(project__organisation=organisation, user=person.user_id)
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


def create_project(
    organisation: Organisation, name: str, *, time_zone: str = "UTC", request: HttpRequest | None = None
) -> Project:
    """A new project; its address is made of the name and is unique in the installation."""
    with transaction.atomic():
        project = Project.objects.create(
            organisation=organisation, name=name, slug=_free_slug(Project, name), time_zone=time_zone
        )
        after = {"name": name, "time_zone": time_zone}
        record_in(project, "project.create", project.slug, request=request, after=after)
    return project


def change_project(project: Project, to: ProjectSettings, *, request: HttpRequest | None = None) -> bool:
    """Change the settings; False where nothing differs. Only what differs goes to the audit log."""
    after = {name: value for name, value in asdict(to).items() if value is not None}
    with transaction.atomic():
        row = Project.objects.select_for_update().get(pk=project.pk)
        before = {name: getattr(row, name) for name in after}
        changed = [name for name in after if before[name] != after[name]]
        if not changed:
            return False
        for name in changed:
            setattr(row, name, after[name])
        row.save(update_fields=changed)
        record_in(
            row,
            "project.settings",
            row.slug,
            request=request,
            before={name: before[name] for name in changed},
            after={name: after[name] for name in changed},
        )
    return True


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
        Invitation.objects.filter(token_sha256=hash_token(token), accepted_at=None, expires_at__gt=clock.now())
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
        Invitation.objects.filter(pk=invitation.pk, accepted_at=None).delete()
        record_in(invitation.project, "member.withdraw", invitation.email, request=request)


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
        ProjectMember.objects.filter(pk=member.pk).delete()
        record_in(member.project, "member.remove", member.user.email, request=request, before={"role": member.role})


def create_key(
    project: Project,
    name: str,
    scopes: tuple[str, ...],
    *,
    spans_a_second: int | None = None,
    origins: tuple[str, ...] = (),
    by: User | None = None,
    request: HttpRequest | None = None,
) -> keys.NewKey:
    """A new key of the project. Its secret is in the answer and nowhere else. ValueError as `keys.make_key`."""
    with transaction.atomic():
        made = keys.make_key(
            project, name, scopes, spans_a_second=spans_a_second, origins=origins, created_by_id=by.pk if by else None
        )
        told: dict[str, Any] = {} if spans_a_second is None else {"spans_a_second": spans_a_second}
        told |= {"origins": list(made.key.origins)} if made.key.origins else {}
        record_in(
            made.key.project,
            "key.create",
            made.key.public_part,
            request=request,
            after={"name": name, "scopes": list(scopes), **told},
        )
    return made


def limit_key(key: ApiKey, spans_a_second: int | None, *, request: HttpRequest | None = None) -> bool:
    """Change how much a key may send a second, None as the installation says; False where it is that already.

    Every process knows within the seconds that keys are held in memory.
    """
    with transaction.atomic():
        before = ApiKey.objects.select_for_update(no_key=True).values_list("spans_a_second", flat=True).get(pk=key.pk)
        if before == spans_a_second:
            return False
        ApiKey.objects.filter(pk=key.pk).update(spans_a_second=spans_a_second)
        record_in(
            key.project,
            "key.limit",
            key.public_part,
            request=request,
            before={"spans_a_second": before},
            after={"spans_a_second": spans_a_second},
        )
    return True


def set_origins(key: ApiKey, origins: tuple[str, ...], *, request: HttpRequest | None = None, actor: str = "") -> bool:
    """Change the pages that may use a key from a browser; False where they are these already.

    OriginRefused where one is no origin; ValueError where the key may do more than send signals.
    """
    wanted = list(read_origins(origins))
    keys.check_origins(key.scopes, wanted)
    with transaction.atomic():
        before = ApiKey.objects.select_for_update(no_key=True).values_list("origins", flat=True).get(pk=key.pk)
        if before == wanted:
            return False
        ApiKey.objects.filter(pk=key.pk).update(origins=wanted)
        record_in(
            key.project,
            "key.origins",
            key.public_part,
            request=request,
            actor=actor,
            before={"origins": before},
            after={"origins": wanted},
        )
    return True


def revoke_key(key: ApiKey, *, request: HttpRequest | None = None) -> bool:
    """Revoke a key; False where it was revoked already."""
    with transaction.atomic():
        was_alive = keys.revoke(key)
        if was_alive:
            record_in(key.project, "key.revoke", key.public_part, request=request)
    return was_alive


def hash_token(token: str) -> bytes:
    """Under which an invitation's link is kept and found."""
    return hashlib.sha256(token.encode("utf-8", "replace")).digest()


def _free_slug(model: type[Organisation] | type[Project], name: str) -> str:
    """An address nobody has yet."""
    stem = slugify(name)[: _SLUG_MAX - 5].strip("-_") or model.__name__.lower()
    taken = set(model._default_manager.filter(slug__startswith=stem).values_list("slug", flat=True)) | _RESERVED
    if stem not in taken:
        return stem
    return next(f"{stem}-{number}" for number in range(2, len(taken) + 3) if f"{stem}-{number}" not in taken)
