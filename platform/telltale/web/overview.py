"""What the list of projects shows of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

from telltale.lib import clock
from telltale.lib import format as fmt
from telltale.projects.models import Project
from traces.read.asking import TooSlow
from traces.read.money import CostState
from traces.read.overview import Overview, read_overviews

WINDOW = timedelta(hours=24)
_BEFORE = {CostState.AT_LEAST: "at least ", CostState.AT_MOST: "at most ", CostState.ESTIMATE: "about "}
_INSTEAD = {CostState.NONE: "none", CostState.UNPRICED: "unpriced", CostState.UNKNOWN_USAGE: "usage unknown"}


@dataclass(frozen=True, slots=True)
class ProjectCard:
    """One project's line, ready to show; the figures are of the last 24 hours."""

    project: Project
    state: str
    word: str
    traces: str
    errors: str
    cost: str
    unpriced: str


def overview_cards(projects: Sequence[Project]) -> list[ProjectCard]:
    """A card for each project, in the order given; "unknown" where the figures took too long to read."""
    now = clock.now()
    try:
        found: dict[int, Overview] = read_overviews([p.pk for p in projects], now - WINDOW, now) if projects else {}
    except TooSlow:
        found = {}
    return [_card(project, found.get(project.pk)) for project in projects]


def _card(project: Project, seen: Overview | None) -> ProjectCard:
    if project.first_span_at is None:
        return ProjectCard(project, "none", "Waiting for the first trace", "none", "none", "none", "")
    if seen is None:
        return ProjectCard(project, "none", "Not read", fmt.UNKNOWN, fmt.UNKNOWN, fmt.UNKNOWN, "")
    more = "over " if seen.is_capped else ""
    return ProjectCard(
        project,
        "ok" if seen.traces else "watch",
        "Receiving" if seen.traces else "Quiet for a day",
        more + fmt.count(seen.traces),
        (more if seen.errors else "") + fmt.count(seen.errors),
        _cost(seen),
        _unpriced(seen),
    )


def _cost(seen: Overview) -> str:
    instead = _INSTEAD.get(seen.cost_state)
    if instead:
        return instead
    text = fmt.cost(seen.cost.usd)
    # "at least under $0.0001" would say nothing.
    return text if text.startswith("under") else _BEFORE.get(seen.cost_state, "") + text


def _unpriced(seen: Overview) -> str:
    if not seen.cost.unpriced or seen.cost_state in _INSTEAD:
        return ""
    return "1 call unpriced" if seen.cost.unpriced == 1 else f"{fmt.count(seen.cost.unpriced)} calls unpriced"
