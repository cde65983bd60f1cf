"""Addresses of erasing, below a project's settings and in REST."""

from __future__ import annotations

from django.urls import path

from telltale.web.erasing import api, pages

PRIVACY = "p/<slug:slug>/settings/privacy/"

page_patterns = [
    path(PRIVACY, pages.privacy, name="project_privacy"),
    path(PRIVACY + "erase/", pages.erase, name="project_erase"),
    path(PRIVACY + "remove/", pages.remove, name="project_remove"),
    path(PRIVACY + "keep/", pages.keep, name="project_keep"),
    path(PRIVACY + "<int:erasure_id>/", pages.erasure, name="erasure"),
    path(PRIVACY + "<int:erasure_id>/again/", pages.erasure_again, name="erasure_again"),
    path(PRIVACY + "<int:erasure_id>/lift/", pages.erasure_lift, name="erasure_lift"),
]
api_patterns = [
    path("erasures", api.ErasuresView.as_view(), name="api-erasures"),
    path("erasures/<str:erasure_id>", api.ErasureView.as_view(), name="api-erasure"),
    path("erasures/<str:erasure_id>/retry", api.RetryView.as_view(), name="api-erasure-retry"),
    path("erasures/<str:erasure_id>/lift", api.LiftView.as_view(), name="api-erasure-lift"),
    path("project/removal", api.RemovalView.as_view(), name="api-project-removal"),
]
