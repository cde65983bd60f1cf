"""What fields of channels, routes and silences accept; every fault is collected, none raised."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.core.validators import validate_email

from alerts.notices.matching import minute_of
from alerts.notices.settings import ADDRESSES_MAX, FEATURE_MAX, FEATURES_MAX
from alerts.notices.transitions import KINDS, Kind
from telltale.lib import egress
from telltale.lib.faults import Fault

SHOWN = 120
# What a route may be limited to: tests go to their channel, and what nobody acknowledged to the route that asks for it.
ROUTED = tuple(kind for kind in KINDS if kind not in (Kind.TEST, Kind.UNACKNOWLEDGED))


def shown(value: Any) -> Any:
    """What came, short enough to be said back."""
    return value if isinstance(value, bool | int | float) or value is None else str(value)[:SHOWN]


def name(told: Any, most: int, faults: list[Fault], field: str = "name") -> str:
    """A name on one line that can be seen."""
    text = " ".join(told.split()) if isinstance(told, str) else ""
    limit = f"1 to {most} characters"
    if not text:
        faults.append(Fault(field, "is required", limit))
    elif not is_clean(text) or not text.isprintable():
        faults.append(Fault(field, "holds characters that cannot be seen", limit))
    elif len(text) > most:
        faults.append(Fault(field, "is too long", limit, f"{len(text)} characters"))
    return text


def is_clean(text: str) -> bool:
    """Whether PostgreSQL can hold it."""
    return not any(c == "\x00" or "\ud800" <= c <= "\udfff" for c in text)


def number(field: str, told: Any, least: int, most: int, faults: list[Fault]) -> int:
    """A whole number within bounds."""
    limit = f"a whole number from {least} to {most}"
    if isinstance(told, bool) or not isinstance(told, int):
        faults.append(Fault(field, "is no whole number", limit, shown(told)))
        return least
    if not least <= told <= most:
        faults.append(Fault(field, "is out of range", limit, told if abs(told) < 10**18 else shown(str(told))))
        return least
    return told


def flag(field: str, told: Any, faults: list[Fault]) -> bool:
    """True or false."""
    if not isinstance(told, bool):
        faults.append(Fault(field, "is neither true nor false", "true or false", shown(told)))
    return bool(told)


def addresses(told: Any, faults: list[Fault]) -> list[str]:
    """Addresses of mail, each once."""
    limit = f"1 to {ADDRESSES_MAX} addresses"
    if not isinstance(told, list) or not told:
        faults.append(Fault("to", "is required", limit))
        return []
    if len(told) > ADDRESSES_MAX:
        faults.append(Fault("to", "has too many", limit, len(told)))
        return []
    found: dict[str, None] = {}
    for at, each in enumerate(told):
        text = each.strip() if isinstance(each, str) else ""
        try:
            validate_email(text)
            if len(text) > 254 or not text.isascii():
                raise ValidationError("")
        except ValidationError:
            faults.append(Fault(f"to[{at}]", "is no address of mail", "such as on-call@example.com", shown(each)))
            continue
        found[text] = None
    return list(found)


def address(field: str, told: Any, faults: list[Fault], *, is_secret: bool = False) -> str:
    """An address that messages may be posted to, by the rules for outgoing requests as they are now."""
    text = told.strip() if isinstance(told, str) else ""
    if not text:
        faults.append(Fault(field, "is required", "https://…"))
        return ""
    try:
        egress.check(text)
    except egress.Refused as refused:
        faults.append(Fault(field, f"is refused: {refused}", "https://…", None if is_secret else shown(text)))
    return text


def key(told: Any, faults: list[Fault]) -> str:
    """A key as it goes into a header or body: visible ASCII."""
    text = told.strip() if isinstance(told, str) else ""
    if not text:
        faults.append(Fault("key", "is required", "the key of the integration"))
    elif not (text.isascii() and text.isprintable() and " " not in text) or len(text) > 300:
        faults.append(Fault("key", "is no key", "visible characters without spaces, at most 300"))
    return text


def one_of(field: str, told: Any, accepted: Collection[str], faults: list[Fault]) -> str:
    """One of some words."""
    if not isinstance(told, str) or told not in accepted:
        faults.append(Fault(field, "is not accepted", f"one of {', '.join(accepted)}", shown(told)))
        return ""
    return str(told)


def severities(told: Any, faults: list[Fault], field: str = "severities") -> list[int]:
    """Severities, each once."""
    limit = "a list of 0, 1, 2 and 3"
    if not isinstance(told, list) or any(isinstance(each, bool) or each not in (0, 1, 2, 3) for each in told):
        faults.append(Fault(field, "is no list of severities", limit, shown(told)))
        return []
    return sorted({int(each) for each in told})


def features(told: Any, faults: list[Fault], field: str = "features") -> list[str]:
    """Names of features, each once."""
    limit = f"a list of at most {FEATURES_MAX} names of at most {FEATURE_MAX} characters"
    if not isinstance(told, list) or not all(isinstance(each, str) for each in told):
        faults.append(Fault(field, "is no list of names", limit, shown(told)))
        return []
    if len(told) > FEATURES_MAX:
        faults.append(Fault(field, "has too many", limit, len(told)))
        return []
    for at, each in enumerate(told):
        if not 0 < len(each) <= FEATURE_MAX or not is_clean(each):
            faults.append(Fault(f"{field}[{at}]", "is no name of a feature", limit, shown(each)))
    return list(dict.fromkeys(told))


def kinds(told: Any, faults: list[Fault]) -> list[str]:
    """Kinds of transitions, each once."""
    if not isinstance(told, list) or any(not isinstance(each, str) or each not in ROUTED for each in told):
        faults.append(Fault("kinds", "is not accepted", f"a list of {', '.join(ROUTED)}", shown(told)))
        return []
    return list(dict.fromkeys(told))


def hours(told: Any, faults: list[Fault]) -> dict[str, Any]:
    """Hours of a week; {} always."""
    limit = '{"days": [1, 2, 3, 4, 5], "start": "09:00", "end": "18:00"}, Monday 1, or {} for always'
    if not isinstance(told, Mapping):
        faults.append(Fault("hours", "is no object", limit, shown(told)))
        return {}
    if not told:
        return {}
    days = told.get("days", list(range(1, 8)))
    is_days = isinstance(days, list) and days and all(type(day) is int and 1 <= day <= 7 for day in days)
    if not is_days or not set(told) <= {"days", "start", "end"}:
        faults.append(Fault("hours", "has days that are none, or another field", limit, shown(told)))
        return {}
    for part in ("start", "end"):
        try:
            minute_of(str(told.get(part)))
        except ValueError:
            faults.append(Fault(f"hours.{part}", "is no time of day", "00:00 to 24:00", shown(told.get(part))))
            return {}
    return {"days": sorted(set(days)), "start": told["start"], "end": told["end"]}


def moment(field: str, told: Any, faults: list[Fault]) -> datetime | None:
    """A time with its zone; None with a fault where it is none."""
    if not isinstance(told, datetime) or told.tzinfo is None:
        faults.append(Fault(field, "is no time", "ISO 8601 with a zone", shown(told)))
        return None
    return told


def unknown(told: Mapping[str, Any], accepted: Collection[str], faults: list[Fault]) -> None:
    """A fault for each field that there is not."""
    for each in told:
        if each not in accepted:
            faults.append(Fault(str(each)[:60], "unknown field", f"one of {', '.join(sorted(accepted))}"))
