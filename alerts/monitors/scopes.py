"""The scope of a series as JSON: {"feature": ["search", null], "filter": "cost.min=0.01", "view": 3}, and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alerts.monitors.types import Scope


def scope_json(scope: Scope) -> dict[str, Any]:
    """A scope as the field `scope` of a definition: {"feature": ["search", null], "filter": "…", "view": 3}."""
    told: dict[str, Any] = {name: list(values) for name, values in scope.values}
    if scope.filter:
        told["filter"] = scope.filter
    if scope.view is not None:
        told["view"] = scope.view
    return told


def read_scope(stored: Mapping[str, Any]) -> Scope:
    """The scope that `scope_json` gave."""
    values = tuple((name, tuple(stored[name])) for name in sorted(stored) if name not in {"filter", "view"})
    return Scope(values, stored.get("filter", ""), stored.get("view"))
