"""Reading a JSON object from outside field by field, with everything that is wrong with it collected."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any

from telltale.lib.faults import Fault


class Reader:
    """A JSON object being read: what is wrong with it is collected, and a harmless value stands in its place."""

    def __init__(self, told: Mapping[str, Any], under: str = "", faults: list[Fault] | None = None) -> None:
        self.told = told
        self.under = under
        self.faults: list[Fault] = [] if faults is None else faults

    def fault(self, name: str, message: str, limit: str = "", value: Any = None) -> None:
        self.faults.append(Fault(f"{self.under}{name}", message, limit, value))

    def known(self, names: Collection[str]) -> None:
        for name in self.told:
            if name not in names:
                self.fault(str(name)[:60], "unknown field", f"one of {', '.join(names)}")

    def inner(self, name: str) -> Reader | None:
        """The object in a field; None where there is none, or where it is no object."""
        told = self.told.get(name)
        if told is None:
            return None
        if not isinstance(told, Mapping):
            self.fault(name, "is no object", "an object", kind_of(told))
            return None
        return Reader(told, f"{self.under}{name}.", self.faults)

    def text(self, name: str, most: int, *, is_needed: bool = True) -> str:
        told = self.told.get(name)
        limit = f"{1 if is_needed else 0} to {most} characters"
        if told is None:
            if is_needed:
                self.fault(name, "is required", limit)
            return ""
        if not isinstance(told, str):
            self.fault(name, "is no text", limit, kind_of(told))
            return ""
        text = " ".join(told.split()) if is_needed else told.strip()
        if is_needed and not text:
            self.fault(name, "is empty", limit)
        if len(text) > most:
            self.fault(name, "is too long", limit, f"{len(text)} characters")
        if not is_clean(text):
            self.fault(name, "holds characters that no stored text has", limit)
        return text

    def choice(self, name: str, accepted: Collection[str], default: str) -> str:
        told = self.told.get(name)
        if told is None:
            return default
        if not isinstance(told, str) or told not in accepted:
            self.fault(name, "is not accepted", f"one of {', '.join(accepted)}", shown(told))
            return default
        return told

    def number(self, name: str, low: float, high: float, default: float, *, is_open: bool = False) -> float:
        found = self.maybe_number(name, low, high, is_open=is_open)
        return default if found is None else found

    def maybe_number(self, name: str, low: float, high: float, *, is_open: bool = False) -> float | None:
        """The number in a field, `is_open`: beyond `low` and below `high`; None where nothing came, or no number."""
        told = self.told.get(name)
        limit = f"a number {'between' if is_open else 'from'} {low:g} {'and' if is_open else 'to'} {high:g}"
        if told is None:
            return None
        if isinstance(told, bool) or not isinstance(told, int | float):
            self.fault(name, "is no number", limit, shown(told))
            return None
        # An integer may be too large for a float; comparisons are exact all the same.
        is_inside = low < told < high if is_open else low <= told <= high
        if not is_inside or (isinstance(told, float) and not math.isfinite(told)):
            self.fault(name, "is out of range", limit, shown(told))
            return None
        return float(told)

    def whole(self, name: str, low: int, high: int, default: int) -> int:
        told = self.told.get(name)
        limit = f"a whole number from {low} to {high}"
        if told is None:
            return default
        if isinstance(told, float) and told.is_integer() and abs(told) < 2**53:
            told = int(told)
        if isinstance(told, bool) or not isinstance(told, int):
            self.fault(name, "is no whole number", limit, shown(told))
            return default
        if not low <= told <= high:
            self.fault(name, "is out of range", limit, shown(told))
            return default
        return told

    def moment(self, name: str) -> datetime | None:
        told = self.told.get(name)
        limit = "ISO 8601 with its zone, such as 2026-11-19T10:00:00Z"
        if told is None or told == "":
            return None
        try:
            found = datetime.fromisoformat(told) if isinstance(told, str) and len(told) <= 40 else None
            found = None if found is None or found.tzinfo is None else found.astimezone(UTC)
        except (ValueError, OverflowError):
            found = None
        if found is None or not 2000 <= found.year <= 2200:
            self.fault(name, "is no time", limit, shown(told))
            return None
        return found


def is_clean(text: str) -> bool:
    return not any(c == "\x00" or "\ud800" <= c <= "\udfff" for c in text)


def shown(value: Any) -> Any:
    """A value as a fault repeats it: scalars, cut; other things by their kind."""
    if isinstance(value, str):
        return value[:120]
    return value if isinstance(value, bool | int | float) else kind_of(value)


def kind_of(told: Any) -> str:
    names = {list: "a list", dict: "an object", str: "text", bool: "true or false", type(None): "null"}
    return names.get(type(told), "a number")
