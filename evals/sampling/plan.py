"""Sampling plans: which traces a judge covers, and the share of each kind of them that it scores.

A plan is read from JSON (`parse_plan`) of one of four kinds, all with an optional filter of what the judge covers:

    {"kind": "all"}
    {"kind": "random", "share": 0.05}
    {"kind": "strata", "by": "feature", "shares": {"refunds": 0.3, "search": 0.02}, "other": 0.05}
    {"kind": "strata", "by": "duration_ms", "edges": [1000, 5000], "shares": {"below 1000": 0.01}, "other": 0.1}
    {"kind": "errors", "signals": ["error", "refusal", "thumb_down"], "share": 1, "rest": 0.05}

    "filter": {"feature": ["refunds"], "environment": ["production"], "kinds": ["generation"], "cost_usd": {"from": 1}}
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from evals.sampling.covariates import FIELDS, LISTS, NUMBERS, Covariates
from evals.sampling.signals import THUMB_DOWN

# The least chance of any trace that a mean is meant to cover: its weight is then at most 1,000.
FLOOR = 0.001
ALL, RANDOM, STRATA, ERRORS = "all", "random", "strata", "errors"
KINDS = (ALL, RANDOM, STRATA, ERRORS)
# What makes a trace one that should be looked at: of its row, or of what its end user did.
SIGNALS = ("error", "refusal", THUMB_DOWN)
VALUES_MAX = 100
TEXT_MAX = 300
EDGES_MAX = 20
REST = "rest"
# Beyond, a float is no exact whole number, and no column holds such a one.
NUMBER_MAX = 10**15


class PlanRefused(ValueError):
    """A plan that cannot be read: `field` as in `shares.refunds`, and the limit it broke, "" if none."""

    def __init__(self, field: str, message: str, limit: str = "") -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message
        self.limit = limit


@dataclass(frozen=True, slots=True)
class Condition:
    """A column is one of `values`, or a number in [low, high)."""

    field: str
    values: frozenset[str] = frozenset()
    low: float | None = None
    high: float | None = None

    def holds(self, covariates: Covariates) -> bool:
        """Whether it holds for a trace; an unknown number is in no range."""
        found = getattr(covariates, self.field)
        if self.field in NUMBERS:
            return (
                found is not None
                and (self.low is None or found >= self.low)
                and (self.high is None or found < self.high)
            )
        return bool(self.values & found) if self.field in LISTS else found in self.values


@dataclass(frozen=True, slots=True)
class Clause:
    """Why a trace has the share it has: the rule in words, its stratum, and whether a late signal may bring it."""

    rule: str
    share: float
    stratum: str = ""
    is_signal: bool = False


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan as read. `shares` are those of strata by label; `share` is that of everything (random), of signals
    (errors); `rest` of what no other share names."""

    kind: str
    share: float = 1.0
    rest: float = 0.0
    by: str = ""
    edges: tuple[float, ...] = ()
    shares: Mapping[str, float] = field(default_factory=dict)
    signals: tuple[str, ...] = ()
    filter: tuple[Condition, ...] = ()

    @property
    def needs_kinds(self) -> bool:
        """Whether the kinds of a trace's spans must be known."""
        return self.by == "kinds" or any(each.field == "kinds" for each in self.filter)

    @property
    def needs_signals(self) -> bool:
        """Whether what its end user did must be known."""
        is_asked = self.by == "signals" or any(each.field == "signals" for each in self.filter)
        return is_asked or (self.kind == ERRORS and THUMB_DOWN in self.signals)

    @property
    def labels(self) -> tuple[str, ...]:
        """The labels of strata by number, in order; empty for strata by text."""
        return tuple(_labels(self.edges)) if self.edges else ()


def covers(plan: Plan, covariates: Covariates) -> bool:
    """Whether the judge's filter lets the trace in."""
    return all(each.holds(covariates) for each in plan.filter)


def clause_of(plan: Plan, covariates: Covariates) -> Clause:
    """The share of a covered trace, and why."""
    if plan.kind == STRATA:
        stratum = _stratum(plan, covariates)
        share = plan.shares.get(stratum)
        rule = f"{plan.by} {stratum or 'unknown'}" if share is not None else f"other {plan.by}"
        return Clause(rule, plan.rest if share is None else share, stratum)
    if plan.kind == ERRORS:
        found = next((signal for signal in plan.signals if _has_signal(signal, covariates)), None)
        if found is not None:
            return Clause(found, plan.share, found, is_signal=True)
        return Clause(REST, plan.rest, REST)
    return Clause(plan.kind, plan.share)


def share_of(plan: Plan, covariates: Covariates) -> float:
    """The share of a trace before money lowers it; 0 where the judge's filter leaves it out."""
    return clause_of(plan, covariates).share if covers(plan, covariates) else 0.0


def _has_signal(signal: str, covariates: Covariates) -> bool:
    if signal == "error":
        return covariates.is_error
    if signal == "refusal":
        return covariates.is_refusal
    return signal in covariates.signals


def _stratum(plan: Plan, covariates: Covariates) -> str:
    found = getattr(covariates, plan.by)
    if plan.by in NUMBERS:
        if found is None:
            return ""
        place: int = sum(found >= edge for edge in plan.edges)
        return plan.labels[place]
    if plan.by in LISTS:
        # Of several, the one with a share of its own; in the plan's order, so that it is the same each time.
        held: frozenset[str] = found
        return next((label for label in plan.shares if label in held), "")
    return str(found)


def _labels(edges: Sequence[float]) -> list[str]:
    shown = [f"{edge:g}" for edge in edges]
    inner = [f"{low} to {high}" for low, high in pairwise(shown)]
    return [f"below {shown[0]}", *inner, f"{shown[-1]} and more"]


def parse_plan(spec: Any) -> Plan:
    """A plan from its JSON; PlanRefused names the field that is wrong, and its limit."""
    if not isinstance(spec, Mapping):
        raise PlanRefused("plan", "must be an object")
    kind = spec.get("kind")
    if kind not in KINDS:
        raise PlanRefused("kind", "must be one of those listed", ", ".join(KINDS))
    known = {
        ALL: {"kind", "filter"},
        RANDOM: {"kind", "filter", "share"},
        STRATA: {"kind", "filter", "by", "edges", "shares", "other"},
        ERRORS: {"kind", "filter", "signals", "share", "rest"},
    }[kind]
    for name in spec:
        if name not in known:
            raise PlanRefused(str(name)[:80], f"is not part of a plan of kind {kind}", ", ".join(sorted(known)))
    conditions = _parse_filter(spec.get("filter"))
    if kind == RANDOM:
        return Plan(kind, share=_share(spec.get("share"), "share"), filter=conditions)
    if kind == STRATA:
        return _parse_strata(spec, conditions)
    if kind == ERRORS:
        signals = spec.get("signals", ["error", "refusal", "thumb_down"])
        if not isinstance(signals, Sequence) or isinstance(signals, str) or not signals:
            raise PlanRefused("signals", "must be a list with at least one", ", ".join(SIGNALS))
        for signal in signals:
            if signal not in SIGNALS:
                raise PlanRefused("signals", f"{str(signal)[:40]!r} is no signal", ", ".join(SIGNALS))
        return Plan(
            kind,
            share=_share(spec.get("share", 1.0), "share"),
            rest=_share(spec.get("rest"), "rest"),
            signals=tuple(dict.fromkeys(signals)),
            filter=conditions,
        )
    return Plan(kind, filter=conditions)


def _parse_strata(spec: Mapping[str, Any], conditions: tuple[Condition, ...]) -> Plan:
    by = spec.get("by")
    if by not in (*FIELDS, *LISTS, *NUMBERS):
        raise PlanRefused("by", "must be a column", ", ".join((*FIELDS, *LISTS, *NUMBERS)))
    edges: tuple[float, ...] = ()
    if by in NUMBERS:
        raw = spec.get("edges")
        if not isinstance(raw, Sequence) or isinstance(raw, str) or not 1 <= len(raw) <= EDGES_MAX:
            raise PlanRefused("edges", f"must be a list of 1 to {EDGES_MAX} numbers", str(EDGES_MAX))
        edges = tuple(_number(edge, "edges") for edge in raw)
        if any(low >= high for low, high in pairwise(edges)):
            raise PlanRefused("edges", "must ascend")
    elif spec.get("edges"):
        raise PlanRefused("edges", f"belong to a column with numbers, and {by} has none")
    raw_shares = spec.get("shares", {})
    if not isinstance(raw_shares, Mapping) or len(raw_shares) > VALUES_MAX:
        raise PlanRefused("shares", f"must be an object of at most {VALUES_MAX} shares by value", str(VALUES_MAX))
    shares = {}
    for label, share in raw_shares.items():
        shares[_text(label, "shares")] = _share(share, f"shares.{str(label)[:80]}")
    if edges:
        wrong = next((label for label in shares if label not in _labels(edges)), None)
        if wrong is not None:
            raise PlanRefused(f"shares.{wrong[:80]}", "is no stratum of these edges", "; ".join(_labels(edges)))
    return Plan(
        STRATA, by=by, edges=edges, shares=shares, rest=_share(spec.get("other", 0.0), "other"), filter=conditions
    )


def _parse_filter(raw: Any) -> tuple[Condition, ...]:
    if raw is None:
        return ()
    if not isinstance(raw, Mapping):
        raise PlanRefused("filter", "must be an object of values by column")
    conditions = []
    for name, wanted in raw.items():
        where = f"filter.{str(name)[:80]}"
        if name in NUMBERS:
            if not isinstance(wanted, Mapping) or not wanted or set(wanted) - {"from", "to"}:
                raise PlanRefused(where, 'must be an object with "from", "to" or both')
            low = None if wanted.get("from") is None else _number(wanted["from"], f"{where}.from")
            high = None if wanted.get("to") is None else _number(wanted["to"], f"{where}.to")
            conditions.append(Condition(name, low=low, high=high))
        elif name in FIELDS or name in LISTS:
            values = [wanted] if isinstance(wanted, str) else wanted
            if not isinstance(values, Sequence) or not 1 <= len(values) <= VALUES_MAX:
                raise PlanRefused(where, f"must be a list of 1 to {VALUES_MAX} values", str(VALUES_MAX))
            conditions.append(Condition(name, values=frozenset(_text(value, where) for value in values)))
        else:
            raise PlanRefused(where, "is no column", ", ".join((*FIELDS, *LISTS, *NUMBERS)))
    return tuple(conditions)


def _text(value: Any, where: str) -> str:
    if not isinstance(value, str) or len(value) > TEXT_MAX:
        raise PlanRefused(where, f"must be text of at most {TEXT_MAX} characters", str(TEXT_MAX))
    return value


def _number(value: Any, where: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
        raise PlanRefused(where, "must be a number")
    if abs(value) > NUMBER_MAX:
        raise PlanRefused(where, "is out of range", f"-{NUMBER_MAX:,} to {NUMBER_MAX:,}")
    return float(value)


def _share(value: Any, where: str) -> float:
    share = _number(value, where) if value is not None else -1.0
    if not (share == 0.0 or FLOOR <= share <= 1.0):
        raise PlanRefused(where, f"must be a share from {FLOOR:g} to 1, or 0 for not covered", f"{FLOOR:g} to 1, or 0")
    return share


def plan_json(plan: Plan) -> dict[str, Any]:
    """The plan as JSON that `parse_plan` reads back to an equal one."""
    spec: dict[str, Any] = {"kind": plan.kind}
    if plan.kind == RANDOM:
        spec["share"] = plan.share
    elif plan.kind == STRATA:
        spec |= {"by": plan.by, "shares": dict(plan.shares), "other": plan.rest}
        if plan.edges:
            spec["edges"] = list(plan.edges)
    elif plan.kind == ERRORS:
        spec |= {"signals": list(plan.signals), "share": plan.share, "rest": plan.rest}
    if plan.filter:
        spec["filter"] = {each.field: _condition_json(each) for each in plan.filter}
    return spec


def _condition_json(condition: Condition) -> Any:
    if condition.field in NUMBERS:
        ends = {"from": condition.low, "to": condition.high}
        return {name: value for name, value in ends.items() if value is not None}
    return sorted(condition.values)


def describe(plan: Plan) -> str:
    """The plan in one sentence for people, without its filter."""
    if plan.kind == ALL:
        return "Every trace"
    if plan.kind == RANDOM:
        return f"A random {_percent(plan.share)} of traces"
    if plan.kind == ERRORS:
        words = {"error": "errors", "refusal": "refusals", "thumb_down": "thumbs-down"}
        named = [words[signal] for signal in plan.signals]
        listed = named[0] if len(named) == 1 else f"{', '.join(named[:-1])} and {named[-1]}"
        share = "All" if plan.share == 1.0 else _percent(plan.share) + " of"
        return f"{share} {listed}; {_percent(plan.rest)} of the rest"
    own = "; ".join(f"{_percent(share)} of {label or 'unknown'}" for label, share in list(plan.shares.items())[:5])
    more = f"; {len(plan.shares) - 5} more" if len(plan.shares) > 5 else ""
    return f"By {plan.by}: {own or 'no stratum'}{more}; {_percent(plan.rest)} of others"


def _percent(share: float) -> str:
    return f"{share * 100:.3g} %"
