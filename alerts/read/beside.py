"""What stands beside a chart: the change log of what it watches."""

from __future__ import annotations

from datetime import datetime

from alerts.monitors.types import Definition
from traces.read.asking import TooSlow
from traces.read.changelog import Change, changes_between

MOST = 20


def changes_before(project_id: int, definition: Definition, start: datetime, end: datetime) -> list[Change]:
    """The changes of the log that touch what a monitor watches, in [start, end), oldest first; the latest 20.

    None where the log could not be read in time: an alarm does not wait for it.
    """
    scope = dict(definition.scope.values)
    try:
        return changes_between(
            project_id,
            start,
            end,
            services=scope.get("service", ()),
            features=scope.get("feature", ()),
            environments=scope.get("environment", ()),
            limit=MOST,
        )
    except TooSlow:
        return []
