"""REST of alerts below `/api/v1/`."""

from __future__ import annotations

from django.urls import URLPattern, path

from alerts.api import (
    alarms,
    backtests,
    baselines,
    choosing,
    cost_budgets,
    drift,
    incident_step_urls,
    monitors,
    notice_urls,
    questions,
    what_if,
)
from alerts.api.incident_found_urls import urlpatterns as of_found
from alerts.api.incident_urls import urlpatterns as of_incidents

urlpatterns: list[URLPattern] = [
    *of_incidents,
    *of_found,
    # Questions
    path("questions", questions.QuestionsView.as_view(), name="api-questions"),
    path("questions/presets", questions.QuestionSetsView.as_view(), name="api-questions-presets"),
    path("questions/worths", questions.WorthsView.as_view(), name="api-questions-worths"),
    path("questions/report", questions.ReportView.as_view(), name="api-questions-report"),
    path("questions/proposals", questions.ProposalsView.as_view(), name="api-questions-proposals"),
    path("questions/proposals/<str:proposal>", questions.OneProposalView.as_view(), name="api-questions-proposal"),
    path("questions/<str:question>", questions.OneQuestionView.as_view(), name="api-question"),
    path("questions/<str:question>/move", questions.QuestionMoveView.as_view(), name="api-question-move"),
    # Monitors
    path("monitors", monitors.MonitorsView.as_view(), name="api-monitors"),
    path("monitors/metrics", choosing.MetricsView.as_view(), name="api-monitors-metrics"),
    path("monitors/presets", choosing.PresetsView.as_view(), name="api-monitors-presets"),
    path("monitors/budget", choosing.BudgetView.as_view(), name="api-monitors-budget"),
    path("monitors/backtest", backtests.BacktestView.as_view(), name="api-monitors-backtest"),
    path("monitors/<str:monitor>", monitors.OneMonitorView.as_view(), name="api-monitor"),
    path("monitors/<str:monitor>/mute", monitors.MuteView.as_view(), name="api-monitor-mute"),
    path("monitors/<str:monitor>/points", monitors.PointsView.as_view(), name="api-monitor-points"),
    path("monitors/<str:monitor>/backtest", backtests.MonitorBacktestView.as_view(), name="api-monitor-backtest"),
    path("monitors/<str:monitor>/baselines", baselines.BaselinesView.as_view(), name="api-monitor-baselines"),
    path(
        "monitors/<str:monitor>/baselines/<str:baseline>/approve",
        baselines.ApproveView.as_view(),
        name="api-monitor-baseline-approve",
    ),
    path(
        "monitors/<str:monitor>/baselines/<str:baseline>/refuse",
        baselines.RefuseView.as_view(),
        name="api-monitor-baseline-refuse",
    ),
    path("monitors/<str:monitor>/alarms", alarms.MonitorAlarmsView.as_view(), name="api-monitor-alarms"),
    # Alarms
    path("alarms", alarms.AlarmsView.as_view(), name="api-alarms"),
    path("alarms/<str:alarm>", alarms.AlarmView.as_view(), name="api-alarm"),
    # Drift
    path("drift", drift.DriftReportView.as_view(), name="api-drift"),
    path("drift/days", drift.DriftDaysView.as_view(), name="api-drift-days"),
    path("drift/update", drift.DriftUpdateView.as_view(), name="api-drift-update"),
    path("drift/settings", drift.DriftSettingsView.as_view(), name="api-drift-settings"),
    path("drift/references", drift.DriftReferencesView.as_view(), name="api-drift-references"),
    path("drift/references/<str:reference>", drift.DriftReferenceView.as_view(), name="api-drift-reference"),
    path("drift/references/<str:reference>/approve", drift.DriftApproveView.as_view(), name="api-drift-approve"),
    path("drift/references/<str:reference>/rename", drift.DriftRenameView.as_view(), name="api-drift-rename"),
    *incident_step_urls.urlpatterns,
    # Cost budgets
    path("cost/what-if", what_if.WhatIfView.as_view(), name="api-cost-what-if"),
    path("cost/what-if/by-hand", what_if.ByHandView.as_view(), name="api-cost-by-hand"),
    path("budgets", cost_budgets.CostBudgetsView.as_view(), name="api-budgets"),
    path("budgets/check", cost_budgets.CostBudgetCheckView.as_view(), name="api-budgets-check"),
    path("budgets/<str:budget>", cost_budgets.CostBudgetView.as_view(), name="api-budget"),
    path("budgets/<str:budget>/stands", cost_budgets.CostBudgetStandsView.as_view(), name="api-budget-stands"),
    path("budgets/<str:budget>/burn-down", cost_budgets.CostBudgetBurnView.as_view(), name="api-budget-burn-down"),
    *notice_urls.urlpatterns,
]
