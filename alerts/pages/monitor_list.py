"""The lines of the list of monitors: ordered by urgency, filtered by the address, ready for the template."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from django.http import QueryDict

from alerts.monitors.states import PointState, Standing
from alerts.monitors.types import Definition
from alerts.pages import units, words
from alerts.pages.expecting import ByChance
from alerts.pages.sparks import Spark, spark
from alerts.read.alarms import AlarmTally
from alerts.read.shown import Last, Shown, SparkPoint
from alerts.series.catalogue import find_metric
from evals.read.probe_state import SuiteState
from telltale.lib import format as fmt
from telltale.lib.charts import Unit

FIRED_DAYS = 30
PAGE_SIZE = 50
SEARCH_MAX = 120
_URGENT = (
    Standing.ALARMED, Standing.ACKNOWLEDGED, Standing.BROKEN, Standing.NO_DATA, Standing.STALE, Standing.UNSTABLE,
    Standing.TOO_LITTLE, Standing.LEARNING, Standing.IN_CONTROL,
)  # fmt: skip
_RANK = {standing: rank for rank, standing in enumerate(_URGENT)}
# What `state` in the address may say, with the words of its button.
STATES: dict[str, str] = {
    "out": "Out",
    "attention": "Needs attention",
    "no_data": "No data",
    "learning": "Learning",
    "in_control": "In range",
    "muted": "Muted",
    "off": "Off",
    "archived": "Put away",
}
_GROUPS: dict[str, frozenset[Standing]] = {
    "out": frozenset({Standing.ALARMED, Standing.ACKNOWLEDGED}),
    "attention": frozenset({Standing.BROKEN, Standing.STALE, Standing.UNSTABLE, Standing.TOO_LITTLE}),
    "no_data": frozenset({Standing.NO_DATA}),
    "learning": frozenset({Standing.LEARNING}),
    "in_control": frozenset({Standing.IN_CONTROL}),
}
PROBES: dict[str, tuple[str, str]] = {
    "changed": ("bad", "Changed"),
    "unanswered": ("watch", "No answer"),
    "watch": ("watch", "Watch"),
    "learning": ("none", "Learning"),
    "empty": ("none", "No run yet"),
    "paused": ("none", "Paused"),
    "same": ("ok", "Same"),
}
NOTHING_FIRED = AlarmTally(0, 0, 0, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class Asked:
    """What the address asks for; what it says wrongly is left out."""

    state: str = ""
    severity: int | None = None
    tier: str = ""
    metric: str = ""
    search: str = ""
    after: int | None = None

    @property
    def is_filtered(self) -> bool:
        return bool(self.state or self.tier or self.metric or self.search or self.severity is not None)


@dataclass(frozen=True, slots=True)
class Line:
    """One monitor of the list."""

    id: int
    name: str
    about: str
    says: str
    ribbon: str
    word: str
    since: datetime
    muted_until: datetime | None
    spark: Spark | None
    now: str
    now_note: str
    is_out: bool
    is_notable: bool
    expected: str
    method: str
    severity: str
    tier: str
    fired: str
    pages: str
    real: str


@dataclass(frozen=True, slots=True)
class ProbeLine:
    """One suite of probes, which has a budget line and alarms of its own."""

    name: str
    path: str
    ribbon: str
    word: str
    says: str
    schedule: str
    fired: str
    expected: str


@dataclass(frozen=True, slots=True)
class Counted:
    """How the monitors of a project stand, archived ones and those turned off left out but for `off`."""

    whole: int
    out: int
    learning: int
    no_data: int
    attention: int
    muted: int
    off: int


def read_asked(query: QueryDict) -> Asked:
    """The filters of an address."""
    severity, after = query.get("severity", "").lower(), query.get("after", "")
    state, tier = query.get("state", ""), query.get("tier", "")
    return Asked(
        state=state if state in STATES else "",
        severity=int(severity[1]) if severity in {"p0", "p1", "p2", "p3"} else None,
        tier=tier if tier in {"page", "notice"} else "",
        metric=fmt.visible(query.get("metric", ""))[:60],
        search=query.get("q", "").replace("\x00", "")[:SEARCH_MAX].strip(),
        after=int(after) if after.isascii() and after.isdigit() and len(after) < 19 else None,
    )


def ordered(monitors: Sequence[Shown], now: datetime) -> list[Shown]:
    """The most urgent first: out by severity, then what needs a person, then what is quiet, off and muted last."""
    return sorted(
        monitors,
        key=lambda each: (
            not each.is_on,
            each.is_muted(now) and each.standing is not Standing.ALARMED,
            _RANK[each.standing],
            each.is_muted(now),
            each.severity,
            each.name.casefold(),
            each.id,
        ),
    )


def chosen(monitors: Sequence[Shown], asked: Asked, now: datetime) -> list[Shown]:
    """The monitors an address asks for, in their order. Archived ones only where it asks for them."""
    return [each for each in monitors if _is_chosen(each, asked, now)]


def _is_chosen(each: Shown, asked: Asked, now: datetime) -> bool:
    if (each.archived_at is not None) != (asked.state == "archived"):
        return False
    if asked.state in _GROUPS and (each.standing not in _GROUPS[asked.state] or not each.is_on):
        return False
    if (asked.state == "muted" and not each.is_muted(now)) or (asked.state == "off" and each.is_on):
        return False
    if asked.severity is not None and each.severity != asked.severity:
        return False
    if (asked.tier and each.is_paging != (asked.tier == "page")) or (asked.metric and each.metric != asked.metric):
        return False
    return not asked.search or asked.search.casefold() in each.name.casefold()


def page_of(monitors: Sequence[Shown], after: int | None, size: int = PAGE_SIZE) -> tuple[list[Shown], int]:
    """The page that follows the monitor `after` and how many lie before it; the first where that one is gone."""
    at = next((place + 1 for place, each in enumerate(monitors) if each.id == after), 0) if after is not None else 0
    return list(monitors[at : at + size]), at


def count(monitors: Sequence[Shown], now: datetime) -> Counted:
    """How the monitors that are not put away stand."""
    here = [each for each in monitors if each.archived_at is None]
    live = [each for each in here if each.is_on]

    def of(group: str) -> int:
        return sum(each.standing in _GROUPS[group] for each in live)

    return Counted(
        whole=len(here),
        out=of("out"),
        learning=of("learning"),
        no_data=of("no_data"),
        attention=of("attention"),
        muted=sum(each.is_muted(now) for each in live),
        off=len(here) - len(live),
    )


def headline(counted: Counted) -> str:
    """The answer of the page: "4 of 14 monitors are outside their limits"."""
    if counted.out:
        many = counted.out != 1
        return f"{counted.out} of {counted.whole} monitors {'are' if many else 'is'} outside {_whose(many)} limits"
    if counted.whole == 1:
        return "The one monitor is not outside its limits"
    return f"None of {counted.whole} monitors is outside its limits"


def _whose(many: bool) -> str:
    return "their" if many else "its"


def rest_words(counted: Counted) -> str:
    """What else there is to know of the others, "" where all are watched."""
    parts = [
        f"{number} {word}"
        for number, word in (
            (
                counted.attention,
                "cannot be judged as they are" if counted.attention != 1 else "cannot be judged as it is",
            ),
            (counted.no_data, "without data"),
            (counted.learning, "still learning"),
            (counted.muted, "muted"),
            (counted.off, "turned off"),
        )
        if number
    ]
    return ", ".join(parts)


def line(
    monitor: Shown,
    definition: Definition,
    points: Sequence[SparkPoint],
    last: Last | None,
    fired: AlarmTally,
    expected: float | None,
    now: datetime,
    chance: ByChance | None = None,
) -> Line:
    """One monitor of the list. `expected`: false ones of `fired` while nothing is wrong; None: not by the budget, and
    `chance` says what is known.
    """
    metric = find_metric(monitor.metric)
    unit = units.unit_of(metric)
    ribbon, word = words.standing(monitor.standing, monitor.standing_words, is_on=monitor.is_on)
    if monitor.archived_at is not None:
        ribbon, word = "none", "Put away"
    return Line(
        id=monitor.id,
        name=monitor.name,
        about=words.about(metric.title if metric else monitor.metric, definition),
        says=words.says(monitor.standing, monitor.standing_words, monitor.error),
        ribbon=ribbon,
        word=word,
        since=monitor.standing_since,
        muted_until=monitor.muted_until if monitor.is_muted(now) else None,
        spark=spark(points, unit),
        now=_now(unit.text(last.value) if last and last.value is not None else "", last),
        now_note=_now_note(last, unit),
        is_out=monitor.standing is Standing.ALARMED,
        is_notable=monitor.standing not in {Standing.IN_CONTROL, Standing.LEARNING},
        expected=_expected(definition, last, unit),
        method=words.METHODS[monitor.method],
        severity=f"p{monitor.severity}",
        tier="pages" if monitor.is_paging else "notices only",
        fired=f"{fired.fired:,}",
        pages=_pages(monitor, fired, expected, chance),
        real=words.share_of(fired.real, fired.pages - fired.unjudged) if fired.pages else "",
    )


def probe_lines(suites: Sequence[SuiteState]) -> list[ProbeLine]:
    """Suites of probes beside the monitors, those that changed first."""
    order = {state: at for at, state in enumerate(PROBES)}
    return [
        ProbeLine(
            name=each.name,
            path=each.path,
            ribbon=PROBES.get(each.state, ("none", each.state))[0],
            word=PROBES.get(each.state, ("none", each.state))[1],
            says=each.words,
            schedule=each.schedule,
            fired=f"{each.fired:,}",
            expected=f"{words.about_number(each.expected_a_week * FIRED_DAYS / 7)} false expected",
        )
        for each in sorted(suites, key=lambda each: (order.get(each.state, len(order)), each.name.casefold()))
    ]


def _now(text: str, last: Last | None) -> str:
    if text:
        return text
    return "nothing yet" if last is None else words.POINTS[last.state][1].lower() if not last.n else "unknown"


_NO_BAND = {
    PointState.IN_LIMITS: "see its rules",
    PointState.OUT: "see its rules",
    PointState.WAITING: "too few to judge yet",
    PointState.TOO_LITTLE: "too few to judge",
}


def _now_note(last: Last | None, unit: Unit) -> str:
    """How much the newest window holds, and the smoothed value, which is what the limits are of."""
    if last is None or not last.n:
        return ""
    held = f"n = {last.n:,}"
    return held if last.shown_level is None else f"{held}, smoothed {unit.text(last.shown_level)}"


def _expected(definition: Definition, last: Last | None, unit: Unit) -> str:
    """What the newest window is held against."""
    if definition.objective is not None:
        return f"{fmt.share(definition.objective.allowed)} allowed"
    if definition.composite is not None:
        many = definition.composite
        return f"under {many.least}" if many.score_over is None else f"score under {many.score_over:g}"
    if last is None:
        return "not yet known"
    # Sums and categories have limits, and none in the unit of their values.
    return units.band(unit, last.shown_low, last.shown_high, _NO_BAND.get(last.state, "not yet known"))


def _pages(monitor: Shown, fired: AlarmTally, expected: float | None, chance: ByChance | None) -> str:
    """ "2 pages; 0.6 false expected"."""
    what = "page" if monitor.is_paging else "notice"
    number = fired.pages if monitor.is_paging else fired.fired
    seen = f"{number:,} {what}{'' if number == 1 else 's'}"
    if expected is None and chance is not None:
        return f"{seen}; false ones: {chance.short}"
    if expected is None:
        return f"{seen}; false ones not known"
    return f"{seen}; {words.about_number(expected)} false expected"


def since(now: datetime) -> datetime:
    """From when alarms are counted."""
    return now - timedelta(days=FIRED_DAYS)
