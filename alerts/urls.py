"""Addresses of the pages that watch: monitors, their charts and alarms, the alert budget, drift."""

from __future__ import annotations

from django.urls import URLPattern, path

from alerts.pages import (
    acts,
    alarms,
    budget,
    chart,
    cost_budget_form,
    cost_budgets,
    drift,
    drift_settings,
    editing,
    incident_urls,
    monitors,
    notice_urls,
    questions,
    what_if,
)

P = "p/<slug:slug>/"
MONITORS = P + "monitors/"
DRIFT = P + "drift/"
COST = P + "cost/"

urlpatterns: list[URLPattern] = [
    path(P + "questions/", questions.question_page, name="questions"),
    path(P + "questions/new/", questions.question_new, name="question_new"),
    path(P + "questions/act/", questions.question_act, name="question_act"),
    path(P + "questions/<int:question_id>/edit/", questions.question_edit, name="question_edit"),
    *incident_urls.urlpatterns,
    path(MONITORS, monitors.monitor_list_page, name="monitors"),
    path(MONITORS + "alarms/", alarms.alarm_list, name="alarms"),
    path(MONITORS + "budget/", budget.alert_budget, name="alert_budget"),
    path(MONITORS + "new/", editing.monitor_new, name="monitor_new"),
    path(MONITORS + "<int:monitor_id>/edit/", editing.monitor_edit, name="monitor_edit"),
    path(MONITORS + "<int:monitor_id>/", chart.monitor_page, name="monitor"),
    path(MONITORS + "<int:monitor_id>/alarms/<int:alarm_id>/", acts.alarm_act, name="monitor_alarm"),
    path(MONITORS + "<int:monitor_id>/baseline/", acts.baseline_act, name="monitor_baseline"),
    path(MONITORS + "<int:monitor_id>/switch/", acts.switch_act, name="monitor_switch"),
    path(DRIFT, drift.drift_page, name="drift"),
    path(DRIFT + "settings/", drift_settings.settings_page, name="drift_settings"),
    path(DRIFT + "freeze/", drift.freeze, name="drift_freeze"),
    path(DRIFT + "update/", drift.update, name="drift_update"),
    path(DRIFT + "references/<int:reference_id>/approve/", drift.approve, name="drift_approve"),
    path(DRIFT + "references/<int:reference_id>/rename/", drift.rename, name="drift_rename"),
    path(COST + "what-if/", what_if.what_if_page, name="what_if"),
    path(COST + "budgets/", cost_budgets.cost_budgets, name="cost_budgets"),
    path(COST + "budgets/new/", cost_budget_form.cost_budget_new, name="cost_budget_new"),
    path(COST + "budgets/<int:budget_id>/", cost_budgets.cost_budget, name="cost_budget"),
    path(COST + "budgets/<int:budget_id>/edit/", cost_budget_form.cost_budget_edit, name="cost_budget_edit"),
    path(COST + "budgets/<int:budget_id>/act/", cost_budgets.cost_budget_act, name="cost_budget_act"),
    *notice_urls.urlpatterns,
]
