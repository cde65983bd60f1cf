"""REST: the people of an organisation, for its owners: sessions ended, removal, ownership passed on."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from telltale.accounts.models import OrganisationMember
from telltale.projects import write
from telltale.projects.access import get_organisation_for, get_person_for
from telltale.projects.api import member_of
from telltale.projects.api_list import AskerView, WholeOrganisationShape, organisation_json
from telltale.rest import shapes
from telltale.rest.body import checked
from telltale.rest.params import row_id
from telltale.rest.problems import FieldError, Problem, not_found
from telltale.rest.views import ProjectView


class EndedShape(serializers.Serializer[Any]):
    sessions_ended = serializers.IntegerField()


class TransferBody(serializers.Serializer[Any]):
    user_id = serializers.IntegerField(min_value=1, help_text="Somebody of the organisation; not you.")
    stays = serializers.BooleanField(default=True, help_text="Whether you stay as admin of its projects.")


class PersonSessionsView(AskerView):
    """Where somebody of an organisation is signed in."""

    @shapes.describe("Sign a person out everywhere", EndedShape, tag="Members", detail="For owners. No body.")
    def delete(self, request: Request, organisation_slug: str, user_id: str) -> Response:
        person = get_person_for(self.person, organisation_slug, row_id(user_id))
        ended = write.end_sessions(person.user, request=request._request, organisation=person.organisation)
        return Response({"sessions_ended": ended})


class PersonView(AskerView):
    """Somebody of an organisation."""

    @shapes.describe(
        "Remove a person from an organisation",
        None,
        tag="Members",
        status=204,
        detail="From every project of it, at once.",
        problems={409: "The last owner stays."},
    )
    def delete(self, request: Request, organisation_slug: str, user_id: str) -> Response:
        person = get_person_for(self.person, organisation_slug, row_id(user_id))
        try:
            write.remove_person(person, request=request._request)
        except write.Refused as refusal:
            raise Problem(409, str(refusal)) from None
        return Response(status=204)


class TransferView(AskerView):
    """Ownership of an organisation, passed on."""

    @shapes.describe(
        "Pass the ownership on",
        WholeOrganisationShape,
        tag="Project",
        body=TransferBody,
        detail="The other becomes an owner and you are none any more; without `stays` you leave its projects.",
        problems={409: "You are no owner any more."},
    )
    def post(self, request: Request, organisation_slug: str) -> Response:
        organisation = get_organisation_for(self.person, organisation_slug)
        body = checked(TransferBody, request)
        people = OrganisationMember.objects.select_related("user")
        to = people.filter(organisation=organisation, user_id=body["user_id"]).first()
        if to is None:
            field = FieldError("user_id", "is nobody of this organisation", None, body["user_id"])
            raise Problem(400, "user_id: is nobody of this organisation", field)
        try:
            write.transfer_ownership(
                organisation, to.user, by=self.person, stays=body["stays"], request=request._request
            )
        except write.Refused as refusal:
            raise Problem(409, str(refusal), FieldError("user_id", str(refusal), None, body["user_id"])) from None
        return Response(organisation_json(organisation))


class MemberSessionsView(ProjectView):
    """Where a member of a project is signed in."""

    acts = {"DELETE": "members"}

    @shapes.describe("Sign a member out everywhere", EndedShape, tag="Members", detail="No body.")
    def delete(self, request: Request, member_id: str) -> Response:
        member = member_of(self.project, member_id)
        if member is None:
            raise not_found()
        ended = write.end_sessions(member.user, request=self.http, project=self.project)
        return Response({"sessions_ended": ended})
