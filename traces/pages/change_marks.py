"""What was changed, on charts: the marks, and the list of them beneath."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode

from telltale.lib.chart_marks import Mark, with_marks
from telltale.lib.charts import Figure
from traces.read.asking import TooSlow
from traces.read.changelog import Change, changes_between

LISTED_MAX = 12


@dataclass(frozen=True, slots=True)
class Marks:
    """The changes in a window of charts, oldest first; `newest` of them, the latest first, are listed beneath.

    `href` leads to all of them: a query string of the page of changes. `is_missing`: they could not be read in time.
    """

    start: datetime
    end: datetime
    changes: tuple[Change, ...]
    href: str
    is_missing: bool = False

    @property
    def newest(self) -> tuple[Change, ...]:
        """The latest ones."""
        return self.changes[: -LISTED_MAX - 1 : -1]

    @property
    def more(self) -> int:
        """How many are not listed."""
        return max(len(self.changes) - LISTED_MAX, 0)

    def on(self, figure: Figure | None) -> Figure | None:
        """The figure with its marks; its time axis runs over the window from edge to edge."""
        if figure is None:
            return None
        marks = [Mark(change.at.timestamp(), change.label) for change in self.changes]
        return with_marks(figure, marks, self.start.timestamp(), self.end.timestamp())

    def on_each(self, figures: Iterable[Figure]) -> list[Figure]:
        """All of several figures with their marks."""
        return [marked for marked in map(self.on, figures) if marked is not None]


def marks_in(
    project_id: int,
    start: datetime,
    end: datetime,
    *,
    services: Sequence[str | None] = (),
    features: Sequence[str | None] = (),
    environments: Sequence[str | None] = (),
) -> Marks:
    """The changes that touch [start, end) and the scope. A chart stands without them: slow is told, not raised."""
    scope = {"service": services, "feature": features, "environment": environments}
    pairs = [(name, value) for name, values in scope.items() for value in values if value]
    href = "?" + urlencode([*pairs, ("from", start.isoformat()), ("to", end.isoformat())])
    try:
        found = changes_between(
            project_id, start, end, services=services, features=features, environments=environments
        )  # fmt: skip
    except TooSlow:
        return Marks(start, end, (), href, True)
    return Marks(start, end, tuple(found), href)
