"""Who may do what: the one table of roles, and the one door to each object people ask for.

Not yours and not there look the same (`Http404`). Yours, but beyond your role, raises `RoleLacking`, which becomes a
page that says which role can; a change that was tried is written down.
`docs/roles.md` prints the table; a test holds the two together.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

from django.contrib.auth.models import AnonymousUser
from django.contrib.auth.views import redirect_to_login
from django.core.exceptions import PermissionDenied
from django.db import connection
from django.db.models import Exists, Field, Model, OuterRef
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase

from telltale.accounts.models import Organisation, OrganisationMember, User
from telltale.audit.downloads import audit_download
from telltale.audit.log import record_refused
from telltale.projects.models import ApiKey, Invitation, Project, ProjectMember, Role

P = ParamSpec("P")
T = TypeVar("T")
M = TypeVar("M", bound=Model)
Person = User | AnonymousUser

RANK = {Role.VIEWER: 1, Role.REVIEWER: 2, Role.ENGINEER: 3, Role.ADMIN: 4, Role.OWNER: 5}


@dataclass(frozen=True, slots=True)
class Act:
    """Something a person may do from `at_least` on; `scope` is what a key needs for the same by REST."""

    name: str
    label: str
    at_least: Role
    scope: str


ACTS = (
    Act("read", "Read traces, sessions, cost, charts and accounting", Role.VIEWER, "read"),
    Act("export", "Export lists as CSV", Role.VIEWER, "read"),
    Act("review", "Review answers, work incidents", Role.REVIEWER, "write"),
    Act("note", "Comment on traces, label them", Role.REVIEWER, "write"),
    Act("share", "Share views with the project", Role.ENGINEER, "write"),
    Act("measure", "Change monitors, judges, probes and datasets, log changes", Role.ENGINEER, "write"),
    Act("settings", "Change name, time zone, retention and features", Role.ADMIN, "admin"),
    Act("prices", "Change prices, price again what is stored", Role.ADMIN, "admin"),
    Act("forward", "Send spans on to other systems", Role.ADMIN, "admin"),
    Act("notify", "Change channels and routes of notifications", Role.ADMIN, "admin"),
    Act("connect", "Change connections to models, limits of judging", Role.ADMIN, "admin"),
    Act("keys", "Make and revoke keys", Role.ADMIN, "admin"),
    Act("members", "Invite and remove people, change their roles", Role.ADMIN, "admin"),
    Act("audit", "Read the audit log", Role.ADMIN, "admin"),
    Act("erase", "Erase traces, sessions and users", Role.ADMIN, "admin"),
    Act("remove", "Remove the project, keep it after all", Role.OWNER, "admin"),
    Act("organisation", "Create projects, rename or remove the organisation, name owners", Role.OWNER, ""),
)
ACT = {act.name: act for act in ACTS}


class RoleLacking(PermissionDenied):
    """A member asked for more than their role allows."""

    def __init__(self, needs: Role, has: Role, project: Project | None = None) -> None:
        super().__init__(f"needs the role {needs.label}")
        self.needs = needs
        self.has = has
        self.project = project


class SecondFactorLacking(PermissionDenied):
    """An organisation of this person asks for a second factor, and they have none: first that, then anything else."""

    def __init__(self) -> None:
        super().__init__("Your organisation asks for a second factor. Set one up under Your account first.")


def is_at_least(role: Role | None, needed: Role) -> bool:
    """Whether `role` reaches `needed`; nobody's role never does."""
    return role is not None and RANK[role] >= RANK[needed]


def may(project: Project, act: str) -> bool:
    """Whether the person `project` was fetched for may do `act` in it; KeyError for an act of no name."""
    return is_at_least(project.your_role, ACT[act].at_least)


def require(project: Project, act: str) -> None:
    """RoleLacking where the person `project` was fetched for may not do `act`."""
    if not may(project, act):
        raise RoleLacking(ACT[act].at_least, project.your_role or Role.VIEWER, project)


def note_refusal(request: HttpRequest, lacking: RoleLacking) -> None:
    """Write down that a change was tried which the person's role does not allow; reading is not written down."""
    if lacking.project is not None and request.method not in {"GET", "HEAD", "OPTIONS"}:
        record_refused(lacking.project, request, lacking.needs, lacking.has)


def role_table() -> list[tuple[Act, tuple[bool, ...]]]:
    """The table of roles as pages and docs show it: each act, and for each role whether it may."""
    return [(act, tuple(is_at_least(role, act.at_least) for role in Role)) for act in ACTS]


def roles_that_may(act: str) -> tuple[Role, ...]:
    """The roles that may do `act`, weakest first."""
    return tuple(role for role in Role if is_at_least(role, ACT[act].at_least))


# The ORM takes 2 ms to put this question together, and every page asks it twice (the page's project, the switcher).
_YOURS = """
    SELECT {columns}, CASE WHEN w.id IS NULL THEN m.role ELSE 'owner' END, {lacks_factor}
    FROM projects_project AS p
    JOIN accounts_organisation AS o ON o.id = p.organisation_id
    LEFT JOIN projects_projectmember AS m ON m.project_id = p.id AND m.user_id = %(user)s
    LEFT JOIN accounts_organisationmember AS w
        ON w.organisation_id = p.organisation_id AND w.user_id = %(user)s AND w.is_owner
    WHERE (m.id IS NOT NULL OR w.id IS NOT NULL) AND {condition}
    ORDER BY p.name
"""


# Asked with the question above, once for all rows: who is in an organisation that wants a second factor, and has none.
_LACKS_FACTOR = """
    (
        EXISTS (
            SELECT FROM accounts_organisation AS wants WHERE wants.requires_second_factor AND (
                EXISTS (
                    SELECT FROM accounts_organisationmember AS of
                    WHERE of.organisation_id = wants.id AND of.user_id = %(user)s
                ) OR EXISTS (
                    SELECT FROM projects_projectmember AS of JOIN projects_project AS its ON its.id = of.project_id
                    WHERE its.organisation_id = wants.id AND of.user_id = %(user)s
                )
            )
        ) AND NOT EXISTS (SELECT FROM mfa_authenticator AS f WHERE f.user_id = %(user)s AND f.type = 'totp')
    )
"""


# Every REST question of a key asks this, for the same reason without the ORM.
_OF_KEY = """
    SELECT {columns} FROM projects_project AS p JOIN accounts_organisation AS o ON o.id = p.organisation_id
    WHERE p.id = %s
"""


def project_of_key(project_id: int) -> Project | None:
    """The project that a key is of, with its organisation; None where it is gone."""
    fields, others = _columns()
    with connection.cursor() as cursor:
        cursor.execute(_of_key_query(), [project_id])
        row = cursor.fetchone()
    if row is None:
        return None
    project = _made(Project, fields, row[: len(fields)])
    project.organisation = _made(Organisation, others, row[len(fields) :])
    return project


def projects_of(user: Person) -> list[Project]:
    """The projects of `user` by name, each with `your_role` and its organisation."""
    return _yours(user, "true", {})


def get_project_for(user: Person, slug: str, at_least: Role = Role.VIEWER) -> Project:
    """The project `slug` with `your_role`, for a person who is in it.

    Http404 where there is none or it is not theirs; RoleLacking where their role is below `at_least`.
    """
    found = _yours(user, "p.slug = %(slug)s", {"slug": slug})
    if not found:
        raise Http404
    project = found[0]
    if not is_at_least(project.your_role, at_least):
        raise RoleLacking(at_least, project.your_role or Role.VIEWER, project)
    return project


def _yours(user: Person, condition: str, params: dict[str, Any]) -> list[Project]:
    """The projects that `user` is a member of, or owns through the organisation; none for somebody unknown.

    SecondFactorLacking where there are some, and an organisation of theirs wants a second factor they do not have.
    """
    if not user.is_authenticated or not user.is_active:
        return []
    fields, others = _columns()
    query = _yours_query(condition)
    with connection.cursor() as cursor:
        cursor.execute(query, params | {"user": user.pk})
        rows = cursor.fetchall()
    if rows and rows[0][-1]:
        raise SecondFactorLacking
    found = []
    for row in rows:
        project = _made(Project, fields, row[: len(fields)])
        project.organisation = _made(Organisation, others, row[len(fields) : -2])
        project.your_role = Role(row[-2])
        found.append(project)
    return found


@cache
def _columns() -> tuple[tuple[Field[Any, Any], ...], tuple[Field[Any, Any], ...]]:
    return tuple(Project._meta.concrete_fields), tuple(Organisation._meta.concrete_fields)


@cache
def _yours_query(condition: str) -> str:
    fields, others = _columns()
    columns = [*(f'p."{field.column}"' for field in fields), *(f'o."{field.column}"' for field in others)]
    return _YOURS.format(columns=", ".join(columns), condition=condition, lacks_factor=_LACKS_FACTOR)


@cache
def _of_key_query() -> str:
    fields, others = _columns()
    columns = [*(f'p."{field.column}"' for field in fields), *(f'o."{field.column}"' for field in others)]
    return _OF_KEY.format(columns=", ".join(columns))


def _made(model: type[M], fields: tuple[Field[Any, Any], ...], values: tuple[Any, ...]) -> M:
    """An object of the ORM from a row of its columns."""
    given = [
        field.from_db_value(value, None, connection) if hasattr(field, "from_db_value") else value
        for field, value in zip(fields, values, strict=True)
    ]
    return model.from_db(connection.alias, [field.attname for field in fields], given)


def get_key_for(user: Person, slug: str, key_id: int, at_least: Role = Role.ADMIN) -> ApiKey:
    """One key of a project, for those who may manage keys."""
    project = get_project_for(user, slug, at_least)
    return _one(ApiKey.objects.filter(project=project, pk=key_id).select_related("project").first())


def get_member_for(user: Person, slug: str, member_id: int, at_least: Role = Role.ADMIN) -> ProjectMember:
    """One membership of a project, for those who may manage members."""
    project = get_project_for(user, slug, at_least)
    return _one(ProjectMember.objects.filter(project=project, pk=member_id).select_related("user", "project").first())


def get_invitation_for(user: Person, slug: str, invitation_id: int, at_least: Role = Role.ADMIN) -> Invitation:
    """One open invitation of a project, for those who may manage members."""
    project = get_project_for(user, slug, at_least)
    return _one(
        Invitation.objects.filter(project=project, pk=invitation_id, accepted_at=None).select_related("project").first()
    )


def lacks_second_factor(user: Person) -> bool:
    """Whether `user` is in an organisation that asks for a second factor, and has none."""
    if not user.is_authenticated:
        return False
    with connection.cursor() as cursor:
        cursor.execute(f"SELECT {_LACKS_FACTOR}", {"user": user.pk})
        return bool(cursor.fetchone()[0])


def get_organisation_for(user: Person, slug: str) -> Organisation:
    """One organisation, for its owners; everybody else gets Http404. SecondFactorLacking as `get_project_for`."""
    if not user.is_authenticated:
        raise Http404
    found = _one(
        Organisation.objects.filter(
            Exists(OrganisationMember.objects.filter(organisation=OuterRef("pk"), user=user, is_owner=True)), slug=slug
        ).first()
    )
    if lacks_second_factor(user):
        raise SecondFactorLacking
    return found


def get_person_for(user: Person, slug: str, user_id: int) -> OrganisationMember:
    """One person of an organisation, for its owners."""
    organisation = get_organisation_for(user, slug)
    people = OrganisationMember.objects.select_related("user", "organisation")
    return _one(people.filter(organisation=organisation, user_id=user_id).first())


def owned_organisations(user: Person) -> list[Organisation]:
    """The organisations `user` owns, by name. SecondFactorLacking as `get_project_for`."""
    if not user.is_authenticated:
        return []
    if lacks_second_factor(user):
        raise SecondFactorLacking
    return list(Organisation.objects.filter(members__user=user, members__is_owner=True).order_by("name"))


def may_create_organisations(user: User) -> bool:
    """Whether `user` may make another organisation: who owns one already, and who operates the installation."""
    return user.is_superuser or bool(owned_organisations(user))


def project_page(
    at_least: Role = Role.VIEWER,
) -> Callable[
    [Callable[Concatenate[HttpRequest, Project, P], HttpResponseBase]],
    Callable[Concatenate[HttpRequest, str, P], HttpResponseBase],
]:
    """Decorate a page of one project: signed in, a member, of the role; the view takes (request, project, ...).

    The address names the project by `<slug:slug>`. The shell finds it as `request.project`.
    """

    def decorate(
        view: Callable[Concatenate[HttpRequest, Project, P], HttpResponseBase],
    ) -> Callable[Concatenate[HttpRequest, str, P], HttpResponseBase]:
        @wraps(view)
        def page(request: HttpRequest, slug: str, *args: P.args, **kwargs: P.kwargs) -> HttpResponseBase:
            if not request.user.is_authenticated:
                return sign_in_first(request)
            try:
                project = get_project_for(request.user, slug, at_least)
                request.project = project  # type: ignore[attr-defined]
                return audit_download(request, view(request, project, *args, **kwargs), project=project)
            except RoleLacking as lacking:
                note_refusal(request, lacking)
                raise

        return page  # type: ignore[return-value]

    return decorate


def sign_in_first(request: HttpRequest) -> HttpResponse:
    """The way to the login page and back; a swapped fragment takes the whole page there."""
    to_login = redirect_to_login(request.get_full_path())
    if request.headers.get("HX-Request") != "true":
        return to_login
    return HttpResponse(status=401, headers={"HX-Redirect": to_login.url})


def _one(found: T | None) -> T:
    if found is None:
        raise Http404
    return found
