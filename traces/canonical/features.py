"""Product features by project rules, for traces that name none themselves."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fnmatch import fnmatchcase
from typing import Any

MAX_RULES = 200
MAX_PATTERN_CHARS = 200


def apply_feature_rules(name: str, service: str | None, rules: Iterable[Mapping[str, Any]]) -> str | None:
    """The feature that the first matching rule gives a trace with this root name and service, None where none matches.

    A rule is {"match": "root_name" | "service", "pattern": "checkout*", "feature": "checkout"}; patterns know `*`, `?`
    and `[...]` and regard case. Rules of another shape are passed over.
    """
    for at, rule in enumerate(rules):
        if at >= MAX_RULES:
            return None
        pattern, feature = rule.get("pattern"), rule.get("feature")
        if not isinstance(pattern, str) or not isinstance(feature, str) or not feature:
            continue
        subject = service if rule.get("match") == "service" else name
        is_usable = subject is not None and len(pattern) <= MAX_PATTERN_CHARS and pattern.count("*") <= 8
        if is_usable and fnmatchcase(subject or "", pattern):
            return feature
    return None
