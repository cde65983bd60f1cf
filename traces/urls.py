"""Addresses of the pages about what happened."""

from __future__ import annotations

from django.urls import path

from traces import pages
from traces.pages import changes, definitions, notes, outcomes, views
from traces.pages.session import session_page
from traces.pages.session_list import session_list
from traces.pages.signal_list import signal_list
from traces.pages.user import user_page
from traces.pages.user_list import user_list
from traces.pages_performance import performance

urlpatterns = [
    path("p/<slug:slug>/traces/", pages.trace_list, name="trace_list"),
    path("p/<slug:slug>/traces/compare/", pages.trace_compare, name="trace_compare"),
    path("p/<slug:slug>/traces/views/", views.view_list, name="trace_views"),
    path("p/<slug:slug>/traces/views/<int:view_id>/", views.view_edit, name="trace_view"),
    path("p/<slug:slug>/traces/views/<int:view_id>/delete/", views.view_delete, name="trace_view_delete"),
    path("p/<slug:slug>/traces/views/<int:view_id>/default/", views.view_default, name="trace_view_default"),
    path("p/<slug:slug>/traces/<str:trace>/", pages.trace_page, name="trace_page"),
    path("p/<slug:slug>/traces/<str:trace>/copy/", pages.trace_copy, name="trace_copy"),
    path("p/<slug:slug>/traces/<str:trace>/comments/", notes.comment_add, name="comment_add"),
    path("p/<slug:slug>/traces/<str:trace>/comments/<int:comment_id>/", notes.comment_edit, name="comment_edit"),
    path(
        "p/<slug:slug>/traces/<str:trace>/comments/<int:comment_id>/delete/",
        notes.comment_delete,
        name="comment_delete",
    ),
    path("p/<slug:slug>/traces/<str:trace>/labels/", notes.label_add, name="label_add"),
    path("p/<slug:slug>/traces/<str:trace>/labels/remove/", notes.label_remove, name="label_remove"),
    path("p/<slug:slug>/performance/", performance, name="performance"),
    path("p/<slug:slug>/sessions/", session_list, name="session_list"),
    path("p/<slug:slug>/sessions/<path:session>/", session_page, name="session_page"),
    path("p/<slug:slug>/signals/all/", signal_list, name="signal_list"),
    path("p/<slug:slug>/signals/definitions/", definitions.definitions, name="signal_definitions"),
    path(
        "p/<slug:slug>/signals/definitions/retry/", definitions.definitions_retry, name="signal_definitions_retry"
    ),
    path("p/<slug:slug>/outcomes/", outcomes.outcome_list, name="outcomes"),
    path("p/<slug:slug>/outcomes/new/", outcomes.outcome_new, name="outcome_new"),
    path("p/<slug:slug>/outcomes/preset/", outcomes.outcome_preset, name="outcome_preset"),
    path("p/<slug:slug>/outcomes/<slug:outcome>/", outcomes.outcome_page, name="outcome"),
    path("p/<slug:slug>/outcomes/<slug:outcome>/edit/", outcomes.outcome_edit, name="outcome_edit"),
    path("p/<slug:slug>/outcomes/<slug:outcome>/archive/", outcomes.outcome_archive, name="outcome_archive"),
    path("p/<slug:slug>/outcomes/<slug:outcome>/recount/", outcomes.outcome_recount, name="outcome_recount"),
    path("p/<slug:slug>/outcomes/<slug:outcome>/sessions/", outcomes.outcome_sessions, name="outcome_sessions"),
    path("p/<slug:slug>/changes/", changes.change_list, name="changes"),
    path("p/<slug:slug>/changes/new/", changes.change_new, name="change_new"),
    path("p/<slug:slug>/changes/<int:change_id>/", changes.change_page, name="change"),
    path("p/<slug:slug>/changes/<int:change_id>/remove/", changes.change_remove, name="change_remove"),
    path("p/<slug:slug>/users/", user_list, name="user_list"),
    path("p/<slug:slug>/users/<path:user>/", user_page, name="user_page"),
]
