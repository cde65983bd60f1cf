"""Addresses of the ingest endpoints, each with and without a trailing slash: exporters lose the body on a redirect."""

from __future__ import annotations

from django.urls import re_path

from traces.ingest import views

urlpatterns = [
    re_path(r"^(?:api/public/otel/|otel/)?v1/traces/?$", views.otlp_traces, name="otlp-traces"),
    re_path(r"^(?:api/public/otel/|otel/)?v1/logs/?$", views.otlp_logs, name="otlp-logs"),
    re_path(r"^(?:api/public/otel/|otel/)?v1/metrics/?$", views.otlp_metrics, name="otlp-metrics"),
]
