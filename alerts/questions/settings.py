"""What finding an incident is worth, and what a false page costs: judgements, shown beside every figure. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

SEVERITIES = (0, 1, 2, 3)
# US dollars, so that judging and attention are in the same unit. A project enters its own.
WORTH = {0: 5_000.0, 1: 1_000.0, 2: 300.0, 3: 100.0}
PAGE_COST = 40.0
# A false page takes this long; looking at a chart one minute.
PAGE_MINUTES, VIEW_MINUTES = 30.0, 1.0
WORTH_MOST = 1e9


@dataclass(frozen=True, slots=True)
class Worths:
    """US dollars: `worth` of having found a real incident, by severity; `page_cost` of one false page."""

    worth: Mapping[int, float]
    page_cost: float
    application: str = ""
    is_default: bool = True

    @property
    def minute_cost(self) -> float:
        """What a minute of attention costs, by what a false page does."""
        return self.page_cost / PAGE_MINUTES


def worths_of(worth: Mapping[str, Any], page_cost: float | None, application: str = "") -> Worths:
    """The settings as stored, what is absent as the default."""
    known = {severity: float(worth.get(str(severity), WORTH[severity])) for severity in SEVERITIES}
    return Worths(
        known, PAGE_COST if page_cost is None else page_cost, application, is_default=not worth and page_cost is None
    )
