"""REST of triage, of failing cases and of closing, below `/api/v1/incidents/{number}/`."""

from __future__ import annotations

from django.urls import URLPattern, path

from alerts.api import incident_learn, incident_triage

ONE = "incidents/<str:number>/"

urlpatterns: list[URLPattern] = [
    path(ONE + "triage", incident_triage.TriageView.as_view(), name="api-incident-triage"),
    path(ONE + "triage/verdicts", incident_triage.TriageVerdictsView.as_view(), name="api-incident-verdicts"),
    path(
        ONE + "triage/verdicts/<str:position>",
        incident_triage.TriageVerdictView.as_view(),
        name="api-incident-verdict",
    ),
    path(ONE + "triage/conclusion", incident_triage.TriageConclusionView.as_view(), name="api-incident-conclusion"),
    path(ONE + "cases", incident_learn.CasesView.as_view(), name="api-incident-cases"),
    path(ONE + "experiment", incident_learn.IncidentExperimentView.as_view(), name="api-incident-experiment"),
    path(ONE + "close", incident_learn.CloseView.as_view(), name="api-incident-close"),
]
