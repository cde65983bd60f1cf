"""What the list of projects says of each: how its pillars stand, its open incidents, and whether data still come."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from alerts.monitors.states import UNJUDGED, Standing
from alerts.questions.pillars import Pillar
from alerts.read.fronted import Stood, standings_of
from alerts.read.incidents import IncidentRow, open_of
from alerts.read.spending import pressing
from telltale.lib import clock
from telltale.projects.models import Project
from telltale.web.overview import ProjectCard, overview_cards

PILLARS = (Pillar.QUALITY, Pillar.COST, Pillar.LATENCY, Pillar.SAFETY)
SEVERITIES_SHOWN = 6
# Of all projects together, the worst: what is beyond them is not known to be quiet.
INCIDENTS_MOST = 2_000
_GOING = (Standing.ALARMED, Standing.ACKNOWLEDGED)
_NUMBERS = ("No", "One", "Two", "Three", "Four", "Five", "Six", "Seven", "Eight", "Nine", "Ten")
State = tuple[str, str]


@dataclass(frozen=True, slots=True)
class HomeLine:
    """One project: its card of the last day, (ribbon, word) of each pillar, its open incidents, the worst first."""

    card: ProjectCard
    pillars: tuple[State, ...]
    incidents: tuple[IncidentRow, ...]
    more: int
    budgets: State | None = None

    @property
    def needs(self) -> bool:
        """Whether somebody should look: a pillar is out of its limits, an incident is open, a cost budget is spent."""
        states = self.pillars if self.budgets is None else (*self.pillars, self.budgets)
        return bool(self.incidents) or any(ribbon == "bad" for ribbon, _ in states)


def home_lines(projects: Sequence[Project]) -> list[HomeLine]:
    """A line for each project, those that need somebody first. The same number of queries for any number of them."""
    now = clock.now()
    ids = [project.pk for project in projects]
    incidents = open_of(ids, INCIDENTS_MOST) if ids else {}
    stood: dict[int, list[Stood]] = {}
    for each in standings_of(ids):
        stood.setdefault(each.project_id, []).append(each)
    pressed = pressing(ids, now) if ids else {}
    lines = [
        HomeLine(
            card,
            tuple(
                _state([one for one in stood.get(card.project.pk, ()) if one.pillar is pillar], now)
                for pillar in PILLARS
            ),
            tuple(incidents.get(card.project.pk, ())[:SEVERITIES_SHOWN]),
            max(len(incidents.get(card.project.pk, ())) - SEVERITIES_SHOWN, 0),
            _budgets(*pressed.get(card.project.pk, (0, 0))),
        )
        for card in overview_cards(projects)
    ]
    return sorted(lines, key=lambda line: not line.needs)


def _budgets(over: int, near: int) -> State | None:
    """What cost budgets say: those that are spent, else those near their limit; None: nothing to say."""
    if over:
        return "bad", f"{over} budget{'' if over == 1 else 's'} over"
    return ("watch", f"{near} budget{'' if near == 1 else 's'} near") if near else None


def _state(monitors: Sequence[Stood], now: datetime) -> State:
    """Ribbon and word of a pillar: the worst that its monitors say; nothing judged is not yet in range."""
    if not monitors:
        return "none", "Not watched"
    going = [each for each in monitors if each.standing in _GOING]
    if any(each.is_paging and not (each.muted_until is not None and each.muted_until > now) for each in going):
        return "bad", "Out"
    if going:
        return "watch", "Notice"
    if any(each.standing is Standing.IN_CONTROL and each.standing_words != UNJUDGED for each in monitors):
        return "ok", "In range"
    if all(each.standing in {Standing.LEARNING, Standing.IN_CONTROL} for each in monitors):
        return "none", "Learning"
    if all(each.standing in {Standing.NO_DATA, Standing.TOO_LITTLE} for each in monitors):
        return "none", "No data"
    return "watch", "Cannot say"


def headline(lines: Sequence[HomeLine]) -> str:
    """The answer of the page: "One of three projects needs attention"."""
    whole, needing = len(lines), sum(line.needs for line in lines)
    if not whole:
        return "No project yet"
    if needing:
        if whole == 1:
            return "The one project needs attention"
        return f"{_number(needing)} of {_number(whole).lower()} projects need{'s' if needing == 1 else ''} attention"
    projects = "One project" if whole == 1 else f"{whole} projects"
    watched = sum(any(ribbon == "ok" for ribbon, _ in line.pillars) for line in lines)
    if watched == whole:
        return f"{projects}, and nothing that pages is out of its limits"
    return projects if not watched else f"{projects}; nothing that is watched needs attention"


def _number(n: int) -> str:
    return _NUMBERS[n] if n < len(_NUMBERS) else f"{n:,}"
