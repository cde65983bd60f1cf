"""What a judge version is set to: what it looks at, its limits or rules, and when it flags."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from evals.judges.checks import check_rules_fit, read_rule
from evals.judges.fields import ConfigRefused, Rule, read_bool, read_int, read_number, read_object
from evals.judges.verdict import CriterionScore
from evals.rubrics import Rubric

MODEL, RULE, PERSON, EXTERNAL = "model", "rule", "person", "external"
# What of the material a model judge is shown, in the order it stands in the prompt.
PARTS = ("system", "messages", "question", "documents", "tools", "metadata", "expected", "answer")
DEFAULT_PARTS = ("messages", "question", "documents", "answer")
MAX_CHARS = 60_000
MAX_CHARS_LIMIT = 1_000_000
OUTPUT_TOKENS = 2_000
OUTPUT_TOKENS_LIMIT = 32_000
RULES_MAX = 50
NAME_CHARS_MAX = 200
_SOURCE = re.compile(r"(auto|none|(root|first_generation|last_generation)\.(input|output))\Z")
_NAMED_SOURCE = re.compile(r"(span:(?P<span>[^\x00]{1,200})\.(input|output)|(attribute|metadata):[^\x00\s]{1,200})\Z")
_DOCUMENTS = re.compile(r"(auto|none|span:[^\x00]{1,200})\Z")


@dataclass(frozen=True, slots=True)
class Mapped:
    """Where the material's parts come from.

    question, answer, system: "auto" (what the trace itself shows), "none", "root.input", "root.output",
    "first_generation.input" and so on for "last_generation", "span:<name>.input", "span:<name>.output" (the last span
    of that name), "attribute:<key>" of the root span, "metadata:<key>" of the trace. documents: "auto" (every
    retriever span, in order), "none" or "span:<name>".
    """

    question: str = "auto"
    answer: str = "auto"
    system: str = "auto"
    documents: str = "auto"


@dataclass(frozen=True, slots=True)
class FlagRule:
    """When a judgement flags its target: any of these holds. No rule at all: the rubric's own levels.

    `criteria`: key -> this level or a worse one. `mean_at_most`: the mean over all criteria of points is at most that.
    """

    criteria: Mapping[str, float] = field(default_factory=dict)
    mean_at_most: float | None = None


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """A model judge: what it is shown, how much of it, and how long it may answer.

    `max_chars` bounds all untrusted text of a call together. `with_documents`: it also says of each retrieved
    document how relevant it is.
    """

    mapping: Mapped = Mapped()
    flag: FlagRule = FlagRule()
    parts: tuple[str, ...] = DEFAULT_PARTS
    max_chars: int = MAX_CHARS
    max_output_tokens: int = OUTPUT_TOKENS
    with_documents: bool = False


@dataclass(frozen=True, slots=True)
class RuleConfig:
    """A judge of rules. A yes/no criterion may have several: all must hold."""

    rules: tuple[Rule, ...]
    mapping: Mapped = Mapped()
    flag: FlagRule = FlagRule()


@dataclass(frozen=True, slots=True)
class PlainConfig:
    """A judge whose scores come from elsewhere, people or a program: only when they flag is set here."""

    mapping: Mapped = Mapped()
    flag: FlagRule = FlagRule()


Config = ModelConfig | RuleConfig | PlainConfig


def parse_config(kind: str, spec: object) -> Config:
    """The settings of a judge of `kind` (model, rule, person, external); ConfigRefused at the first fault."""
    names = {"mapping", "flag"}
    if kind == MODEL:
        told = read_object(spec, "config", names | {"parts", "max_chars", "max_output_tokens", "with_documents"})
        parts = _parts(told.get("parts", list(DEFAULT_PARTS)))
        return ModelConfig(
            _mapping(told.get("mapping")),
            _flag(told.get("flag")),
            parts,
            read_int(told.get("max_chars", MAX_CHARS), "max_chars", 500, MAX_CHARS_LIMIT),
            read_int(told.get("max_output_tokens", OUTPUT_TOKENS), "max_output_tokens", 50, OUTPUT_TOKENS_LIMIT),
            read_bool(told.get("with_documents", False), "with_documents"),
        )
    if kind == RULE:
        told = read_object(spec, "config", names | {"rules"})
        return RuleConfig(_rules(told.get("rules")), _mapping(told.get("mapping")), _flag(told.get("flag")))
    if kind in (PERSON, EXTERNAL):
        told = read_object(spec, "config", names)
        return PlainConfig(_mapping(told.get("mapping")), _flag(told.get("flag")))
    raise ConfigRefused("kind", f"must be {MODEL}, {RULE}, {PERSON} or {EXTERNAL}.")


def _parts(raw: object) -> tuple[str, ...]:
    if not isinstance(raw, list) or not raw:
        raise ConfigRefused("parts", "must be a list of what the judge is shown.", ", ".join(PARTS))
    for at, each in enumerate(raw):
        if each not in PARTS:
            raise ConfigRefused(f"parts[{at}]", "is no part of the material.", ", ".join(PARTS))
    return tuple(part for part in PARTS if part in raw)


def _rules(raw: object) -> tuple[Rule, ...]:
    if not isinstance(raw, list) or not raw:
        raise ConfigRefused("rules", "must be a list with at least one rule.")
    if len(raw) > RULES_MAX:
        raise ConfigRefused("rules", f"holds {len(raw)}; at most {RULES_MAX}.", str(RULES_MAX))
    return tuple(read_rule(each, f"rules[{at}]") for at, each in enumerate(raw))


def _mapping(raw: object) -> Mapped:
    if raw is None:
        return Mapped()
    told = read_object(raw, "mapping", {"question", "answer", "system", "documents"})
    for name, source in told.items():
        where = f"mapping.{name}"
        if not isinstance(source, str):
            raise ConfigRefused(where, "must be a text.")
        if name == "documents":
            if not _DOCUMENTS.match(source):
                raise ConfigRefused(where, "must be auto, none or span:<name>.")
        elif not _SOURCE.match(source) and not _NAMED_SOURCE.match(source):
            raise ConfigRefused(
                where,
                "must be auto, none, root.input, last_generation.output or the like, span:<name>.input, "
                "attribute:<key> or metadata:<key>.",
                "200 characters of a name",
            )
    return Mapped(**{str(name): str(source) for name, source in told.items()})


def _flag(raw: object) -> FlagRule:
    if raw is None:
        return FlagRule()
    told = read_object(raw, "flag", {"criteria", "mean_at_most"})
    criteria = told.get("criteria", {})
    if not isinstance(criteria, dict):
        raise ConfigRefused("flag.criteria", "must be an object from a criterion's key to a level.")
    limits = {str(key): read_number(value, f"flag.criteria.{str(key)[:60]}") for key, value in criteria.items()}
    mean = told.get("mean_at_most")
    return FlagRule(limits, None if mean is None else read_number(mean, "flag.mean_at_most"))


def check_fit(rubric: Rubric, config: Config) -> None:
    """ConfigRefused where settings name what the rubric does not have, or leave a criterion without a rule."""
    for key, at_most in config.flag.criteria.items():
        criterion = rubric.criterion(key)
        where = f"flag.criteria.{key[:60]}"
        if criterion is None:
            raise ConfigRefused(where, "is no criterion of the rubric.", ", ".join(c.key for c in rubric.criteria))
        scale = criterion.scale
        if not scale.has_numbers:
            raise ConfigRefused(where, "needs a scale with an order.")
        if not scale.low <= at_most < scale.high:
            limit = f"{scale.low} to below {scale.high}"
            raise ConfigRefused(where, f"is {at_most:g}; from {limit}.", limit)
    if config.flag.mean_at_most is not None:
        ranges = {(c.scale.low, c.scale.high) for c in rubric.criteria if c.scale.kind == "points"}
        if len(ranges) != 1:
            raise ConfigRefused("flag.mean_at_most", "needs criteria of points, all on the same scale.")
        low, high = ranges.pop()
        if not low <= config.flag.mean_at_most < high:
            limit = f"{low} to below {high}"
            raise ConfigRefused("flag.mean_at_most", f"is {config.flag.mean_at_most:g}; from {limit}.", limit)
    if isinstance(config, RuleConfig):
        check_rules_fit(rubric, config.rules)


def flags(rubric: Rubric, flag: FlagRule, scores: Iterable[CriterionScore]) -> bool:
    """Whether these scores flag their target. What a judge is unsure of flags nothing."""
    limits = flag.criteria
    if not limits and flag.mean_at_most is None:
        limits = {c.key: c.flag_at_most for c in rubric.criteria if c.flag_at_most is not None}
    points: list[float] = []
    is_flagged = False
    for score in scores:
        criterion = rubric.criterion(score.key)
        if criterion is None or score.number is None:
            continue
        if score.key in limits and score.number <= limits[score.key]:
            is_flagged = True
        if criterion.scale.kind == "points":
            points.append(score.number)
    if flag.mean_at_most is not None and points and sum(points) / len(points) <= flag.mean_at_most:
        return True
    return is_flagged


def config_json(config: Config) -> dict[str, Any]:
    """The JSON that `parse_config` reads as these settings; the same settings always give the same JSON."""
    told: dict[str, Any] = {}
    mapping = {name: getattr(config.mapping, name) for name in ("question", "answer", "system", "documents")}
    if chosen := {name: source for name, source in mapping.items() if source != "auto"}:
        told["mapping"] = chosen
    flag: dict[str, Any] = {}
    if config.flag.criteria:
        flag["criteria"] = dict(config.flag.criteria)
    if config.flag.mean_at_most is not None:
        flag["mean_at_most"] = config.flag.mean_at_most
    if flag:
        told["flag"] = flag
    if isinstance(config, ModelConfig):
        told |= {
            "parts": list(config.parts),
            "max_chars": config.max_chars,
            "max_output_tokens": config.max_output_tokens,
            "with_documents": config.with_documents,
        }
    elif isinstance(config, RuleConfig):
        told["rules"] = [{"criterion": r.criterion, "kind": r.kind, **r.settings} for r in config.rules]
    return told
