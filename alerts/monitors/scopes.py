"""The scope of a series as JSON: {"feature": ["search", null], "filter": "cost.min=0.01", "view": 3}."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alerts.monitors.fields import Reader, is_clean, kind_of, shown
from alerts.monitors.types import DIMENSIONS, Scope
from telltale.lib.faults import Fault, ItemRefused

TEXT_MAX, FILTER_MAX = 200, 1_000
VALUES_MAX = 20


def plain_scope(told: Any) -> Scope:
    """The scope in a field `scope`, by its form alone; ItemRefused. One value may stand without its list."""
    if not isinstance(told, Mapping):
        raise ItemRefused(Fault("scope", "is no object", "an object", kind_of(told)))
    read = Reader(told, "scope.")
    read.known((*DIMENSIONS, "filter", "view"))
    values = []
    for name in sorted(DIMENSIONS):
        if name not in told:
            continue
        held = told[name] if isinstance(told[name], list) else [told[name]]
        if len(held) > VALUES_MAX:
            read.fault(name, "has too many values", f"at most {VALUES_MAX}", len(held))
        kept: list[str | None] = []
        for each in held[:VALUES_MAX]:
            if each is None:
                kept.append(None)
            elif isinstance(each, str) and 0 < len(each) <= TEXT_MAX and is_clean(each):
                kept.append(each)
            else:
                read.fault(name, "is no name", f"text of 1 to {TEXT_MAX} characters, or null: unknown", shown(each))
        if kept:
            values.append((name, tuple(dict.fromkeys(kept))))
    filter_ = read.text("filter", FILTER_MAX, is_needed=False)
    view = read.whole("view", 1, 2**31 - 1, 0) or None
    if read.faults:
        raise ItemRefused(*read.faults)
    return Scope(tuple(values), filter_, view)


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
