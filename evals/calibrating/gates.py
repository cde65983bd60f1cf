"""The gate's values as people write them: checked field by field, kept as what differs from the defaults."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from django.db import transaction
from django.http import HttpRequest

from evals.read.gates import GateChoice, gate_for
from evals.stats.gate import GateSettings
from evals.write import calibration as write
from telltale.audit.log import record_in
from telltale.projects.models import Project

METRICS = (
    "weighted_kappa",
    "cohen_kappa",
    "krippendorff",
    "gwet_ac1",
    "gwet_ac2",
    "raw_agreement",
    "spearman",
    "kendall",
)


class GateRefused(ValueError):
    """A value of the gate that cannot be: which field, what is wrong, what is accepted."""

    def __init__(self, field: str, message: str, limit: str) -> None:
        super().__init__(f"{field}: {message}")
        self.field = field
        self.message = message
        self.limit = limit


@dataclass(frozen=True, slots=True)
class GateField:
    """A number of the gate: `is_optional` ones may be empty, which switches their check off."""

    name: str
    label: str
    hint: str
    low: float
    high: float
    is_optional: bool = True

    @property
    def limit(self) -> str:
        """What is accepted, in words."""
        return f"a number from {self.low:g} to {self.high:g}" + (", or empty for no check" if self.is_optional else "")


GATE_FIELDS = (
    GateField("deploy_at", "Agreement to go live, at least", "Of the chosen measure; 1 is perfect.", 0, 1, False),
    GateField("stay_at", "Agreement to stay live, at least", "At most the value to go live.", 0, 1, False),
    GateField(
        "people_margin",
        "Or no worse than people by more than",
        "Met as well where people agree with each other hardly better.",
        0,
        1,
    ),
    GateField("recall_at_least", "Catches bad answers, at least", "Share of 1, such as 0.8.", 0, 1),
    GateField("precision_at_least", "Flags that are right, at least", "Share of 1, such as 0.75.", 0, 1),
    GateField("bias_at_most", "Lean either way, at most", "In points of the criterion's scale.", 0, 100),
    GateField("unusable_at_most", "Answers that cannot be used, at most", "Share of 1, such as 0.05.", 0, 1),
    GateField(
        "self_agreement_at_least", "Same score on a second run, at least", "Needs the probe of repeated runs.", 0, 1
    ),
)


def parse_gate(given: Mapping[str, Any], before: GateSettings | None = None) -> GateSettings:
    """The gate with the named fields changed. GateRefused at the first that cannot be."""
    values = asdict(before or GateSettings())
    metric = given.get("metric", values["metric"])
    if metric not in METRICS:
        raise GateRefused("metric", "is no measure of agreement", f"one of {', '.join(METRICS)}")
    values["metric"] = metric
    for field in GATE_FIELDS:
        if field.name in given:
            values[field.name] = _number(field, given[field.name])
    if values["stay_at"] > values["deploy_at"]:
        raise GateRefused("stay_at", "is above what is needed to go live", f"at most {values['deploy_at']:g}")
    return GateSettings(**values)


def _number(field: GateField, raw: Any) -> float | None:
    if isinstance(raw, str):
        raw = raw.strip()
    if raw is None or raw == "":
        if field.is_optional:
            return None
        raise GateRefused(field.name, "is required", field.limit)
    if isinstance(raw, bool) or not isinstance(raw, str | int | float):
        raise GateRefused(field.name, "is no number", field.limit)
    try:
        value = float(raw)
    except (ValueError, OverflowError):
        raise GateRefused(field.name, "is no number", field.limit) from None
    if not math.isfinite(value) or not field.low <= value <= field.high:
        raise GateRefused(field.name, "is out of range", field.limit)
    return value


def kept_of(gate: GateSettings) -> dict[str, Any]:
    """What a row keeps of a gate: what differs from the defaults."""
    defaults = asdict(GateSettings())
    return {name: value for name, value in asdict(gate).items() if value != defaults[name]}


def save_gate(
    project: Project,
    gate: GateSettings | None,
    *,
    judge_id: int | None = None,
    judge_slug: str = "",
    request: HttpRequest | None = None,
) -> GateChoice:
    """Set the gate of the project or of one judge; None lets the judge go by the project's again."""
    with transaction.atomic():
        before, after = write.set_gate(project.pk, judge_id, None if gate is None else kept_of(gate))
        if before != after:
            record_in(
                project,
                "gate.change",
                judge_slug or project.slug,
                request=request,
                before={"gate": before},
                after={"gate": after},
            )
    return gate_for(project.pk, judge_id)
