"""REST: the removal of an organisation, for its owners."""

from __future__ import annotations

from typing import Any

from rest_framework import serializers
from rest_framework.request import Request
from rest_framework.response import Response

from telltale.accounts.models import Organisation
from telltale.projects.access import get_organisation_for
from telltale.projects.api_list import AskerView
from telltale.rest import shapes
from telltale.rest.body import checked
from telltale.rest.problems import FieldError, Problem
from telltale.web.erasing import asking, organisations
from telltale.web.erasing.api import RemovalShape


class OrganisationRemovalBody(serializers.Serializer[Any]):
    slug = serializers.CharField(max_length=60, help_text="The organisation's slug, to confirm.")


class OrganisationRemovalView(AskerView):
    @shapes.describe("Whether an organisation is being removed", RemovalShape, tag="Project")
    def get(self, request: Request, organisation_slug: str) -> Response:
        return Response(_removal(get_organisation_for(self.person, organisation_slug)))

    @shapes.describe(
        "Remove an organisation with all its projects",
        RemovalShape,
        tag="Project",
        body=OrganisationRemovalBody,
        status=202,
        problems={409: "It is being removed already."},
        detail="Keys of its projects are refused within 5 seconds. For seven days an owner can undo it; then every row "
        "of it and of its projects goes, and the slugs are free again. A person alone.",
    )
    def post(self, request: Request, organisation_slug: str) -> Response:
        found = get_organisation_for(self.person, organisation_slug)
        if checked(OrganisationRemovalBody, request)["slug"] != found.slug:
            raise Problem(
                400, "The body is not valid.", FieldError("slug", "is not this organisation's slug", found.slug)
            )
        try:
            organisations.ask(found, by=self.person.email, request=request._request)
        except asking.Conflict as conflict:
            raise Problem(409, str(conflict)) from None
        found.refresh_from_db()
        return Response(_removal(found), status=202)

    @shapes.describe(
        "Keep an organisation after all",
        RemovalShape,
        tag="Project",
        problems={409: "It is not being removed, or its removal has begun."},
    )
    def delete(self, request: Request, organisation_slug: str) -> Response:
        found = get_organisation_for(self.person, organisation_slug)
        try:
            organisations.undo(found, by=self.person.email, request=request._request)
        except asking.Conflict as conflict:
            raise Problem(409, str(conflict)) from None
        found.refresh_from_db()
        return Response(_removal(found))


def _removal(organisation: Organisation) -> dict[str, Any]:
    return {
        "asked_at": organisation.deletion_asked_at,
        "due_at": organisation.deletion_due_at,
        "asked_by": organisation.deletion_asked_by or None,
    }
