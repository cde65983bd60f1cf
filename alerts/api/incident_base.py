"""What addresses of triage and of closing share: who may close without, and how their refusals are told."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from alerts.api.incident_views import IncidentView
from alerts.api.incident_views import told as told_of_incidents
from alerts.closing import GateClosed
from alerts.triaging import TakenBy
from telltale.projects.access import may
from telltale.projects.keys import KeyHolder
from telltale.rest.problems import FieldError, Problem

TAG = "Incidents"
MOVED = {409: "Somebody changed it meanwhile, or it is not where this act begins; `detail` says which."}


class IncidentPartView(IncidentView):
    """An address below one incident."""

    @property
    def may_override(self) -> bool:
        """Whether who asks may close an incident although conditions are not met."""
        holder = self.request.auth
        if isinstance(holder, KeyHolder):
            return "admin" in holder.scopes
        return may(self.project, "settings")


@contextmanager
def told() -> Iterator[None]:
    """Raise what incidents refuse as the problem a caller can mend."""
    try:
        with told_of_incidents():
            yield
    except TakenBy as taken:
        raise Problem(409, f"{taken.who} said it before: {taken.verdict}. That stays.") from None
    except GateClosed as gate:
        errors = [FieldError(each.key, f"{each.words}: {each.detail}") for each in gate.unmet]
        words = "Not everything stands that closing needs."
        if not gate.may_override:
            words += " An administrator may close it without, with a reason."
        raise Problem(409, words, *errors) from None
