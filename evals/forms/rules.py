"""The rules of a judge as inputs: what each kind of rule takes, and reading what was typed."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from django.http import QueryDict

from evals.forms.fields import Choice, Field, choices_of, clean, error_at, number_of, whole_of
from evals.judges.fields import WHERE
from evals.judges.formats import FORMATS
from evals.judges.pii import KINDS as PII_KINDS
from evals.judges.pii import NAMES as PII_NAMES
from evals.rubrics import Rubric
from evals.setup.refusals import SetupRefused

# Kinds of inputs: those of a Field, and lines (a list of texts), many (boxes), whole, usd and json.
WHERE_WORDS = {
    "answer": "the answer", "question": "the question", "system": "the system prompt", "documents": "the documents",
    "tools": "results of tools", "expected": "the expected answer",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting of a kind of rule: `default` is what the input shows for a new rule, "on" for a ticked box."""

    name: str
    label: str
    kind: str = "text"
    hint: str = ""
    default: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    placeholder: str = ""

    def goes_on(self, other: Setting | None) -> bool:
        """Whether what was typed for `other` is meant for this one too."""
        return other is not None and (self.kind, self.choices) == (other.kind, other.choices)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of rule in words, and its settings."""

    word: str
    about: str
    settings: tuple[Setting, ...] = ()

    def get(self, name: str) -> Setting | None:
        """The setting of this name."""
        return next((each for each in self.settings if each.name == name), None)


def _choice(name: str, label: str, **words: str) -> Setting:
    return Setting(name, label, "select", default=next(iter(words)), choices=tuple(words.items()))


_PARTS = tuple((each, WHERE_WORDS[each]) for each in WHERE)
_IN = Setting("where", "Looks at", "select", default="answer", choices=_PARTS)
_FENCED = Setting("may_be_fenced", "May stand in a code fence", "check")
_CASE = "Capitals do not matter"

KINDS: dict[str, Kind] = {
    "format": Kind("Format", "The text as a whole is of a format.", (
        Setting("format", "Format", "select", default="json_object",
                choices=tuple((each, each.replace("_", " ")) for each in FORMATS)), _IN, _FENCED)),
    "json_schema": Kind("JSON schema", "The text is JSON that keeps to a schema.", (
        Setting("schema", "Schema", "json", "JSON Schema 2020-12, references within it only.",
                placeholder='{"type": "object", "required": ["total"]}'), _IN, _FENCED)),
    "regex": Kind("Pattern", "A regular expression finds something, or nothing.", (
        Setting("pattern", "Pattern", "code", "RE2: no look-around, no back references.", placeholder=r"\border-\d+\b"),
        _choice("match", "Holds where", any="it is found", none="it is not found", whole="it is the whole text"),
        _IN, Setting("ignore_case", _CASE, "check"))),
    "contains": Kind("Contains", "Texts are there, or are not.", (
        Setting("texts", "Texts", "lines", "One a line, or a JSON list."),
        _choice("match", "Holds where", any="any of them is there", all="all are there", none="none is there"),
        _IN, Setting("ignore_case", _CASE, "check", default="on"))),
    "length": Kind("Length", "The text is neither too short nor too long.", (
        Setting("at_least", "At least", "whole"), Setting("at_most", "At most", "whole"),
        _choice("unit", "Counted in", characters="characters", words="words", lines="lines"), _IN)),
    "refusal": Kind("Refusal", "The answer does not begin by declining.", (
        Setting("expected", "It should decline", "check"),)),
    "language": Kind("Language", "The text is in one of some languages.", (
        Setting("languages", "Languages", "lines", "Codes such as en, one a line; question: that of the question. "
                "None: the code itself, for a scale of labels.", default="question"), _IN)),
    "pii": Kind("Personal data", "Nothing of these kinds is found. It is counted, never quoted.", (
        Setting("kinds", "Kinds", "many", default="email\nphone\ncard\niban",
                choices=tuple((each, PII_NAMES[each]) for each in PII_KINDS)), _IN)),
    "injection": Kind("Injected text", "No text of users, tools or documents addresses whoever scores it."),
    "exact": Kind("Expected answer", "The answer is the expected one of a dataset, case and spaces aside."),
    "latency": Kind("Time", "It was in time.", (
        Setting("at_most_ms", "At most, ms", "whole", default="5000"),
        _choice("of", "Until", duration="the end", ttft="the first token"))),
    "cost": Kind("Cost", "It cost no more.", (Setting("at_most_usd", "At most, USD", "usd", default="0.01"),)),
    "tokens": Kind("Tokens", "It took no more tokens.", (
        Setting("at_most", "At most", "whole", default="1000"),
        _choice("of", "Of", output="the answer", input="the prompt"))),
    "no_error": Kind("No error", "The trace did not fail.", (
        Setting("tools", "Nor did a tool", "check", default="on"),)),
    "finish": Kind("Finish reason", "The model ended for one of these reasons.", (
        Setting("reasons", "Reasons", "lines", "One a line.", default="stop"),)),
    "tools": Kind("Tools", "These tools were called, those were not.", (
        Setting("called", "Called", "lines", "One a line."),
        Setting("not_called", "Not called", "lines", "One a line."))),
    "documents": Kind("Documents", "Enough documents were retrieved.", (
        Setting("at_least", "At least", "whole", default="1"),
        Setting("score_at_least", "With a score of at least", "number", "Empty: any score."))),
    "cites": Kind("Citations", "The answer cites documents, and none that is not there.", (
        Setting("at_least", "At least", "whole", default="1"),)),
    "relevance": Kind("Relevance", "Documents hold enough of the question’s words.", (
        Setting("at_least", "At least, 0 to 1", "number", default="0.5"),
        _choice("of", "Of", best="the best document", mean="the mean of all"))),
    "numbers": Kind("Numbers", "Every number of the answer stands in a document, a tool’s result or the question."),
    "expression": Kind("Expression", "An expression is true; or gives the points, or the label.", (
        Setting("expression", "Expression", "code", "A small part of Python: answer, question, documents, tools, "
                "json(), matches(), words() and more.", placeholder="len(words(answer)) < 120"),)),
}  # fmt: skip
NO_KIND = Kind("", "")


@dataclass(frozen=True, slots=True)
class RuleRow:
    """One rule as typed: `values` by setting. None of them: the kind's own beginning."""

    criterion: str = ""
    kind: str = ""
    values: Mapping[str, str] | None = None

    @property
    def shape(self) -> Kind:
        """What the kind takes."""
        return KINDS.get(self.kind, NO_KIND)

    def text(self, setting: Setting) -> str:
        """What the input of a setting shows."""
        return setting.default if self.values is None else self.values.get(setting.name, "")


@dataclass(frozen=True, slots=True)
class RuleLine:
    """A rule as the template writes it; `shown` names the kind whose inputs it has."""

    shown: str
    criterion: Field
    kind: Field
    fields: tuple[Field, ...] = field(default=())


def read_row(post: QueryDict, at: int) -> RuleRow:
    """The rule that was typed as number `at`. Inputs of another kind than the one chosen do not count."""
    kind, shown = clean(post.get(f"r-{at}-kind", "")), clean(post.get(f"r-{at}-shown", ""))
    values = {}
    for setting in KINDS.get(kind, NO_KIND).settings:
        name = f"r-{at}-{setting.name}"
        if shown != kind and not setting.goes_on(KINDS.get(shown, NO_KIND).get(setting.name)):
            values[setting.name] = setting.default
        elif setting.kind == "many":
            values[setting.name] = clean("\n".join(post.getlist(name)[:50]))
        else:
            values[setting.name] = clean(post.get(name, ""))
    return RuleRow(clean(post.get(f"r-{at}-criterion", "")), kind, values)


def row_of(rule: Mapping[str, Any]) -> RuleRow:
    """The row that a rule of a judge's settings fills."""
    kind = str(rule["kind"])
    values = {each.name: _shown(each, rule.get(each.name)) for each in KINDS.get(kind, NO_KIND).settings}
    return RuleRow(str(rule["criterion"]), kind, values)


def _shown(setting: Setting, value: Any) -> str:
    if value is None:
        # Left out is what a new rule begins with, but where nothing is a choice of its own.
        return setting.default if setting.kind in ("check", "select", "many") else ""
    if setting.kind == "check":
        return "on" if value else ""
    if setting.kind == "many":
        return "\n".join(value)
    if setting.kind == "lines":
        is_plain = all(each == each.strip() and "\n" not in each and not each.startswith("[") for each in value)
        return "\n".join(value) if is_plain else json.dumps(value, ensure_ascii=False)
    if setting.kind == "json":
        return json.dumps(value, ensure_ascii=False, indent=2)
    return f"{value:g}" if isinstance(value, float) else str(value)


def rule_of(row: RuleRow, at: int) -> dict[str, Any]:
    """A rule as `parse_config` reads it; SetupRefused where a number or JSON is none."""
    settings = {"criterion": row.criterion, "kind": row.kind.strip()}
    for setting in row.shape.settings:
        read = READERS.get(setting.kind, _text)
        value = read(f"config.rules[{at}].{setting.name}", row.text(setting))
        if value is not None:
            settings[setting.name] = value
    return settings


def _text(field: str, text: str) -> str | None:
    return text if text.strip() else None


def _lines(field: str, text: str) -> list[Any] | None:
    if text.lstrip().startswith("["):
        found = _json(field, text)
        return found if isinstance(found, list) else None
    return [line.strip() for line in text.split("\n") if line.strip()] or None


def _json(field: str, text: str) -> Any:
    if not text.strip():
        return None
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        raise SetupRefused(field, "is no JSON") from None


READERS: Mapping[str, Callable[[str, str], Any]] = {
    "whole": whole_of,
    "number": number_of,
    "check": lambda field, text: text == "on",
    "lines": _lines,
    "many": _lines,
    "json": _json,
}
_INPUTS = {"whole": "number", "usd": "number", "lines": "area", "json": "code"}


def lines_of(rows: Sequence[RuleRow], rubric: Rubric | None, refused: SetupRefused | None) -> tuple[RuleLine, ...]:
    """The rules with their inputs."""
    criteria = [(each.key, each.title) for each in rubric.criteria] if rubric else []
    kinds = [(name, kind.word) for name, kind in KINDS.items()]
    return tuple(_line(at, row, criteria, kinds, refused) for at, row in enumerate(rows))


def _line(
    at: int, row: RuleRow, criteria: list[tuple[str, str]], kinds: list[tuple[str, str]], refused: SetupRefused | None
) -> RuleLine:
    def make(name: str, label: str, hint: str = "", **more: Any) -> Field:
        return Field(f"r-{at}-{name}", label, hint=hint, error=_error(refused, f"config.rules[{at}].{name}"), **more)

    chosen: tuple[Choice, ...] = choices_of(kinds, row.kind)
    if row.kind not in KINDS:
        chosen = (("", "Choose a kind", True), *chosen)
    return RuleLine(
        row.kind,
        make("criterion", "Decides", kind="select", choices=choices_of(criteria, row.criterion)),
        make("kind", "Kind", row.shape.about, kind="select", choices=chosen),
        tuple(
            make(
                each.name, each.label, each.hint, value=row.text(each), kind=_INPUTS.get(each.kind, each.kind),
                choices=_choices(each, row.text(each)), placeholder=each.placeholder, rows=3,
            )
            for each in row.shape.settings
        ),
    )  # fmt: skip


def _choices(setting: Setting, text: str) -> tuple[Choice, ...]:
    if setting.kind == "many":
        held = text.split("\n")
        return tuple((value, word, value in held) for value, word in setting.choices)
    return choices_of(setting.choices, text)


def _error(refused: SetupRefused | None, name: str) -> str:
    """What is wrong with an input, or with an item of the list in it."""
    if refused is None or refused.field.partition("[")[0] != "config.rules":
        return ""
    is_here = refused.field == name or refused.field.startswith((f"{name}[", f"{name}."))
    return error_at(refused, refused.field) if is_here else ""
