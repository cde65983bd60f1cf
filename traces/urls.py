"""Addresses of the pages about what happened."""

from __future__ import annotations

from django.urls import path

from traces import pages
from traces.pages_performance import performance

urlpatterns = [
    path("p/<slug:slug>/traces/", pages.trace_list, name="trace_list"),
    path("p/<slug:slug>/traces/compare/", pages.trace_compare, name="trace_compare"),
    path("p/<slug:slug>/traces/<str:trace>/", pages.trace_page, name="trace_page"),
    path("p/<slug:slug>/traces/<str:trace>/copy/", pages.trace_copy, name="trace_copy"),
    path("p/<slug:slug>/performance/", performance, name="performance"),
]
