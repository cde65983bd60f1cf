"""What the list of projects shows of each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from telltale.projects.models import Project


@dataclass(frozen=True, slots=True)
class ProjectCard:
    """One project's line; figures are of the last 24 hours and None where they are not known."""

    project: Project
    traces: int | None
    errors: int | None
    cost_usd: Decimal | None
    unpriced: int | None


def overview_cards(projects: Sequence[Project]) -> list[ProjectCard]:
    """A card for each project, in the order given."""
    return [ProjectCard(project, None, None, None, None) for project in projects]
