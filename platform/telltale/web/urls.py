"""Addresses of pages that need more than one room."""

from __future__ import annotations

from django.urls import path

from telltale.web import pages

urlpatterns = [
    path("", pages.project_list, name="project_list"),
]
