"""REST: a project's settings, keys and members, by the same rules as their pages."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any
from zoneinfo import available_timezones

from django.conf import settings
from django.urls import reverse
from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from telltale.projects import read, write
from telltale.projects.forms import FEATURES_MAX, RETENTION_MAX_DAYS, ROLE_CHOICES
from telltale.projects.keys import RATE_MAX, SCOPES, check_origins
from telltale.projects.models import ApiKey, Invitation, Project, ProjectMember, Role
from telltale.projects.origins import FORM, ORIGIN_CHARS_MAX, ORIGINS_MAX, OriginRefused, read_origins
from telltale.rest import form, shapes
from telltale.rest.body import checked
from telltale.rest.params import row_id
from telltale.rest.problems import Problem, bad_field, not_found
from telltale.rest.views import ProjectView

RULES_MAX = 50
SETTINGS = ("name", "time_zone", "retention_days", "text_days", "score_days", "feature_names", "feature_rules")
ZONE_LIMIT = "an IANA time zone such as Europe/Stockholm"
# The two are no places: one is whatever the machine says, the other says that nobody set it.
_ZONES = frozenset(available_timezones()) - {"localtime", "Factory"}


class RuleShape(serializers.Serializer[Any]):
    match = serializers.ChoiceField(choices=["root_name", "service"])
    pattern = serializers.CharField(max_length=200)
    feature = serializers.CharField(max_length=200)


class SettingsBody(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=120, required=False)
    time_zone = serializers.CharField(
        max_length=64, required=False, help_text="An IANA zone; days are cut in it.", style={"limit": ZONE_LIMIT}
    )
    retention_days = serializers.IntegerField(
        min_value=1, max_value=RETENTION_MAX_DAYS, required=False, help_text="Traces, spans, sessions, signals."
    )
    text_days = serializers.IntegerField(
        min_value=1,
        max_value=RETENTION_MAX_DAYS,
        required=False,
        help_text="Bodies, previews, search. Never longer than the trace: the smaller of the two holds.",
    )
    score_days = serializers.IntegerField(
        min_value=1, max_value=RETENTION_MAX_DAYS, required=False, help_text="Scores, judgements; may outlive traces."
    )
    feature_names = serializers.ListField(
        child=serializers.CharField(max_length=200), max_length=FEATURES_MAX, required=False
    )
    feature_rules = serializers.ListField(child=RuleShape(), max_length=RULES_MAX, required=False)

    def validate_time_zone(self, value: str) -> str:
        if value not in _ZONES:
            raise serializers.ValidationError("is no IANA time zone")
        return value

    def validate_feature_names(self, value: list[str]) -> list[str]:
        return list(dict.fromkeys(value))


class ProjectShape(serializers.Serializer[Any]):
    slug = serializers.CharField()
    name = serializers.CharField()
    organisation = serializers.CharField()
    time_zone = serializers.CharField()
    retention_days = serializers.IntegerField()
    text_days = serializers.IntegerField()
    score_days = serializers.IntegerField()
    feature_names = serializers.ListField(child=serializers.CharField())
    feature_rules = RuleShape(many=True)
    first_span_at = serializers.DateTimeField(allow_null=True)
    created_at = serializers.DateTimeField()


class ProjectSettingsView(ProjectView):
    acts = {"GET": "read", "PATCH": "settings"}

    @shapes.describe("The project and its settings", ProjectShape, tag="Project")
    def get(self, request: Request) -> Response:
        return Response(project_json(self.project))

    @shapes.describe("Change the settings", ProjectShape, tag="Project", body=SettingsBody)
    def patch(self, request: Request) -> Response:
        body = checked(SettingsBody, request)
        kept = {name: body.get(name, getattr(self.project, name)) for name in SETTINGS}
        write.change_project(self.project, write.ProjectSettings(**kept), request=self.http)
        return Response(project_json(Project.objects.select_related("organisation").get(pk=self.project.pk)))


def _origins() -> serializers.ListField:
    return serializers.ListField(
        child=serializers.CharField(max_length=ORIGIN_CHARS_MAX),
        max_length=ORIGINS_MAX,
        required=False,
        help_text=f"Pages that may send signals with it from a browser: {FORM}. Such a key has the scope signal alone.",
    )


class OriginsBody(serializers.Serializer[Any]):
    """What bodies with origins share: each is read as a browser writes it."""

    def validate_origins(self, value: list[str]) -> list[str]:
        try:
            return list(read_origins(value))
        except OriginRefused as refused:
            raise serializers.ValidationError(str(refused)) from None


class KeyBody(OriginsBody):
    name = serializers.CharField(max_length=120)
    scopes = serializers.ListField(
        child=serializers.ChoiceField(choices=list(SCOPES)), min_length=1, max_length=len(SCOPES)
    )
    spans_a_second = serializers.IntegerField(
        min_value=1, max_value=RATE_MAX, required=False, allow_null=True, help_text="Null: as the installation says."
    )
    origins = _origins()


class LimitBody(OriginsBody):
    spans_a_second = serializers.IntegerField(
        min_value=1, max_value=RATE_MAX, allow_null=True, required=False, help_text="Null: as the installation says."
    )
    origins = _origins()


class KeyShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    name = serializers.CharField()
    public_part = serializers.CharField()
    last_four = serializers.CharField()
    scopes = serializers.ListField(child=serializers.CharField())
    created_at = serializers.DateTimeField()
    created_by = serializers.CharField()
    last_used_at = serializers.DateTimeField(allow_null=True)
    revoked_at = serializers.DateTimeField(allow_null=True)
    is_unused = serializers.BooleanField(help_text="Alive, and not used for 90 days.")
    spans_a_second = serializers.IntegerField(allow_null=True, help_text="Null: as the installation says.")
    origins = serializers.ListField(child=serializers.CharField(), help_text="Pages that may use it from a browser.")


class NewKeyShape(KeyShape):
    secret = serializers.CharField(help_text="Shown in this answer alone.")


class KeyListShape(serializers.Serializer[Any]):
    items = KeyShape(many=True)


class KeysView(ProjectView):
    acts = {"GET": "read", "POST": "keys"}
    key_scopes = {"GET": "admin"}

    @shapes.describe("The keys of the project", KeyListShape, tag="Keys", detail="Living ones first; never a secret.")
    def get(self, request: Request) -> Response:
        return Response({"items": [key_json(row) for row in read.list_keys(self.project)]})

    @shapes.describe("Make a key", NewKeyShape, tag="Keys", status=201, body=KeyBody)
    def post(self, request: Request) -> Response:
        body = checked(KeyBody, request)
        scopes, origins = tuple(dict.fromkeys(body["scopes"])), tuple(body.get("origins", ()))
        _check_origins(scopes, origins)
        made = write.create_key(
            self.project,
            body["name"],
            scopes,
            spans_a_second=body.get("spans_a_second"),
            origins=origins,
            by=self.person,
            request=self.http,
        )
        return Response({**key_json(read.key_row(made.key)), "secret": made.secret}, status=201)


class KeyView(ProjectView):
    acts = {"PATCH": "keys", "DELETE": "keys"}

    @shapes.describe(
        "Limit a key",
        KeyShape,
        tag="Keys",
        body=LimitBody,
        detail="How many spans, log records and metric points (of a key for browsers: signals) it may send a second; "
        "beyond it the answer is 429. And which pages may send signals with it. What is left out stays.",
    )
    def patch(self, request: Request, key_id: str) -> Response:
        key = self._key(key_id)
        body = checked(LimitBody, request)
        if not body:
            raise bad_field("spans_a_second", "or origins is required", limit="at least one of the two")
        if "origins" in body:
            _check_origins(key.scopes, body["origins"])
            write.set_origins(key, tuple(body["origins"]), request=self.http)
        if "spans_a_second" in body:
            write.limit_key(key, body["spans_a_second"], request=self.http)
        key.refresh_from_db()
        return Response(key_json(read.key_row(key)))

    @shapes.describe(
        "Revoke a key",
        KeyShape,
        tag="Keys",
        detail="It stops working within 5 seconds. Revoking it again changes nothing.",
    )
    def delete(self, request: Request, key_id: str) -> Response:
        key = self._key(key_id)
        write.revoke_key(key, request=self.http)
        key.refresh_from_db()
        return Response(key_json(read.key_row(key)))

    def _key(self, key_id: str) -> ApiKey:
        key = ApiKey.objects.filter(project=self.project, pk=row_id(key_id)).select_related("project").first()
        if key is None:
            raise not_found()
        return key


def _check_origins(scopes: Iterable[str], origins: Iterable[str]) -> None:
    try:
        check_origins(scopes, origins)
    except ValueError as error:
        raise bad_field("origins", str(error), limit="the scope signal alone", value=", ".join(scopes)) from None


class MemberShape(serializers.Serializer[Any]):
    id = serializers.IntegerField(allow_null=True, help_text="Null for owners, who are in by the organisation.")
    name = serializers.CharField()
    email = serializers.CharField()
    role = serializers.ChoiceField(choices=Role.choices)
    last_seen_at = serializers.DateTimeField(allow_null=True)


class InvitationShape(serializers.Serializer[Any]):
    id = serializers.IntegerField()
    email = serializers.CharField()
    role = serializers.CharField()
    expires_at = serializers.DateTimeField()


class NewInvitationShape(InvitationShape):
    link = serializers.CharField(help_text="Shown in this answer alone; works once.")


class MemberListShape(serializers.Serializer[Any]):
    items = MemberShape(many=True)
    invitations = InvitationShape(many=True)


class InviteBody(serializers.Serializer[Any]):
    email = serializers.EmailField(max_length=254)
    role = serializers.ChoiceField(choices=ROLE_CHOICES)


class RoleBody(serializers.Serializer[Any]):
    role = serializers.ChoiceField(choices=ROLE_CHOICES)


class MembersView(ProjectView):
    acts = {"GET": "read", "POST": "members"}
    key_scopes = {"GET": "admin"}

    @shapes.describe("The people of the project", MemberListShape, tag="Members", detail="With open invitations.")
    def get(self, request: Request) -> Response:
        invitations = [invitation_json(row) for row in read.list_invitations(self.project)]
        return Response(
            {"items": [member_json(row) for row in read.list_members(self.project)], "invitations": invitations}
        )

    @shapes.describe(
        "Invite somebody", NewInvitationShape, tag="Members", status=201, body=InviteBody, problems={409: "In already."}
    )
    def post(self, request: Request) -> Response:
        body = checked(InviteBody, request)
        try:
            made = write.invite(self.project, body["email"], Role(body["role"]), by=self.person, request=self.http)
        except write.Refused as refusal:
            raise Problem(409, str(refusal)) from None
        link = settings.TELLTALE_PUBLIC_URL + reverse("join", args=[made.token])
        return Response({**invitation_json(made.invitation), "link": link}, status=201)


class MemberView(ProjectView):
    acts = {"PATCH": "members", "DELETE": "members"}

    @shapes.describe("Change a member's role", MemberListShape, tag="Members", body=RoleBody)
    def patch(self, request: Request, member_id: str) -> Response:
        body = checked(RoleBody, request)
        write.set_role(self._member(member_id), Role(body["role"]), request=self.http)
        return Response(
            {
                "items": [member_json(row) for row in read.list_members(self.project)],
                "invitations": [invitation_json(row) for row in read.list_invitations(self.project)],
            }
        )

    @shapes.describe("Remove a member", None, tag="Members", status=204)
    def delete(self, request: Request, member_id: str) -> Response:
        write.remove_member(self._member(member_id), request=self.http)
        return Response(status=204)

    def _member(self, member_id: str) -> ProjectMember:
        member = member_of(self.project, member_id)
        if member is None:
            raise not_found()
        return member


def member_of(project: Project, member_id: str) -> ProjectMember | None:
    """The membership of this id, where it is one of `project`."""
    members = ProjectMember.objects.select_related("user", "project")
    return members.filter(project=project, pk=row_id(member_id)).first()


class InvitationView(ProjectView):
    acts = {"DELETE": "members"}

    @shapes.describe("Withdraw an invitation", None, tag="Members", status=204)
    def delete(self, request: Request, invitation_id: str) -> Response:
        open_ones = Invitation.objects.filter(project=self.project, pk=row_id(invitation_id), accepted_at=None)
        invitation = open_ones.select_related("project").first()
        if invitation is None:
            raise not_found()
        write.withdraw_invitation(invitation, request=self.http)
        return Response(status=204)


def project_json(project: Project) -> dict[str, Any]:
    """A project as REST shows it."""
    return {
        "slug": project.slug,
        "name": project.name,
        "organisation": project.organisation.name,
        "time_zone": project.time_zone,
        "retention_days": project.retention_days,
        "text_days": project.text_days,
        "score_days": project.score_days,
        "feature_names": project.feature_names,
        "feature_rules": project.feature_rules,
        "first_span_at": form.moment(project.first_span_at),
        "created_at": form.moment(project.created_at),
    }


def key_json(row: read.KeyRow) -> dict[str, Any]:
    """A key as REST shows it."""
    return {
        "id": row.id,
        "name": row.name,
        "public_part": row.public_part,
        "last_four": row.last_four,
        "scopes": list(row.scopes),
        "created_at": form.moment(row.created_at),
        "created_by": row.created_by,
        "last_used_at": form.moment(row.last_used_at),
        "revoked_at": form.moment(row.revoked_at),
        "is_unused": row.is_unused,
        "spans_a_second": row.spans_a_second,
        "origins": list(row.origins),
    }


def member_json(row: read.MemberRow) -> dict[str, Any]:
    """A member as REST shows it."""
    return {
        "id": row.member_id,
        "name": row.name,
        "email": row.email,
        "role": row.role.value,
        "last_seen_at": form.moment(row.last_seen_at),
    }


def invitation_json(row: Invitation) -> dict[str, Any]:
    """An open invitation as REST shows it."""
    return {"id": row.pk, "email": row.email, "role": row.role, "expires_at": form.moment(row.expires_at)}
