"""REST addresses of a project itself, below /api/v1/."""

from __future__ import annotations

from django.urls import path

from telltale.projects import api
from telltale.projects.api_audit import AuditView, InstallationAuditView, OrganisationAuditView
from telltale.projects.api_list import OrganisationsView, OrganisationView, OwnerView, ProjectsView
from telltale.projects.api_people import MemberSessionsView, PersonSessionsView, PersonView, TransferView

urlpatterns = [
    path("project", api.ProjectSettingsView.as_view(), name="api-project"),
    path("projects", ProjectsView.as_view(), name="api-projects"),
    path("organisations", OrganisationsView.as_view(), name="api-organisations"),
    path("organisations/<str:organisation_slug>", OrganisationView.as_view(), name="api-organisation"),
    path(
        "organisations/<str:organisation_slug>/owners/<str:user_id>", OwnerView.as_view(), name="api-organisation-owner"
    ),
    path(
        "organisations/<str:organisation_slug>/people/<str:user_id>",
        PersonView.as_view(),
        name="api-organisation-person",
    ),
    path(
        "organisations/<str:organisation_slug>/people/<str:user_id>/sessions",
        PersonSessionsView.as_view(),
        name="api-organisation-person-sessions",
    ),
    path("organisations/<str:organisation_slug>/transfer", TransferView.as_view(), name="api-organisation-transfer"),
    path("audit", AuditView.as_view(), name="api-audit"),
    path("organisations/<str:organisation_slug>/audit", OrganisationAuditView.as_view(), name="api-organisation-audit"),
    path("installation/audit", InstallationAuditView.as_view(), name="api-installation-audit"),
    path("keys", api.KeysView.as_view(), name="api-keys"),
    path("keys/<str:key_id>", api.KeyView.as_view(), name="api-key"),
    path("members", api.MembersView.as_view(), name="api-members"),
    path("members/<str:member_id>", api.MemberView.as_view(), name="api-member"),
    path("members/<str:member_id>/sessions", MemberSessionsView.as_view(), name="api-member-sessions"),
    path("invitations/<str:invitation_id>", api.InvitationView.as_view(), name="api-invitation"),
]
