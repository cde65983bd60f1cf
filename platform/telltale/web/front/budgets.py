"""Cost budgets on the overview: those that are spent or near their limit, by name; the rest in a sentence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from alerts.pages.cost_budget_view import BudgetLine, line
from alerts.read.spending import list_budgets, stands_now
from telltale.projects.models import Project
from telltale.web.front.words import plural
from traces.read import TooSlow
from traces.read.asking import asking
from traces.rollup.buckets import calendar_of

SHOWN = 4
_RANK = {"over": 0, "near": 1}


@dataclass(frozen=True, slots=True)
class Budgets:
    """Every budget that is on, the worst first; `shown` are those that are over or near, `more` of which are left."""

    lines: tuple[BudgetLine, ...]

    @property
    def shown(self) -> tuple[BudgetLine, ...]:
        return tuple(each for each in self.lines if each.state in _RANK)[:SHOWN]

    @property
    def more(self) -> int:
        return sum(each.state in _RANK for each in self.lines) - len(self.shown)

    @property
    def rest(self) -> str:
        """The others: "2 budgets are within their limits so far, 1 is not added up yet"."""
        within = sum(each.state == "within" for each in self.lines)
        unknown = sum(each.state == "unknown" for each in self.lines)
        parts = []
        if within:
            verb, whose = ("is", "its limit") if within == 1 else ("are", "their limits")
            parts.append(f"{plural(within, 'budget')} {verb} within {whose} so far")
        if unknown:
            parts.append(f"{plural(unknown, 'budget')} {'is' if unknown == 1 else 'are'} not added up yet")
        return f"{', '.join(parts)}." if parts else ""


def read_budgets(project: Project, now: datetime) -> Budgets | None:
    """The cost budgets of a project as they stand; None where that takes too long. At most two queries."""
    try:
        with asking():
            rows = [each for each in list_budgets(project.pk) if each.allowance.is_on]
            stands = stands_now(rows, calendar_of(project.time_zone), now) if rows else {}
    except TooSlow:
        return None
    return Budgets(_ordered([line(each, stands[each.id]) for each in rows]))


def _ordered(lines: Sequence[BudgetLine]) -> tuple[BudgetLine, ...]:
    return tuple(sorted(lines, key=lambda each: _RANK.get(each.state, 2)))
