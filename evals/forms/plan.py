"""The form of a sampling plan: shares in per cent, strata and filters one a line: it works without JavaScript."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from evals.forms.fields import Field, choices_of, decimal_of, error_at, number_of, options
from evals.sampling import FIELDS, LISTS, NUMBERS
from evals.sampling.plan import ALL, ERRORS, RANDOM, SIGNALS, STRATA
from evals.setup.refusals import SetupRefused

KINDS = {
    RANDOM: "A random share",
    ERRORS: "Errors and complaints, and a share of the rest",
    STRATA: "By a column, each value its own share",
    ALL: "Every trace",
}
SIGNAL_WORDS = {"error": "Errors", "refusal": "Refusals of the model", "thumb_down": "Thumbs-down"}
NAMES = (
    "kind", "share", "signal_share", "rest", "by", "edges", "shares", "other", "filter", "valid_from",
    *(f"signal-{signal}" for signal in SIGNALS),
)  # fmt: skip
DEFAULTS = {
    "kind": RANDOM, "share": "5", "signal_share": "100", "rest": "5", "other": "5", "by": "feature",
    **{f"signal-{signal}": "on" for signal in SIGNALS},
}  # fmt: skip


def typed_from(spec: Mapping[str, Any]) -> dict[str, str]:
    """What the form of a plan begins with."""
    kind = spec["kind"]
    typed = {**DEFAULTS, "kind": kind, "filter": _filter_text(spec.get("filter", {}))}
    if kind == RANDOM:
        typed["share"] = pct_text(spec["share"])
    elif kind == ERRORS:
        typed |= {"signal_share": pct_text(spec["share"]), "rest": pct_text(spec["rest"])}
        typed |= {f"signal-{each}": "on" if each in spec["signals"] else "" for each in SIGNALS}
    elif kind == STRATA:
        shares = "\n".join(f"{label}: {pct_text(share)}" for label, share in spec["shares"].items())
        edges = ", ".join(f"{edge:g}" for edge in spec.get("edges", []))
        typed |= {"by": spec["by"], "other": pct_text(spec["other"]), "shares": shares, "edges": edges}
    return typed


def pct_text(share: float) -> str:
    """A share of 0..1 in per cent, as an input shows it."""
    text = f"{Decimal(repr(float(share))) * 100:f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _filter_text(conditions: Mapping[str, Any]) -> str:
    lines = []
    for name, wanted in conditions.items():
        if isinstance(wanted, Mapping):
            lines += [f"{name} {word} {wanted[end]:g}" for end, word in (("from", ">="), ("to", "<")) if end in wanted]
        else:
            lines.append(f"{name}: {', '.join(wanted)}")
    return "\n".join(lines)


def spec_of(typed: Mapping[str, str]) -> dict[str, Any]:
    """The JSON that the form stands for, as `parse_plan` reads it; SetupRefused for what is no number."""
    kind = typed["kind"]
    spec: dict[str, Any] = {"kind": kind}
    if kind == RANDOM:
        spec["share"] = _share("share", typed["share"])
    elif kind == ERRORS:
        spec["signals"] = [each for each in SIGNALS if typed[f"signal-{each}"]]
        spec["share"] = _share("share", typed["signal_share"])
        spec["rest"] = _share("rest", typed["rest"])
    elif kind == STRATA:
        spec |= {"by": typed["by"], "other": _share("other", typed["other"]) or 0.0, "shares": _shares(typed["shares"])}
        if typed["edges"].strip():
            edges = [number_of("edges", part) for part in typed["edges"].split(",") if part.strip()]
            spec["edges"] = edges
    if typed["filter"].strip():
        spec["filter"] = _filter(typed["filter"])
    return spec


def _share(field: str, text: str) -> float | None:
    pct = decimal_of(field, text)
    return None if pct is None else float(pct / 100)


def _shares(text: str) -> dict[str, float]:
    shares: dict[str, float] = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        label, colon, pct = line.rpartition(":")
        share = _share("shares", pct) if colon else None
        if share is None:
            raise SetupRefused("shares", "must be one a line, as refunds: 30", value=line[:40])
        shares[label.strip()] = share
    return shares


def _filter(text: str) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for line in text.splitlines():
        if not line.strip():
            continue
        for sign, end in ((">=", "from"), ("<", "to")):
            name, told, value = line.partition(sign)
            if told and name.strip() in NUMBERS:
                found.setdefault(name.strip(), {})[end] = number_of("filter", value)
                break
        else:
            name, colon, values = line.partition(":")
            if not colon:
                raise SetupRefused("filter", "must be one a line, as feature: refunds, returns", value=line[:40])
            found[name.strip()] = [value.strip() for value in values.split(",") if value.strip()]
    return found


def start_of(typed: Mapping[str, str], zone: ZoneInfo) -> datetime | None:
    """When the plan is to begin; None for now. SetupRefused."""
    raw = typed["valid_from"].strip()
    if not raw:
        return None
    try:
        at = datetime.fromisoformat(raw)
        at = at if at.tzinfo else at.replace(tzinfo=zone)
        if not 1970 <= at.year <= 2200:
            raise ValueError
    except (ValueError, OverflowError):
        raise SetupRefused("valid_from", "is no time", "such as 2026-12-01 09:00", raw[:40]) from None
    return at


def fields_of(typed: Mapping[str, str], refused: SetupRefused | None) -> dict[str, Field]:
    """The inputs by name, dashes as underscores."""
    kind = typed.get("kind", "")

    def make(name: str, label: str, hint: str = "", at: str = "", **more: Any) -> Field:
        return Field(name, label, typed.get(name, ""), hint, error_at(refused, at or name), **more)

    at_share = "signal_share" if kind == ERRORS else "share"
    columns = [(name, name.replace("_", " ")) for name in (*FIELDS, *LISTS, *NUMBERS)]
    found = [
        make("kind", "Which traces", kind="select", choices=options(KINDS, kind)),
        make("share", "Share", suffix="%", kind="number", at="share" if at_share == "share" else "-"),
        make("signal_share", "Of these", suffix="%", kind="number", at="share" if at_share != "share" else "-"),
        make("rest", "Of the rest", suffix="%", kind="number"),
        make("by", "Column", kind="select", choices=choices_of(columns, typed.get("by", ""))),
        make("edges", "Edges, for a column of numbers", "Ascending, with commas: 1000, 5000."),
        make("shares", "Shares", "One a line: value, colon, per cent.", kind="area", rows=5, placeholder="refunds: 30"),
        make("other", "Every other value", suffix="%", kind="number"),
        make(
            "filter",
            "Only traces where",
            "One a line: “feature: refunds, returns” or “cost_usd >= 0.01”. Empty: all. What it leaves out is not "
            "part of the estimate.",
            kind="area",
            rows=3,
        ),
        make("valid_from", "From", "Empty: now. In the project’s time zone.", placeholder="2026-12-01 09:00"),
    ]
    found += [make(f"signal-{each}", SIGNAL_WORDS[each], kind="check") for each in SIGNALS]
    return {field.name.replace("-", "_"): field for field in found}
