"""What an answer to a probe must hold to: the judges' rules, and calls of tools, judges and likeness besides.

Each check says yes, no, or that it cannot tell; an answer passes where every check says yes. What cannot be told is
neither a pass nor a fail, and is counted by itself.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from evals.judges.checks import KINDS as RULES
from evals.judges.fields import (
    Check,
    ConfigRefused,
    Outcome,
    RuleFailed,
    read_int,
    read_number,
    read_object,
    read_text,
    read_texts,
)
from evals.judges.formats import load_json
from evals.judges.material import Material
from evals.judges.schemas import BadSchema, TooMuchWork, check_schema, faults

CHECKS_MAX = 10
TOLD_CHARS_MAX = 300
DISTANCE_MAX = 2.0
# The rules of judges that make sense of one answer alone; `where` is always the answer.
_RULES = (
    "json_schema", "format", "contains", "regex", "length", "refusal", "language", "latency", "cost", "tokens",
    "finish", "tools",
)  # fmt: skip
JUDGE, SIMILAR, TOOL_CALL = "judge", "similar", "tool_call"
KINDS = (*_RULES, TOOL_CALL, SIMILAR, JUDGE)


@dataclass(frozen=True, slots=True)
class ProbeCheck:
    """One check: its kind, its settings as they are stored, and the rule; None where a call or vectors are needed."""

    kind: str
    settings: Mapping[str, Any]
    rule: Check | None = field(default=None, compare=False, repr=False)

    def as_json(self) -> dict[str, Any]:
        """As it is stored, and as `parse_check` reads it."""
        return {"kind": self.kind, **self.settings}


@dataclass(frozen=True, slots=True)
class Checked:
    """What one check said of one answer; None: it could not tell, and `told` says why."""

    kind: str
    passed: bool | None
    told: str

    def as_json(self) -> dict[str, Any]:
        return {"kind": self.kind, "passed": self.passed, "told": self.told}


def parse_check(raw: object, where: str) -> ProbeCheck:
    """One check from JSON. ConfigRefused names the field, as in `checks[0].pattern`."""
    kind = raw.get("kind") if isinstance(raw, dict) else None
    if not isinstance(raw, dict) or not isinstance(kind, str) or kind not in KINDS:
        raise ConfigRefused(f"{where}.kind", f"must be one of {', '.join(KINDS)}.", ", ".join(KINDS))
    if kind in _OWN:
        settings, rule = _OWN[kind](raw, where)
        return ProbeCheck(kind, settings, rule)
    reader, names = RULES[kind]
    told = read_object(raw, where, (names - {"where"}) | {"kind"})
    if kind == "language" and "languages" not in told:
        raise ConfigRefused(f"{where}.languages", "must be given.", 'a list such as ["fr"]')
    settings, rule = reader(told, where)
    return ProbeCheck(kind, {name: value for name, value in settings.items() if name != "where"}, rule)


def run_rule(check: ProbeCheck, material: Material) -> Checked:
    """What a check that needs nothing but the answer says."""
    if check.rule is None:
        return Checked(check.kind, None, "Not asked yet.")
    try:
        found = check.rule(material)
    except RuleFailed as failed:
        return Checked(check.kind, None, f"It could not be run: {failed}."[:TOLD_CHARS_MAX])
    passed = found.value if isinstance(found.value, bool) else None
    return Checked(check.kind, passed, found.reason[:TOLD_CHARS_MAX])


def passed(checked: Sequence[Checked]) -> bool | None:
    """Whether an answer passes: no, where a check says no; not known, where none does and one cannot tell."""
    if any(each.passed is False for each in checked):
        return False
    return None if not checked or any(each.passed is None for each in checked) else True


def judged(check: ProbeCheck, number: float | None, told: str) -> Checked:
    """What a judge's number for the answer means; None: the judge gave none."""
    if number is None:
        return Checked(JUDGE, None, told[:TOLD_CHARS_MAX])
    least, most = check.settings.get("at_least"), check.settings.get("at_most")
    holds = (least is None or number >= least) and (most is None or number <= most)
    limits = " and ".join(f"{word} {limit:g}" for word, limit in (("at least", least), ("at most", most))
                          if limit is not None)  # fmt: skip
    return Checked(JUDGE, holds, f"{number:g}; {limits}. {told}"[:TOLD_CHARS_MAX])


def likeness(check: ProbeCheck, distance: float | None) -> Checked:
    """What the distance to what the answer should be like means; None: there is nothing to compare with yet."""
    if distance is None:
        return Checked(SIMILAR, None, "There are no stored answers to compare with yet.")
    most = check.settings["at_most"]
    return Checked(SIMILAR, distance <= most, f"Cosine distance {distance:.3f}; at most {most:g}.")


def _read_tool_call(raw: Mapping[str, Any], where: str) -> tuple[dict[str, Any], Check]:
    told = read_object(raw, where, {"kind", "name", "arguments"})
    name = read_text(told.get("name"), f"{where}.name", 200)
    schema = None
    if "arguments" in told:
        try:
            schema = check_schema(told["arguments"])
        except BadSchema as bad:
            raise ConfigRefused(f"{where}.arguments", str(bad)) from None

    def check(material: Material) -> Outcome:
        calls = [each for each in material.tools if each.name == name]
        if not calls:
            return Outcome(False, f"The tool {name[:60]} was not called.")
        if schema is None:
            return Outcome(True, f"The tool {name[:60]} was called.")
        wrong = ""
        for each in calls:
            try:
                wrong = next(faults(schema, load_json(each.arguments)), "")
            except ValueError as error:
                wrong = f"they {error}"
            except TooMuchWork:
                raise RuleFailed("the schema takes too much work on these arguments") from None
            if not wrong:
                return Outcome(True, f"The tool {name[:60]} was called with arguments that keep to the schema.")
        return Outcome(False, f"The arguments of {name[:60]} do not keep to the schema: {wrong}.")

    settings: dict[str, Any] = {"name": name}
    return settings | ({"arguments": told["arguments"]} if schema is not None else {}), check


def _read_similar(raw: Mapping[str, Any], where: str) -> tuple[dict[str, Any], None]:
    told = read_object(raw, where, {"kind", "at_most", "to"})
    settings: dict[str, Any] = {"at_most": read_number(told.get("at_most"), f"{where}.at_most", 0.0, DISTANCE_MAX)}
    if "to" in told:
        settings["to"] = list(read_texts(told["to"], f"{where}.to", 10, 10_000))
    return settings, None


def _read_judge(raw: Mapping[str, Any], where: str) -> tuple[dict[str, Any], None]:
    told = read_object(raw, where, {"kind", "judge", "version", "criterion", "at_least", "at_most"})
    settings: dict[str, Any] = {
        "judge": read_text(told.get("judge"), f"{where}.judge", 60),
        "criterion": read_text(told.get("criterion"), f"{where}.criterion", 50),
    }
    if told.get("version") is not None:
        settings["version"] = read_int(told["version"], f"{where}.version", 1, 2**31 - 1)
    for name in ("at_least", "at_most"):
        if told.get(name) is not None:
            settings[name] = read_number(told[name], f"{where}.{name}", -1e6, 1e6)
    if "at_least" not in settings and "at_most" not in settings:
        raise ConfigRefused(f"{where}.at_least", "must be given, or at_most.")
    return settings, None


_OWN: dict[str, Any] = {TOOL_CALL: _read_tool_call, SIMILAR: _read_similar, JUDGE: _read_judge}
