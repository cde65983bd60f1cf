"""Addresses of the pages that keep accounts: what came in, what it costs."""

from __future__ import annotations

from django.urls import path

from traces import pages_accounting

urlpatterns = [
    path("p/<slug:slug>/accounting/", pages_accounting.accounting, name="accounting"),
]
