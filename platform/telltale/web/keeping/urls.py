"""Addresses of retention and exports, below a project's settings and in REST."""

from __future__ import annotations

from django.urls import path

from telltale.web.archive import api as archive_api
from telltale.web.archive import pages as archive_pages
from telltale.web.keeping import api, pages

SETTINGS = "p/<slug:slug>/settings/"

page_patterns = [
    path(SETTINGS + "retention/", pages.retention, name="project_retention"),
    path(SETTINGS + "retention/sweep/", pages.sweep, name="project_retention_sweep"),
    path(SETTINGS + "exports/", archive_pages.exports, name="project_exports"),
    path(SETTINGS + "exports/<int:archive_id>/file/", archive_pages.export_file, name="project_export_file"),
    path(SETTINGS + "exports/<int:archive_id>/remove/", archive_pages.export_drop, name="project_export_drop"),
]
api_patterns = [
    path("retention", api.RetentionView.as_view(), name="api-retention"),
    path("retention/sweep", api.SweepView.as_view(), name="api-retention-sweep"),
    path("exports", archive_api.ExportsView.as_view(), name="api-exports"),
    path("exports/<str:archive_id>", archive_api.ExportView.as_view(), name="api-export"),
    path("exports/<str:archive_id>/file", archive_api.ExportFileView.as_view(), name="api-export-file"),
]
