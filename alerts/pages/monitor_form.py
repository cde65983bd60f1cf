"""The form of a monitor as its template shows it: inputs with what was typed, what they offer, what is wrong.

It works without a script: every field is there for every method, those of another method say nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

from alerts.monitors.definition import WINDOWS, methods_of
from alerts.monitors.states import Method
from alerts.monitors.types import Metric
from alerts.pages.monitor_flat import Flat, is_judged
from alerts.pages.words import METHODS, span
from alerts.series.params import PARAMS
from telltale.lib.faults import ItemRefused

_LOOKED = "How often it is looked at."
# How long sums are kept: a chart learns, and is replayed, from no further back.
_KEPT = "Under an hour the history reaches back 8 days, under a day 100."
_HALF = " Sessions and outcomes are counted by UTC hours: half an hour off in this time zone."
METHOD_TOLD: Mapping[Method, str] = {
    Method.CHART: "Learns what is normal; finds slow slides and jumps.",
    Method.CUSUM: "Adds up what is off; finds lasting small shifts.",
    Method.SHEWHART: "Each window by itself; finds big jumps alone.",
    Method.FIXED: "For promises: 5 s, 2%. Alarms whatever is normal.",
    Method.OBJECTIVE: "A promised share, by how fast it is used up.",
    Method.COMPOSITE: "Several monitors that alarm together.",
}
SIDES = (("over", "over it"), ("under", "under it"))
SEVERITIES = (("0", "P0 harmful or down"), ("1", "P1 high"), ("2", "P2 medium"), ("3", "P3 low"))
TIERS = (("page", "May page"), ("notice", "Notice only"))
WEIGHTS = (("0.5", "half the usual share"), ("1", "the usual share"), ("2", "twice the usual share"))
UNIT_WORDS = {"share": "%", "ms": "ms", "usd": "USD", "seconds": "s", "tokens": "tokens", "score": "of the scale"}


@dataclass(frozen=True, slots=True)
class Input:
    """One input with what was typed. `choices`: (value, word, whether chosen); `offers`: what a text may be."""

    name: str
    label: str
    value: str = ""
    kind: str = "text"
    hint: str = ""
    suffix: str = ""
    choices: tuple[tuple[str, str, bool], ...] = ()
    offers: tuple[str, ...] = ()
    error: str = ""
    only: str = ""  # css class of the methods it is for

    @property
    def id(self) -> str:
        """What its label and errors point to."""
        return "f-" + self.name.replace(".", "-")


@dataclass(frozen=True, slots=True)
class MethodChoice:
    """One radio of how it is decided."""

    value: str
    word: str
    told: str
    is_on: bool


@dataclass(frozen=True, slots=True)
class MemberChoice:
    """One monitor that may be a member of a composite, with its weight in a score."""

    id: int
    name: str
    is_on: bool
    weight: str = ""


@dataclass(frozen=True, slots=True)
class Offers:
    """What of the project a form offers: judges with their criteria, outcomes, hosts, values of dimensions."""

    judges: tuple[tuple[str, str], ...] = ()
    criteria: tuple[tuple[str, str], ...] = ()
    outcomes: tuple[tuple[str, str], ...] = ()
    hosts: tuple[str, ...] = ()
    values: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    monitors: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class MonitorForm:
    """The form as its template shows it. `errors`: (id of the input, words)."""

    name: Input
    params: tuple[Input, ...]
    scope: tuple[Input, ...]
    narrower: tuple[Input, ...]
    window: Input
    methods: tuple[MethodChoice, ...]
    fixed: tuple[Input, ...]
    objective: tuple[Input, ...]
    decide: tuple[Input, ...]
    bounds: tuple[Input, ...]
    baseline: tuple[Input, ...]
    members: tuple[MemberChoice, ...]
    together: tuple[Input, ...]
    hears: tuple[Input, ...]
    late: tuple[Input, ...]
    note: Input
    errors: tuple[tuple[str, str], ...] = ()
    is_narrowed: bool = False
    view: str = ""  # the saved view that the filter came from


def _window_hint(metric: Metric | None, is_half: bool) -> str:
    if metric is None:
        return _LOOKED
    return _KEPT + (_HALF if is_half else "")


def form_of(
    flat: Flat,
    metric: Metric | None,
    offers: Offers,
    refused: ItemRefused | None = None,
    own: int | None = None,
    *,
    is_half: bool = False,
) -> MonitorForm:
    """The form with what was typed and what is wrong with it. `own`: the monitor it is of.

    `is_half`: the project's time zone is not whole hours off UTC.
    """
    errors = _errors(refused, metric)
    wrong = dict(errors)

    def made(name: str, label: str, **more: Any) -> Input:
        each = Input(name, label, str(flat.get(name) or ""), **more)
        return replace(each, error=wrong.get(each.id, ""))

    def chosen(name: str, label: str, choices: Sequence[tuple[str, str]], **more: Any) -> Input:
        value = str(flat.get(name) or "")
        known = [*choices] if not value or value in dict(choices) else [*choices, (value, value)]
        return made(
            name, label, kind="select", choices=tuple((each, word, each == value) for each, word in known), **more
        )

    unit = UNIT_WORDS.get(metric.unit, "") if metric else ""
    scope = [_dimension(made, each, offers) for each in (metric.scopes if metric else ())]
    main = [each for each in scope if each.name in {"s.feature", "s.model"}]
    rest = [each for each in scope if each not in main]
    if metric is not None and metric.has_filter:
        rest.append(
            made("s.filter", "Filter", hint="The address of a list of traces after its question mark: cost.min=0.01")
        )
    method = str(flat.get("method") or (Method.CHART if metric else Method.COMPOSITE))
    methods = methods_of(metric.kind) if metric else (Method.COMPOSITE,)
    return MonitorForm(
        name=made("name", "Name"),
        params=tuple(_param_inputs(made, chosen, metric, offers)),
        scope=tuple(main),
        narrower=tuple(rest),
        window=chosen("window_minutes", "Window", _windows(metric), hint=_window_hint(metric, is_half)),
        methods=tuple(MethodChoice(each.value, METHODS[each], METHOD_TOLD[each], each == method) for each in methods),
        fixed=(
            made("threshold.limit", "Limit", kind="number", suffix=unit),
            chosen("threshold.side", "Alarm when", SIDES),
            made("threshold.release", "Ends at", kind="number", suffix=unit, hint="Empty: at the limit."),
            made("threshold.after", "Windows in a row", kind="number"),
        ),
        objective=(
            made("objective.allowed", "Promised at most", kind="number", suffix="%", hint="The share of bad ones."),
        ),
        decide=(
            chosen("direction", "Alarm when it moves", _directions(metric), only="of-chart"),
            made("least_n", "Least in a window", kind="number", hint="Fewer: merged with the next, or left undecided."),
            made(
                "no_data_minutes",
                "No data after",
                kind="number",
                suffix="min",
                hint="Silence as an alarm of its own. Empty: never.",
            ),
        ),
        bounds=(
            made("floor", "Floor", kind="number", suffix=unit, hint="Below it is an alarm, whatever is normal."),
            made("ceiling", "Ceiling", kind="number", suffix=unit, hint="Above it as well."),
        ),
        baseline=(
            made("baseline.days", "Learn from at least", kind="number", suffix="days"),
            made("baseline.start", "Or from", kind="datetime-local", hint="Empty: as soon as there is enough."),
            made("baseline.end", "to", kind="datetime-local"),
        ),
        members=tuple(
            MemberChoice(
                monitor_id, name, str(monitor_id) in flat.get("members", ()), str(flat.get(f"m.{monitor_id}") or "1")
            )
            for monitor_id, name in offers.monitors
            if monitor_id != own
        ),
        together=(
            made("composite.least", "At least", kind="number", suffix="of them"),
            made("composite.within_minutes", "Within", kind="number", suffix="min"),
            made(
                "composite.score_over",
                "Or a score over",
                kind="number",
                hint="The weighted nearness to their limits, instead of counting them. Empty: count.",
            ),
        ),
        hears=(
            chosen("severity", "Severity", SEVERITIES),
            chosen("tier", "Tier", TIERS, hint="Notices are ten times as frequent and never page."),
            chosen(
                "weight", "Share of the alert budget", WEIGHTS, hint="More: it sees a change earlier.", only="of-budget"
            ),
        ),
        late=(
            made("lateness_minutes", "Decided after", kind="number", suffix="min", hint="After the window’s end."),
            made("grace_minutes", "Late data revise for", kind="number", suffix="min", hint="Never what was decided."),
        ),
        note=made("note", "Note", kind="textarea"),
        errors=tuple(errors),
        is_narrowed=any(each.value or each.error for each in rest),
        view=str(flat.get("s.view") or ""),
    )


def _param_inputs(made: Any, chosen: Any, metric: Metric | None, offers: Offers) -> list[Input]:
    if metric is None:
        return []
    found = []
    names = [*metric.needs, *metric.may]
    if is_judged(metric):
        found.append(chosen("p.judged", "Judge and criterion", (("", "Choose one"), *offers.criteria)))
        names = [name for name in names if name not in {"judge", "criterion"}]
    for name in names:
        param, key = PARAMS[name], f"p.{name}"
        if param.kind == "choice":
            found.append(chosen(key, param.title, param.choices, hint=param.told))
        elif param.kind == "judge":
            found.append(chosen(key, param.title, (("", "Choose one"), *offers.judges), hint=param.told))
        elif param.kind == "outcome":
            found.append(chosen(key, param.title, (("", "Choose one"), *offers.outcomes), hint=param.told))
        elif param.kind == "number":
            found.append(made(key, param.title, kind="number", hint=param.told))
        else:
            more = "; several apart by commas" if param.kind == "texts" else ""
            found.append(made(key, param.title, hint=param.told + more, offers=offers.hosts if name == "host" else ()))
    return found


def _dimension(made: Any, name: str, offers: Offers) -> Input:
    label = {"prompt_name": "Prompt", "prompt_version": "Prompt version"}.get(name, name.capitalize())
    found: Input = made(
        f"s.{name}", label, hint="Empty: all. Several apart by commas.", offers=offers.values.get(name, ())
    )
    return found


def _windows(metric: Metric | None) -> list[tuple[str, str]]:
    least = timedelta(minutes=1) if metric is None else metric.shortest
    return [(str(each), span(timedelta(minutes=each))) for each in WINDOWS if timedelta(minutes=each) >= least]


def _directions(metric: Metric | None) -> list[tuple[str, str]]:
    worse = metric.worse if metric else None
    words = {"both": "either way", "up": "up", "down": "down"}
    return [(each, word + (", the bad way" if each == worse else "")) for each, word in words.items()]


def _errors(refused: ItemRefused | None, metric: Metric | None) -> list[tuple[str, str]]:
    if refused is None:
        return []
    found: dict[str, str] = {}
    for fault in refused.faults[:20]:
        limit = f" ({fault.limit})" if fault.limit and fault.limit not in {"null", "a value"} else ""
        at, words = _id_of(fault.field, metric), f"{_label_of(fault.field)} {fault.message}{limit}"
        # A judge and its criterion are one input.
        found.setdefault(at, "Choose a judge with one of its criteria" if at == "f-p-judged" and not limit else words)
    return list(found.items())


def _id_of(field_name: str, metric: Metric | None) -> str:
    """The id of the input that a fault is about."""
    first, _, rest = field_name.partition(".")
    rest = rest.partition("[")[0]
    if first == "params":
        if rest in {"judge", "criterion"} and metric is not None and is_judged(metric):
            rest = "judged"
        return f"f-p-{rest}"
    if first == "scope":
        return f"f-s-{rest.partition('.')[0]}"
    if field_name.startswith("composite.members"):
        return "f-members"
    if field_name in {"threshold", "objective"}:
        return {"threshold": "f-threshold-limit", "objective": "f-objective-allowed"}[field_name]
    return "f-" + field_name.partition("[")[0].replace(".", "-")


_LABELS = {
    "name": "The name",
    "threshold": "The limit",
    "threshold.limit": "The limit",
    "threshold.release": "Where it ends",
    "threshold.after": "Windows in a row",
    "objective": "What is promised",
    "objective.allowed": "What is promised",
    "window_minutes": "The window",
    "least_n": "The least in a window",
    "no_data_minutes": "No data",
    "baseline.days": "The days to learn from",
    "baseline.start": "The start of the baseline",
    "baseline.end": "The end of the baseline",
    "composite.members": "The members",
    "composite.least": "At least so many",
    "composite.within_minutes": "Within",
    "params.judge": "The judge",
    "params.criterion": "The criterion",
    "lateness_minutes": "Decided after",
    "grace_minutes": "Late data",
}


def _label_of(field_name: str) -> str:
    plain = field_name.partition("[")[0]
    if plain in _LABELS:
        return _LABELS[plain]
    first, _, rest = plain.partition(".")
    if first == "params" and rest in PARAMS:
        return PARAMS[rest].title
    return (rest or first).replace("_", " ").capitalize()
