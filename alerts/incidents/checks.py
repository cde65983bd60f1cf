"""What people write about incidents, checked: every fault with its field, limit and value. Pure."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from alerts.incidents.types import NOTE_MAX, SEVERITIES, TITLE_MAX
from telltale.lib.faults import Fault, ItemRefused

# JSON of a draft or an outcome: what a step's form holds, never an upload.
JSON_MAX = 100_000


def text(field: str, value: Any, most: int = NOTE_MAX, *, is_needed: bool = False) -> str:
    """The text without blanks around it. Raises ItemRefused."""
    if not isinstance(value, str):
        raise ItemRefused(Fault(field, "is no text", f"0 to {most} characters", repr(value)[:80]))
    told = value.replace("\r\n", "\n").strip()
    if len(told) > most:
        raise ItemRefused(
            Fault(field, "is too long", f"{int(is_needed)} to {most} characters", f"{len(told)} characters")
        )
    if is_needed and not told:
        raise ItemRefused(Fault(field, "is needed", f"1 to {most} characters"))
    if not is_storable(told):
        raise ItemRefused(Fault(field, "holds characters that no stored text has", "no U+0000, no half surrogates"))
    return told


def title(value: Any) -> str:
    """A title in one line. Raises ItemRefused."""
    return " ".join(text("title", value, TITLE_MAX, is_needed=True).split())


def severity(value: Any) -> int:
    """0 to 3, for P0 to P3. Raises ItemRefused."""
    if isinstance(value, bool) or not isinstance(value, int) or value not in SEVERITIES:
        raise ItemRefused(Fault("severity", "is none", "0 to 3, for P0 to P3", repr(value)[:80]))
    return value


def body(field: str, value: Any) -> dict[str, Any]:
    """JSON that can be stored, as a draft or an outcome of a step. Raises ItemRefused."""
    if not isinstance(value, Mapping):
        raise ItemRefused(Fault(field, "is no object", "a JSON object", repr(value)[:80]))
    try:
        written = json.dumps(value, allow_nan=False, ensure_ascii=True)
    except (TypeError, ValueError, RecursionError):
        raise ItemRefused(Fault(field, "cannot be written as JSON", "numbers that are finite")) from None
    if len(written) > JSON_MAX:
        raise ItemRefused(Fault(field, "is too long", f"{JSON_MAX} characters of JSON", len(written)))
    if "\\u0000" in written or not is_storable(json.dumps(value, ensure_ascii=False)):
        raise ItemRefused(Fault(field, "holds characters that no stored text has", "no U+0000, no half surrogates"))
    return dict(value)


def is_storable(value: str) -> bool:
    """Whether PostgreSQL can hold a text."""
    if "\x00" in value:
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
