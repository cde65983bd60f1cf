"""Pages of evals below `/p/<slug>/`."""

from __future__ import annotations

from django.urls import URLPattern, path

from evals.pages import connections

P = "p/<slug:slug>/"
CONNECTIONS = P + "settings/connections/"

urlpatterns: list[URLPattern] = [
    # Setting up: connections, rubrics, judges, plans
    path(CONNECTIONS, connections.connections, name="connections"),
    path(CONNECTIONS + "new/", connections.new, name="connection_new"),
    path(CONNECTIONS + "<int:connection_id>/", connections.change, name="connection_change"),
    path(CONNECTIONS + "<int:connection_id>/test/", connections.test, name="connection_test"),
    path(CONNECTIONS + "<int:connection_id>/archive/", connections.archive, name="connection_archive"),
    path(CONNECTIONS + "<int:connection_id>/restore/", connections.restore, name="connection_restore"),
]
