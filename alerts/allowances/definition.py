"""A budget as JSON and as columns: reading what people tell, with every fault, and writing it back."""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from itertools import pairwise
from typing import Any, TypeVar

from alerts.allowances.types import PICO, Allowance, Do, Of, Period, Step
from telltale.lib.faults import Fault, ItemRefused

NAME_MAX, SUBJECT_MAX, USING_MAX = 120, 200, 200
LIMIT_USD_MIN, LIMIT_USD_MAX = Decimal("0.000001"), Decimal(1_000_000_000)
# A share of 10 is ten times the limit: policies may be stricter beyond it.
SHARE_MIN, SHARE_MAX = Decimal("0.01"), Decimal(10)
TELL_MAX, STEPS_MAX = 10, 10
TELL_AT = (Decimal("0.5"), Decimal("0.8"), Decimal(1))
FIELDS = ("name", "of", "subject", "period", "limit_usd", "tell_at", "policy", "severity", "is_on")
_STEP_FIELDS = ("at", "do", "with")
T = TypeVar("T", Of, Period, Do)


def parse(told: Any, held: Allowance | None = None) -> Allowance:
    """The budget that `told` describes; of `held` with what is told instead, where given. ItemRefused."""
    if not isinstance(told, Mapping):
        raise ItemRefused(Fault("body", "is no object", "a JSON object"))
    faults: list[Fault] = []
    for name in told:
        if name not in FIELDS:
            faults.append(Fault(str(name)[:60], "unknown field", f"one of {', '.join(FIELDS)}"))
    of = _choice("of", told, Of, held.of if held else None, faults)
    period = _choice("period", told, Period, held.period if held else Period.MONTH, faults)
    name = _text("name", told, held.name if held else None, 1, NAME_MAX, faults)
    subject = _text("subject", told, held.subject if held else "", 0, SUBJECT_MAX, faults)
    if of == Of.PROJECT and subject:
        if told.get("subject"):
            faults.append(Fault("subject", "belongs to no budget of a whole project", "empty", subject[:60]))
        subject = ""
    allowance = Allowance(
        name=name,
        of=of or Of.PROJECT,
        subject=subject,
        period=period or Period.MONTH,
        limit_pico=_limit(told, held.limit_pico if held else None, faults),
        tell_at=_tell_at(told, held.tell_at if held else TELL_AT, faults),
        policy=_policy(told, held.policy if held else (), faults),
        severity=_severity(told, held.severity if held else 2, faults),
        is_on=_truth("is_on", told, held.is_on if held else True, faults),
    )
    if faults:
        raise ItemRefused(*faults)
    return allowance


def to_json(allowance: Allowance) -> dict[str, Any]:
    """A budget as REST and the audit log show it: what `parse` reads."""
    return {
        "name": allowance.name,
        "of": str(allowance.of),
        "subject": allowance.subject,
        "period": str(allowance.period),
        "limit_usd": usd_text(allowance.limit_pico),
        "tell_at": [float(share) for share in allowance.tell_at],
        "policy": steps_json(allowance.policy),
        "severity": allowance.severity,
        "is_on": allowance.is_on,
    }


def steps_json(policy: tuple[Step, ...]) -> list[dict[str, Any]]:
    """A policy as stored and shown."""
    return [
        {"at": float(step.at), "do": str(step.do), **({"with": step.using} if step.using else {})} for step in policy
    ]


def steps_of(stored: Any) -> tuple[Step, ...]:
    """A policy from its column."""
    return tuple(Step(share_of(each["at"]), Do(each["do"]), each.get("with", "")) for each in stored)


def share_of(stored: Any) -> Decimal:
    """A share as people wrote it: 0.8 is eight tenths, not the float beside it."""
    return Decimal(str(stored))


def usd_text(pico: int) -> str:
    """Exact dollars as plain decimal text."""
    return f"{(Decimal(pico) / PICO).normalize():f}"


def _limit(told: Mapping[str, Any], held: int | None, faults: list[Fault]) -> int:
    limit = f"decimal text from {LIMIT_USD_MIN:f} to {LIMIT_USD_MAX:,f}, with at most 12 decimals"
    if "limit_usd" not in told:
        if held is None:
            faults.append(Fault("limit_usd", "is missing", limit))
        return held or 0
    raw = told["limit_usd"]
    value = decimal_of(raw)
    if value is None:
        faults.append(Fault("limit_usd", "is no amount of dollars", limit, _shown(raw)))
        return 0
    if not LIMIT_USD_MIN <= value <= LIMIT_USD_MAX:
        faults.append(Fault("limit_usd", "is out of range", limit, _shown(raw)))
        return 0
    pico = value * PICO
    if pico != pico.to_integral_value():
        faults.append(Fault("limit_usd", "has too many decimals", limit, _shown(raw)))
        return 0
    return int(pico)


def decimal_of(raw: Any) -> Decimal | None:
    """A finite number from text or JSON; None for anything else. A leading $ and commas for thousands are taken off."""
    if isinstance(raw, bool) or not isinstance(raw, str | int | float | Decimal):
        return None
    text = str(raw).strip()
    if len(text) > 40 or not text.isascii():
        return None
    try:
        value = Decimal(text.removeprefix("$").replace(",", "") if isinstance(raw, str) else text)
    except InvalidOperation:
        return None
    return value if value.is_finite() and abs(value) < Decimal(10) ** 15 else None


def _share(field: str, raw: Any, faults: list[Fault]) -> Decimal | None:
    limit = f"a share of the limit from {SHARE_MIN:f} to {SHARE_MAX:f}, with at most 4 decimals; 1 is all of it"
    value = decimal_of(raw)
    if value is None:
        faults.append(Fault(field, "is no number", limit, _shown(raw)))
    elif not SHARE_MIN <= value <= SHARE_MAX:
        faults.append(Fault(field, "is out of range", limit, _shown(raw)))
    elif value != value.quantize(Decimal("0.0001")):
        faults.append(Fault(field, "has too many decimals", limit, _shown(raw)))
    else:
        return value
    return None


def _tell_at(told: Mapping[str, Any], held: tuple[Decimal, ...], faults: list[Fault]) -> tuple[Decimal, ...]:
    if "tell_at" not in told:
        return held
    raw = told["tell_at"]
    limit = f"a list of at most {TELL_MAX} shares such as [0.5, 0.8, 1]"
    if not isinstance(raw, list):
        faults.append(Fault("tell_at", "is no list", limit, _shown(raw)))
        return ()
    if len(raw) > TELL_MAX:
        faults.append(Fault("tell_at", "has too many", limit, len(raw)))
        return ()
    found = [_share(f"tell_at[{at}]", each, faults) for at, each in enumerate(raw)]
    return tuple(sorted({share for share in found if share is not None}))


def _policy(told: Mapping[str, Any], held: tuple[Step, ...], faults: list[Fault]) -> tuple[Step, ...]:
    if "policy" not in told:
        return held
    raw = told["policy"]
    limit = f'a list of at most {STEPS_MAX} steps such as {{"at": 0.8, "do": "cheaper_model", "with": "gpt-4o-mini"}}'
    if not isinstance(raw, list):
        faults.append(Fault("policy", "is no list", limit, _shown(raw)))
        return ()
    if len(raw) > STEPS_MAX:
        faults.append(Fault("policy", "has too many", limit, len(raw)))
        return ()
    steps: list[Step] = []
    for at, each in enumerate(raw):
        field = f"policy[{at}]"
        if not isinstance(each, Mapping):
            faults.append(Fault(field, "is no step", limit, _shown(each)))
            continue
        for name in each:
            if name not in _STEP_FIELDS:
                faults.append(Fault(f"{field}.{str(name)[:60]}", "unknown field", f"one of {', '.join(_STEP_FIELDS)}"))
        share = _share(f"{field}.at", each.get("at"), faults)
        do = _choice("do", each, Do, None, faults, f"{field}.do")
        using = _text("with", each, "", 0, USING_MAX, faults, f"{field}.with")
        if share is not None and do is not None:
            steps.append(Step(share, do, using))
    steps.sort(key=lambda step: step.at)
    for first, second in pairwise(steps):
        if first.at == second.at:
            faults.append(Fault("policy", "has two steps at one share", "each share once", float(first.at)))
    return tuple(steps)


def _severity(told: Mapping[str, Any], held: int, faults: list[Fault]) -> int:
    if "severity" not in told:
        return held
    raw = told["severity"]
    if isinstance(raw, bool) or not isinstance(raw, int) or not 0 <= raw <= 3:
        faults.append(Fault("severity", "is not accepted", "a whole number from 0, the worst, to 3", _shown(raw)))
        return held
    return raw


def _truth(field: str, told: Mapping[str, Any], held: bool, faults: list[Fault]) -> bool:
    raw = told.get(field, held)
    if not isinstance(raw, bool):
        faults.append(Fault(field, "is neither true nor false", "true or false", _shown(raw)))
        return held
    return raw


def _choice(
    name: str, told: Mapping[str, Any], kind: type[T], held: T | None, faults: list[Fault], field: str = ""
) -> T | None:
    if name not in told:
        if held is None:
            faults.append(Fault(field or name, "is missing", f"one of {', '.join(kind)}"))
        return held
    raw = told[name]
    if not isinstance(raw, str) or raw not in set(kind):
        faults.append(Fault(field or name, "is not accepted", f"one of {', '.join(kind)}", _shown(raw)))
        return None
    return kind(raw)


def _text(
    name: str,
    told: Mapping[str, Any],
    held: str | None,
    least: int,
    most: int,
    faults: list[Fault],
    field: str = "",
) -> str:
    limit = f"{least} to {most} characters"
    if name not in told:
        if held is None:
            faults.append(Fault(field or name, "is missing", limit))
        return held or ""
    raw = told[name]
    if not isinstance(raw, str):
        faults.append(Fault(field or name, "is no text", limit, _shown(raw)))
        return ""
    # A subject is an id as the application sends it: nothing is taken off it but from names people type.
    text = raw if name == "subject" else raw.strip()
    if not least <= len(text) <= most:
        faults.append(Fault(field or name, "is too long" if text else "is empty", limit, f"{len(text)} characters"))
    elif any(c < " " or c == "\x7f" or "\ud800" <= c <= "\udfff" for c in text):
        faults.append(Fault(field or name, "holds characters that no name has", limit))
    return text


def _shown(raw: Any) -> Any:
    return raw if raw is None or isinstance(raw, bool | int) else str(raw)[:120]
