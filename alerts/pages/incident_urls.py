"""Addresses of incidents below `/p/<slug>/`; those of the steps are added by the steps' own pages."""

from __future__ import annotations

from django.urls import URLPattern, path

from alerts.pages import incident, incident_acts, incident_learn, incident_new, incident_summary, incidents, triage
from alerts.pages.incident_isolate import isolate_act
from alerts.pages.incident_respond import respond_act
from alerts.pages.incident_scope import scope_act
from alerts.pages.incident_settings import incident_settings

INCIDENTS = "p/<slug:slug>/incidents/"
ONE = INCIDENTS + "<int:number>/"

urlpatterns: list[URLPattern] = [
    path(INCIDENTS, incidents.incident_list, name="incidents"),
    path("p/<slug:slug>/settings/incidents/", incident_settings, name="incident_settings"),
    path(INCIDENTS + "new/", incident_new.incident_new, name="incident_new"),
    path(ONE, incident.incident_page, name="incident"),
    path(ONE + "moves/", incident.incident_moves, name="incident_moves"),
    path(ONE + "act/", incident_acts.incident_act, name="incident_act"),
    path(ONE + "summary/", incident_summary.incident_summary, name="incident_summary"),
    path(ONE + "scope/", scope_act, name="incident_scope"),
    path(ONE + "isolate/", isolate_act, name="incident_isolate"),
    path(ONE + "respond/", respond_act, name="incident_respond"),
    path(ONE + "triage/", triage.triage_page, name="incident_triage"),
    path(ONE + "triage/card/", triage.triage_card, name="incident_triage_card"),
    path(ONE + "triage/deal/", triage.triage_deal, name="incident_triage_deal"),
    path(ONE + "triage/hold/", triage.triage_hold, name="incident_triage_hold"),
    path(ONE + "triage/verdict/", triage.triage_verdict, name="incident_triage_verdict"),
    path(ONE + "triage/undo/", triage.triage_undo, name="incident_triage_undo"),
    path(ONE + "triage/conclude/", triage.triage_conclude, name="incident_triage_conclude"),
    path(ONE + "learn/cases/", incident_learn.learn_cases, name="incident_learn_cases"),
    path(ONE + "learn/experiment/", incident_learn.learn_experiment, name="incident_learn_experiment"),
    path(ONE + "close/", incident_learn.incident_close, name="incident_close"),
]
