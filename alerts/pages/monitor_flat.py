"""What is typed into the form of a monitor, flat, and the definition's JSON that it says; both ways.

Shares are typed in percent, times of a baseline in the project's zone, several values apart by commas.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from django.http import QueryDict

from alerts.monitors.definition import COMPOSITE
from alerts.monitors.states import Method
from alerts.monitors.types import DIMENSIONS, Metric
from alerts.series.params import PARAMS, Param
from telltale.lib.faults import Fault, ItemRefused

TEXT_MAX, FIELDS_MAX = 4_000, 600
UNKNOWN = "(unknown)"
# Typed in the metric's unit; of shares in percent.
_IN_UNIT = ("threshold.limit", "threshold.release", "floor", "ceiling")
_WHOLE = ("window_minutes", "least_n", "no_data_minutes", "lateness_minutes", "grace_minutes", "severity")
_OF_METHOD = {
    Method.FIXED: ("threshold.limit", "threshold.side", "threshold.release", "threshold.after"),
    Method.OBJECTIVE: ("objective.allowed",),
}
_NUMBERS = frozenset({"weight", "baseline.days", "objective.allowed", "composite.score_over", *_IN_UNIT})
_WHOLES = frozenset({*_WHOLE, "threshold.after", "composite.least", "composite.within_minutes"})
Flat = dict[str, Any]
_GROUPS = {
    "threshold": ("limit", "side", "release", "after"),
    "objective": ("allowed",),
    "composite": ("least", "within_minutes", "score_over"),
    "baseline": ("start", "end", "days"),
}


def flat_of(told: Mapping[str, Any], metric: Metric | None, zone: ZoneInfo) -> Flat:
    """The inputs that say a definition's JSON; what is left out of it stays empty."""
    flat: Flat = {}
    for name in ("name", "method", "direction", "tier", "note"):
        flat[name] = str(told.get(name) or "")
    flat["severity"] = "" if told.get("severity") is None else str(told["severity"])
    for name in (*_WHOLE[:-1], "weight", "floor", "ceiling"):
        flat[name] = _typed(name, told.get(name), metric)
    for group, names in _GROUPS.items():
        held = told.get(group) or {}
        for each in names:
            name = f"{group}.{each}"
            value = held.get(each)
            if group == "baseline" and each in {"start", "end"}:
                flat[name] = _local(value, zone)
            elif each == "side":
                flat[name] = str(value or "")
            else:
                flat[name] = _typed(name, value, metric)
    members = (told.get("composite") or {}).get("members", ())
    flat["members"] = [str(each["monitor"]) for each in members]
    flat |= {f"m.{each['monitor']}": _number(each.get("weight", 1.0)) for each in members}
    params = told.get("params") or {}
    for each, value in params.items():
        flat[f"p.{each}"] = _list(value) if isinstance(value, list) else _number(value)
    if metric is not None and is_judged(metric) and params.get("judge"):
        flat["p.judged"] = f"{params['judge']}|{params.get('criterion', '')}"
    scope = told.get("scope") or {}
    for each in DIMENSIONS:
        held = scope.get(each, [])
        flat[f"s.{each}"] = _list(held if isinstance(held, list) else [held])
    flat["s.filter"] = scope.get("filter", "")
    flat["s.view"] = str(scope.get("view") or "")
    return flat


def flat_of_post(post: QueryDict) -> Flat:
    """What was typed."""
    flat: Flat = {name: _clean(post.get(name, "")) for name in list(post)[:FIELDS_MAX] if name != "members"}
    flat["members"] = [_clean(each)[:20] for each in post.getlist("members")[:50]]
    return flat


def told_of(flat: Flat, metric: Metric | None, zone: ZoneInfo) -> dict[str, Any]:
    """The definition's JSON that the inputs say; ItemRefused where numbers or times are none."""
    faults: list[Fault] = []
    method = flat.get("method") or (Method.COMPOSITE if metric is None else Method.CHART)
    told: dict[str, Any] = {"name": flat.get("name", ""), "method": method}
    told["metric"] = COMPOSITE if metric is None else metric.key
    for name in ("direction", "tier"):
        if flat.get(name):
            told[name] = flat[name]
    told["note"] = flat.get("note", "")
    for name in (*_WHOLE, "weight", "floor", "ceiling"):
        value = _read(name, flat, metric, faults)
        if value is not None:
            told[name] = value
    told["baseline"] = _baseline(flat, zone, faults)
    for each, names in _OF_METHOD.items():
        if method == each:
            told[each_group(each)] = {
                name.partition(".")[2]: value
                for name in names
                if (value := _read(name, flat, metric, faults)) is not None
            }
    if method == Method.COMPOSITE:
        told["composite"] = _together(flat, metric, faults)
        for name in ("floor", "ceiling", "no_data_minutes", "baseline"):
            told.pop(name, None)
    elif metric is not None:
        told["params"] = _params(flat, metric, faults)
        told["scope"] = _scope(flat)
    if faults:
        raise ItemRefused(*faults)
    return told


def is_judged(metric: Metric) -> bool:
    """Whether it needs a judge and one of its criteria, chosen together."""
    return "judge" in metric.needs and "criterion" in metric.needs


def each_group(method: Method) -> str:
    """The field of a definition that a method alone has."""
    return "threshold" if method is Method.FIXED else "objective"


def _params(flat: Flat, metric: Metric, faults: list[Fault]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name in (*metric.needs, *metric.may):
        text = str(flat.get(f"p.{name}") or "").strip()
        if name in {"judge", "criterion"} and is_judged(metric):
            judge, _, criterion = str(flat.get("p.judged") or "").partition("|")
            text = judge if name == "judge" else criterion
        if not text:
            continue
        param: Param = PARAMS[name]
        if param.kind == "number":
            value = _float(f"params.{name}", text, faults)
            if value is not None:
                told[name] = value
        elif param.kind == "texts":
            told[name] = [each for each in _split(text) if each]
        else:
            told[name] = text
    return told


def _scope(flat: Flat) -> dict[str, Any]:
    told: dict[str, Any] = {}
    for name in DIMENSIONS:
        values = _split(str(flat.get(f"s.{name}") or ""))
        if values:
            told[name] = [None if each == UNKNOWN else each for each in values]
    if flat.get("s.filter"):
        told["filter"] = flat["s.filter"]
        view = str(flat.get("s.view") or "")
        if view.isascii() and view.isdigit() and len(view) < 10:
            told["view"] = int(view)
    return told


def _baseline(flat: Flat, zone: ZoneInfo, faults: list[Fault]) -> dict[str, Any]:
    told: dict[str, Any] = {}
    days = _read("baseline.days", flat, None, faults)
    if days is not None:
        told["days"] = days
    for each in ("start", "end"):
        text = str(flat.get(f"baseline.{each}") or "").strip()
        if not text:
            continue
        try:
            told[each] = datetime.fromisoformat(text[:25]).replace(tzinfo=zone).isoformat()
        except ValueError:
            faults.append(Fault(f"baseline.{each}", "is no time", "a day and a time", text[:40]))
    return told


def _together(flat: Flat, metric: Metric | None, faults: list[Fault]) -> dict[str, Any]:
    members = [int(each) for each in flat.get("members", ()) if each.isascii() and each.isdigit()]
    told: dict[str, Any] = {"members": []}
    for at, each in enumerate(members):
        weight = str(flat.get(f"m.{each}") or "").strip()
        found = _float(f"composite.members[{at}].weight", weight, faults) if weight else 1.0
        told["members"].append({"monitor": each, "weight": 1.0 if found is None else found})
    for name in _GROUPS["composite"]:
        value = _read(f"composite.{name}", flat, metric, faults)
        if value is not None:
            told[name] = value
    return told


def _read(name: str, flat: Flat, metric: Metric | None, faults: list[Fault]) -> Any:
    """One input as JSON has it; None where nothing was typed."""
    text = str(flat.get(name) or "").strip()
    if not text:
        return None
    if name in _WHOLES:
        value = _float(name, text, faults)
        if value is not None and not value.is_integer():
            faults.append(Fault(name, "is no whole number", "a whole number", text[:40]))
            return None
        return None if value is None else int(value)
    if name in _NUMBERS:
        value = _float(name, text, faults)
        if value is None:
            return None
        is_percent = name == "objective.allowed" or (name in _IN_UNIT and metric is not None and metric.unit == "share")
        return round(value / 100, 12) if is_percent else value
    return text


def _float(field_name: str, text: str, faults: list[Fault]) -> float | None:
    try:
        found = float(text.replace(" ", "").replace("\u202f", ""))
    except ValueError:
        found = float("nan")
    if abs(found) <= 1e15:
        return found
    faults.append(Fault(field_name, "is no number", "a number such as 4.5", text[:40]))
    return None


def _typed(name: str, value: Any, metric: Metric | None) -> str:
    if value is None:
        return ""
    is_percent = name == "objective.allowed" or (name in _IN_UNIT and metric is not None and metric.unit == "share")
    return _number(round(value * 100, 10) if is_percent else value)


def _number(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.12g}"
    return "" if value is None else str(value)


def _local(value: Any, zone: ZoneInfo) -> str:
    if not isinstance(value, str):
        return ""
    return datetime.fromisoformat(value).astimezone(zone).strftime("%Y-%m-%dT%H:%M")


def _list(values: Sequence[str | None]) -> str:
    """Values apart by commas; quoted where they hold one themselves."""
    texts = [UNKNOWN if each is None else str(each) for each in values]
    return ", ".join('"{}"'.format(each.replace('"', '""')) if any(c in each for c in ',"') else each for each in texts)


def _split(text: str) -> list[str]:
    if not text.strip():
        return []
    try:
        row = next(csv.reader([text.replace("\n", " ").replace("\r", " ")], skipinitialspace=True))
    except (csv.Error, StopIteration):
        return [text.strip()]
    return [each.strip() for each in row if each.strip()]


def _clean(text: str) -> str:
    return text.replace("\x00", "\ufffd").replace("\r\n", "\n")[:TEXT_MAX]
