"""What part of a project a series is of: read from JSON with faults that name the field, and written back.

    {"feature": ["search", null], "model": "gpt-4o", "filter": "cost.min=0.01", "view": 7}

A dimension takes a value or a list of values (any of them); null is "unknown". `filter` is the query string of a list
of traces, without its window and order; `view` the saved view it came from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import parse_qsl, urlencode

from alerts.monitors.types import DIMENSIONS, Metric, Scope
from alerts.series.params import is_storable
from telltale.lib.faults import Fault, ItemRefused

VALUES_MAX = 50
VALUE_CHARS_MAX = 300
FILTER_CHARS_MAX = 2000
# Of a list's address that say when and how it is shown, not of what.
_NOT_OF_WHAT = frozenset(
    {"from", "to", "start", "end", "range", "sort", "after", "before", "cursor", "columns", "view"}
)


def parse_scope(told: Any, metric: Metric | None = None) -> Scope:
    """The scope that `told` describes; of `metric`, where given, it must be possible. Raises ItemRefused.

    What a filter's terms mean is not looked at here: `alerts.read.series.check_filter` does.
    """
    if told is None:
        return Scope()
    if not isinstance(told, Mapping):
        raise ItemRefused(Fault("scope", "is no object", "an object of dimensions", _shown(told)))
    faults: list[Fault] = []
    values: dict[str, tuple[str | None, ...]] = {}
    for name, wanted in told.items():
        if name in {"filter", "view"}:
            continue
        if name not in DIMENSIONS:
            faults.append(Fault(f"scope.{str(name)[:60]}", "is no dimension", ", ".join(DIMENSIONS)))
        elif metric is not None and name not in metric.scopes:
            limit = ", ".join(metric.scopes) or "none: this series is of the whole project"
            faults.append(Fault(f"scope.{name}", f"cannot narrow {metric.title.lower()}", limit))
        else:
            accepted = _values(name, wanted, faults)
            if accepted:
                values[name] = accepted
    text, view = _filter(told, metric, faults), _view(told, faults)
    if faults:
        raise ItemRefused(*faults)
    return Scope(tuple(sorted(values.items())), text, view)


def scope_json(scope: Scope) -> dict[str, Any]:
    """The scope as `parse_scope` reads it; equal scopes give equal JSON."""
    told: dict[str, Any] = {name: list(values) for name, values in scope.values}
    if scope.filter:
        told["filter"] = scope.filter
    if scope.view is not None:
        told["view"] = scope.view
    return told


def scope_words(scope: Scope) -> str:
    """The scope in words: "feature search, model gpt-4o or unknown"; "" for the whole project."""
    parts = [
        f"{name.replace('_', ' ')} {' or '.join('unknown' if value is None else value for value in values)}"
        for name, values in scope.values
    ]
    if scope.filter:
        parts.append(f"filter {scope.filter}")
    return ", ".join(parts)


def _values(name: str, wanted: Any, faults: list[Fault]) -> tuple[str | None, ...]:
    many = [wanted] if wanted is None or isinstance(wanted, str) else wanted
    if not isinstance(many, Sequence) or isinstance(many, bytes | str):
        faults.append(Fault(f"scope.{name}", "is neither text, null nor a list of these", "", _shown(wanted)))
        return ()
    if len(many) > VALUES_MAX:
        faults.append(Fault(f"scope.{name}", "has too many values", f"{VALUES_MAX} values", len(many)))
        return ()
    found: dict[str | None, None] = {}
    for at, value in enumerate(many):
        if value is None:
            found[None] = None
        elif not isinstance(value, str) or not value.strip() or not is_storable(value):
            faults.append(Fault(f"scope.{name}[{at}]", "is no text", "text, or null for unknown", _shown(value)))
        elif len(value) > VALUE_CHARS_MAX:
            faults.append(Fault(f"scope.{name}[{at}]", "is too long", f"{VALUE_CHARS_MAX} characters", len(value)))
        else:
            found[value] = None
    return tuple(sorted(found, key=lambda value: (value is None, value or "")))


def _filter(told: Mapping[str, Any], metric: Metric | None, faults: list[Fault]) -> str:
    text = told.get("filter")
    if text is None or text == "":
        return ""
    if not isinstance(text, str) or not is_storable(text):
        faults.append(Fault("scope.filter", "is no text", "the query string of a list of traces", _shown(text)))
        return ""
    if len(text) > FILTER_CHARS_MAX:
        faults.append(Fault("scope.filter", "is too long", f"{FILTER_CHARS_MAX} characters", len(text)))
        return ""
    if metric is not None and not metric.has_filter:
        faults.append(Fault("scope.filter", f"cannot narrow {metric.title.lower()}", "dimensions only"))
        return ""
    try:
        pairs = parse_qsl(text.removeprefix("?"), keep_blank_values=False, max_num_fields=200)
    except ValueError:
        faults.append(Fault("scope.filter", "has too many parts", "200 parts"))
        return ""
    return urlencode([(key, value) for key, value in pairs if key not in _NOT_OF_WHAT])


def _view(told: Mapping[str, Any], faults: list[Fault]) -> int | None:
    view = told.get("view")
    if view is None:
        return None
    if isinstance(view, bool) or not isinstance(view, int) or not 0 < view < 2**31:
        faults.append(Fault("scope.view", "is no id of a saved view", "", _shown(view)))
        return None
    return view


def _shown(value: Any) -> str:
    return repr(value)[:80]
