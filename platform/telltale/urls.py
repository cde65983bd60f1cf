"""Every address of the product; each room brings its own list."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

urlpatterns: list[URLPattern | URLResolver] = [
    path("accounts/", include("telltale.accounts.urls")),
    path("", include("telltale.projects.urls")),
    path("", include("telltale.web.urls")),
]

handler400 = "telltale.web.errors.bad_request"
handler403 = "telltale.web.errors.forbidden"
handler404 = "telltale.web.errors.not_found"
handler500 = "telltale.web.errors.server_error"
