"""What an outcome measures: read from JSON with refusals that name the field, and written back.

    {"measure": "share", "of": [{"kind": "conversion"}], "among": [], "features": ["checkout"], "better": "higher"}

`measure`: `share` (sessions with X / sessions), `value` (sum of the numbers of X / sessions with X, or / all sessions
where `per` is `session`), `cost` (cost of all sessions / sessions with X), `time` (seconds from the first turn to the
first X) and `answers` (answers until the first X), both among sessions with X.

`of` is X: any of its conditions. A condition is a `kind` or a `name` of signals, or a derived `fact`. Signals may be
held to one of `at_least`, `at_most`, `is` (true or false) and `label`. `among`, `features`: only sessions with any of
these, only of these features; empty: all.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from traces.behaviour.types import Fact
from traces.outcomes.ratio import Shape
from traces.signals.kinds import Kind

NAME_MAX = 200
LABEL_MAX = 200
FEATURE_MAX = 200
UNIT_MAX = 12
CONDITIONS_MAX = 10
FEATURES_MAX = 20
# Beyond it a float holds no cents any more, and squares of it no meaning.
NUMBER_MAX = 1e12


class Measure(StrEnum):
    """What is divided by what."""

    SHARE = "share"
    VALUE = "value"
    COST = "cost"
    TIME = "time"
    ANSWERS = "answers"


class Per(StrEnum):
    """What a value is a mean over: sessions with X, or all of them."""

    WITH = "with"
    SESSION = "session"


class Check(StrEnum):
    """What the value of a signal is held to."""

    AT_LEAST = "at_least"
    AT_MOST = "at_most"
    IS = "is"
    LABEL = "label"


KINDS = {kind.name.lower(): kind for kind in Kind if kind not in {Kind.OTHER, Kind.OUTSIDE}}
FACTS = {
    "abandoned": Fact.ABANDONED,
    "retried": Fact.RETRIED,
    "rephrased": Fact.REPHRASED,
    "corrected": Fact.CORRECTED,
    "followed_up": Fact.FOLLOWED_UP,
    "escalated": Fact.ESCALATED,
    "completed": Fact.COMPLETED,
    "converted": Fact.CONVERTED,
    "copied": Fact.COPIED,
    "edited": Fact.EDITED,
    "error": Fact.ERROR,
}
BETTER = ("higher", "lower")
_SUBJECTS = ("kind", "name", "fact")
_FIELDS = ("measure", "of", "among", "per", "features", "better", "unit")


class SpecRefused(Exception):
    """A measure that cannot be: which field, what is wrong, what is accepted, what came."""

    def __init__(self, field: str, message: str, limit: str = "", value: Any = None) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message
        self.limit = limit
        self.value = value


@dataclass(frozen=True, slots=True)
class Condition:
    """A kind of signal, a name of signals, or a derived fact: exactly one. `check` holds its value to `wanted`."""

    kind: Kind | None = None
    name: str | None = None
    fact: Fact | None = None
    check: Check | None = None
    wanted: float | bool | str | None = None


@dataclass(frozen=True, slots=True)
class OutcomeSpec:
    """What an outcome measures."""

    measure: Measure
    of: tuple[Condition, ...]
    among: tuple[Condition, ...] = ()
    per: Per = Per.WITH
    features: tuple[str, ...] = ()
    better: str = "higher"
    unit: str = ""

    @property
    def shape(self) -> Shape:
        """What is divided by what, for its interval."""
        shapes = {Measure.SHARE: Shape.SHARE, Measure.COST: Shape.RATIO}
        return shapes.get(self.measure, Shape.MEAN)

    @property
    def is_over_all(self) -> bool:
        """Whether it is over all sessions that it speaks about, not over those with X alone."""
        return self.measure in {Measure.SHARE, Measure.COST} or self.per is Per.SESSION

    @property
    def counts(self) -> dict[str, Any]:
        """The part that decides what is counted, as JSON: another one needs its sessions counted again."""
        told = to_json(self)
        return {name: told[name] for name in ("measure", "of", "among", "per", "features") if name in told}


def parse_outcome(told: Any) -> OutcomeSpec:
    """The measure that `told`, JSON from outside, describes; SpecRefused."""
    if not isinstance(told, Mapping):
        raise SpecRefused("spec", "is no object", "an object", _kind_of(told))
    _known(told, _FIELDS, "")
    measure = _choice(told.get("measure"), "measure", tuple(Measure), None)
    of = _conditions(told.get("of"), "of", is_needed=True)
    spec = OutcomeSpec(
        measure=Measure(measure),
        of=of,
        among=_conditions(told.get("among"), "among", is_needed=False),
        per=Per(_choice(told.get("per"), "per", tuple(Per), Per.WITH)),
        features=_features(told.get("features")),
        better=_choice(told.get("better"), "better", BETTER, "higher"),
        unit=_text(told.get("unit") or "", "unit", UNIT_MAX, is_needed=False),
    )
    if spec.per is Per.SESSION and spec.measure is not Measure.VALUE:
        raise SpecRefused("per", "is for the measure value alone", "with", "session")
    if spec.unit and spec.measure is not Measure.VALUE:
        raise SpecRefused("unit", "is for the measure value alone: the others have a unit of their own", "", spec.unit)
    if spec.measure in {Measure.VALUE, Measure.TIME, Measure.ANSWERS}:
        for at, condition in enumerate(of):
            if condition.fact is not None:
                has = "number" if spec.measure is Measure.VALUE else "moment"
                limit = "a kind or a name of signals"
                message = f"is a fact and has no {has} of its own"
                raise SpecRefused(f"of[{at}].fact", message, limit, _name(condition.fact))
    return spec


def to_json(spec: OutcomeSpec) -> dict[str, Any]:
    """The measure as `parse_outcome` reads it."""
    told: dict[str, Any] = {
        "measure": spec.measure.value,
        "of": [condition_json(each) for each in spec.of],
        "among": [condition_json(each) for each in spec.among],
        "features": list(spec.features),
        "better": spec.better,
    }
    if spec.measure is Measure.VALUE:
        told |= {"per": spec.per.value, "unit": spec.unit}
    return told


def condition_json(condition: Condition) -> dict[str, Any]:
    """One condition as JSON."""
    told: dict[str, Any] = {}
    if condition.kind is not None:
        told["kind"] = _name(condition.kind)
    elif condition.fact is not None:
        told["fact"] = _name(condition.fact)
    else:
        told["name"] = condition.name
    if condition.check is not None:
        told[condition.check.value] = condition.wanted
    return told


def _conditions(told: Any, field: str, *, is_needed: bool) -> tuple[Condition, ...]:
    if told is None:
        told = []
    if not isinstance(told, list):
        raise SpecRefused(field, "is no list", "a list of conditions", _kind_of(told))
    if is_needed and not told:
        raise SpecRefused(field, "needs a condition", f"1 to {CONDITIONS_MAX}")
    if len(told) > CONDITIONS_MAX:
        raise SpecRefused(field, "has too many conditions", f"at most {CONDITIONS_MAX}", len(told))
    found = tuple(_condition(each, f"{field}[{at}]") for at, each in enumerate(told))
    return tuple(dict.fromkeys(found))


def _condition(told: Any, field: str) -> Condition:
    if not isinstance(told, Mapping):
        raise SpecRefused(field, "is no object", "an object", _kind_of(told))
    _known(told, (*_SUBJECTS, *Check), f"{field}.")
    named = [name for name in _SUBJECTS if told.get(name) is not None]
    if len(named) != 1:
        raise SpecRefused(field, "must name one thing", "one of kind, name, fact", ", ".join(named) or "none")
    checks = [check for check in Check if told.get(check.value) is not None]
    if len(checks) > 1:
        raise SpecRefused(field, "holds the value to more than one thing", f"one of {_list(Check)}", _list(checks))
    subject = named[0]
    if subject == "fact":
        if checks:
            raise SpecRefused(f"{field}.{checks[0].value}", "is for signals: a fact has no value", "", "fact")
        return Condition(fact=FACTS[_choice(told["fact"], f"{field}.fact", tuple(FACTS), None)])
    check = checks[0] if checks else None
    wanted = None if check is None else _wanted(check, told[check.value], f"{field}.{check.value}")
    if subject == "kind":
        kind = KINDS[_choice(told["kind"], f"{field}.kind", tuple(KINDS), None)]
        return Condition(kind=kind, check=check, wanted=wanted)
    name = _text(told["name"], f"{field}.name", NAME_MAX, is_needed=True)
    return Condition(name=name, check=check, wanted=wanted)


def _wanted(check: Check, told: Any, field: str) -> float | bool | str:
    if check is Check.IS:
        if not isinstance(told, bool):
            raise SpecRefused(field, "is neither true nor false", "true or false", told)
        return told
    if check is Check.LABEL:
        return _text(told, field, LABEL_MAX, is_needed=True)
    is_number = isinstance(told, int | float) and not isinstance(told, bool)
    if not is_number or not abs(told) <= NUMBER_MAX:
        raise SpecRefused(field, "is no number", f"a number from -{NUMBER_MAX:g} to {NUMBER_MAX:g}", told)
    return float(told)


def _features(told: Any) -> tuple[str, ...]:
    if told is None:
        return ()
    if not isinstance(told, list):
        raise SpecRefused("features", "is no list", "a list of features", _kind_of(told))
    if len(told) > FEATURES_MAX:
        raise SpecRefused("features", "has too many", f"at most {FEATURES_MAX}", len(told))
    return tuple(
        dict.fromkeys(_text(each, f"features[{at}]", FEATURE_MAX, is_needed=True) for at, each in enumerate(told))
    )


def _text(told: Any, field: str, most: int, *, is_needed: bool) -> str:
    limit = f"{1 if is_needed else 0} to {most} characters"
    if not isinstance(told, str):
        raise SpecRefused(field, "is no text", limit, _kind_of(told))
    text = told.strip()
    if not text and is_needed:
        raise SpecRefused(field, "needs a value", limit)
    if len(text) > most:
        raise SpecRefused(field, "is too long", limit, f"{len(text)} characters")
    if any(c == "\x00" or "\ud800" <= c <= "\udfff" for c in text):
        raise SpecRefused(field, "holds characters that no stored text has", limit)
    return text


def _choice(told: Any, field: str, accepted: tuple[str, ...], default: str | None) -> str:
    if told is None and default is not None:
        return str(default)
    if not isinstance(told, str) or told not in accepted:
        raise SpecRefused(field, "is not accepted", f"one of {_list(accepted)}", told)
    return str(told)


def _known(told: Mapping[str, Any], names: tuple[str, ...], under: str) -> None:
    for name in told:
        if name not in names:
            raise SpecRefused(f"{under}{str(name)[:40]}", "unknown field", f"one of {_list(names)}")


def _list(names: Any) -> str:
    return ", ".join(str(name) for name in names)


def _name(member: Kind | Fact) -> str:
    return str(member.name).lower()


def _kind_of(told: Any) -> str:
    names = {list: "a list", dict: "an object", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(told), "a number")


__all__ = [
    "BETTER",
    "CONDITIONS_MAX",
    "FACTS",
    "FEATURES_MAX",
    "FEATURE_MAX",
    "KINDS",
    "LABEL_MAX",
    "NAME_MAX",
    "NUMBER_MAX",
    "UNIT_MAX",
    "Check",
    "Condition",
    "Measure",
    "OutcomeSpec",
    "Per",
    "SpecRefused",
    "condition_json",
    "parse_outcome",
    "to_json",
]
