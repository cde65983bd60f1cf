"""Addresses of the pages that watch: monitors, their charts and alarms, the alert budget, drift."""

from __future__ import annotations

from django.urls import URLPattern, path

from alerts.pages import alarms, budget, monitors

P = "p/<slug:slug>/"
MONITORS = P + "monitors/"

urlpatterns: list[URLPattern] = [
    path(MONITORS, monitors.monitor_list_page, name="monitors"),
    path(MONITORS + "alarms/", alarms.alarm_list, name="alarms"),
    path(MONITORS + "budget/", budget.alert_budget, name="alert_budget"),
]
