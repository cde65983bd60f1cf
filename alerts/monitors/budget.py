"""The settings of an alert budget as they are told: false pages a week, days that are no example, entered capacity."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Any

from telltale.lib.faults import Fault, ItemRefused

PAGES_LEAST, PAGES_MOST = 0.01, 100.0
MARKED_DAYS_MAX, CAPACITIES_MAX = 400, 200
CAPACITY_KINDS = ("model", "service")


def read_budget(told: Mapping[str, Any]) -> dict[str, Any]:
    """The settings of a budget as columns hold them; ItemRefused."""
    faults: list[Fault] = []
    found: dict[str, Any] = {}
    for name in told:
        if name not in {"pages_a_week", "marked_days", "capacity"}:
            faults.append(Fault(str(name)[:60], "unknown field", "one of pages_a_week, marked_days, capacity"))
    if "pages_a_week" in told:
        found["pages_a_week"] = _number("pages_a_week", told["pages_a_week"], PAGES_LEAST, PAGES_MOST, faults)
    if "marked_days" in told:
        found["marked_days"] = _marked_days(told["marked_days"], faults)
    if "capacity" in told:
        found["capacity"] = _capacity(told["capacity"], faults)
    if faults:
        raise ItemRefused(*faults)
    return found


def _number(field: str, told: Any, low: float, high: float, faults: list[Fault]) -> float:
    limit = f"a number from {low:g} to {high:g}"
    if isinstance(told, bool) or not isinstance(told, int | float):
        faults.append(Fault(field, "is no number", limit, None if told is None else str(told)[:120]))
        return low
    if not low <= told <= high:
        faults.append(Fault(field, "is out of range", limit, told))
        return low
    return float(told)


def _marked_days(told: Any, faults: list[Fault]) -> list[str]:
    limit = f"at most {MARKED_DAYS_MAX} days such as 2026-12-25"
    if not isinstance(told, list):
        faults.append(Fault("marked_days", "is no list", limit))
        return []
    if len(told) > MARKED_DAYS_MAX:
        faults.append(Fault("marked_days", "has too many", limit, len(told)))
        return []
    found = set()
    for at, each in enumerate(told):
        try:
            found.add(date.fromisoformat(each).isoformat() if isinstance(each, str) and len(each) == 10 else "")
        except ValueError:
            found.add("")
        if "" in found:
            faults.append(Fault(f"marked_days[{at}]", "is no day", limit, str(each)[:40]))
            found.discard("")
    return sorted(found)


def _capacity(told: Any, faults: list[Fault]) -> dict[str, float]:
    limit = 'requests a minute by model or service, such as {"model:gpt-4o": 600}'
    if not isinstance(told, Mapping):
        faults.append(Fault("capacity", "is no object", limit))
        return {}
    if len(told) > CAPACITIES_MAX:
        faults.append(Fault("capacity", "has too many", f"at most {CAPACITIES_MAX}", len(told)))
        return {}
    found = {}
    for name, value in told.items():
        kind, _, rest = str(name).partition(":")
        is_clean = not any(c == "\x00" or "\ud800" <= c <= "\udfff" for c in rest)
        if kind not in CAPACITY_KINDS or not 0 < len(rest) <= 200 or not is_clean:
            faults.append(Fault(f"capacity.{str(name)[:60]}", "is neither model:… nor service:…", limit))
        else:
            found[str(name)] = _number(f"capacity.{str(name)[:60]}", value, 0.001, 1e9, faults)
    return found
