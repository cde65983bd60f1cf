"""Series of sessions: what their users did, what they came to, what they cost. By the hour of their first turn."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from alerts.monitors.types import Definition, Reading, Window
from alerts.read.series_sql import TOO_SLOW, also, hours_of, named, rows_of, template
from alerts.read.series_traces import Group, costs_of_units
from alerts.series import making
from alerts.series.asked import Asked, SeriesFault
from traces.behaviour.types import Fact
from traces.outcomes.ratio import Sums, TooLittle, ratio
from traces.outcomes.spec import Measure
from traces.read.asking import TooSlow
from traces.read.outcomes import Defined, list_outcomes

Answers = list[list[Reading] | SeriesFault]
_Z = 1.959963984540054
_BITS = {
    "abandoned": Fact.ABANDONED,
    "retried": Fact.RETRIED | Fact.REPHRASED,
    "corrected": Fact.CORRECTED,
    "escalated": Fact.ESCALATED,
    "completed": Fact.COMPLETED,
    "lone": Fact.LONE,
    "wordless": Fact.WORDLESS,
    "single_shot": Fact.SINGLE_SHOT,
}


@dataclass(frozen=True, slots=True)
class _Units:
    """The columns of series_units, in their order."""

    sessions: int = 0
    closed: int = 0
    can_leave: int = 0
    has_words: int = 0
    abandoned: int = 0
    retried: int = 0
    corrected: int = 0
    escalated: int = 0
    completed: int = 0
    units: int = 0
    votes: int = 0
    downs: int = 0


# Which count of which, and what is lacking where there are none of these.
_RATES = {
    "abandoned": ("abandoned", "can_leave", "no closed session that could have been abandoned"),
    "retried": ("retried", "has_words", "no closed session whose words are recorded"),
    "corrected": ("corrected", "has_words", "no closed session whose words are recorded"),
    "escalated": ("escalated", "has_words", "no closed session whose words are recorded"),
    "completed": ("completed", "closed", "no closed session"),
    "vote_coverage": ("votes", "units", "no closed session"),
    "thumbs_down": ("downs", "votes", "nobody voted"),
}
OF_UNITS = (*_RATES, "sessions")
OF_OUTCOMES = ("outcome", "cost_per_resolved")


def read_units(project_id: int, zone: str, asked: Sequence[Asked], windows: Sequence[Window]) -> Answers:
    """Rates of what users did. A query for all features together, and one where features are asked for."""
    answers: Answers = [TOO_SLOW for _ in asked]
    params = {"project_id": project_id, **{name: int(bits) for name, bits in _BITS.items()}, **hours_of(windows)}
    for dimensions, members in _by_dimensions(asked).items():
        query = template("series_units", dimensions=named("h", dimensions), groups=also("h", dimensions))
        try:
            rows = rows_of(query, params)
        except TooSlow:
            continue
        found: dict[int, dict[str | None, _Units]] = defaultdict(dict)
        for at, *cells in rows:
            feature = cells[0] or None if dimensions else None
            found[at][feature] = _Units(*map(int, cells[len(dimensions) :]))
        for member in members:
            each = asked[member]
            answers[member] = [
                _rate(each, _sum(_of(found.get(at, {}), each.definition)), window, zone)
                for at, window in enumerate(windows)
            ]
    return answers


def read_outcomes(project_id: int, zone: str, asked: Sequence[Asked], windows: Sequence[Window]) -> Answers:
    """Outcomes with their intervals. One query for the definitions, one or two for the sums."""
    answers: Answers = [TOO_SLOW for _ in asked]
    defined = {each.slug: each for each in list_outcomes(project_id, with_archived=True)}
    told: dict[int, Defined] = {}
    for at, each in enumerate(asked):
        slug = str(each.definition.params["outcome"])
        outcome = defined.get(slug)
        if outcome is None:
            answers[at] = SeriesFault(f"there is no outcome {slug}")
        elif each.metric.key == "cost_per_resolved" and outcome.spec.measure is not Measure.COST:
            answers[at] = SeriesFault(f"{outcome.name} measures no cost")
        else:
            told[at] = outcome
    for dimensions, members in _by_dimensions(asked).items():
        known = [at for at in members if at in told]
        if not known:
            continue
        query = template("series_outcomes", dimensions=named("h", dimensions), groups=also("h", dimensions))
        params = {"project_id": project_id, "ids": sorted({told[at].id for at in known}), **hours_of(windows)}
        try:
            rows = rows_of(query, params)
        except TooSlow:
            continue
        found: dict[tuple[int, int], dict[str | None, Sums]] = defaultdict(dict)
        for at, outcome_id, *cells in rows:
            feature = cells[0] or None if dimensions else None
            n, unknown, *sums = cells[len(dimensions) :]
            found[outcome_id, at][feature] = Sums(int(n), int(unknown), *sums)
        for member in known:
            outcome, definition = told[member], asked[member].definition
            answers[member] = [
                _figure(outcome, sum(_of(found.get((outcome.id, at), {}), definition), Sums()), window)
                for at, window in enumerate(windows)
            ]
    return answers


def read_session_costs(project_id: int, zone: str, asked: Sequence[Asked], windows: Sequence[Window]) -> Answers:
    """What single sessions cost. A query for all features together, and one where features are asked for."""
    answers: Answers = [TOO_SLOW for _ in asked]
    for dimensions, members in _by_dimensions(asked).items():
        try:
            found = costs_of_units(project_id, Group(dimensions, "", members), asked, windows)
        except TooSlow:
            continue
        for at, answer in zip(members, found, strict=True):
            answers[at] = answer
    return answers


def _by_dimensions(asked: Sequence[Asked]) -> dict[tuple[str, ...], list[int]]:
    groups: dict[tuple[str, ...], list[int]] = defaultdict(list)
    for at, each in enumerate(asked):
        groups[tuple(name for name, _ in each.definition.scope.values)].append(at)
    return groups


def _of(cells: Mapping[str | None, Any], definition: Definition) -> list[Any]:
    if not definition.scope.values:
        return list(cells.values())
    return [cells[value] for value in definition.scope.values[0][1] if value in cells]


def _sum(many: Sequence[_Units]) -> _Units:
    if len(many) == 1:
        return many[0]
    return _Units(*(sum(getattr(each, name) for each in many) for name in _Units.__slots__))


def _rate(asked: Asked, units: _Units, window: Window, zone: str) -> Reading:
    if asked.metric.key == "sessions":
        return making.count(window, zone, units.sessions)
    k, n, lacking = _RATES[asked.metric.key]
    # What is still open will be counted once it is over.
    coverage = units.closed / units.sessions if units.sessions else None
    return making.share(window, getattr(units, k), getattr(units, n), lacking, coverage)


def _figure(outcome: Defined, sums: Sums, window: Window) -> Reading:
    found = ratio(sums, outcome.spec.shape)
    coverage = sums.known_share
    if isinstance(found, TooLittle):
        return making.nothing(window, f"{found.have} of {found.need} {found.what}", sums.n, coverage)
    sd = (found.high - found.low) / (2 * _Z)
    return making.level(window, found.value, found.n, "", sd=sd, low=found.low, high=found.high, coverage=coverage)
