"""Addresses of projects, their settings, and organisations."""

from __future__ import annotations

from django.urls import path

from telltale.projects import audit_pages, member_pages, pages, people_pages

urlpatterns = [
    path("projects/new/", member_pages.project_new, name="project_new"),
    path("organisations/new/", member_pages.organisation_new, name="organisation_new"),
    path("organisations/<slug:organisation_slug>/", member_pages.organisation, name="organisation"),
    path(
        "organisations/<slug:organisation_slug>/owners/<int:user_id>/",
        member_pages.organisation_owner,
        name="organisation_owner",
    ),
    path(
        "organisations/<slug:organisation_slug>/second-factor/",
        people_pages.second_factor,
        name="organisation_second_factor",
    ),
    path("organisations/<slug:organisation_slug>/audit/", audit_pages.organisation_audit, name="organisation_audit"),
    path("audit/", audit_pages.installation_audit, name="installation_audit"),
    path("organisations/<slug:organisation_slug>/transfer/", people_pages.transfer, name="organisation_transfer"),
    path(
        "organisations/<slug:organisation_slug>/people/<int:user_id>/sessions/",
        people_pages.person_sessions,
        name="organisation_person_sessions",
    ),
    path(
        "organisations/<slug:organisation_slug>/people/<int:user_id>/remove/",
        people_pages.person_remove,
        name="organisation_person_remove",
    ),
    path("join/<str:token>/", member_pages.join, name="join"),
    path("p/<slug:slug>/welcome/", pages.welcome, name="project_welcome"),
    path("p/<slug:slug>/welcome/status/", pages.welcome_status, name="project_welcome_status"),
    path("p/<slug:slug>/settings/", pages.settings, name="project_settings"),
    path("p/<slug:slug>/settings/keys/", pages.keys, name="project_keys"),
    path("p/<slug:slug>/settings/keys/new/", pages.key_create, name="project_key_create"),
    path("p/<slug:slug>/settings/keys/<int:key_id>/revoke/", pages.key_revoke, name="project_key_revoke"),
    path("p/<slug:slug>/settings/keys/<int:key_id>/limit/", pages.key_limit, name="project_key_limit"),
    path("p/<slug:slug>/settings/audit/", audit_pages.audit, name="project_audit"),
    path("p/<slug:slug>/settings/members/", member_pages.members, name="project_members"),
    path("p/<slug:slug>/settings/members/<int:member_id>/role/", member_pages.member_role, name="project_member_role"),
    path(
        "p/<slug:slug>/settings/members/<int:member_id>/remove/",
        member_pages.member_remove,
        name="project_member_remove",
    ),
    path(
        "p/<slug:slug>/settings/members/<int:member_id>/sessions/",
        people_pages.member_sessions,
        name="project_member_sessions",
    ),
    path(
        "p/<slug:slug>/settings/invitations/<int:invitation_id>/withdraw/",
        member_pages.invitation_withdraw,
        name="project_invitation_withdraw",
    ),
]
