"""What a list of closed incidents tells beside their rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from django.db.models import Count

from alerts.incidents.types import Step
from alerts.models import IncidentCase, IncidentStep, Monitor
from alerts.read.incidents import steps_in_time


@dataclass(frozen=True, slots=True)
class Beside:
    """What an incident came to. `in_time`, `timed`: steps with a timer that were finished in time, of how many."""

    cause: str
    in_time: int
    timed: int
    cases: int


def read_closed(incident_ids: Sequence[int]) -> dict[int, Beside]:
    """What some incidents came to; each has an entry. Three queries."""
    ids = list(incident_ids)
    causes: dict[int, str] = {}
    isolated = IncidentStep.objects.filter(incident_id__in=ids, step=Step.ISOLATE, finished_at__isnull=False)
    for incident_id, words in isolated.order_by("round").values_list("incident_id", "outcome__words"):
        causes[incident_id] = str(words or "")
    cases = dict(
        IncidentCase.objects.filter(incident_id__in=ids)
        .values("incident_id")
        .annotate(n=Count("pk"))
        .values_list("incident_id", "n")
    )
    timed = steps_in_time(ids)
    return {pk: Beside(causes.get(pk, ""), *timed.get(pk, (0, 0)), cases.get(pk, 0)) for pk in ids}


def is_watched(project_id: int) -> bool:
    """Whether a project has a monitor that may page. One query."""
    return Monitor.objects.filter(project_id=project_id, archived_at=None, is_on=True, is_paging=True).exists()
