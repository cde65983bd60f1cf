"""Addresses of erasing, below a project's settings, an organisation and in REST."""

from __future__ import annotations

from django.urls import path

from telltale.web.erasing import api, organisation_api, organisation_pages, pages

PRIVACY = "p/<slug:slug>/settings/privacy/"
ORGANISATION = "organisations/<slug:organisation_slug>/"

page_patterns = [
    path(PRIVACY, pages.privacy, name="project_privacy"),
    path(PRIVACY + "erase/", pages.erase, name="project_erase"),
    path(PRIVACY + "remove/", pages.remove, name="project_remove"),
    path(PRIVACY + "keep/", pages.keep, name="project_keep"),
    path(PRIVACY + "<int:erasure_id>/", pages.erasure, name="erasure"),
    path(PRIVACY + "<int:erasure_id>/again/", pages.erasure_again, name="erasure_again"),
    path(PRIVACY + "<int:erasure_id>/lift/", pages.erasure_lift, name="erasure_lift"),
    path(ORGANISATION + "remove/", organisation_pages.remove, name="organisation_remove"),
    path(ORGANISATION + "keep/", organisation_pages.keep, name="organisation_keep"),
]
api_patterns = [
    path("erasures", api.ErasuresView.as_view(), name="api-erasures"),
    path("erasures/<str:erasure_id>", api.ErasureView.as_view(), name="api-erasure"),
    path("erasures/<str:erasure_id>/retry", api.RetryView.as_view(), name="api-erasure-retry"),
    path("erasures/<str:erasure_id>/lift", api.LiftView.as_view(), name="api-erasure-lift"),
    path("project/removal", api.RemovalView.as_view(), name="api-project-removal"),
    path(
        "organisations/<str:organisation_slug>/removal",
        organisation_api.OrganisationRemovalView.as_view(),
        name="api-organisation-removal",
    ),
]
