"""REST of scope, isolate, responses and recovery of incidents below `/api/v1/`."""

from __future__ import annotations

from django.urls import URLPattern, path

from alerts.api import incident_found as found

ONE = "incidents/<str:number>/"

urlpatterns: list[URLPattern] = [
    path(ONE + "scope", found.IncidentScopeView.as_view(), name="api-incident-scope"),
    path(ONE + "isolate", found.IncidentIsolateView.as_view(), name="api-incident-isolate"),
    path(ONE + "responses", found.IncidentResponsesView.as_view(), name="api-incident-responses"),
    path(ONE + "responses/<str:made>", found.IncidentResponseView.as_view(), name="api-incident-response"),
    path(ONE + "recovery", found.IncidentRecoveryView.as_view(), name="api-incident-recovery"),
]
