"""REST of incidents below `/api/v1/`; what the steps do is added by their owners."""

from __future__ import annotations

from django.urls import URLPattern, path

from alerts.api import incident_steps, incidents

ONE = "incidents/<str:number>"

urlpatterns: list[URLPattern] = [
    path("incidents", incidents.IncidentsView.as_view(), name="api-incidents"),
    path("incidents/settings", incident_steps.IncidentSettingsView.as_view(), name="api-incidents-settings"),
    path(ONE, incidents.IncidentOneView.as_view(), name="api-incident"),
    path(ONE + "/acknowledge", incidents.IncidentAcknowledgeView.as_view(), name="api-incident-acknowledge"),
    path(ONE + "/assign", incidents.IncidentAssignView.as_view(), name="api-incident-assign"),
    path(ONE + "/watch", incidents.IncidentWatchView.as_view(), name="api-incident-watch"),
    path(ONE + "/comments", incidents.IncidentCommentsView.as_view(), name="api-incident-comments"),
    path(ONE + "/events", incidents.IncidentEventsView.as_view(), name="api-incident-events"),
    path(ONE + "/members", incidents.IncidentMembersView.as_view(), name="api-incident-members"),
    path(ONE + "/mute", incidents.IncidentMuteView.as_view(), name="api-incident-mute"),
    path(ONE + "/merge", incidents.IncidentMergeView.as_view(), name="api-incident-merge"),
    path(ONE + "/split", incidents.IncidentSplitView.as_view(), name="api-incident-split"),
    path(ONE + "/reopen", incidents.IncidentReopenView.as_view(), name="api-incident-reopen"),
    path(ONE + "/steps", incident_steps.IncidentStepsView.as_view(), name="api-incident-steps"),
    path(ONE + "/steps/<str:step>", incident_steps.IncidentStepView.as_view(), name="api-incident-step"),
    path(ONE + "/summary", incident_steps.IncidentSummaryView.as_view(), name="api-incident-summary"),
]
