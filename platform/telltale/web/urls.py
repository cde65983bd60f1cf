"""Addresses of pages that need more than one room."""

from __future__ import annotations

from django.urls import path

from telltale.web import api_docs, pages
from telltale.web.erasing.urls import page_patterns as erasing_patterns
from telltale.web.front.page import front_page
from telltale.web.inbox.page import inbox, inbox_act
from telltale.web.keeping.urls import page_patterns as keeping_patterns
from telltale.web.ops.page import ops, ops_job, ops_json

urlpatterns = [
    path("api/schema/", api_docs.schema, name="api_schema"),
    path("api/docs/", api_docs.page, name="api_docs"),
    path("", pages.project_list, name="project_list"),
    path("ops/", ops, name="ops"),
    path("ops/status", ops_json, name="ops_json"),
    path("ops/jobs/<int:job_id>/", ops_job, name="ops_job"),
    path("p/<slug:slug>/", front_page, name="project_home"),
    path("p/<slug:slug>/inbox/", inbox, name="inbox"),
    *erasing_patterns,
    *keeping_patterns,
    path("p/<slug:slug>/inbox/act/", inbox_act, name="inbox_act"),
]
