"""REST: the projects and organisations of whoever asks, and new ones."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.views import APIView

from telltale.accounts.models import Organisation, User
from telltale.projects import read, write
from telltale.projects.access import (
    get_organisation_for,
    may_create_organisations,
    owned_organisations,
    projects_of,
)
from telltale.projects.api import ZONE_LIMIT, SettingsBody
from telltale.projects.keys import KeyHolder
from telltale.projects.models import Project, Role
from telltale.rest import shapes
from telltale.rest.auth import BrowserAuthentication, KeyAuthentication
from telltale.rest.body import JsonOnly, JsonParser, JsonRenderer, checked
from telltale.rest.params import check_names, row_id
from telltale.rest.problems import FieldError, Problem, bad_field, not_found


class ListedShape(serializers.Serializer[Any]):
    slug = serializers.CharField()
    name = serializers.CharField()
    organisation = serializers.CharField()
    role = serializers.ChoiceField(choices=Role.choices, allow_null=True, help_text="Null for a key.")
    first_span_at = serializers.DateTimeField(allow_null=True)


class ListedProjectsShape(serializers.Serializer[Any]):
    items = ListedShape(many=True)


class NewProjectBody(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=120)
    organisation = serializers.CharField(max_length=60, help_text="The slug of an organisation you own.")
    time_zone = serializers.CharField(
        max_length=64, required=False, help_text="An IANA zone; UTC where left out.", style={"limit": ZONE_LIMIT}
    )

    def validate_time_zone(self, value: str) -> str:
        return SettingsBody().validate_time_zone(value)


class OrganisationShape(serializers.Serializer[Any]):
    slug = serializers.CharField()
    name = serializers.CharField()


class OrganisationsShape(serializers.Serializer[Any]):
    items = OrganisationShape(many=True)


class OrganisationBody(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=120)


class OrganisationChangeBody(serializers.Serializer[Any]):
    name = serializers.CharField(max_length=120, required=False)
    requires_second_factor = serializers.BooleanField(
        required=False, help_text="Whoever is in it sets up a second factor before anything else opens."
    )


class PersonShape(serializers.Serializer[Any]):
    user_id = serializers.IntegerField()
    name = serializers.CharField()
    email = serializers.CharField()
    is_owner = serializers.BooleanField()
    has_second_factor = serializers.BooleanField()
    sessions = serializers.IntegerField(help_text="In how many places the person is signed in.")


class PlaceShape(serializers.Serializer[Any]):
    slug = serializers.CharField()
    name = serializers.CharField()


class WholeOrganisationShape(OrganisationShape):
    requires_second_factor = serializers.BooleanField()
    people = PersonShape(many=True)
    projects = PlaceShape(many=True)


class AskerView(APIView):
    """An address about whoever asks, not about one project."""

    authentication_classes = (KeyAuthentication, BrowserAuthentication)
    permission_classes = ()
    throttle_classes = ()
    parser_classes = (JsonParser,)
    renderer_classes = (JsonRenderer,)
    content_negotiation_class = JsonOnly
    metadata_class = None

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        super().initial(request, *args, **kwargs)
        if not request.user or not request.user.is_authenticated:
            self.permission_denied(request)
        self.check_query(request)

    def check_query(self, request: Request) -> None:
        """400 for a query parameter that is not known here."""
        check_names(request.query_params, ())

    @property
    def person(self) -> User:
        """The person who asks; 403 for a key, which is of one project and owns nothing."""
        if isinstance(self.request.auth, KeyHolder) or not isinstance(self.request.user, User):
            raise Problem(403, "This needs a person who is signed in; an API key is of one project.")
        return self.request.user


class ProjectsView(AskerView):
    """The projects of a person, or the one of a key with the scope read."""

    @shapes.describe("The projects of whoever asks", ListedProjectsShape, tag="Project")
    def get(self, request: Request) -> Response:
        if isinstance(request.auth, KeyHolder):
            if "read" not in request.auth.scopes:
                raise Problem(403, "This needs a key with the scope read.")
            found = list(Project.objects.select_related("organisation").filter(pk=request.auth.project_id))
            return Response({"items": [listed(project, None) for project in found]})
        return Response({"items": [listed(project, project.your_role) for project in projects_of(self.person)]})

    @shapes.describe(
        "Make a project",
        ListedShape,
        tag="Project",
        status=201,
        body=NewProjectBody,
        problems={409: "The organisation is being removed."},
    )
    def post(self, request: Request) -> Response:
        person = self.person
        body = checked(NewProjectBody, request)
        organisation = get_organisation_for(person, body["organisation"])
        try:
            made = write.create_project(
                organisation, body["name"], time_zone=body.get("time_zone", "UTC"), request=request._request
            )
        except write.Refused as refusal:
            raise Problem(409, str(refusal)) from None
        return Response(listed(made, Role.OWNER), status=201)


class OrganisationsView(AskerView):
    """The organisations that a person owns."""

    @shapes.describe("The organisations you own", OrganisationsShape, tag="Project")
    def get(self, request: Request) -> Response:
        owned = owned_organisations(self.person)
        return Response({"items": [{"slug": one.slug, "name": one.name} for one in owned]})

    @shapes.describe("Make an organisation", OrganisationShape, tag="Project", status=201, body=OrganisationBody)
    def post(self, request: Request) -> Response:
        person = self.person
        if not may_create_organisations(person):
            raise Problem(403, "This needs an owner of another organisation, or the operator of this server.")
        body = checked(OrganisationBody, request)
        made = write.create_organisation(body["name"], person, request=request._request)
        return Response({"slug": made.slug, "name": made.name}, status=201)


class OrganisationView(AskerView):
    """One organisation, for its owners; to everybody else it is not there."""

    @shapes.describe("An organisation, its people and projects", WholeOrganisationShape, tag="Project")
    def get(self, request: Request, organisation_slug: str) -> Response:
        return Response(organisation_json(get_organisation_for(self.person, organisation_slug)))

    @shapes.describe(
        "Change an organisation",
        WholeOrganisationShape,
        tag="Project",
        body=OrganisationChangeBody,
        detail="Its slug stays, so addresses go on working. Asking for a second factor needs one of your own.",
        problems={409: "You have no second factor yourself."},
    )
    def patch(self, request: Request, organisation_slug: str) -> Response:
        organisation = get_organisation_for(self.person, organisation_slug)
        body = checked(OrganisationChangeBody, request)
        if not body:
            raise bad_field("name", "or requires_second_factor is required", limit="at least one of the two")
        if (asked := body.get("requires_second_factor")) is not None:
            try:
                write.ask_second_factor(organisation, asked, by=self.person, request=request._request)
            except write.Refused as refusal:
                raise Problem(409, str(refusal), FieldError("requires_second_factor", str(refusal))) from None
        if "name" in body and body["name"] != organisation.name:
            write.rename_organisation(organisation, body["name"], request=request._request)
        organisation.refresh_from_db()
        return Response(organisation_json(organisation))


class OwnerView(AskerView):
    """Whether one person of an organisation owns it; both methods may be repeated."""

    @shapes.describe("Name an owner", PersonShape, tag="Project", detail="Somebody of the organisation; no body.")
    def put(self, request: Request, organisation_slug: str, user_id: str) -> Response:
        return self._set(organisation_slug, user_id, True)

    @shapes.describe(
        "End an ownership",
        PersonShape,
        tag="Project",
        detail="The person stays in the projects they are a member of.",
        problems={409: "The last owner stays."},
    )
    def delete(self, request: Request, organisation_slug: str, user_id: str) -> Response:
        return self._set(organisation_slug, user_id, False)

    def _set(self, slug: str, user_id: str, is_owner: bool) -> Response:
        organisation = get_organisation_for(self.person, slug)
        found = organisation.members.select_related("user").filter(user_id=row_id(user_id)).first()
        if found is None:
            raise not_found()
        try:
            write.set_owner(organisation, found.user, is_owner, request=self.request._request)
        except write.Refused as refusal:
            raise Problem(
                409, str(refusal), FieldError("is_owner", str(refusal), "one owner at least", is_owner)
            ) from None
        row = read.find_person(organisation, found.user)
        if row is None:
            raise not_found()
        return Response(asdict(row))


def organisation_json(organisation: Organisation) -> dict[str, Any]:
    """An organisation with its people and projects as JSON."""
    return {
        "slug": organisation.slug,
        "name": organisation.name,
        "requires_second_factor": organisation.requires_second_factor,
        "people": [asdict(row) for row in read.list_people(organisation)],
        "projects": list(organisation.projects.order_by("name").values("slug", "name")),
    }


def listed(project: Project, role: Role | None) -> dict[str, Any]:
    """A project as JSON, with the asker's role."""
    return {
        "slug": project.slug,
        "name": project.name,
        "organisation": project.organisation.name,
        "role": role,
        "first_span_at": project.first_span_at,
    }
