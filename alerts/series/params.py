"""What a metric can be asked by beside its scope: names, words, and what each accepts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from alerts.drift.fields import FIELDS
from alerts.monitors.types import Metric
from telltale.lib.faults import Fault, ItemRefused

ParamKind = Literal["judge", "criterion", "number", "choice", "text", "texts", "outcome", "host", "encoder"]
TEXT_MAX = 200
TEXTS_MAX = 20


@dataclass(frozen=True, slots=True)
class Param:
    """One parameter. `kind` says what a form offers and what JSON holds.

    judge: slug of a judge; criterion: key of a criterion of its rubric; outcome: slug of an outcome; host: a host as
    the performance page names it; encoder: name of an encoder; number: within `low` and `high`; choice: one of
    `choices`, (value, words); text: 1 to 200 characters; texts: a list of such. `default` None: none.
    """

    name: str
    title: str
    kind: ParamKind
    told: str = ""
    choices: tuple[tuple[str, str], ...] = ()
    low: float | None = None
    high: float | None = None
    default: float | str | None = None


_ALL = (
    Param("judge", "Judge", "judge", "Whose scores: every version of it that judged live traffic."),
    Param("criterion", "Criterion", "criterion", "Which question of its rubric."),
    Param(
        "at_most",
        "Counts as low",
        "number",
        "Scores of this number of the scale or lower. Left out: what the criterion flags, or “no”.",
        low=-1e9,
        high=1e9,
    ),
    Param("name", "Score name", "text", "Name of the scores that programs send."),
    Param("quantile", "Quantile", "number", "Which quantile is drawn and held against a threshold.",
          low=0.01, high=0.999, default=0.95),
    Param("limit_ms", "Slower than", "number", "Milliseconds from which on it counts as slow.", low=0.001, high=1e9),
    Param("error_type", "Error types", "texts", "As the page of a trace shows them; any of these."),
    Param("finish_reason", "Finish reasons", "texts", "As the page of a trace shows them; any of these."),
    Param("capacity", "Capacity", "number",
          "What this part can bear, in calls a minute. Left out: as entered for its model or service, by REST "
          "(`capacity` of /api/v1/monitors/budget).", low=0.001,
          high=1e9),
    Param("outcome", "Outcome", "outcome", "Which outcome of the project."),
    Param("host", "Host", "host", "One host alone. Left out: all of them, each counted alike."),
    Param("across", "Across hosts", "choice", "How several hosts become one number.",
          choices=(("mean", "their mean"), ("highest", "the highest")), default="mean"),
    Param("side", "Side", "choice", "What the embedding is of.",
          choices=(("input", "what users ask"), ("output", "what is answered")), default="input"),
    Param("field", "What is told apart", "choice", "Of a sample of traces, as the page of drift compares them.",
          choices=tuple((each.key, each.title) for each in FIELDS)),
    Param("encoder", "Encoder", "encoder", "Which encoder made the vectors. Left out: the one in use."),
)  # fmt: skip
PARAMS = {each.name: each for each in _ALL}


def parse_params(metric: Metric, told: Any) -> dict[str, Any]:
    """The params of a metric as they are kept, from JSON; what is left out stays out. Raises ItemRefused.

    Whether a judge, a criterion or an outcome is there is asked of `alerts.read.series.check_params`.
    """
    if told is None:
        told = {}
    if not isinstance(told, Mapping):
        raise ItemRefused(Fault("params", "is no object", "an object", _shown(told)))
    known = (*metric.needs, *metric.may)
    faults: list[Fault] = []
    found: dict[str, Any] = {}
    for name, value in told.items():
        if name not in known:
            limit = ", ".join(known) or "none"
            faults.append(Fault(f"params.{_shown(name)}", f"is no param of {metric.title.lower()}", limit))
        elif value is not None and value not in ("", []):
            kept = _checked(PARAMS[name], value, faults)
            if kept is not None:
                found[name] = kept
    for name in metric.needs:
        if name not in found and not any(fault.field.startswith(f"params.{name}") for fault in faults):
            faults.append(Fault(f"params.{name}", "is missing", PARAMS[name].told))
    if faults:
        raise ItemRefused(*faults)
    return found


def _checked(param: Param, value: Any, faults: list[Fault]) -> Any:
    field = f"params.{param.name}"
    if param.kind == "number":
        low, high = param.low or -1e12, param.high or 1e12
        if isinstance(value, bool) or not isinstance(value, int | float) or not low <= value <= high:
            faults.append(Fault(field, "is no number that can be", f"{low:g} to {high:g}", _shown(value)))
            return None
        return value
    if param.kind == "choice":
        accepted = [each for each, _ in param.choices]
        if value not in accepted:
            faults.append(Fault(field, "is not accepted", f"one of {', '.join(accepted)}", _shown(value)))
            return None
        return value
    many = value if param.kind == "texts" and isinstance(value, list | tuple) else [value]
    if len(many) > TEXTS_MAX:
        faults.append(Fault(field, "has too many values", f"{TEXTS_MAX} values", len(many)))
        return None
    for each in many:
        if not isinstance(each, str) or not each.strip() or not is_storable(each):
            faults.append(Fault(field, "is no text", "text", _shown(each)))
            return None
        if len(each) > TEXT_MAX:
            faults.append(Fault(field, "is too long", f"{TEXT_MAX} characters", len(each)))
            return None
    return sorted(set(many)) if param.kind == "texts" else value


def is_storable(text: str) -> bool:
    """Whether a database takes a text: no U+0000, no lone surrogates."""
    return "\x00" not in text and not any("\ud800" <= char <= "\udfff" for char in text)


def _shown(value: Any) -> str:
    return repr(value)[:80]
