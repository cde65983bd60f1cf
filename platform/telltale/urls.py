"""Every address of the product; each room brings its own list."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from telltale.web import health, metrics

urlpatterns: list[URLPattern | URLResolver] = [
    path("", include("traces.ingest.urls")),
    path("healthz", health.healthz),
    path("readyz", health.readyz),
    path("metrics", metrics.metrics),
    path("accounts/", include("telltale.accounts.urls")),
    path("", include("telltale.projects.urls")),
    path("api/v1/", include("telltale.projects.api_urls")),
    path("api/v1/", include("traces.api.urls")),
    path("api/v1/", include("evals.api.urls")),
    path("api/v1/", include("alerts.api.urls")),
    path("api/v1/", include("telltale.web.api.urls")),
    path("", include("traces.urls")),
    path("", include("evals.urls")),
    path("", include("alerts.urls")),
    path("", include("traces.urls_accounts")),
    path("", include("telltale.web.urls")),
]

handler400 = "telltale.web.errors.bad_request"
handler403 = "telltale.web.errors.forbidden"
handler404 = "telltale.web.errors.not_found"
handler500 = "telltale.web.errors.server_error"
