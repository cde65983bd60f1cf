"""Addresses of incidents below `/p/<slug>/`; those of the steps are added by the steps' own pages."""

from __future__ import annotations

from django.urls import URLPattern, path

from alerts.pages import incident, incident_acts, incident_new, incident_summary, incidents
from alerts.pages.incident_isolate import isolate_act
from alerts.pages.incident_respond import respond_act
from alerts.pages.incident_scope import scope_act

INCIDENTS = "p/<slug:slug>/incidents/"
ONE = INCIDENTS + "<int:number>/"

urlpatterns: list[URLPattern] = [
    path(INCIDENTS, incidents.incident_list, name="incidents"),
    path(INCIDENTS + "new/", incident_new.incident_new, name="incident_new"),
    path(ONE, incident.incident_page, name="incident"),
    path(ONE + "moves/", incident.incident_moves, name="incident_moves"),
    path(ONE + "act/", incident_acts.incident_act, name="incident_act"),
    path(ONE + "summary/", incident_summary.incident_summary, name="incident_summary"),
    path(ONE + "scope/", scope_act, name="incident_scope"),
    path(ONE + "isolate/", isolate_act, name="incident_isolate"),
    path(ONE + "respond/", respond_act, name="incident_respond"),
]
