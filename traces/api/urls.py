"""REST addresses of traces, below /api/v1/. A trailing slash makes no difference (telltale.web.middleware)."""

from __future__ import annotations

from django.urls import path

from traces.api import (
    accounting,
    compare,
    copying,
    cost,
    forwarding,
    notes,
    performance,
    prices,
    sessions,
    traces,
    signals,
    users,
    views,
)

urlpatterns = [
    path("traces", traces.traces, name="api-traces"),
    path("traces/facets", traces.TraceFacetsView.as_view(), name="api-traces-facets"),
    path("traces/<str:trace_id>", traces.TraceView.as_view(), name="api-trace"),
    path("traces/<str:trace_id>/otlp", copying.OtlpView.as_view(), name="api-otlp"),
    path("traces/<str:trace_id>/spans", traces.SpanListView.as_view(), name="api-spans"),
    path("traces/<str:trace_id>/spans/<str:span_id>", traces.SpanView.as_view(), name="api-span"),
    path("performance", performance.PerformanceView.as_view(), name="api-performance"),
    path("performance/hosts", performance.HostsView.as_view(), name="api-performance-hosts"),
    path("compare", compare.CompareView.as_view(), name="api-compare"),
    path("traces/<str:trace_id>/comments", notes.CommentsView.as_view(), name="api-comments"),
    path("traces/<str:trace_id>/comments/<str:comment_id>", notes.CommentView.as_view(), name="api-comment"),
    path("traces/<str:trace_id>/labels", notes.LabelsView.as_view(), name="api-labels"),
    path("labels", notes.LabelNamesView.as_view(), name="api-label-names"),
    path("sessions", sessions.SessionListView.as_view(), name="api-sessions"),
    path("sessions/<path:session>/turns", sessions.TurnListView.as_view(), name="api-turns"),
    path("sessions/<path:session>", sessions.SessionView.as_view(), name="api-session"),
    path("users", users.UserListView.as_view(), name="api-users"),
    path("users/<path:user>", users.UserView.as_view(), name="api-user"),
    path("views", views.ViewsView.as_view(), name="api-views"),
    path("views/<str:view_id>", views.ViewView.as_view(), name="api-view"),
    path("forwarding", forwarding.TargetsView.as_view(), name="api-forwarding"),
    path("forwarding/<str:target_id>", forwarding.OneTargetView.as_view(), name="api-forwarding-target"),
    path("forwarding/<str:target_id>/test", forwarding.TargetTestView.as_view(), name="api-forwarding-test"),
    path("accounting", accounting.AccountingView.as_view(), name="api-accounting"),
    path("cost", cost.CostView.as_view(), name="api-cost"),
    path("cost/days", cost.CostDaysView.as_view(), name="api-cost-days"),
    path("cost/change", cost.CostChangeView.as_view(), name="api-cost-change"),
    path("signals", signals.signals, name="api-signals"),
    path("signals/names", signals.SignalNamesView.as_view(), name="api-signal-names"),
    # Words of their own stand before this one.
    path("signals/<str:signal_id>", signals.OneSignalView.as_view(), name="api-signal"),
    path("cost/forecast", cost.CostForecastView.as_view(), name="api-cost-forecast"),
    path("prices", prices.PricesView.as_view(), name="api-prices"),
    path("prices/unpriced", prices.UnpricedView.as_view(), name="api-prices-unpriced"),
    path("prices/<str:price_id>", prices.PriceView.as_view(), name="api-price"),
    path("reprice", prices.RepriceView.as_view(), name="api-reprice"),
    path("reprice/<str:job_id>", prices.RepriceJobView.as_view(), name="api-reprice-job"),
    path("reprice/<str:job_id>/apply", prices.RepriceApplyView.as_view(), name="api-reprice-apply"),
]
