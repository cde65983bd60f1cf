"""Addresses of the pages that watch: monitors, their charts and alarms, the alert budget, drift."""

from __future__ import annotations

from django.urls import URLPattern

urlpatterns: list[URLPattern] = []
