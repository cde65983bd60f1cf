"""What pages and REST read of members and keys, as values."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from allauth.mfa.models import Authenticator
from allauth.usersessions.models import UserSession
from django.db.models import Count, Max

from telltale.accounts.models import Organisation, OrganisationMember, User
from telltale.lib import clock
from telltale.projects.models import ApiKey, Invitation, Project, ProjectMember, Role

UNUSED_AFTER = timedelta(days=90)


@dataclass(frozen=True, slots=True)
class MemberRow:
    """One person of a project; `member_id` is None for an owner, who is in by the organisation."""

    member_id: int | None
    user_id: int
    name: str
    email: str
    role: Role
    last_seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class PersonRow:
    """One person of an organisation."""

    user_id: int
    name: str
    email: str
    is_owner: bool
    has_second_factor: bool
    sessions: int


@dataclass(frozen=True, slots=True)
class KeyRow:
    """One key as it may be shown: never its secret."""

    id: int
    name: str
    public_part: str
    last_four: str
    scopes: tuple[str, ...]
    created_at: datetime
    created_by: str
    last_used_at: datetime | None
    revoked_at: datetime | None
    is_unused: bool
    spans_a_second: int | None
    origins: tuple[str, ...] = ()

    @property
    def is_signals_only(self) -> bool:
        """Whether it may send signals and nothing else: then pages may use it."""
        return self.scopes == ("signal",)


def list_members(project: Project) -> list[MemberRow]:
    """The people of a project: owners first, then by name."""
    owners = [
        (None, row.user, Role.OWNER)
        for row in OrganisationMember.objects.filter(
            organisation_id=project.organisation_id, is_owner=True
        ).select_related("user")
    ]
    owner_ids = {user.pk for _, user, _ in owners}
    members = [
        (row.pk, row.user, Role(row.role))
        for row in ProjectMember.objects.filter(project=project).select_related("user")
        if row.user_id not in owner_ids
    ]
    seen = dict(
        UserSession.objects.filter(user__in=[user.pk for _, user, _ in [*owners, *members]])
        .values_list("user_id")
        .annotate(Max("last_seen_at"))
    )
    rows = [
        MemberRow(member_id, user.pk, str(user), user.email, role, seen.get(user.pk))
        for member_id, user, role in [*owners, *members]
    ]
    return sorted(rows, key=lambda row: (row.role != Role.OWNER, row.name.lower(), row.user_id))


def list_people(organisation: Organisation) -> list[PersonRow]:
    """The people of an organisation: owners first, then by address."""
    rows = organisation.members.select_related("user").order_by("-is_owner", "user__email")
    held = {row.user_id: row for row in rows}
    factors = set(
        Authenticator.objects.filter(user__in=held, type=Authenticator.Type.TOTP).values_list("user_id", flat=True)
    )
    counts = dict(UserSession.objects.filter(user__in=held).values_list("user_id").annotate(Count("pk")))
    return [
        PersonRow(row.user_id, str(row.user), row.user.email, row.is_owner, row.user_id in factors, counts.get(pk, 0))
        for pk, row in held.items()
    ]


def find_person(organisation: Organisation, user: User) -> PersonRow | None:
    """One person of an organisation as a value."""
    return next((row for row in list_people(organisation) if row.user_id == user.pk), None)


def has_second_factor(user: User) -> bool:
    """Whether `user` signs in with a code besides the password."""
    return bool(Authenticator.objects.filter(user=user, type=Authenticator.Type.TOTP).exists())


def list_invitations(project: Project) -> list[Invitation]:
    """Open invitations that still work, newest first."""
    return list(
        Invitation.objects.filter(project=project, accepted_at=None, expires_at__gt=clock.now()).order_by("-created_at")
    )


def list_keys(project: Project) -> list[KeyRow]:
    """The keys of a project: living ones newest first, then revoked ones."""
    rows = ApiKey.objects.filter(project=project).select_related("created_by").order_by("-created_at")
    return sorted((key_row(row) for row in rows), key=lambda row: row.revoked_at is not None)


def key_row(key: ApiKey) -> KeyRow:
    """A key as a value."""
    used = key.last_used_at or key.created_at
    return KeyRow(
        id=key.pk,
        name=key.name,
        public_part=key.public_part,
        last_four=key.last_four,
        scopes=tuple(key.scopes),
        created_at=key.created_at,
        created_by=str(key.created_by) if key.created_by else "",
        last_used_at=key.last_used_at,
        revoked_at=key.revoked_at,
        is_unused=key.revoked_at is None and clock.now() - used > UNUSED_AFTER,
        spans_a_second=key.spans_a_second,
        origins=tuple(key.origins),
    )
