"""The values of a metric's parameters: read from JSON with faults that name the field and what it accepts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from alerts.monitors.types import Metric
from alerts.series.params import PARAMS, TEXT_MAX, TEXTS_MAX, Param
from telltale.lib.faults import Fault, ItemRefused

_MOST = 1e12


def parse_params(metric: Metric, told: Mapping[str, Any]) -> dict[str, Any]:
    """The parameters of `metric` that `told` holds, each as its kind has them; ItemRefused with fields "params.x".

    Whether a judge or an outcome of that name is there is not looked at: `alerts.read.choices` does.
    """
    faults: list[Fault] = []
    found = {}
    for name in (*metric.needs, *metric.may):
        if name in told:
            found[name] = _value(PARAMS[name], told[name], faults)
    if faults:
        raise ItemRefused(*faults)
    return found


def _value(param: Param, told: Any, faults: list[Fault]) -> Any:
    field = f"params.{param.name}"
    if param.kind == "number":
        low = -_MOST if param.low is None else param.low
        high = _MOST if param.high is None else param.high
        limit = f"a number from {low:g} to {high:g}"
        if isinstance(told, bool) or not isinstance(told, int | float):
            faults.append(Fault(field, "is no number", limit, told))
        elif not low <= told <= high:
            faults.append(Fault(field, "is out of range", limit, told))
        return told
    if param.kind == "choice":
        accepted = [value for value, _ in param.choices]
        if told not in accepted:
            faults.append(Fault(field, "is not accepted", f"one of {', '.join(accepted)}", told))
        return told
    if param.kind == "texts":
        held = told if isinstance(told, list) else [told]
        if not 0 < len(held) <= TEXTS_MAX or not all(_is_text(each) for each in held):
            faults.append(Fault(field, "is no list of text", f"1 to {TEXTS_MAX} texts of 1 to {TEXT_MAX} characters"))
            return told
        return list(dict.fromkeys(held))
    if not _is_text(told):
        faults.append(
            Fault(field, "is no text", f"1 to {TEXT_MAX} characters", None if isinstance(told, list) else told)
        )
    return told


def _is_text(told: Any) -> bool:
    return isinstance(told, str) and 0 < len(told) <= TEXT_MAX
