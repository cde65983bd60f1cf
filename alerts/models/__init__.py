"""Tables of alerts that the ORM serves. Points of charts are in `migrations/0002_points.sql`: SQL reads better."""

from __future__ import annotations

from alerts.models.budgets import BudgetStand, CostBudget
from alerts.models.incidents import (
    Incident,
    IncidentCase,
    IncidentEvent,
    IncidentMember,
    IncidentSettings,
    IncidentStep,
    IncidentWatcher,
    ResponseMade,
    ScopeReport,
    TriageItem,
)
from alerts.models.notices import Attempt, Channel, Delivery, EngineState, NoticeSettings, Route, Silence, Transition
from alerts.models.questions import (
    ChartView,
    MetricReport,
    Proposal,
    Question,
    QuestionMonitor,
    QuestionSettings,
)
from alerts.models.watching import Alarm, Baseline, Budget, DriftReference, DriftReport, DriftSettings, Monitor

__all__ = [
    "Alarm",
    "Attempt",
    "Baseline",
    "Budget",
    "BudgetStand",
    "Channel",
    "ChartView",
    "CostBudget",
    "Delivery",
    "DriftReference",
    "DriftReport",
    "DriftSettings",
    "EngineState",
    "Incident",
    "IncidentCase",
    "IncidentEvent",
    "IncidentMember",
    "IncidentSettings",
    "IncidentStep",
    "IncidentWatcher",
    "MetricReport",
    "Monitor",
    "NoticeSettings",
    "Proposal",
    "Question",
    "QuestionMonitor",
    "QuestionSettings",
    "ResponseMade",
    "Route",
    "ScopeReport",
    "Silence",
    "Transition",
    "TriageItem",
]
