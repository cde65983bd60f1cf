"""REST addresses of traces, below /api/v1/. A trailing slash makes no difference (telltale.web.middleware)."""

from __future__ import annotations

from django.urls import path

from traces.api.accounting import AccountingView

urlpatterns = [
    path("accounting", AccountingView.as_view(), name="api-accounting"),
]
