"""The section "learn" of an incident's page."""

from __future__ import annotations

from django.http import HttpRequest

from alerts.read.incidents import IncidentRow
from telltale.projects.models import Project


def part(project: Project, incident: IncidentRow, request: HttpRequest) -> object:
    """What `alerts/incident/_learn.html` shows as `part`."""
    return None
