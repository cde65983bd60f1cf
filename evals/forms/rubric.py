"""The form of a rubric: rows of criteria that grow and shrink by submitting, so that it works without JavaScript."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from django.http import QueryDict

from evals.forms.fields import Choice, clean, number_of, options, whole_of
from evals.rubrics.kinds import BOOLEAN, LABELS, POINTS
from evals.rubrics.reading import CRITERIA_MAX, EXAMPLES_MAX
from evals.setup.refusals import SetupRefused

SCALES = {
    "1-5": "Points, 1 to 5",
    "1-10": "Points, 1 to 10",
    POINTS: "Points of another range",
    BOOLEAN: "Yes or no",
    LABELS: "Labels, worst to best",
    "unordered": "Labels without an order",
}
CRITERION = ("key", "title", "definition", "scale", "low", "high", "labels", "anchors", "flag")
EXAMPLE = ("question", "answer", "level", "reason")
_STEP = re.compile(r"(remove|up|down|add-example)-(\d{1,2})\Z")
_NO_EXAMPLE = re.compile(r"remove-example-(\d{1,2})-(\d{1,2})\Z")
_KEY = re.compile(r"[^a-z0-9]+")


@dataclass(frozen=True, slots=True)
class ExampleRow:
    """A worked example as typed."""

    question: str = ""
    answer: str = ""
    level: str = ""
    reason: str = ""


@dataclass(frozen=True, slots=True)
class CriterionRow:
    """A criterion as typed: `labels` one a line, `anchors` lines of a level, a colon and what earns it."""

    key: str = ""
    title: str = ""
    definition: str = ""
    scale: str = "1-5"
    low: str = ""
    high: str = ""
    labels: str = ""
    anchors: str = ""
    flag: str = ""
    examples: tuple[ExampleRow, ...] = ()

    @property
    def scales(self) -> tuple[Choice, ...]:
        """The options of the scale."""
        return options(SCALES, self.scale)

    @property
    def may_add_example(self) -> bool:
        """Whether there is room for one more."""
        return len(self.examples) < EXAMPLES_MAX


@dataclass(frozen=True, slots=True)
class RubricForm:
    """The whole form as typed."""

    name: str = ""
    instructions: str = ""
    criteria: tuple[CriterionRow, ...] = field(default_factory=lambda: (CriterionRow(),))

    @property
    def may_add(self) -> bool:
        """Whether there is room for one more criterion."""
        return len(self.criteria) < CRITERIA_MAX


def read_form(post: QueryDict) -> RubricForm:
    """The form as it was sent; more rows than a rubric has are left out."""
    criteria = []
    for at in range(_count(post, "criteria", CRITERIA_MAX)):
        typed = {name: clean(post.get(f"c-{at}-{name}", "")) for name in CRITERION}
        examples = tuple(
            ExampleRow(**{name: clean(post.get(f"c-{at}-e-{n}-{name}", "")) for name in EXAMPLE})
            for n in range(_count(post, f"c-{at}-examples", EXAMPLES_MAX))
        )
        criteria.append(CriterionRow(**typed, examples=examples))
    return RubricForm(clean(post.get("name", "")), clean(post.get("instructions", "")), tuple(criteria))


def _count(post: QueryDict, name: str, most: int) -> int:
    raw = post.get(name, "")
    return min(int(raw), most) if raw.isascii() and raw.isdigit() and len(raw) < 4 else 0


def changed(form: RubricForm, step: str) -> RubricForm:
    """The form after the button `step` was pressed; itself where no such button is."""
    rows = list(form.criteria)
    if step == "add-criterion" and form.may_add:
        return replace(form, criteria=(*rows, CriterionRow()))
    if found := _NO_EXAMPLE.match(step):
        at, n = int(found[1]), int(found[2])
        if at < len(rows) and n < len(rows[at].examples):
            left = tuple(each for i, each in enumerate(rows[at].examples) if i != n)
            rows[at] = replace(rows[at], examples=left)
        return replace(form, criteria=tuple(rows))
    found = _STEP.match(step)
    if found is None or int(found[2]) >= len(rows):
        return form
    verb, at = found[1], int(found[2])
    if verb == "remove":
        del rows[at]
    elif verb == "add-example" and rows[at].may_add_example:
        rows[at] = replace(rows[at], examples=(*rows[at].examples, ExampleRow()))
    elif verb == "up" and at > 0:
        rows[at - 1], rows[at] = rows[at], rows[at - 1]
    elif verb == "down" and at + 1 < len(rows):
        rows[at + 1], rows[at] = rows[at], rows[at + 1]
    return replace(form, criteria=tuple(rows))


def form_of(name: str, spec: Mapping[str, Any]) -> RubricForm:
    """The form that a rubric's JSON fills."""
    return RubricForm(name, str(spec.get("instructions", "")), tuple(_row(each) for each in spec["criteria"]))


def _row(criterion: Mapping[str, Any]) -> CriterionRow:
    scale = criterion["scale"]
    kind = str(scale["kind"])
    low, high = scale.get("low", 1), scale.get("high", 5)
    if kind == POINTS and (low, high) in {(1, 5), (1, 10)}:
        kind = f"{low}-{high}"
    if kind == LABELS and not scale.get("ordered", True):
        kind = "unordered"
    flag = criterion.get("flag_at_most")
    return CriterionRow(
        key=criterion["key"],
        title=criterion.get("title", ""),
        definition=criterion["definition"],
        scale=kind,
        low=str(low) if kind == POINTS else "",
        high=str(high) if kind == POINTS else "",
        labels="\n".join(scale.get("labels", [])),
        anchors="\n".join(f"{level}: {text}" for level, text in scale.get("anchors", {}).items()),
        flag="" if flag is None else flag if isinstance(flag, str) else f"{flag:g}",
        examples=tuple(
            ExampleRow(**{name: str(each.get(name, "")) for name in EXAMPLE}) for each in criterion.get("examples", [])
        ),
    )


def spec_of(form: RubricForm) -> dict[str, Any]:
    """The JSON that the form stands for, as `parse_rubric` reads it; SetupRefused for what is no number."""
    spec: dict[str, Any] = {"criteria": [_criterion(row, f"criteria[{at}]") for at, row in enumerate(form.criteria)]}
    if form.instructions.strip():
        spec["instructions"] = form.instructions
    return spec


def _criterion(row: CriterionRow, where: str) -> dict[str, Any]:
    scale: dict[str, Any] = {"kind": row.scale}
    if row.scale in ("1-5", "1-10"):
        scale = {"kind": POINTS, "low": 1, "high": 5 if row.scale == "1-5" else 10}
    elif row.scale == POINTS:
        ends = {name: whole_of(f"{where}.scale.{name}", getattr(row, name)) for name in ("low", "high")}
        for name, value in ends.items():
            if value is None:
                raise SetupRefused(f"{where}.scale.{name}", "is empty")
        scale |= ends
    elif row.scale in (LABELS, "unordered"):
        labels = [line.strip() for line in row.labels.splitlines() if line.strip()]
        scale = {"kind": LABELS, "labels": labels, "ordered": row.scale == LABELS}
    if row.anchors.strip():
        scale["anchors"] = _anchors(row.anchors, f"{where}.scale.anchors")
    told: dict[str, Any] = {
        "key": row.key.strip() or _KEY.sub("_", row.title.lower()).strip("_")[:50],
        "definition": row.definition,
        "scale": scale,
    }
    if row.title.strip():
        told["title"] = row.title
    if row.examples:
        told["examples"] = [{name: getattr(each, name).strip() for name in EXAMPLE} for each in row.examples]
    if row.flag.strip():
        flag = row.flag.strip()
        is_label = row.scale == LABELS and flag in scale.get("labels", [])
        told["flag_at_most"] = flag if is_label else number_of(f"{where}.flag_at_most", flag)
    return told


def _anchors(text: str, where: str) -> dict[str, str]:
    anchors: dict[str, str] = {}
    for line in text.splitlines():
        level, colon, words = line.partition(":")
        if not line.strip():
            continue
        if not colon:
            raise SetupRefused(where, "must be one a line, as 5: every claim is supported")
        anchors[level.strip()] = words.strip()
    return anchors


def input_of(refused_field: str) -> str:
    """The id of the input that a refused field such as `criteria[0].scale.high` was typed into."""
    found = re.match(r"criteria\[(\d+)\](?:\.examples\[(\d+)\])?\.?([a-z_]*)(?:\.([a-z_]+))?", refused_field)
    if found is None:
        return f"f-{refused_field}" if refused_field in ("name", "instructions") else "criteria"
    at, example, name, inner = found.groups()
    if example is not None:
        return f"f-c-{at}-e-{example}-{name or 'answer'}"
    if name == "scale":
        return f"f-c-{at}-{inner if inner in ('low', 'high', 'labels', 'anchors') else 'scale'}"
    return f"f-c-{at}-{'flag' if name == 'flag_at_most' else name or 'title'}"
