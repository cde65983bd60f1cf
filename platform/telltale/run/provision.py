"""Making what must be there before anybody can log in: a person, an organisation, a project, a key. Safe to repeat."""

from __future__ import annotations

import hashlib
import os
import secrets
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email
from django.db import transaction
from django.utils.text import slugify

from telltale.accounts.models import Organisation, OrganisationMember, User
from telltale.audit.log import record, record_in
from telltale.projects.keys import SCOPES, hash_secret, make_key
from telltale.projects.models import ApiKey, Project
from telltale.projects.write import set_origins

DEFAULT_EMAIL = "admin@localhost.localdomain"
DEFAULT_SCOPES = ("ingest", "signal", "read", "write")
ACTOR = "provisioning"


class ProvisionError(ValueError):
    """What was asked for cannot be; the text says which part, without quoting a secret."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What should be there. Empty parts are left as they are, or get their default where nothing is there."""

    email: str
    password: str = ""
    organisation: str = ""
    project: str = "default"
    public_key: str = ""
    secret_key: str = ""
    scopes: tuple[str, ...] = ()
    origins: tuple[str, ...] | None = None  # None: as they are
    is_operator: bool = False
    must_change_password: bool = False


@transaction.atomic
def provision(wanted: Wanted) -> dict[str, Any]:
    """What is there now: ids, addresses, and the secrets made by this call alone. ProvisionError undoes it all."""
    user, password = _person(wanted)
    organisation = _organisation(wanted)
    _owner(organisation, user)
    project = _project(wanted, organisation)
    key, secret = _key(wanted, project, user)
    if key is not None:
        _give_origins(key, wanted.origins)
    return {
        "email": user.email,
        "user_id": user.pk,
        "password": password,
        "organisation": organisation.slug,
        "organisation_id": organisation.pk,
        "project": project.slug,
        "project_id": project.pk,
        "public_key": key.public_part if key else None,
        "secret_key": secret,
        "scopes": sorted(key.scopes) if key else [],
        "origins": list(key.origins) if key else [],
    }


def provision_first() -> dict[str, Any]:
    """Provision what TELLTALE_INIT_* name, or, in an installation without people, one of each with random secrets.

    Empty where nothing was to do.
    """

    def named(name: str) -> str:
        return os.environ.get(f"TELLTALE_INIT_{name}", "").strip()

    email = named("ADMIN_EMAIL")
    is_new = not User.objects.exists()
    if not email and not is_new:
        return {}
    password = named("ADMIN_PASSWORD")
    wanted = Wanted(
        email=email or DEFAULT_EMAIL,
        # A person who is there keeps the password they chose since.
        password=password if is_new or not User.objects.filter(email=email.lower()).exists() else "",
        project=named("PROJECT") or "default",
        public_key=named("PUBLIC_KEY"),
        secret_key=named("SECRET_KEY"),
        is_operator=True,
        must_change_password=not password,
    )
    return provision(wanted)


def _person(wanted: Wanted) -> tuple[User, str | None]:
    email = wanted.email.strip().lower()
    try:
        validate_email(email)
    except ValidationError:
        raise ProvisionError("the e-mail address has a wrong form") from None
    user = User.objects.filter(email=email).first()
    made = None
    if user is None:
        made = None if wanted.password else secrets.token_urlsafe(16)
        user = User.objects.create_user(
            email, wanted.password or made, must_change_password=wanted.must_change_password or bool(made)
        )
        record("person.create", actor=ACTOR, target=email, after={"by": "operator"})
    elif wanted.password and not user.check_password(wanted.password):
        user.set_password(wanted.password)
        user.save(update_fields=["password"])
        record("password.set", actor=ACTOR, target=email)
    if wanted.is_operator and not user.is_superuser:
        User.objects.filter(pk=user.pk).update(is_superuser=True, is_staff=True)
        record("person.operator", actor=ACTOR, target=email, after={"is_operator": True})
    return user, made


def _organisation(wanted: Wanted) -> Organisation:
    existing = Project.objects.filter(slug=_slug(wanted.project)).select_related("organisation").first()
    if not wanted.organisation:
        first = existing.organisation if existing else Organisation.objects.order_by("pk").first()
        return first or _made(Organisation.objects.create(name="Home", slug="home"))
    slug = _slug(wanted.organisation)
    organisation, is_new = Organisation.objects.get_or_create(slug=slug, defaults={"name": wanted.organisation})
    if existing and existing.organisation_id != organisation.pk:
        raise ProvisionError(f"the project {existing.slug} belongs to another organisation")
    return _made(organisation) if is_new else organisation


def _made(organisation: Organisation) -> Organisation:
    record("organisation.create", actor=ACTOR, organisation_id=organisation.pk, target=organisation.name)
    return organisation


def _owner(organisation: Organisation, user: User) -> None:
    held = OrganisationMember.objects.filter(organisation=organisation, user=user).first()
    if held is not None and held.is_owner:
        return
    OrganisationMember.objects.update_or_create(organisation=organisation, user=user, defaults={"is_owner": True})
    record(
        "organisation.owner",
        actor=ACTOR,
        organisation_id=organisation.pk,
        target=user.email,
        before={"is_owner": False},
        after={"is_owner": True},
    )


def _project(wanted: Wanted, organisation: Organisation) -> Project:
    project, is_new = Project.objects.get_or_create(
        slug=_slug(wanted.project), defaults={"name": wanted.project, "organisation": organisation}
    )
    if is_new:
        record_in(project, "project.create", project.slug, actor=ACTOR, after={"name": project.name})
    return project


def _slug(name: str) -> str:
    slug = slugify(name)[:60]
    if not slug:
        raise ProvisionError("the name of a project or organisation needs a letter or a digit")
    return slug


def _give_origins(key: ApiKey, origins: tuple[str, ...] | None) -> None:
    try:
        # Scopes may have changed under origins that are to stay.
        if set_origins(key, tuple(key.origins) if origins is None else origins, actor=ACTOR):
            key.refresh_from_db(fields=["origins"])
    except ValueError as error:
        raise ProvisionError(str(error)) from None


def _key(wanted: Wanted, project: Project, user: User) -> tuple[ApiKey | None, str | None]:
    """The key, and its secret part where it was made here at random."""
    scopes = wanted.scopes or DEFAULT_SCOPES
    if set(scopes) - set(SCOPES):
        raise ProvisionError(f"scopes must be some of {', '.join(SCOPES)}")
    if not wanted.secret_key:
        if wanted.public_key:
            raise ProvisionError("a public key needs its secret key beside it")
        live = ApiKey.objects.filter(project=project, revoked_at=None).order_by("pk").first()
        if live:
            return live, None
        new = make_key(project, "First key", scopes, created_by_id=user.pk)
        _note_key(new.key)
        return new.key, new.secret
    public_part = wanted.public_key or "tt_pk_" + hashlib.sha256(wanted.secret_key.encode()).hexdigest()[:24]
    by_secret = ApiKey.objects.filter(secret_sha256=hash_secret(wanted.secret_key)).first()
    by_public = ApiKey.objects.filter(public_part=public_part).first()
    for found in (by_secret, by_public):
        if found and found.project_id != project.pk:
            raise ProvisionError("this key belongs to another project")
    if by_secret and (not wanted.public_key or by_secret.public_part == public_part):
        if by_secret.revoked_at:
            raise ProvisionError("this key was revoked; a revoked key never lives again")
        if wanted.scopes and set(by_secret.scopes) != set(scopes):
            before, after = {"scopes": list(by_secret.scopes)}, {"scopes": list(scopes)}
            ApiKey.objects.filter(pk=by_secret.pk).update(scopes=list(scopes))
            by_secret.scopes = list(scopes)
            record_in(project, "key.scopes", public_part, actor=ACTOR, before=before, after=after)
        return by_secret, None
    if by_secret or by_public:
        raise ProvisionError("the public and the secret key do not belong together")
    try:
        new = make_key(
            project,
            "Provisioned",
            scopes,
            created_by_id=user.pk,
            public_part=public_part,
            secret=wanted.secret_key,
        )
    except ValueError as error:
        raise ProvisionError(str(error)) from None
    _note_key(new.key)
    return new.key, None


def _note_key(key: ApiKey) -> None:
    told = {"name": key.name, "scopes": list(key.scopes)}
    record_in(key.project, "key.create", key.public_part, actor=ACTOR, after=told)
