"""The kinds of rules by name, and whether rules fit a rubric."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from evals.judges import text_checks, trace_checks
from evals.judges.fields import Check, ConfigRefused, Rule, read_object, read_text
from evals.rubrics import Rubric

Reader = Callable[[Mapping[str, Any], str], tuple[dict[str, Any], Check]]

_IN = {"where"}
# kind -> who reads it, and the settings it takes.
KINDS: dict[str, tuple[Reader, set[str]]] = {
    "format": (text_checks.read_format, {"format", "may_be_fenced"} | _IN),
    "json_schema": (text_checks.read_json_schema, {"schema", "may_be_fenced"} | _IN),
    "regex": (text_checks.read_regex, {"pattern", "match", "ignore_case"} | _IN),
    "contains": (text_checks.read_contains, {"texts", "match", "ignore_case"} | _IN),
    "length": (text_checks.read_length, {"unit", "at_least", "at_most"} | _IN),
    "refusal": (text_checks.read_refusal, {"expected"}),
    "language": (text_checks.read_language, {"languages"} | _IN),
    "pii": (text_checks.read_pii, {"kinds"} | _IN),
    "injection": (text_checks.read_injection, set()),
    "exact": (text_checks.read_exact, set()),
    "latency": (trace_checks.read_latency, {"at_most_ms", "of"}),
    "cost": (trace_checks.read_cost, {"at_most_usd"}),
    "tokens": (trace_checks.read_tokens, {"at_most", "of"}),
    "no_error": (trace_checks.read_no_error, {"tools"}),
    "finish": (trace_checks.read_finish, {"reasons"}),
    "tools": (trace_checks.read_tools, {"called", "not_called"}),
    "documents": (trace_checks.read_documents, {"at_least", "score_at_least"}),
    "cites": (trace_checks.read_cites, {"at_least"}),
    "relevance": (trace_checks.read_relevance, {"at_least", "of"}),
    "numbers": (trace_checks.read_numbers, set()),
    "expression": (trace_checks.read_expression, {"expression"}),
}


def read_rule(raw: object, where: str) -> Rule:
    """One rule: its criterion, its kind and the kind's settings; ConfigRefused at the first fault."""
    if not isinstance(raw, dict):
        raise ConfigRefused(where, "must be an object.")
    kind = raw.get("kind")
    if not isinstance(kind, str) or kind not in KINDS:
        raise ConfigRefused(f"{where}.kind", f"must be one of {', '.join(KINDS)}.", ", ".join(KINDS))
    reader, names = KINDS[kind]
    told = read_object(raw, where, names | {"criterion", "kind"})
    criterion = read_text(told.get("criterion"), f"{where}.criterion", 50)
    settings, check = reader(told, where)
    return Rule(criterion, kind, settings, check)


def check_rules_fit(rubric: Rubric, rules: tuple[Rule, ...]) -> None:
    """ConfigRefused where a rule decides no criterion, a criterion has no rule, or a kind cannot give its scale."""
    for at, rule in enumerate(rules):
        criterion = rubric.criterion(rule.criterion)
        if criterion is None:
            known = ", ".join(each.key for each in rubric.criteria)
            raise ConfigRefused(f"rules[{at}].criterion", "is no criterion of the rubric.", known)
        names_language = rule.kind == "language" and "languages" not in rule.settings
        if criterion.scale.kind == "boolean":
            if names_language:
                raise ConfigRefused(f"rules[{at}].languages", "must be given for a criterion of yes and no.")
        elif not (rule.kind == "expression" or (names_language and criterion.scale.kind == "labels")):
            told = f"gives yes or no, and “{criterion.key}” is on a scale of {criterion.scale.kind}."
            raise ConfigRefused(f"rules[{at}].kind", told)
        elif sum(each.criterion == rule.criterion for each in rules) > 1:
            raise ConfigRefused(f"rules[{at}].criterion", "has two rules; only a criterion of yes and no may.")
    ruled = {rule.criterion for rule in rules}
    for criterion in rubric.criteria:
        if criterion.key not in ruled:
            raise ConfigRefused("rules", f"has no rule for the criterion “{criterion.key}”.")
