"""Addresses of the pages that watch: monitors, their charts and alarms, the alert budget, drift."""

from __future__ import annotations

from django.urls import URLPattern, path

from alerts.pages import acts, alarms, budget, chart, monitors

P = "p/<slug:slug>/"
MONITORS = P + "monitors/"

urlpatterns: list[URLPattern] = [
    path(MONITORS, monitors.monitor_list_page, name="monitors"),
    path(MONITORS + "alarms/", alarms.alarm_list, name="alarms"),
    path(MONITORS + "budget/", budget.alert_budget, name="alert_budget"),
    path(MONITORS + "<int:monitor_id>/", chart.monitor_page, name="monitor"),
    path(MONITORS + "<int:monitor_id>/alarms/<int:alarm_id>/", acts.alarm_act, name="monitor_alarm"),
    path(MONITORS + "<int:monitor_id>/baseline/", acts.baseline_act, name="monitor_baseline"),
    path(MONITORS + "<int:monitor_id>/switch/", acts.switch_act, name="monitor_switch"),
]
