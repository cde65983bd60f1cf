"""What addresses of incidents share: which incident, who acts, how refusals are told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from drf_spectacular.types import OpenApiTypes
from drf_spectacular.utils import OpenApiParameter

from alerts.api import incident_json as shown
from alerts.api.views import TOO_SLOW, MonitorView, problem_of
from alerts.incidents.types import NotThere, Outdated, WrongState
from alerts.pages import incident_view as view
from alerts.read.incidents import IncidentRow, get_incident, list_events, list_members, list_steps, list_watchers
from alerts.read.signals import agreeing
from telltale.lib.faults import ItemRefused
from telltale.rest import params
from telltale.rest.problems import FieldError, Problem, not_found
from traces.read import TooSlow

SHOWN = 50
NUMBER = OpenApiParameter(
    "number", OpenApiTypes.STR, OpenApiParameter.PATH, description="The incident's number: 42 of INC-42."
)
OUTDATED = {409: "Another version is in force than the one named, or the incident is not where this act begins."}
WRONG_STATE = {409: "The incident is not where this act begins: it is resolved, merged, or at another step."}


class IncidentView(MonitorView):
    """An address of the incidents of a project."""

    def incident(self, raw: str) -> IncidentRow:
        """The incident that an address names, by 42 or INC-42; 404 where the project has none."""
        digits = raw[4:] if raw[:4].upper() == "INC-" else raw
        found = get_incident(self.project.pk, params.row_id(digits))
        if found is None:
            raise not_found()
        return found

    def detail(self, row: IncidentRow) -> dict[str, Any]:
        """Everything an incident's page shows beside what its steps found. Six queries."""
        members = list_members(row.id, limit=SHOWN)
        return {
            **shown.incident(row),
            "summary": view.lede(row, members),
            "steps": [shown.step(each) for each in list_steps(row.id)],
            "watchers": [shown.watcher(each) for each in list_watchers(row.id)],
            "agreement": shown.agreement(agreeing(self.project.pk, row)),
            "first_members": [shown.member(each) for each in members],
            "last_events": [shown.event(each) for each in list_events(row.id, limit=SHOWN)],
        }

    @property
    def by(self) -> dict[str, Any]:
        """Who acts, as acts take it: `user`, `request` and `actor`."""
        return {"user": self.person, "request": self.http, "actor": self.actor}


@contextmanager
def told() -> Iterator[None]:
    """Raise what incidents refuse as the problem a caller can mend."""
    try:
        yield
    except ItemRefused as refused:
        raise problem_of(refused) from None
    except NotThere:
        raise not_found() from None
    except Outdated as outdated:
        error = FieldError("of_version", "is not in force any more", str(outdated.version))
        raise Problem(409, f"Version {outdated.version} is in force: somebody changed it.", error) from None
    except WrongState as wrong:
        raise Problem(409, wrong.words) from None
    except TooSlow:
        raise Problem(503, TOO_SLOW) from None
